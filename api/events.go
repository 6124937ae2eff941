package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Bounds of event streams.
const (
	// MaxEventStreams is how many are open at once; others are turned away.
	MaxEventStreams = 256
	// EventHeartbeat is the longest silence of a stream: then it says that it lives.
	EventHeartbeat = 15 * time.Second
	// EventWriteTimeout is how long a client may take to take what is written.
	EventWriteTimeout = 30 * time.Second
	// eventRetry is what clients are told to wait before they connect again.
	eventRetry = 2 * time.Second
	// eventPage is how many entries are read together: what a stream holds in memory.
	eventPage = 128
	// maxEventReads is how many streams read from the database at once, so that the
	// connections are not all theirs.
	maxEventReads = 4
)

// newHeads returns what waits until the size of a ledger, the newest of it, is another
// one: a larger one, or a smaller one when it has lost entries.
func newHeads(size func(context.Context, uuid.UUID) (int64, error)) *watches[int64] {
	return &watches[int64]{
		newest: size, covers: func(size, known int64) bool { return size != known },
		patience: EventHeartbeat, most: MaxEventStreams, full: ledger.ErrOverloaded, logs: make(map[uuid.UUID]*watch[int64]),
	}
}

// stream is one stream of server-sent events (HTML Living Standard, section 9.2): the
// entries of a ledger in the order of seq, those that are there and those that come,
// each with its seq as the id and the entry as the data. A position without data, which
// clients remember and do not show, keeps them from having looked through again what
// a filter passed over.
type stream struct {
	h      *handlers
	x      *exchange
	rc     *http.ResponseController
	filter store.EntryFilter
	next   int64       // the first entry that was not looked at
	told   int64       // the position that the client knows, −1 for none
	before *chain.Hash // of the entry before next, once it is known
}

// followEntries answers GET /v1/ledgers/{ledger}/events until the client leaves, its
// key is withdrawn, or the server stops.
func (h *handlers) followEntries(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	s := &stream{h: h, x: x, rc: http.NewResponseController(x.c.Response())}
	if err := s.begin(); err != nil {
		return err
	}
	if !h.streams.TryAcquire(1) {
		return newProblem(codeOverloaded, "%d clients follow ledgers here; try again later, or on another server", MaxEventStreams)
	}
	defer h.streams.Release(1)
	h.metrics.streams.Inc()
	defer h.metrics.streams.Dec()
	ctx, cancel := context.WithCancel(x.req.Context())
	defer cancel()
	go func() {
		select {
		case <-ctx.Done():
		case <-h.Ending:
			cancel()
		}
	}()
	return s.run(ctx)
}

// begin reads what is asked for.
func (s *stream) begin() error {
	q := s.x.query("from", "kind", "account", "account_prefix")
	s.filter = store.EntryFilter{Limit: eventPage, Kinds: q.kinds("kind"), Account: q.code("account"), AccountPrefix: q.code("account_prefix")}
	size, err := s.h.DB.Size(s.x.req.Context(), s.x.ledger.UUID)
	if err == nil && size == 0 {
		err = store.ErrDamaged // all its entries are gone
	}
	if err != nil {
		return fmt.Errorf("finding where to begin: %w", err)
	}
	if s.next, s.told = size, -1; q.values["from"] != "now" {
		s.next = max(q.seq("from"), 0)
	}
	field, seen := "from", s.x.req.Header["Last-Event-Id"]
	if len(seen) > 1 || len(seen) == 1 && seen[0] != "" {
		field = "Last-Event-ID"
		seq, ok := parseSeq(seen[0])
		if !ok || len(seen) > 1 {
			return fieldProblem(codeInvalidParameter, field, "the header is the id of an event, a whole number from 0 on with at most %d digits, and stands once", maxSeqDigits)
		}
		s.next, s.told = seq+1, seq
	}
	if q.err != nil {
		return q.err
	}
	if s.next > size {
		return fieldProblem(codeSeqNotReached, field, "this ledger has the entries 0 to %d so far; a position beyond them is of another ledger, or the ledger has lost entries", size-1)
	}
	s.before, err = s.h.hashAt(s.x.req.Context(), s.x.ledger, s.next-1, nil)
	return err
}

// kinds returns a list of kinds of entry, separated by commas; nil when it is not given.
func (q *query) kinds(name string) []chain.Kind {
	text, ok := q.values[name]
	if !ok {
		return nil
	}
	var kinds []chain.Kind
	for word := range strings.SplitSeq(text, ",") {
		kind, known := chain.KindNamed(word)
		if !known || slices.Contains(kinds, kind) {
			q.fail(codeInvalidParameter, name, "kinds of entry, each once, with commas between them: such as transfer,capture,reversal")
			return nil
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// eventBlocks are the events of a page of entries, as they are written.
type eventBlocks struct {
	text    []byte
	entries int
	last    int64 // the seq of the last of them
	next    int64 // the first entry that was not looked at
	more    bool  // there is more to look at already
	// before is the hash of the entry before the first that was looked at, nil where
	// there is none, and after that of the last.
	before, after *chain.Hash
}

// run writes events until ctx ends. The first page is read before the answer begins:
// what is wrong with it is told as a problem. Afterwards the stream just ends, and the
// client is told when it connects again.
func (s *stream) run(ctx context.Context) error {
	blocks, err := s.read(ctx)
	if err != nil {
		return err
	}
	s.open()
	for {
		if err := s.write(blocks); err != nil {
			return nil // the client is gone, or too slow
		}
		if !blocks.more {
			_, err = s.h.heads.await(ctx, s.x.ledger.UUID, s.next)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if _, err = s.h.keys.principal(ctx, s.x.req.Header, scopeRead); err != nil {
			return err
		}
		if blocks, err = s.read(ctx); err != nil {
			return err
		}
	}
}

// read reads the next entries that the filter selects. Those who are woken together
// have got equally far: one of them reads for all.
func (s *stream) read(ctx context.Context) (*eventBlocks, error) {
	f := s.filter
	f.From = s.next
	shared, err, _ := s.h.eventPages.Do(fmt.Sprint(s.x.ledger, f.Kinds, f.Account, " ", f.AccountPrefix, " ", f.From), func() (any, error) {
		// It is not up to one of them to break off.
		together, cancel := context.WithTimeout(context.WithoutCancel(ctx), EventHeartbeat)
		defer cancel()
		return s.h.readEvents(together, s.x.ledger, f)
	})
	if err != nil {
		return nil, fmt.Errorf("following the entries from %d on: %w", s.next, err)
	}
	blocks := shared.(*eventBlocks)
	if s.before != nil && *s.before != *blocks.before {
		return nil, fmt.Errorf("following the entries from %d on: entry %d is not the one any more that the client was told of: %w", s.next, s.next-1, store.ErrDamaged)
	}
	s.next, s.before = blocks.next, blocks.after
	return blocks, nil
}

// readEvents reads a page, between the hashes of the entries at its edges, by which
// the next page is known to follow this one.
func (h *handlers) readEvents(ctx context.Context, id ledger.LedgerID, f store.EntryFilter) (*eventBlocks, error) {
	if err := h.eventReads.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer h.eventReads.Release(1)
	page, err := h.DB.Entries(ctx, id, f)
	if err != nil {
		return nil, err
	}
	blocks := &eventBlocks{entries: len(page.Entries), next: page.AsOf + 1, more: page.Next != nil}
	if blocks.more {
		blocks.next = *page.Next
	}
	if whole := len(f.Kinds) == 0 && f.Account == "" && f.AccountPrefix == ""; blocks.next < f.From || whole && int64(len(page.Entries)) != blocks.next-f.From {
		return nil, fmt.Errorf("reading entries %d to %d: some are gone: %w", f.From, blocks.next-1, store.ErrDamaged)
	}
	for i := range page.Entries {
		e := &page.Entries[i]
		blocks.last = e.Seq()
		blocks.text = strconv.AppendInt(append(blocks.text, "id: "...), blocks.last, 10)
		begin := len(blocks.text) + len("\ndata: ")
		blocks.text = appendEntry(append(blocks.text, "\ndata: "...), e)
		if bytes.ContainsAny(blocks.text[begin:], "\r\n") { // no client could have asked for that
			return nil, fmt.Errorf("reading entry %d: its text has line breaks where none can be: %w", blocks.last, store.ErrDamaged)
		}
		blocks.text = append(blocks.text, "\n\n"...)
	}
	if blocks.before, err = h.hashAt(ctx, id, f.From-1, page.Entries); err == nil {
		blocks.after, err = h.hashAt(ctx, id, blocks.next-1, page.Entries)
	}
	return blocks, err
}

// hashAt returns the hash of an entry, nil before the first one: out of a page of
// others if one of them is it, or names it as the one before.
func (h *handlers) hashAt(ctx context.Context, id ledger.LedgerID, seq int64, page []ledger.Entry) (*chain.Hash, error) {
	if seq < 0 {
		return nil, nil
	}
	if n := len(page); n > 0 && page[n-1].Seq() == seq {
		return new(page[n-1].Hash()), nil
	}
	if len(page) > 0 && page[0].Seq() == seq+1 {
		return new(page[0].Record().PrevHash), nil
	}
	hashes, err := h.DB.Nodes(ctx, id.UUID)(0, seq, 1)
	switch {
	case errors.Is(err, chain.ErrNodes):
		return nil, fmt.Errorf("reading entry %d: it is gone: %w", seq, store.ErrDamaged)
	case err != nil:
		return nil, err
	}
	return &hashes[0], nil
}

// open begins the answer.
func (s *stream) open() {
	// A body that is announced and does not come would be waited for without bound.
	_ = s.x.req.Body.Close()
	_ = s.rc.SetReadDeadline(time.Time{}) // nothing more is read, and that of the request would end the stream
	s.x.header["Content-Type"] = []string{"text/event-stream"}
	s.x.header["Cache-Control"] = noStore
	s.x.header["X-Content-Type-Options"] = noSniff
	s.x.header["X-Accel-Buffering"] = []string{"no"} // proxies like nginx would hold events back
	s.x.status = 200
	s.x.answered = time.Now()
	s.x.c.Response().WriteHeader(200)
	n, _ := fmt.Fprintf(s.x.c.Response(), "retry: %d\n\n", eventRetry.Milliseconds()) // the next write finds out as well
	s.x.size += n
}

// write writes a page, the position if no event of the page tells it, or a comment for
// a sign of life.
func (s *stream) write(blocks *eventBlocks) error {
	if blocks.entries > 0 {
		s.told = blocks.last
	}
	var rest []byte
	switch position := s.next - 1; {
	case position > s.told:
		s.told = position
		rest = append(strconv.AppendInt(append(rest, "id: "...), position, 10), "\n\n"...)
	case blocks.entries == 0:
		rest = append(rest, ":\n\n"...)
	}
	_ = s.rc.SetWriteDeadline(time.Now().Add(EventWriteTimeout))
	for _, part := range [][]byte{blocks.text, rest} {
		n, err := s.x.c.Response().Write(part)
		s.x.size += n
		if err != nil {
			return err
		}
	}
	s.h.metrics.sent(blocks.entries)
	return s.rc.Flush()
}
