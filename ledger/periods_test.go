package ledger

import (
	"fmt"
	"math/big"
	"slices"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// TestClosingOfManyCurrencies closes the books of as many currencies as may be
// retained, each with accounts for one transfer and a few more.
func TestClosingOfManyCurrencies(t *testing.T) {
	t.Parallel()
	x := newTester(t, nil)
	closing := &ClosePeriod{Common: x.common(), PeriodEnd: chain.DateOf(noon) - 1}
	var incomes []Income
	for i, currency := range []string{"AUD", "CAD", "CHF", "DKK", "EUR", "GBP", "NOK", "NZD", "SEK", "USD"} {
		code := fmt.Sprintf("equity:%d", i)
		x.open(code, chain.Equity, currency, nil)
		closing.Retain = append(closing.Retain, code)
		n := maxIncomesMoved + 1
		if i == 0 {
			n = MaxIncomeAccounts - (MaxRetainAccounts-1)*n
		}
		for j := range n {
			fee := fmt.Sprintf("fees:%d:%d", i, j)
			x.open(fee, chain.Revenue, currency, nil)
			incomes = append(incomes, Income{Code: fee, Currency: currency, Scale: 2, Balance: money.FromInt64(-1)})
		}
	}
	x.book.RememberIncomes(incomes)
	before := len(x.all)
	if a := x.post(noon, closing); a[0].Refusal != nil {
		t.Fatal(a[0].Refusal.Detail)
	}
	moved := x.all[before : len(x.all)-1]
	if want := maxClosingTransfers - 1; len(moved) != want {
		t.Errorf("%d transfers moved the result, want %d", len(moved), want)
	}
	known := closing.transferIDs(nil, x.book.id)
	for i := range moved {
		if !slices.Contains(known, moved[i].RequestID()) {
			t.Errorf("transfer %d has an id that a replay does not look for", i)
		}
		if n := len(moved[i].record.Postings); n > MaxPostings {
			t.Errorf("transfer %d has %d postings", i, n)
		}
	}
	closing.Retain = append(closing.Retain, "equity:0")
	closing.ID, closing.PeriodEnd = x.common().ID, closing.PeriodEnd+1
	if a := x.post(noon.AddDate(0, 0, 2), closing); a[0].Refusal == nil || a[0].Refusal.Code != CodeRetainAccountInvalid {
		t.Errorf("with %d accounts to retain: %+v", len(closing.Retain), a[0])
	}
}

// TestProfitIsRetainedBeforeLosses closes with more expense accounts than fit one
// transfer: alone they would take the retaining account below its minimum.
func TestProfitIsRetainedBeforeLosses(t *testing.T) {
	t.Parallel()
	x := newTester(t, nil)
	x.open("equity", chain.Equity, "EUR", func(r *OpenAccount) { r.MinBalance = limit("0") })
	x.open("sales", chain.Revenue, "EUR", nil)
	incomes := []Income{{Code: "sales", Currency: "EUR", Scale: 2, Balance: money.FromInt64(-1000)}}
	for i := range 600 {
		code := fmt.Sprintf("costs:%d", i)
		x.open(code, chain.Expense, "EUR", nil)
		incomes = append(incomes, Income{Code: code, Currency: "EUR", Scale: 2, Balance: money.FromInt64(1)})
	}
	x.book.RememberIncomes(incomes)
	a := x.post(noon, &ClosePeriod{Common: x.common(), PeriodEnd: chain.DateOf(noon) - 1, Retain: []string{"equity"}})
	if a[0].Refusal != nil {
		t.Fatal(a[0].Refusal.Detail)
	}
	if got := x.book.Account("equity"); got.Balance() != money.FromInt64(400) || got.AccountSeq != 2 {
		t.Errorf("equity has %s in %d postings, want 400 in 2", got.Balance(), got.AccountSeq)
	}
}

// TestAResultBeyondTheRangeIsRefused: by value date, the postings of an account
// may add up to more than any booked balance.
func TestAResultBeyondTheRangeIsRefused(t *testing.T) {
	t.Parallel()
	x := newTester(t, nil)
	x.open("equity", chain.Equity, "EUR", nil)
	x.open("sales", chain.Revenue, "EUR", nil)
	x.open("interest", chain.Revenue, "EUR", nil)
	most, _ := money.FromBig(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 127), big.NewInt(1)))
	for name, incomes := range map[string][]Income{
		"one balance": {{Code: "sales", Currency: "EUR", Scale: 2, BeyondRange: true}},
		"their sum":   {{Code: "interest", Currency: "EUR", Scale: 2, Balance: most}, {Code: "sales", Currency: "EUR", Scale: 2, Balance: most}},
	} {
		x.book.RememberIncomes(incomes)
		before := len(x.all)
		a := x.post(noon, &ClosePeriod{Common: x.common(), PeriodEnd: chain.DateOf(noon) - 1, Retain: []string{"equity"}})
		if a[0].Refusal == nil || a[0].Refusal.Code != CodeAmountRange || len(x.all) != before {
			t.Errorf("%s: %+v, want a refusal with %s", name, a[0], CodeAmountRange)
		}
	}
}
