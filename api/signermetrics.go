package api

import (
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"tallystick/ledger"
)

// SignerStats is what the signer in this process says of a ledger. That of the
// nil UUID is the super-log.
type SignerStats struct {
	Size      int64 // of the ledger, when it was looked at last
	Checked   int64 // how far it was checked
	Published int64 // size of the newest published checkpoint, −1 while it is not known
	// ShownAt is when the newest checkpoint was published, or shown again;
	// SignedAt is when something new was. Zero: not by this process.
	ShownAt, SignedAt time.Time
	Refusals          int64 // how often it was refused, by this process
	Refused           bool
	Waiting           bool // for the quorum of witnesses
	Unchecked         bool // there are entries that cannot be checked
	Ended             bool // it has a successor, and is left alone
	Findings          map[string]int64
}

// signerStats collects what the signer has counted.
type signerStats struct {
	stats func() (map[ledger.LedgerID]SignerStats, bool)
}

// signerMetric is one figure of every ledger; known is false where there is none.
type signerMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(s SignerStats, now time.Time) (figure int64, known bool)
}

// signerMetrics are the figures of each ledger that is signed here. Times are in
// milliseconds.
var signerMetrics = []signerMetric{
	{signerDesc("checkpoint_age_milliseconds", "Time since the newest checkpoint was published or shown again."), prometheus.GaugeValue,
		func(s SignerStats, now time.Time) (int64, bool) {
			return now.Sub(s.ShownAt).Milliseconds(), !s.ShownAt.IsZero()
		}},
	{signerDesc("unsealed_entries", "Entries that no published checkpoint covers."), prometheus.GaugeValue,
		func(s SignerStats, _ time.Time) (int64, bool) { return max(s.Size-s.Published, 0), s.Published >= 0 }},
	{signerDesc("signed_at_milliseconds", "When a checkpoint of something new was published last, since 1970."), prometheus.GaugeValue,
		func(s SignerStats, _ time.Time) (int64, bool) { return s.SignedAt.UnixMilli(), !s.SignedAt.IsZero() }},
	{signerDesc("signer_refusals_total", "How often signing the ledger was refused."), prometheus.CounterValue,
		func(s SignerStats, _ time.Time) (int64, bool) { return s.Refusals, true }},
	{signerDesc("signer_refuses", "1 while signing the ledger is refused."), prometheus.GaugeValue,
		func(s SignerStats, _ time.Time) (int64, bool) { return oneIf(s.Refused), true }},
	{signerDesc("signer_waits_for_quorum", "1 while too few witnesses have cosigned."), prometheus.GaugeValue,
		func(s SignerStats, _ time.Time) (int64, bool) { return oneIf(s.Waiting), true }},
	{signerDesc("signer_unchecked", "1 while the ledger has entries that cannot be checked."), prometheus.GaugeValue,
		func(s SignerStats, _ time.Time) (int64, bool) { return oneIf(s.Unchecked), true }},
	{signerDesc("signer_ended", "1 while the ledger is left alone because it is said to have a successor."), prometheus.GaugeValue,
		func(s SignerStats, _ time.Time) (int64, bool) { return oneIf(s.Ended), true }},
}

var (
	signerSigns    = prometheus.NewDesc("tallystick_signer_signs", "1 while this process signs checkpoints.", nil, nil)
	signerFindings = prometheus.NewDesc("tallystick_findings_total", "Findings of the signer, by code.", []string{"ledger", "code"}, nil)
)

func signerDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("tallystick_"+name, help, []string{"ledger"}, nil)
}

func oneIf(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (c signerStats) Describe(ch chan<- *prometheus.Desc) {
	ch <- signerSigns
	ch <- signerFindings
	for _, m := range signerMetrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c signerStats) Collect(ch chan<- prometheus.Metric) {
	stats, signs := c.stats()
	ch <- prometheus.MustNewConstMetric(signerSigns, prometheus.GaugeValue, float64(oneIf(signs)))
	now := time.Now()
	for id, of := range stats {
		label := id.String()
		if id.UUID == uuid.Nil {
			label = "super-log"
		}
		for _, m := range signerMetrics {
			if figure, known := m.of(of, now); known {
				ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(figure), label)
			}
		}
		for code, n := range of.Findings {
			ch <- prometheus.MustNewConstMetric(signerFindings, prometheus.CounterValue, float64(n), label, code)
		}
	}
}
