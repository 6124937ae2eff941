package report

import (
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"tallystick/ledger/money"
)

// Bounds of a document. What is beyond them no format could show, or no reader could read.
const (
	MaxColumns    = 64
	MaxLevel      = 12     // of indentation
	MaxText       = 32_767 // UTF-16 units of one text: what a cell of a spreadsheet holds
	MaxDigits     = 96     // of one number, with sign and point
	MaxScale      = 18     // decimals of an amount: as of a currency
	MaxCategories = 1000   // of a chart
	MaxSeries     = 64     // of a chart
	MaxMarks      = 16     // of a chart
)

// Check says what is wrong with a document, and where. A document that Finish has completed and nobody has touched since
// is right.
func (doc *Document) Check() error {
	if !isName(doc.Name) {
		return doc.wrong("%q is no name: use small letters, digits, . _ and -", doc.Name)
	}
	if doc.Title == "" || doc.Ledger == "" {
		return doc.wrong("it has no title or no ledger")
	}
	for i := range doc.Facts {
		if doc.Facts[i].Name == "" {
			return doc.wrong("fact %d has no name", i+1)
		}
	}
	if err := doc.checkTexts(); err != nil {
		return err
	}
	tables, figures := map[string]bool{}, map[string]bool{}
	for i := range doc.Blocks {
		b := &doc.Blocks[i]
		for j := range b.Figures {
			if err := doc.checkFigure(&b.Figures[j], figures); err != nil {
				return err
			}
		}
		if b.Chart != nil {
			if err := doc.checkChart(b.Chart); err != nil {
				return err
			}
		}
		if b.Table != nil {
			if err := doc.checkTable(b.Table, tables); err != nil {
				return err
			}
		}
	}
	return doc.checkControlTotals()
}

func (doc *Document) checkControlTotals() error {
	records, hashTotal, err := doc.controlTotals()
	if err != nil {
		return err
	}
	if doc.Records != records || doc.HashTotal != hashTotal {
		return doc.wrong("it says %d records and hash total %q, its rows %d and %s: finish it", doc.Records, doc.HashTotal, records, hashTotal)
	}
	return nil
}

// isName says whether a name can be a file's and part of a URL.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 100
}

// checkTexts looks at the texts outside tables and figures.
func (doc *Document) checkTexts() error {
	texts := append([]string{doc.Title, doc.Ledger}, doc.Notes...)
	for i := range doc.Facts {
		texts = append(texts, doc.Facts[i].Name, doc.Facts[i].Value)
	}
	for i := range doc.Blocks {
		texts = append(append(texts, doc.Blocks[i].Heading), doc.Blocks[i].Text...)
	}
	for _, s := range texts {
		if why := badText(s); why != "" {
			return doc.wrong("text %.40q %s", s, why)
		}
	}
	return nil
}

// badText says what is wrong with a text, or nothing.
func badText(s string) string {
	if !utf8.ValidString(s) {
		return "is no UTF-8"
	}
	if len(s) > MaxText {
		units := 0
		for _, r := range s {
			units += utf16.RuneLen(r)
		}
		if units > MaxText {
			return "is too long"
		}
	}
	return ""
}

func (doc *Document) checkFigure(f *Figure, seen map[string]bool) error {
	wrong := func(format string, args ...any) error {
		return doc.wrong("figure %s: "+format, append([]any{f.ID}, args...)...)
	}
	if f.ID == "" || f.Title == "" || f.Meaning == "" {
		return wrong("it has no id, no title or no meaning")
	}
	if seen[f.ID] {
		return wrong("there are two of them")
	}
	seen[f.ID] = true
	for _, s := range []string{f.ID, f.Title, f.Unit, f.Meaning, f.Standard, f.Convention, f.Amber, f.Red} {
		if why := badText(s); why != "" {
			return wrong("text %.40q %s", s, why)
		}
	}
	if !isLevel(f.Level) {
		return wrong("there is no level %q", f.Level)
	}
	for _, c := range []*Cell{&f.Value, f.Previous} {
		if c == nil {
			continue
		}
		kind := Text
		if c.Currency != "" {
			kind = Amount
		} else if f.Unit != "" {
			kind = Ratio
		}
		if why := c.wrong(kind); why != "" {
			return wrong("%s", why)
		}
	}
	if f.Value.Value == "" && f.Value.Absent == "" {
		return wrong("it has neither a value nor a reason why there is none")
	}
	if slices.Contains(f.Sources, Link{}) {
		return wrong("a source leads nowhere")
	}
	return nil
}

func isLevel(l Level) bool { return l == NoLimit || l == Green || l == Amber || l == Red }

func (doc *Document) checkTable(t *Table, seen map[string]bool) error {
	if !isName(t.Name) {
		return doc.wrong("%q is no name of a table: use small letters, digits, . _ and -", t.Name)
	}
	if seen[t.Name] {
		return doc.wrong("there are two tables %s", t.Name)
	}
	seen[t.Name] = true
	if len(t.Columns) == 0 || len(t.Columns) > MaxColumns {
		return doc.wrong("table %s has %d columns, which must be 1 to %d", t.Name, len(t.Columns), MaxColumns)
	}
	names := map[string]bool{}
	for i := range t.Columns {
		c := &t.Columns[i]
		switch {
		case !isName(c.Name) || names[c.Name]:
			return doc.wrong("table %s: %q is no name of a column, or there are two: use small letters, digits, . _ and -", t.Name, c.Name)
		case badText(c.Title) != "":
			return doc.wrong("table %s, column %s: its title %s", t.Name, c.Name, badText(c.Title))
		case !slices.Contains([]ColumnKind{Text, Code, Date, Amount, Count, Ratio}, c.Kind):
			return doc.wrong("table %s, column %s: there is no kind %q", t.Name, c.Name, c.Kind)
		case c.Currency != "" && (c.Kind != Amount || !money.ValidCurrencyCode(c.Currency)):
			return doc.wrong("table %s, column %s of kind %s has currency %q", t.Name, c.Name, c.Kind, c.Currency)
		}
		names[c.Name] = true
	}
	for i := range t.Rows {
		if err := doc.checkRow(t, i); err != nil {
			return err
		}
	}
	return nil
}

func (doc *Document) checkRow(t *Table, i int) error {
	r := &t.Rows[i]
	if len(r.Cells) != len(t.Columns) {
		return doc.wrong("table %s, row %d has %d cells for %d columns", t.Name, i+1, len(r.Cells), len(t.Columns))
	}
	if !slices.Contains([]RowKind{Record, Subtotal, Total, Difference, Group}, r.Kind) {
		return doc.wrong("table %s, row %d: there is no kind %q", t.Name, i+1, r.Kind)
	}
	if r.Level < 0 || r.Level > MaxLevel {
		return doc.wrong("table %s, row %d: level %d is not 0 to %d", t.Name, i+1, r.Level, MaxLevel)
	}
	for j := range r.Cells {
		c, kind := &r.Cells[j], t.Columns[j].Kind
		if r.Kind == Group && j == 0 || r.Kind != Record && (kind == Code || kind == Date) {
			kind = Text // where groups and totals say what they are
		}
		if r.Kind == Group && j > 0 && *c != (Cell{}) {
			return doc.wrong(t.at(i, j) + ": a group has only a first cell")
		}
		if why := c.wrong(kind); why != "" {
			return doc.wrong(t.at(i, j)+": %s", why)
		}
	}
	return nil
}

// wrong says what is wrong with a cell of that kind, or nothing.
func (c *Cell) wrong(kind ColumnKind) string {
	if why := badText(c.Value); why != "" {
		return "its value " + why
	}
	if why := badText(c.Absent); why != "" {
		return "its reason " + why
	}
	if c.Value != "" && c.Absent != "" {
		return "it has both a value and a reason why there is none"
	}
	if c.Link != nil && *c.Link == (Link{}) {
		return "its link leads nowhere"
	}
	if c.Currency != "" && (kind != Amount || !money.ValidCurrencyCode(c.Currency)) {
		return "it has currency " + c.Currency + " and is no amount, or that is no currency"
	}
	if c.Value == "" {
		return ""
	}
	_, decimals, _ := strings.Cut(c.Value, ".")
	switch kind {
	case Amount:
		if !isDecimal(c.Value) || len(decimals) > MaxScale {
			return "amount " + c.Value + " is not written as in -1234.50"
		}
		if c.Currency == "" {
			return "amount " + c.Value + " has no currency"
		}
		if c.Scale == nil || *c.Scale != len(decimals) {
			return "amount " + c.Value + " lacks its scale: finish the report"
		}
		return ""
	case Ratio:
		if !isDecimal(c.Value) {
			return "number " + c.Value + " is not written as in -12.5"
		}
	case Count:
		if !isDecimal(c.Value) || strings.Contains(c.Value, ".") {
			return "count " + c.Value + " is no whole number"
		}
	case Date:
		if !isDate(c.Value) {
			return "date " + c.Value + " is not written as in 2026-11-28"
		}
	}
	if c.Scale != nil {
		return "it has a scale and is no amount"
	}
	return ""
}

func isDate(s string) bool {
	if _, err := time.Parse(time.DateOnly, s); err == nil {
		return true
	}
	_, err := time.Parse(time.RFC3339Nano, s)
	return err == nil
}

func (doc *Document) checkChart(c *Chart) error {
	wrong := func(format string, args ...any) error {
		return doc.wrong("chart %s: "+format, append([]any{c.Title}, args...)...)
	}
	switch {
	case c.Title == "" || badText(c.Title) != "" || badText(c.Unit) != "":
		return wrong("it has no title that can be shown")
	case !slices.Contains([]ChartKind{Bars, StackedBars, Lines, Waterfall, Heat}, c.Kind):
		return wrong("there is no kind %q", c.Kind)
	case len(c.Categories) > MaxCategories || len(c.Series) > MaxSeries || len(c.Marks) > MaxMarks:
		return wrong("%d categories, %d series and %d marks are too many", len(c.Categories), len(c.Series), len(c.Marks))
	case c.Kind == Waterfall && len(c.Series) != 1:
		return wrong("a waterfall has one series, not %d", len(c.Series))
	}
	for _, s := range c.Categories {
		if why := badText(s); why != "" {
			return wrong("category %.40q %s", s, why)
		}
	}
	for i := range c.Series {
		s := &c.Series[i]
		if len(s.Values) != len(c.Categories) || len(s.Levels) != 0 && len(s.Levels) != len(s.Values) {
			return wrong("series %d has %d values and %d levels for %d categories", i+1, len(s.Values), len(s.Levels), len(c.Categories))
		}
		for j, value := range s.Values {
			if value != "" && !isDecimal(value) {
				return wrong("series %d, category %d: number %q is not written as in -12.5", i+1, j+1, value)
			}
		}
		if badText(s.Name) != "" || slices.ContainsFunc(s.Levels, func(l Level) bool { return !isLevel(l) }) {
			return wrong("series %d has a name that cannot be shown, or a level that is none", i+1)
		}
	}
	for _, m := range c.Marks {
		if !isDecimal(m.Value) || !isLevel(m.Level) || badText(m.Name) != "" {
			return wrong("mark %.40q at %q is no number, or has no such level", m.Name, m.Value)
		}
	}
	return nil
}
