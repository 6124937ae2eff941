package bundle_test

import (
	"bytes"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

// benchmarkEntries is four members.
const benchmarkEntries = 4 * bundle.EntriesPerMember

// BenchmarkVerify reads two-posting transfers over some accounts on one worker:
// entries/s is what one core does.
func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct {
		name     string
		accounts int
	}{{"accounts=1000", 1000}, {"accounts=20000", 20_000}} {
		b.Run(c.name, func(b *testing.B) {
			k := newBook()
			file := manyTransfers(b, k, c.accounts)
			for b.Loop() {
				r, err := bundle.Verify(b.Context(), bytes.NewReader(file), int64(len(file)), bundle.Options{Workers: 1, Keys: []chain.VerifierKey{k.verifierKey(b)}})
				if err != nil || r.Status != bundle.Verified {
					b.Fatalf("%+v %v", r, err)
				}
			}
			b.ReportMetric(benchmarkEntries*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
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
