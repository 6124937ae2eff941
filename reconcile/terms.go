package reconcile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
)

// This file holds the terms by which metadata is searched for against the
// metadata (I11). An entry may have any number of them, so that what is kept of
// each entry of the segment is their number and a hash over all of them in order.

// termSize is how many bytes of the hash a term has.
const termSize = 16

// terms stand for the terms of one entry.
type terms struct {
	known  bool // false when the metadata cannot say what they are
	count  int
	digest [sha256.Size]byte
}

// termOf returns the term of a member of metadata: the first bytes of SHA-256
// over the length of its key in four bytes, the key, and the value.
func termOf(key, value string) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(key)+len(value)), uint32(len(key)))
	sum := sha256.Sum256(append(append(b, key...), value...))
	return sum[:termSize]
}

// termsOf derives the terms of metadata: one for each member that is a string,
// a number, a truth value or null.
func termsOf(metadata []byte) terms {
	var list [][]byte
	if err := eachScalar(metadata, func(key, value string) { list = append(list, termOf(key, value)) }); err != nil {
		return terms{} // nobody can say what they would be
	}
	slices.SortFunc(list, bytes.Compare)
	list = slices.CompactFunc(list, bytes.Equal)
	d := newTermDigest()
	for _, t := range list {
		d.add(t)
	}
	return d.terms()
}

// eachScalar calls f for the members of a JSON object that are scalars: with the
// text of a string, and the JSON of what is none.
func eachScalar(object []byte, f func(key, value string)) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("reading metadata: not an object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return fmt.Errorf("reading the keys of metadata: %w", err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("reading metadata %v: %w", key, err)
		}
		text := string(value)
		switch value[0] {
		case '{', '[':
			continue
		case '"':
			if err := json.Unmarshal(value, &text); err != nil {
				return fmt.Errorf("reading metadata %v: %w", key, err)
			}
		}
		name, _ := key.(string)
		f(name, text)
	}
	_, err := d.Token()
	return err
}

// termDigest hashes terms, each with its length: what is stored may have any.
type termDigest struct {
	hash  hash.Hash
	count int
}

func newTermDigest() termDigest { return termDigest{hash: sha256.New()} }

func (d *termDigest) reset() {
	d.hash.Reset()
	d.count = 0
}

func (d *termDigest) add(term []byte) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(term)))
	d.hash.Write(length[:])
	d.hash.Write(term)
	d.count++
}

func (d *termDigest) terms() terms {
	t := terms{known: true, count: d.count}
	if d.count > 0 {
		d.hash.Sum(t.digest[:0])
	}
	return t
}

// termReader compares the stored terms of a segment with those of its entries.
type termReader struct {
	w    *worker
	next int // entries compared so far

	begun  bool // some terms of the entry at seq were read
	seq    int64
	stored termDigest
}

// checkTerms holds the stored terms of the segment against what checkPayloads
// has derived.
func (w *worker) checkTerms(ctx context.Context) error {
	s := &w.segment
	r := termReader{w: w, stored: newTermDigest()}
	err := s.scanSparse(ctx, w.v.snapshot, "ops.metadata_terms", func() (rows int, err error) {
		err = w.v.snapshot.MetadataTerms(ctx, s.low, s.high, func(seq int64, term []byte) error {
			if rows++; !r.begun || seq != r.seq {
				r.compareBelow(seq)
				r.begun, r.seq = true, seq
				r.stored.reset()
			}
			r.stored.add(term)
			return nil
		})
		return rows, err
	})
	if err != nil {
		return fmt.Errorf("reading ops.metadata_terms: %w", err)
	}
	r.compareBelow(s.high)
	return nil
}

// compareBelow compares the entries before a seq, and finds terms without an entry.
func (r *termReader) compareBelow(seq int64) {
	s := &r.w.segment
	for ; r.next < len(s.entries) && s.entries[r.next].entry.Seq < seq; r.next++ {
		row, stored := &s.entries[r.next], terms{known: true}
		if r.begun && row.entry.Seq == r.seq {
			stored, r.begun = r.stored.terms(), false
		}
		r.w.compareTerms(row.entry.Seq, &row.terms, &stored)
	}
	if r.begun {
		n := r.stored.count
		r.w.report(finding{code: OrphanRow, seq: r.seq, stored: fmt.Sprintf("%d %s of ops.metadata_terms", n, plural(n, "row", "rows"))})
		r.begun = false
	}
}

func (w *worker) compareTerms(seq int64, want, found *terms) {
	if !want.known || want.count == found.count && want.digest == found.digest {
		return
	}
	f := finding{code: ProjectionMismatch, seq: seq, column: "metadata_terms",
		stored: fmt.Sprintf("%d %s", found.count, plural(found.count, "term", "terms")), recomputed: fmt.Sprint(want.count)}
	if want.count == found.count {
		f.recomputed += " others"
	}
	w.report(f)
}
