package mapping

// Account is an account to open, as the API takes it.
type Account struct {
	Code       string            `json:"code"`
	Type       string            `json:"type"`
	Currency   string            `json:"currency"`
	Name       string            `json:"name,omitempty"`
	MinBalance string            `json:"min_balance,omitempty"`
	MaxBalance string            `json:"max_balance,omitempty"`
	Frozen     string            `json:"frozen,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
}

// Transfer is a transfer to post, as the API takes it. Whoever posts it gives it
// its ID.
type Transfer struct {
	ID            string            `json:"id,omitempty"`
	Debit         string            `json:"debit,omitempty"`
	Credit        string            `json:"credit,omitempty"`
	Amount        string            `json:"amount,omitempty"`
	Currency      string            `json:"currency,omitempty"`
	Postings      []Posting         `json:"postings,omitempty"`
	EffectiveDate string            `json:"effective_date,omitempty"`
	Description   string            `json:"description,omitempty"`
	Reference     string            `json:"reference,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`

	// Part tells the transfers of one row apart.
	Part string `json:"-"`
}

// Posting is one leg of a transfer.
type Posting struct {
	Account   string `json:"account"`
	Direction string `json:"direction"`
	Amount    string `json:"amount"`
	Currency  string `json:"currency,omitempty"`
}

// Made is what one row became: nothing, when it was skipped.
type Made struct {
	Accounts  []Account
	Transfers []Transfer
}

// Terms are those of a ledger to open.
type Terms struct {
	BaseCurrency string `yaml:"base_currency"`
	TimeZone     string `yaml:"time_zone"`
	DayCutoff    string `yaml:"day_cutoff"`
	// How many days a value date may lie back and ahead; nil for the default.
	ValueDaysBack  *int32 `yaml:"value_days_back"`
	ValueDaysAhead *int32 `yaml:"value_days_ahead"`
}
