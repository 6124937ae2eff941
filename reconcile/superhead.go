package reconcile

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"tallystick/ledger/chain"
)

// holdShown holds the checkpoint of the super-log that is shown against the one that
// it repeats.
func (w *superWalk) holdShown(ctx context.Context) error {
	h := w.own.evidence.shown
	if w.own.evidence.nothingShown() || h == nil {
		return nil
	}
	row, err := w.own.holdShown(ctx, h)
	if err != nil || row == nil || len(row.found) > 0 {
		return err // what was found is told with the checkpoints
	}
	// That nobody's key is known here is no matter: whoSigned looks at that.
	if shown, _ := chain.OpenCheckpoint([]byte(h.note)); shown.Checkpoint != row.signed.Checkpoint {
		w.own.evidence.add(finding{code: ProjectionMismatch, seq: lastOf(h.size), stored: fmt.Sprintf("a note is shown that is not of the checkpoint of size %d", h.size), recomputed: "that one, by book.checkpoints"})
	}
	return nil
}

// keysOfOthers returns the keys, for an origin, that other ledgers have on record and
// have not revoked: one signer has one super-log, and its newest key may be on record
// in some ledgers only, such as not in one that has ended.
func (w *superWalk) keysOfOthers(ctx context.Context, origin string) ([]chain.VerifierKey, error) {
	var keys []chain.VerifierKey
	for _, id := range slices.SortedFunc(maps.Keys(w.there), compareIDs) {
		if !w.there[id] || id == w.v.snapshot.LedgerID {
			continue
		}
		l, err := logged(ctx, w.db, id)
		if err != nil || l == nil {
			return nil, err
		}
		other := newVerification(Options{Level: LevelChain, Workers: 1}, w.v.bounds, w.v.evidence.now)
		other.snapshot = w.db.Unpinned(id)
		other.snapshot.Size, other.evidence.keys.origin = math.MaxInt64, l.origin
		if err := other.readKeysAfter(ctx, -1); err != nil {
			return nil, fmt.Errorf("reading the keys of ledger %s: %w", id, err)
		}
		for _, s := range other.evidence.keys.signers {
			if key, err := s.key.For(origin); err == nil && !s.revoked {
				keys = append(keys, key)
			}
		}
	}
	return keys, nil
}

// unsigned says that nobody vouches for the super-log who is known. What stands there
// then proves as little as if there were none.
func (w *superWalk) unsigned(newest int64) {
	l := &w.seen
	switch {
	case l.Size > 0 && len(l.Keys) == 0:
		w.v.findings.notChecked(noSeq, fmt.Sprintf("the super-log, and whether ledgers are missing: %s, under its newest checkpoint, is no key that a signer of any ledger here has on record, nor one that a policy names for it. "+
			"If it is the signer's, name it in a policy; otherwise hold the signer's state against it, with --signer-state", strings.Join(l.Unknown, ", ")))
	case l.Size == 0 && l.Leaves > 0 && w.v.evidence.now.UnixMicro()-newest > signerGrace.Microseconds():
		w.v.findings.notChecked(noSeq, "the super-log, and whether ledgers are missing: no checkpoint of it is there. Either it was removed, or the signer does not run or publishes nothing: hold the signer's state against it, with --signer-state")
	case l.Leaves == 0 && w.v.evidence.best != nil && w.v.evidence.now.Sub(w.v.evidence.bestAt) > signerGrace:
		w.v.findings.notChecked(noSeq, "the super-log, and whether ledgers are missing: it has no leaf, although there are checkpoints. Either they were removed, or the signer does not run: hold the signer's state against it, with --signer-state")
	}
}
