package reconcile

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// SuperSuccession is a leaf of the super-log by which it succeeds one that has lost
// leaves, such as after a restore: a declaration of whoever signs.
type SuperSuccession struct {
	Position int64 `json:"position"` // of the leaf: how many leaves before it are left
	// Origin, Size and Root are of the newest checkpoint that was signed before.
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"` // hexadecimal digits
	// Successor is the origin of all that is signed after it.
	Successor string `json:"successor"`
	// Signed: the newest checkpoint covers the leaf, and a key that is known here
	// signed it.
	Signed bool `json:"signed"`
}

// maxSuccessions is how many are told.
const maxSuccessions = 100

// succeed follows a leaf about the super-log itself, which is not added to the tree so
// far. It must be about one of the same host as the one that is signed before it, of no
// earlier generation, and what it names as lost must not stand in the tree.
func (w *superWalk) succeed(r *superRow) {
	l, before := &r.leaf, cmp.Or(w.successor, w.before)
	tree := w.tree.tree
	tree.add(0, r.stored, func(int, int64, chain.Hash) {})
	successor, ok := l.Successor(tree.root())
	if there, known := w.own.evidence.roots[l.Size]; !ok || before != "" && !mayFollow(before, l.Origin) || known && there == l.Root {
		expected := "a leaf about a ledger"
		if before != "" {
			expected += ", or about what was lost of " + before
		}
		w.add(superPublished, r.position, fmt.Sprintf("a leaf by which %q is succeeded at size %d", l.Origin, l.Size), expected)
		return
	}
	w.successor = successor
	if len(w.seen.Successions) < maxSuccessions {
		w.seen.Successions = append(w.seen.Successions, SuperSuccession{r.position, l.Origin, l.Size, l.Root.String(), successor, false})
	}
	w.successions++
}

// mayFollow reports whether a super-log may be succeeded behind what was signed under
// an origin.
func mayFollow(before, origin string) bool {
	host, _, _ := chain.ParseSuperOrigin(before)
	other, _, _ := chain.ParseSuperOrigin(origin)
	return host == other && !chain.SuperPrecedes(origin, before)
}

// Index: i7_super_log_size.
const declaredSizesSQL = `
select size
from book.super_log
where ledger_id > $1::uuid and ledger_id <= $2::uuid
order by ledger_id, size
limit $3::int8`

// askDeclared has the tree keep the roots at the sizes that leaves declare as lost.
func (w *superWalk) askDeclared(ctx context.Context) error {
	err := w.db.Scan(ctx, declaredSizesSQL, []any{uuid.Nil, chain.LastSuperID, int64(maxSuccessions)}, func(r *store.Row) error {
		w.own.evidence.ask(r.Int64(0))
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading which losses the super-log declares: %w", err)
	}
	return nil
}

// meet holds the origin of a checkpoint against the leaves before it.
func (w *superWalk) meet(row *checkpointRow) {
	if w.successor == "" {
		w.before = row.signed.Origin
	} else if row.signed.Origin != w.successor {
		w.own.evidence.add(finding{code: OriginMismatch, seq: lastOf(row.size), stored: row.signed.Origin, recomputed: w.successor + ", by the leaf that begins it"})
	}
}

// holdKept holds what the signer's state has of the super-log against the tree, or
// against the leaf that declares what it has as lost. That leaf excuses nothing before
// it is signed: anybody may know what it says.
func (w *superWalk) holdKept(kept *signerPosition) {
	var excused *SuperSuccession
	for i := range w.seen.Successions {
		s := &w.seen.Successions[i]
		s.Signed = s.Position < w.seen.Size && len(w.seen.Keys) > 0
		if kept != nil && s.Signed && kept.Size > s.Position && (excused == nil || s.Origin == kept.Origin) && mayFollow(kept.Origin, s.Origin) {
			excused = s
		}
	}
	if kept == nil || w.tree.lost {
		return
	}
	root, ok := w.own.evidence.roots[kept.Size]
	if ok && root.String() == kept.Root {
		return
	}
	if s := excused; s != nil && (s.Origin != kept.Origin || s.Size != kept.Size || s.Root == kept.Root) {
		if s.Origin != kept.Origin || s.Size != kept.Size {
			w.v.findings.notChecked(noSeq, fmt.Sprintf("the super-log against the signer's state, which has %s at size %d, root %s: leaf %d declares that leaves of it were lost, and another checkpoint",
				kept.Origin, kept.Size, kept.Root, s.Position))
		}
		return
	}
	stored := "root " + root.String()
	if !ok {
		stored = fmt.Sprintf("%d leaves", w.last+1)
	}
	w.own.evidence.add(finding{code: LogRollback, seq: lastOf(kept.Size), stored: stored,
		recomputed: fmt.Sprintf("size %d, root %s, by the signer's state", kept.Size, kept.Root)})
}
