package reconcile

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"
	"sort"

	"github.com/google/uuid"

	"tallystick/ledger/store"
)

// This file holds what says that it is the balances of all accounts after some first
// entries against the postings before them.

// claimsAtOnce is how many claims are held against the postings in one pass over
// them: for each account of a page, the balances at each of their sizes are held at
// once.
const claimsAtOnce = 64

// claim is something that says what all balances were after some first entries.
type claim interface {
	cut() int64
	// hold holds the next account against it, of those open at its cut and in
	// ascending order of their ids, as it stood there.
	hold(ctx context.Context, a *pastAccount, at *balances) error
	// end reports what does not hold.
	end(ctx context.Context) error
}

// checkClaims holds what says that it is the balances after some first entries
// against the postings before its cut (I11): balance commitments, and stored
// snapshots.
func (v *verification) checkClaims(ctx context.Context) error {
	kept := v.storedSnapshots(ctx)
	if v.incomplete.Load() || v.findings.critical() > 0 {
		v.marks, v.newest = nil, nil // what the first pass met may not be all, nor right
	}
	v.marks = v.marks.settle()
	for after, more := int64(-1), true; ; {
		var page []claim
		if more {
			commitments, last, err := v.commitmentPage(ctx, after)
			if err != nil {
				return err
			}
			for _, c := range commitments {
				if v.reads(c.seq) && v.readSize(c) {
					page = append(page, c)
				}
			}
			after, more = last, last != after
		}
		for len(page) < claimsAtOnce && len(kept) > 0 {
			page, kept = append(page, kept[0]), kept[1:]
		}
		if len(page) == 0 {
			if more {
				continue
			}
			return nil
		}
		if err := v.holdClaims(ctx, page); err != nil {
			return err
		}
	}
}

// holdClaims holds claims against the balances at their cuts: account by account, or,
// where only some entries are read and that is the cheaper way, cut by cut.
func (v *verification) holdClaims(ctx context.Context, page []claim) error {
	slices.SortStableFunc(page, func(a, b claim) int { return cmp.Compare(a.cut(), b.cut()) })
	var err error
	if v.whole() || v.accounts*int64(len(page))*balanceCost > page[len(page)-1].cut() {
		err = v.holdByAccount(ctx, page)
	} else {
		err = v.holdByCut(ctx, page)
	}
	for i := 0; i < len(page) && err == nil; i++ {
		err = page[i].end(ctx)
	}
	return err
}

// balanceCost is what an account costs BalancesAt, in postings read in account
// order.
const balanceCost = 4

// holdByCut holds each claim against the balances at its cut, one after the other.
func (v *verification) holdByCut(ctx context.Context, page []claim) error {
	for _, c := range page {
		all, err := BalancesAt(ctx, v.snapshot, c.cut())
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(x, y Balance) int { return bytes.Compare(x.ID[:], y.ID[:]) })
		for i := range all {
			b := &all[i]
			if err := c.hold(ctx, &pastAccount{id: b.ID, currency: b.Currency, scale: b.Scale}, b.left()); err != nil {
				return err
			}
		}
	}
	return nil
}

// pastAccount is an account and its balances at some cuts, which rise.
type pastAccount struct {
	id       uuid.UUID
	currency string
	scale    uint8
	opened   int64
	at       []balances
}

// pastBatch is some accounts whose balances are being read.
type pastBatch struct {
	accounts []pastAccount
	read     chan error
}

// holdByAccount reads what some accounts at a time had at the cuts of the claims,
// which are in order, and holds it against them in order of the accounts' ids.
func (v *verification) holdByAccount(ctx context.Context, page []claim) error {
	cuts := make([]int64, len(page))
	for i, c := range page {
		cuts[i] = c.cut()
	}
	ordered, toRead := make(chan *pastBatch, v.workers), make(chan *pastBatch)
	return parallel(ctx, v.workers+2, func(ctx context.Context, i int) error {
		switch i {
		case 0:
			defer close(ordered)
			defer close(toRead)
			return v.eachBatch(ctx, func(b *pastBatch) error {
				for _, to := range []chan *pastBatch{ordered, toRead} {
					select {
					case to <- b:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				return nil
			})
		case 1:
			return holdBatches(ctx, ordered, page)
		}
		for b := range toRead {
			b.read <- retry(ctx, func() error { return v.readPast(ctx, b.accounts, cuts) })
		}
		return nil
	})
}

// holdBatches holds accounts against claims as their balances become known.
func holdBatches(ctx context.Context, ordered <-chan *pastBatch, page []claim) error {
	for b := range ordered {
		select {
		case err := <-b.read:
			if err != nil {
				return fmt.Errorf("reading balances in order of accounts: %w", err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		for i, c := range page {
			for j := range b.accounts {
				if a := &b.accounts[j]; a.opened < c.cut() {
					if err := c.hold(ctx, a, &a.at[i]); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// Index: accounts_in_order; without it, the accounts are sorted for each page.
const treeAccountsSQL = `
select account_id, currency, scale, opened_seq
from book.accounts
where (ledger_id, account_id) > ($1::uuid, $2::uuid) and ledger_id <= $1::uuid
order by ledger_id, account_id
limit $3::int8`

// eachBatch calls f with the accounts of the ledger, in order of their ids.
func (v *verification) eachBatch(ctx context.Context, f func(*pastBatch) error) error {
	for last := uuid.Nil; ; {
		var accounts []pastAccount
		err := retry(ctx, func() error {
			accounts = accounts[:0]
			return v.snapshot.Scan(ctx, treeAccountsSQL, []any{v.snapshot.LedgerID, last, int64(v.bounds.page)}, func(r *store.Row) error {
				accounts = append(accounts, pastAccount{id: r.UUID(0), currency: string(r.Text(1)), scale: r.Scale(2), opened: r.Int64(3)})
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("reading accounts in order: %w", err)
		}
		if len(accounts) == 0 {
			return nil
		}
		last = accounts[len(accounts)-1].id
		if err := f(&pastBatch{accounts, make(chan error, 1)}); err != nil {
			return err
		}
	}
}

// readPast fills in the balances of accounts at some cuts, which rise: those that the
// first pass has met, or else by searching the postings of each account for the last
// one before a cut, or by reading all of them.
func (v *verification) readPast(ctx context.Context, accounts []pastAccount, cuts []int64) error {
	for i := range accounts {
		accounts[i].at = make([]balances, len(cuts))
	}
	if v.marks != nil && v.marks.fill(accounts, cuts) {
		return nil
	}
	if v.searches(accounts, len(cuts)) {
		found, err := v.searchBalances(ctx, accounts, cuts)
		if found || err != nil {
			return err
		}
		for i := range accounts {
			clear(accounts[i].at)
		}
	}
	return v.readBalances(ctx, accounts, cuts)
}

// searchLookUps is how many postings are looked up for an account and a cut.
const searchLookUps = 4

// searches reports whether to search: only where the newest postings are known, which
// they are where nothing was found to be wrong, so that the account_seq of an account
// run from 1 to the newest, and their seq rise with them.
func (v *verification) searches(accounts []pastAccount, cuts int) bool {
	if v.newest == nil {
		return false
	}
	if v.bounds.follow != cheapest {
		return v.bounds.follow == alongChain
	}
	postings := int64(0)
	for i := range accounts {
		postings += v.newest[accounts[i].id].accountSeq
	}
	return int64(len(accounts)*cuts)*searchLookUps*lookUpCost < postings
}

// search is what is known of where the last posting of an account before a cut is:
// at least low, and below high.
type search struct {
	at              int // in the accounts
	low, high       int64
	lowSeq, highSeq int64 // their entries
}

// next is the account_seq that is looked up next: where it would be if the postings
// were spread evenly, and every third time in the middle.
func (s *search) next(cut int64, round int) int64 {
	width := uint64(s.high - s.low)
	into := width / 2
	if round%3 != 2 && s.lowSeq < cut && cut < s.highSeq {
		hi, lo := bits.Mul64(width, uint64(cut-s.lowSeq))
		into, _ = bits.Div64(hi, lo, uint64(s.highSeq-s.lowSeq))
	}
	return s.low + int64(min(max(into, 1), width-1))
}

// Index: i9_postings_account_seq.
const postingNumberedSQL = `
select account_id, seq, posted, pending_debit, pending_credit
from book.postings
where account_id = u.id and account_seq = u.n and ledger_id = $1::uuid`

// searchBalances searches for the balances of all accounts at the same time, one
// look-up of each after the other. It reports false when a posting is missing.
func (v *verification) searchBalances(ctx context.Context, accounts []pastAccount, cuts []int64) (found bool, err error) {
	place := make(map[uuid.UUID]int, len(accounts))
	for i := range accounts {
		place[accounts[i].id] = i
	}
	before := make([]search, len(accounts)) // where the last posting before the cut before is
	for i := range before {
		before[i].lowSeq = accounts[i].opened
	}
	for c, cut := range cuts {
		open := v.beginSearch(accounts, before, c, cut)
		for round := 0; len(open) > 0; round++ {
			keys := make([]store.Key, len(open))
			for i := range open {
				keys[i] = store.Key{ID: accounts[open[i].at].id, N: open[i].next(cut, round)}
			}
			asked, rows := make(map[int]int, len(open)), 0
			for i := range open {
				asked[open[i].at] = i
			}
			err := v.snapshot.ScanEach(ctx, postingNumberedSQL, []any{v.snapshot.LedgerID}, keys, func(r *store.Row) error {
				rows++
				at := place[r.UUID(0)]
				s, a := &open[asked[at]], &accounts[at]
				number, seq := keys[asked[at]].N, r.Int64(1)
				if seq >= cut {
					s.high, s.highSeq = number, seq
					return nil
				}
				s.low, s.lowSeq = number, seq
				a.at[c] = balances{accountSeq: number, posted: r.Units(2, a.scale), pendingDebit: r.Units(3, a.scale), pendingCredit: r.Units(4, a.scale)}
				return nil
			})
			if err != nil || rows != len(open) {
				return false, err
			}
			open = slices.DeleteFunc(open, func(s search) bool {
				before[s.at] = s
				return s.high-s.low == 1
			})
		}
	}
	return true, nil
}

// beginSearch returns the searches for a cut that are not over at once, and settles
// the others: of accounts without a posting since the cut before, or none since this.
func (v *verification) beginSearch(accounts []pastAccount, before []search, c int, cut int64) (open []search) {
	for i := range accounts {
		a := &accounts[i]
		newest, ok := v.newest[a.id]
		if c > 0 {
			a.at[c] = a.at[c-1]
		}
		if !ok || a.opened >= cut {
			continue
		}
		s := before[i]
		s.at, s.high, s.highSeq = i, newest.accountSeq+1, v.snapshot.Size
		switch {
		case newest.seq < cut:
			a.at[c] = newest.balances
			s.low, s.lowSeq = newest.accountSeq, newest.seq
			before[i] = s
		case newest.accountSeq == s.low+1: // it is the only one since, and not before the cut
		default:
			s.high, s.highSeq = newest.accountSeq, newest.seq
			open = append(open, s)
		}
	}
	return open
}

// Index: i9_postings_account_seq.
const pastPostingsSQL = `
select account_id, seq, scale, account_seq, posted, pending_debit, pending_credit
from book.postings
where account_id = any($1::uuid[]) and ledger_id = $2::uuid and seq < $3::int8
order by account_id, account_seq, seq`

// readBalances walks through the postings of each account once, and notes its
// balances at each cut.
func (v *verification) readBalances(ctx context.Context, accounts []pastAccount, cuts []int64) error {
	ids := make([]uuid.UUID, len(accounts))
	for i := range accounts {
		ids[i] = accounts[i].id
	}
	at := 0
	return v.snapshot.Scan(ctx, pastPostingsSQL, []any{ids, v.snapshot.LedgerID, cuts[len(cuts)-1]}, func(r *store.Row) error {
		id := r.UUID(0)
		for accounts[at].id != id {
			at++
		}
		scale := r.Scale(2)
		b := balances{accountSeq: r.Int64(3), posted: r.Units(4, scale), pendingDebit: r.Units(5, scale), pendingCredit: r.Units(6, scale)}
		seq := r.Int64(1)
		first := sort.Search(len(cuts), func(i int) bool { return cuts[i] > seq })
		for i := first; i < len(cuts); i++ {
			accounts[at].at[i] = b
		}
		return nil
	})
}
