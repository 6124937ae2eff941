package chain

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// The Merkle tree over the entry hashes of a ledger, RFC 6962 §2.1: leaf seq is
// the hash of entry seq. Of its inner nodes, those at the heights 8, 16, 24, …
// are stored, each the root of a complete subtree of 256^level leaves; all
// others are computed from at most 256 of the level below.
const (
	// TileWidth is the number of hashes in a full tile (C2SP tlog-tiles).
	TileWidth = 1 << tileHeight
	// MaxTileLevel bounds the levels of tiles.
	MaxTileLevel = 7
	// MaxTreeSize bounds the leaves of a tree. No ledger gets there; a checkpoint
	// that claims more is refused before any arithmetic is done with its size.
	MaxTreeSize = 1 << 60

	tileHeight = 8
)

// EmptyRoot is the root of a tree without leaves: SHA-256 of nothing.
var EmptyRoot = Hash{
	0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
	0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
}

// The ways in which a proof or the nodes for one are not what they should be.
var (
	// ErrProof: the proof does not connect what it should.
	ErrProof = errors.New("the proof does not hold")
	// ErrEmptyBaseline: a consistency proof from size 0. Every tree extends the
	// empty one, so it would prove nothing (finding REJECT_EMPTY_BASELINE).
	ErrEmptyBaseline = errors.New("an empty tree is no baseline: every tree extends it")
	// ErrNodes: a reader of nodes returned other hashes than asked for, or a
	// tree does not have what was asked for.
	ErrNodes = errors.New("no such nodes")
)

// NodeHash returns the inner node over two subtrees, SHA-256(0x01 ‖ left ‖ right).
func NodeHash(left, right Hash) Hash {
	if stateKnown {
		return nodeSum(&left, &right)
	}
	return Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right)))
}

// Frontier is a tree to which leaves are appended: the roots of its complete
// subtrees, largest first. It takes 32 bytes for each 1 in the binary form of
// its size. The zero value is the empty tree.
type Frontier struct {
	size  int64
	nodes []Hash
}

// NewFrontier restores a frontier from what Size and Nodes returned.
func NewFrontier(size int64, nodes []Hash) (Frontier, error) {
	if !validSize(size) || len(nodes) != bits.OnesCount64(uint64(size)) {
		return Frontier{}, fmt.Errorf("restoring a tree of size %d from %d nodes: %w", size, len(nodes), ErrNodes)
	}
	return Frontier{size, slices.Clone(nodes)}, nil
}

// Size returns the number of leaves.
func (f *Frontier) Size() int64 { return f.size }

// Nodes returns the roots of the complete subtrees, largest first.
func (f *Frontier) Nodes() []Hash { return slices.Clone(f.nodes) }

// Clone returns a copy that is appended to independently.
func (f *Frontier) Clone() Frontier { return Frontier{f.size, slices.Clone(f.nodes)} }

// Append adds a leaf.
func (f *Frontier) Append(leaf Hash) {
	for s := f.size; s&1 == 1; s >>= 1 {
		last := len(f.nodes) - 1
		leaf = NodeHash(f.nodes[last], leaf)
		f.nodes = f.nodes[:last]
	}
	f.nodes = append(f.nodes, leaf)
	f.size++
}

// AppendTile adds the root of a complete subtree of 256^level leaves. The size
// must be a multiple of that number.
func (f *Frontier) AppendTile(level int, root Hash) error {
	if level < 0 || level > MaxTileLevel {
		return fmt.Errorf("appending a subtree of level %d: %w", level, ErrNodes)
	}
	leaves := int64(1) << (tileHeight * level)
	if f.size%leaves != 0 || f.size > MaxTreeSize-leaves {
		return fmt.Errorf("appending a subtree of level %d at size %d: %w", level, f.size, ErrNodes)
	}
	for s := f.size / leaves; s&1 == 1; s >>= 1 {
		last := len(f.nodes) - 1
		root = NodeHash(f.nodes[last], root)
		f.nodes = f.nodes[:last]
	}
	f.nodes = append(f.nodes, root)
	f.size += leaves
	return nil
}

// Root returns the Merkle tree hash, EmptyRoot without leaves.
func (f *Frontier) Root() Hash {
	if f.size == 0 {
		return EmptyRoot
	}
	root := f.nodes[len(f.nodes)-1]
	for i := len(f.nodes) - 2; i >= 0; i-- {
		root = NodeHash(f.nodes[i], root)
	}
	return root
}

// RootOf returns the Merkle tree hash over leaves.
func RootOf(leaves []Hash) Hash {
	var f Frontier
	for _, leaf := range leaves {
		f.Append(leaf)
	}
	return f.Root()
}

// ReadNodes returns count stored nodes from first on: at level 0 the entry
// hashes, at level k the roots of the complete subtrees of 256^k leaves. It
// returns exactly count hashes or an error.
type ReadNodes func(level int, first, count int64) ([]Hash, error)

// reader makes what tlog asks for of the nodes that are stored.
func (read ReadNodes) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			height, n := tlog.SplitStoredHashIndex(index)
			h, err := read.node(height, n)
			if err != nil {
				return nil, err
			}
			hashes[i] = tlog.Hash(h)
		}
		return hashes, nil
	})
}

// node returns node n at a height of the tree: the root over leaves
// n·2^height to (n+1)·2^height − 1.
func (read ReadNodes) node(height int, n int64) (Hash, error) {
	level, above := height/tileHeight, height%tileHeight
	count := int64(1) << above
	hashes, err := read(level, n*count, count)
	if err != nil {
		return Hash{}, err
	}
	if int64(len(hashes)) != count {
		return Hash{}, fmt.Errorf("reading %d nodes of level %d from %d on: got %d: %w", count, level, n*count, len(hashes), ErrNodes)
	}
	return RootOf(hashes), nil
}

// FrontierAt returns the tree of the first size leaves, from stored nodes.
func FrontierAt(size int64, read ReadNodes) (Frontier, error) {
	if !validSize(size) {
		return Frontier{}, fmt.Errorf("making a tree of size %d: %w", size, ErrNodes)
	}
	f := Frontier{size: size}
	for height := bits.Len64(uint64(size)) - 1; height >= 0; height-- {
		if size>>height&1 == 0 {
			continue
		}
		h, err := read.node(height, size>>height-1)
		if err != nil {
			return Frontier{}, err
		}
		f.nodes = append(f.nodes, h)
	}
	return f, nil
}

// ProveInclusion returns the audit path of leaf index in the tree of the first
// size leaves, RFC 6962 §2.1.1.
func ProveInclusion(index, size int64, read ReadNodes) ([]Hash, error) {
	if index < 0 || index >= size || !validSize(size) {
		return nil, fmt.Errorf("proving that a tree of size %d has leaf %d: %w", size, index, ErrNodes)
	}
	p, err := tlog.ProveRecord(size, index, read.reader())
	if err != nil {
		return nil, fmt.Errorf("proving that a tree of size %d has leaf %d: %w", size, index, err)
	}
	return ourHashes(p), nil
}

// ProveConsistency returns the proof that the tree of the first to leaves
// extends that of the first from, RFC 6962 §2.1.2. It is empty when both are
// the same; from is at least 1 (ErrEmptyBaseline).
func ProveConsistency(from, to int64, read ReadNodes) ([]Hash, error) {
	switch {
	case from == 0:
		return nil, ErrEmptyBaseline
	case from < 0 || from > to || !validSize(to):
		return nil, fmt.Errorf("proving that a tree of size %d extends one of size %d: %w", to, from, ErrNodes)
	case from == to:
		return nil, nil
	}
	p, err := tlog.ProveTree(to, from, read.reader())
	if err != nil {
		return nil, fmt.Errorf("proving that a tree of size %d extends one of size %d: %w", to, from, err)
	}
	return ourHashes(p), nil
}

// VerifyInclusion returns nil when the proof shows that leaf stands at index of
// the tree with that size and root, and otherwise ErrProof.
func VerifyInclusion(index, size int64, leaf Hash, proof []Hash, root Hash) error {
	if index < 0 || index >= size || !validSize(size) {
		return fmt.Errorf("leaf %d of a tree of size %d: %w", index, size, ErrProof)
	}
	if err := tlog.CheckRecord(theirHashes(proof), size, tlog.Hash(root), index, tlog.Hash(leaf)); err != nil {
		return fmt.Errorf("leaf %d of the tree of size %d with root %s: %w", index, size, root, ErrProof)
	}
	return nil
}

// VerifyConsistency returns nil when the proof shows that the tree of size to
// extends that of size from, and otherwise ErrProof, or ErrEmptyBaseline when
// from is 0.
func VerifyConsistency(from, to int64, fromRoot, toRoot Hash, proof []Hash) error {
	switch {
	case from == 0:
		return ErrEmptyBaseline
	case from < 0 || from > to || !validSize(to):
		return fmt.Errorf("a tree of size %d after one of size %d: %w", to, from, ErrProof)
	case from == to:
		if len(proof) != 0 || fromRoot != toRoot {
			return fmt.Errorf("two roots of a tree of size %d, %s and %s: %w", to, fromRoot, toRoot, ErrProof)
		}
		return nil
	}
	if err := tlog.CheckTree(theirHashes(proof), to, tlog.Hash(toRoot), from, tlog.Hash(fromRoot)); err != nil {
		return fmt.Errorf("the tree of size %d with root %s after that of size %d with root %s: %w", to, toRoot, from, fromRoot, ErrProof)
	}
	return nil
}

func validSize(size int64) bool { return 0 <= size && size <= MaxTreeSize }

func ourHashes(theirs []tlog.Hash) []Hash {
	ours := make([]Hash, len(theirs))
	for i, h := range theirs {
		ours[i] = Hash(h)
	}
	return ours
}

func theirHashes(ours []Hash) []tlog.Hash {
	theirs := make([]tlog.Hash, len(ours))
	for i, h := range ours {
		theirs[i] = tlog.Hash(h)
	}
	return theirs
}
