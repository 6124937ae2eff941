package report

import "github.com/shopspring/decimal"

const heatRow = 200 // height

// drawHeat draws a row for each series and a cell for each category.
func (p *plot) drawHeat() {
	const widest = 2200 // name of a series
	names := make([]string, len(p.Series))
	for i := range p.Series {
		names[i] = clip(seriesTitle(p.Chart, i), widest)
		p.left = max(p.left, drawnWidth(names[i])+drawGap)
	}
	p.right, p.height = drawWidth, len(p.Series)*heatRow
	p.categories()
	axis := p.heatAxis()
	size := p.slot/100 - 8
	for i := range p.Series {
		y := i * heatRow
		p.text(p.left-drawGap, y+heatRow/2+fontSize/3, end, ink, names[i])
		for j, v := range p.values[i] {
			if v == nil {
				continue
			}
			fill, text := heats[0], ink
			if at := axis.at(*v); at > 0 {
				fill = heats[min(at, len(heats)-1)]
				if at >= len(heats)-2 {
					text = white
				}
			}
			if c, leveled := pales[p.Series[i].level(j)]; leveled {
				fill, text = c, ink
			}
			p.rect(p.left+p.slot*j/100, y, size, heatRow-8, fill, p.tip(i, j))
			p.heatText(i, j, y, size, text)
		}
	}
	p.levelKeys(pales)
	p.legend()
}

// heatAxis maps values to the colours.
func (p *plot) heatAxis() *axis {
	var all []decimal.Decimal
	for i := range p.values {
		for j, v := range p.values[i] {
			if v != nil && p.Series[i].level(j) == NoLimit {
				all = append(all, *v)
			}
		}
	}
	a := &axis{high: decimal.New(1, 0), length: len(heats) - 1}
	if len(all) == 0 {
		return a
	}
	a.low, a.high = decimal.Min(all[0], all[1:]...), decimal.Max(all[0], all[1:]...)
	if a.low.Equal(a.high) {
		a.high = a.low.Add(decimal.New(1, 0))
	}
	show := func(v decimal.Decimal) string { whole, fraction := grouped(v.String()); return whole + fraction }
	p.keys = append(p.keys, key{color: heats[0], text: show(a.low)}, key{color: heats[len(heats)-1], text: show(a.high)})
	return a
}

func (p *plot) heatText(i, j, y, room int, c color) {
	whole, fraction := grouped(p.Series[i].Values[j])
	text := whole + fraction
	if l := p.Series[i].level(j); l != NoLimit {
		if text += " " + l.letter(); drawnWidth(text) > room {
			text = l.letter()
		}
	}
	if drawnWidth(text) <= room {
		p.text(p.left+p.slot*j/100+room/2, y+heatRow/2+fontSize/3, middle, c, text)
	}
}
