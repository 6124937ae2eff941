package carryover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// errBeyondRange means that a sum does not fit 128 bits.
var errBeyondRange = errors.New("the balances of one currency sum to more than 128 bits")

// survey counts and adds up what there is to carry over, before anything is posted.
func (c *carrier) survey(ctx context.Context) error {
	err := c.walkOld(ctx, "reading accounts", func(page []ledger.Account) error {
		for i := range page {
			if err := c.count(&page[i]); err != nil {
				return fmt.Errorf("account %s: %w", page[i].Code, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the accounts of ledger %s: %w", c.From.Terms.Name, err)
	}
	if err := c.countHolds(ctx); err != nil {
		return fmt.Errorf("reading the holds of ledger %s: %w", c.From.Terms.Name, err)
	}
	return c.addUp()
}

// count takes one account into the sums.
func (c *carrier) count(a *ledger.Account) error {
	c.result.Accounts++
	if a.Closed {
		c.result.Closed++
	}
	if a.Posted.IsZero() {
		return nil
	}
	s := c.sums[a.Currency]
	if s == nil {
		s = &Sum{Currency: a.Currency, Scale: a.Scale}
		c.sums[a.Currency] = s
	}
	var fits bool
	s.Balances++
	if s.net, fits = s.net.Add(a.Posted); fits && a.Posted.Sign() > 0 {
		s.Debits, fits = s.Debits.Add(a.Posted)
	}
	if !fits {
		return errBeyondRange
	}
	return nil
}

// countHolds counts the open holds, and notes what those set aside that have expired.
func (c *carrier) countHolds(ctx context.Context) error {
	return c.walkHolds(ctx, func(open []*ledger.Entry) error {
		for _, hold := range open {
			if !c.over(hold) {
				c.result.Holds++
				continue
			}
			c.result.Expired++
			record, accounts := hold.Record(), hold.Accounts()
			for i := range record.Postings {
				p, of := &record.Postings[i], c.expired[accounts[i].Code]
				side := &of.credit
				if p.Direction == chain.Debit {
					side = &of.debit
				}
				*side, _ = side.Add(p.PendingChange) // what is set aside fits: it is part of what the account holds
				c.expired[accounts[i].Code] = of
			}
		}
		return nil
	})
}

// addUp puts the sums in order, and refuses balances that do not sum to zero.
func (c *carrier) addUp() error {
	for _, s := range c.sums {
		if !s.net.IsZero() {
			return fmt.Errorf("adding up the balances of ledger %s as of entry %d: those in %s sum to %s, and balances of a ledger sum to zero (I2)\nhint: tallystick verify --ledger %[1]s says what is wrong",
				c.From.Terms.Name, c.seq, s.Currency, s.net.Format(s.Scale))
		}
		c.result.Sums = append(c.result.Sums, *s)
	}
	slices.SortFunc(c.result.Sums, func(a, b Sum) int { return cmp.Compare(a.Currency, b.Currency) })
	base := c.Into.Terms.BaseCurrency
	c.result.Openings = []string{c.opening(base)}
	for _, s := range c.result.Sums {
		if s.Currency != base {
			c.result.Openings = append(c.result.Openings, c.opening(s.Currency))
		}
	}
	return nil
}

// compare holds the accounts of the successor against those of the old ledger.
func (c *carrier) compare(ctx context.Context) error {
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
			c.compareAccount(was, &is)
		}
		return nil
	})
}

func (c *carrier) compareAccount(was, is *ledger.Account) {
	gone := c.expired[was.Code]
	debit, _ := was.PendingDebit.Sub(gone.debit)
	credit, _ := was.PendingCredit.Sub(gone.credit)
	for _, d := range []Difference{
		{What: "balance", Old: was.Balance().Format(was.Scale), New: is.Balance().Format(is.Scale)},
		{What: "held debits", Old: debit.Format(was.Scale), New: is.PendingDebit.Format(is.Scale)},
		{What: "held credits", Old: credit.Format(was.Scale), New: is.PendingCredit.Format(is.Scale)},
		{What: "type", Old: was.Type.String(), New: is.Type.String()},
		{What: "limits", Old: limits(was), New: limits(is)},
		{What: "freeze", Old: was.Frozen.String(), New: is.Frozen.String()},
		{What: "closing", Old: fmt.Sprint(was.Closed), New: fmt.Sprint(is.Closed)},
		{What: "tags", Old: fmt.Sprint(was.Tags), New: fmt.Sprint(is.Tags)},
	} {
		if d.Old == d.New {
			continue
		}
		if c.result.Differ++; c.result.Differ <= MaxDifferences {
			d.Account = was.Code
			c.result.Differences = append(c.result.Differences, d)
		}
	}
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

func codesOf(page []ledger.Account) []string {
	codes := make([]string, len(page))
	for i := range page {
		codes[i] = page[i].Code
	}
	return codes
}
