package report

import (
	"slices"
	"strings"
)

// Measures of tables in PDF.
const (
	measured  = 1_000 // size at which widths are taken
	largest   = 850   // size of letters, if there is room
	smallest  = 500   // below which they cannot be read
	cellSpace = 800   // left and right of a cell together
	textRoom  = 9_000 // that a column of text gets at least, if it needs it
	codeRoom  = 20_000
	ownRoom   = 5_200 // of a reason in a column of numbers
)

// pdfTable is a table with the widths of its columns at the size of measuring.
type pdfTable struct {
	*grid
	columns []pdfColumn
	size    int   // of letters, once fits was asked
	widths  []int // of columns, likewise
}

// pdfColumn is the room of a column: what it would like, what it must have, and how a number in it is divided.
type pdfColumn struct {
	natural, least            int
	whole, fraction, currency int
}

func newPDFTable(c *canvas, g *grid) *pdfTable {
	t := &pdfTable{grid: g, columns: make([]pdfColumn, len(g.columns))}
	for j := range g.columns {
		t.columns[j] = t.measure(c, j)
	}
	return t
}

// face is that of a column's cells in a row.
func (t *pdfTable) face(r *gridRow, j int) face {
	switch {
	case r.kind == Total || r.kind == Subtotal || r.kind == Group || r.nonzero:
		return bold
	case t.grid.columns[j].Kind == Code && r.kind == Record:
		return mono
	}
	return regular
}

// codeSize makes the letters of the fixed-width face as large as the others look.
func codeSize(f face, size int) int {
	if f == mono {
		return size * 90 / 100
	}
	return size
}

// measure takes the widths of a column.
func (t *pdfTable) measure(c *canvas, j int) pdfColumn {
	column := &t.grid.columns[j]
	var m pdfColumn
	words, reason := 0, 0
	for i := range t.rows {
		r := &t.rows[i]
		s := &r.cells[j]
		if r.kind == Group {
			continue // runs over all columns
		}
		f := t.face(r, j)
		width := func(text string) int { return c.width(f, codeSize(f, measured), text) }
		if s.number {
			m.whole, m.fraction = max(m.whole, width(s.whole)), max(m.fraction, width(s.fraction))
			if s.currency != "" {
				m.currency = max(m.currency, width(" "+s.currency))
			}
			continue
		}
		indent := 0
		if j == 0 {
			indent = r.level * measured
		}
		for line := range strings.SplitSeq(s.text, "\n") {
			m.natural = max(m.natural, indent+width(line))
		}
		if s.absent {
			reason = max(reason, width(s.text))
		}
		for _, word := range strings.Fields(s.text) {
			words = max(words, indent+width(word))
		}
	}
	title := 0
	for _, word := range strings.Fields(column.title) {
		title = max(title, c.width(bold, measured, word))
	}
	number := m.whole + m.fraction + m.currency
	switch {
	case column.number:
		m.least = max(number, min(reason, ownRoom), title)
	case column.Kind == Date:
		m.least = m.natural
	case column.Kind == Code:
		m.least = min(m.natural, codeRoom)
	default:
		m.least = min(m.natural, max(words, textRoom), 2*textRoom)
	}
	m.least = max(m.least, min(title, textRoom)) + cellSpace
	m.natural = max(m.natural, number, c.width(bold, measured, column.title)) + cellSpace
	if column.number {
		m.natural = max(min(m.natural, 2*ownRoom), m.least)
	}
	return m
}

// fits chooses the largest letters with which the table fits a width, and says whether they are large enough. Where none are,
// the columns are cut down to it all the same.
func (t *pdfTable) fits(room int) bool {
	for t.size = largest; t.size >= smallest; t.size -= 50 {
		if sum(t.columns, func(c pdfColumn) int { return c.least })*t.size/measured <= room {
			t.share(room)
			return t.size >= 700 || room >= sheetLong-2*pageMargin
		}
	}
	t.size = smallest
	least := sum(t.columns, func(c pdfColumn) int { return c.least })
	t.widths = make([]int, len(t.columns))
	for j := range t.columns {
		t.widths[j] = t.columns[j].least * room / least
	}
	return false
}

func sum[T any](all []T, of func(T) int) (n int) {
	for _, v := range all {
		n += of(v)
	}
	return n
}

// share gives each column what it must have, and what is left to those that would like more.
func (t *pdfTable) share(room int) {
	t.widths = make([]int, len(t.columns))
	rest := room
	for j := range t.columns {
		t.widths[j] = t.columns[j].least * t.size / measured
		rest -= t.widths[j]
	}
	wish := sum(t.columns, func(c pdfColumn) int { return max(c.natural-c.least, 0) }) * t.size / measured
	if wish == 0 {
		return
	}
	for j := range t.columns {
		more := max(t.columns[j].natural-t.columns[j].least, 0) * t.size / measured
		t.widths[j] += min(more, more*rest/wish)
	}
}

// pdfRow is a row with the lines of its cells.
type pdfRow struct {
	*gridRow
	lines [][]string
	count int
}

// lay breaks the cells of a row into lines.
func (w *pdfWriter) lay(t *pdfTable, r *gridRow) pdfRow {
	row := pdfRow{gridRow: r, lines: make([][]string, len(r.cells)), count: 1}
	for j := range r.cells {
		s := &r.cells[j]
		if r.kind == Group && j > 0 {
			break
		}
		f := t.face(r, j)
		room := t.widths[j] - cellSpace*t.size/measured
		if j == 0 {
			room -= r.level * t.size
		}
		if r.kind == Group {
			room = sum(t.widths, func(n int) int { return n }) - r.level*t.size
		}
		text := s.String()
		if text == "" {
			continue
		}
		if s.number && t.numberWidth(j) <= room {
			row.lines[j] = []string{text}
			continue
		}
		row.lines[j] = w.wrapped(f, codeSize(f, t.size), max(room, t.size), text)
		row.count = max(row.count, len(row.lines[j]))
	}
	return row
}

// numberWidth is what the widest number of a column takes.
func (t *pdfTable) numberWidth(j int) int {
	c := &t.columns[j]
	return (c.whole + c.fraction + c.currency) * t.size / measured
}

func (t *pdfTable) height(lines int) int { return lines*leading(t.size) + t.size*4/10 }

// table writes the rows, and the titles on each page. A heading in the table stays with what follows it, and totals with the
// row before them.
func (w *pdfWriter) table(t *pdfTable) {
	t.fits(w.inner())
	titles := w.titles(t)
	head := t.height(titles.count)
	w.y += bodySize / 3
	begun := false
	begin := func() {
		w.titleRow(t, &titles)
		begun = true
	}
	for i := 0; i < len(t.rows); {
		rows, height := []pdfRow{}, 0
		for i < len(t.rows) {
			r := w.lay(t, &t.rows[i])
			rows, height = append(rows, r), height+t.height(r.count)
			i++
			if r.kind != Group && (i == len(t.rows) || !isTotal(t.rows[i].kind)) {
				break
			}
		}
		if !begun {
			w.need(head + min(height, w.full()/2))
			begin()
		} else if height > w.rest() {
			w.newPage()
			begin()
		}
		for k := range rows {
			w.row(t, &rows[k], begin)
		}
	}
	if !begun {
		w.need(head)
		begin()
	}
	w.y += bodySize / 2
}

func isTotal(k RowKind) bool { return k == Subtotal || k == Total || k == Difference }

// titles are the names of the columns as a row.
func (w *pdfWriter) titles(t *pdfTable) pdfRow {
	row := pdfRow{lines: make([][]string, len(t.columns)), count: 1}
	for j := range t.columns {
		room := max(t.widths[j]-cellSpace*t.size/measured, t.size)
		row.lines[j] = w.wrapped(bold, t.size, room, t.grid.columns[j].title)
		row.count = max(row.count, len(row.lines[j]))
	}
	return row
}

func (w *pdfWriter) titleRow(t *pdfTable, titles *pdfRow) {
	x, space := pageMargin, cellSpace*t.size/measured/2
	for j, lines := range titles.lines {
		for i, line := range lines {
			at := x + space
			if t.grid.columns[j].number {
				at = x + t.widths[j] - space - w.canvas.width(bold, t.size, line)
			}
			w.text(at, w.y+t.size+(titles.count-len(lines)+i)*leading(t.size), bold, t.size, ink, line)
		}
		x += t.widths[j]
	}
	w.y += t.height(titles.count)
	w.line(ink, 75, nil, point{pageMargin, w.y}, point{x, w.y})
	w.y += t.size * 2 / 10
}

// row writes a row; one that is longer than the page goes on on the next.
func (w *pdfWriter) row(t *pdfTable, r *pdfRow, begin func()) {
	right := pageMargin + sum(t.widths, func(n int) int { return n })
	if r.kind == Subtotal || r.kind == Total {
		w.line(ink, 50, nil, point{pageMargin, w.y}, point{right, w.y})
	}
	for from := 0; from < r.count; {
		if w.rest() < t.height(1) {
			w.newPage()
			begin()
		}
		to := min(r.count, from+max((w.rest()-t.size*4/10)/leading(t.size), 1))
		w.rowLines(t, r, from, to)
		w.y += t.height(to - from)
		from = to
	}
	switch r.kind {
	case Total:
		w.line(ink, 50, nil, point{pageMargin, w.y - 130}, point{right, w.y - 130})
		w.line(ink, 50, nil, point{pageMargin, w.y}, point{right, w.y})
		w.y += t.size * 2 / 10
	case Difference:
		w.line(ink, 30, nil, point{pageMargin, w.y}, point{right, w.y})
	default:
		w.line(faint, 30, nil, point{pageMargin, w.y}, point{right, w.y})
	}
}

// rowLines writes some lines of a row.
func (w *pdfWriter) rowLines(t *pdfTable, r *pdfRow, from, to int) {
	x, space := pageMargin, cellSpace*t.size/measured/2
	for j := range r.cells {
		s := &r.cells[j]
		f := t.face(r.gridRow, j)
		size := codeSize(f, t.size)
		c := ink
		switch {
		case r.nonzero:
			c = levels[Red]
		case s.absent:
			c = grey
		case slices.Contains([]string{"GREEN", "AMBER", "RED"}, s.text):
			c = levels[Level(strings.ToLower(s.text))]
		}
		for i := from; i < min(to, len(r.lines[j])); i++ {
			line := r.lines[j][i]
			at := x + space
			switch {
			case s.number && len(r.lines[j]) == 1:
				at = w.pointAt(t, j, x+t.widths[j]-space) - w.canvas.width(f, size, s.whole)
			case t.grid.columns[j].number && (s.number || s.absent):
				at = x + t.widths[j] - space - w.canvas.width(f, size, line)
			case j == 0:
				at += r.level * t.size
			}
			y := w.y + t.size*11/10 + (i-from)*leading(t.size)
			w.text(at, y, f, size, c, line)
			if s.link != nil && w.options.Href != nil {
				if href := w.options.Href(*s.link); href != "" {
					w.link(at, y-size, w.canvas.width(f, size, line), leading(size), href)
				}
			}
		}
		x += t.widths[j]
	}
}

// pointAt is where the decimal points of a column stand.
func (w *pdfWriter) pointAt(t *pdfTable, j, right int) int {
	return right - (t.columns[j].fraction+t.columns[j].currency)*t.size/measured
}
