package report

import (
	"fmt"
	"io"
	"strings"
)

// Measures of a page, in hundredths of a point.
const (
	pageMargin = 4_250 // left and right
	pageTop    = 4_250
	pageBottom = 5_200 // with the footer in it
	titleSize  = 1_700
	headSize   = 1_250
	bodySize   = 900
	smallSize  = 750
)

// pdfWriter fills the pages of a PDF from above.
type pdfWriter struct {
	*canvas
	doc           *Document
	options       Options
	width, height int // of a page
	y             int // upper edge of what comes next
}

// leading is the distance of lines.
func leading(size int) int { return size * 132 / 100 }

// writePDF writes A4 pages, all upright or all across: across as soon as a table needs that.
func writePDF(out io.Writer, doc *Document, options Options) error {
	c := newCanvas(doc)
	tables := map[*Table]*pdfTable{}
	for t := range doc.tables() {
		tables[t] = newPDFTable(c, newGrid(t))
		c.across = c.across || !tables[t].fits(sheetShort-2*pageMargin)
	}
	w := &pdfWriter{canvas: c, doc: doc, options: options, width: sheetShort, height: sheetLong}
	if c.across {
		w.width, w.height = sheetLong, sheetShort
	}
	w.newPage()
	w.head()
	for i := range doc.Blocks {
		b := &doc.Blocks[i]
		w.block(b, tables[b.Table])
	}
	w.notes()
	w.onEach(w.footer)
	return w.write(out)
}

func (w *pdfWriter) newPage() {
	w.page()
	w.y = pageTop
}

// inner is the width between the margins, rest the height that is left on the page, full that of a whole one.
func (w *pdfWriter) inner() int { return w.width - 2*pageMargin }
func (w *pdfWriter) rest() int  { return w.height - pageBottom - w.y }
func (w *pdfWriter) full() int  { return w.height - pageBottom - pageTop }

// need begins a new page unless that height is left on this one, or on none.
func (w *pdfWriter) need(height int) {
	if height > w.rest() && w.y > pageTop {
		w.newPage()
	}
}

// gap leaves room, but not at the top of a page.
func (w *pdfWriter) gap(height int) {
	if w.y > pageTop {
		w.y += height
	}
}

// wrapped breaks a text into the lines of a width.
func (w *pdfWriter) wrapped(f face, size, limit int, text string) []string {
	return wrap(text, limit, func(s string) int { return w.canvas.width(f, size, s) })
}

// paragraph writes a text behind an indent, over pages if need be.
func (w *pdfWriter) paragraph(f face, size, indent int, text string) {
	for _, line := range w.wrapped(f, size, w.inner()-indent, text) {
		w.need(leading(size))
		w.text(pageMargin+indent, w.y+size, f, size, ink, line)
		w.y += leading(size)
	}
}

func (w *pdfWriter) head() {
	w.bookmark(oneLine(w.doc.Title), w.y)
	w.paragraph(bold, titleSize, 0, visible(w.doc.Title))
	w.y += titleSize / 2
	w.pairs(0, bodySize, append([]Fact{{"Ledger", w.doc.Ledger}}, w.doc.Facts...))
}

// pairs writes names and values beside one another.
func (w *pdfWriter) pairs(indent, size int, facts []Fact) {
	widest := 0
	for _, f := range facts {
		widest = max(widest, w.canvas.width(regular, size, oneLine(f.Name)))
	}
	widest = min(widest, w.inner()/3) + size
	for _, f := range facts {
		names := w.wrapped(regular, size, widest, oneLine(f.Name))
		values := w.wrapped(regular, size, w.inner()-indent-widest, visible(f.Value))
		for i := range max(len(names), len(values)) {
			w.need(leading(size))
			if i < len(names) {
				w.text(pageMargin+indent, w.y+size, regular, size, grey, names[i])
			}
			if i < len(values) {
				w.text(pageMargin+indent+widest, w.y+size, regular, size, ink, values[i])
			}
			w.y += leading(size)
		}
	}
}

// block writes the parts of a block. Its heading stays with the beginning of what follows it.
func (w *pdfWriter) block(b *Block, t *pdfTable) {
	w.gap(headSize)
	if b.Heading != "" {
		heading := oneLine(b.Heading)
		follows := leading(headSize) + 3*leading(bodySize)
		switch {
		case len(b.Text) > 0 && b.Table != nil:
			follows += 8 * leading(bodySize)
		case len(b.Figures) > 0, b.Table != nil:
			follows += 5 * leading(bodySize)
		case b.Chart != nil:
			follows += w.chartHeight(b.Chart.draw())
		}
		w.need(follows)
		w.bookmark(heading, w.y)
		w.paragraph(bold, headSize, 0, heading)
		w.line(ink, 75, nil, point{pageMargin, w.y}, point{pageMargin + w.inner(), w.y})
		w.y += bodySize / 2
	}
	for _, text := range b.Text {
		w.paragraph(regular, bodySize, 0, visible(text))
		w.y += bodySize / 3
	}
	for i := range b.Figures {
		w.figure(&b.Figures[i])
	}
	if b.Chart != nil {
		w.chart(b.Chart)
	}
	if t != nil {
		w.table(t)
	}
}

// figure writes one behind a bar in the colour of its level. It stays on one page unless it is longer than that.
func (w *pdfWriter) figure(f *Figure) {
	const indent, size = 900, bodySize
	value := f.shown(&f.Value)
	facts := make([]Fact, 0, 6)
	for _, c := range f.conditions() {
		facts = append(facts, Fact{c[0], c[1]})
	}
	if len(f.Sources) > 0 {
		facts = append(facts, Fact{"From", f.from()})
	}
	meaning := visible(f.Meaning)
	lines := len(w.wrapped(regular, size, w.inner()-indent, meaning)) + len(facts)
	w.need(leading(headSize) + lines*leading(size) + size)
	w.gap(size / 2)
	top := w.y
	right := w.valueAndLevel(f, value.String())
	title := w.wrapped(bold, size*11/10, right-pageMargin-2*indent, oneLine(f.Title))
	for i, line := range title {
		if i > 0 {
			w.y += leading(size)
		}
		w.text(pageMargin+indent, w.y+headSize, bold, size*11/10, ink, line)
	}
	w.y += leading(headSize)
	w.paragraph(regular, size, indent, meaning)
	w.pairs(indent, smallSize, facts)
	if w.y > top {
		c, leveled := levels[f.Level]
		if !leveled {
			c = grey
		}
		w.rect(pageMargin, top, 300, w.y-top, c)
	}
	w.y += size / 2
}

// valueAndLevel writes a figure's value at the right edge, before the word of its level, and returns where that begins.
func (w *pdfWriter) valueAndLevel(f *Figure, value string) int {
	x := pageMargin + w.inner()
	if f.Level != NoLimit {
		word := f.Level.word()
		wide := w.canvas.width(bold, smallSize, word) + smallSize
		x -= wide
		w.rect(x, w.y+headSize-smallSize*11/10, wide, smallSize*14/10, pales[f.Level])
		w.text(x+smallSize/2, w.y+headSize, bold, smallSize, levels[f.Level], word)
		x -= bodySize
	}
	style, size := bold, headSize
	if f.Value.Absent != "" {
		style, size = regular, bodySize
	}
	lines := w.wrapped(style, size, w.inner()*6/10, oneLine(value))
	wide := 0
	for i, line := range lines {
		n := w.canvas.width(style, size, line)
		wide = max(wide, n)
		if i > 0 {
			w.y += leading(size)
		}
		w.text(x-n, w.y+headSize, style, size, ink, line)
	}
	return x - wide
}

// notes ends the report. The control totals never stand alone on a page.
func (w *pdfWriter) notes() {
	control := w.doc.controlLine()
	last := bodySize + len(w.wrapped(bold, bodySize, w.inner(), control))*leading(bodySize)
	all := make([]string, 0, len(w.doc.Notes)+1)
	for _, note := range w.doc.Notes {
		all = append(all, visible(note))
	}
	if missing := w.missingNote(); missing != "" {
		all = append(all, missing)
	}
	if len(all) > 0 {
		w.gap(headSize)
		w.need(leading(headSize) + 4*leading(bodySize) + last)
		w.bookmark("Notes", w.y)
		w.paragraph(bold, headSize, 0, "Notes")
	}
	for i, note := range all {
		lines := w.wrapped(regular, bodySize, w.inner()-bodySize, note)
		if i+1 < len(all) {
			w.need(min(len(lines), 3) * leading(bodySize))
		} else {
			w.need(min(len(lines)*leading(bodySize)+last, w.full()))
		}
		w.text(pageMargin, w.y+bodySize, regular, bodySize, ink, "–")
		w.paragraph(regular, bodySize, bodySize, note)
		w.y += bodySize / 4
	}
	w.gap(bodySize)
	w.paragraph(bold, bodySize, 0, control)
}

// footer stands on each page.
func (w *pdfWriter) footer(page, pages int) {
	y := w.height - pageBottom + 2_200
	w.line(faint, 50, nil, point{pageMargin, y - smallSize - 500}, point{pageMargin + w.inner(), y - smallSize - 500})
	number := fmt.Sprintf("page %d of %d", page, pages)
	x := pageMargin + w.inner() - w.canvas.width(regular, smallSize, number)
	w.text(x, y, regular, smallSize, grey, number)
	about := []string{oneLine(w.doc.Title), "ledger " + oneLine(w.doc.Ledger)}
	for _, f := range w.doc.Facts {
		if strings.EqualFold(f.Name, "as of") || strings.EqualFold(f.Name, "period") {
			about = append(about, oneLine(f.Name+" "+f.Value))
		}
	}
	line := w.wrapped(regular, smallSize, x-pageMargin-1000, strings.Join(about, " · "))[0]
	w.text(pageMargin, y, regular, smallSize, grey, line)
}

// Charts are not drawn wider than this.
const chartWidth = 51_000

// chartScale is how much of the width and height of a drawing a page has room for, in hundredths of points per thousand units.
func (w *pdfWriter) chartScale(d *drawing) int {
	wide := min(w.inner(), chartWidth) * 1000 / d.width
	high := (w.full() - 2*leading(bodySize)) * 1000 / max(d.height, 1)
	return max(min(wide, high), 1)
}

func (w *pdfWriter) chartHeight(d *drawing) int {
	return 2*leading(bodySize) + d.height*w.chartScale(d)/1000
}

func (w *pdfWriter) chart(c *Chart) {
	d := c.draw()
	w.need(w.chartHeight(d))
	w.paragraph(bold, bodySize, 0, c.caption())
	w.y += bodySize / 3
	scale := w.chartScale(d)
	for i := range d.shapes {
		w.shape(&d.shapes[i], scale)
	}
	w.y += d.height*scale/1000 + bodySize
}

// shape draws a part of a chart whose upper left corner is where the page is written next.
func (w *pdfWriter) shape(s *shape, scale int) {
	at := func(p point) point { return point{pageMargin + p.x*scale/1000, w.y + p.y*scale/1000} }
	first := at(s.points[0])
	switch s.kind {
	case rectShape:
		w.rect(first.x, first.y, s.w*scale/1000, s.h*scale/1000, *s.fill)
	case dotShape:
		w.dot(first.x, first.y, s.w*scale/1000, *s.fill)
	case lineShape:
		through := make([]point, len(s.points))
		for i, p := range s.points {
			through[i] = at(p)
		}
		dash := make([]int, len(s.dash))
		for i, n := range s.dash {
			dash[i] = n * scale / 1000
		}
		w.line(*s.stroke, s.thick*scale/1000, dash, through...)
	case textShape:
		size, f := fontSize*scale/1000, regular
		if s.bold {
			f = bold
		}
		if s.slant {
			w.slanted(first.x, first.y, f, size, *s.fill, s.text)
			return
		}
		x := first.x
		if s.anchor != start {
			n := w.canvas.width(f, size, s.text)
			if s.anchor == middle {
				n /= 2
			}
			x -= n
		}
		w.text(x, first.y, f, size, *s.fill, s.text)
	}
}
