package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

const (
	// maxSnapshotsHeld is how many snapshots a night holds against the postings.
	maxSnapshotsHeld = 100_000
	// maxSnapshotFindings is how many lines of one snapshot are reported.
	maxSnapshotFindings = 100
)

// checkSnapshots holds snapshots against what the postings give (I11). Where all
// is read, that is every snapshot, from the first entry on; otherwise the newest
// below the cut, from the one before it, and those in the part of the history that
// is read again.
func (b *nightBooks) checkSnapshots(ctx context.Context) (string, error) {
	kept, err := snapshotsUpTo(ctx, b.Snapshot, b.Snapshot.Size-1, maxSnapshotsHeld)
	if err != nil {
		return "", err
	}
	slices.Reverse(kept)
	runs, err := b.runsBelow(ctx)
	if err != nil {
		return "", err
	}
	r := &balanceReader{from: b.Snapshot, size: b.Snapshot.Size}
	if err := retry(ctx, func() error { return r.readAccounts(ctx) }); err != nil {
		return "", err
	}
	before, spans := b.found.count(), b.Plan.spans(b.Snapshot.Size, runs)
	for i, s := range kept {
		read := i == len(kept)-1 || slices.ContainsFunc(spans, func(span Span) bool { return span.Has(s.size) })
		switch {
		case !read:
			continue
		case !b.Plan.Whole && i > 0 && r.since != kept[i-1].size: // another night has held that one
			r.size = s.size
			if err := retry(ctx, func() error { return r.readSnapshot(ctx, s.size) }); err != nil {
				return "", err
			}
		}
		if err := b.holdSnapshot(ctx, r, s); err != nil {
			return "", err
		}
	}
	b.distrusts = b.found.count() > before
	if b.Plan.Whole {
		return "all that there are, against the postings", nil
	}
	return "the newest, and those of the history that was read again, against the one before and the postings since", nil
}

// holdSnapshot goes on to a snapshot's size, and holds its lines against what the
// postings have left.
func (b *nightBooks) holdSnapshot(ctx context.Context, r *balanceReader, s snapshotAt) error {
	r.size = s.size
	if err := retry(ctx, func() error { return r.readPostings(ctx) }); err != nil {
		return err
	}
	r.since = s.size
	var found []chain.Finding
	more := 0
	report := func(account, column, stored, recomputed string) {
		if len(found) == maxSnapshotFindings {
			more++
			return
		}
		f := b.about(ProjectionMismatch, s.size-1, account, fmt.Sprintf("%s, by the snapshot of %d entries", stored, s.size), recomputed)
		f.Column = optional(column)
		found = append(found, f)
	}
	met := make(map[uuid.UUID]bool, len(r.all))
	err := s.each(ctx, r.from, func(l *snapshotLine) error {
		met[l.account] = true
		i, ok := r.at[l.account]
		if !ok || r.all[i].AccountSeq == 0 {
			report(l.account.String(), "", "an account", "no posting on it")
			return nil
		}
		a := &r.all[i]
		l.compare(a.left(), a.Scale, func(column, stored, recomputed string) { report(a.Code, column, stored, recomputed) })
		return nil
	})
	if errors.Is(err, errSnapshot) {
		b.Find(b.about(ProjectionMismatch, s.size-1, "", err.Error(), "the balances after "+entriesText(s.size)))
		return nil
	}
	if err != nil {
		return err
	}
	for i := range r.all {
		if a := &r.all[i]; a.AccountSeq > 0 && !met[a.ID] {
			report(a.Code, "", "no such account", a.Posted.Format(a.Scale))
		}
	}
	if more > 0 {
		found = append(found, b.about(ProjectionMismatch, s.size-1, "", fmt.Sprintf("%d further lines of the snapshot of %d entries", more, s.size), ""))
	}
	b.Find(found...)
	return nil
}

// keepSnapshot stores the balances at the cut once as many postings have come as
// there would be lines, so that no posting pays for more than one; and only of
// books in which nothing critical was found.
func (b *nightBooks) keepSnapshot(ctx context.Context) error {
	if doubtful, err := b.doubtful(ctx); err != nil || doubtful {
		return err
	}
	lines, postings := int64(0), int64(0)
	for i := range b.balances {
		if n := b.balances[i].AccountSeq; n > 0 {
			lines++
			postings += n
		}
	}
	kept, err := snapshotsUpTo(ctx, b.Snapshot, b.Snapshot.Size, 1)
	if err != nil {
		return err
	}
	if len(kept) > 0 {
		err := kept[0].each(ctx, b.Snapshot, func(l *snapshotLine) error {
			postings -= l.accountSeq
			return nil
		})
		if err != nil && !errors.Is(err, errSnapshot) {
			return err
		}
	}
	if postings < max(lines, 1) {
		return nil
	}
	parts, err := snapshotOf(b.balances, snapshotPart)
	if err != nil {
		return err
	}
	return b.Keeper.KeepSnapshot(ctx, b.LedgerID, b.Snapshot.Size, parts)
}

// doubtful reports whether this phase or the one before found something critical.
func (b *nightBooks) doubtful(ctx context.Context) (bool, error) {
	if b.found.critical > 0 {
		return true, nil
	}
	encoded, err := b.Output(ctx, FindingsOutput, "chain")
	if err != nil {
		return false, err
	}
	var before PhaseFindings
	if err := json.Unmarshal(encoded, &before); err != nil {
		return false, fmt.Errorf("reading what phase chain found: %w", err)
	}
	return before.Critical > 0, nil
}
