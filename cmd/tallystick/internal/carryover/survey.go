package carryover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"tallystick/ledger"
)

// survey counts and adds up what there is to carry over, and finds what the successor would refuse, before anything is posted.
func (c *carrier) survey(ctx context.Context) error {
	err := c.walkOld(ctx, "reading accounts", func(page []ledger.Account) error {
		for i := range page {
			c.count(&page[i])
		}
		return c.mayOpen(ctx, page)
	})
	if err != nil {
		return fmt.Errorf("reading the accounts of ledger %s: %w", c.From.Terms.Name, err)
	}
	if err := c.currenciesFit(ctx); err != nil {
		return err
	}
	err = c.walkHolds(ctx, "reading holds", func(open []openHold) error {
		for i := range open {
			h := &open[i]
			switch f := h.fate(); {
			case f == foreign:
				return errForeign(c, h)
			case f == expired, f == absent && c.over(h):
				c.result.Expired++
			default:
				c.result.Holds++
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the holds of ledger %s: %w", c.From.Terms.Name, err)
	}
	return c.addUp()
}

// over reports whether the time of a hold is over.
func (c *carrier) over(hold *openHold) bool {
	expires := hold.Record().ExpiresAt
	return expires != nil && *expires <= c.Now.UnixMicro()
}

func errForeign(c *carrier, h *openHold) error {
	return fmt.Errorf("placing hold %s again: entry %d of ledger %s has its id, and is not that hold\nhint: open another successor", h.RequestID(), h.there.Entry.Seq(), c.Into.Terms.Name)
}

// count takes one account into the sums.
func (c *carrier) count(a *ledger.Account) {
	c.result.Accounts++
	if a.Closed {
		c.result.Closed++
	}
	if a.Posted.IsZero() {
		return
	}
	s := c.sums[a.Currency]
	if s == nil {
		s = &Sum{Currency: a.Currency, Scale: a.Scale, Debits: new(big.Int), net: new(big.Int)}
		c.sums[a.Currency] = s
	}
	s.Balances++
	posted := a.Posted.Big()
	if s.net.Add(s.net, posted); posted.Sign() > 0 {
		s.Debits.Add(s.Debits, posted)
	}
}

// mayOpen holds accounts against those that the successor has already.
func (c *carrier) mayOpen(ctx context.Context, page []ledger.Account) error {
	there, err := c.DB.AccountsByCode(ctx, c.Into.ID, codesOf(page))
	if err != nil {
		return err
	}
	for i := range page {
		a := &page[i]
		is, ok := there[a.Code]
		switch {
		case strings.HasPrefix(a.Code, c.opening("")):
			return fmt.Errorf("account %s: balances are carried over against an account of this code; they cannot be carried over by this command", a.Code)
		case !ok || c.result.Before:
		case is.Type != a.Type || is.Currency != a.Currency:
			return fmt.Errorf("account %s: ledger %s has one already, of type %s in %s, and it was of type %s in %s\nhint: open another successor",
				a.Code, c.Into.Terms.Name, is.Type, is.Currency, a.Type, a.Currency)
		case is.Closed && !a.Closed:
			return fmt.Errorf("account %s: it is closed in ledger %s already\nhint: open another successor", a.Code, c.Into.Terms.Name)
		}
	}
	return nil
}

func codesOf(page []ledger.Account) []string {
	codes := make([]string, len(page))
	for i := range page {
		codes[i] = page[i].Code
	}
	return codes
}

// addUp puts the sums in order, and refuses balances that do not sum to zero.
func (c *carrier) addUp() error {
	for _, s := range c.sums {
		if s.net.Sign() != 0 {
			return fmt.Errorf("adding up the balances of ledger %s as of entry %d: those in %s sum to %s units and not to zero (I2)\nhint: tallystick verify --ledger %[1]s says what is wrong",
				c.From.Terms.Name, c.seq, s.Currency, s.net)
		}
		c.result.Sums = append(c.result.Sums, *s)
	}
	slices.SortFunc(c.result.Sums, func(a, b Sum) int { return cmp.Compare(a.Currency, b.Currency) })
	for _, currency := range c.currencies() {
		c.result.Openings = append(c.result.Openings, c.opening(currency))
	}
	return nil
}

// currencies returns those that have an opening account, the base currency first.
func (c *carrier) currencies() []string {
	list := []string{c.Into.Terms.BaseCurrency}
	for _, s := range c.result.Sums {
		if s.Currency != list[0] {
			list = append(list, s.Currency)
		}
	}
	return list
}

// errOtherScale means that both ledgers define a currency, and not alike.
var errOtherScale = errors.New("it is defined with another scale")

// currenciesFit reads the currencies of the old ledger's own, and holds them against those of the successor.
func (c *carrier) currenciesFit(ctx context.Context) error {
	var err error
	if c.own, err = c.ownCurrencies(ctx, c.From.ID, c.seq); err != nil {
		return err
	}
	there, err := c.ownCurrencies(ctx, c.Into.ID, c.Into.Size-1)
	if err != nil {
		return err
	}
	for _, is := range there {
		for _, was := range c.own {
			if is.Code == was.Code && is.Scale != was.Scale {
				return fmt.Errorf("currency %s of ledger %s: %w\nhint: open another successor", is.Code, c.Into.Terms.Name, errOtherScale)
			}
		}
	}
	return nil
}
