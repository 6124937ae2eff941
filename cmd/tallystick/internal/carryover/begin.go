package carryover

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// The tags with which opening accounts are opened.
const (
	tagOrigin = "carried_over_from" // the origin of the old ledger
	tagHash   = "carried_over_hash" // the hash of the entry, in hex
	tagSeq    = "carried_over_seq"  // the entry as of which balances are carried over
)

// begin finds out as of which entry, and whether an earlier run has carried over everything.
func begin(ctx context.Context, o Options) (*carrier, error) {
	c := &carrier{Options: o, sums: make(map[string]*Sum)}
	opened, err := c.opened(ctx)
	if err != nil {
		return nil, err
	}
	mark, marked, err := c.mark(ctx)
	if err == nil && marked {
		err = c.goOn(mark)
	} else if err == nil {
		err = c.start(ctx, opened)
	}
	if err != nil {
		return nil, err
	}
	if c.seq < 0 || c.seq >= o.From.Size {
		return nil, fmt.Errorf("carrying over as of entry %d: ledger %s has the entries 0 to %d", c.seq, o.From.Terms.Name, o.From.Size-1)
	}
	at, err := o.DB.Entry(ctx, o.From.ID, c.seq)
	if err != nil {
		return nil, fmt.Errorf("reading the entry as of which balances are carried over: %w\nhint: if it cannot be brought back, name an earlier one with --seq", err)
	}
	c.result.Seq, c.result.Hash, c.result.Since = c.seq, at.Hash(), o.From.Size-1-c.seq
	if !marked {
		return c, nil
	}
	if tagOf(mark, tagHash) != at.Hash().String() {
		return nil, fmt.Errorf("carrying over: entry %d of ledger %s is not the one any more as of which balances were carried over before\nhint: open another successor",
			c.seq, o.From.Terms.Name)
	}
	c.result.Before, err = c.closed(ctx)
	return c, err
}

// opened returns the first entry of the successor, which names the old ledger.
func (c *carrier) opened(ctx context.Context) (*ledger.Entry, error) {
	first, err := c.DB.Entry(ctx, c.Into.ID, 0)
	if err != nil {
		return nil, err
	}
	r := first.Record()
	if origin, _ := r.Detail("predecessor_origin"); origin != c.From.Terms.Origin {
		return nil, fmt.Errorf("carrying over from ledger %s into ledger %s: %w\nhint: tallystick ledger reincarnate opens a successor", c.From.Terms.Name, c.Into.Terms.Name, ErrNotSuccessor)
	}
	text, _ := r.Detail("predecessor_size")
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reading the first entry of ledger %s: %w", c.Into.Terms.Name, err)
	}
	c.result.Covered = size - 1
	return &first, nil
}

// start takes the entry that is asked for, or finds the last good one.
func (c *carrier) start(ctx context.Context, opened *ledger.Entry) error {
	if err := c.mustBeEmpty(ctx); err != nil {
		return err
	}
	if c.Seq != nil {
		c.seq = *c.Seq
		return nil
	}
	had, err := c.DB.SeqAt(ctx, c.From.ID, opened.RecordedAt())
	if err != nil {
		return fmt.Errorf("finding what ledger %s had when ledger %s was opened: %w", c.From.Terms.Name, c.Into.Terms.Name, err)
	}
	if c.seq = min(c.result.Covered, had); c.seq < c.result.Covered || c.Root == nil {
		return nil
	}
	root, err := c.Root(ctx, c.seq+1)
	if err != nil {
		return err
	}
	r := opened.Record()
	if bound, _ := r.Detail("predecessor_root"); bound != root.String() {
		return fmt.Errorf("carrying over from ledger %s: its first %d entries have the root %s, and ledger %s binds %s: %w\nhint: name the last entry that is good with --seq; tallystick verify tells what it can",
			c.From.Terms.Name, c.seq+1, root, c.Into.Terms.Name, bound, ErrOtherRoot)
	}
	return nil
}

// goOn takes the entry of the run before.
func (c *carrier) goOn(mark []chain.Tag) (err error) {
	if c.seq, err = strconv.ParseInt(tagOf(mark, tagSeq), 10, 64); err != nil || tagOf(mark, tagOrigin) != c.From.Terms.Origin {
		return fmt.Errorf("carrying over: account %s of ledger %s was not opened by this command; balances cannot be carried over against it\nhint: open another successor",
			c.opening(c.Into.Terms.BaseCurrency), c.Into.Terms.Name)
	}
	if c.Seq != nil && *c.Seq != c.seq {
		return fmt.Errorf("carrying over as of entry %d: those as of entry %d were carried over before, wholly or in part, and these would be posted on top of them\nhint: leave --seq out to go on with that, or open another successor",
			*c.Seq, c.seq)
	}
	return nil
}

// opening returns the code of the opening account of a currency.
func (c *carrier) opening(currency string) string {
	return OpeningAccounts + c.From.Terms.Name + ":" + strings.ToLower(currency)
}

// mark returns the tags with which the opening account of the base currency was opened: the first to be opened, and the last
// to be closed. Those that it has by now do not count, since they can be changed.
func (c *carrier) mark(ctx context.Context) (tags []chain.Tag, found bool, err error) {
	code := c.opening(c.Into.Terms.BaseCurrency)
	accounts, err := c.DB.AccountsByCode(ctx, c.Into.ID, []string{code})
	if err != nil {
		return nil, false, err
	}
	a, found := accounts[code]
	if !found {
		return nil, false, nil
	}
	opened, err := c.DB.Entry(ctx, c.Into.ID, a.OpenedSeq)
	if err != nil {
		return nil, false, err
	}
	if r := opened.Record(); r.Account != nil {
		tags = r.Account.Tags
	}
	return tags, true, nil
}

// closed reports whether an earlier run has closed the opening account of the base currency, its last act.
func (c *carrier) closed(ctx context.Context) (bool, error) {
	id := c.common(actClose, c.opening(c.Into.Terms.BaseCurrency)).ID
	found, err := c.DB.Targets(ctx, c.Into.ID, []ledger.RequestID{id})
	return len(found) > 0, err
}

func tagOf(tags []chain.Tag, key string) string {
	for _, t := range tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

// mustBeEmpty refuses a successor to which something was posted: it would be counted twice.
func (c *carrier) mustBeEmpty(ctx context.Context) error {
	return c.walk(ctx, c.Into.ID, func(page []ledger.Account) error {
		for i := range page {
			if page[i].AccountSeq > 0 {
				return fmt.Errorf("carrying over into ledger %s: account %s has postings already, and balances would be added to them\nhint: carry over first, and post then; or open another successor", c.Into.Terms.Name, page[i].Code)
			}
		}
		return nil
	})
}
