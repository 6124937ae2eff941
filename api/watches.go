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
	// watchEvery is how often what is newest of a ledger is asked for while somebody
	// waits for it.
	watchEvery = 250 * time.Millisecond
)

// errSealWaiters: too many requests wait already.
var errSealWaiters = fmt.Errorf("waiting for a checkpoint: %d requests do already: %w", MaxSealWaiters, ledger.ErrOverloaded)

// watches lets callers wait until what is newest of a ledger, a T, covers an entry.
// However many wait, one goroutine of each ledger asks the database, and none when
// nobody waits.
type watches[T any] struct {
	newest   func(context.Context, uuid.UUID) (T, error) // asks the database; store.ErrNotFound: there is none yet
	covers   func(newest T, seq int64) bool
	patience time.Duration // how long one waits
	most     int           // how many wait at once for one ledger
	remember bool          // what was newest a moment ago counts, too: a caller need not wait for the next question
	full     error         // what the others are told

	mu   sync.Mutex
	logs map[uuid.UUID]*watch[T]
}

// watch is what is known of one ledger.
type watch[T any] struct {
	newest  T
	asked   time.Time // when the database was asked for it last
	failed  error     // of the last time it was asked
	waiters map[*waiter[T]]struct{}
	stop    context.CancelFunc // ends the goroutine; nil when there is none
}

type waiter[T any] struct {
	seq     int64
	covered chan T // takes one
}

// newSeals returns what waits for published checkpoints.
func newSeals(shown func(context.Context, uuid.UUID) (store.ShownCheckpoint, error)) *watches[store.ShownCheckpoint] {
	return &watches[store.ShownCheckpoint]{
		newest: shown, covers: func(c store.ShownCheckpoint, seq int64) bool { return c.Size > seq },
		patience: SealPatience, most: MaxSealWaiters, remember: true, full: errSealWaiters, logs: make(map[uuid.UUID]*watch[store.ShownCheckpoint]),
	}
}

// await returns the newest once it covers entry seq. Whose patience ends before gets
// context.DeadlineExceeded, and why the database could not be asked, if so.
func (s *watches[T]) await(ctx context.Context, id uuid.UUID, seq int64) (newest T, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	w, me, err := s.enter(ctx, id, seq)
	if err != nil {
		return newest, err
	}
	select {
	case c := <-me.covered:
		return c, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select { // at the last moment
	case c := <-me.covered:
		return c, nil
	default:
	}
	delete(w.waiters, me)
	w.rest()
	return newest, fmt.Errorf("waiting for entry %d: %w", seq, errors.Join(ctx.Err(), w.failed))
}

// enter makes the caller wait, and somebody ask.
func (s *watches[T]) enter(ctx context.Context, id uuid.UUID, seq int64) (*watch[T], *waiter[T], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.logs[id]
	if w == nil {
		w = &watch[T]{waiters: make(map[*waiter[T]]struct{})}
		s.logs[id] = w
	}
	me := &waiter[T]{seq, make(chan T, 1)}
	if s.remember && time.Since(w.asked) < watchEvery && s.covers(w.newest, seq) {
		me.covered <- w.newest
		return w, me, nil
	}
	if len(w.waiters) >= s.most {
		return nil, nil, s.full
	}
	w.waiters[me] = struct{}{}
	if w.stop == nil {
		// The first to wait may be the first to leave.
		var asking context.Context
		asking, w.stop = context.WithCancel(context.WithoutCancel(ctx))
		go s.keepAsking(asking, id, w)
	}
	return w, me, nil
}

// rest ends the goroutine when nobody waits. The caller holds the lock.
func (w *watch[T]) rest() {
	if len(w.waiters) == 0 && w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// keepAsking asks for the newest until ctx ends.
func (s *watches[T]) keepAsking(ctx context.Context, id uuid.UUID, w *watch[T]) {
	s.mu.Lock()
	due := w.asked.Add(watchEvery)
	s.mu.Unlock()
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(watchEvery)
		s.ask(ctx, id, w)
	}
}

// ask asks once, and lets go whoever has waited for what is there now.
func (s *watches[T]) ask(ctx context.Context, id uuid.UUID, w *watch[T]) {
	s.mu.Lock()
	if ctx.Err() != nil {
		s.mu.Unlock()
		return
	}
	w.asked = time.Now()
	s.mu.Unlock()
	newest, err := s.newest(ctx, id)
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
		if s.covers(newest, waiter.seq) {
			waiter.covered <- newest
			delete(w.waiters, waiter)
		}
	}
	w.rest()
}
