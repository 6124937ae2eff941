package chain

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// AccountProof proves the balance of an account by the root in a
// balance_commitment, without the entries that made it.
type AccountProof struct {
	Leaf     BalanceLeaf
	Index    int64  // the place of the account among all, in the order of ids
	Accounts int64  // leaves of the tree
	Path     []Hash // the audit path from the leaf to the root
}

// Verify returns nil when the commitment, a balance_commitment of the leaf's
// ledger, binds the leaf, and otherwise ErrProof or ErrMalformed. That the
// commitment itself stands in the ledger is for a Receipt to prove.
func (p *AccountProof) Verify(commitment *Entry) error {
	if err := p.Leaf.Check(); err != nil {
		return err
	}
	binds := func(name, want string) bool {
		got, ok := commitment.Detail(name)
		return ok && got == want
	}
	text, _ := commitment.Detail("root")
	root, ok := ParseHash(text)
	switch {
	case commitment.Kind != BalanceCommitment || !ok:
		return fmt.Errorf("the balance of account %s by entry %d, which is a %s: %w", p.Leaf.AccountID, commitment.Seq, commitment.Kind, ErrProof)
	case commitment.LedgerID != p.Leaf.LedgerID:
		return fmt.Errorf("the balance of account %s of ledger %s by an entry of ledger %s: %w", p.Leaf.AccountID, p.Leaf.LedgerID, commitment.LedgerID, ErrProof)
	case !binds("size", strconv.FormatInt(p.Leaf.Size, 10)) || p.Leaf.Size > commitment.Seq:
		return fmt.Errorf("the balance of account %s at size %d by entry %d, which is about another size: %w", p.Leaf.AccountID, p.Leaf.Size, commitment.Seq, ErrProof)
	case !binds("accounts", strconv.FormatInt(p.Accounts, 10)):
		return fmt.Errorf("the balance of account %s among %d by entry %d, which is about another number: %w", p.Leaf.AccountID, p.Accounts, commitment.Seq, ErrProof)
	}
	return VerifyInclusion(p.Index, p.Accounts, p.Leaf.Hash(), p.Path, root)
}

// Watch asks for the proof of an account, before the first leaf is added.
func (t *BalanceTree) Watch(account uuid.UUID) { t.watched = &account }

// Proof returns the proof of the watched account in the tree of the leaves so
// far; ok is false when the account is not among them.
func (t *BalanceTree) Proof() (p AccountProof, ok bool) {
	if t.proof == nil {
		return AccountProof{}, false
	}
	p = *t.proof
	p.Accounts, p.Path = t.Accounts(), t.leaves.path()
	return p, true
}

// pathFrontier is a frontier that collects the audit path of one of its leaves
// while leaves are added, so that none has to be kept.
type pathFrontier struct {
	frontier Frontier
	below    []Hash // the path within the complete subtree that has the leaf
	at       int    // which of the frontier's nodes that is
	has      bool   // the leaf was added
}

// append adds a leaf, the one that the path is of if marked.
func (f *pathFrontier) append(leaf Hash, marked bool) {
	nodes, node, holds := f.frontier.nodes, leaf, marked
	last := len(nodes) - 1
	for s := f.frontier.size; s&1 == 1; s >>= 1 {
		switch {
		case holds:
			f.below = append(f.below, nodes[last])
		case f.has && f.at == last:
			f.below, holds = append(f.below, node), true
		}
		node = NodeHash(nodes[last], node)
		last--
	}
	if holds {
		f.at, f.has = last+1, true
	}
	f.frontier.nodes = append(nodes[:last+1], node)
	f.frontier.size++
}

// path returns the audit path of the marked leaf to the root.
func (f *pathFrontier) path() []Hash {
	nodes := f.frontier.nodes
	path := append([]Hash(nil), f.below...)
	if last := len(nodes) - 1; f.at < last {
		right := nodes[last]
		for i := last - 1; i > f.at; i-- {
			right = NodeHash(nodes[i], right)
		}
		path = append(path, right)
	}
	for i := f.at - 1; i >= 0; i-- {
		path = append(path, nodes[i])
	}
	return path
}

// BalanceReceipt proves a balance to everyone who knows the signer's key: the
// leaf under a balance_commitment, and that entry under a signed checkpoint.
// Files of it are named .balance-proof.
type BalanceReceipt struct {
	AccountProof
	Commitment Receipt
}

// What stands before each part of a balance receipt.
const (
	balanceHeader   = "tallystick/balance-proof@v1"
	balanceLeaf     = "\nleaf "
	balanceIndex    = "\nindex "
	balanceAccounts = "\naccounts "
)

// maxBalanceReceipt is the most bytes of a balance receipt.
const maxBalanceReceipt = MaxReceipt + 8<<10

// Marshal returns the receipt as a .balance-proof file.
func (r *BalanceReceipt) Marshal() []byte {
	b := append([]byte(balanceHeader), balanceLeaf...)
	b = append(base64.StdEncoding.AppendEncode(b, r.Leaf.AppendCanonical(nil)), balanceIndex...)
	b = append(strconv.AppendInt(b, r.Index, 10), balanceAccounts...)
	b = strconv.AppendInt(b, r.Accounts, 10)
	for _, h := range r.Path {
		b = base64.StdEncoding.AppendEncode(append(b, '\n'), h[:])
	}
	return append(append(b, "\n\n"...), r.Commitment.Marshal()...)
}

// IsBalanceReceipt reports whether data begin as what Marshal returned.
func IsBalanceReceipt(data []byte) bool { return bytes.HasPrefix(data, []byte(balanceHeader)) }

// ParseBalanceReceipt reads what Marshal returned, and nothing else. It verifies
// nothing. The error is ErrReceipt, ErrMalformed or ErrUnknown.
func ParseBalanceReceipt(data []byte) (*BalanceReceipt, error) {
	if len(data) > maxBalanceReceipt {
		return nil, fmt.Errorf("reading a balance receipt of %d bytes, more than %d: %w", len(data), maxBalanceReceipt, ErrReceipt)
	}
	proof, receipt, ok := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(proof), "\n")
	if !ok || lines[0] != balanceHeader {
		return nil, fmt.Errorf("reading a balance receipt, which begins with %q and has an empty line before the receipt of its commitment: %w", balanceHeader, ErrReceipt)
	}
	if len(lines) < 4 {
		return nil, fmt.Errorf("reading a balance receipt of %d lines before the receipt of its commitment: %w", len(lines), ErrReceipt)
	}
	r := &BalanceReceipt{}
	leaf, err := base64.StdEncoding.DecodeString(strings.TrimPrefix("\n"+lines[1], balanceLeaf))
	if err != nil {
		return nil, fmt.Errorf("reading the leaf of a balance receipt: %w", ErrReceipt)
	}
	if r.Leaf, err = DecodeBalanceLeaf(leaf); err != nil {
		return nil, fmt.Errorf("reading the leaf of a balance receipt: %w", err)
	}
	if r.Index, err = parseReceiptNumber(lines[2], balanceIndex); err != nil {
		return nil, err
	}
	if r.Accounts, err = parseReceiptNumber(lines[3], balanceAccounts); err != nil {
		return nil, err
	}
	if r.Path, err = parseReceiptHashes(lines[4:]); err != nil {
		return nil, err
	}
	commitment, err := ParseReceipt(receipt)
	if err != nil {
		return nil, fmt.Errorf("reading the commitment of a balance receipt: %w", err)
	}
	if r.Commitment = *commitment; !bytes.Equal(r.Marshal(), data) {
		return nil, fmt.Errorf("reading a balance receipt that is not in the one form there is: %w", ErrReceipt)
	}
	return r, nil
}

// Verify returns the commitment and the checkpoint that the balance is proven
// under, as Receipt.Verify does.
func (r *BalanceReceipt) Verify(keys ...VerifierKey) (*Entry, SignedCheckpoint, error) {
	commitment, signed, err := r.Commitment.Verify(keys...)
	if err != nil {
		return commitment, signed, fmt.Errorf("verifying the commitment of a balance: %w", err)
	}
	return commitment, signed, r.AccountProof.Verify(commitment)
}
