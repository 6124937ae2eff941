package report

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"
)

func TestAxesAreRound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ low, high, ticks, unit string }{
		{"0", "98.5", "0 20 40 60 80 100", "EUR"},
		{"-180", "150", "-200 -100 0 100 200", "EUR"},
		{"0", "0", "0.0 0.2 0.4 0.6 0.8 1.0", "EUR"},
		{"7", "7", "0 2 4 6 8", "EUR"},
		{"0", "0.00000003", "0 10 20 30", "EUR × 10^-9"},
		{"1150000", "1295000.5", "1.15 1.20 1.25 1.30", "EUR million"},
		{"0", "15000", "0 5 10 15", "EUR thousand"},
		{"0", "170141183460469231731687303715884105727", "0 50 100 150 200", "EUR × 10^36"},
		{"-3000000000000", "0", "-3 -2 -1 0", "EUR trillion"},
	} {
		a := newAxis(decimal.RequireFromString(c.low), decimal.RequireFromString(c.high), 1000)
		var labels []string
		for _, tick := range a.ticks {
			labels = append(labels, a.label(tick))
		}
		if got := strings.Join(labels, " "); got != c.ticks || a.unit("EUR") != c.unit {
			t.Errorf("from %s to %s: %s in %s, want %s in %s", c.low, c.high, got, a.unit("EUR"), c.ticks, c.unit)
		}
		if a.at(a.ticks[0]) != 0 || a.at(a.ticks[len(a.ticks)-1]) != 1000 {
			t.Errorf("from %s to %s: the ends are at %d and %d", c.low, c.high, a.at(a.ticks[0]), a.at(a.ticks[len(a.ticks)-1]))
		}
	}
}

func TestWaterfallsStandOnWhatWasBefore(t *testing.T) {
	t.Parallel()
	c := &Chart{Kind: Waterfall, Title: "W", Categories: []string{"Start=", "Up", "Gap", "Down", "End="}, Series: []Series{{Values: []string{"100", "50", "", "-200", "-50"}}}}
	p := &plot{Chart: c}
	p.values = [][]*decimal.Decimal{make([]*decimal.Decimal, 5)}
	for i, text := range c.Series[0].Values {
		if text != "" {
			v := decimal.RequireFromString(text)
			p.values[0][i] = &v
		}
	}
	want := []string{"0 100", "100 150", "150 150", "150 -50", "0 -50"}
	for i, s := range p.steps() {
		if got := s.from.String() + " " + s.to.String(); got != want[i] {
			t.Errorf("step %d goes from %s, want %s", i, got, want[i])
		}
	}
}

// Every shape of every chart stays on its drawing, and texts of categories do not run into one another.
func TestChartsStayWithinTheirBounds(t *testing.T) {
	t.Parallel()
	for i, b := range chartBlocks() {
		d := b.Chart.draw()
		type span struct{ from, to, y int }
		var labels []span
		for _, s := range d.shapes {
			for _, p := range s.points {
				if p.x < 0 || p.x > d.width || p.y < 0 || p.y > d.height || s.kind == rectShape && (p.x+s.w > d.width || p.y+s.h > d.height) {
					t.Errorf("chart %d: %+v is outside %d × %d", i+1, s, d.width, d.height)
				}
			}
			if s.kind == textShape && s.anchor == middle {
				w := drawnWidth(s.text)
				labels = append(labels, span{s.points[0].x - w/2, s.points[0].x + w/2, s.points[0].y})
			}
		}
		for j, a := range labels {
			for _, b := range labels[:j] {
				if a.y == b.y && a.from < b.to && b.from < a.to {
					t.Errorf("chart %d: texts at %v and %v touch", i+1, a, b)
				}
			}
		}
	}
}

func TestChartsOfNothingAreDrawn(t *testing.T) {
	t.Parallel()
	for _, kind := range []ChartKind{Bars, StackedBars, Lines, Waterfall, Heat} {
		doc := &Document{Name: "charts", Title: "Charts", Ledger: "main"}
		for _, c := range []*Chart{
			{Kind: kind, Title: "none", Series: []Series{{}}},
			{Kind: kind, Title: "gaps", Categories: []string{"a", "b"}, Series: []Series{{Values: []string{"", ""}}}},
			{Kind: kind, Title: "zero", Categories: []string{""}, Series: []Series{{Values: []string{"0"}}}, Marks: []Mark{{Value: "0"}}},
			{Kind: kind, Title: "many", Categories: make([]string, MaxCategories), Series: []Series{{Values: make([]string, MaxCategories)}}},
		} {
			doc.Blocks = append(doc.Blocks, Block{Chart: c})
		}
		if err := Finish(doc); err != nil {
			t.Fatal(err)
		}
		for _, f := range Formats {
			if len(rendered(t, doc, f, Options{})) == 0 {
				t.Errorf("charts of kind %s are nothing in %s", kind, f)
			}
		}
	}
}
