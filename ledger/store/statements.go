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
	a, err := db.accountAsOf(ctx, id, f.Code, at.Seq)
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
	if err := db.fillStatement(ctx, &s, before, max(before, last)); err != nil {
		return Statement{}, fmt.Errorf("reading the statement of account %q: %w", f.Code, err)
	}
	if err := db.fillLines(ctx, id, &s, f); err != nil {
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

// fillStatement sets the balances before and after the entries of the interval,
// and what was booked between.
func (db *DB) fillStatement(ctx context.Context, s *Statement, before, last int64) error {
	account := s.Account.AccountID
	numbers, err := db.accountSeqsAt(ctx, account, before, last)
	if err != nil {
		return err
	}
	s.Opening.AccountSeq, s.Closing.AccountSeq = numbers[0], numbers[1]
	if numbers[1] == 0 {
		return nil
	}
	var b pgx.Batch
	b.Queue(postingsNumbered.on(db.engine), uuidOf(&account), slices.Compact(slices.Clone(numbers)))
	b.Queue(turnoverSQL, uuidOf(&account), numbers[0], numbers[1])
	results := db.pool.SendBatch(ctx, &b)
	err = errors.Join(s.scanBalances(results), s.scanTurnover(results))
	return errors.Join(err, results.Close())
}

func (s *Statement) scanBalances(results pgx.BatchResults) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
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

func (s *Statement) scanTurnover(results pgx.BatchResults) error {
	var debits, credits stored
	if err := results.QueryRow().Scan(&debits, &credits); err != nil {
		return err
	}
	s.Debits, s.Credits = debits.units(s.Account.Scale), credits.units(s.Account.Scale)
	if !s.Debits.InRange() || !s.Credits.InRange() {
		return ErrDamaged
	}
	return nil
}

// fillLines reads the lines of the page.
func (db *DB) fillLines(ctx context.Context, id ledger.LedgerID, s *Statement, f StatementFilter) error {
	after := max(s.Opening.AccountSeq, f.After)
	count := min(s.Closing.AccountSeq-after, int64(f.Limit))
	if count <= 0 {
		return nil
	}
	rows, err := db.pool.Query(ctx, accountPostingsSQL, uuidOf(&s.Account.AccountID), after, count)
	if err != nil {
		return err
	}
	seqs := make([]int64, 0, count)
	s.Lines, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (StatementLine, error) {
		seq, p, err := scanPosting(row)
		seqs = append(seqs, seq)
		return StatementLine{Posting: p}, err
	})
	if err != nil {
		return err
	}
	a := db.assemble(id, false)
	if err := a.readEntries(ctx, entriesAt.on(db.engine), seqs); err != nil {
		return err
	}
	if err := a.readTexts(ctx, seqs); err != nil {
		return err
	}
	entries := a.entries()
	for i := range s.Lines {
		at, ok := a.bySeq[seqs[i]]
		if !ok || !s.Lines[i].Posting.Amount.InRange() || !s.Lines[i].Posting.Posted.InRange() {
			return fmt.Errorf("reading entry %d: %w", seqs[i], ErrDamaged)
		}
		s.Lines[i].Entry = entries[at]
	}
	if after += int64(len(s.Lines)); after < s.Closing.AccountSeq {
		s.Next = after
	}
	return nil
}
