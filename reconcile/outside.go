package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// What lies outside the database, and so cannot be rewritten with it: a
// checkpoint that the auditor pinned, archived ones, receipts of clients, the
// state of the signer.

// Fork is two signed checkpoints that cannot both be of one ledger. It proves
// itself: who has the key of the signer needs neither us nor a database.
type Fork struct {
	Seq          int64 // of the finding
	Name         string
	Theirs, Ours []byte // signed notes: the one that was given, the one of the database
	TheirSize    int64
	TheirRoot    chain.Hash
	OurSize      int64
	OurRoot      chain.Hash // of OurSize
	// RootHere and Nodes are empty when the sizes are the same. Otherwise the
	// nodes are the consistency proof (RFC 6962) that the tree of Ours has
	// RootHere at TheirSize, where Theirs has another root.
	RootHere chain.Hash
	Nodes    []chain.Hash
}

// readPin reads the pinned checkpoint.
func (v *verification) readPin(pin *Document) error {
	if pin == nil {
		return nil
	}
	keys := &v.evidence.keys
	s, err := chain.OpenCheckpoint(pin.Data)
	if errors.Is(err, chain.ErrCheckpoint) {
		return fmt.Errorf("reading the pinned checkpoint %s: %w", pin.Name, err)
	}
	renamed := keys.origin != "" && s.Origin != keys.origin
	switch ofThis := strings.HasSuffix(s.Origin, "/"+v.snapshot.LedgerID.String()); {
	case renamed && ofThis: // it is the ledger that has another origin now
		v.findings.add(finding{code: OriginMismatch, seq: 0, stored: keys.origin, recomputed: s.Origin + ", by the pinned checkpoint"})
	case renamed:
		return fmt.Errorf("reading the pinned checkpoint %s: it is of %s, and this ledger is %s", pin.Name, s.Origin, keys.origin)
	}
	if s.Size == 0 {
		v.findings.add(finding{code: RejectEmptyBaseline, seq: 0, stored: "a checkpoint of size 0"})
		return nil
	}
	if keys.byPolicy && !renamed {
		if _, found := keys.open(pin.Data, s.Size); len(found) > 0 {
			return fmt.Errorf("reading the pinned checkpoint %s: the policy does not vouch for it: %s: %s", pin.Name, found[0].code, found[0].stored)
		}
	}
	v.evidence.pin = &s
	v.evidence.ask(s.Size)
	if v.level == LevelChain {
		v.from = min(s.Size, v.snapshot.Size)
	}
	return nil
}

// askRoots has the tree walk keep the roots that are compared with something
// from outside: they are then what the entries give, whatever the stored nodes say.
func (v *verification) askRoots(opts *Options) {
	e := &v.evidence
	if e.shown != nil {
		e.ask(e.shown.size)
	}
	askOf := func(note []byte) {
		if s, err := chain.OpenCheckpoint(note); !errors.Is(err, chain.ErrCheckpoint) {
			e.ask(s.Size)
		}
	}
	for i := range opts.Archived {
		askOf(opts.Archived[i].Data)
	}
	for i := range opts.Receipts {
		if r, err := chain.ParseReceipt(opts.Receipts[i].Data); err == nil {
			askOf(r.Checkpoint)
		}
	}
	if opts.SignerState != nil {
		if p, err := readSignerState(opts.SignerState, v.snapshot.LedgerID.String()); err == nil && p != nil {
			e.ask(p.Size)
		}
	}
}

// checkPin holds I7 against the pinned checkpoint.
func (v *verification) checkPin(ctx context.Context, opts *Options) error {
	pin := v.evidence.pin
	if pin == nil {
		return nil
	}
	root, shorter, err := v.holdOutside(ctx, pin.Size, "the pinned checkpoint")
	switch {
	case err != nil || shorter:
		return err
	case root == pin.Root:
		v.evidence.pinHolds = true
		return nil
	}
	v.findings.add(finding{code: PinInconsistent, seq: lastOf(pin.Size), stored: root.String(), recomputed: pin.Root.String() + ", by the pinned checkpoint"})
	_, err = v.proveFork(ctx, opts.Since)
	return err
}

// holdOutside returns the root that the ledger has at a size that somebody
// outside knows it to have had. A ledger that is shorter was rolled back.
func (v *verification) holdOutside(ctx context.Context, size int64, what string) (root chain.Hash, shorter bool, err error) {
	if size > v.present {
		v.findings.add(finding{code: LogRollback, seq: v.present, stored: fmt.Sprintf("%d entries", v.present),
			recomputed: fmt.Sprintf("%d entries, by %s", size, what)})
		return chain.Hash{}, true, nil
	}
	root, err = v.rootAt(ctx, size)
	return root, false, err
}

// proveFork looks for a checkpoint in the database that contradicts a signed
// one from outside, whose root is not the ledger's, and reports both.
func (v *verification) proveFork(ctx context.Context, doc *Document) (bool, error) {
	e := &v.evidence
	parsed, err := chain.OpenCheckpoint(doc.Data)
	if errors.Is(err, chain.ErrCheckpoint) {
		return false, nil
	}
	theirs, found := e.keys.open(doc.Data, parsed.Size)
	if len(found) > 0 || !theirs.SignedByLog() {
		return false, nil // not proven to be signed by anybody
	}
	f := Fork{Seq: lastOf(theirs.Size), Name: doc.Name, Theirs: doc.Data, TheirSize: theirs.Size, TheirRoot: theirs.Root}
	row, err := v.checkpointAt(ctx, theirs.Size)
	if err != nil {
		return false, err
	}
	switch {
	case row != nil && row.states() && row.signed.SignedByLog() && row.signed.Root != theirs.Root:
		f.Ours, f.OurSize, f.OurRoot = []byte(row.note), row.size, row.signed.Root
	case e.best != nil && e.best.Size > theirs.Size:
		f.Ours, f.OurSize, f.OurRoot = e.best.Note, e.best.Size, e.best.Root
		if f.RootHere, err = v.rootAt(ctx, theirs.Size); err != nil {
			return false, err
		}
		if f.Nodes, err = chain.ProveConsistency(theirs.Size, e.best.Size, v.nodes(ctx)); err != nil {
			return false, fmt.Errorf("proving that two checkpoints contradict each other: %w", err)
		}
		if chain.VerifyConsistency(theirs.Size, e.best.Size, f.RootHere, e.best.Root, f.Nodes) != nil {
			return false, nil // the nodes at hand prove nothing
		}
	default:
		return false, nil
	}
	e.forks = append(e.forks, f)
	v.findings.add(finding{code: ForkProven, seq: f.Seq, stored: string(f.Ours), recomputed: string(f.Theirs)})
	return true, nil
}

// checkOutside holds archived checkpoints, receipts and the signer's state
// against the ledger.
func (v *verification) checkOutside(ctx context.Context, opts *Options) error {
	v.evidence.given = len(opts.Archived) + len(opts.Receipts)
	for i := range opts.Archived {
		if err := v.checkArchived(ctx, &opts.Archived[i]); err != nil {
			return err
		}
	}
	for i := range opts.Receipts {
		if err := v.checkReceipt(ctx, &opts.Receipts[i]); err != nil {
			return err
		}
	}
	if opts.SignerState != nil {
		v.evidence.given++
		if err := v.checkSignerState(ctx, opts.SignerState); err != nil || !opts.SuperLog {
			return err
		}
		return v.checkStateOthers(ctx, opts.SignerState)
	}
	return nil
}

// checkArchived holds a signed checkpoint that somebody kept.
func (v *verification) checkArchived(ctx context.Context, doc *Document) error {
	parsed, err := chain.OpenCheckpoint(doc.Data)
	if errors.Is(err, chain.ErrCheckpoint) {
		v.findings.notChecked(noSeq, fmt.Sprintf("checkpoint %s: %s", doc.Name, err))
		return nil
	}
	s, found := v.evidence.keys.open(doc.Data, parsed.Size)
	if len(found) > 0 {
		v.findings.notChecked(noSeq, fmt.Sprintf("checkpoint %s, which is no evidence: %s: %s, wanted %s", doc.Name, found[0].code, found[0].stored, orNothing(found[0].recomputed)))
		return nil
	}
	root, shorter, err := v.holdOutside(ctx, s.Size, "checkpoint "+doc.Name)
	switch {
	case err != nil || shorter:
		return err
	case root == s.Root:
		v.evidence.external = append(v.evidence.external, fmt.Sprintf("checkpoint %s of size %d: extended", doc.Name, s.Size))
		return nil
	}
	if proven, err := v.proveFork(ctx, doc); proven || err != nil {
		return err
	}
	v.findings.add(finding{code: CheckpointRootMismatch, seq: lastOf(s.Size), stored: s.Root.String() + ", as it was signed in " + doc.Name, recomputed: root.String()})
	return nil
}

func orNothing(s string) string {
	if s == "" {
		return "another"
	}
	return s
}

// Index: the primary key.
const sealedSQL = `
select entry_hash
from book.entries
where ledger_id = $1::uuid and seq = $2::int8`

// checkReceipt holds a client's receipt: its entry must stand here. The
// checkpoint in it is one that was kept, too.
func (v *verification) checkReceipt(ctx context.Context, doc *Document) error {
	useless := func(why any) error {
		v.findings.notChecked(noSeq, fmt.Sprintf("receipt %s, which is no evidence: %v", doc.Name, why))
		return nil
	}
	receipt, err := chain.ParseReceipt(doc.Data)
	if err != nil {
		return useless(err)
	}
	entry, signed, err := receipt.Verify(v.evidence.keys.at(claimedSize(receipt))...)
	switch {
	case err != nil:
		return useless(err)
	case signed.Origin != v.evidence.keys.origin || entry.LedgerID != v.snapshot.LedgerID:
		return useless(fmt.Sprintf("it is of %s, and this ledger is %s", signed.Origin, v.evidence.keys.origin))
	}
	f := finding{code: ReceiptNotIncluded, seq: entry.Seq, stored: "no entry", recomputed: entry.Hash().String() + ", by the receipt " + doc.Name}
	included := false
	err = v.snapshot.Scan(ctx, sealedSQL, []any{v.snapshot.LedgerID, entry.Seq}, func(r *store.Row) error {
		f.stored = r.Hash(0).String()
		included = r.Hash(0) == entry.Hash()
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking for the entry of receipt %s: %w", doc.Name, err)
	}
	if included {
		v.evidence.external = append(v.evidence.external, fmt.Sprintf("receipt %s for entry %d: included", doc.Name, entry.Seq))
	} else {
		v.findings.add(f)
	}
	return v.checkArchived(ctx, &Document{Name: "in receipt " + doc.Name, Data: receipt.Checkpoint})
}

// claimedSize is what the checkpoint in a receipt says of itself.
func claimedSize(r *chain.Receipt) int64 {
	s, _ := chain.OpenCheckpoint(r.Checkpoint) // verified with the keys of that size
	return s.Size
}
