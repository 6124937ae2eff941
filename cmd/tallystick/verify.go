package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/store"
	"tallystick/reconcile"
)

// maxVerifyWorkers bounds --workers, each of which takes a connection.
const maxVerifyWorkers = 256

// progressEvery is how often the progress bar is drawn.
const progressEvery = 200 * time.Millisecond

// verifyCommand re-derives ledgers from what the database holds.
type verifyCommand struct {
	Database `embed:""`
	File     string `arg:"" optional:"" type:"existingfile" placeholder:"FILE.zip" help:"An evidence bundle to verify instead, with no database."`
	Ledger   string `xor:"which" placeholder:"NAME" help:"Name or UUID of the ledger; main by default."`
	All      bool   `xor:"which" help:"Every ledger in the database."`
	Workers  int    `placeholder:"N" help:"Segments read at once, each over a connection of its own; by default, twice as many as processors."`
	JSON     bool   `name:"json" help:"Print one JSON object, or one a line with --all."`

	verifyEvidence `embed:""`
}

// Run verifies and prints. It exits with 0 when all is well, 1 after critical
// findings, 2 when part could not be checked, and 3 when it could not begin.
func (c *verifyCommand) Run(ctx context.Context) error {
	return c.run(ctx, os.Stdout, os.Stderr)
}

func (c *verifyCommand) run(ctx context.Context, stdout, stderr *os.File) error {
	if c.Workers < 0 || c.Workers > maxVerifyWorkers {
		return fmt.Errorf("reading --workers %d: it is at most %d", c.Workers, maxVerifyWorkers)
	}
	if c.File != "" {
		return c.bundle(ctx, stdout, stderr)
	}
	if c.Compare.given() {
		return c.compare(stdout)
	}
	options, err := c.options(c.All)
	if err != nil {
		return err
	}
	if c.Workers == 0 {
		c.Workers = min(reconcile.DefaultWorkers(), maxVerifyWorkers)
	}
	options.Workers = c.Workers
	db, disconnect, err := c.ConnectForOnePass(ctx, store.RoleAuditor, c.Workers+1)
	if err != nil {
		return err
	}
	defer disconnect()
	done, err := c.reports(ctx, db, options, stdout, stderr)
	if err != nil {
		return err
	}
	if c.HTML != "" {
		if err := writeHTML(c.HTML, done.reports); err != nil {
			return err
		}
	}
	if done.worst != exitFine {
		return exitError{done.worst}
	}
	return nil
}

// reports verifies the ledgers that are asked for, and prints each report. Where there
// is none of a name, it verifies those that may be meant, and without any what is left.
func (c *verifyCommand) reports(ctx context.Context, db *store.DB, options reconcile.Options, stdout, stderr *os.File) (*verified, error) {
	done := &verified{c: c, out: stdout}
	ledgers, unknown := c.ledgers(ctx, db)
	var names []string
	if errors.Is(unknown, reconcile.ErrUnknownLedger) {
		lost, err := reconcile.FindLost(ctx, db, c.Ledger, options.Since)
		if err != nil {
			unknown = err
		}
		if ledgers, names = lost.IDs, lost.Names; len(ledgers) > 0 {
			fmt.Fprintf(stderr, "tallystick: %s; verified instead: the ledgers that had this name or lost theirs\n", unknown)
			options.Others = options.Others && lost.More > 0
		}
	}
	for _, id := range ledgers {
		report, err := verifyShown(ctx, db, id, options, stderr)
		if errors.Is(err, reconcile.ErrUnknownLedger) { // an id that nothing has
			unknown = err
			continue
		}
		if err != nil && c.All && ctx.Err() == nil { // the others can still be verified
			fmt.Fprintf(stderr, "tallystick: ledger %s: %s\n", id, err)
			done.count, done.worst = done.count+1, worse(done.worst, exitIncomplete)
			continue
		}
		if err == nil {
			err = done.add(&report)
		}
		if err != nil {
			return done, err
		}
		options.SuperLog = options.SuperLog && report.Scope.SuperLog == nil // once is enough
	}
	if unknown == nil || done.count > 0 {
		return done, nil
	}
	var why error
	if !errors.Is(unknown, reconcile.ErrUnknownLedger) {
		if !store.Answered(unknown) || ctx.Err() != nil {
			return done, unknown
		}
		why = unknown // something is in the way, and what is left may say what
	}
	report, err := reconcile.VerifyRemains(ctx, db, c.Ledger, options, why)
	if err != nil {
		if errors.Is(err, reconcile.ErrUnknownLedger) {
			err = hintNames(unknown, names)
		}
		return done, err
	}
	fmt.Fprintln(stderr, "tallystick:", hintNames(unknown, names))
	return done, done.add(&report)
}

// verified is what has been verified so far.
type verified struct {
	c       *verifyCommand
	out     io.Writer
	count   int
	worst   int
	reports []reconcile.Report // for the page, if one is asked for
}

func (v *verified) add(report *reconcile.Report) error {
	v.count++
	v.worst = worse(v.worst, exitCodeOf(report.Status))
	if v.c.HTML != "" {
		v.reports = append(v.reports, *report)
	}
	if err := v.c.print(v.out, report); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return nil
}

// ledgers returns the ids of the ledgers to verify; ErrUnknownLedger when there are
// none of them.
func (c *verifyCommand) ledgers(ctx context.Context, db *store.DB) ([]uuid.UUID, error) {
	if !c.All {
		c.Ledger = cmp.Or(c.Ledger, mainLedger)
		id, err := reconcile.FindLedger(ctx, db, c.Ledger)
		if err != nil {
			return nil, err
		}
		return []uuid.UUID{id}, nil
	}
	ids, err := reconcile.Ledgers(ctx, db)
	if err == nil && len(ids) == 0 {
		err = fmt.Errorf("looking for ledgers: %w: the database has none", reconcile.ErrUnknownLedger)
	}
	return ids, err
}

// maxHinted is how many names of ledgers a hint lists.
const maxHinted = 10

// hintNames adds to an unknown name which there are.
func hintNames(unknown error, names []string) error {
	if len(names) == 0 {
		return unknown
	}
	more := ""
	if len(names) > maxHinted {
		more = fmt.Sprintf(" and %d more", len(names)-maxHinted)
	}
	shown := make([]string, min(len(names), maxHinted))
	for i := range shown {
		if shown[i] = names[i]; strconv.Quote(names[i]) != `"`+names[i]+`"` {
			shown[i] = strconv.QuoteToASCII(names[i])
		}
	}
	return fmt.Errorf("%w\nhint: the ledgers of this database are %s%s", unknown, strings.Join(shown, ", "), more)
}

// verifyShown verifies one ledger, with a progress bar if somebody is watching.
func verifyShown(ctx context.Context, db *store.DB, id uuid.UUID, options reconcile.Options, stderr *os.File) (reconcile.Report, error) {
	progress, finish := showPhases(terminal(stderr), "entries")
	defer finish()
	if progress != nil {
		options.Progress = func(done, total int64) { progress("verifying", done, total) }
	}
	return reconcile.Verify(ctx, db, id, options)
}

// isTerminal reports whether f is a terminal, or another device of characters.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (c *verifyCommand) print(w io.Writer, report *reconcile.Report) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(report)
	}
	return report.WriteText(w)
}

func exitCodeOf(s reconcile.Status) int {
	switch s {
	case reconcile.Verified:
		return exitFine
	case reconcile.Tampered:
		return exitTampered
	default:
		return exitIncomplete
	}
}

// worse returns the exit code that weighs more: a tampered ledger more than an
// incomplete check.
func worse(a, b int) int {
	if a == exitTampered || b == exitTampered {
		return exitTampered
	}
	return max(a, b)
}
