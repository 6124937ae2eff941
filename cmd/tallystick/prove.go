package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"

	"tallystick/api/client"
	"tallystick/ledger/chain"
)

// maxConsistencyProof is the most bytes of a consistency proof.
const maxConsistencyProof = 2 * chain.MaxCheckpoint

// proveEntryCommand gets a receipt: tallystick prove entry.
type proveEntryCommand struct {
	Remote   `embed:""`
	Trust    `embed:""`
	Ledger   string `required:"" placeholder:"NAME" help:"Ledger that has the entry."`
	Seq      *int64 `xor:"which" required:"" placeholder:"N" help:"The entry."`
	Transfer string `xor:"which" required:"" placeholder:"ID" help:"The transfer whose entry is proved."`
	Out      string `type:"path" placeholder:"FILE" help:"Where to write the receipt, such as payment.tlog-proof; standard output by default."`
}

// Run gets the receipt, and writes it if it holds.
func (c *proveEntryCommand) Run(ctx context.Context) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	server, err := c.client()
	if err != nil {
		return err
	}
	seq, err := c.seq(ctx, server)
	if err != nil {
		return err
	}
	text, err := server.Receipt(ctx, c.Ledger, seq, client.Newest)
	if err != nil {
		return fmt.Errorf("asking for the proof of entry %d: %w%s", seq, err, hintUnsealed(err))
	}
	receipt, err := chain.ParseReceipt(text)
	if err != nil {
		return fmt.Errorf("reading the server's proof of entry %d: %w", seq, err)
	}
	entry, signed, err := verifyReceipt(receipt, policy)
	if err == nil && entry.Seq != seq {
		err = fmt.Errorf("the server proved entry %d in place of %d: %w", entry.Seq, seq, chain.ErrProof)
	}
	if err != nil {
		return judged(err)
	}
	if err := writeEvidence(c.Out, text); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "entry %d stands under the checkpoint of size %d\n  signed by  %s\n", seq, signed.Size, signers(&signed, policy))
	return nil
}

// seq returns the entry to prove.
func (c *proveEntryCommand) seq(ctx context.Context, server *client.Client) (int64, error) {
	if c.Seq != nil {
		return *c.Seq, nil
	}
	entries, err := server.TransferEntries(ctx, c.Ledger, c.Transfer)
	if err != nil {
		return 0, fmt.Errorf("looking for transfer %s: %w", c.Transfer, err)
	}
	if len(entries) == 0 {
		return 0, fmt.Errorf("looking for transfer %s: the server names no entry of it", c.Transfer)
	}
	return entries[0].Seq, nil
}

func hintUnsealed(err error) string {
	if client.HasCode(err, "not_sealed") || client.HasCode(err, "no_checkpoint") {
		return "\nhint: a signer publishes a checkpoint every second while there is something new; is one running?"
	}
	return ""
}

// verifyReceipt returns the entry that a receipt proves and the checkpoint it is
// under. Without a policy, signatures are not verified.
func verifyReceipt(r *chain.Receipt, policy *chain.Policy) (*chain.Entry, chain.SignedCheckpoint, error) {
	if policy != nil {
		entry, signed, err := r.Verify(policy.Keys()...)
		if err == nil {
			err = checkQuorum(&signed, policy)
		}
		return entry, signed, err
	}
	entry, err := chain.Decode(r.Canonical)
	if err != nil {
		return nil, chain.SignedCheckpoint{}, fmt.Errorf("reading the entry of a receipt: %w", err)
	}
	signed, err := openTrusted(r.Checkpoint, nil)
	if err == nil && entry.Seq != r.Index {
		err = fmt.Errorf("entry %d at leaf %d: %w", entry.Seq, r.Index, chain.ErrProof)
	}
	if err == nil {
		err = chain.VerifyInclusion(r.Index, signed.Size, chain.HashCanonical(r.Canonical), r.Proof, signed.Root)
	}
	return &entry, signed, err
}

// consistencyProof is what GET …/proof/consistency answers.
type consistencyProof struct {
	Origin     string   `json:"origin"`
	From       int64    `json:"from"`
	FromRoot   string   `json:"from_root"`
	To         int64    `json:"to"`
	ToRoot     string   `json:"to_root"`
	Hashes     []string `json:"hashes"`
	Checkpoint *string  `json:"checkpoint"`

	text             json.RawMessage
	fromRoot, toRoot chain.Hash
	hashes           []chain.Hash
}

func readConsistencyProof(text []byte) (*consistencyProof, error) {
	p := &consistencyProof{text: text}
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("reading a consistency proof: %w", err)
	}
	p.hashes = make([]chain.Hash, len(p.Hashes))
	for text, into := range p.places() {
		h, ok := chain.ParseHash(text)
		if !ok {
			return nil, fmt.Errorf("reading a consistency proof: %q is no hash", text)
		}
		*into = h
	}
	return p, nil
}

// places yields every hash as text, and where it goes.
func (p *consistencyProof) places() iter.Seq2[string, *chain.Hash] {
	return func(yield func(string, *chain.Hash) bool) {
		if !yield(p.FromRoot, &p.fromRoot) || !yield(p.ToRoot, &p.toRoot) {
			return
		}
		for i := range p.Hashes {
			if !yield(p.Hashes[i], &p.hashes[i]) {
				return
			}
		}
	}
}

// fetchConsistency asks the server for the proof between two sizes.
func fetchConsistency(ctx context.Context, server *client.Client, ledger string, from, to int64) (*consistencyProof, error) {
	text, err := server.Consistency(ctx, ledger, from, to)
	if err != nil {
		return nil, fmt.Errorf("asking for the proof from size %d on: %w%s", from, err, hintUnsealed(err))
	}
	return readConsistencyProof(text)
}

// proveConsistencyCommand gets a consistency proof: tallystick prove
// consistency.
type proveConsistencyCommand struct {
	Remote `embed:""`
	Trust  `embed:""`
	Ledger string `required:"" placeholder:"NAME" help:"Ledger to prove it of."`
	From   *int64 `xor:"from" required:"" placeholder:"N" help:"Size to begin at."`
	Since  string `xor:"from" required:"" type:"path" placeholder:"FILE" help:"Checkpoint that you kept: the ledger must extend it."`
	To     *int64 `placeholder:"N" help:"Size to prove it for; that of the newest checkpoint by default."`
	Out    string `type:"path" placeholder:"FILE" help:"Where to write the proof; standard output by default."`
}

// Run gets the proof, and writes it if it holds.
func (c *proveConsistencyCommand) Run(ctx context.Context) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	var pin chain.SignedCheckpoint
	if c.From != nil {
		pin.Size = *c.From
	} else {
		note, err := readBounded(c.Since, chain.MaxCheckpoint)
		if err != nil {
			return fmt.Errorf("reading --since: %w", err)
		}
		if pin, err = openTrusted(note, policy); err != nil {
			return judged(fmt.Errorf("%s: %w", c.Since, err))
		}
	}
	if pin.Size == 0 {
		return judged(fmt.Errorf("proving consistency from size 0: %w", chain.ErrEmptyBaseline))
	}
	server, err := c.client()
	if err != nil {
		return err
	}
	to := int64(client.Newest)
	if c.To != nil {
		to = *c.To
	}
	p, err := fetchConsistency(ctx, server, c.Ledger, pin.Size, to)
	if err != nil {
		return err
	}
	signed, err := c.check(p, &pin, policy)
	if err != nil {
		return judged(err)
	}
	if err := writeEvidence(c.Out, append(p.text, '\n')); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "ledger %s at size %d extends what it was at size %d\n", p.Origin, p.To, p.From)
	if p.Checkpoint == nil {
		fmt.Fprintf(os.Stderr, "  signed by  NOT CHECKED: nothing was signed at size %d\n", p.To)
	} else {
		fmt.Fprintf(os.Stderr, "  signed by  %s\n", signers(signed, policy))
	}
	return nil
}

// check verifies a proof: that it leads from the pin, if one was kept, to the
// checkpoint that the server shows with it.
func (c *proveConsistencyCommand) check(p *consistencyProof, pin *chain.SignedCheckpoint, policy *chain.Policy) (*chain.SignedCheckpoint, error) {
	if p.From != pin.Size || c.To != nil && p.To != *c.To || pin.Origin != "" && p.Origin != pin.Origin {
		return nil, fmt.Errorf("the proof is of %s from size %d to %d, which was not asked for: %w", p.Origin, p.From, p.To, errNoProof)
	}
	var signed chain.SignedCheckpoint
	if p.Checkpoint != nil {
		var err error
		if signed, err = openTrusted([]byte(*p.Checkpoint), policy); err != nil {
			return nil, err
		}
		if signed.Origin != p.Origin || signed.Size != p.To || signed.Root != p.toRoot {
			return nil, fmt.Errorf("the checkpoint is of %s at size %d with root %s: %w", signed.Origin, signed.Size, signed.Root, chain.ErrProof)
		}
	}
	if err := chain.VerifyConsistency(p.From, p.To, p.fromRoot, p.toRoot, p.hashes); err != nil {
		return nil, err
	}
	if pin.Origin != "" && p.fromRoot != pin.Root {
		return nil, fmt.Errorf("%s had root %s at size %d, and the checkpoint that was kept has %s: %w", p.Origin, p.fromRoot, p.From, pin.Root, errPin)
	}
	return &signed, nil
}
