package reconcile_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

const riskPolicy = `schema: tallystick/policy/1
name: risk
version: "1"
effective_from: 2026-01-01
classes:
  - {match: "customers:**", class: client}
  - {match: "cash", class: safe}
  - {match: "**", class: other}
risk:
  safeguarding: {clients: [client], resource: [safe]}
  exposure: {limits: [{class: client, below: "0"}]}
  ageing: {}
  signals: {classes: [client], threshold: {EUR: "10"}, margin: "0.5", structuring: 2, window: 5, fan: 1, min_sample: 2, outlier: "3.5"}
`

func TestRiskGoesOnFromTheNightBeforeAndGivesTheSame(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		p, err := policy.Decode([]byte(riskPolicy))
		if err != nil {
			t.Fatal(err)
		}
		conn := connect(t, url)
		signer := signingKey(t, "signer")
		b := bankBook(t, "main", signer)
		b.write(t, conn)
		b.seal(t, conn, signer, 10, 20, 25)
		deps := nightDeps(t, url)
		first := runNight(t, deps, b, reconcile.NightOptions{Policy: p})
		if codes := phaseCodes(first, "risk"); slices.Contains(codes, reconcile.RiskNotComputed) {
			t.Fatalf("the first night found %v", codes)
		}
		b.nextDay(t, conn)
		b.transfer("cash", "capital", 31)
		b.write(t, conn)
		second := runNight(t, withNow(deps, 10), b, reconcile.NightOptions{Policy: p})
		state, err := reconcile.ReadRiskState(t.Context(), deps.DB, first.Run.ID)
		if err != nil || state == nil || state.Size != first.Run.Size {
			t.Fatalf("the first night left %+v: %v", state, err)
		}
		from, err := deps.DB.Snapshot(t.Context(), b.ledger)
		if err != nil {
			t.Fatal(err)
		}
		var read [2]int64 // entries, from the beginning and from the state
		var results [2]reconcile.RiskResult
		for i, r := range []reconcile.RiskRequest{{Policy: p, Keep: true}, {Policy: p, Keep: true, State: state}} {
			r.Progress = func(_, total int64) { read[i] = total }
			if results[i], err = reconcile.ComputeRisk(t.Context(), from, r); err != nil {
				t.Fatal(err)
			}
		}
		if read[0] != from.Size || read[1] != from.Size-first.Run.Size {
			t.Errorf("%d and %d entries were read, of %d with %d before", read[0], read[1], from.Size, first.Run.Size)
		}
		if !bytes.Equal(results[0].State.Data, results[1].State.Data) {
			t.Error("the states differ")
		}
		for i := range results[0].Documents {
			a, err1 := report.Encode(&results[0].Documents[i])
			b, err2 := report.Encode(&results[1].Documents[i])
			if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
				t.Errorf("the documents differ: %v, %v", err1, err2)
			}
		}
		for _, name := range []string{"risk", "safeguarding", "exposures"} {
			text, err := reconcile.ReadOutput(t.Context(), deps.DB, second.Run.ID, reconcile.ReportOutput, name)
			if err != nil || !bytes.Contains(text, []byte(`"policy SHA-256"`)) {
				t.Errorf("the report %s: %v", name, err)
			}
		}
	})
}

func withNow(deps reconcile.NightDeps, days int) reconcile.NightDeps {
	deps.Now = func() time.Time { return time.Now().AddDate(0, 0, days) }
	return deps
}

// phaseCodes are the codes of what a phase found.
func phaseCodes(r reconcile.NightResult, phase string) (codes []string) {
	for _, p := range r.Phases {
		if p.Phase == phase {
			for _, f := range p.Findings {
				codes = append(codes, f.Code)
			}
		}
	}
	return codes
}

func TestRiskIsAFindingWhereItCannotBeComputed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		b.write(t, connect(t, url))
		deps := nightDeps(t, url)
		if codes := phaseCodes(runNight(t, deps, b, reconcile.NightOptions{}), "risk"); !slices.Equal(codes, []string{reconcile.RiskNotComputed}) {
			t.Errorf("without a policy: %v", codes)
		}
		p, err := policy.Decode([]byte(riskPolicy))
		if err != nil {
			t.Fatal(err)
		}
		wrong := &reconcile.Document{Name: "rates.csv", Data: []byte("date,currency\n")}
		result := runNight(t, deps, b, reconcile.NightOptions{Policy: p, Rates: wrong})
		if codes := phaseCodes(result, "risk"); !slices.Equal(codes, []string{reconcile.RiskNotComputed}) || result.Run.Result != chain.RunIncomplete {
			t.Errorf("with wrong rates: %v, %s", codes, result.Run.Result)
		}
		short, err := policy.Decode([]byte(strings.Replace(riskPolicy, "resource: [safe]", "resource: [other]", 1)))
		if err != nil {
			t.Fatal(err)
		}
		result = runNight(t, deps, b, reconcile.NightOptions{Policy: short})
		if codes := phaseCodes(result, "risk"); !slices.Contains(codes, reconcile.LimitBreached) || result.Run.Result != chain.RunFailed {
			t.Errorf("with a shortfall: %v, %s", codes, result.Run.Result)
		}
	})
}
