package report

import (
	"fmt"
	"html"
	"strings"
)

// svg writes a drawing as an SVG element for a page. It has no style attributes, so that a page may forbid them. The id is
// that of the chart on the page; title and description are for those who do not see it.
func (d *drawing) svg(id, title, description string) string {
	var out strings.Builder
	fmt.Fprintf(&out, `<svg viewBox="0 0 %d %d" role="img" aria-labelledby="%s-title %s-desc" font-size="%d" xmlns="http://www.w3.org/2000/svg">`, d.width, d.height, id, id, fontSize)
	fmt.Fprintf(&out, `<title id="%s-title">%s</title><desc id="%s-desc">%s</desc>`, id, html.EscapeString(title), id, html.EscapeString(description))
	for i := range d.shapes {
		out.WriteString("\n")
		d.shapes[i].svg(&out)
	}
	out.WriteString("\n</svg>")
	return out.String()
}

func (s *shape) svg(out *strings.Builder) {
	at := s.points[0]
	switch s.kind {
	case rectShape:
		fmt.Fprintf(out, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s">%s</rect>`, at.x, at.y, s.w, s.h, s.fill.hex(), s.svgTip())
	case dotShape:
		fmt.Fprintf(out, `<circle cx="%d" cy="%d" r="%d" fill="%s">%s</circle>`, at.x, at.y, s.w, s.fill.hex(), s.svgTip())
	case lineShape:
		out.WriteString(`<polyline points="`)
		for i, p := range s.points {
			if i > 0 {
				out.WriteByte(' ')
			}
			fmt.Fprintf(out, "%d,%d", p.x, p.y)
		}
		fmt.Fprintf(out, `" fill="none" stroke="%s" stroke-width="%d"`, s.stroke.hex(), s.thick)
		if len(s.dash) > 0 {
			fmt.Fprintf(out, ` stroke-dasharray="%s"`, strings.Trim(fmt.Sprint(s.dash), "[]"))
		}
		out.WriteString("/>")
	case textShape:
		fmt.Fprintf(out, `<text x="%d" y="%d" fill="%s"`, at.x, at.y, s.fill.hex())
		if s.anchor != start {
			fmt.Fprintf(out, ` text-anchor="%s"`, [...]string{start: "start", middle: "middle", end: "end"}[s.anchor])
		}
		if s.bold {
			out.WriteString(` font-weight="bold"`)
		}
		if s.slant {
			fmt.Fprintf(out, ` transform="rotate(-%d %d %d)"`, slantDegrees, at.x, at.y)
		}
		fmt.Fprintf(out, `>%s</text>`, html.EscapeString(s.text))
	}
}

// slantDegrees is how much a slanted text rises. Its sine is 0.64, its cosine 0.77.
const slantDegrees = 40

func (s *shape) svgTip() string {
	if s.tip == "" {
		return ""
	}
	return "<title>" + html.EscapeString(s.tip) + "</title>"
}

func (c *color) hex() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// description says in words what kind of chart it is, and where its numbers are.
func (c *Chart) description() string {
	kinds := map[ChartKind]string{Bars: "Bars", StackedBars: "Stacked bars", Lines: "Lines", Waterfall: "Waterfall", Heat: "Heat map"}
	return fmt.Sprintf("%s of %d series over %d categories. The numbers are in the table that follows.", kinds[c.Kind], len(c.Series), len(c.Categories))
}
