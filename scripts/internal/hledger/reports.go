package hledger

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// document is a report as JSON, as far as it is compared.
type document struct {
	Blocks []struct {
		Table *struct {
			Name    string
			Columns []struct{ Name string }
			Rows    []struct {
				Kind  string
				Cells []struct{ Value, Currency string }
			}
		}
	}
}

// Report makes a report of a period as JSON.
type Report func(ctx context.Context, name, from, to string) ([]byte, error)

// amounts are amounts by name and currency; those that are zero are left out.
type amounts map[balance]decimal.Decimal

func (a amounts) add(name, currency, text string) error {
	if text == "" {
		return nil
	}
	v, err := decimal.NewFromString(text)
	if err != nil {
		return fmt.Errorf("reading the amount of %s: %w", name, err)
	}
	which := balance{name, strings.Trim(currency, `"`)}
	if v = a[which].Add(v); v.IsZero() {
		delete(a, which)
	} else {
		a[which] = v
	}
	return nil
}

// differs says where two of them do not agree.
func (a amounts) differs(what string, other amounts) error {
	var wrong []error
	all := maps.Clone(a)
	maps.Copy(all, other)
	for which := range all {
		if !a[which].Equal(other[which]) {
			wrong = append(wrong, fmt.Errorf("%w: %s: %s has %s %s in hledger, and %s here", ErrDiffers, what, which.account, a[which], which.currency, other[which]))
		}
	}
	if len(wrong) > maxListed {
		wrong = append(wrong[:maxListed], fmt.Errorf("%w: %s: and %d more", ErrDiffers, what, len(wrong)-maxListed))
	}
	return errors.Join(wrong...)
}

// reported reads the rows of a report's main tables, those of which the names begin with its own: the sum of some columns
// less that of others. Rows of kinds other than those given are left out.
func reported(text []byte, name string, plus, minus string, kinds ...string) (amounts, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("reading report %s: %w", name, err)
	}
	found := amounts{}
	for _, b := range d.Blocks {
		if b.Table == nil || !strings.HasPrefix(b.Table.Name, name+"-") {
			continue
		}
		for _, r := range b.Table.Rows {
			for i, column := range b.Table.Columns {
				cell := r.Cells[i]
				switch {
				case !slices.Contains(kinds, r.Kind) || cell.Value == "":
					continue
				case column.Name == plus:
				case column.Name == minus:
					cell.Value = negated(cell.Value)
				default:
					continue
				}
				if err := found.add(r.Cells[0].Value, cell.Currency, cell.Value); err != nil {
					return nil, err
				}
			}
		}
	}
	return found, nil
}

func negated(text string) string {
	if positive, ok := strings.CutPrefix(text, "-"); ok {
		return positive
	}
	return "-" + text
}

// compound runs one of hledger's compound statements and returns its accounts, and its totals under the names of their
// sections.
func compound(ctx context.Context, journal string, args ...string) (accounts, totals amounts, err error) {
	out, err := Run(ctx, journal, append(args, "--flat", "--output-format=csv", "--layout=bare")...)
	if err != nil {
		return nil, nil, err
	}
	reader := csv.NewReader(bytes.NewReader(out))
	reader.FieldsPerRecord = -1
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, nil, fmt.Errorf("reading what hledger %s printed: %w", args[0], err)
	}
	if len(rows) < 2 || len(rows[1]) != 3 || rows[1][0] != "Account" || rows[1][1] != "Commodity" {
		return nil, nil, fmt.Errorf("reading what hledger %s printed: it begins with %q", args[0], out[:min(len(out), 80)])
	}
	accounts, totals = amounts{}, amounts{}
	section := ""
	for _, row := range rows[2:] {
		into, name := accounts, row[0]
		switch {
		case row[1] == "" && row[2] == "":
			section = name
			continue
		case name == "total":
			into, name = totals, section
		case name == "Net:":
			into = totals
		}
		if err := into.add(name, row[1], row[2]); err != nil {
			return nil, nil, err
		}
	}
	return accounts, totals, nil
}

// closings are the transfers of closings, which are neither revenue nor expense, by their description.
const closings = "not:desc:^Result of the period to "

// CompareReports compares trial balance, balance sheet and income statement of a period, both days in it, with what
// hledger makes of the journal, account by account, and returns how many amounts they had in common.
func CompareReports(ctx context.Context, journal, from, to string, report Report) (compared int, err error) {
	last, err := time.Parse(time.DateOnly, to)
	if err != nil {
		return 0, fmt.Errorf("reading the last day: %w", err)
	}
	end := last.AddDate(0, 0, 1).Format(time.DateOnly) // hledger's periods end before it
	for _, compare := range []func() (int, error){
		func() (int, error) { return compareTrialBalance(ctx, journal, from, to, end, report) },
		func() (int, error) { return compareBalanceSheet(ctx, journal, from, to, end, report) },
		func() (int, error) { return compareIncome(ctx, journal, from, to, end, report) },
	} {
		n, err := compare()
		if err != nil {
			return compared, err
		}
		compared += n
	}
	return compared, nil
}

func compareTrialBalance(ctx context.Context, journal, from, to, end string, report Report) (compared int, err error) {
	text, err := report(ctx, "trial-balance", from, to)
	if err != nil {
		return 0, err
	}
	for _, part := range []struct{ debit, credit, begin, end string }{
		{"opening_debit", "opening_credit", "", from}, {"debit", "credit", from, end}, {"closing_debit", "closing_credit", "", end},
	} {
		args := []string{"balance", "--flat", "--no-total", "--output-format=csv", "--layout=bare", "--end=" + part.end}
		if part.begin != "" {
			args = append(args, "--begin="+part.begin)
		}
		theirs, err := balancesBy(ctx, journal, args...)
		if err != nil {
			return 0, err
		}
		ours, err := reported(text, "trial-balance", part.debit, part.credit, "")
		if err != nil {
			return 0, err
		}
		if err := theirs.differs("trial balance, "+part.debit, ours); err != nil {
			return 0, err
		}
		compared += len(ours)
	}
	return compared, nil
}

// balancesBy returns what hledger balance prints.
func balancesBy(ctx context.Context, journal string, args ...string) (amounts, error) {
	out, err := Run(ctx, journal, args...)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if err != nil || len(rows) == 0 || strings.Join(rows[0], ",") != "account,commodity,balance" {
		return nil, fmt.Errorf("reading what hledger printed: it begins with %q: %w", out[:min(len(out), 80)], err)
	}
	all := amounts{}
	for _, row := range rows[1:] {
		if err := all.add(row[0], row[1], row[2]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func compareBalanceSheet(ctx context.Context, journal, from, to, end string, report Report) (int, error) {
	text, err := report(ctx, "balance-sheet", from, to)
	if err != nil {
		return 0, err
	}
	ours, err := reported(text, "balance-sheet", "closing", "", "")
	if err != nil {
		return 0, err
	}
	for which := range ours {
		if which.account == "Result before the close" {
			delete(ours, which) // hledger leaves it on the accounts, and its net total shows it: below
		}
	}
	accounts, _, err := compound(ctx, journal, "balancesheetequity", "--end="+end)
	if err != nil {
		return 0, err
	}
	if err := accounts.differs("balance sheet", ours); err != nil {
		return 0, err
	}
	sums, err := reported(text, "balance-sheet", "closing", "", "subtotal", "total")
	if err != nil {
		return 0, err
	}
	_, totals, err := compound(ctx, journal, "balancesheet", "--end="+end)
	if err != nil {
		return 0, err
	}
	want := amounts{}
	for which, v := range sums {
		switch which.account {
		case "Total assets":
			want[balance{"Assets", which.currency}] = v
		case "Total liabilities":
			want[balance{"Liabilities", which.currency}] = v
		case "Total equity":
			want[balance{"Net:", which.currency}] = v // assets less liabilities are equity, the result included
		}
	}
	return len(ours) + len(want), totals.differs("totals of the balance sheet", want)
}

func compareIncome(ctx context.Context, journal, from, to, end string, report Report) (int, error) {
	text, err := report(ctx, "income-statement", from, to)
	if err != nil {
		return 0, err
	}
	ours, err := reported(text, "income-statement", "amount", "", "")
	if err != nil {
		return 0, err
	}
	accounts, totals, err := compound(ctx, journal, "incomestatement", "--begin="+from, "--end="+end, closings)
	if err != nil {
		return 0, err
	}
	if err := accounts.differs("income statement", ours); err != nil {
		return 0, err
	}
	sums, err := reported(text, "income-statement", "amount", "", "subtotal", "total")
	if err != nil {
		return 0, err
	}
	want := amounts{}
	for which, v := range sums {
		name := map[string]string{"Total revenue": "Revenues", "Total expense": "Expenses", "Result of the period": "Net:"}[which.account]
		want[balance{name, which.currency}] = v
	}
	return len(ours) + len(want), totals.differs("totals of the income statement", want)
}
