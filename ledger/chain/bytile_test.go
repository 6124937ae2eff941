package chain_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"tallystick/ledger/chain"
)

// stored is a reader of the nodes of a tree, and how often it was asked.
type stored struct {
	levels [3][]chain.Hash
	asked  int
}

func storedTree(size int) *stored {
	s := &stored{}
	for i := range size {
		s.levels[0] = append(s.levels[0], chain.HashCanonical(fmt.Append(nil, i)))
	}
	for level := range len(s.levels) - 1 {
		for full := range slices.Chunk(s.levels[level], chain.TileWidth) {
			if len(full) == chain.TileWidth {
				s.levels[level+1] = append(s.levels[level+1], chain.RootOf(full))
			}
		}
	}
	return s
}

func (s *stored) read(level int, first, count int64) ([]chain.Hash, error) {
	s.asked++
	if first+count > int64(len(s.levels[level])) {
		return nil, chain.ErrNodes
	}
	return s.levels[level][first : first+count], nil
}

func TestProofsByTileAreTheSame(t *testing.T) {
	t.Parallel()
	const there = 70_000
	s := storedTree(there)
	for _, size := range []int64{1, 2, 255, 256, 257, 65_535, 65_536, 65_537, there} {
		byTile := chain.ReadNodes(s.read).ByTile(size)
		for _, index := range []int64{0, 1, size / 2, size - 1} {
			if index >= size {
				continue
			}
			want, err := chain.ProveInclusion(index, size, s.read)
			if err != nil {
				t.Fatal(err)
			}
			before := s.asked
			got, err := chain.ProveInclusion(index, size, byTile)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("leaf %d of %d: %v, %v", index, size, got, err)
			}
			if s.asked > before+6 {
				t.Errorf("leaf %d of %d: asked %d times", index, size, s.asked-before)
			}
			before = s.asked
			if _, err := chain.ProveInclusion(index, size, byTile); err != nil || s.asked != before {
				t.Errorf("leaf %d of %d again: asked %d times more, %v", index, size, s.asked-before, err)
			}
		}
	}
}

func TestReadingByTileStaysInItsTree(t *testing.T) {
	t.Parallel()
	read := chain.ReadNodes(storedTree(1000).read).ByTile(600)
	if hashes, err := read(0, 200, 400); err != nil || len(hashes) != 400 {
		t.Errorf("across tiles: %d, %v", len(hashes), err)
	}
	for _, c := range [][3]int64{{0, 200, 401}, {1, 2, 1}, {-1, 0, 1}, {8, 0, 1}, {0, -1, 1}, {0, 1, -1}} {
		if _, err := read(int(c[0]), c[1], c[2]); !errors.Is(err, chain.ErrNodes) {
			t.Errorf("level %d, %d nodes from %d on: %v", c[0], c[2], c[1], err)
		}
	}
	short := chain.ReadNodes(func(int, int64, int64) ([]chain.Hash, error) { return nil, nil }).ByTile(10)
	if _, err := short(0, 0, 1); !errors.Is(err, chain.ErrNodes) {
		t.Errorf("a reader that returns too little: %v", err)
	}
}
