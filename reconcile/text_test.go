package reconcile_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update writes it):\n%s", path, got)
	}
}

// The words of a report: each golden file is what verify prints.
func TestReportsReadAsAgreed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		sql  []string
	}{
		{"verified.golden", nil},
		{"tampered.golden", []string{"update book.postings set amount = 12.35 where seq = 8 and ordinal = 0"}},
		{"several.golden", []string{
			"delete from book.entries where seq in (10, 11)",
			"update ops.payloads set description = 'gift' where seq = 8",
			"update book.accounts set type = 'equity' where code = 'fx:usd'"}},
		{"notchain.golden", []string{"delete from ops.payloads where seq = 9"}},
		{"incomplete.golden", []string{"update book.entries set kind = 'magic', actor = request_id where seq = 17"}},
		{"both.golden", []string{"update book.entries set kind = 'magic', actor = request_id where seq = 17", "update book.entries set actor = request_id where seq = 0"}},
		{"noterms.golden", []string{"delete from book.ledgers"}},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			url := storetest.Database(t)
			b := sample()
			conn := connect(t, url)
			b.write(t, conn)
			for _, sql := range c.sql {
				mustExec(t, conn, sql)
			}
			report := verifyWith(t, url, b.ledger, reconcile.Options{})
			report.Scope.Elapsed, report.EntriesPerSecond = 1234567*time.Microsecond, 16
			var text bytes.Buffer
			if err := report.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			golden(t, c.file, text.Bytes())
		})
	}
}

func TestAReportSaysHowManyFindingsItDoesNotList(t *testing.T) {
	t.Parallel()
	seq := int64(3)
	report := reconcile.Report{Status: reconcile.Tampered, Ledger: "main", Size: 5, FindingsTotal: 12_345,
		Findings: []chain.Finding{{Code: reconcile.LimitExceeded, Severity: chain.Critical, Seq: &seq, NextStep: "Look."}}}
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if want := "Only the first 1 findings are listed; there are 12345."; !bytes.Contains(text.Bytes(), []byte(want)) {
		t.Errorf("%s\ndoes not say: %s", &text, want)
	}
}

func TestAReportThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	if err := (&reconcile.Report{}).WriteText(full{}); err == nil {
		t.Error("a full disk is no error")
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }
