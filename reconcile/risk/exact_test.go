package risk_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/report"
	"tallystick/reconcile/risk"
)

// exposed is a page with one debtor and Tier 1.
func exposed(t *testing.T, tier1 string) report.Figure {
	t.Helper()
	p := decoded(t, rules)
	accounts := []risk.Account{{Code: "loans:1", Type: "asset", Currency: "EUR", Scale: 2, Posted: money.FromInt64(100_00)}}
	b, err := risk.NewBook("main", date("2026-06-30"), "EUR", accounts, p)
	if err != nil {
		t.Fatal(err)
	}
	h := risk.NewHistory(b, p)
	h.Close()
	in := &risk.Inputs{Book: b, History: h, Policy: p}
	if in.Dated, err = risk.DecodeInputs([]byte("kind,subject,date,value,currency\ntier1,,2026-01-01," + tier1 + ",EUR\n")); err != nil {
		t.Fatal(err)
	}
	sections, err := risk.Compute(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sections {
		for _, block := range s.Blocks {
			for _, f := range block.Figures {
				if f.ID == "large_exposures.largest" {
					return f
				}
			}
		}
	}
	t.Fatal("there is no such figure")
	return report.Figure{}
}

func TestLimitsAreHeldAgainstWhatIsNotRoundedYet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tier1, value string
		level        report.Level
	}{
		{"400", "25.00", report.Amber},       // at the limit
		{"399.999999", "25.00", report.Red},  // above it, by less than is printed
		{"1000", "10.00", report.Amber},      // to be reported from there on
		{"1000.0001", "10.00", report.Green}, // and not before
		{"810.0465", "12.34", report.Amber},  // 12.34497…: rounded to 12.3450 first it would be 12.35
	} {
		if f := exposed(t, c.tier1); f.Value.Value != c.value || f.Level != c.level {
			t.Errorf("of %s: %s %% is %s, want %s and %s", c.tier1, f.Value.Value, f.Level, c.value, c.level)
		}
	}
}

// The twelve months up to the end of February in a leap year begin on 1 March.
func TestAYearOfPaymentsLeavesOutNoDay(t *testing.T) {
	t.Parallel()
	p := decoded(t, everything)
	volume := func(asOf string, days ...string) string {
		b, err := risk.NewBook("main", date(asOf), "EUR", []risk.Account{client("1", "", 0)}, p)
		if err != nil {
			t.Fatal(err)
		}
		h := risk.NewHistory(b, p)
		h.Add(&risk.Movement{Day: date("2020-01-01"), Valued: date("2020-01-01"), Units: money.FromInt64(-1), Posted: money.FromInt64(-1)})
		for i, day := range days {
			h.Add(&risk.Movement{Seq: int64(i + 1), Day: date(day), Valued: date(day), Units: money.FromInt64(1200), Posted: money.FromInt64(int64(1200*(i+1) - 1))})
		}
		h.Close()
		sections, err := risk.Compute(&risk.Inputs{Book: b, History: h, Policy: p})
		if err != nil {
			t.Fatal(err)
		}
		return risk.Figures(sections)["own_funds.volume"].Value
	}
	for _, c := range []struct {
		asOf string
		days []string
		want string
	}{
		{"2028-02-29", []string{"2027-02-28", "2027-03-01", "2028-02-29"}, "2.00"},
		{"2029-02-28", []string{"2028-02-29", "2028-03-01", "2029-02-28"}, "2.00"},
		{"2027-06-30", []string{"2026-06-30", "2026-07-01", "2027-06-30"}, "2.00"},
	} {
		if got := volume(c.asOf, c.days...); got != c.want {
			t.Errorf("as of %s of %v: %s, want %s", c.asOf, c.days, got, c.want)
		}
	}
}

// What one holder owes is no less e-money of another.
func TestADebtReducesNoEMoney(t *testing.T) {
	t.Parallel()
	p := decoded(t, everything)
	b, err := risk.NewBook("main", date("2026-07-01"), "EUR", []risk.Account{client("1", "", 100_00), client("2", "", -40_00)}, p)
	if err != nil {
		t.Fatal(err)
	}
	h := risk.NewHistory(b, p)
	for i, units := range []int64{-100_00, 40_00} {
		h.Add(&risk.Movement{Seq: int64(i), Day: date("2025-12-31"), Valued: date("2025-12-31"), Account: int32(i), Units: money.FromInt64(units), Posted: money.FromInt64(units)})
	}
	h.Close()
	sections, err := risk.Compute(&risk.Inputs{Book: b, History: h, Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	f := risk.Figures(sections)
	equal(t, "average", figure(t, f, "own_funds.average"), "100")
	equal(t, "method D", figure(t, f, "own_funds.method_d"), "2")
}

func TestZonesOfFewDaysHaveAGreenOne(t *testing.T) {
	t.Parallel()
	for days := 1; days <= 300; days++ {
		if amber, red := risk.Zones(days, 0.01); amber < 1 || red <= amber {
			t.Errorf("of %d days amber begins at %d and red at %d", days, amber, red)
		}
	}
	if ratio, p := risk.Kupiec(10, 10, 0.01); !(ratio > 0) || !(p >= 0) || p > 1e-6 {
		t.Errorf("with all days exceptions the ratio is %v, p %v", ratio, p)
	}
}

// Every figure says what it means, by which standard and convention, and a level stands with its limits.
func TestEveryFigureSaysWhatItMeans(t *testing.T) {
	t.Parallel()
	for _, rates := range []string{"", "date,currency,rate\n2026-06-30,USD,0.9\n"} {
		_, sections := computed(t, decoded(t, orderRules), []risk.Account{client("1", "1", 500), client("2", "2", -3), safe(100), {Code: "loans:1", Type: "asset", Currency: "USD", Scale: 2, Posted: money.FromInt64(5)}}, rates)
		seen := map[string]bool{}
		for _, s := range sections {
			for _, block := range s.Blocks {
				for _, f := range block.Figures {
					notAsked := strings.Contains(f.Value.Absent, "the policy has no section")
					if f.Title == "" || f.Meaning == "" || !notAsked && (f.Standard == "" || f.Convention == "") {
						t.Errorf("%s says too little: %+v", f.ID, f)
					}
					if seen[f.ID] {
						t.Errorf("%s stands twice", f.ID)
					}
					seen[f.ID] = true
					if judged := f.Level == report.Amber || f.Level == report.Red || f.Level == report.Green; judged != (f.Amber+f.Red != "") {
						t.Errorf("%s is %q, with the limits %q and %q", f.ID, f.Level, f.Amber, f.Red)
					}
					if (f.Value.Value == "") == (f.Value.Absent == "") || f.Value.Absent != "" && !strings.HasPrefix(f.Value.Absent, "not computed: ") {
						t.Errorf("%s has the value %+v", f.ID, f.Value)
					}
				}
			}
		}
	}
}

// Rates that are missing for weeks make no daily returns of what is left.
func TestAGapInTheRatesGivesNoValueAtRisk(t *testing.T) {
	t.Parallel()
	p := decoded(t, orderRules)
	usd := risk.Account{Code: "bank:usd", Type: "asset", Currency: "USD", Scale: 2, Posted: money.FromInt64(100)}
	for gap, want := range map[int]bool{7: true, 8: false} {
		rates := "date,currency,rate\n"
		for i := range 40 {
			day := date("2026-06-30") - chain.Date(i)
			if i > 20 {
				day -= chain.Date(gap - 1)
			}
			rates += fmt.Sprintf("%s,USD,0.%d\n", day, 90+i%7)
		}
		f, _ := computed(t, p, []risk.Account{usd, safe(0)}, rates)
		if got := f["var.historical"]; (got.Absent == "") != want {
			t.Errorf("with %d days between two rates: %+v", gap, got)
		}
	}
}

func TestInputsThatWouldNotCountAreRefused(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]string{
		"due,loans:1,2026-01-01,100,EUR":                             "line 2: due of loans:1 has a value",
		"group,loans:1,2026-01-01,a,EUR":                             "line 2: group of loans:1 has a value",
		"group,loans:1,2026-01-01,a\x1bb,":                           "line 2: the value",
		"group,loans:1,2026-01-01," + strings.Repeat("a", 257) + ",": "line 2: the value has 257 bytes",
		"tier1,,2026-01-01,1e999999999,EUR":                          "line 2: reading the value",
		"tier1,x,2026-01-01,1,EUR":                                   "line 2: tier1 has a subject",
	} {
		if _, err := risk.DecodeInputs([]byte("kind,subject,date,value,currency\n" + row + "\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", row, err)
		}
	}
	twice := []byte("date,currency,rate\n2026-01-01,USD,1.1\n2026-01-01,USD,1.2\n2026-01-01,GBP,1.1\n2026-01-01,GBP,1.2\n")
	var texts []string
	for range 20 {
		_, err := risk.DecodeRates(twice, "EUR")
		texts = append(texts, fmt.Sprint(err))
	}
	if slices.Sort(texts); texts[0] != texts[len(texts)-1] {
		t.Errorf("the error is not always the same: %s, %s", texts[0], texts[len(texts)-1])
	}
}
