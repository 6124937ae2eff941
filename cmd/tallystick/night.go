package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile"
	"tallystick/reconcile/policy"
)

const (
	// nightConnections bounds the connections of a run that read, beside one a
	// worker.
	nightConnections = 2
	// maxNightFile is the most bytes of rates, inputs or a calendar.
	maxNightFile = 64 << 20
)

// nightFiles are the flags that name what a run reads beside the ledger. They
// are read anew for each run.
type nightFiles struct {
	Policy   string `env:"POLICY" type:"path" placeholder:"FILE" help:"Policy file (YAML): calendar, bank accounts, roles of accounts, matching rules, limits."`
	Rates    string `env:"RATES" type:"path" placeholder:"FILE" help:"Exchange rates (CSV)."`
	Inputs   string `env:"INPUTS" type:"path" placeholder:"FILE" help:"Due dates, maturities, groups, capital (CSV)."`
	Calendar string `env:"CALENDAR" type:"path" placeholder:"FILE" help:"Holidays beside those of the policy, a day such as 2026-12-25 a line."`
}

// into reads the files.
func (f *nightFiles) into(o *reconcile.NightOptions) error {
	if f.Policy != "" {
		text, err := readBounded(f.Policy, policy.MaxFile)
		if err != nil {
			return fmt.Errorf("reading --policy: %w", err)
		}
		if o.Policy, err = policy.Decode(text); err != nil {
			return fmt.Errorf("reading --policy %s: %w", f.Policy, err)
		}
	}
	for _, file := range []struct {
		flag, path string
		into       **reconcile.Document
	}{{"--rates", f.Rates, &o.Rates}, {"--inputs", f.Inputs, &o.Inputs}, {"--calendar", f.Calendar, &o.Calendar}} {
		if file.path == "" {
			continue
		}
		data, err := readBounded(file.path, maxNightFile)
		if err != nil {
			return fmt.Errorf("reading %s: %w", file.flag, err)
		}
		*file.into = &reconcile.Document{Name: filepath.Base(file.path), Data: data}
	}
	return nil
}

// readSignerState reads the signer's state file; nil when there is none.
func readSignerState(path string) (*reconcile.Document, error) {
	doc, err := readDocument(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the signer's state: %w", err)
	}
	return &doc, nil
}

// nightWork is what every run of this process has in common.
type nightWork struct {
	url    string    // of the database
	db     *store.DB // writes, in the role of the application
	poster *ledger.Sequencers
	files  nightFiles
	state  string // the signer's state file
}

// run runs the night of a ledger, prepared by actor: the nil key where the ledger
// acts by itself.
func (w *nightWork) run(ctx context.Context, actor ledger.KeyID, now func() time.Time, o reconcile.NightOptions) (reconcile.NightResult, error) {
	if err := w.files.into(&o); err != nil {
		return reconcile.NightResult{}, err
	}
	var err error
	if o.SignerState, err = readSignerState(w.state); err != nil {
		return reconcile.NightResult{}, err
	}
	if o.Workers <= 0 {
		o.Workers = min(reconcile.DefaultWorkers(), maxVerifyWorkers)
	}
	reader, err := store.Open(ctx, w.url, store.RoleAuditor, o.Workers+nightConnections)
	if err != nil {
		return reconcile.NightResult{}, err
	}
	defer reader.Close()
	return reconcile.RunNight(ctx, reconcile.NightDeps{
		DB: reader, Now: now, Keeper: w.keeper(actor),
		RunID: func(id uuid.UUID, key chain.Hash) uuid.UUID { return ledger.RunID(ledger.LedgerID{UUID: id}, key).UUID },
	}, o)
}

// keeper writes what a run keeps.
func (w *nightWork) keeper(actor ledger.KeyID) reconcile.Keeper {
	return reconcile.Keeper{
		Begin: w.db.BeginRun, Hold: w.db.HoldRun, Leave: w.db.LeaveRun, Advance: w.db.AdvanceRun, End: w.db.EndRun,
		Sign: func(ctx context.Context, e reconcile.RunEntry) (int64, error) { return w.sign(ctx, actor, e) },
		KeepSnapshot: func(ctx context.Context, id uuid.UUID, size int64, parts []store.SnapshotPart) error {
			return w.db.KeepSnapshot(ctx, ledger.LedgerID{UUID: id}, size, parts)
		},
		KeepBreaks: func(ctx context.Context, id, run uuid.UUID, seen chain.Date, breaks []string) error {
			return w.db.KeepBreaks(ctx, ledger.LedgerID{UUID: id}, run, seen, breaks)
		},
	}
}

// sign puts the outcome of a run on record, through the write path of every entry.
func (w *nightWork) sign(ctx context.Context, actor ledger.KeyID, e reconcile.RunEntry) (int64, error) {
	id := ledger.LedgerID{UUID: e.Ledger}
	last, err := w.db.Entry(ctx, id, e.Size-1)
	if err != nil {
		return 0, fmt.Errorf("reading what run %s is pinned to: %w", e.Run, err)
	}
	outcome, err := w.poster.Submit(ctx, id, &ledger.RecordRun{
		Common: ledger.Common{ID: ledger.RequestID{UUID: e.Run}, Actor: actor, Salt: randomSalt()},
		AsOf:   e.AsOf, Size: e.Size, Head: e.Head, Last: last.RequestID(), ReadFrom: e.ReadFrom,
		Result: e.Result, Critical: e.Critical, Warnings: e.Warnings, Reports: e.Reports, Inputs: e.Inputs,
	})
	switch {
	case err != nil:
		return 0, fmt.Errorf("recording run %s: %w", e.Run, err)
	case outcome.Refusal == nil:
		return outcome.Entry.Seq(), nil
	case outcome.Refusal.Code == ledger.CodeIdempotencyConflict:
		return 0, reconcile.ErrOtherOutcome
	}
	return 0, fmt.Errorf("recording run %s: %s (%s)", e.Run, outcome.Refusal.Detail, outcome.Refusal.Code)
}

// nightExit is how a command ends after a run.
func nightExit(r *reconcile.NightResult) error {
	switch {
	case r.Failed():
		return exitError{exitTampered}
	case r.Incomplete():
		return exitError{exitIncomplete}
	}
	return nil
}

// nightUsage says what to do about a run that could not begin.
func nightUsage(err error) error {
	state, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	if ok && state.SQLState() == undefinedTable {
		return fmt.Errorf("%w\nhint: bring the database to the newest schema first: tallystick migrate", err)
	}
	if errors.Is(err, reconcile.ErrNothingBooked) {
		return fmt.Errorf("%w\nhint: choose a day with --as-of; the last business day that is over is the default", err)
	}
	return err
}

// terminal returns stderr if somebody is watching.
func terminal(f *os.File) *os.File {
	if isTerminal(f) {
		return f
	}
	return nil
}
