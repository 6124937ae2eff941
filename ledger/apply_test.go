package ledger

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

func TestSameIDInOneBatch(t *testing.T) {
	t.Parallel()
	x := bank(t)
	first := x.transfer(dr("cash", "12.3"), cr("bob", "12.3"))
	same := x.transfer(dr("cash", "12.30"), cr("bob", "12.30"))
	other := x.transfer(dr("cash", "12.31"), cr("bob", "12.31"))
	same.ID, other.ID = first.ID, first.ID
	answers := x.post(noon, first, same, other)
	if answers[0].Refusal != nil || answers[1].Entry != answers[0].Entry || !answers[1].Replayed {
		t.Errorf("the same request twice gave %+v", answers[:2])
	}
	if r := answers[2].Refusal; r == nil || r.Code != CodeIdempotencyConflict {
		t.Errorf("another body under the same id: got %+v, want %s", r, CodeIdempotencyConflict)
	}
}

func TestRefusalDoesNotConsumeTheID(t *testing.T) {
	t.Parallel()
	x := bank(t)
	refused := x.transfer(dr("alice", "11"), cr("bob", "11"))
	again := *refused
	answers := x.post(noon, refused, x.transfer(dr("cash", "1"), cr("alice", "1")), &again)
	if answers[0].Refusal == nil || answers[2].Refusal != nil {
		t.Errorf("got %+v, want a refusal and then, with money there, acceptance", answers)
	}
}

func TestConflictAfterErasureComparesMoney(t *testing.T) {
	t.Parallel()
	x := bank(t)
	r := x.transfer(dr("cash", "1"), cr("bob", "1"))
	x.post(noon, r)
	e := x.all[len(x.all)-1]
	e.text = Text{}
	if refused := Conflict(r, &e); refused != nil {
		t.Errorf("the same money after an erasure: %s", refused.Detail)
	}
	other := x.transfer(dr("cash", "2"), cr("bob", "2"))
	other.ID = r.ID
	if Conflict(other, &e) == nil {
		t.Error("other money under an erased id is taken for the same request")
	}
}

func TestBookingDateFollowsZoneAndCutoff(t *testing.T) {
	t.Parallel()
	x := newTester(t, func(terms *chain.LedgerTerms) {
		terms.TimeZone, terms.DayCutoff = "Europe/Berlin", 17*3600
	})
	x.open("a", chain.Asset, "EUR", nil)
	x.open("b", chain.Liability, "EUR", nil)
	for _, tt := range []struct{ at, want string }{
		{"2026-03-03T15:59:59Z", "2026-03-03"}, // 16:59:59 in Berlin
		{"2026-03-03T16:00:00Z", "2026-03-04"},
		{"2026-03-03T23:30:00Z", "2026-03-04"}, // past midnight there
		{"2026-03-03T10:00:00Z", "2026-03-04"}, // the clock went back, the day does not
		{"2026-03-29T15:00:00Z", "2026-03-30"}, // summer time: 17:00
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		x.post(at, x.transfer(dr("a", "1"), cr("b", "1")))
		if got := x.all[len(x.all)-1].record.BookingDate.String(); got != tt.want {
			t.Errorf("%s is booked on %s, want %s", tt.at, got, tt.want)
		}
	}
	x.checkChain()
}

func TestFollowTakesOverForeignEntries(t *testing.T) {
	t.Parallel()
	x := bank(t)
	behind, err := NewBook(x.book.id, x.book.terms, x.book.head, CacheBytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"cash", "bob"} {
		a := *x.book.Account(code)
		behind.Remember(&a)
	}
	frozen := chain.FrozenDebits
	x.post(noon, x.transfer(dr("cash", "5"), cr("bob", "5")), &ChangeAccount{Common: x.common(), Code: "bob", Frozen: &frozen})
	tail := x.all[len(x.all)-2:]
	if err := behind.Follow(&tail[1]); err == nil {
		t.Fatal("an entry was skipped unnoticed")
	}
	for i := range tail {
		if err := behind.Follow(&tail[i]); err != nil {
			t.Fatal(err)
		}
	}
	if behind.head != x.book.head || !reflect.DeepEqual(behind.Account("bob"), x.book.Account("bob")) {
		t.Errorf("after following, bob is %+v, want %+v", behind.Account("bob"), x.book.Account("bob"))
	}
	forged := tail[1]
	forged.record.Seq, forged.record.PrevHash = forged.record.Seq+1, behind.head.Hash
	if err := behind.Follow(&forged); err == nil {
		t.Error("an entry whose hash is not its own was followed")
	}
}

func TestCacheStaysWithinItsBound(t *testing.T) {
	t.Parallel()
	x := newTester(t, nil)
	x.book.accounts.init(10 * accountOverhead)
	for i := range 100 {
		x.open(fmt.Sprintf("a:%d", i), chain.Asset, "EUR", nil)
		x.book.accounts.trim()
	}
	if used := x.book.accounts.used; used > 10*accountOverhead || used <= 0 {
		t.Errorf("cache uses %d bytes of at most %d", used, 10*accountOverhead)
	}
	if x.book.Account("a:99") == nil || x.book.Account("a:0") != nil {
		t.Error("the cache forgot the account used last, or kept the first")
	}
}

// plainBook is the oracle: balances as a bookkeeper would add them up.
type plainBook map[string]decimal.Decimal

func TestApplyAgreesWithAPlainBook(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		x := newTester(t, nil)
		codes := []string{"cash", "a", "b", "c"}
		x.open("cash", chain.Asset, "EUR", nil)
		for _, c := range codes[1:] {
			x.open(c, chain.Liability, "EUR", func(r *OpenAccount) { r.MinBalance = limit("0") })
		}
		plain := plainBook{}
		for range rapid.IntRange(1, 8).Draw(rt, "batches") {
			var batch []Request
			for range rapid.IntRange(1, 6).Draw(rt, "requests") {
				from := rapid.SampledFrom(codes).Draw(rt, "from")
				to := rapid.SampledFrom(codes).Draw(rt, "to")
				amount := decimal.New(rapid.Int64Range(-1, 500).Draw(rt, "cents"), -2).String()
				batch = append(batch, x.transfer(dr(from, amount), cr(to, amount)))
			}
			before := *x.book.Account("cash")
			decided := Apply(x.book, noon, batch)
			again := Apply(x.book, noon, batch)
			if !reflect.DeepEqual(decided.Entries, again.Entries) || !reflect.DeepEqual(&before, x.book.Account("cash")) {
				rt.Fatal("Apply is not deterministic, or it changed the book")
			}
			for i, a := range x.post(noon, batch...) {
				plain.check(rt, batch[i].(*TransferRequest), a.Refusal)
			}
		}
		x.checkChain()
		sum := money.Int128{}
		for _, c := range codes {
			a := x.book.Account(c)
			if got := a.Balance().Format(2); got != plain[c].StringFixed(2) {
				rt.Fatalf("%s has %s, the plain book says %s", c, got, plain[c].StringFixed(2))
			}
			sum, _ = sum.Add(a.Posted)
		}
		if !sum.IsZero() {
			rt.Fatalf("all balances sum to %s", sum)
		}
	})
}

// check books r on the plain book when its own rules allow it, and compares.
func (p plainBook) check(rt *rapid.T, r *TransferRequest, refused *Refusal) {
	from, to, amount := r.Legs[0].Account, r.Legs[1].Account, r.Legs[0].Amount
	fromAfter, toAfter := p[from].Sub(amount), p[to].Add(amount) // liabilities: a debit lowers
	if from == "cash" {
		fromAfter = p[from].Add(amount)
	}
	if to == "cash" {
		toAfter = p[to].Sub(amount)
	}
	allowed := amount.IsPositive() && from != to && (from == "cash" || !fromAfter.IsNegative())
	if allowed != (refused == nil) {
		rt.Fatalf("%s from %s (%s) to %s: refused=%v, the plain book allows: %v", amount, from, p[from], to, refused, allowed)
	}
	if allowed {
		p[from], p[to] = fromAfter, toAfter
	}
}

func BenchmarkApply(b *testing.B) {
	x := newTester(&testing.T{}, nil)
	x.open("cash", chain.Asset, "EUR", nil)
	x.open("bob", chain.Liability, "EUR", nil)
	batch := make([]Request, 256)
	for i := range batch {
		batch[i] = x.transfer(dr("cash", "12.34"), cr("bob", "12.34"))
	}
	b.ReportAllocs()
	for b.Loop() {
		Apply(x.book, noon, batch)
	}
	b.ReportMetric(float64(len(batch))*float64(b.N)/b.Elapsed().Seconds(), "transfers/s")
}
