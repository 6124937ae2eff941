package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Index: the primary key.
const payloadsSQL = `
select seq, salt, description, reference, metadata
from ops.payloads
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
    and ($4::bool or description is not null or reference is not null or metadata is not null)
order by seq`

// texts are what an entry may commit to, in the order of payloadsSQL.
var texts = [...]struct {
	column string
	field  chain.Field
}{
	{"description", chain.FieldDescription},
	{"reference", chain.FieldReference},
	{"metadata", chain.FieldMetadata},
}

// checkPayloads holds the texts of the segment against the commitments in its
// entries. A text that is gone needs an erasure on record.
func (w *worker) checkPayloads(ctx context.Context) error {
	s := &w.segment
	// Where every seq has its entry, a payload without text has nothing to say:
	// it is not read, which is a tenth of the time on a ledger without texts.
	dense := s.dense()
	if dense && w.textless() {
		return w.checkAllTexts(ctx)
	}
	args := []any{w.v.snapshot.LedgerID, s.low, s.high, !dense}
	next := 0
	err := w.v.snapshot.Scan(ctx, payloadsSQL, args, func(r *store.Row) error {
		seq := r.Int64(0)
		for next < len(s.entries) && s.entries[next].entry.Seq < seq {
			next++
		}
		if next == len(s.entries) || s.entries[next].entry.Seq != seq {
			w.report(finding{code: OrphanRow, seq: seq, stored: "1 row of ops.payloads"})
			return nil
		}
		w.checkPayload(&s.entries[next], r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading ops.payloads: %w", err)
	}
	return w.checkAllTexts(ctx)
}

// checkAllTexts looks for texts that the entries of the segment commit to and that
// are gone.
func (w *worker) checkAllTexts(ctx context.Context) error {
	s := &w.segment
	for i := range s.entries {
		if s.entries[i].entry.Metadata == nil {
			s.entries[i].terms.known = true // there are none
		}
		if err := w.checkTexts(ctx, &s.entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkPayload holds the texts of one entry against their commitments.
func (w *worker) checkPayload(row *entryRow, r *store.Row) {
	commitments := row.commitments()
	for i, t := range texts {
		column := 2 + i
		if r.IsNull(column) {
			continue
		}
		f := finding{code: CommitmentMismatch, seq: row.entry.Seq, column: t.column}
		if commitments[i] == nil {
			f.stored = "a text that the entry does not commit to"
			w.report(f)
			continue
		}
		row.hasText[i] = true
		w.scope.texts++
		salt := r.Bytes(1)
		if len(salt) != chain.SaltSize {
			f.column, f.stored, f.recomputed = "salt", fmt.Sprintf("%d bytes", len(salt)), fmt.Sprintf("%d bytes", chain.SaltSize)
			w.report(f)
			continue
		}
		if c := chain.Commitment(salt, t.field, string(r.Text(column))); c != *commitments[i] {
			f.stored, f.recomputed = commitments[i].String(), c.String()
			w.report(f)
		} else if t.field == chain.FieldMetadata {
			row.terms = termsOf(r.Text(column))
		}
	}
}

func (row *entryRow) commitments() [len(texts)]*chain.Hash {
	return [...]*chain.Hash{row.entry.Description, row.entry.Reference, row.entry.Metadata}
}

// checkTexts looks for texts that the entry commits to and that are gone.
func (w *worker) checkTexts(ctx context.Context, row *entryRow) error {
	for i, c := range row.commitments() {
		if c == nil || row.hasText[i] {
			continue
		}
		erased, err := w.v.erasures.of(ctx, w.v, row.entry.Seq)
		switch {
		case errors.Is(err, errTooManyErasures):
			w.doubt(row.entry.Seq, "a text is gone, and there are more erasures than are looked up")
			continue
		case err != nil:
			return err
		}
		f := finding{code: PayloadMissing, seq: row.entry.Seq, column: texts[i].column}
		if erased != notErased {
			f.code = PayloadErased
			row.terms.known = row.terms.known || texts[i].field == chain.FieldMetadata // erased with it
		}
		if erased != erasedLater {
			w.report(f)
		}
	}
	return nil
}

// erasures are the entries whose texts were erased on record. They are read
// once, when the first text is found missing: on most ledgers never.
type erasures struct {
	limit int

	mu    sync.Mutex
	read  bool
	seqs  []int64 // sorted
	later []int64 // of those that were erased after the cut; likewise
}

var errTooManyErasures = errors.New("too many erasures to look up")

// erased says whether an entry's texts were erased on record.
type erased int

const (
	notErased erased = iota
	erasedBefore
	erasedLater // after the cut: at the cut they were there
)

// Index: i12_entries_erased; without it, the entries are read once.
const erasuresSQL = `
select ref_seq, seq
from book.entries
where ledger_id = $1::uuid and seq < $2::int8 and kind = 'erasure' and ref_seq is not null and ref_seq < seq
limit $3::int8`

// of tells whether an erasure of the entry at seq is on record.
func (e *erasures) of(ctx context.Context, v *verification, seq int64) (erased, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.read {
		if err := e.load(ctx, v); err != nil {
			return notErased, err
		}
		e.read = true
	}
	if len(e.seqs)+len(e.later) > e.limit {
		return notErased, errTooManyErasures
	}
	if _, found := slices.BinarySearch(e.seqs, seq); found {
		return erasedBefore, nil
	}
	if _, found := slices.BinarySearch(e.later, seq); found {
		return erasedLater, nil
	}
	return notErased, nil
}

func (e *erasures) load(ctx context.Context, v *verification) error {
	e.seqs, e.later = e.seqs[:0], e.later[:0]
	err := v.snapshot.Scan(ctx, erasuresSQL, []any{v.snapshot.LedgerID, v.present, int64(e.limit) + 1}, func(r *store.Row) error {
		if r.Int64(1) < v.snapshot.Size {
			e.seqs = append(e.seqs, r.Int64(0))
		} else {
			e.later = append(e.later, r.Int64(0))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking for erasures: %w", err)
	}
	slices.Sort(e.seqs)
	slices.Sort(e.later)
	return nil
}
