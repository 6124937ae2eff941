package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// shownHead is the row of ops.heads: the newest checkpoint as it is shown.
type shownHead struct {
	size        int64
	note        string
	publishedAt time.Time
	signedAt    time.Time // by book.checkpoints; publishedAt where that does not say
	signer      string
	rejected    *rejection

	signed chain.SignedCheckpoint
	holds  bool // signatures and root
}

// signedByServer is the signer of ops.heads that runs in the process that posts.
const signedByServer = "serve"

// Index: the primary key.
const shownSQL = `
select size, left(note, 65537), published_at, signer
from ops.heads
where ledger_id = $1::uuid`

// readShown reads what is shown, after the newest checkpoint was: both are
// written at once, so that what is shown is not older.
func (v *verification) readShown(ctx context.Context, db *store.DB, id any) error {
	return db.Scan(ctx, shownSQL, []any{id}, func(r *store.Row) error {
		h := shownHead{size: r.Int64(0), note: string(r.Text(1)), publishedAt: time.UnixMicro(r.Micros(2)).UTC(), signer: string(r.Text(3))}
		h.signedAt, h.rejected = h.publishedAt, rejected(r)
		v.evidence.shown = &h
		return nil
	})
}

// Index: the primary key.
const checkpointAtSQL = `
select size, root, left(note, 65537), signed_at
from book.checkpoints
where ledger_id = $1::uuid and size = $2::int8`

// checkpointAt reads one checkpoint, nil when there is none of that size.
func (v *verification) checkpointAt(ctx context.Context, size int64) (*checkpointRow, error) {
	var row *checkpointRow
	err := v.snapshot.Scan(ctx, checkpointAtSQL, []any{v.snapshot.LedgerID, size}, func(r *store.Row) error {
		row = &checkpointRow{size: r.Int64(0), root: r.Hash(1), note: string(r.Text(2)), signedAt: time.UnixMicro(r.Micros(3)).UTC()}
		row.rejected = rejected(r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint of size %d: %w", size, err)
	}
	if row != nil {
		row.open(&v.evidence.keys)
	}
	return row, nil
}

// checkHead holds the newest checkpoint, as it is shown, against the ledger,
// its signers and its age.
func (v *verification) checkHead(ctx context.Context) error {
	e := &v.evidence
	h := e.shown
	if e.unseen {
		return nil
	}
	if e.shownLater {
		return nil // and what was shown at the cut stands in book.checkpoints
	}
	if h == nil {
		if e.nothingShown() {
			return nil
		}
		switch key := e.overdue(); {
		case key != nil:
			v.findings.notChecked(noSeq, key.unused())
		case e.keys.byPolicy && len(e.keys.signers) == 0:
			v.findings.notChecked(noSeq, fmt.Sprintf("signatures: the policy names no key for %q, and there is no checkpoint", e.keys.origin))
		case e.keys.byPolicy:
			v.findings.notChecked(noSeq, "signatures: the policy names who signs, and there is no checkpoint")
		case e.fresh > 0:
			v.findings.notChecked(noSeq, "how old the newest checkpoint is: there is none")
		case v.level < LevelChain:
			v.findings.notChecked(noSeq, "signatures: there is no checkpoint")
		}
		return nil
	}
	if _, err := v.holdShown(ctx, h); err != nil {
		return err
	}
	var found []finding
	h.signed, found = e.keys.open([]byte(h.note), h.size)
	if len(found) == 0 && h.signed.Size != h.size {
		found = append(found, finding{code: ProjectionMismatch, seq: lastOf(h.size), column: "size",
			stored: fmt.Sprint(h.size), recomputed: fmt.Sprintf("%d, as it was signed", h.signed.Size)})
	}
	for _, f := range found {
		e.add(f)
	}
	if len(found) > 0 {
		return nil
	}
	v.checkQuorum(h)
	if h.size > v.snapshot.Size {
		if e.truncated.first == nil {
			e.truncated.add(finding{code: TailTruncated, seq: v.snapshot.Size, stored: fmt.Sprintf("%d entries", v.snapshot.Size),
				recomputed: fmt.Sprintf("%d entries, by the checkpoint that is shown", h.size)})
		}
		return nil
	}
	root, err := v.rootAt(ctx, h.size)
	switch {
	case errors.Is(err, chain.ErrNodes) && v.level >= LevelChain: // what is missing was found
		return nil
	case err != nil:
		return err
	case root != h.signed.Root:
		e.add(finding{code: CheckpointRootMismatch, seq: lastOf(h.size), stored: h.signed.Root.String() + ", as it was signed", recomputed: root.String()})
		return nil
	}
	if h.holds = h.signed.SignedByLog(); !h.holds {
		return nil
	}
	e.hold(&h.signed, h.signedAt)
	return nil
}

// signerGrace is how long after its key went on record a signer may take to publish
// its first checkpoint: the entry comes first, and the checkpoint covers it.
const signerGrace = time.Minute

// overdue returns a key that the chain names as one that signs, where there is no
// checkpoint at all and one should be there by now; otherwise nil. A time on record that
// is yet to come is no excuse.
func (e *evidence) overdue() *signerKey {
	if e.keys.byPolicy || e.unseen || e.shown != nil || e.seen.newest >= 0 || e.later {
		return nil
	}
	i := slices.IndexFunc(e.keys.signers, func(s signerKey) bool {
		return s.ended == "" && e.now.Sub(s.added.recorded).Abs() > signerGrace
	})
	if i < 0 {
		return nil
	}
	return &e.keys.signers[i]
}

// unused says that nothing is left of what a key signs, and what to do.
func (s *signerKey) unused() string {
	return fmt.Sprintf("signatures, checkpoints and witnesses: there are none, although entry %d, of %s, names a key that signs. Either they were removed, or the signer does not run or publishes nothing. "+
		"If there ever were any, hold one of them, a receipt or the signer's state against the ledger, with --since, --checkpoint, --receipt or --signer-state; otherwise start the signer, and verify again", s.added.seq, s.added.recorded.Format(time.RFC3339))
}

// nothingShown reports that nothing is shown although there is a checkpoint, if so.
func (e *evidence) nothingShown() bool {
	if e.shown != nil || e.seen.newest < 0 {
		return false
	}
	e.add(finding{code: ProjectionMismatch, seq: lastOf(e.seen.newest),
		stored: "no row of ops.heads", recomputed: fmt.Sprintf("a checkpoint of size %d is shown", e.seen.newest)})
	return true
}

// holdShown holds what is shown against the row of book.checkpoints that it repeats,
// and returns that; nil when something was found.
func (v *verification) holdShown(ctx context.Context, h *shownHead) (*checkpointRow, error) {
	f := finding{code: ProjectionMismatch, seq: lastOf(h.size)}
	row, err := v.checkpointAt(ctx, h.size)
	switch {
	case err != nil:
		return nil, err
	case h.rejected != nil:
		f.column, f.stored = h.rejected.column, h.rejected.value
	case h.size < v.evidence.seen.newest:
		f.seq, f.stored = lastOf(v.evidence.seen.newest), fmt.Sprintf("size %d is shown in ops.heads", h.size)
		f.recomputed = fmt.Sprintf("size %d, by book.checkpoints", v.evidence.seen.newest)
	case row == nil:
		f.stored, f.recomputed = "no row of book.checkpoints", fmt.Sprintf("a checkpoint of size %d, which is shown", h.size)
	default:
		if row.rejected == nil {
			h.signedAt = row.signedAt
		}
		return row, nil
	}
	v.evidence.add(f)
	return nil, nil
}

// checkQuorum holds the newest checkpoint against the witnesses that the policy
// wants, and against the age that it may have.
func (v *verification) checkQuorum(h *shownHead) {
	e := &v.evidence
	oldest := time.Time{}
	if e.fresh > 0 {
		oldest = e.now.Add(-e.fresh)
		f := finding{code: CheckpointStale, seq: lastOf(h.size), stored: "shown at " + h.publishedAt.Format(time.RFC3339)}
		switch {
		case h.publishedAt.Before(oldest):
			f.recomputed = "not before " + oldest.UTC().Format(time.RFC3339)
			v.findings.add(f)
		case h.publishedAt.After(e.now.Add(signerGrace)): // what is yet to come is not fresh
			f.recomputed = "not after " + e.now.UTC().Format(time.RFC3339)
			v.findings.add(f)
		}
	}
	if e.policy == nil || e.policy.Quorum(&h.signed, oldest) {
		return
	}
	f := finding{code: WitnessQuorumNotMet, seq: lastOf(h.size), stored: "cosigned by " + cmp.Or(listWitnesses(cosignatures(&h.signed)), "nobody")}
	if e.fresh > 0 {
		f.recomputed = "the quorum of the policy, not before " + oldest.UTC().Format(time.RFC3339)
	} else {
		f.recomputed = "the quorum of the policy"
	}
	e.add(f)
}
