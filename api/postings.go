package api

import (
	"fmt"
	"strconv"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// listPostings answers GET /v1/ledgers/{ledger}/accounts/{account}/postings,
// oldest first, from the posting with the account_seq from on.
func (h *handlers) listPostings(x *exchange) error {
	a, err := h.account(x)
	if err != nil {
		return err
	}
	q := x.query("from", "limit", "cursor")
	limit, list := q.limit(), listID("postings", x.ledger.String(), a.Code, q.values["from"])
	after := q.from(list, max(q.seq("from")-1, 0))
	if q.err != nil {
		return q.err
	}
	postings, err := h.DB.AccountPostings(x.req.Context(), x.ledger, a, after, limit+1)
	if err != nil {
		return fmt.Errorf("listing the postings of %s after %d: %w", a.Code, after, err)
	}
	next := ""
	if len(postings) > limit {
		postings = postings[:limit]
		next = seqCursor(list, postings[limit-1].Posting.AccountSeq)
	}
	x.out = appendList(x.out, postings, next, func(b []byte, p *store.AccountPosting) []byte {
		return appendAccountPosting(b, p, a.Type)
	})
	return x.send(200)
}

// appendAccountPosting appends one line of an account's history.
func appendAccountPosting(b []byte, p *store.AccountPosting, t chain.AccountType) []byte {
	b = strconv.AppendInt(append(b, `{"seq":`...), p.Seq, 10)
	b = appendID(append(b, `,"transfer_id":`...), p.RequestID.UUID)
	b = appendString(append(b, `,"kind":`...), p.Kind.String())
	b = appendTime(append(b, `,"recorded_at":`...), p.RecordedAt.UnixMicro())
	b = appendDate(append(b, `,"booking_date":`...), p.BookingDate)
	b = appendDate(append(b, `,"effective_date":`...), p.Posting.EffectiveDate)
	b = appendBooked(append(b, ','), &p.Posting)
	b = appendBalanceAfter(append(b, ','), &p.Posting, t, p.MinBalance)
	return append(b, '}')
}
