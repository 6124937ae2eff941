package api

import (
	"fmt"
	"strconv"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// defineCurrency answers POST /v1/ledgers/{ledger}/currencies.
func (h *handlers) defineCurrency(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	key, err := headerKey(x.req.Header)
	if err != nil {
		return err
	}
	d, err := x.newCurrency()
	if err != nil {
		return err
	}
	x.identify(&d.Common)
	d.ID = currencyRequestID(x.ledger, key, d.Code)
	outcome, err := h.Poster.Submit(x.req.Context(), x.ledger, d)
	if key == "" && err == nil && outcome.Refusal != nil && outcome.Refusal.Code == ledger.CodeIdempotencyConflict {
		// The id derived from the code stands for a definition in other words; under
		// an id of its own, the request is answered by what is defined.
		if d.ID, err = ledger.NewRequestID(); err != nil {
			return err
		}
		outcome, err = h.Poster.Submit(x.req.Context(), x.ledger, d)
	}
	switch {
	case err != nil:
		return fmt.Errorf("defining currency %s: %w", d.Code, err)
	case outcome.Refusal != nil:
		return refused(outcome.Refusal)
	case isNew(outcome):
		x.entrySeq = outcome.Entry.Seq()
		x.out = appendCurrency(x.out, outcome.Entry)
		return x.send(201)
	case outcome.Replayed:
		x.entrySeq, x.replayed = outcome.Entry.Seq(), true
		x.header["Idempotent-Replayed"] = []string{"true"}
		x.out = appendCurrency(x.out, outcome.Entry)
		return x.send(200)
	}
	return h.sendCurrency(x, d.Code)
}

// newCurrency reads the body of a definition.
func (x *exchange) newCurrency() (*ledger.DefineCurrency, error) {
	r, err := x.body()
	if err != nil {
		return nil, err
	}
	defer r.release()
	d := &ledger.DefineCurrency{}
	scaled := false
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "code":
			d.Code = r.currency()
		case "name":
			d.Name = r.text(1, ledger.MaxCurrencyName)
		case "scale":
			d.Scale, scaled = r.scale(), true
		default:
			r.unknown()
		}
	}
	switch {
	case d.Code == "":
		r.missing("code")
	case d.Name == "":
		r.missing("name")
	case !scaled:
		r.missing("scale")
	}
	return d, r.end()
}

// scale reads how many decimals a currency has.
func (r *reader) scale() uint8 {
	n, ok := r.wholeNumber()
	if !ok || n > money.MaxScale {
		r.fail(codeValueInvalid, "scale is a whole number from 0 to %d", money.MaxScale)
		return 0
	}
	return uint8(n)
}

// sendCurrency answers with a currency that was there before.
func (h *handlers) sendCurrency(x *exchange, code string) error {
	defined, err := h.rules(x, chain.CurrencyDefined)
	if err != nil {
		return err
	}
	for i := range defined {
		if detail(&defined[i], "code") == code {
			x.out = appendCurrency(x.out, &defined[i])
			return x.send(200)
		}
	}
	return fmt.Errorf("reading currency %s: its definition is not there", code)
}

// listCurrencies answers GET /v1/ledgers/{ledger}/currencies, in the order of
// definition. Those of ISO 4217 are there without being defined.
func (h *handlers) listCurrencies(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("limit", "cursor")
	limit, list := q.limit(), listID("currencies", x.ledger.String())
	from := q.from(list, 0)
	if q.err != nil {
		return q.err
	}
	defined, err := h.rules(x, chain.CurrencyDefined)
	if err != nil {
		return err
	}
	page, next := pageOf(defined, (*ledger.Entry).Seq, from, limit, list)
	x.out = appendList(x.out, page, next, appendCurrency)
	return x.send(200)
}

// appendCurrency appends a currency as the entry that defined it says.
func appendCurrency(b []byte, e *ledger.Entry) []byte {
	b = appendString(append(b, `{"code":`...), detail(e, "code"))
	b = appendString(append(b, `,"name":`...), detail(e, "name"))
	b = appendNumber(append(b, `,"scale":`...), detail(e, "scale"))
	b = strconv.AppendInt(append(b, `,"defined_at_seq":`...), e.Seq(), 10)
	return append(b, '}')
}
