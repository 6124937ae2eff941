package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/scripts/internal/harness"
	"tallystick/scripts/internal/hledger"
)

func TestMain(m *testing.M) { os.Exit(harness.RunTests(context.Background(), m)) }

// demoCustomers is how many clients the demonstration has here; by default it
// has more.
const demoCustomers = "20"

// caller posts to one ledger of a running server.
type caller struct {
	t         *testing.T
	base, key string
}

// post posts a body and returns the answer's id.
func (c *caller) post(path, body string) string {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", uuid.NewSHA1(uuid.Nil, []byte(path+body)).String())
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode/100 != 2 {
		c.t.Fatalf("%s %s: status %d, %v\n%s", path, body, answer.StatusCode, err, text)
	}
	var out struct{ ID string }
	if err := json.Unmarshal(text, &out); err != nil {
		c.t.Fatal(err)
	}
	return out.ID
}

// mixed makes a ledger with what a journal could get wrong: currencies with no,
// two, three and eight decimals, one of them with a digit in its name, value
// dates, free text that looks like syntax, holds, captures, releases, reversals.
func mixed(t *testing.T, base, key string) {
	t.Helper()
	top := &caller{t, base, key}
	top.post("/v1/ledgers", `{"name":"mixed","base_currency":"EUR"}`)
	c := &caller{t, base + "/v1/ledgers/mixed", key}
	c.post("/currencies", `{"code":"PTS8","name":"points","scale":8}`)
	for _, currency := range []string{"EUR", "JPY", "BHD", "PTS8"} {
		low := strings.ToLower(currency)
		for code, kind := range map[string]string{"bank": "asset", "c:1": "liability", "c:2": "liability", "-fee.x_y": "revenue", "cost": "expense", "own": "equity"} {
			c.post("/accounts", fmt.Sprintf(`{"code":"%s:%s","type":"%s","currency":"%s"}`, code, low, kind, currency))
		}
	}
	for currency, amount := range map[string][2]string{"eur": {"100.05", "0.01"}, "jpy": {"1000000", "7"}, "bhd": {"10.005", "0.001"}, "pts8": {"1.00000001", "0.00000001"}} {
		whole, part := amount[0], amount[1]
		transfer := func(debit, credit, amount, more string) string {
			return c.post("/transfers", fmt.Sprintf(`{"debit":"%s:%s","credit":"%s:%s","amount":"%s"%s}`, debit, currency, credit, currency, amount, more))
		}
		transfer("bank", "c:1", whole, `,"description":"=1+1; (x) ! * | ; type:A  2 EUR","effective_date":"2025-01-31"`)
		transfer("c:1", "-fee.x_y", part, `,"description":"Gebühr — 料金","reference":"a;b"`)
		transfer("cost", "own", part, `,"metadata":{"k":"; seq:1"}`)
		reversed := transfer("c:1", "c:2", part, "")
		c.post("/transfers/"+reversed+"/reverse", `{}`)
		whollyTaken := transfer("c:1", "c:2", part, `,"hold":true`)
		c.post("/transfers/"+whollyTaken+"/capture", `{}`)
		partTaken := transfer("c:1", "c:2", whole, `,"hold":true`)
		c.post("/transfers/"+partTaken+"/capture", fmt.Sprintf(`{"amount":%q}`, part))
		released := transfer("c:1", "c:2", part, `,"hold":true,"reference":"released"`)
		c.post("/transfers/"+released+"/release", `{}`)
		transfer("c:1", "bank", part, `,"hold":true`)
	}
	c.post("/transfers", `{"description":"exchange","rate":"EUR/JPY 160","postings":[{"account":"c:1:eur","direction":"debit","amount":"1.00"},{"account":"own:eur","direction":"credit","amount":"1.00"},`+
		`{"account":"own:jpy","direction":"debit","amount":"160"},{"account":"c:1:jpy","direction":"credit","amount":"160"}]}`)
}

// serve starts a server of its own.
func serve(t *testing.T) (*harness.Rig, *harness.Server) {
	t.Helper()
	rig, err := harness.NewRig(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	server, err := rig.Serve(t.Context(), "server")
	if err != nil {
		t.Fatal(err)
	}
	return rig, server
}

func TestHledgerComesToTheSameBalancesOfTheDemonstration(t *testing.T) {
	t.Parallel()
	hledger.Require(t)
	rig, server := serve(t)
	out, code, err := rig.Run(t.Context(), "demo", "--data-dir", rig.DataDir, "--customers", demoCustomers)
	if err != nil || code != 0 {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	accounts, err := run(t.Context(), options{URL: server.Client.URL(), Ledger: "demo", Binary: rig.Binary}, rig.Key)
	if err != nil || accounts < 100 {
		t.Errorf("%d accounts: %v", accounts, err)
	}
	// A year that is closed on the way, by its months, with holds, reversals, late entries and four currencies.
	journal := filepath.Join(t.TempDir(), "demo.journal")
	if out, code, err := rig.Run(t.Context(), "export", "--url", server.Client.URL(), "--ledger", "demo", "--format", "hledger", "--output", journal); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	today := time.Now().UTC()
	first := time.Date(today.Year(), today.Month(), 1, 0, 0, 0, 0, time.UTC)
	for _, period := range [][2]time.Time{{today.AddDate(-2, 0, 0), today.AddDate(0, 0, 1)}, {first.AddDate(0, -6, 0), first.AddDate(0, -3, -1)}, {first.AddDate(0, -12, 0), first.AddDate(0, 0, -1)}} {
		from, to := period[0].Format(time.DateOnly), period[1].Format(time.DateOnly)
		if compared, err := hledger.CompareReports(t.Context(), journal, from, to, rig.Report("demo")); err != nil || compared < 50 {
			t.Errorf("%s to %s: %d amounts of reports compared: %v", from, to, compared, err)
		}
	}
	spoiled := func(ctx context.Context, name, from, to string) ([]byte, error) {
		text, err := rig.Report("demo")(ctx, name, from, to)
		return bytes.ReplaceAll(text, []byte(`"revenue:monthly:eur"`), []byte(`"revenue:yearly:eur"`)), err
	}
	if _, err := hledger.CompareReports(t.Context(), journal, first.AddDate(0, -6, 0).Format(time.DateOnly), first.Format(time.DateOnly), spoiled); !errors.Is(err, hledger.ErrDiffers) {
		t.Errorf("with an account of another name: %v", err)
	}
}

func TestHledgerComesToTheSameBalances(t *testing.T) {
	t.Parallel()
	hledger.Require(t)
	rig, server := serve(t)
	mixed(t, server.Client.URL(), rig.Key)
	accounts, err := run(t.Context(), options{URL: server.Client.URL(), Ledger: "mixed", Binary: rig.Binary}, rig.Key)
	if err != nil || accounts != 24 {
		t.Errorf("%d accounts: %v", accounts, err)
	}
	journal := filepath.Join(t.TempDir(), "mixed.journal")
	if out, code, err := rig.Run(t.Context(), "export", "--url", server.Client.URL(), "--ledger", "mixed", "--format", "hledger", "--output", journal); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	// Every account and commodity is declared, and each account has its type.
	if _, err := hledger.Run(t.Context(), journal, "check", "accounts", "commodities"); err != nil {
		t.Error(err)
	}
	types, err := hledger.Run(t.Context(), journal, "accounts", "--types", "--declared")
	if err != nil {
		t.Fatal(err)
	}
	for code, letter := range map[string]string{"bank:eur": "A", "c:1:jpy": "L", "own:bhd": "E", "-fee.x_y:pts8": "R", "cost:eur": "X"} {
		found := false
		for line := range bytes.Lines(types) {
			if fields := strings.Fields(string(line)); len(fields) == 4 && fields[0] == code {
				found = fields[3] == letter
			}
		}
		if !found {
			t.Errorf("%s is not of type %s:\n%s", code, letter, types)
		}
	}
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string][2]string{
		"a cent more":        {"100.05 EUR", "100.06 EUR"},
		"another account":    {"    c:2:eur  ", "    c:3:eur  "},
		"another commodity":  {" EUR\n", " USD\n"},
		"a transaction less": {"\n    c:1:jpy  7 JPY\n    -fee.x_y:jpy  -7 JPY\n", "\n"},
	} {
		bad := strings.ReplaceAll(string(text), spoil[0], spoil[1])
		if bad == string(text) {
			t.Errorf("%s: nothing to spoil", name)
		}
		path := filepath.Join(t.TempDir(), "bad.journal")
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := hledger.Compare(t.Context(), server.Client, "mixed", path); err == nil || name != "a cent more" && !errors.Is(err, hledger.ErrDiffers) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
