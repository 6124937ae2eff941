package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
)

// Term stands for a member of an entry's metadata in the table of terms that
// searches use: TermOf its key and value.
type Term [16]byte

// TermOf returns the first 16 bytes of SHA-256 over the length of key (four
// bytes, the highest first), key, and value. The value of a string is the string;
// that of a number, a truth value or null is its JSON text.
func TermOf(key, value string) (t Term) {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(key)+len(value)), uint32(len(key)))
	sum := sha256.Sum256(append(append(b, key...), value...))
	copy(t[:], sum[:])
	return t
}

// TermsOf returns the terms of metadata: one for each member of the JSON object
// that is a string, number, truth value or null. Members of members are not
// searched for.
func TermsOf(metadata string) ([]Term, error) {
	var terms []Term
	err := eachMember(metadata, func(key, value string) {
		terms = append(terms, TermOf(key, value))
	})
	return terms, err
}

// eachMember calls f for the members of a JSON object that are scalars.
func eachMember(metadata string, f func(key, value string)) error {
	d := jsontext.NewDecoder(strings.NewReader(metadata))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return fmt.Errorf("reading metadata, which must be a JSON object: %w", err)
	}
	for d.PeekKind() != '}' {
		t, err := d.ReadToken()
		if err != nil {
			return fmt.Errorf("reading the keys of metadata: %w", err)
		}
		key := t.String()
		switch d.PeekKind() {
		case '{', '[':
			err = d.SkipValue()
		default:
			if t, err = d.ReadToken(); err == nil {
				f(key, t.String())
			}
		}
		if err != nil {
			return fmt.Errorf("reading the metadata %q: %w", key, err)
		}
	}
	return nil
}

// hasMember reports whether metadata has a scalar member of that key and value.
func hasMember(metadata *string, key, value string) bool {
	found := false
	if metadata != nil {
		// What cannot be read has no members; verify holds it against its commitment.
		_ = eachMember(*metadata, func(k, v string) { found = found || k == key && v == value })
	}
	return found
}

const insertTermsSQL = `
insert into ops.metadata_terms (ledger_id, seq, term)
select $1::uuid, u.seq, u.term from unnest($2::int8[], $3::bytea[]) as u(seq, term)
on conflict (ledger_id, seq, term) do nothing`

// queueTerms stores the terms of what entries have as metadata.
func queueTerms(b *pgx.Batch, id ledger.LedgerID, entries []ledger.Entry) {
	var seqs []int64
	var list byteas
	for i := range entries {
		m := entries[i].Text().Metadata
		if m == nil {
			continue
		}
		terms, _ := TermsOf(*m) // metadata is checked before it becomes a request
		for _, t := range terms {
			seqs, list = append(seqs, entries[i].Seq()), append(list, bytes.Clone(t[:]))
		}
	}
	if len(seqs) > 0 {
		b.Queue(insertTermsSQL, uuidOf(&id.UUID), seqs, list)
	}
}

// Index: the primary key.
const termsBetweenSQL = `select seq, term from ops.metadata_terms
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8 order by seq, term`

// MetadataTerms calls row for each stored term of the entries from low to high,
// without high, in order of seq and term, under the rules of Scan. term is as
// stored, of whatever length.
func (s *Snapshot) MetadataTerms(ctx context.Context, low, high int64, row func(seq int64, term []byte) error) error {
	return s.Scan(ctx, termsBetweenSQL, []any{s.LedgerID, low, high}, func(r *Row) error {
		return row(r.Int64(0), r.Bytes(1))
	})
}
