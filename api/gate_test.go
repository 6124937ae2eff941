package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/store/storetest"
)

func TestBatchesWaitForRoomInTheirOrder(t *testing.T) {
	t.Parallel()
	g := newGates(time.Minute)
	var book, other ledger.LedgerID
	other.UUID[0] = 1
	enter := func(id ledger.LedgerID, n int) func() {
		leave, err := g.enter(t.Context(), id, n)
		if err != nil {
			t.Fatal(err)
		}
		return leave
	}
	first := enter(book, MaxBatchedInFlight-1)
	enter(other, MaxBatchedInFlight)() // of another ledger
	entered := make(chan int)
	leaves := make(chan func(), 2)
	for n := range 2 {
		go func() {
			leave, err := g.enter(t.Context(), book, 2)
			if err != nil {
				t.Error(err)
			}
			leaves <- leave
			entered <- n
		}()
	}
	select {
	case n := <-entered:
		t.Fatalf("batch %d entered where there is room for one item", n)
	case <-time.After(50 * time.Millisecond):
	}
	first()
	<-entered
	<-entered
	(<-leaves)()
	(<-leaves)()
	enter(book, MaxBatchedInFlight)()
}

func TestABatchWithoutRoomIsTurnedAwayWhole(t *testing.T) {
	t.Parallel()
	g := newGates(10 * time.Millisecond)
	var book ledger.LedgerID
	leave, err := g.enter(t.Context(), book, MaxBatchedInFlight)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.enter(t.Context(), book, 1); !errors.Is(err, ledger.ErrOverloaded) {
		t.Errorf("without room: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.enter(ctx, book, 1); !errors.Is(err, ledger.ErrOverloaded) {
		t.Errorf("when the client is gone: %v", err)
	}
	leave()
	if _, err := g.enter(t.Context(), book, MaxTransferBatch); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestManyLargeBatchesFit: more items at once than the queue of a ledger takes.
func TestManyLargeBatchesFit(t *testing.T) {
	t.Parallel()
	const clients = ledger.QueueLength/MaxTransferBatch + 4
	b := newBank(t, storetest.Database(t), nil).openAccounts()
	answers := make(chan *answer, clients)
	for range clients {
		go func() {
			answers <- b.do("POST", batchPath, batchOf(repeated(MaxTransferBatch, `{"debit":"cash","credit":"customers:1","amount":"0.01","reference":"r%d"}`)),
				headers{keyHeader: {uuid.NewString()}})
		}()
	}
	for range clients {
		a := <-answers
		a.is(200, "")
		for i := range MaxTransferBatch {
			if a.text("results", i, "status") != "201" {
				t.Fatalf("transfer %d was answered %v", i, a.at("results", i))
			}
		}
	}
}
