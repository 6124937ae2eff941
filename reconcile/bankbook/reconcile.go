package bankbook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/reconcile/match"
)

// State says how an account stands to its bank.
type State string

// The states.
const (
	Reconciled    State = "reconciled"     // the proofs hold; what is open is listed
	NotReconciled State = "not_reconciled" // a proof does not hold
	NoStatement   State = "no_statement"   // there is nothing to compare with
)

// MaxBreaks is the most breaks of an account that a result lists; Result.MoreBreaks counts the others, which are in the totals.
const MaxBreaks = 20_000

// Result is what came of reconciling an account.
type Result struct {
	Account  string   `json:"account"`
	Currency string   `json:"currency"`
	Scale    uint8    `json:"scale"`
	AsOf     string   `json:"as_of"`
	State    State    `json:"state"`
	Begins   string   `json:"begins,omitempty"` // first day that is reconciled
	Stated   bool     `json:"stated"`           // the bank states its balance
	Banks    []Source `json:"banks"`
	Missing  []string `json:"missing"` // bank accounts without a statement that reaches the as-of date

	BankLines   int             `json:"bank_lines"`
	LedgerLines int             `json:"ledger_lines"`
	Placement   match.Placement `json:"placement"`
	Proof       *match.Proof    `json:"proof"` // nil without a statement
	Totals      []match.Total   `json:"totals"`
	Troubles    []match.Trouble `json:"troubles"`
	Notes       []string        `json:"notes"`

	Breaks     []Break `json:"breaks"`  // open ones, the oldest first
	Settled    []Break `json:"settled"` // what people settled, at most MaxBreaks
	MoreBreaks int     `json:"more_breaks"`
	Overdue    int     `json:"overdue"` // open ones that are older than the policy lets them be

	matched *match.Result
}

// Break is a group that rules alone did not settle.
type Break struct {
	ID          string              `json:"id"`
	Account     string              `json:"account"`
	Status      match.Status        `json:"status"`
	How         match.How           `json:"how,omitempty"`
	Rule        string              `json:"rule,omitempty"`
	Lines       []Line              `json:"lines"`
	MoreLines   int                 `json:"more_lines,omitempty"` // that Lines leaves out
	Amounts     []match.Amount      `json:"amounts"`
	FirstSeen   string              `json:"first_seen"`
	New         bool                `json:"new,omitempty"` // first seen by this run
	Since       string              `json:"since"`         // booking date of its oldest line
	Age         int                 `json:"age"`           // business days since then
	Bucket      match.Bucket        `json:"bucket"`
	Owner       string              `json:"owner,omitempty"`
	Cause       string              `json:"cause"`
	Note        string              `json:"note,omitempty"` // which decision has it
	Overdue     bool                `json:"overdue,omitempty"`
	Decided     []int64             `json:"decided,omitempty"`
	Resolved    *int64              `json:"resolved,omitempty"` // the entry that settled it
	Repeats     string              `json:"repeats,omitempty"`
	Choices     int                 `json:"choices,omitempty"`
	Booking     *match.Booking      `json:"booking,omitempty"`
	Explanation []match.Explanation `json:"explanation,omitempty"` // of its first lines; words of this program only
}

// Line is a line of a break.
type Line struct {
	ID       string `json:"id"`
	Booked   string `json:"booked"`
	Amount   string `json:"amount"` // positive raises the balance at the bank
	Currency string `json:"currency"`
}

// maxShown bounds the lines, and maxExplained the explanations, of one break.
const (
	maxShown     = 100
	maxExplained = 4
)

func newResult(in *Input, state State) *Result {
	return &Result{Account: in.Account, Currency: in.Currency, Scale: in.Scale, AsOf: in.AsOf.String(), State: state,
		Banks: []Source{}, Missing: []string{}, Totals: []match.Total{}, Troubles: []match.Trouble{}, Notes: []string{}, Breaks: []Break{}, Settled: []Break{}}
}

// Broken is the result of an account that cannot be reconciled because of what is stored, and why.
func Broken(in *Input, why string) *Result {
	r := newResult(in, NotReconciled)
	r.Notes = append(r.Notes, why)
	return r
}

// Reconcile reconciles an account.
func Reconcile(in Input) (*Result, error) {
	r := newResult(&in, NoStatement)
	s, err := arrange(&in)
	if err != nil {
		return nil, err
	}
	r.Banks, r.Stated = append(r.Banks, s.sources...), s.stated && len(s.sources) > 0
	r.lacking(&in)
	if len(s.sources) == 0 {
		return r, nil
	}
	r.Begins, r.BankLines, r.LedgerLines = s.begins.String(), len(s.bank), len(s.ledger)
	r.matched, err = match.Match(match.Input{Account: in.Account, Bank: s.bank, Ledger: s.ledger, Balances: []match.Balance{s.balance}, Rules: in.Rules,
		Calendar: in.Days, AsOf: in.AsOf, Decisions: r.decisions(&in, s), FirstSeen: in.FirstSeen})
	if err != nil {
		return nil, err
	}
	r.State = NotReconciled
	if r.matched.Holds() {
		r.State = Reconciled
	}
	r.Placement, r.Totals = r.matched.Placement, append(r.Totals, r.matched.Totals...)
	r.Proof = &r.matched.Proofs[0] // of the one currency
	r.Troubles, r.Notes = append(r.Troubles, r.matched.Troubles...), append(r.Notes, r.matched.Notes...)
	r.list(&in)
	return r, nil
}

// lacking lists the bank accounts whose statements do not reach the last business day.
func (r *Result) lacking(in *Input) {
	last := in.AsOf
	for !in.Days.BusinessDay(last) && last > in.AsOf-maxIdle {
		last--
	}
	reaches := map[string]chain.Date{}
	for _, source := range r.Banks {
		reaches[spaceless(source.BankAccount)] = source.last
	}
	var names []string
	for _, name := range in.Expected {
		names = append(names, spaceless(name))
	}
	for name := range reaches {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if reached, ok := reaches[name]; !ok || reached < last {
			r.Missing = append(r.Missing, name)
		}
	}
}

// spaceless is the form in which a policy names bank accounts.
func spaceless(s string) string { return strings.Join(strings.Fields(s), "") }

// maxIdle is the longest time without a business day, in days.
const maxIdle = 31

// decisions selects those about lines of this account that are on the table on the as-of date.
func (r *Result) decisions(in *Input, s *sides) []match.Decision {
	known := make(map[string]bool, len(s.bank)+len(s.ledger))
	for _, side := range [][]match.Line{s.bank, s.ledger} {
		for i := range side {
			known[side[i].ID] = true
		}
	}
	var of []match.Decision
	for _, d := range in.Decisions {
		if !slices.ContainsFunc(d.Lines, func(id string) bool { return known[id] }) {
			continue
		}
		if d.Later {
			r.Notes = append(r.Notes, fmt.Sprintf("decision %d takes effect after %s", d.Seq, in.AsOf))
			continue
		}
		of = append(of, d.Decision)
	}
	return of
}

// list lists the breaks.
func (r *Result) list(in *Input) {
	overdue := in.Rules.OverdueDays()
	open, settled := []*match.Group{}, []*match.Group{}
	for i := range r.matched.Groups {
		g := &r.matched.Groups[i]
		switch {
		case g.Break == nil:
		case g.Open():
			open = append(open, g)
			if r.late(g, overdue) {
				r.Overdue++
			}
		default:
			settled = append(settled, g)
		}
	}
	order := func(a, b *match.Group) int {
		return cmp.Or(cmp.Compare(a.Break.Since, b.Break.Since), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(open, order)
	slices.SortFunc(settled, func(a, b *match.Group) int { return order(b, a) }) // the newest first
	r.MoreBreaks = max(0, len(open)-MaxBreaks)
	for _, g := range open[:min(len(open), MaxBreaks)] {
		r.Breaks = append(r.Breaks, r.describe(g, overdue))
	}
	for _, g := range settled[:min(len(settled), MaxBreaks)] {
		r.Settled = append(r.Settled, r.describe(g, overdue))
	}
}

// late says that a break is older than it should be. What is carried knowingly is not.
func (r *Result) late(g *match.Group, overdue int) bool {
	return g.Open() && g.Status != match.Carried && g.Break.Age > overdue
}

// describe tells a break.
func (r *Result) describe(g *match.Group, overdue int) Break {
	b := Break{ID: g.ID, Account: r.Account, Status: g.Status, How: g.How, Rule: g.Rule, Amounts: g.Amounts,
		FirstSeen: g.Break.FirstSeen.String(), New: g.Break.New, Since: g.Break.Since.String(), Age: g.Break.Age, Bucket: g.Break.Bucket,
		Owner: g.Break.Owner, Cause: g.Break.Cause, Note: g.Break.Note, Overdue: r.late(g, overdue), Decided: g.Decided, Resolved: g.Entry,
		Repeats: g.Repeats, Choices: g.Choices, Booking: g.Booking, Lines: []Line{}}
	for _, id := range slices.Concat(g.Bank, g.Ledger) {
		if len(b.Lines) == maxShown {
			b.MoreLines = len(g.Bank) + len(g.Ledger) - maxShown
			break
		}
		l, _ := r.matched.Line(id) // a line of a group is one
		b.Lines = append(b.Lines, Line{ID: id, Booked: l.Booked.String(), Amount: l.Units.Format(l.Scale), Currency: l.Currency})
		if g.Open() && len(b.Explanation) < maxExplained {
			e, _ := r.matched.Explain(id)
			e.Tests = nil // they show references, which may have to be erased
			b.Explanation = append(b.Explanation, e)
		}
	}
	return b
}

// Explain says why a line is where it is, with all that was compared; false where there is no such line.
func (r *Result) Explain(line string) (match.Explanation, bool) {
	if r.matched == nil {
		return match.Explanation{}, false
	}
	return r.matched.Explain(line)
}

// Open returns the ids of all breaks that are open, also of those that are not listed.
func (r *Result) Open() []string {
	var ids []string
	if r.matched == nil {
		return nil
	}
	for i := range r.matched.Groups {
		if g := &r.matched.Groups[i]; g.Open() {
			ids = append(ids, g.ID)
		}
	}
	return ids
}
