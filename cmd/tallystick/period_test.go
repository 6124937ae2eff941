package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/api"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// servePeriods serves a book with a result of one euro and makes the environment
// name the server and a key with scope. It returns the book.
func servePeriods(t *testing.T, scope store.Scopes) *holdBook {
	t.Helper()
	b := newHoldBook(t, storetest.Database(t))
	for code, of := range map[string]chain.AccountType{"revenue": chain.Revenue, "retained": chain.Equity, "bank": chain.Asset} {
		id, err := ledger.NewAccountID()
		if err != nil {
			t.Fatal(err)
		}
		b.ask(t, &ledger.OpenAccount{Common: b.common(t), AccountID: id, Code: code, Type: of, Currency: "EUR"})
	}
	id, err := ledger.NewAccountID()
	if err != nil {
		t.Fatal(err)
	}
	b.ask(t, &ledger.OpenAccount{Common: b.common(t), AccountID: id, Code: "retained.usd", Type: chain.Equity, Currency: "USD"})
	one, day := decimal.NewFromInt(1), yesterday()
	b.ask(t, &ledger.TransferRequest{Common: b.common(t), ValueDate: ledger.ValueDate{EffectiveDate: &day}, Legs: []ledger.Leg{
		{Account: "bank", Direction: chain.Debit, Amount: one}, {Account: "revenue", Direction: chain.Credit, Amount: one},
	}})
	const key = "tallystick_the-key-of-a-test-of-periods"
	if _, err := b.db.CreateKey(t.Context(), sha256.Sum256([]byte(key)), "tester", scope); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Config{
		DB: b.db, Poster: b.poster, Host: "tallystick.test", Version: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Erase: func(ctx context.Context, id ledger.LedgerID, seqs []int64) error {
			if b.broken.Load() {
				return errors.New("the eraser is broken")
			}
			return eraseTexts(b.url)(ctx, id, seqs)
		},
	}))
	t.Cleanup(server.Close)
	t.Setenv("TALLYSTICK_URL", server.URL)
	t.Setenv("TALLYSTICK_API_KEY", key)
	return b
}

func yesterday() chain.Date { return chain.DateOf(time.Now().UTC()) - 1 }

func TestAPeriodIsClosedAndReopened(t *testing.T) {
	servePeriods(t, store.ScopeApprove|store.ScopePost|store.ScopeRead)
	end := yesterday().String()
	closing := []string{"period", "close", "--ledger", "book", "--end", end, "--retain", "retained", "--description", "Year's end"}

	code, out, told := command(t, append(closing, "--dry-run")...)
	if code != exitFine || !strings.Contains(out, "would be closed up to "+end+"; nothing was changed") ||
		!strings.Contains(out, "retained   EUR in retained") || strings.Contains(out, "hash") {
		t.Fatalf("dry run: exit code %d, %s%s", code, out, told)
	}
	code, out, told = command(t, append(closing, "--json")...)
	var closed struct {
		Kind, Description string
		Seq               int64
	}
	if err := json.Unmarshal([]byte(out), &closed); code != exitFine || err != nil || closed.Kind != "period_closed" || closed.Description != "Year's end" || closed.Seq == 0 {
		t.Fatalf("closing: exit code %d, %s%s: %v", code, out, told, err)
	}
	if code, _, told = command(t, closing...); code != exitUsage || !strings.Contains(told, "period_already_closed") {
		t.Errorf("closing again: exit code %d, %s", code, told)
	}
	reopening := []string{"period", "reopen", "--ledger", "book", "--end", end, "--reason", "An invoice was found"}
	code, out, told = command(t, reopening...)
	if code != exitFine || !strings.Contains(out, "to "+end+" is open again\n  entry ") {
		t.Errorf("reopening: exit code %d, %s%s", code, out, told)
	}
	if code, _, told = command(t, append(reopening, "--json")...); code != exitUsage || !strings.Contains(told, "period_not_closed") {
		t.Errorf("reopening again: exit code %d, %s", code, told)
	}
	code, out, told = command(t, "period", "close", "--ledger", "book", "--end", end)
	if code != exitFine || !strings.Contains(out, "are closed up to "+end) || !strings.Contains(out, "through    entry ") || strings.Contains(out, "retained") {
		t.Errorf("closing without retain: exit code %d, %s%s", code, out, told)
	}
}

func TestPeriodsSayWhatIsWrong(t *testing.T) {
	servePeriods(t, store.ScopeApprove|store.ScopePost|store.ScopeRead)
	today, before := chain.DateOf(time.Now().UTC()).String(), yesterday().String()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no date":           {[]string{"close", "--ledger", "book", "--end", "31.12.2026"}, "reading --end"},
		"no date to reopen": {[]string{"reopen", "--ledger", "book", "--end", "yesterday", "--reason", "x"}, "reading --end"},
		"not over":          {[]string{"close", "--ledger", "book", "--end", today}, "period_not_over"},
		"no such ledger":    {[]string{"close", "--ledger", "none", "--end", before}, "ledger_not_found"},
		"other currency":    {[]string{"close", "--ledger", "book", "--end", before, "--retain", "retained.usd"}, "hint: give --retain once for each currency"},
		"no equity account": {[]string{"close", "--ledger", "book", "--end", before, "--retain", "bank"}, "retain_account_invalid"},
		"no such account":   {[]string{"close", "--ledger", "book", "--end", before, "--retain", "none"}, "unknown_account"},
		"nothing closed":    {[]string{"reopen", "--ledger", "book", "--end", before, "--reason", "x"}, "period_not_closed"},
		"no server":         {[]string{"close", "--ledger", "book", "--end", before, "--url", "http://127.0.0.1:1"}, "calling the server"},
	} {
		code, out, told := command(t, append([]string{"period"}, c.args...)...)
		if code != exitUsage || out != "" || !strings.Contains(told, c.want) {
			t.Errorf("%s: exit code %d, %s%s", name, code, out, told)
		}
	}
	t.Setenv("TALLYSTICK_API_KEY", "")
	if code, _, told := command(t, "period", "close", "--ledger", "book", "--end", before); code != exitUsage || !strings.Contains(told, "hint: export TALLYSTICK_API_KEY") {
		t.Errorf("without a key: exit code %d, %s", code, told)
	}
}

func TestPeriodsNeedTheScopeApprove(t *testing.T) {
	servePeriods(t, store.ScopePost|store.ScopeRead)
	end := yesterday().String()
	for _, args := range [][]string{
		{"period", "close", "--ledger", "book", "--end", end}, {"period", "close", "--ledger", "book", "--end", end, "--dry-run"},
		{"period", "reopen", "--ledger", "book", "--end", end, "--reason", "x"},
	} {
		if code, out, told := command(t, args...); code != exitUsage || out != "" || !strings.Contains(told, "forbidden") || !strings.Contains(told, "approve") {
			t.Errorf("%q: exit code %d, %s%s", args, code, out, told)
		}
	}
}
