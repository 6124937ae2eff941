package api

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/store"
)

// signed is a database of which only the size of the newest checkpoint is asked.
type signed struct {
	size   atomic.Int64 // 0: none yet
	broken atomic.Bool
	asked  atomic.Int64
}

var errBroken = errors.New("the database is broken")

func (s *signed) shown(context.Context, uuid.UUID) (store.ShownCheckpoint, error) {
	s.asked.Add(1)
	switch size := s.size.Load(); {
	case s.broken.Load():
		return store.ShownCheckpoint{}, errBroken
	case size == 0:
		return store.ShownCheckpoint{}, store.ErrNotFound
	default:
		return store.ShownCheckpoint{Size: size}, nil
	}
}

// state returns how many wait for a checkpoint of the one log, and whether
// anybody asks for it.
func (s *watches[T]) state() (waiting int, watched bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.logs[uuid.Nil]
	return len(w.waiters), w.stop != nil
}

func TestHoweverManyWaitOneAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &signed{}
		s := newSeals(db.shown)
		var group sync.WaitGroup
		for seq := range int64(100) {
			group.Go(func() {
				if c, err := s.await(t.Context(), uuid.Nil, seq); err != nil || c.Size <= seq {
					t.Errorf("entry %d: %d, %v", seq, c.Size, err)
				}
			})
		}
		<-time.After(time.Second)
		synctest.Wait()
		if asked := db.asked.Load(); asked < 4 || asked > 5 {
			t.Errorf("asked %d times in a second, at its ends included", asked)
		}
		db.size.Store(50)
		<-time.After(watchEvery)
		synctest.Wait()
		if waiting, _ := s.state(); waiting != 50 {
			t.Errorf("%d wait for what is not sealed", waiting)
		}
		db.size.Store(100)
		group.Wait()
		before := db.asked.Load()
		<-time.After(time.Minute)
		if _, watched := s.state(); db.asked.Load() != before || watched {
			t.Errorf("asked %d times more although nobody waits", db.asked.Load()-before)
		}
		for range 2 {
			if c, err := s.await(t.Context(), uuid.Nil, 99); err != nil || c.Size != 100 || db.asked.Load() != before+1 {
				t.Errorf("what is known since a moment: %d, %v, asked %d times more", c.Size, err, db.asked.Load()-before)
			}
		}
	})
}

// TestWaitersOneByOneAskNoMoreOften comes and goes quickly.
func TestWaitersOneByOneAskNoMoreOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &signed{}
		db.size.Store(1)
		s := newSeals(db.shown)
		for range 1000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if _, err := s.await(ctx, uuid.Nil, 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("waited in vain: %v", err)
			}
			cancel()
		}
		if asked := db.asked.Load(); asked > 5 {
			t.Errorf("asked %d times in a second", asked)
		}
	})
}

func TestWaitingForACheckpointEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &signed{}
		s := newSeals(db.shown)
		start := time.Now()
		if _, err := s.await(t.Context(), uuid.Nil, 0); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != SealPatience {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		db.broken.Store(true)
		if _, err := s.await(t.Context(), uuid.Nil, 0); !errors.Is(err, errBroken) {
			t.Errorf("with a broken database: %v", err)
		}
		var group sync.WaitGroup
		for range MaxSealWaiters {
			group.Go(func() { _, _ = s.await(t.Context(), uuid.Nil, 0) })
		}
		synctest.Wait()
		if _, err := s.await(t.Context(), uuid.Nil, 0); !errors.Is(err, ledger.ErrOverloaded) {
			t.Errorf("one too many: %v", err)
		}
		if _, err := s.await(t.Context(), uuid.New(), 0); errors.Is(err, ledger.ErrOverloaded) {
			t.Error("a ledger is turned away because of another one")
		}
		group.Wait()
	})
}
