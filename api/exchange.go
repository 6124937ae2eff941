package api

import (
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"tallystick/ledger"
	"tallystick/ledger/store"
)

// exchange is one request and its answer, and what the log says about them.
type exchange struct {
	c      echo.Context
	req    *http.Request
	header http.Header // of the answer
	actor  ledger.KeyID
	scopes store.Scopes    // of the actor's key
	ledger ledger.LedgerID // set by handlers.ledger
	out    []byte          // the body of the answer, reused

	status   int
	size     int
	code     ledger.Code // of a problem
	cause    error       // behind a problem
	stack    []byte      // of a panic
	entrySeq int64       // of the entry that the request became, or −1
	replayed bool
	answered time.Time // when an answer began that goes on; zero for one that is whole
	items    int       // of a batch of transfers
	refusals int       // among them
}

// keptAnswer is the largest buffer that is kept for the next answer, in bytes.
const keptAnswer = 64 << 10

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func newExchange(c echo.Context) *exchange {
	x := exchanges.Get().(*exchange)
	*x = exchange{c: c, req: c.Request(), header: c.Response().Header(), out: x.out[:0], entrySeq: -1}
	return x
}

func (x *exchange) release() {
	out := x.out
	if cap(out) > keptAnswer {
		out = nil
	}
	*x = exchange{out: out}
	exchanges.Put(x)
}

// Values of headers that every answer carries; net/http only reads them.
var (
	jsonType    = []string{"application/json"}
	problemType = []string{"application/problem+json"}
	noStore     = []string{"no-store"}
	noSniff     = []string{"nosniff"}
)

// may reports whether the caller's key has the scope.
func (x *exchange) may(scope store.Scopes) bool { return x.scopes.Has(scope) }

// send answers with x.out as JSON.
func (x *exchange) send(status int) error { return x.sendAs(status, jsonType) }

func (x *exchange) sendAs(status int, contentType []string) error {
	return x.sendWith(status, contentType, noStore)
}

func (x *exchange) sendWith(status int, contentType, cache []string) error {
	x.status, x.size = status, len(x.out)
	x.header["Content-Type"] = contentType
	x.header["Content-Length"] = []string{strconv.Itoa(len(x.out))}
	x.header["Cache-Control"] = cache
	x.header["X-Content-Type-Options"] = noSniff
	w := x.c.Response()
	w.WriteHeader(status)
	// An error means that the client is gone; there is nobody left to tell.
	_, _ = w.Write(x.out)
	return nil
}

// sendProblem answers with a problem, unless an answer has begun already.
func (x *exchange) sendProblem(err error) {
	p := problemOf(err)
	x.code, x.cause = p.code, p.cause
	if x.c.Response().Committed {
		return
	}
	if seconds, ok := retryAfter[p.code]; ok {
		x.header["Retry-After"] = []string{seconds}
	}
	if p.code == codeUnauthenticated {
		x.header.Del("Allow") // the router's, which is for those who may ask
		x.header["Www-Authenticate"] = []string{`Bearer realm="tallystick"`}
	}
	x.out = appendProblem(x.out[:0], p)
	_ = x.sendAs(p.status(), problemType)
}

// param returns a parameter of the path, decoded: some clients escape the ':'
// of account codes. What cannot be decoded names nothing, as "" does.
func (x *exchange) param(name string) string {
	v := x.c.Param(name)
	if !strings.Contains(v, "%") {
		return v
	}
	v, err := url.PathUnescape(v)
	if err != nil {
		return ""
	}
	return v
}

// query returns the parameters of the query.
func (x *exchange) query(allowed ...string) *query {
	return parseQuery(x.req.URL.RawQuery, allowed...)
}

// body begins to read the body of a request to a route without parameters.
func (x *exchange) body() (*reader, error) {
	if x.req.URL.RawQuery != "" {
		if q := x.query(); q.err != nil {
			return nil, q.err
		}
	}
	return newReader(x.req)
}

// optionalBody begins to read a body that may be left out, which is read as an
// object without members.
func (x *exchange) optionalBody() (*reader, error) {
	if x.req.ContentLength != 0 {
		return newReader(x.req)
	}
	r := emptyReader()
	r.body.WriteString("{}")
	r.reset()
	return r, nil
}

// asked begins to answer a request to change a ledger otherwise than by moving
// money: it may come again later and then means something else. begin begins to read
// the body, and decode reads it and returns what all requests have.
func (h *handlers) asked(x *exchange, operation string, begin func() (*reader, error), decode func(*reader) *ledger.Common) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	r, err := begin()
	if err != nil {
		return err
	}
	defer r.release()
	c := decode(r)
	if err := r.end(); err != nil {
		return err
	}
	if c.ID, _, err = freshRequestID(x.req.Header, x.ledger, operation); err != nil {
		return err
	}
	x.identify(c)
	return nil
}

// manner is how a request that moves money is carried out.
type manner struct {
	dry    bool // not at all: it is rehearsed
	sealed bool // and then the answer waits for a checkpoint
}

// manner reads the parameters of routes that move money.
func (x *exchange) manner() (m manner, err error) {
	if x.req.URL.RawQuery == "" {
		return m, nil
	}
	q := x.query("dry_run", "wait")
	m.dry = q.boolean("dry_run")
	if m.sealed = q.has("wait"); m.sealed && q.values["wait"] != "checkpoint" {
		q.fail(codeInvalidParameter, "wait", "the one thing to wait for is checkpoint")
	}
	if m.dry && m.sealed {
		q.fail(codeInvalidParameter, "wait", "a dry run stores nothing that a checkpoint could cover; leave out wait or dry_run")
	}
	return m, q.err
}

// dryRun reads the one parameter of routes that close periods.
func (x *exchange) dryRun() (bool, error) {
	if x.req.URL.RawQuery == "" {
		return false, nil
	}
	q := x.query("dry_run")
	dry := q.boolean("dry_run")
	return dry, q.err
}

// recovered turns a panic into an error that says nothing to the client.
func (x *exchange) recovered(err *error) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v) // net/http's own way to give up on a connection
	}
	x.stack = debug.Stack()
	*err = &problem{code: codeInternal, detail: "an unforeseen error happened; the server's log has it", cause: panicError{v}}
}

// serve makes an Echo handler of a route.
func (h *handlers) serve(r *route) echo.HandlerFunc {
	observe := h.metrics.observer(r.method, r.path)
	return func(c echo.Context) error {
		h.answer(c, r, observe)
		return nil
	}
}

// notRouted answers what Echo's router has no handler for: under /v1 only to
// those who may know what is there.
func (h *handlers) notRouted(err error, c echo.Context) {
	needs := anyone
	if strings.HasPrefix(c.Request().URL.Path, "/v1/") {
		needs = scopeRead
	}
	h.answer(c, &route{
		path:  "none",
		needs: needs,
		serve: func(*handlers, *exchange) error { return err },
	}, h.unrouted)
}

// answer sees one request through: who asks, what happens, what the answer is,
// and one event about all of it.
func (h *handlers) answer(c echo.Context, r *route, observe observer) {
	start := time.Now()
	x := newExchange(c)
	defer x.release()
	if err := h.run(r, x); err != nil {
		x.sendProblem(err)
	}
	took := time.Since(start)
	if x.answered.IsZero() {
		observe.observe(x.status, took)
	} else {
		observe.observe(x.status, x.answered.Sub(start))
	}
	h.log(r, x, took)
}

func (h *handlers) run(r *route, x *exchange) (err error) {
	defer x.recovered(&err)
	if r.needs != anyone {
		p, err := h.keys.principal(x.req.Context(), x.req.Header, r.needs)
		if err != nil {
			return err
		}
		x.actor, x.scopes = p.ID, p.Scopes
	}
	return r.serve(h, x)
}
