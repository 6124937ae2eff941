package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tallystick/ledger"
)

// BreakBook is the breaks of a run.
type BreakBook struct {
	Run    string // its id
	AsOf   string
	Breaks []Break // open ones first, in the order of the run
}

// Break is a break as the run put it out, and what it is found by.
type Break struct {
	ID, Account, Status, Bucket string
	Lines                       []BreakLine
	MoreLines                   int // that Lines leaves out
	Decided                     []int64
	JSON                        json.RawMessage
}

// BreakLine is a line of a break.
type BreakLine struct {
	ID, Amount, Currency string
}

// listBreaks answers GET /v1/ledgers/{ledger}/breaks.
func (h *handlers) listBreaks(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("status", "account", "bucket", "limit", "cursor")
	status, account, bucket := q.text("status", maxNameParam), q.code("account"), q.text("bucket", maxNameParam)
	limit := q.limit()
	if q.err != nil {
		return q.err
	}
	book, err := h.Bank.Breaks(x.req.Context(), x.ledger)
	if err != nil {
		return fmt.Errorf("reading the breaks of the newest run: %w", err)
	}
	if book == nil {
		x.out = append(x.out, `{"data":[],"next":null}`...)
		return x.send(200)
	}
	list := listID("breaks", x.ledger.String(), book.Run, status, account, bucket)
	from := q.from(list, 0)
	if q.err != nil {
		return q.err
	}
	var page []Break
	next := ""
	for i := from; i < int64(len(book.Breaks)); i++ {
		b := &book.Breaks[i]
		if status != "" && status != b.Status || account != "" && account != b.Account || bucket != "" && bucket != b.Bucket {
			continue
		}
		if len(page) == limit {
			next = seqCursor(list, i)
			break
		}
		page = append(page, *b)
	}
	x.out = appendString(append(x.out, `{"run":`...), book.Run)
	x.out = appendString(append(x.out, `,"as_of":`...), book.AsOf)
	x.out = append(x.out, `,"data":[`...)
	for i := range page {
		x.out = append(appendComma(x.out, i), page[i].JSON...)
	}
	x.out = append(appendNext(append(x.out, "],"...), next), '}')
	return x.send(200)
}

// oneBreak answers GET /v1/ledgers/{ledger}/breaks/{break}: the break with what it
// came nearest to, and the decisions about it, with their reasons.
func (h *handlers) oneBreak(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	if q := x.query(); q.err != nil {
		return q.err
	}
	book, err := h.Bank.Breaks(x.req.Context(), x.ledger)
	if err != nil {
		return fmt.Errorf("reading the breaks of the newest run: %w", err)
	}
	b := book.find(x.param("break"))
	if b == nil {
		return breakNotFound(x.param("break"))
	}
	decisions, err := h.DB.DecisionsAt(x.req.Context(), x.ledger, b.Decided)
	if err != nil {
		return fmt.Errorf("reading the decisions about break %s: %w", b.ID, err)
	}
	x.out = appendString(append(x.out, `{"run":`...), book.Run)
	x.out = append(append(append(x.out, `,"break":`...), b.JSON...), `,"decisions":[`...)
	for i := range decisions {
		x.out = appendDecision(appendComma(x.out, i), &decisions[i])
	}
	x.out = append(x.out, "]}"...)
	return x.send(200)
}

func breakNotFound(id string) *problem {
	return newProblem(codeBreakNotFound, "the newest run has no break %.64q; GET …/breaks lists them", id)
}

// find returns a break, nil when the run has none of that id.
func (book *BreakBook) find(id string) *Break {
	if book == nil {
		return nil
	}
	if i := slices.IndexFunc(book.Breaks, func(b Break) bool { return b.ID == id }); i >= 0 {
		return &book.Breaks[i]
	}
	return nil
}

// decisionExtras is the metadata of a decision about lines; see reconcile, which
// reads it.
type decisionExtras struct {
	Owner string `json:"owner,omitempty"`
	Cause string `json:"cause,omitempty"`
	Until string `json:"until,omitempty"`
}

// listDecisions answers GET /v1/ledgers/{ledger}/decisions.
func (h *handlers) listDecisions(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("limit", "cursor")
	limit, list := q.limit(), listID("decisions", x.ledger.String())
	from := q.from(list, 0)
	if q.err != nil {
		return q.err
	}
	page, err := h.DB.Decisions(x.req.Context(), x.ledger, from, limit+1)
	if err != nil {
		return fmt.Errorf("listing decisions: %w", err)
	}
	next := ""
	if len(page) > limit {
		next = seqCursor(list, page[limit].Seq())
		page = page[:limit]
	}
	x.out = appendList(x.out, page, next, appendDecision)
	return x.send(200)
}

// appendDecision appends what is on record of a decision. The reason is left out
// when it was erased.
func appendDecision(b []byte, e *ledger.Entry) []byte {
	r := e.Record()
	b = strconv.AppendInt(append(b, `{"seq":`...), r.Seq, 10)
	b = appendID(append(b, `,"id":`...), r.RequestID)
	b = appendTime(append(b, `,"recorded_at":`...), r.RecordedAt)
	b = appendID(append(b, `,"actor":`...), r.Actor)
	b = append(b, `,"subjects":[`...)
	for i, subject := range strings.Split(detail(e, "subject"), ",") {
		b = appendString(appendComma(b, i), subject)
	}
	b = append(b, ']')
	for _, name := range []string{"action", "outcome", "amount", "currency", "run_id"} {
		if value := detail(e, name); value != "" {
			b = append(appendString(append(b, ','), name), ':')
			b = appendString(b, value)
		}
	}
	for _, name := range []string{"entry_seq", "supersedes"} {
		if value := detail(e, name); value != "" {
			b = append(appendString(append(b, ','), name), ':')
			b = appendNumber(b, value)
		}
	}
	text := e.Text()
	if text.Description != nil {
		b = appendString(append(b, `,"reason":`...), *text.Description)
	}
	var x decisionExtras
	if text.Metadata != nil && json.Unmarshal([]byte(*text.Metadata), &x) == nil {
		for _, extra := range [][2]string{{"owner", x.Owner}, {"cause", x.Cause}, {"until", x.Until}} {
			if extra[1] != "" {
				b = appendString(append(appendString(append(b, ','), extra[0]), ':'), extra[1])
			}
		}
	}
	return append(b, '}')
}
