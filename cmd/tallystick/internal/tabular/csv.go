package tabular

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// allowance passes on bytes as long as it lasts: what one row may take.
type allowance struct {
	in   io.Reader
	left int
}

func (a *allowance) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, errRowTooLong
	}
	n, err := a.in.Read(p[:min(len(p), a.left)])
	a.left -= n
	return n, err
}

// csvRows reads RFC 4180.
type csvRows struct {
	rows     *csv.Reader
	budget   *allowance
	encoding Encoding
	end      int // line in which the last record ended
}

// openCSV reads the header.
func (r *Reader) openCSV(in io.Reader) error {
	c := &csvRows{budget: &allowance{in: in}, encoding: r.options.Encoding}
	c.rows = csv.NewReader(c.budget)
	c.rows.Comma = r.options.Delimiter
	c.rows.ReuseRecord = true
	header, line, err := c.record()
	if err == io.EOF {
		return &LineError{1, errors.New("the file is empty: it needs a header row that names the columns")}
	}
	if err != nil {
		return err
	}
	if len(header) > MaxColumns {
		return &LineError{line, fmt.Errorf("the header has %d columns, %d are allowed", len(header), MaxColumns)}
	}
	r.columns = make(map[string]int, len(header))
	for i, name := range header {
		name = strings.TrimSpace(name)
		if _, twice := r.columns[name]; twice {
			return &LineError{line, fmt.Errorf("the header names column %q twice", name)}
		}
		r.columns[name] = i
		r.header = append(r.header, name)
	}
	r.next = func(row *Row) error {
		fields, line, err := c.record()
		if err == nil {
			*row = Row{Number: row.Number, Line: line, columns: r.columns, fields: fields}
		}
		return err
	}
	return nil
}

// record reads one record and the line it begins in.
func (c *csvRows) record() ([]string, int, error) {
	c.budget.left = MaxRow
	fields, err := c.rows.Read()
	if err != nil {
		return nil, 0, c.explain(err)
	}
	line, _ := c.rows.FieldPos(0)
	last, _ := c.rows.FieldPos(len(fields) - 1)
	c.end = last + strings.Count(fields[len(fields)-1], "\n")
	for i, field := range fields {
		if at, bad := badRune(field); bad {
			line, _ := c.rows.FieldPos(i)
			line += strings.Count(field[:at], "\n")
			return nil, 0, &LineError{line, fmt.Errorf("field %d is not %s: %w", i+1, c.encoding, undecodable(field[at:]))}
		}
	}
	return fields, line, nil
}

// explain puts an error of the CSV reader in the words of this package.
func (c *csvRows) explain(err error) error {
	if err == io.EOF {
		return err
	}
	if syntax, ok := errors.AsType[*csv.ParseError](err); ok {
		switch {
		case errors.Is(syntax.Err, csv.ErrFieldCount):
			return &LineError{syntax.StartLine, errors.New("the row has more or fewer fields than the header has columns")}
		case errors.Is(syntax.Err, csv.ErrQuote) && syntax.Line > syntax.StartLine:
			return &LineError{syntax.StartLine, fmt.Errorf("a quote that opens in this row is not closed as it should be, seen in line %d: "+
				"a field in quotes ends with a quote before the delimiter, and a quote inside it is written twice", syntax.Line)}
		case errors.Is(syntax.Err, csv.ErrQuote):
			return &LineError{syntax.Line, errors.New("a quote is not closed, or text follows it: a field in quotes ends with a quote " +
				"before the delimiter, and a quote inside it is written twice")}
		case errors.Is(syntax.Err, csv.ErrBareQuote):
			return &LineError{syntax.Line, errors.New("a quote stands inside a field that does not begin with one: " +
				"put the field in quotes and write the quote twice")}
		}
		return &LineError{syntax.Line, syntax.Err}
	}
	return &LineError{c.end + 1, err}
}

// badRune finds the first byte that is no UTF-8, or the mark that a decoder
// leaves where it did not understand its input.
func badRune(s string) (int, bool) {
	if utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError) {
		return 0, false
	}
	for i, r := range s {
		if r == utf8.RuneError {
			return i, true
		}
	}
	return 0, false
}
