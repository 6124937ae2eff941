package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
)

// NightTurn is the turn to run one night of a ledger.
type NightTurn struct {
	Ledger ledger.LedgerID
	Due    time.Time
	Tries  int64  // this one included
	Failed string // why the last try ended; empty when its process was lost
}

// ErrTurnLost: another process has taken over the night.
var ErrTurnLost = errors.New("another process has taken over the night")

// Index: the primary key, read backwards for one row.
const lastNightSQL = `
select due from ops.night_turns where ledger_id = $1::uuid order by due desc limit 1`

// LastNight returns when the newest night of a ledger was due, whatever has become
// of it; ok is false when none ever was.
func (db *DB) LastNight(ctx context.Context, id ledger.LedgerID) (due time.Time, ok bool, err error) {
	err = db.pool.QueryRow(ctx, lastNightSQL, uuidOf(&id.UUID)).Scan(&due)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("reading the last night of ledger %s: %w", id, err)
	}
	return due, true, nil
}

const (
	planNightsSQL = `
insert into ops.night_turns (ledger_id, due, tries)
select $1::uuid, u.due, 0 from unnest($2::timestamptz[]) as u(due)
on conflict (ledger_id, due) do nothing`
	beginNightsSQL = `
insert into ops.night_turns (ledger_id, due, tries, done_at) values ($1::uuid, $2::timestamptz, 0, now())
on conflict (ledger_id, due) do nothing`
)

// PlanNights makes the nights that are due. Those that are there already stay as
// they are, so any number of processes may plan the same ones.
func (db *DB) PlanNights(ctx context.Context, id ledger.LedgerID, dues []time.Time) error {
	if _, err := db.pool.Exec(ctx, planNightsSQL, uuidOf(&id.UUID), dues); err != nil {
		return fmt.Errorf("planning %d nights of ledger %s: %w", len(dues), id, err)
	}
	return nil
}

// BeginNights notes from when on nights of a ledger are due: those before are
// nobody's.
func (db *DB) BeginNights(ctx context.Context, id ledger.LedgerID, from time.Time) error {
	if _, err := db.pool.Exec(ctx, beginNightsSQL, uuidOf(&id.UUID), from); err != nil {
		return fmt.Errorf("beginning the nights of ledger %s: %w", id, err)
	}
	return nil
}

// Index of both: night_turns_open, and the primary key. The row's lock decides
// between two processes. A night that another process is at work on keeps later
// ones waiting; one that failed and is tried again later does not.
const (
	openNightSQL = `
select due, failed is null and held_until >= now() from ops.night_turns
where ledger_id = $1::uuid and done_at is null and (held_until is null or held_until < now() or failed is null)
order by due limit 1`
	takeNightSQL = `
update ops.night_turns set holder = $3::uuid, held_until = now() + $4::int8 * interval '1 millisecond', tries = tries + 1, failed = null
where ledger_id = $1::uuid and due = $2::timestamptz and done_at is null and (held_until is null or held_until < now())
returning tries`
)

// TakeNight takes the oldest night of a ledger that is open, for a while. ok is
// false when there is none, or another process is at work.
func (db *DB) TakeNight(ctx context.Context, id ledger.LedgerID, holder uuid.UUID, lease time.Duration) (turn NightTurn, ok bool, err error) {
	turn.Ledger = id
	var held *bool
	err = db.pool.QueryRow(ctx, openNightSQL, uuidOf(&id.UUID)).Scan(&turn.Due, &held)
	if err == nil && held != nil && *held {
		return turn, false, nil
	}
	if err == nil {
		err = db.pool.QueryRow(ctx, takeNightSQL, uuidOf(&id.UUID), turn.Due, uuidOf(&holder), lease.Milliseconds()).Scan(&turn.Tries)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return turn, false, nil // none, or another process was first
	}
	if err != nil {
		return turn, false, fmt.Errorf("taking a night of ledger %s: %w", id, err)
	}
	return turn, true, nil
}

// Index of these: the primary key.
const (
	renewNightSQL = `
update ops.night_turns set held_until = now() + $4::int8 * interval '1 millisecond'
where ledger_id = $1::uuid and due = $2::timestamptz and holder = $3::uuid and done_at is null`
	endNightSQL = `
update ops.night_turns set done_at = now(), held_until = null, run_id = $4::uuid, failed = $5::text
where ledger_id = $1::uuid and due = $2::timestamptz and holder = $3::uuid and done_at is null`
	putOffNightSQL = `
update ops.night_turns set failed = $4::text, held_until = now() + $5::int8 * interval '1 millisecond'
where ledger_id = $1::uuid and due = $2::timestamptz and holder = $3::uuid and done_at is null`
)

// RenewNight keeps a night for longer.
func (db *DB) RenewNight(ctx context.Context, t NightTurn, holder uuid.UUID, lease time.Duration) error {
	return db.turnNight(ctx, "renewing", t, renewNightSQL, holder, lease.Milliseconds())
}

// EndNight ends a night: with the run that came of it, or with why there is none
// and will be none.
func (db *DB) EndNight(ctx context.Context, t NightTurn, holder uuid.UUID, run *uuid.UUID, failed string) error {
	var id, why any
	if run != nil {
		id = uuidOf(run)
	}
	if failed != "" {
		why = failed
	}
	return db.turnNight(ctx, "ending", t, endNightSQL, holder, id, why)
}

// PutOffNight gives a night up, to be tried again after a while.
func (db *DB) PutOffNight(ctx context.Context, t NightTurn, holder uuid.UUID, failed string, after time.Duration) error {
	return db.turnNight(ctx, "putting off", t, putOffNightSQL, holder, failed, after.Milliseconds())
}

func (db *DB) turnNight(ctx context.Context, what string, t NightTurn, sql string, holder uuid.UUID, more ...any) error {
	tag, err := db.pool.Exec(ctx, sql, append([]any{uuidOf(&t.Ledger.UUID), t.Due, uuidOf(&holder)}, more...)...)
	if err == nil && tag.RowsAffected() != 1 {
		err = ErrTurnLost
	}
	if err != nil {
		return fmt.Errorf("%s the night of ledger %s due at %s: %w", what, t.Ledger, t.Due.UTC().Format(time.RFC3339), err)
	}
	return nil
}
