package store

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// Index: i12_entries_erased.
var erasing = keyed{keys: `$2::int8[]`, most: 1,
	lookup: `select ref_seq, seq from book.entries where ledger_id = $1::uuid and ref_seq = u.key and kind = 'erasure'`}

// Erasures returns the erasures on record of the entries at seqs, by these.
func (db *DB) Erasures(ctx context.Context, id ledger.LedgerID, seqs []int64) (map[int64]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return db.acting(ctx, erasing, id, seqs)
}

// markErased finds out which of the entries read have lost their text by an
// erasure. It asks the database only where text is missing.
func (a *assembly) markErased(ctx context.Context) error {
	var seqs []int64
	for i := range a.records {
		if e := &a.records[i]; a.texts[i].Salt == nil && (e.Description != nil || e.Reference != nil || e.Metadata != nil) {
			seqs = append(seqs, e.Seq)
		}
	}
	if len(seqs) == 0 {
		return nil
	}
	erased, err := a.db.acting(ctx, erasing, a.id, seqs)
	if err != nil {
		return err
	}
	for seq := range erased {
		a.texts[a.bySeq[seq]].Erased = true
	}
	return nil
}

// Both delete only what an erasure is on record of. Indexes: the primary keys,
// and i12_entries_erased.
const (
	erasePayloadSQL = `
delete from ops.payloads where ledger_id = $1::uuid and seq = $2::int8
    and exists (select 1 from book.entries where ledger_id = $1::uuid and ref_seq = $2::int8 and kind = 'erasure')`
	eraseTermsSQL = `
delete from ops.metadata_terms where ledger_id = $1::uuid and seq = $2::int8
    and exists (select 1 from book.entries where ledger_id = $1::uuid and ref_seq = $2::int8 and kind = 'erasure')`
)

// EraseTexts deletes the text of entries, the salts and fingerprints stored with
// it, and what it is searched by, in one transaction. It deletes nothing of an
// entry unless its erasure is on record, and doing so again changes nothing. It
// needs RoleEraser.
func (db *DB) EraseTexts(ctx context.Context, id ledger.LedgerID, seqs []int64) error {
	var b pgx.Batch
	for _, seq := range seqs { // one descent each: "= any" may read the whole ledger
		b.Queue(erasePayloadSQL, uuidOf(&id.UUID), seq)
		b.Queue(eraseTermsSQL, uuidOf(&id.UUID), seq)
	}
	if err := db.pool.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("erasing the text of entries %d of ledger %s: %w", seqs, id, err)
	}
	return nil
}

// erasuresPage is how many erasures are looked at together.
const erasuresPage = 500

// Index: i12_entries_erased, which holds all that is read.
const erasedAfterSQL = `select ledger_id, ref_seq from book.entries
where kind = 'erasure' and (ledger_id, ref_seq) > ($1::uuid, $2::int8) order by ledger_id, ref_seq limit $3::int8`

// Index: the primary key.
var stillStored = keyed{keys: `$2::int8[]`, most: 1,
	lookup: `select seq from ops.payloads where ledger_id = $1::uuid and seq = u.key`}

// UnfinishedErasures calls erase with the entries, of one ledger at a time, whose
// erasure is on record and whose text is still there, and returns how many there
// were. What erase fails at keeps no other from its turn; the error is the first of
// erase, or of the database.
func (db *DB) UnfinishedErasures(ctx context.Context, erase func(context.Context, ledger.LedgerID, []int64) error) (found int, err error) {
	var ledgerID uuid.UUID
	after := int64(-1)
	var failed error
	for {
		rows, err := db.pool.Query(ctx, erasedAfterSQL, uuidOf(&ledgerID), after, int64(erasuresPage))
		if err != nil {
			return found, fmt.Errorf("reading erasures: %w", err)
		}
		erased := make(map[uuid.UUID][]int64)
		n := 0
		_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&ledgerID), &after}, func() error {
			erased[ledgerID] = append(erased[ledgerID], after)
			n++
			return nil
		})
		if err != nil {
			return found, fmt.Errorf("reading erasures: %w", err)
		}
		for of, seqs := range erased {
			left, err := db.seqs(ctx, stillStored.on(db.engine), uuidOf(&of), seqs)
			if err != nil {
				return found, fmt.Errorf("reading what is left of erased texts: %w", err)
			}
			if found += len(left); len(left) > 0 {
				failed = cmp.Or(failed, erase(ctx, ledger.LedgerID{UUID: of}, left))
			}
		}
		if n < erasuresPage {
			return found, failed
		}
	}
}

// Index: the primary key.
const versionSeqsSQL = `
select seq from book.account_versions where account_id = $1::uuid and ledger_id = $2::uuid and seq > $3::int8 order by seq limit $4::int8`

// NamedVersions returns up to limit entries after seq that gave an account its
// attributes and commit to a name, in order.
func (db *DB) NamedVersions(ctx context.Context, id ledger.LedgerID, account ledger.AccountID, after int64, limit int) (named []ledger.Entry, last int64, err error) {
	seqs, err := db.seqs(ctx, versionSeqsSQL, uuidOf(&account.UUID), uuidOf(&id.UUID), after, int64(limit))
	if err != nil || len(seqs) == 0 {
		return nil, after, err
	}
	entries, err := db.entriesAt(ctx, id, seqs, false)
	for i := range entries {
		if r := entries[i].Record(); r.Description != nil && (r.Kind == chain.AccountOpened || r.Kind == chain.AccountChanged) {
			named = append(named, entries[i])
		}
	}
	return named, seqs[len(seqs)-1], err
}
