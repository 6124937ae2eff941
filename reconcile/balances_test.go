package reconcile_test

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// standing writes what the builder of a book knows of its accounts as BalancesAt
// has it.
func standing(b *book) string {
	var lines []string
	for code, a := range b.accounts {
		lines = append(lines, fmt.Sprintf("%s %s %s seq %d: %s, %s, %s; frozen %s, closed %t, %v", code, a.Type, a.Currency, a.seq,
			a.posted.Format(a.Scale), a.debits.Format(a.Scale), a.credits.Format(a.Scale), a.Frozen, a.Closed, a.Tags))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func written(all []reconcile.Balance) string {
	lines := make([]string, len(all))
	for i, a := range all {
		lines[i] = fmt.Sprintf("%s %s %s seq %d: %s, %s, %s; frozen %s, closed %t, %v", a.Code, a.Type, a.Currency, a.AccountSeq,
			a.Posted.Format(a.Scale), a.PendingDebit.Format(a.Scale), a.PendingCredit.Format(a.Scale), a.Frozen, a.Closed, a.Tags)
	}
	return strings.Join(lines, "\n")
}

// busy is a ledger of a few accounts and entries of several kinds, and how its
// accounts stood after each.
func busy(entries int64) (b *book, stood map[int64]string) {
	b, stood = newBook("main"), map[int64]string{0: "", 1: ""}
	r := rand.New(rand.NewSource(5))
	var holds []chain.Entry
	for b.next < entries {
		from, to := fmt.Sprintf("a:%d", r.Intn(6)), fmt.Sprintf("b:%d", r.Intn(6))
		opened := false
		for _, code := range []string{from, to} {
			if _, ok := b.accounts[code]; !ok && !opened {
				b.open(code, map[byte]chain.AccountType{'a': chain.Asset, 'b': chain.Liability}[code[0]], func(a *chain.Account) {
					a.Tags = []chain.Tag{{Key: "client", Value: code}}
				})
				opened = true
			}
		}
		switch n := r.Intn(6); {
		case opened:
		case n == 0:
			holds = append(holds, b.hold(from, to, int64(1+r.Intn(50)), 0))
		case n == 1 && len(holds) > 0:
			b.release(holds[0])
			holds = holds[1:]
		case n == 2:
			b.change(to, func(a *chain.Account) { a.Frozen = chain.Frozen(r.Intn(2)) })
		default:
			b.transfer(from, to, int64(1+r.Intn(1000)))
		}
		stood[b.next] = standing(b)
	}
	return b, stood
}

func TestBalancesAtASizeAreThoseThatItsEntriesLeft(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		const entries = 120
		b, stood := busy(entries)
		b.write(t, connect(t, url))
		writer, err := store.Open(t.Context(), url, store.RoleApp, 2)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(writer.Close)
		from, err := auditor(t, url, 2).Snapshot(t.Context(), b.ledger)
		if err != nil {
			t.Fatal(err)
		}
		check := func(when string) {
			for size := int64(0); size <= entries; size++ {
				all, err := reconcile.BalancesAt(t.Context(), from, size)
				if err != nil {
					t.Fatal(err)
				}
				if got := written(all); got != stood[size] {
					t.Fatalf("%s, after %d entries:\n%s\nwant\n%s", when, size, got, stood[size])
				}
			}
		}
		check("without snapshots")
		for _, size := range []int64{40, 80} {
			all, err := reconcile.BalancesAt(t.Context(), from, size)
			if err != nil {
				t.Fatal(err)
			}
			parts, err := reconcile.SnapshotOf(all, 3)
			if err != nil || len(parts) < 3 {
				t.Fatalf("%d parts, %v", len(parts), err)
			}
			if err := writer.KeepSnapshot(t.Context(), ledger.LedgerID{UUID: b.ledger}, size, parts); err != nil {
				t.Fatal(err)
			}
		}
		check("with snapshots")
		conn := connect(t, url)
		mustExec(t, conn, "delete from ops.snapshots where size = 80 and part = 1")
		check("with a snapshot that was not finished")
		mustExec(t, conn, "update ops.snapshots set body = substr(body, 1, length(body) - 1) where size = 40 and part = 2")
		check("with a snapshot that is damaged")
		if all, err := reconcile.BalancesAt(t.Context(), from, entries+1); err == nil {
			t.Errorf("beyond the cut: %d balances", len(all))
		}
	})
}

func TestSizeThroughADayIsThatOfItsLastEntry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		first := chain.DateOf(b.now)
		for day := range 4 {
			b.now = b.now.AddDate(0, 0, 2)
			for range day {
				b.transfer("cash", "customers:1", 1)
			}
		}
		b.write(t, connect(t, url))
		from, err := auditor(t, url, 1).Snapshot(t.Context(), b.ledger)
		if err != nil {
			t.Fatal(err)
		}
		for days, want := range []int64{7, 7, 7, 7, 8, 8, 10, 10, 13, 13} {
			if got, err := reconcile.SizeThrough(t.Context(), from, first+chain.Date(days)); err != nil || got != want {
				t.Errorf("after %d days: %d entries, %v; want %d", days, got, err, want)
			}
		}
		if got, err := reconcile.SizeThrough(t.Context(), from, first-1); err != nil || got != 0 {
			t.Errorf("before the first day: %d entries, %v", got, err)
		}
	})
}
