package tabular

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// rejectColumns are what a file of rejects has beside the columns of the file
// that its rows come from.
var rejectColumns = []string{"line", "code", "detail"}

// Rejects writes rows that were refused, in the format of the file they come
// from, in UTF-8, so that it can be corrected and read in turn.
type Rejects struct {
	out  io.Writer
	rows *csv.Writer // nil for JSONL
}

// NewRejects begins a file of rejects for the rows of r.
func NewRejects(out io.Writer, r *Reader) (*Rejects, error) {
	w := &Rejects{out: out}
	if r.options.Format == JSONL {
		return w, nil
	}
	header := slices.Clone(r.header)
	for _, name := range rejectColumns {
		for slices.Contains(header, name) {
			name += "_"
		}
		header = append(header, name)
	}
	w.rows = csv.NewWriter(out)
	w.rows.Comma = r.options.Delimiter
	return w, w.writeCSV(header)
}

// Add writes a row and why it was refused.
func (w *Rejects) Add(row *Row, code, detail string) error {
	if w.rows != nil {
		return w.writeCSV(append(slices.Clone(row.fields), strconv.Itoa(row.Line), code, detail))
	}
	line, err := w.extend(row, strconv.Itoa(row.Line), code, detail)
	if err == nil {
		_, err = w.out.Write(line)
	}
	if err != nil {
		return fmt.Errorf("writing line %d to the rejects: %w", row.Line, err)
	}
	return nil
}

// extend returns the object of a row with the columns of rejects added, under
// names that it does not have itself.
func (w *Rejects) extend(row *Row, values ...string) ([]byte, error) {
	var own map[string]json.RawMessage
	if err := json.Unmarshal(row.raw, &own); err != nil {
		return nil, err
	}
	text := bytes.TrimSpace(row.raw)
	line := bytes.Clone(bytes.TrimRight(text[:len(text)-1], " \t"))
	for i, name := range rejectColumns {
		for {
			if _, taken := own[name]; !taken {
				break
			}
			name += "_"
		}
		if i > 0 || len(own) > 0 {
			line = append(line, ',')
		}
		quoted, err := jsontext.AppendQuote(nil, name)
		if err != nil {
			return nil, err
		}
		line = append(append(line, quoted...), ':')
		if i == 0 { // the line is a number
			line = append(line, values[i]...)
			continue
		}
		if quoted, err = jsontext.AppendQuote(nil, values[i]); err != nil {
			return nil, err
		}
		line = append(line, quoted...)
	}
	return append(line, "}\n"...), nil
}

func (w *Rejects) writeCSV(fields []string) error {
	if err := w.rows.Write(fields); err != nil {
		return fmt.Errorf("writing to the rejects: %w", err)
	}
	w.rows.Flush()
	if err := w.rows.Error(); err != nil {
		return fmt.Errorf("writing to the rejects: %w", err)
	}
	return nil
}
