package chain

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// The sum that is read from the hash's state is the one that crypto/sha256 gives
// out, and so is a node's that of x/mod.
func TestTheSumInTheStateIsSHA256(t *testing.T) {
	t.Parallel()
	if !stateKnown {
		t.Error("this Go marshals the state of SHA-256 in another form: sums are right, and slower; see digest.go")
	}
	long := bytes.Repeat([]byte("tallystick/"), 1<<16/11+1)
	for n := range 1 << 10 {
		if message := long[:n]; sha(message) != sha256.Sum256(message) || paddedSum(message) != sha256.Sum256(message) {
			t.Fatalf("%d bytes", n)
		}
	}
	if sha(long) != sha256.Sum256(long) {
		t.Errorf("%d bytes", len(long))
	}
	rapid.Check(t, func(t *rapid.T) {
		left, right := anyHash(t), anyHash(t)
		want := Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right)))
		if nodeSum(&left, &right) != want || NodeHash(left, right) != want {
			t.Fatalf("%s, %s", left, right)
		}
	})
}

func anyHash(t *rapid.T) Hash {
	return Hash(rapid.SliceOfN(rapid.Byte(), sha256.Size, sha256.Size).Draw(t, "hash"))
}

// BenchmarkSum compares both ways for an entry's leaf and for a node.
func BenchmarkSum(b *testing.B) {
	leaf, left, right := make([]byte, 368), Hash{1}, Hash{2}
	for name, sum := range map[string]func() Hash{
		"leaf/state":  func() Hash { return paddedSum(leaf) },
		"leaf/sum256": func() Hash { return sha256.Sum256(leaf) },
		"node/state":  func() Hash { return nodeSum(&left, &right) },
		"node/tlog":   func() Hash { return Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right))) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				left = sum()
			}
		})
	}
}
