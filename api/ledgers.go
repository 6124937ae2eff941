package api

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/store"
)

// maxNameParam is the longest name or id of a ledger that is looked up.
const maxNameParam = 64

// ledgerName returns the {ledger} of the path, a name or a UUID in lower case.
// What cannot be either never reaches the database.
func (x *exchange) ledgerName() (string, error) {
	name := x.param("ledger")
	if name == "" || len(name) > maxNameParam || !cleanText(name) {
		return "", ledgerNotFound()
	}
	if len(name) == idBytes && name[8] == '-' {
		name = strings.ToLower(name)
	}
	return name, nil
}

func ledgerNotFound() *problem {
	return newProblem(codeLedgerNotFound, "there is no ledger of this name or id; GET /v1/ledgers lists them")
}

// findLedger sets the exchange's ledger.
func (h *handlers) findLedger(x *exchange) error {
	name, err := x.ledgerName()
	if err != nil {
		return err
	}
	x.ledger, err = h.DB.LedgerID(x.req.Context(), name)
	if errors.Is(err, store.ErrNotFound) {
		return ledgerNotFound()
	}
	if err != nil {
		return fmt.Errorf("finding ledger %s: %w", name, err)
	}
	return nil
}

// openLedger answers POST /v1/ledgers.
func (h *handlers) openLedger(x *exchange) error {
	r, err := x.body()
	if err != nil {
		return err
	}
	defer r.release()
	o, err := decodeLedger(r)
	if err != nil {
		return err
	}
	if o.ID.UUID == uuid.Nil {
		if o.ID, err = ledger.NewLedgerID(); err != nil {
			return err
		}
	}
	o.Actor, o.Host = x.actor, h.Host
	info, created, refusal, err := h.DB.OpenLedger(x.req.Context(), *o)
	switch {
	case err != nil:
		return fmt.Errorf("opening ledger %s: %w", o.Name, err)
	case refusal != nil:
		// There is no ledger yet, and so no head that the answer rests on.
		return newProblem(refusal.Code, "%s", refusal.Detail)
	}
	x.ledger = info.ID
	x.header["Location"] = []string{"/v1/ledgers/" + info.ID.String()}
	x.out = appendLedger(x.out, &info)
	if created {
		return x.send(201)
	}
	return x.send(200)
}

func decodeLedger(r *reader) (*ledger.OpenLedger, error) {
	o := &ledger.OpenLedger{
		TimeZone:       ledger.DefaultTimeZone,
		ValueDaysBack:  ledger.DefaultValueDaysBack,
		ValueDaysAhead: ledger.DefaultValueDaysAhead,
	}
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "id":
			o.ID = ledger.LedgerID{UUID: r.id()}
		case "name":
			o.Name = r.text(1, ledger.MaxLedgerName)
		case "time_zone":
			o.TimeZone = r.text(1, ledger.MaxLedgerName)
		case "day_cutoff":
			o.DayCutoff = r.cutoff()
		case "base_currency":
			o.BaseCurrency = r.currency()
		case "value_days_back":
			o.ValueDaysBack = r.days()
		case "value_days_ahead":
			o.ValueDaysAhead = r.days()
		default:
			r.unknown()
		}
	}
	switch {
	case o.Name == "":
		r.missing("name")
	case o.BaseCurrency == "":
		r.missing("base_currency")
	}
	return o, r.end()
}

// cutoff reads a time of day as HH:MM into seconds after midnight.
func (r *reader) cutoff() int32 {
	s := string(r.bytes("a time of day such as 22:00"))
	if r.err != nil {
		return 0
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		r.fail(ledger.CodeDayCutoff, "day_cutoff is a time of day from 00:00 to 23:59")
	}
	return int32(t.Hour()*3600 + t.Minute()*60)
}

// days reads a whole number of days.
func (r *reader) days() int32 {
	n, ok := r.wholeNumber()
	if !ok || n > ledger.MaxValueDays {
		r.fail(ledger.CodeValueDays, "value_days_back and value_days_ahead are whole numbers from 0 to %d", ledger.MaxValueDays)
		return 0
	}
	return int32(n)
}

// oneLedger answers GET /v1/ledgers/{ledger}.
func (h *handlers) oneLedger(x *exchange) error {
	if q := x.query(); q.err != nil {
		return q.err
	}
	name, err := x.ledgerName()
	if err != nil {
		return err
	}
	info, err := h.DB.Ledger(x.req.Context(), name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ledgerNotFound()
	case err != nil:
		return fmt.Errorf("reading ledger %s: %w", name, err)
	}
	x.ledger = info.ID
	x.out = appendLedger(x.out, &info)
	return x.send(200)
}

// listLedgers answers GET /v1/ledgers, in the order of names.
func (h *handlers) listLedgers(x *exchange) error {
	q := x.query("limit", "cursor")
	limit, list := q.limit(), listID("ledgers")
	after := q.after(list)
	if q.err != nil {
		return q.err
	}
	ledgers, err := h.DB.Ledgers(x.req.Context(), after, limit+1)
	if err != nil {
		return fmt.Errorf("listing ledgers after %q: %w", after, err)
	}
	next := ""
	if len(ledgers) > limit {
		ledgers = ledgers[:limit]
		next = newCursor(list, ledgers[limit-1].Terms.Name)
	}
	x.out = appendList(x.out, ledgers, next, appendLedger)
	return x.send(200)
}

// appendLedger appends a ledger, its size and its head.
func appendLedger(b []byte, l *store.LedgerInfo) []byte {
	b = appendID(append(b, `{"id":`...), l.ID.UUID)
	b = appendTerms(append(b, ','), &l.Terms)
	b = strconv.AppendInt(append(b, `,"size":`...), l.Size, 10)
	b = appendHash(append(b, `,"head":`...), l.Head)
	return append(b, '}')
}
