package api

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"tallystick/ledger/store"
)

// balance answers GET /v1/ledgers/{ledger}/accounts/{account}/balance: now, as
// of a seq, or as of a time, which means the last seq recorded up to it.
func (h *handlers) balance(x *exchange) error {
	q := x.query("at", "seq")
	at, seq := q.time("at"), q.seq("seq")
	if at != nil && q.has("seq") {
		q.fail(codeInvalidParameter, "seq", "at and seq exclude each other")
	}
	if q.err != nil {
		return q.err
	}
	if err := h.findLedger(x); err != nil {
		return err
	}
	code, err := x.accountCode()
	if err != nil {
		return err
	}
	if seq, err = h.asOf(x, at, seq); err != nil {
		return err
	}
	a, err := h.DB.AccountAt(x.req.Context(), x.ledger, code, seq)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return newProblem(codeAccountNotFound, "this ledger had no account of that code at seq %d", seq)
	case err != nil:
		return fmt.Errorf("reading account %s at seq %d: %w", code, seq, err)
	}
	x.out = appendString(append(x.out, `{"account":`...), a.Code)
	x.out = appendString(append(x.out, `,"currency":`...), a.Currency)
	x.out = appendBalance(append(x.out, ','), &a)
	x.out = strconv.AppendInt(append(x.out, `,"seq":`...), seq, 10)
	x.out = append(x.out, '}')
	return x.send(200)
}

// asOf returns the seq that a question is about: that of a time, a given one
// (−1 for none), or the newest. A seq that the ledger does not have yet is
// refused, because the answer would change.
func (h *handlers) asOf(x *exchange, at *time.Time, seq int64) (int64, error) {
	if at != nil {
		n, err := h.DB.SeqAt(x.req.Context(), x.ledger, *at)
		if err != nil {
			return 0, fmt.Errorf("finding the seq at %s: %w", at, err)
		}
		return n, nil
	}
	info, err := h.DB.Ledger(x.req.Context(), x.ledger.String())
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading the size of ledger %s: %w", x.ledger, err)
	case seq < 0:
		return info.Size - 1, nil
	case seq >= info.Size:
		return 0, fieldProblem(codeSeqNotReached, "seq", "the newest entry of this ledger is %d", info.Size-1)
	}
	return seq, nil
}
