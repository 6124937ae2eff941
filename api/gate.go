package api

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"tallystick/ledger"
)

const (
	// MaxBatchedInFlight is how many items of batches wait in the queue of a ledger
	// at most. Without this bound a few dozen clients with large batches fill the
	// queue, and items of many batches are turned away instead of whole batches
	// waiting. The other half of the queue is for single requests.
	MaxBatchedInFlight = ledger.QueueLength / 2
	// RoomPatience is how long a batch waits for room before it is turned away as a
	// whole.
	RoomPatience = 10 * time.Second
)

// gates let batches through in the order in which they came, as long as there is
// room for all their items.
type gates struct {
	patience time.Duration
	mu       sync.Mutex
	rooms    map[ledger.LedgerID]*semaphore.Weighted
}

func newGates(patience time.Duration) *gates {
	return &gates{patience: patience, rooms: make(map[ledger.LedgerID]*semaphore.Weighted)}
}

// enter waits until there is room for a batch of n items, and returns how to
// leave.
func (g *gates) enter(ctx context.Context, id ledger.LedgerID, n int) (leave func(), err error) {
	g.mu.Lock()
	room := g.rooms[id]
	if room == nil {
		room = semaphore.NewWeighted(MaxBatchedInFlight)
		g.rooms[id] = room
	}
	g.mu.Unlock()
	if !room.TryAcquire(int64(n)) {
		ctx, cancel := context.WithTimeout(ctx, g.patience)
		defer cancel()
		if err := room.Acquire(ctx, int64(n)); err != nil {
			return nil, fmt.Errorf("waiting for room for %d items: %w", n, ledger.ErrOverloaded)
		}
	}
	return func() { room.Release(int64(n)) }, nil
}

// submitAll submits the items of a batch when there is room for all of them.
func (h *handlers) submitAll(x *exchange, requests []ledger.Request) ([]ledger.Result, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	leave, err := h.gates.enter(x.req.Context(), x.ledger, len(requests))
	if err != nil {
		return nil, err
	}
	defer leave()
	return h.Poster.SubmitAll(x.req.Context(), x.ledger, requests), nil
}
