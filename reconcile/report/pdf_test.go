package report

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// texts are the pieces of a page.
func (p pdfPage) texts() []string {
	all := make([]string, len(p))
	for i, s := range p {
		all[i] = s.text
	}
	return all
}

func TestPagesAreNumberedAndRepeatTheTitles(t *testing.T) {
	t.Parallel()
	file := rendered(t, rich(t), PDF, Options{})
	pages := pdfPages(t, file)
	if objects := len(regexp.MustCompile(`/Type /Page\n`).FindAll(file, -1)); objects != len(pages) || len(pages) < 10 {
		t.Fatalf("%d pages with text of %d", len(pages), objects)
	}
	entry := regexp.MustCompile(`^customers:\d+:wallet$`)
	ledgers := 0
	for i, page := range pages {
		texts := page.texts()
		if want := fmt.Sprintf("page %d of %d", i+1, len(pages)); !slices.Contains(texts, want) {
			t.Errorf("page %d does not say %s", i+1, want)
		}
		first := slices.IndexFunc(texts, entry.MatchString)
		if first < 0 || !slices.Contains(texts, "Payment 0") && !slices.ContainsFunc(texts, func(s string) bool { return strings.HasPrefix(s, "Payment ") }) {
			continue
		}
		ledgers++
		for _, title := range []string{"Entry", "Booked", "Account", "Description", "Debit EUR"} {
			if at := slices.Index(texts, title); at < 0 {
				t.Errorf("page %d has rows of the ledger and not the title %s", i+1, title)
			}
		}
	}
	if ledgers < 5 {
		t.Errorf("the ledger of 300 rows is on %d pages", ledgers)
	}
}

// stacked is a table of so many records and their total.
func stacked(t testing.TB, records int) *Document {
	t.Helper()
	table := &Table{Name: "t", Columns: []Column{{"account", "Account", Code, ""}, {"amount", "Amount", Amount, "EUR"}}}
	for i := range records {
		table.Rows = append(table.Rows, Row{Cells: []Cell{{Value: fmt.Sprintf("account:%d", i)}, {Value: "1.00"}}})
	}
	table.Rows = append(table.Rows, Row{Kind: Total, Cells: []Cell{{Value: "The total"}, {Value: fmt.Sprintf("%d.00", records)}}},
		Row{Kind: Difference, Cells: []Cell{{Value: "The difference"}, {Value: "0.00"}}})
	doc := &Document{Name: "stacked", Title: "Stacked", Ledger: "main", Blocks: []Block{{Heading: "A table", Table: table}}}
	if err := Finish(doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// Whatever the number of rows, no total begins a page without a record before it, and no control total stands alone.
func TestTotalsAreNeverAloneOnAPage(t *testing.T) {
	t.Parallel()
	broken := 0
	for records := 36; records < 56; records += 3 {
		pages := pdfPages(t, rendered(t, stacked(t, records), PDF, Options{}))
		broken += len(pages) - 1
		for i, page := range pages {
			texts := page.texts()
			at := slices.Index(texts, "The total")
			last := slices.Index(texts, fmt.Sprintf("account:%d", records-1))
			if at >= 0 && (last < 0 || last > at || !slices.Contains(texts, "The difference")) {
				t.Errorf("%d records: the total on page %d has no record before it, or no difference behind it", records, i+1)
			}
		}
	}
	if broken == 0 {
		t.Error("no table was long enough for two pages")
	}
}

func TestDecimalPointsStandUnderOneAnother(t *testing.T) {
	t.Parallel()
	doc := rich(t)
	c := newCanvas(doc)
	table := newPDFTable(c, newGrid(doc.tableNamed("trial-balance")))
	table.fits(sheetLong - 2*pageMargin)
	points := map[string][]int{}
	for _, page := range pdfPages(t, rendered(t, doc, PDF, Options{})) {
		for _, s := range page {
			for currency, number := range map[string]string{"EUR": "1,234,567.89 EUR", "JPY": "1,000,000 JPY", "BTC": "0.12345678 BTC"} {
				if s.text != number {
					continue
				}
				var x, hundredths int
				if _, err := fmt.Sscanf(s.x, "%d.%d", &x, &hundredths); err != nil {
					t.Fatal(err)
				}
				whole, _, _ := strings.Cut(strings.TrimSuffix(number, " "+currency), ".")
				for f := range mono { // totals are bold
					points[currency] = append(points[currency], x*100+hundredths+c.width(f, table.size, whole))
				}
			}
		}
	}
	if len(points) != 3 {
		t.Fatalf("only %v were found", points)
	}
	near := func(a int) bool {
		return slices.ContainsFunc(points["BTC"], func(b int) bool { return max(a, b)-min(a, b) < 10 }) // a tenth of a point
	}
	for currency, all := range points {
		if !slices.ContainsFunc(all, near) {
			t.Errorf("the points of %s stand at %v, those of BTC at %v", currency, all, points["BTC"])
		}
	}
}

func TestRowsLongerThanAPageGoOn(t *testing.T) {
	t.Parallel()
	doc := stacked(t, 2)
	doc.Blocks[0].Table.Columns[0].Kind = Text
	doc.Blocks[0].Table.Rows[1].Cells[0].Value = strings.TrimSpace(strings.Repeat("word ", MaxText/5))
	doc.Blocks[0].Text = []string{strings.TrimSpace(strings.Repeat("text ", MaxText/5))}
	doc.Notes = []string{strings.TrimSpace(strings.Repeat("note ", MaxText/5))}
	if err := Finish(doc); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"word", "text", "note"} {
		found := 0
		for _, page := range pdfPages(t, rendered(t, doc, PDF, Options{})) {
			for _, s := range page {
				found += strings.Count(s.text, word)
			}
		}
		if found != MaxText/5 {
			t.Errorf("%d times %q, want %d", found, word, MaxText/5)
		}
	}
}

func TestTextIsDrawnAsItIsRead(t *testing.T) {
	t.Parallel()
	c := newCanvas(small(t))
	for text, want := range map[string]string{
		"Müller, Αθήνα, Москва, Łódź": "Müller, Αθήνα, Москва, Łódź",
		"cafe\u0301":                    "café",
		"שלום":                          "םולש",
		"to שלום עולם 123 end":          "to םלוע םולש 123 end",
		"(שלום)":                        "(םולש)",
		"שנת 2026 (א) ב":                "ב (א) 2026 תנש",
		"سلام":                          "\uFEE1\uFEFC\uFEB3",
		"لا":                            "\uFEFB",
		"دار":                           "\uFEAD\uFE8D\uFEA9",
		"東京":                            "□□",
		"a\u200db":                      "ab",
		"👩":                             "□",
		"nul " + visible("\x00") + " x": "nul \uFFFD x",
	} {
		if got := c.drawable(regular, text); got != want {
			t.Errorf("%q is drawn as %q (%+q), want %q", text, got, got, want)
		}
	}
	if note := c.missingNote(); !strings.Contains(note, "shown as □: U+4EAC, U+6771, U+1F469. All other formats") {
		t.Errorf("of what is missing it says %q", note)
	}
}

func TestTheFontsAreWhole(t *testing.T) {
	t.Parallel()
	for f := range faces {
		c := newCanvas(small(t))
		for _, r := range "0123456789.,-ABCxyzäöüßñçøåÆŁğžαβγωΑΩабвяАЯ€£¥–…“”□\uFFFD" {
			if !c.has(f, r) {
				t.Errorf("face %d lacks %q", f, r)
			}
		}
		one := c.width(f, measured, "0")
		for _, digit := range "123456789" {
			if c.width(f, measured, string(digit)) != one {
				t.Errorf("face %d: %c is not as wide as 0, so numbers do not line up", f, digit)
			}
		}
	}
}

func TestOnlyReportsThatNeedItAreAcross(t *testing.T) {
	t.Parallel()
	upright := rendered(t, stacked(t, 3), PDF, Options{})
	across := rendered(t, rich(t), PDF, Options{})
	if !bytes.Contains(upright, []byte("/MediaBox [0 0 595.28 841.89]")) || !bytes.Contains(across, []byte("/MediaBox [0 0 841.89 595.28]")) {
		t.Error("the pages do not lie as they should")
	}
	if bytes.Contains(upright, []byte("/URI")) || !bytes.Contains(rendered(t, rich(t), PDF, Options{Href: href}), []byte("/URI (/accounts/bank:main)")) {
		t.Error("links are there without addresses, or are not there with them")
	}
}

// fpdf writes into the fonts that it is given: a report must not depend on those that were written before it.
func TestOneReportDoesNotChangeTheNext(t *testing.T) {
	t.Parallel()
	before := make([][]byte, faces)
	for f := range faces {
		before[f] = bytes.Clone(fonts[f])
	}
	one := rendered(t, rich(t), PDF, Options{})
	rendered(t, stacked(t, 3), PDF, Options{})
	if !bytes.Equal(one, rendered(t, rich(t), PDF, Options{})) {
		t.Error("after another report it is another")
	}
	for f := range faces {
		if !bytes.Equal(before[f], fonts[f]) {
			t.Errorf("face %d was written into", f)
		}
	}
}
