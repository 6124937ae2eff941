package figures_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/calendar"
	"tallystick/reconcile/figures"
	"tallystick/reconcile/report"
)

func date(day int) chain.Date {
	return chain.DateOf(time.Date(2026, time.March, day, 0, 0, 0, 0, time.UTC))
}

// books are those of a ledger with amounts as large as there are.
func books() *figures.Books {
	most := money.Max()
	least, _ := most.Neg()
	one := money.FromInt64(1)
	less, _ := most.Sub(one)
	return &figures.Books{
		Ledger: "main", Origin: "tallystick.test/x", TimeZone: "UTC", Size: 10, From: date(2), AsOf: date(31), End: 10, MaxLines: figures.MaxLines,
		Accounts: []figures.Account{
			{Code: "a", Type: chain.Asset, Currency: "EUR", Scale: 2, Opening: less, Debits: one, Postings: 1, StatedClosing: most},
			{Code: "b", Type: chain.Asset, Currency: "EUR", Scale: 2, Opening: most, StatedClosing: most},
			{Code: "l", Type: chain.Liability, Currency: "EUR", Scale: 2, Opening: least, StatedClosing: least},
			{Code: "m", Type: chain.Liability, Currency: "EUR", Scale: 2, Opening: negative(less), Credits: one, Postings: 1, StatedClosing: least},
		},
	}
}

func negative(v money.Int128) money.Int128 {
	v, _ = v.Neg()
	return v
}

func text(t *testing.T, d report.Document, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := report.Write(&b, &d, report.PlainText, report.Options{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSumsBeyond128BitsAreExact(t *testing.T) {
	t.Parallel()
	// 2 × (2^127 − 1) units of a cent
	const sum = "3,402,823,669,209,384,634,633,746,074,317,682,114.54"
	d, err := figures.TrialBalance(books())
	got := text(t, d, err)
	if n := strings.Count(got, sum); n != 2 {
		t.Errorf("the closing sum stands %d times in\n%s", n, got)
	}
	d, err = figures.BalanceSheet(books())
	if got := text(t, d, err); strings.Count(got, sum) < 3 || !strings.Contains(got, "Difference") {
		t.Errorf("the balance sheet is\n%s", got)
	}
	if broken := books().BrokenProofs(); len(broken) > 0 {
		t.Errorf("%+v", broken)
	}
	off := books()
	off.Accounts[1].StatedClosing = money.FromInt64(0)
	if broken := off.BrokenProofs(); len(broken) != 1 || broken[0].Code != "b" {
		t.Errorf("%+v", broken)
	}
}

func TestEachCurrencyStandsByItself(t *testing.T) {
	t.Parallel()
	b := books()
	b.Accounts = append(b.Accounts, figures.Account{Code: "y", Type: chain.Asset, Currency: "JPY", Debits: money.FromInt64(7), Postings: 1, StatedClosing: money.FromInt64(7)},
		figures.Account{Code: "z", Type: chain.Revenue, Currency: "JPY", Credits: money.FromInt64(7), Postings: 1, StatedClosing: money.FromInt64(-7)})
	for _, build := range []func(*figures.Books) (report.Document, error){figures.TrialBalance, figures.RollForward, figures.BalanceSheet, figures.IncomeStatement, figures.GeneralLedger} {
		d, err := build(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range d.Blocks {
			if block.Table == nil {
				continue
			}
			var met []string
			for _, row := range block.Table.Rows {
				for _, c := range row.Cells {
					if c.Currency != "" && !slices.Contains(met, c.Currency) {
						met = append(met, c.Currency)
					}
				}
			}
			if len(met) > 1 {
				t.Errorf("%s, table %s: %v", d.Name, block.Table.Name, met)
			}
		}
	}
}

// Columns that are pairs of debit and credit never hold a sign.
func TestDebitAndCreditHaveNoSign(t *testing.T) {
	t.Parallel()
	b := books()
	b.Accounts[0].Opening, b.Accounts[0].StatedClosing = money.FromInt64(-5), money.FromInt64(-4) // overdrawn
	for _, build := range []func(*figures.Books) (report.Document, error){figures.TrialBalance, figures.RollForward, figures.GeneralLedger} {
		d, err := build(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range d.Blocks {
			if block.Table == nil {
				continue
			}
			for i, c := range block.Table.Columns {
				side := strings.HasSuffix(c.Name, "debit") || strings.HasSuffix(c.Name, "credit") || c.Name == "balance"
				for _, row := range block.Table.Rows {
					if side && strings.HasPrefix(row.Cells[i].Value, "-") {
						t.Errorf("%s, %s, %s: %s", d.Name, row.Cells[0].Value, c.Name, row.Cells[i].Value)
					}
				}
			}
		}
	}
}

func TestAgesFallIntoTheirBuckets(t *testing.T) {
	t.Parallel()
	days, err := calendar.Named("weekdays")
	if err != nil {
		t.Fatal(err)
	}
	b := &figures.Books{Ledger: "main", From: date(1), AsOf: date(31), Policy: "test 1", Accounts: []figures.Account{
		{Code: "suspense", Type: chain.Liability, Currency: "EUR", Scale: 2, Role: "suspense", MaxAge: 4, Opening: money.FromInt64(-1500)},
		{Code: "transit", Type: chain.Asset, Currency: "EUR", Scale: 2, Role: "clearing"},
	}}
	var items []figures.OpenItem
	for i, booked := range []chain.Date{date(31) - 200, date(31) - 50, date(10), date(24), date(25)} {
		items = append(items, figures.OpenItem{Seq: int64(i), Booked: booked, Valued: booked, Direction: chain.Credit, Amount: money.FromInt64(300), Open: money.FromInt64(300)})
	}
	d, err := figures.Ageing(b, items, days)
	if err != nil {
		t.Fatal(err)
	}
	row := d.Blocks[0].Table.Rows[0]
	var got []string
	for _, c := range row.Cells {
		got = append(got, c.Value)
	}
	// 142, 36, 15, 5 and 4 business days
	want := []string{"suspense", "suspense", "", "15.00", "3.00", "6.00", "0.00", "3.00", "3.00", "142", "4", "too old"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if zero := d.Blocks[0].Table.Rows[1].Cells; zero[len(zero)-1].Value != "zero" {
		t.Errorf("%+v", zero)
	}
	var breaks figures.BreakAges
	for age, bucket := range map[int]int{0: 0, 4: 0, 5: 1, 15: 1, 16: 2, 30: 2, 31: 3, 45: 3, 46: 4, 4000: 4} {
		breaks = figures.BreakAges{}
		if breaks.Add(age, false); breaks.Counts[bucket] != 1 {
			t.Errorf("%d days: %v", age, breaks.Counts)
		}
	}
}

func TestWithoutAPolicyAgesAreNotComputed(t *testing.T) {
	t.Parallel()
	d, err := figures.Ageing(&figures.Books{Ledger: "main", From: date(1), AsOf: date(31)}, nil, calendar.Calendar{})
	if err != nil || d.Blocks[0].Figures[0].Value.Absent == "" || d.Blocks[0].Figures[0].Value.Value != "" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestAGeneralLedgerThatIsTooLongSaysSo(t *testing.T) {
	t.Parallel()
	b := books()
	b.Skipped, b.MaxLines = 100_001, 100_000
	d, err := figures.GeneralLedger(b)
	if got := text(t, d, err); !strings.Contains(got, "100001") || !strings.Contains(got, "opening") {
		t.Errorf("%s", got)
	}
}

func TestALedgerWithoutAccountsHasReports(t *testing.T) {
	t.Parallel()
	for _, build := range []func(*figures.Books) (report.Document, error){figures.TrialBalance, figures.RollForward, figures.BalanceSheet, figures.IncomeStatement, figures.GeneralLedger, figures.DailyPosition} {
		d, err := build(&figures.Books{Ledger: "main", From: date(1), AsOf: date(31)})
		if err != nil || len(d.Blocks) != 1 || len(d.Blocks[0].Text) != 1 {
			t.Errorf("%s: %+v, %v", d.Name, d.Blocks, err)
		}
	}
}
