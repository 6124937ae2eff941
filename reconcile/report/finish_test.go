package report

import (
	"strings"
	"testing"
)

// small is a report with one table that is right, finished.
func small(t testing.TB) *Document {
	t.Helper()
	doc := &Document{Name: "small", Title: "Small", Ledger: "main", Blocks: []Block{
		{Figures: []Figure{{ID: "f", Title: "F", Meaning: "It is one.", Value: Cell{Value: "1.50", Currency: "EUR"}}}},
		{Chart: &Chart{Kind: Waterfall, Title: "C", Categories: []string{"a"}, Series: []Series{{Values: []string{"1"}}}}},
		{Table: &Table{Name: "t", Columns: []Column{{"account", "Account", Code, ""}, {"day", "Day", Date, ""}, {"amount", "Amount", Amount, "EUR"}, {"n", "N", Count, ""}, {"r", "R", Ratio, ""}},
			Rows: []Row{
				{Kind: Group, Cells: []Cell{{Value: "A group"}, {}, {}, {}, {}}},
				{Cells: []Cell{{Value: "a"}, {Value: "2026-11-28"}, {Value: "12.34"}, {Value: "3"}, {Value: "-0.5"}}},
				{Cells: []Cell{{Value: "b"}, {Value: "2026-11-28T10:00:00Z"}, {Value: "-2", Currency: "JPY"}, {Absent: "not counted"}, {}}},
				{Kind: Total, Cells: []Cell{{Value: "Total"}, {}, {Value: "12.34"}, {}, {}}},
			}}},
	}}
	if err := Finish(doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestFinishCompletesWhatAReportSays(t *testing.T) {
	t.Parallel()
	doc := small(t)
	if doc.Records != 2 || doc.HashTotal != "10.34" {
		t.Errorf("%d records and hash total %s, want 2 and 10.34: totals and groups are none", doc.Records, doc.HashTotal)
	}
	rows := doc.Blocks[2].Table.Rows
	if c := rows[1].Cells[2]; c.Currency != "EUR" || c.Scale == nil || *c.Scale != 2 {
		t.Errorf("an amount is %+v, want the currency of its column and scale 2", c)
	}
	if c := rows[2].Cells[2]; c.Currency != "JPY" || c.Scale == nil || *c.Scale != 0 {
		t.Errorf("an amount in yen is %+v, want its own currency and scale 0", c)
	}
	before, err := Encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := Finish(doc); err != nil {
		t.Fatal(err)
	}
	if after, err := Encode(doc); err != nil || string(before) != string(after) {
		t.Errorf("finishing twice changed the report, %v", err)
	}
}

func TestBrokenReportsAreRefusedWithThePlace(t *testing.T) {
	t.Parallel()
	cell := func(doc *Document, row, column int) *Cell { return &doc.Blocks[2].Table.Rows[row].Cells[column] }
	for _, try := range []struct {
		name  string
		spoil func(*Document)
		want  string
	}{
		{"amount with a comma", func(d *Document) { cell(d, 1, 2).Value = "12,34" }, `table t, row 2, column amount: "12,34" is no amount`},
		{"amount with a plus", func(d *Document) { cell(d, 1, 2).Value = "+12" }, `"+12" is no amount`},
		{"amount with an exponent", func(d *Document) { cell(d, 1, 2).Value = "1e5" }, `"1e5" is no amount`},
		{"negative zero", func(d *Document) { cell(d, 1, 2).Value = "-0.00" }, `"-0.00" is no amount`},
		{"leading zero", func(d *Document) { cell(d, 1, 2).Value = "01" }, `"01" is no amount`},
		{"amount of a total", func(d *Document) { cell(d, 3, 2).Value = "x" }, "table t, row 4, column amount: amount x is not written as in -1234.50"},
		{"amount without a currency", func(d *Document) { d.Blocks[2].Table.Columns[2].Currency = ""; cell(d, 1, 2).Currency = "" }, "table t, row 2, column amount: amount 12.34 has no currency"},
		{"no such currency", func(d *Document) { cell(d, 1, 2).Currency = "eur" }, "table t, row 2, column amount: it has currency eur"},
		{"currency of a count", func(d *Document) { cell(d, 1, 3).Currency = "EUR" }, "table t, row 2, column n: it has currency EUR"},
		{"19 decimals", func(d *Document) { cell(d, 1, 2).Value = "0.0000000000000000001" }, "table t, row 2, column amount"},
		{"half a count", func(d *Document) { cell(d, 1, 3).Value = "1.5" }, "table t, row 2, column n: count 1.5 is no whole number"},
		{"no ratio", func(d *Document) { cell(d, 1, 4).Value = "5 %" }, "table t, row 2, column r: number 5 %"},
		{"no such day", func(d *Document) { cell(d, 1, 1).Value = "2026-02-30" }, "table t, row 2, column day: date 2026-02-30"},
		{"value and reason", func(d *Document) { cell(d, 1, 3).Absent = "why" }, "it has both a value and a reason"},
		{"link to nowhere", func(d *Document) { cell(d, 1, 0).Link = &Link{} }, "table t, row 2, column account: its link leads nowhere"},
		{"a cell too few", func(d *Document) { d.Blocks[2].Table.Rows[1].Cells = d.Blocks[2].Table.Rows[1].Cells[:4] }, "table t, row 2 has 4 cells for 5 columns"},
		{"a full group", func(d *Document) { cell(d, 0, 3).Value = "1" }, "table t, row 1, column n: a group has only a first cell"},
		{"a kind of row", func(d *Document) { d.Blocks[2].Table.Rows[1].Kind = "sum" }, `table t, row 2: there is no kind "sum"`},
		{"a level below zero", func(d *Document) { d.Blocks[2].Table.Rows[1].Level = -1 }, "table t, row 2: level -1"},
		{"a kind of column", func(d *Document) { d.Blocks[2].Table.Columns[0].Kind = "money" }, `table t, column account: there is no kind "money"`},
		{"two columns of a name", func(d *Document) { d.Blocks[2].Table.Columns[1].Name = "account" }, `table t: "account" is no name of a column, or there are two`},
		{"two tables of a name", func(d *Document) { d.Blocks = append(d.Blocks, Block{Table: d.Blocks[2].Table}) }, "there are two tables t"},
		{"no columns", func(d *Document) { d.Blocks[2].Table.Columns = nil; d.Blocks[2].Table.Rows = nil }, "table t has 0 columns"},
		{"a figure twice", func(d *Document) { d.Blocks[0].Figures = append(d.Blocks[0].Figures, d.Blocks[0].Figures[0]) }, "figure f: there are two of them"},
		{"a figure without meaning", func(d *Document) { d.Blocks[0].Figures[0].Meaning = "" }, "figure f: it has no id, no title or no meaning"},
		{"a figure without value", func(d *Document) { d.Blocks[0].Figures[0].Value = Cell{} }, "figure f: it has neither a value nor a reason"},
		{"a figure's level", func(d *Document) { d.Blocks[0].Figures[0].Level = "pink" }, `figure f: there is no level "pink"`},
		{"a figure's unit", func(d *Document) {
			d.Blocks[0].Figures[0].Value = Cell{Value: "a lot"}
			d.Blocks[0].Figures[0].Unit = "%"
		}, "figure f: number a lot is not written"},
		{"a chart's value", func(d *Document) { d.Blocks[1].Chart.Series[0].Values[0] = "1,0" }, `chart C: series 1, category 1: number "1,0"`},
		{"a chart's length", func(d *Document) { d.Blocks[1].Chart.Series[0].Values = nil }, "chart C: series 1 has 0 values and 0 levels for 1 categories"},
		{"two waterfalls", func(d *Document) {
			d.Blocks[1].Chart.Series = append(d.Blocks[1].Chart.Series, Series{Values: []string{""}})
		}, "chart C: a waterfall has one series, not 2"},
		{"a chart's mark", func(d *Document) { d.Blocks[1].Chart.Marks = []Mark{{Name: "limit", Value: "x"}} }, `chart C: mark "limit" at "x"`},
		{"too long a text", func(d *Document) { d.Notes = []string{strings.Repeat("x", MaxText+1)} }, "is too long"},
		{"no name", func(d *Document) { d.Name = "Trial Balance" }, `"Trial Balance" is no name`},
		{"no title", func(d *Document) { d.Title = "" }, "it has no title or no ledger"},
	} {
		t.Run(try.name, func(t *testing.T) {
			t.Parallel()
			doc := small(t)
			try.spoil(doc)
			if err := Finish(doc); err == nil || !strings.Contains(err.Error(), try.want) {
				t.Errorf("finishing it: %v, want %s", err, try.want)
			}
			if err := Write(&strings.Builder{}, doc, PlainText, Options{}); err == nil {
				t.Error("it was written all the same")
			}
		})
	}
}

func TestReportsChangedAfterFinishingAreNotWritten(t *testing.T) {
	t.Parallel()
	for _, f := range Formats {
		doc := small(t)
		doc.Blocks[2].Table.Rows[1].Cells[2].Value = "12.35"
		var out strings.Builder
		err := Write(&out, doc, f, Options{})
		if err == nil || !strings.Contains(err.Error(), `hash total "10.34", its rows 2 and 10.35: finish it`) {
			t.Errorf("writing it as %s: %v", f, err)
		}
		if out.Len() > 0 {
			t.Errorf("something of it was written as %s", f)
		}
	}
}

func TestJSONIsCanonical(t *testing.T) {
	t.Parallel()
	doc := rich(t)
	encoded, err := Encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if twice, err := Encode(again); err != nil || string(twice) != string(encoded) {
		t.Errorf("decoded and encoded again it is another, %v", err)
	}
	one, err := Digest(doc)
	two, err2 := Digest(again)
	if err != nil || err2 != nil || one != two {
		t.Errorf("digests %x and %x, %v, %v", one, two, err, err2)
	}
	if !strings.Contains(string(encoded), `{"value":"1200.00","currency":"EUR","scale":2}`) {
		t.Error("an amount has no currency or no scale")
	}
}

func TestDecodeTakesNothingElse(t *testing.T) {
	t.Parallel()
	encoded, err := Encode(small(t))
	if err != nil {
		t.Fatal(err)
	}
	good := string(encoded)
	for name, bad := range map[string]string{
		"an unknown member": strings.Replace(good, `{"name"`, `{"colour":"red","name"`, 1),
		"another total":     strings.Replace(good, `"hash_total":"10.34"`, `"hash_total":"10.35"`, 1),
		"another count":     strings.Replace(good, `"records":2`, `"records":3`, 1),
		"another scale":     strings.Replace(good, `"scale":2`, `"scale":3`, 1),
		"a number":          strings.Replace(good, `"value":"12.34"`, `"value":12.34`, 1),
		"two of them":       good + good,
		"half of it":        good[:len(good)/2],
		"nothing":           "",
	} {
		if bad == good {
			t.Fatalf("%s: the case does not change anything", name)
		}
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
