package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"
)

// grid is a table as people see it, in text, PDF and HTML: numbers with separators between thousands and split at their
// point, which is what they are aligned by.
type grid struct {
	columns []gridColumn
	rows    []gridRow
}

type gridColumn struct {
	*Column
	title    string
	number   bool // aligned by the point, and otherwise right
	decimals int  // of the longest fraction, point included
}

type gridRow struct {
	kind     RowKind
	level    int
	cells    []shown
	nonzero  bool // a difference that is one
	position int  // among the rows of the table
}

// shown is a cell as people see it: a number, or a text.
type shown struct {
	number          bool
	whole, fraction string // of a number; the fraction begins with the point
	currency        string // behind a number, where the column does not say it
	text            string
	absent          bool // the text says why there is no value
	negative        bool
	link            *Link
}

func newGrid(t *Table) *grid {
	g := &grid{columns: make([]gridColumn, len(t.Columns)), rows: make([]gridRow, len(t.Rows))}
	for i := range t.Columns {
		c := &t.Columns[i]
		g.columns[i] = gridColumn{Column: c, title: c.heading(), number: c.Kind == Amount || c.Kind == Count || c.Kind == Ratio}
	}
	cells := make([]shown, len(t.Rows)*len(t.Columns))
	for i := range t.Rows {
		r := &t.Rows[i]
		row := gridRow{kind: r.Kind, level: r.Level, cells: cells[:len(t.Columns):len(t.Columns)], position: i}
		cells = cells[len(t.Columns):]
		for j := range r.Cells {
			c := &g.columns[j]
			row.cells[j] = r.Cells[j].shown(c.number && (j > 0 || r.Kind != Group), c.Currency)
			c.decimals = max(c.decimals, len(row.cells[j].fraction))
			if r.Kind == Difference && row.cells[j].number && strings.Trim(r.Cells[j].Value, "-0.") != "" {
				row.nonzero = true
			}
		}
		g.rows[i] = row
	}
	return g
}

// heading is the title with the currency of the column, unless it has it already.
func (c *Column) heading() string {
	title := c.Title
	if title == "" {
		title = c.Name
	}
	if c.Currency != "" && !strings.Contains(title, c.Currency) {
		title += " " + c.Currency
	}
	return visible(title)
}

// shown is the cell as people see it; said is the currency that they know already.
func (c *Cell) shown(number bool, said string) shown {
	s := shown{link: c.Link}
	switch {
	case c.Absent != "":
		s.text, s.absent = visible(c.Absent), true
	case number && c.Value != "":
		s.number, s.negative = true, c.Value[0] == '-'
		s.whole, s.fraction = grouped(c.Value)
		if c.Currency != said {
			s.currency = c.Currency
		}
	default:
		s.text = visible(c.Value)
	}
	return s
}

// String is the cell in a line of text.
func (s *shown) String() string {
	if !s.number {
		return s.text
	}
	text := s.whole + s.fraction
	if s.currency != "" {
		text += " " + s.currency
	}
	return text
}

// grouped splits a number at its point, and puts commas between thousands.
func grouped(value string) (whole, fraction string) {
	whole, fraction, point := strings.Cut(value, ".")
	if point {
		fraction = "." + fraction
	}
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	out := make([]byte, 0, len(whole)*4/3+1)
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, whole[i])
	}
	return sign + string(out), fraction
}

// shown is the value of a figure with its unit.
func (f *Figure) shown(c *Cell) shown {
	s := c.shown(c.Currency != "" || isDecimal(c.Value), "")
	if s.number && f.Unit != "" && s.currency == "" {
		s.currency = visible(f.Unit)
	}
	return s
}

// word is the kind of a row where it is said in words.
func (k RowKind) word() string {
	if k == Record {
		return "record"
	}
	return string(k)
}

// word is the level for those who see no colours.
func (l Level) word() string { return strings.ToUpper(string(l)) }

// conditions are the lines behind a figure's meaning, as name and text.
func (f *Figure) conditions() [][2]string {
	var lines [][2]string
	add := func(name, text string) {
		if text != "" {
			lines = append(lines, [2]string{name, visible(text)})
		}
	}
	add("Standard", f.Standard)
	add("Convention", f.Convention)
	add("Amber", f.Amber)
	add("Red", f.Red)
	if f.Previous != nil {
		previous := f.shown(f.Previous)
		add("Previous run", previous.String())
	}
	return lines
}

// String is where a link leads, in words.
func (l Link) String() string {
	var words []string
	add := func(name, value string) {
		if value != "" {
			words = append(words, name+" "+visible(value))
		}
	}
	add("account", l.Account)
	add("transfer", l.Transfer)
	if l.Seq != nil {
		add("entry", strconv.FormatInt(*l.Seq, 10))
	}
	add("report", l.Report)
	return strings.Join(words, ", ")
}

// controlLine is at the end of every report.
func (doc *Document) controlLine() string {
	whole, fraction := grouped(doc.HashTotal)
	return fmt.Sprintf("Records %d · hash total %s", doc.Records, whole+fraction)
}

// visible replaces what would not be seen, or would make text look like another: controls become their pictures, and
// what turns the direction of writing around becomes U+FFFD. Line feeds and tabs stay.
func visible(s string) string {
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case !hidden(r):
			return r
		case r < 0x20:
			return 0x2400 + r
		case r == 0x7F:
			return 0x2421
		default:
			return 0xFFFD
		}
	}, s)
}

func hidden(r rune) bool {
	return r < 0x20 && r != '\n' && r != '\t' || 0x7F <= r && r < 0xA0 ||
		0x202A <= r && r <= 0x202E || 0x2066 <= r && r <= 0x2069 || r == 0x2028 || r == 0x2029 || r == 0xFEFF || r&0xFFFE == 0xFFFE
}

// width is the number of columns that a text takes on a terminal.
func width(s string) int {
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] < 0x20 {
			return uniseg.StringWidth(s)
		}
	}
	return len(s)
}

// wrap breaks a text into lines of at most that width, between words where it can.
func wrap(text string, limit int, measure func(string) int) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(strings.ReplaceAll(text, "\t", " "), "\n") {
		line, used := "", 0
		for _, word := range strings.Fields(paragraph) {
			w := measure(word)
			if space := measure(" "); line != "" && used+space+w <= limit {
				line, used = line+" "+word, used+space+w
				continue
			}
			if line != "" {
				lines = append(lines, line)
			}
			pieces := []string{word}
			if w > limit {
				pieces = chop(word, limit, measure)
			}
			lines = append(lines, pieces[:len(pieces)-1]...)
			line = pieces[len(pieces)-1]
			used = measure(line)
		}
		lines = append(lines, line)
	}
	return lines
}

// chop breaks a word that is longer than a line: behind a mark where there is one in the last third, or anywhere.
func chop(word string, limit int, measure func(string) int) []string {
	var pieces []string
	piece, used, mark := "", 0, 0
	state, rest := -1, word
	for rest != "" {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		w := measure(cluster)
		if piece != "" && used+w > limit {
			cut := len(piece)
			if mark > len(piece)*2/3 {
				cut = mark
			}
			pieces = append(pieces, piece[:cut])
			piece = piece[cut:]
			used, mark = measure(piece), 0
		}
		piece, used = piece+cluster, used+w
		if strings.ContainsAny(cluster, ":/-_.,;") {
			mark = len(piece)
		}
	}
	return append(pieces, piece)
}
