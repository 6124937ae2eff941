package reconcile

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// claimsAtOnce is how many claims are held against the postings in one pass over
// them: for each account of a page, the balances at each of their sizes are held at
// once.
const claimsAtOnce = 64

// claim is something that says what all balances were after some first entries.
type claim interface {
	cut() int64
	// hold holds the next account against it, of those open at its cut and in
	// ascending order of their ids, as it stood there.
	hold(ctx context.Context, a *treeAccount, at *balances) error
	// end reports what does not hold.
	end(ctx context.Context) error
}

// Indexes: entries_commitments, or the entries read once.
const commitmentsSQL = `
select seq
from book.entries
where ledger_id = $1::uuid and kind = 'balance_commitment' and seq > $2::int8 and seq < $3::int8
order by seq
limit $4::int8`

// committed is a balance commitment, and what is recomputed of it.
type committed struct {
	v         *verification
	seq, size int64
	details   []chain.Detail
	tree      *chain.BalanceTree
	broken    error // the balances make no tree
}

// checkClaims holds what says that it is the balances after some first entries
// against the postings before its cut (I11): balance commitments, and stored
// snapshots.
func (v *verification) checkClaims(ctx context.Context) error {
	kept := v.storedSnapshots(ctx)
	for after, more := int64(-1), true; ; {
		var page []claim
		if more {
			commitments, last, err := v.commitmentPage(ctx, after)
			if err != nil {
				return err
			}
			for _, c := range commitments {
				page = append(page, c)
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

// commitmentPage reads the next commitments, and the seq of the last of them.
func (v *verification) commitmentPage(ctx context.Context, after int64) (page []*committed, last int64, err error) {
	last = after
	bySeq := make(map[int64]*committed)
	var seqs []int64
	err = retry(ctx, func() error {
		seqs = seqs[:0]
		return v.snapshot.Scan(ctx, commitmentsSQL, []any{v.snapshot.LedgerID, after, v.snapshot.Size, int64(claimsAtOnce)}, func(r *store.Row) error {
			seqs = append(seqs, r.Int64(0))
			return nil
		})
	})
	if err == nil && len(seqs) > 0 {
		last = seqs[len(seqs)-1]
		err = retry(ctx, func() error {
			clear(bySeq)
			return v.snapshot.Scan(ctx, ruleDetailsSQL, []any{v.snapshot.LedgerID, seqs}, func(r *store.Row) error {
				c := bySeq[r.Int64(0)]
				if c == nil {
					c = &committed{v: v, seq: r.Int64(0)}
					bySeq[c.seq] = c
				}
				if len(c.details) <= chain.MaxDetails {
					c.details = append(c.details, chain.Detail{Name: string(r.Text(1)), Value: string(r.Text(2))})
				}
				return nil
			})
		})
	}
	if err != nil {
		return nil, last, fmt.Errorf("reading balance commitments: %w", err)
	}
	for _, seq := range seqs {
		if c := bySeq[seq]; c != nil && v.reads(seq) && v.readSize(c) {
			page = append(page, c)
		}
	}
	return page, last, nil
}

// readSize sets what a commitment is about, and reports whether that can be
// recomputed.
func (v *verification) readSize(c *committed) bool {
	text := c.detail("size")
	size, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return false // malformed, and reported at the entry
	case size < 1 || size > c.seq:
		v.findings.add(finding{code: BalanceCommitmentMismatch, seq: c.seq, column: "size", stored: text, recomputed: fmt.Sprintf("from 1 to %d", c.seq)})
		return false
	}
	c.size, c.tree = size, chain.NewBalanceTree(v.snapshot.LedgerID, size)
	return true
}

func (c *committed) detail(name string) string {
	for _, d := range c.details {
		if d.Name == name {
			return d.Value
		}
	}
	return ""
}

// balanceCost is what an account costs BalancesAt, in postings read in account
// order.
const balanceCost = 4

// holdClaims holds claims against the balances at their cuts: in one pass over all
// postings, or, where only some entries are read and that is the cheaper way, from
// the balances at each of them.
func (v *verification) holdClaims(ctx context.Context, page []claim) error {
	slices.SortStableFunc(page, func(a, b claim) int { return cmp.Compare(a.cut(), b.cut()) })
	var err error
	if v.whole() || v.accounts*int64(len(page))*balanceCost > page[len(page)-1].cut() {
		err = v.passPostings(ctx, page)
	} else {
		err = v.lookUpBalances(ctx, page)
	}
	for i := 0; i < len(page) && err == nil; i++ {
		err = page[i].end(ctx)
	}
	return err
}

// lookUpBalances holds each claim against the balances at its cut.
func (v *verification) lookUpBalances(ctx context.Context, page []claim) error {
	for _, c := range page {
		all, err := BalancesAt(ctx, v.snapshot, c.cut())
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(x, y Balance) int { return bytes.Compare(x.ID[:], y.ID[:]) })
		for i := range all {
			b := &all[i]
			at := balances{accountSeq: b.AccountSeq, posted: b.Posted, pendingDebit: b.PendingDebit, pendingCredit: b.PendingCredit}
			if err := c.hold(ctx, &treeAccount{id: b.ID, currency: b.Currency, scale: b.Scale}, &at); err != nil {
				return err
			}
		}
	}
	return nil
}

// treeAccount is an account and its balances at each size of a page of
// commitments, which rise.
type treeAccount struct {
	id       uuid.UUID
	currency string
	scale    uint8
	opened   int64
	at       []balances
}

// Index: accounts_in_order; without it, the accounts are sorted for each page.
const treeAccountsSQL = `
select account_id, currency, scale, opened_seq
from book.accounts
where (ledger_id, account_id) > ($1::uuid, $2::uuid) and ledger_id <= $1::uuid
order by ledger_id, account_id
limit $3::int8`

// Index: i9_postings_account_seq.
const treePostingsSQL = `
select account_id, seq, scale, account_seq, posted, pending_debit, pending_credit
from book.postings
where account_id = any($1::uuid[]) and ledger_id = $2::uuid and seq < $3::int8
order by account_id, account_seq, seq`

// passPostings walks through the accounts in order of their ids, and the postings of
// each, and holds them against the claims, which are in order of their cuts.
func (v *verification) passPostings(ctx context.Context, page []claim) error {
	sizes := make([]int64, len(page))
	for i, c := range page {
		sizes[i] = c.cut()
	}
	for last := uuid.Nil; ; {
		var accounts []treeAccount
		err := retry(ctx, func() error {
			accounts = accounts[:0]
			return v.snapshot.Scan(ctx, treeAccountsSQL, []any{v.snapshot.LedgerID, last, int64(v.bounds.page)}, func(r *store.Row) error {
				accounts = append(accounts, treeAccount{id: r.UUID(0), currency: string(r.Text(1)), scale: r.Scale(2), opened: r.Int64(3)})
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
		if err := retry(ctx, func() error { return v.readBalances(ctx, accounts, sizes) }); err != nil {
			return fmt.Errorf("reading balances in order of accounts: %w", err)
		}
		for i, c := range page {
			for j := range accounts {
				if a := &accounts[j]; a.opened < sizes[i] {
					if err := c.hold(ctx, a, &a.at[i]); err != nil {
						return err
					}
				}
			}
		}
	}
}

// readBalances walks through the postings of each account once, and notes its
// balances at each size.
func (v *verification) readBalances(ctx context.Context, accounts []treeAccount, sizes []int64) error {
	ids := make([]uuid.UUID, len(accounts))
	for i := range accounts {
		ids[i], accounts[i].at = accounts[i].id, make([]balances, len(sizes))
	}
	at := 0
	return v.snapshot.Scan(ctx, treePostingsSQL, []any{ids, v.snapshot.LedgerID, sizes[len(sizes)-1]}, func(r *store.Row) error {
		id := r.UUID(0)
		for accounts[at].id != id {
			at++
		}
		scale := r.Scale(2)
		b := balances{accountSeq: r.Int64(3), posted: r.Units(4, scale), pendingDebit: r.Units(5, scale), pendingCredit: r.Units(6, scale)}
		seq := r.Int64(1)
		first := sort.Search(len(sizes), func(i int) bool { return sizes[i] > seq })
		for i := first; i < len(sizes); i++ {
			accounts[at].at[i] = b
		}
		return nil
	})
}

func (c *committed) cut() int64 { return c.size }

// hold adds the account to the tree.
func (c *committed) hold(_ context.Context, a *treeAccount, b *balances) error {
	if c.broken == nil {
		c.broken = c.tree.Append(&chain.BalanceLeaf{
			LedgerID: c.v.snapshot.LedgerID, Size: c.size, AccountID: a.id, Currency: a.currency, Scale: a.scale,
			AccountSeq: b.accountSeq, Posted: b.posted, PendingDebit: b.pendingDebit, PendingCredit: b.pendingCredit,
		})
	}
	return nil
}

// end holds what the commitment says against what was recomputed.
func (c *committed) end(context.Context) error {
	var want []chain.Detail
	err := c.broken
	if err == nil {
		want, err = c.tree.Details()
	}
	if err != nil {
		c.v.findings.add(finding{code: BalanceCommitmentMismatch, seq: c.seq, column: "root", stored: c.detail("root"), recomputed: err.Error()})
		return nil
	}
	mismatch := func(name, stored, recomputed string) {
		c.v.findings.add(finding{code: BalanceCommitmentMismatch, seq: c.seq, column: name, stored: stored, recomputed: recomputed})
	}
	wanted := make(map[string]bool, len(want))
	for _, d := range want {
		wanted[d.Name] = true
		if stored := c.detail(d.Name); stored != d.Value {
			mismatch(d.Name, stored, d.Value)
		}
	}
	for _, d := range c.details {
		if !wanted[d.Name] {
			mismatch(d.Name, d.Value, "no account in that currency")
		}
	}
	return nil
}
