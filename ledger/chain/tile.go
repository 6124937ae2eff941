package chain

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Tile names a tile of the tree as C2SP tlog-tiles serves it
// (https://c2sp.org/tlog-tiles): Width consecutive nodes of a level, level 0
// being the entry hashes. A partial tile has fewer than TileWidth.
type Tile struct {
	Level int   // 0 to MaxTileLevel; −1 for a bundle of entries
	Index int64 // the tile's place in its level
	Width int   // 1 to TileWidth
}

// EntriesLevel is the Level of a Tile that names a bundle of entries.
const EntriesLevel = -1

// First returns the place in its level of the tile's first node.
func (t Tile) First() int64 { return t.Index * TileWidth }

// FitsIn reports whether a log of that size has the tile: a full one when all
// its nodes are complete, a partial one when its nodes are.
func (t Tile) FitsIn(size int64) bool {
	level := max(t.Level, 0)
	return t.First()+int64(t.Width) <= size>>(tileHeight*level)
}

// Path returns the path of the tile below "tile/", such as
// "0/x001/x234/067" or "entries/067.p/8".
func (t Tile) Path() string {
	level := "entries"
	if t.Level != EntriesLevel {
		level = strconv.Itoa(t.Level)
	}
	n := fmt.Sprintf("%03d", t.Index%1000)
	for rest := t.Index / 1000; rest > 0; rest /= 1000 {
		n = fmt.Sprintf("x%03d/%s", rest%1000, n)
	}
	if t.Width < TileWidth {
		n += ".p/" + strconv.Itoa(t.Width)
	}
	return level + "/" + n
}

// ParseTile reads what Path returned; each tile has one path.
func ParseTile(path string) (Tile, error) {
	level, rest, ok := strings.Cut(path, "/")
	t := Tile{Level: EntriesLevel, Width: TileWidth}
	if level != "entries" {
		n, err := strconv.Atoi(level)
		if err != nil || n < 0 {
			ok = false
		}
		t.Level = n
	}
	if index, width, partial := strings.Cut(rest, ".p/"); partial {
		n, err := strconv.Atoi(width)
		if err != nil || n < 1 || n >= TileWidth {
			ok = false
		}
		rest, t.Width = index, n
	}
	for part := range strings.SplitSeq(rest, "/") {
		digits := strings.TrimPrefix(part, "x")
		n, err := strconv.Atoi(digits)
		if err != nil || len(digits) != 3 || n < 0 || t.Index > (math.MaxInt64/TileWidth-999)/1000 {
			ok = false
			break
		}
		t.Index = t.Index*1000 + int64(n)
	}
	if !ok || t.Level > MaxTileLevel || t.Path() != path {
		return Tile{}, fmt.Errorf("reading the tile path %q: not one of https://c2sp.org/tlog-tiles", path)
	}
	return t, nil
}

// AppendBundleEntry appends an entry to a bundle of entries: the length of its
// canonical bytes as a big-endian uint16, and the bytes.
//
// A leaf of the tree is SHA-256(0x00 ‖ canonical bytes), so that who has the
// bundle can recompute the leaves.
func AppendBundleEntry(dst, canonical []byte) ([]byte, error) {
	if len(canonical) > math.MaxUint16 {
		return dst, fmt.Errorf("an entry of %d bytes in a bundle: at most %d fit", len(canonical), math.MaxUint16)
	}
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(canonical))), canonical...), nil
}
