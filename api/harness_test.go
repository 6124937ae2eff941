package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// bank is a server on a database of its own, with the ledger main and the
// accounts of openAccounts.
type bank struct {
	t      testing.TB
	db     *store.DB
	poster Poster
	url    string // of the server

	database     string      // its URL
	eraserBroken atomic.Bool // texts are not deleted
	runsFull     atomic.Bool // no run can be started
	client       *http.Client
	log          *events
	breaks       *BreakBook // of the newest run
	reports      *Reporter
	ending       chan struct{} // closed: the server stops
}

const testKey = "tk_test_4ZQ9"

// withBank runs f on a fresh bank for each engine, and the audit after it.
func withBank(t *testing.T, f func(t *testing.T, b *bank)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBank(t, url, nil)
		f(t, b)
		b.audit(t, url)
	})
}

// newBank serves the database at url. wrap, when not nil, stands between API
// and sequencers.
func newBank(t testing.TB, url string, wrap func(Poster) Poster) *bank {
	t.Helper()
	return newBankWith(t, url, func(db *store.DB) Poster {
		sequencers := ledger.NewSequencers(context.WithoutCancel(t.Context()), db, db.ClockOffset)
		t.Cleanup(sequencers.Stop)
		if wrap != nil {
			return wrap(sequencers)
		}
		return sequencers
	})
}

// erase deletes texts as the eraser does.
func (b *bank) erase(ctx context.Context, id ledger.LedgerID, seqs []int64) error {
	if b.eraserBroken.Load() {
		return errors.New("the eraser is broken")
	}
	db, err := store.Open(ctx, b.database, store.RoleEraser, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.EraseTexts(ctx, id, seqs)
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// withClock is withBank with a clock that only tests move.
func withClock(t *testing.T, f func(t *testing.T, b *bank, c *clock)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, url string) {
		c := &clock{now: time.Now()}
		b := newBankWith(t, url, func(db *store.DB) Poster {
			sequencers := ledger.NewSimulation(context.WithoutCancel(t.Context()), db, c.read)
			t.Cleanup(sequencers.Stop)
			return sequencers
		})
		c.pass(time.Since(c.read())) // beyond the opening of the ledger
		f(t, b, c)
		b.audit(t, url)
	})
}

// newBankWith serves the database at url with a poster of its own.
func newBankWith(t testing.TB, url string, open func(*store.DB) Poster) *bank {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, url, store.RoleApp, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.EnsureKey(ctx, sha256.Sum256([]byte(testKey)), "test", scopeAdmin); err != nil {
		t.Fatal(err)
	}
	poster := open(db)
	log := &events{}
	b := &bank{t: t, db: db, poster: poster, log: log, database: url, reports: testReporter(db), ending: make(chan struct{})}
	server := httptest.NewUnstartedServer(nil)
	server.Config = Server(New(Config{DB: db, Poster: poster, Host: "bank.test", Version: "1.2.3", Log: slog.New(log), Erase: b.erase, Reports: b.reports, Night: b.night(), Ending: b.ending,
		Bank: BankDesk{Take: b.take, Breaks: func(context.Context, ledger.LedgerID) (*BreakBook, error) { return b.breaks, nil }}}), slog.New(log))
	server.Start()
	t.Cleanup(server.Close)
	b.url, b.client = server.URL, server.Client()
	b.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	b.post("/v1/ledgers", `{"name":"main","base_currency":"EUR"}`).is(201, "")
	return b
}

// openAccounts opens the accounts that most tests use.
func (b *bank) openAccounts() *bank {
	b.t.Helper()
	for _, account := range []string{
		`{"code":"cash","type":"asset","currency":"EUR"}`,
		`{"code":"customers:1","type":"liability","currency":"EUR","min_balance":"0"}`,
		`{"code":"customers:2","type":"liability","currency":"EUR","min_balance":"0","max_balance":"100.00"}`,
		`{"code":"yen","type":"asset","currency":"JPY"}`,
		`{"code":"yen:out","type":"liability","currency":"JPY"}`,
	} {
		b.post("/v1/ledgers/main/accounts", account).is(201, "")
	}
	return b
}

// answer is what the server said, already held against openapi.yaml.
type answer struct {
	t      testing.TB
	asked  string
	status int
	header http.Header
	body   []byte
	tree   any
}

// headers for requests that need more than the usual ones; a nil value removes
// one, several values send it several times.
type headers map[string][]string

func (b *bank) do(method, path, body string, with headers) *answer {
	b.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, reader)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range with {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	return b.send(req)
}

// send sends a request and checks its answer against openapi.yaml.
func (b *bank) send(req *http.Request) *answer {
	b.t.Helper()
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body io.Reader = resp.Body
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		body = io.LimitReader(body, int64(len("retry: "))) // it does not end by itself
	}
	text, err := io.ReadAll(body)
	if err != nil {
		b.t.Fatal(err)
	}
	a := &answer{t: b.t, asked: req.Method + " " + req.URL.RequestURI(), status: resp.StatusCode, header: resp.Header, body: text}
	if err := openDocument(b.t).check(req.Method, req.URL.EscapedPath(), a.status, a.header, text); err != nil {
		b.t.Errorf("%s: answer %d %s does not fit openapi.yaml: %v", a.asked, a.status, text, err)
	}
	if strings.HasSuffix(resp.Header.Get("Content-Type"), "json") {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&a.tree); err != nil {
			b.t.Fatalf("%s: %v in %s", a.asked, err, text)
		}
	}
	return a
}

func (b *bank) post(path, body string) *answer { b.t.Helper(); return b.do("POST", path, body, nil) }
func (b *bank) patch(path, body string) *answer {
	b.t.Helper()
	return b.do("PATCH", path, body, nil)
}
func (b *bank) get(path string) *answer { b.t.Helper(); return b.do("GET", path, "", nil) }

// transfer posts a transfer under a fresh key.
func (b *bank) transfer(body string) *answer {
	b.t.Helper()
	return b.do("POST", "/v1/ledgers/main/transfers", body, headers{"Idempotency-Key": {uuid.NewString()}})
}

// act posts what acts on a transfer, under a fresh key; path is such as
// "ID/capture".
func (b *bank) act(path, body string) *answer {
	b.t.Helper()
	return b.do("POST", "/v1/ledgers/main/transfers/"+path, body, headers{"Idempotency-Key": {uuid.NewString()}})
}

// id returns the id of a ledger.
func (b *bank) id(name string) ledger.LedgerID {
	b.t.Helper()
	id, err := b.db.LedgerID(b.t.Context(), name)
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// keyWith returns the header of an API key with only these scopes.
func (b *bank) keyWith(scopes store.Scopes) headers {
	b.t.Helper()
	key := "tk_" + uuid.NewString()
	if _, err := b.db.EnsureKey(b.t.Context(), sha256.Sum256([]byte(key)), key, scopes); err != nil {
		b.t.Fatal(err)
	}
	return headers{"Authorization": {"Bearer " + key}, "Idempotency-Key": {uuid.NewString()}}
}

// pay posts amount from debit to credit.
func (b *bank) pay(debit, credit, amount string) *answer {
	b.t.Helper()
	return b.transfer(fmt.Sprintf(`{"debit":%q,"credit":%q,"amount":%q}`, debit, credit, amount))
}

// size returns the number of entries of the ledger main.
func (b *bank) size() string { b.t.Helper(); return b.get("/v1/ledgers/main").is(200, "").text("size") }

// is requires a status, and a code in a problem.
func (a *answer) is(status int, code ledger.Code) *answer {
	a.t.Helper()
	got := ""
	if a.status >= 400 {
		got = a.text("code")
	}
	if a.status != status || got != string(code) {
		a.t.Fatalf("%s: answered %d %s, want %d %s", a.asked, a.status, a.body, status, code)
	}
	return a
}

// at follows keys and indexes into the answer.
func (a *answer) at(path ...any) any {
	a.t.Helper()
	here := a.tree
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := here.(map[string]any)
			if !ok {
				a.t.Fatalf("%s: no %v in %s", a.asked, path, a.body)
			}
			here = object[step]
		case int:
			array, ok := here.([]any)
			if !ok || step >= len(array) {
				a.t.Fatalf("%s: no %v in %s", a.asked, path, a.body)
			}
			here = array[step]
		}
	}
	return here
}

// text returns what stands at path as text; null and nothing are "".
func (a *answer) text(path ...any) string {
	a.t.Helper()
	if v := a.at(path...); v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// want compares what stands at a path of keys, joined by dots, with a text.
func (a *answer) want(pairs ...string) *answer {
	a.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		var path []any
		for key := range strings.SplitSeq(pairs[i], ".") {
			var index int
			if n, err := fmt.Sscanf(key, "%d", &index); n == 1 && err == nil {
				path = append(path, index)
			} else {
				path = append(path, key)
			}
		}
		if got := a.text(path...); got != pairs[i+1] {
			a.t.Errorf("%s: %s is %q, want %q in %s", a.asked, pairs[i], got, pairs[i+1], a.body)
		}
	}
	return a
}

// length returns the number of elements at path.
func (a *answer) length(path ...any) int {
	a.t.Helper()
	array, ok := a.at(path...).([]any)
	if !ok {
		a.t.Fatalf("%s: %v is no array in %s", a.asked, path, a.body)
	}
	return len(array)
}

// events is a log that tests read.
type events struct {
	mu      sync.Mutex
	records []slog.Record
}

func (e *events) Enabled(context.Context, slog.Level) bool { return true }
func (e *events) WithAttrs([]slog.Attr) slog.Handler       { return e }
func (e *events) WithGroup(string) slog.Handler            { return e }
func (e *events) Handle(_ context.Context, r slog.Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.records = append(e.records, r)
	return nil
}

// last returns the newest event as "LEVEL message key=value …".
func (e *events) last() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.records) == 0 {
		return ""
	}
	r := e.records[len(e.records)-1]
	text := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	return text
}

// posterStub answers without a ledger.
type posterStub struct {
	submit func(context.Context, ledger.LedgerID, ledger.Request) (ledger.Outcome, error)
	ready  error
}

func (p *posterStub) Submit(ctx context.Context, id ledger.LedgerID, r ledger.Request) (ledger.Outcome, error) {
	return p.submit(ctx, id, r)
}

func (p *posterStub) SubmitAll(ctx context.Context, id ledger.LedgerID, requests []ledger.Request) []ledger.Result {
	results := make([]ledger.Result, len(requests))
	for i, r := range requests {
		results[i].Outcome, results[i].Err = p.submit(ctx, id, r)
	}
	return results
}

func (p *posterStub) Rehearse(ctx context.Context, id ledger.LedgerID, requests []ledger.Request) ([]ledger.Outcome, error) {
	outcomes := make([]ledger.Outcome, len(requests))
	for i, r := range requests {
		var err error
		if outcomes[i], err = p.submit(ctx, id, r); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

func (p *posterStub) Ready() error                            { return p.ready }
func (p *posterStub) Stats() map[ledger.LedgerID]ledger.Stats { return nil }
