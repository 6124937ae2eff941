package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tallystick/ledger"
)

// Bounds of a sweep.
const (
	// sweepPage is how many holds are read, and released, together.
	sweepPage = 500
	// sweepPatience ends a sweep that has much to do; the next one goes on.
	sweepPatience = 30 * time.Second
	// sweepFinish bounds storing how far it got.
	sweepFinish = 5 * time.Second
	// sweepMargin is how far behind the clock the watermark stays: for what
	// clocks may differ, and for a hold that was decided before it expired but
	// whose commit took as long as commits are tried.
	sweepMargin = 2*ledger.MaxClockOffset + ledger.RetryPatience + ledger.ResolvePatience + commitTimeout
	// sweepNear is how far back a sweep begins at the most while holds that cannot
	// be released keep the watermark behind; once in sweepFarEvery it begins there.
	// Those must not keep others from their turn, however many came after them.
	sweepNear     = 10 * time.Minute
	sweepFarEvery = time.Minute
	// sweepLooksBack is how far behind the watermark a sweep begins once in
	// sweepLooksBackEvery: the outcome of a commit may stay unknown for as long
	// as the database is away, and then it stores a hold that has expired.
	sweepLooksBack      = 72 * time.Hour
	sweepLooksBackEvery = time.Hour
)

// holdsSweep names the row of ops.sweeps that is locked by who sweeps holds. The
// process that hangs while it sweeps loses the lock with its connection.
const (
	holdsSweep          = "expired_holds"
	takeSweepSQL        = `select watermark, looked_back_at from ops.sweeps where name = $1::text for update skip locked`
	moveWatermarkSQL    = `update ops.sweeps set watermark = $2::timestamptz, looked_back_at = $3::timestamptz where name = $1::text`
	sweepIdleTimeoutSQL = `set local idle_in_transaction_session_timeout = '90000ms'`
)

// Index: entries_expiring, which holds all that is read.
const expiredHoldsSQL = `select ledger_id, seq, request_id, expires_at from book.entries
where kind = 'hold' and expires_at is not null
    and (expires_at, ledger_id, seq) > ($1::timestamptz, $2::uuid, $3::int8) and expires_at <= $4::timestamptz
order by expires_at, ledger_id, seq limit $5::int8`

// SweepHolds calls release with the holds that have expired by now and that
// nothing has settled, the holds of one ledger at a time, oldest first, and
// returns how many there were. While another process sweeps it does nothing.
//
// A hold that is still open after release returned, with an error or without,
// is met again by the next sweep, and does not keep others from their turn. The
// same hold may be given to release twice: releasing is idempotent. The error is
// the first of release or of the database.
func (db *DB) SweepHolds(ctx context.Context, now time.Time, release func(context.Context, []ledger.DueHold) error) (due int, err error) {
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepPatience+sweepFinish)
	defer cancel()
	var s *sweep
	err = db.transactOn(whole, db.apart(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(whole, sweepIdleTimeoutSQL); err != nil {
			return err
		}
		var watermark, lookedBack time.Time
		err := tx.QueryRow(whole, takeSweepSQL, holdsSweep).Scan(&watermark, &lookedBack)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // another process sweeps
		}
		if err != nil {
			return err
		}
		if s == nil { // a transaction that is retried has swept already
			s = newSweep(db, now, watermark, lookedBack, release)
			walk, stop := context.WithTimeout(ctx, sweepPatience)
			s.run(walk)
			stop()
		}
		_, err = tx.Exec(whole, moveWatermarkSQL, holdsSweep, s.watermark(watermark), later(lookedBack, s.lookedBack))
		return err
	})
	if s != nil {
		due = s.due
		err = errors.Join(s.failed, err)
	}
	if err != nil {
		return due, fmt.Errorf("sweeping expired holds: %w", err)
	}
	return due, nil
}

// apart is the pool whose connections clients do not wait for.
func (db *DB) apart() *pgxpool.Pool {
	if db.journal != nil {
		return db.journal
	}
	return db.pool
}

// sweep is one walk over the expired holds.
type sweep struct {
	db         *DB
	now        time.Time
	from       time.Time // where the walk begins
	lookedBack time.Time // when a walk last began before the watermark
	release    func(context.Context, []ledger.DueHold) error

	near   bool // the walk begins after the watermark, and does not move it
	due    int
	failed error
	looked time.Time  // everything that expired before was looked at
	oldest *time.Time // when the first hold expired that is still open
}

func newSweep(db *DB, now, watermark, lookedBack time.Time, release func(context.Context, []ledger.DueHold) error) *sweep {
	s := &sweep{db: db, now: now, from: watermark, looked: watermark, lookedBack: lookedBack, release: release}
	far := now.Sub(time.UnixMicro(db.farSweep.Load())).Abs() >= sweepFarEvery
	switch near := now.Add(-sweepNear); {
	case now.Sub(lookedBack) >= sweepLooksBackEvery:
		s.from = watermark.Add(-sweepLooksBack)
	case !far && watermark.Before(near):
		s.from, s.near = near, true
		return s
	}
	db.farSweep.Store(now.UnixMicro())
	return s
}

// run looks at all holds that expired from s.from to s.now.
func (s *sweep) run(ctx context.Context) {
	lookingBack := s.from.Before(s.looked)
	at, ledgerID, seq := s.from, uuid.Nil, int64(-1)
	for {
		page, err := s.page(ctx, at, ledgerID, seq)
		if err == nil {
			err = s.settle(ctx, page)
		}
		if err != nil {
			s.fail(err)
			return
		}
		if len(page) < sweepPage {
			break
		}
		last := page[len(page)-1]
		at, ledgerID, seq = last.ExpiresAt, last.Ledger.UUID, last.seq
		s.looked = later(s.looked, at)
	}
	s.looked = s.now
	if lookingBack {
		s.lookedBack = s.now
	}
}

// expiredHold is a hold and its entry.
type expiredHold struct {
	ledger.DueHold
	seq int64
}

func (s *sweep) page(ctx context.Context, at time.Time, ledgerID uuid.UUID, seq int64) ([]expiredHold, error) {
	rows, err := s.db.apart().Query(ctx, expiredHoldsSQL, at, uuidOf(&ledgerID), seq, s.now, int64(sweepPage))
	if err != nil {
		return nil, fmt.Errorf("reading holds: %w", err)
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h expiredHold, err error) {
		err = row.Scan((*[16]byte)(&h.Ledger.UUID), &h.seq, (*[16]byte)(&h.ID.UUID), &h.ExpiresAt)
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading holds: %w", err)
	}
	return page, nil
}

// settle releases the holds of a page that are open, ledger by ledger. What one
// ledger fails with is noted and does not hold up the next.
func (s *sweep) settle(ctx context.Context, page []expiredHold) error {
	var order []ledger.LedgerID
	byLedger := make(map[ledger.LedgerID][]expiredHold)
	for _, h := range page {
		if byLedger[h.Ledger] == nil {
			order = append(order, h.Ledger)
		}
		byLedger[h.Ledger] = append(byLedger[h.Ledger], h)
	}
	for _, id := range order {
		open, err := s.open(ctx, id, byLedger[id])
		if err != nil {
			return err
		}
		if len(open) == 0 {
			continue
		}
		holds := make([]ledger.DueHold, len(open))
		for i := range open {
			holds[i] = open[i].DueHold
		}
		s.due += len(open)
		if err := s.release(ctx, holds); err != nil {
			s.fail(fmt.Errorf("releasing %d holds of ledger %s: %w", len(open), id, err))
		}
		if open, err = s.open(ctx, id, open); err != nil {
			return err
		}
		if len(open) > 0 && (s.oldest == nil || open[0].ExpiresAt.Before(*s.oldest)) {
			s.oldest = &open[0].ExpiresAt
		}
	}
	return nil
}

// open returns those of holds that nothing has settled.
func (s *sweep) open(ctx context.Context, id ledger.LedgerID, holds []expiredHold) ([]expiredHold, error) {
	seqs := make([]int64, len(holds))
	for i := range holds {
		seqs[i] = holds[i].seq
	}
	view := &DB{pool: s.db.apart(), engine: s.db.engine}
	settled, err := view.acting(ctx, settling, id, seqs)
	if err != nil {
		return nil, err
	}
	var open []expiredHold
	for _, h := range holds {
		if _, ok := settled[h.seq]; !ok {
			open = append(open, h)
		}
	}
	return open, nil
}

func (s *sweep) fail(err error) {
	if s.failed == nil {
		s.failed = err
	}
}

// watermark moves the stored one to where nothing is left to do before: what
// this walk did not reach, what may still appear, and the first hold that is
// open come after it. To move it back is safe at any time.
func (s *sweep) watermark(stored time.Time) time.Time {
	if s.near {
		return stored
	}
	done := s.now.Add(-sweepMargin)
	if s.looked.Before(done) {
		done = s.looked
	}
	done = later(stored, done)
	if s.oldest != nil && s.oldest.Before(done) {
		return *s.oldest
	}
	return done
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
