package ledger

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
)

// bank opens accounts for the rule tests: an asset, a customer who may not go
// below zero and holds 10.00, one frozen each way, a closed one, one with a
// ceiling, and one in yen.
func bank(t *testing.T) *tester {
	x := newTester(t, nil)
	x.open("cash", chain.Asset, "EUR", nil)
	x.open("alice", chain.Liability, "EUR", func(r *OpenAccount) { r.MinBalance = limit("0") })
	x.open("bob", chain.Liability, "EUR", nil)
	x.open("nodebits", chain.Liability, "EUR", func(r *OpenAccount) { r.Frozen = chain.FrozenDebits })
	x.open("nocredits", chain.Liability, "EUR", func(r *OpenAccount) { r.Frozen = chain.FrozenCredits })
	x.open("frozen", chain.Liability, "EUR", func(r *OpenAccount) { r.Frozen = chain.FrozenAll })
	x.open("capped", chain.Liability, "EUR", func(r *OpenAccount) { r.MaxBalance = limit("100") })
	x.open("closed", chain.Liability, "EUR", nil)
	x.open("yen", chain.Asset, "JPY", nil)
	x.open("yen:owed", chain.Liability, "JPY", nil)
	answers := x.post(noon,
		&ChangeAccount{Common: x.common(), Code: "closed", Close: true},
		x.transfer(dr("cash", "10"), cr("alice", "10")))
	for _, a := range answers {
		if a.Refusal != nil {
			t.Fatal(a.Refusal.Detail)
		}
	}
	return x
}

// One mistake is fixed per line, so that the refusals come in the order of
// precedence and each line proves that its rule stands before the next.
func TestTransferRulesByPrecedence(t *testing.T) {
	t.Parallel()
	x := bank(t)
	late := noon.Add(-time.Hour)
	far := chain.DateOf(noon) + 6
	usd := func(l Leg, currency string) Leg { l.Currency = currency; return l }
	huge := "170141183460469231731687303715884105.71" // × 10 overflows at scale 2 once booked twice
	tests := []struct {
		change func(*TransferRequest)
		want   Code
	}{
		{func(r *TransferRequest) {
			r.NotAfter = &late
			r.EffectiveDate = &far
			r.Legs = []Leg{dr("nobody", "0")}
		}, CodeTooLate},
		{func(r *TransferRequest) { r.EffectiveDate = &far; r.Legs = []Leg{dr("nobody", "0")} }, CodePostingCount},
		{func(r *TransferRequest) { r.EffectiveDate = &far; r.Legs = []Leg{dr("nobody", "0"), cr("nobody", "1")} }, CodeAmountNotPositive},
		{func(r *TransferRequest) {
			r.EffectiveDate = &far
			r.Legs = []Leg{dr("nobody", "-1"), cr("nobody", "1")}
		}, CodeAmountNotPositive},
		{func(r *TransferRequest) { r.EffectiveDate = &far; r.Legs = []Leg{dr("nobody", "1"), cr("nobody", "1")} }, CodeAccountTwice},
		{func(r *TransferRequest) {
			r.EffectiveDate = &far
			r.Legs = []Leg{dr("nobody", "1.001"), cr("closed", "1")}
		}, CodeUnknownAccount},
		{func(r *TransferRequest) {
			r.EffectiveDate = &far
			r.Legs = []Leg{usd(dr("alice", "1.001"), "QQQ"), cr("closed", "1")}
		}, CodeUnknownCurrency},
		{func(r *TransferRequest) {
			r.EffectiveDate = &far
			r.Legs = []Leg{usd(dr("alice", "1.001"), "USD"), cr("closed", "1")}
		}, CodeCurrencyMismatch},
		{func(r *TransferRequest) {
			r.EffectiveDate = &far
			r.Legs = []Leg{usd(dr("alice", "11.001"), "EUR"), cr("closed", "1")}
		}, CodeAmountPrecision},
		{func(r *TransferRequest) {
			r.EffectiveDate = &far
			r.Legs = []Leg{dr("alice", huge+"0"), cr("closed", "1e40")}
		}, CodeAmountRange},
		{func(r *TransferRequest) {
			r.EffectiveDate = &far
			r.Legs = []Leg{dr("alice", "11.010"), cr("closed", "11")}
		}, CodeUnbalanced},
		{func(r *TransferRequest) {
			r.EffectiveDate = &far
			r.Legs = []Leg{dr("alice", "11"), cr("closed", "11")}
		}, CodeDateOutOfBounds},
		{func(r *TransferRequest) { r.Legs = []Leg{dr("alice", "11"), dr("frozen", "1"), cr("closed", "12")} }, CodeAccountClosed},
		{func(r *TransferRequest) { r.Legs = []Leg{dr("alice", "11"), dr("frozen", "1"), cr("bob", "12")} }, CodeAccountFrozen},
		{func(r *TransferRequest) { r.Legs = []Leg{dr("alice", "11"), dr("nodebits", "1"), cr("bob", "12")} }, CodeAccountFrozen},
		{func(r *TransferRequest) { r.Legs = []Leg{dr("alice", "11"), cr("nocredits", "11")} }, CodeAccountFrozen},
		{func(r *TransferRequest) { r.Legs = []Leg{dr("alice", huge), cr("bob", huge)} }, CodeLimitExceeded},
		{func(r *TransferRequest) { r.Legs = []Leg{dr("alice", "10.01"), cr("nodebits", "10.01")} }, CodeLimitExceeded},
		{func(r *TransferRequest) { r.Legs = []Leg{dr("cash", "100.01"), cr("capped", "100.01")} }, CodeLimitExceeded},
		{func(r *TransferRequest) { r.Legs = []Leg{dr("cash", "100"), cr("capped", "100")} }, ""},
		{func(r *TransferRequest) { r.Legs = []Leg{dr("alice", "10"), cr("nodebits", "10")} }, ""},
	}
	for i, tt := range tests {
		r := x.transfer()
		tt.change(r)
		before := x.book.head
		got := x.post(noon, r)[0]
		switch {
		case tt.want == "" && got.Refusal != nil:
			t.Errorf("line %d: refused with %s (%s), want accepted", i, got.Refusal.Code, got.Refusal.Detail)
		case tt.want != "" && (got.Refusal == nil || got.Refusal.Code != tt.want):
			t.Errorf("line %d: got %+v, want %s", i, got.Refusal, tt.want)
		case tt.want != "" && x.book.head != before:
			t.Errorf("line %d: a refused transfer left an entry", i)
		case tt.want != "" && (got.Refusal.Detail == "" || got.Refusal.EvaluatedAtSeq != before.Seq):
			t.Errorf("line %d: refusal %+v lacks detail or the head it was decided at", i, got.Refusal)
		}
	}
	x.checkChain()
}

func TestPostingCountBounds(t *testing.T) {
	t.Parallel()
	x := newTester(t, nil)
	x.open("sum", chain.Asset, "EUR", nil)
	var legs []Leg
	for i := range MaxPostings {
		code := "many:" + strings.Repeat("x", 1+i%40) + ":" + string(rune('a'+i/40))
		x.open(code, chain.Liability, "EUR", nil)
		legs = append(legs, cr(code, "0.01"))
	}
	total := func(n int) Leg {
		return Leg{Account: "sum", Direction: chain.Debit, Amount: decimal.New(int64(n), -2)}
	}
	answers := x.post(noon,
		x.transfer(append([]Leg{total(499)}, legs[:499]...)...),
		x.transfer(append([]Leg{total(500)}, legs...)...))
	if answers[0].Refusal != nil {
		t.Errorf("500 postings are refused: %s", answers[0].Refusal.Detail)
	}
	if r := answers[1].Refusal; r == nil || r.Code != CodePostingCount {
		t.Errorf("501 postings: got %+v, want %s", r, CodePostingCount)
	}
	x.checkChain()
}

func TestLimitsStopOnlyMovementsTowardsThem(t *testing.T) {
	t.Parallel()
	x := newTester(t, nil)
	x.open("cash", chain.Asset, "EUR", nil)
	x.open("saver", chain.Liability, "EUR", func(r *OpenAccount) { r.MinBalance = limit("100") })
	steps := []struct {
		legs      []Leg
		want      Code
		available string
	}{
		{[]Leg{dr("saver", "1"), cr("cash", "1")}, CodeLimitExceeded, "-100.00"},
		{[]Leg{cr("saver", "40"), dr("cash", "40")}, "", ""}, // still below, but on the way up
		{[]Leg{dr("saver", "0.01"), cr("cash", "0.01")}, CodeLimitExceeded, "-60.00"},
		{[]Leg{cr("saver", "70"), dr("cash", "70")}, "", ""},
		{[]Leg{dr("saver", "10.01"), cr("cash", "10.01")}, CodeLimitExceeded, "10.00"},
		{[]Leg{dr("saver", "10"), cr("cash", "10")}, "", ""},
	}
	for i, s := range steps {
		got := x.post(noon, x.transfer(s.legs...))[0].Refusal
		if s.want == "" {
			if got != nil {
				t.Errorf("step %d: refused: %s", i, got.Detail)
			}
			continue
		}
		if got == nil || got.Code != s.want || got.Available == nil || got.Available.Format(2) != s.available {
			t.Errorf("step %d: got %+v, want %s with %s available", i, got, s.want, s.available)
		}
	}
}

func TestLegsOfOneAccountAreSummed(t *testing.T) {
	t.Parallel()
	x := bank(t)
	x.post(noon, x.transfer(dr("alice", "1"), dr("alice", "2.50"), cr("bob", "3"), cr("bob", "0.5")))
	e := x.all[len(x.all)-1]
	if n := len(e.record.Postings); n != 2 {
		t.Fatalf("entry has %d postings, want 2", n)
	}
	if p := e.record.Postings[0]; p.Amount.Format(2) != "3.50" || p.AccountSeq != 2 || p.Posted.Format(2) != "-6.50" {
		t.Errorf("alice's posting is %+v, want 3.50 debited leaving 6.50 on the credit side", p)
	}
}

func TestSeveralCurrenciesBalanceEach(t *testing.T) {
	t.Parallel()
	x := bank(t)
	ok := x.transfer(dr("cash", "1.63"), cr("bob", "1.63"), dr("yen", "265"), cr("yen:owed", "265"))
	bad := x.transfer(dr("cash", "1.63"), cr("bob", "1.63"), dr("yen", "265"), cr("yen:owed", "264"))
	across := x.transfer(dr("cash", "100"), cr("yen:owed", "100"))
	answers := x.post(noon, ok, bad, across)
	if answers[0].Refusal != nil {
		t.Errorf("a transfer balanced in both currencies is refused: %s", answers[0].Refusal.Detail)
	}
	for i := 1; i < 3; i++ {
		if r := answers[i].Refusal; r == nil || r.Code != CodeUnbalanced {
			t.Errorf("request %d: got %+v, want %s", i, r, CodeUnbalanced)
		}
	}
}

func TestAccountRules(t *testing.T) {
	t.Parallel()
	x := bank(t)
	frozen := chain.FrozenAll
	open := func(change func(*OpenAccount)) Request {
		r := &OpenAccount{Common: x.common(), Code: "new", Type: chain.Asset, Currency: "EUR"}
		r.AccountID = AccountID{r.ID.UUID}
		change(r)
		return r
	}
	tests := []struct {
		name      string
		request   Request
		want      Code
		unchanged bool
	}{
		{"unknown currency", open(func(r *OpenAccount) { r.Currency = "QQQ" }), CodeUnknownCurrency, false},
		{"precise limit", open(func(r *OpenAccount) { r.MinBalance = limit("0.001") }), CodeAmountPrecision, false},
		{"limit beyond 128 bits", open(func(r *OpenAccount) { r.MaxBalance = limit("1e40") }), CodeAmountRange, false},
		{"limits crossed", open(func(r *OpenAccount) { r.MinBalance, r.MaxBalance = limit("2"), limit("1") }), CodeLimitsCrossed, false},
		{"taken code", open(func(r *OpenAccount) { r.Code = "alice" }), CodeAccountExists, false},
		{"the same again", open(func(r *OpenAccount) { r.Code, r.Type, r.MinBalance = "alice", chain.Liability, limit("0.00") }), "", true},
		{"change of nothing known", &ChangeAccount{Common: x.common(), Code: "nobody"}, CodeUnknownAccount, false},
		{"change of nothing", &ChangeAccount{Common: x.common(), Code: "alice"}, "", true},
		{"keyed change of nothing", &ChangeAccount{Common: x.common(), Code: "alice", Keyed: true}, "", false},
		{"closing with a balance", &ChangeAccount{Common: x.common(), Code: "alice", Close: true}, CodeAccountNotEmpty, false},
		{"changing a closed one", &ChangeAccount{Common: x.common(), Code: "closed", Frozen: &frozen}, CodeAccountClosed, false},
		{"closing again", &ChangeAccount{Common: x.common(), Code: "closed", Close: true}, "", true},
		{"crossing limits", &ChangeAccount{Common: x.common(), Code: "alice", MaxBalance: Limit{Set: true, Value: limit("-1")}}, CodeLimitsCrossed, false},
		{"freezing", &ChangeAccount{Common: x.common(), Code: "bob", Frozen: &frozen}, "", false},
	}
	for _, tt := range tests {
		got := x.post(noon, tt.request)[0]
		var code Code
		if got.Refusal != nil {
			code = got.Refusal.Code
		}
		if code != tt.want || got.Unchanged != tt.unchanged {
			t.Errorf("%s: got %q unchanged=%v, want %q unchanged=%v", tt.name, code, got.Unchanged, tt.want, tt.unchanged)
		}
	}
	if a := x.book.Account("bob"); a.Frozen != chain.FrozenAll {
		t.Errorf("bob is %s after freezing", a.Frozen)
	}
	x.checkChain()
}

func TestDamagedAccountTakesNothing(t *testing.T) {
	t.Parallel()
	x := bank(t)
	x.book.Account("bob").Damaged = true
	answers := x.post(noon, x.transfer(dr("cash", "1"), cr("bob", "1")), &ChangeAccount{Common: x.common(), Code: "bob", Close: true})
	for i, a := range answers {
		if a.Refusal == nil || a.Refusal.Code != CodeAccountDamaged {
			t.Errorf("request %d: got %+v, want %s", i, a.Refusal, CodeAccountDamaged)
		}
	}
}
