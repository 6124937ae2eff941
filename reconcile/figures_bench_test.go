package reconcile_test

import (
	"runtime"
	"testing"

	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// BenchmarkTrialBalance reports postings per second of a trial balance over a
// whole ledger, and the memory that it needs beside what there was:
//
//	LARGE=2000000 go test ./reconcile -run xxx -bench TrialBalance -benchtime 1x -timeout 30m
func BenchmarkTrialBalance(b *testing.B) {
	url := storetest.Database(b)
	entries := number(b, largeVariable, 100_000)
	id := large(b, url, entries, number(b, largeAccountsVariable, 20_000))
	db := auditor(b, url, 2)
	s, err := db.Snapshot(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	for name, r := range map[string]reconcile.ReportRequest{
		"all in the period":     {Name: "trial-balance"},
		"all before the period": between("trial-balance", "2027-01-01", "2027-01-31"),
	} {
		b.Run(name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for b.Loop() {
				if _, err := reconcile.ComputeReport(b.Context(), s, r); err != nil {
					b.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(2*entries*b.N)/b.Elapsed().Seconds(), "postings/s")
			b.ReportMetric(float64(after.Sys-before.Sys)/(1<<20), "MiB")
		})
	}
}
