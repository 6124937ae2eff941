package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// riskOf runs tallystick risk on the demonstration and returns what it wrote, and its exit code.
func riskOf(t *testing.T, c riskCommand) (page []byte, code int) {
	t.Helper()
	c.Ledger = "demo"
	if c.Report == "" {
		c.Report = "risk"
	}
	c.Output = filepath.Join(t.TempDir(), "page")
	err := c.run(t.Context(), os.Stdout, os.Stderr)
	var exit exitError
	switch {
	case errors.As(err, &exit):
		code = exit.code
	case err != nil:
		t.Fatal(err)
	}
	if page, err = os.ReadFile(c.Output); err != nil {
		t.Fatal(err)
	}
	return page, code
}

// The page of the demonstration is written in every format, and says in each what could not be computed and why. A shortfall
// is a breach: the command ends with 1, and the page says since when.
func TestRiskOfTheDemonstration(t *testing.T) {
	t.Parallel()
	database := storetest.Database(t)
	db, id := makeDemo(t, database)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, policy.Example, 0o600); err != nil {
		t.Fatal(err)
	}
	c := riskCommand{Database: Database{DatabaseURL: database}, riskFiles: riskFiles{Policy: file}}
	const reason = "not computed: there is no rate of GBP for 2026-03-18"
	for _, format := range report.Formats {
		c.Format = string(format)
		page, code := riskOf(t, c)
		if code != 0 {
			t.Errorf("%s: exit code %d of a demonstration without a breach", format, code)
		}
		again, _ := riskOf(t, c)
		if !bytes.Equal(page, again) {
			t.Errorf("%s: two runs differ", format)
		}
		if format == report.PDF { // its text is compressed: that of the page is asserted in the other formats
			if !bytes.HasPrefix(page, []byte("%PDF-")) {
				t.Errorf("the PDF begins with %q", page[:min(len(page), 8)])
			}
			continue
		}
		if text := readableText(t, format, page); !strings.Contains(text, reason) {
			t.Errorf("%s does not say why a figure is not computed", format)
		}
	}
	poster := ledger.NewSimulation(t.Context(), db.Journal(), func() time.Time { return demoEnd })
	defer poster.Stop()
	_, err := poster.Submit(t.Context(), id, &ledger.TransferRequest{Common: ledger.Common{ID: ledger.RequestID{UUID: uuid.New()}, Salt: randomSalt()}, Legs: []ledger.Leg{
		{Account: "bank:operating:eur", Direction: chain.Debit, Amount: decimal.New(1, 0)}, {Account: "bank:safeguarding:eur", Direction: chain.Credit, Amount: decimal.New(1, 0)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	c.Format = "text"
	page, code := riskOf(t, c)
	if code != exitTampered || !strings.Contains(string(page), "The client pool EUR is short of 1.00 EUR since 2026-03-18, without a break.") {
		t.Errorf("with a shortfall the exit code is %d, and the page:\n%s", code, page)
	}
}

// readableText is the text of a page as a reader of its format has it.
func readableText(t *testing.T, format report.Format, page []byte) string {
	t.Helper()
	if format != report.XLSX {
		return strings.Join(strings.Fields(string(page)), " ")
	}
	z, err := zip.NewReader(bytes.NewReader(page), int64(len(page)))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		all.Write(b.Bytes())
	}
	return all.String()
}
