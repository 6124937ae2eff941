package match

import (
	"cmp"
	"slices"
	"sort"

	"tallystick/reconcile/policy"
)

// ties are the values of one side's lines under the names that some rule compares, by value and then date. What a
// reference ties to a line of the other side is not given to another line for its amount.
type ties struct {
	all    []entry
	starts []int32   // of a value, its first entry; one more at the end
	of     [][]int32 // values of a line
	open   []int32   // of a value, how many of its lines are open; counted when asked for
}

// namesOf returns the names that rules of the given kinds compare on a side.
func namesOf(rules []policy.Rule, side int, kinds ...policy.RuleKind) func(string) bool {
	var names []string
	for _, r := range rules {
		if slices.Contains(kinds, r.Kind) {
			names = append(names, [2][]string{r.Bank, r.Ledger}[side]...)
		}
	}
	return func(name string) bool { return slices.Contains(names, name) }
}

func (b *book) tie() {
	for side := range b.ties {
		t := &ties{of: make([][]int32, len(b.lines)), starts: make([]int32, len(b.values)+1), open: make([]int32, len(b.values))}
		t.all = b.union(side, namesOf(b.in.Rules.RulesInForce(), side, policy.ByReference, policy.ByFee, policy.ByBatch)).all
		slices.SortFunc(t.all, func(p, q entry) int { return cmp.Or(cmp.Compare(p.value, q.value), cmp.Compare(p.line, q.line)) })
		for _, e := range t.all {
			t.starts[e.value+1]++
			t.of[e.line] = append(t.of[e.line], e.value)
		}
		for v := range len(b.values) {
			t.starts[v+1] += t.starts[v]
		}
		b.ties[side] = t
	}
	for _, r := range b.in.Rules.RulesInForce() {
		if r.Kind == policy.ByReference || r.Kind == policy.ByFee || r.Kind == policy.ByBatch {
			b.reach = max(b.reach, r.Window)
		}
	}
}

func (t *ties) entries(value int32) []entry { return t.all[t.starts[value]:t.starts[value+1]] }

// countOpen counts for each value the open lines, before free is asked.
func (b *book) countOpen() {
	for _, t := range b.ties {
		clear(t.open)
		for _, e := range t.all {
			if b.open(e.line) {
				t.open[e.value]++
			}
		}
	}
}

// untied says that no reference of an open line leads to the other side: neither to an open line, nor to one within reach,
// whose match it may repeat.
func (b *book) untied(line int32) bool {
	side := place(b.sideOf(line))
	other := b.ties[1-side]
	for _, v := range b.ties[side].of[line] {
		b.steps++
		if other.open[v] > 0 || b.within(other.entries(v), line, b.reach) {
			return false
		}
	}
	return true
}

// within says whether one of the entries, which are in the order of lines, is in the currency of a line and within the window.
func (b *book) within(entries []entry, line int32, window int) bool {
	l := &b.lines[line]
	first := int(b.day[line]) - window
	i := sort.Search(len(entries), func(i int) bool {
		at := entries[i].line
		return cmp.Or(cmp.Compare(b.lines[at].Currency, l.Currency), cmp.Compare(int(b.day[at]), first)) >= 0
	})
	return i < len(entries) && b.lines[entries[i].line].Currency == l.Currency && b.near(entries[i].line, line, window)
}
