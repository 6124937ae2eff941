package chain_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"tallystick/ledger/chain"
)

// What Grow gives is what a tree is read back from: stored nodes alone.
func TestATreeIsReadBackFromTheNodesThatGrowGives(t *testing.T) {
	t.Parallel()
	const size = 2*chain.TileWidth*chain.TileWidth + 3*chain.TileWidth + 7
	var grown, appended chain.Frontier
	var leaves []chain.Hash
	var nodes []chain.Node
	for i := range size {
		var leaf chain.Hash
		binary.BigEndian.PutUint64(leaf[:], uint64(i))
		if i == size/2 { // as after a restart
			restored, err := chain.NewFrontier(grown.Size(), grown.Nodes())
			if err != nil {
				t.Fatal(err)
			}
			grown = restored
		}
		nodes = grown.Grow(leaf, nodes)
		appended.Append(leaf)
		leaves = append(leaves, leaf)
	}
	if want := size/chain.TileWidth + 2; len(nodes) != want {
		t.Errorf("%d nodes for %d leaves, want %d", len(nodes), size, want)
	}
	read := func(level int, first, count int64) ([]chain.Hash, error) {
		if level == 0 {
			return leaves[first : first+count], nil
		}
		var found []chain.Hash
		for i := range count {
			at := slices.IndexFunc(nodes, func(n chain.Node) bool { return n.Level == level && n.Position == first+i })
			if at < 0 {
				return nil, chain.ErrNodes
			}
			found = append(found, nodes[at].Hash)
		}
		return found, nil
	}
	again, err := chain.FrontierAt(size, read)
	if err != nil || again.Root() != grown.Root() || grown.Root() != appended.Root() {
		t.Errorf("read back %s, grown %s, appended %s, %v", again.Root(), grown.Root(), appended.Root(), err)
	}
}
