package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/ledger/store"
	"tallystick/reconcile"
)

// audit looks at the ledger main after a test has done with it: the nightly
// verification finds nothing, and what clients can see agrees with it.
func (b *bank) audit(t *testing.T, url string) {
	t.Helper()
	b.verify(t, url)
	size := 0
	previous := strings.Repeat("0", 64)
	b.walk("/v1/ledgers/main/entries?limit=1000", func(a *answer, i int) {
		if a.text("data", i, "seq") != fmt.Sprint(size) || a.text("data", i, "prev_hash") != previous {
			t.Errorf("entry %d follows %s wrongly: %v", size, previous, a.at("data", i))
		}
		previous = a.text("data", i, "hash")
		size++
	})
	b.get("/v1/ledgers/main").want("size", fmt.Sprint(size), "head", previous)
	sums := map[string]decimal.Decimal{}
	b.walk("/v1/ledgers/main/accounts?limit=1000", func(a *answer, i int) {
		balance := decimal.RequireFromString(a.text("data", i, "balance"))
		if kind := a.text("data", i, "type"); kind != "asset" && kind != "expense" {
			balance = balance.Neg()
		}
		currency := a.text("data", i, "currency")
		sums[currency] = sums[currency].Add(balance)
	})
	for currency, sum := range sums {
		if !sum.IsZero() {
			t.Errorf("all balances in %s sum to %s", currency, sum)
		}
	}
}

// verify re-derives every entry from its columns, as the auditor.
func (b *bank) verify(t *testing.T, url string) {
	t.Helper()
	auditor, err := store.Open(t.Context(), url, store.RoleAuditor, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer auditor.Close()
	info, err := auditor.Ledger(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	report, err := reconcile.Verify(t.Context(), auditor, info.ID.UUID, reconcile.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if report.Status != reconcile.Verified || report.EntriesChecked != info.Size {
		t.Errorf("verification says %s after %d of %d entries: %+v", report.Status, report.EntriesChecked, info.Size, report.Findings)
	}
}

// walk hands every element of a list to visit, page by page.
func (b *bank) walk(path string, visit func(a *answer, i int)) {
	b.t.Helper()
	next := ""
	for {
		a := b.get(path+next).is(200, "")
		for i := range a.length("data") {
			visit(a, i)
		}
		cursor := a.text("next")
		if cursor == "" {
			return
		}
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		next = separator + "cursor=" + cursor
	}
}
