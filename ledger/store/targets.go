package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// Indexes: i8_entries_request, i12_entries_settled, i12_entries_reversed.
var (
	seqsByRequest = keyed{keys: `$2::uuid[]`, most: 1,
		lookup: `select seq from book.entries where ledger_id = $1::uuid and request_id = u.key`}
	settling = keyed{keys: `$2::int8[]`, most: 1,
		lookup: `select ref_seq, seq from book.entries where ledger_id = $1::uuid and ref_seq = u.key and kind in ('capture', 'release')`}
	reversing = keyed{keys: `$2::int8[]`, most: 1,
		lookup: `select ref_seq, seq from book.entries where ledger_id = $1::uuid and ref_seq = u.key and kind = 'reversal'`}
)

// Targets returns the entries that stand under ids, and what has become of each.
func (db *DB) Targets(ctx context.Context, id ledger.LedgerID, ids []ledger.RequestID) (map[ledger.RequestID]*ledger.Target, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	seqs, err := db.seqs(ctx, seqsByRequest.on(db.engine), uuidOf(&id.UUID), requestUUIDs(ids))
	if err != nil || len(seqs) == 0 {
		return map[ledger.RequestID]*ledger.Target{}, err
	}
	settled, err := db.acting(ctx, settling, id, seqs)
	if err != nil {
		return nil, err
	}
	wanted := seqs
	for _, seq := range settled {
		wanted = append(wanted, seq)
	}
	reversed, err := db.acting(ctx, reversing, id, wanted)
	if err != nil {
		return nil, err
	}
	for _, seq := range reversed {
		wanted = append(wanted, seq)
	}
	entries, err := db.entriesAt(ctx, id, wanted, false)
	if err != nil {
		return nil, err
	}
	return targetsOf(seqs, entries, settled, reversed)
}

// targetsOf puts together what Targets has read: entries among which are those
// at seqs, and which entry settles or reverses which.
func targetsOf(seqs []int64, entries []ledger.Entry, settled, reversed map[int64]int64) (map[ledger.RequestID]*ledger.Target, error) {
	bySeq := make(map[int64]*ledger.Entry, len(entries))
	for i := range entries {
		bySeq[entries[i].Seq()] = &entries[i]
	}
	targets := make(map[ledger.RequestID]*ledger.Target, len(seqs))
	for _, seq := range seqs {
		t := &ledger.Target{Entry: bySeq[seq]}
		if t.Entry == nil {
			return nil, fmt.Errorf("reading entry %d: %w", seq, ErrDamaged)
		}
		undone := seq // what a reversal would name
		if s, ok := settled[seq]; ok && t.Entry.Record().Kind == chain.Hold {
			t.Settled, undone = bySeq[s], s
		}
		if r, ok := reversed[undone]; ok {
			t.Reversed = bySeq[r]
		}
		targets[t.Entry.RequestID()] = t
	}
	return targets, nil
}

// acting returns, for each of seqs that some entry acts on, that entry.
func (db *DB) acting(ctx context.Context, what keyed, id ledger.LedgerID, seqs []int64) (map[int64]int64, error) {
	rows, err := db.pool.Query(ctx, what.on(db.engine), uuidOf(&id.UUID), seqs)
	if err != nil {
		return nil, fmt.Errorf("looking for what acts on entries: %w", err)
	}
	found := make(map[int64]int64)
	var ref, seq int64
	if _, err := pgx.ForEachRow(rows, []any{&ref, &seq}, func() error { found[ref] = seq; return nil }); err != nil {
		return nil, fmt.Errorf("looking for what acts on entries: %w", err)
	}
	return found, nil
}

// requestUUIDs returns each of ids once.
func requestUUIDs(ids []ledger.RequestID) uuids {
	list, seen := make(uuids, 0, len(ids)), make(map[ledger.RequestID]bool, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			list = append(list, uuidOf(&id.UUID))
		}
	}
	return list
}
