package report

import (
	"bytes"
	"compress/zlib"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/xuri/excelize/v2"
)

var update = flag.Bool("update", false, "write the golden files")

// reporter is a test, or a property of rapid.
type reporter interface {
	Helper()
	Fatal(args ...any)
}

// rendered returns a document in a format.
func rendered(t reporter, doc *Document, f Format, options Options) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, doc, f, options); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func href(l Link) string {
	switch {
	case l.Account != "":
		return "/accounts/" + l.Account
	case l.Transfer != "":
		return "/transfers/" + l.Transfer
	}
	return ""
}

func TestReportsReadAsAgreed(t *testing.T) {
	t.Parallel()
	for _, f := range Formats {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			got := rendered(t, rich(t), f, Options{Href: href})
			if again := rendered(t, rich(t), f, Options{Href: href}); !bytes.Equal(got, again) {
				t.Error("the same report is not the same bytes")
			}
			name := "rich" + f.Extension()
			switch f { // packed ones are compared as what they hold
			case XLSX:
				got, name = xlsxText(t, got), name+".golden"
			case PDF:
				got, name = pdfText(t, got), name+".golden"
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil { //nolint:gosec // a test's own file
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is no longer as in %s, first in line %d: look at it, then run with -update", f, path, firstDifference(got, want))
			}
		})
	}
}

func firstDifference(a, b []byte) int {
	one, two := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range min(len(one), len(two)) {
		if one[i] != two[i] {
			return i + 1
		}
	}
	return min(len(one), len(two)) + 1
}

// xlsxText lists the cells of a workbook: what they hold, as what, and how that is shown.
func xlsxText(t testing.TB, file []byte) []byte {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = book.Close() }()
	var out bytes.Buffer
	for _, sheet := range book.GetSheetList() {
		fmt.Fprintf(&out, "== %s\n", sheet)
		rows, err := book.GetRows(sheet, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			for j, value := range row {
				if value == "" {
					continue
				}
				cell, _ := excelize.CoordinatesToCellName(j+1, i+1)
				kind, err := book.GetCellType(sheet, cell)
				if err != nil {
					t.Fatal(err)
				}
				text := strconv.Quote(value)
				if kind == excelize.CellTypeUnset { // as excelize calls a number
					shown, err := book.GetCellValue(sheet, cell)
					if err != nil {
						t.Fatal(err)
					}
					text = value + " shown " + shown
				}
				fmt.Fprintf(&out, "%s %s\n", cell, text)
			}
		}
	}
	return out.Bytes()
}

// pdfPage is the text of a page, in the order of writing.
type pdfPage []pdfString

// pdfString is a piece of text and where it stands, in points from the lower left corner.
type pdfString struct{ x, y, text string }

var (
	pdfStream = regexp.MustCompile(`(?s)<<([^<>]*)>>\s*stream\r?\n(.*?)\r?\nendstream`)
	pdfShown  = regexp.MustCompile(`(?s)BT ([-\d.]+) ([-\d.]+) Td \(((?:\\.|[^\\)])*)\) Tj ET`)
)

// pdfPages reads the text out of a PDF as fpdf writes it: packed streams, with texts in UTF-16.
func pdfPages(t testing.TB, file []byte) []pdfPage {
	t.Helper()
	var pages []pdfPage
	for _, m := range pdfStream.FindAllSubmatch(file, -1) {
		content := m[2]
		if bytes.Contains(m[1], []byte("/FlateDecode")) {
			reader, err := zlib.NewReader(bytes.NewReader(content))
			if err != nil {
				continue // a font
			}
			if content, err = io.ReadAll(reader); err != nil {
				continue
			}
		}
		var page pdfPage
		for _, s := range pdfShown.FindAllSubmatch(content, -1) {
			page = append(page, pdfString{string(s[1]), string(s[2]), pdfUnescape(s[3])})
		}
		if page != nil {
			pages = append(pages, page)
		}
	}
	return pages
}

// pdfUnescape undoes what a literal string does to brackets, backslashes and carriage returns, and decodes UTF-16.
func pdfUnescape(s []byte) string {
	var raw []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
			if s[i] == 'r' {
				raw = append(raw, '\r')
				continue
			}
		}
		raw = append(raw, s[i])
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	return string(utf16.Decode(units))
}

func pdfText(t testing.TB, file []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for i, page := range pdfPages(t, file) {
		fmt.Fprintf(&out, "== page %d\n", i+1)
		for _, s := range page {
			fmt.Fprintf(&out, "%s %s %s\n", s.x, s.y, s.text)
		}
	}
	return out.Bytes()
}
