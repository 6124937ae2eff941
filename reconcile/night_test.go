package reconcile_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// nightDeps are those of a run that writes as the product does: through the
// application's role, and the run entry through a sequencer.
func nightDeps(tb testing.TB, url string) reconcile.NightDeps {
	tb.Helper()
	app, err := store.Open(tb.Context(), url, store.RoleApp, 4)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(app.Close)
	journal := app.Journal()
	sequencers := ledger.NewSequencers(tb.Context(), journal, journal.ClockOffset)
	tb.Cleanup(sequencers.Stop)
	return reconcile.NightDeps{
		DB:    auditor(tb, url, 4),
		Now:   time.Now,
		RunID: func(id uuid.UUID, key chain.Hash) uuid.UUID { return ledger.RunID(ledger.LedgerID{UUID: id}, key).UUID },
		Keeper: reconcile.Keeper{
			Begin: app.BeginRun, Hold: app.HoldRun, Leave: app.LeaveRun, Advance: app.AdvanceRun, End: app.EndRun,
			Sign: func(ctx context.Context, e reconcile.RunEntry) (int64, error) {
				return signRun(ctx, app, sequencers, e)
			},
			KeepSnapshot: func(ctx context.Context, id uuid.UUID, size int64, parts []store.SnapshotPart) error {
				return app.KeepSnapshot(ctx, ledger.LedgerID{UUID: id}, size, parts)
			},
			KeepBreaks: func(ctx context.Context, id, run uuid.UUID, seen chain.Date, breaks []string) error {
				return app.KeepBreaks(ctx, ledger.LedgerID{UUID: id}, run, seen, breaks)
			},
		},
	}
}

// signRun puts a run on record as the command does.
func signRun(ctx context.Context, db *store.DB, poster *ledger.Sequencers, e reconcile.RunEntry) (int64, error) {
	id := ledger.LedgerID{UUID: e.Ledger}
	last, err := db.Entry(ctx, id, e.Size-1)
	if err != nil {
		return 0, err
	}
	r := &ledger.RecordRun{
		Common: ledger.Common{ID: ledger.RequestID{UUID: e.Run}}, AsOf: e.AsOf, Size: e.Size, Head: e.Head, Last: last.RequestID(), ReadFrom: e.ReadFrom,
		Result: e.Result, Critical: e.Critical, Warnings: e.Warnings, Reports: e.Reports, Inputs: e.Inputs,
	}
	if _, err := rand.Read(r.Salt[:]); err != nil {
		return 0, err
	}
	outcome, err := poster.Submit(ctx, id, r)
	switch {
	case err != nil:
		return 0, err
	case outcome.Refusal != nil && outcome.Refusal.Code == ledger.CodeIdempotencyConflict:
		return 0, reconcile.ErrOtherOutcome
	case outcome.Refusal != nil:
		return 0, fmt.Errorf("recording run %s: %s", e.Run, outcome.Refusal.Detail)
	}
	return outcome.Entry.Seq(), nil
}

// runNight runs the night of a book up to its last day.
func runNight(tb testing.TB, deps reconcile.NightDeps, b *book, o reconcile.NightOptions) reconcile.NightResult {
	tb.Helper()
	if o.AsOf == nil {
		day := chain.DateOf(b.now)
		o.AsOf = &day
	}
	o.Ledger = b.ledger
	result, err := reconcile.RunNight(tb.Context(), deps, o)
	if err != nil {
		tb.Fatal(err)
	}
	return result
}

func TestTheSameRunIsAnsweredFromTheStore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		b.write(t, connect(t, url))
		deps := nightDeps(t, url)
		first := runNight(t, deps, b, reconcile.NightOptions{})
		if first.Came != reconcile.RunComputed || first.Run.Phase != store.PhaseDone || first.Run.EntrySeq == nil || *first.Run.EntrySeq != b.next {
			t.Fatalf("%+v", first)
		}
		if len(first.Disputed) > 0 {
			t.Errorf("disputed: %+v", first.Disputed)
		}
		second := runNight(t, deps, b, reconcile.NightOptions{})
		if second.Came != reconcile.RunStored || second.Run.ID != first.Run.ID || *second.Run.Reports != *first.Run.Reports {
			t.Errorf("%+v", second)
		}
		again := runNight(t, deps, b, reconcile.NightOptions{Again: true})
		if again.Came != reconcile.RunRepeated || len(again.Disputed) > 0 {
			t.Errorf("%+v", again)
		}
		if report := verify(t, url, b.ledger); report.Status != reconcile.Verified {
			t.Errorf("%s", details(report.Findings))
		}
	})
}
