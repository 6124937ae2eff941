package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/signer"
	"tallystick/ledger/store"
)

// reasonDamage is the reason with which the database need not agree with the
// checkpoint: that it does not is what is wrong.
const reasonDamage = "damage"

// ledgerReincarnateCommand opens a successor after an honest loss: tallystick
// ledger reincarnate.
type ledgerReincarnateCommand struct {
	Database   `embed:""`
	Ledger     string   `required:"" placeholder:"OLD" help:"Ledger that has lost entries."`
	Name       string   `required:"" placeholder:"NEW" help:"Name of its successor."`
	Checkpoint string   `required:"" xor:"signed" type:"existingfile" placeholder:"FILE" help:"The last good checkpoint of the old ledger, a signed note that was kept outside the database."`
	State      string   `name:"signer-state" required:"" xor:"signed" type:"existingfile" placeholder:"FILE" help:"State file of the signer in place of the checkpoint: it has the newest one that was signed."`
	Key        []string `placeholder:"KEY" help:"Verifier key that the checkpoint is signed by; without it, one that the old ledger has on record and has not revoked."`
	Lost       string   `default:"unknown" placeholder:"N|unknown" help:"How many entries are lost, if that is known."`
	Reason     string   `required:"" enum:"restore,failover,damage" help:"Why: ${enum}."`
	Host       string   `env:"TALLYSTICK_HOST" placeholder:"NAME" help:"Host name in the successor's origin; this machine's by default."`
	JSON       bool     `name:"json" help:"Print one JSON object."`
}

// Run opens the successor with the terms of the old ledger, and says what comes
// next. Doing so again prints the same.
func (c *ledgerReincarnateCommand) Run(ctx context.Context) error {
	lost, err := c.lost()
	if err != nil {
		return err
	}
	_, db, key, stop, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	old, err := namedLedger(ctx, db, c.Ledger)
	if err != nil {
		return err
	}
	signed, err := c.open(ctx, db, &old)
	if err != nil {
		return err
	}
	if err := c.compare(ctx, db, &old, &signed.Checkpoint); err != nil {
		return err
	}
	t := &old.Terms
	predecessor := ledger.Predecessor{
		Origin: signed.Origin, Size: signed.Size, Root: signed.Root, CheckpointSHA256: sha256.Sum256(signed.Note),
		LostEntries: lost, LostReason: c.Reason,
	}
	info, err := openLedger(ctx, db, ledger.OpenLedger{
		Actor: key.id, Host: originHost(c.Host), Name: c.Name, TimeZone: t.TimeZone, DayCutoff: t.DayCutoff, BaseCurrency: t.BaseCurrency,
		ValueDaysBack: t.ValueDaysBack, ValueDaysAhead: t.ValueDaysAhead, Predecessor: &predecessor,
	})
	if err != nil {
		return err
	}
	return c.print(&old, &info, &predecessor)
}

func (c *ledgerReincarnateCommand) lost() (*int64, error) {
	if c.Lost == "unknown" {
		return nil, nil
	}
	n, err := strconv.ParseInt(c.Lost, 10, 64)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("reading --lost %q: it is a number of entries, or unknown", c.Lost)
	}
	return &n, nil
}

// open reads the checkpoint and verifies its signature.
func (c *ledgerReincarnateCommand) open(ctx context.Context, db *store.DB, old *store.LedgerInfo) (s chain.SignedCheckpoint, err error) {
	note, from, err := c.read(old)
	if err != nil {
		return s, err
	}
	keys, err := c.keys(ctx, db, old.ID)
	if err != nil {
		return s, err
	}
	s, err = chain.OpenCheckpoint(note, keys...)
	switch {
	case s.Origin != "" && s.Origin != old.Terms.Origin:
		return s, fmt.Errorf("reading %s: it is a checkpoint of %s, and the origin of ledger %s is %s", from, s.Origin, c.Ledger, old.Terms.Origin)
	case errors.Is(err, chain.ErrUnknownKey):
		return s, fmt.Errorf("%w\nhint: name the key with --key if you know it to be the signer's; what the ledger has on record: tallystick keys signer list", err)
	}
	return s, err
}

// read returns the signed note, and the name of the file that has it.
func (c *ledgerReincarnateCommand) read(old *store.LedgerInfo) (note []byte, from string, err error) {
	if c.State != "" {
		state, err := signer.ReadState(c.State)
		if err != nil {
			return nil, c.State, err
		}
		if p := state.Ledgers[old.ID.UUID]; p != nil && p.Note != "" {
			return []byte(p.Note), c.State, nil
		}
		return nil, c.State, fmt.Errorf("reading %s: it has no checkpoint of ledger %s\nhint: take one from an auditor or a witness, with --checkpoint", c.State, c.Ledger)
	}
	file, err := os.Open(c.Checkpoint)
	if err == nil {
		defer file.Close()
		note, err = io.ReadAll(io.LimitReader(file, chain.MaxCheckpoint+1))
	}
	if err != nil {
		err = fmt.Errorf("reading the checkpoint: %w", err)
	}
	return note, c.Checkpoint, err
}

// keys returns those that may have signed the checkpoint.
func (c *ledgerReincarnateCommand) keys(ctx context.Context, db *store.DB, id ledger.LedgerID) ([]chain.VerifierKey, error) {
	if len(c.Key) == 0 {
		return signersOnRecord(ctx, db, id)
	}
	var keys []chain.VerifierKey
	for _, text := range c.Key {
		key, err := chain.ParseLogKey(text)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// signersOnRecord returns the signing keys that a ledger has on record and that
// were not revoked. What a retired one signed stays good.
func signersOnRecord(ctx context.Context, db *store.DB, id ledger.LedgerID) ([]chain.VerifierKey, error) {
	opening, err := db.Opening(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the keys of ledger %s: %w", id, err)
	}
	var keys []chain.VerifierKey
	revoked := make(map[string]bool)
	for i := range opening.Rules {
		if !opening.Rules[i].Intact() {
			return nil, fmt.Errorf("reading the keys of ledger %s: entry %d is not what was sealed\nhint: name the key with --key if you know it to be the signer's", id, opening.Rules[i].Seq())
		}
		r := opening.Rules[i].Record()
		action, _ := r.Detail("action")
		keyID, _ := r.Detail("key_id")
		if role, _ := r.Detail("role"); r.Kind != chain.KeyChanged || role != chain.RoleSigner {
			continue
		}
		if action == chain.KeyRevoke {
			revoked[keyID] = true
		}
		public, _ := r.Detail("public_key")
		if key, err := chain.ParseLogKey(public); action == chain.KeyAdd && err == nil {
			keys = append(keys, key)
		}
	}
	var valid []chain.VerifierKey
	for _, key := range keys {
		if !revoked[key.ID()] {
			valid = append(valid, key)
		}
	}
	return valid, nil
}

// compare holds what the database has of the old ledger against the checkpoint.
func (c *ledgerReincarnateCommand) compare(ctx context.Context, db *store.DB, old *store.LedgerInfo, cp *chain.Checkpoint) error {
	if c.Reason == reasonDamage || old.Size < cp.Size {
		return nil // damaged, or fewer entries than were signed: that is the loss
	}
	root, err := rootAt(db.Nodes(ctx, old.ID.UUID), cp.Size)
	if err != nil {
		return err
	}
	if root != cp.Root {
		return fmt.Errorf("comparing ledger %s with the checkpoint: its first %d entries have the root %s, and %s was signed\nhint: use the newest checkpoint whose entries the database still has; if they were changed, the reason is %s",
			c.Ledger, cp.Size, root, cp.Root, reasonDamage)
	}
	return nil
}

// leavesAtOnce is how many entry hashes are read at a time.
const leavesAtOnce = 4096

// rootAt returns the root over the first size entry hashes. It needs no tiles,
// which a ledger that was never signed here does not have.
func rootAt(read chain.ReadNodes, size int64) (chain.Hash, error) {
	var tree chain.Frontier
	for tree.Size() < size {
		leaves, err := read(0, tree.Size(), min(leavesAtOnce, size-tree.Size()))
		if err != nil {
			return chain.Hash{}, err
		}
		for _, leaf := range leaves {
			tree.Append(leaf)
		}
	}
	return tree.Root(), nil
}

func (c *ledgerReincarnateCommand) print(old, info *store.LedgerInfo, p *ledger.Predecessor) error {
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{
			"id": info.ID.String(), "name": info.Terms.Name, "origin": info.Terms.Origin, "size": info.Size, "head": info.Head.String(),
			"predecessor": map[string]any{"origin": p.Origin, "size": p.Size, "root": p.Root.String(), "checkpoint_sha256": p.CheckpointSHA256.String(),
				"lost_entries": c.Lost, "lost_reason": p.LostReason},
		})
	}
	if err := printLedger(*info, false); err != nil {
		return err
	}
	_, err := fmt.Printf(`  succeeds   %s at size %d, root %s
  lost       %s entries (%s)

What comes next:
  1. Carry accounts, balances and open holds over: tallystick ledger carry-over --ledger %[7]s --into %[6]s,
     with --dry-run first. They are those of entry %[8]d, as at /v1/ledgers/%[7]s/balances?seq=%[8]d.
  2. Give the posting front-ends the new name. Ledger %[7]s stays readable, and is not closed to postings by this:
     revoke or narrow the API keys that still post to it.
  3. Give auditors the checkpoint file and the new origin: what they pinned of the old one ends there.
  4. A signer with its state outside the database goes on refusing the old ledger, until it is started with
     --ended %[1]s (a server: --signer-ended).
     The super-log has lost leaves too: declare that once for the whole database, with tallystick super-log reincarnate.
`, p.Origin, p.Size, p.Root, c.Lost, p.LostReason, info.Terms.Name, old.Terms.Name, min(p.Size, old.Size)-1)
	return err
}
