package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// LedgerInfo describes a ledger as of its newest entry.
type LedgerInfo struct {
	ID    ledger.LedgerID
	Terms chain.LedgerTerms
	Size  int64      // number of entries
	Head  chain.Hash // of entry Size − 1
}

// ledgerNames remembers which ledger a name or id stands for. Ledgers are
// never renamed or removed, so nothing is ever forgotten; only names that exist
// get in.
type ledgerNames struct {
	mu  sync.RWMutex
	ids map[string]ledger.LedgerID
}

func (n *ledgerNames) get(name string) (ledger.LedgerID, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	id, ok := n.ids[name]
	return id, ok
}

func (n *ledgerNames) put(name string, id ledger.LedgerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ids == nil {
		n.ids = make(map[string]ledger.LedgerID)
	}
	n.ids[name] = id
}

const insertLedgerSQL = `
insert into book.ledgers (ledger_id, name, origin, time_zone, day_cutoff, base_currency, base_scale, value_days_back, value_days_ahead)
values ($1::uuid, $2::text, $3::text, $4::text, $5::int8, $6::text, $7::int8, $8::int8, $9::int8)`

const insertFirstEntrySQL = `
insert into book.entries (ledger_id, seq, format, kind, request_id, prev_hash, entry_hash, recorded_at,
    booking_date, effective_date, actor, prior_period, posting_count)
values ($1::uuid, 0, $2::int8, $3::text, $4::uuid, $5::bytea, $6::bytea, $7::timestamptz, $8::date, $9::date, $10::uuid, false, 0)`

const insertTurnSQL = `insert into ops.turns (ledger_id) values ($1::uuid) on conflict (ledger_id) do nothing`

// OpenLedger opens a ledger. When one of that name exists with the same terms
// and, if one is named, the same predecessor, that is returned and created is
// false; otherwise the refusal is ledger.CodeLedgerExists.
func (db *DB) OpenLedger(ctx context.Context, r ledger.OpenLedger) (info LedgerInfo, created bool, refused *ledger.Refusal, err error) {
	terms, refused := r.Terms()
	if refused != nil {
		return LedgerInfo{}, false, refused, nil
	}
	if offset, err := db.ClockOffset(ctx); err != nil || offset.Abs() > ledger.MaxClockOffset {
		return LedgerInfo{}, false, nil, errors.Join(fmt.Errorf(
			"opening ledger %s: this clock must be within %v of the database's and is %v off", terms.Name, ledger.MaxClockOffset, offset), err)
	}
	return db.OpenSimulation(ctx, r, time.Now())
}

// OpenSimulation is OpenLedger at a time that may be made up, see
// ledger.NewSimulation. The time is not compared with any clock.
func (db *DB) OpenSimulation(ctx context.Context, r ledger.OpenLedger, at time.Time) (info LedgerInfo, created bool, refused *ledger.Refusal, err error) {
	terms, refused := r.Terms()
	if refused != nil {
		return LedgerInfo{}, false, refused, nil
	}
	first, err := r.FirstEntry(terms, at)
	if err != nil {
		return LedgerInfo{}, false, nil, err
	}
	err = db.insertLedger(ctx, terms, &first)
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return LedgerInfo{ID: r.ID, Terms: terms, Size: 1, Head: first.Hash()}, true, nil, nil
	case !errors.As(err, &pgErr) || pgErr.Code != codeUnique:
		return LedgerInfo{}, false, nil, fmt.Errorf("opening ledger %s: %w", terms.Name, err)
	}
	info, same, err := db.openedBefore(ctx, &r, terms)
	if err != nil {
		return LedgerInfo{}, false, nil, err
	}
	if same {
		return info, false, nil, nil
	}
	return LedgerInfo{}, false, &ledger.Refusal{Code: ledger.CodeLedgerExists, Posting: -1,
		Detail: "a ledger of this name or id exists with other terms, and terms never change; choose another name"}, nil
}

// openedBefore returns the ledger of that name, and whether it is the one that r
// asks for.
func (db *DB) openedBefore(ctx context.Context, r *ledger.OpenLedger, terms chain.LedgerTerms) (info LedgerInfo, same bool, err error) {
	info, err = db.Ledger(ctx, terms.Name)
	if errors.Is(err, ErrNotFound) {
		return LedgerInfo{}, false, nil // the id is taken
	}
	if err != nil {
		return LedgerInfo{}, false, err
	}
	terms.Origin = info.Terms.Origin // names the id, which the caller need not know
	if terms != info.Terms || r.Predecessor == nil {
		return info, terms == info.Terms, nil
	}
	first, err := db.Entry(ctx, info.ID, 0)
	if err != nil {
		return LedgerInfo{}, false, err
	}
	return info, slices.Equal(first.Record().Details, r.Predecessor.Details()), nil
}

func (db *DB) insertLedger(ctx context.Context, t chain.LedgerTerms, first *ledger.Entry) error {
	r, hash := first.Record(), first.Hash()
	id := uuidOf(&r.LedgerID)
	var b pgx.Batch
	b.Queue(insertLedgerSQL, id, t.Name, t.Origin, t.TimeZone, int64(t.DayCutoff), t.BaseCurrency, int64(t.BaseScale),
		int64(t.ValueDaysBack), int64(t.ValueDaysAhead))
	b.Queue(insertFirstEntrySQL, id, int64(entryFormat), r.Kind.String(), uuidOf(&r.RequestID), r.PrevHash[:], hash[:],
		first.RecordedAt(), r.BookingDate.Time(), r.EffectiveDate.Time(), uuidOf(&r.Actor))
	b.Queue(insertTurnSQL, id)
	queueDetails(&b, ledger.LedgerID{UUID: r.LedgerID}, []ledger.Entry{*first})
	return db.posting.SendBatch(ctx, &b).Close()
}

const ledgerColumns = `ledger_id, name, origin, time_zone, day_cutoff, base_currency, base_scale, value_days_back, value_days_ahead`

const (
	ledgerByNameSQL = `select ` + ledgerColumns + ` from book.ledgers where name = $1::text`
	ledgerByIDSQL   = `select ` + ledgerColumns + ` from book.ledgers where ledger_id = $1::uuid`
	ledgersSQL      = `select ` + ledgerColumns + ` from book.ledgers where name > $1::text order by name limit $2::int8`
)

func scanLedger(row pgx.Row) (LedgerInfo, error) {
	var info LedgerInfo
	var scale, cutoff, back, ahead int64
	t := &info.Terms
	err := row.Scan((*[16]byte)(&info.ID.UUID), &t.Name, &t.Origin, &t.TimeZone, &cutoff, &t.BaseCurrency, &scale, &back, &ahead)
	t.DayCutoff, t.BaseScale = int32(cutoff), uint8(scale)
	t.ValueDaysBack, t.ValueDaysAhead = int32(back), int32(ahead)
	return info, notFound(err)
}

// Ledger returns the ledger of that name or UUID with its size and head, or
// ErrNotFound.
func (db *DB) Ledger(ctx context.Context, nameOrID string) (LedgerInfo, error) {
	var info LedgerInfo
	var err error
	if id, bad := uuid.Parse(nameOrID); bad == nil && len(nameOrID) == 36 {
		info, err = scanLedger(db.pool.QueryRow(ctx, ledgerByIDSQL, uuidOf(&id)))
	} else {
		info, err = scanLedger(db.pool.QueryRow(ctx, ledgerByNameSQL, nameOrID))
	}
	if err != nil {
		return LedgerInfo{}, fmt.Errorf("reading ledger %q: %w", nameOrID, err)
	}
	if err := db.readHead(ctx, &info); err != nil {
		return LedgerInfo{}, err
	}
	db.ledgers.put(nameOrID, info.ID)
	return info, nil
}

func (db *DB) readHead(ctx context.Context, info *LedgerInfo) error {
	head, err := db.head(ctx, info.ID)
	if errors.Is(err, ErrNotFound) {
		return nil // every entry was deleted: size 0 says so
	}
	if err != nil {
		return err
	}
	info.Size, info.Head = head.Seq+1, head.Hash
	return nil
}

// Size returns the number of entries of a ledger, 0 when there are none left.
func (db *DB) Size(ctx context.Context, id uuid.UUID) (int64, error) {
	info := LedgerInfo{ID: ledger.LedgerID{UUID: id}}
	err := db.readHead(ctx, &info)
	return info.Size, err
}

// LedgerID returns which ledger a name or UUID stands for, or ErrNotFound.
func (db *DB) LedgerID(ctx context.Context, nameOrID string) (ledger.LedgerID, error) {
	if id, ok := db.ledgers.get(nameOrID); ok {
		return id, nil
	}
	info, err := db.Ledger(ctx, nameOrID)
	return info.ID, err
}

// Ledgers returns up to limit ledgers by name, those after afterName.
func (db *DB) Ledgers(ctx context.Context, afterName string, limit int) ([]LedgerInfo, error) {
	rows, err := db.pool.Query(ctx, ledgersSQL, afterName, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("listing ledgers: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (LedgerInfo, error) { return scanLedger(row) })
	if err != nil {
		return nil, fmt.Errorf("listing ledgers: %w", err)
	}
	for i := range list {
		if err := db.readHead(ctx, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// terms returns the terms of a ledger.
func (db *DB) terms(ctx context.Context, id ledger.LedgerID) (chain.LedgerTerms, error) {
	info, err := scanLedger(db.pool.QueryRow(ctx, ledgerByIDSQL, uuidOf(&id.UUID)))
	if err != nil {
		return chain.LedgerTerms{}, fmt.Errorf("reading the terms of ledger %s: %w", id, err)
	}
	return info.Terms, nil
}
