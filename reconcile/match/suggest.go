package match

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"sort"

	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
)

// fee returns what the policy allows for differences in a currency, in units.
func (b *book) fee(currency string) (policy.Fee, money.Int128, error) {
	for _, f := range b.in.Rules.Fees {
		if f.Currency == currency {
			units, err := money.FromDecimal(f.Tolerance.Decimal, b.scales[currency])
			if err != nil {
				err = fmt.Errorf("matching account %s: the fee tolerance of %s %s: %w", b.in.Account, f.Tolerance, currency, err)
			}
			return f, units, err
		}
	}
	return policy.Fee{}, money.Int128{}, nil
}

// byFee suggests pairs with the same reference whose amounts differ by a fee at most, where the reference has one open
// line on each side. The difference would be booked to the account that the policy names.
func (b *book) byFee(r policy.Rule) error {
	tolerances := map[string]money.Int128{}
	accounts := map[string]string{}
	for currency := range b.scales {
		f, units, err := b.fee(currency)
		if err != nil {
			return err
		}
		tolerances[currency], accounts[currency] = units, f.Account
	}
	b.names(r, func(bank, ledger *index) {
		b.join(bank.single, ledger.single, func(banks, ledgers []int32) {
			b.alike(banks, ledgers, func(banks, ledgers []int32) {
				if len(banks) != 1 || len(ledgers) != 1 {
					return
				}
				i, j := banks[0], ledgers[0]
				l := &b.lines[i]
				difference, ok := l.Units.Sub(b.lines[j].Units)
				tolerance := tolerances[l.Currency]
				least, _ := tolerance.Neg()
				if !ok || difference.IsZero() || difference.Cmp(tolerance) > 0 || difference.Cmp(least) < 0 || !b.near(i, j, r.Window) || b.parted(i, j) {
					return
				}
				b.form(draft{status: Suggested, how: Tolerance, rule: r.ID, lines: []int32{i, j}, repeats: none,
					booking: &Booking{Account: accounts[l.Currency], Currency: l.Currency, Scale: l.Scale, Units: difference}})
			})
		})
	})
	return nil
}

// sumOf is a line and the lines of the other side that add up to it.
type sumOf struct {
	anchor  int32
	lines   []int32
	choices int
}

// bySubset suggests lines that add up to one of the other side. Only lines that no reference ties are looked at, and only
// where there are at most MaxSubsetLines of them: among more, some sum fits by chance.
func (b *book) bySubset(r policy.Rule) {
	b.countOpen()
	bank, ledger := b.loose(Bank), b.loose(Ledger)
	var found []sumOf
	searched := 0
	for _, pass := range []struct{ anchors, others []int32 }{{bank, ledger}, {ledger, bank}} {
		for _, anchor := range pass.anchors {
			candidates := b.smaller(anchor, pass.others, r.Window)
			if len(candidates) < 2 {
				continue
			}
			if searched++; searched > MaxSubsetAnchors {
				b.note("rule %s: sums were searched for %d lines, and for no more", r.ID, MaxSubsetAnchors)
				break
			}
			if sum, ok := b.subset(anchor, candidates); ok {
				found = append(found, sum)
			}
		}
	}
	slices.SortFunc(found, func(x, y sumOf) int {
		return cmp.Or(cmp.Compare(len(x.lines), len(y.lines)), cmp.Compare(b.span(x), b.span(y)), cmp.Compare(x.anchor, y.anchor))
	})
	for _, s := range found {
		lines := append(s.lines, s.anchor)
		if !slices.ContainsFunc(lines, func(line int32) bool { return !b.open(line) }) {
			b.form(draft{status: Suggested, how: Grouped, rule: r.ID, lines: lines, choices: s.choices, repeats: none})
		}
	}
}

// span is how many business days lie between the anchor and the line farthest from it.
func (b *book) span(s sumOf) int {
	widest := 0
	for _, line := range s.lines {
		widest = max(widest, b.apart(s.anchor, line))
	}
	return widest
}

// maxSubsetWindow is how many lines within the window are looked through for smaller ones.
const maxSubsetWindow = 1024

// smaller returns the lines within the window that have the direction of a line and less of it; none when there are more
// than MaxSubsetLines.
func (b *book) smaller(anchor int32, others []int32, window int) []int32 {
	l := &b.lines[anchor]
	first := int(b.day[anchor]) - window
	at := sort.Search(len(others), func(i int) bool {
		o := others[i]
		return cmp.Or(cmp.Compare(b.lines[o].Currency, l.Currency), cmp.Compare(int(b.day[o]), first)) >= 0
	})
	var found []int32
	for i := at; i < len(others) && b.lines[others[i]].Currency == l.Currency && b.near(others[i], anchor, window); i++ {
		b.steps++
		o := &b.lines[others[i]]
		if o.Units.Sign() == l.Units.Sign() && o.Units.Cmp(l.Units)*l.Units.Sign() < 0 && !b.parted(others[i], anchor) {
			found = append(found, others[i])
		}
		if len(found) > MaxSubsetLines || i-at > maxSubsetWindow {
			return nil
		}
	}
	return found
}

// subset finds the lines that add up to the anchor: the fewest, where no other choice is as small.
func (b *book) subset(anchor int32, candidates []int32) (sumOf, bool) {
	var sums [1 << MaxSubsetLines]money.Int128
	best, same, all := uint(0), 0, 0
	b.steps += 1 << len(candidates)
	for set := uint(1); set < 1<<len(candidates); set++ {
		last := bits.TrailingZeros(set)
		sum, ok := sums[set&(set-1)].Add(b.lines[candidates[last]].Units)
		if !ok {
			return sumOf{}, false
		}
		sums[set] = sum
		if sum != b.lines[anchor].Units {
			continue
		}
		all++
		switch n, m := bits.OnesCount(set), bits.OnesCount(best); {
		case best == 0 || n < m:
			best, same = set, 1
		case n == m:
			same++
		}
	}
	if same != 1 {
		return sumOf{}, false
	}
	found := sumOf{anchor: anchor, choices: all}
	for i, line := range candidates {
		if best>>i&1 == 1 {
			found.lines = append(found.lines, line)
		}
	}
	if all == 1 {
		found.choices = 0
	}
	return found, !b.partedWithin(append(slices.Clone(found.lines), anchor))
}
