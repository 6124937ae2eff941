package match

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
)

// TestName names what a pair of lines must pass to be a match.
type TestName string

// The tests, in the order in which they are tried.
const (
	SameCurrency  TestName = "currency"
	SameDirection TestName = "direction"
	SameAmount    TestName = "amount"
	NearDate      TestName = "date"
	NotParted     TestName = "parted"    // by a decision
	StillFree     TestName = "free"      // the other line belongs to no third one
	OnlyOne       TestName = "only"      // no third line could be meant
	SameReference TestName = "reference" // decides where amount and date do not
)

// Test is one comparison of a line with its nearest candidate.
type Test struct {
	Name   TestName `json:"name"`
	Passed bool     `json:"passed"`
	Bank   string   `json:"bank,omitempty"` // what the bank's line says
	Ledger string   `json:"ledger,omitempty"`
	Words  string   `json:"words"`
}

// Explanation says why a line is where it is.
type Explanation struct {
	Line      string   `json:"line"`
	Group     string   `json:"group"`
	Status    Status   `json:"status"`
	Candidate string   `json:"candidate,omitempty"` // id of the nearest line on the other side
	Tests     []Test   `json:"tests,omitempty"`     // with the candidate
	Failed    TestName `json:"failed,omitempty"`    // the first test that failed
	Words     string   `json:"words"`
}

// Explain says why a line did not match: the candidate that came nearest, and the test that it failed. Of a line that
// is settled it says with what. It is false where there is no such line. Its cost does not grow with the lines.
func (r *Result) Explain(line string) (Explanation, bool) {
	i, there := r.find(line)
	if !there {
		return Explanation{}, false
	}
	return r.found.explain(i, &r.Groups[r.found.placed[i]]), true
}

func (b *book) explain(i int32, g *Group) Explanation {
	e := Explanation{Line: b.lines[i].ID, Group: g.ID, Status: g.Status}
	if !g.Open() {
		e.Words = b.settledBy(i, g)
		return e
	}
	j, found := b.nearest(i)
	if !found {
		e.Words = "no line on the other side comes near: none has a reference or the amount of this one, and none of its direction lies within the window"
	} else {
		e.Candidate = b.lines[j].ID
		bank, ledger := min(i, j), max(i, j)
		e.Tests = b.tests(bank, ledger, i)
		e.Words = fmt.Sprintf("nearest is %s (%s, %s)", e.Candidate, b.lines[j].Booked, b.amount(j))
		if len(g.Bank)+len(g.Ledger) > 2 {
			e.Words = b.together(g, e.Tests)
		}
		if at := slices.IndexFunc(e.Tests, func(t Test) bool { return !t.Passed }); at >= 0 {
			e.Failed = e.Tests[at].Name
			e.Words += ": " + e.Tests[at].Words
		} else {
			e.Words += ": all tests pass, and rule " + g.Rule + " only suggests"
		}
	}
	if g.Booking != nil {
		e.Words += fmt.Sprintf("; booking %s %s against %s would settle it", g.Booking.Units.Format(g.Booking.Scale), g.Booking.Currency, g.Booking.Account)
	}
	if g.Repeats != "" {
		e.Words = "it says again what " + g.Repeats + " says; " + e.Words
	}
	return e
}

// together compares what the lines of a group add up to, in place of single amounts.
func (b *book) together(g *Group, tests []Test) string {
	a := g.Amounts[0]
	for i := range tests {
		if t := &tests[i]; t.Name == SameAmount {
			t.Passed = a.Difference.IsZero()
			t.Bank, t.Ledger = a.Bank.Format(a.Scale)+" "+a.Currency, a.Ledger.Format(a.Scale)+" "+a.Currency
			t.Words = "the sums differ by " + distance(a.Bank, a.Ledger).Format(a.Scale) + " " + a.Currency
			if t.Passed {
				t.Words = "the same sum"
			}
		}
	}
	return fmt.Sprintf("%s of the bank and %d of the ledger belong together", counted(len(g.Bank)), len(g.Ledger))
}

func counted(lines int) string {
	if lines == 1 {
		return "1 line"
	}
	return fmt.Sprintf("%d lines", lines)
}

func (b *book) settledBy(i int32, g *Group) string {
	others := slices.DeleteFunc(slices.Concat(g.Bank, g.Ledger), func(id string) bool { return id == b.lines[i].ID })
	with := strings.Join(others[:min(len(others), 3)], ", ")
	if more := len(others) - 3; more > 0 {
		with += fmt.Sprintf(" and %d more", more)
	}
	by := "by rule " + g.Rule
	if g.Rule == ByHand {
		by = ByHand
	}
	switch g.Status {
	case ReversedPair:
		return "it and " + with + " take each other back"
	case WrittenOff:
		return fmt.Sprintf("written off by entry %d, with %s", *g.Entry, with)
	}
	return fmt.Sprintf("matched %s with %s", by, with)
}

func (b *book) amount(i int32) string {
	return b.lines[i].Units.Format(b.lines[i].Scale) + " " + b.lines[i].Currency
}

// nearest returns the line of the other side that comes nearest: first of its own group, then with a reference in
// common, then with the amount, then with nearly the amount, then with the amount in the other direction.
func (b *book) nearest(i int32) (int32, bool) {
	side := b.sideOf(i)
	for _, j := range b.drafts[b.group[i]].lines {
		if b.sideOf(j) != side {
			return j, true
		}
	}
	units := b.lines[i].Units
	back, _ := units.Neg()
	for _, candidates := range []func() []int32{
		func() []int32 { return b.referring(i) },
		func() []int32 { return b.around(i, units, true) },
		func() []int32 { return b.around(i, units, false) },
		func() []int32 { return b.around(i, back, true) },
	} {
		if all := candidates(); len(all) > 0 {
			return slices.MinFunc(all, func(x, y int32) int { return b.nearer(i, x, y) }), true
		}
	}
	return none, false
}

// nearer orders candidates: of the same currency, the same direction, the nearest amount, free ones, the nearest date.
func (b *book) nearer(i, x, y int32) int {
	l := &b.lines[i]
	no := func(condition bool) int {
		if condition {
			return 0
		}
		return 1
	}
	p, q := &b.lines[x], &b.lines[y]
	return cmp.Or(cmp.Compare(no(p.Currency == l.Currency), no(q.Currency == l.Currency)), cmp.Compare(no(p.Units.Sign() == l.Units.Sign()), no(q.Units.Sign() == l.Units.Sign())),
		distance(p.Units, l.Units).Cmp(distance(q.Units, l.Units)), cmp.Compare(no(!b.settled(x)), no(!b.settled(y))), cmp.Compare(b.apart(i, x), b.apart(i, y)), cmp.Compare(x, y))
}

func (b *book) settled(i int32) bool { return b.drafts[b.group[i]].status.Settled() }

// distance is |a − b|, as far as it can be said.
func distance(x, y money.Int128) money.Int128 {
	d, ok := x.Sub(y)
	if !ok {
		return money.Max()
	}
	if d.Sign() < 0 {
		d, _ = d.Neg()
	}
	return d
}

// referring returns lines of the other side with a reference in common, those around the date where there are many.
func (b *book) referring(i int32) []int32 {
	side := place(b.sideOf(i))
	var found []int32
	for _, v := range b.ties[side].of[i][:min(len(b.ties[side].of[i]), MaxCandidates)] {
		entries := b.ties[1-side].entries(v)
		at := sort.Search(len(entries), func(k int) bool { return b.byDay(entries[k].line, i) >= 0 })
		for k := max(0, at-MaxCandidates/2); k < min(len(entries), at+MaxCandidates/2); k++ {
			found = append(found, entries[k].line)
		}
	}
	return found
}

func (b *book) byDay(x, y int32) int {
	return cmp.Or(cmp.Compare(b.lines[x].Currency, b.lines[y].Currency), cmp.Compare(b.day[x], b.day[y]))
}

// around returns lines of the other side in the currency of a line: with exactly the units, around its date; or with
// nearly the units, in its direction and within the widest window.
func (b *book) around(i int32, units money.Int128, exactly bool) []int32 {
	b.once.Do(b.sortAmounts)
	all := b.amounts[1-place(b.sideOf(i))]
	l := &b.lines[i]
	at := sort.Search(len(all), func(k int) bool {
		x := &b.lines[all[k]]
		return cmp.Or(cmp.Compare(x.Currency, l.Currency), x.Units.Cmp(units), cmp.Compare(b.day[all[k]], b.day[i])) >= 0
	})
	var found []int32
	for k := max(0, at-MaxCandidates/2); k < min(len(all), at+MaxCandidates/2); k++ {
		x := &b.lines[all[k]]
		fits := x.Units.Sign() == units.Sign() && b.near(all[k], i, b.widest())
		if exactly {
			fits = x.Units == units
		}
		if fits && x.Currency == l.Currency {
			found = append(found, all[k])
		}
	}
	return found
}

func (b *book) sortAmounts() {
	for i := range int32(len(b.lines)) {
		side := place(b.sideOf(i))
		b.amounts[side] = append(b.amounts[side], i)
	}
	for side := range b.amounts {
		slices.SortFunc(b.amounts[side], b.compare)
	}
}

// window returns the widest window of the rules of some kinds, and false where there is none.
func (b *book) window(kinds ...policy.RuleKind) (int, bool) {
	widest, there := 0, false
	for _, r := range b.in.Rules.RulesInForce() {
		if slices.Contains(kinds, r.Kind) {
			widest, there = max(widest, r.Window), true
		}
	}
	return widest, there
}

func (b *book) widest() int {
	n, _ := b.window(policy.ByReference, policy.ByAmount, policy.ByBatch, policy.ByFee, policy.BySubset)
	return n
}

// shared says whether two lines have a reference in common that some rule compares.
func (b *book) shared(bank, ledger int32) bool {
	return slices.ContainsFunc(b.ties[0].of[bank], func(v int32) bool { return slices.Contains(b.ties[1].of[ledger], v) })
}

// tests compares a line of the bank with one of the ledger; about says which of the two is to be explained.
func (b *book) tests(bank, ledger, about int32) []Test {
	x, y := &b.lines[bank], &b.lines[ledger]
	shared := b.shared(bank, ledger)
	tests := []Test{
		{SameCurrency, x.Currency == y.Currency, x.Currency, y.Currency, "the currencies differ"},
		{SameDirection, x.Units.Sign() == y.Units.Sign(), direction(x.Units), direction(y.Units), "the directions differ"},
	}
	amount := Test{Name: SameAmount, Passed: x.Units == y.Units && x.Currency == y.Currency, Bank: b.amount(bank), Ledger: b.amount(ledger)}
	switch {
	case x.Units.IsZero() && y.Units.IsZero():
		amount.Passed, amount.Words = false, "nothing moved, so that the amount is no evidence"
	case x.Currency == y.Currency:
		amount.Words = "the amounts differ by " + distance(x.Units, y.Units).Format(x.Scale) + " " + x.Currency
	default:
		amount.Words = "the amounts are in different currencies"
	}
	window, goes := b.window(policy.ByReference, policy.ByBatch)
	if !shared {
		window, goes = b.window(policy.ByAmount)
	}
	date := Test{NearDate, goes && b.near(bank, ledger, window), x.Booked.String(), y.Booked.String(),
		fmt.Sprintf("the dates are %d business days apart, and the window is %d", b.apart(bank, ledger), window)}
	if !goes {
		date.Words = "no rule matches by amount and date"
	}
	tests = append(tests, amount, date, Test{NotParted, !b.parted(bank, ledger), "", "", "a decision says that they do not belong together"}, b.free(bank, ledger, about))
	d := &b.drafts[b.group[bank]]
	only := Test{OnlyOne, b.group[bank] != b.group[ledger] || d.choices < 2, "", "", fmt.Sprintf("%d lines could be meant", d.choices)}
	reference := Test{SameReference, shared, b.references(bank), b.references(ledger), "they have no reference in common, and one of them has one that leads elsewhere"}
	tests = append(tests, only, reference)
	for i := range tests {
		if tests[i].Passed {
			tests[i].Words = passed[tests[i].Name]
		}
	}
	return tests
}

var passed = map[TestName]string{
	SameCurrency: "the same currency", SameDirection: "the same direction", SameAmount: "the same amount", NearDate: "the dates are within the window",
	NotParted: "no decision parts them", StillFree: "neither belongs to a third line", OnlyOne: "no third line could be meant", SameReference: "they have a reference in common",
}

// free says whether the candidate belongs to another line than the one that is explained.
func (b *book) free(bank, ledger, about int32) Test {
	candidate := bank + ledger - about
	t := Test{Name: StillFree, Passed: b.group[bank] == b.group[ledger] || len(b.drafts[b.group[candidate]].lines) == 1}
	if !t.Passed {
		d := &b.drafts[b.group[candidate]]
		third := d.lines[0]
		if third == candidate {
			third = d.lines[1]
		}
		t.Words = fmt.Sprintf("%s goes with %s (%s)", b.lines[candidate].ID, b.lines[third].ID, d.status)
	}
	return t
}

func direction(units money.Int128) string {
	return [3]string{"out", "none", "in"}[units.Sign()+1]
}

// references shows what references a line has, at most three.
func (b *book) references(i int32) string {
	var all []string
	for name, values := range b.lines[i].References {
		for _, v := range values {
			if significant(v) != "" {
				all = append(all, name+"="+strings.TrimSpace(v))
			}
		}
	}
	slices.Sort(all)
	if len(all) > 3 {
		all = append(all[:3], "…")
	}
	return strings.Join(all, " ")
}
