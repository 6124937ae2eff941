package reconcile

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// maxBalances is how many accounts BalancesAt holds at once, some 300 bytes
// each.
const maxBalances = 4_000_000

// errTooManyAccounts: a ledger has more accounts than the night holds in memory.
var errTooManyAccounts = fmt.Errorf("there are more than %d accounts", maxBalances)

// errUnreadableBalance: a value that its column cannot hold. The chain phase
// reports it at its entry.
var errUnreadableBalance = errors.New("a value that cannot be there")

// Balance is an account as it stood after the first entries of a ledger.
type Balance struct {
	ID        uuid.UUID
	Code      string
	Type      chain.AccountType
	Currency  string
	Scale     uint8
	OpenedSeq int64

	// What its newest posting left, debit-positive; zero without one.
	AccountSeq    int64 // of that posting; 0 without one
	Posted        money.Int128
	PendingDebit  money.Int128
	PendingCredit money.Int128

	// What its newest opening or change says. The limits are nil where there are
	// none, and positive on the account's normal side.
	MinBalance *money.Int128
	MaxBalance *money.Int128
	Frozen     chain.Frozen
	Closed     bool
	Tags       []chain.Tag
}

// Normal returns the posted balance, positive on the account's normal side.
func (b *Balance) Normal() money.Int128 {
	if b.Type.DebitNormal() {
		return b.Posted
	}
	n, _ := b.Posted.Neg() // a balance lies within ±(2^127−1)
	return n
}

// left is what the newest posting left.
func (b *Balance) left() *balances {
	return &balances{accountSeq: b.AccountSeq, posted: b.Posted, pendingDebit: b.PendingDebit, pendingCredit: b.PendingCredit}
}

// BalancesAt returns all accounts that were open after the first size entries of
// a cut, at most its own, as those entries left them, in order of their codes.
//
//	newest snapshot ≤ size ─── postings since, by range ──┐
//	or, where that is cheaper: each account's newest ─────┴──▶ one Balance an account
//
// It costs the accounts, and the postings since the snapshot at most.
func BalancesAt(ctx context.Context, from *store.Snapshot, size int64) ([]Balance, error) {
	return balancesSince(ctx, from, math.MaxInt64, size)
}

// balancesSince is BalancesAt with the newest snapshot that is smaller than
// before.
func balancesSince(ctx context.Context, from *store.Snapshot, before, size int64) ([]Balance, error) {
	if size < 0 || size > from.Size {
		return nil, fmt.Errorf("reading the balances of ledger %s after %d entries: the run is pinned to %d", from.LedgerID, size, from.Size)
	}
	b := balanceReader{from: from, size: size}
	for _, step := range []func(context.Context) error{
		b.readAccounts,
		b.readVersions,
		func(ctx context.Context) error { return b.readSnapshot(ctx, before) },
		b.readPostings,
	} {
		if err := retry(ctx, func() error { return step(ctx) }); err != nil {
			return nil, fmt.Errorf("reading the balances of ledger %s after %d entries: %w", from.LedgerID, size, err)
		}
	}
	slices.SortFunc(b.all, func(x, y Balance) int { return strings.Compare(x.Code, y.Code) })
	return b.all, nil
}

// balanceReader gathers the balances of one size. Each of its steps begins from
// the beginning when it is repeated.
type balanceReader struct {
	from  *store.Snapshot
	size  int64
	since int64 // the size of the snapshot it began with, 0 without one
	all   []Balance
	at    map[uuid.UUID]int32 // where an account is in all
	words words
}

// Index: i10_accounts_code. The codes are sorted again here: not every engine
// sorts text by its bytes.
const allAccountsSQL = `
select account_id, ledger_id, code, type, currency, scale, opened_seq
from book.accounts
where ledger_id = $1::uuid and opened_seq < $2::int8`

func (b *balanceReader) readAccounts(ctx context.Context) error {
	b.all, b.at = b.all[:0], make(map[uuid.UUID]int32)
	return b.from.Scan(ctx, allAccountsSQL, []any{b.from.LedgerID, b.size}, func(r *store.Row) error {
		id, row := readAccount(r, &b.words)
		if row.rejected != nil {
			return unreadable("account "+id.String(), row.rejected)
		}
		if len(b.all) == maxBalances {
			return errTooManyAccounts
		}
		b.at[id] = int32(len(b.all))
		b.all = append(b.all, Balance{ID: id, Code: row.code, Type: row.kind, Currency: row.currency, Scale: row.scale, OpenedSeq: row.openedSeq})
		return nil
	})
}

// Index: i10_account_versions_seq.
const versionsUpToSQL = `
select seq, account_id, min_balance, max_balance, frozen, closed, tags
from book.account_versions
where ledger_id = $1::uuid and seq < $2::int8
order by seq`

// readVersions puts the newest attributes in force.
func (b *balanceReader) readVersions(ctx context.Context) error {
	bound := bounds{segmentText: math.MaxInt}
	s := segment{bounds: &bound} // it only lends its reader of a row
	return b.from.Scan(ctx, versionsUpToSQL, []any{b.from.LedgerID, b.size}, func(r *store.Row) error {
		s.versions = s.versions[:0]
		if err := s.addVersion(r); err != nil {
			return err
		}
		v := &s.versions[0]
		i, ok := b.at[v.account]
		if !ok {
			return nil // an account that is gone is the chain phase's to find
		}
		a := &b.all[i]
		low, ok1 := limit(v.minBalance, a.Scale)
		high, ok2 := limit(v.maxBalance, a.Scale)
		switch {
		case v.rejected != nil:
			return unreadable("account "+a.Code, v.rejected)
		case !ok1 || !ok2:
			return fmt.Errorf("account %s, limits: %w", a.Code, errUnreadableBalance)
		}
		a.MinBalance, a.MaxBalance, a.Frozen, a.Closed, a.Tags = low, high, v.frozen, v.closed, v.tags
		return nil
	})
}

// readSnapshot begins with the newest snapshot there is for the size.
func (b *balanceReader) readSnapshot(ctx context.Context, before int64) error {
	for i := range b.all {
		a := &b.all[i]
		a.AccountSeq, a.Posted, a.PendingDebit, a.PendingCredit = 0, money.Int128{}, money.Int128{}, money.Int128{}
	}
	kept, err := snapshotsUpTo(ctx, b.from, min(b.size, before-1), 1)
	if err != nil {
		return err
	}
	b.since = 0
	if len(kept) == 0 {
		return nil
	}
	b.since = kept[0].size
	err = kept[0].each(ctx, b.from, func(l *snapshotLine) error {
		b.set(l)
		return nil
	})
	if errors.Is(err, errSnapshot) { // the night reports it; what it is derived from is there
		return b.readSnapshot(ctx, kept[0].size)
	}
	return err
}

// set puts an account where a snapshot says that it stood. A line without an
// account is for the books phase to find.
func (b *balanceReader) set(l *snapshotLine) {
	if i, ok := b.at[l.account]; ok {
		a := &b.all[i]
		a.AccountSeq, a.Posted, a.PendingDebit, a.PendingCredit = l.accountSeq, l.posted, l.pendingDebit, l.pendingCredit
	}
}

// Index: the primary key, read backwards: the first posting that is met of an
// account is its newest, and of the others only the account is looked at.
const balancesSQL = `
select account_id, account_seq, posted, pending_debit, pending_credit, seq
from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq desc, ordinal desc`

// readPostings goes on from the snapshot, or from where it was, to the size.
func (b *balanceReader) readPostings(ctx context.Context) error {
	switch {
	case b.since == b.size:
		return nil
	case b.byAccount():
		return b.lookUp(ctx)
	}
	met := make([]bool, len(b.all))
	return b.from.Scan(ctx, balancesSQL, []any{b.from.LedgerID, b.since, b.size}, func(r *store.Row) error {
		i, ok := b.at[r.UUID(0)]
		if !ok || met[i] {
			return nil
		}
		met[i] = true
		a := &b.all[i]
		a.AccountSeq, a.Posted = r.Int64(1), r.Units(2, a.Scale)
		a.PendingDebit, a.PendingCredit = r.Units(3, a.Scale), r.Units(4, a.Scale)
		if bad := rejected(r); bad != nil {
			return unreadable(fmt.Sprintf("account %s, entry %d", a.Code, r.Int64(5)), bad)
		}
		return nil
	})
}

// lookUpCost is what looking up the newest posting of an account costs, in postings
// read in order.
const lookUpCost = 7

// byAccount reports whether it is cheaper to look up the newest posting of each
// account, from the newest of all back, than to read what has come since the
// snapshot. An entry has some two postings.
func (b *balanceReader) byAccount() bool {
	return int64(len(b.all))*lookUpCost+2*(b.from.Size-b.size) < 2*(b.size-b.since)
}

// lookUp reads the newest posting of each account.
func (b *balanceReader) lookUp(ctx context.Context) error {
	for low := 0; low < len(b.all); low += standard.page {
		keys := make([]store.Key, 0, standard.page)
		for i := low; i < min(low+standard.page, len(b.all)); i++ {
			keys = append(keys, store.Key{ID: b.all[i].ID, N: b.size})
		}
		err := b.from.ScanEach(ctx, newestPostingSQL, []any{b.from.LedgerID}, keys, func(r *store.Row) error {
			i, ok := b.at[r.UUID(0)]
			if !ok {
				return nil
			}
			a := &b.all[i]
			a.AccountSeq, a.Posted = r.Int64(1), r.Units(4, a.Scale)
			a.PendingDebit, a.PendingCredit = r.Units(5, a.Scale), r.Units(6, a.Scale)
			if bad := rejected(r); bad != nil {
				return unreadable("account "+a.Code, bad)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func unreadable(where string, r *rejection) error {
	return fmt.Errorf("%s, column %s: %w: %s", where, r.column, errUnreadableBalance, r.value)
}

// Index: the primary key.
const bookedOnSQL = `
select booking_date
from book.entries
where ledger_id = $1::uuid and seq = $2::int8`

// SizeThrough returns how many entries of a cut were booked up to the end of a
// day. Booking dates never go back (I5), so that it halves.
func SizeThrough(ctx context.Context, from *store.Snapshot, day chain.Date) (int64, error) {
	var failed error
	size := sort.Search(int(from.Size), func(seq int) bool {
		if failed != nil {
			return true
		}
		booked, found := chain.Date(0), false
		failed = retry(ctx, func() error {
			return from.Scan(ctx, bookedOnSQL, []any{from.LedgerID, int64(seq)}, func(r *store.Row) error {
				booked, found = r.Date(0), rejected(r) == nil
				return nil
			})
		})
		if failed == nil && !found {
			failed = fmt.Errorf("entry %d has no booking date: run tallystick verify", seq)
		}
		return booked > day
	})
	if failed != nil {
		return 0, fmt.Errorf("looking for the last entry of ledger %s booked up to %s: %w", from.LedgerID, day, failed)
	}
	return int64(size), nil
}
