package chain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/money"
)

// balanceTag begins the leaves of a balance tree, see domainTag.
const balanceTag = "tallystick/state"

// ErrBalances: leaves do not make a balance tree, or its totals do not balance.
var ErrBalances = errors.New("not the balances of a ledger")

// ErrTotalRange: a total of a currency is beyond 128 bits, which the rules for single
// balances allow. It comes with ErrBalances.
var ErrTotalRange = errors.New("beyond 128 bits")

// BalanceLeaf is the state of an account after the first Size entries of its
// ledger: a leaf of the tree whose root a balance_commitment binds.
type BalanceLeaf struct {
	LedgerID      uuid.UUID
	Size          int64
	AccountID     uuid.UUID
	Currency      string
	Scale         uint8
	AccountSeq    int64        // of the account's last posting; 0 when there is none
	Posted        money.Int128 // debit-positive
	PendingDebit  money.Int128
	PendingCredit money.Int128
}

// AppendCanonical appends the canonical bytes of l, as FORMAT.md lays them out.
func (l *BalanceLeaf) AppendCanonical(dst []byte) []byte {
	dst = append(dst, balanceTag...)
	dst = binary.BigEndian.AppendUint16(dst, formatVersion)
	dst = append(dst, l.LedgerID[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(l.Size))
	dst = append(dst, l.AccountID[:]...)
	dst = appendText(dst, l.Currency)
	dst = append(dst, l.Scale)
	dst = binary.BigEndian.AppendUint64(dst, uint64(l.AccountSeq))
	dst = l.Posted.AppendBytes(dst)
	dst = l.PendingDebit.AppendBytes(dst)
	return l.PendingCredit.AppendBytes(dst)
}

// Hash returns the RFC 6962 leaf hash of l.
func (l *BalanceLeaf) Hash() Hash {
	var buf [256]byte // more than a leaf that passes Check has
	return HashCanonical(l.AppendCanonical(buf[:0]))
}

// Check reports whether l is within its bounds. The error is ErrMalformed.
func (l *BalanceLeaf) Check() error {
	var err error
	switch {
	case l.Size < 1 || !validSize(l.Size):
		err = malformed("size %d", l.Size)
	case !money.ValidCurrencyCode(l.Currency):
		err = malformed("currency %q", l.Currency)
	case l.Scale > money.MaxScale:
		err = malformed("scale %d", l.Scale)
	case l.AccountSeq < 0:
		err = malformed("account_seq %d", l.AccountSeq)
	case !l.Posted.InRange():
		err = malformed("posted %s", l.Posted)
	case l.PendingDebit.Sign() < 0:
		err = malformed("pending_debit %s", l.PendingDebit)
	case l.PendingCredit.Sign() < 0:
		err = malformed("pending_credit %s", l.PendingCredit)
	case l.AccountSeq == 0 && !(l.Posted.IsZero() && l.PendingDebit.IsZero() && l.PendingCredit.IsZero()):
		err = malformed("figures without a posting")
	default:
		return nil
	}
	return fmt.Errorf("checking the balance of account %s: %w", l.AccountID, err)
}

// DecodeBalanceLeaf reads canonical bytes: exactly what AppendCanonical writes
// of leaves that pass Check. The error is ErrMalformed or ErrUnknown.
func DecodeBalanceLeaf(b []byte) (BalanceLeaf, error) {
	r, err := readerOf("a balance", balanceTag, b)
	if err != nil {
		return BalanceLeaf{}, err
	}
	l := BalanceLeaf{
		LedgerID: r.uuid(), Size: r.int64(), AccountID: r.uuid(), Currency: r.text(), Scale: r.uint8(), AccountSeq: r.int64(),
		Posted: r.int128(), PendingDebit: r.int128(), PendingCredit: r.int128(),
	}
	if err := r.end(); err != nil {
		return BalanceLeaf{}, err
	}
	if err := l.Check(); err != nil {
		return BalanceLeaf{}, err
	}
	return l, nil
}

// BalanceTotal is what all accounts of a currency come to: Posted is the sum of
// the positive balances, and of the negative ones without their sign; Pending
// that of the open holds on either side.
type BalanceTotal struct {
	Currency string
	Scale    uint8
	Posted   money.Int128
	Pending  money.Int128
}

// sides are the sums that must be equal in pairs.
type sides struct {
	scale                                           uint8
	positive, negative, pendingDebit, pendingCredit money.Int128
}

// BalanceTree takes the leaves of a balance tree in order, and keeps what a
// balance_commitment says of them: their number, their root and the totals. It
// takes the memory of a Frontier and of the totals, whatever the number of
// accounts. Make one with NewBalanceTree.
type BalanceTree struct {
	ledger uuid.UUID
	size   int64
	leaves pathFrontier
	last   uuid.UUID
	totals map[string]*sides

	watched *uuid.UUID
	proof   *AccountProof // of the watched account, without its path
}

// NewBalanceTree returns the tree without leaves of a ledger at a size.
func NewBalanceTree(ledger uuid.UUID, size int64) *BalanceTree {
	return &BalanceTree{ledger: ledger, size: size, totals: make(map[string]*sides)}
}

// Append adds the next leaf: of the same ledger and size, of an account whose id
// is above that of the one before. The error is ErrBalances or ErrMalformed, and
// the tree of no use after it.
func (t *BalanceTree) Append(l *BalanceLeaf) error {
	if err := l.Check(); err != nil {
		return err
	}
	switch {
	case l.LedgerID != t.ledger || l.Size != t.size:
		return fmt.Errorf("adding account %s of ledger %s at size %d to the balances of ledger %s at size %d: %w", l.AccountID, l.LedgerID, l.Size, t.ledger, t.size, ErrBalances)
	case t.Accounts() > 0 && bytes.Compare(l.AccountID[:], t.last[:]) <= 0:
		return fmt.Errorf("adding account %s behind %s: %w", l.AccountID, t.last, ErrBalances)
	}
	if err := t.count(l); err != nil {
		return err
	}
	watched := t.watched != nil && *t.watched == l.AccountID
	if watched {
		t.proof = &AccountProof{Leaf: *l, Index: t.Accounts()}
	}
	t.leaves.append(l.Hash(), watched)
	t.last = l.AccountID
	return nil
}

func (t *BalanceTree) count(l *BalanceLeaf) error {
	s := t.totals[l.Currency]
	if s == nil {
		s = &sides{scale: l.Scale}
		t.totals[l.Currency] = s
	}
	if s.scale != l.Scale {
		return fmt.Errorf("adding account %s with %s at scale %d, after others at scale %d: %w", l.AccountID, l.Currency, l.Scale, s.scale, ErrBalances)
	}
	side, amount := &s.positive, l.Posted
	if amount.Sign() < 0 {
		side = &s.negative
		amount, _ = amount.Neg() // Check has seen that it is in range
	}
	for _, sum := range []struct {
		to     *money.Int128
		amount money.Int128
	}{{side, amount}, {&s.pendingDebit, l.PendingDebit}, {&s.pendingCredit, l.PendingCredit}} {
		var ok bool
		if *sum.to, ok = sum.to.Add(sum.amount); !ok {
			return fmt.Errorf("adding up %s with account %s: %w: %w", l.Currency, l.AccountID, ErrTotalRange, ErrBalances)
		}
	}
	return nil
}

// Accounts returns the number of leaves.
func (t *BalanceTree) Accounts() int64 { return t.leaves.frontier.Size() }

// Root returns the root over the leaves so far.
func (t *BalanceTree) Root() Hash { return t.leaves.frontier.Root() }

// Totals returns the totals of each currency that has an account, in the order
// of their codes. The error is ErrBalances when debits and credits differ.
func (t *BalanceTree) Totals() ([]BalanceTotal, error) {
	var list []BalanceTotal
	for currency, s := range t.totals {
		if s.positive != s.negative || s.pendingDebit != s.pendingCredit {
			return nil, fmt.Errorf("adding up %s: %s against %s, pending %s against %s: %w", currency, s.positive.Format(s.scale), s.negative.Format(s.scale),
				s.pendingDebit.Format(s.scale), s.pendingCredit.Format(s.scale), ErrBalances)
		}
		list = append(list, BalanceTotal{currency, s.scale, s.positive, s.pendingDebit})
	}
	slices.SortFunc(list, func(a, b BalanceTotal) int { return strings.Compare(a.Currency, b.Currency) })
	return list, nil
}

// Details returns the details of the balance_commitment that binds the tree.
func (t *BalanceTree) Details() ([]Detail, error) {
	totals, err := t.Totals()
	if err != nil {
		return nil, err
	}
	details := []Detail{
		{"accounts", strconv.FormatInt(t.Accounts(), 10)},
		{"root", t.Root().String()},
		{"size", strconv.FormatInt(t.size, 10)},
	}
	for _, total := range totals {
		details = append(details,
			Detail{"pending." + total.Currency, total.Pending.Format(total.Scale)},
			Detail{"posted." + total.Currency, total.Posted.Format(total.Scale)})
	}
	SortDetails(details)
	return details, nil
}
