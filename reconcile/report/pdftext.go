package report

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// unknown stands where a font lacks a character. The last page of the PDF says which.
const unknown = '□'

// outlines are the fonts as sfnt reads them, which says which characters they have.
var outlines = sync.OnceValue(func() (parsed [faces]*sfnt.Font) {
	for f, ttf := range fonts {
		font, err := sfnt.Parse(ttf)
		if err != nil {
			panic(fmt.Sprintf("reading font %s: %v", fontStyles[f][0], err)) // it is part of the program
		}
		parsed[f] = font
	}
	return parsed
})

// has says whether a face can draw a character. PDF as fpdf writes it knows those of the first plane.
func (c *canvas) has(f face, r rune) bool {
	if r >= 0x20 && r < 0x7F {
		return true
	}
	known, asked := c.glyphs[f][r]
	if !asked {
		glyph, err := outlines()[f].GlyphIndex(nil, r)
		known = err == nil && glyph != 0 && r <= 0xFFFF
		c.glyphs[f][r] = known
	}
	return known
}

// drawable is a text as its characters stand on paper, from left to right, with a box for each that is missing.
func (c *canvas) drawable(f face, text string) string {
	if isASCII(text) {
		return text
	}
	runes := visualOrder(shaped([]rune(norm.NFC.String(text))))
	out := runes[:0]
	for _, r := range runes {
		switch {
		case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r):
			// joins or varies what stands beside it
		case 0x2400 <= r && r <= 0x2421:
			out = append(out, 0xFFFD) // a control, of which the fonts have no picture
		case c.has(f, r):
			out = append(out, r)
		default:
			c.missing[r] = true
			out = append(out, unknown)
		}
	}
	return string(out)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// missingNote says what could not be drawn, or nothing.
func (c *canvas) missingNote() string {
	if len(c.missing) == 0 {
		return ""
	}
	const most = 40
	var all []rune
	for r := range c.missing {
		all = append(all, r)
	}
	slices.Sort(all)
	var codes []string
	for _, r := range all[:min(len(all), most)] {
		codes = append(codes, fmt.Sprintf("U+%04X", r))
	}
	if len(all) > most {
		codes = append(codes, fmt.Sprintf("and %d more", len(all)-most))
	}
	return "The fonts of this PDF lack some characters, each of which is shown as " + string(unknown) + ": " + strings.Join(codes, ", ") +
		". All other formats of this report have them."
}

// visualOrder turns stretches around that are written from right to left; numbers in them keep their order. The text as a whole
// runs from left to right, as the tables do.
func visualOrder(runes []rune) []rune {
	for i := 0; i < len(runes); i++ {
		if !rightToLeft(runes[i]) {
			continue
		}
		last := i
		for j := i + 1; j < len(runes) && !leftToRight(runes[j]); j++ {
			if rightToLeft(runes[j]) {
				last = j
			}
		}
		stretch := runes[i : last+1]
		slices.Reverse(stretch)
		for j := 0; j < len(stretch); j++ {
			k := j
			for k < len(stretch) && isNumeral(stretch[k]) {
				k++
			}
			slices.Reverse(stretch[j:k])
			j = max(j, k-1)
		}
		for j, r := range stretch {
			if props, _ := bidi.LookupRune(r); props.IsBracket() {
				stretch[j] = mirrored(r)
			}
		}
		i = last
	}
	return runes
}

func class(r rune) bidi.Class {
	props, _ := bidi.LookupRune(r)
	return props.Class()
}

func rightToLeft(r rune) bool { return class(r) == bidi.R || class(r) == bidi.AL }
func leftToRight(r rune) bool { return class(r) == bidi.L }
func isNumeral(r rune) bool   { return class(r) == bidi.EN || class(r) == bidi.AN }

func mirrored(r rune) rune {
	const pairs = "()[]{}<>«»"
	all := []rune(pairs)
	if i := slices.Index(all, r); i >= 0 {
		return all[i^1]
	}
	return r
}

// The letters of Arabic as Unicode lists them, and how many forms each has among the presentation forms from U+FE80 on: alone
// and final, or alone, final, initial and medial. A letter with two does not join what follows it.
var (
	arabicLetters = []rune("ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىي")
	arabicForms   = []int{1, 2, 2, 2, 2, 4, 2, 4, 2, 4, 4, 4, 4, 4, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2, 2, 4}
)

// lamAlef are the letters that a lam before them is drawn in one with, and that form when it stands alone; joined to what is
// before it, it is the next one.
var lamAlef = map[rune]rune{'آ': 0xFEF5, 'أ': 0xFEF7, 'إ': 0xFEF9, 'ا': 0xFEFB}

// shaped replaces Arabic letters by the forms that they have beside one another.
func shaped(runes []rune) []rune {
	if !slices.ContainsFunc(runes, func(r rune) bool { return formsOf(r) > 0 }) {
		return runes
	}
	var out []rune
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		at := slices.Index(arabicLetters, r)
		if at < 0 {
			out = append(out, r)
			continue
		}
		form := rune(0xFE80)
		for _, n := range arabicForms[:at] {
			form += rune(n)
		}
		before := i > 0 && formsOf(runes[i-1]) == 4 && arabicForms[at] > 1
		after := i+1 < len(runes) && formsOf(runes[i+1]) > 1 && arabicForms[at] == 4
		if r == 'ل' && after && lamAlef[runes[i+1]] != 0 {
			form, after = lamAlef[runes[i+1]], false
			i++
		}
		switch {
		case before && after:
			form += 3
		case after:
			form += 2
		case before:
			form++
		}
		out = append(out, form)
	}
	return out
}

// formsOf says how many forms a letter has: 0 if it is none of these, 1 if it joins nothing, 2 if only what is before it.
func formsOf(r rune) int {
	if at := slices.Index(arabicLetters, r); at >= 0 {
		return arabicForms[at]
	}
	return 0
}
