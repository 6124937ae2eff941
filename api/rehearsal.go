package api

import (
	"fmt"
	"strconv"

	"tallystick/ledger"
)

// rehearse answers a dry run: what the request would become, or why it would be
// refused. A request that was carried out before is answered as it would be
// without dry_run.
func (h *handlers) rehearse(x *exchange, r ledger.Request, id ledger.RequestID) error {
	outcomes, err := h.Poster.Rehearse(x.req.Context(), x.ledger, []ledger.Request{r})
	if err != nil {
		return fmt.Errorf("rehearsing request %s: %w", id, err)
	}
	o := outcomes[0]
	switch {
	case o.Refusal != nil:
		return refused(o.Refusal)
	case o.Replayed:
		return x.sendPosted(o, nil)
	}
	return x.sendRehearsed(o)
}

// sendRehearsed answers with the entry that a request would become.
func (x *exchange) sendRehearsed(o ledger.Outcome) error {
	if o.Refusal != nil {
		return refused(o.Refusal)
	}
	x.out = appendRehearsed(append(x.out, `{"dry_run":true,`...), o.Entry)
	x.out = strconv.AppendInt(append(x.out, `,"evaluated_at_seq":`...), o.EvaluatedAtSeq, 10)
	x.out = append(x.out, '}')
	return x.send(200)
}

// rehearsedAt returns the head that outcomes rest on, and false when all of them
// were carried out before.
func rehearsedAt(outcomes []ledger.Outcome) (seq int64, ok bool) {
	for _, o := range outcomes {
		if !o.Replayed {
			return o.EvaluatedAtSeq, true
		}
	}
	return 0, false
}
