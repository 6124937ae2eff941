package report

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

func opened(t testing.TB, file []byte) *excelize.File {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = book.Close() })
	return book
}

func TestWorkbooksHoldNumbersAsNumbers(t *testing.T) {
	t.Parallel()
	book := opened(t, rendered(t, rich(t), XLSX, Options{}))
	if got, want := book.GetSheetList(), []string{"Report", "trial-balance", "hostile", "postings", "Charts"}; !slices.Equal(got, want) {
		t.Fatalf("the sheets are %q, want %q", got, want)
	}
	for _, c := range []struct {
		sheet, cell, raw, shown string
		number                  bool
	}{
		{"trial-balance", "C4", "-1200.00", "-1,200.00 EUR", true},
		{"trial-balance", "D8", "1000000", "1,000,000 JPY", true},
		{"trial-balance", "C13", "0.00000001", "0.00000001 BTC", true},
		{"trial-balance", "C14", "-170141183460469231731687303715884105727 XTS", "", false}, // of more than 15 digits
		{"trial-balance", "D14", "170141183460469231731.687303715884105727 XTS", "", false},
		{"trial-balance", "G4", "not computed: no rates", "", false},
		{"trial-balance", "H4", "EUR", "", false},
		{"postings", "B2", "46327", "2026-11-01", true}, // a day
		{"postings", "G302", "463903.50", "463,903.50", true},
		{"Report", "B14", "120034.56", "120,034.56 EUR", true},
		{"hostile", "B2", `=HYPERLINK("http://evil.example","click")`, "", false},
		{"hostile", "B10", "-12.50", "", false}, // a text that looks like a number stays one
	} {
		raw, err := book.GetCellValue(c.sheet, c.cell, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		kind, err := book.GetCellType(c.sheet, c.cell)
		if err != nil {
			t.Fatal(err)
		}
		if number := kind == excelize.CellTypeUnset || kind == excelize.CellTypeNumber; raw != c.raw || number != c.number {
			t.Errorf("%s %s is %q, number %t, want %q, %t", c.sheet, c.cell, raw, number, c.raw, c.number)
		}
		if shown, err := book.GetCellValue(c.sheet, c.cell); err != nil || c.shown != "" && shown != c.shown {
			t.Errorf("%s %s is shown as %q, want %q, %v", c.sheet, c.cell, shown, c.shown, err)
		}
	}
}

func TestWorkbooksHoldNoFormulas(t *testing.T) {
	t.Parallel()
	file := rendered(t, rich(t), XLSX, Options{})
	parts, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	sheets := 0
	for _, part := range parts.File {
		if !part.Modified.Equal(zipDate) {
			t.Errorf("%s says it was changed at %s", part.Name, part.Modified)
		}
		if !strings.HasPrefix(part.Name, "xl/worksheets/sheet") {
			continue
		}
		sheets++
		reader, err := part.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte("<f>")) || bytes.Contains(content, []byte("<f ")) || bytes.Contains(content, []byte("<hyperlink")) {
			t.Errorf("%s has a formula or a link", part.Name)
		}
		if !bytes.Contains(content, []byte(`fitToPage="true"`)) {
			t.Errorf("%s is not printed as wide as the page", part.Name)
		}
	}
	if sheets != 5 {
		t.Errorf("%d sheets were looked at", sheets)
	}
}

func TestSheetsKeepTheirTitlesInSight(t *testing.T) {
	t.Parallel()
	book := opened(t, rendered(t, rich(t), XLSX, Options{}))
	panes, err := book.GetPanes("postings")
	if err != nil || !panes.Freeze || panes.YSplit != 1 {
		t.Errorf("the panes are %+v, %v", panes, err)
	}
	names := map[string]string{}
	for _, n := range book.GetDefinedName() {
		names[n.Name+" "+n.Scope] = n.RefersTo
	}
	if got := names["_xlnm.Print_Titles postings"]; got != "'postings'!$1:$1" {
		t.Errorf("printed on each page is %q", got)
	}
	if got := names["_xlnm._FilterDatabase postings"]; got != "'postings'!$A$1:$H$301" {
		t.Errorf("the filter is over %q: the total behind the last record is not part of it", got)
	}
	style, err := book.GetCellStyle("postings", "G302")
	if err != nil {
		t.Fatal(err)
	}
	if look, err := book.GetStyle(style); err != nil || !look.Font.Bold {
		t.Errorf("the total is not bold, %v", err)
	}
	if layout, err := book.GetPageLayout("postings"); err != nil || *layout.Size != 9 || *layout.Orientation != "landscape" {
		t.Errorf("the page is %+v, %v", layout, err)
	}
}

func TestLongTablesGoOnOnAnotherSheet(t *testing.T) {
	t.Parallel()
	doc := rich(t)
	b := newWorkbook()
	b.rows = 120
	b.table(doc, doc.tableNamed("postings"))
	if b.err != nil {
		t.Fatal(b.err)
	}
	if got, want := b.file.GetSheetList(), []string{"postings", "postings (2)", "postings (3)"}; !slices.Equal(got, want) {
		t.Fatalf("the sheets are %q, want %q", got, want)
	}
	for i, sheet := range b.file.GetSheetList() {
		title, _ := b.file.GetCellValue(sheet, "D1")
		first, _ := b.file.GetCellValue(sheet, "A2")
		if title != "Description" || first != fmt.Sprint(120*i) {
			t.Errorf("sheet %s begins with %q and entry %s", sheet, title, first)
		}
	}
}

func TestSheetNamesDiffer(t *testing.T) {
	t.Parallel()
	b := newWorkbook()
	long := strings.Repeat("x", 40)
	for _, want := range []string{long[:31], long[:27] + " (2)", long[:27] + " (3)"} {
		if got := b.sheet(long); got != want {
			t.Errorf("a sheet is called %q, want %q", got, want)
		}
	}
	if b.err != nil {
		t.Error(b.err)
	}
}

func TestNumbersOfUpTo15DigitsAreExact(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"0": true, "0.00": true, "-0.000000000000000001": true, "123456789012345": true, "-1234567890123.45": true,
		"1234567890123456": false, "-123456789012345.6": false, "100000000000000.0": false,
	} {
		if isExact(value) != want {
			t.Errorf("%s is exact: %t", value, !want)
		}
	}
	if got := rounded("170141183460469231731687303715884105727"); got != "170141183460469000000000000000000000000" {
		t.Errorf("a chart draws %s", got)
	}
	if got := rounded("-0.12345678901234567"); got != "-0.123456789012346" {
		t.Errorf("a chart draws %s", got)
	}
}
