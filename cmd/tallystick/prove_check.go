package main

import (
	"errors"
	"fmt"
	"os"

	"tallystick/ledger/chain"
)

// proveCheckCommand checks a proof offline: tallystick prove check.
type proveCheckCommand struct {
	Trust   `embed:""`
	File    string `arg:"" type:"path" help:"A receipt (.tlog-proof), a statement proof or a balance proof."`
	Balance string `type:"path" placeholder:"FILE" help:"Balance proof of the account of a statement, which shows that its end is no earlier one."`
}

// Run checks the file, with no server and no database.
func (c *proveCheckCommand) Run() error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	if policy == nil {
		return errors.New("checking a proof: --key or --policy says whose signature it needs; without one, anybody could have made it")
	}
	data, err := readBounded(c.File, chain.MaxStatementProof)
	if err != nil {
		return fmt.Errorf("reading a proof: %w", err)
	}
	switch {
	case chain.IsStatementProof(data):
		return c.statement(data, policy)
	case c.Balance != "":
		return fmt.Errorf("checking %s: --balance is for a statement proof", c.File)
	case chain.IsBalanceReceipt(data):
		return checkBalance(data, policy)
	}
	receipt, err := chain.ParseReceipt(data)
	if err != nil {
		return judged(err)
	}
	entry, signed, err := verifyReceipt(receipt, policy)
	if err != nil {
		return judged(err)
	}
	fmt.Printf("proved: entry %d of %s\n", entry.Seq, signed.Origin)
	printEntry(os.Stdout, entry)
	return fprintCheckpoint(os.Stdout, &signed, policy)
}
