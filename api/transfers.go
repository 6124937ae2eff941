package api

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// transferKinds are the kinds of entry that move or hold money.
var transferKinds = []chain.Kind{chain.Transfer, chain.Hold, chain.Capture, chain.Release, chain.Reversal}

// postTransfer books a transfer: POST /v1/ledgers/{ledger}/transfers.
func (h *handlers) postTransfer(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	t, err := x.transfer()
	if err != nil {
		return err
	}
	x.identify(&t.Common)
	outcome, err := h.Poster.Submit(x.req.Context(), x.ledger, t)
	switch {
	case err != nil:
		return fmt.Errorf("posting transfer %s: %w", t.ID, err)
	case outcome.Refusal != nil:
		return refused(outcome.Refusal)
	}
	return x.sendPosted(outcome)
}

// identify completes a request with who asks and the salt of its texts.
func (x *exchange) identify(c *ledger.Common) {
	c.Actor = x.actor
	_, _ = rand.Read(c.Salt[:]) // never fails: see crypto/rand
}

// sendPosted answers with the entry that a request became, now or before.
func (x *exchange) sendPosted(o ledger.Outcome) error {
	id := o.Entry.RequestID()
	x.entrySeq, x.replayed = o.Entry.Seq(), o.Replayed
	x.header["Location"] = []string{"/v1/ledgers/" + x.c.Param("ledger") + "/transfers/" + id.String()}
	if o.Replayed {
		x.header["Idempotent-Replayed"] = []string{"true"}
	}
	x.out = appendEntry(x.out, o.Entry)
	return x.send(201)
}

// transfer reads the body of a transfer and the key of the request.
func (x *exchange) transfer() (*ledger.TransferRequest, error) {
	r, err := x.body()
	if err != nil {
		return nil, err
	}
	defer r.release()
	t, id, err := decodeTransfer(r)
	if err != nil {
		return nil, err
	}
	t.ID, err = moneyRequestID(x.req.Header, x.ledger, ledger.OperationTransfer, id)
	return t, err
}

// shortForm is a transfer of one amount between two accounts. What is empty or
// nil was not given.
type shortForm struct {
	debit, credit, currency string
	amount                  *decimal.Decimal
}

// decodeTransfer reads a transfer in the long or the short form, and its id if
// it has one.
func decodeTransfer(r *reader) (*ledger.TransferRequest, uuid.UUID, error) {
	t := &ledger.TransferRequest{}
	var id uuid.UUID
	var short shortForm
	long := false
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "id":
			id = r.id()
		case "description":
			t.Description = r.optionalText(ledger.MaxDescription)
		case "reference":
			t.Reference = r.optionalText(ledger.MaxReference)
		case "metadata":
			t.Metadata = r.metadata()
		case "effective_date":
			t.EffectiveDate = r.date()
		case "not_after":
			t.NotAfter = r.time()
		case "postings":
			long = true
			t.Legs = decodeLegs(r)
		case "debit":
			short.debit = r.accountCode()
		case "credit":
			short.credit = r.accountCode()
		case "amount":
			amount := r.amount()
			short.amount = &amount
		case "currency":
			short.currency = r.currency()
		default:
			r.unknown()
		}
	}
	if err := r.end(); err != nil {
		return nil, id, err
	}
	err := short.complete(t, long)
	return t, id, err
}

func decodeLegs(r *reader) []ledger.Leg {
	legs := make([]ledger.Leg, 0, ledger.MinPostings)
	r.begin('[')
	for r.more(']') {
		legs = append(legs, decodeLeg(r))
	}
	return legs
}

func decodeLeg(r *reader) ledger.Leg {
	var leg ledger.Leg
	var amount bool
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "account":
			leg.Account = r.accountCode()
		case "direction":
			leg.Direction = r.direction()
		case "amount":
			leg.Amount, amount = r.amount(), true
		case "currency":
			leg.Currency = r.currency()
		default:
			r.unknown()
		}
	}
	switch {
	case leg.Account == "":
		r.missing("account")
	case leg.Direction == 0:
		r.missing("direction")
	case !amount:
		r.missing("amount")
	}
	return leg
}

// complete turns the short form into the long one. A transfer has one of them.
func (s *shortForm) complete(t *ledger.TransferRequest, long bool) error {
	given := *s != shortForm{}
	switch {
	case long && given:
		return newProblem(codeConflictingForm, "a transfer has either postings or debit, credit and amount, not both")
	case long:
		return nil
	case !given:
		return fieldProblem(codeMissingField, "/postings", "a transfer has postings, or in short debit, credit and amount")
	case s.debit == "":
		return fieldProblem(codeMissingField, "/debit", "the short form of a transfer has debit, credit and amount")
	case s.credit == "":
		return fieldProblem(codeMissingField, "/credit", "the short form of a transfer has debit, credit and amount")
	case s.amount == nil:
		return fieldProblem(codeMissingField, "/amount", "the short form of a transfer has debit, credit and amount")
	}
	t.Legs = []ledger.Leg{
		{Account: s.debit, Direction: chain.Debit, Amount: *s.amount, Currency: s.currency},
		{Account: s.credit, Direction: chain.Credit, Amount: *s.amount, Currency: s.currency},
	}
	return nil
}

// direction reads "debit" or "credit".
func (r *reader) direction() chain.Direction {
	d, ok := chain.ParseDirection(string(r.bytes("debit or credit")))
	if !ok {
		r.fail(codeValueInvalid, "a direction is debit or credit")
	}
	return d
}

// missing refuses the object just read for lack of a member.
func (r *reader) missing(name string) {
	if r.err != nil {
		return
	}
	r.err = fieldProblem(codeMissingField, string(r.dec.StackPointer())+"/"+name, "the member %s is missing", name)
}

// listTransfers answers GET /v1/ledgers/{ledger}/transfers, oldest first.
func (h *handlers) listTransfers(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("reference", "account", "account_prefix", "from", "to", "limit", "cursor")
	f := store.EntryFilter{
		Kinds:         transferKinds,
		Reference:     q.text("reference", ledger.MaxReference),
		Account:       q.code("account"),
		AccountPrefix: q.code("account_prefix"),
		FromDate:      q.date("from"),
		ToDate:        q.date("to"),
		Limit:         q.limit(),
	}
	list := listID("transfers", x.ledger.String(), f.Reference, f.Account, f.AccountPrefix, q.values["from"], q.values["to"])
	f.From = q.from(list, 0)
	if q.err != nil {
		return q.err
	}
	return h.sendEntries(x, f, list)
}

// oneTransfer answers GET /v1/ledgers/{ledger}/transfers/{id}.
func (h *handlers) oneTransfer(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	if q := x.query(); q.err != nil {
		return q.err
	}
	id, ok := parseID(x.param("id"))
	if !ok {
		return newProblem(codeTransferNotFound, "transfers are named by a UUID")
	}
	entries, err := h.DB.Transfer(x.req.Context(), x.ledger, ledger.RequestID{UUID: id})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return newProblem(codeTransferNotFound, "this ledger has no transfer of that id")
	case err != nil:
		return fmt.Errorf("reading transfer %s: %w", id, err)
	}
	x.out = appendID(append(x.out, `{"id":`...), id)
	x.out = appendString(append(x.out, `,"status":`...), transferStatus(entries))
	x.out = append(x.out, `,"entries":[`...)
	for i := range entries {
		r := entries[i].Record()
		x.out = strconv.AppendInt(append(appendComma(x.out, i), `{"seq":`...), r.Seq, 10)
		x.out = appendString(append(x.out, `,"kind":`...), r.Kind.String())
		x.out = append(x.out, '}')
	}
	x.out = append(x.out, "]}"...)
	return x.send(200)
}

// transferStatus is what has become of a transfer: its own entry stands first,
// those that act on it follow.
func transferStatus(entries []ledger.Entry) string {
	status := ""
	for i := range entries {
		kind := entries[i].Record().Kind
		if kind == chain.Reversal && i > 0 {
			return "reversed"
		}
		status = entryStatus(kind)
	}
	return status
}
