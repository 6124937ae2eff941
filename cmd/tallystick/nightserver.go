package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"tallystick/api"
	"tallystick/ledger"
	"tallystick/ledger/store"
	"tallystick/reconcile"
)

// maxRunsAsked is how many runs that clients asked for are at work at once: each
// reads a whole ledger.
const maxRunsAsked = 2

// nightServer runs the nights that clients of the API ask for.
type nightServer struct {
	work *nightWork
	logf func(format string, args ...any) // of what nobody waits for

	ctx   context.Context // of the server
	turns chan struct{}
	group sync.WaitGroup
}

func newNightServer(ctx context.Context, work *nightWork, logf func(string, ...any)) *nightServer {
	return &nightServer{work: work, logf: logf, ctx: ctx, turns: make(chan struct{}, maxRunsAsked)}
}

// api returns what the API needs of the night, with the figures of the scheduler
// if there is one.
func (s *nightServer) api(nights *nightly) api.Night {
	night := api.Night{Start: s.start, Row: runRow, Whole: s.whole}
	if nights != nil {
		night.Stats = nights.nights
	}
	return night
}

func runRow(r store.Run) ([]byte, error) { return json.Marshal(reconcile.ShowRun(&r)) }

// whole shows a run held against its entry.
func (s *nightServer) whole(ctx context.Context, r store.Run) ([]byte, error) {
	result, err := reconcile.NightResultOf(ctx, s.work.db, r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(reconcile.ShowNight(&result))
}

// wait waits until the runs at work have stopped, which they do when the context
// of the server ends.
func (s *nightServer) wait() { s.group.Wait() }

// start begins a run that goes on when the client has gone, and returns its row.
func (s *nightServer) start(ctx context.Context, id ledger.LedgerID, actor ledger.KeyID, r api.NewRun) (store.Run, *ledger.Refusal, error) {
	select {
	case s.turns <- struct{}{}:
	default:
		return store.Run{}, nil, ledger.ErrOverloaded
	}
	began, ended := make(chan store.Run, 1), make(chan error, 1)
	s.group.Go(func() {
		defer func() { <-s.turns }()
		_, err := s.work.run(s.ctx, actor, time.Now, reconcile.NightOptions{
			Ledger: id.UUID, AsOf: r.AsOf, Reading: reconcile.Reading(r.Reading),
			Began: func(row store.Run) { began <- row },
		})
		if ended <- err; err != nil && s.ctx.Err() == nil {
			s.logf("a run of ledger %s that was asked for has stopped: %v", id, err)
		}
	})
	select {
	case row := <-began:
		return row, nil, nil
	case err := <-ended:
		select {
		case row := <-began: // it began, and has ended since
			return row, nil, nil
		default:
		}
		return store.Run{}, runRefusal(err), notRefused(err)
	case <-ctx.Done():
		return store.Run{}, nil, fmt.Errorf("waiting for a run to begin: %w", ctx.Err())
	}
}

// refusedRuns are the reasons for which a run cannot begin whatever is tried.
var refusedRuns = []error{reconcile.ErrNothingBooked, reconcile.ErrDayNotOver, reconcile.ErrPolicyNotInForce}

// runRefusal returns the refusal that an error is, nil when it is none.
func runRefusal(err error) *ledger.Refusal {
	for _, reason := range refusedRuns {
		if errors.Is(err, reason) {
			return &ledger.Refusal{Code: ledger.CodeRunInvalid, Detail: reason.Error(), Posting: -1, Item: -1}
		}
	}
	return nil
}

func notRefused(err error) error {
	if runRefusal(err) != nil {
		return nil
	}
	return err
}
