package report

import "strings"

// A drawing is a chart as shapes, which SVG and PDF both draw. Its unit is a tenth of a CSS pixel, counted from the upper
// left corner. All coordinates are whole numbers: a value is rounded once, to a unit.
type drawing struct {
	width, height int
	shapes        []shape
}

// Measures of drawings.
const (
	drawWidth  = 7200
	plotHeight = 2000
	fontSize   = 105
	lineHeight = 140
	drawGap    = 60 // between things that must not touch
)

type shapeKind int

const (
	rectShape shapeKind = iota
	lineShape           // through all points
	dotShape            // a circle around the first point
	textShape           // at the first point, on its base line
)

// point is one of a shape.
type point struct{ x, y int }

// anchor is the end of a text that stands at its point.
type anchor int

const (
	start anchor = iota
	middle
	end
)

// color is red, green and blue.
type color struct{ r, g, b int }

// The colours. Series use those of Okabe and Ito, which people tell apart who do not see red or green; lines also differ in
// their dashes, and levels in their letters.
var (
	ink     = color{34, 34, 34}
	faint   = color{221, 221, 221}
	white   = color{255, 255, 255}
	grey    = color{110, 118, 129}
	palette = []color{{0, 114, 178}, {230, 159, 0}, {0, 158, 115}, {204, 121, 167}, {86, 180, 233}, {213, 94, 0}, {148, 130, 0}, {70, 70, 70}}
	dashes  = [][]int{nil, {60, 30}, {20, 25}, {90, 30, 20, 30}}
	heats   = []color{{239, 246, 252}, {199, 222, 242}, {146, 191, 226}, {90, 152, 203}, {40, 104, 163}}
	levels  = map[Level]color{Green: {46, 125, 50}, Amber: {196, 122, 0}, Red: {183, 28, 28}}
	pales   = map[Level]color{Green: {214, 236, 216}, Amber: {255, 232, 189}, Red: {250, 208, 208}}
)

// shape is one stroke, area or text.
type shape struct {
	kind   shapeKind
	points []point
	w, h   int // of a rectangle; w is the radius of a dot
	fill   *color
	stroke *color
	thick  int
	dash   []int
	text   string
	anchor anchor
	bold   bool
	slant  bool   // rises to its point from the lower left
	tip    string // what it stands for, for readers of SVG
}

func (d *drawing) rect(x, y, w, h int, fill color, tip string) {
	if h < 0 {
		y, h = y+h, -h
	}
	d.shapes = append(d.shapes, shape{kind: rectShape, points: []point{{x, y}}, w: max(w, 4), h: max(h, 4), fill: &fill, tip: tip})
}

func (d *drawing) line(stroke color, thick int, dash []int, points ...point) {
	d.shapes = append(d.shapes, shape{kind: lineShape, points: points, stroke: &stroke, thick: thick, dash: dash})
}

func (d *drawing) dot(at point, radius int, fill color, tip string) {
	d.shapes = append(d.shapes, shape{kind: dotShape, points: []point{at}, w: radius, fill: &fill, tip: tip})
}

func (d *drawing) text(x, y int, a anchor, fill color, text string) *shape {
	d.shapes = append(d.shapes, shape{kind: textShape, points: []point{{x, y}}, fill: &fill, anchor: a, text: text})
	return &d.shapes[len(d.shapes)-1]
}

// drawnWidth estimates the width of a text: fonts differ, and none is at hand for SVG.
func drawnWidth(text string) int { return width(text) * fontSize * 56 / 100 }

// boldPercent is how wide bold text is, against the same text that is not.
const boldPercent = 118

func boldWidth(text string) int { return drawnWidth(text) * boldPercent / 100 }

// clip shortens a text to a width.
func clip(text string, limit int) string {
	text = oneLine(text)
	if drawnWidth(text) <= limit {
		return text
	}
	pieces := chop(text, max(limit-drawnWidth("…"), 1), drawnWidth)
	return strings.TrimRight(pieces[0], " ") + "…"
}
