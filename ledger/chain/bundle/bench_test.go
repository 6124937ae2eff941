package bundle_test

import (
	"bytes"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

// benchmarkEntries is two members and a part of one.
const benchmarkEntries = 150_000

// BenchmarkVerify reads two-posting transfers over some accounts on one worker:
// entries/s is what one core does.
func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct {
		name     string
		accounts int
	}{{"accounts=100", 100}, {"accounts=20000", 20_000}} {
		b.Run(c.name, func(b *testing.B) {
			k := newBook(b)
			for n := range c.accounts {
				k.open(10 + n)
			}
			at := uint32(1)
			for len(k.entries) < benchmarkEntries {
				at = at*1664525 + 1013904223
				debit := int(at>>8) % c.accounts
				k.transfer(10+debit, 10+(debit+1+int(at>>20)%(c.accounts-1))%c.accounts, 100+int64(at%1000))
			}
			file := k.bundle(b, func(c *bundle.Contents) { c.Texts = false })
			b.ResetTimer()
			for b.Loop() {
				r, err := bundle.Verify(b.Context(), bytes.NewReader(file), int64(len(file)), bundle.Options{Workers: 1, Keys: []chain.VerifierKey{k.verifierKey(b)}})
				if err != nil || r.Status != bundle.Verified {
					b.Fatalf("%+v %v", r, err)
				}
			}
			b.ReportMetric(float64(benchmarkEntries)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
