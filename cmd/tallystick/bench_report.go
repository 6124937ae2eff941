package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"tallystick/api/client"
)

// benchReport is what bench prints: one object with --json.
type benchReport struct {
	Ledger      string        `json:"ledger"`
	Engine      string        `json:"engine"`
	Connections int           `json:"connections"`
	Accounts    int           `json:"accounts"`
	Hot         share         `json:"hot"`
	Batch       int           `json:"batch"`
	WarmUp      client.Millis `json:"warm_up_ms"` // not part of any figure but grew_by
	benchRun
	// As the engine reports them; null where it has no such setting.
	Fsync             *string `json:"fsync"`
	SynchronousCommit *string `json:"synchronous_commit"`
	FullPageWrites    *string `json:"full_page_writes"`
	// RandomIDs is a second run with random request ids, with --ids both.
	RandomIDs *benchRun `json:"random_ids,omitempty"`
}

// benchRun is one measured run.
type benchRun struct {
	IDs                string        `json:"ids"`
	Duration           client.Millis `json:"duration_ms"`
	TransfersPerSecond int64         `json:"transfers_per_second"` // acknowledged, replays not counted
	Acknowledged       int64         `json:"acknowledged"`
	P50                client.Millis `json:"p50_ms"` // of a request, so of a whole batch
	P95                client.Millis `json:"p95_ms"`
	P99                client.Millis `json:"p99_ms"`
	Max                client.Millis `json:"max_ms"`
	Replayed           int64         `json:"replayed"`
	Rejected           int64         `json:"rejected"` // statuses 400 to 499
	Errors             int64         `json:"errors"`   // other statuses, and requests without an answer
	Statuses           map[int]int64 `json:"statuses"` // of the whole run, warm-up included
	Failure            string        `json:"failure,omitempty"`
	AcknowledgedInAll  int64         `json:"acknowledged_in_all"` // warm-up, first and last requests included
	GrewBy             int64         `json:"grew_by"`             // entries the ledger gained over the whole run
}

// fill takes over what was measured. The ledger grew by grew entries since
// before the first request, which posted first transfers.
func (r *benchRun) fill(m *client.Measured, grew, first int64) {
	r.Duration = client.Millis(m.Window)
	r.TransfersPerSecond = m.PerSecond()
	r.Acknowledged = m.Tally.Acknowledged
	r.P50 = client.Millis(m.Latencies.Percentile(50))
	r.P95 = client.Millis(m.Latencies.Percentile(95))
	r.P99 = client.Millis(m.Latencies.Percentile(99))
	r.Max = client.Millis(m.Latencies.Max())
	r.Replayed = m.Tally.Replayed
	r.Rejected = m.Tally.Rejected
	r.Errors = m.Tally.Errors
	r.Statuses = m.Statuses
	r.AcknowledgedInAll = m.All.Acknowledged + first
	r.GrewBy = grew
	if m.Failure != nil {
		r.Failure = m.Failure.Error()
	}
}

// verdict returns an error when the ledger holds less than was acknowledged.
func (r *benchReport) verdict() error {
	for _, run := range []*benchRun{&r.benchRun, r.RandomIDs} {
		if run != nil && run.GrewBy < run.AcknowledgedInAll {
			return fmt.Errorf("%w: %d transfers were acknowledged, and ledger %s grew by %d entries",
				errNotGrown, run.AcknowledgedInAll, r.Ledger, run.GrewBy)
		}
	}
	return nil
}

func (r *benchReport) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "engine\t%s, fsync %s, synchronous_commit %s, full_page_writes %s\n",
		r.Engine, orUnknown(r.Fsync), orUnknown(r.SynchronousCommit), orUnknown(r.FullPageWrites))
	fmt.Fprintf(t, "load\t%d connections, batch %d, %d accounts, hot share %s\n", r.Connections, r.Batch, r.Accounts, r.Hot)
	r.benchRun.print(t)
	if r.RandomIDs != nil {
		r.RandomIDs.print(t)
	}
	return t.Flush()
}

func (r *benchRun) print(w io.Writer) {
	fmt.Fprintf(w, "ids\t%s\n", r.IDs)
	fmt.Fprintf(w, "transfers/s\t%d (%d acknowledged in %s ms)\n", r.TransfersPerSecond, r.Acknowledged, r.Duration)
	fmt.Fprintf(w, "latency ms\tp50 %s, p95 %s, p99 %s, max %s\n", r.P50, r.P95, r.P99, r.Max)
	fmt.Fprintf(w, "not stored\t%d rejected, %d errors, %d replayed\n", r.Rejected, r.Errors, r.Replayed)
	if r.Failure != "" {
		fmt.Fprintf(w, "no answer\tfor example: %s\n", r.Failure)
	}
	fmt.Fprintf(w, "ledger\tgrew by %d entries; %d acknowledged, warm-up included\n", r.GrewBy, r.AcknowledgedInAll)
}

func orUnknown(s *string) string {
	if s == nil {
		return "not reported"
	}
	return *s
}
