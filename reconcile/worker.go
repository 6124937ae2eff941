package reconcile

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// worker walks through stripes of the ledger, a segment at a time.
type worker struct {
	v        *verification
	stripe   *stripe
	segment  segment
	accounts *accountCache
	holds    *heldHolds
	words    words
	days     bookingDays

	follows       bool // hold postings against their accounts
	strangersOnly bool // look for postings on accounts of no or another ledger, and nothing else
	bookOnly      bool // leave texts alone, and what is derived from them
	keepsHashes   bool // gather hashes

	marked int64 // up to where marks were taken in this stripe

	historyUnknown bool // the attributes of the account at hand are too many to hold

	found      []finding      // in the segment at hand
	doubts     []doubt        // likewise
	guessed    *chain.Account // what the entry at hand carries if its kind, which is not known, is that of an account entry
	recomputed chain.Hash
	hashes     []chain.Hash // recomputed ones, of all entries met
	scope      scopeCounts

	// Memory that is used again.
	details []chain.Detail
	unmet   []unmet
	ids     []uuid.UUID
	keys    []store.Key
	held    []int32
	places  []place // of the entry at hand

	references     []reference
	seqs           []int64
	targets        map[int64]target
	targetPostings []chain.Posting
}

// scopeCounts is what a verification has looked at.
type scopeCounts struct {
	entries, postings, texts, accountEntries int64
	knownPostings                            int64 // on accounts of this ledger
}

func (c *scopeCounts) add(d scopeCounts) {
	c.entries += d.entries
	c.postings += d.postings
	c.texts += d.texts
	c.accountEntries += d.accountEntries
	c.knownPostings += d.knownPostings
}

// doubt is something at an entry that could not be checked.
type doubt struct {
	seq  int64
	what string
}

func (w *worker) report(f finding) { w.found = append(w.found, f) }

func (w *worker) doubt(seq int64, what string) { w.doubts = append(w.doubts, doubt{seq, what}) }

// run walks through stripes until there are none left. What cannot be read is
// recorded as not checked; the error is the context's alone.
func (w *worker) run(ctx context.Context) error {
	for {
		w.stripe = w.v.stripes.begin()
		if w.stripe == nil {
			return nil
		}
		w.accounts.begin()
		w.marked = w.stripe.low
		err := w.beginTree(ctx)
		if err == nil {
			err = w.walk(ctx)
		}
		w.leaveRegion(err == nil)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			low, high := w.v.stripes.abandon(w.stripe)
			w.v.incomplete.Store(true)
			w.v.findings.notChecked(noSeq, fmt.Sprintf("entries %d to %d: %s", low, high-1, err))
		}
	}
}

// walk goes through one stripe. It reads less at a time where entries are
// large.
func (w *worker) walk(ctx context.Context) error {
	b := w.v.bounds
	size := b.segmentEntries
	for {
		low, high, ok := w.v.stripes.take(w.stripe, size)
		if !ok {
			w.markEnd(w.v.stripes.endOf(w.stripe), true)
			return nil
		}
		err := w.try(ctx, low, high)
		switch {
		case errors.Is(err, errSegmentTooLarge) && high-low > 1:
			w.v.stripes.setNext(w.stripe, low)
			size = (high - low) / 2
			continue
		case errors.Is(err, errSegmentTooLarge):
			w.skip(low)
			continue
		case err != nil:
			w.v.stripes.setNext(w.stripe, low)
			return err
		}
		w.markEnd(high, false)
		if len(w.segment.postings) < b.segmentPostings/4 {
			size = min(2*size, b.segmentEntries)
		}
	}
}

// try reads and checks a segment, again if it must, and then reports what was
// found.
func (w *worker) try(ctx context.Context, low, high int64) error {
	before := w.standing()
	err := retry(ctx, func() error {
		w.restore(before)
		w.segment.reset(low, high)
		if err := w.segment.load(ctx, w.v.snapshot, &w.words); err != nil {
			return err
		}
		if w.segment.empty() {
			if err := w.skipGap(ctx, high); err != nil {
				return err
			}
		}
		err := w.check(ctx)
		if err != nil {
			w.accounts.clear() // they are somewhere in the segment
		}
		return err
	})
	if err != nil {
		w.restore(before)
		return err
	}
	w.flush()
	w.meetRequests()
	w.growTree()
	w.v.advance(w.scope.entries - before.scope.entries)
	return nil
}

// flush reports what was found.
func (w *worker) flush() {
	w.v.findings.add(w.found...)
	for _, d := range w.doubts {
		w.v.findings.notChecked(d.seq, d.what)
	}
}

// standing is where a worker stands between two segments.
type standing struct {
	scope         scopeCounts
	hashes, opens int
	first, last   *link
}

func (w *worker) standing() standing {
	s := standing{scope: w.scope, hashes: len(w.hashes), opens: len(w.stripe.opens), first: w.stripe.first}
	if w.stripe.last != nil {
		last := *w.stripe.last
		s.last = &last
	}
	return s
}

func (w *worker) restore(s standing) {
	w.found, w.doubts, w.scope, w.stripe.first, w.stripe.last = w.found[:0], w.doubts[:0], s.scope, s.first, nil
	w.hashes, w.stripe.opens = w.hashes[:s.hashes], w.stripe.opens[:s.opens]
	if s.last != nil {
		last := *s.last
		w.stripe.last = &last
	}
}

// check holds everything in the segment against everything else.
func (w *worker) check(ctx context.Context) error {
	w.beginSegment()
	followed, err := w.followHeld(ctx)
	if err == nil {
		err = w.meet(ctx)
	}
	if err == nil {
		err = w.followAccounts(ctx, followed)
	}
	if err != nil || w.strangersOnly {
		return err
	}
	w.derive()
	w.scope.entries += int64(len(w.segment.entries))
	w.scope.postings += int64(len(w.segment.postings))
	if w.v.level < LevelColumns {
		return nil
	}
	if err := w.checkReferences(ctx); err != nil {
		return err
	}
	if !w.bookOnly {
		return w.checkOutsideBook(ctx)
	}
	return nil
}

// checkOutsideBook looks at the texts of the segment, and at what is derived
// from them. What of it cannot be read is recorded as not checked.
func (w *worker) checkOutsideBook(ctx context.Context) error {
	if !w.v.textsUnreadable.Load() {
		if err := w.checkPayloads(ctx); err != nil {
			if store.Passing(err) || ctx.Err() != nil {
				return err
			}
			if !w.v.textsUnreadable.Swap(true) {
				w.v.findings.notChecked(noSeq, "texts and their commitments: "+err.Error())
			}
		}
	}
	if !w.v.textsUnreadable.Load() && !w.v.termsUnreadable.Load() {
		if err := w.checkTerms(ctx); err != nil {
			if store.Passing(err) || ctx.Err() != nil {
				return err
			}
			if !w.v.termsUnreadable.Swap(true) {
				w.v.findings.notChecked(noSeq, "the terms by which metadata is searched: "+err.Error())
			}
		}
	}
	return nil
}

// skip reports an entry with more rows than any entry can have, and leaves it.
func (w *worker) skip(seq int64) {
	w.v.findings.add(finding{code: EntryMalformed, seq: seq, unhashed: true,
		stored: fmt.Sprintf("more than %d postings, or %d bytes of details and tags", w.v.bounds.segmentPostings, w.v.bounds.segmentText)})
	w.v.incomplete.Store(true)
	w.stripe.last = nil
	if w.stripe.first == nil {
		w.stripe.frontUnknown = true
	}
}

// tables are those with a seq, the book's first.
var tables = []string{"book.entries", "book.postings", "book.account_versions", "book.details", "ops.payloads", "ops.metadata_terms"}

// nextRowSQL finds the first row in a range of seq. Index: the primary key, or
// i10_account_versions_seq.
func nextRowSQL(table string) string {
	return `
select seq
from ` + table + `
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq
limit 1`
}

// skipGap moves the stripe on to the next seq with a row: a single entry far
// beyond the others would otherwise keep the verifier busy for ever.
func (w *worker) skipGap(ctx context.Context, from int64) error {
	next := int64(math.MaxInt64)
	for _, table := range tables {
		if table == "ops.payloads" && w.v.textsUnreadable.Load() || table == "ops.metadata_terms" && w.v.termsUnreadable.Load() {
			continue
		}
		args := []any{w.v.snapshot.LedgerID, from, w.v.snapshot.Size}
		err := w.v.snapshot.Scan(ctx, nextRowSQL(table), args, func(r *store.Row) error {
			next = min(next, r.Int64(0))
			return nil
		})
		if err != nil {
			return fmt.Errorf("looking for rows of %s after entry %d: %w", table, from, err)
		}
	}
	w.v.stripes.setNext(w.stripe, next)
	return nil
}
