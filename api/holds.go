package api

import (
	"github.com/google/uuid"

	"tallystick/ledger"
)

// captureHold answers POST /v1/ledgers/{ledger}/transfers/{id}/capture.
func (h *handlers) captureHold(x *exchange) error {
	hold, how, err := h.target(x)
	if err != nil {
		return err
	}
	capture := &ledger.CaptureHold{Hold: hold}
	err = x.action(&capture.Common, ledger.OperationCapture, func(r *reader) uuid.UUID { return decodeCapture(r, capture) })
	if err != nil {
		return err
	}
	capture.MayApprove = x.may(scopeApprove)
	return h.move(x, capture, capture.ID, how)
}

// releaseHold answers POST /v1/ledgers/{ledger}/transfers/{id}/release.
func (h *handlers) releaseHold(x *exchange) error {
	hold, how, err := h.target(x)
	if err != nil {
		return err
	}
	release := &ledger.ReleaseHold{Hold: hold}
	err = x.action(&release.Common, ledger.OperationRelease, func(r *reader) uuid.UUID { return decodeAction(r, &release.Common) })
	if err != nil {
		return err
	}
	return h.move(x, release, release.ID, how)
}

// reverseTransfer answers POST /v1/ledgers/{ledger}/transfers/{id}/reverse.
func (h *handlers) reverseTransfer(x *exchange) error {
	transfer, how, err := h.target(x)
	if err != nil {
		return err
	}
	reverse := &ledger.ReverseTransfer{Target: transfer}
	err = x.action(&reverse.Common, ledger.OperationReverse, func(r *reader) uuid.UUID { return decodeAction(r, &reverse.Common) })
	if err != nil {
		return err
	}
	return h.move(x, reverse, reverse.ID, how)
}

// target finds what every request that acts on a transfer names: its ledger, the
// transfer, and how it is carried out.
func (h *handlers) target(x *exchange) (id ledger.RequestID, how manner, err error) {
	if err = h.findLedger(x); err != nil {
		return id, how, err
	}
	u, ok := parseID(x.param("id"))
	if !ok {
		return id, how, transferNotFound()
	}
	how, err = x.manner()
	return ledger.RequestID{UUID: u}, how, err
}

// action reads the body of a request that acts on a transfer, by decode, and
// completes what all requests have in common. The body may be left out.
func (x *exchange) action(c *ledger.Common, operation string, decode func(*reader) uuid.UUID) error {
	r, err := x.optionalBody()
	if err != nil {
		return err
	}
	defer r.release()
	id := decode(r)
	if err := r.end(); err != nil {
		return err
	}
	c.ID, err = moneyRequestID(x.req.Header, x.ledger, operation, id)
	x.identify(c)
	return err
}

// decodeAction reads a release or a reversal, and its id if it has one.
func decodeAction(r *reader, c *ledger.Common) (id uuid.UUID) {
	r.begin('{')
	for r.next() {
		if string(r.name) == "id" {
			id = r.id()
		} else if !r.commonMember(c) {
			r.unknown()
		}
	}
	return id
}

// commonMember reads a member that all requests may have, if it is one.
func (r *reader) commonMember(c *ledger.Common) bool {
	switch string(r.name) {
	case "description":
		c.Description = r.optionalText(ledger.MaxDescription)
	case "reference":
		c.Reference = r.optionalText(ledger.MaxReference)
	case "metadata":
		c.Metadata = r.metadata()
	case "not_after":
		c.NotAfter = r.time()
	default:
		return false
	}
	return true
}

// decodeCapture reads a capture, and its id if it has one.
func decodeCapture(r *reader, capture *ledger.CaptureHold) (id uuid.UUID) {
	postings := false
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "id":
			id = r.id()
		case "amount":
			amount := r.amount()
			capture.Amount = &amount
		case "postings":
			capture.Legs, postings = decodeLegs(r), true
		case "effective_date":
			capture.EffectiveDate = r.date()
		case "prior_period":
			capture.PriorPeriod = r.boolean()
		case "rate":
			capture.Rate = r.optionalText(ledger.MaxRate)
		default:
			if !r.commonMember(&capture.Common) {
				r.unknown()
			}
		}
	}
	switch {
	case postings && capture.Amount != nil:
		r.failMember(codeConflictingForm, "amount", "a capture names either an amount or postings, not both")
	case postings && len(capture.Legs) == 0:
		r.failMember(codeValueInvalid, "postings", "name the postings to capture, or leave the member out to capture the whole hold")
	}
	return id
}
