package api

import (
	"fmt"
	"slices"
	"strconv"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// rules reads the entries of some kinds that set rules for the whole ledger, in
// order. There are few: a closing a month, a currency now and then.
func (h *handlers) rules(x *exchange, kinds ...chain.Kind) ([]ledger.Entry, error) {
	opening, err := h.DB.Opening(x.req.Context(), x.ledger)
	if err != nil {
		return nil, fmt.Errorf("reading the rules of ledger %s: %w", x.ledger, err)
	}
	entries := slices.DeleteFunc(opening.Rules, func(e ledger.Entry) bool { return !slices.Contains(kinds, e.Record().Kind) })
	for i := range entries {
		if r := entries[i].Record(); !entries[i].Intact() || r.Check() != nil {
			return nil, fmt.Errorf("reading entry %d: %w", entries[i].Seq(), store.ErrDamaged)
		}
	}
	return entries, nil
}

// pageOf returns at most limit elements from the first on whose seq is not below
// from, and the cursor of the next page.
func pageOf[T any](elements []T, seq func(*T) int64, from int64, limit int, list [cursorListSize]byte) (page []T, next string) {
	for len(elements) > 0 && seq(&elements[0]) < from {
		elements = elements[1:]
	}
	if len(elements) > limit {
		return elements[:limit], seqCursor(list, seq(&elements[limit]))
	}
	return elements, ""
}

// detail returns a detail of an entry, "" when it has none of that name.
func detail(e *ledger.Entry, name string) string {
	r := e.Record()
	value, _ := r.Detail(name)
	return value
}

// appendNumber appends a detail that is a number.
func appendNumber(b []byte, value string) []byte {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		panic("the number " + value + " of an entry that was checked is none")
	}
	return strconv.AppendInt(b, n, 10)
}
