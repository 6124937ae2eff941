package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
	"tallystick/reconcile/bankfile"
	"tallystick/reconcile/camt"
	"tallystick/reconcile/report"
	"tallystick/scripts/samples"
)

// demoReports makes reports of the demonstration with the command.
type demoReports struct {
	t   *testing.T
	url string
	n   int
}

func (d *demoReports) flags() reportFlags {
	d.n++
	return reportFlags{Database: Database{DatabaseURL: d.url}, Ledger: "demo", Output: filepath.Join(d.t.TempDir(), fmt.Sprint(d.n))}
}

// file returns what a command wrote.
func (d *demoReports) file(f reportFlags, err error) []byte {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	body, err := os.ReadFile(f.Output)
	if err != nil {
		d.t.Fatal(err)
	}
	return body
}

func (d *demoReports) made(name, format, from, to string) []byte {
	d.t.Helper()
	c := reportCommand{reportFlags: d.flags(), Name: name, Format: format, AsOf: to}
	c.From = from
	return d.file(c.reportFlags, c.Run(d.t.Context()))
}

func (d *demoReports) document(name, from, to string) *report.Document {
	d.t.Helper()
	doc, err := report.Decode(d.made(name, "json", from, to))
	if err != nil {
		d.t.Fatal(err)
	}
	return doc
}

func (d *demoReports) statement(account, format, from, to string) ([]byte, error) {
	c := statementCommand{reportFlags: d.flags(), Account: account, Format: format, To: to}
	c.From = from
	if err := c.Run(d.t.Context()); err != nil {
		return nil, err
	}
	return d.file(c.reportFlags, nil), nil
}

// sides are debit less credit of a pair of columns, by account; the sums of each
// currency stand under its name.
func sides(t *testing.T, doc *report.Document, debit, credit string) map[string]decimal.Decimal {
	t.Helper()
	all := map[string]decimal.Decimal{}
	for _, b := range doc.Blocks {
		if b.Table == nil || !strings.HasPrefix(b.Table.Name, doc.Name) {
			continue
		}
		for _, row := range b.Table.Rows {
			name := row.Cells[0].Value
			if row.Kind == report.Difference {
				name += " " + b.Heading
			}
			for i, c := range b.Table.Columns {
				if v := row.Cells[i].Value; v != "" && (c.Name == debit || c.Name == credit) {
					amount := decimal.RequireFromString(v)
					if c.Name == credit {
						amount = amount.Neg()
					}
					all[name] = all[name].Add(amount)
				}
			}
		}
	}
	return all
}

func TestReportsOfTheDemonstrationAddUp(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	db, id := makeDemo(t, url)
	d := &demoReports{t: t, url: url}
	t.Run("the trial balance is what the balances are", func(t *testing.T) { d.trialBalanceIsTheBalances(t, db, id) })
	t.Run("periods tile", func(t *testing.T) { d.periodsTile(t) })
	t.Run("every report in every format, twice the same", func(t *testing.T) {
		for _, k := range reconcile.ReportKinds {
			if k.Name == "account-statement" {
				continue
			}
			for _, format := range reportFormats() {
				first := d.made(k.Name, format, "2026-02-01", "2026-02-28")
				if len(first) == 0 || !bytes.Equal(first, d.made(k.Name, format, "2026-02-01", "2026-02-28")) {
					t.Errorf("%s as %s: %d bytes, or others the second time", k.Name, format, len(first))
				}
			}
		}
	})
	t.Run("statements", func(t *testing.T) { d.statementsTile(t, db, id) })
	t.Run("what a run put out", func(t *testing.T) { d.keptByARun(t) })
}

func (d *demoReports) trialBalanceIsTheBalances(t *testing.T, db *store.DB, id ledger.LedgerID) {
	doc := d.document("trial-balance", "2025-01-01", "2026-03-18")
	closing := sides(t, doc, "closing_debit", "closing_credit")
	found := 0
	for next := (store.BalanceFilter{AsOf: store.Newest, Limit: 1000}); ; {
		page, err := db.Balances(t.Context(), id, next)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page.Groups {
			if want := g.Balance.Decimal(g.Scale); !closing[g.Code].Equal(want) {
				t.Errorf("%s has %s by its report, and %s", g.Code, closing[g.Code], want)
			}
			found++
		}
		if !page.More {
			break
		}
		last := page.Groups[len(page.Groups)-1]
		next.AfterCode, next.AfterCurrency = last.Code, last.Currency
	}
	opening, moved := sides(t, doc, "opening_debit", "opening_credit"), sides(t, doc, "debit", "credit")
	for account, v := range closing {
		if !opening[account].Add(moved[account]).Equal(v) {
			t.Errorf("%s: %s and %s give no %s", account, opening[account], moved[account], v)
		}
		if strings.HasPrefix(account, "Difference") && (!v.IsZero() || !opening[account].IsZero() || !moved[account].IsZero()) {
			t.Errorf("%s: %s, %s, %s", account, opening[account], moved[account], v)
		}
	}
	if found < 100 || len(closing) < found/2 {
		t.Errorf("%d balances, %d in the report", found, len(closing))
	}
}

func (d *demoReports) periodsTile(t *testing.T) {
	months := [][2]string{{"2025-12-01", "2025-12-31"}, {"2026-01-01", "2026-01-31"}, {"2026-02-01", "2026-02-28"}}
	for _, name := range []string{"trial-balance", "roll-forward"} {
		sum, closed := map[string]decimal.Decimal{}, map[string]decimal.Decimal(nil)
		for _, m := range months {
			doc := d.document(name, m[0], m[1])
			for account, v := range sides(t, doc, "debit", "credit") {
				sum[account] = sum[account].Add(v)
			}
			opened := sides(t, doc, "opening_debit", "opening_credit")
			for account, v := range closed {
				if !opened[account].Equal(v) {
					t.Errorf("%s from %s: %s opens with %s, and closed with %s", name, m[0], account, opened[account], v)
				}
			}
			closed = sides(t, doc, "closing_debit", "closing_credit")
			for account, off := range sides(t, doc, "proof", "") {
				if !off.IsZero() {
					t.Errorf("%s from %s: the proof of %s is off by %s", name, m[0], account, off)
				}
			}
		}
		for account, v := range sides(t, d.document(name, months[0][0], months[2][1]), "debit", "credit") {
			if !sum[account].Equal(v) {
				t.Errorf("%s: %s moved by %s in three months, and by %s in all", name, account, sum[account], v)
			}
		}
	}
}

// statementsTile holds the statements of every account, month after month, as a
// bank's customer would who reads them.
func (d *demoReports) statementsTile(t *testing.T, db *store.DB, id ledger.LedgerID) {
	accounts, err := db.Accounts(t.Context(), id, store.AccountFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	messages := map[camt.Version][]string{}
	step := max(1, len(accounts)/12) // some of them: each takes a connection
	for i := 0; i < len(accounts); i += step {
		a := &accounts[i]
		var last bankfile.Last
		for _, m := range [][2]string{{"2025-01-01", "2025-12-31"}, {"2026-01-01", "2026-02-28"}, {"2026-03-01", "2026-03-18"}} {
			for _, v := range camt.Versions {
				text, err := d.statement(a.Code, string(v), m[0], m[1])
				if errors.Is(err, reconcile.ErrUnknownAccount) {
					continue // opened later
				}
				if err != nil {
					t.Fatal(err)
				}
				messages[v] = append(messages[v], string(text))
				if v == camt.V8 {
					last = d.foots(t, a.Code, text, last)
				}
			}
		}
		// The points of the demonstration are no currency of ISO 4217, and are read with two decimals.
		_, known := money.ISO(a.Currency)
		if want, _ := a.Posted.Neg(); known && last.Closing.Units != want {
			t.Errorf("the statements of %s end with %s", a.Code, last.Closing)
		}
	}
	for v, texts := range messages {
		d.validate(t, v, texts)
	}
}

// foots holds a statement against itself and the one before.
func (d *demoReports) foots(t *testing.T, account string, text []byte, before bankfile.Last) (now bankfile.Last) {
	t.Helper()
	verdict, err := bankfile.Foot(bytes.NewReader(text), bankfile.Options{}, func(*bankfile.Statement, string) (bankfile.Last, bool, error) {
		return before, before.Closing.Currency.Code != "", nil
	}, bankfile.Receiver{Close: func(s *bankfile.Statement) error {
		now = bankfile.Last{Closing: s.Closing.Amount, To: s.To}
		return nil
	}})
	if err != nil || !verdict.Accepted() {
		t.Errorf("the statement of %s: %+v, %v", account, verdict, err)
	}
	return now
}

func (d *demoReports) validate(t *testing.T, v camt.Version, texts []string) {
	t.Helper()
	if len(texts) < 10 {
		t.Errorf("only %d statements", len(texts))
	}
	schema := samples.Path(t, "xsd/"+string(v)+".xsd")
	if _, err := exec.LookPath("xmllint"); err != nil {
		if os.Getenv(samples.RequireVariable) == "1" {
			t.Fatalf("%s=1: there is no xmllint; sh scripts/install.sh xmllint installs it", samples.RequireVariable)
		}
		t.Skip("there is no xmllint; sh scripts/install.sh xmllint installs it")
	}
	args, dir := []string{"--noout", "--nonet", "--schema", schema}, t.TempDir()
	for i, text := range texts {
		path := filepath.Join(dir, fmt.Sprintf("%d.xml", i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	if out, err := exec.CommandContext(t.Context(), "xmllint", args...).CombinedOutput(); err != nil {
		t.Errorf("xmllint: %v\n%.4000s", err, out)
	}
}

func (d *demoReports) keptByARun(t *testing.T) {
	kept := func(name, run string) ([]byte, error) {
		c := reportCommand{reportFlags: d.flags(), Name: name, Format: "json", Kept: run}
		if err := c.Run(t.Context()); err != nil {
			return nil, err
		}
		return d.file(c.reportFlags, nil), nil
	}
	if _, err := kept("trial-balance", latestRun); !errors.Is(err, errNoRun) {
		t.Errorf("before the first run: %v", err)
	}
	quiet, err := os.Create(filepath.Join(t.TempDir(), "quiet"))
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	night := reconcileRunCommand{Database: Database{DatabaseURL: d.url}, Ledger: "demo", AsOf: "2026-02-28"}
	if err := night.run(t.Context(), quiet, quiet); err != nil {
		var exit exitError
		if !errors.As(err, &exit) || exit.code == exitUsage {
			t.Fatal(err)
		}
	}
	text, err := kept("trial-balance", latestRun)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := report.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	now := d.document("trial-balance", "2026-01-01", "2026-02-28")
	if a, b := tableText(t, doc), tableText(t, now); a != b {
		t.Errorf("the run has\n%s\nand now it is\n%s", a, b)
	}
	if text, err := kept("integrity", latestRun); err != nil || !bytes.Contains(text, []byte(`"phases"`)) {
		t.Errorf("integrity: %s, %v", text, err)
	}
	if _, err := kept("profits", latestRun); !errors.Is(err, reconcile.ErrNoOutput) {
		t.Errorf("a report that the run did not put out: %v", err)
	}
	for _, run := range []string{"01890a5d-ac96-774b-bcce-b302099a8057", "yesterday's"} {
		if _, err := kept("trial-balance", run); !errors.Is(err, errNoRun) {
			t.Errorf("run %s: %v", run, err)
		}
	}
}

// tableText writes the tables of a report.
func tableText(t *testing.T, doc *report.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, doc, report.CSV, report.Options{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "trial-balance-eur") })
	return strings.Join(lines[max(at, 0):], "\n")
}

func TestReportCommandsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	flags := reportFlags{Database: Database{DatabaseURL: url}, Ledger: "nowhere"}
	for name, c := range map[string]struct {
		run  func() error
		want string
	}{
		"a format": {func() error {
			return (&reportCommand{reportFlags: flags, Name: "trial-balance", Format: "docx"}).Run(t.Context())
		}, "the formats are text"},
		"a date": {func() error {
			return (&reportCommand{reportFlags: flags, Name: "trial-balance", Format: "csv", AsOf: "1.2.2026"}).Run(t.Context())
		}, "--as-of"},
		"a ledger": {func() error {
			return (&reportCommand{reportFlags: flags, Name: "trial-balance", Format: "csv"}).Run(t.Context())
		}, "nowhere"},
		"a statement": {func() error {
			return (&reportCommand{reportFlags: flags, Name: "account-statement", Format: "csv"}).Run(t.Context())
		}, "tallystick statement"},
		"run and day": {func() error {
			return (&reportCommand{reportFlags: flags, Name: "trial-balance", Format: "csv", Kept: "latest", AsOf: "2026-01-01"}).Run(t.Context())
		}, "leave out"},
		"an IBAN": {func() error {
			return (&statementCommand{reportFlags: flags, Account: "a", Format: "csv", IBAN: "X"}).Run(t.Context())
		}, "camt.053.001.08"},
		"a camt version": {func() error {
			return (&statementCommand{reportFlags: flags, Account: "a", Format: "camt.053.001.13"}).Run(t.Context())
		}, "camt.053.001.08"},
		"a statement date": {func() error {
			return (&statementCommand{reportFlags: flags, Account: "a", Format: "csv", To: "x"}).Run(t.Context())
		}, "--to"},
	} {
		if err := c.run(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var list bytes.Buffer
	if err := (&reportListCommand{}).print(&list); err != nil || strings.Count(list.String(), "\n") != len(reconcile.ReportKinds) {
		t.Errorf("%v\n%s", err, list.String())
	}
}
