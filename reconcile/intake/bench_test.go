package intake_test

import (
	"runtime"
	"strings"
	"testing"

	"tallystick/ledger/store/storetest"
	"tallystick/reconcile/intake"
)

// BenchmarkTake takes files of 1,000 and of 100,000 lines; the memory in use must not grow with them.
func BenchmarkTake(b *testing.B) {
	for name, lines := range map[string]int{"1000": 1000, "100000": 100_000} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				d := newDesk(b, storetest.Database(b), "10020030/1234567 EUR")
				content := &watched{Reader: *strings.NewReader(string(largeStatement(lines)))}
				runtime.GC()
				b.ResetTimer()
				r, err := intake.Take(b.Context(), d.db, d.id, intake.File{Name: "big", Content: content, By: "test"}, d.accounts)
				if err != nil || r.Outcome != intake.Accepted {
					b.Fatal(r.Outcome, err)
				}
				b.ReportMetric(float64(content.most>>20), "MiB-in-use")
			}
		})
	}
}

// watched is a file that looks at the memory in use while it is read.
type watched struct {
	strings.Reader
	reads int
	most  uint64
}

func (w *watched) Read(p []byte) (int, error) {
	if w.reads++; w.reads%64 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		w.most = max(w.most, m.HeapInuse)
	}
	return w.Reader.Read(p)
}
