package risk_test

import (
	"fmt"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/risk"
)

const hotRules = `schema: tallystick/policy/1
name: risk
version: test
effective_from: 2020-01-01
classes:
  - {match: "**", class: client}
risk:
  signals:
    classes: [client]
    threshold: {EUR: "100"}
    margin: "0.50"
    structuring: 3
    window: 5
    pass_through: "0.90"
    velocity: 10
    fan: 10
    cycle: 5
    round: "0.80"
    outlier: "3.5"
`

// An account through which a whole day's payments go is looked at in time that grows with their number, and not with its
// square: it would take hours, and not a second or two.
func TestAHotAccountDoesNotStopTheNight(t *testing.T) {
	t.Parallel()
	const others, payments = 1000, 200_000
	accounts := []risk.Account{{Code: "a:hot", Type: "liability", Currency: "EUR", Scale: 2}}
	for i := range others {
		accounts = append(accounts, risk.Account{Code: fmt.Sprintf("b:%04d", i), Type: "liability", Currency: "EUR", Scale: 2})
	}
	p := decoded(t, hotRules)
	day := chain.Date(20_000)
	b, err := risk.NewBook("main", day, "EUR", accounts, p)
	if err != nil {
		t.Fatal(err)
	}
	h := risk.NewHistory(b, p)
	posted := make([]money.Int128, len(accounts))
	for seq := range int64(payments) {
		from, to, units := int32(0), int32(1+seq/2%others), money.FromInt64(9_000)
		if seq%2 == 0 {
			from, to = to, from
		}
		back, _ := units.Neg()
		posted[from], _ = posted[from].Add(units)
		posted[to], _ = posted[to].Add(back)
		h.Add(&risk.Movement{Seq: seq, Day: day, Valued: day, Account: from, Units: units, Posted: posted[from]})
		h.Add(&risk.Movement{Seq: seq, Day: day, Valued: day, Account: to, Units: back, Posted: posted[to]})
	}
	h.Close()
	for _, pattern := range []string{risk.Structuring, risk.PassThrough, risk.Velocity, risk.FanIn, risk.FanOut} {
		found, _ := h.Signals(pattern)
		hot := 0
		for _, s := range found {
			if s.Account == 0 {
				hot++
			}
		}
		if hot == 0 {
			t.Errorf("%s: nothing of the hot account in %d signals", pattern, len(found))
		}
	}
}
