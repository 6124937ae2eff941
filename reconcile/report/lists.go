package report

import "strings"

// figuresTable is all figures as a table, for formats that have nothing but tables.
func (doc *Document) figuresTable() *Table {
	t := &Table{Name: "figures"}
	for _, name := range []string{"id", "title", "value", "unit", "level", "amber", "red", "previous", "meaning", "standard", "convention", "sources"} {
		t.Columns = append(t.Columns, Column{Name: name, Title: strings.ToUpper(name[:1]) + name[1:], Kind: Text})
	}
	t.Columns[0].Title = "Id"
	for i := range doc.Blocks {
		for j := range doc.Blocks[i].Figures {
			f := &doc.Blocks[i].Figures[j]
			unit, previous := f.Unit, Cell{}
			if unit == "" {
				unit = f.Value.Currency
			}
			if f.Previous != nil {
				previous = Cell{Value: f.Previous.Value, Absent: f.Previous.Absent}
			}
			t.Rows = append(t.Rows, Row{Cells: []Cell{
				{Value: f.ID}, {Value: f.Title}, {Value: f.Value.Value, Absent: f.Value.Absent}, {Value: unit}, {Value: string(f.Level)},
				{Value: f.Amber}, {Value: f.Red}, previous, {Value: f.Meaning}, {Value: f.Standard}, {Value: f.Convention}, {Value: f.from()},
			}})
		}
	}
	return t
}

// factsTable is the head of the report with its notes as a table.
func (doc *Document) factsTable() *Table {
	t := &Table{Name: "facts", Columns: []Column{{Name: "name", Title: "Name", Kind: Text}, {Name: "value", Title: "Value", Kind: Text}}}
	add := func(name, value string) {
		t.Rows = append(t.Rows, Row{Cells: []Cell{{Value: name}, {Value: value}}})
	}
	add("Report", doc.Title)
	add("Ledger", doc.Ledger)
	for _, f := range doc.Facts {
		add(f.Name, f.Value)
	}
	for _, note := range doc.Notes {
		add("Note", note)
	}
	return t
}

// chartsTable is the numbers of all charts as a table.
func (doc *Document) chartsTable() *Table {
	t := &Table{Name: "charts"}
	for _, name := range []string{"chart", "series", "category", "value", "unit", "level"} {
		t.Columns = append(t.Columns, Column{Name: name, Title: strings.ToUpper(name[:1]) + name[1:], Kind: Text})
	}
	t.Columns[3].Kind = Ratio
	for i := range doc.Blocks {
		c := doc.Blocks[i].Chart
		if c == nil {
			continue
		}
		add := func(kind RowKind, series, category, value string, level Level) {
			t.Rows = append(t.Rows, Row{Kind: kind, Cells: []Cell{{Value: c.Title}, {Value: series}, {Value: category}, {Value: value}, {Value: c.Unit}, {Value: string(level)}}})
		}
		for k := range c.Series {
			for j, category := range c.Categories {
				add(Record, c.Series[k].Name, category, c.Series[k].Values[j], c.Series[k].level(j))
			}
		}
		for _, m := range c.Marks {
			add(Record, m.Name, "", m.Value, m.Level)
		}
	}
	return t
}

// level returns the level of a value, where values have one.
func (s *Series) level(i int) Level {
	if i < len(s.Levels) {
		return s.Levels[i]
	}
	return NoLimit
}
