package api

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// The values that bodies are made of, each read and checked by its form.

// text reads free text of min to max bytes without control characters.
func (r *reader) text(minBytes, maxBytes int) string {
	b := r.bytes("a string")
	switch {
	case r.err != nil:
		return ""
	case len(b) > maxBytes:
		r.fail(codeTextTooLong, "the text has %d bytes, %d are allowed", len(b), maxBytes)
	case len(b) < minBytes:
		r.fail(codeTextInvalid, "the text is empty; leave the member out instead")
	case !cleanText(b):
		r.fail(codeTextInvalid, "the text has a control character")
	default:
		return string(b)
	}
	return ""
}

// optionalText reads free text of 1 to max bytes.
func (r *reader) optionalText(maxBytes int) *string {
	s := r.text(1, maxBytes)
	return &s
}

// amount reads a decimal number in a string.
func (r *reader) amount() decimal.Decimal {
	if r.err != nil {
		return decimal.Decimal{}
	}
	if r.dec.PeekKind() == jsontext.KindNumber {
		r.value()
		r.fail(codeAmountNotString, `amounts are strings such as "12.34": a JSON number passes through floating point in many programs and would not stay exact`)
		return decimal.Decimal{}
	}
	b := r.bytes(`a string such as "12.34"`)
	if r.err != nil {
		return decimal.Decimal{}
	}
	d, err := money.ParseAmount(string(b))
	if err != nil {
		r.fail(codeAmountInvalid, `an amount is digits with an optional point and digits, such as "12.34", without sign +, exponent, spaces or leading zeros, at most %d bytes`, money.MaxAmountText)
	}
	return d
}

// currency reads a currency code by its form.
func (r *reader) currency() string {
	b := r.bytes("a currency code")
	if r.err != nil {
		return ""
	}
	s := string(b)
	if !money.ValidCurrencyCode(s) {
		r.fail(codeCurrencyInvalid, "a currency code is 1 to %d of A to Z and 0 to 9, such as EUR", money.MaxCurrencyCode)
	}
	return s
}

// accountCode reads the code of an account by its form.
func (r *reader) accountCode() string {
	b := r.bytes("an account code")
	if r.err != nil {
		return ""
	}
	if !chain.ValidAccountCode(b) {
		r.fail(codeAccountCode, "an account code is segments of a to z, 0 to 9, '.', '_' and '-' joined by ':', at most %d bytes", chain.MaxAccountCode)
		return ""
	}
	return string(b)
}

// id reads a UUID in its usual form of 36 characters, in either case.
func (r *reader) id() uuid.UUID {
	b := r.bytes("a UUID in a string")
	if r.err != nil {
		return uuid.UUID{}
	}
	id, ok := parseID(b)
	if !ok {
		r.fail(codeIDInvalid, "an id is a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057, and not the one of zeros")
	}
	return id
}

// idBytes is the length of a UUID as text.
const idBytes = 36

// parseID reads a UUID other than the nil one in the form of RFC 9562 only.
func parseID[T ~string | ~[]byte](s T) (uuid.UUID, bool) {
	if len(s) != idBytes {
		return uuid.UUID{}, false
	}
	id, err := uuid.ParseBytes([]byte(s))
	return id, err == nil && id != uuid.Nil
}

// date reads an RFC 3339 full-date.
func (r *reader) date() *chain.Date {
	b := r.bytes("a date in a string")
	if r.err != nil {
		return nil
	}
	d, ok := parseDate(string(b))
	if !ok {
		r.fail(codeDateInvalid, "a date is YYYY-MM-DD, a day of the calendar")
	}
	return &d
}

// day reads an RFC 3339 full-date that must be there.
func (r *reader) day() chain.Date {
	if d := r.date(); d != nil {
		return *d
	}
	return 0
}

// parseDate reads YYYY-MM-DD from year 1 on.
func parseDate(s string) (chain.Date, bool) {
	if len(s) != len(time.DateOnly) || strings.HasPrefix(s, "0000") {
		return 0, false
	}
	d, err := chain.ParseDate(s)
	return d, err == nil
}

// time reads an RFC 3339 date-time.
func (r *reader) time() *time.Time {
	b := r.bytes("a time in a string")
	if r.err != nil {
		return nil
	}
	t, ok := parseTime(string(b))
	if !ok {
		r.fail(codeTimeInvalid, "a time is an RFC 3339 date-time with a zone, such as 2026-01-31T12:00:00Z")
	}
	return &t
}

// parseTime reads an RFC 3339 date-time from year 1 to 9999, in UTC too: an entry
// says no later one. time.Parse alone is not
// strict: it takes a comma for the point, hours of one digit and offsets of
// 99 hours.
func parseTime(s string) (time.Time, bool) {
	const dateTime, offset = "0000-00-00T00:00:00", "+00:00"
	if len(s) <= len(dateTime) || !hasForm(s[:len(dateTime)], dateTime) {
		return time.Time{}, false
	}
	zone := s[len(dateTime):]
	if zone[0] == '.' {
		fraction := 1
		for fraction < len(zone) && '0' <= zone[fraction] && zone[fraction] <= '9' {
			fraction++
		}
		if fraction == 1 {
			return time.Time{}, false
		}
		zone = zone[fraction:]
	}
	if zone != "Z" {
		if len(zone) != len(offset) || zone[0] != '+' && zone[0] != '-' || !hasForm(zone[1:], offset[1:]) ||
			zone[1:3] > "23" || zone[4:] > "59" {
			return time.Time{}, false
		}
	}
	t, err := time.Parse(time.RFC3339, s)
	year := t.UTC().Year()
	return t, err == nil && 1 <= year && year <= 9999
}

// hasForm reports whether s is form with a digit for every 0.
func hasForm(s, form string) bool {
	for i := range len(form) {
		if form[i] == '0' && (s[i] < '0' || s[i] > '9') || form[i] != '0' && s[i] != form[i] {
			return false
		}
	}
	return true
}

// metadata reads a JSON object into its canonical form.
func (r *reader) metadata() *string {
	if r.err != nil {
		return nil
	}
	if k := r.dec.PeekKind(); k != jsontext.KindBeginObject && k != jsontext.KindInvalid {
		r.failType("an object")
		return nil
	}
	raw := r.value()
	if r.err != nil {
		return nil
	}
	s, p := canonicalMetadata(raw)
	if p != nil {
		r.fail(p.code, "%s", p.detail)
	}
	return &s
}

// boolean reads true or false.
func (r *reader) boolean() bool {
	if r.err != nil {
		return false
	}
	switch r.dec.PeekKind() {
	case jsontext.KindTrue, jsontext.KindFalse, jsontext.KindInvalid:
		return string(r.value()) == "true"
	default:
		r.failType("true or false")
		return false
	}
}

// wholeNumber reads a JSON number; ok is false when it is not a whole one from 0
// on.
func (r *reader) wholeNumber() (n int64, ok bool) {
	if r.err != nil {
		return 0, false
	}
	if k := r.dec.PeekKind(); k != jsontext.KindNumber && k != jsontext.KindInvalid {
		r.failType("a whole number")
		return 0, false
	}
	return parseSeq(string(r.value()))
}

// limit reads an amount, or null for no limit.
func (r *reader) limit() *decimal.Decimal {
	if r.err == nil && r.dec.PeekKind() == jsontext.KindNull {
		r.value()
		return nil
	}
	d := r.amount()
	return &d
}

// tags reads an object of short strings, sorted by key.
func (r *reader) tags() []chain.Tag {
	var tags []chain.Tag
	r.begin('{')
	for r.next() {
		key := string(r.name)
		switch {
		case len(tags) == ledger.MaxTags:
			r.fail(codeTagsInvalid, "an account has at most %d tags", ledger.MaxTags)
		case key == "" || len(key) > ledger.MaxTagKey || !cleanText(key):
			r.fail(codeTagsInvalid, "the key of a tag has 1 to %d bytes without control characters", ledger.MaxTagKey)
		}
		tags = append(tags, chain.Tag{Key: key, Value: r.text(0, ledger.MaxTagValue)})
	}
	slices.SortFunc(tags, func(a, b chain.Tag) int { return strings.Compare(a.Key, b.Key) })
	return tags
}
