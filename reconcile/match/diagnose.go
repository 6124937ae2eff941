package match

import (
	"cmp"
	"slices"
	"sort"

	"tallystick/reconcile/policy"
)

// reversedPairs settles open lines that a later line of their own side takes back, where the other side has neither. The
// reversal names its line, or is marked as one, has a reference in common with it and its amount the other way round.
func (b *book) reversedPairs() {
	for i := range int32(len(b.lines)) {
		l := &b.lines[i]
		if !b.open(i) || l.Units.IsZero() || !l.Reversal && l.Reverses == "" {
			continue
		}
		if original, ok := b.takenBack(i); ok {
			b.form(draft{status: ReversedPair, lines: []int32{original, i}, repeats: none})
		}
	}
}

// takenBack returns the open line that a reversal takes back: the one it names, otherwise the last one not after it.
func (b *book) takenBack(i int32) (int32, bool) {
	l := &b.lines[i]
	back, _ := l.Units.Neg()
	fits := func(o int32) bool {
		x := &b.lines[o]
		return o != i && b.open(o) && x.Side == l.Side && x.Currency == l.Currency && x.Units == back && !b.parted(i, o)
	}
	if l.Reverses != "" {
		o, there := b.byID[l.Reverses]
		return o, there && fits(o)
	}
	all := b.any[place(l.Side)].all
	best := int32(none)
	for _, v := range b.own[i] {
		// The entries of the value with that currency and amount end before the first that is greater than them.
		end := sort.Search(len(all), func(k int) bool {
			o := &b.lines[all[k].line]
			return cmp.Or(cmp.Compare(all[k].value, v), cmp.Compare(o.Currency, l.Currency), o.Units.Cmp(back), cmp.Compare(o.Booked, l.Booked)) > 0
		})
		for k := end - 1; k >= 0 && k >= end-MaxCandidates && all[k].value == v && b.lines[all[k].line].Units == back; k-- {
			b.steps++
			if fits(all[k].line) && !b.lines[all[k].line].Reversal {
				best = max(best, all[k].line)
				break
			}
		}
	}
	return best, best != none
}

// diagnose says of the lines that no rule took what seems to be the matter.
func (b *book) diagnose() error {
	rules := b.in.Rules.RulesInForce()
	for _, r := range rules {
		if r.Kind == policy.ByReference || r.Kind == policy.ByFee {
			b.duplicates(r)
		}
	}
	for _, r := range rules {
		switch r.Kind {
		case policy.ByReference, policy.ByFee:
			b.names(r, func(bank, ledger *index) {
				b.join(bank.single, ledger.single, func(banks, ledgers []int32) { b.compareTied(r, banks, ledgers) })
			})
		case policy.ByBatch:
			if err := b.byBatch(r, unequal); err != nil {
				return err
			}
		}
	}
	return nil
}

// duplicates finds open lines that say what another line of their side says within the window: the same reference,
// under any of the rule's names, and the same amount. The one that is repeated is the earliest that found its match, otherwise the earliest.
func (b *book) duplicates(r policy.Rule) {
	for side, names := range [2][]string{r.Bank, r.Ledger} {
		x := b.union(side, func(name string) bool { return slices.Contains(names, name) }).all
		for from := 0; from < len(x); {
			to := from + 1
			for to < len(x) && x[to].value == x[from].value && b.alikeInAll(x[from].line, x[to].line) {
				to++
			}
			if to-from > 1 && !b.lines[x[from].line].Units.IsZero() {
				b.duplicatesAmong(r, x[from:to])
			}
			from = to
		}
	}
}

func (b *book) alikeInAll(i, j int32) bool {
	return b.lines[i].Currency == b.lines[j].Currency && b.lines[i].Units == b.lines[j].Units
}

// duplicatesAmong looks at entries with one value and amount, by date.
func (b *book) duplicatesAmong(r policy.Rule, all []entry) {
	original := func(e entry) bool { // one that has found its match, and not by being taken back
		g := b.group[e.line]
		return g != none && (b.drafts[g].status == Matched || b.drafts[g].status == Suggested)
	}
	matched := make([]int32, 0, len(all))
	for _, e := range all {
		if original(e) {
			matched = append(matched, e.line)
		}
	}
	b.steps += len(all)
	low, first := 0, int32(none) // the first open line of a run that has no original
	for _, e := range all {
		i := e.line
		if !b.open(i) {
			continue
		}
		for low < len(matched) && int(b.day[matched[low]]) < int(b.day[i])-r.Window {
			low++
		}
		repeats := int32(none)
		switch {
		case low < len(matched) && b.near(matched[low], i, r.Window):
			repeats = matched[low]
		case first != none && b.near(first, i, r.Window):
			repeats = first
		default:
			first = i
		}
		if repeats == none || b.parted(i, repeats) || b.lines[i].Reversal != b.lines[repeats].Reversal {
			continue
		}
		status := DuplicateBank
		if b.sideOf(i) == Ledger {
			status = DuplicateLedger
		}
		b.form(draft{status: status, lines: []int32{i}, repeats: repeats})
	}
}

// A pair of open lines with the same reference, and what keeps them from being a match.
type tiedPair struct {
	status      Status
	apart       int
	bank, other int32
}

// compareTied looks at the open lines of one reference. What differs only in its date or its side is paired by date; a
// difference of amount or currency is said only where the reference leaves one line on each side.
func (b *book) compareTied(r policy.Rule, banks, ledgers []int32) {
	if len(banks) > MaxCandidates || len(ledgers) > MaxCandidates {
		b.note("rule %s: the reference of %s has %d open lines at the bank and %d in the ledger; at most %d are compared", r.ID, b.lines[banks[0]].ID, len(banks), len(ledgers), MaxCandidates)
		return
	}
	var pairs []tiedPair
	for _, i := range banks {
		for _, j := range ledgers {
			b.steps++
			if status, ok := b.mismatch(r, i, j); ok {
				pairs = append(pairs, tiedPair{status, b.apart(i, j), i, j})
			}
		}
	}
	order := []Status{DateDrift, SideMismatch, AmountMismatch, CurrencyMismatch}
	slices.SortFunc(pairs, func(p, q tiedPair) int {
		return cmp.Or(cmp.Compare(slices.Index(order, p.status), slices.Index(order, q.status)), cmp.Compare(p.apart, q.apart), cmp.Compare(p.bank, q.bank), cmp.Compare(p.other, q.other))
	})
	left := func(lines []int32) int {
		n := 0
		for _, line := range lines {
			if b.open(line) {
				n++
			}
		}
		return n
	}
	for _, p := range pairs {
		exact := p.status == DateDrift || p.status == SideMismatch
		if b.open(p.bank) && b.open(p.other) && (exact || left(banks) == 1 && left(ledgers) == 1) {
			b.form(draft{status: p.status, rule: r.ID, lines: []int32{p.bank, p.other}, repeats: none})
		}
	}
}

// mismatch says in what two lines with the same reference differ, and false when that is too much to call them a pair.
func (b *book) mismatch(r policy.Rule, i, j int32) (Status, bool) {
	x, y := &b.lines[i], &b.lines[j]
	back, _ := y.Units.Neg()
	near := b.near(i, j, r.Window)
	sameWay := x.Units.Sign() == y.Units.Sign() && !x.Units.IsZero()
	switch {
	case b.parted(i, j):
		return "", false
	case x.Currency != y.Currency:
		return CurrencyMismatch, near && sameWay
	case x.Units == y.Units:
		return DateDrift, sameWay && !near && b.near(i, j, policy.MaxWindow)
	case x.Units == back:
		return SideMismatch, near && x.Reversal == y.Reversal
	}
	return AmountMismatch, near && sameWay
}
