package bankfile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Bounds of a file. They are far above what banks send and far below what hurts.
const (
	// MaxFile is the longest file unless Options say otherwise, in bytes.
	MaxFile = 1 << 30
	// MaxPiece is the longest run of bytes that means one thing: an XML tag or the text before it, a field of
	// MT940, a record of BAI2, a row of CSV.
	MaxPiece = 256 << 10
	// MaxEntry is the most bytes of one line of a statement, of each of its details, and of what stands between.
	MaxEntry = 2 << 20
	// MaxText is the longest text of one field, in bytes.
	MaxText = 16 << 10
	// MaxIdentifier is the longest id of a statement, account number or name of a balance, in bytes; Foot keeps them.
	MaxIdentifier = 256
	// MaxDetails is the most details of one line.
	MaxDetails = 20_000
	// MaxDepth is how deep XML elements may be nested.
	MaxDepth = 64
	// MaxStatements is the most statements of a file.
	MaxStatements = 10_000
	// MaxBalances is the most balances of a statement.
	MaxBalances = 50

	peekSize   = 4 << 10 // what detection looks at
	shownValue = 60      // bytes of a value that an error shows
)

// Position is a place in a file: the line, of which the first is 1, and the bytes before it. XML errors give
// the end of what is wrong, all others its line.
type Position struct {
	Line   int
	Offset int64
}

// String returns "line 21, byte 533".
func (p Position) String() string { return fmt.Sprintf("line %d, byte %d", p.Line, p.Offset) }

// Fault is something in a file that cannot be read, and where. It is about the file, not about reading it:
// an error of the source or of the receiver is never a Fault.
type Fault struct {
	Format   Format // empty when it was not recognised
	Position Position
	Where    string // such as "Stmt 1 Ntry 3 Amt" or ":61:"
	Value    string // what stands there, shortened
	Problem  string
}

// Error returns the place, the value and what is wrong with it.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString("reading bank file")
	if f.Format != "" {
		b.WriteString(" (" + string(f.Format) + ")")
	}
	b.WriteString(" at " + f.Position.String() + ": ")
	if f.Where != "" {
		b.WriteString(f.Where + ": ")
	}
	if f.Value != "" {
		b.WriteString(strconv.Quote(f.Value) + ": ")
	}
	return b.String() + f.Problem
}

func shorten(s string) string {
	if len(s) <= shownValue {
		return s
	}
	return strings.ToValidUTF8(s[:shownValue], "") + "…"
}

var (
	errPiece = errors.New("more than " + strconv.Itoa(MaxPiece) + " bytes that mean one thing, or nothing: white space, a text, a tag or a record without end")
	errEntry = errors.New("more than " + strconv.Itoa(MaxEntry) + " bytes without a new statement, balance, line or detail")
)

// source is the file: it counts bytes and lines, hashes all of it, and ends what has no end.
type source struct {
	buffered *bufio.Reader
	hash     hash.Hash
	offset   int64
	line     int
	limit    int64
	piece    int64 // offset at which the current piece began
	entry    int64
	failed   error // of the source itself
	ended    bool
	lineBuf  []byte
}

func newSource(r io.Reader, limit int64) *source {
	s := &source{hash: sha256.New(), line: 1, limit: limit}
	s.buffered = bufio.NewReaderSize(io.TeeReader(r, s.hash), 64<<10)
	return s
}

func (s *source) position() Position { return Position{s.line, s.offset} }

// mark begins a new piece, markEntry a new entry.
func (s *source) mark()      { s.piece = s.offset }
func (s *source) markEntry() { s.piece, s.entry = s.offset, s.offset }

// ReadByte returns the next byte. It makes source an io.ByteReader, from which encoding/xml reads no byte
// ahead of the token it returns.
func (s *source) ReadByte() (byte, error) {
	if s.offset-s.piece >= MaxPiece {
		return 0, errPiece
	}
	if s.offset-s.entry >= MaxEntry {
		return 0, errEntry
	}
	if s.offset >= s.limit {
		return 0, fmt.Errorf("longer than %d bytes", s.limit)
	}
	c, err := s.buffered.ReadByte()
	if err != nil {
		s.end(err)
		return 0, err
	}
	s.offset++
	if c == '\n' {
		s.line++
	}
	return c, nil
}

func (s *source) end(err error) {
	if errors.Is(err, io.EOF) {
		s.ended = true
	} else {
		s.failed = err
	}
}

// Read fills p from the next bytes.
func (s *source) Read(p []byte) (int, error) {
	for i := range p {
		c, err := s.ReadByte()
		if err != nil {
			if i > 0 {
				return i, nil
			}
			return 0, err
		}
		p[i] = c
		if c == '\n' {
			return i + 1, nil // a row at a time, so that a position is that of its row
		}
	}
	return len(p), nil
}

// textLine returns the next line without its end, \n or \r\n, and where it begins. The bytes are good until
// the next call. At the end of the file it returns io.EOF.
func (s *source) textLine() ([]byte, Position, error) {
	at := s.position()
	s.lineBuf = s.lineBuf[:0]
	for {
		c, err := s.ReadByte()
		if errors.Is(err, io.EOF) && len(s.lineBuf) > 0 {
			return bytes.TrimSuffix(s.lineBuf, []byte("\r")), at, nil
		}
		if err != nil {
			return nil, at, err
		}
		if c == '\n' {
			return bytes.TrimSuffix(s.lineBuf, []byte("\r")), at, nil
		}
		s.lineBuf = append(s.lineBuf, c)
	}
}

// text reads bytes of a format that does not name its encoding: UTF-8 when they are that, otherwise
// Windows-1252, of which ISO 8859-1 is the part that banks use.
func text(b []byte) string {
	if utf8.Valid(b) {
		return clean(string(b))
	}
	return clean(text1252(string(b)))
}

// text1252 reads a string as Windows-1252.
func text1252(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(charmap.Windows1252.DecodeByte(s[i]))
	}
	return b.String()
}

// clean replaces control characters, which no database column or terminal should get, by spaces.
func clean(s string) string {
	if strings.IndexFunc(s, unicode.IsControl) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return ' '
		}
		return r
	}, s)
}

// squeeze returns the words of a text with single spaces.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
