package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"tallystick/cmd/tallystick/internal/schedule"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// patience bounds what tests of the night wait for.
const patience = 2 * time.Minute

// nightBook is a ledger with a transfer on each of the last days.
type nightBook struct {
	t    *testing.T
	url  string
	db   *store.DB
	id   ledger.LedgerID
	conn *pgx.Conn // of the superuser
	now  time.Time
	held bool // a run was held
}

const nightDays = 12

func newNightBook(t *testing.T, url string) *nightBook {
	t.Helper()
	b := &nightBook{t: t, url: url, now: time.Now()}
	var err error
	if b.db, err = store.Open(t.Context(), url, store.RoleApp, 8); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.db.Close)
	if b.conn, err = pgx.Connect(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.conn.Close(context.WithoutCancel(t.Context())) })
	if b.id, err = ledger.NewLedgerID(); err != nil {
		t.Fatal(err)
	}
	at := b.now.AddDate(0, 0, -nightDays)
	_, _, refused, err := b.db.OpenSimulation(t.Context(), ledger.OpenLedger{ID: b.id, Host: "night.test", Name: mainLedger, TimeZone: "UTC", BaseCurrency: "EUR",
		ValueDaysBack: ledger.DefaultValueDaysBack, ValueDaysAhead: ledger.DefaultValueDaysAhead}, at)
	if err != nil || refused != nil {
		t.Fatal(err, refused)
	}
	poster := ledger.NewSimulation(t.Context(), b.db.Journal(), func() time.Time { return at })
	defer poster.Stop()
	for code, kind := range map[string]chain.AccountType{"bank:main": chain.Asset, "customers:1": chain.Liability} {
		b.submit(poster, &ledger.OpenAccount{AccountID: ledger.AccountID{UUID: uuid.New()}, Code: code, Type: kind, Currency: "EUR"})
	}
	for ; at.Before(b.now.Add(-time.Hour)); at = at.Add(24 * time.Hour) {
		amount := decimal.New(int64(at.YearDay()), 0)
		b.submit(poster, &ledger.TransferRequest{Legs: []ledger.Leg{
			{Account: "bank:main", Direction: chain.Debit, Amount: amount}, {Account: "customers:1", Direction: chain.Credit, Amount: amount}}})
	}
	return b
}

func (b *nightBook) submit(poster *ledger.Sequencers, r ledger.Request) {
	b.t.Helper()
	common := ledger.Common{ID: ledger.RequestID{UUID: uuid.New()}}
	switch r := r.(type) {
	case *ledger.OpenAccount:
		r.Common = common
	case *ledger.TransferRequest:
		r.Common = common
	}
	if o, err := poster.Submit(b.t.Context(), b.id, r); err != nil || o.Refusal != nil {
		b.t.Fatal(err, o.Refusal)
	}
}

func (b *nightBook) sql(text string, args ...any) {
	b.t.Helper()
	if _, err := b.conn.Exec(b.t.Context(), text, args...); err != nil {
		b.t.Fatalf("%s: %v", text, err)
	}
}

// number is what a query of one number gives.
func (b *nightBook) number(text string, args ...any) int {
	b.t.Helper()
	n := 0
	if err := b.conn.QueryRow(b.t.Context(), text, args...).Scan(&n); err != nil {
		b.t.Fatalf("%s: %v", text, err)
	}
	return n
}

// until waits until a query of one number gives something.
func (b *nightBook) until(text string, args ...any) {
	b.t.Helper()
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for end := time.Now().Add(patience); b.number(text, args...) == 0; <-ticks.C {
		if time.Now().After(end) {
			b.t.Fatalf("nothing within %s: %s", patience, text)
		}
	}
}

// holdLock is what a run that ends the phase at hand waits for.
const holdLock = 4711

// hold has whoever ends a phase wait, until it is let go. The lock is one of this database; pg_locks shows those of all.
func (b *nightBook) hold(phase string) {
	b.t.Helper()
	b.sql(`create or replace function public.hold_phase() returns trigger language plpgsql security definer as $$
begin
	perform pg_advisory_xact_lock(4711);
	return new;
end $$`)
	b.sql("drop trigger if exists hold_phase on ops.runs")
	b.sql("create trigger hold_phase before update on ops.runs for each row when (old.phase = '" + phase + "' and new.phase <> old.phase) execute function public.hold_phase()")
	b.sql("select pg_advisory_lock($1)", holdLock)
	b.held = true
}

// letGo takes away what is held, and who waits for it.
func (b *nightBook) letGo() {
	b.t.Helper()
	b.sql("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = $1 and not granted and database = (select oid from pg_database where datname = current_database()) and pid <> pg_backend_pid()", holdLock)
	b.until("select count(*)::int4 - 1 from (select 1 union all select 1 where not exists (select 1 from pg_locks where locktype = 'advisory' and objid = $1 and not granted and database = (select oid from pg_database where datname = current_database()))) as x", holdLock)
	b.sql("drop trigger hold_phase on ops.runs")
	b.sql("select pg_advisory_unlock($1)", holdLock)
}

// process begins tallystick as a process of its own.
func (b *nightBook) process(args ...string) *exec.Cmd {
	b.t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), processVariable+"=1", "TALLYSTICK_ADMIN_KEY="+strings.Repeat("k", 40))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	return cmd
}

// killAt kills a process with -9 while it ends a phase, and lets its leases run out.
func (b *nightBook) killAt(phase string, args ...string) {
	b.t.Helper()
	b.hold(phase)
	p := b.process(args...)
	b.until("select count(*) from pg_locks where locktype = 'advisory' and objid = $1 and not granted and database = (select oid from pg_database where datname = current_database())", holdLock)
	if err := p.Process.Kill(); err != nil {
		b.t.Fatal(err)
	}
	_ = p.Wait() // it was killed
	b.letGo()
	if n := b.number("select count(*) from ops.runs where phase = $1", phase); n != 1 {
		b.t.Fatalf("%d runs at phase %s", n, phase)
	}
	b.sql("update ops.runs set held_until = now() - interval '1 second'")
	b.sql("update ops.night_turns set held_until = now() - interval '1 second' where done_at is null")
}

// work is what runs nights in the test's own process.
func (b *nightBook) work() *nightWork {
	b.t.Helper()
	db, err := store.Open(b.t.Context(), b.url, store.RoleApp, 8)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(db.Close)
	journal := db.Journal()
	poster := ledger.NewSequencers(b.t.Context(), journal, journal.ClockOffset)
	b.t.Cleanup(poster.Stop)
	return &nightWork{url: b.url, db: db, poster: poster, state: "/nowhere"}
}

// again computes a run once more, and fails when anything differs from what is stored.
func (b *nightBook) again(asOf chain.Date) {
	b.t.Helper()
	if b.held { // a run finds the trigger of hold, and so must the other
		b.sql("create trigger hold_phase before update on ops.runs for each row when (false) execute function public.hold_phase()")
		defer b.sql("drop trigger hold_phase on ops.runs")
	}
	result, err := b.work().run(b.t.Context(), ledger.KeyID{}, time.Now, reconcile.NightOptions{Ledger: b.id.UUID, AsOf: &asOf, Again: true})
	if err != nil {
		b.t.Fatal(err)
	}
	if len(result.Disputed) > 0 || result.Run.EntrySeq == nil {
		text, _ := json.Marshal(result.Disputed)
		b.t.Errorf("the run as of %s comes out otherwise: %s", asOf, text)
	}
}

// allPhases are those that a run ends one after the other.
var allPhases = []string{"chain", "books", "bank", "risk", "reports", "sign"}

// holdable skips where a run cannot be held: CockroachDB has no such locks.
func holdable(t *testing.T, url string) {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.RoleAuditor, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if !strings.Contains(strings.ToLower(db.EngineName()), "postgres") {
		t.Skip("a phase is held by an advisory lock, which only PostgreSQL has")
	}
}

func TestARunKilledInEveryPhaseEndsWithTheSameReports(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		holdable(t, url)
		b := newNightBook(t, url)
		day := chain.DateOf(b.now.UTC()) - 1
		args := []string{"reconcile", "--database-url", url, "--as-of", day.String()}
		for _, phase := range allPhases {
			b.killAt(phase, args...)
		}
		p := b.process(args...)
		var exit *exec.ExitError
		if err := p.Wait(); err != nil && (!errors.As(err, &exit) || exit.ExitCode() == exitUsage) {
			t.Fatal(err)
		}
		if n := b.number("select count(*) from book.entries where kind = 'run'"); n != 1 {
			t.Errorf("%d run entries", n)
		}
		b.again(day)
	})
}

func TestAServerKilledInAnyPhaseLeavesItsNightToAnother(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		holdable(t, url)
		b := newNightBook(t, url)
		if err := b.db.BeginNights(t.Context(), b.id, b.now.AddDate(0, 0, -1)); err != nil {
			t.Fatal(err)
		}
		spec := fmt.Sprintf("%d %d * * *", b.now.UTC().Add(-time.Hour).Minute(), b.now.UTC().Add(-time.Hour).Hour())
		serve := []string{"serve", "--database-url", url, "--listen", "127.0.0.1:0", "--signer", "off", "--data-dir", t.TempDir(), "--nightly", spec, "--log-level", "error"}
		for _, phase := range allPhases {
			b.killAt(phase, serve...)
		}
		n := b.nightly(spec)
		b.rounds(n)
		if n := b.number("select count(*) from ops.night_turns where done_at is not null and run_id is not null and tries = $1", len(allPhases)+1); n != 1 {
			t.Errorf("%d nights have ended after %d tries", n, len(allPhases)+1)
		}
		if n := b.number("select count(*) from book.entries where kind = 'run'"); n != 1 {
			t.Errorf("%d run entries", n)
		}
		b.again(reconcileDay(t, b))
	})
}

// reconcileDay is the day of the one run there is.
func reconcileDay(t *testing.T, b *nightBook) chain.Date {
	t.Helper()
	runs, err := b.db.Runs(t.Context(), b.id, nil, 2)
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	return runs[0].AsOf
}

// nightly is a scheduler with what it works with.
func (b *nightBook) nightly(spec string) *nightly {
	b.t.Helper()
	n, err := newNightly(spec, "UTC", b.work(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// rounds lets schedulers look for nights at once, until none is open.
func (b *nightBook) rounds(all ...*nightly) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; {
		var group sync.WaitGroup
		for _, n := range all {
			group.Go(func() {
				if err := n.round(b.t.Context()); err != nil {
					b.t.Error(err)
				}
			})
		}
		group.Wait()
		if b.number("select count(*) from ops.night_turns where done_at is null") == 0 {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("nights are open after %s", patience)
		}
	}
}

func TestTwoReplicasRunEachNightOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := newNightBook(t, url)
		if err := b.db.BeginNights(t.Context(), b.id, b.now.AddDate(0, 0, -6)); err != nil {
			t.Fatal(err)
		}
		one, other := b.nightly("30 2 * * *"), b.nightly("30 2 * * *")
		b.rounds(one, other)
		when, err := schedule.Parse("30 2 * * *")
		if err != nil {
			t.Fatal(err)
		}
		dues, _ := when.Between(b.now.AddDate(0, 0, -6), time.Now(), time.UTC, MaxMissedNights)
		if n := b.number("select count(*) from ops.night_turns where run_id is not null and tries = 1 and failed is null"); n != len(dues) || n < 5 {
			t.Errorf("%d nights ended at the first try, want %d", n, len(dues))
		}
		// Nights of one weekend are of the same Friday, and so one run.
		runs, days := b.number("select count(*) from ops.runs where phase = 'done'"), b.number("select count(distinct as_of) from ops.runs")
		if entries := b.number("select count(*) from book.entries where kind = 'run'"); runs != days || entries != runs {
			t.Errorf("%d runs of %d days, %d entries", runs, days, entries)
		}
		b.rounds(one, other)
		if n := b.number("select count(*) from ops.night_turns where tries > 1"); n != 0 {
			t.Errorf("%d nights were run again", n)
		}
		if s := one.nights()[b.id]; s.Result == "" || s.EndedAt.IsZero() || s.AsOf == 0 {
			t.Errorf("the newest run is shown as %+v", s)
		}
	})
}

func TestANightThatFailsIsPutOffAndThenGivenUp(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := newNightBook(t, url)
		if err := b.db.BeginNights(t.Context(), b.id, b.now.AddDate(0, 0, -1)); err != nil {
			t.Fatal(err)
		}
		n := b.nightly(fmt.Sprintf("%d %d * * *", b.now.UTC().Add(-time.Hour).Minute(), b.now.UTC().Add(-time.Hour).Hour()))
		n.work.files.Rates = "/nowhere/rates.csv"
		for range maxNightTries {
			if err := n.round(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.sql("update ops.night_turns set held_until = now() - interval '1 second' where done_at is null")
		}
		if got := b.number("select count(*) from ops.night_turns where done_at is not null and run_id is null and failed like 'given up: %' and tries = $1", maxNightTries); got != 1 {
			t.Errorf("%d nights are given up", got)
		}
		if s := n.nights()[b.id]; s.Failures != maxNightTries {
			t.Errorf("%d failures are counted", s.Failures)
		}
	})
}

func TestTheExitCodeOfARunSaysWhatCameOfIt(t *testing.T) {
	for name, c := range map[string]struct {
		result reconcile.NightResult
		want   int
	}{
		"passed, with warnings": {reconcile.NightResult{Run: store.Run{Result: chain.RunPassed, Warnings: 3}}, exitFine},
		"critical findings":     {reconcile.NightResult{Run: store.Run{Result: chain.RunFailed, Critical: 1}}, exitTampered},
		"not all was checked":   {reconcile.NightResult{Phases: []reconcile.PhaseFindings{{NotChecked: []string{"x"}}}}, exitIncomplete},
		"both": {reconcile.NightResult{Run: store.Run{Result: chain.RunFailed, Critical: 1},
			Phases: []reconcile.PhaseFindings{{NotChecked: []string{"x"}}}}, exitTampered},
		"disputed": {reconcile.NightResult{Run: store.Run{Result: chain.RunPassed}, Disputed: []chain.Finding{{}}}, exitTampered},
	} {
		got := exitFine
		var exit exitError
		if err := nightExit(&c.result); errors.As(err, &exit) {
			got = exit.code
		}
		if got != c.want {
			t.Errorf("%s: exit code %d, want %d", name, got, c.want)
		}
	}
}

func TestALedgerWhoseNightFailsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := newNightBook(t, storetest.Database(t))
	_, _, refused, err := b.db.OpenLedger(t.Context(), ledger.OpenLedger{ID: ledger.LedgerID{UUID: uuid.New()}, Host: "night.test", Name: "a-first", TimeZone: "UTC", BaseCurrency: "EUR"})
	if err != nil || refused != nil {
		t.Fatal(err, refused)
	}
	n := b.nightly("30 2 * * *")
	n.zone, n.page = nil, 1
	if err := n.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.sql("update ops.night_turns set due = due - interval '3 days'")
	b.sql("update book.ledgers set time_zone = 'Nowhere/Atall' where name = 'a-first'")
	if err := n.round(t.Context()); err == nil || !strings.Contains(err.Error(), "a-first") {
		t.Errorf("the first ledger has a time zone that does not exist, and the round says %v", err)
	}
	if got := b.number("select count(*) from ops.night_turns where run_id is not null"); got < 2 {
		t.Errorf("%d nights of the second ledger were run", got)
	}
}

// A night that is not run because its policy is not in force yet is a failure that
// the metrics show; one of a ledger without entries is none.
func TestANightWithoutAPolicyInForceIsAFailure(t *testing.T) {
	t.Parallel()
	b := newNightBook(t, storetest.Database(t))
	if err := b.db.BeginNights(t.Context(), b.id, b.now.AddDate(0, 0, -1)); err != nil {
		t.Fatal(err)
	}
	n := b.nightly(fmt.Sprintf("%d %d * * *", b.now.UTC().Add(-time.Hour).Minute(), b.now.UTC().Add(-time.Hour).Hour()))
	n.work.files.Policy = filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(n.work.files.Policy, []byte("schema: tallystick/policy/1\nname: bank\nversion: \"1\"\neffective_from: 2999-01-01\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.number("select count(*) from ops.night_turns where done_at is not null and run_id is null and failed like '%not in force%'"); got != 1 {
		t.Errorf("%d nights have ended without a run", got)
	}
	if s := n.nights()[b.id]; s.Failures != 1 {
		t.Errorf("%d failures are counted", s.Failures)
	}
}
