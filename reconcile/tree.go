package reconcile

import (
	"context"
	"fmt"

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
	ctx  context.Context // of the walk: nodes are read while leaves are added
	err  error           // of reading nodes
	tree merkle
	lost bool // leaves are missing for which no stored node stands: nothing beyond has a root

	pages       [chain.MaxTileLevel + 1]nodePage
	checkpoints checkpointReader
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

// checkTree walks through the leaves from the block of entry v.from on.
func (v *verification) checkTree(ctx context.Context) error {
	base := v.from - v.from%chain.TileWidth
	frontier, err := chain.FrontierAt(base, v.nodes(ctx))
	if err != nil {
		return fmt.Errorf("reading the tree of the first %d entries: %w", base, err)
	}
	t := &treeWalk{v: v, ctx: ctx, tree: newMerkle(frontier), checkpoints: checkpointReader{v: v, after: base - 1}}
	if err := t.pass(); err != nil {
		return err
	}
	for low := base; low < v.snapshot.Size && !t.lost; low += leafPage {
		if err := t.walkPage(low, min(low+leafPage, v.snapshot.Size)); err != nil {
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
		t.tree.add(0, leaf, t.compare)
		if err := t.pass(); err != nil {
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
	t.tree.add(tileBits, node, t.compare)
	return t.pass()
}

// compare holds a node against the stored one.
func (t *treeWalk) compare(level int, position int64, node chain.Hash) {
	stored, ok := t.stored(level, position)
	end := (position + 1) << (tileBits * level)
	switch {
	case t.err != nil:
	case !ok && end > t.v.evidence.seen.newest: // it is stored with the next checkpoint
	case !ok:
		t.v.evidence.tiles.add(finding{code: TileMismatch, seq: end - 1,
			stored: fmt.Sprintf("node %d of level %d is missing", position, level), recomputed: node.String()})
	case stored != node:
		t.v.evidence.tiles.add(finding{code: TileMismatch, seq: end - 1,
			stored: fmt.Sprintf("node %d of level %d: %s", position, level, stored), recomputed: node.String()})
	default:
		t.v.evidence.nodes++
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

// pass holds the tree as it is now against the checkpoints of its size, and
// keeps its root where somebody asks for it.
func (t *treeWalk) pass() error {
	size := t.tree.size
	wanted := t.v.evidence.wants(size)
	row, err := t.checkpoints.at(t.ctx, size)
	if err != nil || row == nil && !wanted {
		return err
	}
	root := t.tree.root()
	if wanted {
		t.v.evidence.roots[size] = root
	}
	if row != nil {
		t.v.checkCheckpoint(row, root)
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
		t.v.evidence.report(row)
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
		t.v.evidence.report(row)
		if row.size > t.v.snapshot.Size && row.size <= t.v.evidence.seen.newest {
			t.v.evidence.truncated.addUpTo(finding{code: TailTruncated, seq: t.v.snapshot.Size,
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
