package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
)

// csvFile is what a CSV file holds: tables one under the other, with the columns of all of them.
type csvFile struct {
	tables  []*Table
	columns []string // of the tables, each name once
	table   string   // column that names the table, if there can be several
	kind    string   // column that says what a row is
	// currency is the one column for the currency of all amounts of a row. Where a row has amounts in several, it is
	// empty, and each column of amounts has one of its own behind it, in currencies.
	currency   string
	currencies map[string]string
	absent     string // column with the reasons for what is missing
	known      bool   // a column of the tables says the currency already
}

// writeCSV writes tables as RFC 4180: one header, CRLF, the same columns in each row. The column "row" tells records from
// totals; the last row has the control totals of the whole report. A column of ours whose name a table has, too, gets a _
// behind it.
//
// Numbers are written as they are, a minus before them or not. A text is written behind an apostrophe where a spreadsheet
// would take it for a formula, see guarded. Nothing else is changed, and there is no byte order mark.
func writeCSV(out io.Writer, doc *Document, options Options) error {
	tables, err := doc.csvTables(options.Table)
	if err != nil {
		return err
	}
	f := newCSVFile(tables, options.Table == "")
	w := csv.NewWriter(out)
	w.UseCRLF = true
	if err := w.Write(f.header()); err != nil {
		return err
	}
	for _, t := range tables {
		for i := range t.Rows {
			if err := w.Write(f.row(t, &t.Rows[i])); err != nil {
				return err
			}
		}
	}
	if err := w.Write(f.control(doc)); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// csvTables returns the table of that name, or all tables of the document. One without tables gives its figures.
func (doc *Document) csvTables(name string) ([]*Table, error) {
	all := slices.Collect(doc.tables())
	if name == "" && len(all) > 0 {
		return all, nil
	}
	if t := doc.tableNamed(name); t != nil {
		return []*Table{t}, nil
	}
	switch name {
	case "", "figures":
		return []*Table{doc.figuresTable()}, nil
	case "facts":
		return []*Table{doc.factsTable()}, nil
	case "charts":
		return []*Table{doc.chartsTable()}, nil
	}
	names := []string{"facts", "figures", "charts"}
	for _, t := range all {
		names = append(names, t.Name)
	}
	return nil, fmt.Errorf("there is no table %q, only %s", name, strings.Join(names, ", "))
}

func newCSVFile(tables []*Table, several bool) *csvFile {
	f := &csvFile{tables: tables, currencies: map[string]string{}, known: true}
	taken := map[string]bool{}
	free := func(name string) string {
		for taken[name] {
			name += "_"
		}
		taken[name] = true
		return name
	}
	amounts, mixed, absent := []string{}, false, false
	for _, t := range tables {
		for i := range t.Columns {
			if name := t.Columns[i].Name; !slices.Contains(f.columns, name) {
				f.columns = append(f.columns, name)
			}
			if t.Columns[i].Kind == Amount && !slices.Contains(amounts, t.Columns[i].Name) {
				amounts = append(amounts, t.Columns[i].Name)
			}
		}
		for i := range t.Rows {
			currencies := t.Rows[i].currencies()
			mixed = mixed || len(currencies) > 1
			f.known = f.known && (len(currencies) == 0 || t.value(&t.Rows[i], "currency") == currencies[0])
			absent = absent || slices.ContainsFunc(t.Rows[i].Cells, func(c Cell) bool { return c.Absent != "" })
		}
	}
	f.known = f.known && !mixed
	for _, name := range f.columns {
		taken[name] = true
	}
	if f.kind = free("row"); several {
		f.table = free("table")
	}
	if mixed {
		for _, name := range amounts {
			f.currencies[name] = free(name + "_currency")
		}
	} else if len(amounts) > 0 && !f.known {
		f.currency = free("currency")
	}
	if absent {
		f.absent = free("absent")
	}
	return f
}

// currencies lists those of a row's amounts.
func (r *Row) currencies() []string {
	var all []string
	for i := range r.Cells {
		if c := r.Cells[i].Currency; c != "" && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all
}

// value returns what stands in the column of that name.
func (t *Table) value(r *Row, column string) string {
	if i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == column }); i >= 0 {
		return r.Cells[i].Value
	}
	return ""
}

func (f *csvFile) header() []string {
	names := f.begun(f.table, f.kind)
	for _, name := range f.columns {
		names = append(names, name)
		if own := f.currencies[name]; own != "" {
			names = append(names, own)
		}
	}
	return f.ended(names, f.currency, f.absent)
}

// ended adds the last columns, where the file has them.
func (f *csvFile) ended(values []string, currency, absent string) []string {
	if f.currency != "" {
		values = append(values, currency)
	}
	if f.absent != "" {
		values = append(values, absent)
	}
	return values
}

func (f *csvFile) row(t *Table, r *Row) []string {
	values := f.begun(t.Name, r.Kind.word())
	var reasons []string
	for _, name := range f.columns {
		i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
		cell, kind := Cell{}, Text
		if i >= 0 {
			cell, kind = r.Cells[i], t.Columns[i].Kind
		}
		values = append(values, csvValue(cell.Value, kind))
		if f.currencies[name] != "" {
			values = append(values, cell.Currency)
		}
		if cell.Absent != "" {
			reasons = append(reasons, name+": "+cell.Absent)
		}
	}
	currency := strings.Join(r.currencies(), "")
	return f.ended(values, currency, guarded(strings.Join(reasons, "; ")))
}

// begun are the first cells of a row.
func (f *csvFile) begun(table, kind string) []string {
	if f.table != "" {
		return []string{table, kind}
	}
	return []string{kind}
}

// control is the last row. Its text stands in the first column for text.
func (f *csvFile) control(doc *Document) []string {
	values := f.begun("", "control")
	at := 0
	for i, name := range f.columns {
		column := func(c Column) bool { return c.Name == name && (c.Kind == Text || c.Kind == Code) }
		if slices.ContainsFunc(f.tables, func(t *Table) bool { return slices.ContainsFunc(t.Columns, column) }) {
			at = i
			break
		}
	}
	for i, name := range f.columns {
		text := ""
		if i == at {
			text = fmt.Sprintf("records %d; hash total %s", doc.Records, doc.HashTotal)
		}
		values = append(values, text)
		if f.currencies[name] != "" {
			values = append(values, "")
		}
	}
	return f.ended(values, "", "")
}

// csvValue is a cell's value: numbers and dates are harmless, and all else is text.
func csvValue(value string, kind ColumnKind) string {
	if kind != Text && kind != Code && isDecimal(value) || kind == Date && isDate(value) {
		return value
	}
	return guarded(value)
}

// guarded puts an apostrophe before = + - @ (also in their full-width forms) where a spreadsheet could begin a formula:
// at the beginning, and behind what a spreadsheet that expects other separators would split at. A number stays one.
func guarded(text string) string {
	text = visible(text)
	if isDecimal(text) || !strings.ContainsAny(text, formulaMarks) {
		return text
	}
	var out strings.Builder
	begins := true
	if strings.HasPrefix(text, "\t") || strings.HasPrefix(text, "␍") {
		out.WriteByte('\'') // some programs drop both
	}
	for _, r := range text {
		if begins && strings.ContainsRune(formulaMarks, r) {
			out.WriteByte('\'')
		}
		out.WriteRune(r)
		switch r {
		case '\t', '\n', '␍', ';', ',', '|':
			begins = true
		case ' ', '"', '\'', 0xA0:
		default:
			begins = false
		}
	}
	return out.String()
}

const formulaMarks = "=+-@＝＋－＠"
