package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"tallystick/ledger/chain"
)

// What two checkpoints show.
var (
	// errFork: two checkpoints cannot both be of one ledger that only grew.
	errFork = errors.New("no ledger that only grows has both")
	// errPin: the ledger does not extend the checkpoint that its user kept.
	errPin = errors.New("the ledger does not extend the checkpoint that was kept")
)

// checkpointPrintCommand prints a checkpoint: tallystick checkpoint print.
type checkpointPrintCommand struct {
	Remote `embed:""`
	Ledger string `required:"" placeholder:"NAME" help:"Ledger whose checkpoint is printed."`
	Output string `type:"path" placeholder:"FILE" help:"Where to write; standard output by default."`
}

// Run prints the note as the server sent it.
func (c *checkpointPrintCommand) Run(ctx context.Context) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	note, err := server.Checkpoint(ctx, c.Ledger)
	if err != nil {
		return fmt.Errorf("reading the checkpoint of ledger %s: %w", c.Ledger, err)
	}
	if _, err := openTrusted(note, nil); err != nil {
		return fmt.Errorf("reading the checkpoint of ledger %s: %w", c.Ledger, err)
	}
	return writeEvidence(c.Output, note)
}

// writeEvidence writes a file that must not be there yet, or to standard output.
// What is evidence is never overwritten.
func writeEvidence(path string, data []byte) error {
	if path == "" {
		_, err := os.Stdout.Write(data)
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("creating a file for evidence: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// checkpointCompareCommand compares two checkpoints: tallystick checkpoint
// compare.
type checkpointCompareCommand struct {
	Remote `embed:""`
	Trust  `embed:""`
	A      string `arg:"" type:"path" help:"File that holds a checkpoint."`
	B      string `arg:"" type:"path" help:"File that holds another one of the same ledger."`
	Proof  string `type:"path" placeholder:"FILE" help:"Consistency proof between their sizes, from tallystick prove consistency."`
	Ledger string `placeholder:"NAME" help:"Ledger to ask the server for that proof."`
}

// Run compares.
func (c *checkpointCompareCommand) Run(ctx context.Context) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	var both [2]chain.SignedCheckpoint
	for i, path := range []string{c.A, c.B} {
		note, err := readBounded(path, chain.MaxCheckpoint)
		if err != nil {
			return fmt.Errorf("reading a checkpoint: %w", err)
		}
		if both[i], err = openTrusted(note, policy); err != nil {
			return judged(fmt.Errorf("%s: %w", path, err))
		}
	}
	a, b := &both[0], &both[1]
	if a.Origin != b.Origin {
		return fmt.Errorf("comparing a checkpoint of %s with one of %s: these are two ledgers", a.Origin, b.Origin)
	}
	if a.Size > b.Size {
		a, b = b, a
	}
	proof, err := c.consistency(ctx, a, b)
	if err == nil {
		err = compare(a, b, proof)
	}
	if errors.Is(err, errFork) {
		printFork(a, b, proof)
		if policy == nil { // anybody could have written the two
			err = fmt.Errorf("%s: the two checkpoints contradict each other, and whether they are signed was NOT CHECKED\n  hint: --key or --policy says whose signatures count", a.Origin)
		}
	}
	if err != nil {
		return judged(err)
	}
	fmt.Printf("consistent: %s\n  size %d with root %s\n  size %d with root %s\n", a.Origin, a.Size, a.Root, b.Size, b.Root)
	fmt.Printf("  signed by  %s\n", signers(b, policy))
	return nil
}

// consistency gets the proof that is needed, nil when none is.
func (c *checkpointCompareCommand) consistency(ctx context.Context, a, b *chain.SignedCheckpoint) (*consistencyProof, error) {
	switch {
	case a.Size == b.Size:
		return nil, nil
	case a.Size == 0:
		return nil, chain.ErrEmptyBaseline
	case c.Proof != "":
		text, err := readBounded(c.Proof, maxConsistencyProof)
		if err != nil {
			return nil, fmt.Errorf("reading --proof: %w", err)
		}
		return readConsistencyProof(text)
	case c.Ledger != "":
		server, err := c.client()
		if err != nil {
			return nil, err
		}
		return fetchConsistency(ctx, server, c.Ledger, a.Size, b.Size)
	}
	return nil, fmt.Errorf("comparing sizes %d and %d: that needs the proof between them"+
		"\n  hint: --proof FILE, from tallystick prove consistency --from %d --to %d, or --ledger NAME to ask the server", a.Size, b.Size, a.Size, b.Size)
}

// compare returns nil when b extends a, which is not larger, and errFork when no
// ledger that only grows has both. What a proof says about the smaller tree is
// believed only as far as it leads to the root of b.
func compare(a, b *chain.SignedCheckpoint, p *consistencyProof) error {
	if a.Size == b.Size {
		if a.Root != b.Root {
			return fmt.Errorf("%s at size %d: two roots: %w", a.Origin, a.Size, errFork)
		}
		return nil
	}
	if p.From != a.Size || p.To != b.Size {
		return fmt.Errorf("comparing sizes %d and %d: the proof is between %d and %d", a.Size, b.Size, p.From, p.To)
	}
	if chain.VerifyConsistency(a.Size, b.Size, a.Root, b.Root, p.hashes) == nil {
		return nil
	}
	if err := chain.VerifyConsistency(a.Size, b.Size, p.fromRoot, b.Root, p.hashes); err != nil {
		return fmt.Errorf("comparing sizes %d and %d: the proof leads from neither root to the other, which proves nothing about the checkpoints: %w", a.Size, b.Size, errNoProof)
	}
	return fmt.Errorf("%s at size %d: the checkpoint of size %d is over a tree that had another root there, %s: %w", a.Origin, a.Size, b.Size, p.fromRoot, errFork)
}

// errNoProof: what was offered as a proof proves nothing either way.
var errNoProof = errors.New("no proof")

// printFork prints the evidence, so that it stands without the files and the
// server.
func printFork(a, b *chain.SignedCheckpoint, p *consistencyProof) {
	fmt.Printf("--- checkpoint of size %d\n%s--- checkpoint of size %d\n%s", a.Size, a.Note, b.Size, b.Note)
	if p != nil {
		fmt.Printf("--- nodes that lead from root %s at size %d to the second\n", p.fromRoot, a.Size)
		for _, h := range p.hashes {
			fmt.Println(h)
		}
	}
	fmt.Println("---")
}
