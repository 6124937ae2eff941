package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/xuri/excelize/v2"
)

// xlsxDate is when every workbook says it was made: the same report is the same bytes.
const xlsxDate = "2000-01-01T00:00:00Z"

// Rows of a table on one sheet, of the 1,048,576 that a sheet has. What is beyond goes on on the next sheet.
const maxSheetRows = 1_000_000

// workbook is an XLSX file while it is written. Its first error is kept, and everything after it does nothing.
type workbook struct {
	file   *excelize.File
	styles map[look]int
	names  map[string]bool // of sheets, in small letters
	rows   int             // of a table on one sheet
	err    error
}

// look is how a cell looks.
type look struct {
	format   string // of a number
	bold     bool
	italic   bool
	code     bool
	wrap     bool
	right    bool
	left     bool // though it is a number
	size     int  // of letters, or 0
	indent   int
	ink      string
	fill     string
	over     int // style of the border above, and below
	under    int
	underRow bool // a faint line below
}

// writeXLSX writes a sheet with head, figures and notes, one for each table, and one with the charts. A number is one where
// a spreadsheet keeps all its digits, and a text otherwise. Nothing is a formula.
func writeXLSX(out io.Writer, doc *Document) error {
	b := newWorkbook()
	defer func() { _ = b.file.Close() }() // has no temporary files to lose
	b.do(b.file.SetDocProps(&excelize.DocProperties{
		Title: visible(doc.Title), Subject: visible(doc.Ledger), Creator: "Tallystick", LastModifiedBy: "Tallystick", Created: xlsxDate, Modified: xlsxDate,
	}))
	b.summary(doc)
	for t := range doc.tables() {
		b.table(doc, t)
	}
	b.charts(doc)
	if b.err != nil {
		return b.err
	}
	_, err := b.file.WriteTo(out)
	return err
}

func newWorkbook() *workbook {
	return &workbook{file: excelize.NewFile().SetZipWriter(newSortedZip), styles: map[look]int{}, names: map[string]bool{}, rows: maxSheetRows}
}

func (b *workbook) do(err error) {
	if b.err == nil {
		b.err = err
	}
}

// sheet makes a new sheet of about that name: a sheet's has at most 31 characters, and no two differ in case alone.
func (b *workbook) sheet(name string) string {
	const longest = 31
	wanted := name[:min(len(name), longest)]
	for n := 2; b.names[strings.ToLower(wanted)]; n++ {
		suffix := fmt.Sprintf(" (%d)", n)
		wanted = name[:min(len(name), longest-len(suffix))] + suffix
	}
	b.names[strings.ToLower(wanted)] = true
	if len(b.names) == 1 {
		b.do(b.file.SetSheetName("Sheet1", wanted))
		return wanted
	}
	_, err := b.file.NewSheet(wanted)
	b.do(err)
	return wanted
}

// style returns the number of a look in the file.
func (b *workbook) style(l look) int {
	if id, known := b.styles[l]; known {
		return id
	}
	font := &excelize.Font{Family: "Calibri", Size: 11, Bold: l.bold, Italic: l.italic, Color: l.ink}
	if l.code {
		font.Family, font.Size = "Consolas", 10
	}
	if l.size > 0 {
		setSize(font, l.size)
	}
	s := &excelize.Style{Font: font, Alignment: &excelize.Alignment{Vertical: "top", WrapText: l.wrap, Indent: l.indent}}
	if l.right {
		s.Alignment.Horizontal = "right"
	} else if l.left || l.indent > 0 && l.format == "" {
		s.Alignment.Horizontal = "left"
	}
	if l.format != "" {
		s.CustomNumFmt = &l.format
	}
	if l.fill != "" {
		s.Fill = excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{l.fill}}
	}
	if l.over > 0 {
		s.Border = append(s.Border, excelize.Border{Type: "top", Color: "#000000", Style: l.over})
	}
	if l.under > 0 {
		s.Border = append(s.Border, excelize.Border{Type: "bottom", Color: "#000000", Style: l.under})
	} else if l.underRow {
		s.Border = append(s.Border, excelize.Border{Type: "bottom", Color: "#D9DDE2", Style: 1})
	}
	id, err := b.file.NewStyle(s)
	b.do(err)
	b.styles[l] = id
	return id
}

// Styles of borders.
const (
	thinLine   = 1
	doubleLine = 6
)

// put writes a value into a cell: a number as one if it can be.
func (b *workbook) put(sheet string, column, row int, value string, number bool, l look) {
	if b.err != nil {
		return
	}
	cell, err := excelize.CoordinatesToCellName(column, row)
	b.do(err)
	switch {
	case value == "":
	case number && isExact(value):
		b.do(b.file.SetCellDefault(sheet, cell, value))
	default:
		if number {
			l.format, l.right = "", true
		}
		b.do(b.file.SetCellStr(sheet, cell, value))
	}
	b.do(b.file.SetCellStyle(sheet, cell, cell, b.style(l)))
}

// isExact says whether a spreadsheet keeps all digits of a number: it counts in binary floating point, which has 15.
func isExact(value string) bool {
	const kept = 15
	digits := 0
	for i := range len(value) {
		if c := value[i]; c != '-' && c != '.' && (c != '0' || digits > 0) {
			digits++
		}
	}
	return digits <= kept
}

// numberFormat shows as many decimals as a value has, and a unit behind it.
func numberFormat(value, unit string) string {
	format := "#,##0"
	if _, decimals, some := strings.Cut(value, "."); some {
		format += "." + strings.Repeat("0", len(decimals))
	}
	if unit != "" {
		format += ` "` + strings.NewReplacer(`"`, "", `\`, "").Replace(oneLine(unit)) + `"`
	}
	return format
}

// summary is the first sheet: everything but tables and charts, and where those are.
func (b *workbook) summary(doc *Document) {
	const textWidth = 120 // of lines, which run over the cells to their right
	sheet := b.sheet("Report")
	b.page(doc, sheet, figureWidths, true)
	row := 1
	line := func(text string, l look) {
		b.put(sheet, 1, row, text, false, l)
		row++
	}
	pair := func(name, value string) {
		b.put(sheet, 1, row, oneLine(name), false, look{ink: hexGrey})
		for _, part := range wrap(visible(value), textWidth, width) {
			b.put(sheet, 2, row, part, false, look{})
			row++
		}
	}
	line(oneLine(doc.Title), look{bold: true, size: 16})
	pair("Ledger", doc.Ledger)
	for _, f := range doc.Facts {
		pair(f.Name, f.Value)
	}
	pair("Records", fmt.Sprint(doc.Records))
	whole, fraction := grouped(doc.HashTotal)
	pair("Hash total", whole+fraction)
	for i := range doc.Blocks {
		block := &doc.Blocks[i]
		if block.Heading != "" {
			row++
			line(oneLine(block.Heading), look{bold: true, size: 13})
		}
		for _, text := range block.Text {
			for _, part := range wrap(visible(text), textWidth, width) {
				line(part, look{})
			}
		}
		if block.Table != nil {
			line("Table: sheet "+block.Table.Name, look{ink: hexGrey})
		}
		if block.Chart != nil {
			line("Chart: "+block.Chart.caption()+", on the last sheet", look{ink: hexGrey})
		}
		row = b.figures(sheet, row, block.Figures)
	}
	if len(doc.Notes) > 0 {
		row++
		line("Notes", look{bold: true, size: 13})
	}
	for _, note := range doc.Notes {
		for _, part := range wrap(visible(note), textWidth, width) {
			line(part, look{})
		}
	}
}

// figureWidths are those of the columns of figures.
var figureWidths = []int{34, 22, 10, 20, 20, 22, 44, 18, 18, 30}

const hexGrey = "#59636F"

// figures writes figures as rows under their titles, and returns the next row.
func (b *workbook) figures(sheet string, row int, figures []Figure) int {
	if len(figures) == 0 {
		return row
	}
	for i, title := range []string{"Figure", "Value", "Level", "Amber", "Red", "Previous run", "Meaning", "Standard", "Convention", "From"} {
		b.put(sheet, i+1, row, title, false, look{bold: true, under: thinLine, right: title == "Value" || title == "Previous run", indent: indentAfter(i)})
	}
	for i := range figures {
		f := &figures[i]
		row++
		text := look{wrap: true, underRow: true}
		tallest := linesIn(visible(f.Title), figureWidths[0]-4)
		b.put(sheet, 1, row, visible(f.Title), false, look{wrap: true, underRow: true, bold: true})
		b.figureValue(sheet, 2, row, f, &f.Value)
		leveled := text
		leveled.indent = 1
		if f.Level != NoLimit {
			pale, dark := pales[f.Level], levels[f.Level]
			leveled.fill, leveled.ink, leveled.bold = pale.hex(), dark.hex(), true
		}
		b.put(sheet, 3, row, f.Level.word(), false, leveled)
		b.put(sheet, 4, row, visible(f.Amber), false, text)
		b.put(sheet, 5, row, visible(f.Red), false, text)
		previous := Cell{}
		if f.Previous != nil {
			previous = *f.Previous
		}
		b.figureValue(sheet, 6, row, f, &previous)
		for j, s := range []string{f.Meaning, f.Standard, f.Convention, f.from()} {
			text.indent = indentAfter(6 + j)
			b.put(sheet, 7+j, row, visible(s), false, text)
			tallest = max(tallest, linesIn(visible(s), figureWidths[6+j]-2))
		}
		tallest = max(tallest, linesIn(visible(f.Amber), figureWidths[3]-2), linesIn(visible(f.Red), figureWidths[4]-2))
		b.height(sheet, row, tallest)
	}
	return row + 2
}

// indentAfter is the indent of the columns behind those of values.
func indentAfter(column int) int {
	if column == 2 || column == 6 {
		return 1
	}
	return 0
}

func (b *workbook) figureValue(sheet string, column, row int, f *Figure, c *Cell) {
	unit := c.Currency
	if unit == "" {
		unit = f.Unit
	}
	switch {
	case c.Absent != "":
		b.put(sheet, column, row, visible(c.Absent), false, look{wrap: true, underRow: true, italic: true, ink: hexGrey, right: true})
	case isDecimal(c.Value):
		b.put(sheet, column, row, c.Value, true, look{underRow: true, format: numberFormat(c.Value, unit)})
	default:
		b.put(sheet, column, row, visible(c.Value), false, look{wrap: true, underRow: true, right: true})
	}
}
