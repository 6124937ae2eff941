package api

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// statement answers GET /v1/ledgers/{ledger}/accounts/{account}/statement: what
// was booked in an interval of booking dates, between the balances before and
// after it. All pages are read as of the entry that was the newest when the first
// was.
func (h *handlers) statement(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	code, err := x.accountCode()
	if err != nil {
		return err
	}
	if q := x.query(statementParameters...); q.has("format") && q.values["format"] != inPages {
		return h.statementFile(x, code)
	}
	f, list, err := h.statementFilter(x, code)
	if err != nil {
		return err
	}
	s, err := h.DB.Statement(x.req.Context(), x.ledger, f)
	switch {
	case errors.Is(err, store.ErrNotFound) && f.AsOf != store.Newest:
		return cursorInvalid()
	case errors.Is(err, store.ErrNotFound):
		return accountNotFound()
	case err != nil:
		return fmt.Errorf("reading the statement of account %s: %w", code, err)
	}
	next := ""
	if s.Next > 0 {
		f.After, f.AsOf = s.Next, s.AsOf
		next = newCursor(list, statementPosition(&f))
	}
	x.out = appendStatement(x.out, &s, &f, next)
	return x.send(200)
}

// inPages is the format of a statement that comes in pages.
const inPages = "json"

// statementParameters are those of a page of a statement, and of a file of it.
var statementParameters = []string{"from", "to", "limit", "cursor", "format", "iban"}

// statementFilter reads the query. What it leaves out is from the first of the
// month to today, or as on the page before.
func (h *handlers) statementFilter(x *exchange, code string) (f store.StatementFilter, list [cursorListSize]byte, err error) {
	q := x.query(statementParameters...)
	if q.has("iban") {
		q.fail(codeInvalidParameter, "iban", "only a format such as camt.053.001.08 names an account by its IBAN")
	}
	f = store.StatementFilter{Code: code, AsOf: store.Newest, Limit: q.limit()}
	from, to := q.date("from"), q.date("to")
	list = listID("statement", x.ledger.String(), code, q.values["from"], q.values["to"])
	if text, ok := q.values["cursor"]; ok && q.err == nil {
		position, err := position(list, text)
		if err == nil && !continueStatement(&f, position) {
			err = cursorInvalid()
		}
		return f, list, err
	}
	if q.err == nil && (from == nil || to == nil) {
		today, err := h.bookingDate(x)
		if err != nil {
			return f, list, err
		}
		if to == nil {
			to = &today
		}
		if from == nil {
			first := firstOfMonth(min(today, *to))
			from = &first
		}
	}
	if q.err == nil && *from > *to {
		q.fail(codeInvalidParameter, "from", "from (%s) is after to (%s); without to, a statement ends today", from, to)
	}
	if q.err == nil {
		f.From, f.To = *from, *to
	}
	return f, list, q.err
}

// calendar is what the business days of a ledger follow from; it never changes.
type calendar struct {
	terms chain.LedgerTerms
	zone  *time.Location
}

// bookingDate returns the business day at which the ledger books now.
func (h *handlers) bookingDate(x *exchange) (chain.Date, error) {
	if known, ok := h.calendars.Load(x.ledger); ok {
		c := known.(*calendar)
		return ledger.BookingDate(&c.terms, c.zone, time.Now()), nil
	}
	info, err := h.DB.Ledger(x.req.Context(), x.ledger.String())
	if err != nil {
		return 0, fmt.Errorf("reading the terms of ledger %s: %w", x.ledger, err)
	}
	zone, err := time.LoadLocation(info.Terms.TimeZone)
	if err != nil {
		return 0, fmt.Errorf("loading the time zone of ledger %s: %w", x.ledger, err)
	}
	h.calendars.Store(x.ledger, &calendar{info.Terms, zone})
	return ledger.BookingDate(&info.Terms, zone, time.Now()), nil
}

func firstOfMonth(d chain.Date) chain.Date { return d - chain.Date(d.Time().Day()-1) }

// statementPositionBytes is the length of where a statement goes on: the
// account_seq after which, the entry as of which, and the interval.
const statementPositionBytes = 8 + 8 + 4 + 4

func statementPosition(f *store.StatementFilter) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(f.After))
	b = binary.BigEndian.AppendUint64(b, uint64(f.AsOf))
	b = binary.BigEndian.AppendUint32(b, uint32(f.From))
	return string(binary.BigEndian.AppendUint32(b, uint32(f.To)))
}

// continueStatement sets where f goes on, and reports whether position is one
// that statementPosition gives.
func continueStatement(f *store.StatementFilter, position string) bool {
	if len(position) != statementPositionBytes {
		return false
	}
	b := []byte(position)
	f.After, f.AsOf = int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))
	f.From, f.To = chain.Date(binary.BigEndian.Uint32(b[16:])), chain.Date(binary.BigEndian.Uint32(b[20:]))
	return f.After > 0 && f.AsOf >= 0 && f.AsOf < store.Newest && validDate(f.From) && validDate(f.To) && f.From <= f.To
}

// validDate reports whether d is a day that can be written.
func validDate(d chain.Date) bool {
	_, ok := parseDate(d.String())
	return ok
}

// appendStatement appends a page of a statement. Everything but lines and next is
// about the whole interval.
func appendStatement(b []byte, s *store.Statement, f *store.StatementFilter, next string) []byte {
	a := &s.Account
	b = appendString(append(b, `{"account":`...), a.Code)
	b = appendString(append(b, `,"type":`...), a.Type.String())
	b = appendString(append(b, `,"currency":`...), a.Currency)
	b = appendOptionalText(b, `,"name":`, a.Name)
	b = appendDate(append(b, `,"from":`...), f.From)
	b = appendDate(append(b, `,"to":`...), f.To)
	b = strconv.AppendInt(append(b, `,"as_of_seq":`...), s.AsOf, 10)
	b = appendStatementBalance(append(b, `,"opening":`...), a, f.From, &s.Opening)
	b = append(b, `,"lines":[`...)
	for i := range s.Lines {
		b = appendStatementLine(appendComma(b, i), &s.Lines[i], a.Type)
	}
	b = appendStatementBalance(append(b, `],"closing":`...), a, f.To, &s.Closing)
	b = appendUnits(append(b, `,"totals":{"debits":`...), s.Debits, a.Scale)
	b = appendUnits(append(b, `,"credits":`...), s.Credits, a.Scale)
	b = strconv.AppendInt(append(b, `,"lines":`...), s.Count(), 10)
	return append(appendNext(append(b, `},`...), next), '}')
}

func appendStatementBalance(b []byte, a *ledger.Account, day chain.Date, at *store.StatementBalance) []byte {
	b = appendDate(append(b, `{"date":`...), day)
	b = appendUnits(append(b, `,"balance":`...), ledger.Balance(a.Type, at.Posted), a.Scale)
	b = strconv.AppendInt(append(b, `,"account_seq":`...), at.AccountSeq, 10)
	return append(b, '}')
}

// appendStatementLine appends one posting of a statement.
func appendStatementLine(b []byte, l *store.StatementLine, t chain.AccountType) []byte {
	r, text, p := l.Entry.Record(), l.Entry.Text(), &l.Posting
	b = strconv.AppendInt(append(b, `{"account_seq":`...), p.AccountSeq, 10)
	b = strconv.AppendInt(append(b, `,"seq":`...), r.Seq, 10)
	b = appendString(append(b, `,"kind":`...), r.Kind.String())
	b = appendID(append(b, `,"id":`...), r.RequestID)
	b = appendDate(append(b, `,"booking_date":`...), r.BookingDate)
	b = appendDate(append(b, `,"effective_date":`...), p.EffectiveDate)
	b = appendTime(append(b, `,"recorded_at":`...), r.RecordedAt)
	b = appendString(append(b, `,"direction":`...), p.Direction.String())
	b = appendUnits(append(b, `,"amount":`...), p.Amount, p.Scale)
	if !p.PendingChange.IsZero() {
		b = appendUnits(append(b, `,"pending_change":`...), p.PendingChange, p.Scale)
	}
	b = appendUnits(append(b, `,"balance":`...), ledger.Balance(t, p.Posted), p.Scale)
	if r.RefSeq != nil {
		b = strconv.AppendInt(append(b, `,"ref_seq":`...), *r.RefSeq, 10)
	}
	if r.RelatedTo != nil {
		b = appendID(append(b, `,"related_to":`...), *r.RelatedTo)
	}
	b = appendOptionalText(b, `,"description":`, text.Description)
	b = appendOptionalText(b, `,"reference":`, text.Reference)
	if text.Erased {
		b = append(b, `,"erased":true`...)
	}
	if r.PriorPeriod {
		b = append(b, `,"prior_period":true`...)
	}
	return append(b, '}')
}
