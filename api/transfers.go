package api

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// postTransfer books a transfer: POST /v1/ledgers/{ledger}/transfers.
func (h *handlers) postTransfer(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	how, err := x.manner()
	if err != nil {
		return err
	}
	t, err := x.transfer()
	if err != nil {
		return err
	}
	x.identify(&t.Common)
	t.MayApprove = x.may(scopeApprove)
	return h.move(x, t, t.ID, how)
}

// move submits a request that moves money, or rehearses it, and answers with
// the entry that it becomes.
func (h *handlers) move(x *exchange, r ledger.Request, id ledger.RequestID, how manner) error {
	if how.dry {
		return h.rehearse(x, r, id)
	}
	outcome, err := h.Poster.Submit(x.req.Context(), x.ledger, r)
	switch {
	case err != nil:
		return fmt.Errorf("posting request %s: %w", id, err)
	case outcome.Refusal != nil:
		return refused(outcome.Refusal)
	}
	var proved receipts
	if how.sealed {
		proved = h.receipts(x, []*ledger.Entry{outcome.Entry})
	}
	return x.sendPosted(outcome, proved)
}

// identify completes a request with who asks and the salt of its texts.
func (x *exchange) identify(c *ledger.Common) {
	c.Actor = x.actor
	_, _ = rand.Read(c.Salt[:]) // never fails: see crypto/rand
}

// sendPosted answers with the entry that a request became, now or before, and
// its receipt if one was asked for.
func (x *exchange) sendPosted(o ledger.Outcome, proved receipts) error {
	x.entrySeq, x.replayed = o.Entry.Seq(), o.Replayed
	x.header["Location"] = []string{x.location(o.Entry)}
	if o.Replayed {
		x.header["Idempotent-Replayed"] = []string{"true"}
	}
	x.out = proved.appendEntry(x.out, o.Entry)
	return x.send(201)
}

// location is where what has become of an entry can be read: transfers have a
// page of their own.
func (x *exchange) location(e *ledger.Entry) string {
	book := "/v1/ledgers/" + x.c.Param("ledger")
	if len(e.Accounts()) > 0 {
		return book + "/transfers/" + e.RequestID().String()
	}
	return book + "/entries/" + strconv.FormatInt(e.Seq(), 10)
}

// transfer reads the body of a transfer and the key of the request.
func (x *exchange) transfer() (*ledger.TransferRequest, error) {
	r, err := newReader(x.req)
	if err != nil {
		return nil, err
	}
	defer r.release()
	t := &ledger.TransferRequest{}
	id := decodeTransfer(r, t)
	if err := r.end(); err != nil {
		return nil, err
	}
	t.ID, err = moneyRequestID(x.req.Header, x.ledger, ledger.OperationTransfer, id)
	return t, err
}

// shortForm is a transfer of one amount between two accounts. What is empty was
// not given.
type shortForm struct {
	debit, credit, currency string
	amount                  decimal.Decimal
	hasAmount               bool
}

// decodeTransfer reads a transfer in the long or the short form into t, which is
// blank, and returns its id if it has one.
func decodeTransfer(r *reader, t *ledger.TransferRequest) (id uuid.UUID) {
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
		case "hold":
			t.Hold = r.boolean()
		case "expires_at":
			t.ExpiresAt = r.time()
		case "prior_period":
			t.PriorPeriod = r.boolean()
		case "related_to":
			t.RelatedTo = &ledger.RequestID{UUID: r.id()}
		case "rate":
			t.Rate = r.optionalText(ledger.MaxRate)
		case "postings":
			long = true
			t.Legs = decodeLegs(r)
		case "debit":
			short.debit = r.accountCode()
		case "credit":
			short.credit = r.accountCode()
		case "amount":
			short.amount, short.hasAmount = r.amount(), true
		case "currency":
			short.currency = r.currency()
		default:
			r.unknown()
		}
	}
	short.complete(r, t, long)
	if t.ExpiresAt != nil && !t.Hold {
		r.failMember(codeConflictingForm, "expires_at", "only a hold expires; add \"hold\":true or leave expires_at out")
	}
	return id
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
func (s *shortForm) complete(r *reader, t *ledger.TransferRequest, long bool) {
	given := s.debit != "" || s.credit != "" || s.currency != "" || s.hasAmount
	switch {
	case long && given:
		r.failMember(codeConflictingForm, "postings", "a transfer has either postings or debit, credit and amount, not both")
	case long:
	case !given:
		r.failMember(codeMissingField, "postings", "a transfer has postings, or in short debit, credit and amount")
	case s.debit == "":
		r.failMember(codeMissingField, "debit", "the short form of a transfer has debit, credit and amount")
	case s.credit == "":
		r.failMember(codeMissingField, "credit", "the short form of a transfer has debit, credit and amount")
	case !s.hasAmount:
		r.failMember(codeMissingField, "amount", "the short form of a transfer has debit, credit and amount")
	default:
		t.Legs = []ledger.Leg{
			{Account: s.debit, Direction: chain.Debit, Amount: s.amount, Currency: s.currency},
			{Account: s.credit, Direction: chain.Credit, Amount: s.amount, Currency: s.currency},
		}
	}
}

// direction reads "debit" or "credit".
func (r *reader) direction() chain.Direction {
	d, ok := chain.ParseDirection(string(r.bytes("debit or credit")))
	if !ok {
		r.fail(codeValueInvalid, "a direction is debit or credit")
	}
	return d
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
		return transferNotFound()
	}
	found, err := h.DB.Targets(x.req.Context(), x.ledger, []ledger.RequestID{{UUID: id}})
	if err != nil {
		return fmt.Errorf("reading transfer %s: %w", id, err)
	}
	t := found[ledger.RequestID{UUID: id}]
	if t == nil || !slices.Contains(transferKinds, t.Entry.Record().Kind) {
		return transferNotFound()
	}
	x.out = appendID(append(x.out, `{"id":`...), id)
	x.out = appendString(append(x.out, `,"status":`...), transferStatus(t, time.Now()))
	x.out = append(x.out, `,"entries":[`...)
	first := len(x.out)
	for _, e := range []*ledger.Entry{t.Entry, t.Settled, t.Reversed} {
		if e != nil {
			x.out = appendStep(appendComma(x.out, len(x.out)-first), e)
		}
	}
	x.out = append(x.out, "]}"...)
	return x.send(200)
}

func transferNotFound() *problem {
	return newProblem(ledger.CodeTransferNotFound, "this ledger has no transfer of that id; transfers are named by a UUID")
}

// appendStep appends one entry in the course of a transfer.
func appendStep(b []byte, e *ledger.Entry) []byte {
	b = strconv.AppendInt(append(b, `{"seq":`...), e.Seq(), 10)
	b = appendString(append(b, `,"kind":`...), e.Record().Kind.String())
	return append(b, '}')
}

// transferStatus is what has become of a transfer by now. A hold has expired
// when its time has come, whether or not its release stands there yet.
func transferStatus(t *ledger.Target, now time.Time) string {
	expires := t.Entry.Record().ExpiresAt
	switch {
	case t.Reversed != nil:
		return "reversed"
	case t.Settled != nil && t.Settled.OnExpiry(),
		t.Settled == nil && expires != nil && now.UnixMicro() >= *expires:
		return "expired"
	case t.Settled != nil:
		return entryStatus(t.Settled.Record().Kind)
	}
	return entryStatus(t.Entry.Record().Kind)
}
