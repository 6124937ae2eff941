package api

import (
	"errors"
	"fmt"

	"tallystick/ledger"
	"tallystick/ledger/store"
)

// listEntries answers GET /v1/ledgers/{ledger}/entries, in the order of seq,
// from being inclusive.
func (h *handlers) listEntries(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("from", "limit", "cursor")
	f := store.EntryFilter{Limit: q.limit()}
	list := listID("entries", x.ledger.String(), q.values["from"])
	f.From = q.from(list, max(q.seq("from"), 0))
	if q.err != nil {
		return q.err
	}
	return h.sendEntries(x, f, list)
}

// sendEntries answers with a page of entries. A page may have fewer than its
// limit and still go on: looking for matches ends after a bounded number of
// entries.
func (h *handlers) sendEntries(x *exchange, f store.EntryFilter, list [cursorListSize]byte) error {
	page, err := h.DB.Entries(x.req.Context(), x.ledger, f)
	if err != nil {
		return fmt.Errorf("listing entries from %d: %w", f.From, err)
	}
	next := ""
	if page.Next != nil {
		next = seqCursor(list, *page.Next)
	}
	x.out = appendList(x.out, page.Entries, next, appendEntry)
	return x.send(200)
}

// oneEntry answers GET /v1/ledgers/{ledger}/entries/{seq}.
func (h *handlers) oneEntry(x *exchange) error {
	if q := x.query(); q.err != nil {
		return q.err
	}
	if err := h.findLedger(x); err != nil {
		return err
	}
	seq, ok := parseSeq(x.param("seq"))
	if !ok {
		return newProblem(ledger.CodeEntryNotFound, "entries are named by their seq, a whole number from 0 on")
	}
	e, err := h.DB.Entry(x.req.Context(), x.ledger, seq)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return newProblem(ledger.CodeEntryNotFound, "this ledger has no entry %d yet", seq)
	case err != nil:
		return fmt.Errorf("reading entry %d: %w", seq, err)
	}
	x.entrySeq = seq
	x.out = appendEntry(x.out, &e)
	return x.send(200)
}
