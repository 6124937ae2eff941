package match

import (
	"cmp"
	"slices"

	"tallystick/reconcile/policy"
)

// certainty is what a look at batches is for.
type certainty int

const (
	certain certainty = iota // one to many, many to one, equal sums
	likely                   // many to many with equal sums; all of a rule that only suggests
	unequal                  // one to many whose sums differ
)

// byBatch groups lines that share a batch reference. A line may have many: those of the payments it sums. Lines of one
// currency and direction that values join, directly or by way of others, are one batch, as long as no gap between their dates is
// wider than the window.
func (b *book) byBatch(r policy.Rule, want certainty) error {
	bank := b.union(0, func(name string) bool { return slices.Contains(r.Bank, name) })
	ledger := b.union(1, func(name string) bool { return slices.Contains(r.Ledger, name) })
	joined := newForest()
	b.join(bank.all, ledger.all, func(banks, ledgers []int32) {
		b.alike(banks, ledgers, func(banks, ledgers []int32) {
			b.steps += len(banks) + len(ledgers)
			for _, line := range banks {
				joined.unite(banks[0], line)
			}
			for _, line := range ledgers {
				joined.unite(banks[0], line)
			}
		})
	})
	b.steps += joined.steps
	for _, lines := range joined.trees() {
		for _, batch := range b.byGap(lines, r.Window) {
			if err := b.formBatch(r, batch, want); err != nil {
				return err
			}
		}
	}
	return nil
}

// alike walks over the lines of both lists that have the same currency and direction. The lists are sorted by both.
func (b *book) alike(bank, ledger []int32, yield func(bank, ledger []int32)) {
	same := func(x, y int32) int {
		return cmp.Or(cmp.Compare(b.lines[x].Currency, b.lines[y].Currency), cmp.Compare(b.lines[x].Units.Sign(), b.lines[y].Units.Sign()))
	}
	for i, j := 0, 0; i < len(bank) && j < len(ledger); {
		c := same(bank[i], ledger[j])
		m, n := i, j
		for c <= 0 && m < len(bank) && same(bank[i], bank[m]) == 0 {
			m++
		}
		for c >= 0 && n < len(ledger) && same(ledger[j], ledger[n]) == 0 {
			n++
		}
		if c == 0 && !b.lines[bank[i]].Units.IsZero() {
			yield(bank[i:m], ledger[j:n])
		}
		i, j = m, n
	}
}

// byGap cuts lines where the business days between one and the next are more than the window.
func (b *book) byGap(lines []int32, window int) [][]int32 {
	slices.SortFunc(lines, func(x, y int32) int { return cmp.Or(cmp.Compare(b.day[x], b.day[y]), cmp.Compare(x, y)) })
	var cut [][]int32
	from := 0
	for i := 1; i <= len(lines); i++ {
		if i == len(lines) || !b.near(lines[i-1], lines[i], window) {
			cut = append(cut, lines[from:i])
			from = i
		}
	}
	return cut
}

func (b *book) formBatch(r policy.Rule, lines []int32, want certainty) error {
	banks := 0
	for _, line := range lines {
		if line < b.middle {
			banks++
		}
	}
	ledgers := len(lines) - banks
	if banks == 0 || ledgers == 0 {
		return nil
	}
	if len(lines) > MaxGroup {
		b.note("rule %s: a batch of %d lines around %s was left open; at most %d are one group", r.ID, len(lines), b.lines[lines[0]].ID, MaxGroup)
		return nil
	}
	if b.partedWithin(lines) || !b.near(lines[0], lines[len(lines)-1], r.Window) {
		return nil
	}
	bank, ledger, err := b.sums(lines)
	if err != nil {
		return err
	}
	simple := banks == 1 || ledgers == 1
	d := draft{how: Grouped, rule: r.ID, lines: slices.Clone(lines), repeats: none}
	if len(lines) == 2 {
		d.how = Exact
	}
	switch {
	case want == certain && bank == ledger && simple && !r.Suggest:
		d.status = Matched
	case want == likely && bank == ledger:
		d.status = Suggested
	case want == unequal && bank != ledger && simple:
		d.status = AmountMismatch
		if len(lines) == 2 {
			d.how = ""
		}
	default:
		return nil
	}
	b.form(d)
	return nil
}

// partedWithin says whether a decision parts any two of the lines.
func (b *book) partedWithin(lines []int32) bool {
	if len(b.bans) == 0 {
		return false
	}
	seen := map[int32]bool{}
	for _, line := range lines {
		for _, n := range b.bans[line] {
			if seen[n] {
				return true
			}
			seen[n] = true
		}
	}
	return false
}

// forest joins lines into trees: union and find, with the smallest line as the root.
type forest struct {
	parent map[int32]int32
	steps  int
}

func newForest() *forest { return &forest{parent: map[int32]int32{}} }

func (f *forest) root(line int32) int32 {
	p, known := f.parent[line]
	if !known {
		f.parent[line] = line
		return line
	}
	for p != line {
		f.steps++
		next := f.parent[p]
		f.parent[line] = next // halves the way for the next
		line, p = next, f.parent[next]
	}
	return line
}

func (f *forest) unite(x, y int32) {
	x, y = f.root(x), f.root(y)
	f.parent[max(x, y)] = min(x, y)
}

// trees returns the lines of each tree, by their roots.
func (f *forest) trees() [][]int32 {
	lines := make([]int32, 0, len(f.parent))
	for line := range f.parent {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	place := map[int32]int{}
	var trees [][]int32
	for _, line := range lines {
		root := f.root(line)
		n, known := place[root]
		if !known {
			n = len(trees)
			place[root] = n
			trees = append(trees, nil)
		}
		trees[n] = append(trees[n], line)
	}
	return trees
}
