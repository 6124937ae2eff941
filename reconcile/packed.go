package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// This file reads entries and postings in fewer columns than they have. What a row
// costs PostgreSQL grows with the columns that it sends, and most of it is as
// expected: a transfer, nothing pending, the day and the currency of the row
// before. What is as expected is sent as null, and what is small in one number.
//
// Only rows that this can say without loss are read so. Of all others, such as one
// with a null where none can be, the first column is null: then the whole segment
// is read again, as it stands, and what is found does not depend on how it was read.

// errOdd means that a segment has a row that cannot be packed.
var errOdd = errors.New("a row that cannot be packed")

// The fields of the packed columns, from the lowest bit up; the numbers in the
// statements are their powers of two.
const (
	packedAccountSeqBits   = 38
	packedTruthBits        = 1
	packedOrdinalBits      = 9
	packedPostingCountBits = 9
	// maxPacked is how many seqs a packed segment spans at most: 63 bits are used.
	maxPacked = 1 << 13
)

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
}

// expect remembers the last rows for the next segment.
func (s *segment) expect() {
	if n := len(s.entries); n > 0 {
		s.expected.booking = s.entries[n-1].entry.BookingDate
	}
	if n := len(s.postings); n > 0 {
		p := &s.postings[n-1]
		s.expected.currency, s.expected.scale, s.expected.effective = p.Currency, p.Scale, p.EffectiveDate
	}
}

// base is where seq is counted from in packed columns; ok is false where the
// segment is too long for them.
func (s *segment) base() (base int64, ok bool) {
	base = max(s.low, 0)
	return base, s.high-base <= maxPacked
}

// readAgain reports whether, after an error of reading packed rows, they are to be
// read as they stand: also where the engine refuses the statement.
func readAgain(ctx context.Context, err error) bool {
	return err != nil && !errors.Is(err, errSegmentTooLarge) && (errors.Is(err, errOdd) || ctx.Err() == nil && !store.Passing(err))
}

// Index: the primary key. Beside its bounds, it is given where seq is counted
// from, and the booking date that is expected.
const packedEntriesSQL = `
select
    case when seq >= $4::int8 and format = 1 and posting_count >= 0 and posting_count < 512
        and kind is not null and booking_date is not null and effective_date is not null
    then ((seq - $4::int8) * 512 + posting_count) * 2 + case prior_period when true then 1 when false then 0 end end,
    request_id, prev_hash, entry_hash, recorded_at, actor,
    case when kind = 'transfer' then null else kind end,
    case when booking_date = $5::date then null else booking_date end,
    case when effective_date = booking_date then null else effective_date end,
    ref_seq, related_to, expires_at, description_commitment, reference_commitment, metadata_commitment
from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq`

// loadEntries reads the entries of the segment, packed if all of them can be.
func (s *segment) loadEntries(ctx context.Context, from *store.Snapshot) error {
	args := []any{from.LedgerID, s.low, s.high}
	base, ok := s.base()
	err := error(nil)
	if ok {
		like := s.expected
		all := append(args[:len(args):len(args)], base, like.booking.Time())
		err = from.Scan(ctx, packedEntriesSQL, all, func(r *store.Row) error { return s.addPackedEntry(from.LedgerID, r, base, &like) })
	}
	if !ok || readAgain(ctx, err) {
		s.entries = s.entries[:0]
		err = from.Scan(ctx, entriesSQL, args, func(r *store.Row) error { return s.addEntry(from.LedgerID, r) })
	}
	if err != nil && !errors.Is(err, errSegmentTooLarge) {
		return fmt.Errorf("reading book.entries: %w", err)
	}
	return err
}

func (s *segment) addPackedEntry(ledger uuid.UUID, r *store.Row, base int64, like *expected) error {
	if r.IsNull(0) {
		return errOdd
	}
	if int64(len(s.entries)) >= 2*s.bounds.segmentEntries {
		return errSegmentTooLarge // seq is not unique any more
	}
	s.entries = append(s.entries, entryRow{format: formatVersion})
	row := &s.entries[len(s.entries)-1]
	e, number := &row.entry, packed(r.Int64(0))
	e.LedgerID, e.PriorPeriod = ledger, number.truth()
	row.postingCount = number.take(packedPostingCountBits)
	e.Seq = base + int64(number)
	e.RequestID, e.PrevHash, row.stored = r.UUID(1), r.Hash(2), r.Hash(3)
	e.RecordedAt, e.Actor = r.Micros(4), r.UUID(5)
	if e.Kind = chain.Transfer; !r.IsNull(6) {
		var known bool
		if e.Kind, known = chain.KindNamed(string(r.Text(6))); !known {
			return errOdd
		}
	}
	if e.BookingDate = like.booking; !r.IsNull(7) {
		e.BookingDate = r.Date(7)
	}
	if e.EffectiveDate = e.BookingDate; !r.IsNull(8) {
		e.EffectiveDate = r.Date(8)
	}
	row.readReferences(r, 9)
	row.readCommitments(r, 12)
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

// Index: the primary key. Beside its bounds, it is given where seq is counted
// from, and what is expected.
const packedPostingsSQL = `
select
    case when seq >= $4::int8 and ordinal >= 0 and ordinal < 512 and account_seq >= 0 and account_seq < 274877906944
        and currency is not null and scale is not null and effective_date is not null
        and pending_change is not null and pending_debit is not null and pending_credit is not null
    then (((seq - $4::int8) * 512 + ordinal) * 8
        + case direction when 'debit' then 4 when 'credit' then 0 end
        + case back_valued when true then 2 when false then 0 end
        + case repeats when true then 1 when false then 0 end) * 274877906944 + account_seq end,
    account_id, amount, posted,
    case when currency = $5::text then null else currency end,
    case when scale = $6::int8 then null else scale end,
    case when pending_change = 0 then null else pending_change end,
    case when pending_debit = 0 then null else pending_debit end,
    case when pending_credit = 0 then null else pending_credit end,
    case when effective_date = $7::date then null else effective_date end
from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq, ordinal`

// loadPostings reads the postings of the segment, packed if all of them can be.
func (s *segment) loadPostings(ctx context.Context, from *store.Snapshot, words *words) error {
	args := []any{from.LedgerID, s.low, s.high}
	base, ok := s.base()
	err := error(nil)
	if ok {
		like := s.expected
		all := append(args[:len(args):len(args)], base, like.currency, int64(like.scale), like.effective.Time())
		err = from.Scan(ctx, packedPostingsSQL, all, func(r *store.Row) error { return s.addPacked(r, base, &like, words) })
	}
	if !ok || readAgain(ctx, err) {
		s.postings, s.places = s.postings[:0], s.places[:0]
		err = from.Scan(ctx, postingsSQL, args, func(r *store.Row) error { return s.addPosting(r, words) })
	}
	if err != nil && !errors.Is(err, errSegmentTooLarge) {
		return fmt.Errorf("reading book.postings: %w", err)
	}
	return err
}

func (s *segment) addPacked(r *store.Row, base int64, like *expected, words *words) error {
	if r.IsNull(0) {
		return errOdd
	}
	if len(s.postings) == s.bounds.segmentPostings {
		return errSegmentTooLarge
	}
	s.postings = append(s.postings, chain.Posting{})
	p, number := &s.postings[len(s.postings)-1], packed(r.Int64(0))
	p.AccountSeq = number.take(packedAccountSeqBits)
	at := place{repeats: number.truth(), backValued: number.truth()}
	if p.Direction = chain.Credit; number.truth() {
		p.Direction = chain.Debit
	}
	at.ordinal = number.take(packedOrdinalBits)
	at.seq = base + int64(number)
	s.places = append(s.places, at)
	p.AccountID = r.UUID(1)
	if p.Currency = like.currency; !r.IsNull(4) {
		p.Currency = words.of(r.Text(4))
	}
	if p.Scale = like.scale; !r.IsNull(5) {
		p.Scale = r.Scale(5)
	}
	p.Amount, p.Posted = r.Units(2, p.Scale), r.Units(3, p.Scale)
	for i, units := range []*money.Int128{&p.PendingChange, &p.PendingDebit, &p.PendingCredit} {
		if !r.IsNull(6 + i) {
			*units = r.Units(6+i, p.Scale)
		}
	}
	if p.EffectiveDate = like.effective; !r.IsNull(9) {
		p.EffectiveDate = r.Date(9)
	}
	return oddIfRejected(r)
}
