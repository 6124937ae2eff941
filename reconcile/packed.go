package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// This file reads entries and postings in fewer columns than they have. What a row
// costs PostgreSQL grows with the columns that it sends and the terms that it works
// out, and most of it is as expected: a transfer, nothing pending, the day and the
// currency of the row before. What is as expected is not sent, and seq, ordinal and
// account_seq of a posting go in one number. A column that the segments before
// needed is sent (shape.go).
//
// That a value is as expected, the statement says, which it can be trusted with only
// where equal means the same bytes (plain.go). And only rows that this can say
// without loss are read so. Of all others, such as one with a null where none can
// be, the first column is null: then the whole segment is read again, first with
// every column that may be other than expected, and at last as it stands. What is
// found does not depend on how it was read.

// errOdd means that a segment has a row that cannot be packed.
var errOdd = errors.New("a row that cannot be packed")

// The fields of the packed column of postings, from the lowest bit up, and of the
// flags in extraPlace; the numbers in the statements are their powers of two.
const (
	packedAccountSeqBits = 40
	packedOrdinalBits    = 9
	packedTruthBits      = 1 // of extraPlace: repeats, back_valued, whether it is a debit
	// maxPacked is how many seqs a packed segment spans at most: 62 bits are used.
	maxPacked = 1 << 13
)

// usualPostingCount is how many postings an entry has when nothing else is sent.
const usualPostingCount = 2

// packed is a number that fields are taken off, the lowest first.
type packed uint64

func (p *packed) take(bits int) int64 {
	v := *p & (1<<bits - 1)
	*p >>= bits
	return int64(v)
}

func (p *packed) truth() bool { return p.take(packedTruthBits) == 1 }

// expected is what the rows of a segment are likely to have: what the last of the
// segment before had.
type expected struct {
	booking   chain.Date
	currency  string
	scale     uint8
	effective chain.Date
	actor     uuid.UUID
}

// expect remembers the last rows for the next segment.
func (s *segment) expect() {
	if n := len(s.entries); n > 0 {
		e := &s.entries[n-1].entry
		s.expected.booking, s.expected.actor = e.BookingDate, e.Actor
	}
	if n := len(s.postings); n > 0 {
		p := &s.postings[n-1]
		s.expected.currency, s.expected.scale, s.expected.effective = p.Currency, p.Scale, p.EffectiveDate
	}
}

// base is where seq is counted from in packed columns; ok is false where the
// segment is too long for them, or values that are equal may not be the same.
func (s *segment) base() (base int64, ok bool) {
	base = max(s.low, 0)
	return base, s.plain && s.high-base <= maxPacked
}

// refusal says what to make of an error of reading packed rows: odd, that they may
// be read with more columns, or as they stand; refused, that the engine does not
// take the statement, and will not take the next one.
func refusal(ctx context.Context, err error) (odd, refused bool) {
	if err == nil || errors.Is(err, errSegmentTooLarge) {
		return false, false
	}
	odd = errors.Is(err, errOdd)
	return odd, !odd && ctx.Err() == nil && !store.Passing(err)
}

// readPacked reads rows in the columns of a shape, and again in all columns if one
// of them is other than expected. again empties what was read; ok is false when the
// rows are to be read as they stand.
func (h *shape) readPacked(ctx context.Context, again func(), read func() error) (ok bool, err error) {
	for !h.refused {
		err := read()
		odd, refused := refusal(ctx, err)
		switch {
		case err == nil:
			h.learn()
			return true, nil
		case !odd && !refused:
			return true, err
		}
		again()
		if h.whole() {
			h.refused = refused
			return false, nil
		}
		h.sendAll()
	}
	return false, nil
}

// loadEntries reads the entries of the segment, packed if all of them can be.
func (s *segment) loadEntries(ctx context.Context, from *store.Snapshot) error {
	args := []any{from.LedgerID, s.low, s.high}
	base, ok := s.base()
	err := error(nil)
	if ok {
		like, h := s.expected, s.entryShape.of(entryExtras)
		all := append(args[:len(args):len(args)], base, like.booking.Time(), like.actor)
		ok, err = h.readPacked(ctx, func() { s.entries = s.entries[:0] }, func() error {
			return from.Scan(ctx, h.sql, all, func(r *store.Row) error { return s.addPackedEntry(from.LedgerID, r, base, &like) })
		})
	}
	if !ok {
		err = from.Scan(ctx, entriesSQL, args, func(r *store.Row) error { return s.addEntry(from.LedgerID, r) })
	}
	if err != nil && !errors.Is(err, errSegmentTooLarge) {
		return fmt.Errorf("reading book.entries: %w", err)
	}
	return err
}

func (s *segment) addPackedEntry(ledger uuid.UUID, r *store.Row, base int64, like *expected) error {
	if r.IsNull(0) || r.Int64(0) < 0 { // below 0 where seq is
		return errOdd
	}
	if int64(len(s.entries)) >= 2*s.bounds.segmentEntries {
		return errSegmentTooLarge // seq is not unique any more
	}
	s.entries = append(s.entries, entryRow{format: formatVersion})
	row := &s.entries[len(s.entries)-1]
	e := &row.entry
	e.LedgerID, e.Seq, row.postingCount = ledger, base+r.Int64(0), usualPostingCount
	e.RequestID, e.PrevHash, row.stored, e.RecordedAt = r.UUID(1), r.Hash(2), r.Hash(3), r.Micros(4)
	e.Kind, e.BookingDate, e.Actor = chain.Transfer, like.booking, like.actor
	effective := false
	for i, x := range s.entryShape.sent {
		column := entryExtras.fixed + i
		if r.IsNull(column) {
			continue
		}
		s.entryShape.met(x)
		switch x {
		case extraPostingCount:
			row.postingCount = r.Int64(column)
		case extraPriorPeriod:
			e.PriorPeriod = r.Bool(column)
		case extraKind:
			var known bool
			if e.Kind, known = chain.KindNamed(string(r.Text(column))); !known {
				return errOdd
			}
		case extraBooking:
			e.BookingDate = r.Date(column)
		case extraEntryEffective:
			e.EffectiveDate, effective = r.Date(column), true
		case extraActor:
			e.Actor = r.UUID(column)
		case extraRefSeq:
			row.refSeq, row.has[hasRefSeq] = r.Int64(column), true
		case extraRelatedTo:
			row.relatedTo, row.has[hasRelatedTo] = r.UUID(column), true
		case extraExpiresAt:
			row.expiresAt, row.has[hasExpiresAt] = r.Micros(column), true
		case extraDescription:
			row.description, row.has[hasDescription] = r.Hash(column), true
		case extraReference:
			row.reference, row.has[hasReference] = r.Hash(column), true
		case extraMetadata:
			row.metadata, row.has[hasMetadata] = r.Hash(column), true
		}
	}
	if !effective {
		e.EffectiveDate = e.BookingDate
	}
	return oddIfRejected(r)
}

// oddIfRejected has a row that says what cannot be read as it stands, because
// findings name its columns.
func oddIfRejected(r *store.Row) error {
	if _, _, bad := r.Rejected(); bad {
		return errOdd
	}
	return nil
}

// loadPostings reads the postings of the segment, packed if all of them can be.
func (s *segment) loadPostings(ctx context.Context, from *store.Snapshot, words *words) error {
	args := []any{from.LedgerID, s.low, s.high}
	base, ok := s.base()
	err := error(nil)
	if ok {
		like, h := s.expected, s.postingShape.of(postingExtras)
		all := append(args[:len(args):len(args)], base, like.currency, int64(like.scale), like.effective.Time())
		again := func() { s.postings, s.places = s.postings[:0], s.places[:0] }
		ok, err = h.readPacked(ctx, again, func() error {
			return from.Scan(ctx, h.sql, all, func(r *store.Row) error { return s.addPacked(r, base, &like, words) })
		})
	}
	if !ok {
		err = from.Scan(ctx, postingsSQL, args, func(r *store.Row) error { return s.addPosting(r, words) })
	}
	if err != nil && !errors.Is(err, errSegmentTooLarge) {
		return fmt.Errorf("reading book.postings: %w", err)
	}
	return err
}

func (s *segment) addPacked(r *store.Row, base int64, like *expected, words *words) error {
	if r.IsNull(0) || r.Int64(0) < 0 {
		return errOdd
	}
	if len(s.postings) == s.bounds.segmentPostings {
		return errSegmentTooLarge
	}
	s.postings = append(s.postings, chain.Posting{})
	p, number := &s.postings[len(s.postings)-1], packed(r.Int64(0))
	p.AccountSeq = number.take(packedAccountSeqBits)
	at := place{ordinal: number.take(packedOrdinalBits)}
	at.seq = base + int64(number)
	if p.Direction = chain.Debit; at.ordinal > 0 {
		p.Direction, at.repeats = chain.Credit, true
	}
	p.AccountID = r.UUID(1)
	p.Currency, p.Scale, p.EffectiveDate = like.currency, like.scale, like.effective
	for i, x := range s.postingShape.sent { // the scale before what depends on it
		column := postingExtras.fixed + i
		if r.IsNull(column) {
			continue
		}
		s.postingShape.met(x)
		switch x {
		case extraPlace:
			flags := packed(r.Int64(column))
			at.repeats, at.backValued = flags.truth(), flags.truth()
			if p.Direction = chain.Credit; flags.truth() {
				p.Direction = chain.Debit
			}
		case extraCurrency:
			p.Currency = words.of(r.Text(column))
		case extraScale:
			p.Scale = r.Scale(column)
		case extraEffective:
			p.EffectiveDate = r.Date(column)
		case extraPendingChange:
			p.PendingChange = r.Units(column, p.Scale)
		case extraPendingDebit:
			p.PendingDebit = r.Units(column, p.Scale)
		case extraPendingCredit:
			p.PendingCredit = r.Units(column, p.Scale)
		}
	}
	p.Amount, p.Posted = r.Units(2, p.Scale), r.Units(3, p.Scale)
	s.places = append(s.places, at)
	return oddIfRejected(r)
}
