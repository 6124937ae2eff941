package report

import (
	"strings"

	"github.com/shopspring/decimal"
)

// group is the width of the bars of a category, and of each of them.
func (p *plot) group(bars int) (all, each int) {
	all = min(p.slot*7/1000, 900)
	return all, max(all/max(bars, 1), 1)
}

func (p *plot) drawBars() {
	all, each := p.group(len(p.Series))
	zero := p.y(decimal.Zero)
	for j := range p.Categories {
		for i := range p.Series {
			v := p.values[i][j]
			if v == nil {
				continue
			}
			x, y := p.x(j)-all/2+i*each, p.y(*v)
			if !v.IsZero() {
				p.rect(x, zero, each*95/100, y-zero, p.colorOf(i, j), p.tip(i, j))
			}
			p.value(x+each/2, y, v.IsNegative(), p.Series[i].Values[j], p.Series[i].level(j), max(each, p.slot/100/len(p.Series)))
		}
	}
	p.seriesKeys(false)
}

// value writes a number at the end of a bar, and the letter of its level, as far as there is room.
func (p *plot) value(x, y int, below bool, value string, level Level, room int) {
	whole, fraction := grouped(value)
	text := whole + fraction
	if drawnWidth(text) > room-drawGap/3 {
		text = ""
	}
	if level != NoLimit {
		text = strings.TrimSpace(text + " " + level.letter())
		if drawnWidth(text) > room {
			text = level.letter()
		}
	}
	if text == "" || drawnWidth(text) > room {
		return
	}
	at := y - drawGap/2
	if below {
		at = y + fontSize
	}
	p.tags = append(p.tags, tag{x, at, ink, text})
}

// stack is how far the values of a category reach, those above and those below zero.
func (p *plot) stack(j int) (up, down decimal.Decimal) {
	for i := range p.values {
		if v := p.values[i][j]; v != nil && v.IsNegative() {
			down = down.Add(*v)
		} else if v != nil {
			up = up.Add(*v)
		}
	}
	return up, down
}

func (p *plot) drawStacks() {
	all, _ := p.group(1)
	for j := range p.Categories {
		var up, down decimal.Decimal
		for i := range p.Series {
			v := p.values[i][j]
			if v == nil || v.IsZero() {
				continue
			}
			from := up
			if v.IsNegative() {
				from, down = down, down.Add(*v)
			} else {
				up = up.Add(*v)
			}
			p.rect(p.x(j)-all/2, p.y(from), all, p.y(from.Add(*v))-p.y(from), p.colorOf(i, j), p.tip(i, j))
		}
		for _, end := range []decimal.Decimal{up, down} {
			if !end.IsZero() {
				p.value(p.x(j), p.y(end), end.IsNegative(), end.StringFixed(max(0, -end.Exponent())), NoLimit, p.slot/100)
			}
		}
	}
	p.seriesKeys(false)
}

func (p *plot) drawLines() {
	const dotted = 60 // categories, beyond which points are not marked
	for i := range p.Series {
		c := palette[i%len(palette)]
		var run []point
		flush := func() {
			if len(run) > 1 {
				p.line(c, 22, dash(i), run...)
			} else if len(run) == 1 {
				p.dot(run[0], 26, c, "")
			}
			run = nil
		}
		for j, v := range p.values[i] {
			if v == nil {
				flush()
				continue
			}
			at := point{p.x(j), p.y(*v)}
			run = append(run, at)
			if len(p.Categories) <= dotted || p.Series[i].level(j) != NoLimit {
				p.dot(at, 26, p.colorOf(i, j), p.tip(i, j))
			}
			if l := p.Series[i].level(j); l == Amber || l == Red {
				p.tags = append(p.tags, tag{at.x, at.y - drawGap, levels[l], l.letter()})
			}
		}
		flush()
	}
	p.seriesKeys(true)
}

// step is a bar of a waterfall.
type step struct {
	from, to decimal.Decimal
	total    bool
	gap      bool
}

// steps are the bars of a waterfall: a total stands on zero, a change on what was before it.
func (p *plot) steps() []step {
	all := make([]step, len(p.Categories))
	level := decimal.Zero
	for j, v := range p.values[0] {
		switch total := strings.HasSuffix(p.Categories[j], "="); {
		case v == nil:
			all[j] = step{from: level, to: level, gap: true}
		case total:
			all[j] = step{to: *v, total: true}
			level = *v
		default:
			all[j] = step{from: level, to: level.Add(*v)}
			level = all[j].to
		}
	}
	return all
}

func (p *plot) drawWaterfall() {
	all, _ := p.group(1)
	total, rise, fall := grey, palette[0], palette[5]
	steps := p.steps()
	for j, s := range steps {
		if s.gap {
			continue
		}
		c := rise
		if s.total {
			c = total
		} else if s.to.LessThan(s.from) {
			c = fall
		}
		if l := p.Series[0].level(j); l != NoLimit {
			c = levels[l]
		}
		from, to := p.y(s.from), p.y(s.to)
		p.rect(p.x(j)-all/2, from, all, to-from, c, p.tip(0, j))
		if j+1 < len(steps) {
			p.line(grey, 8, []int{30, 20}, point{p.x(j) + all/2, to}, point{p.x(j+1) - all/2, to})
		}
		below := s.to.LessThan(s.from)
		p.value(p.x(j), to, below, p.Series[0].Values[j], p.Series[0].level(j), p.slot/100)
	}
	p.keys = append(p.keys, key{color: total, text: "total"}, key{color: rise, text: "increase"}, key{color: fall, text: "decrease"})
	if len(p.Series[0].Levels) > 0 {
		p.levelKeys(levels)
	}
}
