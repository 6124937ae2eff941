package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/store"
)

// releasedTogether bounds the releases that are queued at once: between them,
// what clients post has its turn.
const releasedTogether = 50

// sweepInterval is the pause between two sweeps of expired holds.
const sweepInterval = time.Second

// sweeper releases the holds whose time has come. Any number of servers may run
// one: they take turns, and a release is idempotent.
type sweeper struct {
	db     *store.DB
	poster *ledger.Sequencers
	log    *slog.Logger

	failing bool // the last sweep failed, and it was logged
}

// keepSweeping sweeps until ctx ends. What goes wrong does not stop it: the next
// sweep meets the same holds.
func (s *sweeper) keepSweeping(ctx context.Context) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.sweep(ctx, time.Now())
		}
	}
}

// sweep releases what has expired by now, and logs once what it did, and once
// what went wrong until that is over.
func (s *sweeper) sweep(ctx context.Context, now time.Time) (released int) {
	_, err := s.db.SweepHolds(ctx, now, func(ctx context.Context, due []ledger.DueHold) error {
		var failed []error
		for some := range slices.Chunk(due, releasedTogether) {
			n, err := s.release(ctx, some)
			released += n
			failed = append(failed, err)
		}
		return errors.Join(failed...)
	})
	if released > 0 {
		s.log.Info("released expired holds", "holds", released, "took", time.Since(now).Round(time.Millisecond))
	}
	switch {
	case ctx.Err() != nil:
	case err != nil && !s.failing:
		s.log.Warn("expired holds stay open until a sweep succeeds", "error", err)
	case err == nil && s.failing:
		s.log.Info("expired holds are released again")
	}
	s.failing = err != nil
	return released
}

// release releases holds of one ledger. One that was settled meanwhile needs
// nothing.
func (s *sweeper) release(ctx context.Context, due []ledger.DueHold) (released int, err error) {
	requests := make([]ledger.Request, len(due))
	for i, h := range due {
		requests[i] = onExpiry(h, ledger.ExpiryRequestID(h.Ledger, h.ID))
	}
	var failed []error
	for i, r := range s.poster.SubmitAll(ctx, due[0].Ledger, requests) {
		if r.Refusal != nil && r.Refusal.Code == ledger.CodeIdempotencyConflict {
			r = s.releaseAnew(ctx, due[i])
		}
		switch {
		case r.Err != nil:
			failed = append(failed, fmt.Errorf("releasing hold %s: %w", due[i].ID, r.Err))
		case r.Refusal == nil && !r.Replayed:
			released++
		case r.Refusal != nil && !settled(r.Refusal.Code):
			failed = append(failed, fmt.Errorf("releasing hold %s: %s (%s)", due[i].ID, r.Refusal.Detail, r.Refusal.Code))
		}
	}
	return released, firstOf(failed)
}

// onExpiry asks to release a hold that has expired. Nobody asks: there is no actor.
func onExpiry(h ledger.DueHold, id ledger.RequestID) *ledger.ReleaseHold {
	return &ledger.ReleaseHold{Common: ledger.Common{ID: id, Salt: randomSalt()}, Hold: h.ID, OnExpiry: true}
}

// releaseAnew releases a hold under a fresh id, where somebody has used up the one
// that all replicas derive: a hold must not stay open for that.
func (s *sweeper) releaseAnew(ctx context.Context, h ledger.DueHold) (r ledger.Result) {
	id, err := ledger.NewRequestID()
	if err != nil {
		return ledger.Result{Err: err}
	}
	r.Outcome, r.Err = s.poster.Submit(ctx, h.Ledger, onExpiry(h, id))
	return r
}

// settled reports whether a refusal says that there is nothing left to release.
func settled(code ledger.Code) bool {
	return code == ledger.CodeHoldCaptured || code == ledger.CodeHoldReleased || code == ledger.CodeHoldExpired
}

// firstOf returns the first of many errors, and how many more there are.
func firstOf(all []error) error {
	if len(all) < 2 {
		return errors.Join(all...)
	}
	return fmt.Errorf("%w (and %d more)", all[0], len(all)-1)
}
