package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"tallystick/ledger/store"
)

// Indexes: snapshots_sizes, and the primary key of the entries.
const straySnapshotsSQL = `
select s.size
from ops.snapshots as s
where s.ledger_id = $1::uuid and s.size > $2::int8
    and not exists (select 1 from book.entries as e where e.ledger_id = s.ledger_id and e.seq = s.size - 1)
order by s.size
limit 1`

// maxStoredSnapshots is how many snapshots are held against the postings, the newest:
// those of eleven years of nights.
const maxStoredSnapshots = 4096

// deleteSnapshot says what to do about a snapshot.
const deleteSnapshot = "A snapshot is derived from the postings: delete its rows, and balances are read from the postings until a night makes another."

// heldSnapshot is a stored snapshot that is held against the postings. It holds one
// part of it at once, some 600 KB.
type heldSnapshot struct {
	v *verification
	snapshotAt
	part   int64  // to be read next
	lines  []byte // that were read, and not held against an account yet
	last   uuid.UUID
	broken error // errSnapshot; the rest of it says nothing
	found  []finding
	more   int
}

// storedSnapshots returns the snapshots that are held against the postings, and
// reports those of entries that are not there. What cannot be read of it is recorded
// as not checked.
func (v *verification) storedSnapshots(ctx context.Context) []claim {
	if !v.stored || !v.whole() {
		return nil
	}
	stray := int64(0)
	var kept []snapshotAt
	err := retry(ctx, func() error {
		return v.snapshot.Scan(ctx, straySnapshotsSQL, []any{v.snapshot.LedgerID, v.present}, func(r *store.Row) error {
			stray = r.Int64(0)
			return nil
		})
	})
	if err == nil {
		err = retry(ctx, func() (err error) {
			kept, err = snapshotsUpTo(ctx, v.snapshot, v.snapshot.Size, maxStoredSnapshots+1)
			return err
		})
	}
	if err != nil {
		v.findings.notChecked(noSeq, "snapshots of balances: "+err.Error())
	}
	if stray > 0 {
		v.findings.add(finding{code: OrphanRow, seq: stray - 1, stored: fmt.Sprintf("a snapshot of %d entries, in ops.snapshots", stray)})
	}
	if len(kept) > maxStoredSnapshots {
		kept = kept[:maxStoredSnapshots]
		v.moreSnapshots = true
	}
	all := make([]claim, len(kept))
	for i := range kept {
		all[i] = &heldSnapshot{v: v, snapshotAt: kept[i]}
	}
	return all
}

func (s *heldSnapshot) cut() int64 { return s.size }

// hold holds the line of an account against how it stood. One without a posting has
// none.
func (s *heldSnapshot) hold(ctx context.Context, a *pastAccount, at *balances) error {
	l, err := s.next(ctx)
	for ; l != nil && bytes.Compare(l.account[:], a.id[:]) < 0; l, err = s.next(ctx) {
		s.report(l.account, "", "an account", "no posting on it")
		s.lines = s.lines[snapshotLineBytes:]
	}
	switch {
	case err != nil:
		return err
	case s.broken != nil:
	case l == nil || l.account != a.id:
		if at.accountSeq > 0 {
			s.report(a.id, "", "no such account", "posted "+at.posted.Format(a.scale))
		}
	default:
		l.compare(at, a.scale, func(column, stored, recomputed string) { s.report(a.id, column, stored, recomputed) })
		s.lines = s.lines[snapshotLineBytes:]
	}
	return nil
}

// next returns the line that comes next; nil after the last, and where the snapshot
// is broken.
func (s *heldSnapshot) next(ctx context.Context) (*snapshotLine, error) {
	for len(s.lines) == 0 {
		if s.part >= s.parts || s.broken != nil {
			return nil, nil
		}
		err := retry(ctx, func() (err error) {
			s.lines, err = s.read(ctx, s.v.snapshot, s.part, &s.last)
			return err
		})
		switch {
		case errors.Is(err, errSnapshot):
			s.broken = err
			return nil, nil
		case err != nil:
			return nil, err
		}
		s.part++
	}
	l := parseLine(s.lines)
	return &l, nil
}

func (s *heldSnapshot) report(account uuid.UUID, column, stored, recomputed string) {
	if len(s.found) == maxSnapshotFindings {
		s.more++
		return
	}
	s.found = append(s.found, finding{code: ProjectionMismatch, seq: s.size - 1, account: account, named: true, column: column,
		stored: fmt.Sprintf("%s, by the snapshot of %d entries", stored, s.size), recomputed: recomputed, proof: deleteSnapshot})
}

// end reports what does not hold. A line that is left is about an account that there
// was not.
func (s *heldSnapshot) end(ctx context.Context) error {
	s.v.derived.Snapshots++
	for {
		l, err := s.next(ctx)
		if err != nil {
			return err
		}
		if l == nil {
			break
		}
		s.report(l.account, "", "an account", "none that was open")
		s.lines = s.lines[snapshotLineBytes:]
	}
	if s.broken != nil {
		s.found = append(s.found, finding{code: ProjectionMismatch, seq: s.size - 1, stored: s.broken.Error(),
			recomputed: "the balances after " + entriesText(s.size), proof: deleteSnapshot})
	}
	if s.more > 0 {
		s.found = append(s.found, finding{code: ProjectionMismatch, seq: s.size - 1,
			stored: fmt.Sprintf("%d further lines of the snapshot of %d entries", s.more, s.size)})
	}
	s.v.findings.add(s.found...)
	s.lines, s.found = nil, nil
	return nil
}
