package api

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// panicError carries the value of a panic to the log.
type panicError struct{ value any }

func (p panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// log writes the one event of a request. It holds ids and figures, never a
// body, a description or a key. What goes as it should, refusals included, is
// told at debug level; a server that turns requests away because it is full
// does not fill its log about it as well. A batch of which something failed is
// told with the first failure.
func (h *handlers) log(r *route, x *exchange, took time.Duration) {
	level := slog.LevelDebug
	switch {
	case x.code == codeOverloaded:
	case x.status >= 500 && x.status != 503, x.status < 400 && x.cause != nil && problemOf(x.cause).code == codeInternal:
		level = slog.LevelError
	case x.status == 503, x.status < 400 && x.cause != nil:
		level = slog.LevelWarn
	}
	ctx := x.req.Context()
	if !h.Log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs,
		slog.String("method", x.req.Method),
		slog.String("route", r.path),
		slog.Int("status", x.status),
		slog.Duration("took", took),
		slog.Int("answer_bytes", x.size),
		slog.String("key", x.actor.String()),
	)
	if x.ledger.UUID != uuid.Nil {
		attrs = append(attrs, slog.String("ledger", x.ledger.String()))
	}
	if x.entrySeq >= 0 {
		attrs = append(attrs, slog.Int64("seq", x.entrySeq), slog.Bool("replayed", x.replayed))
	}
	if x.items > 0 {
		attrs = append(attrs, slog.Int("items", x.items), slog.Int("refusals", x.refusals))
	}
	if x.code != "" {
		attrs = append(attrs, slog.String("code", string(x.code)))
	}
	if x.cause != nil {
		attrs = append(attrs, slog.String("error", x.cause.Error()))
	}
	if x.stack != nil {
		attrs = append(attrs, slog.String("stack", string(x.stack)))
	}
	h.Log.LogAttrs(ctx, level, "request", attrs...)
}
