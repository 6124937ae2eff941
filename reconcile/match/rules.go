package match

import (
	"cmp"
	"slices"

	"tallystick/reconcile/policy"
)

// run tries the rules. What is certain goes first, by all rules in their order; then what can only be suggested, in
// their order again, so that no suggestion takes a line from a match.
func (b *book) run() error {
	rules := b.in.Rules.RulesInForce()
	for _, r := range rules {
		switch r.Kind {
		case policy.ByReference:
			b.byReference(r, true)
		case policy.ByBatch:
			if err := b.byBatch(r, certain); err != nil {
				return err
			}
		case policy.ByAmount:
			b.reversedPairs() // that a line was taken back is better known than what has its amount
			b.byAmount(r, true)
		}
	}
	b.reversedPairs()
	for _, r := range rules {
		var err error
		switch r.Kind {
		case policy.ByReference:
			b.byReference(r, false)
		case policy.ByBatch:
			err = b.byBatch(r, likely)
		case policy.ByAmount:
			b.byAmount(r, false)
		case policy.ByFee:
			err = b.byFee(r)
		case policy.BySubset:
			b.bySubset(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// join walks over the values that both sides have, with the open lines of each, which are sorted by currency, amount and
// date. The slices are good until the next call.
func (b *book) join(bank, ledger []entry, yield func(bank, ledger []int32)) {
	var left, right []int32
	for i, j := 0, 0; i < len(bank) && j < len(ledger); {
		b.steps++
		v := bank[i].value
		if w := ledger[j].value; v != w {
			if v < w {
				i++
			} else {
				j++
			}
			continue
		}
		left, right = left[:0], right[:0]
		for ; i < len(bank) && bank[i].value == v; i++ {
			b.steps++
			if b.open(bank[i].line) {
				left = append(left, bank[i].line)
			}
		}
		for ; j < len(ledger) && ledger[j].value == v; j++ {
			b.steps++
			if b.open(ledger[j].line) {
				right = append(right, ledger[j].line)
			}
		}
		if len(left) > 0 && len(right) > 0 {
			yield(left, right)
		}
	}
}

// names walks over the pairs of names of a rule.
func (b *book) names(r policy.Rule, yield func(bank, ledger *index)) {
	for _, name := range r.Bank {
		for _, other := range r.Ledger {
			bank, ledger := b.named[0][name], b.named[1][other]
			if bank != nil && ledger != nil {
				yield(bank, ledger)
			}
		}
	}
}

// equals walks over the amounts that both lists have, which are sorted by currency, amount and date.
func (b *book) equals(bank, ledger []int32, yield func(bank, ledger []int32)) {
	same := func(x, y int32) int {
		return cmp.Or(cmp.Compare(b.lines[x].Currency, b.lines[y].Currency), b.lines[x].Units.Cmp(b.lines[y].Units))
	}
	for i, j := 0, 0; i < len(bank) && j < len(ledger); {
		if c := same(bank[i], ledger[j]); c < 0 {
			i++
			continue
		} else if c > 0 {
			j++
			continue
		}
		m, n := i+1, j+1
		for m < len(bank) && same(bank[i], bank[m]) == 0 {
			m++
		}
		for n < len(ledger) && same(ledger[j], ledger[n]) == 0 {
			n++
		}
		b.steps += m - i + n - j
		yield(bank[i:m], ledger[j:n])
		i, j = m, n
	}
}

// byReference matches lines with the same reference and amount. Lines that agree in both are the same for every purpose, so
// they are paired by date; what is left over is for the diagnosis.
func (b *book) byReference(r policy.Rule, matching bool) {
	if r.Suggest == matching {
		return
	}
	status := Matched
	if r.Suggest {
		status = Suggested
	}
	b.names(r, func(bank, ledger *index) {
		b.join(bank.single, ledger.single, func(banks, ledgers []int32) {
			b.equals(banks, ledgers, func(banks, ledgers []int32) {
				b.pair(banks, ledgers, r.Window, func(i, j int32) {
					b.form(draft{status: status, how: Exact, rule: r.ID, lines: []int32{i, j}, repeats: none})
				})
			})
		})
	})
}

// pair pairs lines that are by date: first those of the same day, then in the order of dates, within the window.
func (b *book) pair(bank, ledger []int32, window int, form func(i, j int32)) {
	bank, ledger = b.sweep(bank, ledger, func(i, j int32) int { return int(b.lines[j].Booked) - int(b.lines[i].Booked) }, 0, form)
	b.sweep(bank, ledger, func(i, j int32) int { return int(b.day[j]) - int(b.day[i]) }, window, form)
}

// sweep goes through both lists once, but for the pairs that a decision parts, and returns what it left.
func (b *book) sweep(bank, ledger []int32, after func(i, j int32) int, window int, form func(i, j int32)) (leftBank, leftLedger []int32) {
	taken := make([]bool, len(ledger))
	low := 0
	for _, i := range bank {
		b.steps++
		for low < len(ledger) && (taken[low] || after(i, ledger[low]) < -window) {
			low++
			b.steps++
		}
		k := low
		for k < len(ledger) && after(i, ledger[k]) <= window && (taken[k] || b.parted(i, ledger[k])) {
			k++
			b.steps++
		}
		if k == len(ledger) || after(i, ledger[k]) > window {
			leftBank = append(leftBank, i)
			continue
		}
		taken[k] = true
		form(i, ledger[k])
	}
	for k, j := range ledger {
		if !taken[k] {
			leftLedger = append(leftLedger, j)
		}
	}
	return leftBank, leftLedger
}

// loose returns the open lines of a side that no reference ties to the other, by currency, amount and date.
func (b *book) loose(side Side) []int32 {
	from, to := int32(0), b.middle
	if side == Ledger {
		from, to = b.middle, int32(len(b.lines))
	}
	var lines []int32
	for i := from; i < to; i++ {
		if b.open(i) && b.untied(i) {
			lines = append(lines, i)
		}
	}
	return lines
}

// byAmount matches lines of the same amount where, within the window, neither could be any other's. Otherwise it only
// suggests: by date, and says how many lines could have been meant.
func (b *book) byAmount(r policy.Rule, matching bool) {
	if matching && r.Suggest {
		return
	}
	b.countOpen()
	bank, ledger := b.loose(Bank), b.loose(Ledger)
	slices.SortFunc(bank, b.compare)
	slices.SortFunc(ledger, b.compare)
	b.equals(bank, ledger, func(banks, ledgers []int32) {
		if b.lines[banks[0]].Units.IsZero() {
			return // nothing moved: no evidence
		}
		here, there := b.choices(banks, ledgers, r.Window), b.choices(ledgers, banks, r.Window)
		if matching {
			for n, i := range banks {
				if c := here[n]; c.count == 1 && there[c.first].count == 1 {
					b.form(draft{status: Matched, how: Exact, rule: r.ID, lines: []int32{i, ledgers[c.first]}, repeats: none})
				}
			}
			return
		}
		count := make(map[int32]int, len(banks)+len(ledgers))
		for n, i := range banks {
			count[i] = here[n].count
		}
		for n, j := range ledgers {
			count[j] = there[n].count
		}
		b.pair(banks, ledgers, r.Window, func(i, j int32) {
			b.form(draft{status: Suggested, how: Exact, rule: r.ID, lines: []int32{i, j}, choices: max(count[i], count[j]), repeats: none})
		})
	})
}

// choice is how many lines of the other side are within the window, and the first of them.
type choice struct{ count, first int }

// choices counts, for each line of one list, those of the other within the window that no decision parts from it. Both are
// by date.
func (b *book) choices(lines, others []int32, window int) []choice {
	all := make([]choice, len(lines))
	low, high := 0, 0
	b.steps += len(lines) + len(others)
	for n, i := range lines {
		for low < len(others) && int(b.day[others[low]]) < int(b.day[i])-window {
			low++
		}
		for high < len(others) && int(b.day[others[high]]) <= int(b.day[i])+window {
			high++
		}
		all[n] = choice{high - low, low}
		if len(b.bans[i]) == 0 {
			continue
		}
		all[n] = choice{0, low}
		for k := high - 1; k >= low; k-- {
			b.steps++
			if !b.parted(i, others[k]) {
				all[n] = choice{all[n].count + 1, k}
			}
		}
	}
	return all
}
