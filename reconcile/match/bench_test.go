package match_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/match"
	"tallystick/reconcile/policy"
)

// month makes n lines at the bank and their postings over a month: amounts that repeat as wages, rents and fees do,
// four in five with references, and one in fifty amiss. Equal makes all amounts the same and gives none a reference.
func month(tb testing.TB, n int, equal bool) match.Input {
	tb.Helper()
	random := rand.New(rand.NewPCG(1, uint64(n)))
	first := day(tb, "2024-11-01")
	in := match.Input{Account: "bank:eur", AsOf: first + 40, Calendar: weekdays(tb), Rules: policy.Matching{}}
	for i := range n {
		units := money.FromInt64([]int64{100, 999, 2500, 1 + random.Int64N(5_000), 1 + random.Int64N(1_000_000)}[i%5])
		if random.IntN(3) == 0 {
			units, _ = units.Neg()
		}
		booked := first + chain.Date(random.IntN(30))
		if equal {
			units, booked = money.FromInt64(100), first+chain.Date(i%2)
		}
		bank := match.Line{ID: fmt.Sprintf("bank:s/%07d", i), Side: match.Bank, Booked: booked, Units: units, Currency: "EUR", Scale: 2}
		ledger := match.Line{ID: fmt.Sprintf("ledger:%d/0", i), Side: match.Ledger, Booked: booked - chain.Date(random.IntN(3)), Units: units, Currency: "EUR", Scale: 2, Entry: int64(i)}
		if !equal {
			if i%5 != 4 {
				bank.References = map[string][]string{"end_to_end": {fmt.Sprintf("E2E%d", i)}, "servicer": {fmt.Sprintf("S%d", i)}, "message": {"M1"}}
				ledger.References = map[string][]string{"reference": {fmt.Sprintf("E2E%d", i)}, "request_id": {fmt.Sprintf("0192f3a4-b5c6-7d8e-9fa0-%012d", i)}}
			}
			switch i % 200 {
			case 3:
				ledger.Units, _ = ledger.Units.Add(money.FromInt64(1))
			case 57:
				ledger.References = nil
			case 111:
				ledger.Booked -= 25
			case 150:
				bank.References = map[string][]string{"end_to_end": {"E2E0"}}
			}
		}
		in.Bank, in.Ledger = append(in.Bank, bank), append(in.Ledger, ledger)
	}
	balance(tb, &in)
	return in
}

func benchmark(b *testing.B, n int, equal bool) {
	in := month(b, n, equal)
	b.ReportAllocs()
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := run(b, in)
		runtime.ReadMemStats(&after)
		for i := range r.Groups {
			if r.Groups[i].Open() {
				for _, id := range append(r.Groups[i].Bank, r.Groups[i].Ledger...) {
					r.Explain(id)
				}
			}
		}
		b.ReportMetric(float64(len(r.Groups)), "groups")
	}
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/(1<<20), "MiB")
}

// The target: 100,000 lines on each side in at most 30 s on two cores and 1 GiB, the explanations of all that is open included.
func BenchmarkMonth(b *testing.B)        { benchmark(b, 100_000, false) }
func BenchmarkEqualAmounts(b *testing.B) { benchmark(b, 100_000, true) }
