package chain

import "fmt"

// keptTiles is how many tiles a reader by tile keeps before it forgets them.
const keptTiles = 256

// ByTile returns a reader of the same nodes, of a tree of that size, which asks
// for whole tiles and keeps them: the proofs of neighbouring entries share most
// of theirs. It is for one tree, one goroutine and a short time. What the tree
// does not have is ErrNodes.
func (read ReadNodes) ByTile(size int64) ReadNodes {
	tiles := make(map[Tile][]Hash)
	return func(level int, first, count int64) ([]Hash, error) {
		if level < 0 || level > MaxTileLevel || first < 0 || count < 0 || first+count > size>>(tileHeight*level) {
			return nil, fmt.Errorf("reading %d nodes of level %d from %d on in a tree of size %d: %w", count, level, first, size, ErrNodes)
		}
		hashes := make([]Hash, 0, count)
		for last := first + count; first < last; {
			t := Tile{Level: level, Index: first / TileWidth}
			t.Width = int(min(TileWidth, size>>(tileHeight*level)-t.First()))
			nodes, ok := tiles[t]
			if !ok {
				var err error
				if nodes, err = read(level, t.First(), int64(t.Width)); err != nil {
					return nil, err
				}
				if len(nodes) != t.Width {
					return nil, fmt.Errorf("reading tile %s: got %d nodes: %w", t.Path(), len(nodes), ErrNodes)
				}
				if len(tiles) == keptTiles {
					clear(tiles)
				}
				tiles[t] = nodes
			}
			upTo := min(last, t.First()+int64(t.Width))
			hashes = append(hashes, nodes[first-t.First():upTo-t.First()]...)
			first = upTo
		}
		return hashes, nil
	}
}
