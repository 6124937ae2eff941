package bundle

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"tallystick/ledger/chain"
)

// Text is what an entry commits to, and the salt of the commitments. A nil
// field is one that the entry does not have.
type Text struct {
	Salt                             []byte
	Description, Reference, Metadata *string
}

// fields are the texts of an entry, in the order in which they are written.
var fields = [...]struct {
	name  string
	field chain.Field
}{
	{"description", chain.FieldDescription},
	{"reference", chain.FieldReference},
	{"metadata", chain.FieldMetadata},
}

func (t *Text) all() [len(fields)]*string {
	return [...]*string{t.Description, t.Reference, t.Metadata}
}

// appendText appends the record of an entry's texts: its seq, the salt, and for
// each text its length plus one and its bytes, or 0 when there is none.
func appendText(dst []byte, seq int64, t *Text) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(seq))
	dst = append(dst, t.Salt...)
	for _, text := range t.all() {
		if text == nil {
			dst = binary.BigEndian.AppendUint32(dst, 0)
			continue
		}
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(*text))+1)
		dst = append(dst, *text...)
	}
	return dst
}

// errTexts: a member is not a list of texts.
var errTexts = errors.New("not a list of texts")

// readText reads one record; io.EOF when there is none.
func readText(r *bufio.Reader) (seq int64, t Text, err error) {
	var head [8 + chain.SaltSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("a text that is cut short: %w", errTexts)
		}
		return 0, t, err
	}
	seq, t.Salt = int64(binary.BigEndian.Uint64(head[:])), head[8:]
	for _, into := range []**string{&t.Description, &t.Reference, &t.Metadata} {
		var length [4]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return 0, t, cutShort(err)
		}
		n := binary.BigEndian.Uint32(length[:])
		if n == 0 {
			continue
		}
		if n > MaxText+1 {
			return 0, t, fmt.Errorf("a text of %d bytes: %w", n-1, errTexts)
		}
		b := make([]byte, n-1)
		if _, err := io.ReadFull(r, b); err != nil {
			return 0, t, cutShort(err)
		}
		text := string(b)
		*into = &text
	}
	return seq, t, nil
}

func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("a text that is cut short: %w", errTexts)
	}
	return err
}

// textReader reads the texts of a member beside its entries.
type textReader struct {
	path   string
	listed *Member
	sum    hash.Hash
	all    io.Reader // through sum
	size   int64
	r      *bufio.Reader
	seq    int64 // of the record that is next; −1 before the first
	text   Text
	end    bool
}

// openTexts begins to read the texts of member i; nil when the bundle has none.
func (v *verification) openTexts(i int, f *findings) *textReader {
	if !v.manifest.Texts {
		return nil
	}
	t := &textReader{seq: -1, path: textsPath(i), sum: sha256.New(), listed: v.manifest.find(textsPath(i))}
	r, ok := v.archive.open(t.path)
	if !ok || t.listed == nil || t.listed.Tree {
		if ok || t.listed != nil {
			f.add(finding{code: ManifestMismatch, seq: int64(i) * EntriesPerMember, column: t.path, stored: "not in the bundle and its manifest both"})
		}
		t.end = true // no entry of the member has a text
		return t
	}
	t.all, t.size = io.TeeReader(r, t.sum), r.Size() // it is read to its end
	t.r = bufio.NewReaderSize(t.all, textBuffer)
	t.next(f)
	return t
}

// textBuffer is how much of the texts is read at once.
const textBuffer = 256 << 10

func (t *textReader) next(f *findings) {
	before := t.seq
	var err error
	t.seq, t.text, err = readText(t.r)
	switch {
	case err == io.EOF:
		t.end = true
	case errors.Is(err, errTexts):
		t.end = true
		f.add(finding{code: ManifestMismatch, seq: before, column: t.path, stored: err.Error()})
	case err != nil:
		t.end = true
		f.notChecked(before, "reading "+t.path+": "+err.Error())
	case t.seq <= before:
		f.add(finding{code: ManifestMismatch, seq: before, column: t.path, stored: fmt.Sprintf("texts of entry %d after those of entry %d", t.seq, before)})
		t.end = true
	}
}

// check holds the texts of one entry against its commitments, and returns how
// many there are.
func (t *textReader) check(r *record, at *edge, s *stripe) (n int64) {
	for !t.end && t.seq < at.seq {
		t.stray(&s.findings)
		t.next(&s.findings)
	}
	here := !t.end && t.seq == at.seq
	texts := t.text.all()
	for i, c := range r.commitments {
		switch {
		case c == nil && here && texts[i] != nil:
			s.findings.add(finding{code: CommitmentMismatch, seq: at.seq, request: at.request, column: fields[i].name,
				stored: "a text that the entry does not commit to"})
		case c == nil:
		case !here || texts[i] == nil:
			s.lack(at.seq, i, at.request)
		default:
			n++
			if got := chain.Commitment(t.text.Salt, fields[i].field, *texts[i]); got != *c {
				s.findings.add(finding{code: CommitmentMismatch, seq: at.seq, request: at.request, column: fields[i].name,
					stored: c.String(), recomputed: got.String()})
			}
		}
	}
	if here {
		t.next(&s.findings)
	}
	return n
}

// skip passes over the texts of an entry that could not be read.
func (t *textReader) skip(seq int64, f *findings) {
	if !t.end && t.seq == seq {
		t.next(f)
	}
}

// stray reports texts of an entry that is not among those of the member.
func (t *textReader) stray(f *findings) {
	f.add(finding{code: CommitmentMismatch, seq: t.seq, stored: "texts of an entry that is not there"})
}

// finish reads what is left and holds the member against the manifest.
func (t *textReader) finish(f *findings) {
	for !t.end {
		t.stray(f)
		t.next(f)
	}
	if t.r == nil {
		return
	}
	if _, err := io.Copy(io.Discard, t.all); err != nil {
		f.notChecked(t.seq, "reading "+t.path+": "+err.Error())
		return
	}
	holdFile(t.listed, t.size, chain.Hash(t.sum.Sum(nil)), f)
}
