package match

import (
	"fmt"
	"slices"
	"strings"

	"tallystick/ledger/money"
)

// place proves that every line is in exactly one group, from the groups as they are handed out.
func (b *book) place(groups []Group) Placement {
	p := Placement{Lines: len(b.lines)}
	times := make(map[string]int, len(b.lines))
	for i := range groups {
		for _, id := range groups[i].Bank {
			times[id]++
		}
		for _, id := range groups[i].Ledger {
			times[id]++
		}
	}
	for i := range b.lines {
		switch id := b.lines[i].ID; times[id] {
		case 0:
			p.Unplaced = append(p.Unplaced, id)
		case 1:
			p.Placed++
		default:
			p.Twice = append(p.Twice, id)
		}
	}
	p.Unplaced, p.Twice = p.Unplaced[:min(len(p.Unplaced), MaxNotes)], p.Twice[:min(len(p.Twice), MaxNotes)]
	return p
}

// sum adds and remembers whether all was in range.
type sum struct{ beyond bool }

func (s *sum) add(x, y money.Int128) money.Int128 {
	z, ok := x.Add(y)
	s.beyond = s.beyond || !ok
	return z
}

func (s *sum) sub(x, y money.Int128) money.Int128 {
	z, ok := x.Sub(y)
	s.beyond = s.beyond || !ok
	return z
}

// prove computes the second proof for each currency, from the lines and the groups as they are handed out.
func (b *book) prove(r *Result) error {
	proofs := map[string]*Proof{}
	for _, balance := range b.in.Balances {
		if scale, known := b.scales[balance.Currency]; known && scale != balance.Scale {
			return fmt.Errorf("matching account %s: the balances in %s have %d decimals and its lines %d", b.in.Account, balance.Currency, balance.Scale, scale)
		}
		if proofs[balance.Currency] != nil {
			return fmt.Errorf("matching account %s: the balances in %s are there twice", b.in.Account, balance.Currency)
		}
		proofs[balance.Currency] = &Proof{Balance: balance}
	}
	for currency := range b.scales {
		if proofs[currency] == nil {
			return fmt.Errorf("matching account %s: there are lines in %s and no balances in it; give opening and closing of both sides", b.in.Account, currency)
		}
	}
	var s sum
	for i := range b.lines {
		l := &b.lines[i]
		p := proofs[l.Currency]
		switch {
		case l.Brought && l.Side == Bank:
			p.Brought = s.add(p.Brought, l.Units)
		case l.Brought:
			p.Brought = s.sub(p.Brought, l.Units)
		case l.Side == Bank:
			p.BankMovement = s.add(p.BankMovement, l.Units)
		default:
			p.LedgerMovement = s.add(p.LedgerMovement, l.Units)
		}
	}
	for i := range r.Groups {
		if !r.Groups[i].Open() {
			continue
		}
		for _, a := range r.Groups[i].Amounts {
			proofs[a.Currency].OpenBreaks = s.add(proofs[a.Currency].OpenBreaks, a.Difference)
		}
	}
	for _, p := range proofs {
		p.BankFooting = s.sub(s.add(p.BankOpening, p.BankMovement), p.BankClosing)
		p.LedgerFooting = s.sub(s.add(p.LedgerOpening, p.LedgerMovement), p.LedgerClosing)
		p.OpeningGap = s.sub(s.sub(p.BankOpening, p.LedgerOpening), p.Brought)
		p.Difference = s.sub(p.BankClosing, p.LedgerClosing)
		p.Unexplained = s.sub(p.Difference, p.OpenBreaks)
		r.Proofs = append(r.Proofs, *p)
	}
	if s.beyond {
		return fmt.Errorf("matching account %s: proving its balances: a sum is out of range", b.in.Account)
	}
	slices.SortFunc(r.Proofs, func(x, y Proof) int { return strings.Compare(x.Currency, y.Currency) })
	return nil
}
