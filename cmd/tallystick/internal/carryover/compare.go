package carryover

import (
	"context"
	"fmt"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// moved is what an account of the successor has beyond what was carried over: what has become of holds since.
type moved struct{ posted, debit, credit money.Int128 }

// compare holds the accounts of the successor against those of the old ledger.
func (c *carrier) compare(ctx context.Context) error {
	since, err := c.sinceHolds(ctx)
	if err != nil {
		return err
	}
	return c.walkOld(ctx, "comparing accounts", func(page []ledger.Account) error {
		there, err := c.DB.AccountsByCode(ctx, c.Into.ID, codesOf(page))
		if err != nil {
			return err
		}
		for i := range page {
			was := &page[i]
			is, ok := there[was.Code]
			if !ok {
				return fmt.Errorf("comparing account %s: it is not in ledger %s", was.Code, c.Into.Terms.Name)
			}
			c.compareAccount(was, &is, since[was.Code])
		}
		return nil
	})
}

// sinceHolds counts the holds by what has become of them, and adds up by account what that has moved.
func (c *carrier) sinceHolds(ctx context.Context) (map[string]moved, error) {
	c.result.Holds, c.result.Settled, c.result.Expired = 0, 0, 0
	since := make(map[string]moved)
	err := c.walkHolds(ctx, "comparing holds", func(open []openHold) error {
		for i := range open {
			h := &open[i]
			switch h.fate() {
			case kept:
				c.result.Holds++
				continue
			case settled:
				c.result.Holds++
				c.result.Settled++
				book(since, h.there.Settled)
				book(since, h.there.Reversed)
			default:
				c.result.Expired++
			}
			unhold(since, h.Entry)
		}
		return nil
	})
	return since, err
}

// sum adds balances of one account, which fit: each is stored.
func sum(a, b money.Int128) money.Int128 {
	v, _ := a.Add(b)
	return v
}

func minus(v money.Int128) money.Int128 {
	n, _ := v.Neg()
	return n
}

// unhold takes away what a hold sets aside.
func unhold(since map[string]moved, hold *ledger.Entry) {
	record, accounts := hold.Record(), hold.Accounts()
	for i := range record.Postings {
		p, m := &record.Postings[i], since[accounts[i].Code]
		if p.Direction == chain.Debit {
			m.debit = sum(m.debit, minus(p.PendingChange))
		} else {
			m.credit = sum(m.credit, minus(p.PendingChange))
		}
		since[accounts[i].Code] = m
	}
}

// book adds what an entry booked, if there is one.
func book(since map[string]moved, e *ledger.Entry) {
	if e == nil {
		return
	}
	record, accounts := e.Record(), e.Accounts()
	for i := range record.Postings {
		p, m := &record.Postings[i], since[accounts[i].Code]
		booked := p.Amount
		if p.Direction == chain.Credit {
			booked = minus(booked)
		}
		m.posted = sum(m.posted, booked)
		since[accounts[i].Code] = m
	}
}

func (c *carrier) compareAccount(was, is *ledger.Account, since moved) {
	posted := sum(was.Posted, since.posted)
	for _, d := range []Difference{
		{What: "balance", Old: ledger.Balance(was.Type, posted).Format(was.Scale), New: is.Balance().Format(is.Scale)},
		{What: "held debits", Old: sum(was.PendingDebit, since.debit).Format(was.Scale), New: is.PendingDebit.Format(is.Scale)},
		{What: "held credits", Old: sum(was.PendingCredit, since.credit).Format(was.Scale), New: is.PendingCredit.Format(is.Scale)},
		{What: "type", Old: was.Type.String(), New: is.Type.String()},
		{What: "limits", Old: limits(was), New: limits(is)},
		{What: "freeze", Old: was.Frozen.String(), New: is.Frozen.String()},
		{What: "closing", Old: fmt.Sprint(was.Closed), New: fmt.Sprint(is.Closed)},
		{What: "tags", Old: fmt.Sprint(was.Tags), New: fmt.Sprint(is.Tags)},
	} {
		if d.Old != d.New {
			c.differ(was.Code, d)
		}
	}
	if !was.NameErased && !is.NameErased && nameOf(was) != nameOf(is) {
		c.differ(was.Code, Difference{What: "name", Old: "a name", New: "another"}) // personal data: it is not told
	}
}

func (c *carrier) differ(account string, d Difference) {
	if c.result.Differ++; c.result.Differ <= MaxDifferences {
		d.Account = account
		c.result.Differences = append(c.result.Differences, d)
	}
}

func nameOf(a *ledger.Account) string {
	if a.Name == nil {
		return ""
	}
	return *a.Name
}

// limits writes the limits of an account as an interval.
func limits(a *ledger.Account) string {
	low, high := "none", "none"
	for _, l := range []struct {
		text  *string
		limit *money.Int128
	}{{&low, a.MinBalance}, {&high, a.MaxBalance}} {
		if l.limit != nil {
			*l.text = l.limit.Format(a.Scale)
		}
	}
	return low + " to " + high
}
