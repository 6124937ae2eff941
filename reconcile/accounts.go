package reconcile

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// accountState is an account as the entries up to one seq leave it, by what is
// stored: a posting is held against what stands before it, so that one wrong
// balance is one finding and not one for every posting after it.
//
// The fields stand so that all of it takes two lines of the processor's cache.
type accountState struct {
	id  uuid.UUID
	seq int64 // of the posting that left the balances

	attributes
	balances
}

// balances is the account's state after its posting with accountSeq, 0 before
// the first.
type balances struct {
	accountSeq                          int64
	posted, pendingDebit, pendingCredit money.Int128
	unreadable                          bool
}

// attributes are those in force. Without a version, the account is not open.
type attributes struct {
	exists                bool // the row of book.accounts
	foreign               bool // it is another ledger's
	open                  bool // there is a version
	rowDoubtful, doubtful bool // the row, or what is in force, could not be read
	closed                bool
	awaited               bool // what its next posting follows is left to the region before
	kind                  chain.AccountType
	frozen                chain.Frozen
	scale                 uint8
	currency              string
	limits                *limits // nil when there are none
}

// limits are those of an account, in units; nil is none.
type limits struct{ min, max *money.Int128 }

// unmet is an account of the segment that was not held, and its first posting.
type unmet struct {
	account uuid.UUID
	before  int64 // account_seq of that posting
}

// beginSegment forgets what was held for the segment before.
func (w *worker) beginSegment() {
	w.accounts.epoch++
	w.unmet, w.ids, w.held = w.unmet[:0], w.ids[:0], w.held[:0]
}

// heldAtOnce is how many postings are followed while the states of their accounts,
// just looked up, are still in the processor's cache.
const heldAtOnce = 256

// hold looks up the states of the accounts of the next postings, and notes those
// that are not held. It returns the end of those postings.
func (w *worker) hold() int {
	var guesses [heldAtOnce]int32
	c, begin := w.accounts, len(w.held)
	some := w.segment.postings[begin:min(begin+heldAtOnce, len(w.segment.postings))]
	c.fetch(some, guesses[:])
	for i := range some {
		p := &some[i]
		at, strange := c.hold(&p.AccountID, guesses[i]-1)
		w.held = append(w.held, at)
		if strange {
			w.unmet = append(w.unmet, unmet{p.AccountID, p.AccountSeq})
			w.ids = append(w.ids, p.AccountID)
		}
	}
	return begin + len(some)
}

// meet makes sure of the states of all accounts that the segment posts to, as
// of the entry before it, and of the rows of those that it opens or changes.
// The former only where accounts are followed along the chain.
func (w *worker) meet(ctx context.Context) error {
	s := &w.segment
	for w.follows && len(w.held) < len(s.postings) {
		w.hold()
	}
	strangers := len(w.ids)
	for i := range s.versions {
		w.ids = append(w.ids, s.versions[i].account)
	}
	if err := s.loadAccounts(ctx, w.v.snapshot, w.ids, &w.words); err != nil {
		return err
	}
	for _, id := range w.ids[:strangers] {
		if a, ok := s.accounts[id]; ok {
			w.accounts.find(id).setAccount(&a, w.v.snapshot.LedgerID)
		}
	}
	w.keys = w.keys[:0]
	if err := w.loadVersions(ctx); err != nil {
		return err
	}
	return w.loadBalances(ctx)
}

func (a *accountState) setAccount(row *accountRow, ledger uuid.UUID) {
	a.exists, a.foreign, a.rowDoubtful = true, row.ledger != ledger, row.rejected != nil
	a.kind, a.currency, a.scale = row.kind, row.currency, row.scale
}

// setVersion puts attributes in force.
func (a *accountState) setVersion(v *versionRow) {
	var l limits
	var ok1, ok2 bool
	l.min, ok1 = limit(v.minBalance, a.scale)
	l.max, ok2 = limit(v.maxBalance, a.scale)
	a.open, a.frozen, a.closed, a.limits = true, v.frozen, v.closed, nil
	if l.min != nil || l.max != nil {
		a.limits = &l
	}
	a.doubtful = a.rowDoubtful || v.rejected != nil || !ok1 || !ok2
}

// Index: the primary key, read backwards for one row.
const versionInForceSQL = `
select account_id, min_balance, max_balance, frozen, closed
from book.account_versions
where account_id = u.id and seq < u.n and ledger_id = $1::uuid
order by seq desc`

// loadVersions reads the attributes in force before the segment.
func (w *worker) loadVersions(ctx context.Context) error {
	for i := range w.unmet {
		w.keys = append(w.keys, store.Key{ID: w.unmet[i].account, N: w.segment.low})
	}
	err := w.v.snapshot.ScanEach(ctx, versionInForceSQL, []any{w.v.snapshot.LedgerID}, w.keys, func(r *store.Row) error {
		v := versionRow{account: r.UUID(0)}
		if !r.IsNull(1) {
			v.minBalance = r.Number(1)
		}
		if !r.IsNull(2) {
			v.maxBalance = r.Number(2)
		}
		var ok bool
		if v.frozen, ok = chain.ParseFrozen(string(r.Text(3))); !ok {
			r.Reject(3)
		}
		v.closed = r.Bool(4)
		v.rejected = rejected(r)
		w.accounts.find(v.account).setVersion(&v)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading book.account_versions: %w", err)
	}
	return nil
}

// Index: i9_postings_account_seq, read backwards for one row.
const postingBeforeSQL = `
select account_id, seq, account_seq, scale, posted, pending_debit, pending_credit
from book.postings
where account_id = u.id and account_seq < u.n and ledger_id = $1::uuid
order by account_seq desc`

// previous is the posting of an account before a given account_seq.
type previous struct {
	account uuid.UUID
	seq     int64
	balances
}

func readPrevious(r *store.Row) previous {
	scale := r.Scale(3)
	p := previous{account: r.UUID(0), seq: r.Int64(1), balances: balances{
		accountSeq: r.Int64(2), posted: r.Units(4, scale), pendingDebit: r.Units(5, scale), pendingCredit: r.Units(6, scale),
	}}
	p.unreadable = rejected(r) != nil
	return p
}

// loadBalances reads what the accounts that were not held had before their
// first posting in the segment.
func (w *worker) loadBalances(ctx context.Context) error {
	w.keys = w.keys[:0]
	for _, u := range w.unmet {
		switch {
		case u.before <= 1:
		case w.defers():
			w.accounts.find(u.account).awaited = true
		default:
			w.keys = append(w.keys, store.Key{ID: u.account, N: u.before})
		}
	}
	return w.postingsBefore(ctx, func(p previous) {
		// One that stands later in the book than the segment begins is out of
		// order: it is left to balancesBefore to say so.
		if p.seq < w.segment.low {
			a := w.accounts.find(p.account)
			a.seq, a.balances = p.seq, p.balances
		}
	})
}

// postingsBefore calls found for the posting before each of w.keys.
func (w *worker) postingsBefore(ctx context.Context, found func(previous)) error {
	err := w.v.snapshot.ScanEach(ctx, postingBeforeSQL, []any{w.v.snapshot.LedgerID}, w.keys, func(r *store.Row) error {
		found(readPrevious(r))
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading book.postings by account: %w", err)
	}
	return nil
}

// lookUp returns the posting of an account before a given account_seq; without
// any, one with account_seq 0 and no balances.
func (w *worker) lookUp(ctx context.Context, account uuid.UUID, accountSeq int64) (previous, error) {
	p := previous{account: account, seq: -1}
	w.keys = append(w.keys[:0], store.Key{ID: account, N: accountSeq})
	err := w.postingsBefore(ctx, func(found previous) { p = found })
	return p, err
}
