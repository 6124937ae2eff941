package reconcile_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
	"tallystick/reconcile/policy"
)

// turning is a random ledger over the turns of months and of a year, with all that
// a pass over a period keeps: accounts and currencies that come late, entries
// booked late, results moved by closings, some of which follow a day after.
func turning(t *rapid.T, name string) (b *book, first, last chain.Date) {
	b = newBook(name)
	b.on("2025-12-20")
	first = chain.DateOf(b.now)
	type pair struct{ debit, credit string }
	for code, kind := range map[string]chain.AccountType{"bank": chain.Asset, "till:1": chain.Asset, "suspense:in": chain.Liability, "x": chain.Expense, "r": chain.Revenue, "q": chain.Equity} {
		b.open(code, kind, nil)
	}
	pairs := []pair{{"bank", "suspense:in"}, {"till:1", "bank"}, {"x", "bank"}, {"bank", "r"}, {"bank", "q"}}
	var entries []chain.Entry
	for i := range rapid.IntRange(0, 60).Draw(t, "entries") {
		b.now = b.now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "hours")) * time.Hour)
		p := rapid.SampledFrom(pairs).Draw(t, "pair")
		if rapid.Bool().Draw(t, "back") {
			p = pair{p.credit, p.debit}
		}
		amount := int64(rapid.IntRange(1, 100_000).Draw(t, "amount"))
		switch n := rapid.IntRange(0, 11).Draw(t, "kind"); {
		case n == 0:
			b.hold(p.debit, p.credit, amount, 0)
		case n == 1 && len(entries) > 0:
			b.reverse(entries[0])
			entries = entries[1:]
		case n == 2:
			entries = append(entries, b.late(p.debit, p.credit, amount, "2025-12-21"))
		case n == 3:
			day := first - chain.Date(i)
			closing := stableID("closing of %s %s", name, day)
			entries = append(entries, b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("r", "q", amount, 0),
				RequestID: uuid.NewSHA1(b.ledger, []byte("closing\x00"+closing.String()+"\x000"))}, words{}))
			moved := b.next - 1
			b.now = b.now.Add(time.Duration(rapid.SampledFrom([]int{0, 24}).Draw(t, "after")) * time.Hour)
			b.append(chain.Entry{Kind: chain.PeriodClosed, RequestID: closing,
				Details: facts("period_end", day.String(), "through_seq", fmt.Sprint(moved), "closing_seq", fmt.Sprint(moved), "retain_account.EUR", "q")}, words{})
		case n == 4:
			currency := rapid.SampledFrom([]string{"CHF", "EUR", "USD"}).Draw(t, "currency")
			in := func(a *chain.Account) { a.Currency = currency }
			added := pair{fmt.Sprintf("till:%d", 2+i), fmt.Sprintf("c:%d", i)}
			b.open(added.debit, chain.Asset, in)
			b.open(added.credit, chain.Liability, in)
			pairs = append(pairs, added)
		default:
			entries = append(entries, b.transfer(p.debit, p.credit, amount))
		}
	}
	return b, first, chain.DateOf(b.now)
}

// A pass over a period that goes on from where one of an earlier day has left off
// comes to the same as one that reads the whole period.
func TestAPassThatGoesOnComesToTheSame(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	conn := connect(t, url)
	db := auditor(t, url, 2)
	roles := testPolicy(t)
	others, err := policy.Decode([]byte(strings.NewReplacer(`"1"`, `"2"`, "suspense:**", "till:**").Replace(rolesPolicy)))
	if err != nil {
		t.Fatal(err)
	}
	books, wentOn := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		books++
		b, first, last := turning(rt, fmt.Sprintf("l%d", books))
		b.write(t, conn)
		s, err := db.Snapshot(t.Context(), b.ledger)
		if err != nil {
			rt.Fatal(err)
		}
		earlier := chain.Date(rapid.IntRange(int(first), int(last)).Draw(rt, "earlier"))
		day := min(last, earlier+chain.Date(rapid.IntRange(1, 20).Draw(rt, "later")))
		before := rapid.SampledFrom([]*policy.Policy{roles, roles, roles, others, nil}).Draw(rt, "policy before")
		outcomes, read, err := reconcile.Passes(t.Context(), s, roles, earlier, day, before)
		if err != nil {
			rt.Fatal(err)
		}
		if outcomes[0] != outcomes[1] {
			rt.Fatalf("from %s to %s, of the whole period:\n%s\ngone on:\n%s", earlier, day, outcomes[0], outcomes[1])
		}
		if read[1] < read[0] {
			wentOn++
		}
	})
	if wentOn == 0 {
		t.Errorf("of %d passes none went on from another", books)
	}
}

// The reports of a second night in the same month read what is new, and the night
// comes to the same as one that reads all. Of a state that somebody damaged, that
// is found, and the period is read.
func TestTheReportsOfASecondNightReadWhatIsNew(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		b := newBook("main")
		b.now = time.Now().UTC().Add(-time.Minute) // a run is put on record today
		later := 3                                 // days in the same month
		if b.now.Day() >= 15 {
			b.now, later = b.now.AddDate(0, 0, -5), 0
		}
		of := b.next // the first entry of the month
		b.open("bank", chain.Asset, nil)
		b.open("customers:1", chain.Liability, nil)
		for i := range 30 {
			b.transfer("bank", "customers:1", int64(100+i))
		}
		b.write(t, conn)
		deps := nightDeps(t, url)
		deps.Now = func() time.Time { return time.Now().AddDate(1, 0, 0) }
		roles := testPolicy(t)
		first := runNight(t, deps, b, reconcile.NightOptions{Policy: roles})
		nights := func(day chain.Date) (map[string][]byte, [2]int64) {
			t.Helper()
			o := reconcile.NightOptions{Ledger: b.ledger, AsOf: &day, Policy: roles, Workers: 2}
			all, whole, err := reconcile.NightOutputs(t.Context(), deps, o, func(n *reconcile.Night) { n.Plan = reconcile.Plan{Whole: true} })
			if err != nil {
				t.Fatal(err)
			}
			increment, fresh, err := reconcile.NightOutputs(t.Context(), deps, o, anIncrement)
			if err != nil {
				t.Fatal(err)
			}
			for key, body := range all {
				if kind, name, _ := strings.Cut(key, "\x00"); kind != reconcile.ResultOutput && kind != reconcile.FindingsOutput && name != "integrity" && !bytes.Equal(body, increment[key]) {
					t.Errorf("%s %s differ", kind, name)
				}
			}
			return increment, [2]int64{whole, fresh}
		}
		b.nextDay(t, conn)
		b.now = time.Now().UTC().AddDate(0, 0, later)
		for i := range 7 {
			b.transfer("bank", "customers:1", int64(500+i))
		}
		b.write(t, conn)
		_, read := nights(chain.DateOf(b.now))
		fresh, month := b.next-first.Run.Size, b.next-of
		if read[0] < 2*month || read[1] != 2*fresh {
			t.Errorf("the year and the month read %d entries, and going on %d, of %d and %d new", read[0], read[1], month, fresh)
		}
		year := read[0] - month
		var damaged map[string][]byte
		mustExec(t, conn, "update ops.run_outputs set body = substr(body, 1, length(body) - 1) where kind = 'state' and name = 'pass-year-0000'")
		damaged, read = nights(chain.DateOf(b.now))
		if want := year + fresh; read[1] != want {
			t.Errorf("with a damaged state of the year, %d entries were read, want %d", read[1], want)
		}
		if !bytes.Contains(damaged[reconcile.FindingsOutput+"\x00reports"], []byte(reconcile.RunNotReproduced)) {
			t.Error("nobody says that a state is damaged")
		}
	})
}
