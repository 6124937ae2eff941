package reconcile

import (
	"context"
	"fmt"

	"tallystick/ledger/store"
)

// Index: i9_postings_account_seq, read backwards for one row, and the index of the
// versions of an account.
const (
	strayPostingSQL = `
select account_id, ledger_id, seq
from book.postings
where account_id = u.id
order by account_seq desc`
	strayVersionSQL = `
select account_id, ledger_id, seq
from book.account_versions
where account_id = u.id and ledger_id <> $1::uuid
order by seq`
)

// checkStrays looks for rows about the accounts that stand under the id of another
// ledger, where nothing else looks: servers find balances and limits by account.
func (w *worker) checkStrays(ctx context.Context, page []bookAccount) error {
	keys := make([]store.Key, len(page))
	for i, a := range page {
		keys[i] = store.Key{ID: a.id}
	}
	ledger := w.v.snapshot.LedgerID
	for _, scan := range []struct {
		sql, what string
		args      []any
	}{{strayPostingSQL, "posting", nil}, {strayVersionSQL, "version", []any{ledger}}} {
		err := w.v.snapshot.ScanEach(ctx, scan.sql, scan.args, keys, func(r *store.Row) error {
			if of := r.UUID(1); of != ledger {
				w.report(finding{code: LedgerIDMismatch, seq: noSeq, account: r.UUID(0), named: true, column: "ledger_id",
					stored: fmt.Sprintf("a %s of the account in ledger %s, at its entry %d", scan.what, of, r.Int64(2)), recomputed: ledger.String()})
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("looking for rows about accounts in other ledgers: %w", err)
		}
	}
	return nil
}

// Index: the primary key of the versions of an account.
const reopenedSQL = `
select v.account_id, v.seq
from book.account_versions v
where v.account_id = u.id and v.ledger_id = $1::uuid and v.seq < $2::int8 and not v.closed
    and exists (select 1 from book.account_versions c where c.account_id = v.account_id and c.ledger_id = $1::uuid and c.seq < v.seq and c.closed)
order by v.seq`

// checkReopened looks for accounts that were opened again: a closed one stays closed.
func (w *worker) checkReopened(ctx context.Context, page []bookAccount) error {
	keys := make([]store.Key, len(page))
	for i, a := range page {
		keys[i] = store.Key{ID: a.id}
	}
	err := w.v.snapshot.ScanEach(ctx, reopenedSQL, []any{w.v.snapshot.LedgerID, w.v.snapshot.Size}, keys, func(r *store.Row) error {
		w.report(finding{code: AccountStateMismatch, seq: r.Int64(1), account: r.UUID(0), named: true, column: "closed",
			stored: "false", recomputed: "true: it was closed before"})
		return nil
	})
	return wrap("looking for accounts that were opened again", err)
}
