package ledger

import (
	"strconv"

	"tallystick/ledger/chain"
)

// CommitBalances asks to bind all balances at a size of the ledger in one root,
// so that a balance can be proven without replaying what made it. The balances
// of some size never change; they are read outside the sequencer, which goes on
// meanwhile (store.BalanceTree).
type CommitBalances struct {
	Common
	standalone
	// Asked is the size that the client named, nil for the newest.
	Asked *int64
	// Size is that of Details.
	Size int64
	// Details are those of chain.BalanceTree, at Size. There are none when the
	// ledger had not come to it: by the time of apply it may have.
	Details []chain.Detail
}

func (*CommitBalances) operation() string                  { return OperationCommitBalances }
func (*CommitBalances) accountCodes(dst []string) []string { return dst }
func (r *CommitBalances) weight() int {
	n := perPosting
	for _, d := range r.Details {
		n += len(d.Name) + len(d.Value)
	}
	return n
}

func (r *CommitBalances) fingerprintTo(b []byte) []byte {
	if r.Asked == nil {
		return append(b, 0)
	}
	return appendText(append(b, 1), strconv.FormatInt(*r.Asked, 10))
}

// apply commits to balances that the ledger has come to.
func (r *CommitBalances) apply(o *overlay) (*draft, *Refusal) {
	switch {
	case r.Size < 1 || r.Size > o.head.Seq+1:
		return nil, refusal(CodeSizeNotReached, "the ledger has %d entries; balances are committed to at a size from 1 to that", o.head.Seq+1)
	case len(r.Details) == 0:
		return nil, refusal(CodeSizeNotReached, "the ledger had not come to %d entries when its balances were read, and has now; send the request again", r.Size)
	case len(r.Details) > chain.MaxDetails:
		return nil, refusal(CodeTooManyCurrencies, "the accounts are in more currencies than an entry can bind, which is %d", MaxCommittedCurrencies)
	}
	return &draft{kind: chain.BalanceCommitment, effective: o.bookingDate, details: r.Details}, nil
}

// MaxCommittedCurrencies is how many currencies a commitment binds the totals
// of: two details each, beside three others.
const MaxCommittedCurrencies = (chain.MaxDetails - 3) / 2
