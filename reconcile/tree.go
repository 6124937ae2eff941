package reconcile

import (
	"context"
	"fmt"
	"math"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// treeWalk adds the stored entry hashes up to the Merkle tree, and holds every
// stored node and every checkpoint that it passes against it. The first pass
// holds the same hashes against the columns.
//
// It holds one page of leaves, one of nodes for each level and one of
// checkpoints, however many there are.
type treeWalk struct {
	v    *verification
	e    *evidence       // what is found
	ctx  context.Context // of the walk: nodes are read while leaves are added
	err  error           // of reading nodes
	tree merkle
	next int64 // the next size at which somebody looks at the root
	lost bool  // leaves are missing for which no stored node stands: nothing beyond has a root

	onNode      func(level int, position int64, node chain.Hash)
	pages       [chain.MaxTileLevel + 1]nodePage
	checkpoints checkpointReader
}

// newTreeWalk continues a tree; checkpoints are read from those beyond a size on.
func (v *verification) newTreeWalk(ctx context.Context, f chain.Frontier, e *evidence, beyond int64, workers int) *treeWalk {
	t := &treeWalk{v: v, e: e, ctx: ctx, tree: newMerkle(f), checkpoints: checkpointReader{v: v, after: beyond, upTo: v.latest, workers: workers}}
	t.onNode = t.compare
	return t
}

// nodePage is a run of stored nodes of one level.
type nodePage struct {
	first, end int64 // positions read
	nodes      map[int64]chain.Hash
}

const (
	// leafPage is how many leaves are read at once: whole blocks.
	leafPage = 64 * chain.TileWidth
	// nodesAtOnce is how many stored nodes of a level are read at once.
	nodesAtOnce = 4 * chain.TileWidth
)

// Index: the primary key.
const leavesSQL = `
select seq, entry_hash
from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq`

// checkTree holds the tree and all checkpoints over the spans, from the block of
// their first entries on, against the leaves. Where the first pass has done so without finding anything,
// that is all; otherwise the leaves are read once more, in order, to say exactly
// what is wrong.
func (v *verification) checkTree(ctx context.Context) error {
	e := &v.evidence
	if e.seen.newest < 0 && e.seen.nodes == 0 && len(e.asked) == 0 || v.stripesHold() {
		return nil
	}
	for i := range v.spans {
		if err := v.checkSpanTree(ctx, v.spans[i].Span); err != nil {
			return err
		}
	}
	return nil
}

func (v *verification) checkSpanTree(ctx context.Context, s Span) error {
	base := s.From - s.From%chain.TileWidth
	frontier, err := chain.FrontierAt(base, v.nodes(ctx))
	if err != nil {
		return fmt.Errorf("reading the tree of the first %d entries: %w", base, err)
	}
	t := v.newTreeWalk(ctx, frontier, &v.evidence, base-1, v.workers)
	if s.To < v.snapshot.Size {
		t.checkpoints.upTo = s.To
	}
	if err := t.pass(); err != nil {
		return err
	}
	for low := base; low < s.To && !t.lost; low += leafPage {
		if err := t.walkPage(low, min(low+leafPage, s.To)); err != nil {
			return err
		}
	}
	return t.beyond()
}

// walkPage reads the leaves of some blocks and adds them.
func (t *treeWalk) walkPage(low, high int64) error {
	leaves := make([]chain.Hash, high-low)
	there := make([]bool, high-low)
	err := retry(t.ctx, func() error {
		return t.v.snapshot.Scan(t.ctx, leavesSQL, []any{t.v.snapshot.LedgerID, low, high}, func(r *store.Row) error {
			seq, leaf := r.Int64(0), r.Hash(1)
			leaves[seq-low], there[seq-low] = leaf, true
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("reading the hashes of entries %d to %d: %w", low, high-1, err)
	}
	for at := low; at < high && !t.lost; at += chain.TileWidth {
		end := min(at+chain.TileWidth, high)
		n := int64(0)
		for at+n < end && there[at+n-low] {
			n++
		}
		if err := t.addBlock(leaves[at-low:at-low+n], end); err != nil {
			return err
		}
	}
	return nil
}

// addBlock adds the leaves of a block, which ends at entry end. Where some are
// missing, the stored node stands for all of them: the signed roots beyond then
// tell whether it is the true one, and that all others are as they were.
func (t *treeWalk) addBlock(leaves []chain.Hash, end int64) error {
	begun := t.tree
	for _, leaf := range leaves {
		if err := t.add(leaf); err != nil {
			return err
		}
	}
	if t.tree.size == end {
		return t.err
	}
	node, ok := chain.Hash{}, false
	if end%chain.TileWidth == 0 {
		if node, ok = t.stored(1, end/chain.TileWidth-1); t.err != nil {
			return t.err
		}
	}
	if !ok {
		t.lost = true
		return nil
	}
	if err := t.skipTo(end); err != nil {
		return err
	}
	t.tree = begun
	t.tree.add(tileBits, node, t.onNode)
	return t.pass()
}

// add appends a leaf.
func (t *treeWalk) add(leaf chain.Hash) error {
	if t.tree.add(0, leaf, t.onNode); t.tree.size == t.next {
		return t.pass()
	}
	return nil
}

// compare holds a node against the stored one.
func (t *treeWalk) compare(level int, position int64, node chain.Hash) {
	stored, ok := t.stored(level, position)
	end := (position + 1) << (tileBits * level)
	switch {
	case t.err != nil:
	case !ok && end > t.e.seen.newest: // it is stored with the next checkpoint
	case !ok:
		t.e.tiles.add(finding{code: TileMismatch, seq: end - 1,
			stored: fmt.Sprintf("node %d of level %d is missing", position, level), recomputed: node.String()})
	case stored != node:
		t.e.tiles.add(finding{code: TileMismatch, seq: end - 1,
			stored: fmt.Sprintf("node %d of level %d: %s", position, level, stored), recomputed: node.String()})
	default:
		t.e.nodes++
	}
}

// stored returns a stored node.
func (t *treeWalk) stored(level int, position int64) (chain.Hash, bool) {
	if level > chain.MaxTileLevel || t.err != nil {
		return chain.Hash{}, false
	}
	p := &t.pages[level]
	if position < p.first || position >= p.end {
		if err := t.readNodes(level, position); err != nil {
			t.err = err
			return chain.Hash{}, false
		}
	}
	node, ok := p.nodes[position]
	return node, ok
}

// Index: the primary key.
const storedNodesSQL = `
select position, hash
from book.tiles
where ledger_id = $1::uuid and level = $2::int8 and position >= $3::int8 and position < $4::int8
order by position`

func (t *treeWalk) readNodes(level int, first int64) error {
	p := &t.pages[level]
	args := []any{t.v.snapshot.LedgerID, int64(level), first, first + nodesAtOnce}
	err := retry(t.ctx, func() error {
		p.nodes = make(map[int64]chain.Hash)
		return t.v.snapshot.Scan(t.ctx, storedNodesSQL, args, func(r *store.Row) error {
			p.nodes[r.Int64(0)] = r.Hash(1)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("reading book.tiles at level %d: %w", level, err)
	}
	p.first, p.end = first, first+nodesAtOnce
	return nil
}

// pass holds the tree as it is now against the checkpoint of its size, keeps its
// root if somebody asks for it, and looks where to stop next.
func (t *treeWalk) pass() error {
	size := t.tree.size
	row, err := t.checkpoints.at(t.ctx, size)
	if err != nil {
		return err
	}
	if asked := t.e.asked[size]; row != nil || asked {
		root := t.tree.root()
		if asked {
			t.e.roots[size] = root
		}
		if row != nil {
			t.e.checkCheckpoint(row, root)
		}
	}
	return t.look()
}

// look finds the next size at which somebody looks at the root.
func (t *treeWalk) look() error {
	t.next = math.MaxInt64
	row, err := t.checkpoints.peek(t.ctx)
	if err != nil {
		return err
	}
	if row != nil {
		t.next = row.size
	}
	for size := range t.e.asked {
		if size > t.tree.size {
			t.next = min(t.next, size)
		}
	}
	return nil
}

// skipTo passes over checkpoints inside a block with missing leaves.
func (t *treeWalk) skipTo(size int64) error {
	for {
		row, err := t.checkpoints.peek(t.ctx)
		if err != nil || row == nil || row.size >= size {
			return err
		}
		t.e.report(row)
		t.checkpoints.drop()
	}
}

// beyond deals with the checkpoints that the leaves do not reach.
func (t *treeWalk) beyond() error {
	for {
		row, err := t.checkpoints.peek(t.ctx)
		if err != nil || row == nil {
			return err
		}
		t.e.report(row)
		if row.size > t.v.snapshot.Size && row.size <= t.e.seen.newest {
			t.e.truncated.addUpTo(finding{code: TailTruncated, seq: t.v.snapshot.Size,
				stored: fmt.Sprintf("%d entries", t.v.snapshot.Size), recomputed: fmt.Sprintf("%d entries, by the checkpoint of that size", row.size)}, lastOf(row.size))
		}
		t.checkpoints.drop()
	}
}

// nodes returns the stored nodes of the tree, by SQL of this package.
func (v *verification) nodes(ctx context.Context) chain.ReadNodes {
	return func(level int, first, count int64) ([]chain.Hash, error) {
		sql, args := leavesSQL, []any{v.snapshot.LedgerID, first, first + count}
		if level > 0 {
			sql, args = storedNodesSQL, []any{v.snapshot.LedgerID, int64(level), first, first + count}
		}
		var hashes []chain.Hash
		err := v.snapshot.Scan(ctx, sql, args, func(r *store.Row) error {
			if at := first + int64(len(hashes)); r.Int64(0) != at {
				return fmt.Errorf("node %d of level %d: %w", at, level, chain.ErrNodes)
			}
			hashes = append(hashes, r.Hash(1))
			return nil
		})
		if err == nil && int64(len(hashes)) != count {
			err = fmt.Errorf("node %d of level %d: %w", first+int64(len(hashes)), level, chain.ErrNodes)
		}
		return hashes, err
	}
}
