package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"tallystick/ledger"
)

// Bounds of a request body.
const (
	// MaxBody is the longest request body, in bytes.
	MaxBody = 1 << 20
	// keptBody is the largest buffer that is kept for the next request.
	keptBody = 64 << 10
)

// reader reads one JSON document in one pass and strictly: RFC 8259 with valid
// UTF-8, no lone surrogates and no duplicate names (jsontext sees to these), no
// members that nobody asked for, no null, nothing behind the document. Its
// first error sticks; after it every method returns a zero value, so that a
// decoding function reads like the document and looks at err once:
//
//	r.begin('{')
//	for r.next() {
//		switch string(r.name) {
//		case "code":
//			a.Code = r.accountCode()
//		default:
//			r.unknown()
//		}
//	}
type reader struct {
	body bytes.Buffer
	dec  jsontext.Decoder
	name []byte // of the member that next found; valid until anything else is read
	buf  []byte // for names and strings with escapes
	err  error

	// byItem says that a wrong value in the right place spoils its item of a
	// batch, not the document; spoiled is the first of the item at hand.
	byItem  bool
	spoiled *problem
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// newReader reads the body of req whole. The caller hands the reader back with
// release.
func newReader(req *http.Request) (*reader, error) {
	if err := checkMediaType(req.Header); err != nil {
		return nil, err
	}
	if req.ContentLength > MaxBody {
		drain(req.Body)
		return nil, bodyTooLarge()
	}
	r := emptyReader()
	if req.ContentLength > 0 {
		r.body.Grow(int(req.ContentLength) + bytes.MinRead) // ReadFrom wants room to see the end
	}
	n, err := r.body.ReadFrom(io.LimitReader(req.Body, MaxBody+1))
	switch {
	case err != nil:
		r.release()
		return nil, &problem{code: codeMalformedJSON, detail: "the body ended before its announced length", cause: err}
	case n > MaxBody:
		r.release()
		drain(req.Body)
		return nil, bodyTooLarge()
	}
	r.reset()
	return r, nil
}

// maxDrained is how much of a body that is too large is read and thrown away:
// a client that only reads its answer when it has sent everything would
// otherwise see a broken connection in place of it.
const maxDrained = 16 << 20

func drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, maxDrained) }

// emptyReader returns a reader with an empty body buffer.
func emptyReader() *reader {
	r := readers.Get().(*reader)
	r.body.Reset()
	return r
}

// reset begins to read what is in the body buffer.
func (r *reader) reset() {
	r.err, r.byItem, r.spoiled = nil, false, nil
	r.dec.Reset(&r.body)
}

// release gives the reader back. What it returned stays valid: strings are
// copies.
func (r *reader) release() {
	if r.body.Cap() <= keptBody && cap(r.buf) <= keptBody {
		readers.Put(r)
	}
}

func bodyTooLarge() *problem {
	return newProblem(codeBodyTooLarge, "a body has at most %d bytes", MaxBody)
}

// checkMediaType accepts application/json, with charset=utf-8 or without.
func checkMediaType(h http.Header) error {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return fieldProblem(codeMediaType, "Content-Encoding", "send the body without a content encoding")
	}
	ct := h.Get("Content-Type")
	if ct == "application/json" {
		return nil
	}
	mediaType, params, err := mime.ParseMediaType(ct)
	ok := err == nil && mediaType == "application/json"
	for name, value := range params {
		ok = ok && name == "charset" && strings.EqualFold(value, "utf-8")
	}
	if !ok {
		return fieldProblem(codeMediaType, "Content-Type", "send application/json in UTF-8")
	}
	return nil
}

// fail keeps a problem with the value read last.
func (r *reader) fail(code ledger.Code, format string, args ...any) {
	if r.err == nil {
		r.keep(fieldProblem(code, string(r.dec.StackPointer()), format, args...))
	}
}

// missing refuses the object just read for lack of a member.
func (r *reader) missing(name string) {
	r.failMember(codeMissingField, name, "the member %s is missing", name)
}

// failMember keeps a problem with a member of the object just read.
func (r *reader) failMember(code ledger.Code, name, format string, args ...any) {
	if r.err == nil {
		r.keep(fieldProblem(code, string(r.dec.StackPointer())+"/"+name, format, args...))
	}
}

// keep keeps the first problem of the document, or of the item at hand.
func (r *reader) keep(p *problem) {
	switch {
	case r.err != nil:
	case !r.byItem || ofDocument(p.code):
		r.err = p
	case r.spoiled == nil:
		r.spoiled = p
	}
}

// ofDocument reports whether a code says that a document cannot be read on,
// rather than that a value in it is wrong.
func ofDocument(code ledger.Code) bool {
	switch code {
	case codeMalformedJSON, codeDuplicateField, codeUnknownField, codeWrongType, codeItemCount:
		return true
	}
	return false
}

// failSyntax keeps an error of the JSON decoder. Its text stays here.
func (r *reader) failSyntax(err error) {
	if r.err != nil {
		return
	}
	p := newProblem(codeMalformedJSON, "the body is not one JSON document")
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		p.field = string(syntax.JSONPointer)
		if syntax.Err == jsontext.ErrDuplicateName {
			p.code, p.detail = codeDuplicateField, "the object has two members of this name"
		} else {
			p = fieldProblem(codeMalformedJSON, p.field,
				"the body is not valid JSON in UTF-8 (names in quotes, no lone surrogates, no comments) at byte %d", syntax.ByteOffset)
		}
	}
	p.cause = err
	r.err = p
}

// failType skips a value of the wrong type and says what would be right.
func (r *reader) failType(want string) {
	got := r.dec.PeekKind()
	if err := r.dec.SkipValue(); err != nil {
		r.failSyntax(err)
		return
	}
	hint := ""
	if got == jsontext.KindNull {
		hint = "; leave the member out instead of null"
	}
	r.fail(codeWrongType, "this must be %s, not %s%s", want, kindName(got), hint)
}

func kindName(k jsontext.Kind) string {
	switch k {
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "an array"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "a number"
	case jsontext.KindNull:
		return "null"
	default:
		return "a boolean"
	}
}

// begin enters an object or array.
func (r *reader) begin(k jsontext.Kind) {
	if r.err != nil {
		return
	}
	switch r.dec.PeekKind() {
	case k:
		if _, err := r.dec.ReadToken(); err != nil {
			r.failSyntax(err)
		}
	case jsontext.KindInvalid:
		r.value()
	default:
		r.failType(kindName(k))
	}
}

// next moves to the next member of the object and sets name, or leaves the
// object and returns false.
func (r *reader) next() bool {
	if !r.more(jsontext.KindEndObject) {
		return false
	}
	raw := r.value()
	if r.err != nil {
		return false
	}
	r.name = r.unquote(raw)
	return r.err == nil
}

// more reports whether the array or object has another element, and leaves it
// when not.
func (r *reader) more(end jsontext.Kind) bool {
	if r.err != nil {
		return false
	}
	if r.dec.PeekKind() != end {
		return true
	}
	if _, err := r.dec.ReadToken(); err != nil {
		r.failSyntax(err)
	}
	return false
}

// unknown refuses the member that next found.
func (r *reader) unknown() {
	r.fail(codeUnknownField, "there is no such member here; see /openapi.yaml")
}

// end makes sure that nothing follows the document, and returns the error kept.
func (r *reader) end() error {
	if r.err != nil {
		return r.err
	}
	if _, err := r.dec.ReadToken(); err != io.EOF {
		return newProblem(codeTrailingJSON, "the body goes on after its JSON document, at byte %d", r.dec.InputOffset())
	}
	return nil
}

// value reads any value; it is valid until the next read.
func (r *reader) value() jsontext.Value {
	if r.err != nil {
		return nil
	}
	v, err := r.dec.ReadValue()
	if err != nil {
		r.failSyntax(err)
		return nil
	}
	return v
}

// unquote returns the text of a JSON string that the decoder has checked.
func (r *reader) unquote(raw jsontext.Value) []byte {
	inner := raw[1 : len(raw)-1]
	if !hasJSONEscape(inner) {
		return inner
	}
	var err error
	if r.buf, err = jsontext.AppendUnquote(r.buf[:0], raw); err != nil {
		r.failSyntax(err)
		return nil
	}
	return r.buf
}

// bytes reads a string without looking at what it says. The result is valid
// until the next read.
func (r *reader) bytes(what string) []byte {
	if r.err != nil {
		return nil
	}
	switch r.dec.PeekKind() {
	case jsontext.KindString, jsontext.KindInvalid:
		raw := r.value()
		if r.err != nil {
			return nil
		}
		return r.unquote(raw)
	default:
		r.failType(what)
		return nil
	}
}
