package carryover

import (
	"context"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// walk hands the accounts of a ledger to visit by pages, in order of code, as they are now.
func (c *carrier) walk(ctx context.Context, id ledger.LedgerID, visit func([]ledger.Account) error) error {
	for next := (store.AccountFilter{Limit: pageSize}); ; {
		page, err := c.DB.Accounts(ctx, id, next)
		if err != nil {
			return err
		}
		if len(page) > 0 {
			next.AfterCode = page[len(page)-1].Code
		}
		more := len(page) == pageSize
		if err := visit(page); err != nil || !more {
			return err
		}
	}
}

// walkOld hands the accounts of the old ledger to visit by pages, as of the entry.
func (c *carrier) walkOld(ctx context.Context, phase string, visit func([]ledger.Account) error) error {
	done, total := int64(0), c.result.Accounts
	return c.walk(ctx, c.From.ID, func(page []ledger.Account) error {
		then := page[:0]
		for _, a := range page {
			switch {
			case a.OpenedSeq > c.seq:
				continue
			case a.VersionSeq > c.seq || a.AccountSeq > 0 && a.PostingSeq > c.seq:
				var err error
				if a, err = c.DB.AccountAt(ctx, c.From.ID, a.Code, c.seq); err != nil {
					return err
				}
			}
			then = append(then, a)
		}
		done += int64(len(then))
		c.tell(phase, done, total)
		return visit(then)
	})
}

// openHold is a hold that nothing had settled as of the entry.
type openHold struct {
	*ledger.Entry
	there  *ledger.Target // under its id in the successor; nil: nothing
	erased bool           // an erasure of its text is on record, whether or not the text is gone
}

// fate is what has become of a hold in the successor.
type fate int

const (
	absent  fate = iota
	kept         // it is open
	settled      // captured, or released by who placed it
	expired      // released because its time is over
	foreign      // something else stands under its id
)

func (h *openHold) fate() fate {
	switch {
	case h.there == nil:
		return absent
	case !samePending(h.Entry, h.there.Entry):
		return foreign
	case h.there.Settled == nil:
		return kept
	case h.there.Settled.OnExpiry():
		return expired
	}
	return settled
}

// samePending reports whether two holds set the same aside.
func samePending(a, b *ledger.Entry) bool {
	x, y := a.Record(), b.Record()
	if y.Kind != chain.Hold || len(x.Postings) != len(y.Postings) {
		return false
	}
	for i := range x.Postings {
		p, q := &x.Postings[i], &y.Postings[i]
		if a.Accounts()[i].Code != b.Accounts()[i].Code || p.Direction != q.Direction || p.Currency != q.Currency || p.PendingChange != q.PendingChange {
			return false
		}
	}
	return true
}

// walkHolds hands the holds to visit, by pages, that nothing had settled as of the entry.
func (c *carrier) walkHolds(ctx context.Context, phase string, visit func([]openHold) error) error {
	next := store.EntryFilter{Kinds: []chain.Kind{chain.Hold}, ToSeq: &c.seq, Limit: pageSize}
	done, total := int64(0), c.result.Holds+c.result.Expired
	for {
		page, err := c.DB.Entries(ctx, c.From.ID, next)
		if err != nil {
			return err
		}
		open, err := c.open(ctx, page.Entries)
		if err != nil {
			return err
		}
		done += int64(len(open))
		c.tell(phase, done, total)
		if err := visit(open); err != nil || page.Next == nil {
			return err
		}
		next.From = *page.Next
	}
}

// open returns those of holds that were open, and what the successor has of them.
func (c *carrier) open(ctx context.Context, holds []ledger.Entry) ([]openHold, error) {
	if len(holds) == 0 {
		return nil, nil
	}
	ids, seqs := make([]ledger.RequestID, len(holds)), make([]int64, len(holds))
	for i := range holds {
		ids[i], seqs[i] = holds[i].RequestID(), holds[i].Seq()
	}
	was, err := c.DB.Targets(ctx, c.From.ID, ids)
	if err != nil {
		return nil, err
	}
	is, err := c.DB.Targets(ctx, c.Into.ID, ids)
	if err != nil {
		return nil, err
	}
	erased, err := c.DB.Erasures(ctx, c.From.ID, seqs)
	if err != nil {
		return nil, err
	}
	var open []openHold
	for i := range holds {
		if t := was[ids[i]]; t == nil || t.Settled == nil || t.Settled.Seq() > c.seq {
			_, gone := erased[seqs[i]]
			open = append(open, openHold{&holds[i], is[ids[i]], gone})
		}
	}
	return open, nil
}
