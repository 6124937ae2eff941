package chain_test

import (
	"bytes"
	"crypto/sha256"
	"sync"
	"testing"

	"tallystick/ledger/chain"
)

func TestEncodingAndHashingDoNotAllocate(t *testing.T) {
	e := exampleEntry()
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf = e.AppendCanonical(buf[:0]) }); n != 0 {
		t.Errorf("AppendCanonical allocates %v times", n)
	}
	if raceEnabled {
		return // sync.Pool drops buffers at random under the race detector
	}
	if n := testing.AllocsPerRun(100, func() { e.Hash() }); n != 0 {
		t.Errorf("Hash allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { chain.HashCanonical(buf) }); n != 0 {
		t.Errorf("HashCanonical allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _ = e.Check() }); n != 0 {
		t.Errorf("Check allocates %v times", n)
	}
}

func TestDecodeAllocatesOncePerList(t *testing.T) {
	e := sampleOf("500 postings")
	canonical := e.AppendCanonical(nil)
	// The postings, the first currency code; the others share it.
	if n := testing.AllocsPerRun(20, func() { _, _ = chain.Decode(canonical) }); n > 3 {
		t.Errorf("Decode of 500 postings allocates %v times", n)
	}
	if n := testing.AllocsPerRun(20, func() { _ = e.Decode(canonical) }); n != 0 {
		t.Errorf("decoding 500 postings into an entry that had as many allocates %v times", n)
	}
}

func TestHashIsTheLeafHashOfRFC6962(t *testing.T) {
	t.Parallel()
	for _, s := range samples() { // among them an entry larger than the pooled buffers
		leaf := append([]byte{0}, s.entry.AppendCanonical(nil)...)
		if got, want := s.entry.Hash(), chain.Hash(sha256.Sum256(leaf)); got != want {
			t.Errorf("%s: hash %s, want %s", s.name, got, want)
		}
	}
}

func TestHashingInParallelSharesNothing(t *testing.T) {
	t.Parallel()
	all := samples()
	want := make([]chain.Hash, len(all))
	for i := range all {
		want[i] = chain.Hash(sha256.Sum256(append([]byte{0}, all[i].entry.AppendCanonical(nil)...)))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				for i := range all {
					if got := all[i].entry.Hash(); got != want[i] {
						t.Errorf("%s: hash %s, want %s", all[i].name, got, want[i])
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestAppendCanonicalKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	e := exampleEntry()
	got := e.AppendCanonical([]byte("before"))
	if want := append([]byte("before"), e.AppendCanonical(nil)...); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func BenchmarkAppendCanonical(b *testing.B) {
	e := exampleEntry()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendCanonical(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkHash(b *testing.B) {
	e := exampleEntry()
	b.ReportAllocs()
	for b.Loop() {
		e.Hash()
	}
}

func BenchmarkCheck(b *testing.B) {
	e := exampleEntry()
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Check(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	e := exampleEntry()
	canonical := e.AppendCanonical(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := chain.Decode(canonical); err != nil {
			b.Fatal(err)
		}
	}
}
