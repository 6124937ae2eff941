package witness

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"tallystick/ledger/chain"
)

// MaxAtOnce is how many requests are read and answered at once; more are told
// to come again.
const MaxAtOnce = 256

// ErrBusy: MaxAtOnce requests are at work.
var ErrBusy = errors.New("too many requests at once")

// errTooLarge: the request has more than MaxRequest bytes.
var errTooLarge = fmt.Errorf("the request has more than %d bytes", MaxRequest)

// statusOf is the only place that knows both why a witness refuses and how HTTP
// says it. ErrFork is 409 in the released version 1.0.0 of C2SP tlog-witness,
// and 422 in the draft of the next; it must not be taken for ErrSize, so it has
// another Content-Type.
func statusOf(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrMalformed):
		return http.StatusBadRequest
	case errors.Is(err, ErrUnknownOrigin):
		return http.StatusNotFound
	case errors.Is(err, ErrUntrusted):
		return http.StatusForbidden
	case errors.Is(err, ErrSize), errors.Is(err, ErrFork):
		return http.StatusConflict
	case errors.Is(err, ErrUnproven):
		return http.StatusUnprocessableEntity
	case errors.Is(err, ErrBusy), errors.Is(err, ErrStopped):
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// Ours reports whether a cosignature failed on this machine, and not because of
// what was asked.
func Ours(err error) bool {
	return errors.Is(err, ErrStopped) || statusOf(err) == http.StatusInternalServerError
}

// Handler returns the HTTP side of the witness:
//
//	POST /add-checkpoint             C2SP tlog-witness
//	GET  /{origin hash}/checkpoint   the newest cosigned checkpoint of an origin
//	GET  /                           the key of the witness and its logs, as text
//	GET  /healthz  /metrics
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+addPath, w.serveAdd)
	mux.HandleFunc("GET /{hash}/checkpoint", w.serveHead)
	mux.HandleFunc("GET /{$}", w.servePage)
	mux.HandleFunc("GET /healthz", w.serveHealth)
	mux.HandleFunc("GET /metrics", w.serveMetrics)
	return mux
}

func (w *Witness) serveAdd(out http.ResponseWriter, in *http.Request) {
	began := time.Now()
	line, event := w.answer(out, in)
	event.Took = time.Since(began)
	status := statusOf(event.Err)
	w.counts.add(status)
	w.saw(event)
	header := out.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	var size *SizeError
	switch {
	case event.Err == nil:
		_, _ = io.WriteString(out, line+"\n")
	case errors.As(event.Err, &size):
		header.Set("Content-Type", sizeType)
		out.WriteHeader(status)
		_, _ = io.WriteString(out, strconv.FormatInt(size.Have, 10)+"\n")
	case status == http.StatusInternalServerError:
		out.WriteHeader(status) // what went wrong is for the log, not for the network
		_, _ = io.WriteString(out, "the witness has a problem of its own; its operator's log says which\n")
	default:
		if errors.Is(event.Err, ErrBusy) {
			header.Set("Retry-After", "1")
		}
		out.WriteHeader(status)
		_, _ = io.WriteString(out, reason(event.Err)+"\n")
	}
}

// reason says why there is no cosignature, in one line and without what is on
// this machine.
func reason(err error) string {
	if errors.Is(err, ErrStopped) {
		return ErrStopped.Error()
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

func (w *Witness) answer(out http.ResponseWriter, in *http.Request) (line string, event Event) {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	default:
		event.Err = ErrBusy
		return "", event
	}
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, int64(MaxRequest)))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		event.Err = errTooLarge
		return "", event
	case err != nil:
		event.Err = fmt.Errorf("receiving the request: %w: %w", err, ErrMalformed)
		return "", event
	}
	r, err := ParseRequest(body)
	if err != nil {
		event.Err = err
		return "", event
	}
	if claimed, err := chain.OpenCheckpoint(r.Checkpoint); errors.Is(err, chain.ErrUnknownKey) {
		event.Origin, event.Size = claimed.Origin, claimed.Size
	}
	line, event.Err = w.Add(r)
	return line, event
}

func (w *Witness) serveHead(out http.ResponseWriter, in *http.Request) {
	for _, l := range w.logs {
		if l.hash != in.PathValue("hash") {
			continue
		}
		if seen := l.seen(); seen.Note != nil {
			out.Header().Set("Content-Type", "text/plain; charset=utf-8")
			out.Header().Set("Cache-Control", "no-cache")
			_, _ = out.Write(seen.Note)
			return
		}
	}
	http.Error(out, "this witness has cosigned nothing of a log with that origin hash", http.StatusNotFound)
}

func (w *Witness) servePage(out http.ResponseWriter, _ *http.Request) {
	out.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(out, "Tallystick witness (https://c2sp.org/tlog-witness)\n\nverifier key  %s\n", w.public)
	for _, h := range w.Heads() {
		fmt.Fprintf(out, "\norigin        %s\n", h.Origin)
		if h.Note == nil {
			fmt.Fprintln(out, "cosigned      nothing yet")
			continue
		}
		fmt.Fprintf(out, "size          %d\nroot          %s\ncosigned      %s\ncheckpoint    /%s/checkpoint\n",
			h.Size, h.Root, h.At.UTC().Format(time.RFC3339), OriginHash(h.Origin))
		if h.Fork {
			fmt.Fprintln(out, "FORK          the log has signed two histories; this witness cosigned one, and keeps two notes of one size as proof")
		}
		if h.Stopped != nil {
			fmt.Fprintln(out, "STOPPED       "+reason(h.Stopped))
		}
	}
}

func (w *Witness) serveHealth(out http.ResponseWriter, _ *http.Request) {
	for _, h := range w.Heads() {
		if h.Stopped != nil {
			http.Error(out, h.Origin+": "+reason(h.Stopped), http.StatusServiceUnavailable)
			return
		}
	}
	_, _ = io.WriteString(out, "ok\n")
}

// counts is how many requests got each status.
type counts struct {
	mu       sync.Mutex
	byStatus map[int]int64
}

func (c *counts) add(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byStatus == nil {
		c.byStatus = make(map[int]int64)
	}
	c.byStatus[status]++
}

// statuses are those that statusOf returns.
var statuses = []int{200, 400, 403, 404, 409, 413, 422, 500, 503}

// label quotes what Prometheus wants quoted.
var label = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (w *Witness) serveMetrics(out http.ResponseWriter, _ *http.Request) {
	out.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	fmt.Fprint(out, "# HELP tallystick_witness_requests_total Requests for a cosignature, by the status of the answer.\n# TYPE tallystick_witness_requests_total counter\n")
	w.counts.mu.Lock()
	for _, status := range statuses {
		fmt.Fprintf(out, "tallystick_witness_requests_total{status=\"%d\"} %d\n", status, w.counts.byStatus[status])
	}
	w.counts.mu.Unlock()
	heads := w.Heads()
	gauge := func(name, help string, value func(Head) int64) {
		fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
		for _, h := range heads {
			fmt.Fprintf(out, "%s{origin=\"%s\"} %d\n", name, label.Replace(h.Origin), value(h))
		}
	}
	gauge("tallystick_witness_size", "Size of the newest cosigned checkpoint.", func(h Head) int64 { return h.Size })
	gauge("tallystick_witness_cosigned_timestamp_seconds", "When it was cosigned; 0 if nothing was.", func(h Head) int64 {
		if h.Note == nil {
			return 0
		}
		return h.At.Unix()
	})
	gauge("tallystick_witness_fork", "1 if the log has signed two histories.", func(h Head) int64 { return flag(h.Fork) })
	gauge("tallystick_witness_stopped", "1 if nothing is cosigned until the witness is started again.", func(h Head) int64 { return flag(h.Stopped != nil) })
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
