package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the clock check.
const (
	// MaxClockOffset is how far this machine's clock may be from the
	// database's; a process beyond it does not post.
	MaxClockOffset = 500 * time.Millisecond
	// ClockInterval is how often the clocks are compared.
	ClockInterval = 5 * time.Second
	// clockExpiry is how long a comparison is good for.
	clockExpiry = 3 * ClockInterval
)

// Sequencers runs one Sequencer for each ledger that is posted to.
type Sequencers struct {
	journal Journal
	now     func() time.Time
	queued  atomic.Int64 // bytes of waiting requests

	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu         sync.RWMutex
	running    map[LedgerID]*Sequencer
	closed     bool
	compared   time.Time // when clocks were last compared
	wrong      error     // what that comparison found
	unanswered error     // why the last attempt failed

	simulated bool // the clock is made up, and compared with nothing
}

// NewSequencers returns a set with nothing running. offset compares this
// machine's clock with the database's: positive when the database is ahead.
// Sequencers post only while the last comparison succeeded within
// MaxClockOffset; the first is made before NewSequencers returns.
func NewSequencers(ctx context.Context, journal Journal, offset func(context.Context) (time.Duration, error)) *Sequencers {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Sequencers{journal: journal, now: time.Now, ctx: run, stop: stop, running: make(map[LedgerID]*Sequencer)}
	s.compareClocks(ctx, offset)
	s.work.Add(1)
	go s.watchClock(offset)
	return s
}

// NewSimulation returns a set whose clock is now, whatever the time may be: for
// made-up histories such as that of a demonstration, and for tests. What it posts
// is dated by that clock, never before the ledger's head.
func NewSimulation(ctx context.Context, journal Journal, now func() time.Time) *Sequencers {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	return &Sequencers{journal: journal, now: now, ctx: run, stop: stop, running: make(map[LedgerID]*Sequencer), simulated: true}
}

func (s *Sequencers) watchClock(offset func(context.Context) (time.Duration, error)) {
	defer s.work.Done()
	ticker := time.NewTicker(ClockInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			s.compareClocks(s.ctx, offset)
		}
	}
}

func (s *Sequencers) compareClocks(ctx context.Context, offset func(context.Context) (time.Duration, error)) {
	ctx, cancel := context.WithTimeout(ctx, ClockInterval)
	defer cancel()
	d, err := offset(ctx)
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.unanswered = fmt.Errorf("comparing clocks with the database: %w", err)
		return
	}
	s.compared, s.unanswered, s.wrong = now, nil, nil
	if d.Abs() > MaxClockOffset {
		s.wrong = fmt.Errorf("this clock is %v off the database's, more than %v: set the time of both machines", d, MaxClockOffset)
	}
}

// Ready returns nil when this process's clock allows it to post, and otherwise
// why not. Whether the database answers is another question.
func (s *Sequencers) Ready() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	switch {
	case s.simulated:
		return nil
	case s.wrong != nil:
		return s.wrong
	case s.compared.IsZero():
		return s.unanswered
	case stepped(s.compared, now).Abs() > MaxClockOffset:
		return fmt.Errorf("this machine's clock was set by %v since it was compared with the database's", stepped(s.compared, now))
	case now.Sub(s.compared) > clockExpiry:
		return fmt.Errorf("this machine's clock was not compared with the database's for %v", now.Sub(s.compared).Round(time.Second))
	}
	return nil
}

// stepped returns how far the wall clock has moved between two readings beyond
// the time that has passed.
func stepped(before, now time.Time) time.Duration {
	return now.Round(0).Sub(before.Round(0)) - now.Sub(before)
}

// fit is Ready for a batch, which may wait until the clocks are compared again.
func (s *Sequencers) fit() error {
	err := s.Ready()
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNothingHappened, err)
}

// share returns the part of the cache memory that each ledger may use.
func (s *Sequencers) share() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return CacheBytes / max(1, len(s.running))
}

// Submit asks for one thing and waits for the answer. The end of ctx ends only
// the wait: ErrUnknownOutcome then means that a retry with the same id is safe.
func (s *Sequencers) Submit(ctx context.Context, id LedgerID, r Request) (Outcome, error) {
	q, err := s.sequencer(id)
	if err != nil {
		return Outcome{}, err
	}
	p, err := q.enqueue(r)
	if err != nil {
		return Outcome{}, err
	}
	result := q.await(ctx, p[0], time.Now().Add(AnswerPatience))
	return result.Outcome, result.Err
}

// Rehearse decides requests as Submit would, in order and each on what the ones
// before it would leave behind, and stores nothing. The entries of its outcomes
// say what would be booked; their places and hashes are not promised. Several
// closings of periods, or one after other requests, are not supported.
func (s *Sequencers) Rehearse(ctx context.Context, id LedgerID, requests []Request) ([]Outcome, error) {
	q, err := s.sequencer(id)
	if err != nil {
		return nil, err
	}
	p, err := q.enqueue(&rehearsal{items: requests})
	if err != nil {
		return nil, err
	}
	result := q.await(ctx, p[0], time.Now().Add(AnswerPatience))
	if errors.Is(result.Err, ErrUnknownOutcome) {
		return nil, fmt.Errorf("%w: the rehearsal took too long", ErrUnavailable)
	}
	return result.rehearsed, result.Err
}

// SubmitAll queues several independent requests together and waits for all
// answers, in the order of the requests. When there is no room for all of them
// none is queued.
func (s *Sequencers) SubmitAll(ctx context.Context, id LedgerID, requests []Request) []Result {
	results := make([]Result, len(requests))
	if len(requests) == 0 {
		return results
	}
	q, err := s.sequencer(id)
	var waiting []*pending
	if err == nil {
		waiting, err = q.enqueue(requests...)
	}
	deadline := time.Now().Add(AnswerPatience)
	for i := range results {
		if err != nil {
			results[i].Err = err
			continue
		}
		results[i] = q.await(ctx, waiting[i], deadline)
	}
	return results
}

func (s *Sequencers) sequencer(id LedgerID) (*Sequencer, error) {
	s.mu.RLock()
	q, closed := s.running[id], s.closed
	s.mu.RUnlock()
	if closed {
		return nil, ErrStopped
	}
	if q != nil {
		return q, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrStopped
	}
	if q = s.running[id]; q != nil {
		return q, nil
	}
	q = newSequencer(id, s)
	s.running[id] = q
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		q.run(s.ctx)
	}()
	return q, nil
}

// Stats returns the counts of every ledger posted to since the start.
func (s *Sequencers) Stats() map[LedgerID]Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make(map[LedgerID]Stats, len(s.running))
	for id, q := range s.running {
		all[id] = q.Stats()
	}
	return all
}

// Stop lets the batches in flight finish, tells waiting requests ErrStopped,
// and returns when nothing runs any more.
func (s *Sequencers) Stop() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.work.Wait()
}
