package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// Finish completes a document that somebody put together: each amount gets the currency of its column and its scale, the
// control totals are computed, and everything is checked. Bytes that are no UTF-8 become U+FFFD. Finishing twice changes
// nothing.
func Finish(doc *Document) error {
	doc.toValidUTF8()
	for t := range doc.tables() {
		for i := range t.Rows {
			for j := range min(len(t.Columns), len(t.Rows[i].Cells)) {
				t.Rows[i].Cells[j].complete(&t.Columns[j])
			}
		}
	}
	for b := range doc.Blocks {
		for i := range doc.Blocks[b].Figures {
			f := &doc.Blocks[b].Figures[i]
			f.Value.complete(nil)
			if f.Previous != nil {
				f.Previous.complete(nil)
			}
		}
	}
	records, total, err := doc.controlTotals()
	if err != nil {
		return err
	}
	doc.Records, doc.HashTotal = records, total
	return doc.Check()
}

// complete says of an amount what its column says, so that each amount stands for itself.
func (c *Cell) complete(column *Column) {
	c.Scale = nil
	if c.Value == "" {
		return
	}
	if column != nil && column.Kind == Amount && c.Currency == "" {
		c.Currency = column.Currency
	}
	if c.Currency != "" {
		scale := 0
		if _, decimals, some := strings.Cut(c.Value, "."); some {
			scale = len(decimals)
		}
		c.Scale = &scale
	}
}

// tables yields the tables in their order.
func (doc *Document) tables() func(func(*Table) bool) {
	return func(yield func(*Table) bool) {
		for i := range doc.Blocks {
			if t := doc.Blocks[i].Table; t != nil && !yield(t) {
				return
			}
		}
	}
}

// controlTotals counts the records and adds up their amounts. All amounts are brought to the largest scale among them, so
// that the sum is one of whole numbers.
func (doc *Document) controlTotals() (records int64, hashTotal string, err error) {
	var sum decimal.Decimal
	scale := int32(0)
	for t := range doc.tables() {
		for i := range t.Rows {
			if t.Rows[i].Kind != Record {
				continue
			}
			records++
			for j := range min(len(t.Columns), len(t.Rows[i].Cells)) {
				value := t.Rows[i].Cells[j].Value
				if t.Columns[j].Kind != Amount || value == "" {
					continue
				}
				if !isDecimal(value) {
					return 0, "", doc.wrong(t.at(i, j)+": %q is no amount", value)
				}
				amount, err := decimal.NewFromString(value)
				if err != nil {
					return 0, "", doc.wrong(t.at(i, j)+": %w", err)
				}
				sum, scale = sum.Add(amount), max(scale, -amount.Exponent())
			}
		}
	}
	return records, sum.StringFixed(scale), nil
}

// wrong is an error in the document.
func (doc *Document) wrong(format string, args ...any) error {
	return fmt.Errorf("checking report %s: "+format, append([]any{doc.Name}, args...)...)
}

// at says where a cell stands. Rows are counted from 1, as a reader counts them.
func (t *Table) at(row, column int) string {
	name := t.Columns[column].Name
	return strings.ReplaceAll(fmt.Sprintf("table %s, row %d, column %s", t.Name, row+1, name), "%", "%%")
}

// toValidUTF8 replaces what no format could hold: every string of a document may come from a client or a bank.
func (doc *Document) toValidUTF8() {
	valid := func(texts ...*string) {
		for _, s := range texts {
			*s = strings.ToValidUTF8(*s, "\uFFFD")
		}
	}
	all := func(texts []string) {
		for i := range texts {
			valid(&texts[i])
		}
	}
	link := func(l *Link) {
		if l != nil {
			valid(&l.Account, &l.Transfer, &l.Report)
		}
	}
	cell := func(c *Cell) {
		if c != nil {
			valid(&c.Value, &c.Currency, &c.Absent)
			link(c.Link)
		}
	}
	valid(&doc.Name, &doc.Title, &doc.Ledger)
	all(doc.Notes)
	for i := range doc.Facts {
		valid(&doc.Facts[i].Name, &doc.Facts[i].Value)
	}
	for i := range doc.Blocks {
		b := &doc.Blocks[i]
		valid(&b.Heading)
		all(b.Text)
		for j := range b.Figures {
			f := &b.Figures[j]
			valid(&f.ID, &f.Title, &f.Unit, &f.Meaning, &f.Standard, &f.Convention, &f.Amber, &f.Red)
			cell(&f.Value)
			cell(f.Previous)
			for k := range f.Sources {
				link(&f.Sources[k])
			}
		}
		if c := b.Chart; c != nil {
			valid(&c.Title, &c.Unit)
			all(c.Categories)
			for j := range c.Series {
				valid(&c.Series[j].Name)
				all(c.Series[j].Values)
			}
			for j := range c.Marks {
				valid(&c.Marks[j].Name, &c.Marks[j].Value)
			}
		}
		if t := b.Table; t != nil {
			for j := range t.Columns {
				valid(&t.Columns[j].Name, &t.Columns[j].Title)
			}
			for j := range t.Rows {
				for k := range t.Rows[j].Cells {
					cell(&t.Rows[j].Cells[k])
				}
			}
		}
	}
}

// isDecimal says whether a number is written in the one way that documents use: no sign but a minus, no leading zero, no
// exponent, digits on both sides of a point, no minus before zero.
func isDecimal(s string) bool {
	digits, negative := strings.CutPrefix(s, "-")
	whole, decimals, point := strings.Cut(digits, ".")
	if len(s) > MaxDigits || !isDigits(whole) || point && !isDigits(decimals) || len(whole) > 1 && whole[0] == '0' {
		return false
	}
	return !negative || strings.Trim(digits, "0.") != ""
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// tableNamed returns the table of that name, or nil.
func (doc *Document) tableNamed(name string) *Table {
	all := slices.Collect(doc.tables())
	if i := slices.IndexFunc(all, func(t *Table) bool { return t.Name == name }); i >= 0 {
		return all[i]
	}
	return nil
}
