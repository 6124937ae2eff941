package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"tallystick/cmd/tallystick/internal/carryover"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/reconcile"
)

// ledgerCarryOverCommand fills the successor of a ledger: tallystick ledger carry-over.
type ledgerCarryOverCommand struct {
	Database   `embed:""`
	Ledger     string `required:"" placeholder:"OLD" help:"Ledger that has lost entries."`
	Into       string `required:"" placeholder:"NEW" help:"Its successor, to which nothing was posted yet: see tallystick ledger reincarnate."`
	Seq        *int64 `placeholder:"N" help:"Entry of the old ledger as of which balances are carried over; by default the last one that its last good checkpoint covers, or that it had when the successor was opened."`
	Unverified bool   `help:"Carry over what the database says, without verifying the old ledger or comparing it with the checkpoint: what was tampered with stays so, in a ledger that verifies."`
	DryRun     bool   `help:"Say what would be carried over, and post nothing."`
	JSON       bool   `name:"json" help:"Print one JSON object."`
}

// Run verifies the old ledger, carries accounts, balances and open holds over, and compares both. Run again, it goes on where
// it was. It exits with 1 when the old ledger was tampered with or both differ, and with 2 when not all of it could be verified.
func (c *ledgerCarryOverCommand) Run(ctx context.Context) error {
	database, db, key, stop, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	o := carryover.Options{DB: db, Seq: c.Seq, Actor: key.id, Salt: randomSalt}
	if o.From, err = namedLedger(ctx, db, c.Ledger); err != nil {
		return err
	}
	if o.Into, err = namedLedger(ctx, db, c.Into); err != nil {
		return err
	}
	if !c.Unverified {
		if err := c.verify(ctx, database.url, &o.From); err != nil {
			return err
		}
		o.Root = func(ctx context.Context, size int64) (chain.Hash, error) {
			return rootAt(db.Nodes(ctx, o.From.ID.UUID), size)
		}
	}
	result, err := c.carry(ctx, o)
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w\nhint: run the same command again, it goes on where it was", err)
	}
	if err != nil {
		return err
	}
	if err := c.print(os.Stdout, &o, result); err != nil {
		return err
	}
	if result.Differ > 0 {
		return exitError{exitTampered}
	}
	return nil
}

func (c *ledgerCarryOverCommand) carry(ctx context.Context, o carryover.Options) (*carryover.Result, error) {
	progress, finish := showPhases(terminal(os.Stderr), "items")
	defer finish()
	o.Progress, o.Now = progress, time.Now()
	if c.DryRun {
		return carryover.Survey(ctx, o)
	}
	journal := o.DB.Journal()
	poster := ledger.NewSequencers(ctx, journal, journal.ClockOffset)
	defer poster.Stop()
	o.Poster = poster
	return carryover.Carry(ctx, o)
}

// verify refuses an old ledger that does not hold: balances that were tampered with would be those of a ledger that holds.
func (c *ledgerCarryOverCommand) verify(ctx context.Context, url string, old *store.LedgerInfo) error {
	workers := reconcile.DefaultWorkers()
	db, err := store.Open(ctx, url, store.RoleAuditor, workers+1)
	if err != nil {
		return err
	}
	defer db.Close()
	report, err := verifyShown(ctx, db, old.ID.UUID, reconcile.Options{Level: reconcile.LevelColumns, Workers: workers}, os.Stderr)
	if err != nil || report.Status == reconcile.Verified {
		return err
	}
	if err := report.WriteText(os.Stderr); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "tallystick: this run posted nothing: ledger %s does not verify\nhint: carry over what is proven with tallystick import, or all that the database says with --unverified\n", old.Terms.Name)
	return exitError{exitCodeOf(report.Status)}
}

// print says what was carried over, or would be.
func (c *ledgerCarryOverCommand) print(w io.Writer, o *carryover.Options, r *carryover.Result) error {
	if c.JSON {
		return c.printJSON(w, o, r)
	}
	p := new(strings.Builder)
	did := "is carried over into"
	switch {
	case r.Before:
		did = "was carried over before into"
	case c.DryRun:
		did = "would be carried over, nothing was posted, into"
	case r.Differ > 0:
		did = "IS NOT THE SAME in"
	}
	fmt.Fprintf(p, "what ledger %s held as of entry %d %s ledger %s\n", o.From.Terms.Name, r.Seq, did, o.Into.Terms.Name)
	fmt.Fprintf(p, "  entry      %d, hash %s\n", r.Seq, r.Hash)
	fmt.Fprintf(p, "  accounts   %d, %d of them closed\n", r.Accounts, r.Closed)
	for _, s := range r.Sums {
		fmt.Fprintf(p, "  %-10s %d balances, %s on each side\n", s.Currency, s.Balances, money.FormatBig(s.Debits, s.Scale))
	}
	fmt.Fprintf(p, "  holds      %d, under their ids; %d more whose time is over\n", r.Holds, r.Expired)
	if r.Settled > 0 {
		fmt.Fprintf(p, "  settled    %d of them since, in ledger %s\n", r.Settled, o.Into.Terms.Name)
	}
	for _, code := range r.Openings {
		fmt.Fprintf(p, "  against    %s\n", code)
	}
	if c.Unverified {
		fmt.Fprintf(p, "  NOT VERIFIED: as the database has it, --unverified\n")
	}
	if r.Seq > r.Covered {
		fmt.Fprintf(p, "  NOT COVERED by the checkpoint that ledger %s binds: entries %d to %d\n", o.Into.Terms.Name, r.Covered+1, r.Seq)
	}
	for _, d := range r.Differences {
		fmt.Fprintf(p, "  DIFFERS    %s of account %s: %s, and %s in ledger %s\n", d.What, d.Account, d.Old, d.New, o.Into.Terms.Name)
	}
	if more := r.Differ - int64(len(r.Differences)); more > 0 {
		fmt.Fprintf(p, "  DIFFERS    %d times more\n", more)
	}
	c.printNext(p, o, r)
	_, err := io.WriteString(w, p.String())
	return err
}

// printNext says what is left to do.
func (c *ledgerCarryOverCommand) printNext(p io.Writer, o *carryover.Options, r *carryover.Result) {
	if r.Since > 0 {
		fmt.Fprintf(p, "NOT CARRIED OVER: the %d entries of ledger %s from %d on: tallystick export --ledger %[2]s, and post again what counts\n", r.Since, o.From.Terms.Name, r.Seq+1)
	}
	switch {
	case r.Differ > 0:
		fmt.Fprintf(p, `Was something posted to ledger %s meanwhile? Its opening accounts stay open: set right what differs, and run this again.
`, o.Into.Terms.Name)
	case !c.DryRun:
		fmt.Fprintf(p, `Not carried over: closed periods, value dates, request ids, bank statements and decisions, the adopted policy, balance commitments, erasures and keys on record.
A request that the old ledger had accepted is a new one here: settle with the front-ends what is under way before they go on.
Names of accounts and texts of open holds stand in both ledgers now: what is erased later is erased in both.
`)
	}
}

// printJSON prints one object.
func (c *ledgerCarryOverCommand) printJSON(w io.Writer, o *carryover.Options, r *carryover.Result) error {
	sums, differences := []any{}, []any{}
	for _, s := range r.Sums {
		sums = append(sums, map[string]any{"currency": s.Currency, "balances": s.Balances, "debits": money.FormatBig(s.Debits, s.Scale)})
	}
	for _, d := range r.Differences {
		differences = append(differences, map[string]any{"account": d.Account, "what": d.What, "old": d.Old, "new": d.New})
	}
	return json.NewEncoder(w).Encode(map[string]any{
		"ledger": o.From.Terms.Name, "into": o.Into.Terms.Name, "seq": r.Seq, "hash": r.Hash.String(), "entries_since": r.Since,
		"dry_run": c.DryRun, "done_before": r.Before, "accounts": r.Accounts, "closed": r.Closed, "sums": sums, "holds": r.Holds,
		"settled_holds": r.Settled, "expired_holds": r.Expired, "verified": !c.Unverified, "covered": r.Covered, "opening_accounts": r.Openings, "differ": r.Differ, "differences": differences,
	})
}
