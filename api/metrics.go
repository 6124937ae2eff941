package api

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"tallystick/ledger"
)

// latencyBuckets are the upper bounds of request times, in seconds: from a
// refusal on the spot to the longest wait for an answer.
var latencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// metrics has a registry of its own, so that nothing else in the process can
// add to what /metrics shows.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	streams  prometheus.Gauge   // of events, open
	events   prometheus.Counter // sent
}

func newMetrics(stats func() map[ledger.LedgerID]ledger.Stats, signer func() (map[ledger.LedgerID]SignerStats, bool)) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tallystick_http_request_seconds",
			Help:    "Time from the head of a request to its answer, by route and status.",
			Buckets: latencyBuckets,
		}, []string{"method", "route", "status"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tallystick_event_streams", Help: "Clients that follow a ledger."}),
		events:  prometheus.NewCounter(prometheus.CounterOpts{Name: "tallystick_events_sent_total", Help: "Entries sent to clients that follow a ledger."}),
	}
	m.registry.MustRegister(
		m.requests, m.streams, m.events,
		sequencerStats{stats},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	if signer != nil {
		m.registry.MustRegister(signerStats{signer})
	}
	return m
}

// observer keeps the times of one route by status. Each series begins with the
// first answer of its status and is looked up once.
type observer map[int]func() prometheus.Observer

func (m *metrics) observer(method, path string) observer {
	o := observer{}
	begin := func(status int) {
		o[status] = sync.OnceValue(func() prometheus.Observer {
			return m.requests.WithLabelValues(method, path, strconv.Itoa(status))
		})
	}
	begin(200)
	begin(201)
	begin(202)
	for _, status := range statusOf {
		begin(status)
	}
	return o
}

func (o observer) observe(status int, took time.Duration) {
	if at, ok := o[status]; ok {
		at().Observe(took.Seconds())
	}
}

// sent counts entries that were sent to who follows a ledger.
func (m *metrics) sent(entries int) { m.events.Add(float64(entries)) }

// showMetrics answers GET /metrics in the Prometheus text format.
func (h *handlers) showMetrics(x *exchange) error {
	if q := x.query(); q.err != nil {
		return q.err
	}
	families, err := h.metrics.registry.Gather()
	if err != nil {
		return fmt.Errorf("gathering metrics: %w", err)
	}
	var text bytes.Buffer
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	encoder := expfmt.NewEncoder(&text, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return fmt.Errorf("writing metric %s: %w", family.GetName(), err)
		}
	}
	x.out = append(x.out, text.Bytes()...)
	return x.sendAs(200, []string{string(format)})
}

// sequencerStats collects what the sequencers have counted.
type sequencerStats struct {
	stats func() map[ledger.LedgerID]ledger.Stats
}

// ledgerMetric is one figure of every ledger.
type ledgerMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(ledger.Stats) int64
}

func counter(name, help string, of func(ledger.Stats) int64) ledgerMetric {
	return ledgerMetric{prometheus.NewDesc("tallystick_"+name+"_total", help, []string{"ledger"}, nil), prometheus.CounterValue, of}
}

func gauge(name, help string, of func(ledger.Stats) int64) ledgerMetric {
	return ledgerMetric{prometheus.NewDesc("tallystick_"+name, help, []string{"ledger"}, nil), prometheus.GaugeValue, of}
}

// ledgerMetrics are the figures of each ledger posted to since the start.
var ledgerMetrics = []ledgerMetric{
	counter("batches", "Commits.", func(s ledger.Stats) int64 { return s.Batches }),
	counter("entries", "Entries appended.", func(s ledger.Stats) int64 { return s.Entries }),
	counter("refusals", "Requests refused by a rule.", func(s ledger.Stats) int64 { return s.Refusals }),
	counter("replays", "Requests answered with an earlier entry.", func(s ledger.Stats) int64 { return s.Replays }),
	counter("collisions", "Batches that came second to another process.", func(s ledger.Stats) int64 { return s.Collisions }),
	counter("followed_entries", "Entries of other processes read.", func(s ledger.Stats) int64 { return s.Followed }),
	counter("turns", "Turns taken while several processes post.", func(s ledger.Stats) int64 { return s.Turns }),
	counter("turns_missed", "Turns that did not come in time.", func(s ledger.Stats) int64 { return s.TurnsMissed }),
	counter("unknown_outcomes", "Commits whose outcome had to be resolved.", func(s ledger.Stats) int64 { return s.Unknown }),
	counter("poison", "Requests that the database refused for a reason no rule foresaw.", func(s ledger.Stats) int64 { return s.Poison }),
	counter("overloaded", "Requests turned away because the queue was full.", func(s ledger.Stats) int64 { return s.Overloaded }),
	gauge("queue_length", "Requests that wait for the next batch.", func(s ledger.Stats) int64 { return int64(s.Waiting) }),
	gauge("head_seq", "Newest entry known to this process.", func(s ledger.Stats) int64 { return s.HeadSeq }),
	gauge("head_ahead_microseconds", "How far the newest entry is dated ahead of this machine's clock.", func(s ledger.Stats) int64 { return s.HeadAhead.Microseconds() }),
	gauge("halted", "1 when posting has stopped after a finding.", func(s ledger.Stats) int64 {
		if s.Halted {
			return 1
		}
		return 0
	}),
}

// Describe implements prometheus.Collector.
func (c sequencerStats) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range ledgerMetrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c sequencerStats) Collect(ch chan<- prometheus.Metric) {
	for id, stats := range c.stats() {
		label := id.String()
		for _, m := range ledgerMetrics {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.of(stats)), label)
		}
	}
}
