package chain_test

import (
	"crypto/sha256"
	"testing"

	"tallystick/ledger/chain"
)

// plainTransfer is what most entries of a ledger are: two postings, no texts.
func plainTransfer() chain.Entry { return withPostings(chain.Transfer, 1234, 0) }

// perSecond reports how many entries one core takes.
func perSecond(b *testing.B) { b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s") }

// BenchmarkBareSHA256 is the floor under the benchmarks below: the compressions
// of an entry hash and of one inner node, and nothing else.
func BenchmarkBareSHA256(b *testing.B) {
	e := plainTransfer()
	leaf := append([]byte{0}, e.AppendCanonical(nil)...)
	var node [65]byte
	for b.Loop() {
		sha256.Sum256(leaf)
		sha256.Sum256(node[:])
	}
	perSecond(b)
}

func BenchmarkNodeHash(b *testing.B) {
	left, right := digest("left"), digest("right")
	b.ReportAllocs()
	for b.Loop() {
		left = chain.NodeHash(left, right)
	}
}

// BenchmarkHashAndAppend is what a signer does with an entry that it has read as
// columns.
func BenchmarkHashAndAppend(b *testing.B) {
	e := plainTransfer()
	var f chain.Frontier
	b.ReportAllocs()
	for b.Loop() {
		f.Append(e.Hash())
	}
	perSecond(b)
}

// BenchmarkDecodeHashAppend is what an offline verifier does with an entry that
// it has as bytes.
func BenchmarkDecodeHashAppend(b *testing.B) {
	e := plainTransfer()
	canonical := e.AppendCanonical(nil)
	var f chain.Frontier
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Decode(canonical); err != nil {
			b.Fatal(err)
		}
		f.Append(chain.HashCanonical(canonical))
	}
	perSecond(b)
}
