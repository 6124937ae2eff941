package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"

	"tallystick/api/client"
	"tallystick/ledger/chain"
)

// proveBalanceCommand gets a balance proof: tallystick prove balance.
type proveBalanceCommand struct {
	Remote  `embed:""`
	Trust   `embed:""`
	Account string `arg:"" help:"Code of the account."`
	Ledger  string `required:"" placeholder:"NAME" help:"Ledger that has the account."`
	Out     string `type:"path" placeholder:"FILE" help:"Where to write the proof, such as wallet.balance-proof; standard output by default."`
}

// Run gets the proof of the balance and the receipt of what commits to it, and
// writes both as one file if they hold.
func (c *proveBalanceCommand) Run(ctx context.Context) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	server, err := c.client()
	if err != nil {
		return err
	}
	account, err := server.Account(ctx, c.Ledger, c.Account)
	if err != nil {
		return fmt.Errorf("reading account %s: %w", c.Account, err)
	}
	receipt, err := c.receipt(ctx, server)
	if err != nil {
		return err
	}
	commitment, signed, err := verifyBalance(receipt, policy)
	if err == nil && receipt.Leaf.AccountID.String() != account.ID {
		err = fmt.Errorf("the server proved the balance of account %s in place of %s: %w", receipt.Leaf.AccountID, account.ID, chain.ErrProof)
	}
	if err != nil {
		return judged(err)
	}
	if err := writeEvidence(c.Out, receipt.Marshal()); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "account %s has the id %s\n", c.Account, account.ID)
	return printBalance(os.Stderr, receipt, commitment, &signed, policy)
}

// receipt puts together what the server has to say.
func (c *proveBalanceCommand) receipt(ctx context.Context, server *client.Client) (*chain.BalanceReceipt, error) {
	proof, err := server.BalanceProof(ctx, c.Ledger, c.Account)
	if err != nil {
		hint := ""
		if client.HasCode(err, "commitment_not_found") {
			hint = "\nhint: somebody with the scope approve has to commit to the balances first: POST /v1/ledgers/" + c.Ledger + "/balance-commitments"
		}
		return nil, fmt.Errorf("asking for the proof of the balance of account %s: %w%s", c.Account, err, hint)
	}
	r := &chain.BalanceReceipt{}
	leaf, err := base64.StdEncoding.DecodeString(proof.Leaf)
	if err == nil {
		r.Leaf, err = chain.DecodeBalanceLeaf(leaf)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the server's proof of the balance of account %s: %w", c.Account, err)
	}
	r.Index, r.Accounts = proof.Index, proof.Accounts
	for _, text := range proof.Path {
		h, ok := chain.ParseHash(text)
		if !ok {
			return nil, fmt.Errorf("reading the server's proof of the balance of account %s: %q is no hash", c.Account, text)
		}
		r.Path = append(r.Path, h)
	}
	text, err := server.Receipt(ctx, c.Ledger, proof.Commitment, client.Newest)
	if err != nil {
		return nil, fmt.Errorf("asking for the proof of entry %d: %w%s", proof.Commitment, err, hintUnsealed(err))
	}
	commitment, err := chain.ParseReceipt(text)
	if err != nil {
		return nil, fmt.Errorf("reading the server's proof of entry %d: %w", proof.Commitment, err)
	}
	r.Commitment = *commitment
	return r, nil
}

// verifyBalance verifies a balance receipt. Without a policy, signatures are not
// verified.
func verifyBalance(r *chain.BalanceReceipt, policy *chain.Policy) (*chain.Entry, chain.SignedCheckpoint, error) {
	commitment, signed, err := verifyReceipt(&r.Commitment, policy)
	if err == nil {
		err = r.AccountProof.Verify(commitment)
	}
	return commitment, signed, err
}

// checkBalance checks a balance receipt offline.
func checkBalance(data []byte, policy *chain.Policy) error {
	r, err := chain.ParseBalanceReceipt(data)
	if err != nil {
		return judged(err)
	}
	commitment, signed, err := verifyBalance(r, policy)
	if err != nil {
		return judged(err)
	}
	return printBalance(os.Stdout, r, commitment, &signed, policy)
}

// printBalance prints what a balance receipt proves.
func printBalance(w io.Writer, r *chain.BalanceReceipt, commitment *chain.Entry, signed *chain.SignedCheckpoint, policy *chain.Policy) error {
	l := &r.Leaf
	fmt.Fprintf(w, "proved: account %s of %s after its first %d entries\n", l.AccountID, signed.Origin, l.Size)
	fmt.Fprintf(w, "  balance    %s %s (debit-positive) after posting %d\n", l.Posted.Format(l.Scale), l.Currency, l.AccountSeq)
	fmt.Fprintf(w, "  held       %s on the debit side, %s on the credit side\n", l.PendingDebit.Format(l.Scale), l.PendingCredit.Format(l.Scale))
	fmt.Fprintf(w, "  commitment entry %d of %s, over %d accounts\n", commitment.Seq, commitment.BookingDate, r.Accounts)
	return fprintCheckpoint(w, signed, policy)
}
