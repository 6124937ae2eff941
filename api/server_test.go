package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tallystick/ledger"
	"tallystick/ledger/store/storetest"
)

func TestTheServerSaysHowItIs(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		open := headers{"Authorization": nil}
		b.do("GET", "/healthz", "", open).is(200, "").want("status", "ok")
		b.do("GET", "/readyz", "", open).is(200, "").want("status", "ready")
		if a := b.do("GET", "/openapi.yaml", "", open).is(200, ""); !bytes.Equal(a.body, openAPI) {
			t.Error("/openapi.yaml is not openapi.yaml")
		}
		a := b.get("/v1/engine").is(200, "")
		a.want("version", "1.2.3", "name", b.db.EngineName())
		settings, err := b.db.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range settings {
			a.want("settings."+name, value)
		}
	})
}

func TestAServerThatCannotPostIsNotReady(t *testing.T) {
	t.Parallel()
	b := newBank(t, storetest.Database(t), func(p Poster) Poster { return &posterStub{ready: errors.New("clock off by 3 s at 10.0.0.7")} })
	a := b.do("GET", "/readyz", "", headers{"Authorization": nil}).is(503, codeNotReady)
	a.want("reasons.0", "clock")
	if strings.Contains(string(a.body), "10.0.0.7") || a.header.Get("Retry-After") == "" {
		t.Errorf("answered %s, Retry-After %q", a.body, a.header.Get("Retry-After"))
	}
	b.db.Close()
	if a := b.do("GET", "/readyz", "", headers{"Authorization": nil}).is(503, codeNotReady); a.length("reasons") != 2 {
		t.Errorf("without database and clock the reasons are %s", a.body)
	}
	b.do("GET", "/healthz", "", headers{"Authorization": nil}).is(200, "")
}

// TestFailuresBecomeAnswers: each way in which posting can fail has its code,
// and no error says more than that.
func TestFailuresBecomeAnswers(t *testing.T) {
	t.Parallel()
	const secret = "postgres://tally:hunter2@db.internal/book"
	stub := &posterStub{}
	b := newBank(t, storetest.Database(t), func(Poster) Poster { return stub })
	for _, c := range []struct {
		err    error
		status int
		code   ledger.Code
		retry  string
		level  string
	}{
		{ledger.ErrOverloaded, 503, codeOverloaded, "1", "DEBUG"},
		{ledger.ErrHalted, 503, codeLedgerHalted, "", "WARN"},
		{ledger.ErrUnknownOutcome, 503, codeOutcomeUnknown, "1", "WARN"},
		{ledger.ErrUnavailable, 503, codeUnavailable, "1", "WARN"},
		{ledger.ErrStopped, 503, codeStopping, "5", "WARN"},
		{ledger.ErrPoison, 500, codeInternal, "", "ERROR"},
		{errors.New("unforeseen"), 500, codeInternal, "", "ERROR"},
		{context.DeadlineExceeded, 503, codeUnavailable, "1", "WARN"},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, 503, codeUnavailable, "1", "WARN"},
		{io.ErrUnexpectedEOF, 503, codeUnavailable, "1", "WARN"},
		{sqlError("57P01"), 503, codeUnavailable, "1", "WARN"},
		{sqlError("42P01"), 500, codeInternal, "", "ERROR"},
	} {
		stub.submit = func(context.Context, ledger.LedgerID, ledger.Request) (ledger.Outcome, error) {
			return ledger.Outcome{}, fmt.Errorf("committing to %s: %w", secret, c.err)
		}
		for _, a := range []*answer{
			b.pay("cash", "customers:1", "1"),
			b.post("/v1/ledgers/main/accounts", `{"code":"a","type":"asset","currency":"EUR"}`),
			b.patch("/v1/ledgers/main/accounts/a", `{"frozen":"all"}`),
			b.act("01890a5d-ac96-774b-bcce-b302099a8057/capture", ""),
			b.act("01890a5d-ac96-774b-bcce-b302099a8057/release", ""),
			b.act("01890a5d-ac96-774b-bcce-b302099a8057/reverse?dry_run=true", ""),
			b.do("POST", batchPath, together(item("cash", "customers:1", "1", "")), headers{keyHeader: {"k"}}),
			b.do("POST", batchPath+"?dry_run=true", batchOf(item("cash", "customers:1", "1", "")), headers{keyHeader: {"k"}}),
			b.post("/v1/ledgers/main/currencies", `{"code":"MILES","name":"Miles","scale":0}`),
			b.post("/v1/ledgers/main/periods/close", `{"period_end":"2001-01-31"}`),
			b.post("/v1/ledgers/main/periods/reopen", `{"period_end":"2001-01-31","reason":"x"}`),
		} {
			a.is(c.status, c.code)
			if got := a.header.Get("Retry-After"); got != c.retry {
				t.Errorf("%v: Retry-After is %q, want %q", c.err, got, c.retry)
			}
			if strings.Contains(string(a.body), "hunter2") || strings.Contains(string(a.body), "committing") {
				t.Errorf("%v: the answer tells %s", c.err, a.body)
			}
			if event := b.log.last(); !strings.HasPrefix(event, c.level+" request ") || !strings.Contains(event, secret) {
				t.Errorf("%v: the log says %q, want %s and the error", c.err, event, c.level)
			}
		}
		a := b.post("/v1/ledgers/main/accounts/batch", `{"accounts":[{"code":"a","type":"asset","currency":"EUR"}]}`).is(200, "")
		a.want("results.0.status", fmt.Sprint(c.status), "results.0.problem.code", string(c.code))
		if strings.Contains(string(a.body), "hunter2") {
			t.Errorf("%v: the batch tells %s", c.err, a.body)
		}
		a = b.do("POST", batchPath, batchOf(item("cash", "customers:1", "1", ""), item("cash", "customers:1", "x", "")), headers{keyHeader: {"k"}}).is(200, "")
		a.want("results.0.status", fmt.Sprint(c.status), "results.0.problem.code", string(c.code), "results.1.status", "400")
		if event := b.log.last(); strings.Contains(string(a.body), "hunter2") || !strings.HasPrefix(event, c.level+" request ") || !strings.Contains(event, "items=2 refusals=2") {
			t.Errorf("%v: the batch tells %s, and the log says %q, want %s", c.err, a.body, event, c.level)
		}
	}
}

// sqlError is a database error as the driver has it.
type sqlError string

func (e sqlError) Error() string    { return "database error " + string(e) }
func (e sqlError) SQLState() string { return string(e) }

func TestAPanicIsAnsweredWithoutInternals(t *testing.T) {
	t.Parallel()
	stub := &posterStub{submit: func(context.Context, ledger.LedgerID, ledger.Request) (ledger.Outcome, error) {
		panic("index 17 of account table")
	}}
	b := newBank(t, storetest.Database(t), func(Poster) Poster { return stub })
	a := b.pay("cash", "customers:1", "1").is(500, codeInternal)
	if strings.Contains(string(a.body), "17") {
		t.Errorf("the answer tells of the panic: %s", a.body)
	}
	if event := b.log.last(); !strings.HasPrefix(event, "ERROR") || !strings.Contains(event, "index 17") || !strings.Contains(event, "server_test.go") {
		t.Errorf("the log has %q, want the panic and where it came from", event)
	}
	b.get("/v1/ledgers/main").is(200, "")
}

func TestAnAnswerToADeadDatabase(t *testing.T) {
	t.Parallel()
	b := newBank(t, storetest.Database(t), nil)
	b.get("/v1/ledgers/main").is(200, "")
	b.db.Close()
	for _, path := range []string{"/v1/ledgers", "/v1/ledgers/main", "/v1/ledgers/main/accounts", "/v1/ledgers/main/entries/0", "/v1/engine"} {
		a := b.get(path)
		if a.status < 500 || strings.Contains(string(a.body), "pool") {
			t.Errorf("%s: answered %d %s", path, a.status, a.body)
		}
	}
}

func TestEveryRequestIsOneEvent(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.transfer(`{"debit":"cash","credit":"customers:1","amount":"1","description":"for Ada","reference":"private"}`).is(201, "")
		event := b.log.last()
		for _, want := range []string{"DEBUG request", "method=POST", "route=/v1/ledgers/{ledger}/transfers", "status=201", "seq=6", "replayed=false", "took=", "key=", "ledger="} {
			if !strings.Contains(event, want) {
				t.Errorf("the event %q lacks %q", event, want)
			}
		}
		for _, never := range []string{"Ada", "private", testKey} {
			if strings.Contains(event, never) {
				t.Errorf("the event %q tells %q", event, never)
			}
		}
		count := len(b.log.records)
		b.pay("cash", "nobody", "1").is(422, ledger.CodeUnknownAccount)
		if event := b.log.last(); len(b.log.records) != count+1 || !strings.Contains(event, "DEBUG") || !strings.Contains(event, "code=unknown_account") {
			t.Errorf("a refusal made %d events, the last %q", len(b.log.records)-count, event)
		}
	})
}

func TestMetricsCountRequestsAndEntries(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		for range 3 {
			b.do("POST", "/v1/ledgers/main/transfers", `{"debit":"cash","credit":"customers:1","amount":"1"}`, headers{keyHeader: {"once"}}).is(201, "")
		}
		b.pay("customers:1", "cash", "2").is(422, ledger.CodeLimitExceeded)
		id := b.get("/v1/ledgers/main").text("id")
		a := b.get("/metrics").is(200, "")
		for _, line := range []string{
			`tallystick_http_request_seconds_count{method="POST",route="/v1/ledgers/{ledger}/transfers",status="201"} 3`,
			`tallystick_http_request_seconds_count{method="POST",route="/v1/ledgers/{ledger}/transfers",status="422"} 1`,
			`tallystick_entries_total{ledger="` + id + `"} 6`,
			`tallystick_replays_total{ledger="` + id + `"} 2`,
			`tallystick_refusals_total{ledger="` + id + `"} 1`,
			`tallystick_collisions_total{ledger="` + id + `"}`,
			`tallystick_turns_total{ledger="` + id + `"}`,
			`tallystick_batches_total{ledger="` + id + `"}`,
			`tallystick_queue_length{ledger="` + id + `"} 0`,
			`tallystick_head_seq{ledger="` + id + `"} 6`,
			`tallystick_halted{ledger="` + id + `"} 0`,
			`go_goroutines`,
		} {
			if !strings.Contains(string(a.body), line) {
				t.Errorf("/metrics lacks %s", line)
			}
		}
		if strings.Contains(string(a.body), `status="503"`) {
			t.Error("/metrics shows a status that was never answered")
		}
	})
}

func TestTheServerHasEveryBound(t *testing.T) {
	t.Parallel()
	s := Server(http.NotFoundHandler(), slog.New(&events{}))
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("a bound is missing: %+v", s)
	}
	if s.WriteTimeout <= s.ReadTimeout+ledger.AnswerPatience {
		t.Errorf("WriteTimeout %v cuts off an answer that comes after the slowest body (%v) and the longest wait (%v)",
			s.WriteTimeout, s.ReadTimeout, ledger.AnswerPatience)
	}
}

func TestABodyWithoutLengthIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body string
		code ledger.Code
	}{
		{strings.Repeat(" ", MaxBody+1), codeBodyTooLarge},
		{strings.Repeat(" ", MaxBody-2) + "{}", ""},
	} {
		req := httptest.NewRequest("POST", "/", io.NopCloser(strings.NewReader(c.body)))
		req.ContentLength = -1
		req.Header.Set("Content-Type", "application/json")
		r, err := newReader(req)
		if c.code != "" {
			if p, ok := errors.AsType[*problem](err); !ok || p.code != c.code {
				t.Errorf("%d bytes: %v, want %s", len(c.body), err, c.code)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		r.begin('{')
		if r.next() || r.end() != nil {
			t.Errorf("%d bytes: %v", len(c.body), r.err)
		}
		r.release()
	}
}
