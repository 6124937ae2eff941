package bundle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A member with leaves is a list: for each leaf its length as u16, and that
// many bytes, as C2SP tlog-tiles has it in its bundles of 256 entries.
const lengthSize = 2

// chunkSize is how much of a member a worker reads at once, more than a leaf has.
const chunkSize = 1 << 20

// errLeaves: a member is not a list of leaves.
var errLeaves = errors.New("not a list of leaves")

// leafReader reads the leaves of a member.
type leafReader struct {
	r          io.Reader
	buf        []byte
	begin, end int
	done       bool
}

func newLeafReader(r io.Reader) *leafReader {
	return &leafReader{r: r, buf: make([]byte, chunkSize)}
}

// reset begins with another member, in the same memory.
func (l *leafReader) reset(r io.Reader) { *l = leafReader{r: r, buf: l.buf} }

// next returns the next leaf with the byte 0x00 of RFC 6962 before it, so that
// its hash is the SHA-256 of what is returned. It is valid until the next call.
// The error is io.EOF after the last leaf.
func (l *leafReader) next() ([]byte, error) {
	if l.end-l.begin < lengthSize {
		if err := l.fill(lengthSize); err != nil {
			return nil, err
		}
	}
	n := int(binary.BigEndian.Uint16(l.buf[l.begin:]))
	if l.end-l.begin < lengthSize+n {
		if err := l.fill(lengthSize + n); err != nil {
			if err == io.EOF {
				err = fmt.Errorf("a leaf that is cut short: %w", errLeaves)
			}
			return nil, err
		}
	}
	// The last byte of the length has been read: it makes room for the prefix.
	leaf := l.buf[l.begin+lengthSize-1 : l.begin+lengthSize+n]
	leaf[0] = 0x00
	l.begin += lengthSize + n
	return leaf, nil
}

// fill makes sure that at least n bytes are in memory.
func (l *leafReader) fill(n int) error {
	l.end = copy(l.buf, l.buf[l.begin:l.end])
	l.begin = 0
	for l.end < n && !l.done {
		read, err := l.r.Read(l.buf[l.end:])
		l.end += read
		if err == io.EOF {
			l.done = true
		} else if err != nil {
			return fmt.Errorf("reading leaves: %w", err)
		}
	}
	switch {
	case l.end >= n:
		return nil
	case l.end == 0:
		return io.EOF
	}
	return fmt.Errorf("%d bytes too many, or too few: %w", l.end, errLeaves)
}
