package policy

// Matching says how lines of bank statements find their postings. Rules are tried in their order, each over all lines that
// are still open: first for what is certain, and when all have been, again for what can only be suggested.
type Matching struct {
	Rules []Rule `yaml:"rules"` // DefaultRules when empty
	// Transit is how many business days an open line may be on its way before it is more than timing; the default is
	// DefaultTransit.
	Transit *int `yaml:"transit"`
	// Overdue is after how many business days an open break is a finding; the default is DefaultOverdue.
	Overdue *int `yaml:"overdue"`
	// Fees says where differences up to a tolerance may be booked.
	Fees []Fee `yaml:"fees"`
}

// Defaults of matching, in business days.
const (
	DefaultTransit = 2
	DefaultOverdue = 5
	MaxWindow      = 366
	MaxSubset      = 12 // lines of a subset that is searched for
)

// RuleKind says what a rule compares.
type RuleKind string

// The kinds of rules.
const (
	ByReference RuleKind = "reference" // one to one: equal references and equal amount
	ByAmount    RuleKind = "amount"    // one to one: equal amount, dates within the window, unique on both sides
	ByBatch     RuleKind = "batch"     // one to many, many to one: equal batch reference, or references of its payments, sums equal
	BySubset    RuleKind = "subset"    // one to many by sums of at most MaxSubset lines: only ever suggested
	ByFee       RuleKind = "fee"       // equal reference, amount differs by a fee at most: only ever suggested
)

// Rule is one rule.
type Rule struct {
	ID     string   `yaml:"id"` // stands in every match it makes
	Kind   RuleKind `yaml:"kind"`
	Bank   []string `yaml:"bank"`   // references of the bank's line: end_to_end, transaction, servicer, instruction, mandate, client, entry, message, batch, uetr, cheque, remittance
	Ledger []string `yaml:"ledger"` // of the ledger's: reference, request_id, related_to, metadata.KEY, description
	Window int      `yaml:"window"` // business days between the booking dates, at most MaxWindow
	// Suggest makes what would be a match a suggestion.
	Suggest bool `yaml:"suggest"`
}

// Fee is a difference that may be booked to an account, in one currency.
type Fee struct {
	Currency  string  `yaml:"currency"`
	Tolerance Decimal `yaml:"tolerance"` // natural units, positive
	Account   string  `yaml:"account"`   // code of the ledger's account for the difference
}

// DefaultRules are used where a policy names none.
var DefaultRules = []Rule{
	{ID: "end-to-end", Kind: ByReference, Bank: []string{"end_to_end"}, Ledger: []string{"reference", "request_id", "metadata.end_to_end"}, Window: 10},
	{ID: "reference", Kind: ByReference, Bank: []string{"uetr", "transaction", "servicer", "instruction", "client", "entry", "cheque"}, Ledger: []string{"reference", "request_id", "metadata.end_to_end", "metadata.bank_reference"}, Window: 10},
	{ID: "batch", Kind: ByBatch, Bank: []string{"batch", "message"}, Ledger: []string{"metadata.batch", "reference"}, Window: 5},
	{ID: "batch-details", Kind: ByBatch, Bank: []string{"end_to_end", "instruction", "transaction"}, Ledger: []string{"reference", "request_id", "metadata.end_to_end"}, Window: 5},
	{ID: "amount-and-date", Kind: ByAmount, Window: 3},
	{ID: "fee", Kind: ByFee, Bank: []string{"end_to_end", "transaction", "servicer", "client"}, Ledger: []string{"reference", "request_id", "metadata.end_to_end"}, Window: 10},
	{ID: "subset", Kind: BySubset, Window: 3},
}

// TransitDays returns Transit, or its default.
func (m *Matching) TransitDays() int { return or(m.Transit, DefaultTransit) }

// OverdueDays returns Overdue, or its default.
func (m *Matching) OverdueDays() int { return or(m.Overdue, DefaultOverdue) }

// RulesInForce returns the rules, or the default ones.
func (m *Matching) RulesInForce() []Rule {
	if len(m.Rules) == 0 {
		return DefaultRules
	}
	return m.Rules
}

func or(n *int, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return *n
}
