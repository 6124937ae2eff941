package match

import (
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Status says what became of lines.
type Status string

// The statuses, a complete list. See the package's comment for what leads to each.
const (
	Matched          Status = "matched"
	Suggested        Status = "suggested"
	UnmatchedLedger  Status = "unmatched_ledger"
	UnmatchedBank    Status = "unmatched_bank"
	AmountMismatch   Status = "amount_mismatch"
	CurrencyMismatch Status = "currency_mismatch"
	SideMismatch     Status = "side_mismatch"
	DateDrift        Status = "date_drift"
	DuplicateLedger  Status = "duplicate_ledger"
	DuplicateBank    Status = "duplicate_bank"
	Timing           Status = "timing"
	ReversedPair     Status = "reversed_pair"
	WrittenOff       Status = "written_off"
	Carried          Status = "carried"
)

// Statuses are all of them, in the order in which reports show them.
var Statuses = []Status{Matched, ReversedPair, WrittenOff, Suggested, Timing, Carried, UnmatchedBank, UnmatchedLedger,
	AmountMismatch, SideMismatch, CurrencyMismatch, DateDrift, DuplicateBank, DuplicateLedger}

// Settled says that nothing is left to do: its lines add up to zero.
func (s Status) Settled() bool { return s == Matched || s == ReversedPair || s == WrittenOff }

// How says in which way a group came together.
type How string

// The ways.
const (
	Exact     How = "exact"     // one line to one, the same amount
	Tolerance How = "tolerance" // one to one, and the difference is, or would be, booked to an account
	Grouped   How = "grouped"   // one to many, or many to one
)

// ByHand stands for the rule where a decision made a group.
const ByHand = "by hand"

// Bucket is an age band, in business days.
type Bucket string

// Buckets are the bands, youngest first (Basel CRE70 has the same edges).
var Buckets = []Bucket{"0-4", "5-15", "16-30", "31-45", "46+"}

// BucketOf returns the band of an age.
func BucketOf(age int) Bucket {
	for i, upTo := range []int{4, 15, 30, 45} {
		if age <= upTo {
			return Buckets[i]
		}
	}
	return Buckets[4]
}

// Amount is what a group holds of one currency: sums of its lines, signed as the bank sees them.
type Amount struct {
	Currency   string
	Scale      uint8
	Bank       money.Int128
	Ledger     money.Int128
	Difference money.Int128 // Bank − Ledger: what the group adds to the difference of the balances
}

// Booking is what would settle a difference: Units on the ledger's bank account, debit-positive, against Account.
type Booking struct {
	Account  string
	Currency string
	Scale    uint8
	Units    money.Int128
}

// Group is lines that belong together, or one that belongs to none. Each line is in exactly one group.
type Group struct {
	ID      string    `json:"id"` // digest of its lines' ids: the same lines, the same id
	Status  Status    `json:"status"`
	How     How       `json:"how,omitempty"`
	Rule    string    `json:"rule,omitempty"`            // id of the rule, or ByHand
	Decided []int64   `json:"decided,omitempty"`         // the decisions that bear on it, by Decision.Seq
	Bank    []string  `json:"bank,omitempty"`            // ids of lines, by date
	Ledger  []string  `json:"ledger,omitempty"`          //
	Amounts []Amount  `json:"amounts"`                   // by currency; more than one only in a currency mismatch
	Repeats string    `json:"repeats,omitempty"`         // of a duplicate: id of the line that it repeats
	Choices int       `json:"choices,omitempty"`         // of an ambiguous suggestion: how many lines could have been meant
	Booking *Booking  `json:"booking,omitempty"`         // of a suggestion that needs one
	Entry   *int64    `json:"resolving_entry,omitempty"` // seq of the entry that settled it
	Break   *Standing `json:"break,omitempty"`           // of all that was a break: nil for what rules matched, and reversed pairs
}

// Open says that the group is a break that still stands.
func (g *Group) Open() bool { return !g.Status.Settled() }

// Standing is what is known of a break over time.
type Standing struct {
	FirstSeen chain.Date `json:"-"`
	New       bool       `json:"new,omitempty"` // first seen by this
	Since     chain.Date `json:"-"`             // booking date of its oldest line
	Age       int        `json:"age"`           // business days after Since up to the as-of date
	Bucket    Bucket     `json:"bucket"`
	Owner     string     `json:"owner,omitempty"`
	Cause     string     `json:"cause"` // as decided, otherwise in the words of the status
	Note      string     `json:"note,omitempty"`
}

// Placement is the first proof: every line is in exactly one group.
type Placement struct {
	Lines    int      `json:"lines"`
	Placed   int      `json:"placed"`             // lines that are in one group
	Unplaced []string `json:"unplaced,omitempty"` // ids, at most MaxNotes
	Twice    []string `json:"twice,omitempty"`
}

// Holds says that the proof holds.
func (p *Placement) Holds() bool {
	return p.Lines == p.Placed && len(p.Unplaced) == 0 && len(p.Twice) == 0
}

// Proof is the second proof, for one currency: bank closing − ledger closing = signed sum of the open breaks. Unexplained is
// what is missing to that. The parts say where to look: the sides foot when opening + movement = closing, and what was
// brought forward explains the opening difference.
type Proof struct {
	Balance
	BankMovement   money.Int128 // of lines that were not brought forward
	LedgerMovement money.Int128
	BankFooting    money.Int128 // opening + movement − closing; zero when the lines are all there
	LedgerFooting  money.Int128
	Brought        money.Int128 // signed sum of the lines brought forward
	OpeningGap     money.Int128 // bank opening − ledger opening − Brought; zero when the sides began alike
	Difference     money.Int128 // bank closing − ledger closing
	OpenBreaks     money.Int128
	Unexplained    money.Int128 // Difference − OpenBreaks
}

// Holds says that the proof holds.
func (p *Proof) Holds() bool {
	return p.Unexplained.IsZero() && p.BankFooting.IsZero() && p.LedgerFooting.IsZero() && p.OpeningGap.IsZero()
}

// Total counts the groups of one status in one currency.
type Total struct {
	Status Status `json:"status"`
	Groups int    `json:"groups"` // a group of two currencies counts in both
	Lines  int    `json:"lines"`
	Amount Amount `json:"amount"`
}

// Trouble is a decision that could not be carried out as it stands. It changed nothing, unless Why says what.
type Trouble struct {
	Seq    int64    `json:"seq"`
	Action Action   `json:"action"`
	Why    string   `json:"why"`
	Lines  []string `json:"lines,omitempty"` // that it concerns
}

// Result is what Match found.
type Result struct {
	Account   string    `json:"account"`
	Groups    []Group   `json:"groups"` // by the first line in canonical order
	Placement Placement `json:"placement"`
	Proofs    []Proof   `json:"proofs"` // by currency
	Totals    []Total   `json:"totals"` // by status, in the order of Statuses, and currency
	Troubles  []Trouble `json:"troubles,omitempty"`
	Notes     []string  `json:"notes,omitempty"` // bounds that were met, so what was not searched

	found *book
}

// Holds says that all proofs hold.
func (r *Result) Holds() bool {
	for i := range r.Proofs {
		if !r.Proofs[i].Holds() {
			return false
		}
	}
	return r.Placement.Holds()
}

// find returns the place of a line. A result that was read from JSON has its groups and no lines.
func (r *Result) find(line string) (int32, bool) {
	if r.found == nil {
		return 0, false
	}
	i, ok := r.found.byID[line]
	return i, ok
}

// GroupOf returns the group of a line, and false where there is no such line; so do Line and Explain. A result that was read
// from JSON does not know its lines any more.
func (r *Result) GroupOf(line string) (*Group, bool) {
	i, ok := r.find(line)
	if !ok {
		return nil, false
	}
	return &r.Groups[r.found.placed[i]], true
}

// Line returns a line as it was given, and false where there is none.
func (r *Result) Line(id string) (Line, bool) {
	i, ok := r.find(id)
	if !ok {
		return Line{}, false
	}
	return r.found.lines[i], true
}
