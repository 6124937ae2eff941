package report

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// anyDocument draws documents that Finish takes.
func anyDocument(t *rapid.T) *Document {
	text := rapid.StringN(0, 30, 200)
	decimals := rapid.StringMatching(`-?[1-9][0-9]{0,37}(\.[0-9]{1,18})?`)
	level := rapid.SampledFrom([]Level{NoLimit, Green, Amber, Red})
	doc := &Document{Name: "random", Title: "T" + text.Draw(t, "title"), Ledger: "L" + text.Draw(t, "ledger")}
	for i := range rapid.IntRange(0, 4).Draw(t, "blocks") {
		b := Block{Heading: text.Draw(t, "heading"), Text: []string{text.Draw(t, "paragraph")}}
		if rapid.Bool().Draw(t, "figure") {
			b.Figures = []Figure{{ID: fmt.Sprint("f", i), Title: "F" + text.Draw(t, "name"), Meaning: "M" + text.Draw(t, "meaning"), Level: level.Draw(t, "level"), Value: Cell{Value: decimals.Draw(t, "value"), Currency: "EUR"}}}
		}
		if rapid.Bool().Draw(t, "chart") {
			c := &Chart{Kind: rapid.SampledFrom([]ChartKind{Bars, StackedBars, Lines, Heat, Waterfall}).Draw(t, "kind"), Title: "C" + text.Draw(t, "chart title"), Unit: text.Draw(t, "unit")}
			for range rapid.IntRange(0, 40).Draw(t, "categories") {
				c.Categories = append(c.Categories, text.Draw(t, "category"))
			}
			series := 1
			if c.Kind != Waterfall {
				series = rapid.IntRange(0, 10).Draw(t, "series")
			}
			for range series {
				s := Series{Name: text.Draw(t, "series name")}
				leveled := rapid.Bool().Draw(t, "leveled")
				for range c.Categories {
					value := ""
					if rapid.IntRange(0, 9).Draw(t, "gap") > 0 {
						value = decimals.Draw(t, "number")
					}
					s.Values = append(s.Values, value)
					if leveled {
						s.Levels = append(s.Levels, level.Draw(t, "value's level"))
					}
				}
				c.Series = append(c.Series, s)
			}
			b.Chart = c
		}
		if rapid.Bool().Draw(t, "table") {
			b.Table = anyTable(t, fmt.Sprint("t", i))
		}
		doc.Blocks = append(doc.Blocks, b)
	}
	return doc
}

func anyTable(t *rapid.T, name string) *Table {
	table := &Table{Name: name}
	kinds := map[ColumnKind]*rapid.Generator[string]{
		Text: rapid.StringN(0, 60, 400), Code: rapid.StringMatching(`[a-z]{1,9}(:[a-z0-9]{1,30}){0,4}`), Date: rapid.SampledFrom([]string{"2026-11-28", "1899-01-01", "2026-11-28T10:00:00Z"}),
		Amount: rapid.StringMatching(`-?[1-9][0-9]{0,37}(\.[0-9]{1,18})?`), Count: rapid.StringMatching(`[1-9][0-9]{0,20}`), Ratio: rapid.StringMatching(`-?[1-9][0-9]{0,3}(\.[0-9]{1,30})?`),
	}
	for j := range rapid.IntRange(1, 12).Draw(t, "columns") {
		kind := rapid.SampledFrom([]ColumnKind{Text, Code, Date, Amount, Count, Ratio}).Draw(t, "kind of column")
		table.Columns = append(table.Columns, Column{Name: fmt.Sprint("c", j), Title: rapid.StringN(0, 20, 80).Draw(t, "title of column"), Kind: kind})
	}
	for range rapid.IntRange(0, 60).Draw(t, "rows") {
		r := Row{Kind: rapid.SampledFrom([]RowKind{Record, Record, Record, Subtotal, Total, Difference, Group}).Draw(t, "kind of row"), Level: rapid.IntRange(0, MaxLevel).Draw(t, "indentation")}
		r.Cells = make([]Cell, len(table.Columns))
		for j, column := range table.Columns {
			if r.Kind == Group && j > 0 {
				break
			}
			switch rapid.IntRange(0, 4).Draw(t, "cell") {
			case 0:
			case 1:
				r.Cells[j].Absent = "not computed: " + kinds[Text].Draw(t, "reason")
			default:
				r.Cells[j].Value = kinds[column.Kind].Draw(t, "cell's value")
				if column.Kind == Amount && r.Kind != Group {
					r.Cells[j].Currency = rapid.SampledFrom([]string{"EUR", "JPY", "BTC"}).Draw(t, "currency")
				}
			}
		}
		table.Rows = append(table.Rows, r)
	}
	return table
}

// FuzzReports: whatever a report holds, every format can be written, and is the same bytes twice.
func FuzzReports(f *testing.F) {
	f.Add([]byte("a few bytes to begin with, from which rapid draws a document: 0123456789"))
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		doc := anyDocument(t)
		if err := Finish(doc); err != nil {
			t.Fatal(err)
		}
		for _, format := range Formats {
			one := rendered(t, doc, format, Options{Href: href})
			if !bytes.Equal(one, rendered(t, doc, format, Options{Href: href})) {
				t.Errorf("%s differs", format)
			}
		}
	}))
}
