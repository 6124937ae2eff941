package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// processVariable has the test binary be tallystick itself, as a process that
// tests can kill.
const processVariable = "TALLYSTICK_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(processVariable) != "" {
		main()
	}
	storetest.Main(m)
}

// command runs tallystick and returns its exit code and what it prints. The
// tests of this kind are not parallel: a process has one standard output.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	var read []func() string
	for _, f := range []**os.File{&os.Stdout, &os.Stderr} {
		saved := *f
		file, err := os.CreateTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		*f = file
		defer func() { *f = saved }()
		read = append(read, func() string {
			defer file.Close()
			text, err := os.ReadFile(file.Name())
			if err != nil {
				t.Error(err)
			}
			return string(text)
		})
	}
	code = run(t.Context(), args)
	return code, read[0](), read[1]()
}

// openBook opens a ledger as the server does.
func openBook(t *testing.T, url, name string) uuid.UUID {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.RoleApp, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	info, err := openLedger(t.Context(), db, ledger.OpenLedger{
		Host: "tallystick.test", Name: name, TimeZone: "UTC", BaseCurrency: "EUR", ValueDaysBack: 10, ValueDaysAhead: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	return info.ID.UUID
}

func tamper(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestVerifySaysItWithItsExitCode(t *testing.T) {
	url := storetest.Database(t)
	id := openBook(t, url, "main")
	openBook(t, url, "second")

	code, out, errors := command(t, "verify", "--database-url", url)
	if code != exitFine || !strings.HasPrefix(out, "VERIFIED: ledger main holds") || errors != "" {
		t.Errorf("exit code %d, %s%s", code, out, errors)
	}
	code, out, _ = command(t, "verify", "--database-url", url, "--ledger", id.String(), "--json", "--workers", "1")
	var report reconcile.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitFine {
		t.Fatalf("exit code %d, %s: %v", code, out, err)
	}
	if report.Status != reconcile.Verified || report.Size != 1 || report.Ledger != "main" || len(report.Head) != 64 || report.EntriesChecked != 1 {
		t.Errorf("report %s", out)
	}

	tamper(t, url, "update book.ledgers set value_days_back = 11 where name = 'main'")
	code, out, _ = command(t, "verify", "--database-url", url)
	if code != exitTampered || !strings.Contains(out, "ENTRY_HASH_MISMATCH") {
		t.Errorf("tampered: exit code %d, %s", code, out)
	}
	if code, out, _ = command(t, "verify", "--database-url", url, "--ledger", "second"); code != exitFine {
		t.Errorf("the other ledger: exit code %d, %s", code, out)
	}
	tamper(t, url, "update book.entries set kind = 'magic', actor = request_id where ledger_id <> '"+id.String()+"'")
	code, out, _ = command(t, "verify", "--database-url", url, "--ledger", "second")
	if code != exitIncomplete || !strings.HasPrefix(out, "INCOMPLETE") {
		t.Errorf("incomplete: exit code %d, %s", code, out)
	}
	code, out, _ = command(t, "verify", "--database-url", url, "--all", "--json")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != exitTampered || len(lines) != 2 || !json.Valid([]byte(lines[0])) || !json.Valid([]byte(lines[1])) {
		t.Errorf("all: exit code %d, %s", code, out)
	}
}

func TestVerifyThatCannotBeginExitsWithUsage(t *testing.T) {
	url := storetest.Database(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"an unknown name": {[]string{"--database-url", url, "--ledger", "nobody"}, `looking for ledger "nobody": unknown ledger`},
		"an unknown UUID": {[]string{"--database-url", url, "--ledger", uuid.Max.String()}, "unknown ledger"},
		"no ledger":       {[]string{"--database-url", url, "--all"}, "the database has none"},
		"no database":     {[]string{"--database-url", "postgres://localhost:1/nothing"}, "connect"},
		"workers":         {[]string{"--database-url", url, "--workers", "257"}, "--workers 257"},
	} {
		code, out, errors := command(t, append([]string{"verify"}, c.args...)...)
		if code != exitUsage || out != "" || !strings.Contains(errors, c.want) {
			t.Errorf("%s: exit code %d, %s%s", name, code, out, errors)
		}
	}
}

// The JSON object is a contract: its names, and null where nothing is proven.
func TestTheJSONOfVerifyHasTheAgreedNames(t *testing.T) {
	url := storetest.Database(t)
	openBook(t, url, "main")
	tamper(t, url, "update book.entries set actor = request_id")
	_, out, _ := command(t, "verify", "--database-url", url, "--json")
	var report map[string]any
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"status", "ledger", "size", "head", "entries_checked", "entries_per_second", "findings", "findings_total", "not_checked", "checkpoint", "keys_trusted", "pin", "super_log", "succeeds", "succeeded_by"} {
		if _, ok := report[name]; !ok {
			t.Errorf("no %s in %s", name, out)
		}
	}
	findings, _ := report["findings"].([]any)
	if len(report) != 15 || len(findings) != 1 || report["checkpoint"] != nil || report["keys_trusted"] != nil || report["pin"] != nil || report["super_log"] == nil {
		t.Fatalf("report %s", out)
	}
	finding, _ := findings[0].(map[string]any)
	for name, null := range map[string]bool{"code": false, "severity": false, "seq": false, "transfer_id": false, "account": true, "column": true, "stored": false, "recomputed": false, "next_step": false} {
		if v, ok := finding[name]; !ok || (v == nil) != null {
			t.Errorf("%s is %v in %s", name, v, out)
		}
	}
	if len(finding) != 9 {
		t.Errorf("finding %s", out)
	}
}

func TestTheWorstLedgerDecides(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]int{{exitFine, exitFine, exitFine}, {exitFine, exitIncomplete, exitIncomplete}, {exitIncomplete, exitFine, exitIncomplete},
		{exitTampered, exitIncomplete, exitTampered}, {exitIncomplete, exitTampered, exitTampered}, {exitTampered, exitFine, exitTampered}} {
		if got := worse(c[0], c[1]); got != c[2] {
			t.Errorf("%d and %d give %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func TestOnlyADeviceOfCharactersIsATerminal(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if isTerminal(file) || isTerminal(w) {
		t.Error("a file or a pipe is taken for a terminal")
	}
}
