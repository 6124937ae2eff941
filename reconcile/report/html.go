package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
)

//go:embed report.css
var css string

//go:embed report.html.tmpl
var pageText string

var page = template.Must(template.New("report").Parse(pageText))

// PagePolicy is the Content-Security-Policy under which a page in HTML is shown whole: it loads nothing and runs nothing,
// and its one style sheet is known by its hash. The page asks for it itself, too.
var PagePolicy = "default-src 'none'; style-src 'sha256-" + sheetHash() + "'; base-uri 'none'; form-action 'none'"

func sheetHash() string {
	sum := sha256.Sum256([]byte(css))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// pageDocument is a document as the page's template sees it.
type pageDocument struct {
	Name, Title, Control, Policy string
	Style                        template.HTML // the element, whose text must be that of the hash
	Facts                        []Fact
	Blocks                       []pageBlock
	Notes                        []string
}

type pageBlock struct {
	Heading string
	Wide    bool // is printed across
	Text    []string
	Figures []pageFigure
	Chart   *pageChart
	Table   *pageTable
}

type pageFigure struct {
	ID, Title, Meaning, Level, Word string
	Value                           pageCell
	Conditions                      []Fact
	Sources                         []pageLink
}

type pageLink struct{ Text, Href string }

type pageChart struct {
	Caption string
	SVG     template.HTML
	Table   *pageTable
}

type pageTable struct {
	Name, Caption string
	Columns       []pageColumn
	Rows          []pageRow
	Width         int
	Wide          bool // than an upright page
}

type pageColumn struct{ Title, Class string }

type pageRow struct {
	Class, Word string
	Group       bool
	Head        pageCell
	Cells       []pageCell
}

// pageCell is a text with its class, its address, and what stands behind its number so that points are aligned.
type pageCell struct{ Text, Class, Href, Pad, Currency string }

// writeHTML writes a page that stands for itself: no script, nothing loaded, links only where the options give addresses.
func writeHTML(out io.Writer, doc *Document, options Options) error {
	href := func(l *Link) string {
		if l == nil || options.Href == nil {
			return ""
		}
		return options.Href(*l)
	}
	p := pageDocument{
		Name: doc.Name, Title: visible(doc.Title), Control: doc.controlLine(), Policy: PagePolicy,
		Style: template.HTML("<style>" + css + "</style>"), //nolint:gosec // our own text
		Facts: append([]Fact{{"Ledger", visible(doc.Ledger)}}, seen(doc.Facts)...),
		Notes: seenTexts(doc.Notes),
	}
	charts := 0
	for i := range doc.Blocks {
		b := &doc.Blocks[i]
		shown := pageBlock{Heading: visible(b.Heading), Text: seenTexts(b.Text)}
		for j := range b.Figures {
			shown.Figures = append(shown.Figures, b.Figures[j].page(href))
		}
		if b.Chart != nil {
			charts++
			shown.Chart = b.Chart.page("chart-"+strconv.Itoa(charts), href)
		}
		if b.Table != nil {
			shown.Table = b.Table.page(href)
			shown.Table.Caption = visible(b.Heading)
			shown.Wide = shown.Table.Wide
		}
		p.Blocks = append(p.Blocks, shown)
	}
	return page.Execute(out, p)
}

func seen(facts []Fact) []Fact {
	out := make([]Fact, len(facts))
	for i, f := range facts {
		out[i] = Fact{visible(f.Name), visible(f.Value)}
	}
	return out
}

func seenTexts(texts []string) []string {
	out := make([]string, len(texts))
	for i, s := range texts {
		out[i] = visible(s)
	}
	return out
}

func (f *Figure) page(href func(*Link) string) pageFigure {
	value := f.shown(&f.Value)
	shown := pageFigure{ID: f.ID, Title: visible(f.Title), Meaning: visible(f.Meaning), Level: string(f.Level), Word: f.Level.word(), Value: value.page(0, href)}
	for _, c := range f.conditions() {
		shown.Conditions = append(shown.Conditions, Fact{c[0], c[1]})
	}
	for i := range f.Sources {
		shown.Sources = append(shown.Sources, pageLink{f.Sources[i].String(), href(&f.Sources[i])})
	}
	return shown
}

func (c *Chart) page(id string, href func(*Link) string) *pageChart {
	caption := c.caption()
	shown := &pageChart{Caption: caption, SVG: template.HTML(c.draw().svg(id, caption, c.description())), Table: c.table().page(href)} //nolint:gosec // all texts are escaped
	shown.Table.Caption = caption + ": the numbers"
	return shown
}

func (t *Table) page(href func(*Link) string) *pageTable {
	g := newGrid(t)
	shown := &pageTable{Name: t.Name, Width: len(g.columns), Wide: g.wide()}
	for j := range g.columns {
		shown.Columns = append(shown.Columns, pageColumn{g.columns[j].title, g.class(j)})
	}
	for i := range g.rows {
		r := &g.rows[i]
		row := pageRow{Class: r.class(), Group: r.kind == Group}
		for j := range r.cells {
			c := &g.columns[j]
			decimals := 0
			if c.number {
				decimals = c.decimals
			}
			cell := r.cells[j].page(decimals, href)
			if cell.Class == "" && r.kind == Record {
				cell.Class = codeClass(c.Kind, cell.Text)
			}
			row.Cells = append(row.Cells, cell)
		}
		row.Head, row.Cells = row.Cells[0], row.Cells[1:]
		shown.Rows = append(shown.Rows, row)
	}
	return shown
}

// wide says whether a table needs a page that lies across.
func (g *grid) wide() bool {
	const upright, wrapped = 125, 30 // characters that fit an upright page, and at which texts are wrapped on it
	total := 0
	for j, n := range g.widths(make([]string, len(g.columns)), 0, len(g.rows)) {
		if g.columns[j].Kind == Text {
			n = min(n, wrapped)
		}
		total += n
	}
	return total > upright
}

// class names the look of a column: texts that may be wrapped get room, so that they are not.
func (g *grid) class(j int) string {
	const short = 12
	if g.columns[j].number {
		return "n"
	}
	for i := range g.rows {
		if r := &g.rows[i]; r.kind != Group && g.columns[j].Kind == Text && width(r.cells[j].text) > short {
			return "t"
		}
	}
	return ""
}

// codeClass keeps dates in one line, and codes that are not as long as a hash.
func codeClass(kind ColumnKind, text string) string {
	const longest = 40
	switch {
	case kind == Date:
		return "d"
	case kind == Code && len(text) > longest:
		return "c long"
	case kind == Code:
		return "c"
	}
	return ""
}

// class names the look of a row.
func (r *gridRow) class() string {
	var classes []string
	if r.kind != Record {
		classes = append(classes, string(r.kind))
	}
	if r.nonzero {
		classes = append(classes, "nonzero")
	}
	if r.level > 0 {
		classes = append(classes, "l"+strconv.Itoa(r.level))
	}
	return strings.Join(classes, " ")
}

// page is a cell with as much behind its number as the longest fraction of its column needs: digits are as wide as one
// another, so figure spaces are, too.
func (s *shown) page(decimals int, href func(*Link) string) pageCell {
	cell := pageCell{Text: s.text, Href: href(s.link), Currency: s.currency}
	switch {
	case s.number:
		cell.Text, cell.Class = s.whole+s.fraction, "n"
		if missing := decimals - len(s.fraction); missing > 0 {
			cell.Pad = strings.Repeat("\u2007", missing)
			if s.fraction == "" {
				cell.Pad = "\u2008" + cell.Pad[len("\u2007"):] // as wide as a point
			}
		}
		if s.negative {
			cell.Class += " neg"
		}
	case s.absent:
		cell.Class = "absent"
	case slices.Contains([]string{"GREEN", "AMBER", "RED"}, s.text):
		cell.Class = strings.ToLower(s.text)
	}
	return cell
}
