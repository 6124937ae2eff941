package api

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"tallystick/ledger"
)

// Free text ends up in statements, logs and terminals. None of it may carry
// control characters: neither C0 (so no NUL, tab or line break either), nor
// DEL, nor C1.

// Bounds of metadata, beside ledger.MaxMetadata bytes in canonical form.
const (
	maxMetadataMembers = 50 // of the outermost object
	maxMetadataDepth   = 8  // objects and arrays inside each other, the outermost counted
)

// cleanText reports whether s is valid UTF-8 without control characters.
func cleanText[T ~string | ~[]byte](s T) bool {
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c == 0x7f {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || cleanRunes([]byte(s))
}

func cleanRunes(s []byte) bool {
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		if r == utf8.RuneError && size == 1 || unicode.IsControl(r) {
			return false
		}
		s = s[size:]
	}
	return true
}

// canonicalMetadata returns the one spelling of a metadata object: no white
// space, members sorted as in RFC 8785, strings in their shortest form. Number
// literals stay as the client wrote them, because 0.10 or 2^60 would not
// survive the detour over floating point that RFC 8785 asks for.
func canonicalMetadata(raw []byte) (string, *problem) {
	canonical, err := jsontext.AppendFormat(make([]byte, 0, len(raw)), raw,
		jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
	if err != nil {
		return "", newProblem(codeMalformedJSON, "metadata is not valid JSON")
	}
	members, depth, clean := metadataShape(canonical)
	switch {
	case len(canonical) > ledger.MaxMetadata:
		return "", newProblem(codeMetadataTooBig, "metadata has %d bytes without white space, %d are allowed", len(canonical), ledger.MaxMetadata)
	case members > maxMetadataMembers:
		return "", newProblem(codeMetadataInvalid, "metadata has %d members, %d are allowed", members, maxMetadataMembers)
	case depth > maxMetadataDepth:
		return "", newProblem(codeMetadataInvalid, "metadata is nested %d levels deep, %d are allowed", depth, maxMetadataDepth)
	case !clean:
		return "", newProblem(codeTextInvalid, "metadata has a control character in a string or a name")
	}
	return string(canonical), nil
}

// metadataShape counts the members of the outermost object and the deepest
// nesting of canonical JSON, and looks for control characters. In canonical
// form a backslash stands before '"', before another backslash, or for a
// control character, and nothing else.
func metadataShape(canonical []byte) (members, deepest int, clean bool) {
	depth, inString, clean := 0, false, cleanText(canonical)
	for i := 0; i < len(canonical); i++ {
		c := canonical[i]
		switch {
		case inString && c == '\\':
			i++
			clean = clean && (canonical[i] == '"' || canonical[i] == '\\')
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		case c == ':' && depth == 1:
			members++
		}
	}
	return members, deepest, clean
}

// hasJSONEscape reports whether the text between the quotes of a JSON string
// needs unquoting.
func hasJSONEscape(inner []byte) bool { return bytes.IndexByte(inner, '\\') >= 0 }
