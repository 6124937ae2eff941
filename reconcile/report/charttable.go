package report

import "strings"

// caption is the title of a chart with its unit.
func (c *Chart) caption() string {
	title := oneLine(c.Title)
	if c.Unit != "" && !strings.Contains(title, c.Unit) {
		title += ", " + oneLine(c.Unit)
	}
	return title
}

// table is what a chart shows, as numbers: for formats that do not draw, and for readers who cannot see. A series whose
// values have levels has a second column with their words.
func (c *Chart) table() *Table {
	t := &Table{Name: "chart", Columns: []Column{{Name: "category", Kind: Text}}}
	t.Columns[0].Title = "Category"
	for i := range c.Series {
		s := &c.Series[i]
		t.Columns = append(t.Columns, Column{Name: "series", Title: seriesTitle(c, i), Kind: Ratio})
		if len(s.Levels) > 0 {
			t.Columns = append(t.Columns, Column{Name: "level", Title: "Level", Kind: Text})
		}
	}
	row := func(name string, cells func(*Series) (string, Level)) {
		r := Row{Cells: []Cell{{Value: name}}}
		for i := range c.Series {
			value, level := cells(&c.Series[i])
			r.Cells = append(r.Cells, Cell{Value: value})
			if len(c.Series[i].Levels) > 0 {
				r.Cells = append(r.Cells, Cell{Value: level.word()})
			}
		}
		t.Rows = append(t.Rows, r)
	}
	for j, category := range c.Categories {
		if c.Kind == Waterfall {
			category = strings.TrimSuffix(category, "=")
		}
		row(category, func(s *Series) (string, Level) {
			if len(s.Levels) > 0 {
				return s.Values[j], s.Levels[j]
			}
			return s.Values[j], NoLimit
		})
	}
	for _, m := range c.Marks {
		row(m.Name, func(*Series) (string, Level) { return m.Value, m.Level })
		t.Rows[len(t.Rows)-1].Kind = Subtotal
	}
	return t
}

// seriesTitle names a series, even one without a name.
func seriesTitle(c *Chart, i int) string {
	if name := oneLine(c.Series[i].Name); name != "" {
		return name
	}
	if c.Unit != "" {
		return oneLine(c.Unit)
	}
	return "Value"
}
