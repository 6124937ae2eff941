package reconcile

import (
	"math/bits"

	"tallystick/ledger/chain"
)

// merkle is the tree of FORMAT.md over the entry hashes, one leaf after the
// other. Unlike chain.Frontier, which the signer uses, it tells of every stored
// node that a leaf completes.
type merkle struct {
	size  int64
	nodes [64]chain.Hash // by height: that of bit h stands when size has bit h
}

// tileBits is the height between two stored levels.
const tileBits = 8

// newMerkle continues the tree of some first leaves.
func newMerkle(f chain.Frontier) merkle {
	m := merkle{size: f.Size()}
	roots := f.Nodes() // largest first
	for h := 63; h >= 0; h-- {
		if m.size>>h&1 == 1 {
			m.nodes[h], roots = roots[0], roots[1:]
		}
	}
	return m
}

// add appends a leaf, or at a height above 0 the root of a complete subtree,
// and tells of each stored node that it completes.
func (m *merkle) add(height int, node chain.Hash, stored func(level int, position int64, node chain.Hash)) {
	last := m.size + int64(1)<<height // the size behind it
	for h := height; ; h++ {
		if h > 0 && h%tileBits == 0 {
			stored(h/tileBits, last>>h-1, node)
		}
		if m.size>>h&1 == 0 {
			m.nodes[h] = node
			break
		}
		node = chain.NodeHash(m.nodes[h], node)
	}
	m.size = last
}

// root returns the tree hash.
func (m *merkle) root() chain.Hash {
	if m.size == 0 {
		return chain.EmptyRoot
	}
	h := bits.TrailingZeros64(uint64(m.size))
	root := m.nodes[h]
	for h++; h < 64; h++ {
		if m.size>>h&1 == 1 {
			root = chain.NodeHash(m.nodes[h], root)
		}
	}
	return root
}
