package mapping_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tallystick/cmd/tallystick/internal/mapping"
	"tallystick/cmd/tallystick/internal/tabular"
)

func parse(t *testing.T, text string) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return m
}

// makeRow makes the first row of a file of this name and text.
func makeRow(t *testing.T, m *mapping.Mapping, name, text string) (mapping.Made, error) {
	t.Helper()
	f, err := m.For(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := tabular.NewReader(strings.NewReader(text), f.Options())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Columns(f.Columns()); err != nil {
		return mapping.Made{}, err
	}
	row, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	return f.Make(row)
}

// wire returns what was made as the API would get it.
func wire(t *testing.T, made mapping.Made) string {
	t.Helper()
	var lines []string
	for _, a := range made.Accounts {
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(text))
	}
	for _, one := range made.Transfers {
		text, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, one.Part+" "+string(text))
	}
	return strings.Join(lines, "\n")
}

// documented is the example in doc.go.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var example []string
	for line := range strings.Lines(string(text)) {
		if in, ok := strings.CutPrefix(line, "//\t"); ok {
			example = append(example, in)
		}
	}
	return strings.Join(example, "")
}

func TestTheDocumentedExampleMakesWhatItSays(t *testing.T) {
	t.Parallel()
	m := parse(t, documented(t))
	constants, err := m.Constants()
	if err != nil || len(constants) != 2 || constants[0].Code != "equity:opening" {
		t.Errorf("constants %v, %v", constants, err)
	}
	if m.Ledger.BaseCurrency != "EUR" || m.Ledger.TimeZone != "Europe/Berlin" || *m.Ledger.ValueDaysBack != 7300 || m.Ledger.ValueDaysAhead != nil {
		t.Errorf("terms %+v", m.Ledger)
	}
	for _, c := range []struct{ name, text, want string }{
		{"customers-2025.csv", "ID;STATUS;CURRENCY;NAME;BALANCE\nAB7;open;EUR;M\xfcller;1.234,50\n",
			`{"code":"customers:ab7","type":"liability","currency":"EUR","name":"Müller","min_balance":"0","tags":{"client":"AB7"}}
opening.0 {"debit":"equity:opening","credit":"customers:ab7","amount":"1234.50","currency":"EUR","effective_date":"2025-12-31"}`},
		{"customers-2025.csv", "ID;STATUS;CURRENCY;NAME;BALANCE\nAB7;open;EUR;;-0,50\n",
			`{"code":"customers:ab7","type":"liability","currency":"EUR","min_balance":"0","tags":{"client":"AB7"}}
opening.0 {"debit":"customers:ab7","credit":"equity:opening","amount":"0.50","currency":"EUR","effective_date":"2025-12-31"}`},
		{"customers-2025.csv", "ID;STATUS;CURRENCY;NAME;BALANCE\nAB7;open;EUR;;0,00\n",
			`{"code":"customers:ab7","type":"liability","currency":"EUR","min_balance":"0","tags":{"client":"AB7"}}`},
		{"customers-2025.csv", "ID;STATUS;CURRENCY;NAME;BALANCE\nAB7;closed;EUR;;no number\n", ""},
		{"payments-1.jsonl", `{"payer":{"id":"AB7"},"amount":-12.30,"date":"31.01.2026","text":"Rent","number":17,"fee":"0.00"}`,
			`transfer.0 {"debit":"bank:giro","credit":"customers:ab7","amount":"12.30","currency":"EUR","effective_date":"2026-01-31","description":"Rent","reference":"17"}`},
		{"payments-1.jsonl", `{"payer":{"id":"AB7"},"amount":"1","date":"","fee":0.1,"channel":"web"}`,
			`transfer.0 {"debit":"customers:ab7","credit":"bank:giro","amount":"1","currency":"EUR","metadata":{"channel":"web"}}
transfer.1 {"postings":[{"account":"customers:ab7","direction":"debit","amount":"0.1"},{"account":"fees:payments","direction":"credit","amount":"0.1"}]}`},
	} {
		made, err := makeRow(t, m, c.name, c.text)
		if got := wire(t, made); err != nil || got != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.text, err, got, c.want)
		}
	}
	f, err := m.For("customers-2025.csv")
	if err != nil || strings.Join(f.Columns(), " ") != "BALANCE CURRENCY ID NAME STATUS" {
		t.Errorf("columns %v, %v", f.Columns(), err)
	}
}

const frame = "files:\n  - match: x.csv\n    "

func TestAMappingThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	short := "transfers: [{debit: a, credit: b, amount: \"1\"%s}]\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":               {"", "empty"},
		"nothing in it":       {"files: []\n", "no file"},
		"unknown key":         {frame + "transferz: []\n", "line 3: there is no key transferz here"},
		"unknown key below":   {frame + strings.Replace(short, "%s", ", amout: x", 1), "line 3: there is no key amout here"},
		"key twice":           {frame + "format: csv\n    format: csv\n", "already defined"},
		"second document":     {frame + strings.Replace(short, "%s", "", 1) + "---\nfiles: []\n", "second document"},
		"no YAML":             {"files: [", "line 1"},
		"list for a text":     {frame + "accounts: [{code: [a], type: asset, currency: EUR}]\n", "line 3: want a text"},
		"unquoted braces":     {frame + "accounts: [{code: {A}, type: asset, currency: EUR}]\n", "needs quotes"},
		"open brace":          {frame + strings.Replace(short, "%s", ", reference: \"x{a\"", 1), "line 3: reading \"x{a\": a brace is not closed"},
		"closing brace":       {frame + strings.Replace(short, "%s", ", reference: \"a}\"", 1), "without an opening one"},
		"no column":           {frame + strings.Replace(short, "%s", ", reference: \"{}\"", 1), "name of a column"},
		"unknown filter":      {frame + strings.Replace(short, "%s", ", reference: \"{a|camel}\"", 1), `no filter "camel"`},
		"no match":            {"files: [{transfers: []}]\n", "match is"},
		"wrong pattern":       {"files: [{match: \"[\", transfers: []}]\n", "match is"},
		"wrong format":        {frame + "format: xml\n", "not \"xml\""},
		"wrong encoding":      {frame + "encoding: ebcdic\n", "not \"ebcdic\""},
		"long delimiter":      {frame + "delimiter: \"||\"\n", "one character"},
		"nothing to make":     {frame + "format: csv\n", "neither accounts nor transfers"},
		"no currency":         {frame + "accounts: [{code: a, type: asset}]\n", "currency is missing"},
		"opening from no one": {frame + "accounts: [{code: a, type: asset, currency: EUR, opening_balance: {amount: \"1\"}}]\n", "needs amount and from"},
		"half a transfer":     {frame + "transfers: [{debit: a, amount: \"1\"}]\n", "needs debit, credit and amount"},
		"both forms":          {frame + strings.Replace(short, "%s", ", postings: [{account: a, direction: debit, amount: \"1\"}]", 1), "not both"},
		"one posting":         {frame + "transfers: [{postings: [{account: a, direction: debit, amount: \"1\"}]}]\n", "two or more postings"},
		"half a posting":      {frame + "transfers: [{postings: [{account: a}, {account: b}]}]\n", "number 1: it needs account"},
		"negative how":        {frame + strings.Replace(short, "%s", ", negative: maybe", 1), "refuse or swap"},
		"two tests":           {frame + "skip: [{column: a, equals: b, empty: true}]\n    " + strings.Replace(short, "%s", "", 1), "one of equals"},
		"date of nothing":     {frame + strings.Replace(short, "%s", ", effective_date: {layout: x}", 1), "needs a value"},
		"two ways of a date":  {frame + strings.Replace(short, "%s", ", effective_date: {value: \"{a}\", layout: x, days_from: 2026-01-01}", 1), "not both"},
		"days from when":      {frame + strings.Replace(short, "%s", ", effective_date: {value: \"{a}\", days_from: yesterday}", 1), "not a day"},
		"layout without year": {frame + strings.Replace(short, "%s", ", effective_date: {value: \"{a}\", layout: \"%d.%m.\"}", 1), "does not say year"},
		"unknown directive":   {frame + strings.Replace(short, "%s", ", effective_date: {value: \"{a}\", layout: \"%Q\"}", 1), "after %"},
		"letters in a layout": {frame + strings.Replace(short, "%s", ", effective_date: {value: \"{a}\", layout: \"%Y2%m%d\"}", 1), "cannot stand"},
		"decimal and groups":  {frame + "numbers: {decimal: \",\", thousands: \",\"}\n    " + strings.Replace(short, "%s", "", 1), "both"},
		"digit as a mark":     {frame + "numbers: {decimal: \"1\"}\n    " + strings.Replace(short, "%s", "", 1), "neither a digit"},
		"column at the top":   {"accounts: [{code: \"{a}\", type: asset, currency: EUR}]\n" + frame + strings.Replace(short, "%s", "", 1), "are constants"},
		"ledger of nothing":   {"ledger: {time_zone: UTC}\n" + frame + strings.Replace(short, "%s", "", 1), "base_currency is missing"},
	} {
		if _, err := mapping.Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "mapping.") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestRowsThatDoNotSayWhatIsReadFromThemAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ spec, text, want string }{
		"word for a number":   {`{debit: a, credit: b, amount: "{x}"}`, "x\ntwelve\n", `amount: "twelve" is not a number`},
		"nothing":             {`{debit: a, credit: b, amount: "{x}"}`, "x,y\n,1\n", "there is nothing"},
		"decimal comma":       {`{debit: a, credit: b, amount: "{x}"}`, "x\n\"1,5\"\n", "is not a number"},
		"negative":            {`{debit: a, credit: b, amount: "{x}"}`, "x\n-1\n", "is negative\nhint: negative: swap"},
		"negative leg":        {`{postings: [{account: a, direction: debit, amount: "{x}"}, {account: b, direction: credit, amount: "1"}]}`, "x\n-1\n", "postings, number 1"},
		"day of no calendar":  {`{debit: a, credit: b, amount: "1", effective_date: {value: "{x}"}}`, "x\n2026-02-30\n", "is not a date"},
		"half a day":          {`{debit: a, credit: b, amount: "1", effective_date: {value: "{x}", days_from: 2026-01-01}}`, "x\n1.5\n", "whole number of days"},
		"beyond the calendar": {`{debit: a, credit: b, amount: "1", effective_date: {value: "{x}", days_from: 2026-01-01}}`, "x\n3000000\n", "beyond the calendar"},
		"zero of a word":      {`{debit: a, credit: b, amount: "1", skip: [{column: x, zero: true}]}`, "x\nnone\n", "column x"},
		"column of no file":   {`{debit: a, credit: b, amount: "{y}"}`, "x\n1\n", "line 1: there is no column y; the header has x"},
		"skipping by it":      {`{debit: a, credit: b, amount: "1", skip: [{column: z, empty: true}]}`, "x\n1\n", "no column z"},
	} {
		m := parse(t, frame+"transfers: ["+c.spec+"]\n")
		if _, err := makeRow(t, m, "x.csv", c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := parse(t, documented(t)).For("other.csv"); err == nil || !strings.Contains(err.Error(), "customers*.csv, payments-*.jsonl") {
		t.Errorf("a file that no pattern matches: %v", err)
	}
}

func TestConditionsSkipRows(t *testing.T) {
	t.Parallel()
	for cond, rows := range map[string]map[string]bool{
		`equals: "0"`:   {"0": true, "0.0": false, "": false},
		"not_equals: a": {"a": false, "b": true, "": true},
		"empty: true":   {"": true, " ": true, "a": false},
		"empty: false":  {"": false, "a": true},
		"zero: true":    {"0.00": true, "-0": true, "1": false, "": false},
		"zero: false":   {"0.00": false, "-1": true, "": true},
	} {
		m := parse(t, frame+"skip: [{column: x, "+cond+"}]\n    transfers: [{debit: a, credit: b, amount: \"1\"}]\n")
		for value, skips := range rows {
			made, err := makeRow(t, m, "x.csv", "x,y\n"+value+",1\n")
			if err != nil || (len(made.Transfers) == 0) != skips {
				t.Errorf("%s with %q: %d made, %v", cond, value, len(made.Transfers), err)
			}
		}
	}
}

func TestDatesAreReadByTheirLayout(t *testing.T) {
	t.Parallel()
	for spec, c := range map[string]struct{ text, want string }{
		`value: "{x}"`:                               {"2026-01-31", "2026-01-31"},
		`value: "{x}", layout: "%d/%m/%y"`:           {"31/01/26", "2026-01-31"},
		`value: "{x}", layout: "2.1.2006"`:           {"3.2.2026", "2026-02-03"},
		`value: "{x}", layout: "%Y-%m-%dT%H:%M:%SZ"`: {"2026-01-31T23:59:59Z", "2026-01-31"},
		`value: "{x}", layout: "%Y%j"`:               {"2026032", "2026-02-01"},
		`value: "{x}", days_from: 2026-01-01`:        {"149", "2026-05-30"},
		`value: "{x}", days_from: "2024-02-29"`:      {"-1", "2024-02-28"},
		`value: "2025-12-{x}"`:                       {"31", "2025-12-31"},
	} {
		m := parse(t, frame+"transfers: [{debit: a, credit: b, amount: \"1\", effective_date: {"+spec+"}}]\n")
		made, err := makeRow(t, m, "x.csv", "x\n"+c.text+"\n")
		if err != nil || made.Transfers[0].EffectiveDate != c.want {
			t.Errorf("%s of %s: %+v, %v", spec, c.text, made, err)
		}
	}
}

func TestNumbersKeepEveryDigit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ marks, text, want string }{
		{"{}", "12.340", "12.340"}, {"{}", " 007.1 ", "7.1"}, {"{}", "+0", "0"}, {"{}", "1,000", ""}, {"{}", "1.", ""}, {"{}", ".5", ""},
		{"{}", "1e3", ""}, {"{}", "--1", ""}, {"{}", "1 000", ""}, {"{}", "0x10", ""}, {"{}", "٣", ""}, {"{}", "1.2.3", ""},
		{`{thousands: ","}`, "1,234,567.89", "1234567.89"}, {`{thousands: ","}`, "1234567.89", "1234567.89"}, {`{thousands: ","}`, "1,23", ""},
		{`{thousands: ","}`, "1234,567", ""}, {`{thousands: ","}`, ",123", ""}, {`{thousands: ","}`, "1.234,5", ""},
		{`{decimal: ",", thousands: "."}`, "1.234,5", "1234.5"}, {`{decimal: ",", thousands: "."}`, "1.5", ""},
		{`{decimal: ",", thousands: " "}`, "1 234,5", "1234.5"}, {`{decimal: ",", thousands: "'"}`, "1'234", "1234"},
		{"{}", strings.Repeat("9", 80), ""},
	} {
		m := parse(t, frame+"delimiter: ;\n    numbers: "+c.marks+"\n    transfers: [{debit: a, credit: b, amount: \"{x}\"}]\n")
		made, err := makeRow(t, m, "x.csv", "x\n"+c.text+"\n")
		got := ""
		if err == nil {
			got = made.Transfers[0].Amount
		}
		if got != c.want {
			t.Errorf("%s with %s: %q, %v", c.text, c.marks, got, err)
		}
	}
}

// Writing a number with the marks of a country and reading it back changes
// nothing.
func TestNumbersComeBackFromTheirNotation(t *testing.T) {
	t.Parallel()
	m := parse(t, frame+"delimiter: ;\n    numbers: {decimal: \",\", thousands: \".\"}\n    transfers: [{debit: a, credit: b, amount: \"{x}\", negative: swap}]\n")
	rapid.Check(t, func(r *rapid.T) {
		whole := rapid.StringMatching(`0|[1-9][0-9]{0,17}`).Draw(r, "whole")
		fraction := rapid.StringMatching(`[0-9]{1,6}`).Draw(r, "fraction")
		negative := rapid.Bool().Draw(r, "negative")
		grouped := whole
		for at := len(whole) - 3; at > 0; at -= 3 {
			grouped = grouped[:at] + "." + grouped[at:]
		}
		text := grouped + "," + fraction
		if negative {
			text = "-" + text
		}
		made, err := makeRow(t, m, "x.csv", "x\n"+text+"\n")
		if err != nil || made.Transfers[0].Amount != whole+"."+fraction {
			r.Fatalf("%s: %+v, %v", text, made, err)
		}
		zero := strings.Trim(whole+fraction, "0") == ""
		if swapped := made.Transfers[0].Debit == "b"; swapped != (negative && !zero) {
			r.Fatalf("%s: debit %s", text, made.Transfers[0].Debit)
		}
	})
}

func FuzzMappings(f *testing.F) {
	f.Add("files: [{match: x, transfers: [{debit: a, credit: b, amount: \"{x}\"}]}]")
	f.Add("accounts: [{code: a}]")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := mapping.Parse([]byte(text))
		if err != nil {
			return
		}
		if _, err := m.Constants(); err != nil {
			return
		}
		for _, file := range m.Files {
			r, err := tabular.NewReader(strings.NewReader("x,a\n1,2\n"), file.Options())
			if err != nil {
				continue
			}
			if row, err := r.Read(); err == nil {
				_, _ = file.Make(row)
			}
		}
	})
}
