package risk_test

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
	"tallystick/reconcile/risk"
)

const rules = `schema: tallystick/policy/1
name: risk
version: test
effective_from: 2026-01-01
classes:
  - {match: "customers:**", class: client, pool: eu, group: client}
  - {match: "safe:**", class: safe, pool: eu}
  - {match: "loans:**", class: loan, group: client}
  - {match: "fx:**", class: exchange}
  - {match: "**", class: other}
risk:
  safeguarding: {clients: [client], resource: [safe]}
  exposure: {limits: [{class: client, below: "0"}]}
  fx: {position: [exchange], charge: "0.08"}
  large_exposures: {classes: [loan], report: "0.10", limit: "0.25"}
`

func decoded(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func date(s string) chain.Date {
	day, err := chain.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return day
}

// books is a book with its movements: every balance comes from one movement.
func computed(t testing.TB, p *policy.Policy, accounts []risk.Account, rates string) (map[string]report.Cell, []risk.Section) {
	t.Helper()
	accounts = slices.Clone(accounts)
	slices.SortFunc(accounts, func(a, b risk.Account) int {
		if a.Code < b.Code {
			return -1
		}
		return 1
	})
	b, err := risk.NewBook("main", date("2026-06-30"), "EUR", accounts, p)
	if err != nil {
		t.Fatal(err)
	}
	h := risk.NewHistory(b, p)
	for i, a := range accounts {
		h.Add(&risk.Movement{Seq: int64(i), Day: date("2026-06-01"), Account: int32(i), Units: a.Posted, Posted: a.Posted})
	}
	h.Close()
	in := &risk.Inputs{Book: b, History: h, Policy: p}
	if rates != "" {
		if in.Rates, err = risk.DecodeRates([]byte(rates), "EUR"); err != nil {
			t.Fatal(err)
		}
	}
	sections, err := risk.Compute(in)
	if err != nil {
		t.Fatal(err)
	}
	return risk.Figures(sections), sections
}

func client(code, tag string, owed int64) risk.Account {
	a := risk.Account{Code: "customers:" + code, Type: "liability", Currency: "EUR", Scale: 2, Posted: money.FromInt64(-owed)}
	if tag != "" {
		a.Tags = map[string]string{"client": tag}
	}
	return a
}

func safe(units int64) risk.Account {
	return risk.Account{Code: "safe:bank", Type: "asset", Currency: "EUR", Scale: 2, Posted: money.FromInt64(units)}
}

func figure(t testing.TB, figures map[string]report.Cell, id string) decimal.Decimal {
	t.Helper()
	c, ok := figures[id]
	if !ok || c.Absent != "" {
		t.Fatalf("the figure %s is %+v", id, c)
	}
	return decimal.RequireFromString(c.Value)
}

func TestNettingWouldHideAShortfall(t *testing.T) {
	t.Parallel()
	p := decoded(t, rules)
	// 100 are owed to one, the other owes 30, and 70 are kept: netted nothing is short.
	f, sections := computed(t, p, []risk.Account{client("1", "1", 10000), client("2", "2", -3000), safe(7000)}, "")
	equal(t, "requirement", figure(t, f, "safeguarding.eu.EUR.requirement"), "100")
	equal(t, "excess", figure(t, f, "safeguarding.eu.EUR.excess"), "-30")
	equal(t, "negative balances", figure(t, f, "safeguarding.eu.EUR.negative"), "-30")
	if n := len(sections[0].Breaches); n != 1 {
		t.Errorf("%d breaches, want the shortfall", n)
	}
	// One client's two accounts are one balance.
	f, _ = computed(t, p, []risk.Account{client("1", "1", 10000), client("2", "1", -3000), safe(7000)}, "")
	equal(t, "excess with one client", figure(t, f, "safeguarding.eu.EUR.excess"), "0")
}

func TestSplittingAClientNeverLowersTheRequirement(t *testing.T) {
	t.Parallel()
	p := decoded(t, rules)
	rapid.Check(t, func(r *rapid.T) {
		balances := rapid.SliceOfN(rapid.Int64Range(-1e12, 1e12), 1, 8).Draw(r, "balances")
		var whole, split []risk.Account
		for i, b := range balances {
			whole = append(whole, client(fmt.Sprintf("%02d", i), fmt.Sprint(i), b))
			part := rapid.Int64Range(-1e12, 1e12).Draw(r, "part")
			split = append(split, client(fmt.Sprintf("%02d:a", i), fmt.Sprint(i, "a"), part), client(fmt.Sprintf("%02d:b", i), fmt.Sprint(i, "b"), b-part))
		}
		one, _ := computed(t, p, whole, "")
		two, _ := computed(t, p, split, "")
		a, b := figure(t, one, "safeguarding.eu.EUR.requirement"), figure(t, two, "safeguarding.eu.EUR.requirement")
		if b.Cmp(a) < 0 {
			r.Fatalf("the requirement fell from %s to %s", a, b)
		}
		// Adding a client without a balance changes nothing.
		with, _ := computed(t, p, append(whole, client("zero", "zero", 0)), "")
		if c := figure(t, with, "safeguarding.eu.EUR.requirement"); !c.Equal(a) {
			r.Fatalf("a client without a balance made it %s of %s", c, a)
		}
	})
}

func TestConcentrationIsBetweenItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		units := rapid.SliceOfN(rapid.Int64Range(1, 1e15), 1, 50).Draw(r, "amounts")
		var amounts []decimal.Decimal
		for _, u := range units {
			amounts = append(amounts, decimal.New(u, -2))
		}
		v := risk.HHI(amounts)
		least := decimal.New(10000, 0).DivRound(decimal.NewFromInt(int64(len(amounts))), 6)
		if v.Cmp(decimal.New(10000, 0)) > 0 || v.Cmp(least.Sub(decimal.New(1, -5))) < 0 {
			r.Fatalf("HHI of %d amounts is %s", len(amounts), v)
		}
		if w := risk.HHI(append(amounts, decimal.Decimal{})); !w.Equal(v) {
			r.Fatalf("an exposure of nothing changed it from %s to %s", v, w)
		}
		rand.New(rand.NewSource(1)).Shuffle(len(amounts), func(i, j int) { amounts[i], amounts[j] = amounts[j], amounts[i] })
		if w := risk.HHI(amounts); !w.Equal(v) {
			r.Fatalf("the order changed it from %s to %s", v, w)
		}
	})
}

func TestCapsOfLiquidAssetsHold(t *testing.T) {
	t.Parallel()
	amount := rapid.Int64Range(0, 1e14)
	rapid.Check(t, func(r *rapid.T) {
		one, twoA, twoB := decimal.New(amount.Draw(r, "1"), -2), decimal.New(amount.Draw(r, "2a"), -2), decimal.New(amount.Draw(r, "2b"), -2)
		stock, cap15, cap40 := risk.HQLA(one, twoA, twoB)
		s := decimal.NewFromBigRat(stock, 12)
		counted := s.Sub(one) // of level 2
		slack := decimal.New(1, -6)
		if counted.Cmp(s.Mul(d("0.4")).Add(slack)) > 0 {
			r.Fatalf("level 2 is %s of %s: more than 40 %%", counted, s)
		}
		if left := twoB.Sub(decimal.NewFromBigRat(cap15, 12)).Sub(decimal.NewFromBigRat(cap40, 12)); left.Cmp(s.Mul(d("0.15")).Add(slack)) > 0 {
			r.Fatalf("level 2B is %s of %s: more than 15 %%", left, s)
		}
		if s.Cmp(one.Add(twoA).Add(twoB)) > 0 || s.Cmp(one) < 0 {
			r.Fatalf("the stock is %s of %s, %s, %s", s, one, twoA, twoB)
		}
	})
}

func TestNothingIsComputedFromWhatIsNotThere(t *testing.T) {
	t.Parallel()
	p := decoded(t, rules)
	usd := risk.Account{Code: "bank:usd", Type: "asset", Currency: "USD", Scale: 2, Posted: money.FromInt64(100)}
	f, _ := computed(t, p, []risk.Account{usd, safe(0)}, "")
	for _, id := range []string{"fx.net_open", "fx.charge", "large_exposures.hhi", "large_exposures.largest", "liquidity", "ageing", "credit_loss", "own_funds", "signals", "var"} {
		if c := f[id]; c.Absent == "" || c.Value != "" {
			t.Errorf("the figure %s is %+v, and nothing gives it", id, c)
		}
	}
	f, _ = computed(t, p, []risk.Account{usd, safe(0)}, "date,currency,rate\n2026-06-26,USD,0.90\n")
	equal(t, "net open", figure(t, f, "fx.net_open"), "0.9")
	f, _ = computed(t, p, []risk.Account{usd, safe(0)}, "date,currency,rate\n2026-06-20,USD,0.90\n")
	if c := f["fx.net_open"]; c.Absent == "" {
		t.Errorf("a rate of ten days ago counts: %+v", c)
	}
	// A balance that no class matches spoils what could have counted it.
	strict := decoded(t, rules[:len(rules)-len(rules[indexOf(rules, `  - {match: "**", class: other}`):])]+rules[indexOf(rules, "risk:"):])
	f, _ = computed(t, strict, []risk.Account{usd, safe(0)}, "date,currency,rate\n2026-06-26,USD,0.90\n")
	if c := f["safeguarding"]; c.Absent == "" {
		t.Errorf("an unclassified balance was ignored: %+v", c)
	}
}

func indexOf(s, part string) int {
	for i := range s {
		if len(s)-i >= len(part) && s[i:i+len(part)] == part {
			return i
		}
	}
	panic(part)
}

func TestAZeroPositionChangesNothing(t *testing.T) {
	t.Parallel()
	a := []risk.Position{{Currency: "USD", Base: d("10")}, {Currency: "GBP", Base: d("-7")}}
	one, _, _, _ := risk.NetOpen(a, "XAU")
	two, _, _, _ := risk.NetOpen([]risk.Position{{Currency: "CHF"}, a[1], a[0], {Currency: "XAU"}}, "XAU")
	if !one.Equal(two) {
		t.Errorf("%s became %s", one, two)
	}
}
