package chain_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"tallystick/ledger/chain"
)

func TestTilePaths(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]chain.Tile{
		"0/000":                     {Level: 0, Index: 0, Width: 256},
		"0/999":                     {Level: 0, Index: 999, Width: 256},
		"0/x001/000":                {Level: 0, Index: 1000, Width: 256},
		"0/x001/x234/067":           {Level: 0, Index: 1234067, Width: 256}, // the example of C2SP tlog-tiles
		"7/x001/x234/067.p/8":       {Level: 7, Index: 1234067, Width: 8},
		"1/000.p/1":                 {Level: 1, Index: 0, Width: 1},
		"2/017.p/255":               {Level: 2, Index: 17, Width: 255},
		"entries/x123/456":          {Level: chain.EntriesLevel, Index: 123456, Width: 256},
		"entries/000.p/112":         {Level: chain.EntriesLevel, Index: 0, Width: 112},
		"0/x009/x223/x372/x036/854": {Level: 0, Index: 9223372036854, Width: 256},
	} {
		got, err := chain.ParseTile(path)
		if err != nil || got != want || want.Path() != path {
			t.Errorf("%s: %+v (%v), which is at %s", path, got, err, want.Path())
		}
	}
}

// badTilePaths name no tile: each tile has one path.
var badTilePaths = []string{
	"", "/", "0", "0/", "0/0", "0/00", "0/0000", "0/000/", "/0/000", "0/000.p", "0/000.p/", "0/000.p/0", "0/000.p/256", "0/000.p/01", "0/000.p/+1", "0/000.p/1/",
	"0/000.p/1.p/1", "00/000", "+0/000", "-1/000", "-0/000", "8/000", "63/000", "0/x000", "0/x000/000", "0/x000/001", "0/001/000", "0/x001/x000", "0/x1/000", "0/X001/000",
	"0/+01", "0/-01", "0/0x1", "0/x001//000", "0/../000", "entries", "entries/", "Entries/000", "entries/0", "0/٠٠٠", "0/000?", " 0/000", "0/000 ", "0/000\n",
	"0/x036/x028/x797/x018/x963/968", "0/x999/x999/x999/x999/x999/x999/999",
}

func TestBadTilePathsAreRefused(t *testing.T) {
	t.Parallel()
	for _, path := range append(badTilePaths, "0/"+strings.Repeat("x000/", 10_000)+"000") {
		if tile, err := chain.ParseTile(path); err == nil {
			t.Errorf("%.40q is read as %+v", path, tile)
		}
	}
}

// TestTilesOfATree has the example of C2SP tlog-tiles: 70,000 entries.
func TestTilesOfATree(t *testing.T) {
	t.Parallel()
	const size = 70_000
	for path, want := range map[string]bool{
		"0/272": true, "0/273": false, "0/273.p/112": true, "0/273.p/111": true, "0/273.p/113": false, "0/274.p/1": false,
		"1/000": true, "1/001": false, "1/001.p/17": true, "1/001.p/18": false, "2/000.p/1": true, "2/000.p/2": false, "3/000.p/1": false,
		"entries/272": true, "entries/273": false, "entries/273.p/112": true, "entries/273.p/113": false,
	} {
		tile, err := chain.ParseTile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := tile.FitsIn(size); got != want {
			t.Errorf("a tree of %d has %s: %t, want %t", size, path, got, want)
		}
	}
	largest := chain.Tile{Level: 0, Index: math.MaxInt64 / chain.TileWidth / 2, Width: 256}
	if largest.FitsIn(size) || largest.First() < 0 {
		t.Error("the largest tile")
	}
}

func TestBundlesOfEntries(t *testing.T) {
	t.Parallel()
	b, err := chain.AppendBundleEntry([]byte("x"), []byte("abc"))
	if err != nil || string(b) != "x\x00\x03abc" {
		t.Errorf("%q (%v)", b, err)
	}
	if b, err := chain.AppendBundleEntry(nil, make([]byte, math.MaxUint16)); err != nil || binary.BigEndian.Uint16(b) != math.MaxUint16 || len(b) != 2+math.MaxUint16 {
		t.Errorf("the longest entry: %d bytes (%v)", len(b), err)
	}
	if b, err := chain.AppendBundleEntry([]byte("x"), make([]byte, math.MaxUint16+1)); err == nil || !bytes.Equal(b, []byte("x")) {
		t.Errorf("a longer one: %d bytes (%v)", len(b), err)
	}
}

// FuzzParseTile holds that a tile has one path.
func FuzzParseTile(f *testing.F) {
	for _, path := range append(badTilePaths, "0/x001/x234/067", "entries/000.p/112", "7/x001/x234/067.p/8") {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		tile, err := chain.ParseTile(path)
		if err != nil {
			return
		}
		if tile.Path() != path {
			t.Fatalf("%q is read as %+v, which is at %q", path, tile, tile.Path())
		}
		if tile.Level < chain.EntriesLevel || tile.Level > chain.MaxTileLevel || tile.Index < 0 || tile.Width < 1 || tile.Width > chain.TileWidth || tile.First() < 0 {
			t.Fatalf("%q is read as %+v", path, tile)
		}
	})
}
