package reconcile_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
	"tallystick/reconcile/bankfile"
	"tallystick/reconcile/camt"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

var updateReports = flag.Bool("update-reports", false, "write the golden reports anew")

// on moves the builder's clock to noon of a day.
func (b *book) on(day string) {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	b.now = t.Add(12 * time.Hour)
}

func dateOf(day string) chain.Date {
	d, err := chain.ParseDate(day)
	if err != nil {
		panic(err)
	}
	return d
}

// retain closes the books as the application does: the result moves by transfers
// whose request ids follow from that of the closing.
func (b *book) retain(end chain.Date, postings ...chain.Posting) (moved, closed chain.Entry) {
	closing := stableID("closing of %s %s", b.terms.Name, end)
	moved = b.append(chain.Entry{Kind: chain.Transfer, EffectiveDate: end, Postings: postings,
		RequestID: uuid.NewSHA1(b.ledger, []byte("closing\x00"+closing.String()+"\x000"))}, words{description: "Result"})
	closed = b.append(chain.Entry{Kind: chain.PeriodClosed, RequestID: closing,
		Details: facts("period_end", end.String(), "through_seq", fmt.Sprint(b.next-1), "closing_seq", fmt.Sprint(b.next-1), "retain_account.EUR", "equity:retained")}, words{})
	return moved, closed
}

// late books a transfer for a closed period.
func (b *book) late(debit, credit string, amount int64, valued string) chain.Entry {
	return b.append(chain.Entry{Kind: chain.Transfer, PriorPeriod: true, EffectiveDate: dateOf(valued), Postings: b.move(debit, credit, amount, 0)},
		words{description: "Invoice for the year before"})
}

// institution is a small ledger over a turn of the year: two currencies, holds,
// a reversal, a closing that moves the result, and what was booked late.
func institution() *book {
	b := newBook("main")
	b.on("2025-11-03")
	usd := func(a *chain.Account) { a.Currency = "USD" }
	b.open("bank", chain.Asset, nil)
	b.open("customers:1", chain.Liability, nil)
	b.open("customers:2", chain.Liability, nil)
	b.open("equity:capital", chain.Equity, nil)
	b.open("equity:retained", chain.Equity, nil)
	b.open("fees", chain.Revenue, nil)
	b.open("costs", chain.Expense, nil)
	b.open("suspense:in", chain.Liability, nil)
	b.open("never-used", chain.Asset, nil)
	b.open("usd:bank", chain.Asset, usd)
	b.open("usd:customers", chain.Liability, usd)
	b.transfer("bank", "equity:capital", 100000)
	b.transfer("bank", "customers:1", 50000)
	b.on("2025-12-10")
	b.transfer("customers:1", "fees", 250)
	b.transfer("costs", "bank", 1999)
	b.transfer("usd:bank", "usd:customers", 777)
	mistaken := b.transfer("customers:1", "customers:2", 1200)
	b.on("2025-12-31")
	b.reverse(mistaken)
	b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("bank", "suspense:in", 3300, 0)}, words{description: "=Überweisung, payer unknown", reference: "R-1"})
	b.on("2026-01-05")
	hold := b.hold("customers:1", "customers:2", 5000, 0)
	b.transfer("customers:1", "fees", 300)
	b.retain(dateOf("2025-12-31"), b.post("fees", chain.Debit, 250, 0), b.post("costs", chain.Credit, 1999, 0), b.post("equity:retained", chain.Debit, 1749, 0))
	b.on("2026-01-07")
	b.settle(chain.Capture, hold, []chain.Posting{b.post("customers:1", chain.Debit, 4500, -5000), b.post("customers:2", chain.Credit, 4500, -5000)})
	b.late("costs", "bank", 450, "2025-12-29")
	b.transfer("suspense:in", "customers:2", 1300)
	b.on("2026-02-02")
	b.open("customers:3", chain.Liability, nil)
	b.transfer("bank", "customers:3", 600)
	b.transfer("suspense:in", "bank", 500)
	return b
}

const rolesPolicy = `schema: tallystick/policy/1
name: test
version: "1"
effective_from: 2025-01-01
accounts:
  suspense:
    - {match: "suspense:**", max_age: 5}
  control:
    - {account: "bank", sum: "till:**"}
`

func testPolicy(tb testing.TB) *policy.Policy {
	tb.Helper()
	p, err := policy.Decode([]byte(rolesPolicy))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// pinned writes a book and pins it.
func pinned(tb testing.TB, url string, b *book) *store.Snapshot {
	tb.Helper()
	b.write(tb, connect(tb, url))
	s, err := auditor(tb, url, 2).Snapshot(tb.Context(), b.ledger)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func between(name, from, to string) reconcile.ReportRequest {
	first, last := dateOf(from), dateOf(to)
	return reconcile.ReportRequest{Name: name, From: &first, AsOf: &last}
}

func computed(tb testing.TB, s *store.Snapshot, r reconcile.ReportRequest) *report.Document {
	tb.Helper()
	d, err := reconcile.ComputeReport(tb.Context(), s, r)
	if err != nil {
		tb.Fatal(err)
	}
	return &d
}

func asText(tb testing.TB, d *report.Document) string {
	tb.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, d, report.PlainText, report.Options{}); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestReportsOfASmallLedgerAreTheGoldenOnes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := pinned(t, url, institution())
		for _, k := range reconcile.ReportKinds {
			r := between(k.Name, "2026-01-01", "2026-02-02")
			r.Policy = testPolicy(t)
			if k.Name == "account-statement" {
				r.Account = "suspense:in"
				r.From = nil
				first := dateOf("2025-12-01")
				r.From = &first
			}
			got := asText(t, computed(t, s, r))
			path := filepath.Join("testdata", "reports", k.Name+".txt")
			if *updateReports {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s:\n%s\nwant\n%s", k.Name, got, want)
			}
		}
	})
}

// cells returns the cells of a column by what stands in the first, of records.
func cells(tb testing.TB, d *report.Document, table, column string) map[string]decimal.Decimal {
	tb.Helper()
	found := map[string]decimal.Decimal{}
	for _, b := range d.Blocks {
		if b.Table == nil || b.Table.Name != table {
			continue
		}
		at := slices.IndexFunc(b.Table.Columns, func(c report.Column) bool { return c.Name == column })
		if at < 0 {
			tb.Fatalf("table %s has no column %s", table, column)
		}
		for _, r := range b.Table.Rows {
			if r.Kind != report.Group {
				found[r.Cells[0].Value] = decimal.RequireFromString("0" + strings.TrimPrefix(r.Cells[at].Value, "-"))
				if strings.HasPrefix(r.Cells[at].Value, "-") {
					found[r.Cells[0].Value] = found[r.Cells[0].Value].Neg()
				}
			}
		}
	}
	return found
}

// side returns debit less credit of a pair of columns.
func side(tb testing.TB, d *report.Document, table, debit, credit string) map[string]decimal.Decimal {
	tb.Helper()
	sums, credits := cells(tb, d, table, debit), cells(tb, d, table, credit)
	for name, v := range credits {
		sums[name] = sums[name].Sub(v)
	}
	return sums
}

// random is a ledger of some days with everything that moves money.
func random(t *rapid.T, name string) (b *book, first, last chain.Date) {
	b = newBook(name)
	b.on("2025-12-20")
	first = chain.DateOf(b.now)
	codes := []string{"a:1", "a:2", "l:1", "l:2", "q", "r", "x"}
	types := []chain.AccountType{chain.Asset, chain.Asset, chain.Liability, chain.Liability, chain.Equity, chain.Revenue, chain.Expense}
	for i, code := range codes {
		b.open(code, types[i], nil)
	}
	var entries []chain.Entry
	for range rapid.IntRange(0, 40).Draw(t, "entries") {
		b.now = b.now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "hours")) * time.Hour)
		from := rapid.IntRange(0, len(codes)-1).Draw(t, "from")
		to := (from + rapid.IntRange(1, len(codes)-1).Draw(t, "to")) % len(codes)
		amount := int64(rapid.IntRange(1, 100_000).Draw(t, "amount"))
		switch n := rapid.IntRange(0, 9).Draw(t, "kind"); {
		case n == 0:
			b.hold(codes[from], codes[to], amount, 0)
		case n == 1 && len(entries) > 0:
			b.reverse(entries[0])
			entries = entries[1:]
		default:
			entries = append(entries, b.transfer(codes[from], codes[to], amount))
		}
	}
	return b, first, chain.DateOf(b.now)
}

func TestAnySplitOfAPeriodAddsUp(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	conn := connect(t, url)
	db := auditor(t, url, 2)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		b, first, last := random(rt, fmt.Sprintf("l%d", n))
		b.write(t, conn)
		s, err := db.Snapshot(t.Context(), b.ledger)
		if err != nil {
			rt.Fatal(err)
		}
		cut := chain.Date(rapid.IntRange(int(first), int(last)).Draw(rt, "cut"))
		of := func(name string, from, to chain.Date) *report.Document {
			d, err := reconcile.ComputeReport(t.Context(), s, reconcile.ReportRequest{Name: name, From: &from, AsOf: &to})
			if err != nil {
				rt.Fatal(err)
			}
			return &d
		}
		for _, name := range []string{"trial-balance", "roll-forward"} {
			table := name + "-eur"
			whole, early, late := of(name, first, last), of(name, first, cut), of(name, cut+1, max(last, cut+1))
			for _, column := range []string{"debit", "credit"} {
				a, z := cells(t, early, table, column), cells(t, late, table, column)
				for account, v := range cells(t, whole, table, column) {
					if !a[account].Add(z[account]).Equal(v) {
						rt.Fatalf("%s, %s of %s: %s and %s, together %s", name, column, account, a[account], z[account], v)
					}
				}
			}
			closed, opened := side(t, early, table, "closing_debit", "closing_credit"), side(t, late, table, "opening_debit", "opening_credit")
			for account, v := range closed {
				if !opened[account].Equal(v) {
					rt.Fatalf("%s: %s closes with %s and opens with %s", name, account, v, opened[account])
				}
			}
			for _, d := range []*report.Document{whole, early, late} {
				opening, moved, closing := side(t, d, table, "opening_debit", "opening_credit"), side(t, d, table, "debit", "credit"), side(t, d, table, "closing_debit", "closing_credit")
				for account, v := range closing {
					if !opening[account].Add(moved[account]).Equal(v) {
						rt.Fatalf("%s: %s: %s + %s is not %s", name, account, opening[account], moved[account], v)
					}
				}
				for _, sums := range []map[string]decimal.Decimal{opening, moved, closing} {
					if !sums["Difference"].IsZero() {
						rt.Fatalf("%s does not balance: %v", name, sums)
					}
				}
			}
		}
		income := func(d *report.Document) decimal.Decimal {
			return cells(t, d, "income-statement-eur", "amount")["Result of the period"]
		}
		whole, early, late := income(of("income-statement", first, last)), income(of("income-statement", first, cut)), income(of("income-statement", cut+1, max(last, cut+1)))
		if !early.Add(late).Equal(whole) {
			rt.Fatalf("results %s and %s, together %s", early, late, whole)
		}
	})
}

func TestAReportOfAClosedPeriodNeverChanges(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := institution()
		conn := connect(t, url)
		b.write(t, conn)
		db := auditor(t, url, 2)
		reports := func(from, to string) map[string][]string {
			s, err := db.Snapshot(t.Context(), b.ledger)
			if err != nil {
				t.Fatal(err)
			}
			all := map[string][]string{}
			for _, k := range reconcile.ReportKinds {
				r := between(k.Name, from, to)
				r.Account, r.Policy = "bank", testPolicy(t)
				d := computed(t, s, r)
				// What the figures rest on says how far the ledger went; they themselves do not.
				d.Facts = slices.DeleteFunc(d.Facts, func(f report.Fact) bool { return f.Name == "Ledger size" || f.Name == "Head" })
				all[k.Name] = strings.Split(asText(t, d), "\n")
			}
			return all
		}
		before := reports("2025-01-01", "2025-12-31")
		b.on("2026-02-10")
		b.late("costs", "bank", 123, "2025-12-30")
		b.transfer("bank", "customers:1", 5)
		b.write(t, conn)
		for name, text := range reports("2025-01-01", "2025-12-31") {
			if !slices.Equal(text, before[name]) {
				t.Errorf("%s of 2025 changed:\n%s\nbefore\n%s", name, strings.Join(text, "\n"), strings.Join(before[name], "\n"))
			}
		}
		for name, text := range reports("2026-02-03", "2026-02-28") {
			if name == "suspense-and-break-ageing" || name == "account-statement" || name == "general-ledger" {
				continue
			}
			if !slices.ContainsFunc(text, func(line string) bool {
				return strings.Contains(line, "2026-02-10") && strings.Contains(line, "2025-12-30") && strings.Contains(line, "1.23")
			}) {
				t.Errorf("%s of February does not list what was booked late:\n%s", name, strings.Join(text, "\n"))
			}
		}
	})
}

// A closing that is undone, its transfers reversed, and made again moves a result
// back and forth: none of that is revenue or expense.
func TestClosingsAreNeitherRevenueNorExpense(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := institution()
		end := dateOf("2026-01-31")
		move := func() (moved, closed chain.Entry) {
			return b.retain(end, b.post("fees", chain.Debit, 300, 0), b.post("costs", chain.Credit, 450, 0), b.post("equity:retained", chain.Debit, 150, 0))
		}
		moved, closed := move()
		b.reopen(closed)
		b.reverse(moved)
		end++ // another closing
		move()
		s := pinned(t, url, b)
		d := computed(t, s, between("income-statement", "2026-02-01", "2026-02-28"))
		amounts, proof := cells(t, d, "income-statement-eur", "amount"), cells(t, d, "result-eur", "amount")
		if v := amounts["Result of the period"]; !v.IsZero() {
			t.Errorf("the result is %s", v)
		}
		if v := proof["Moved to equity by closings"]; v.String() != "1.5" || !proof["Difference"].IsZero() {
			t.Errorf("%v", proof)
		}
		if d := computed(t, s, between("income-statement", "2026-01-01", "2026-02-28")); cells(t, d, "income-statement-eur", "amount")["Result of the period"].String() != "-1.5" {
			t.Error(asText(t, d))
		}
	})
}

func TestErasedTextsAreSaidToBeErased(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	b := institution()
	s := pinned(t, url, b)
	mustExec(t, connect(t, url), "delete from ops.payloads where reference = 'R-1'")
	r := between("account-statement", "2025-01-01", "2026-12-31")
	r.Account = "suspense:in"
	if text := asText(t, computed(t, s, r)); strings.Contains(text, "berweisung") || !strings.Contains(text, "erased") {
		t.Error(text)
	}
}

func TestRequestsForReportsThatAreNone(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	b := institution()
	s := pinned(t, url, b)
	long := between("daily-position", "1990-01-01", "2026-01-01")
	unknown := between("account-statement", "2026-01-01", "2026-01-31")
	unknown.Account = "nobody"
	later := between("account-statement", "2025-01-01", "2025-12-31")
	later.Account = "customers:3"
	prefix := between("general-ledger", "2026-01-01", "2026-01-31")
	prefix.Account = "customer"
	for _, c := range []struct {
		r    reconcile.ReportRequest
		want error
	}{
		{reconcile.ReportRequest{Name: "profit"}, reconcile.ErrUnknownReport},
		{between("trial-balance", "2026-02-01", "2026-01-31"), reconcile.ErrReportPeriod},
		{between("trial-balance", "0001-01-01", "2026-01-31"), reconcile.ErrReportPeriod},
		{long, reconcile.ErrReportTooLong},
		{unknown, reconcile.ErrUnknownAccount},
		{later, reconcile.ErrUnknownAccount},
		{prefix, reconcile.ErrUnknownAccount},
	} {
		if _, err := reconcile.ComputeReport(t.Context(), s, c.r); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
}

func TestAReportOfDamagedBooksIsRefusedOrShowsIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, want string }{
		"an entry is gone":          {"delete from book.entries where seq = 13", "tallystick verify says"},
		"an account is gone":        {"delete from book.accounts where code = 'customers:2'", "tallystick verify says"},
		"a closing names another":   {"update book.details set value = '12' where name = 'closing_seq'", "tallystick verify says"},
		"a balance is another one":  {"update book.postings set posted = posted + 1 where seq = 29 and direction = 'debit'", ""},
		"an amount is another one":  {"update book.postings set amount = amount + 1 where seq = 29 and direction = 'debit'", ""},
		"a currency has two scales": {"update book.accounts set scale = 3 where code = 'customers:2'", "tallystick verify says"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				b := institution()
				b.write(t, connect(t, url))
				mustExec(t, connect(t, url), c.sql)
				s, err := auditor(t, url, 2).Snapshot(t.Context(), b.ledger)
				if err != nil {
					t.Fatal(err)
				}
				d, err := reconcile.ComputeReport(t.Context(), s, between("roll-forward", "2025-01-01", "2026-12-31"))
				if c.want != "" {
					if err == nil || !strings.Contains(err.Error(), c.want) {
						t.Errorf("%v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if off := cells(t, &d, "roll-forward-eur", "proof"); off["Total EUR"].IsZero() {
					t.Errorf("every proof holds: %v", off)
				}
			})
		})
	}
}

func TestCamtStatementsAreThoseOfTheLedger(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	b := institution()
	conn := connect(t, url)
	b.write(t, conn)
	db := auditor(t, url, 2)
	message := func(v camt.Version, account, iban, from, to string) ([]byte, error) {
		s, err := db.Snapshot(t.Context(), b.ledger)
		if err != nil {
			t.Fatal(err)
		}
		r := between("account-statement", from, to)
		r.Account = account
		var out bytes.Buffer
		err = reconcile.WriteCamt(t.Context(), &out, v, s, r, iban)
		return out.Bytes(), err
	}
	for _, v := range camt.Versions {
		var last bankfile.Last
		for _, period := range []struct{ from, to, opening, closing string }{
			{"2025-11-01", "2025-12-31", "0.00", "497.50"}, {"2026-01-01", "2026-01-31", "497.50", "449.50"}, {"2026-02-01", "2026-02-02", "449.50", "449.50"},
		} {
			text, err := message(v, "customers:1", "BE68539007547034", period.from, period.to)
			if err != nil {
				t.Fatal(err)
			}
			var read bankfile.Statement
			verdict, err := bankfile.Foot(bytes.NewReader(text), bankfile.Options{}, func(*bankfile.Statement, string) (bankfile.Last, bool, error) {
				return last, last.Closing.Currency.Code != "", nil
			}, bankfile.Receiver{Close: func(s *bankfile.Statement) error { read = *s; return nil }})
			if err != nil || !verdict.Accepted() {
				t.Fatalf("%s from %s: %+v, %v", v, period.from, verdict, err)
			}
			if read.Opening.Amount.String() != period.opening+" EUR" || read.Closing.Amount.String() != period.closing+" EUR" {
				t.Errorf("%s from %s: %s to %s", v, period.from, read.Opening.Amount, read.Closing.Amount)
			}
			last = bankfile.Last{Closing: read.Closing.Amount, To: read.To}
		}
	}
	before, err := message(camt.V8, "bank", "", "2026-01-01", "2026-01-31")
	if err != nil {
		t.Fatal(err)
	}
	b.on("2026-03-01")
	b.transfer("bank", "customers:1", 5)
	b.write(t, conn)
	if after, err := message(camt.V8, "bank", "", "2026-01-01", "2026-01-31"); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the statement of a day that is over changed (%v):\n%s\nbefore\n%s", err, after, before)
	}
	if out, err := message(camt.V8, "bank", "no IBAN", "2026-01-01", "2026-01-31"); !errors.Is(err, camt.ErrUnfit) || len(out) > 0 {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}

// outputs returns the reports of a run by name.
func outputs(tb testing.TB, db *store.DB, run uuid.UUID, names []string) map[string]*report.Document {
	tb.Helper()
	all := map[string]*report.Document{}
	for _, name := range names {
		encoded, err := reconcile.ReadOutput(tb.Context(), db, run, reconcile.ReportOutput, name)
		if err != nil {
			tb.Fatal(err)
		}
		if all[name], err = report.Decode(encoded); err != nil {
			tb.Fatal(err)
		}
	}
	return all
}

func TestARunPutsOutEveryReport(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := institution()
		b.write(t, connect(t, url))
		deps := nightDeps(t, url)
		p := testPolicy(t)
		p.BankAccounts = map[string]string{"BE68539007547034": "bank", "GB33BUKB20201555555555": "nowhere"}
		day := dateOf("2026-01-31")
		result := runNight(t, deps, b, reconcile.NightOptions{AsOf: &day, Policy: p})
		var names []string
		for _, o := range result.Outputs {
			if o.Kind == reconcile.ReportOutput && o.Phase == "reports" {
				names = append(names, o.Name)
			}
		}
		slices.Sort(names)
		want := []string{"integrity"}
		for _, k := range reconcile.ReportKinds {
			want = append(want, k.Name)
		}
		slices.Sort(want)
		if !slices.Equal(names, want) {
			t.Fatalf("reports %v, want %v", names, want)
		}
		docs := outputs(t, deps.DB, result.Run.ID, names)
		if v := cells(t, docs["trial-balance"], "trial-balance-eur", "closing_debit")["bank"]; v.String() != "1508.51" {
			t.Errorf("the bank has %s", v)
		}
		if v := cells(t, docs["income-statement"], "income-statement-eur", "amount")["Result of the period"]; v.String() != "-1.5" {
			t.Errorf("the result is %s", v)
		}
		if text := asText(t, docs["account-statement"]); !strings.Contains(text, "\nbank\n") || strings.Contains(text, "Überweisung") {
			t.Errorf("the statements of accounts at banks:\n%s", text)
		}
		if text := asText(t, docs["integrity"]); !strings.Contains(text, "Findings by phase") || !strings.Contains(text, "chain") {
			t.Errorf("integrity:\n%s", text)
		}
		// An account at a bank that the ledger does not have is said, and not left out.
		said := false
		for _, phase := range result.Phases {
			for _, what := range phase.NotChecked {
				said = said || phase.Phase == "reports" && strings.Contains(what, "nowhere")
			}
		}
		if !said {
			t.Errorf("%+v", result.Phases)
		}
		if again := runNight(t, deps, b, reconcile.NightOptions{AsOf: &day, Policy: p, Again: true}); len(again.Disputed) > 0 {
			t.Errorf("the second time: %+v", again.Disputed)
		}
	})
}

func TestARunSaysWhichReportsItCannotMake(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	b := institution()
	b.write(t, connect(t, url))
	mustExec(t, connect(t, url), "delete from book.accounts where code = 'customers:2'")
	deps := nightDeps(t, url)
	day := dateOf("2026-01-31")
	result := runNight(t, deps, b, reconcile.NightOptions{AsOf: &day})
	said := map[string]bool{}
	for _, phase := range result.Phases {
		for _, what := range phase.NotChecked {
			if name, _, ok := strings.Cut(strings.TrimPrefix(what, "report "), ":"); ok && phase.Phase == "reports" {
				said[name] = true
			}
		}
	}
	for _, name := range []string{"trial-balance", "balance-sheet", "roll-forward", "general-ledger"} {
		if !said[name] {
			t.Errorf("nothing is said of %s: %+v", name, result.Phases)
		}
	}
}

func TestARunFindsAReportThatDoesNotBalance(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	b := institution()
	b.write(t, connect(t, url))
	mustExec(t, connect(t, url), "update book.postings set posted = posted + 1 where seq = 25 and direction = 'debit'")
	deps := nightDeps(t, url)
	day := dateOf("2026-01-31")
	result := runNight(t, deps, b, reconcile.NightOptions{AsOf: &day})
	found := false
	for _, phase := range result.Phases {
		for _, f := range phase.Findings {
			found = found || f.Code == reconcile.ReportUnbalanced
		}
	}
	if !found {
		t.Errorf("%+v", result.Phases)
	}
}
