package ledger

import (
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Account is the state of an account as of an entry of its ledger.
type Account struct {
	chain.Account
	Name       *string
	NameErased bool // the attributes in force came with a name, which was erased
	OpenedSeq  int64
	VersionSeq int64 // the entry that set the attributes in force

	AccountSeq    int64        // number of postings so far
	Posted        money.Int128 // debit-positive
	PendingDebit  money.Int128
	PendingCredit money.Int128

	// Damaged says that the newest stored entry of the account does not match
	// its hash: nothing may be booked on it.
	Damaged bool

	// PostingSeq is the entry of the newest posting; meaningless without one.
	PostingSeq int64
}

// setName takes the name from the entry that set the attributes in force.
func (a *Account) setName(e *Entry) {
	a.Name = e.text.Description
	a.NameErased = a.Name == nil && e.record.Description != nil
}

// Balance returns the booked balance, positive on the account's normal side.
func (a *Account) Balance() money.Int128 { return onNormalSide(a.Type, a.Posted) }

// Held returns what open holds would take away from the balance.
func (a *Account) Held() money.Int128 { return held(a.Type, a.PendingDebit, a.PendingCredit) }

// Available returns balance − held − min_balance, or nil when the account has
// no lower limit, or the figure when 128 bits cannot hold it.
func (a *Account) Available() *money.Int128 {
	return Available(a.Type, a.MinBalance, a.Posted, a.PendingDebit, a.PendingCredit)
}

// Available returns balance − held − min on the normal side of an account of
// type t, from its stored balances; nil when there is no lower limit.
func Available(t chain.AccountType, min *money.Int128, posted, pendingDebit, pendingCredit money.Int128) *money.Int128 {
	if min == nil {
		return nil
	}
	v, ok := onNormalSide(t, posted).Sub(held(t, pendingDebit, pendingCredit))
	if !ok {
		return nil
	}
	if v, ok = v.Sub(*min); !ok {
		return nil
	}
	return &v
}

// Balance turns a stored, debit-positive balance to the normal side of t.
func Balance(t chain.AccountType, posted money.Int128) money.Int128 { return onNormalSide(t, posted) }

func onNormalSide(t chain.AccountType, posted money.Int128) money.Int128 {
	if t.DebitNormal() {
		return posted
	}
	v, _ := posted.Neg() // a balance lies within ±(2^127−1): see rules.go
	return v
}

func held(t chain.AccountType, pendingDebit, pendingCredit money.Int128) money.Int128 {
	if t.DebitNormal() {
		return pendingCredit
	}
	return pendingDebit
}

// incoming returns what open holds would add to the balance.
func incoming(t chain.AccountType, pendingDebit, pendingCredit money.Int128) money.Int128 {
	if t.DebitNormal() {
		return pendingDebit
	}
	return pendingCredit
}
