package reconcile

import (
	"fmt"
	"strings"
	"unicode"
)

// A report shows what stands in a database that is somebody else's. Bytes that move
// the cursor, colour or hide text, or turn its direction would let him write the
// report himself.

// visible returns text with everything escaped that a terminal does not show as it
// stands, but for line feeds.
func visible(text string) string {
	return escaped(text, func(r rune) bool { return r != '\n' })
}

// inLine is visible with line feeds escaped too: for what stands in a line of its own.
func inLine(text string) string {
	return escaped(text, func(rune) bool { return true })
}

// escaped escapes control and format characters (Unicode Cc, Cf, Zl, Zp) that also
// says yes to, and what is no UTF-8.
func escaped(text string, also func(rune) bool) string {
	odd := func(r rune) bool {
		return (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)) && also(r)
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	if strings.IndexFunc(text, odd) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !odd(r):
			b.WriteRune(r)
		case r <= unicode.MaxASCII:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
