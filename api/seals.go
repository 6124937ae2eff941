package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/store"
)

const (
	// SealPatience is how long a request with wait=checkpoint waits for one.
	SealPatience = 10 * time.Second
	// MaxSealWaiters is how many requests wait for a checkpoint of a ledger at
	// most; the others are answered without.
	MaxSealWaiters = 4096
	// sealEvery is how often the newest checkpoint of a ledger is asked for while
	// somebody waits for it.
	sealEvery = 250 * time.Millisecond
)

// errSealWaiters: too many requests wait already.
var errSealWaiters = fmt.Errorf("waiting for a checkpoint: %d requests do already: %w", MaxSealWaiters, ledger.ErrOverloaded)

// seals lets requests wait until a checkpoint covers their entry. However many
// wait, one goroutine of each ledger asks the database, and none when nobody
// waits.
type seals struct {
	shown func(context.Context, uuid.UUID) (store.ShownCheckpoint, error) // asks the database
	mu    sync.Mutex
	logs  map[uuid.UUID]*sealWatch
}

// sealWatch is what is known of the checkpoints of one ledger.
type sealWatch struct {
	newest  store.ShownCheckpoint
	asked   time.Time // when the database was asked for it last
	failed  error     // of the last time it was asked
	waiters map[*sealWaiter]struct{}
	stop    context.CancelFunc // ends the goroutine; nil when there is none
}

type sealWaiter struct {
	seq    int64
	sealed chan store.ShownCheckpoint // takes one
}

func newSeals(shown func(context.Context, uuid.UUID) (store.ShownCheckpoint, error)) *seals {
	return &seals{shown: shown, logs: make(map[uuid.UUID]*sealWatch)}
}

// await returns a published checkpoint that covers entry seq, or an error when
// there is none within SealPatience.
func (s *seals) await(ctx context.Context, id uuid.UUID, seq int64) (store.ShownCheckpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, SealPatience)
	defer cancel()
	w, me, err := s.enter(ctx, id, seq)
	if err != nil {
		return store.ShownCheckpoint{}, err
	}
	select {
	case c := <-me.sealed:
		return c, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select { // at the last moment
	case c := <-me.sealed:
		return c, nil
	default:
	}
	delete(w.waiters, me)
	w.rest()
	return store.ShownCheckpoint{}, fmt.Errorf("waiting for a checkpoint over entry %d: %w", seq, errors.Join(ctx.Err(), w.failed))
}

// enter makes the caller wait, and somebody ask.
func (s *seals) enter(ctx context.Context, id uuid.UUID, seq int64) (*sealWatch, *sealWaiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.logs[id]
	if w == nil {
		w = &sealWatch{waiters: make(map[*sealWaiter]struct{})}
		s.logs[id] = w
	}
	me := &sealWaiter{seq, make(chan store.ShownCheckpoint, 1)}
	if w.newest.Size > seq {
		me.sealed <- w.newest
		return w, me, nil
	}
	if len(w.waiters) >= MaxSealWaiters {
		return nil, nil, errSealWaiters
	}
	w.waiters[me] = struct{}{}
	if w.stop == nil {
		// The first to wait may be the first to leave.
		var asking context.Context
		asking, w.stop = context.WithCancel(context.WithoutCancel(ctx))
		go s.watch(asking, id, w)
	}
	return w, me, nil
}

// rest ends the goroutine when nobody waits. The caller holds the lock.
func (w *sealWatch) rest() {
	if len(w.waiters) == 0 && w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// watch asks for the newest checkpoint until ctx ends.
func (s *seals) watch(ctx context.Context, id uuid.UUID, w *sealWatch) {
	s.mu.Lock()
	due := w.asked.Add(sealEvery)
	s.mu.Unlock()
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(sealEvery)
		s.ask(ctx, id, w)
	}
}

// ask asks once, and lets go whoever has waited for what is there now.
func (s *seals) ask(ctx context.Context, id uuid.UUID, w *sealWatch) {
	s.mu.Lock()
	if ctx.Err() != nil {
		s.mu.Unlock()
		return
	}
	w.asked = time.Now()
	s.mu.Unlock()
	newest, err := s.shown(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return // another may watch by now
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil // not yet
	}
	if w.failed = err; err != nil {
		return
	}
	w.newest = newest
	for waiter := range w.waiters {
		if newest.Size > waiter.seq {
			waiter.sealed <- newest
			delete(w.waiters, waiter)
		}
	}
	w.rest()
}
