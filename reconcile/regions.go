package reconcile

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// region is one of the parts that the entries were first cut into, one for each
// worker: its stripe, and those that others took from it. What its accounts have
// before it is not read from the book, an index descent for each of them, but left
// by the region before, once all have been walked through.
//
// Only what fits is taken from there: a posting that does not follow what the
// region before has left is held against the book, like all those that follow
// something unknown. So what is found does not depend on regions.
type region struct {
	first *stripe // it meets the accounts of the region first, but for those that it never meets
	limit int

	mu   sync.Mutex
	ends map[uuid.UUID]balancesAt // of accounts posted to; nil when it is not known of all
}

// balancesAt are the balances of an account after its posting at seq.
type balancesAt struct {
	seq      int64
	currency string
	scale    uint8
	balances
}

// opening is the first posting of a region on an account, when it follows another.
type opening struct {
	posting chain.Posting
	at      place
}

func newRegion(first *stripe, limit int) *region {
	return &region{first: first, limit: limit, ends: make(map[uuid.UUID]balancesAt)}
}

// leave takes in what a stripe has left of its accounts. It knows of all that the
// stripe posted to unless complete is false.
func (r *region) leave(states []accountState, complete bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !complete {
		r.ends = nil
	}
	for i := 0; i < len(states) && r.ends != nil; i++ {
		a := &states[i]
		if last, ok := r.ends[a.id]; a.accountSeq > 0 && (!ok || a.seq > last.seq) {
			r.ends[a.id] = balancesAt{a.seq, a.currency, a.scale, a.balances}
		}
		if len(r.ends) > r.limit {
			r.ends = nil
		}
	}
}

// defers reports whether what an account met now follows is left to the region
// before: the stripe is the region's own, and has met no such account earlier.
func (w *worker) defers() bool {
	s := w.stripe
	return s != nil && s.region != nil && s.region.first == s && s.low > 0 && !w.accounts.forgot
}

// leaveRegion ends a stripe: walked through to its end, or not.
func (w *worker) leaveRegion(whole bool) {
	if r := w.stripe.region; r != nil {
		r.leave(w.accounts.states, whole && !w.accounts.forgot)
	}
}

// joinRegions holds the first postings of each region against what those before
// have left, and returns what all of them leave; nil when that is not known of all
// accounts.
func (v *verification) joinRegions(ctx context.Context) (map[uuid.UUID]balancesAt, error) {
	w := v.newWorker()
	held, known := make(map[uuid.UUID]balancesAt), true
	for _, r := range v.stripes.regions {
		if err := retry(ctx, func() error { return w.joinRegion(ctx, r, held) }); err != nil {
			return nil, err
		}
		w.flush()
		if r.ends == nil {
			clear(held)
			known = false
		}
		for id, end := range r.ends {
			held[id] = end
		}
		r.ends, r.first.opens = nil, nil
	}
	if !known {
		return nil, nil
	}
	return held, nil
}

// joinRegion holds the first postings of a region against what is held, and those
// that it does not fit against the book, some at a time.
func (w *worker) joinRegion(ctx context.Context, r *region, held map[uuid.UUID]balancesAt) error {
	w.found = w.found[:0]
	var rest []*opening
	for i := range r.first.opens {
		o := &r.first.opens[i]
		p := &o.posting
		end, ok := held[p.AccountID]
		if !ok || end.unreadable || end.accountSeq+1 != p.AccountSeq {
			rest = append(rest, o)
			continue
		}
		w.checkFollows(p, &o.at, &previous{account: p.AccountID, seq: end.seq, balances: end.balances})
	}
	for n := 0; len(rest) > 0; rest = rest[n:] {
		n = min(w.v.bounds.page, len(rest))
		before := make(map[uuid.UUID]previous, n)
		w.keys = w.keys[:0]
		for _, o := range rest[:n] {
			w.keys = append(w.keys, store.Key{ID: o.posting.AccountID, N: o.posting.AccountSeq})
		}
		if err := w.postingsBefore(ctx, func(p previous) { before[p.account] = p }); err != nil {
			return err
		}
		for _, o := range rest[:n] {
			p, ok := before[o.posting.AccountID]
			if !ok {
				p = previous{account: o.posting.AccountID, seq: noPosting}
			}
			w.checkFollows(&o.posting, &o.at, &p)
		}
	}
	return nil
}

// meetRegions joins the regions of the first pass. Their last balances are those of
// the accounts' newest postings, unless something was found to be wrong.
func (v *verification) meetRegions(ctx context.Context) error {
	newest, err := v.joinRegions(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		v.incomplete.Store(true)
		v.findings.notChecked(noSeq, fmt.Sprintf("postings that follow others: %s", err))
	case v.alongChain && v.whole() && !v.incomplete.Load() && v.findings.critical() == 0:
		v.newest = newest
	}
	return nil
}
