package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// table writes a table onto a sheet of its own, or several: the titles in the first row, which stays in sight and is
// repeated on paper, a filter over the records, and as last columns the currency and what kind of row each is, where they differ.
func (b *workbook) table(doc *Document, t *Table) {
	g := newGrid(t)
	withCurrency, withKind := false, false
	for i := range t.Rows {
		withKind = withKind || t.Rows[i].Kind != Record
		for j := range g.columns {
			withCurrency = withCurrency || g.rows[i].cells[j].currency != ""
		}
	}
	for i := range t.Rows {
		withCurrency = withCurrency && len(t.Rows[i].currencies()) < 2
	}
	titles := make([]string, 0, len(g.columns)+2)
	for j := range g.columns {
		titles = append(titles, g.columns[j].title)
	}
	if withCurrency {
		titles = append(titles, "Currency")
	}
	if withKind {
		titles = append(titles, "Row")
	}
	for from := 0; from == 0 || from < len(t.Rows); from += b.rows {
		to := min(len(t.Rows), from+b.rows)
		sheet := b.sheet(t.Name)
		widths := g.widths(titles, from, to)
		b.page(doc, sheet, widths, false)
		tallest := 1
		for j, title := range titles {
			number := j < len(g.columns) && g.columns[j].number
			b.put(sheet, j+1, 1, title, false, look{bold: true, wrap: true, under: thinLine, right: number, indent: g.afterNumber(j), fill: "#F0F2F5"})
			tallest = max(tallest, linesIn(title, widths[j]-3))
		}
		b.height(sheet, 1, tallest)
		last := 0
		for i := from; i < to; i++ {
			b.row(sheet, g, t, i, i-from+2, widths)
			extra := len(g.columns) + 1
			plain := rowLook(&g.rows[i])
			plain.indent = 1
			if withCurrency {
				b.put(sheet, extra, i-from+2, strings.Join(t.Rows[i].currencies(), ""), false, plain)
				extra++
			}
			if withKind {
				b.put(sheet, extra, i-from+2, t.Rows[i].Kind.word(), false, plain)
			}
			if t.Rows[i].Kind == Record {
				last = i - from + 2
			}
		}
		b.frozen(sheet, len(titles), to-from+1, last)
	}
}

// rowLook is that of a row without anything that its cells add.
func rowLook(r *gridRow) look {
	l := look{underRow: r.kind == Record}
	switch r.kind {
	case Group:
		l.bold = true
	case Subtotal:
		l.bold, l.over = true, thinLine
	case Total:
		l.bold, l.over, l.under = true, thinLine, doubleLine
	case Difference:
		l.italic, l.under = true, thinLine
	}
	if r.nonzero {
		red, pale := levels[Red], pales[Red]
		l.bold, l.ink, l.fill = true, red.hex(), pale.hex()
	}
	return l
}

// row writes row i of a table into a row of the sheet.
func (b *workbook) row(sheet string, g *grid, t *Table, i, row int, widths []int) {
	r := &g.rows[i]
	tallest := 1
	for j := range r.cells {
		s, column, value := &r.cells[j], &g.columns[j], t.Rows[i].Cells[j].Value
		l := rowLook(r)
		if l.indent = g.afterNumber(j); j == 0 {
			l.indent = r.level
		}
		switch {
		case s.absent:
			l.italic, l.ink, l.wrap, l.right = true, hexGrey, true, column.number
			b.put(sheet, j+1, row, s.text, false, l)
			tallest = max(tallest, linesIn(s.text, widths[j]-2))
		case s.number:
			l.format = numberFormat(value, s.currency)
			if !isExact(value) && s.currency != "" {
				value += " " + s.currency
			}
			b.put(sheet, j+1, row, value, true, l)
		case column.Kind == Date && r.kind == Record:
			serial, day := excelDay(value)
			if !day {
				b.put(sheet, j+1, row, value, false, l)
				continue
			}
			l.format, l.left = "yyyy-mm-dd", true
			b.put(sheet, j+1, row, serial, true, l)
		default:
			l.code = column.Kind == Code && r.kind == Record
			l.wrap = r.kind != Group && (strings.Contains(s.text, "\n") || width(s.text) > widestColumn)
			b.put(sheet, j+1, row, s.text, false, l)
			if l.wrap {
				tallest = max(tallest, linesIn(s.text, widths[j]-2-l.indent))
			}
		}
	}
	b.height(sheet, row, tallest)
}

// afterNumber is the indent of a column of text behind one of numbers, which would touch it.
func (g *grid) afterNumber(j int) int {
	behind := j > 0 && j-1 < len(g.columns) && g.columns[j-1].number
	if own := j < len(g.columns) && g.columns[j].number; behind && !own || j >= len(g.columns) {
		return 1
	}
	return 0
}

// linesIn is how many lines a text takes in a column.
func linesIn(text string, room int) int { return len(wrap(text, max(room, 1), width)) }

// height makes a row as high as its lines; those of one line are so anyway.
func (b *workbook) height(sheet string, row, lines int) {
	const most = 27 // as high as a row can be
	if lines > 1 {
		b.do(b.file.SetRowHeight(sheet, row, float64(15*min(lines, most))))
	}
}

// excelDay returns a day as spreadsheets count them. Before March 1900 they count differently, so those days stay texts.
func excelDay(value string) (serial string, ok bool) {
	day, err := time.Parse(time.DateOnly, value)
	if err != nil || day.Before(time.Date(1900, 3, 1, 0, 0, 0, 0, time.UTC)) {
		return "", false
	}
	n := day.Sub(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour)
	return strconv.FormatInt(int64(n), 10), true
}

// Widths of columns in characters, between which they adapt to what they hold.
const (
	narrowestColumn = 8
	widestColumn    = 60
)

// widths are those that the rows from..to need.
func (g *grid) widths(titles []string, from, to int) []int {
	all := make([]int, len(titles))
	for j := range titles {
		all[j] = narrowestColumn
		const button, short = 4, 20 // of the filter; titles that are not wrapped
		if w := width(titles[j]); w <= short {
			all[j] = max(all[j], w+button)
		}
		for word := range strings.FieldsSeq(titles[j]) {
			all[j] = max(all[j], width(word)+button)
		}
		if j >= len(g.columns) {
			all[j] = max(all[j], narrowestColumn+4)
			continue
		}
		for i := from; i < to; i++ {
			r := &g.rows[i]
			s := &r.cells[j]
			switch {
			case r.kind == Group:
			case s.number:
				all[j] = max(all[j], width(s.String())+2)
			case s.absent && g.columns[j].number:
				all[j] = max(all[j], min(width(s.text)+2, 18))
			default:
				for line := range strings.SplitSeq(s.text, "\n") {
					all[j] = max(all[j], width(line)+2+2*r.level)
				}
			}
		}
		all[j] = min(all[j], widestColumn)
	}
	return all
}

// page sets the widths of a sheet's columns, and how it is printed: A4, as wide as the page, with title and page x of y.
func (b *workbook) page(doc *Document, sheet string, widths []int, landscape bool) {
	const upright = 100 // characters that fit an upright page
	total := 0
	for j, n := range widths {
		name, err := excelize.ColumnNumberToName(j + 1)
		b.do(err)
		b.do(b.file.SetColWidth(sheet, name, name, float64(n)))
		total += n
	}
	orientation, a4, once, asNeeded := "portrait", 9, 1, 0
	if landscape || total > upright {
		orientation = "landscape"
	}
	b.do(b.file.SetPageLayout(sheet, &excelize.PageLayoutOptions{Size: &a4, Orientation: &orientation, FitToWidth: &once, FitToHeight: &asNeeded}))
	b.fit(sheet)
	side, edge := 0.5, 0.7 // inches
	b.do(b.file.SetPageMargins(sheet, &excelize.PageLayoutMarginsOptions{Left: &side, Right: &side, Top: &edge, Bottom: &edge}))
	const longest = 80 // of the parts of a header, which has 255 in all
	part := func(s string) string {
		runes := []rune(oneLine(s))
		return strings.ReplaceAll(string(runes[:min(len(runes), longest)]), "&", "&&")
	}
	b.do(b.file.SetHeaderFooter(sheet, &excelize.HeaderFooterOptions{
		OddHeader: "&L" + part(doc.Title) + "&R" + part("ledger "+doc.Ledger),
		OddFooter: "&L&A&Rpage &P of &N",
	}))
}

// frozen keeps the first row in sight and on each page, and makes a filter down to the last record: totals behind it stay.
func (b *workbook) frozen(sheet string, columns, rows, last int) {
	b.do(b.file.SetPanes(sheet, &excelize.Panes{
		Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft",
		Selection: []excelize.Selection{{SQRef: "A2", ActiveCell: "A2", Pane: "bottomLeft"}},
	}))
	b.do(b.file.SetDefinedName(&excelize.DefinedName{Name: "_xlnm.Print_Titles", RefersTo: fmt.Sprintf("'%s'!$1:$1", sheet), Scope: sheet}))
	end, err := excelize.CoordinatesToCellName(columns, rows)
	b.do(err)
	b.do(b.file.SetSheetDimension(sheet, "A1:"+end))
	if last == 0 {
		return
	}
	end, err = excelize.CoordinatesToCellName(columns, last)
	b.do(err)
	b.do(b.file.AutoFilter(sheet, "A1:"+end, nil))
	b.fit(sheet) // which the filter has taken back
}

// fit lets a sheet be printed as wide as the page.
func (b *workbook) fit(sheet string) {
	fit := true
	b.do(b.file.SetSheetProps(sheet, &excelize.SheetPropsOptions{FitToPage: &fit}))
}

// setSize sets the size of letters in points.
func setSize(font *excelize.Font, size int) { font.Size = float64(size) }
