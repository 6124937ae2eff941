package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

const (
	// DefaultLease is how long a process that has stopped keeps a run from others.
	DefaultLease = 30 * time.Second
	// leaseParts is how often within a lease it is renewed.
	leaseParts = 3
	// waitForRun is how often a process looks whether a run that another one holds
	// is free, or has ended.
	waitForRun = time.Second
)

// NightDeps is what a run needs of the rest of the program.
type NightDeps struct {
	DB     *store.DB // is read from
	Keeper Keeper
	// RunID names the run of a key.
	RunID func(ledger uuid.UUID, key chain.Hash) uuid.UUID
	// Now is the clock. It decides which day is over, and nothing that is put out.
	Now func() time.Time
}

// How an outcome came about.
const (
	RunComputed = "computed"
	RunStored   = "stored"   // it had ended before
	RunRepeated = "repeated" // computed again, and compared
)

// NightResult is what came of a run.
type NightResult struct {
	Run     store.Run
	Came    string // RunComputed, RunStored or RunRepeated
	Phases  []PhaseFindings
	Outputs []store.RunOutput // without bodies, in order of kind and name
	// Disputed are findings about the run itself, which it does not contain.
	Disputed []chain.Finding
}

// Failed reports whether something critical was found.
func (r *NightResult) Failed() bool { return r.Run.Result == chain.RunFailed || len(r.Disputed) > 0 }

// Incomplete reports whether something could not be checked.
func (r *NightResult) Incomplete() bool {
	return slices.ContainsFunc(r.Phases, func(p PhaseFindings) bool { return len(p.NotChecked) > 0 })
}

// RunNight runs the night of a ledger, goes on with it where it was killed, or
// answers it from the store when it has ended. While another process is at work
// on the same run, it waits. Its error says that the run could not go on; the next
// call with the same inputs does.
func RunNight(ctx context.Context, deps NightDeps, o NightOptions) (NightResult, error) {
	n, p, err := freeze(ctx, deps.DB, deps.Now(), &o)
	if err != nil {
		return NightResult{}, fmt.Errorf("freezing ledger %s: %w", o.Ledger, err)
	}
	if err := n.plan(ctx, &o, p); err != nil {
		return NightResult{}, fmt.Errorf("planning the run of ledger %s: %w", n.Terms.Name, err)
	}
	n.RunID, n.Keeper = deps.RunID(n.LedgerID, n.Key), &deps.Keeper
	r := &nightRun{Night: n, pins: p, options: &o, holder: uuid.New(), lease: o.Lease}
	if r.lease <= 0 {
		r.lease = DefaultLease
	}
	if o.Again {
		return r.repeat(ctx)
	}
	return r.run(ctx)
}

// nightRun is a Night and the process that works on it.
type nightRun struct {
	*Night
	pins    *pins
	options *NightOptions
	holder  uuid.UUID
	lease   time.Duration
	row     store.Run

	critical int64 // findings of the phases before
}

// run works on the run, or answers it.
func (r *nightRun) run(ctx context.Context) (NightResult, error) {
	stored, err := r.pins.encode()
	if err != nil {
		return NightResult{}, fmt.Errorf("encoding what run %s is pinned to: %w", r.RunID, err)
	}
	r.row, err = r.Keeper.Begin(ctx, store.Run{
		ID: r.RunID, Ledger: r.LedgerID, Key: r.Key, AsOf: r.AsOf, Size: r.Snapshot.Size, Head: r.Snapshot.Head,
		Pins: stored, Phase: phases[0].name, ReadFrom: r.Plan.ReadFrom,
	})
	if err != nil {
		return NightResult{}, err
	}
	if err := r.keepReasons(); err != nil {
		return NightResult{}, err
	}
	if r.options.Began != nil {
		r.options.Began(r.row)
	}
	held, err := r.take(ctx)
	if err != nil {
		return NightResult{}, err
	}
	if !held {
		return r.stored(ctx)
	}
	working, stop := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		r.renew(working, stop)
	}()
	err = r.work(working)
	if cause := context.Cause(working); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	<-renewed
	if err != nil {
		return NightResult{}, errors.Join(fmt.Errorf("running phase %s of run %s: %w", r.row.Phase, r.RunID, err), r.leave(ctx))
	}
	result, err := r.stored(ctx)
	result.Came = RunComputed
	return result, err
}

// keepReasons takes over why the run reads what it does from when it began: that
// is put out too, and is no part of the key.
func (r *nightRun) keepReasons() error {
	var began pins
	if err := json.Unmarshal(r.row.Pins, &began); err != nil {
		return fmt.Errorf("reading what run %s is pinned to: %w", r.RunID, err)
	}
	r.Plan.Why = began.Why
	return nil
}

// take waits until the run is this process's, and returns false once it has
// ended.
func (r *nightRun) take(ctx context.Context) (bool, error) {
	for {
		held := false
		var err error
		if r.row.Phase != store.PhaseDone {
			if held, err = r.Keeper.Hold(ctx, r.RunID, r.holder, r.lease); err != nil {
				return false, err
			}
		}
		// It may have gone on since the row was read.
		if r.row, err = r.DB.RunByKey(ctx, r.LedgerID, r.Key); err != nil {
			return false, err
		}
		if held || r.row.Phase == store.PhaseDone {
			return held, nil
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("waiting for run %s, which another process is at work on: %w", r.RunID, ctx.Err())
		case <-time.After(waitForRun):
		}
	}
}

// renew keeps the run this process's until ctx ends. When it is not any more,
// the work stops: another process does it.
func (r *nightRun) renew(ctx context.Context, stop context.CancelCauseFunc) {
	for renewed := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(r.lease / leaseParts):
		}
		switch held, err := r.Keeper.Hold(ctx, r.RunID, r.holder, r.lease); {
		case ctx.Err() != nil:
			return
		case err == nil && held:
			renewed = time.Now()
		case err == nil:
			stop(store.ErrRunLost)
			return
		case time.Since(renewed) > r.lease:
			stop(fmt.Errorf("renewing the lease: %w", err))
			return
		}
	}
}

// leave gives the run up, so that it can be gone on with at once. The context may
// have ended.
func (r *nightRun) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.lease)
	defer cancel()
	return r.Keeper.Leave(ctx, r.RunID, r.holder)
}

// work does the phases that are left.
func (r *nightRun) work(ctx context.Context) error {
	var err error
	if r.kept, err = listOutputs(ctx, r.DB, r.RunID); err != nil {
		return err
	}
	r.notReRead, r.critical = r.row.NotReRead, r.row.Critical
	at := slices.IndexFunc(phases, func(p phase) bool { return p.name == r.row.Phase })
	if at < 0 {
		return fmt.Errorf("this version has no phase %s", r.row.Phase)
	}
	for ; phases[at].do != nil; at++ {
		if err := r.doPhase(ctx, &phases[at]); err != nil {
			return err
		}
		err := r.Keeper.Advance(ctx, store.RunStep{
			Run: r.RunID, Holder: r.holder, Phase: phases[at].name, Next: phases[at+1].name, NotReRead: r.notReRead,
			Critical: r.found.critical, Warnings: r.found.warnings, Outputs: r.outputs,
		})
		if err != nil {
			return err
		}
		r.endPhase()
		r.row.Phase = phases[at+1].name
	}
	return r.sign(ctx)
}

// doPhase does one phase and puts out what it found.
func (r *nightRun) doPhase(ctx context.Context, p *phase) error {
	r.found, r.outputs = found{}, nil
	r.Progress = nil
	if r.options.Progress != nil {
		r.options.Progress(p.name, 0, 0)
		r.Progress = func(done, total int64) { r.options.Progress(p.name, done, total) }
	}
	switch err := p.do(r.Night, ctx); {
	case err != nil && (r.critical == 0 || ctx.Err() != nil || store.Interrupted(err)):
		return err
	case err != nil: // of books that are damaged, not everything can be read
		r.outputs = nil
		r.NotChecked(fmt.Sprintf("phase %s, in a ledger in which something critical was found: %s", p.name, err))
	}
	return r.Put(FindingsOutput, p.name, r.found.of(p.name))
}

// endPhase turns the outputs of the phase into those of the phases before.
func (r *nightRun) endPhase() {
	for i := range r.outputs {
		r.outputs[i].Body = nil
	}
	r.kept, r.outputs = append(r.kept, r.outputs...), nil
	r.critical += r.found.critical
}

// sign puts the outcome on record in the ledger, and ends the run.
func (r *nightRun) sign(ctx context.Context) error {
	row, err := r.DB.RunByKey(ctx, r.LedgerID, r.Key) // with the sums of all phases
	if err != nil {
		return err
	}
	found, err := r.phaseFindings(ctx)
	if err != nil {
		return err
	}
	e := RunEntry{
		Run: r.RunID, Ledger: r.LedgerID, AsOf: r.AsOf, Size: r.Snapshot.Size, Head: r.Snapshot.Head, ReadFrom: r.Plan.ReadFrom,
		Critical: row.Critical, Warnings: row.Warnings, Reports: OutputsDigest(r.kept), Inputs: r.pins.Inputs,
	}
	outcome := NightResult{Phases: found}
	switch {
	case e.Critical > 0:
		e.Result = chain.RunFailed
	case outcome.Incomplete():
		e.Result = chain.RunIncomplete
	default:
		e.Result = chain.RunPassed
	}
	end := store.RunEnd{Run: r.RunID, Holder: r.holder, Phase: signing, Result: e.Result, Reports: e.Reports}
	switch seq, err := r.Keeper.Sign(ctx, e); {
	case errors.Is(err, ErrOtherOutcome):
		end.Result = chain.RunFailed // and no entry says so: see disputes
	case err != nil:
		return err
	default:
		end.EntrySeq = &seq
	}
	return r.Keeper.End(ctx, end)
}

// phaseFindings reads what the phases found.
func (r *nightRun) phaseFindings(ctx context.Context) ([]PhaseFindings, error) {
	return readFindings(ctx, func(name string) ([]byte, error) { return r.Output(ctx, FindingsOutput, name) })
}
