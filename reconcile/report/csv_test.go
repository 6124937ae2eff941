package report

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
)

// records reads CSV as any program would.
func records(t testing.TB, doc *Document, options Options) (header []string, rows []map[string]string) {
	t.Helper()
	file := rendered(t, doc, CSV, options)
	if bytes.Contains(bytes.ReplaceAll(file, []byte("\r\n"), nil), []byte("\n")) {
		t.Error("a line does not end in CRLF")
	}
	all, err := csv.NewReader(bytes.NewReader(file)).ReadAll() // refuses rows of other lengths
	if err != nil {
		t.Fatal(err)
	}
	for _, values := range all[1:] {
		row := map[string]string{}
		for i, value := range values {
			row[all[0][i]] = value
		}
		rows = append(rows, row)
	}
	return all[0], rows
}

func TestCSVHoldsAllTablesUnderOneHeader(t *testing.T) {
	t.Parallel()
	doc := rich(t)
	header, rows := records(t, doc, Options{})
	if header[0] != "table" || header[1] != "row" || !slices.Contains(header, "currency") || !slices.Contains(header, "absent") {
		t.Errorf("the header is %q", header)
	}
	counted := int64(0)
	for _, row := range rows {
		if row["row"] == "record" {
			counted++
		}
	}
	if counted != doc.Records {
		t.Errorf("%d records in the file, %d in the report", counted, doc.Records)
	}
	if row := rows[2]; row["opening"] != "-1200.00" || row["currency"] != "EUR" || row["share"] != "" || row["absent"] != "share: not computed: no rates" {
		t.Errorf("a row reads %q", row)
	}
	last := rows[len(rows)-1]
	if last["row"] != "control" || !strings.Contains(last["account"], doc.HashTotal) {
		t.Errorf("the last row is %q", last)
	}
}

func TestCSVCellsAreHarmless(t *testing.T) {
	t.Parallel()
	_, rows := records(t, rich(t), Options{Table: "hostile"})
	for _, row := range rows[:len(rows)-1] {
		text := row["text"]
		if strings.ContainsAny(text[:1], "=+-@\t\r") && !isDecimal(text) {
			t.Errorf("%q begins a formula", text)
		}
		if !isDecimal(row["amount"]) || row["amount"][0] != '-' && row["amount"][0] != '0' {
			t.Errorf("amount %q is no negative number", row["amount"])
		}
	}
}

func TestTextsAreGuarded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"=1+1": "'=1+1", "+49 30": "'+49 30", "-x": "'-x", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t'=1", "\r=1": "'␍'=1", " =1": " '=1", `"=1`: `"'=1`,
		"\u00a0=1": "\u00a0'=1", "＝1+1": "'＝1+1", "a;=1": "a;'=1", "a\t-b": "a\t'-b", "a\n=1": "a\n'=1", "\r\n=1": "\n'=1", "x,@y": "x,'@y",
		"-12.50": "-12.50", "12": "12", "a-b": "a-b", "a = b": "a = b", "": "", "2026-11-28": "2026-11-28", "x+y=z": "x+y=z",
	} {
		if got := guarded(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestOneTableOfCSV(t *testing.T) {
	t.Parallel()
	doc := rich(t)
	header, rows := records(t, doc, Options{Table: "postings"})
	if want := []string{"row", "seq", "booked", "account", "description", "debit", "credit", "balance", "currency"}; !slices.Equal(header, want) {
		t.Errorf("the header is %q, want %q", header, want)
	}
	if len(rows) != 302 || rows[300]["row"] != "total" {
		t.Errorf("%d rows, the last but one %q", len(rows), rows[300])
	}
	if _, rows := records(t, doc, Options{Table: "figures"}); rows[2]["value"] != "27.4" || rows[2]["unit"] != "%" || rows[3]["absent"] == "" {
		t.Errorf("figures are %q", rows)
	}
	if _, rows := records(t, doc, Options{Table: "facts"}); rows[2]["name"] != "As of" || rows[2]["value"] != "2026-11-28" {
		t.Errorf("facts are %q", rows)
	}
	if _, rows := records(t, doc, Options{Table: "charts"}); rows[0]["value"] != "1200000.50" {
		t.Errorf("charts begin %q", rows[0])
	}
	err := Write(&bytes.Buffer{}, doc, CSV, Options{Table: "ledger"})
	if err == nil || !strings.Contains(err.Error(), `there is no table "ledger", only facts, figures, charts, trial-balance, hostile, postings`) {
		t.Errorf("asking for a table that is not there: %v", err)
	}
}

func TestRowsOfSeveralCurrenciesNameEach(t *testing.T) {
	t.Parallel()
	doc := &Document{Name: "fx", Title: "FX", Ledger: "main", Blocks: []Block{{Table: &Table{Name: "fx",
		Columns: []Column{{"row", "Row", Text, ""}, {"bought", "Bought", Amount, ""}, {"sold", "Sold", Amount, "EUR"}},
		Rows:    []Row{{Cells: []Cell{{Value: "first"}, {Value: "21.70", Currency: "USD"}, {Value: "20.00"}}}}}}}}
	if err := Finish(doc); err != nil {
		t.Fatal(err)
	}
	got := string(rendered(t, doc, CSV, Options{}))
	want := "table,row_,row,bought,bought_currency,sold,sold_currency\r\n"
	if !strings.HasPrefix(got, want) || !strings.Contains(got, "fx,record,first,21.70,USD,20.00,EUR\r\n") {
		t.Errorf("it reads\n%s", got)
	}
}
