package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tallystick/cmd/tallystick/internal/entryfile"
)

// exportStub serves a made-up ledger in pages of three entries.
type exportStub struct {
	url     string
	entries []string
	failAt  atomic.Int64 // a page from this seq on is refused; −1 for none
	fails   atomic.Int64 // how many requests are refused before one is answered
}

func newExportStub(t *testing.T, name string, size int) *exportStub {
	t.Helper()
	s := &exportStub{}
	s.failAt.Store(-1)
	for seq := range size {
		body := fmt.Sprintf(`"postings":[{"account":"a","direction":"debit","amount":"%d.00","currency":"EUR","account_seq":%d,"balance":"1.00"},`+
			`{"account":"b","direction":"credit","amount":"%d.00","currency":"EUR","account_seq":%d,"balance":"1.00"}]`, seq, seq, seq, seq)
		s.entries = append(s.entries, fmt.Sprintf(`{"id":"%d","kind":"transfer","seq":%d,"hash":"%s","prev_hash":"%s","booking_date":"2026-01-01","effective_date":"2026-01-01",%s}`,
			seq, seq, exportHash(name, seq), exportHash(name, seq-1), body))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/ledgers/{ledger}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"id":"01890a5d-ac96-774b-bcce-b302099a8057","name":%q,"origin":"here","size":%d}`, name, len(s.entries))
	})
	mux.HandleFunc("GET /v1/ledgers/{ledger}/entries", func(w http.ResponseWriter, r *http.Request) {
		from, err := strconv.Atoi(r.URL.Query().Get("from"))
		if at := s.failAt.Load(); err != nil || s.fails.Add(-1) >= 0 || at >= 0 && int64(from) >= at {
			stubProblem(w, http.StatusServiceUnavailable, "overloaded", "")
			return
		}
		page := s.entries[min(from, len(s.entries)):min(from+3, len(s.entries))]
		fmt.Fprintf(w, `{"data":[%s],"next":null}`, strings.Join(page, ","))
	})
	mux.HandleFunc("GET /v1/ledgers/{ledger}/accounts", func(w http.ResponseWriter, r *http.Request) {
		if s.fails.Add(-1) >= 0 {
			stubProblem(w, http.StatusServiceUnavailable, "overloaded", "")
			return
		}
		fmt.Fprint(w, `{"data":[],"next":null}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func exportHash(name string, seq int) string { return fmt.Sprintf("%032x%032x", name[0], seq+1) }

func (s *exportStub) command(format, output string) *exportCommand {
	return &exportCommand{Remote: Remote{URL: s.url}, Ledger: "book", Format: format, Size: latestSize, Output: output}
}

// runExport exports and returns what stood on standard output.
func runExport(t *testing.T, c *exportCommand) (string, error) {
	t.Helper()
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	var out strings.Builder
	err = c.run(t.Context(), "key", &out, stderr)
	return out.String(), err
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExportWritesEveryEntryInEachFormat(t *testing.T) {
	t.Parallel()
	stub := newExportStub(t, "book", 11)
	for format, lines := range map[string]int{"jsonl": 11, "csv": 1 + 2*11, "hledger": 5 + 1 + 10*5 + 4} {
		text, err := runExport(t, stub.command(format, ""))
		if err != nil || strings.Count(text, "\n") != lines {
			t.Errorf("%s: %d lines, %v\n%s", format, strings.Count(text, "\n"), err, text)
		}
		if format == "jsonl" && text != strings.Join(stub.entries, "\n")+"\n" {
			t.Errorf("not the bytes of the API:\n%s", text)
		}
		path := filepath.Join(t.TempDir(), "out")
		if _, err := runExport(t, stub.command(format, path)); err != nil || readFile(t, path) != text {
			t.Errorf("%s to a file: %v", format, err)
		}
	}
}

func TestAnExportIsPinnedToASize(t *testing.T) {
	t.Parallel()
	stub := newExportStub(t, "book", 11)
	c := stub.command("jsonl", "")
	c.Size = "5"
	text, err := runExport(t, c)
	if err != nil || text != strings.Join(stub.entries[:5], "\n")+"\n" {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestAnInterruptedExportIsContinuedToTheSameBytes(t *testing.T) {
	t.Parallel()
	stub := newExportStub(t, "book", 20)
	for _, format := range []string{"jsonl", "csv", "hledger"} {
		want, err := runExport(t, stub.command(format, ""))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "out")
		c := stub.command(format, path)
		stub.failAt.Store(9)
		if _, err := runExport(t, c); err == nil || !strings.Contains(err.Error(), "hint: the same command with --resume") {
			t.Errorf("%s: %v", format, err)
		}
		stub.failAt.Store(-1)
		if got := readFile(t, path); got != want[:len(got)] || len(got) == 0 {
			t.Errorf("%s: interrupted, it has %d bytes", format, len(got))
		}
		if _, err := runExport(t, c); err == nil || !strings.Contains(err.Error(), "there already") {
			t.Errorf("%s again without --resume: %v", format, err)
		}
		c.Resume = true
		for _, cut := range []int{-1, len(want) / 2, len(want) - 3, 10, 0} {
			if cut >= 0 {
				if err := os.Truncate(path, int64(cut)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := runExport(t, c); err != nil || readFile(t, path) != want {
				t.Errorf("%s, cut at %d: %v", format, cut, err)
			}
		}
	}
}

func TestAnExportWaitsForAServerThatIsAway(t *testing.T) {
	t.Parallel()
	stub := newExportStub(t, "book", 7)
	for _, format := range []string{"jsonl", "hledger"} {
		c := stub.command(format, "")
		want, err := runExport(t, c)
		if err != nil {
			t.Fatal(err)
		}
		c.RetryFor = time.Minute
		stub.fails.Store(2)
		if text, err := runExport(t, c); err != nil || text != want {
			t.Errorf("%s: %v\n%s", format, err, text)
		}
	}
}

func TestAnExportOfAnotherLedgerIsNotContinued(t *testing.T) {
	t.Parallel()
	stub, other := newExportStub(t, "book", 9), newExportStub(t, "leaf", 12)
	for _, format := range []string{"jsonl", "csv", "hledger"} {
		path := filepath.Join(t.TempDir(), "out")
		if _, err := runExport(t, stub.command(format, path)); err != nil {
			t.Fatal(err)
		}
		before := readFile(t, path)
		c := other.command(format, path)
		c.Resume = true
		if _, err := runExport(t, c); err == nil || !strings.Contains(err.Error(), entryfile.ErrForeign.Error()) || readFile(t, path) != before {
			t.Errorf("%s: %v", format, err)
		}
	}
	path := filepath.Join(t.TempDir(), "out")
	if _, err := runExport(t, stub.command("jsonl", path)); err != nil {
		t.Fatal(err)
	}
	c := stub.command("jsonl", path)
	c.Resume, c.Size = true, "4"
	if _, err := runExport(t, c); err == nil || !strings.Contains(err.Error(), "beyond the size of 4") {
		t.Errorf("to a smaller size: %v", err)
	}
}

func TestAServerThatSendsAnotherChainIsNotBelieved(t *testing.T) {
	t.Parallel()
	stub := newExportStub(t, "book", 9)
	var e map[string]any
	if err := json.Unmarshal([]byte(stub.entries[5]), &e); err != nil {
		t.Fatal(err)
	}
	e["prev_hash"] = exportHash("x", 4)
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	stub.entries[5] = string(text)
	if _, err := runExport(t, stub.command("csv", "")); err == nil || !strings.Contains(err.Error(), "writing entry 5: the entries are no chain") {
		t.Errorf("got %v", err)
	}
}

func TestExportChecksItsFlags(t *testing.T) {
	t.Parallel()
	stub := newExportStub(t, "book", 9)
	for want, spoil := range map[string]func(*exportCommand){
		"--resume: it needs --output": func(c *exportCommand) { c.Resume, c.Output = true, "" },
		`--size "all"`:                func(c *exportCommand) { c.Size = "all" },
		`--size "0"`:                  func(c *exportCommand) { c.Size = "0" },
		"ledger book has 9 entries":   func(c *exportCommand) { c.Size = "10" },
		"want http":                   func(c *exportCommand) { c.URL = "x" },
		"--retry-for -1ns":            func(c *exportCommand) { c.RetryFor = -1 },
		"is a directory":              func(c *exportCommand) { c.Output = filepath.Dir(c.Output) },
		"no regular file":             func(c *exportCommand) { c.Output, c.Resume = os.DevNull, true },
	} {
		c := stub.command("csv", filepath.Join(t.TempDir(), "out"))
		spoil(c)
		if _, err := runExport(t, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
