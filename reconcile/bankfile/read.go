package bankfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"tallystick/ledger/money"
)

// Options say how to read. The zero value reads every format but CSV.
type Options struct {
	// Columns describe a CSV file; without them a file that is none of the other formats is not read.
	Columns *Columns
	// Currency returns the decimals of a currency that ISO 4217 does not list. Where it is nil or does not
	// know the code, there are two, and the statement has a note of it.
	Currency func(code string) (money.Currency, bool)
	// MaxBytes is the longest file; MaxFile when zero.
	MaxBytes int64
}

// Receiver is given what is read, in the order of the file; a nil function is passed over. What a Receiver
// is given before Read returns nil is not yet worth anything: a file is taken whole or not at all, so its
// functions write inside a transaction, or a first pass by Foot has accepted the same bytes.
type Receiver struct {
	Open  func(*Statement) error
	Line  func(*Statement, *Line) error
	Close func(*Statement) error
}

// File is what the file says of itself.
type File struct {
	Format     Format
	Version    string // such as camt.053.001.08; empty when not stated
	Message    string // id of the message or file
	Bytes      int64
	Digest     Digest // SHA-256 of all bytes; zero unless the file was read to its end
	Statements int
	Lines      int
	Controls   []Control // of groups and of the whole file
}

// Read reads a file of any format, whose lines it hands to the receiver one at a time: its memory does not
// grow with the file. The error is a *Fault when the file is at fault, and otherwise that of the source or
// the receiver.
func Read(src io.Reader, o Options, to Receiver) (File, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = MaxFile
	}
	s := newSource(src, o.MaxBytes)
	in := &intake{source: s, options: o, to: to}
	err := in.read()
	if err == nil {
		err = in.drain()
	}
	in.file.Bytes = s.offset
	switch {
	case err == nil:
		s.hash.Sum(in.file.Digest[:0])
		return in.file, nil
	case s.failed != nil:
		return in.file, fmt.Errorf("reading bank file at %s: %w", s.position(), s.failed)
	case in.refused != nil:
		return in.file, in.refused
	}
	var fault *Fault
	if errors.As(err, &fault) {
		return in.file, err
	}
	return in.file, in.fault(s.position(), "", "", err.Error())
}

// Detect returns the format of a file that begins with these bytes, and false when it is none that is known
// by its beginning. All XML is camt.053 until its elements say what it is.
func Detect(head []byte) (Format, bool) {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("<")):
		return Camt053, true
	case bytes.HasPrefix(head, []byte("01,")):
		return BAI2, true
	case bytes.HasPrefix(head, []byte("{1:")), bytes.HasPrefix(head, []byte(":20:")), bytes.Contains(head, []byte("\n:20:")):
		return MT940, true
	}
	return "", false
}

// intake is the way from the file to the receiver, common to all formats.
type intake struct {
	source  *source
	options Options
	to      Receiver
	file    File
	open    *Statement
	told    bool // the receiver knows the open statement
	content *contentHash
	refused error // of the receiver
}

func (in *intake) read() error {
	head, err := in.source.buffered.Peek(peekSize)
	if err != nil && !errors.Is(err, io.EOF) {
		in.source.failed = err
		return err
	}
	if bytes.HasPrefix(head, []byte("\xfe\xff")) || bytes.HasPrefix(head, []byte("\xff\xfe")) {
		return in.fault(in.source.position(), "", "", "the file is UTF-16: convert it to UTF-8")
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		for range 3 {
			if _, err := in.source.ReadByte(); err != nil {
				return err
			}
		}
	}
	format, known := Detect(head)
	switch {
	case len(bytes.TrimSpace(head)) == 0 && len(head) < peekSize:
		return in.fault(in.source.position(), "", "", "the file is empty")
	case !known && in.options.Columns != nil:
		format = CSV
	case !known:
		return in.fault(in.source.position(), "", shorten(text(head)), "neither camt.053, camt.054, MT940 nor BAI2; a CSV file needs its columns described")
	}
	in.file.Format = format
	switch format {
	case BAI2:
		return readBAI2(in)
	case MT940:
		return readMT940(in)
	case CSV:
		return readCSV(in)
	default:
		return readCamt(in)
	}
}

// drain reads what is left, which must be nothing, so that the digest covers all bytes.
func (in *intake) drain() error {
	if in.open != nil {
		return in.fault(in.source.position(), "", "", "the file ends inside a statement")
	}
	if in.file.Statements == 0 {
		return in.fault(in.source.position(), "", "", "the file holds no statement")
	}
	in.source.markEntry()
	for {
		c, err := in.source.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != 0x1a { // the last is the end of file of CP/M, which some banks still send
			return in.fault(in.source.position(), "", string(rune(c)), "something follows the end of the file's content")
		}
	}
}

func (in *intake) fault(at Position, where, value, problem string) *Fault {
	return &Fault{Format: in.file.Format, Position: at, Where: where, Value: shorten(value), Problem: problem}
}

// begin opens a statement, which the receiver hears of before its first line.
func (in *intake) begin() (*Statement, error) {
	at := in.source.position()
	if in.file.Statements >= MaxStatements {
		return nil, in.fault(at, "", "", fmt.Sprintf("more than %d statements", MaxStatements))
	}
	in.open = &Statement{Format: in.file.Format, Index: in.file.Statements, Position: at}
	in.told, in.content = false, newContentHash()
	in.file.Statements++
	in.source.markEntry()
	return in.open, nil
}

func (in *intake) tell() error {
	if in.told {
		return nil
	}
	in.told = true
	if err := in.identified(); err != nil {
		return err
	}
	in.open.settle()
	if in.to.Open != nil {
		in.refused = in.to.Open(in.open)
	}
	return in.refused
}

// identified bounds what identifies the statement, which Foot keeps for each.
func (in *intake) identified() error {
	s := in.open
	for _, id := range []string{s.ID, s.Account.IBAN, s.Account.Other} {
		if len(id) > MaxIdentifier {
			return in.fault(s.Position, fmt.Sprintf("statement %d", s.Index+1), id, fmt.Sprintf("an id or account longer than %d bytes", MaxIdentifier))
		}
	}
	return nil
}

// line hands a line over.
func (in *intake) line(l *Line) error {
	if err := in.tell(); err != nil {
		return err
	}
	l.Index = in.open.Lines
	in.open.Lines++
	in.file.Lines++
	in.content.line(l)
	in.source.markEntry()
	if in.to.Line != nil {
		in.refused = in.to.Line(in.open, l)
	}
	return in.refused
}

// end closes the statement.
func (in *intake) end() error {
	if err := in.tell(); err != nil {
		return err
	}
	if err := in.identified(); err != nil {
		return err
	}
	in.open.settle()
	in.open.Digest = in.content.statement(in.open)
	if in.to.Close != nil {
		in.refused = in.to.Close(in.open)
	}
	in.open = nil
	in.source.markEntry()
	return in.refused
}

// balance adds a balance to the open statement.
func (in *intake) balance(b Balance) error {
	if len(b.Kind) > MaxIdentifier {
		return in.fault(b.Position, "", string(b.Kind), fmt.Sprintf("a balance's name longer than %d bytes", MaxIdentifier))
	}
	if len(in.open.Balances) >= MaxBalances {
		return in.fault(b.Position, "", "", fmt.Sprintf("more than %d balances in a statement", MaxBalances))
	}
	in.open.Balances = append(in.open.Balances, b)
	return nil
}

// currency returns a currency with its decimals.
func (in *intake) currency(at Position, where, code string) (money.Currency, error) {
	if !money.ValidCurrencyCode(code) {
		return money.Currency{}, in.fault(at, where, code, "not a currency code")
	}
	if c, ok := money.ISO(code); ok {
		return c, nil
	}
	if in.options.Currency != nil {
		if c, ok := in.options.Currency(code); ok {
			return c, nil
		}
	}
	if in.open != nil && in.open.Lines == 0 && len(in.open.Balances) == 0 {
		in.open.note("currency " + code + " is not listed: two decimals assumed")
	}
	return money.Currency{Code: code, Scale: unlistedScale}, nil
}

// unlistedScale is the decimals of a currency nobody knows. Those that ISO 4217 has withdrawn for the euro
// had two, but for a few that had none.
const unlistedScale = 2
