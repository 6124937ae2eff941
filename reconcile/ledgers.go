package reconcile

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Indexes: i4_ledgers_name and the primary key.
const findLedgerSQL = `
select ledger_id from book.ledgers where name = $1::text`

// FindLedger returns the id of the ledger with that name or UUID, and
// ErrUnknownLedger when there is no such name. A UUID need not have a row in
// book.ledgers: its entries can be verified without.
func FindLedger(ctx context.Context, db *store.DB, nameOrID string) (uuid.UUID, error) {
	var found []uuid.UUID
	err := db.Scan(ctx, findLedgerSQL, []any{nameOrID}, func(r *store.Row) error {
		found = append(found, r.UUID(0))
		return nil
	})
	switch id, isID := uuid.Parse(nameOrID); {
	case err != nil:
		return uuid.UUID{}, fmt.Errorf("looking for ledger %q: %w", nameOrID, err)
	case len(found) > 0:
		return found[0], nil
	case isID == nil:
		return id, nil
	}
	return uuid.UUID{}, fmt.Errorf("looking for ledger %q: %w", nameOrID, ErrUnknownLedger)
}

// Index: the primary key, one row at a time: each probe skips a whole ledger.
const nextLedgerSQL = `
(select ledger_id from book.entries where ledger_id > $1::uuid order by ledger_id, seq limit 1)
union all
(select ledger_id from book.ledgers where ledger_id > $1::uuid order by ledger_id limit 1)
union all
(select ledger_id from book.super_log where ledger_id > $2::uuid order by ledger_id, size limit 1)`

// Ledgers returns the ids of all ledgers in the database, also of those whose
// terms or entries are gone, and of those that only the super-log names, in
// ascending order. What the super-log says of super-logs names none.
func Ledgers(ctx context.Context, db *store.DB) ([]uuid.UUID, error) {
	var all []uuid.UUID
	for at := (uuid.UUID{}); ; at = all[len(all)-1] {
		var next []uuid.UUID
		err := db.Scan(ctx, nextLedgerSQL, []any{at, slices.MaxFunc([]uuid.UUID{at, chain.LastSuperID}, compareIDs)}, func(r *store.Row) error {
			next = append(next, r.UUID(0))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading which ledgers there are: %w", err)
		}
		if len(next) == 0 {
			return all, nil
		}
		all = append(all, slices.MinFunc(next, compareIDs))
	}
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
