package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const importMapping = `
ledger: {base_currency: EUR}
accounts:
  - {code: "equity:opening", type: equity, currency: EUR}
files:
  - match: "accounts*.csv"
    accounts:
      - {code: "c:{id}", type: liability, currency: EUR, min_balance: "0", opening_balance: {amount: "{balance}", from: "equity:opening"}}
  - match: "payments*.csv"
    transfers:
      - {debit: "c:{from}", credit: "c:{to}", amount: "{amount}", effective_date: {value: "{day}", days_from: 2026-01-01}}
  - match: "payments*.jsonl"
    transfers:
      - {debit: "c:{from}", credit: "c:{to}", amount: "{amount}", description: "{why}"}
`

const (
	fourAccounts = "id,balance\n1,100\n2,0\n3,5.00\n4,\n"
	// The second payment is more than there is until the third brings it.
	threePayments = "from,to,amount,day\n1,2,40,1\n3,4,10,2\n2,3,15,2\n"
)

// importFixture is a folder of files to import.
type importFixture struct {
	t    *testing.T
	dir  string
	stub *importStub
}

func newImportFixture(t *testing.T, files map[string]string) *importFixture {
	f := &importFixture{t: t, dir: t.TempDir(), stub: newImportStub(t)}
	f.write("map.yaml", importMapping)
	for name, text := range files {
		f.write(name, text)
	}
	return f
}

func (f *importFixture) path(name string) string { return filepath.Join(f.dir, name) }

func (f *importFixture) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *importFixture) read(name string) string {
	f.t.Helper()
	text, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

func (f *importFixture) command(files ...string) *importCommand {
	c := &importCommand{Remote: Remote{URL: f.stub.url}, Ledger: "book", Mapping: f.path("map.yaml"), Batch: 500, RetryFor: time.Minute, JSON: true}
	for _, name := range files {
		c.Files = append(c.Files, f.path(name))
	}
	return c
}

// run imports and returns the report and what stood on stderr.
func (f *importFixture) run(ctx context.Context, c *importCommand) (importReport, string, error) {
	f.t.Helper()
	stderr, err := os.Create(filepath.Join(f.t.TempDir(), "stderr"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer stderr.Close()
	var out strings.Builder
	failed := c.run(ctx, "key", &out, stderr)
	var report importReport
	if out.Len() > 0 && c.JSON {
		var loose struct { // took_ms is written as a number
			*importReport
			Took json.Number `json:"took_ms"`
		}
		loose.importReport = &report
		if err := json.Unmarshal([]byte(out.String()), &loose); err != nil {
			f.t.Fatalf("%v in %s", err, out.String())
		}
	}
	said, err := os.ReadFile(stderr.Name())
	if err != nil {
		f.t.Fatal(err)
	}
	return report, string(said) + out.String(), failed
}

func (f *importFixture) mustRun(c *importCommand) importReport {
	f.t.Helper()
	report, _, err := f.run(f.t.Context(), c)
	if err != nil {
		f.t.Fatal(err)
	}
	return report
}

func TestImportOpensFundsAndPostsAndRunsAgainWithoutAddingAnything(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{"accounts.csv": fourAccounts, "payments.csv": threePayments})
	c := f.command("accounts.csv", "payments.csv")
	c.Rejects = f.path("rejects.csv")
	report := f.mustRun(c)
	if report.AccountsOpened != 5 || report.Accepted != 4 || report.Refused != 1 || report.Replayed != 0 || report.Size != 10 {
		t.Errorf("first run: %+v", report)
	}
	state := f.stub.state()
	if got := f.stub.balances["c:3"].String(); got != "20" || !strings.Contains(f.stub.bodies[f.stub.entries[2]], `"effective_date":"2026-01-02"`) {
		t.Errorf("c:3 has %s; %s", got, f.stub.bodies[f.stub.entries[2]])
	}
	const rejects = "from,to,amount,day,line,code,detail\n3,4,10,2,3,limit_exceeded,stub says limit_exceeded\n"
	if got := f.read("rejects.payments.csv"); got != rejects {
		t.Errorf("rejects %q", got)
	}
	// By now c:3 has the money for the row that was refused. It stays refused.
	report, said, err := f.run(t.Context(), c)
	if err != nil || report.Accepted != 0 || report.Replayed != 4 || report.Refused != 1 || report.AccountsThere != 5 || f.stub.state() != state {
		t.Errorf("second run: %v %+v\n%s", err, report, f.stub.state())
	}
	if !strings.Contains(said, "payments.csv line 3: not_posted") || !strings.Contains(f.read("rejects.payments.csv"), "3,4,10,2,3,not_posted,") {
		t.Errorf("said %s", said)
	}
	c.RetryRefused = true
	if report := f.mustRun(c); report.Accepted != 1 || report.Replayed != 4 || report.Refused != 0 {
		t.Errorf("with --retry-refused: %+v", report)
	}
}

func TestIdenticalRowsAreDifferentTransfers(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{"accounts.csv": fourAccounts, "payments.csv": "from,to,amount,day\n1,2,1,1\n1,2,1,1\n1,2,1,1\n"})
	report := f.mustRun(f.command("accounts.csv", "payments.csv"))
	if got := f.stub.balances["c:2"].String(); report.Accepted != 5 || got != "3" {
		t.Errorf("%+v, c:2 has %s", report, got)
	}
}

func TestAnotherFileOfTheSameNameIsNotMistakenForTheFirst(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{"accounts.csv": fourAccounts, "payments.csv": "from,to,amount,day\n1,2,1,1\n"})
	f.mustRun(f.command("accounts.csv", "payments.csv"))
	f.write("payments.csv", "from,to,amount,day\n1,2,2,1\n")
	report, said, err := f.run(t.Context(), f.command("payments.csv"))
	if err != nil || report.Refused != 1 || !strings.Contains(said, "under another --source") {
		t.Errorf("%v %+v\n%s", err, report, said)
	}
	c := f.command("payments.csv")
	c.Source = "february"
	if report := f.mustRun(c); report.Accepted != 1 {
		t.Errorf("with --source: %+v", report)
	}
}

func TestBrokenFilesSayTheLineAndWhatWasDecidedBefore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, text, want string
		accepted         int64
	}{
		"missing column":     {"payments.csv", "from,to,sum,day\n1,2,1,1\n", "line 1: there is no column amount; the header has from, to, sum, day\nbefore that, no row", 0},
		"wrong number":       {"payments.csv", "from,to,amount,day\n1,2,1,1\n2,1,1,1\n1,2,\"1,5\",1\n1,2,1,1\n", "line 4: amount: \"1,5\" is not a number", 2},
		"another encoding":   {"payments.csv", "from,to,amount,day\n1,2,1,1\n\xe9,2,1,1\n", "line 3: field 1 is not utf-8: byte 0xe9", 1},
		"unterminated quote": {"payments.csv", "from,to,amount,day\n1,2,1,1\n1,\"2,1,1\n1,2,1,1\n", "line 3: a quote that opens in this row is not closed", 1},
		"a field too many":   {"payments.csv", "from,to,amount,day\n1,2,1,1\n1,2,1,1,1\n", "line 3: the row has more or fewer", 1},
		"wrong day":          {"payments.csv", "from,to,amount,day\n1,2,1,one\n", "line 2: effective_date", 0},
		"empty":              {"payments.csv", "", "line 1: the file is empty", 0},
		"no JSON":            {"payments.jsonl", "{\"from\":1,\"to\":2,\"amount\":\"1\"}\n{\"from\":1\n", "line 2: the line is not JSON", 1},
		"wrong JSON number":  {"payments.jsonl", "{\"from\":1,\"to\":2,\"amount\":1e2}\n", "line 1: amount: \"1e2\" is not a number", 0},
	} {
		f := newImportFixture(t, map[string]string{"accounts.csv": fourAccounts, c.file: c.text})
		f.mustRun(f.command("accounts.csv"))
		report, _, err := f.run(t.Context(), f.command(c.file))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.file) || report.Accepted != c.accepted ||
			!strings.Contains(err.Error(), fmt.Sprintf("ledger book has %d entries", 8+c.accepted)) {
			t.Errorf("%s: %d accepted, %v", name, report.Accepted, err)
		}
		if c.accepted > 0 && !strings.Contains(err.Error(), fmt.Sprintf("rows 1 to %[1]d were decided: %[1]d transfers accepted", c.accepted)) {
			t.Errorf("%s: %v", name, err)
		}
		dry := f.command(c.file)
		dry.DryRun = true
		if _, _, err := f.run(t.Context(), dry); err == nil || !strings.Contains(err.Error(), strings.SplitN(c.want, "\n", 2)[0]) {
			t.Errorf("%s, --dry-run: %v", name, err)
		}
	}
}

func TestACorrectedFileGoesOnWhereItBroke(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{"accounts.csv": fourAccounts, "payments.csv": "from,to,amount,day\n1,2,1,1\n1,2,x,1\n1,2,3,1\n"})
	c := f.command("accounts.csv", "payments.csv")
	if _, _, err := f.run(t.Context(), c); err == nil {
		t.Fatal("a broken file was imported")
	}
	f.write("payments.csv", "from,to,amount,day\n1,2,1,1\n1,2,2,1\n1,2,3,1\n")
	if report := f.mustRun(c); report.Accepted != 2 || report.Replayed != 3 || f.stub.balances["c:2"].String() != "6" {
		t.Errorf("%+v", report)
	}
}

func TestDryRunNeedsNoServerAndPostsNothing(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{"accounts.csv": fourAccounts, "payments.csv": threePayments})
	c := f.command("accounts.csv", "payments.csv")
	c.DryRun, c.JSON, c.URL = true, false, "http://127.0.0.1:1"
	_, said, err := f.run(t.Context(), c)
	if err != nil || !strings.Contains(said, "4 rows, 0 skipped, 2 transfers: nothing wrong, nothing posted") || f.stub.open {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestARowThatTheServerCannotReadIsRefusedAlone(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{
		"accounts.csv": "id,balance\n1,100\nx y,1\n2,0\n",
		"payments.csv": "from,to,amount,day\n1,2,1,1\nx y,2,1,1\n1,2,1,1\nz z,1,1,1\n",
	})
	report, said, err := f.run(t.Context(), f.command("accounts.csv", "payments.csv"))
	if err != nil || report.Accepted != 3 || report.Refused != 4 {
		t.Errorf("%v %+v", err, report)
	}
	for _, want := range []string{"accounts.csv line 3: account_code_invalid", "accounts.csv line 3: account_unknown", "payments.csv line 3: account_code_invalid", "payments.csv line 5: "} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in\n%s", want, said)
		}
	}
}

func TestRefusalsBeyondTheListAreInTheFile(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{"accounts.csv": fourAccounts,
		"payments.csv": "from,to,amount,day\n" + strings.Repeat("1,1,1,1\n", 50)})
	f.mustRun(f.command("accounts.csv"))
	c := f.command("payments.csv")
	c.Rejects = f.path("bad.csv")
	report, said, err := f.run(t.Context(), c)
	if err != nil || report.Refused != 50 || strings.Count(said, "same_account_twice:") != maxListed || !strings.Contains(said, "and more") {
		t.Errorf("%v %+v\n%s", err, report, said)
	}
	if got := strings.Count(f.read("bad.csv"), "same_account_twice"); got != 2*50 { // code and detail
		t.Errorf("%d in the file", got)
	}
	// The rejects are a file to import like any other.
	m := f.read("map.yaml")
	f.write("map.yaml", strings.Replace(m, "payments*.csv", "bad.csv", 1))
	if report := f.mustRun(f.command("bad.csv")); report.Refused != 50 {
		t.Errorf("the rejects again: %+v", report)
	}
}

func TestWhatPassesIsTriedAgain(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{"accounts.csv": fourAccounts, "payments.csv": "from,to,amount,day\n" + strings.Repeat("1,2,1,1\n", 50)})
	f.stub.before = func(n int, w http.ResponseWriter) bool {
		if n%3 == 1 {
			stubProblem(w, http.StatusServiceUnavailable, "overloaded", "")
		}
		return n%3 == 1
	}
	f.stub.after = func(n int) bool { return n%3 == 2 } // stored, and no answer
	c := f.command("accounts.csv", "payments.csv")
	c.Batch = 20
	report := f.mustRun(c)
	if report.Accepted+report.Replayed != 52 || f.stub.balances["c:2"].String() != "50" || f.stub.batches < 9 {
		t.Errorf("%+v in %d batches", report, f.stub.batches)
	}
}

func TestAnItemWithoutAnAnswerIsTriedAgain(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{"accounts.csv": fourAccounts, "payments.csv": "from,to,amount,day\n" + strings.Repeat("1,2,1,1\n", 9)})
	asked := map[string]int{}
	f.stub.item = func(id string) int {
		if asked[id]++; asked[id] > 2 || id[0] > '7' { // asked twice for each answer
			return 0
		}
		return http.StatusServiceUnavailable
	}
	if report := f.mustRun(f.command("accounts.csv", "payments.csv")); report.Accepted != 11 || len(f.stub.entries) != 11 {
		t.Errorf("%+v", report)
	}
}

func TestAServerThatStaysAwayEndsTheImportWithAHint(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{"accounts.csv": fourAccounts, "payments.csv": "from,to,amount,day\n" + strings.Repeat("1,2,1,1\n", 50)})
	c := f.command("accounts.csv", "payments.csv")
	c.Batch, c.RetryFor = 20, 300*time.Millisecond
	f.stub.before = func(n int, w http.ResponseWriter) bool {
		if n > 3 {
			stubProblem(w, http.StatusServiceUnavailable, "overloaded", "")
		}
		return n > 3
	}
	report, said, err := f.run(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "giving up after 300ms") || !strings.Contains(err.Error(), "rows 1 to 40 were decided: 40 transfers accepted") ||
		!strings.Contains(err.Error(), "hint: run the same command again") || !strings.Contains(said, "trying again") || report.Failure == "" {
		t.Errorf("%+v %v\n%s", report, err, said)
	}
	f.stub.before = nil
	if report := f.mustRun(c); report.Accepted != 10 || report.Replayed != 42 || len(f.stub.entries) != 52 {
		t.Errorf("%+v", report)
	}
}

func TestWhatNoRepetitionChangesEndsTheImportAtOnce(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{"payments.csv": threePayments})
	f.stub.before = func(_ int, w http.ResponseWriter) bool {
		stubProblem(w, http.StatusForbidden, "forbidden", "")
		return true
	}
	if _, _, err := f.run(t.Context(), f.command("payments.csv")); err == nil || !strings.Contains(err.Error(), "status 403 forbidden") {
		t.Errorf("without the scope: %v", err)
	}
	if f.stub.batches != 1 {
		t.Errorf("asked %d times", f.stub.batches)
	}
	f.write("map.yaml", strings.Replace(importMapping, "ledger: {base_currency: EUR}", "", 1))
	f.stub.open = false
	if _, _, err := f.run(t.Context(), f.command("payments.csv")); err == nil || !strings.Contains(err.Error(), "hint: tallystick ledger open") {
		t.Errorf("without a ledger: %v", err)
	}
}

// Whatever is refused and wherever it stops, the runs together make the ledger
// that one undisturbed run makes.
func TestAnImportStoppedAnywhereMakesTheSameLedger(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var rows strings.Builder
		rows.WriteString("from,to,amount,day\n")
		for range rapid.IntRange(0, 60).Draw(r, "rows") {
			fmt.Fprintf(&rows, "%d,%d,%d,1\n", rapid.IntRange(1, 4).Draw(r, "from"), rapid.IntRange(1, 5).Draw(r, "to"), rapid.IntRange(1, 60).Draw(r, "amount"))
		}
		files := map[string]string{"accounts.csv": fourAccounts, "payments.csv": rows.String()}
		undisturbed, f := newImportFixture(t, files), newImportFixture(t, files)
		undisturbed.mustRun(undisturbed.command("accounts.csv", "payments.csv"))
		for stops := rapid.IntRange(1, 4).Draw(r, "stops"); stops >= 0; stops-- {
			ctx, cancel := context.WithCancel(t.Context())
			c := f.command("accounts.csv", "payments.csv")
			c.Batch, c.RetryFor = rapid.IntRange(1, 70).Draw(r, "batch"), 0
			last := f.stub.batches + rapid.IntRange(1, 8).Draw(r, "last batch")
			stored := rapid.Bool().Draw(r, "stored")
			if stops > 0 {
				f.stub.before = func(n int, w http.ResponseWriter) bool {
					if n >= last && !stored || n > last {
						cancel()
						panic(http.ErrAbortHandler)
					}
					return false
				}
				f.stub.after = func(n int) bool { return n >= last }
			} else {
				f.stub.before, f.stub.after = nil, nil
			}
			_, _, err := f.run(ctx, c)
			cancel()
			if stops == 0 && err != nil {
				r.Fatal(err)
			}
		}
		if got, want := f.stub.state(), undisturbed.stub.state(); got != want {
			r.Fatalf("stopped:\n%s\nundisturbed:\n%s", got, want)
		}
	})
}

// Marks lie far apart; runs of refused rows around them must not hide what was
// decided.
func TestWhatWasDecidedIsFoundAmongRefusedRows(t *testing.T) {
	t.Parallel()
	var rows strings.Builder
	rows.WriteString("from,to,amount,day\n")
	for i := range 2100 {
		if i%7 == 0 && i < 1700 || i == 2099 {
			rows.WriteString("1,2,0.01,1\n")
		} else {
			rows.WriteString("4,1,1,1\n") // c:4 has nothing
		}
	}
	f := newImportFixture(t, map[string]string{"accounts.csv": fourAccounts, "payments.csv": rows.String()})
	c := f.command("accounts.csv", "payments.csv")
	first := f.mustRun(c)
	f.write("gift.csv", "from,to,amount,day\n1,4,50,1\n")
	f.write("map.yaml", strings.Replace(importMapping, "payments*.csv", "*[st].csv", 1))
	f.mustRun(f.command("gift.csv"))
	size := len(f.stub.entries)
	second := f.mustRun(c)
	if len(f.stub.entries) != size || second.Accepted != 0 || second.Refused != first.Refused || second.Replayed != first.Accepted {
		t.Errorf("first %+v\nsecond %+v", first, second)
	}
	if f.stub.lookups > 30 {
		t.Errorf("%d lookups", f.stub.lookups)
	}
}

func TestImportChecksItsFlags(t *testing.T) {
	t.Parallel()
	f := newImportFixture(t, map[string]string{"payments.csv": threePayments, "accounts.csv": fourAccounts, "other.csv": ""})
	if err := os.Mkdir(f.path("payments.d.csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*importCommand){
		"--batch":                   func(c *importCommand) { c.Batch = 1001 },
		"--retry-for":               func(c *importCommand) { c.RetryFor = -1 },
		"reading the mapping":       func(c *importCommand) { c.Mapping = f.path("absent.yaml") },
		"no key debit here":         func(c *importCommand) { c.Mapping = f.path("bad.yaml") },
		"says nothing about a file": func(c *importCommand) { c.Files = []string{f.path("other.csv")} },
		"no such file":              func(c *importCommand) { c.Files = []string{f.path("payments.absent.csv")} },
		"no regular file":           func(c *importCommand) { c.Files = []string{f.path("payments.d.csv")} },
		"same source name":          func(c *importCommand) { c.Files = append(c.Files, c.Files[0]) },
		"at most 255 bytes":         func(c *importCommand) { c.Source = strings.Repeat("x", 256) },
		"is what is to be read":     func(c *importCommand) { c.Rejects = c.Files[0] },
		"map.yaml is what is to":    func(c *importCommand) { c.Rejects = c.Mapping },
		"want http":                 func(c *importCommand) { c.URL = "ftp://x" },
	} {
		f.write("bad.yaml", "files:\n  - debit: a\n")
		c := f.command("payments.csv")
		spoil(c)
		if _, _, err := f.run(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if f.stub.open || f.read("payments.csv") != threePayments {
		t.Error("something was done nevertheless")
	}
}

func TestTheKeyComesFromAFileOrTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TALLYSTICK_API_KEY", "from-the-environment")
	for path, want := range map[string]string{"": "from-the-environment", file: "from-a-file"} {
		if key, err := (&Remote{APIKeyFile: path}).key(); err != nil || key != want {
			t.Errorf("%q: %q, %v", path, key, err)
		}
	}
	if _, err := (&Remote{APIKeyFile: filepath.Join(dir, "absent")}).key(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	t.Setenv("TALLYSTICK_API_KEY", "")
	if _, err := (&Remote{}).key(); err == nil || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("no key: %v", err)
	}
}
