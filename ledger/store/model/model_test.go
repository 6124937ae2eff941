// Package model_test makes up ledgers and holds them against a bookkeeper's plain
// book: each answer, all balances, and what verify says. book_test.go is the book,
// draw_test.go makes up the requests. -rapid.checks says how many ledgers.
package model_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func decimalOf(s string) *decimal.Decimal {
	v := decimal.RequireFromString(s)
	return &v
}

// modelRuns is how many ledgers the tests of this file make up where
// -rapid.checks does not say it.
const modelRuns = "12"

// cutoff is when the day ends in half of the ledgers: at five.
const cutoff = 17 * 3600

// modelGroups is how many groups of requests a ledger gets at most.
const modelGroups = 40

var shortModel = sync.OnceFunc(func() {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", modelRuns); err != nil {
			panic(err)
		}
	}
})

// Any sequence of requests, in any batches, on any number of processes, is
// answered as a bookkeeper would, and leaves the balances that he has; and the
// night's verification finds nothing.
func TestLedgerAgreesWithAPlainBook(t *testing.T) {
	t.Parallel()
	shortModel()
	storetest.Each(t, func(t *testing.T, url string) {
		m := newModel(t, url)
		rapid.Check(t, func(rt *rapid.T) { m.run(rt) })
		t.Logf("%d ledgers, %d requests, of which were answered: %v", m.runs, m.requests, m.answers)
		m.checkVariety()
	})
}

// model is an engine with the ledgers made up on it.
type model struct {
	t        *testing.T
	db       *store.DB
	auditor  *store.DB
	clock    int64 // never goes back from one ledger to the next: the sweep's watermark does not
	runs     int
	requests int
	answers  map[string]int
}

func newModel(t *testing.T, url string) *model {
	t.Helper()
	m := &model{t: t, answers: map[string]int{}, clock: time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC).UnixMicro()}
	for role, db := range map[store.Role]**store.DB{store.RoleApp: &m.db, store.RoleAuditor: &m.auditor} {
		opened, err := store.Open(t.Context(), url, role, 4)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(opened.Close)
		*db = opened
	}
	return m
}

// checkVariety fails when so many requests met none of the common refusals: then
// they are too tame to prove anything.
func (m *model) checkVariety() {
	var wanted []ledger.Code
	if m.runs >= 12 {
		wanted = append(wanted, "ok", "replayed", "unchanged", ledger.CodeLimitExceeded, ledger.CodeAccountFrozen, ledger.CodeIdempotencyConflict)
	}
	if m.runs >= 200 {
		wanted = append(wanted, ledger.CodeHoldExpired, ledger.CodeHoldCaptured, ledger.CodeHoldReleased, ledger.CodeAlreadyReversed,
			ledger.CodeCaptureExceedsHold, ledger.CodePeriodClosed, ledger.CodePeriodAlreadyClosed, ledger.CodeRetainAccountNeeded,
			ledger.CodeBatchPartlyPosted, ledger.CodeAccountClosed, ledger.CodeAmountRange)
	}
	for _, code := range wanted {
		if m.answers[string(code)] == 0 {
			m.t.Errorf("of %d requests none was answered %s", m.requests, code)
		}
	}
}

// modelRun is one ledger.
type modelRun struct {
	*model
	tb        rapid.TB
	ctx       context.Context
	ledger    ledger.LedgerID
	now       atomic.Int64
	processes []*ledger.Sequencers
	draw      *draw
	book      *plainBook
}

func (m *model) run(rt *rapid.T) {
	d := &draw{rt: rt}
	r := m.begin(rt, d, anyOf(d, 1, 1, 1, 2), anyOf[int32](d, 0, cutoff))
	defer r.end()
	for range r.draw.between(1, modelGroups) {
		r.passTime()
		if r.draw.chance(7) {
			at := r.draw.between(0, len(r.processes)-1)
			r.processes[at].Stop()
			r.processes[at] = r.process()
		}
		r.group()
	}
	r.advance(400 * 24 * time.Hour)
	r.sweep()
	r.compare()
}

// begin opens a ledger with its accounts.
func (m *model) begin(tb rapid.TB, d *draw, processes int, cutoff int32) *modelRun {
	m.runs++
	r := &modelRun{model: m, tb: tb, draw: d, ctx: m.t.Context()}
	m.clock += (24 * time.Hour).Microseconds()
	r.now.Store(m.clock)
	open := ledger.OpenLedger{ID: must(ledger.NewLedgerID()), Host: "test", Name: fmt.Sprintf("model-%d", m.runs), TimeZone: "UTC",
		BaseCurrency: "EUR", DayCutoff: cutoff, ValueDaysBack: 20, ValueDaysAhead: 3}
	info, created, refused, err := m.db.OpenSimulation(r.ctx, open, time.UnixMicro(m.clock))
	if err != nil || refused != nil || !created {
		tb.Fatalf("opening a ledger: %v, %v", refused, err)
	}
	r.ledger = info.ID
	r.book = newPlainBook(m.clock, int64(cutoff), 20, 3)
	d.book, d.sent = r.book, map[string]*op{}
	for range processes {
		r.processes = append(r.processes, r.process())
	}
	first := []*op{{Kind: "currency", Name: "points", Currency: "POINTS"}}
	for _, o := range modelAccounts {
		o.Kind, o.Name = "open", "open "+o.Account
		first = append(first, &o)
	}
	r.submit(r.processes[0], first, r.predict(first))
	return r
}

func (r *modelRun) end() {
	r.clock = max(r.model.clock, r.now.Load(), r.book.now)
	for _, p := range r.processes {
		p.Stop()
	}
}

func (r *modelRun) process() *ledger.Sequencers {
	return ledger.NewSimulation(r.ctx, r.db, func() time.Time { return time.UnixMicro(r.now.Load()) })
}

func (r *modelRun) anyProcess() *ledger.Sequencers {
	return r.processes[r.draw.between(0, len(r.processes)-1)]
}

func (r *modelRun) id(name string) ledger.RequestID {
	var of string
	var number int
	switch {
	case len(name) > 7 && name[:7] == "expiry:":
		return ledger.ExpiryRequestID(r.ledger, r.id(name[7:]))
	case len(name) > 8 && name[:8] == "closing:":
		for i := len(name) - 1; i > 8; i-- {
			if name[i] == ':' {
				of, number = name[8:i], int(name[i+1]-'0')
				break
			}
		}
		return ledger.DeriveRequestID(r.ledger, "closing", r.id(of).String()+"\x00"+fmt.Sprint(number))
	}
	return ledger.DeriveRequestID(r.ledger, "model", name)
}

func (r *modelRun) common(name string) ledger.Common {
	c := ledger.Common{ID: r.id(name), Actor: ledger.KeyID{UUID: r.ledger.UUID}} // the nil UUID is the ledger itself
	copy(c.Salt[:], c.ID.UUID[:])
	return c
}

func instant(micros *int64) *time.Time {
	if micros == nil {
		return nil
	}
	at := time.UnixMicro(*micros)
	return &at
}

// advance sets the clock of all processes.
func (r *modelRun) advance(by time.Duration) {
	r.book.tick(r.now.Add(by.Microseconds()))
}

// passTime moves the clock, often to the microsecond at which a hold expires.
func (r *modelRun) passTime() {
	switch n := r.draw.between(1, 10); {
	case n <= 4:
		r.advance(time.Duration(r.draw.between(0, 3)) * time.Microsecond)
	case n == 5:
		r.advance(-time.Duration(r.draw.between(1, 4)) * time.Second)
	case n <= 7:
		r.advance(time.Duration(r.draw.between(1, 50)) * time.Hour)
	default:
		var next []int64
		for _, e := range r.book.entries {
			if e.expiry != nil && *e.expiry > r.book.now {
				next = append(next, *e.expiry)
			}
		}
		if len(next) == 0 {
			return
		}
		slices.Sort(next)
		at := anyOf(r.draw, next...) + int64(r.draw.between(-1, 1))
		r.advance(time.Duration(max(0, at-r.now.Load())) * time.Microsecond)
	}
	if r.draw.chance(60) {
		r.sweep()
	}
}

// sweep releases what has expired, as a server does.
func (r *modelRun) sweep() {
	due := r.book.due(r.now.Load())
	process := r.anyProcess()
	met := 0
	_, err := r.db.SweepHolds(r.ctx, time.UnixMicro(r.now.Load()), func(ctx context.Context, holds []ledger.DueHold) error {
		for _, h := range holds {
			q := &ledger.ReleaseHold{Hold: h.ID, OnExpiry: true}
			q.ID = ledger.ExpiryRequestID(h.Ledger, h.ID)
			if h.Ledger == r.ledger {
				met++
			}
			if o, err := process.Submit(ctx, h.Ledger, q); err != nil || o.Refusal != nil {
				return fmt.Errorf("releasing %s: %+v, %w", h.ID, o.Refusal, err)
			}
		}
		return nil
	})
	if err != nil || met != len(due) {
		r.tb.Fatalf("the sweep met %d holds, want %v: %v", met, due, err)
	}
	for _, name := range due {
		o := &op{Kind: "release", Name: "expiry:" + name, Target: name, Sweep: true}
		if v := r.book.submit(o); v != good {
			r.tb.Fatalf("the book does not release %s: %s", name, v.code)
		}
	}
}

// group draws some requests that come at the same time, and submits them to one
// process; sometimes it only asks, before, what would come of them.
func (r *modelRun) group() {
	d := r.draw
	var before []string
	for name, o := range d.sent {
		if (o.Kind == "transfer" || o.Kind == "hold") && r.book.entries[name] != nil {
			before = append(before, name)
		}
	}
	slices.Sort(before)
	process := r.anyProcess()
	onlyMoney := d.chance(15)
	real := r.book
	r.book = real.clone()
	d.book = r.book
	var ops []*op
	var want []verdict
	refused := map[string]bool{}
	for range d.between(1, 12) {
		o := d.one()
		if d.chance(8) {
			o = d.atomic(before)
		}
		if onlyMoney && slices.Contains([]string{"open", "change", "currency", "close", "reopen"}, o.Kind) {
			continue
		}
		// A request that is refused, and then accepted when it comes once more
		// before its answer has left, is answered by that.
		names := namesOf(o)
		if slices.ContainsFunc(names, func(name string) bool { return refused[name] }) {
			continue
		}
		v := r.book.submit(o)
		ops, want = append(ops, o), append(want, v)
		for _, name := range names {
			refused[name] = refused[name] || v != good && v != replayed
		}
		if d.sent[o.Name] == nil {
			d.sent[o.Name] = o
		}
		for _, item := range o.Items {
			if v == good {
				d.sent[item.Name] = item
			}
		}
	}
	if onlyMoney {
		r.rehearse(process, ops, want)
		if d.chance(50) { // that was all
			r.book, d.book = real, real
			return
		}
	}
	r.submit(process, ops, want)
}

// namesOf are the ids that o would use up.
func namesOf(o *op) []string {
	names := []string{o.Name}
	for _, item := range o.Items {
		names = append(names, item.Name)
	}
	return names
}

// predict asks the book.
func (r *modelRun) predict(ops []*op) []verdict {
	var want []verdict
	for _, o := range ops {
		want = append(want, r.book.submit(o))
	}
	return want
}

func (r *modelRun) requestsOf(ops []*op) []ledger.Request {
	var requests []ledger.Request
	for _, o := range ops {
		requests = append(requests, r.request(o))
	}
	return requests
}

func (r *modelRun) submit(process *ledger.Sequencers, ops []*op, want []verdict) {
	for i, result := range process.SubmitAll(r.ctx, r.ledger, r.requestsOf(ops)) {
		if result.Err != nil {
			r.tb.Fatalf("%s: %v", ops[i].body(), result.Err)
		}
		r.check(ops, i, &result.Outcome, want[i])
		r.requests++
		r.answers[want[i].code]++
	}
}

func (r *modelRun) rehearse(process *ledger.Sequencers, ops []*op, want []verdict) {
	outcomes, err := process.Rehearse(r.ctx, r.ledger, r.requestsOf(ops))
	if err != nil || len(outcomes) != len(ops) {
		r.tb.Fatalf("rehearsing: %d outcomes, %v", len(outcomes), err)
	}
	made := map[string]bool{} // what stands twice here is no replay: it stands nowhere yet
	for i := range outcomes {
		names, wanted := namesOf(ops[i]), want[i]
		if wanted == replayed && slices.ContainsFunc(names, func(name string) bool { return made[name] }) {
			wanted = good
		}
		r.check(ops, i, &outcomes[i], wanted)
		for _, name := range names {
			made[name] = made[name] || want[i] == good
		}
	}
}

// check compares the answer to request i of a group.
func (r *modelRun) check(ops []*op, i int, got *ledger.Outcome, want verdict) {
	v, detail := verdictOf(got), ""
	if got.Refusal != nil {
		detail = got.Refusal.Detail
	}
	if v != want {
		for j := range i + 1 {
			r.tb.Logf("%d: %s %s", j, ops[j].Name, ops[j].body())
		}
		r.tb.Fatalf("request %d, %s: got %+v (%s), the plain book says %+v", i, ops[i].Name, v, detail, want)
	}
	if want != good && want != replayed {
		return
	}
	entries := []ledger.Outcome{*got}
	items := []*op{ops[i]}
	if ops[i].Kind == "atomic" {
		entries, items = got.Items, ops[i].Items
	}
	if len(entries) != len(items) {
		r.tb.Fatalf("%d entries of %d items", len(entries), len(items))
	}
	for j, o := range items {
		if e := entries[j].Entry; e == nil || e.RequestID() != r.id(o.Name) || !e.Intact() {
			r.tb.Fatalf("request %s became %+v", o.Name, e)
		}
	}
}

func verdictOf(o *ledger.Outcome) verdict {
	switch {
	case o.Refusal != nil:
		return verdict{string(o.Refusal.Code), o.Refusal.Item}
	case o.Replayed:
		return replayed
	case o.Unchanged:
		return unchanged
	}
	return good
}

// compare holds what is stored against the book.
func (r *modelRun) compare() {
	codes := slices.Sorted(maps.Keys(r.book.accounts))
	stored, err := r.db.AccountsByCode(r.ctx, r.ledger, codes)
	if err != nil || len(stored) != len(codes) {
		r.tb.Fatalf("reading %d accounts: %d, %v", len(codes), len(stored), err)
	}
	sums := map[string]decimal.Decimal{}
	for _, code := range codes {
		a, want := stored[code], r.book.accounts[code]
		if got, want := figures(&a), want.figures(); got != want {
			r.tb.Fatalf("account %s is stored with\n%s, the plain book has\n%s", code, got, want)
		}
		sums[a.Currency] = sums[a.Currency].Add(a.Posted.Decimal(a.Scale))
	}
	for currency, sum := range sums {
		if !sum.IsZero() {
			r.tb.Fatalf("all %s sum to %s", currency, sum)
		}
	}
	opening, err := r.db.Opening(r.ctx, r.ledger)
	if err != nil || opening.Newest.Seq()+1 != int64(r.book.size) {
		r.tb.Fatalf("%d entries, want %d: %v", opening.Newest.Seq()+1, r.book.size, err)
	}
	for _, day := range []chain.Date{r.book.day, r.book.day - 398, r.book.day - 400, r.book.day - 403} {
		r.compareIncomes(day, opening.Newest.Seq())
	}
	report, err := reconcile.Verify(r.ctx, r.auditor, r.ledger.UUID, reconcile.Options{Workers: 1})
	if err != nil || report.Status != "verified" || len(report.Findings) > 0 {
		text, _ := json.Marshal(report.Findings)
		r.tb.Fatalf("verify: %s, %s, %v", report.Status, text, err)
	}
}

func (r *modelRun) compareIncomes(day chain.Date, seq int64) {
	incomes, err := r.db.Incomes(r.ctx, r.ledger, day, seq, 100)
	if err != nil {
		r.tb.Fatal(err)
	}
	got := map[string]string{}
	for _, in := range incomes {
		if got[in.Code] = in.Balance.Decimal(in.Scale).String(); in.BeyondRange {
			got[in.Code] = "beyond 128 bits"
		}
	}
	want := map[string]string{}
	for code, a := range r.book.accounts {
		if sum := a.on(day); !sum.IsZero() && (a.kind == chain.Revenue || a.kind == chain.Expense) {
			if want[code] = sum.String(); r.book.wide(sum, a.currency) {
				want[code] = "beyond 128 bits"
			}
		}
	}
	if !maps.Equal(got, want) {
		r.tb.Fatalf("on %s the incomes are %v, want %v", day, got, want)
	}
}

// figures are all that an account says, as text.
func figures(a *ledger.Account) string {
	limit := func(v *decimal.Decimal) string { return fmt.Sprint(v) }
	var low, high *decimal.Decimal
	if a.MinBalance != nil {
		v := a.MinBalance.Decimal(a.Scale)
		low = &v
	}
	if a.MaxBalance != nil {
		v := a.MaxBalance.Decimal(a.Scale)
		high = &v
	}
	return fmt.Sprintf("%s %s %s %s held %s %s, %d postings, from %s to %s, frozen %s, closed %t", a.Type, a.Currency, "balance", a.Posted.Decimal(a.Scale),
		a.PendingDebit.Decimal(a.Scale), a.PendingCredit.Decimal(a.Scale), a.AccountSeq, limit(low), limit(high), a.Frozen, a.Closed)
}

func (a *modelAccount) figures() string {
	return fmt.Sprintf("%s %s %s %s held %s %s, %d postings, from %s to %s, frozen %s, closed %t", a.kind, a.currency, "balance", a.posted,
		a.debits, a.credits, a.postings, fmt.Sprint(a.min), fmt.Sprint(a.max), a.frozen, a.closed)
}
