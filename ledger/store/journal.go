package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

var _ ledger.Journal = (*DB)(nil)

// Index: the primary key, read backwards for one row.
const headSQL = `
select seq, entry_hash, recorded_at, booking_date from book.entries
where ledger_id = $1::uuid order by seq desc limit 1`

// Indexes: entries_rules and entries_keys.
const rulesSQL = `
select seq from book.entries
where ledger_id = $1::uuid and seq <= $2::int8 and kind in ('period_closed', 'period_reopened', 'currency_defined')
union all
select seq from book.entries
where ledger_id = $1::uuid and seq <= $2::int8 and kind = 'key_changed'
order by seq`

// Opening returns what a book begins with, as of the newest entry.
func (db *DB) Opening(ctx context.Context, id ledger.LedgerID) (ledger.Opening, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	terms, err := db.terms(ctx, id)
	if err != nil {
		return ledger.Opening{}, err
	}
	head, err := db.head(ctx, id)
	if err != nil {
		return ledger.Opening{}, err
	}
	newest, err := db.entriesAt(ctx, id, []int64{head.Seq}, false)
	if err == nil && len(newest) == 0 {
		err = fmt.Errorf("reading entry %d: %w", head.Seq, ErrNotFound)
	}
	if err != nil {
		return ledger.Opening{}, err
	}
	seqs, err := db.seqs(ctx, rulesSQL, uuidOf(&id.UUID), head.Seq)
	if err != nil {
		return ledger.Opening{}, err
	}
	rules, err := db.entriesAt(ctx, id, seqs, false)
	return ledger.Opening{Terms: terms, Newest: newest[0], Rules: rules}, err
}

// head returns the newest entry of a ledger.
func (db *DB) head(ctx context.Context, id ledger.LedgerID) (ledger.Head, error) {
	before := db.facts.newest(id)
	head, err := scanHead(db.pool.QueryRow(ctx, headSQL, uuidOf(&id.UUID)))
	if err != nil {
		return ledger.Head{}, fmt.Errorf("reading the head of ledger %s: %w", id, err)
	}
	db.facts.saw(id, before, head)
	return head, nil
}

func scanHead(row pgx.Row) (ledger.Head, error) {
	var h ledger.Head
	var hash []byte
	var recorded, booking time.Time
	if err := row.Scan(&h.Seq, &hash, &recorded, &booking); err != nil {
		return h, notFound(err)
	}
	copy(h.Hash[:], hash)
	h.RecordedAt, h.BookingDate = recorded.UnixMicro(), chain.DateOf(booking)
	return h, nil
}

// One statement, so that the head and the ids are of one snapshot. Indexes:
// the primary key read backwards, and i8_entries_request.
const headArmSQL = `
(select seq, entry_hash, recorded_at, booking_date, true from book.entries
 where ledger_id = $1::uuid order by seq desc limit 1)
union all `

var requested = keyed{keys: `$2::uuid[]`, most: 1,
	lookup: `select seq, entry_hash, recorded_at, booking_date, false from book.entries where ledger_id = $1::uuid and request_id = u.key`}

// Requests returns the head and, of the same snapshot, the entries that stand
// under ids.
func (db *DB) Requests(ctx context.Context, id ledger.LedgerID, ids []ledger.RequestID) (ledger.Head, map[ledger.RequestID]*ledger.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	rows, err := db.pool.Query(ctx, headArmSQL+requested.on(db.engine), uuidOf(&id.UUID), requestUUIDs(ids))
	if err != nil {
		return ledger.Head{}, nil, fmt.Errorf("looking for request ids: %w", err)
	}
	var head ledger.Head
	var seqs []int64
	var isHead bool
	var hash []byte
	var recorded, booking time.Time
	var seq int64
	_, err = pgx.ForEachRow(rows, []any{&seq, &hash, &recorded, &booking, &isHead}, func() error {
		if isHead {
			head = ledger.Head{Seq: seq, RecordedAt: recorded.UnixMicro(), BookingDate: chain.DateOf(booking)}
			copy(head.Hash[:], hash)
			return nil
		}
		seqs = append(seqs, seq)
		return nil
	})
	if err != nil {
		return ledger.Head{}, nil, fmt.Errorf("looking for request ids: %w", err)
	}
	entries, err := db.entriesAt(ctx, id, seqs, true)
	if err != nil {
		return ledger.Head{}, nil, err
	}
	found := make(map[ledger.RequestID]*ledger.Entry, len(entries))
	for i := range entries {
		found[entries[i].RequestID()] = &entries[i]
	}
	return head, found, nil
}

const reportSQL = `
insert into ops.findings (finding_id, ledger_id, found_at, source, code, severity, seq, transfer_id, account,
    column_name, stored, recomputed, next_step)
values ($1::uuid, $2::uuid, $3::timestamptz, $4::text, $5::text, $6::text, $7::int8, $8::text, $9::text,
    $10::text, $11::text, $12::text, $13::text)`

// Report stores a finding of source about a ledger.
func (db *DB) Report(ctx context.Context, id ledger.LedgerID, source string, f chain.Finding) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	findingID, err := ledger.NewRequestID()
	if err != nil {
		return err
	}
	_, err = db.pool.Exec(ctx, reportSQL, uuidOf(&findingID.UUID), uuidOf(&id.UUID), time.Now(), source,
		f.Code, string(f.Severity), f.Seq, f.TransferID, f.Account, f.Column, f.Stored, f.Recomputed, f.NextStep)
	if err != nil {
		return fmt.Errorf("storing the finding %s: %w", f.Code, err)
	}
	return nil
}

// ClockOffset returns how far the database's clock is ahead of this machine's,
// less what the round trip may account for.
func (db *DB) ClockOffset(ctx context.Context) (time.Duration, error) {
	var theirs time.Time
	before := time.Now()
	if err := db.pool.QueryRow(ctx, `select clock_timestamp()`).Scan(&theirs); err != nil {
		return 0, fmt.Errorf("reading the database's clock: %w", err)
	}
	after := time.Now()
	half := after.Sub(before) / 2
	offset := theirs.Sub(before.Add(half))
	if offset.Abs() <= half {
		return 0, nil
	}
	if offset > 0 {
		return offset - half, nil
	}
	return offset + half, nil
}
