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
		return x.sendPosted(o)
	}
	x.out = appendRehearsed(append(x.out, `{"dry_run":true,`...), o.Entry)
	x.out = strconv.AppendInt(append(x.out, `,"evaluated_at_seq":`...), o.Entry.Seq()-1, 10)
	x.out = append(x.out, '}')
	return x.send(200)
}

// rehearsedAt returns the newest entry that a rehearsal of several requests
// rests on, and false when all of them were carried out before. The first that
// was not is decided on the head, the others on what those before them leave.
func rehearsedAt(outcomes []ledger.Outcome) (seq int64, ok bool) {
	for _, o := range outcomes {
		switch {
		case o.Refusal != nil:
			return o.Refusal.EvaluatedAtSeq, true
		case o.Entry != nil && !o.Replayed:
			return o.Entry.Seq() - 1, true
		}
	}
	return 0, false
}
