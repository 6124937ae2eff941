package reconcile_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
	"tallystick/reconcile/report"
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

// Whoever changes what is stored of a run is found out by its digest, and by its
// entry where he changes that too.
func TestWhatIsStoredOfARunIsHeldAgainstItsEntry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		conn := connect(t, url)
		b.write(t, conn)
		deps := nightDeps(t, url)
		run := runNight(t, deps, b, reconcile.NightOptions{}).Run
		disputed := func() int {
			t.Helper()
			row, err := deps.DB.RunByKey(t.Context(), b.ledger, run.Key)
			if err != nil {
				t.Fatal(err)
			}
			result, err := reconcile.NightResultOf(t.Context(), deps.DB, row)
			if err != nil {
				t.Fatal(err)
			}
			return len(result.Disputed)
		}
		if n := disputed(); n != 0 {
			t.Fatalf("%d findings about a run that nobody touched", n)
		}
		for _, crime := range [][2]string{
			{"update ops.runs set warnings = warnings + 1", "update ops.runs set warnings = warnings - 1"},
			{"update ops.runs set result = 'failed'", "update ops.runs set result = '" + run.Result + "'"},
			{"update ops.run_outputs set sha256 = sha256(body) where kind = 'findings' and name = 'chain'", ""},
		} {
			mustExec(t, conn, crime[0])
			if disputed() == 0 {
				t.Errorf("%s: nothing is found", crime[0])
			}
			if crime[1] != "" {
				mustExec(t, conn, crime[1])
			}
		}
	})
}

func TestTheControlSheetNamesWhatWasReadAndWhoSigned(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		b.write(t, connect(t, url))
		deps := nightDeps(t, url)
		run := runNight(t, deps, b, reconcile.NightOptions{}).Run
		sheet := func() string {
			t.Helper()
			doc, err := reconcile.ControlSheet(t.Context(), deps.DB, run)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := report.Write(&text, doc, report.PlainText, report.Options{}); err != nil {
				t.Fatal(err)
			}
			return text.String()
		}
		for _, want := range []string{run.ID.String(), run.Head.String(), run.Reports.String(), "the ledger itself", "not yet", "none was used", "trial-balance"} {
			if !strings.Contains(sheet(), want) {
				t.Errorf("the sheet does not say %q:\n%s", want, sheet())
			}
		}
		app, err := store.Open(t.Context(), url, store.RoleApp, 2)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(app.Close)
		sequencers := ledger.NewSequencers(t.Context(), app.Journal(), app.Journal().ClockOffset)
		t.Cleanup(sequencers.Stop)
		eve := ledger.KeyID{UUID: uuid.New()}
		decision := ledger.SignOff(ledger.RequestID{UUID: run.ID}, ledger.StageReview, chain.OutcomeReviewed)
		decision.Actor = eve
		if o, err := sequencers.Submit(t.Context(), ledger.LedgerID{UUID: b.ledger}, decision); err != nil || o.Refusal != nil {
			t.Fatal(err, o.Refusal)
		}
		if signed := sheet(); !strings.Contains(signed, eve.String()) || !strings.Contains(signed, "approved  not yet") {
			t.Errorf("the sheet does not say who reviewed:\n%s", signed)
		}
	})
}
