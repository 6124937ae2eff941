package tabular

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a file.
const (
	// MaxRow is the longest row, in bytes of UTF-8, so that a quote that is
	// never closed does not read the rest of the file into memory.
	MaxRow = 1 << 20
	// MaxColumns bounds the columns of a file.
	MaxColumns = 1000
)

// Format is how rows are written.
type Format string

// The formats.
const (
	CSV   Format = "csv"
	JSONL Format = "jsonl"
)

// Options say how a file is written. The zero value is CSV in UTF-8 with commas.
type Options struct {
	Format    Format
	Delimiter rune     // of CSV; ',' when zero
	Encoding  Encoding // UTF-8 when empty
}

// LineError is what is wrong in a line of a file.
type LineError struct {
	Line int // the first is 1
	Err  error
}

// Error returns the line and what is wrong.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong.
func (e *LineError) Unwrap() error { return e.Err }

// Row is one row. It is valid until the next one is read; Clone keeps it.
type Row struct {
	Number int64 // 1 for the first after the header
	Line   int   // where it begins

	columns map[string]int // CSV: places in fields
	fields  []string
	members map[string]string // JSONL
	raw     []byte            // JSONL: the line
}

// Value returns the text in a column. A member that a row of JSONL does not
// have, or that is null, is not there.
func (r *Row) Value(column string) (string, bool) {
	if r.members != nil {
		v, ok := r.members[column]
		return v, ok
	}
	i, ok := r.columns[column]
	if !ok {
		return "", false
	}
	return r.fields[i], true
}

// Clone returns a copy that stays valid.
func (r *Row) Clone() Row {
	c := *r
	c.fields = append([]string(nil), r.fields...)
	c.raw = bytes.Clone(r.raw)
	return c
}

// Reader reads the rows of one file.
type Reader struct {
	options Options
	header  []string
	columns map[string]int
	next    func(*Row) error
	row     Row
}

// NewReader begins to read; of CSV, it reads the header row.
func NewReader(in io.Reader, o Options) (*Reader, error) {
	if o.Delimiter == 0 {
		o.Delimiter = ','
	}
	decoded, err := decode(in, o.Encoding)
	if err != nil {
		return nil, &LineError{1, err}
	}
	r := &Reader{options: o}
	switch o.Format {
	case JSONL:
		lines := &jsonLines{in: bufio.NewReaderSize(decoded, 64<<10)}
		r.next = lines.read
		return r, nil
	case CSV, "":
		return r, r.openCSV(decoded)
	default:
		return nil, fmt.Errorf("reading rows in format %q: want csv or jsonl", o.Format)
	}
}

// Header returns the columns of a CSV file in their order, and nothing of JSONL.
func (r *Reader) Header() []string { return r.header }

// Options returns how the file is read.
func (r *Reader) Options() Options { return r.options }

// Read returns the next row, io.EOF after the last, or a *LineError.
func (r *Reader) Read() (*Row, error) {
	number := r.row.Number + 1
	if err := r.next(&r.row); err != nil {
		return nil, err
	}
	r.row.Number = number
	return &r.row, nil
}

// Columns checks that the file has the columns named. Of JSONL, whose rows have
// members of their own each, nothing is known yet.
func (r *Reader) Columns(names []string) error {
	if r.columns == nil {
		return nil
	}
	var missing []string
	for _, name := range names {
		if _, ok := r.columns[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return &LineError{1, fmt.Errorf("there is no column %s; the header has %s", strings.Join(missing, ", "), strings.Join(r.header, ", "))}
	}
	return nil
}

var errRowTooLong = errors.New("the row is longer than 1 MiB: is a quote not closed?")
