package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// This file finds places in what is in order: entries by their times, the
// postings of an account by their entries.

// probes is how many places one step of a search looks at: with 63, three
// statements find one of 262,144 entries, and four one of 16 million.
const probes = 63

// lastWhere returns the greatest n in 1…end−1 that is counted in, 0 when there
// is none. holding returns how many of ns, which rise, are: all up to one of
// them, and none beyond it.
func lastWhere(end int64, holding func(ns []int64) (int, error)) (int64, error) {
	low, high := int64(0), end
	for high-low > 1 {
		count := min(probes, high-low-1)
		ns := make([]int64, count)
		for i := range ns {
			ns[i] = low + (high-low)*int64(i+1)/(count+1)
		}
		n, err := holding(ns)
		if err != nil {
			return 0, err
		}
		if n < len(ns) {
			high = ns[n]
		}
		if n > 0 {
			low = ns[n-1]
		}
	}
	return low, nil
}

// Index: the primary key.
var timesOfEntries = keyed{keys: `$2::int8[]`, most: 1, order: `seq`,
	lookup: `select seq, recorded_at, booking_date from book.entries where ledger_id = $1::uuid and seq = u.key`}

// lastBooked returns the last seq booked on or before d, −1 when there is none.
func (db *DB) lastBooked(ctx context.Context, id ledger.LedgerID, d chain.Date, head ledger.Head) (int64, error) {
	over := head.BookingDate > d
	if over {
		if seq, ok := db.facts.dayEnd(id, d); ok {
			return seq, nil
		}
	}
	seq, err := db.lastEntry(ctx, id, head, func(_ time.Time, booking chain.Date) bool { return booking <= d })
	if over && err == nil {
		db.facts.keepDayEnd(id, d, seq)
	}
	return seq, err
}

// SeqAt returns the last seq recorded at or before t, −1 when there is none.
func (db *DB) SeqAt(ctx context.Context, id ledger.LedgerID, t time.Time) (int64, error) {
	head, err := db.head(ctx, id)
	if err != nil {
		return 0, err
	}
	return db.lastEntry(ctx, id, head, func(recorded time.Time, _ chain.Date) bool { return !recorded.After(t) })
}

// lastEntry finds the last entry for which ok holds, over the primary key; ok
// must hold up to some entry and not beyond it.
func (db *DB) lastEntry(ctx context.Context, id ledger.LedgerID, head ledger.Head, ok func(time.Time, chain.Date) bool) (int64, error) {
	if ok(time.UnixMicro(head.RecordedAt), head.BookingDate) {
		return head.Seq, nil
	}
	n, err := lastWhere(head.Seq+1, func(ns []int64) (int, error) {
		seqs := make([]int64, len(ns)) // n entries are those up to seq n−1
		for i, n := range ns {
			seqs[i] = n - 1
		}
		rows, err := db.pool.Query(ctx, timesOfEntries.on(db.engine), uuidOf(&id.UUID), seqs)
		if err != nil {
			return 0, err
		}
		var seq int64
		var recorded, booking time.Time
		met, holding := 0, 0
		_, err = pgx.ForEachRow(rows, []any{&seq, &recorded, &booking}, func() error {
			met++
			if ok(recorded, chain.DateOf(booking)) {
				holding++
			}
			return nil
		})
		if err == nil && met < len(seqs) {
			err = ErrDamaged // entries are dense
		}
		return holding, err
	})
	if err != nil {
		return 0, fmt.Errorf("searching entries by time: %w", err)
	}
	return n - 1, nil
}

// Index of both: i9_postings_account_seq, which includes seq.
const newestAccountSeqSQL = `select account_seq, seq from book.postings where account_id = $1::uuid order by account_seq desc limit 1`

var seqsOfPostings = keyed{keys: `$2::int8[]`, most: 1, order: `account_seq`,
	lookup: `select account_seq, seq from book.postings where account_id = $1::uuid and account_seq = u.key`}

// accountSeqAt returns how many postings an account had as of entry seq:
// account_seq and seq rise together.
func (db *DB) accountSeqAt(ctx context.Context, account uuid.UUID, seq int64) (int64, error) {
	var newest, newestSeq int64
	err := db.pool.QueryRow(ctx, newestAccountSeqSQL, uuidOf(&account)).Scan(&newest, &newestSeq)
	if errNone := notFound(err); errNone == ErrNotFound {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the newest posting of account %s: %w", account, err)
	}
	return db.numberUpTo(ctx, account, seq, 0, newest, newestSeq)
}

// numberUpTo does the same where the newest posting is known, with its entry, and
// the entry that opened the account, or 0.
func (db *DB) numberUpTo(ctx context.Context, account uuid.UUID, seq, opened, newest, newestSeq int64) (int64, error) {
	switch {
	case newestSeq <= seq:
		return newest, nil
	case seq <= opened:
		return 0, nil
	}
	n, err := lastWhere(newest, func(ns []int64) (int, error) { return db.postingsUpTo(ctx, account, ns, seq) })
	if err != nil {
		return 0, fmt.Errorf("searching the postings of account %s: %w", account, err)
	}
	return n, nil
}

// postingsUpTo returns how many of the postings of those numbers are at or
// before entry seq.
func (db *DB) postingsUpTo(ctx context.Context, account uuid.UUID, numbers []int64, seq int64) (int, error) {
	rows, err := db.pool.Query(ctx, seqsOfPostings.on(db.engine), uuidOf(&account), numbers)
	if err != nil {
		return 0, err
	}
	var number, at int64
	met, holding := 0, 0
	_, err = pgx.ForEachRow(rows, []any{&number, &at}, func() error {
		met++
		if at <= seq {
			holding++
		}
		return nil
	})
	if err == nil && met < len(numbers) {
		err = ErrDamaged // account_seq is dense
	}
	return holding, err
}
