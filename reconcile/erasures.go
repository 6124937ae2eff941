package reconcile

import (
	"context"
	"fmt"

	"tallystick/ledger/store"
)

// Index: i12_entries_erased, or the entries read once.
const erasuresAfterSQL = `
select ref_seq, seq
from book.entries
where ledger_id = $1::uuid and kind = 'erasure' and seq < $2::int8
    and (ref_seq > $3::int8 or ref_seq = $3::int8 and seq > $4::int8)
order by ref_seq, seq
limit $5::int8`

// Indexes of both: the primary keys.
const (
	committingSQL = `
select seq
from book.entries
where ledger_id = $1::uuid and seq = any($2::int8[])
    and (description_commitment is not null or reference_commitment is not null or metadata_commitment is not null)`
	stillStoredSQL = `
select seq
from ops.payloads
where ledger_id = $1::uuid and seq = any($2::int8[])`
)

// erasedEntry is an erasure and the entry whose text it erases.
type erasedEntry struct{ ref, seq int64 }

// checkErasures holds the erasures against what they erase: an entry that
// commits to text, once, and the text is gone (I4).
func (v *verification) checkErasures(ctx context.Context) error {
	last := erasedEntry{ref: -1, seq: -1}
	for {
		var page []erasedEntry
		err := retry(ctx, func() error {
			page = page[:0]
			return v.snapshot.Scan(ctx, erasuresAfterSQL, []any{v.snapshot.LedgerID, v.snapshot.Size, last.ref, last.seq, int64(v.bounds.page)},
				func(r *store.Row) error {
					page = append(page, erasedEntry{r.Int64(0), r.Int64(1)})
					return nil
				})
		})
		if err != nil {
			return fmt.Errorf("reading erasures: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		if err := v.checkErasurePage(ctx, page, last); err != nil {
			return err
		}
		last = page[len(page)-1]
	}
}

func (v *verification) checkErasurePage(ctx context.Context, page []erasedEntry, before erasedEntry) error {
	seqs := make([]int64, len(page))
	for i := range page {
		seqs[i] = page[i].ref
	}
	committing, err := v.seqsAmong(ctx, committingSQL, seqs)
	if err != nil {
		return err
	}
	stored, err := v.seqsAmong(ctx, stillStoredSQL, seqs)
	if err != nil {
		return err
	}
	for _, e := range page {
		f := finding{code: ErasureInvalid, seq: e.seq, stored: fmt.Sprintf("ref_seq %d", e.ref)}
		switch {
		case e.ref >= e.seq: // malformed, and reported so
		case e.ref == before.ref:
			f.recomputed = fmt.Sprintf("erased by entry %d", before.seq)
			v.findings.add(f)
		case !committing[e.ref]:
			f.recomputed = "an entry that commits to text"
			v.findings.add(f)
		case stored[e.ref]:
			v.findings.add(finding{code: PayloadNotErased, seq: e.ref, stored: "1 row of ops.payloads", recomputed: fmt.Sprintf("erased by entry %d", e.seq)})
		}
		before = e
	}
	return nil
}

// seqsAmong returns which of seqs a statement finds.
func (v *verification) seqsAmong(ctx context.Context, sql string, seqs []int64) (map[int64]bool, error) {
	found := make(map[int64]bool)
	err := retry(ctx, func() error {
		return v.snapshot.Scan(ctx, sql, []any{v.snapshot.LedgerID, seqs}, func(r *store.Row) error {
			found[r.Int64(0)] = true
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading what was erased: %w", err)
	}
	return found, nil
}
