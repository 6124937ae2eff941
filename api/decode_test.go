package api

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// decode reads a transfer from text.
func decode(body string) (*ledger.TransferRequest, string, error) {
	r := new(reader)
	r.body.WriteString(body)
	r.reset()
	t := &ledger.TransferRequest{}
	id := decodeTransfer(r, t)
	return t, id.String(), r.end()
}

func TestDecodingATransfer(t *testing.T) {
	t.Parallel()
	got, id, err := decode(`{"metadata":{"z":[],"a":{"b":1e400,"\u0061":-0}},"id":"0191D7AE-6C3F-7CC1-9A2B-3F1D0E8B9A10","description":"\ud83d\ude00 \u00fc\/",
		"reference":"r","effective_date":"2024-02-29","not_after":"2026-01-02T03:04:05.123456789-01:30",
		"\u0070ostings":[{"\u0061ccount":"a:\u0062","direction":"debit","amount":"0.10","currency":"EUR"},{"amount":"1","direction":"credit","account":"c"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if id != "0191d7ae-6c3f-7cc1-9a2b-3f1d0e8b9a10" || *got.Description != "😀 ü/" || *got.Reference != "r" {
		t.Errorf("id %s, description %q, reference %q", id, *got.Description, *got.Reference)
	}
	if want := `{"a":{"a":-0,"b":1e400},"z":[]}`; *got.Metadata != want {
		t.Errorf("metadata %s, want %s", *got.Metadata, want)
	}
	if got.EffectiveDate.String() != "2024-02-29" || got.NotAfter.UTC().Format(time.RFC3339Nano) != "2026-01-02T04:34:05.123456789Z" {
		t.Errorf("effective_date %v, not_after %v", got.EffectiveDate, got.NotAfter)
	}
	want := []ledger.Leg{
		{Account: "a:b", Direction: chain.Debit, Amount: decimal.RequireFromString("0.10"), Currency: "EUR"},
		{Account: "c", Direction: chain.Credit, Amount: decimal.RequireFromString("1")},
	}
	if len(got.Legs) != 2 {
		t.Fatalf("legs %+v", got.Legs)
	}
	for i := range want {
		l := got.Legs[i]
		if l.Account != want[i].Account || l.Direction != want[i].Direction || !l.Amount.Equal(want[i].Amount) || l.Currency != want[i].Currency {
			t.Errorf("leg %d is %+v, want %+v", i, l, want[i])
		}
	}
}

// TestARequestDoesNotShareMemoryWithItsBody: the buffer goes to the next
// request while the first still waits.
func TestARequestDoesNotShareMemoryWithItsBody(t *testing.T) {
	t.Parallel()
	r := new(reader)
	read := func(body string) *ledger.TransferRequest {
		r.body.Reset()
		r.body.WriteString(body)
		r.reset()
		got := &ledger.TransferRequest{}
		decodeTransfer(r, got)
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := read(`{"debit":"aaaa","credit":"bbbb","amount":"1","currency":"EUR","description":"cccc","reference":"dd\u0064d","metadata":{"e":"ffff"}}`)
	read(`{"debit":"0000","credit":"1111","amount":"2","currency":"USD","description":"2222","reference":"33\u00333","metadata":{"4":"5555"}}`)
	if first.Legs[0].Account != "aaaa" || first.Legs[1].Account != "bbbb" || first.Legs[0].Currency != "EUR" ||
		*first.Description != "cccc" || *first.Reference != "dddd" || *first.Metadata != `{"e":"ffff"}` {
		t.Errorf("the second body changed the first request: %+v %q %q %q", first.Legs, *first.Description, *first.Reference, *first.Metadata)
	}
}

func TestContentTypesThatAreJSON(t *testing.T) {
	t.Parallel()
	for value, ok := range map[string]bool{
		"application/json":                           true,
		"application/json; charset=utf-8":            true,
		`application/json;charset="UTF-8"`:           true,
		"Application/JSON":                           true,
		"application/json; charset=utf-16":           false,
		"application/json; profile=x":                false,
		"application/json; charset=utf-8; profile=x": false,
		"application/problem+json":                   false,
		"application/json, text/plain":               false,
		"":                                           false,
	} {
		if err := checkMediaType(map[string][]string{"Content-Type": {value}}); (err == nil) != ok {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-01-31T12:00:00Z":           "2026-01-31T12:00:00Z",
		"2026-01-31T12:00:00.5Z":         "2026-01-31T12:00:00.5Z",
		"2026-01-31T12:00:00.123456789Z": "2026-01-31T12:00:00.123456789Z",
		"2026-01-31T12:00:00-00:00":      "2026-01-31T12:00:00Z",
		"2026-01-31T12:00:00+23:59":      "2026-01-30T12:01:00Z",
		"2026-01-31T12:00:00+24:00":      "",
		"2026-01-31T12:00:00+01:60":      "",
		"2026-01-31T12:00:00+0100":       "",
		"2026-01-31T12:00:00+01":         "",
		"2026-01-31T12:00:00":            "",
		"2026-01-31T12:00:00.Z":          "",
		"2026-01-31T12:00:00,5Z":         "",
		"2026-01-31T2:00:00Z":            "",
		"2026-01-31T24:00:00Z":           "",
		"2026-01-31T12:60:00Z":           "",
		"2026-01-31T12:00:61Z":           "",
		"2026-02-29T12:00:00Z":           "",
		"2026-01-31 12:00:00Z":           "",
		"2026-01-31T12:00:00z":           "",
		"0000-01-31T12:00:00Z":           "",
		"12026-01-31T12:00:00Z":          "",
		"9999-12-31T23:59:59-00:00":      "9999-12-31T23:59:59Z",
		"9999-12-31T23:59:59-00:01":      "",
		"0001-01-01T00:00:00+00:01":      "",
		"2026-01-31T12:00:00Zjunk":       "",
		"-026-01-31T12:00:00Z":           "",
		"２026-01-31T12:00:00Z":           "",
		"":                               "",
	} {
		got, ok := parseTime(text)
		if ok != (want != "") || ok && got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %v, %v; want %q", text, got, ok, want)
		}
	}
}

func TestAccountCodes(t *testing.T) {
	t.Parallel()
	for code, ok := range map[string]bool{
		"a": true, "customers:42:wallet": true, "a.b_c-d:0": true, "_x": true, "a:_": true, strings.Repeat("a", 128): true,
		"": false, ":": false, "a:": false, ":a": false, "a::b": false, "A": false, "a b": false, "a/b": false, "ä": false,
		"a\x00": false, "a\n": false, strings.Repeat("a", 129): false, "a%": false,
	} {
		if chain.ValidAccountCode(code) != ok || chain.ValidAccountCode([]byte(code)) != ok {
			t.Errorf("%q: %v, want %v", code, !ok, ok)
		}
	}
}

func TestFreeText(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"": true, "plain": true, "Größe 日本 😀": true, "\u00a0": true, "~": true, "\u2028": true,
		"\x00": false, "a\tb": false, "\n": false, "\x1f": false, "\x7f": false, "\u0080": false, "\u009f": false,
		"\xff": false, "a\xc3": false, "\xed\xa0\x80": false, "\xf4\x90\x80\x80": false,
	} {
		if cleanText(text) != ok || cleanText([]byte(text)) != ok {
			t.Errorf("%q: %v, want %v", text, !ok, ok)
		}
	}
}

func TestCanonicalMetadata(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat(`{"a":`, n-1) + `{}` + strings.Repeat(`}`, n-1) }
	for _, c := range []struct {
		in, want string
		code     ledger.Code
	}{
		{`{}`, `{}`, ""},
		{" { \"b\" : 1 , \"a\" : [ 1.0 , 1e2 , 100000000000000000000001 ] } ", `{"a":[1.0,1e2,100000000000000000000001],"b":1}`, ""},
		{`{"\u0062":"\u00e9\/","a":"\\ \""}`, `{"a":"\\ \"","b":"é/"}`, ""},
		{`{"😀":1,"｡":2}`, `{"😀":1,"｡":2}`, ""}, // by UTF-16 units, as RFC 8785 has it
		{deep(8), deep(8), ""},
		{deep(9), "", codeMetadataInvalid},
		{`{"a":` + strings.Repeat("[", 7) + strings.Repeat("]", 7) + `}`, `{"a":` + strings.Repeat("[", 7) + strings.Repeat("]", 7) + `}`, ""},
		{`{"a":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `}`, "", codeMetadataInvalid},
		{`{"a":"}}}}{{{{{{{{{{{{:::"}`, `{"a":"}}}}{{{{{{{{{{{{:::"}`, ""},
		{`{` + repeated(50, `"k%02d":{"x":1,"y":2}`) + `}`, `{` + repeated(50, `"k%02d":{"x":1,"y":2}`) + `}`, ""},
		{`{` + repeated(51, `"k%02d":0`) + `}`, "", codeMetadataInvalid},
		{`{"a":"` + strings.Repeat("x", ledger.MaxMetadata-8) + `"}`, `{"a":"` + strings.Repeat("x", ledger.MaxMetadata-8) + `"}`, ""},
		{`{"a":"` + strings.Repeat("x", ledger.MaxMetadata-7) + `"}`, "", codeMetadataTooBig},
		{`{"a":"\n"}`, "", codeTextInvalid},
		{`{"a":"\u0000"}`, "", codeTextInvalid},
		{`{"a":"\\n"}`, `{"a":"\\n"}`, ""},
		{`{"a":"\u009b"}`, "", codeTextInvalid},
		{"{\"a\":\"\x7f\"}", "", codeTextInvalid},
		{`{"a":{"b\t":1}}`, "", codeTextInvalid},
	} {
		got, p := canonicalMetadata([]byte(c.in))
		switch {
		case p != nil && p.code != c.code, p == nil && c.code != "":
			t.Errorf("%.60s: %v, want %s", c.in, p, c.code)
		case got != c.want:
			t.Errorf("%.60s: %.80s, want %.80s", c.in, got, c.want)
		}
	}
}

func TestCursors(t *testing.T) {
	t.Parallel()
	list := listID("transfers", "a", "bc")
	if list == listID("transfers", "ab", "c") || list == listID("transfers", "a", "bc", "") {
		t.Error("different filters have one list id")
	}
	for _, n := range []int64{0, 1, 1 << 40, 1<<63 - 1} {
		if got, err := seqPosition(list, seqCursor(list, n)); err != nil || got != n {
			t.Errorf("%d came back as %d, %v", n, got, err)
		}
	}
	if got, err := position(list, newCursor(list, "customers:42")); err != nil || got != "customers:42" {
		t.Errorf("customers:42 came back as %q, %v", got, err)
	}
	for name, text := range map[string]string{
		"empty": "", "another version": "Ag" + newCursor(list, "x")[2:], "line break": newCursor(list, "x") + "\n",
		"negative": newCursor(list, "\xff\xff\xff\xff\xff\xff\xff\xff"), "short": newCursor(list, "\x00"), "nothing": newCursor(list, ""),
		"other list": seqCursor(listID("entries"), 1), "padding": newCursor(list, "x") + "=", "loose bits": looseBits(seqCursor(list, 1)),
	} {
		if n, err := seqPosition(list, text); err == nil {
			t.Errorf("%s: the cursor %q gave %d", name, text, n)
		} else if p, ok := errors.AsType[*problem](err); !ok || p.code != codeCursorInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// looseBits changes the bits of the last character that stand for no byte.
func looseBits(cursor string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, cursor[len(cursor)-1])
	return cursor[:len(cursor)-1] + alphabet[last+1:last+2]
}
