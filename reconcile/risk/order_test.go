package risk_test

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/report"
	"tallystick/reconcile/risk"
)

// shuffled puts the rows of a CSV file below its header into another order.
func shuffled(file string, seed int64) string {
	lines := strings.Split(strings.TrimSpace(file), "\n")
	rest := lines[1:]
	rand.New(rand.NewSource(seed)).Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	return strings.Join(lines, "\n") + "\n"
}

// page is everything that a calculation wrote.
func page(t testing.TB, sections []risk.Section) string {
	t.Helper()
	var s strings.Builder
	for _, section := range sections {
		d := report.Document{Name: "risk", Title: "risk", Ledger: "main", Blocks: section.Blocks, Notes: section.Notes}
		if err := report.Finish(&d); err != nil {
			t.Fatal(err)
		}
		text, err := report.Encode(&d)
		if err != nil {
			t.Fatal(err)
		}
		s.Write(text)
		fmt.Fprintln(&s, section.Breaches)
	}
	return s.String()
}

const orderRules = rules + `  liquidity: {assets: [{class: safe, level: "1", haircut: "0"}], outflows: [{class: client, factor: "0.5"}]}
  ageing: {}
  credit_loss: {classes: [loan], buckets: [{from: 0, rate: "0.01"}, {from: 1, rate: "0.5"}]}
  var: {confidence: "0.95", horizon: 1, window: 30, lambda: "0.94", backtest: 5}
`

// Neither the order of rows in the files nor that of breaks is an input.
func TestTheOrderOfInputNeverMatters(t *testing.T) {
	t.Parallel()
	p := decoded(t, orderRules)
	rates, inputs := "date,currency,rate\n", "kind,subject,date,value,currency\ntier1,,2026-01-01,1000.00,EUR\ntier1,,2026-06-01,900.00,EUR\n"
	for i := range 40 {
		day := date("2026-06-30") - chain.Date(i)
		rates += fmt.Sprintf("%s,USD,0.%d\n%s,GBP,1.%d\n", day, 90+i%7, day, 11+i%5)
	}
	var accounts []risk.Account
	var breaks []risk.Item
	for i, currency := range []string{"EUR", "USD", "GBP", "EUR"} {
		loan := risk.Account{Code: fmt.Sprintf("loans:%d", i), Type: "asset", Currency: currency, Scale: 2, Posted: money.FromInt64(int64(1000 * (i + 1)))}
		accounts = append(accounts, loan)
		inputs += fmt.Sprintf("due,loans:%d,2026-06-2%d,,\ngroup,loans:%d,2026-0%d-01,group %d,\n", i, i, i, 1+i, i%2)
		breaks = append(breaks, risk.Item{What: "break", Name: fmt.Sprint("b", i), Currency: currency, Amount: d("12.5"), Since: date("2026-06-01") + chain.Date(i%2)})
	}
	accounts = append(accounts, client("1", "1", 5000), client("2", "2", -700), safe(4000))
	slices.SortFunc(accounts, func(a, b risk.Account) int { return strings.Compare(a.Code, b.Code) })
	compute := func(seed int64) string {
		b, err := risk.NewBook("main", date("2026-06-30"), "EUR", slices.Clone(accounts), p)
		if err != nil {
			t.Fatal(err)
		}
		order := rand.New(rand.NewSource(seed)).Perm(len(accounts))
		h := risk.NewHistory(b, p)
		for seq, i := range order { // of one day, so that each close is the same
			h.Add(&risk.Movement{Seq: int64(seq), Day: date("2026-06-01"), Valued: date("2026-06-01"), Account: int32(i), Units: accounts[i].Posted, Posted: accounts[i].Posted})
		}
		h.Close()
		in := &risk.Inputs{Book: b, History: h, Policy: p, Breaks: slices.Clone(breaks)}
		rand.New(rand.NewSource(seed)).Shuffle(len(in.Breaks), func(i, j int) { in.Breaks[i], in.Breaks[j] = in.Breaks[j], in.Breaks[i] })
		if in.Rates, err = risk.DecodeRates([]byte(shuffled(rates, seed)), "EUR"); err != nil {
			t.Fatal(err)
		}
		if in.Dated, err = risk.DecodeInputs([]byte(shuffled(inputs, seed))); err != nil {
			t.Fatal(err)
		}
		sections, err := risk.Compute(in)
		if err != nil {
			t.Fatal(err)
		}
		for id, c := range risk.Figures(sections) {
			if c.Absent != "" && id != "own_funds" && id != "signals" {
				t.Errorf("%s is %s: the test asks nothing of it", id, c.Absent)
			}
		}
		return page(t, sections)
	}
	want := compute(1)
	for seed := int64(2); seed < 12; seed++ {
		if got := compute(seed); got != want {
			t.Fatalf("order %d gives another page:\n%s\n%s", seed, got, want)
		}
	}
}

// Payments that a file brings in another order than they were made in show the same patterns.
func TestTheOrderOfAnImportDoesNotMatterToSignals(t *testing.T) {
	t.Parallel()
	p := decoded(t, everything)
	rapid.Check(t, func(r *rapid.T) {
		type pay struct {
			from, to int
			units    int64
			day      chain.Date
		}
		accounts := []risk.Account{client("1", "", 0), client("2", "", 0), client("3", "", 0), client("4", "", 0)}
		var made []pay
		for i := range rapid.IntRange(1, 20).Draw(r, "payments") {
			from := rapid.IntRange(0, 3).Draw(r, "from")
			made = append(made, pay{from, (from + rapid.IntRange(1, 3).Draw(r, "to")) % 4, rapid.SampledFrom([]int64{8_500, 9_000, 9_900, 25_000}).Draw(r, "units"), chain.Date(20_000 + i)})
		}
		found := func(order []pay) (all []string) {
			b, err := risk.NewBook("main", 20_100, "EUR", slices.Clone(accounts), p)
			if err != nil {
				r.Fatal(err)
			}
			h := risk.NewHistory(b, p)
			for seq, m := range order {
				for i, a := range []int{m.from, m.to} {
					h.Add(&risk.Movement{Seq: int64(seq), Day: 20_100, Valued: m.day, Account: int32(a), Units: money.FromInt64(m.units * int64(1-2*i))})
				}
			}
			h.Close()
			for _, pattern := range []string{risk.Structuring, risk.PassThrough, risk.Velocity, risk.FanIn, risk.FanOut, risk.RoundTrip, risk.Dormant} {
				list, _ := h.Signals(pattern)
				for _, s := range list {
					all = append(all, fmt.Sprint(s.Pattern, s.Account, s.From, s.To, s.Count, s.Amount, s.Others))
				}
			}
			return all
		}
		order := rapid.Permutation(made).Draw(r, "order")
		if a, b := found(made), found(order); !slices.Equal(a, b) {
			r.Fatalf("in another order:\n%s\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
	})
}

// A salary run is one entry: the payer has as many counterparties as it has other legs, and each of them has the payer.
func TestAnEntryOfManyLegsHasCounterparties(t *testing.T) {
	t.Parallel()
	p := decoded(t, strings.Replace(everything, "fan: 2", "fan: 3", 1))
	accounts := []risk.Account{client("1", "", 0), client("2", "", 0), client("3", "", 0), client("4", "", 0)}
	b, err := risk.NewBook("main", 20_000, "EUR", accounts, p)
	if err != nil {
		t.Fatal(err)
	}
	h := risk.NewHistory(b, p)
	for i, units := range []int64{300, -100, -100, -100} {
		h.Add(&risk.Movement{Seq: 1, Day: 20_000, Valued: 20_000, Account: int32(i), Units: money.FromInt64(units), Posted: money.FromInt64(units)})
	}
	h.Close()
	if found, _ := h.Signals(risk.FanOut); len(found) != 1 || found[0].Account != 0 || found[0].Count != 3 {
		t.Errorf("the payer's counterparties: %+v", found)
	}
	if found, _ := h.Signals(risk.FanIn); len(found) != 0 {
		t.Errorf("each was paid by one: %+v", found)
	}
}

// What is valued after the as-of date is looked at when its day has come.
func TestWhatIsValuedLaterIsNoSignalYet(t *testing.T) {
	t.Parallel()
	p := decoded(t, everything)
	for _, asOf := range []chain.Date{20_000, 20_005} {
		b, err := risk.NewBook("main", asOf, "EUR", []risk.Account{client("1", "", 0), client("2", "", 0)}, p)
		if err != nil {
			t.Fatal(err)
		}
		h := risk.NewHistory(b, p)
		for seq := range int64(2) {
			h.Add(&risk.Movement{Seq: seq, Day: 20_000, Valued: 20_005, Account: 0, Units: money.FromInt64(9_000)})
			h.Add(&risk.Movement{Seq: seq, Day: 20_000, Valued: 20_005, Account: 1, Units: money.FromInt64(-9_000)})
		}
		h.Close()
		if found, _ := h.Signals(risk.Structuring); (len(found) > 0) != (asOf == 20_005) {
			t.Errorf("as of %s there are %d", asOf, len(found))
		}
	}
}
