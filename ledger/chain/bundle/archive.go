package bundle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxDirectory is the most bytes of a ZIP's directory: enough for MaxMembers.
const MaxDirectory = 16 << 20

// Sizes and signatures of ZIP's records (APPNOTE.TXT 6.3.10).
const (
	localHeader    = 30
	directoryEntry = 46
	endRecord      = 22
	locator64      = 20
	endRecord64    = 56
	descriptor     = 16 // sizes behind the data
	descriptor64   = 24

	localSignature      = 0x04034b50
	entrySignature      = 0x02014b50
	endSignature        = 0x06054b50
	locatorSignature    = 0x07064b50
	end64Signature      = 0x06064b50
	descriptorSignature = 0x08074b50

	in64        = 0xffffffff // the value stands in the 64-bit record
	membersIn64 = 0xffff
	extra64     = 0x0001 // the extra field with 64-bit values
	stored      = 0      // the method

	sizesBehind = 0x0008 // the flag of a member whose sizes stand behind its data
	namesUTF8   = 0x0800
)

// archive is a bundle that was opened: where its members lie.
type archive struct {
	r       io.ReaderAt
	size    int64
	members map[string]span
}

type span struct{ offset, size int64 }

// openArchive reads the directory of a bundle. What it accepts has one reading:
// members that are stored, one behind the other from the first byte of the file
// on, under different valid names; then one directory of bounded size that says
// nothing else than their local headers, in the same order; then its end.
// Package zip reads more than that, and some of it otherwise than other readers
// do. The error wraps ErrNotBundle and says what is wrong.
func openArchive(r io.ReaderAt, size int64) (*archive, error) {
	a := &archive{r: r, size: size, members: make(map[string]span)}
	d, err := a.findDirectory()
	if err == nil {
		err = a.readDirectory(d)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the file as a ZIP: %w: %w", err, ErrNotBundle)
	}
	if _, ok := a.members[manifestPath]; !ok {
		return nil, fmt.Errorf("opening a ZIP without a %s: %w", manifestPath, ErrNotBundle)
	}
	return a, nil
}

// at reads n bytes of the file.
func (a *archive) at(offset uint64, n int) ([]byte, error) {
	if offset > uint64(a.size) || uint64(n) > uint64(a.size)-offset {
		return nil, fmt.Errorf("it is cut short at byte %d", offset)
	}
	b := make([]byte, n)
	if got, err := a.r.ReadAt(b, int64(offset)); got < n {
		return nil, fmt.Errorf("reading it at byte %d: %w", offset, err)
	}
	return b, nil
}

// directory is what the end record of a ZIP says.
type directory struct{ count, length, offset uint64 }

// findDirectory reads the end record. The directory ends where it begins.
func (a *archive) findDirectory() (directory, error) {
	if a.size < endRecord {
		return directory{}, fmt.Errorf("it has %d bytes", a.size)
	}
	limit := uint64(a.size - endRecord)
	end, err := a.at(limit, endRecord)
	if err != nil {
		return directory{}, err
	}
	le := binary.LittleEndian
	if le.Uint32(end) != endSignature || le.Uint16(end[20:]) != 0 {
		return directory{}, errors.New("no directory at its end: it is no ZIP, was cut short, or something was appended")
	}
	d := directory{uint64(le.Uint16(end[10:])), uint64(le.Uint32(end[12:])), uint64(le.Uint32(end[16:]))}
	if d.count == membersIn64 || d.length == in64 || d.offset == in64 {
		if d, limit, err = a.findDirectory64(d, limit); err != nil {
			return directory{}, err
		}
	}
	switch {
	case le.Uint32(end[4:]) != 0 || le.Uint16(end[8:]) != le.Uint16(end[10:]):
		return directory{}, errors.New("its directory is said to go on in other files")
	case d.length > MaxDirectory || d.count > MaxMembers+1:
		return directory{}, fmt.Errorf("a directory of %d bytes for %d files; at most %d for %d", d.length, d.count, MaxDirectory, MaxMembers)
	case d.offset > limit || limit-d.offset != d.length:
		return directory{}, errors.New("its directory is not where it says")
	}
	return d, nil
}

// findDirectory64 reads the 64-bit end record, which stands before end with its
// locator. What the end record says itself must be the same.
func (a *archive) findDirectory64(said directory, end uint64) (d directory, limit uint64, err error) {
	if end < endRecord64+locator64 {
		return d, 0, errors.New("no room for a 64-bit directory")
	}
	limit = end - endRecord64 - locator64
	b, err := a.at(limit, endRecord64+locator64)
	if err != nil {
		return d, 0, err
	}
	le := binary.LittleEndian
	locator := b[endRecord64:]
	if le.Uint32(b) != end64Signature || le.Uint64(b[4:]) != endRecord64-12 ||
		le.Uint32(locator) != locatorSignature || le.Uint64(locator[8:]) != limit {
		return d, 0, errors.New("its 64-bit directory is not where it says")
	}
	d = directory{le.Uint64(b[32:]), le.Uint64(b[40:]), le.Uint64(b[48:])}
	switch {
	case le.Uint64(b[16:]) != 0 || le.Uint64(b[24:]) != d.count || le.Uint32(locator[4:]) != 0 || le.Uint32(locator[16:]) != 1:
		return d, 0, errors.New("its 64-bit directory is said to go on in other files")
	case said.count != membersIn64 && said.count != d.count, said.length != in64 && said.length != d.length, said.offset != in64 && said.offset != d.offset:
		return d, 0, errors.New("its 64-bit end record says something else than the other")
	}
	return d, limit, nil
}

// member is one as the directory has it.
type member struct {
	name         string
	flags        uint16
	offset, size uint64
}

// readDirectory reads all entries of the directory, and nothing behind them.
func (a *archive) readDirectory(d directory) error {
	b, err := a.at(d.offset, int(d.length))
	if err != nil {
		return err
	}
	at := uint64(0)
	for range d.count {
		m, rest, err := nextEntry(b)
		if err == nil {
			at, err = a.add(m, at, d.offset)
		}
		if err != nil {
			return fmt.Errorf("its member %.128q: %w", m.name, err)
		}
		b = rest
	}
	switch {
	case len(b) > 0:
		return errors.New("its directory is longer than its files")
	case at != d.offset:
		return fmt.Errorf("%d bytes before its directory belong to no member", d.offset-at)
	}
	return nil
}

// nextEntry takes an entry off the front of a directory.
func nextEntry(b []byte) (m member, rest []byte, err error) {
	le := binary.LittleEndian
	if len(b) < directoryEntry || le.Uint32(b) != entrySignature {
		return m, nil, errors.New("the directory is cut short or damaged")
	}
	head, b := b[:directoryEntry], b[directoryEntry:]
	name, extra := int(le.Uint16(head[28:])), int(le.Uint16(head[30:]))
	if len(b) < name+extra {
		return m, nil, errors.New("the directory is cut short or damaged")
	}
	m.name, m.flags = string(b[:name]), le.Uint16(head[8:])
	size, packed, offset, err := wide(b[name:name+extra], le.Uint32(head[24:]), le.Uint32(head[20:]), le.Uint32(head[42:]))
	switch {
	case err != nil:
		return m, nil, err
	case le.Uint16(head[10:]) != stored || packed != size:
		return m, nil, fmt.Errorf("it is compressed (method %d, %d bytes said to be %d); a bundle's are stored", le.Uint16(head[10:]), packed, size)
	case m.flags&^(sizesBehind|namesUTF8) != 0:
		return m, nil, fmt.Errorf("it is encrypted, or of a kind that a bundle does not have (flags %#x)", m.flags)
	case le.Uint16(head[32:]) != 0:
		return m, nil, errors.New("it has a comment")
	}
	m.size, m.offset = size, offset
	return m, b[name+extra:], nil
}

// wide returns the 64-bit values of an entry. Its extra field has those of them
// that are in64, in this order; the offset may stand there though it is not.
func wide(extra []byte, size32, packed32, offset32 uint32) (size, packed, offset uint64, err error) {
	values := [...]uint64{uint64(size32), uint64(packed32), uint64(offset32)}
	if len(extra) > 0 {
		if len(extra) < 4 || binary.LittleEndian.Uint16(extra) != extra64 || int(binary.LittleEndian.Uint16(extra[2:])) != len(extra)-4 {
			return 0, 0, 0, errors.New("it has an extra field that is not the one of 64-bit sizes")
		}
		extra = extra[4:]
	}
	for i := range values {
		if values[i] != in64 {
			continue
		}
		if len(extra) < 8 {
			return 0, 0, 0, errors.New("its 64-bit sizes are not there")
		}
		values[i], extra = binary.LittleEndian.Uint64(extra), extra[8:]
	}
	if len(extra) > 0 && (len(extra) != 8 || offset32 == in64 || binary.LittleEndian.Uint64(extra) != values[2]) {
		return 0, 0, 0, errors.New("its 64-bit sizes are not the ones it needs")
	}
	return values[0], values[1], values[2], nil
}

// add takes a member, which must begin at byte at and end before the directory,
// and returns where it ends.
func (a *archive) add(m member, at, limit uint64) (end uint64, err error) {
	_, twice := a.members[m.name]
	begin := at + localHeader + uint64(len(m.name))
	switch {
	case twice:
		return 0, errors.New("the name stands twice")
	case !validPath(m.name):
		return 0, errors.New("the name is none that a bundle has")
	case m.offset != at:
		return 0, fmt.Errorf("it begins at byte %d, and not at %d: members overlap, or have something between them", m.offset, at)
	case begin > limit || m.size > limit-begin:
		return 0, fmt.Errorf("it has %d bytes, and would overlap the directory", m.size)
	}
	header, err := a.at(at, int(begin-at))
	if err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	sizes := m.size
	if m.flags&sizesBehind != 0 {
		sizes = 0
	}
	if le.Uint32(header) != localSignature || le.Uint16(header[6:]) != m.flags || le.Uint16(header[8:]) != stored ||
		uint64(le.Uint32(header[18:])) != sizes || uint64(le.Uint32(header[22:])) != sizes ||
		int(le.Uint16(header[26:])) != len(m.name) || le.Uint16(header[28:]) != 0 || string(header[localHeader:]) != m.name {
		return 0, errors.New("its local header says something else")
	}
	a.members[m.name] = span{int64(begin), int64(m.size)}
	end = begin + m.size
	if m.flags&sizesBehind != 0 {
		return a.sizesBehind(end, m.size)
	}
	return end, nil
}

// sizesBehind reads the sizes of a member behind its data, and returns where
// they end.
func (a *archive) sizesBehind(at, size uint64) (end uint64, err error) {
	n := descriptor
	if size >= in64 {
		n = descriptor64
	}
	b, err := a.at(at, n)
	if err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	packed, unpacked := uint64(le.Uint32(b[8:])), uint64(le.Uint32(b[12:]))
	if n == descriptor64 {
		packed, unpacked = le.Uint64(b[8:]), le.Uint64(b[16:])
	}
	if le.Uint32(b) != descriptorSignature || packed != size || unpacked != size {
		return 0, errors.New("the sizes behind its data are others: members overlap, or it was damaged")
	}
	return at + uint64(n), nil
}

// open returns a reader of a member; ok is false when there is none.
func (a *archive) open(path string) (r *io.SectionReader, ok bool) {
	s, ok := a.members[path]
	if !ok {
		return nil, false
	}
	return io.NewSectionReader(a.r, s.offset, s.size), true
}

// read returns the bytes of a member of at most limit bytes.
func (a *archive) read(path string, limit int64) ([]byte, error) {
	r, ok := a.open(path)
	if !ok {
		return nil, fmt.Errorf("reading %s: it is not in the bundle", path)
	}
	if r.Size() > limit {
		return nil, fmt.Errorf("reading %s of %d bytes: at most %d make sense", path, r.Size(), limit)
	}
	b := make([]byte, r.Size())
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return b, nil
}
