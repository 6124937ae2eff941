package api

import (
	"context"
	"time"
)

// readyPatience bounds the questions behind /readyz.
const readyPatience = 2 * time.Second

// health answers GET /healthz: the process runs and serves.
func (h *handlers) health(x *exchange) error {
	x.out = append(x.out, `{"status":"ok"}`...)
	return x.send(200)
}

// ready answers GET /readyz: this process can read and post. The reasons name
// the checks that fail and nothing else, for anyone may ask; the log has the
// errors. A ledger that is halted is no reason: its own requests say so, and
// the other ledgers go on.
func (h *handlers) ready(x *exchange) error {
	ctx, cancel := context.WithTimeout(x.req.Context(), readyPatience)
	defer cancel()
	p := newProblem(codeNotReady, "this server cannot post at the moment; reasons names the checks that fail")
	if err := h.DB.Ping(ctx); err != nil {
		p.reasons, p.cause = append(p.reasons, "database"), err
	}
	if err := h.Poster.Ready(); err != nil {
		p.reasons, p.cause = append(p.reasons, "clock"), err
	}
	if p.reasons != nil {
		return p
	}
	x.out = append(x.out, `{"status":"ready"}`...)
	return x.send(200)
}
