package reconcile

import (
	"context"

	"tallystick/ledger/chain"
)

// stripeTree adds the leaves of a stripe up in the first pass, while they are at
// hand: that is cheaper by the reading than a walk of its own. It begins with the
// tree of what stands before the stripe as the stored nodes have it, which the
// other workers hold against the leaves at the same time; that the end of each
// stripe is the beginning of the next shows in the end that all began rightly.
//
// It only ever shows that nothing is wrong. Otherwise what it found is thrown
// away, and checkTree begins anew.
type stripeTree struct {
	walk  *treeWalk
	begun chain.Hash // the root before the stripe
	e     evidence
	gone  bool // something is wrong, or could not be read
}

// growsTrees reports whether the first pass adds up the tree.
func (v *verification) growsTrees() bool {
	e := &v.evidence
	return v.level >= LevelColumns && e.seen.newest >= 0 && e.seen.newest <= v.snapshot.Size && v.bounds.segmentEntries >= chain.TileWidth
}

// beginTree begins the tree of a stripe, unless nobody looks at roots there.
func (w *worker) beginTree(ctx context.Context) error {
	v, s := w.v, w.stripe
	e := &v.evidence
	if w.strangersOnly || w.keepsHashes || !v.growsTrees() || s.low > e.lastRoot() {
		return nil
	}
	s.tree = &stripeTree{gone: true}
	f, err := chain.FrontierAt(s.low, v.nodes(ctx))
	if err != nil {
		return ctx.Err() // the walk in order will say what is wrong
	}
	t := s.tree
	t.e = evidence{keys: e.keys, seen: e.seen, asked: e.asked, roots: make(map[int64]chain.Hash), broken: make(map[string]*series)}
	t.walk, t.begun = v.newTreeWalk(ctx, f, &t.e, s.low, 1), f.Root()
	if s.low == 0 {
		t.walk.checkpoints.after = -1
		err = t.walk.pass()
	} else {
		err = t.walk.look()
	}
	t.gone = err != nil
	return ctx.Err()
}

// growTree adds the leaves of the segment at hand.
func (w *worker) growTree() {
	t := w.stripe.tree
	if t == nil || t.gone {
		return
	}
	for i := range w.segment.entries {
		row := &w.segment.entries[i]
		if row.entry.Seq != t.walk.tree.size || t.walk.add(row.stored) != nil || t.walk.err != nil {
			t.gone = true
			return
		}
	}
	t.gone = t.e.wrong()
}

// lastRoot is the last size at which somebody looks at the root, or at a node:
// one that is stored beyond the newest checkpoint was not stored by a signer.
func (e *evidence) lastRoot() int64 {
	last := max(e.seen.newest, e.seen.nodes)
	for size := range e.asked {
		last = max(last, size)
	}
	return last
}

// wrong reports whether anything was found.
func (e *evidence) wrong() bool {
	return len(e.broken) > 0 || e.tiles.first != nil || e.truncated.first != nil
}

// stripesHold reports whether the first pass has held tree and checkpoints against
// all leaves and found nothing wrong, and takes over what it saw.
func (v *verification) stripesHold() bool {
	if !v.growsTrees() {
		return false
	}
	e := &v.evidence
	for i := range v.spans {
		if !v.spanHolds(v.spans[i].Span) {
			return false
		}
	}
	for _, s := range v.stripes.all {
		if t := s.tree; t != nil {
			e.held += t.e.held
			e.nodes += t.e.nodes
			for size, root := range t.e.roots {
				e.roots[size] = root
			}
			if t.e.best != nil {
				e.hold(t.e.best, t.e.bestAt)
			}
		}
	}
	return true
}

// spanHolds reports whether the stripes of a span have held all of its tree, each
// from where the one before ended.
func (v *verification) spanHolds(of Span) bool {
	size, root := of.From, chain.Hash{}
	for _, s := range v.stripes.all { // in order of seq
		if !of.Has(s.low) {
			continue
		}
		if s.low > v.evidence.lastRoot() {
			break
		}
		t := s.tree
		if t == nil || t.gone || t.e.wrong() || s.low != size || s.low != of.From && t.begun != root {
			return false
		}
		size, root = t.walk.tree.size, t.walk.tree.root()
	}
	return size >= min(v.evidence.lastRoot(), of.To)
}
