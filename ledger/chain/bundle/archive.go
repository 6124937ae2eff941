package bundle

import (
	"archive/zip"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// MaxDirectory is the most bytes of a ZIP's directory: enough for MaxMembers.
const MaxDirectory = 16 << 20

// Sizes and signatures of ZIP's records (APPNOTE.TXT 6.3.10).
const (
	localHeader      = 30
	endRecord        = 22
	locator64        = 20
	endRecord64      = 56
	localSignature   = 0x04034b50
	endSignature     = 0x06054b50
	locatorSignature = 0x07064b50
	end64Signature   = 0x06064b50
	in64             = 0xffffffff // the value stands in the 64-bit record
	membersIn64      = 0xffff
)

// archive is a bundle that was opened: where its members lie.
type archive struct {
	r       io.ReaderAt
	size    int64
	members map[string]span
}

type span struct{ offset, size int64 }

// openArchive reads the directory of a bundle. What it accepts has one reading:
// one directory at the very end, of bounded size; members that are stored and
// do not overlap, under different valid names, which the local headers repeat.
// The error wraps ErrNotBundle and says what is wrong.
func openArchive(r io.ReaderAt, size int64) (*archive, error) {
	if err := checkDirectory(r, size); err != nil {
		return nil, fmt.Errorf("opening the file as a ZIP: %w: %w", err, ErrNotBundle)
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("opening the file as a ZIP: %w: %w", err, ErrNotBundle)
	}
	if len(z.File) > MaxMembers+1 {
		return nil, fmt.Errorf("opening a ZIP with %d files, more than %d: %w", len(z.File), MaxMembers, ErrNotBundle)
	}
	a := &archive{r: r, size: size, members: make(map[string]span, len(z.File))}
	for _, f := range z.File {
		if err := a.add(f); err != nil {
			return nil, fmt.Errorf("opening the member %.128q of the ZIP: %w: %w", f.Name, err, ErrNotBundle)
		}
	}
	if _, ok := a.members[manifestPath]; !ok {
		return nil, fmt.Errorf("opening a ZIP without a %s: %w", manifestPath, ErrNotBundle)
	}
	return a, a.overlap()
}

// checkDirectory makes sure that the directory ends where its end record begins
// and is not large: package zip reads it whole, wherever it begins.
func checkDirectory(r io.ReaderAt, size int64) error {
	if size < endRecord {
		return fmt.Errorf("it has %d bytes", size)
	}
	var end [endRecord]byte
	if _, err := r.ReadAt(end[:], size-endRecord); err != nil && err != io.EOF {
		return fmt.Errorf("reading its end: %w", err)
	}
	if binary.LittleEndian.Uint32(end[:]) != endSignature || binary.LittleEndian.Uint16(end[20:]) != 0 {
		return fmt.Errorf("no directory at its end: it is no ZIP, was cut short, or something was appended")
	}
	count := uint64(binary.LittleEndian.Uint16(end[10:]))
	length, offset := uint64(binary.LittleEndian.Uint32(end[12:])), uint64(binary.LittleEndian.Uint32(end[16:]))
	limit := uint64(size - endRecord)
	if length == in64 || offset == in64 || count == membersIn64 {
		var err error
		if count, length, offset, limit, err = directory64(r, limit); err != nil {
			return err
		}
	}
	switch {
	case length > MaxDirectory || count > MaxMembers+1:
		return fmt.Errorf("a directory of %d bytes for %d files; at most %d for %d", length, count, MaxDirectory, MaxMembers)
	case offset > limit || limit-offset != length:
		return fmt.Errorf("its directory is not where it says")
	}
	return nil
}

// directory64 reads the 64-bit end record, which stands before end.
func directory64(r io.ReaderAt, end uint64) (count, length, offset, limit uint64, err error) {
	var b [endRecord64 + locator64]byte
	if end < uint64(len(b)) {
		return 0, 0, 0, 0, fmt.Errorf("no room for a 64-bit directory")
	}
	limit = end - uint64(len(b))
	if _, err := r.ReadAt(b[:], int64(limit)); err != nil {
		return 0, 0, 0, 0, fmt.Errorf("reading its 64-bit end: %w", err)
	}
	locator := b[endRecord64:]
	if binary.LittleEndian.Uint32(b[:]) != end64Signature || binary.LittleEndian.Uint64(b[4:]) != endRecord64-12 ||
		binary.LittleEndian.Uint32(locator) != locatorSignature || binary.LittleEndian.Uint64(locator[8:]) != limit {
		return 0, 0, 0, 0, fmt.Errorf("its 64-bit directory is not where it says")
	}
	return binary.LittleEndian.Uint64(b[32:]), binary.LittleEndian.Uint64(b[40:]), binary.LittleEndian.Uint64(b[48:]), limit, nil
}

// add takes a member whose local header says what the directory does.
func (a *archive) add(f *zip.File) error {
	_, twice := a.members[f.Name]
	switch {
	case twice:
		return fmt.Errorf("the name stands twice")
	case !validPath(f.Name):
		return fmt.Errorf("the name is none that a bundle has")
	case f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64:
		return fmt.Errorf("it is compressed (method %d, %d bytes said to be %d); a bundle's are stored", f.Method, f.CompressedSize64, f.UncompressedSize64)
	case f.Flags&^0x808 != 0: // sizes behind the data, names in UTF-8
		return fmt.Errorf("it is encrypted, or of a kind that a bundle does not have (flags %#x)", f.Flags)
	case f.CompressedSize64 > uint64(a.size):
		return fmt.Errorf("it is said to have %d bytes, more than the file", f.CompressedSize64)
	}
	offset, err := f.DataOffset()
	if err != nil {
		return err
	}
	begin := offset - localHeader - int64(len(f.Name))
	if begin < 0 || offset+int64(f.CompressedSize64) > a.size {
		return fmt.Errorf("it lies beyond the file")
	}
	header := make([]byte, localHeader+len(f.Name))
	if _, err := a.r.ReadAt(header, begin); err != nil {
		return fmt.Errorf("reading its local header: %w", err)
	}
	if binary.LittleEndian.Uint32(header) != localSignature || int(binary.LittleEndian.Uint16(header[26:])) != len(f.Name) ||
		binary.LittleEndian.Uint16(header[28:]) != 0 || binary.LittleEndian.Uint16(header[8:]) != zip.Store || string(header[localHeader:]) != f.Name {
		return fmt.Errorf("its local header says something else")
	}
	a.members[f.Name] = span{offset, int64(f.CompressedSize64)}
	return nil
}

// overlap refuses members that share bytes.
func (a *archive) overlap() error {
	spans := make([]span, 0, len(a.members))
	for _, s := range a.members {
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(x, y span) int { return cmp.Or(cmp.Compare(x.offset, y.offset), cmp.Compare(x.size, y.size)) })
	for i := 1; i < len(spans); i++ {
		if spans[i-1].offset+spans[i-1].size > spans[i].offset-localHeader {
			return fmt.Errorf("opening a ZIP whose members overlap at byte %d: %w", spans[i].offset, ErrNotBundle)
		}
	}
	return nil
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
