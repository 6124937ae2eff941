package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bounds of a pause of sweeps.
const (
	// pausePatience is how long a sweep at work is waited for.
	pausePatience = sweepPatience + 2*sweepFinish
	pauseRetry    = 50 * time.Millisecond
	// pausePing keeps the lock's transaction from being idle for too long, see
	// sweepIdleTimeoutSQL.
	pausePing = 20 * time.Second
)

// errSweeping says that a sweep is at work.
var errSweeping = errors.New("a sweep of expired holds is at work")

// PauseSweeps keeps all processes from sweeping expired holds until resume is
// called, or this process ends. While a made-up history is posted (see
// ledger.NewSimulation), its holds have long expired by every other clock, and a
// release dated today would end the history.
func (db *DB) PauseSweeps(ctx context.Context) (resume func(), err error) {
	bounded, cancel := context.WithTimeout(ctx, pausePatience)
	defer cancel()
	for {
		tx, err := db.takeSweep(bounded)
		if err == nil {
			return keepLocked(ctx, tx), nil
		}
		if !errors.Is(err, errSweeping) {
			return nil, fmt.Errorf("pausing sweeps of expired holds: %w", err)
		}
		select {
		case <-bounded.Done():
			return nil, fmt.Errorf("pausing sweeps of expired holds: %w: %w", err, bounded.Err())
		case <-time.After(pauseRetry):
		}
	}
}

// TryPauseSweeps is PauseSweeps if nobody sweeps or has paused sweeps; otherwise
// ok is false. Who holds the pause knows that no made-up history is being posted.
func (db *DB) TryPauseSweeps(ctx context.Context) (resume func(), ok bool, err error) {
	tx, err := db.takeSweep(ctx)
	switch {
	case errors.Is(err, errSweeping):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("pausing sweeps of expired holds: %w", err)
	}
	return keepLocked(ctx, tx), true, nil
}

// takeSweep locks the row that every sweep locks, in a transaction that stays open.
func (db *DB) takeSweep(ctx context.Context) (pgx.Tx, error) {
	tx, err := db.apart().Begin(ctx)
	if err != nil {
		return nil, err
	}
	var watermark, lookedBack time.Time
	if _, err = tx.Exec(ctx, sweepIdleTimeoutSQL); err == nil {
		err = tx.QueryRow(ctx, takeSweepSQL, holdsSweep).Scan(&watermark, &lookedBack)
	}
	if err == nil {
		return tx, nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		err = errSweeping
	}
	return nil, errors.Join(err, tx.Rollback(ctx))
}

// keepLocked speaks to the database now and then until resume is called.
func keepLocked(ctx context.Context, tx pgx.Tx) (resume func()) {
	ctx = context.WithoutCancel(ctx)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(pausePing)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			if _, err := tx.Exec(ctx, "select 1"); err != nil {
				return // the lock is gone with the connection
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
		ctx, cancel := context.WithTimeout(ctx, sweepFinish)
		defer cancel()
		_ = tx.Rollback(ctx) // it changed nothing
	}
}
