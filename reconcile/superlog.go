package reconcile

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"tallystick/ledger/store"
)

// The super-log names every ledger that was ever signed. Here it is only asked
// which ledgers there were.

// Index: i7_super_log_size, one row at a time: each probe skips a whole ledger.
const nextLoggedSQL = `
select ledger_id
from book.super_log
where ledger_id > $1::uuid
order by ledger_id, size
limit 1`

// Index: i7_super_log_size, read backwards.
const loggedSQL = `
select size, origin
from book.super_log
where ledger_id = $1::uuid
order by size desc
limit 1`

// Index: the primary key.
const anyEntrySQL = `
select seq
from book.entries
where ledger_id = $1::uuid
order by seq
limit 1`

// loggedLedger is a ledger as the super-log knows it.
type loggedLedger struct {
	id     uuid.UUID
	size   int64
	origin string
}

// logged returns what the super-log knows of a ledger, nil when nothing.
func logged(ctx context.Context, db *store.DB, id uuid.UUID) (*loggedLedger, error) {
	var found *loggedLedger
	err := db.Scan(ctx, loggedSQL, []any{id}, func(r *store.Row) error {
		found = &loggedLedger{id, r.Int64(0), string(r.Text(1))}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for ledger %s in the super-log: %w", id, err)
	}
	return found, nil
}

// Missing returns the ledgers that the super-log names and of which there is no
// entry, in ascending order; visit, unless nil, is called with each ledger that
// it names.
func Missing(ctx context.Context, db *store.DB, visit func(uuid.UUID)) ([]uuid.UUID, error) {
	var missing []uuid.UUID
	for at := (uuid.UUID{}); ; {
		next, found := uuid.UUID{}, false
		err := db.Scan(ctx, nextLoggedSQL, []any{at}, func(r *store.Row) error {
			next, found = r.UUID(0), true
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading which ledgers the super-log names: %w", err)
		}
		if !found {
			return missing, nil
		}
		at = next
		if visit != nil {
			visit(at)
		}
		there := false
		err = db.Scan(ctx, anyEntrySQL, []any{at}, func(*store.Row) error {
			there = true
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("looking for entries of ledger %s: %w", at, err)
		}
		if !there {
			missing = append(missing, at)
		}
	}
}

// checkOthers reports the other ledgers that vanished whole.
func (v *verification) checkOthers(ctx context.Context, db *store.DB) error {
	missing, err := Missing(ctx, db, func(uuid.UUID) { v.evidence.superLogged++ })
	if err != nil {
		return err
	}
	for _, id := range missing {
		if id == v.snapshot.LedgerID {
			continue // reported as the ledger itself
		}
		l, err := logged(ctx, db, id)
		if err != nil {
			return err
		}
		if l != nil {
			v.findings.add(finding{code: LedgerMissing, seq: noSeq, stored: "no entries of ledger " + id.String(),
				recomputed: fmt.Sprintf("%d entries of %s, by the super-log", l.size, l.origin)})
		}
	}
	return nil
}
