package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"tallystick/api"
	"tallystick/cmd/tallystick/internal/schedule"
	"tallystick/ledger"
	"tallystick/ledger/store"
	"tallystick/reconcile"
)

const (
	// MaxMissedNights is how many nights of a ledger are caught up on after a time
	// without a server; older ones are left out, and the log says so.
	MaxMissedNights = 31
	// nightLease is how long a process that has stopped keeps a night from others.
	nightLease = time.Minute
	// nightLook is how often a process looks whether a night is due, or another
	// process has lost one.
	nightLook = 10 * time.Second
	// maxNightTries ends a night that fails again and again, and nightPutOff is how
	// long it is put off after the first; each time, twice as long.
	maxNightTries = 8
	nightPutOff   = time.Minute
	// ledgersAtOnce is how many ledgers are read together.
	ledgersAtOnce = 100
)

// nightly runs the night of every ledger when it is due. Any number of processes
// may do so: who holds the night's row runs it, and a night whose process is lost
// goes to another when the lease ends, which goes on with its run.
type nightly struct {
	work  *nightWork
	when  schedule.Schedule
	zone  *time.Location // nil: that of each ledger
	log   *slog.Logger
	now   func() time.Time
	lease time.Duration
	page  int // ledgers that are read together

	mu    sync.Mutex
	stats map[ledger.LedgerID]api.NightStats
}

// newNightly reads the flags of the scheduler; nil when it is off.
func newNightly(spec, zone string, work *nightWork, log *slog.Logger) (*nightly, error) {
	n := &nightly{work: work, log: log, now: time.Now, lease: nightLease, page: ledgersAtOnce, stats: make(map[ledger.LedgerID]api.NightStats)}
	var err error
	if spec == "" {
		return nil, nil
	}
	if n.when, err = schedule.Parse(spec); err != nil {
		return nil, fmt.Errorf("reading --nightly: %w", err)
	}
	if zone != "" {
		if n.zone, err = time.LoadLocation(zone); err != nil {
			return nil, fmt.Errorf("reading --nightly-zone: %w", err)
		}
	}
	var files reconcile.NightOptions
	return n, work.files.into(&files) // said now rather than at night
}

// keep runs nights until ctx ends.
func (n *nightly) keep(ctx context.Context) {
	for {
		if err := n.round(ctx); err != nil && ctx.Err() == nil {
			n.log.Error("looking for nights that are due", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(nightLook):
		}
	}
}

// round runs the nights of all ledgers that are due and free, oldest first.
func (n *nightly) round(ctx context.Context) error {
	after := ""
	var failed []error // of one ledger does not hold up the others
	for {
		page, err := n.work.db.Ledgers(ctx, after, n.page)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		for i := range page {
			failed = append(failed, n.ledger(ctx, &page[i]))
		}
		if len(page) < n.page || ctx.Err() != nil {
			return errors.Join(failed...)
		}
		after = page[len(page)-1].Terms.Name
	}
}

// ledger runs the nights of one ledger that are due and free.
func (n *nightly) ledger(ctx context.Context, info *store.LedgerInfo) error {
	if err := n.plan(ctx, info); err != nil {
		return err
	}
	for ctx.Err() == nil {
		holder := uuid.New()
		turn, ok, err := n.work.db.TakeNight(ctx, info.ID, holder, n.lease)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := n.run(ctx, info, turn, holder); err != nil {
			return err
		}
	}
	return n.observe(ctx, info.ID)
}

// plan makes the nights that have come due since the last one. A ledger whose
// nights were never planned begins now: nobody missed any.
func (n *nightly) plan(ctx context.Context, info *store.LedgerInfo) error {
	now := n.now()
	last, ok, err := n.work.db.LastNight(ctx, info.ID)
	if err != nil {
		return err
	}
	if !ok {
		return n.work.db.BeginNights(ctx, info.ID, now)
	}
	zone := n.zone
	if zone == nil {
		if zone, err = time.LoadLocation(info.Terms.TimeZone); err != nil {
			return fmt.Errorf("reading the time zone of ledger %s: %w", info.Terms.Name, err)
		}
	}
	dues, more := n.when.Between(last, now, zone, MaxMissedNights)
	if more > 0 {
		n.log.Warn("nights were missed that are not caught up on", "ledger", info.Terms.Name, "nights", more)
	}
	if len(dues) == 0 {
		return nil
	}
	return n.work.db.PlanNights(ctx, info.ID, dues)
}

// run runs one night, and says what came of it in one event.
func (n *nightly) run(ctx context.Context, info *store.LedgerInfo, turn store.NightTurn, holder uuid.UUID) error {
	begun := time.Now()
	working, stop := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		n.renew(working, turn, holder, stop)
	}()
	due := func() time.Time { return turn.Due } // a night that was missed is run as of its own day
	result, err := n.work.run(working, ledger.KeyID{}, due, reconcile.NightOptions{Ledger: info.ID.UUID, Lease: n.lease})
	if cause := context.Cause(working); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	<-renewed
	event := []any{"ledger", info.Terms.Name, "due", turn.Due.UTC().Format(time.RFC3339), "try", turn.Tries, "ms", time.Since(begun).Milliseconds()}
	if err == nil {
		r := &result.Run
		n.log.Info("night", append(event, "run", r.ID, "as_of", r.AsOf.String(), "size", r.Size, "result", r.Result, "critical", r.Critical,
			"warnings", r.Warnings, "not_re_read", r.NotReRead, "disputed", len(result.Disputed), "came", result.Came)...)
		return n.work.db.EndNight(ctx, turn, holder, &r.ID, "")
	}
	return n.failed(ctx, info, turn, holder, err, event)
}

// failed puts a night off, or gives it up.
func (n *nightly) failed(ctx context.Context, info *store.LedgerInfo, turn store.NightTurn, holder uuid.UUID, err error, event []any) error {
	if errors.Is(err, store.ErrTurnLost) {
		n.log.Warn("night", append(event, "result", "lost to another process")...)
		return nil
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.lease)
	defer cancel()
	switch {
	case ctx.Err() != nil:
		n.log.Info("night", append(event, "result", "left to another process: this one stops")...)
		return n.work.db.PutOffNight(bounded, turn, holder, "the server stopped", 0)
	case errors.Is(err, reconcile.ErrPolicyNotInForce): // somebody has to see to it, and trying again does not help
		n.count(info.ID)
		n.log.Error("night", append(event, "result", "not run", "error", err)...)
		return n.work.db.EndNight(bounded, turn, holder, nil, err.Error())
	case runRefusal(err) != nil:
		n.log.Info("night", append(event, "result", "nothing to run", "error", err)...)
		return n.work.db.EndNight(bounded, turn, holder, nil, err.Error())
	}
	n.count(info.ID)
	if turn.Tries >= maxNightTries {
		n.log.Error("night", append(event, "result", "given up", "error", err)...)
		return n.work.db.EndNight(bounded, turn, holder, nil, "given up: "+err.Error())
	}
	off := nightPutOff << (turn.Tries - 1)
	n.log.Error("night", append(event, "result", "put off", "again_in", off.String(), "error", err)...)
	return n.work.db.PutOffNight(bounded, turn, holder, err.Error(), off)
}

// renew keeps the night this process's until ctx ends. When it is not any more,
// the work stops.
func (n *nightly) renew(ctx context.Context, turn store.NightTurn, holder uuid.UUID, stop context.CancelCauseFunc) {
	for renewed := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(n.lease / 3):
		}
		err := n.work.db.RenewNight(ctx, turn, holder, n.lease)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			renewed = time.Now()
		case errors.Is(err, store.ErrTurnLost) || time.Since(renewed) > n.lease:
			stop(err)
			return
		}
	}
}

// count counts a try that failed.
func (n *nightly) count(id ledger.LedgerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.stats[id]
	s.Failures++
	n.stats[id] = s
}

// observe notes the newest run of a ledger for the metrics, whoever has run it.
func (n *nightly) observe(ctx context.Context, id ledger.LedgerID) error {
	runs, err := n.work.db.Runs(ctx, id, nil, 1)
	if err != nil || len(runs) == 0 {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.stats[id]
	r := &runs[0]
	s.AsOf, s.Result, s.Critical, s.Warnings = r.AsOf, r.Result, r.Critical, r.Warnings
	if s.EndedAt = (time.Time{}); r.EndedAt != nil {
		s.EndedAt = *r.EndedAt
	}
	n.stats[id] = s
	return nil
}

// nights is what /metrics shows.
func (n *nightly) nights() map[ledger.LedgerID]api.NightStats {
	n.mu.Lock()
	defer n.mu.Unlock()
	stats := make(map[ledger.LedgerID]api.NightStats, len(n.stats))
	for id, s := range n.stats {
		stats[id] = s
	}
	return stats
}
