package entryfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
)

// Format is how a file is written.
type Format string

// The formats.
const (
	JSONL   Format = "jsonl"
	CSV     Format = "csv"
	Hledger Format = "hledger"
)

// Ledger is what a file says of the ledger it comes from.
type Ledger struct {
	Name, ID, Origin string
}

// ErrBroken says that the entries given do not follow one another.
var ErrBroken = errors.New("the entries are no chain")

// Writer writes one file.
type Writer struct {
	out         io.Writer
	format      Format
	rows        *csv.Writer
	next        int64
	prev        string // hash of the entry before next
	commodities map[string]bool
	declared    declared
	shared      Types
	line        bytes.Buffer
}

// NewWriter begins a file, or goes on with one at a position that Resume
// returned. A journal needs to know all accounts that the ledger has; other
// formats do not look at them.
func NewWriter(out io.Writer, format Format, l Ledger, at Position, accounts Types) (*Writer, error) {
	w := &Writer{out: out, format: format, next: at.Next, prev: at.Hash, commodities: map[string]bool{}, declared: newDeclared(), shared: accounts}
	for _, c := range at.Commodities {
		w.commodities[c] = true
	}
	if at.declared.types != nil {
		w.declared = at.declared
	}
	switch format {
	case JSONL:
	case CSV:
		w.rows = csv.NewWriter(out)
	case Hledger:
	default:
		return nil, fmt.Errorf("writing entries in format %q: want csv, jsonl or hledger", format)
	}
	if at.Offset > 0 {
		return w, nil
	}
	if _, err := io.WriteString(out, head(format, l)); err != nil {
		return nil, fmt.Errorf("writing the head of the file: %w", err)
	}
	return w, nil
}

// Write writes the next entry.
func (w *Writer) Write(raw []byte) error {
	e, err := parse(raw)
	if err != nil {
		return err
	}
	if e.Seq != w.next || w.next > 0 && e.PrevHash != w.prev {
		return fmt.Errorf("writing entry %d: %w: the server sent entry %d, with %s before it instead of %s", w.next, ErrBroken, e.Seq, e.PrevHash, w.prev)
	}
	switch w.format {
	case JSONL:
		err = w.writeJSON(raw)
	case CSV:
		err = w.writeCSV(e)
	case Hledger:
		err = w.writeJournal(e)
	}
	if err != nil {
		return fmt.Errorf("writing entry %d: %w", e.Seq, err)
	}
	w.next, w.prev = e.Seq+1, e.Hash
	return nil
}

func (w *Writer) writeJSON(raw []byte) error {
	if bytes.IndexByte(raw, '\n') >= 0 {
		return errors.New("the server sent it on several lines")
	}
	w.line.Reset()
	w.line.Write(raw)
	w.line.WriteByte('\n')
	_, err := w.out.Write(w.line.Bytes())
	return err
}

// head returns what a file begins with.
func head(format Format, l Ledger) string {
	switch format {
	case CSV:
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		_ = w.Write(csvColumns) // into memory
		w.Flush()
		return b.String()
	case Hledger:
		return "; tallystick journal of ledger " + l.Name + "\n; id " + l.ID + "\n; origin " + l.Origin + "\ndecimal-mark .\n\n"
	default:
		return ""
	}
}
