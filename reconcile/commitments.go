package reconcile

import (
	"context"
	"fmt"
	"strconv"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

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
		if c := bySeq[seq]; c != nil {
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

func (c *committed) cut() int64 { return c.size }

// hold adds the account to the tree.
func (c *committed) hold(_ context.Context, a *pastAccount, b *balances) error {
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
	c.v.derived.Commitments++
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
