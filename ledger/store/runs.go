package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// PhaseDone is the phase of a run that has ended.
const PhaseDone = "done"

// Bounds of what a run puts out.
const (
	// MaxOutputBody bounds one output after compression: it is one message to the
	// database.
	MaxOutputBody = 8 << 20
	// MaxOutput bounds one output before compression.
	MaxOutput = 256 << 20
	// MaxOutputs bounds the outputs of one run.
	MaxOutputs = 4096
	// MaxPins bounds the text of what a run is pinned to.
	MaxPins = 1 << 20
)

// Run is a row of ops.runs: a run of the nightly job, at work or ended.
type Run struct {
	ID     uuid.UUID
	Ledger uuid.UUID
	Key    chain.Hash // of all that it is pinned to
	AsOf   chain.Date
	Size   int64
	Head   chain.Hash
	Pins   json.RawMessage // by name, for people and for who goes on with it
	Phase  string          // that is to be done next; PhaseDone at the end

	Result    string // empty before the end
	ReadFrom  int64
	NotReRead int64 // entries below ReadFrom that were not read again
	Critical  int64
	Warnings  int64
	Reports   *chain.Hash // digest of everything it put out
	EntrySeq  *int64      // its run entry
	StartedAt time.Time
	EndedAt   *time.Time
	HeldUntil *time.Time // by the process at work
}

// RunOutput is something that a run put out.
type RunOutput struct {
	Kind, Name, Phase string
	SHA256            chain.Hash // of the bytes before compression
	Size              int64      // of those bytes
	Body              []byte     // compressed with gzip; nil in a list
}

// ErrRunLost: another process has taken over the run, or it has gone on without
// this one.
var ErrRunLost = errors.New("another process is at work on the run")

const runColumns = `run_id, ledger_id, key, as_of, size, head, pins::text, phase, coalesce(result, ''), read_from, not_re_read, critical, warnings,
    reports_sha256, entry_seq, started_at, ended_at, held_until`

func scanRun(row pgx.Row) (Run, error) {
	var r Run
	var key, head, reports []byte
	var asOf time.Time
	var pins string
	err := row.Scan((*[16]byte)(&r.ID), (*[16]byte)(&r.Ledger), &key, &asOf, &r.Size, &head, &pins, &r.Phase, &r.Result, &r.ReadFrom, &r.NotReRead,
		&r.Critical, &r.Warnings, &reports, &r.EntrySeq, &r.StartedAt, &r.EndedAt, &r.HeldUntil)
	if err != nil {
		return Run{}, notFound(err)
	}
	r.Key, r.Head, r.AsOf, r.Pins = chain.Hash(key), chain.Hash(head), chain.DateOf(asOf), json.RawMessage(pins) // lengths: runs_hashes
	if reports != nil {
		digest := chain.Hash(reports)
		r.Reports = &digest
	}
	return r, nil
}

const insertRunSQL = `
insert into ops.runs (run_id, ledger_id, key, as_of, size, head, pins, phase, read_from, not_re_read, critical, warnings, started_at)
values ($1::uuid, $2::uuid, $3::bytea, $4::date, $5::int8, $6::bytea, $7::jsonb, $8::text, $9::int8, 0, 0, 0, now())
on conflict (ledger_id, key) do nothing`

// Index: runs_key.
const runByKeySQL = `select ` + runColumns + ` from ops.runs where ledger_id = $1::uuid and key = $2::bytea`

// BeginRun makes the row of a run unless there is one of its key, and returns
// what is there.
func (db *DB) BeginRun(ctx context.Context, r Run) (Run, error) {
	if len(r.Pins) > MaxPins {
		return Run{}, fmt.Errorf("beginning run %s: what it is pinned to has more than %d bytes", r.ID, MaxPins)
	}
	_, err := db.pool.Exec(ctx, insertRunSQL, uuidOf(&r.ID), uuidOf(&r.Ledger), r.Key[:], r.AsOf.Time(), r.Size, r.Head[:], string(r.Pins), r.Phase, r.ReadFrom)
	if err != nil {
		return Run{}, fmt.Errorf("beginning run %s: %w", r.ID, err)
	}
	return db.RunByKey(ctx, r.Ledger, r.Key)
}

// RunByKey returns the run of that key, or ErrNotFound.
func (db *DB) RunByKey(ctx context.Context, id uuid.UUID, key chain.Hash) (Run, error) {
	r, err := scanRun(db.pool.QueryRow(ctx, runByKeySQL, uuidOf(&id), key[:]))
	if err != nil {
		return Run{}, fmt.Errorf("reading the run with key %s: %w", key, err)
	}
	return r, nil
}

// Index: the primary key. The row's lock decides between two processes.
const holdRunSQL = `
update ops.runs set holder = $2::uuid, held_until = now() + $3::int8 * interval '1 millisecond'
where run_id = $1::uuid and phase <> 'done' and (holder = $2::uuid or held_until is null or held_until < now())`

// HoldRun takes the run for a while, or goes on holding it. It returns false
// while another process does, and when the run has ended.
func (db *DB) HoldRun(ctx context.Context, run, holder uuid.UUID, lease time.Duration) (bool, error) {
	tag, err := db.pool.Exec(ctx, holdRunSQL, uuidOf(&run), uuidOf(&holder), lease.Milliseconds())
	if err != nil {
		return false, fmt.Errorf("taking run %s: %w", run, err)
	}
	return tag.RowsAffected() == 1, nil
}

// Index: the primary key.
const leaveRunSQL = `update ops.runs set held_until = null where run_id = $1::uuid and holder = $2::uuid`

// LeaveRun gives a run up, so that another process need not wait.
func (db *DB) LeaveRun(ctx context.Context, run, holder uuid.UUID) error {
	if _, err := db.pool.Exec(ctx, leaveRunSQL, uuidOf(&run), uuidOf(&holder)); err != nil {
		return fmt.Errorf("leaving run %s: %w", run, err)
	}
	return nil
}

// Index: the primary key.
const advanceRunSQL = `
update ops.runs set phase = $4::text, not_re_read = $5::int8, critical = critical + $6::int8, warnings = warnings + $7::int8
where run_id = $1::uuid and holder = $2::uuid and phase = $3::text`

const insertOutputSQL = `
insert into ops.run_outputs (run_id, kind, name, phase, sha256, size, body)
values ($1::uuid, $2::text, $3::text, $4::text, $5::bytea, $6::int8, $7::bytea)`

// RunStep is a phase that has been done.
type RunStep struct {
	Run, Holder        uuid.UUID
	Phase, Next        string
	NotReRead          int64
	Critical, Warnings int64 // of this phase
	Outputs            []RunOutput
}

// AdvanceRun stores what a phase put out and moves the run on, in one
// transaction: a phase that is done again has left nothing. It returns
// ErrRunLost when the run is not this process's any more.
func (db *DB) AdvanceRun(ctx context.Context, s RunStep) error {
	err := db.transact(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, advanceRunSQL, uuidOf(&s.Run), uuidOf(&s.Holder), s.Phase, s.Next, s.NotReRead, s.Critical, s.Warnings)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return ErrRunLost
		}
		for i := range s.Outputs { // one message each: together they may be larger than one may be
			o := &s.Outputs[i]
			if _, err := tx.Exec(ctx, insertOutputSQL, uuidOf(&s.Run), o.Kind, o.Name, s.Phase, o.SHA256[:], o.Size, o.Body); err != nil {
				return fmt.Errorf("storing %s %s: %w", o.Kind, o.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ending phase %s of run %s: %w", s.Phase, s.Run, err)
	}
	return nil
}

// Index: the primary key.
const endRunSQL = `
update ops.runs set phase = 'done', result = $4::text, reports_sha256 = $5::bytea, entry_seq = $6::int8, ended_at = now(), held_until = null
where run_id = $1::uuid and holder = $2::uuid and phase = $3::text`

// RunEnd is what came of a run.
type RunEnd struct {
	Run, Holder uuid.UUID
	Phase       string // its last
	Result      string
	Reports     chain.Hash
	EntrySeq    *int64
}

// EndRun ends a run.
func (db *DB) EndRun(ctx context.Context, e RunEnd) error {
	tag, err := db.pool.Exec(ctx, endRunSQL, uuidOf(&e.Run), uuidOf(&e.Holder), e.Phase, e.Result, e.Reports[:], e.EntrySeq)
	if err == nil && tag.RowsAffected() != 1 {
		err = ErrRunLost
	}
	if err != nil {
		return fmt.Errorf("ending run %s: %w", e.Run, err)
	}
	return nil
}

// Index: the primary key.
const runSQL = `select ` + runColumns + ` from ops.runs where run_id = $1::uuid and ledger_id = $2::uuid`

// Run returns a run of a ledger, or ErrNotFound.
func (db *DB) Run(ctx context.Context, id ledger.LedgerID, run uuid.UUID) (Run, error) {
	r, err := scanRun(db.pool.QueryRow(ctx, runSQL, uuidOf(&run), uuidOf(&id.UUID)))
	if err != nil {
		return Run{}, fmt.Errorf("reading run %s: %w", run, err)
	}
	return r, nil
}

// RunPlace is where a list of runs goes on: after the run that started then. The
// zero value is before the newest.
type RunPlace struct {
	AsOf      chain.Date
	StartedAt time.Time
	ID        uuid.UUID
}

// Index: runs_by_day, read backwards.
const runsSQL = `
select ` + runColumns + ` from ops.runs
where ledger_id = $1::uuid and (not $2::bool or (as_of, started_at, run_id) < ($3::date, $4::timestamptz, $5::uuid))
order by as_of desc, started_at desc, run_id desc limit $6::int8`

// Runs returns up to limit runs of a ledger, those of the latest day first.
func (db *DB) Runs(ctx context.Context, id ledger.LedgerID, after *RunPlace, limit int) ([]Run, error) {
	var at RunPlace
	if after != nil {
		at = *after
	}
	rows, err := db.pool.Query(ctx, runsSQL, uuidOf(&id.UUID), after != nil, at.AsOf.Time(), at.StartedAt, uuidOf(&at.ID), int64(limit))
	if err != nil {
		return nil, fmt.Errorf("listing the runs of ledger %s: %w", id, err)
	}
	runs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Run, error) { return scanRun(row) })
	if err != nil {
		return nil, fmt.Errorf("listing the runs of ledger %s: %w", id, err)
	}
	return runs, nil
}

// Index of both: the primary key.
const (
	outputsSQL = `
select kind, name, phase, sha256, size from ops.run_outputs where run_id = $1::uuid order by kind, name limit $2::int8`
	outputSQL = `
select kind, name, phase, sha256, size, body from ops.run_outputs where run_id = $1::uuid and kind = $2::text and name = $3::text`
)

// RunOutputs lists what a run put out, without the bodies.
func (db *DB) RunOutputs(ctx context.Context, run uuid.UUID) ([]RunOutput, error) {
	rows, err := db.pool.Query(ctx, outputsSQL, uuidOf(&run), int64(MaxOutputs))
	if err != nil {
		return nil, fmt.Errorf("listing what run %s put out: %w", run, err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o RunOutput, err error) {
		var digest []byte
		err = row.Scan(&o.Kind, &o.Name, &o.Phase, &digest, &o.Size)
		if err == nil {
			o.SHA256 = chain.Hash(digest) // its length: run_outputs_hash
		}
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing what run %s put out: %w", run, err)
	}
	return all, nil
}

// RunOutput returns one output with its body, or ErrNotFound.
func (db *DB) RunOutput(ctx context.Context, run uuid.UUID, kind, name string) (RunOutput, error) {
	var o RunOutput
	var digest []byte
	err := db.pool.QueryRow(ctx, outputSQL, uuidOf(&run), kind, name).Scan(&o.Kind, &o.Name, &o.Phase, &digest, &o.Size, &o.Body)
	if err != nil {
		return RunOutput{}, fmt.Errorf("reading %s %s of run %s: %w", kind, name, run, notFound(err))
	}
	o.SHA256 = chain.Hash(digest) // its length: run_outputs_hash
	return o, nil
}
