package reconcile_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// BenchmarkBankPhase reconciles an account with 100,000 lines at the bank and as many postings, all of which match.
func BenchmarkBankPhase(b *testing.B) {
	const lines, atOnce = 100_000, 1000
	s := newBankScene(b, storetest.Database(b))
	var statement strings.Builder
	statement.WriteString(":20:BIG\n:25:BE68793230773034\n:28C:1/1\n:60F:C241001EUR0,00\n")
	s.on("2024-10-02")
	for done := 0; done < lines; done += atOnce {
		requests := make([]ledger.Request, atOnce)
		for i := range requests {
			reference, amount := fmt.Sprintf("PAY%d", done+i), decimal.New(int64(100+(done+i)%5000), -2)
			requests[i] = &ledger.TransferRequest{Common: s.common(reference), Legs: []ledger.Leg{
				{Account: bankAccount, Direction: chain.Debit, Amount: amount}, {Account: "customers", Direction: chain.Credit, Amount: amount}}}
			fmt.Fprintf(&statement, ":61:241002C%sNTRF%s\n", strings.Replace(amount.StringFixed(2), ".", ",", 1), reference)
		}
		for _, r := range s.poster.SubmitAll(b.Context(), s.id, requests) {
			if r.Err != nil || r.Refusal != nil {
				b.Fatal(r.Err, r.Refusal)
			}
		}
	}
	a, err := s.app.Account(b.Context(), s.id, bankAccount)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(&statement, ":62F:C241031EUR%s\n-\n", strings.Replace(a.Posted.Format(2), ".", ",", 1))
	s.importFile("big", statement.String())
	day, err := chain.ParseDate("2024-10-31")
	if err != nil {
		b.Fatal(err)
	}
	s.now = time.Date(2024, 11, 1, 12, 0, 0, 0, time.UTC)
	runtime.GC()
	for b.Loop() {
		out, err := reconcile.MatchBank(b.Context(), s.deps.DB, s.now, reconcile.NightOptions{Ledger: s.id.UUID, AsOf: &day, Policy: s.policy}, "")
		if err != nil || len(out.Accounts) != 1 || out.Accounts[0].State != "reconciled" || len(out.Accounts[0].Breaks) > 0 {
			b.Fatalf("%v %+v", err, out)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapSys>>20), "MiB-heap")
}
