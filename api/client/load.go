package client

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// errorPause keeps a connection whose request ended without an answer
	// from asking a dead server in a tight loop.
	errorPause = 100 * time.Millisecond
	// maxPause bounds how long a Retry-After is obeyed.
	maxPause = time.Second
	// maxStatus is above every HTTP status.
	maxStatus = 600
)

// Tally counts transfers by how their requests ended.
type Tally struct {
	Acknowledged int64 // stored by this request
	Replayed     int64 // stored before, answered again
	Rejected     int64 // refused by a status of 400 to 499
	Errors       int64 // anything else, no answer included
}

// Add adds other to t.
func (t *Tally) Add(other Tally) {
	t.Acknowledged += other.Acknowledged
	t.Replayed += other.Replayed
	t.Rejected += other.Rejected
	t.Errors += other.Errors
}

// JudgeStatus is the tally of one transfer that was answered with this status.
func JudgeStatus(status int, replayed bool) Tally {
	switch {
	case status == 201 && replayed:
		return Tally{Replayed: 1}
	case status == 201:
		return Tally{Acknowledged: 1}
	case status >= 400 && status <= 499:
		return Tally{Rejected: 1}
	default:
		return Tally{Errors: 1}
	}
}

// Load is a closed loop of requests over a number of connections.
type Load struct {
	Client      *Client
	Path        string        // where every request is posted
	Connections int           // each with a goroutine of its own
	WarmUp      time.Duration // first part, left out of what is measured
	Duration    time.Duration // measured part
	Timeout     time.Duration // of one request

	// Request appends the body of connection n's next request to body.
	Request func(n int, body []byte) []byte
	// Judge is called with each answer to connection n. Calls for one
	// connection do not overlap.
	Judge func(n int, a Answer) Tally
}

// Measured is the outcome of a Load.
type Measured struct {
	Tally     Tally         // of the measured part
	All       Tally         // warm-up, and what was in flight at the end, included
	Window    time.Duration // length of the measured part; shorter when interrupted
	Latencies Latencies     // of the measured part, answered requests only
	Statuses  map[int]int64 // answers of the whole run by HTTP status
	Timeline  []int64       // acknowledged per TimelineStep since the start of the warm-up
	Failure   error         // one of the requests without an answer, and why; nil when there was none
}

// TimelineStep is the time that one element of a Timeline covers.
const TimelineStep = 10 * time.Millisecond

// PerSecond returns the acknowledged transfers of the measured part by second.
func (m *Measured) PerSecond() int64 {
	if m.Window <= 0 {
		return 0
	}
	return m.Tally.Acknowledged * int64(time.Second) / int64(m.Window)
}

// LongestGap returns the longest time without an acknowledgement between two
// moments of the run, both counted from the start of the warm-up.
func (m *Measured) LongestGap(from, to time.Duration) time.Duration {
	var gap, longest time.Duration
	last := min(int(to/TimelineStep), len(m.Timeline))
	for i := int(from / TimelineStep); i < last; i++ {
		gap += TimelineStep
		if m.Timeline[i] > 0 {
			gap = 0
		}
		longest = max(longest, gap)
	}
	return longest
}

// Run drives the load until its time is over or ctx ends, and waits for the
// requests then in flight.
func (l *Load) Run(ctx context.Context) (*Measured, error) {
	if l.Connections < 1 || l.Duration <= 0 || l.WarmUp < 0 || l.Timeout <= 0 {
		return nil, fmt.Errorf("preparing a load of %d connections for %s after %s: want at least one connection and positive times",
			l.Connections, l.Duration, l.WarmUp)
	}
	begin := time.Now()
	timeline := make([]atomic.Int64, (l.WarmUp+l.Duration)/TimelineStep+1)
	runners := make([]loadRunner, l.Connections)
	var wait sync.WaitGroup
	for n := range runners {
		r := &runners[n]
		*r = loadRunner{load: l, number: n, begin: begin, timeline: timeline}
		wait.Go(func() { r.run(ctx) })
	}
	wait.Wait()
	sum := &Measured{
		Window:   max(0, min(l.Duration, time.Since(begin)-l.WarmUp)),
		Statuses: map[int]int64{},
		Timeline: make([]int64, len(timeline)),
	}
	for i := range timeline {
		sum.Timeline[i] = timeline[i].Load()
	}
	for i := range runners {
		runners[i].mergeInto(sum)
	}
	return sum, nil
}

// loadRunner is one connection's part of a load.
type loadRunner struct {
	load       *Load
	number     int
	begin      time.Time
	timeline   []atomic.Int64 // shared by all runners
	tally, all Tally
	latencies  Latencies
	statuses   [maxStatus]int64
	failure    error
}

func (r *loadRunner) run(ctx context.Context) {
	conn := r.load.Client.Conn(r.load.Timeout)
	defer conn.Close()
	end := r.begin.Add(r.load.WarmUp + r.load.Duration)
	var body []byte
	for ctx.Err() == nil && time.Now().Before(end) {
		body = r.load.Request(r.number, body[:0])
		start := time.Now()
		answer, err := conn.Post(ctx, r.load.Path, "", body)
		if err != nil {
			r.failed(err)
			pause(ctx, errorPause)
			continue
		}
		r.answered(answer, start)
		if answer.RetryAfter > 0 {
			pause(ctx, min(answer.RetryAfter, maxPause))
		}
	}
}

// counts reports whether something that happened now is part of what is
// measured, and how long after the beginning that is.
func (r *loadRunner) counts(now time.Time) (time.Duration, bool) {
	at := now.Sub(r.begin)
	return at, at >= r.load.WarmUp && at <= r.load.WarmUp+r.load.Duration
}

func (r *loadRunner) answered(answer Answer, start time.Time) {
	now := time.Now()
	tally := r.load.Judge(r.number, answer)
	r.all.Add(tally)
	if answer.Status < maxStatus {
		r.statuses[answer.Status]++
	}
	at, counts := r.counts(now)
	if slot := int(at / TimelineStep); slot < len(r.timeline) && tally.Acknowledged > 0 {
		r.timeline[slot].Add(tally.Acknowledged)
	}
	if counts {
		r.tally.Add(tally)
		r.latencies.Add(now.Sub(start))
	}
}

func (r *loadRunner) failed(err error) {
	r.all.Errors++
	if _, counts := r.counts(time.Now()); counts {
		r.tally.Errors++
	}
	if r.failure == nil {
		r.failure = err
	}
}

func (r *loadRunner) mergeInto(sum *Measured) {
	sum.Tally.Add(r.tally)
	sum.All.Add(r.all)
	sum.Latencies.Merge(&r.latencies)
	for status, n := range r.statuses {
		if n > 0 {
			sum.Statuses[status] += n
		}
	}
	if sum.Failure == nil {
		sum.Failure = r.failure
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
