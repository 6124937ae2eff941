package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// NightStats is what the scheduler in this process says of the newest run of a
// ledger, whoever has run it.
type NightStats struct {
	AsOf     chain.Date
	Result   string    // empty while it is at work
	EndedAt  time.Time // zero likewise
	Critical int64
	Warnings int64
	Failures int64 // tries of this process that failed
}

// nightStats collects what the scheduler has seen.
type nightStats struct {
	stats func() map[ledger.LedgerID]NightStats
}

// nightMetric is one figure of every ledger; known is false where there is none.
type nightMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(s NightStats, now time.Time) (figure int64, known bool)
}

// nightMetrics are the figures of the newest run of each ledger. Times are in
// milliseconds.
var nightMetrics = []nightMetric{
	{signerDesc("night_age_milliseconds", "Time since the newest run of the night ended."), prometheus.GaugeValue,
		func(s NightStats, now time.Time) (int64, bool) {
			return now.Sub(s.EndedAt).Milliseconds(), !s.EndedAt.IsZero()
		}},
	{signerDesc("night_as_of_milliseconds", "The day that the newest run is for, since 1970."), prometheus.GaugeValue,
		func(s NightStats, _ time.Time) (int64, bool) { return s.AsOf.Time().UnixMilli(), s.AsOf != 0 }},
	{signerDesc("night_passed", "1 when the newest run passed, 0 when it failed or was incomplete."), prometheus.GaugeValue,
		func(s NightStats, _ time.Time) (int64, bool) {
			return oneIf(s.Result == chain.RunPassed), s.Result != ""
		}},
	{signerDesc("night_critical_findings", "Critical findings of the newest run."), prometheus.GaugeValue,
		func(s NightStats, _ time.Time) (int64, bool) { return s.Critical, s.AsOf != 0 }},
	{signerDesc("night_warnings", "Warnings of the newest run."), prometheus.GaugeValue,
		func(s NightStats, _ time.Time) (int64, bool) { return s.Warnings, s.AsOf != 0 }},
	{signerDesc("night_failures_total", "Tries of this process to run a night that failed."), prometheus.CounterValue,
		func(s NightStats, _ time.Time) (int64, bool) { return s.Failures, true }},
}

// Describe implements prometheus.Collector.
func (c nightStats) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range nightMetrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c nightStats) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for id, of := range c.stats() {
		for _, m := range nightMetrics {
			if figure, known := m.of(of, now); known {
				ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(figure), id.String())
			}
		}
	}
}
