package reconcile_test

import (
	"slices"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// sample is a ledger with every kind of entry. The comments give the seq.
func sample() *book { return sampleNamed("main") }

func sampleNamed(name string) *book {
	b := newBook(name) // 0
	b.open("cash", chain.Asset, func(a *chain.Account) { a.Tags = []chain.Tag{{Key: "branch", Value: "7"}, {Key: "desk", Value: "2"}} })
	b.open("customers:1", chain.Liability, func(a *chain.Account) { a.MinBalance = units(0) })
	b.open("customers:2", chain.Liability, func(a *chain.Account) { a.MinBalance = units(0); a.MaxBalance = units(100_000) })
	b.open("fx:eur", chain.Asset, nil)
	b.open("fx:usd", chain.Asset, func(a *chain.Account) { a.Currency = "USD" })
	b.open("usd", chain.Asset, func(a *chain.Account) { a.Currency = "USD" }) // 6
	b.transfer("cash", "customers:1", 50_000)                                 // 7
	b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("customers:1", "customers:2", 1234, 0)},
		words{"rent", "INV-1", `{"a":1}`, [][]byte{term("a", "1")}}) // 8
	b.append(chain.Entry{Kind: chain.Transfer, EffectiveDate: chain.DateOf(b.now) - 3, Postings: append(
		b.move("fx:eur", "cash", 1000, 0), b.move("usd", "fx:usd", 1083, 0)...),
		Details: []chain.Detail{{Name: "rate", Value: "EUR/USD 1.083"}}}, words{reference: "FX-1"}) // 9
	hold := b.append(chain.Entry{Kind: chain.Hold, Postings: b.move("customers:1", "customers:2", 0, 500), ExpiresAt: new(b.now.UnixMicro() + 1e9)}, words{}) // 10
	b.append(chain.Entry{Kind: chain.Capture, RefSeq: &hold.Seq, Postings: b.move("customers:1", "customers:2", 300, -500)}, words{})                         // 11
	hold2 := b.append(chain.Entry{Kind: chain.Hold, Postings: b.move("customers:2", "customers:1", 0, 200)}, words{})                                         // 12
	b.append(chain.Entry{Kind: chain.Release, RefSeq: &hold2.Seq, Postings: b.move("customers:2", "customers:1", 0, -200)}, words{})                          // 13
	transfer := b.transfer("customers:1", "customers:2", 100)                                                                                                 // 14
	b.append(chain.Entry{Kind: chain.Reversal, RefSeq: &transfer.Seq, Postings: b.move("customers:2", "customers:1", 100, 0)}, words{})                       // 15
	b.change("customers:2", func(a *chain.Account) { a.Frozen = chain.FrozenDebits; a.MinBalance = units(-500) })                                             // 16
	b.transfer("customers:1", "customers:2", 1)                                                                                                               // 17
	b.append(chain.Entry{Kind: chain.PolicyAdopted, Details: []chain.Detail{
		{Name: "effective_from", Value: "2026-04-01"}, {Name: "name", Value: "risk"}, {Name: "policy_sha256", Value: chain.Genesis.String()}}}, words{}) // 18
	b.transfer("cash", "customers:1", 25) // 19
	return b
}

func TestAnUntouchedLedgerIsVerified(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := sample()
		b.write(t, connect(t, url))
		report := verify(t, url, b.ledger)
		sameNarrowly(t, url, b.ledger, &report)
		if len(report.Findings) != 0 || report.Status != reconcile.Verified {
			t.Fatalf("%s: %v %v", report.Status, codes(report.Findings), report.NotChecked)
		}
		if report.Size != b.next || report.Head != b.head.String() || report.EntriesChecked != b.next || report.Ledger != "main" {
			t.Errorf("report %+v, want size %d, head %s", report, b.next, b.head)
		}
		s := report.Scope
		if s.Postings != 24 || s.Accounts != 6 || s.Texts != 10 || s.LedgerID != b.ledger || s.Origin != b.terms.Origin {
			t.Errorf("scope %+v", s)
		}
		want := []reconcile.Total{{Currency: "EUR", Debits: "500.25", Credits: "500.25"}, {Currency: "USD", Debits: "10.83", Credits: "10.83"}}
		if !slices.Equal(s.Totals, want) {
			t.Errorf("totals %v, want %v", s.Totals, want)
		}
	})
}
