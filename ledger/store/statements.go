package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Newest, as the entry as of which something is read, is the newest there is.
const Newest int64 = math.MaxInt64

// Statement is a page of the postings of an account in an interval of booking
// dates. Everything but Lines and Next is about the whole interval, and the same
// on every page that is read as of the same entry.
type Statement struct {
	Account ledger.Account // attributes as of AsOf, the closing balance as state
	AsOf    int64          // the entry as of which it was read
	Opening StatementBalance
	Closing StatementBalance
	Debits  money.Int128 // sum of what was booked on the debit side
	Credits money.Int128
	Lines   []StatementLine
	Next    int64 // the account_seq after which the next page begins, 0 when there is none
}

// StatementBalance is the state of an account before or after an interval.
type StatementBalance struct {
	AccountSeq int64        // of the last posting up to there, 0 before the first
	Posted     money.Int128 // debit-positive
}

// Count returns the number of postings in the interval.
func (s *Statement) Count() int64 { return s.Closing.AccountSeq - s.Opening.AccountSeq }

// StatementLine is a posting with what its entry says. The entry's postings are
// left out.
type StatementLine struct {
	Entry   ledger.Entry
	Posting chain.Posting
	seq     int64 // of the entry
}

// StatementFilter selects a page of a statement.
type StatementFilter struct {
	Code     string
	From, To chain.Date // booking dates, inclusive
	After    int64      // account_seq after which the page begins, 0 for the first page
	AsOf     int64      // Newest, or the AsOf of the page before
	Limit    int
}

// Statement returns a page of the statement of an account, or ErrNotFound when
// there is no such account, or no such entry as AsOf.
func (db *DB) Statement(ctx context.Context, id ledger.LedgerID, f StatementFilter) (Statement, error) {
	at, err := db.headAt(ctx, id, f.AsOf)
	if err != nil {
		return Statement{}, err
	}
	s := Statement{AsOf: at.Seq}
	a, err := db.accountOpened(ctx, id, f.Code, at.Seq)
	if err != nil {
		return Statement{}, err
	}
	s.Account = *a
	before, err := db.lastBooked(ctx, id, f.From-1, at)
	if err != nil {
		return Statement{}, err
	}
	last, err := db.lastBooked(ctx, id, f.To, at)
	if err != nil {
		return Statement{}, err
	}
	if err = db.findInterval(ctx, &s, before, max(before, last)); err == nil {
		err = db.fillStatement(ctx, id, &s, f)
	}
	if err == nil {
		err = db.fillLines(ctx, id, &s)
	}
	if err != nil {
		return Statement{}, fmt.Errorf("reading the statement of account %q: %w", f.Code, err)
	}
	return s, readableAccount(&s.Account)
}

const headAtSQL = `select seq, entry_hash, recorded_at, booking_date from book.entries where ledger_id = $1::uuid and seq = $2::int8`

// headAt returns what was the head when asOf was the newest entry.
func (db *DB) headAt(ctx context.Context, id ledger.LedgerID, asOf int64) (ledger.Head, error) {
	if asOf == Newest {
		return db.head(ctx, id)
	}
	head, err := scanHead(db.pool.QueryRow(ctx, headAtSQL, uuidOf(&id.UUID), asOf))
	if err != nil {
		return ledger.Head{}, fmt.Errorf("reading entry %d: %w", asOf, err)
	}
	return head, nil
}

// Index: i9_postings_account_seq.
const turnoverSQL = `select coalesce(sum(amount) filter (where direction = 'debit'), 0), coalesce(sum(amount) filter (where direction = 'credit'), 0)
from book.postings where account_id = $1::uuid and account_seq > $2::int8 and account_seq <= $3::int8`

var postingsNumbered = keyed{keys: `$2::int8[]`, most: 1, order: `account_seq`,
	lookup: `select ` + postingColumns + ` from book.postings where account_id = $1::uuid and account_seq = u.key`}

// findInterval sets the attributes of the account, and the numbers of its last
// postings up to two entries.
func (db *DB) findInterval(ctx context.Context, s *Statement, before, last int64) error {
	account := s.Account.AccountID
	var newest, newestSeq int64
	var b pgx.Batch
	sql, args := latestVersion.one(place{account, s.AsOf})
	b.Queue(sql, args...).QueryRow(func(row pgx.Row) error {
		v, err := scanVersion(row)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrDamaged // an account has attributes from its first entry on
		}
		s.Account.VersionSeq = v.seq
		v.fill(&s.Account.Account)
		return err
	})
	b.Queue(newestAccountSeqSQL, uuidOf(&account)).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&newest, &newestSeq)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err := db.pool.SendBatch(ctx, &b).Close(); err != nil {
		return err
	}
	opening, err := db.numberUpTo(ctx, account, before, s.Account.OpenedSeq, newest, newestSeq)
	if err != nil {
		return err
	}
	closing, err := db.numberUpTo(ctx, account, last, s.Account.OpenedSeq, newest, newestSeq)
	s.Opening.AccountSeq, s.Closing.AccountSeq = opening, closing
	return err
}

// fillStatement sets the name of the account, the balances before and after the
// entries of the interval, what was booked between, and the postings of the page.
func (db *DB) fillStatement(ctx context.Context, id ledger.LedgerID, s *Statement, f StatementFilter) error {
	account := uuidOf(&s.Account.AccountID)
	opening, closing := s.Opening.AccountSeq, s.Closing.AccountSeq
	sum := db.facts.turnover(s.Account.AccountID, opening, closing)
	var b pgx.Batch
	b.Queue(namesAt.on(db.engine), uuidOf(&id.UUID), []int64{s.Account.VersionSeq}).Query(func(rows pgx.Rows) error {
		return scanNames(rows, []*ledger.Account{&s.Account})
	})
	if closing > 0 {
		b.Queue(postingsNumbered.on(db.engine), account, slices.Compact([]int64{opening, closing})).Query(s.scanBalances)
	}
	if closing > sum.upTo {
		b.Queue(turnoverSQL, account, sum.upTo, closing).QueryRow(func(row pgx.Row) error { return sum.add(row, closing, s.Account.Scale) })
	}
	after := max(opening, f.After)
	if count := min(closing-after, int64(f.Limit)); count > 0 {
		b.Queue(accountPostingsSQL, account, after, count).Query(func(rows pgx.Rows) error { return s.scanLines(rows, after, after+count) })
	}
	if err := db.pool.SendBatch(ctx, &b).Close(); err != nil {
		return err
	}
	if s.Debits, s.Credits = sum.debits, sum.credits; !s.Debits.InRange() || !s.Credits.InRange() {
		return ErrDamaged
	}
	db.facts.keepTurnover(s.Account.AccountID, opening, sum)
	if after += int64(len(s.Lines)); len(s.Lines) > 0 && after < closing {
		s.Next = after
	}
	return nil
}

func (s *Statement) scanBalances(rows pgx.Rows) error {
	defer rows.Close()
	met := int64(0)
	for rows.Next() {
		seq, p, err := scanPosting(rows)
		if err != nil {
			return err
		}
		if p.AccountSeq == s.Opening.AccountSeq {
			s.Opening.Posted = p.Posted
		}
		if p.AccountSeq == s.Closing.AccountSeq {
			s.Closing.Posted = p.Posted
			setState(&s.Account, seq, &p)
		}
		met = p.AccountSeq
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if met != s.Closing.AccountSeq || !s.Opening.Posted.InRange() {
		return ErrDamaged
	}
	return nil
}

// add adds what was booked after t up to another posting.
func (t *turnover) add(row pgx.Row, upTo int64, scale uint8) error {
	var debits, credits stored
	if err := row.Scan(&debits, &credits); err != nil {
		return err
	}
	more := [2]money.Int128{debits.units(scale), credits.units(scale)}
	var fits [2]bool
	t.upTo = upTo
	t.debits, fits[0] = t.debits.Add(more[0])
	t.credits, fits[1] = t.credits.Add(more[1])
	if !more[0].InRange() || !more[1].InRange() || !fits[0] || !fits[1] {
		return ErrDamaged
	}
	return nil
}

// scanLines scans the postings after one number up to another; each must be there.
func (s *Statement) scanLines(rows pgx.Rows, after, upTo int64) error {
	defer rows.Close()
	s.Lines = make([]StatementLine, 0, upTo-after)
	into := newPostingScan()
	for rows.Next() {
		seq, p, err := into.scan(rows)
		if err != nil {
			return err
		}
		if after++; p.AccountSeq != after || !p.Amount.InRange() || !p.Posted.InRange() {
			return fmt.Errorf("reading posting %d: %w", after, ErrDamaged)
		}
		s.Lines = append(s.Lines, StatementLine{seq: seq, Posting: p})
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if after < upTo {
		return fmt.Errorf("reading posting %d: %w", after+1, ErrDamaged)
	}
	return nil
}

// fillLines reads the entries of the lines.
func (db *DB) fillLines(ctx context.Context, id ledger.LedgerID, s *Statement) error {
	if len(s.Lines) == 0 {
		return nil
	}
	seqs := make([]int64, len(s.Lines))
	for i := range s.Lines {
		seqs[i] = s.Lines[i].seq
	}
	a := db.assemble(id, false)
	a.records, a.hashes = make([]chain.Entry, 0, len(seqs)), make([]chain.Hash, 0, len(seqs))
	var b pgx.Batch
	b.Queue(entriesAt.on(db.engine), uuidOf(&id.UUID), seqs).Query(a.scanEntries)
	b.Queue(payloadsAt.on(db.engine), uuidOf(&id.UUID), seqs).Query(a.scanTexts)
	if err := db.pool.SendBatch(ctx, &b).Close(); err != nil {
		return err
	}
	if err := a.markErased(ctx); err != nil {
		return err
	}
	entries := a.entries()
	for i := range s.Lines {
		at, ok := a.bySeq[s.Lines[i].seq]
		if !ok {
			return fmt.Errorf("reading entry %d: %w", s.Lines[i].seq, ErrDamaged)
		}
		s.Lines[i].Entry = entries[at]
	}
	return nil
}
