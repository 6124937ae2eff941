package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"syscall"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

// benchmarkEntries is four members.
const benchmarkEntries = 4 * bundle.EntriesPerMember

// BenchmarkVerify reads two-posting transfers over some accounts on one worker, and
// tells what a second of processor time is good for, beside the same of SHA-256 alone.
func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct {
		name     string
		accounts int
	}{{"accounts=1000", 1000}, {"accounts=20000", 20_000}} {
		b.Run(c.name, func(b *testing.B) {
			k := newBook()
			file := manyTransfers(b, k, c.accounts)
			options := bundle.Options{Workers: 1, Keys: []chain.VerifierKey{k.verifierKey(b)}}
			var verifying, hashing time.Duration
			for b.Loop() {
				began := processorTime(b)
				r, err := bundle.Verify(b.Context(), bytes.NewReader(file), int64(len(file)), options)
				if err != nil || r.Status != bundle.Verified {
					b.Fatalf("%+v %v", r, err)
				}
				between := processorTime(b)
				hashAsMuch(int64(len(file)))
				verifying, hashing = verifying+between-began, hashing+processorTime(b)-between
			}
			b.ReportMetric(benchmarkEntries*float64(b.N)/verifying.Seconds(), "entries/core-s")
			b.ReportMetric(benchmarkEntries*float64(b.N)/hashing.Seconds(), "hashes-alone/core-s")
			b.ReportMetric(0, "ns/op") // of both
		})
	}
}

// hashAsMuch does the SHA-256 of a bundle of benchmarkEntries and nothing else: a
// leaf and a node for each entry. No verifier that hashes one after the other is
// faster.
func hashAsMuch(size int64) {
	leaf, node := make([]byte, size/benchmarkEntries), make([]byte, 1+2*sha256.Size)
	for range benchmarkEntries {
		sum := sha256.Sum256(leaf)
		copy(node[1:], sum[:])
		sum = sha256.Sum256(node)
		copy(leaf, sum[:])
	}
}

// processorTime is what the process has taken so far, on a machine that has other
// work too.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// manyTransfers returns a bundle of benchmarkEntries without holding the entries:
// it is written twice, first to learn the root.
func manyTransfers(b *testing.B, k *book, accounts int) []byte {
	var tree chain.Frontier
	each := func(add func([]byte)) {
		*k = *newBook()
		var canonical []byte
		at, prev := uint32(1), chain.Genesis
		put := func() {
			e := &k.entries[len(k.entries)-1]
			e.PrevHash = prev
			canonical = e.AppendCanonical(canonical[:0])
			prev = chain.HashCanonical(canonical)
			add(canonical)
		}
		put()
		for n := range accounts {
			k.open(10 + n)
			put()
		}
		for len(k.entries) < benchmarkEntries {
			at = at*1664525 + 1013904223
			debit := int(at>>8) % accounts
			k.transfer(10+debit, 10+(debit+1+int(at>>20)%(accounts-1))%accounts, 100+int64(at%1000))
			put()
			k.entries[len(k.entries)-1].Postings = nil
		}
	}
	each(func(canonical []byte) { tree.Append(chain.HashCanonical(canonical)) })
	signed, err := k.key.Sign(chain.Checkpoint{Origin: k.origin, Size: tree.Size(), Root: tree.Root()})
	if err != nil {
		b.Fatal(err)
	}
	var file bytes.Buffer
	w, err := bundle.NewWriter(&file, nil, bundle.Contents{Ledger: k.ledger, Origin: k.origin, Checkpoints: [][]byte{signed}, From: "a benchmark"})
	if err != nil {
		b.Fatal(err)
	}
	each(func(canonical []byte) {
		if err := w.Add(canonical, nil); err != nil {
			b.Fatal(err)
		}
	})
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return file.Bytes()
}
