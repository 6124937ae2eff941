package model_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// The largest closing, and the largest atomic batch, fit one commit, and neither
// does one that is larger by one.
func TestTheLargestCommits(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		m := newModel(t, url)
		now := time.UnixMicro(m.clock)
		info, _, refused, err := m.db.OpenSimulation(t.Context(), ledger.OpenLedger{ID: must(ledger.NewLedgerID()), Host: "test", Name: "bounds",
			TimeZone: "UTC", BaseCurrency: "EUR", ValueDaysBack: 20, ValueDaysAhead: 3}, now)
		if err != nil || refused != nil {
			t.Fatal(refused, err)
		}
		p := ledger.NewSimulation(t.Context(), m.db, func() time.Time { return now })
		t.Cleanup(func() { p.Stop() })
		names := 0
		common := func() ledger.Common {
			names++
			return ledger.Common{ID: ledger.DeriveRequestID(info.ID, "bounds", fmt.Sprint(names)), Actor: ledger.KeyID{UUID: info.ID.UUID}}
		}
		submit := func(requests ...ledger.Request) []ledger.Result {
			t.Helper()
			results := p.SubmitAll(t.Context(), info.ID, requests)
			for i, r := range results {
				if r.Err != nil {
					t.Fatalf("request %d: %v", i, r.Err)
				}
			}
			return results
		}
		accept := func(requests ...ledger.Request) {
			t.Helper()
			for i, r := range submit(requests...) {
				if r.Refusal != nil {
					t.Fatalf("request %d: %s", i, r.Refusal.Detail)
				}
			}
		}
		fees := []string{}
		opening := []ledger.Request{}
		open := func(code string, kind chain.AccountType) {
			c := common()
			opening = append(opening, &ledger.OpenAccount{Common: c, AccountID: ledger.AccountID{UUID: c.ID.UUID}, Code: code, Type: kind, Currency: "EUR"})
		}
		open("cash", chain.Asset)
		open("equity", chain.Equity)
		for i := range ledger.MaxIncomeAccounts + 1 {
			fees = append(fees, fmt.Sprintf("fees:%d", i))
			open(fees[i], chain.Revenue)
		}
		for some := range slices.Chunk(opening, ledger.MaxBatchRequests) {
			accept(some...)
		}
		earn := func(codes []string) *ledger.TransferRequest {
			legs := []ledger.Leg{{Account: "cash", Direction: chain.Debit, Amount: decimal.New(int64(len(codes)), -2)}}
			for _, code := range codes {
				legs = append(legs, ledger.Leg{Account: code, Direction: chain.Credit, Amount: decimal.New(1, -2)})
			}
			return &ledger.TransferRequest{Common: common(), Legs: legs}
		}
		for some := range slices.Chunk(fees, ledger.MaxPostings-1) {
			accept(earn(some))
		}
		end := chain.DateOf(now)
		now = now.Add(24 * time.Hour)
		closing := &ledger.ClosePeriod{Common: common(), PeriodEnd: end, Retain: []string{"equity"}}
		if r := submit(closing)[0]; r.Refusal == nil || r.Refusal.Code != ledger.CodeTooManyIncomeAccounts {
			t.Fatalf("%d accounts with a result: %+v", len(fees), r.Refusal)
		}
		last := earn(fees[:1])
		last.Legs[0].Direction, last.Legs[1].Direction = chain.Credit, chain.Debit
		last.EffectiveDate = &end
		p.Stop()
		p = ledger.NewSimulation(t.Context(), m.db, func() time.Time { return now }) // with nothing cached
		accept(last, closing, earn(fees[:2]))
		equity := must(m.db.Account(t.Context(), info.ID, "equity"))
		if got := equity.Balance().Format(2); got != decimal.New(ledger.MaxIncomeAccounts, -2).StringFixed(2) || equity.AccountSeq != ledger.MaxIncomeAccounts/(ledger.MaxPostings-1) {
			t.Errorf("equity has %s in %d postings", got, equity.AccountSeq)
		}
		batch := &ledger.AtomicBatch{Common: common()}
		for range ledger.MaxBatchRequests {
			batch.Items = append(batch.Items, earn(fees[:1]))
		}
		accept(earn(fees[:1]), batch)
		heavy := &ledger.AtomicBatch{Common: common()}
		for range 14 {
			heavy.Items = append(heavy.Items, earn(fees[:ledger.MaxPostings-1]))
		}
		if r := submit(heavy)[0]; r.Refusal == nil || r.Refusal.Code != ledger.CodeBatchTooHeavy {
			t.Errorf("14 transfers of 500 postings at once: %+v", r.Refusal)
		}
		heavy.Items = heavy.Items[:13]
		accept(heavy)
		report, err := reconcile.Verify(t.Context(), m.auditor, info.ID.UUID, reconcile.Options{Workers: 1})
		if err != nil || report.Status != "verified" || len(report.Findings) > 0 {
			t.Errorf("verify: %s, %+v, %v", report.Status, report.Findings, err)
		}
	})
}
