package report

import (
	"bufio"
	"slices"
	"strings"
)

// Widths of plain text.
const (
	textWidth   = 100 // of paragraphs and notes; tables are as wide as they need
	cellWidth   = 44  // at which text in a table is wrapped
	absentWidth = 16  // at which a reason in a column of numbers is wrapped
)

// textWriter writes plain text. Errors are those of its writer, which keeps the first.
type textWriter struct{ out *bufio.Writer }

func (w textWriter) line(parts ...string) {
	_, _ = w.out.WriteString(strings.TrimRight(strings.Join(parts, ""), " ") + "\n")
}

// lines writes a text wrapped behind an indent; the first line has its own.
func (w textWriter) lines(first, indent, text string) {
	for i, line := range wrap(text, textWidth-width(indent), width) {
		if i == 0 {
			w.line(first, line)
		} else {
			w.line(indent, line)
		}
	}
}

func writeText(out *bufio.Writer, doc *Document) {
	w := textWriter{out}
	title := oneLine(doc.Title)
	w.line(title)
	w.line(strings.Repeat("=", width(title)))
	w.line()
	w.pairs("", append([]Fact{{"Ledger", doc.Ledger}}, doc.Facts...))
	for i := range doc.Blocks {
		w.block(&doc.Blocks[i])
	}
	if len(doc.Notes) > 0 {
		w.line()
		w.line("Notes")
		w.line("-----")
		for _, note := range doc.Notes {
			w.lines("- ", "  ", visible(note))
		}
	}
	w.line()
	w.line(doc.controlLine())
}

// pairs writes names and values under one another.
func (w textWriter) pairs(indent string, facts []Fact) {
	widest := 0
	for _, f := range facts {
		widest = max(widest, width(oneLine(f.Name)))
	}
	for _, f := range facts {
		name := oneLine(f.Name)
		w.lines(indent+name+strings.Repeat(" ", widest-width(name)+2), indent+strings.Repeat(" ", widest+2), visible(f.Value))
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(visible(s)), " ") }

func (w textWriter) block(b *Block) {
	if b.Heading != "" {
		heading := oneLine(b.Heading)
		w.line()
		w.line(heading)
		w.line(strings.Repeat("-", width(heading)))
	}
	for _, text := range b.Text {
		w.line()
		w.lines("", "", visible(text))
	}
	for i := range b.Figures {
		w.figure(&b.Figures[i])
	}
	if b.Chart != nil {
		w.line()
		w.line(b.Chart.caption())
		w.table(b.Chart.table())
	}
	if b.Table != nil {
		w.line()
		w.table(b.Table)
	}
}

func (w textWriter) figure(f *Figure) {
	w.line()
	value := f.shown(&f.Value)
	title, level := oneLine(f.Title), ""
	if f.Level != NoLimit {
		level = "  [" + f.Level.word() + "]"
	}
	w.line(title, strings.Repeat(" ", max(2, 44-width(title))), oneLine(value.String()), level)
	w.lines("  ", "  ", visible(f.Meaning))
	var facts []Fact
	for _, c := range f.conditions() {
		facts = append(facts, Fact{c[0], c[1]})
	}
	if len(f.Sources) > 0 {
		facts = append(facts, Fact{"From", f.from()})
	}
	w.pairs("  ", facts)
}

// from names the sources of a figure.
func (f *Figure) from() string {
	words := make([]string, len(f.Sources))
	for i, l := range f.Sources {
		words[i] = l.String()
	}
	return strings.Join(words, "; ")
}

// table writes columns under their titles. A row takes as many lines as its longest cell.
func (w textWriter) table(t *Table) {
	g := newGrid(t)
	cells := make([][][]string, len(g.rows)) // lines of each cell of each row
	widths := make([]int, len(g.columns))
	for j := range g.columns {
		for _, word := range strings.Fields(g.columns[j].title) {
			widths[j] = max(widths[j], width(word))
		}
	}
	for i := range g.rows {
		cells[i] = make([][]string, len(g.columns))
		for j := range g.columns {
			cells[i][j] = textCell(g, &g.rows[i], j)
			if g.rows[i].kind == Group {
				continue // runs over the columns behind it
			}
			for _, line := range cells[i][j] {
				widths[j] = max(widths[j], width(line))
			}
		}
	}
	titles := make([][]string, len(g.columns))
	for j := range g.columns {
		titles[j] = wrap(g.columns[j].title, max(widths[j], 12), width)
		for _, line := range titles[j] {
			widths[j] = max(widths[j], width(line))
		}
	}
	w.row(g, widths, titles, nil)
	w.rule(g, widths, "-", false)
	for i := range g.rows {
		r := &g.rows[i]
		if i > 0 && (r.kind == Subtotal || r.kind == Total) && g.rows[i-1].kind == Record {
			w.rule(g, widths, "-", true)
		}
		w.row(g, widths, cells[i], r)
		if r.kind == Total || r.kind == Difference {
			if i+1 == len(g.rows) || g.rows[i+1].kind != Difference {
				w.rule(g, widths, "=", true)
			}
		}
	}
}

// textCell returns the lines of a cell. Fractions are filled up with spaces, so that points stand under one another.
func textCell(g *grid, r *gridRow, j int) []string {
	c, s := &g.columns[j], &r.cells[j]
	indent := ""
	if j == 0 {
		indent = strings.Repeat("  ", r.level)
	}
	switch {
	case s.number:
		text := s.whole + s.fraction + strings.Repeat(" ", c.decimals-len(s.fraction))
		if s.currency != "" {
			text += " " + s.currency
		}
		return []string{indent + text}
	case s.text == "":
		return []string{""}
	}
	limit := cellWidth
	switch {
	case c.number && s.absent:
		limit = absentWidth
	case c.Kind == Code && !s.absent, r.kind == Group:
		limit = 1 << 20
	}
	lines := wrap(s.text, limit, width)
	for i := range lines {
		lines[i] = indent + lines[i]
	}
	return lines
}

// row writes the lines of a row of cells, or of the titles where there is no row.
func (w textWriter) row(g *grid, widths []int, cells [][]string, r *gridRow) {
	height := 1
	for _, lines := range cells {
		height = max(height, len(lines))
	}
	for i := range height {
		var out strings.Builder
		for j, lines := range cells {
			text := ""
			at := i
			if r == nil {
				at -= height - len(lines) // titles stand on the rule
			}
			if at >= 0 && at < len(lines) {
				text = lines[at]
			}
			fill := strings.Repeat(" ", max(0, widths[j]-width(text)))
			if j > 0 {
				out.WriteString("  ")
			}
			if g.columns[j].number && (r == nil || r.cells[j].number || r.cells[j].absent) {
				out.WriteString(fill + text)
			} else {
				out.WriteString(text + fill)
			}
		}
		w.line(out.String())
	}
}

// rule draws a line under all columns, or only under those of numbers.
func (w textWriter) rule(g *grid, widths []int, with string, numbers bool) {
	parts := make([]string, len(widths))
	for j, n := range widths {
		if numbers && !slices.Contains([]ColumnKind{Amount, Count}, g.columns[j].Kind) {
			parts[j] = strings.Repeat(" ", n)
			continue
		}
		parts[j] = strings.Repeat(with, n)
	}
	w.line(strings.Join(parts, "  "))
}
