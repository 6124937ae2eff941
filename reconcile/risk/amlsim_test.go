package risk_test

import (
	"encoding/csv"
	"os"
	"slices"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/risk"
	"tallystick/scripts/samples"
)

const amlsimRules = `schema: tallystick/policy/1
name: risk
version: amlsim
effective_from: 2026-01-01
classes: [{match: "customers:**", class: client}]
risk:
  signals:
    classes: [client]
    window: 30
    fan: 5
    pass_through: "0.05"
    cycle: 6
`

// AMLSim labels accounts that take part in one of 200 cycles and 200 fan-ins, and says nothing of which. Its weakness is
// known: everyday senders always send the same amount, so that whatever differs stands out, and no figure here says how
// good a search is on real payments.
func TestSignalsOnAMLSimAgainstItsLabels(t *testing.T) {
	t.Parallel()
	rows := func(name string) [][]string {
		f, err := os.Open(samples.Path(t, "amlsim/"+name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		all, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return all[1:]
	}
	nodes := rows("nodes.csv")
	labelled := map[string]bool{}
	var accounts []risk.Account
	for _, n := range nodes {
		code := "customers:" + n[0]
		labelled[code] = n[1] == "1"
		accounts = append(accounts, risk.Account{Code: code, Type: "liability", Currency: "USD", Scale: 2})
	}
	slices.SortFunc(accounts, func(a, b risk.Account) int {
		if a.Code < b.Code {
			return -1
		}
		return 1
	})
	at := map[string]int32{}
	for i, a := range accounts {
		at[a.Code] = int32(i)
	}
	p := decoded(t, amlsimRules)
	b, err := risk.NewBook("amlsim", date("2027-01-01"), "USD", accounts, p)
	if err != nil {
		t.Fatal(err)
	}
	h := risk.NewHistory(b, p)
	posted := make([]money.Int128, len(accounts))
	for i, row := range rows("transactions.csv") {
		if row[0] == row[1] {
			continue
		}
		units, err := money.FromDecimal(decimal.RequireFromString(row[2]), 2)
		if err != nil {
			t.Fatal(err)
		}
		for j, node := range row[:2] {
			n, change := at["customers:"+node], units
			if j == 1 {
				change, _ = units.Neg()
			}
			posted[n], _ = posted[n].Add(change)
			h.Add(&risk.Movement{Seq: int64(i), Day: date("2026-12-31"), Valued: date("2026-01-01") + chain.Date(decimal.RequireFromString(row[3]).IntPart()), Account: n, Units: change, Posted: posted[n]})
		}
	}
	h.Close()
	for _, pattern := range []string{risk.RoundTrip, risk.FanIn} {
		found, more := h.Signals(pattern)
		met := map[string]bool{}
		right := 0
		for _, s := range found {
			in := append([]int32{s.Account}, s.Others...)
			all := true
			for _, n := range in {
				all = all && labelled[b.Accounts[n].Code]
			}
			if all {
				right++
				for _, n := range in {
					met[b.Accounts[n].Code] = true
				}
			}
		}
		// One account in eleven is labelled: a search that finds nothing is no better than that.
		if len(found) == 0 || right*8 < len(found) {
			t.Errorf("%s: of %d signals %d are only of labelled accounts", pattern, len(found), right)
		}
		t.Logf("%s: %d signals and %d beyond the bound, %d of them only of labelled accounts, which are %d", pattern, len(found), more, right, len(met))
	}
}
