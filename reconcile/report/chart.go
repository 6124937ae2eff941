package report

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// plot is a chart while it is drawn: the values as numbers, and where things are.
type plot struct {
	*Chart
	drawing
	values      [][]*decimal.Decimal // of each series; nil is a gap
	labels      []string             // of categories
	axis        *axis
	left, right int // of the area with the bars or lines
	top         int
	slot        int // width of a category, in hundredths of a unit
	keys        []key
	tags        []tag
}

// tag is a text at a value. Tags are written last, on white, so that no line crosses them.
type tag struct {
	x, y  int
	color color
	text  string
}

// key is an entry of the legend.
type key struct {
	color color
	dash  []int
	line  bool
	text  string
}

// draw makes the drawing of a chart that Check has passed.
func (c *Chart) draw() *drawing {
	p := &plot{Chart: c, drawing: drawing{width: drawWidth}}
	for _, s := range c.Series {
		values := make([]*decimal.Decimal, len(s.Values))
		for j, text := range s.Values {
			if v, err := decimal.NewFromString(text); err == nil {
				values[j] = &v
			}
		}
		p.values = append(p.values, values)
	}
	for _, category := range c.Categories {
		if c.Kind == Waterfall {
			category = strings.TrimSuffix(category, "=")
		}
		p.labels = append(p.labels, oneLine(category))
	}
	if len(c.Categories) == 0 || len(c.Series) == 0 {
		p.height = 3 * lineHeight
		p.text(drawWidth/2, 2*lineHeight, middle, grey, "nothing to show")
		return &p.drawing
	}
	if c.Kind == Heat {
		p.drawHeat()
		return &p.drawing
	}
	p.frame()
	switch c.Kind {
	case StackedBars:
		p.drawStacks()
	case Lines:
		p.drawLines()
	case Waterfall:
		p.drawWaterfall()
	default:
		p.drawBars()
	}
	p.marks()
	for _, t := range p.tags {
		w := drawnWidth(t.text)
		p.rect(t.x-w/2, t.y-fontSize*9/10, w, fontSize*11/10, white, "")
		p.text(t.x, t.y, middle, t.color, t.text)
	}
	p.legend()
	return &p.drawing
}

// Room for the name of a mark: a quarter of the chart.
const markWidth = drawWidth / 4

// span is the least and the largest of what is drawn.
func (p *plot) span() (low, high decimal.Decimal) {
	var all []decimal.Decimal
	if p.Kind != Lines {
		all = append(all, decimal.Zero)
	}
	for _, m := range p.Marks {
		all = append(all, decimal.RequireFromString(m.Value))
	}
	switch p.Kind {
	case StackedBars:
		for j := range p.Categories {
			up, down := p.stack(j)
			all = append(all, up, down)
		}
	case Waterfall:
		for _, s := range p.steps() {
			all = append(all, s.from, s.to)
		}
	default:
		for _, values := range p.values {
			for _, v := range values {
				if v != nil {
					all = append(all, *v)
				}
			}
		}
	}
	if len(all) == 0 {
		return decimal.Zero, decimal.Zero
	}
	low, high = decimal.Min(all[0], all[1:]...), decimal.Max(all[0], all[1:]...)
	if p.Kind == Lines && low.IsPositive() && low.LessThan(high.Sub(low)) {
		low = decimal.Zero // near enough to be shown
	}
	return low, high
}

// frame draws the axis, its lines and the categories, and finds room for the rest.
func (p *plot) frame() {
	low, high := p.span()
	p.axis = newAxis(low, high, plotHeight)
	p.left, p.right, p.top = 0, drawWidth-drawGap, 2*lineHeight+drawGap
	for _, t := range p.axis.ticks {
		p.left = max(p.left, drawnWidth(p.axis.label(t))+2*drawGap)
	}
	for _, m := range p.Marks {
		p.right = min(p.right, drawWidth-drawGap-min(boldWidth(p.markLabel(m)), markWidth))
	}
	p.text(0, lineHeight, start, grey, p.axis.unit(oneLine(p.Unit)))
	p.height = p.top + plotHeight
	p.categories()
	for _, t := range p.axis.ticks {
		y, stroke, thick := p.y(t), faint, 8
		if t.IsZero() {
			stroke, thick = ink, 12
		}
		p.line(stroke, thick, nil, point{p.left, y}, point{p.right, y})
		p.text(p.left-drawGap, y+fontSize/3, end, ink, p.axis.label(t))
	}
}

func (p *plot) y(v decimal.Decimal) int { return p.top + plotHeight - p.axis.at(v) }

// x is the middle of a category.
func (p *plot) x(j int) int { return p.left + (p.slot*j+p.slot/2)/100 }

// categories writes their names: side by side if they fit, wrapped if words do, slanted otherwise. Of many only some are named.
func (p *plot) categories() {
	longest, word := 0, 0
	for _, label := range p.labels {
		longest = max(longest, drawnWidth(label))
		for _, w := range strings.Fields(label) {
			word = max(word, drawnWidth(w))
		}
	}
	const slanted = 1300 // of the longest name
	p.slot = (p.right - p.left) * 100 / len(p.labels)
	room := p.slot/100 - drawGap
	lines := 1
	for _, label := range p.labels {
		lines = max(lines, len(wrap(label, max(room, 1), drawnWidth)))
	}
	every := 1
	switch {
	case longest <= room, word <= room && lines <= 3:
	case p.Kind == Lines:
		every, lines = (longest+2*drawGap)*100/p.slot+1, 1
	default:
		every = (lineHeight*100 + p.slot - 1) / p.slot
		p.left = max(p.left, min(longest, slanted)*77/100)
		p.slot = (p.right - p.left) * 100 / len(p.labels)
		for j := 0; j < len(p.labels); j += every {
			p.text(p.x(j)+drawGap/2, p.height+lineHeight, end, ink, clip(p.labels[j], slanted)).slant = true
		}
		p.height += lineHeight + min(longest, slanted)*64/100
		return
	}
	for j := 0; j < len(p.labels); j += every {
		x := p.x(j)
		limit := max(room, every*p.slot/100-drawGap)
		if every > 1 {
			half := drawnWidth(p.labels[j]) / 2
			x = min(x, drawWidth-half)
		}
		for i, line := range wrap(p.labels[j], limit, drawnWidth) {
			p.text(x, p.height+(i+1)*lineHeight, middle, ink, line)
		}
	}
	p.height += lines * lineHeight
}

func (p *plot) markLabel(m Mark) string {
	whole, fraction := grouped(m.Value)
	label := oneLine(m.Name) + " " + whole + fraction
	if m.Level != NoLimit {
		label += " " + m.Level.word()
	}
	return label
}

// marks draws lines across the chart, with their names on the right, one below the other where they would touch.
func (p *plot) marks() {
	type named struct {
		y int
		m Mark
	}
	var all []named
	for _, m := range p.Marks {
		all = append(all, named{p.y(decimal.RequireFromString(m.Value)), m})
	}
	slices.SortStableFunc(all, func(a, b named) int { return a.y - b.y })
	free := 0
	for _, n := range all {
		c, found := levels[n.m.Level]
		if !found {
			c = ink
		}
		p.line(c, 18, []int{70, 40}, point{p.left, n.y}, point{p.right, n.y})
		at := max(n.y+fontSize/3, free)
		p.text(p.right+drawGap, at, start, c, clip(p.markLabel(n.m), markWidth*100/boldPercent)).bold = true
		free = at + lineHeight
	}
}

// legend writes the keys under the chart. A single series without a name needs none.
func (p *plot) legend() {
	p.height += drawGap
	if len(p.keys) == 0 {
		return
	}
	x, y := p.left, p.height+lineHeight
	for _, k := range p.keys {
		text := clip(k.text, drawWidth/2)
		need := 300 + drawnWidth(text)
		if x > p.left && x+need > drawWidth {
			x, y = p.left, y+lineHeight+drawGap/2
		}
		if k.line {
			p.line(k.color, 22, k.dash, point{x, y - fontSize/3}, point{x + 200, y - fontSize/3})
		} else {
			p.rect(x+80, y-fontSize*4/5, 100, 100, k.color, "")
		}
		p.text(x+240, y, start, ink, text)
		x += need + 2*drawGap
	}
	p.height = y + drawGap
}

// seriesKeys are the keys of series, and of levels where values have them.
func (p *plot) seriesKeys(line bool) {
	leveled := false
	for i := range p.Series {
		leveled = leveled || len(p.Series[i].Levels) > 0
	}
	if len(p.Series) > 1 || !leveled && oneLine(p.Series[0].Name) != "" {
		for i := range p.Series {
			if len(p.Series[i].Levels) == 0 || line {
				p.keys = append(p.keys, key{color: palette[i%len(palette)], dash: dash(i), line: line, text: seriesTitle(p.Chart, i)})
			}
		}
	}
	if leveled {
		p.levelKeys(levels)
	}
}

// levelKeys name the levels that occur, with the letters that stand at values.
func (p *plot) levelKeys(colors map[Level]color) {
	for _, l := range []Level{Green, Amber, Red} {
		if slices.ContainsFunc(p.Series, func(s Series) bool { return slices.Contains(s.Levels, l) }) {
			p.keys = append(p.keys, key{color: colors[l], text: l.letter() + " = " + string(l)})
		}
	}
}

func (l Level) letter() string { return l.word()[:min(1, len(l))] }

// dash differs between series of the same colour, and between neighbours.
func dash(series int) []int { return dashes[(series+series/len(palette))%len(dashes)] }

// colorOf is that of a value: of its level, or else of its series.
func (p *plot) colorOf(i, j int) color {
	if c, leveled := levels[p.Series[i].level(j)]; leveled {
		return c
	}
	return palette[i%len(palette)]
}

// tip says what a shape stands for.
func (p *plot) tip(i, j int) string {
	parts := []string{p.labels[j]}
	if name := oneLine(p.Series[i].Name); name != "" {
		parts = append(parts, name)
	}
	whole, fraction := grouped(p.Series[i].Values[j])
	return strings.TrimSpace(strings.Join(parts, ", ") + ": " + whole + fraction + " " + oneLine(p.Unit) + " " + p.Series[i].level(j).word())
}
