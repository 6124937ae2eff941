package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

const runsPath = ledgerPath + "/runs"

// night is what a server runs nights with, but that a client waits for the end.
func (b *bank) night() Night {
	return Night{
		Start: b.startRun,
		Row:   func(r store.Run) ([]byte, error) { return json.Marshal(reconcile.ShowRun(&r)) },
		Whole: func(ctx context.Context, r store.Run) ([]byte, error) {
			result, err := reconcile.NightResultOf(ctx, b.db, r)
			if err != nil {
				return nil, err
			}
			return json.Marshal(reconcile.ShowNight(&result))
		},
	}
}

func (b *bank) startRun(ctx context.Context, id ledger.LedgerID, actor ledger.KeyID, r NewRun) (store.Run, *ledger.Refusal, error) {
	if b.runsFull.Load() {
		return store.Run{}, nil, ledger.ErrOverloaded
	}
	var began store.Run
	result, err := reconcile.RunNight(ctx, reconcile.NightDeps{
		DB: b.db, Now: time.Now,
		RunID: func(id uuid.UUID, key chain.Hash) uuid.UUID { return ledger.RunID(ledger.LedgerID{UUID: id}, key).UUID },
		Keeper: reconcile.Keeper{
			Begin: b.db.BeginRun, Hold: b.db.HoldRun, Leave: b.db.LeaveRun, Advance: b.db.AdvanceRun, End: b.db.EndRun,
			Sign: func(ctx context.Context, e reconcile.RunEntry) (int64, error) { return b.recordRun(ctx, actor, e) },
			KeepSnapshot: func(ctx context.Context, id uuid.UUID, size int64, parts []store.SnapshotPart) error {
				return b.db.KeepSnapshot(ctx, ledger.LedgerID{UUID: id}, size, parts)
			},
		},
	}, reconcile.NightOptions{Ledger: id.UUID, AsOf: r.AsOf, Reading: reconcile.Reading(r.Reading), Began: func(r store.Run) { began = r }})
	if errors.Is(err, reconcile.ErrNothingBooked) || errors.Is(err, reconcile.ErrDayNotOver) {
		return store.Run{}, &ledger.Refusal{Code: ledger.CodeRunInvalid, Detail: err.Error(), Posting: -1, Item: -1}, nil
	}
	if err == nil && began.Phase == store.PhaseDone {
		began = result.Run
	}
	return began, nil, err
}

func (b *bank) recordRun(ctx context.Context, actor ledger.KeyID, e reconcile.RunEntry) (int64, error) {
	id := ledger.LedgerID{UUID: e.Ledger}
	last, err := b.db.Entry(ctx, id, e.Size-1)
	if err != nil {
		return 0, err
	}
	outcome, err := b.poster.Submit(ctx, id, &ledger.RecordRun{
		Common: ledger.Common{ID: ledger.RequestID{UUID: e.Run}, Actor: actor}, AsOf: e.AsOf, Size: e.Size, Head: e.Head, Last: last.RequestID(),
		ReadFrom: e.ReadFrom, Result: e.Result, Critical: e.Critical, Warnings: e.Warnings, Reports: e.Reports, Inputs: e.Inputs,
	})
	if err == nil && outcome.Refusal != nil {
		err = errors.New(outcome.Refusal.Detail)
	}
	if err != nil {
		return 0, err
	}
	return outcome.Entry.Seq(), nil
}

// today is the day that the ledger books on.
func (b *bank) today() string {
	b.t.Helper()
	return b.get(ledgerPath+"/entries?from=0&limit=1").text("data", 0, "booking_date")
}

func TestARunIsStartedAnsweredAndListed(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.pay("cash", "customers:1", "10.00").is(201, "")
		size := b.size()
		body := fmt.Sprintf(`{"as_of":%q,"reading":"whole"}`, b.today())
		started := b.post(runsPath, body).is(202, "").want("size", size, "as_of", b.today(), "pins.scope", "whole")
		run := started.text("run")
		again := b.post(runsPath, body).is(200, "").want("run", run, "status", "done", "phase", "done")
		whole := b.get(again.header.Get("Location")).is(200, "").want("run", run, "entry_seq", size)
		if n := whole.length("disputed"); n != 0 {
			t.Errorf("%d findings about the run itself: %s", n, whole.body)
		}
		b.get(ledgerPath+"/entries/"+size).want("id", run, "kind", "run")

		b.pay("cash", "customers:1", "1.00").is(201, "")
		later := b.post(runsPath, body).is(202, "").text("run")
		if later == run {
			t.Error("a larger ledger gives the same run")
		}
		first := b.get(runsPath+"?limit=1").is(200, "").want("data.0.run", later)
		b.get(runsPath+"?limit=1&cursor="+first.text("next")).is(200, "").want("data.0.run", run, "next", "")
	})
}

func TestRunsThatCannotBe(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.post(runsPath, `{"as_of":"2000-01-01"}`).is(422, ledger.CodeRunInvalid)
		b.post(runsPath, `{"as_of":"2999-01-01"}`).is(422, ledger.CodeRunInvalid)
		b.post(runsPath, `{"as_of":"yesterday"}`).is(400, codeDateInvalid)
		b.post(runsPath, `{"reading":"half"}`).is(400, codeValueInvalid)
		b.post(runsPath, `{"rates":"x"}`).is(400, codeUnknownField)
		b.post(runsPath+"?wait=true", `{}`).is(400, codeUnknownParameter)
		b.get(runsPath+"/"+uuid.NewString()).is(404, ledger.CodeRunNotFound)
		b.get(runsPath+"/last").is(404, ledger.CodeRunNotFound)
		b.get(runsPath+"?cursor=x").is(400, codeCursorInvalid)
		b.get(runsPath).is(200, "").want("next", "")
		b.runsFull.Store(true)
		b.post(runsPath, `{}`).is(503, codeOverloaded)
	})
}

func TestARunIsSignedOffByTwoWhoDidNotPrepareIt(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		eve, bob := b.person("eve"), b.person("bob")
		run := b.post(runsPath, fmt.Sprintf(`{"as_of":%q}`, b.today())).is(202, "").text("run")
		path := runsPath + "/" + run + "/sign-off"
		sign := func(who headers, body string) *answer { return b.do("POST", path, body, who) }

		sign(nil, `{"outcome":"reviewed"}`).is(403, ledger.CodeSecondPerson)
		sign(eve, `{"outcome":"approved"}`).is(409, ledger.CodeRunNotReviewed)
		sign(eve, `{"outcome":"fine"}`).is(400, codeValueInvalid)
		sign(eve, `{}`).is(400, codeMissingField)
		sign(eve, `{"outcome":"reviewed","name":"Eve"}`).is(400, codeUnknownField)
		review := sign(eve, `{"outcome":"reviewed","reason":"looks right"}`).is(201, "").want("kind", "decision", "description", "looks right")
		sign(eve, `{"outcome":"reviewed","reason":"looks right"}`).is(201, "").want("seq", review.text("seq"))
		sign(bob, `{"outcome":"reviewed","reason":"looks right"}`).is(409, ledger.CodeIdempotencyConflict)
		sign(eve, `{"outcome":"approved"}`).is(403, ledger.CodeSecondPerson)
		sign(nil, `{"outcome":"approved"}`).is(403, ledger.CodeSecondPerson)
		sign(bob, `{"outcome":"rejected","reason":"the bank is missing"}`).is(201, "")
		sign(bob, `{"outcome":"approved"}`).is(409, ledger.CodeIdempotencyConflict)

		b.do("POST", runsPath+"/"+uuid.NewString()+"/sign-off", `{"outcome":"reviewed"}`, eve).is(404, ledger.CodeRunNotFound)
		b.do("POST", runsPath+"/x/sign-off", `{"outcome":"reviewed"}`, eve).is(404, ledger.CodeRunNotFound)

		// Signing off gives no cause for another run.
		if again := b.post(runsPath, fmt.Sprintf(`{"as_of":%q}`, b.today())).is(200, "").text("run"); again != run {
			t.Errorf("run %s, want %s", again, run)
		}
		b.pay("cash", "customers:1", "1.00").is(201, "")
		second := b.post(runsPath, fmt.Sprintf(`{"as_of":%q}`, b.today())).is(202, "").text("run")
		path = runsPath + "/" + second + "/sign-off"
		sign(eve, `{"outcome":"rejected"}`).is(201, "")
		sign(eve, `{"outcome":"rejected"}`).is(201, "")
		sign(bob, `{"outcome":"approved"}`).is(409, ledger.CodeRunRejected)
		sign(bob, `{"outcome":"rejected"}`).is(409, ledger.CodeRunRejected)
	})
}

// person makes a key with the scope approve and returns the headers that carry it.
func (b *bank) person(name string) headers {
	b.t.Helper()
	key := "tk_" + name
	if _, err := b.db.EnsureKey(b.t.Context(), sha256.Sum256([]byte(key)), name, scopeApprove); err != nil {
		b.t.Fatal(err)
	}
	return headers{"Authorization": {"Bearer " + key}}
}

func TestTheNewestRunIsAMetric(t *testing.T) {
	t.Parallel()
	id := ledger.LedgerID{UUID: uuid.New()}
	m := newMetrics((&posterStub{}).Stats, nil)
	ended := time.Now().Add(-time.Hour)
	m.registry.MustRegister(nightStats{func() map[ledger.LedgerID]NightStats {
		return map[ledger.LedgerID]NightStats{id: {AsOf: 20_000, Result: chain.RunPassed, EndedAt: ended, Warnings: 3, Failures: 2}}
	}})
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]string{}
	for _, f := range families {
		for _, x := range f.GetMetric() {
			if len(x.GetLabel()) == 1 && x.GetLabel()[0].GetValue() == id.String() {
				figures[f.GetName()] = strings.ReplaceAll(x.String(), " ", "")
			}
		}
	}
	for name, want := range map[string]string{"passed": "value:1", "warnings": "value:3", "failures_total": "value:2", "critical_findings": "value:0",
		"as_of_milliseconds": "value:1.728e+12", "age_milliseconds": "value:3.6"} {
		if got := figures["tallystick_night_"+name]; !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
}

// A cursor that no list gave out is refused, whatever days it names.
func TestACursorOfRunsBeyondAllDaysIsRefused(t *testing.T) {
	t.Parallel()
	b := newBank(t, storetest.Database(t), nil)
	info := b.get("/v1/ledgers/main").is(200, "").text("id")
	list := listID("runs", info)
	for _, day := range []chain.Date{math.MinInt32, math.MaxInt32} {
		for _, at := range []time.Time{time.Now(), time.UnixMicro(math.MaxInt64), time.UnixMicro(math.MinInt64)} {
			cursor := newCursor(list, string(appendRunPlace(nil, &store.Run{AsOf: day, StartedAt: at})))
			b.get("/v1/ledgers/main/runs?cursor="+cursor).is(400, codeCursorInvalid)
		}
	}
}
