package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/api"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
	"tallystick/scripts/samples"
)

// serveBank serves a book with an account at a bank, and makes the environment
// name server, key and database.
func serveBank(t *testing.T) (*holdBook, *bankDesk) {
	t.Helper()
	b := newHoldBook(t, storetest.Database(t))
	for code, of := range map[string]chain.AccountType{"bank:eur": chain.Asset, "owed": chain.Liability, "expenses:bank": chain.Expense} {
		id, err := ledger.NewAccountID()
		if err != nil {
			t.Fatal(err)
		}
		b.ask(t, &ledger.OpenAccount{Common: b.common(t), AccountID: id, Code: code, Type: of, Currency: "EUR"})
	}
	const key = "tallystick_the-key-of-a-test-of-banks"
	if _, err := b.db.CreateKey(t.Context(), sha256.Sum256([]byte(key)), "tester", store.ScopeApprove); err != nil {
		t.Fatal(err)
	}
	desk := &bankDesk{db: b.db}
	server := httptest.NewServer(api.New(api.Config{
		DB: b.db, Poster: b.poster, Host: "tallystick.test", Version: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Bank: desk.forAPI(),
	}))
	t.Cleanup(server.Close)
	t.Setenv("TALLYSTICK_URL", server.URL)
	t.Setenv("TALLYSTICK_API_KEY", key)
	t.Setenv("TALLYSTICK_DATABASE_URL", b.url)
	return b, desk
}

// writeFile writes a file of the test and returns its path.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// says runs tallystick and holds its exit code and output against what is wanted.
func says(t *testing.T, code int, wanted []string, args ...string) string {
	t.Helper()
	got, out, told := command(t, args...)
	all := out + told
	if got != code {
		t.Fatalf("%q: exit code %d, want %d: %s", args, got, code, all)
	}
	for _, want := range wanted {
		if !strings.Contains(all, want) {
			t.Errorf("%q does not say %q:\n%s", args, want, all)
		}
	}
	return out
}

func TestBankFilesFromTheCommandLine(t *testing.T) {
	serveBank(t)
	file := func(name string) string { return samples.Path(t, "statements/"+name) }
	october := file("account_statement-3.xml")
	says(t, exitUsage, []string{"BE68793230773034 in EUR", "hint: --account BE68793230773034=CODE"}, "bank", "import", "--ledger", "book", october)
	says(t, exitUsage, []string{"there is none"}, "bank", "import", "--ledger", "nobody", october)
	says(t, exitUsage, []string{"reading --account"}, "bank", "import", "--ledger", "book", "--account", "=x", october)
	says(t, exitUsage, []string{"--mapping"}, "bank", "import", "--ledger", "book", "--format", "csv", october)
	says(t, exitFine, []string{"accepted", "33443.03 + 210000.00 − 184072.66 = 59370.37 EUR, 314 lines"}, "bank", "import", "--ledger", "book", "--account", "BE68 7932 3077 3034=bank:eur", october)
	says(t, exitFine, []string{"already there; nothing was changed"}, "bank", "import", "--ledger", "book", october)
	says(t, exitTampered, []string{"-2038.00 EUR off", "-1002.60 EUR off", "at line 17, byte 436", "already there"},
		"bank", "import", "--ledger", "book", file("mt940-abnamro.txt"), file("camt053_garbled_amount.xml"), october)
	out := says(t, exitTampered, nil, "bank", "import", "--ledger", "book", "--json", file("mt940-abnamro.txt"), file("BE68793230773034-202411.xml"))
	var receipts struct {
		Files []struct {
			Outcome    string
			Reasons    []store.BankReason
			Statements []struct{ Closing string }
		}
	}
	if err := json.Unmarshal([]byte(out), &receipts); err != nil || len(receipts.Files) != 2 || receipts.Files[0].Reasons[0].Difference != "-2038.00" || receipts.Files[1].Statements[0].Closing != "87539.12" {
		t.Errorf("%v: %s", err, out)
	}
	columns := writeFile(t, "columns.yaml", "delimiter: \";\"\ndecimal: \",\"\ndate_layout: 02.01.2006\naccount_number: \"4711\"\ncurrency_code: EUR\nbooking_date: Date\namount: Amount\nremittance: [Text]\n")
	rows := writeFile(t, "rows.csv", "Date;Amount;Text\n02.03.2026;10,50;one\n03.03.2026;-1,00;two\n")
	says(t, exitFine, []string{"+ 10.50 − 1.00"}, "bank", "import", "--ledger", "book", "--format", "csv", "--mapping", columns, "--account", "4711=bank:eur", rows)
	says(t, exitUsage, []string{"colour"}, "bank", "import", "--ledger", "book", "--format", "csv", "--mapping", writeFile(t, "wrong.yaml", "colour: blue\n"), rows)
	says(t, exitFine, []string{"59370.37", "87539.12", "4711", "bankfile:2 mt940-abnamro.txt"}, "bank", "list", "--ledger", "book")
}

// nightOf runs the night of a book up to its newest day.
func nightOf(t *testing.T, b *holdBook) {
	t.Helper()
	day := chain.DateOf(time.UnixMicro(b.clock.Load()).UTC())
	work := &nightWork{url: b.url, db: b.db, poster: b.poster}
	if _, err := work.run(t.Context(), ledger.KeyID{}, time.Now, reconcile.NightOptions{Ledger: b.id.UUID, AsOf: &day}); err != nil {
		t.Fatal(err)
	}
}

func TestBreaksAreExplainedDecidedAndGone(t *testing.T) {
	b, desk := serveBank(t)
	today := time.UnixMicro(b.clock.Load()).UTC()
	pay := func(amount, reference string) int64 {
		a := decimal.RequireFromString(amount)
		r := &ledger.TransferRequest{Common: b.common(t), Legs: []ledger.Leg{
			{Account: "bank:eur", Direction: chain.Debit, Amount: a}, {Account: "owed", Direction: chain.Credit, Amount: a}}}
		r.Reference = &reference
		b.ask(t, r)
		entries, err := b.db.Transfer(t.Context(), b.id, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		return entries[0].Seq()
	}
	pay("100.00", "REF1")
	other := pay("41.00", "OTHER")
	date := today.Format("060102")
	statement := writeFile(t, "statement.txt", ":20:S1\n:25:4711\n:28C:1/1\n:60F:C"+date+"EUR0,00\n"+
		":61:"+date+"C100,00NTRFREF1\n:86:one\n:61:"+date+"C40,00NTRFREF2\n:86:two\n:61:"+date+"D2,50NTRFREF3\n:86:fee\n:62F:C"+date+"EUR137,50\n-\n")
	says(t, exitFine, []string{"accepted"}, "bank", "import", "--ledger", "book", "--account", "bank:eur", statement)
	says(t, exitUsage, []string{"there is none", "tallystick match run"}, "match", "list", "--ledger", "book")
	says(t, exitFine, []string{"reconciled", "bank 137.50 − ledger 141.00 = -3.50 EUR, of which open breaks explain -3.50; difference 0.00"}, "match", "run", "--ledger", "book")
	says(t, exitFine, []string{"matched by rule", "ledger:"}, "match", "explain", "--ledger", "book", "bank:1/1")
	says(t, exitFine, []string{"nearest is ledger:", "amount", "fails"}, "match", "explain", "--ledger", "book", "bank:1/2")
	says(t, exitUsage, []string{"no account that is reconciled has it"}, "match", "explain", "--ledger", "book", "bank:1/9")
	says(t, exitUsage, []string{"a line is bank:STATEMENT/LINE"}, "match", "explain", "--ledger", "book", "line 1")

	nightOf(t, b)
	listed := says(t, exitFine, []string{"bank:1/2", "bank:1/3"}, "match", "list", "--ledger", "book", "--json")
	var list struct{ Breaks []struct{ ID, Status string } }
	if err := json.Unmarshal([]byte(listed), &list); err != nil || len(list.Breaks) != 3 {
		t.Fatalf("%v: %s", err, listed)
	}
	book, err := desk.breaks(t.Context(), b.id)
	if err != nil || book == nil || len(book.Breaks) != 3 || !slices.ContainsFunc(list.Breaks, func(x struct{ ID, Status string }) bool { return x.ID == book.Breaks[0].ID }) {
		t.Fatalf("the API has %+v: %v", book, err)
	}
	fee := ""
	for _, x := range book.Breaks {
		if x.Lines[0].ID == "bank:1/3" {
			fee = x.ID
		}
	}
	says(t, exitFine, []string{"write off bank:1/3; entry", "books -2.50 EUR"}, "match", "write-off", "--ledger", "book", "--account", "expenses:bank", "--reason", "account fee", fee)
	says(t, exitFine, []string{"books -2.50 EUR"}, "match", "write-off", "--ledger", "book", "--account", "expenses:bank", "--reason", "account fee", "bank:1/3")
	ledgerLine := fmt.Sprintf("ledger:%d/0", other)
	says(t, exitFine, nil, "match", "assign", "--ledger", "book", "--owner", "treasury", "--cause", "wrong_amount", "--reason", "the client was asked", "bank:1/2")
	says(t, exitUsage, []string{"no person"}, "match", "assign", "--ledger", "book", "--owner", "Jane Doe", "--reason", "x", "bank:1/2")
	says(t, exitUsage, []string{"line_not_found", "hint: tallystick match run"}, "match", "match", "--ledger", "book", "--reason", "x", "bank:1/2", "ledger:9999/0")
	says(t, exitFine, []string{"match bank:1/2 " + ledgerLine}, "match", "match", "--ledger", "book", "--reason", "same payment", "bank:1/2", ledgerLine)
	says(t, exitFine, []string{"written_off", "amount_mismatch", "treasury", "difference 0.00"}, "match", "run", "--ledger", "book")
	says(t, exitFine, nil, "match", "unmatch", "--ledger", "book", "--reason", "it was not", "bank:1/2", ledgerLine)
	says(t, exitFine, nil, "match", "carry", "--ledger", "book", "--until", "2999-12-31", "--reason", "to be refunded", ledgerLine)
	says(t, exitFine, nil, "match", "note", "--ledger", "book", "--reason", "seen", ledgerLine)
	says(t, exitFine, []string{"carried", "of which open breaks explain -1.00"}, "match", "run", "--ledger", "book")

	nightOf(t, b)
	says(t, exitFine, []string{"written_off"}, "match", "list", "--ledger", "book", "--settled")
	says(t, exitFine, []string{"carried"}, "match", "list", "--ledger", "book", "--status", "carried", "--account", "bank:eur")
}
