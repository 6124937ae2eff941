package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// benchStub answers the few routes bench calls. It exists for what a real
// server never does, such as losing what it acknowledged; the scripts run
// bench against the real one.
type benchStub struct {
	mu       sync.Mutex
	size     int64
	ids      map[string]bool
	accounts map[string]bool
	hot      int64
	loses    bool // acknowledges without storing
	refuses  bool // answers 422
	noBatch  bool
}

func newBenchStub(t *testing.T) (*benchStub, string) {
	t.Helper()
	s := &benchStub{ids: map[string]bool{}, accounts: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/ledgers/{ledger}", s.ledger)
	mux.HandleFunc("GET /v1/engine", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"name":"PostgreSQL 15.18","settings":{"fsync":"on","synchronous_commit":"on"}}`)
	})
	mux.HandleFunc("POST /v1/ledgers/{ledger}/accounts/batch", s.openAccounts)
	mux.HandleFunc("POST /v1/ledgers/{ledger}/transfers", s.single)
	mux.HandleFunc("POST /v1/ledgers/{ledger}/transfers/batch", s.batch)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return s, server.URL
}

func (s *benchStub) ledger(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(w, `{"name":"bench","size":%d}`, s.size)
}

func (s *benchStub) openAccounts(w http.ResponseWriter, r *http.Request) {
	var in struct{ Accounts []struct{ Code string } }
	json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	results := make([]map[string]int, len(in.Accounts))
	for i, a := range in.Accounts {
		s.accounts[a.Code] = true
		results[i] = map[string]int{"status": 201}
	}
	json.NewEncoder(w).Encode(map[string]any{"results": results})
}

type benchStubTransfer struct{ ID, Debit, Credit, Amount string }

func (s *benchStub) store(in benchStubTransfer) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuses || s.ids[in.ID] || in.Debit == in.Credit || !s.accounts[in.Debit] || !s.accounts[in.Credit] {
		return http.StatusUnprocessableEntity
	}
	s.ids[in.ID] = true
	if in.Debit == benchHotAccount || in.Credit == benchHotAccount {
		s.hot++
	}
	if !s.loses {
		s.size++
	}
	return http.StatusCreated
}

func (s *benchStub) single(w http.ResponseWriter, r *http.Request) {
	var in benchStubTransfer
	json.NewDecoder(r.Body).Decode(&in)
	w.WriteHeader(s.store(in))
	io.WriteString(w, `{"code":"limit_exceeded","detail":"stub"}`)
}

func (s *benchStub) batch(w http.ResponseWriter, r *http.Request) {
	if s.noBatch {
		http.NotFound(w, r)
		return
	}
	var in struct{ Transfers []benchStubTransfer }
	json.NewDecoder(r.Body).Decode(&in)
	results := make([]map[string]int, len(in.Transfers))
	for i, one := range in.Transfers {
		results[i] = map[string]int{"status": s.store(one)}
	}
	json.NewEncoder(w).Encode(map[string]any{"results": results})
}

// shortBench returns a run of 60 ms over few accounts.
func shortBench(url string) *benchCommand {
	return &benchCommand{
		URL: url, Ledger: "bench", Connections: 3, Duration: 50 * time.Millisecond, WarmUp: 10 * time.Millisecond,
		Accounts: 5, Batch: 1, IDs: "v7", JSON: true,
	}
}

func runBench(t *testing.T, c *benchCommand) (map[string]any, error) {
	t.Helper()
	var out strings.Builder
	err := c.run(t.Context(), "key", &out, io.Discard)
	if !c.JSON || out.Len() == 0 {
		return map[string]any{"text": out.String()}, err
	}
	var report map[string]any
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
		t.Fatalf("bench printed %q: %v", out.String(), err)
	}
	return report, err
}

func TestBenchPrintsTheContractsFields(t *testing.T) {
	t.Parallel()
	stub, url := newBenchStub(t)
	c := shortBench(url)
	c.Duration = 2 * time.Second // a busy machine may do nothing in 50 ms
	report, err := runBench(t, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"transfers_per_second", "p50_ms", "p95_ms", "p99_ms"} {
		if n, ok := report[field].(float64); !ok || n <= 0 {
			t.Errorf("%s = %v", field, report[field])
		}
	}
	for _, field := range []string{"rejected", "errors", "replayed"} {
		if report[field] != 0.0 {
			t.Errorf("%s = %v", field, report[field])
		}
	}
	if report["fsync"] != "on" || report["synchronous_commit"] != "on" || report["engine"] != "PostgreSQL 15.18" {
		t.Errorf("engine: %v", report)
	}
	if v, there := report["full_page_writes"]; !there || v != nil {
		t.Errorf("a setting the engine does not report is %v, want null", v)
	}
	if report["grew_by"] != float64(stub.size) || report["acknowledged_in_all"] != float64(stub.size) {
		t.Errorf("the stub holds %d, reported %v", stub.size, report)
	}
	if stub.hot != 0 || len(stub.accounts) != 6 {
		t.Errorf("%d hot transfers over %d accounts", stub.hot, len(stub.accounts))
	}
}

func TestBenchFailsWhenTheLedgerHoldsLessThanWasAcknowledged(t *testing.T) {
	t.Parallel()
	stub, url := newBenchStub(t)
	stub.loses = true
	if _, err := runBench(t, shortBench(url)); !errors.Is(err, errNotGrown) {
		t.Errorf("run = %v", err)
	}
}

func TestBenchShowsARefusalThatWouldMeetEveryTransfer(t *testing.T) {
	t.Parallel()
	stub, url := newBenchStub(t)
	stub.refuses = true
	if _, err := runBench(t, shortBench(url)); err == nil || !strings.Contains(err.Error(), "limit_exceeded") {
		t.Errorf("run = %v", err)
	}
}

func TestAHotShareOfOnePutsTheHotAccountInEveryTransfer(t *testing.T) {
	t.Parallel()
	stub, url := newBenchStub(t)
	c := shortBench(url)
	c.Hot = shareWhole
	if _, err := runBench(t, c); err != nil {
		t.Fatal(err)
	}
	if stub.hot != stub.size || stub.size == 0 {
		t.Errorf("%d of %d hot", stub.hot, stub.size)
	}
}

func TestBenchCountsTheTransfersOfABatch(t *testing.T) {
	t.Parallel()
	stub, url := newBenchStub(t)
	c := shortBench(url)
	c.Batch = 7
	report, err := runBench(t, c)
	if err != nil {
		t.Fatal(err)
	}
	if report["acknowledged_in_all"] != float64(stub.size) || stub.size == 0 || stub.size%7 != 0 {
		t.Errorf("the stub holds %d, reported %v", stub.size, report)
	}
}

func TestBenchSaysThatAServerHasNoBatchEndpoint(t *testing.T) {
	t.Parallel()
	stub, url := newBenchStub(t)
	stub.noBatch = true
	c := shortBench(url)
	c.Batch = 2
	if _, err := runBench(t, c); err == nil || !strings.Contains(err.Error(), "no batch endpoint") {
		t.Errorf("run = %v", err)
	}
}

func TestBothKindsOfIdsAreReportedWhenAsked(t *testing.T) {
	t.Parallel()
	stub, url := newBenchStub(t)
	c := shortBench(url)
	c.IDs = "both"
	report, err := runBench(t, c)
	if err != nil {
		t.Fatal(err)
	}
	random, _ := report["random_ids"].(map[string]any)
	if report["ids"] != "v7" || random["ids"] != "v4" {
		t.Errorf("ids %v and %v", report["ids"], random["ids"])
	}
	if sum := report["grew_by"].(float64) + random["grew_by"].(float64); sum != float64(stub.size) {
		t.Errorf("grew by %v in both, stub holds %d", sum, stub.size)
	}
}

func TestBenchPrintsTextForPeople(t *testing.T) {
	t.Parallel()
	_, url := newBenchStub(t)
	c := shortBench(url)
	c.JSON, c.IDs = false, "v4"
	report, err := runBench(t, c)
	text, _ := report["text"].(string)
	if err != nil || !strings.Contains(text, "full_page_writes not reported") || !strings.Contains(text, "transfers/s") || !strings.Contains(text, "v4") {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestBenchChecksItsFlags(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*benchCommand){
		"--connections": func(c *benchCommand) { c.Connections = 0 },
		"--accounts":    func(c *benchCommand) { c.Accounts = 1 },
		"--batch":       func(c *benchCommand) { c.Batch = 1001 },
		"--duration":    func(c *benchCommand) { c.Duration = 0 },
	} {
		c := shortBench("http://127.0.0.1:1")
		spoil(c)
		if err := c.run(t.Context(), "key", io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := shortBench("http://127.0.0.1:1").run(t.Context(), "", io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "TALLYSTICK_API_KEY") {
		t.Errorf("without a key: %v", err)
	}
}

func TestSharesAreReadAndPrintedExactly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"0": "0", "1": "1", "0.25": "0.25", "1.000000": "1", "0.000001": "0.000001", "0.": "0"} {
		var s share
		if err := s.UnmarshalText([]byte(text)); err != nil || s.String() != want {
			t.Errorf("%q reads as %s, %v", text, s, err)
		}
	}
	for _, bad := range []string{"", ".5", "1.1", "2", "-0.5", "0.0000001", "1e0", "½", "0,5"} {
		var s share
		if err := s.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q reads as %s", bad, s)
		}
	}
}

func TestEveryTransferOfTheMixIsBetweenTwoAccounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := &benchCommand{
			Connections: 1, Batch: 1, Accounts: rapid.IntRange(2, 5).Draw(t, "accounts"),
			Hot: share(rapid.Int32Range(0, int32(shareWhole)).Draw(t, "hot")),
		}
		mix, err := newBenchMix(c, 7)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			var in benchStubTransfer
			if err := json.Unmarshal(mix.request(0, nil), &in); err != nil {
				t.Fatal(err)
			}
			if in.Debit == in.Credit || in.Amount == "0.00" || in.ID == "" {
				t.Fatalf("made %+v", in)
			}
		}
	})
}
