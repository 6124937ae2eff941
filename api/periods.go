package api

import (
	"strconv"
	"strings"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// closePeriod answers POST /v1/ledgers/{ledger}/periods/close.
func (h *handlers) closePeriod(x *exchange) error {
	var closing *ledger.ClosePeriod
	var how manner
	begin := func() (r *reader, err error) {
		if how.dry, err = x.dryRun(); err != nil {
			return nil, err
		}
		return newReader(x.req)
	}
	err := h.asked(x, ledger.OperationClosePeriod, begin, func(r *reader) *ledger.Common {
		closing = decodeClosing(r)
		return &closing.Common
	})
	if err != nil {
		return err
	}
	return h.move(x, closing, closing.ID, how)
}

// decodeClosing reads which period to close.
func decodeClosing(r *reader) *ledger.ClosePeriod {
	closing := &ledger.ClosePeriod{}
	given := false
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "period_end":
			given = true
			closing.PeriodEnd = r.day()
		case "retain":
			closing.Retain = decodeRetain(r)
		case "description":
			closing.Description = r.optionalText(ledger.MaxDescription)
		default:
			r.unknown()
		}
	}
	if !given {
		r.missing("period_end")
	}
	return closing
}

// decodeRetain reads the codes of the accounts that take the result.
func decodeRetain(r *reader) []string {
	var codes []string
	r.begin('[')
	for r.more(']') {
		if len(codes) == ledger.MaxRetainAccounts {
			r.fail(codeItemCount, "at most %d accounts retain the result of a period", ledger.MaxRetainAccounts)
		}
		codes = append(codes, r.accountCode())
	}
	return codes
}

// reopenPeriod answers POST /v1/ledgers/{ledger}/periods/reopen.
func (h *handlers) reopenPeriod(x *exchange) error {
	var reopening *ledger.ReopenPeriod
	err := h.asked(x, ledger.OperationReopenPeriod, x.body, func(r *reader) *ledger.Common {
		reopening = decodeReopening(r)
		return &reopening.Common
	})
	if err != nil {
		return err
	}
	return h.move(x, reopening, reopening.ID, manner{})
}

// decodeReopening reads which period to reopen, and why.
func decodeReopening(r *reader) *ledger.ReopenPeriod {
	reopening := &ledger.ReopenPeriod{}
	given := false
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "period_end":
			given = true
			reopening.PeriodEnd = r.day()
		case "reason":
			reopening.Description = r.optionalText(ledger.MaxDescription)
		default:
			r.unknown()
		}
	}
	switch {
	case !given:
		r.missing("period_end")
	case reopening.Description == nil:
		r.missing("reason")
	}
	return reopening
}

// period is a closing, and the entry that reopened it, if one did.
type period struct {
	closed   *ledger.Entry
	reopened *ledger.Entry
}

// listPeriods answers GET /v1/ledgers/{ledger}/periods, in the order of closing.
func (h *handlers) listPeriods(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("limit", "cursor")
	limit, list := q.limit(), listID("periods", x.ledger.String())
	from := q.from(list, 0)
	if q.err != nil {
		return q.err
	}
	entries, err := h.rules(x, chain.PeriodClosed, chain.PeriodReopened)
	if err != nil {
		return err
	}
	page, next := pageOf(periodsOf(entries), func(p *period) int64 { return p.closed.Seq() }, from, limit, list)
	x.out = appendList(x.out, page, next, appendPeriod)
	return x.send(200)
}

// periodsOf puts closings and reopenings together.
func periodsOf(entries []ledger.Entry) []period {
	var periods []period
	places := make(map[int64]int)
	for i := range entries {
		e := &entries[i]
		r := e.Record()
		if r.Kind == chain.PeriodClosed {
			places[r.Seq] = len(periods)
			periods = append(periods, period{closed: e})
		} else if place, ok := places[*r.RefSeq]; ok { // complete entries have one
			periods[place].reopened = e
		}
	}
	return periods
}

// appendPeriod appends a closed period.
func appendPeriod(b []byte, p *period) []byte {
	b = appendString(append(b, `{"period_end":`...), detail(p.closed, "period_end"))
	b = strconv.AppendInt(append(b, `,"closed_at_seq":`...), p.closed.Seq(), 10)
	b = appendNumber(append(b, `,"through_seq":`...), detail(p.closed, "through_seq"))
	if seq := detail(p.closed, "closing_seq"); seq != "" {
		b = appendNumber(append(b, `,"closing_seq":`...), seq)
	}
	b = appendRetaining(b, p.closed.Record().Details)
	if p.reopened != nil {
		b = strconv.AppendInt(append(b, `,"reopened_at_seq":`...), p.reopened.Seq(), 10)
	}
	return append(b, '}')
}

// appendRetaining appends which accounts took the result, by currency.
func appendRetaining(b []byte, details []chain.Detail) []byte {
	const prefix = "retain_account."
	n := 0
	for _, d := range details {
		currency, ok := strings.CutPrefix(d.Name, prefix)
		if !ok {
			continue
		}
		if n == 0 {
			b = append(b, `,"retain_accounts":{`...)
		}
		b = appendString(appendComma(b, n), currency)
		b = appendString(append(b, ':'), d.Value)
		n++
	}
	if n > 0 {
		b = append(b, '}')
	}
	return b
}
