package tabular_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"tallystick/cmd/tallystick/internal/tabular"
)

// all reads a text to its end and returns its rows as "number/line: a=… b=…".
func all(text string, o tabular.Options, columns ...string) ([]string, error) {
	r, err := tabular.NewReader(strings.NewReader(text), o)
	if err != nil {
		return nil, err
	}
	var rows []string
	for {
		row, err := r.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		line := fmt.Sprintf("%d/%d:", row.Number, row.Line)
		for _, c := range columns {
			if v, ok := row.Value(c); ok {
				line += " " + c + "=" + v
			}
		}
		rows = append(rows, line)
	}
}

func TestRowsAreNumberedAndKnowTheirLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		o    tabular.Options
		want string
	}{
		"csv":             {"a,b\n1,2\n\n3,\"x\ny\"\n4,5\n", tabular.Options{}, "1/2: a=1 b=2|2/4: a=3 b=x\ny|3/6: a=4 b=5"},
		"CRLF and mark":   {"\xef\xbb\xbfa,b\r\n1,\"say \"\"hi\"\"\"\r\n", tabular.Options{}, `1/2: a=1 b=say "hi"`},
		"semicolons":      {"a;b\n1,5;2\n", tabular.Options{Delimiter: ';'}, "1/2: a=1,5 b=2"},
		"latin1":          {"a\nM\xfcller\n", tabular.Options{Encoding: tabular.Latin1}, "1/2: a=Müller"},
		"windows-1252":    {"a\n\x80 5\n", tabular.Options{Encoding: tabular.Windows1252}, "1/2: a=€ 5"},
		"utf-16 little":   {"\xff\xfea\x00\n\x00\xe9\x00\n\x00", tabular.Options{Encoding: tabular.UTF16}, "1/2: a=é"},
		"utf-16 big":      {"\xfe\xff\x00a\x00\n\x00\xe9\x00\n", tabular.Options{Encoding: tabular.UTF16}, "1/2: a=é"},
		"no last newline": {"a,b\n1,2", tabular.Options{}, "1/2: a=1 b=2"},
		"jsonl": {"{\"a\":1.50,\"b\":null}\n\n{\"a\":\"x\",\"c\":{\"d\":true,\"e\":[1, 2]}}", tabular.Options{Format: tabular.JSONL},
			"1/1: a=1.50|2/3: a=x c.d=true c.e=[1, 2]"},
	} {
		got, err := all(c.text, c.o, "a", "b", "c.d", "c.e")
		if err != nil || strings.Join(got, "|") != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWhatCannotBeReadIsNamedWithItsLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", tabular.MaxRow+8192)
	for name, c := range map[string]struct {
		text string
		o    tabular.Options
		line int
		want string
	}{
		"empty":              {"", tabular.Options{}, 1, "needs a header row"},
		"column twice":       {"a,a\n", tabular.Options{}, 1, `"a" twice`},
		"a field less":       {"a,b\n1,2\n3\n", tabular.Options{}, 3, "fewer fields"},
		"unterminated quote": {"a,b\n1,2\n3,\"x\n4,5\n6,7\n", tabular.Options{}, 3, "not closed"},
		"quote in the line":  {"a,b\n\"x\"y,2\n", tabular.Options{}, 2, "quote"},
		"bare quote":         {"a,b\n1,2\nx\"y,2\n", tabular.Options{}, 3, "stands inside a field"},
		"long row":           {"a,b\n1,2\n3,\"" + long + "\n", tabular.Options{}, 3, "longer than 1 MiB"},
		"latin1 as utf-8":    {"a,b\n1,2\n3,M\xfcller\n", tabular.Options{}, 3, "byte 0xfc\nhint: if the file is in another encoding"},
		"in a broken field":  {"a,b\n1,\"x\ny\xfc\"\n", tabular.Options{}, 3, "byte 0xfc"},
		"replacement":        {"a\nx\ufffd\n", tabular.Options{}, 2, "U+FFFD"},
		"utf-16 as utf-8":    {"\xff\xfea\x00", tabular.Options{}, 1, "encoding: utf-16"},
		"utf-8 as utf-16":    {"a\n", tabular.Options{Encoding: tabular.UTF16}, 1, "byte order mark"},
		"half a surrogate":   {"\xff\xfea\x00\n\x00\x00\xd8\n\x00", tabular.Options{Encoding: tabular.UTF16}, 2, "U+FFFD"},
		"mark in latin1":     {"\xef\xbb\xbfa\n", tabular.Options{Encoding: tabular.Latin1}, 1, "byte order mark"},
		"unknown encoding":   {"a\n", tabular.Options{Encoding: "ebcdic"}, 1, "want utf-8"},
		"no object":          {"{}\n[1]\n", tabular.Options{Format: tabular.JSONL}, 2, "not a JSON object"},
		"no JSON":            {"{}\n{\"a\":}\n", tabular.Options{Format: tabular.JSONL}, 2, "not JSON"},
		"unfinished object":  {"{}\n\n{\"a\":1\n{}", tabular.Options{Format: tabular.JSONL}, 3, "not JSON"},
		"two objects":        {"{} {}\n", tabular.Options{Format: tabular.JSONL}, 1, "one object a line"},
		"member twice":       {"{\"a\":1,\"a\":2}\n", tabular.Options{Format: tabular.JSONL}, 1, "duplicate"},
		"column twice deep":  {"{\"a.b\":1,\"a\":{\"b\":2}}\n", tabular.Options{Format: tabular.JSONL}, 1, "two members a.b"},
		"bytes in JSON":      {"{}\n{\"a\":\"\xfc\"}\n", tabular.Options{Format: tabular.JSONL}, 2, "UTF-8"},
		"nested deeply":      {strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9), tabular.Options{Format: tabular.JSONL}, 1, "nested"},
		"long line":          {"{\"a\":\"" + long + "\"}\n", tabular.Options{Format: tabular.JSONL}, 1, "longer than 1 MiB"},
	} {
		_, err := all(c.text, c.o)
		var at *tabular.LineError
		if !errors.As(err, &at) || at.Line != c.line || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want line %d and %q", name, err, c.line, c.want)
		}
	}
}

func TestMissingColumnsAreNamedWithThoseThatAreThere(t *testing.T) {
	t.Parallel()
	r, err := tabular.NewReader(strings.NewReader("a,b\n1,2\n"), tabular.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Columns([]string{"b", "a"}); err != nil {
		t.Error(err)
	}
	if err := r.Columns([]string{"a", "c", "d"}); err == nil || err.Error() != "line 1: there is no column c, d; the header has a, b" {
		t.Errorf("got %v", err)
	}
}

func TestRejectsCanBeReadAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, want string
		o          tabular.Options
	}{
		{"a;code\n\"1;2\";\"x\ny\"\n", "a;code;line;code_;detail\n\"1;2\";\"x\ny\";2;account_unknown;\"no \"\"such\"\" account\"\n", tabular.Options{Delimiter: ';'}},
		{"{\"a\" : 1.50 }\n", `{"a" : 1.50,"line":1,"code":"account_unknown","detail":"no \"such\" account"}` + "\n", tabular.Options{Format: tabular.JSONL}},
		{"{}", `{"line":1,"code":"account_unknown","detail":"no \"such\" account"}` + "\n", tabular.Options{Format: tabular.JSONL}},
		{`{"line":null}`, `{"line":null,"line_":1,"code":"account_unknown","detail":"no \"such\" account"}` + "\n", tabular.Options{Format: tabular.JSONL}},
	} {
		r, err := tabular.NewReader(strings.NewReader(c.text), c.o)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		rejects, err := tabular.NewRejects(&out, r)
		if err != nil {
			t.Fatal(err)
		}
		row, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		kept := row.Clone()
		if _, err := r.Read(); err != io.EOF {
			t.Fatal(err)
		}
		if err := rejects.Add(&kept, "account_unknown", `no "such" account`); err != nil || out.String() != c.want {
			t.Errorf("%q: %v\n%q\n%q", c.text, err, out.String(), c.want)
		}
		if _, err := all(out.String(), c.o); err != nil {
			t.Errorf("%q: %v", out.String(), err)
		}
	}
}

func FuzzReadersEndAndNumberTheirRows(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "a\n\"x\n", "{\"a\":{\"b\":1}}\n", "\xff\xfea\x00"} {
		f.Add(seed, uint8(0))
		f.Add(seed, uint8(5))
	}
	encodings := []tabular.Encoding{tabular.UTF8, tabular.Latin1, tabular.Windows1252, tabular.UTF16}
	f.Fuzz(func(t *testing.T, text string, how uint8) {
		o := tabular.Options{Format: tabular.CSV, Encoding: encodings[how%4]}
		if how&4 != 0 {
			o.Format = tabular.JSONL
		}
		r, err := tabular.NewReader(strings.NewReader(text), o)
		if err != nil {
			return
		}
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
		for number, line := int64(1), 0; ; number++ {
			row, err := r.Read()
			if err != nil {
				var at *tabular.LineError
				if err != io.EOF && (!errors.As(err, &at) || at.Line < 1 || at.Line > lines) {
					t.Fatalf("%v of %d lines", err, lines)
				}
				return
			}
			if row.Number != number || row.Line <= line {
				t.Fatalf("row %d in line %d after %d", row.Number, row.Line, line)
			}
			line = row.Line
		}
	})
}
