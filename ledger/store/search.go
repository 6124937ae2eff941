package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// searchWindow bounds the entries that one page of a search looks at where no
// index leads to the hits.
const searchWindow = 20_000

// EntryFilter selects entries; zero fields select everything.
type EntryFilter struct {
	From          int64 // first seq looked at
	Kinds         []chain.Kind
	Reference     string
	Account       string // code
	AccountPrefix string // by whole segments
	FromDate      *chain.Date
	ToDate        *chain.Date // inclusive; both are booking dates
	Limit         int
}

// EntryPage is a page of a search. Next is where the next page begins, nil when
// there is none; a page may hold fewer entries than asked for, even none, and
// still have a next one, because the work for one page is bounded.
type EntryPage struct {
	Entries []ledger.Entry
	Next    *int64
}

// Entries returns the entries that f selects, in order of seq.
func (db *DB) Entries(ctx context.Context, id ledger.LedgerID, f EntryFilter) (EntryPage, error) {
	head, err := db.head(ctx, id)
	if err != nil {
		return EntryPage{}, err
	}
	first, last, err := db.interval(ctx, id, f, head)
	if err != nil || first > last {
		return EntryPage{}, err
	}
	seqs, next, err := db.candidates(ctx, id, f, first, last)
	if err != nil {
		return EntryPage{}, err
	}
	entries, err := db.entriesAt(ctx, id, seqs, true)
	if err == nil {
		err = readable(entries)
	}
	if err != nil {
		return EntryPage{}, err
	}
	return EntryPage{Entries: slices.DeleteFunc(entries, func(e ledger.Entry) bool { return !f.selects(&e) }), Next: next}, nil
}

// selects repeats the conditions that candidates may not have used.
func (f *EntryFilter) selects(e *ledger.Entry) bool {
	r := e.Record()
	if len(f.Kinds) > 0 && !slices.Contains(f.Kinds, r.Kind) {
		return false
	}
	if ref := e.Text().Reference; f.Reference != "" && (ref == nil || *ref != f.Reference) {
		return false
	}
	if f.Account == "" && f.AccountPrefix == "" {
		return true
	}
	return slices.ContainsFunc(e.Accounts(), func(a ledger.PostingAccount) bool {
		return (f.Account == "" || a.Code == f.Account) && (f.AccountPrefix == "" || underPrefix(a.Code, f.AccountPrefix))
	})
}

// underPrefix reports whether code is prefix or lies under it by whole segments.
func underPrefix(code, prefix string) bool {
	return code == prefix || len(code) > len(prefix) && code[:len(prefix)] == prefix && code[len(prefix)] == ':'
}

// interval turns the dates of f into seqs: booking dates never go back, so a
// business day is an interval of seq.
func (db *DB) interval(ctx context.Context, id ledger.LedgerID, f EntryFilter, head ledger.Head) (first, last int64, err error) {
	first, last = f.From, head.Seq
	if f.FromDate != nil {
		before, err := db.lastBooked(ctx, id, *f.FromDate-1, head)
		if err != nil {
			return 0, 0, err
		}
		first = max(first, before+1)
	}
	if f.ToDate != nil {
		if last, err = db.lastBooked(ctx, id, *f.ToDate, head); err != nil {
			return 0, 0, err
		}
	}
	return first, last, nil
}

const timesOfEntrySQL = `select recorded_at, booking_date from book.entries where ledger_id = $1::uuid and seq = $2::int8`

// lastBooked returns the last seq booked on or before d, −1 when there is none.
func (db *DB) lastBooked(ctx context.Context, id ledger.LedgerID, d chain.Date, head ledger.Head) (int64, error) {
	return db.lastEntry(ctx, id, head, func(_ time.Time, booking chain.Date) bool { return booking <= d })
}

// SeqAt returns the last seq recorded at or before t, −1 when there is none.
func (db *DB) SeqAt(ctx context.Context, id ledger.LedgerID, t time.Time) (int64, error) {
	head, err := db.head(ctx, id)
	if err != nil {
		return 0, err
	}
	return db.lastEntry(ctx, id, head, func(recorded time.Time, _ chain.Date) bool { return !recorded.After(t) })
}

// lastEntry finds the last entry for which ok holds, by binary search over the
// primary key; ok must hold up to some entry and not beyond it.
func (db *DB) lastEntry(ctx context.Context, id ledger.LedgerID, head ledger.Head, ok func(time.Time, chain.Date) bool) (int64, error) {
	if ok(time.UnixMicro(head.RecordedAt), head.BookingDate) {
		return head.Seq, nil
	}
	n, err := lastWhere(head.Seq+1, func(n int64) (bool, error) {
		var recorded, booking time.Time
		if err := db.pool.QueryRow(ctx, timesOfEntrySQL, uuidOf(&id.UUID), n-1).Scan(&recorded, &booking); err != nil {
			return false, fmt.Errorf("reading entry %d: %w", n-1, missing(err))
		}
		return ok(recorded, chain.DateOf(booking)), nil
	})
	return n - 1, err
}

const (
	// Index: payloads_reference.
	seqsByReferenceSQL = `select seq from ops.payloads
where ledger_id = $1::uuid and reference = $2::text and seq >= $3::int8 and seq <= $4::int8 order by seq limit $5::int8`
	// Index: i9_postings_account_seq.
	seqsByAccountSQL = `select seq from book.postings
where account_id = $1::uuid and account_seq > $2::int8 and seq <= $3::int8 order by account_seq limit $4::int8`
	// Index: the primary key of postings, over at most searchWindow entries.
	seqsByPrefixSQL = `select distinct seq from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq <= $3::int8 and account_id in (
    select account_id from book.accounts where ledger_id = $1::uuid and (code = $4::text or code like $5::text))
order by seq limit $6::int8`
	// Index: the primary key, over at most searchWindow entries.
	seqsByKindSQL = `select seq from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq <= $3::int8 and kind = any($4::text[]) order by seq limit $5::int8`
)

// candidates returns the seqs of one page by the most selective condition of
// f, and where the next page begins.
func (db *DB) candidates(ctx context.Context, id ledger.LedgerID, f EntryFilter, first, last int64) ([]int64, *int64, error) {
	ledgerID, limit := uuidOf(&id.UUID), int64(f.Limit)
	window := min(last, first+searchWindow-1)
	switch {
	case f.Reference != "":
		seqs, err := db.seqs(ctx, seqsByReferenceSQL, ledgerID, f.Reference, first, last, limit+1)
		return page(seqs, f.Limit), next(seqs, f.Limit, last, last), err
	case f.Account != "":
		seqs, err := db.seqsOfAccount(ctx, id, f, first, last)
		return page(seqs, f.Limit), next(seqs, f.Limit, last, last), err
	case f.AccountPrefix != "":
		seqs, err := db.seqs(ctx, seqsByPrefixSQL, ledgerID, first, window, f.AccountPrefix, likePrefix(f.AccountPrefix), limit+1)
		return page(seqs, f.Limit), next(seqs, f.Limit, window, last), err
	case len(f.Kinds) > 0:
		kinds := make([]string, len(f.Kinds))
		for i, k := range f.Kinds {
			kinds[i] = k.String()
		}
		seqs, err := db.seqs(ctx, seqsByKindSQL, ledgerID, first, window, kinds, limit+1)
		return page(seqs, f.Limit), next(seqs, f.Limit, window, last), err
	}
	var seqs []int64
	for seq := first; seq <= last && len(seqs) <= f.Limit; seq++ {
		seqs = append(seqs, seq)
	}
	return page(seqs, f.Limit), next(seqs, f.Limit, last, last), nil
}

// page cuts the one seq too many by which next knows of another page.
func page(seqs []int64, limit int) []int64 {
	return seqs[:min(limit, len(seqs))]
}

// next returns where the page after seqs begins, when all up to looked was
// looked at and last is the end.
func next(seqs []int64, limit int, looked, last int64) *int64 {
	var from int64
	switch {
	case len(seqs) > limit:
		from = seqs[limit]
	case looked < last:
		from = looked + 1
	default:
		return nil
	}
	return &from
}

// seqsOfAccount pages through the postings of one account.
func (db *DB) seqsOfAccount(ctx context.Context, id ledger.LedgerID, f EntryFilter, first, last int64) ([]int64, error) {
	accounts, err := db.accountRows(ctx, accountsByCodeSQL, uuidOf(&id.UUID), []string{f.Account})
	if err != nil || len(accounts) == 0 {
		return nil, err
	}
	before, err := db.accountSeqAt(ctx, accounts[0].AccountID, first-1)
	if err != nil {
		return nil, err
	}
	return db.seqs(ctx, seqsByAccountSQL, uuidOf(&accounts[0].AccountID), before, last, int64(f.Limit)+1)
}

func (db *DB) seqs(ctx context.Context, sql string, args ...any) ([]int64, error) {
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("searching entries: %w", err)
	}
	seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("searching entries: %w", err)
	}
	return seqs, nil
}

// Indexes: i12_entries_settled and i12_entries_reversed, one arm each.
const actingOnSQL = `
(select seq from book.entries where ledger_id = $1::uuid and ref_seq = $2::int8 and kind in ('capture', 'release'))
union all
(select seq from book.entries where ledger_id = $1::uuid and ref_seq = $2::int8 and kind = 'reversal')
order by seq`

// Transfer returns the entry that the request became and those that act on it,
// or ErrNotFound.
func (db *DB) Transfer(ctx context.Context, id ledger.LedgerID, request ledger.RequestID) ([]ledger.Entry, error) {
	_, found, err := db.Requests(ctx, id, []ledger.RequestID{request})
	if err != nil {
		return nil, err
	}
	e := found[request]
	if e == nil {
		return nil, fmt.Errorf("reading transfer %s: %w", request, ErrNotFound)
	}
	switch e.Record().Kind {
	case chain.Transfer, chain.Hold:
	default:
		return nil, fmt.Errorf("reading transfer %s, which is a %s: %w", request, e.Record().Kind, ErrNotFound)
	}
	seqs, err := db.seqs(ctx, actingOnSQL, uuidOf(&id.UUID), e.Seq())
	if err != nil {
		return nil, err
	}
	acting, err := db.entriesAt(ctx, id, seqs, true)
	if err != nil {
		return nil, err
	}
	entries := append([]ledger.Entry{*e}, acting...)
	return entries, readable(entries)
}
