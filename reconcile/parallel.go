package reconcile

import (
	"context"
	"errors"
	"sync"
	"time"

	"tallystick/ledger/store"
)

// What a failure that may pass is given.
const (
	attempts     = 5
	attemptPause = time.Second
)

// retry calls f until it succeeds, or fails for good. Each call must begin
// from the beginning.
func retry(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil || n == attempts || !store.Passing(err) || errors.Is(err, errSegmentTooLarge) || errors.Is(err, errSnapshot) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(attemptPause):
		}
	}
}

// parallel runs n copies of f and returns the first error, which cancels the
// others.
func parallel(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
