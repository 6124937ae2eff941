package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/figures"
)

// layOutDays begins with nothing in each currency.
func (b *bookReader) layOutDays() {
	currencies := b.Currencies()
	b.moved, b.which = make([]figures.Position, len(currencies)), make([]int, len(b.Accounts))
	for i := range b.moved {
		b.moved[i].ByRole = make([]money.Int128, len(figures.Roles))
	}
	for i := range b.Accounts {
		b.which[i], _ = slices.BinarySearchFunc(currencies, b.Accounts[i].Currency, currencyNamed)
	}
}

func currencyNamed(c money.Currency, code string) int { return strings.Compare(c.Code, code) }

// openDays begins with what each currency had before the period.
func (b *bookReader) openDays() error {
	b.layOutDays()
	for i := range b.Accounts {
		a := &b.Accounts[i]
		if !b.moved[b.which[i]].Add(a, a.Opening) {
			return fmt.Errorf("adding up the accounts in %s: %w", a.Currency, errBeyondRange)
		}
	}
	return nil
}

// moveDay adds a posting to the position of its currency.
func (b *bookReader) moveDay(p *postingRow) error {
	v := p.amount
	if p.direction == chain.Credit {
		v, _ = v.Neg() // the range is symmetric
	}
	if !b.moved[b.which[p.account]].Add(&b.Accounts[p.account], v) {
		return fmt.Errorf("adding up the accounts in %s at entry %d: %w", b.Accounts[p.account].Currency, p.seq, errBeyondRange)
	}
	return nil
}

// closeDays closes the days of the period before a day that are still open.
func (b *bookReader) closeDays(before chain.Date) {
	for next := b.From + chain.Date(len(b.Days)); next < before; next++ {
		day := figures.Day{Date: next, Positions: slices.Clone(b.moved)}
		for i := range day.Positions {
			day.Positions[i].ByRole = slices.Clone(day.Positions[i].ByRole)
		}
		b.Days = append(b.Days, day)
	}
}
