package api

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// Bounds of a page of a list.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// maxSeqDigits is how many digits a seq may have; all of them fit an int64.
const maxSeqDigits = 18

// query holds the parameters of a request: those that the route knows, each at
// most once, free of control characters. Like reader, it keeps its first error.
type query struct {
	values map[string]string
	err    error
}

// parseQuery accepts the parameters in allowed and no others.
func parseQuery(raw string, allowed ...string) *query {
	q := &query{}
	if raw == "" {
		return q
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		q.err = newProblem(codeInvalidParameter, "the query string is not properly encoded")
		return q
	}
	q.values = make(map[string]string, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		given := values[name]
		switch {
		case !slices.Contains(allowed, name):
			q.fail(codeUnknownParameter, name, "there is no such parameter here; allowed: %s", orNone(allowed))
		case len(given) > 1:
			q.fail(codeRepeatedParameter, name, "the parameter stands more than once")
		case !cleanText(given[0]):
			q.fail(codeTextInvalid, name, "the parameter has a control character or invalid UTF-8")
		}
		q.values[name] = given[0]
	}
	return q
}

func orNone(allowed []string) string {
	if len(allowed) == 0 {
		return "none"
	}
	return strings.Join(allowed, ", ")
}

func (q *query) fail(code ledger.Code, name, format string, args ...any) {
	if q.err == nil {
		q.err = fieldProblem(code, name, format, args...)
	}
}

// has reports whether the parameter was given, empty or not.
func (q *query) has(name string) bool {
	_, ok := q.values[name]
	return ok
}

// text returns a parameter of 1 to max bytes, or "" when it is not given.
func (q *query) text(name string, maxBytes int) string {
	s, ok := q.values[name]
	switch {
	case !ok:
	case s == "":
		q.fail(codeInvalidParameter, name, "the parameter is empty; leave it out instead")
	case len(s) > maxBytes:
		q.fail(codeTextTooLong, name, "the parameter has %d bytes, %d are allowed", len(s), maxBytes)
	}
	return s
}

// code returns an account code or a prefix of one, which has the same form.
func (q *query) code(name string) string {
	s, ok := q.values[name]
	if ok && !chain.ValidAccountCode(s) {
		q.fail(codeAccountCode, name, "an account code or a prefix of one is whole segments of a to z, 0 to 9, '.', '_' and '-' joined by ':'")
	}
	return s
}

// date returns a date, or nil when it is not given.
func (q *query) date(name string) *chain.Date {
	s, ok := q.values[name]
	if !ok {
		return nil
	}
	d, ok := parseDate(s)
	if !ok {
		q.fail(codeDateInvalid, name, "a date is YYYY-MM-DD, a day of the calendar")
	}
	return &d
}

// time returns a time, or nil when it is not given.
func (q *query) time(name string) *time.Time {
	s, ok := q.values[name]
	if !ok {
		return nil
	}
	t, ok := parseTime(s)
	if !ok {
		q.fail(codeTimeInvalid, name, "a time is an RFC 3339 date-time with a zone, such as 2026-01-31T12:00:00Z; a plus sign in a query is written %%2B")
	}
	return &t
}

// boolean returns a parameter that is true or false, false when it is not given.
func (q *query) boolean(name string) bool {
	s, ok := q.values[name]
	if ok && s != "true" && s != "false" {
		q.fail(codeInvalidParameter, name, "the parameter is true or false")
	}
	return s == "true"
}

// seq returns a seq, or −1 when it is not given.
func (q *query) seq(name string) int64 {
	s, ok := q.values[name]
	if !ok {
		return -1
	}
	n, ok := parseSeq(s)
	if !ok {
		q.fail(codeInvalidParameter, name, "a seq or a size is a whole number from 0 on")
	}
	return n
}

// parseSeq reads a seq: digits only, no leading zeros.
func parseSeq(s string) (int64, bool) {
	if s == "" || len(s) > maxSeqDigits || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// limit returns how many elements a page has.
func (q *query) limit() int {
	s, ok := q.values["limit"]
	if !ok {
		return DefaultLimit
	}
	n, ok := parseSeq(s)
	if !ok || n < 1 || n > MaxLimit {
		q.fail(codeLimitInvalid, "limit", "limit is a whole number from 1 to %d", MaxLimit)
		return DefaultLimit
	}
	return int(n)
}

// after returns the position of the cursor in a list in the order of texts, or
// "" without a cursor.
func (q *query) after(list [cursorListSize]byte) string {
	s, ok := q.values["cursor"]
	if !ok || q.err != nil {
		return ""
	}
	p, err := position(list, s)
	if err == nil && !cleanText(p) {
		err = cursorInvalid()
	}
	if err != nil {
		q.err = err
	}
	return p
}

// from returns the position of the cursor in a list in the order of a number,
// or first without a cursor.
func (q *query) from(list [cursorListSize]byte, first int64) int64 {
	s, ok := q.values["cursor"]
	if !ok || q.err != nil {
		return first
	}
	n, err := seqPosition(list, s)
	if err != nil {
		q.err = err
	}
	return n
}
