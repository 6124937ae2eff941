package chain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"tallystick/ledger/chain"
	published "tallystick/scripts/samples"
)

// storedNodes keeps the nodes of a tree as a database does: leaves, and the
// roots of complete subtrees of 256^level leaves.
type storedNodes [][]chain.Hash

// storeTree computes the nodes by the definition of RFC 6962, not by a frontier.
func storeTree(leaves []chain.Hash) storedNodes {
	levels := storedNodes{leaves}
	for below := leaves; len(below) >= chain.TileWidth; {
		var level []chain.Hash
		for tile := range slices.Chunk(below, chain.TileWidth) {
			if len(tile) == chain.TileWidth {
				level = append(level, rootByDefinition(tile))
			}
		}
		levels, below = append(levels, level), level
	}
	return levels
}

// rootByDefinition is MTH of RFC 6962 §2.1, over leaf hashes.
func rootByDefinition(leaves []chain.Hash) chain.Hash {
	switch n := len(leaves); n {
	case 0:
		return chain.Hash(rfc6962.DefaultHasher.EmptyRoot())
	case 1:
		return leaves[0]
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		left, right := rootByDefinition(leaves[:k]), rootByDefinition(leaves[k:])
		return chain.Hash(rfc6962.DefaultHasher.HashChildren(left[:], right[:]))
	}
}

func (s storedNodes) read(level int, first, count int64) ([]chain.Hash, error) {
	if level >= len(s) || first+count > int64(len(s[level])) {
		return nil, fmt.Errorf("reading node %d of level %d: %w", first+count-1, level, chain.ErrNodes)
	}
	return s[level][first : first+count], nil
}

func someLeaves(n int) []chain.Hash {
	leaves := make([]chain.Hash, n)
	for i := range leaves {
		leaves[i] = digest(fmt.Sprintf("leaf %d", i))
	}
	return leaves
}

func theirs(hashes []chain.Hash) [][]byte {
	list := make([][]byte, len(hashes))
	for i := range hashes {
		list[i] = hashes[i][:]
	}
	return list
}

func ours[T ~[32]byte](hashes []T) []chain.Hash {
	list := make([]chain.Hash, len(hashes))
	for i := range hashes {
		list[i] = chain.Hash(hashes[i])
	}
	return list
}

// threeTrees holds the same leaves three times.
type threeTrees struct {
	leaves []chain.Hash
	stored storedNodes
	merkle *testonly.Tree
	tlog   []tlog.Hash // stored hashes of golang.org/x/mod
}

func growThree(t *testing.T, n int) threeTrees {
	t.Helper()
	trees := threeTrees{leaves: someLeaves(n), merkle: testonly.New(rfc6962.DefaultHasher)}
	trees.stored = storeTree(trees.leaves)
	for i := range trees.leaves {
		trees.merkle.Append(trees.leaves[i][:])
		more, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(trees.leaves[i]), trees.read())
		if err != nil {
			t.Fatal(err)
		}
		trees.tlog = append(trees.tlog, more...)
	}
	return trees
}

func (tr *threeTrees) read() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			list[i] = tr.tlog[x]
		}
		return list, nil
	})
}

const comparedTreeSize = 300 // beyond a tile

// pairStep thins out pairs under the race detector, which slows hashing down.
func pairStep() int {
	if raceEnabled {
		return 17
	}
	return 1
}

func TestRootsAgreeWithTwoOtherLibraries(t *testing.T) {
	t.Parallel()
	tr := growThree(t, comparedTreeSize)
	var grown chain.Frontier
	for n := range comparedTreeSize + 1 {
		if n > 0 {
			grown.Append(tr.leaves[n-1])
		}
		want := chain.Hash(tr.merkle.HashAt(uint64(n)))
		if n > 0 {
			other, err := tlog.TreeHash(int64(n), tr.read())
			if err != nil || chain.Hash(other) != want {
				t.Fatalf("size %d: the two libraries have %s and %s (%v)", n, want, chain.Hash(other), err)
			}
		}
		read, err := chain.FrontierAt(int64(n), tr.stored.read)
		if err != nil {
			t.Fatalf("size %d: %v", n, err)
		}
		restored, err := chain.NewFrontier(int64(n), grown.Nodes())
		if err != nil {
			t.Fatalf("size %d: %v", n, err)
		}
		for how, got := range map[string]chain.Hash{
			"grown": grown.Root(), "read": read.Root(), "restored": restored.Root(), "at once": chain.RootOf(tr.leaves[:n]), "by definition": rootByDefinition(tr.leaves[:n]),
		} {
			if got != want {
				t.Errorf("size %d, %s: root %s, want %s", n, how, got, want)
			}
		}
	}
}

func TestInclusionProofsAgreeWithTwoOtherLibraries(t *testing.T) {
	t.Parallel()
	tr := growThree(t, comparedTreeSize)
	pair := 0
	for size := 1; size <= comparedTreeSize; size++ {
		root := chain.Hash(tr.merkle.HashAt(uint64(size)))
		for index := range size {
			if pair++; pair%pairStep() != 0 {
				continue
			}
			got, err := chain.ProveInclusion(int64(index), int64(size), tr.stored.read)
			if err != nil {
				t.Fatalf("leaf %d of %d: %v", index, size, err)
			}
			merkles, err := tr.merkle.InclusionProof(uint64(index), uint64(size))
			if err != nil {
				t.Fatal(err)
			}
			tlogs, err := tlog.ProveRecord(int64(size), int64(index), tr.read())
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, merkles, sameHash) || !slices.Equal(got, ours(tlogs)) {
				t.Fatalf("leaf %d of %d: proof %s, others have %x and %s", index, size, got, merkles, tlogs)
			}
			if err := chain.VerifyInclusion(int64(index), int64(size), tr.leaves[index], got, root); err != nil {
				t.Error(err)
			}
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), tr.leaves[index][:], theirs(got), root[:]); err != nil {
				t.Error(err)
			}
		}
	}
}

func sameHash(a chain.Hash, b []byte) bool { return bytes.Equal(a[:], b) }

func TestConsistencyProofsAgreeWithTwoOtherLibraries(t *testing.T) {
	t.Parallel()
	tr := growThree(t, comparedTreeSize)
	pair := 0
	for to := 1; to <= comparedTreeSize; to++ {
		toRoot := chain.Hash(tr.merkle.HashAt(uint64(to)))
		for from := 1; from <= to; from++ {
			if pair++; pair%pairStep() != 0 {
				continue
			}
			fromRoot := chain.Hash(tr.merkle.HashAt(uint64(from)))
			got, err := chain.ProveConsistency(int64(from), int64(to), tr.stored.read)
			if err != nil {
				t.Fatalf("%d to %d: %v", from, to, err)
			}
			merkles, err := tr.merkle.ConsistencyProof(uint64(from), uint64(to))
			if err != nil {
				t.Fatal(err)
			}
			tlogs, err := tlog.ProveTree(int64(to), int64(from), tr.read())
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, merkles, sameHash) || !slices.Equal(got, ours(tlogs)) {
				t.Fatalf("%d to %d: proof %s, others have %x and %s", from, to, got, merkles, tlogs)
			}
			if err := chain.VerifyConsistency(int64(from), int64(to), fromRoot, toRoot, got); err != nil {
				t.Error(err)
			}
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(from), uint64(to), theirs(got), fromRoot[:], toRoot[:]); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestRootsOfTheReferenceTrees(t *testing.T) {
	t.Parallel()
	if got := chain.Hash(testonly.EmptyRootHash()); got != chain.EmptyRoot {
		t.Errorf("empty root %s, want %s", chain.EmptyRoot, got)
	}
	var f chain.Frontier
	roots := testonly.RootHashes()
	for i, input := range testonly.LeafInputs() {
		f.Append(chain.HashCanonical(input))
		if got := f.Root(); !bytes.Equal(got[:], roots[i+1]) {
			t.Errorf("size %d: root %s, want %x", i+1, got, roots[i+1])
		}
	}
	if f.Size() != 8 || len(roots) != 9 {
		t.Errorf("%d leaves and %d roots", f.Size(), len(roots))
	}
}

// vectorNumber reads what may be negative or beyond 63 bits in a vector; ok is
// false when no caller of ours could even say it.
func vectorNumber(t *testing.T, n json.Number) (v int64, ok bool) {
	t.Helper()
	v, err := n.Int64()
	return v, err == nil
}

// hashes is false when one has another length, which our types cannot say. Some
// vectors have a word in place of a root that does not matter: pad lets them.
func hashes(raw [][]byte, pad bool) (list []chain.Hash, ok bool) {
	for _, b := range raw {
		if len(b) != len(chain.Hash{}) && !(pad && 0 < len(b) && len(b) < len(chain.Hash{})) {
			return nil, false
		}
		var h chain.Hash
		copy(h[:], b)
		list = append(list, h)
	}
	return list, true
}

// eachVector calls check with every file below a folder of rfc6962.
func eachVector(t *testing.T, folder string, check func(name string, text []byte)) {
	t.Helper()
	const want = 98 // in each of the two folders
	n := 0
	root := filepath.Join(published.Vectors(t, "rfc6962"), "testdata", folder)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		text, err := os.ReadFile(path)
		check(path[len(root):], text)
		n++
		return err
	})
	if err != nil || n != want {
		t.Errorf("%d vectors of %s, want %d (%v)", n, folder, want, err)
	}
}

func TestPublishedInclusionVectors(t *testing.T) {
	t.Parallel()
	eachVector(t, "inclusion", func(name string, text []byte) {
		var v struct {
			LeafIdx, TreeSize json.Number
			Root, LeafHash    []byte
			Proof             [][]byte
			WantErr           bool
		}
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		index, ok1 := vectorNumber(t, v.LeafIdx)
		size, ok2 := vectorNumber(t, v.TreeSize)
		path, ok3 := hashes(v.Proof, false)
		ends, ok4 := hashes([][]byte{v.LeafHash, v.Root}, true)
		refused := !ok1 || !ok2 || !ok3 || !ok4 // the types of the call refuse it
		if !refused {
			err := chain.VerifyInclusion(index, size, ends[0], path, ends[1])
			if refused = err != nil; refused && !errors.Is(err, chain.ErrProof) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if refused != v.WantErr {
			t.Errorf("%s: refused: %t, want %t", name, refused, v.WantErr)
		}
	})
}

func TestPublishedConsistencyVectors(t *testing.T) {
	t.Parallel()
	eachVector(t, "consistency", func(name string, text []byte) {
		var v struct {
			Size1, Size2 json.Number
			Root1, Root2 []byte
			Proof        [][]byte
			WantErr      bool
		}
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		from, ok1 := vectorNumber(t, v.Size1)
		to, ok2 := vectorNumber(t, v.Size2)
		path, ok3 := hashes(v.Proof, false)
		ends, ok4 := hashes([][]byte{v.Root1, v.Root2}, true)
		refused := !ok1 || !ok2 || !ok3 || !ok4
		if !refused {
			err := chain.VerifyConsistency(from, to, ends[0], ends[1], path)
			if refused = err != nil; refused && errors.Is(err, chain.ErrEmptyBaseline) != (from == 0) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if refused != v.WantErr {
			t.Errorf("%s: refused: %t, want %t", name, refused, v.WantErr)
		}
	})
}

// TestMangledProofsNeverVerify changes one thing of a proof that holds.
func TestMangledProofsNeverVerify(t *testing.T) {
	t.Parallel()
	leaves := someLeaves(700)
	stored := storeTree(leaves)
	roots := make([]chain.Hash, len(leaves)+1)
	var f chain.Frontier
	for i, leaf := range leaves {
		f.Append(leaf)
		roots[i+1] = f.Root()
	}
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, len(leaves)).Draw(t, "size")
		first := rapid.IntRange(1, size).Draw(t, "first")
		inclusion, err := chain.ProveInclusion(int64(first-1), int64(size), stored.read)
		if err != nil {
			t.Fatal(err)
		}
		consistency, err := chain.ProveConsistency(int64(first), int64(size), stored.read)
		if err != nil {
			t.Fatal(err)
		}
		index, from, to := int64(first-1), int64(first), int64(size)
		leaf, fromRoot, toRoot := leaves[first-1], roots[first], roots[size]
		check := func(want bool, what string) {
			if (chain.VerifyInclusion(index, to, leaf, inclusion, toRoot) == nil) != want {
				t.Errorf("inclusion of %d in %d, %s: verifies: %t", index, to, what, !want)
			}
			if (chain.VerifyConsistency(from, to, fromRoot, toRoot, consistency) == nil) != want {
				t.Errorf("consistency of %d and %d, %s: verifies: %t", from, to, what, !want)
			}
		}
		check(true, "untouched")
		bit := byte(1) << rapid.IntRange(0, 7).Draw(t, "bit")
		at := rapid.IntRange(0, 31).Draw(t, "at")
		flip := func(h *chain.Hash) { h[at] ^= bit }
		flip(&toRoot)
		check(false, "another root")
		flip(&toRoot)
		flip(&leaf)
		flip(&fromRoot)
		check(false, "another leaf, another old root")
		flip(&leaf)
		flip(&fromRoot)
		whole, whole2 := inclusion, consistency
		inclusion, consistency = append(slices.Clone(whole), leaf), append(slices.Clone(whole2), leaf)
		check(false, "a hash more")
		if len(whole) > 0 && len(whole2) > 0 {
			inclusion, consistency = whole[1:], whole2[1:]
			check(false, "without the first hash")
			inclusion, consistency = whole[:len(whole)-1], whole2[:len(whole2)-1]
			check(false, "without the last hash")
			inclusion, consistency = slices.Clone(whole), slices.Clone(whole2)
			flip(&inclusion[rapid.IntRange(0, len(inclusion)-1).Draw(t, "hash")])
			flip(&consistency[rapid.IntRange(0, len(consistency)-1).Draw(t, "hash of the other")])
			check(false, "another hash")
		}
	})
}

// TestSizesBeyondTheBoundAreRefusedAtOnce: the library below would compute with
// them for ever.
func TestSizesBeyondTheBoundAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	none := func(int, int64, int64) ([]chain.Hash, error) { return nil, errors.New("asked") }
	for _, size := range []int64{chain.MaxTreeSize + 1, 1<<62 + 1, math.MaxInt64, -1, math.MinInt64} {
		h := digest("h")
		if err := chain.VerifyInclusion(0, size, h, nil, h); !errors.Is(err, chain.ErrProof) {
			t.Errorf("inclusion in %d: %v", size, err)
		}
		if err := chain.VerifyConsistency(1, size, h, h, nil); !errors.Is(err, chain.ErrProof) {
			t.Errorf("consistency with %d: %v", size, err)
		}
		if _, err := chain.ProveInclusion(0, size, none); !errors.Is(err, chain.ErrNodes) {
			t.Errorf("proving inclusion in %d: %v", size, err)
		}
		if _, err := chain.ProveConsistency(1, size, none); !errors.Is(err, chain.ErrNodes) {
			t.Errorf("proving consistency with %d: %v", size, err)
		}
		if _, err := chain.FrontierAt(size, none); !errors.Is(err, chain.ErrNodes) {
			t.Errorf("tree of %d: %v", size, err)
		}
		if _, err := chain.NewFrontier(size, make([]chain.Hash, 64)); !errors.Is(err, chain.ErrNodes) {
			t.Errorf("restoring a tree of %d: %v", size, err)
		}
		if _, err := chain.ParseCheckpoint(chain.Checkpoint{Origin: "o", Size: size, Root: h}.Text()); !errors.Is(err, chain.ErrCheckpoint) {
			t.Errorf("checkpoint of %d: %v", size, err)
		}
	}
	if err := chain.VerifyInclusion(7, chain.MaxTreeSize, digest("h"), nil, digest("h")); !errors.Is(err, chain.ErrProof) {
		t.Errorf("the largest size: %v", err)
	}
}

func TestTilesAreAppendedLikeTheirLeaves(t *testing.T) {
	t.Parallel()
	leaves := someLeaves(3*chain.TileWidth + 5)
	stored := storeTree(leaves)
	var f chain.Frontier
	for _, root := range stored[1] {
		if err := f.AppendTile(1, root); err != nil {
			t.Fatal(err)
		}
	}
	for _, leaf := range leaves[3*chain.TileWidth:] {
		f.Append(leaf)
	}
	if got, want := f.Root(), rootByDefinition(leaves); got != want || f.Size() != int64(len(leaves)) {
		t.Errorf("size %d, root %s, want %d and %s", f.Size(), got, len(leaves), want)
	}
	for _, level := range []int{-1, 1, chain.MaxTileLevel, chain.MaxTileLevel + 1} {
		if err := f.AppendTile(level, leaves[0]); !errors.Is(err, chain.ErrNodes) {
			t.Errorf("level %d at size %d: %v", level, f.Size(), err)
		}
	}
	if f.Root() != rootByDefinition(leaves) {
		t.Error("a refused tile has changed the tree")
	}
}

func TestReadersThatReturnTooFewNodesAreFound(t *testing.T) {
	t.Parallel()
	stored := storeTree(someLeaves(300))
	short := func(level int, first, count int64) ([]chain.Hash, error) {
		list, err := stored.read(level, first, count)
		return list[:max(0, len(list)-1)], err
	}
	if _, err := chain.FrontierAt(300, short); !errors.Is(err, chain.ErrNodes) {
		t.Errorf("tree: %v", err)
	}
	if _, err := chain.ProveInclusion(3, 300, short); !errors.Is(err, chain.ErrNodes) {
		t.Errorf("inclusion: %v", err)
	}
	if _, err := chain.ProveConsistency(3, 300, short); !errors.Is(err, chain.ErrNodes) {
		t.Errorf("consistency: %v", err)
	}
	if _, err := chain.ProveConsistency(0, 300, stored.read); !errors.Is(err, chain.ErrEmptyBaseline) {
		t.Errorf("from nothing: %v", err)
	}
}

func TestCloneOfAFrontierGrowsByItself(t *testing.T) {
	t.Parallel()
	var f chain.Frontier
	for _, leaf := range someLeaves(5) {
		f.Append(leaf)
	}
	before := f.Root()
	c := f.Clone()
	c.Append(digest("more"))
	f.Nodes()[0] = digest("other")
	if f.Root() != before || c.Root() == before {
		t.Error("the clone shares nodes with what it was made of")
	}
}
