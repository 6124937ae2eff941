package reconcile

import (
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"

	"tallystick/ledger/store"
)

// Index: i9_postings_account_seq, read backwards for one row. Where the newest posting
// is known, there mostly is none beyond it, and the table is not read.
const strayPostingSQL = `
select account_id, ledger_id, seq
from book.postings
where account_id = u.id and account_seq > u.n
order by account_seq desc`

// checkStrays looks for postings to the accounts that stand under the id of another
// ledger, where nothing else looks: servers find balances by account.
func (w *worker) checkStrays(ctx context.Context, page []bookAccount) error {
	keys := make([]store.Key, len(page))
	for i, a := range page {
		keys[i] = store.Key{ID: a.id, N: math.MinInt64}
		if last, ok := w.v.newest[a.id]; ok && !last.unreadable {
			keys[i].N = last.accountSeq
		}
	}
	err := w.v.snapshot.ScanEach(ctx, strayPostingSQL, nil, keys, func(r *store.Row) error {
		w.reportStray("posting", r.UUID(0), r.UUID(1), r.Int64(2))
		return nil
	})
	return wrap("looking for postings to accounts in other ledgers", err)
}

// reportStray reports a row about an account when it stands under the id of another
// ledger.
func (w *worker) reportStray(what string, account, ledger uuid.UUID, seq int64) (stray bool) {
	own := w.v.snapshot.LedgerID
	if stray = ledger != own; stray {
		w.report(finding{code: LedgerIDMismatch, seq: noSeq, account: account, named: true, column: "ledger_id",
			stored: fmt.Sprintf("a %s of the account in ledger %s, at its entry %d", what, ledger, seq), recomputed: own.String()})
	}
	return stray
}

// Index: the primary key.
const lifetimesSQL = `
select account_id, ledger_id, seq, closed
from book.account_versions
where account_id = any($1::uuid[])
order by account_id, seq`

// lifetime is what the versions of an account have said so far.
type lifetime struct {
	openedSeq                       int64
	opened, stray, closed, reopened bool
}

// checkLifetimes goes through the versions of the accounts, which are in order: an
// entry opens each, a closed one stays closed, and none stands under the id of
// another ledger, as servers find limits by account.
//
// The first pass has held every version against its entry, so that a version is
// enough here; and as an account is appended with its version, this holds beyond the
// cut too.
func (w *worker) checkLifetimes(ctx context.Context, page []bookAccount) error {
	ids, lifetimes := make([]uuid.UUID, len(page)), make(map[uuid.UUID]*lifetime, len(page))
	for i, a := range page {
		ids[i], lifetimes[a.id] = a.id, &lifetime{openedSeq: a.row.openedSeq}
	}
	err := w.v.snapshot.Scan(ctx, lifetimesSQL, []any{ids}, func(r *store.Row) error {
		if l := lifetimes[r.UUID(0)]; l != nil {
			w.followLifetime(l, r)
		}
		return nil
	})
	if err != nil {
		return wrap("reading book.account_versions", err)
	}
	for _, a := range page {
		if !lifetimes[a.id].opened {
			w.report(finding{code: AccountStateMismatch, seq: a.row.openedSeq, account: a.id, named: true,
				column: "opened_seq", stored: fmt.Sprint(a.row.openedSeq), recomputed: "no entry opens the account there"})
		}
	}
	return nil
}

// followLifetime takes in the next version of an account, and reports the first that
// is not as it must be.
func (w *worker) followLifetime(l *lifetime, r *store.Row) {
	account, ledger, seq := r.UUID(0), r.UUID(1), r.Int64(2)
	if ledger != w.v.snapshot.LedgerID {
		if !l.stray {
			l.stray = w.reportStray("version", account, ledger, seq)
		}
		return
	}
	l.opened = l.opened || seq == l.openedSeq
	switch {
	case seq >= w.v.snapshot.Size || r.IsNull(3):
	case r.Bool(3):
		l.closed = true
	case l.closed && !l.reopened:
		l.reopened = true
		w.report(finding{code: AccountStateMismatch, seq: seq, account: account, named: true, column: "closed",
			stored: "false", recomputed: "true: it was closed before"})
	}
}
