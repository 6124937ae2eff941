package reconcile

import (
	"cmp"
	"fmt"

	"tallystick/ledger/chain"
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

// succeed follows a leaf about the super-log itself. It must be about the one that is
// signed before it, or a later one of the same host whose leaves are all lost, and about
// more leaves than there are before it.
func (w *superWalk) succeed(r *superRow) {
	l, before := &r.leaf, cmp.Or(w.successor, w.before)
	successor, ok := l.Successor()
	if !ok || l.Size <= r.position || before != "" && before != l.Origin && !chain.SuperPrecedes(before, l.Origin) {
		expected := "a leaf about a ledger"
		if before != "" {
			expected += ", or about more leaves of " + before
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
	excused := false
	for i := range w.seen.Successions {
		s := &w.seen.Successions[i]
		s.Signed = s.Position < w.seen.Size && len(w.seen.Keys) > 0
		excused = excused || kept != nil && s.Signed && s.Origin == kept.Origin && s.Size == kept.Size && s.Root == kept.Root
	}
	if kept == nil || w.tree.lost || excused {
		return
	}
	root, ok := w.own.evidence.roots[kept.Size]
	if ok && root.String() == kept.Root {
		return
	}
	stored := "root " + root.String()
	if !ok {
		stored = fmt.Sprintf("%d leaves", w.last+1)
	}
	w.own.evidence.add(finding{code: LogRollback, seq: lastOf(kept.Size), stored: stored,
		recomputed: fmt.Sprintf("size %d, root %s, by the signer's state", kept.Size, kept.Root)})
}
