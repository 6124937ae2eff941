package report

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"
)

// Rows that a chart takes on its sheet, and the columns of numbers that stand left of it at least.
const (
	chartRows    = 20
	chartColumns = 6
)

// charts writes a sheet with the numbers of each chart, and the chart drawn from them by the spreadsheet itself.
func (b *workbook) charts(doc *Document) {
	var all []*Chart
	for i := range doc.Blocks {
		if c := doc.Blocks[i].Chart; c != nil {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return
	}
	sheet := b.sheet("Charts")
	b.page(doc, sheet, []int{28, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16}, true)
	row := 1
	for _, c := range all {
		b.put(sheet, 1, row, c.caption(), false, look{bold: true, size: 13})
		d := b.chartData(sheet, row+1, c)
		if c.Kind != Heat && len(c.Categories) > 0 && len(c.Series) > 0 {
			b.native(sheet, c, d)
			row += max(chartRows, len(c.Categories)+1)
		} else {
			row += len(c.Categories) + 1
		}
		row += 3
	}
}

// chartData is where the numbers of a chart stand: a row for each category, from first on, below the titles.
type chartData struct {
	first, last int
	tallest     int // lines of the titles
	bars, lines []dataColumn
	columns     int
}

// dataColumn is one column of them.
type dataColumn struct {
	at     int
	color  color
	hidden bool // carries the others up
	dashed bool
}

// column writes values under a title. A chart cannot use a text, so a number of too many digits is rounded to those that count.
func (b *workbook) column(sheet string, d *chartData, title string, values []string, level func(int) Level) int {
	const wide = 14
	d.columns++
	d.tallest = max(d.tallest, linesIn(title, wide))
	at := d.columns + 1
	b.put(sheet, at, d.first-1, title, false, look{bold: true, under: thinLine, right: true, wrap: true})
	for j, v := range values {
		l := look{}
		if l.format = numberFormat(v, ""); level(j) != NoLimit {
			pale := pales[level(j)]
			l.fill = pale.hex()
			l.format = numberFormat(v, level(j).word())
		}
		b.put(sheet, at, d.first+j, rounded(v), true, l)
	}
	return at
}

// rounded keeps the first 15 digits.
func rounded(value string) string {
	if value == "" || isExact(value) {
		return value
	}
	d := decimal.RequireFromString(value)
	return d.Round(14 - magnitude(d)).String()
}

func (b *workbook) chartData(sheet string, row int, c *Chart) *chartData {
	d := &chartData{first: row + 1, last: row + len(c.Categories)}
	b.put(sheet, 1, row, "Category", false, look{bold: true, under: thinLine})
	for j, category := range c.Categories {
		if c.Kind == Waterfall {
			category = strings.TrimSuffix(category, "=")
		}
		b.put(sheet, 1, d.first+j, oneLine(category), false, look{})
	}
	none := func(int) Level { return NoLimit }
	for i := range c.Series {
		s := &c.Series[i]
		at := b.column(sheet, d, seriesTitle(c, i), s.Values, s.level)
		d.bars = append(d.bars, dataColumn{at: at, color: palette[i%len(palette)]})
	}
	switch {
	case c.Kind == Waterfall:
		d.bars = nil
		b.waterfallData(sheet, d, c)
	case c.Kind == Bars && len(c.Series) == 1 && len(c.Series[0].Levels) > 0:
		d.bars = nil
		b.levelData(sheet, d, &c.Series[0])
	}
	for _, m := range c.Marks {
		values := make([]string, len(c.Categories))
		for j := range values {
			values[j] = m.Value
		}
		col, leveled := levels[m.Level]
		if !leveled {
			col = ink
		}
		title := strings.TrimSpace(oneLine(m.Name) + " " + m.Level.word())
		d.lines = append(d.lines, dataColumn{at: b.column(sheet, d, title, values, none), color: col, dashed: true})
	}
	b.height(sheet, row, d.tallest)
	if c.Kind == Lines {
		d.bars, d.lines = nil, append(d.bars, d.lines...)
	}
	return d
}

// levelData gives the values of each level a column of their own, so that each has its colour and its name in the legend.
func (b *workbook) levelData(sheet string, d *chartData, s *Series) {
	for _, l := range []Level{NoLimit, Green, Amber, Red} {
		values, some := make([]string, len(s.Values)), false
		for j, v := range s.Values {
			if s.Levels[j] == l && v != "" {
				values[j], some = v, true
			}
		}
		if !some {
			continue
		}
		title, c := "no limit", palette[0]
		if l != NoLimit {
			title, c = l.word(), levels[l]
		}
		d.bars = append(d.bars, dataColumn{at: b.column(sheet, d, title, values, func(int) Level { return NoLimit }), color: c})
	}
}

// waterfallData splits each bar into what lies above zero and what lies below it, on a part that is not seen.
func (b *workbook) waterfallData(sheet string, d *chartData, c *Chart) {
	p := &plot{Chart: c, values: [][]*decimal.Decimal{make([]*decimal.Decimal, len(c.Categories))}}
	for j, text := range c.Series[0].Values {
		if v, err := decimal.NewFromString(text); err == nil {
			p.values[0][j] = &v
		}
	}
	base := make([]string, len(c.Categories))
	parts := map[string][]string{}
	part := func(name string, j int, v decimal.Decimal) {
		if parts[name] == nil {
			parts[name] = make([]string, len(c.Categories))
		}
		parts[name][j] = v.String()
	}
	for j, s := range p.steps() {
		if s.gap {
			continue
		}
		name := "Increase"
		if s.total {
			name = "Total"
		} else if s.to.LessThan(s.from) {
			name = "Decrease"
		}
		low, high := decimal.Min(s.from, s.to), decimal.Max(s.from, s.to)
		above := func(v decimal.Decimal) decimal.Decimal { return decimal.Max(v, decimal.Zero) }
		below := func(v decimal.Decimal) decimal.Decimal { return decimal.Min(v, decimal.Zero) }
		base[j] = above(low).Add(below(high)).String()
		part(name, j, above(high).Sub(above(low)))
		if under := below(low).Sub(below(high)); !under.IsZero() {
			part(name+" below zero", j, under)
		}
	}
	none := func(int) Level { return NoLimit }
	d.bars = append(d.bars, dataColumn{at: b.column(sheet, d, "Base", base, none), hidden: true})
	colors := map[string]color{"Total": grey, "Increase": palette[0], "Decrease": palette[5]}
	for _, kind := range []string{"Total", "Increase", "Decrease"} {
		for _, name := range []string{kind, kind + " below zero"} {
			if parts[name] != nil {
				d.bars = append(d.bars, dataColumn{at: b.column(sheet, d, name, parts[name], none), color: colors[kind]})
			}
		}
	}
}

// native makes the spreadsheet draw a chart beside its numbers.
func (b *workbook) native(sheet string, c *Chart, d *chartData) {
	var charts []*excelize.Chart
	kind := excelize.Col
	if c.Kind == StackedBars || c.Kind == Waterfall || len(c.Series) == 1 {
		kind = excelize.ColStacked
	}
	if len(d.bars) > 0 {
		charts = append(charts, b.nativePart(sheet, c, d, d.bars, kind))
	}
	if len(d.lines) > 0 {
		charts = append(charts, b.nativePart(sheet, c, d, d.lines, excelize.Line))
	}
	at, err := excelize.CoordinatesToCellName(max(d.columns, chartColumns)+3, d.first-1)
	b.do(err)
	if b.err == nil {
		b.do(b.file.AddChart(sheet, at, charts[0], charts[1:]...))
	}
}

func (b *workbook) nativePart(sheet string, c *Chart, d *chartData, columns []dataColumn, kind excelize.ChartType) *excelize.Chart {
	solid := func(c color) excelize.Fill {
		return excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{c.hex()}}
	}
	font := excelize.Font{Color: "#404040"}
	part := &excelize.Chart{
		Type: kind, Dimension: excelize.ChartDimension{Width: 760, Height: 380}, ShowBlanksAs: "gap",
		Title:  excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: c.caption()}}},
		Legend: excelize.ChartLegend{Position: "bottom"},
		Format: excelize.GraphicOptions{AltText: c.caption() + ". " + c.description(), Name: c.caption()},
		XAxis:  excelize.ChartAxis{TickLabelPosition: excelize.ChartTickLabelLow, Font: font},
		YAxis:  excelize.ChartAxis{MajorGridLines: true, Font: font, NumFmt: excelize.ChartNumFmt{CustomNumFmt: "#,##0.######"}},
	}
	for _, column := range columns {
		name, err := excelize.ColumnNumberToName(column.at)
		b.do(err)
		s := excelize.ChartSeries{
			Name:       fmt.Sprintf("'%s'!$%s$%d", sheet, name, d.first-1),
			Categories: fmt.Sprintf("'%s'!$A$%d:$A$%d", sheet, d.first, d.last),
			Values:     fmt.Sprintf("'%s'!$%s$%d:$%s$%d", sheet, name, d.first, name, d.last),
			Fill:       solid(column.color), Marker: excelize.ChartMarker{Symbol: "none"},
		}
		if column.hidden {
			s.Fill = excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"#FFFFFF"}, Transparency: 100}
		}
		if kind == excelize.Line {
			s.Line = excelize.LineOptions{Type: excelize.LineSolid, Fill: solid(column.color), Width: 2}
			if column.dashed {
				s.Line.Dash = excelize.LineDashDash
			}
		}
		part.Series = append(part.Series, s)
	}
	return part
}
