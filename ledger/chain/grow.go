package chain

// Node is a node of a Merkle tree that is stored: the root of the complete
// subtree over the leaves Position·256^Level to (Position+1)·256^Level − 1.
type Node struct {
	Level    int
	Position int64
	Hash     Hash
}

// Grow adds a leaf, as Append does, and appends to nodes what the leaf completes
// of what is stored: in all, one node for each 255 leaves.
func (f *Frontier) Grow(leaf Hash, nodes []Node) []Node {
	height := 0
	for s := f.size; s&1 == 1; s >>= 1 {
		last := len(f.nodes) - 1
		leaf = NodeHash(f.nodes[last], leaf)
		f.nodes = f.nodes[:last]
		if height++; height%tileHeight == 0 {
			nodes = append(nodes, Node{Level: height / tileHeight, Position: f.size >> height, Hash: leaf})
		}
	}
	f.nodes = append(f.nodes, leaf)
	f.size++
	return nodes
}
