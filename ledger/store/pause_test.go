package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tallystick/ledger"
)

func TestNobodySweepsDuringAPause(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		r := newReleaser(d)
		now := time.Now()
		r.hold(now.Add(-time.Minute))
		r.s.commit()
		resume, err := d.db.PauseSweeps(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if due, err := d.db.SweepHolds(t.Context(), now, r.release); due != 0 || err != nil || len(r.met) != 0 {
			t.Errorf("during the pause: %d due, %v", due, err)
		}
		// A second pause waits for the first, as long as its caller does.
		short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := d.db.PauseSweeps(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second pause: %v", err)
		}
		resume()
		if due, err := d.db.SweepHolds(t.Context(), now, r.release); due != 1 || err != nil {
			t.Errorf("after the pause: %d due, %v", due, err)
		}
	})
}

func TestAPauseWaitsForTheSweepAtWork(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		r := newReleaser(d)
		now := time.Now()
		r.hold(now.Add(-time.Minute))
		r.s.commit()
		paused, swept := make(chan error, 1), false
		_, err := d.db.SweepHolds(t.Context(), now, func(ctx context.Context, due []ledger.DueHold) error {
			go func() {
				resume, err := d.db.PauseSweeps(t.Context())
				if err == nil {
					resume()
				}
				paused <- err
			}()
			select {
			case err := <-paused:
				t.Errorf("the pause began during a sweep: %v", err)
			case <-time.After(200 * time.Millisecond):
			}
			swept = true
			return r.release(ctx, due)
		})
		if err != nil || !swept {
			t.Fatal(swept, err)
		}
		if err := <-paused; err != nil {
			t.Error(err)
		}
	})
}
