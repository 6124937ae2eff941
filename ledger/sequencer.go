package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"tallystick/ledger/chain"
)

// Bounds of the write path.
const (
	// MaxBatchRequests and MaxBatchBytes bound one commit.
	MaxBatchRequests = 1000
	MaxBatchBytes    = 1 << 20
	// QueueLength bounds the requests that wait while a batch commits; further
	// ones are refused with ErrOverloaded.
	QueueLength = 8192
	// QueueBytes bounds what the waiting requests of all ledgers take in memory,
	// by the estimate of weigh.
	QueueBytes = 64 << 20
	// CacheBytes bounds the account states kept in memory, shared by the ledgers
	// of a process.
	CacheBytes = 256 << 20
	// IdleAfter is when a ledger that nobody posts to gives its share back.
	IdleAfter = time.Minute
	// AnswerPatience is how long a caller waits for its answer.
	AnswerPatience = 25 * time.Second
	// ResolvePatience is how long an unknown outcome is resolved before its
	// clients are told so; resolving goes on behind.
	ResolvePatience = 15 * time.Second
	// RetryPatience is how long a batch is tried again while the database is
	// away or asks for a retry.
	RetryPatience = 8 * time.Second
	// retryPause is the pause between such tries.
	retryPause = 50 * time.Millisecond
	// tailPage is how many entries of other processes are read at a time.
	tailPage = 500
	// maxTailPages bounds following entry by entry; a process further behind
	// starts again at the newest entry.
	maxTailPages = 40
	// maxFruitlessFences bounds fences that neither a foreign entry nor a used
	// id explains, before the ledger stops.
	maxFruitlessFences = 5
)

// Outcome is the answer to a request.
type Outcome struct {
	Entry     *Entry    // the fact it became, or had become before (Replayed)
	Replayed  bool      // the id stood already for this very request
	Unchanged bool      // the request asks for what already is; no entry
	Refusal   *Refusal  // set when it was refused
	Items     []Outcome // of an accepted AtomicBatch, in its order; Entry is nil then
	// EvaluatedAtSeq is the head that a rehearsal was decided on.
	EvaluatedAtSeq int64
}

// Result is an Outcome, or why there is none.
type Result struct {
	Outcome
	Err error

	rehearsed []Outcome
}

// Sequencer turns the requests of one ledger into entries, one batch at a
// time: while one batch commits, arriving requests wait, and the next batch
// takes all of them. Submit may be called from any goroutine; everything else
// belongs to the one that runs.
type Sequencer struct {
	id      LedgerID
	journal Journal
	fit     func() error // whether this process may post now (its clock)
	now     func() time.Time
	queue   chan *pending
	queued  *atomic.Int64 // bytes in the queues of all ledgers of this process
	waiting atomic.Int64  // requests in the queue
	share   func() int    // of the cache memory of this process, in bytes
	stopped chan struct{} // closed when run has returned
	stats   counters

	life      context.Context // of the process; ends when the server stops
	book      *Book
	front     *pending // the next request, which the last batch had no room for
	halted    error
	turn      turn
	foreignAt time.Time      // when another process's entry was last seen
	fruitless int            // fences in a row that nothing explains
	unstored  *chain.Finding // why posting has stopped, while it could not be stored
	ahead     bool           // the finding about a head ahead of the clock was stored
}

func newSequencer(id LedgerID, all *Sequencers) *Sequencer {
	return &Sequencer{
		id: id, journal: all.journal, fit: all.fit, now: all.now, queued: &all.queued, share: all.share,
		queue:   make(chan *pending, QueueLength),
		stopped: make(chan struct{}),
	}
}

// run decides batches until ctx ends. Requests that were taken are answered
// before it returns; those that still wait are told ErrStopped.
func (s *Sequencer) run(ctx context.Context) {
	s.life = ctx
	defer close(s.stopped)
	defer s.giveBackTurn()
	for {
		batch := s.collect(ctx)
		if batch == nil {
			s.turnAway()
			return
		}
		s.decide(context.WithoutCancel(ctx), batch)
		if s.book != nil {
			s.book.accounts.limit = s.share()
			s.book.accounts.trim()
		}
	}
}

// decide answers every request of a batch. A batch that meets a foreign entry
// or a used id is applied again, at once, on what the ledger then is.
func (s *Sequencer) decide(ctx context.Context, batch []*pending) {
	giveUp := time.Now().Add(RetryPatience)
	for len(batch) > 0 {
		again, err := s.attempt(ctx, batch)
		switch {
		case err == nil:
			batch = again
		case errors.Is(err, ErrNothingHappened) && time.Now().Before(giveUp):
			batch = again
			pause(ctx, retryPause)
		default:
			s.answerAll(again, outward(err))
			return
		}
	}
}

// outward maps what a caller has no use for.
func outward(err error) error {
	if errors.Is(err, ErrNothingHappened) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// attempt applies a batch once, commits what was accepted and answers what it
// can. It returns the requests that have no answer yet.
func (s *Sequencer) attempt(ctx context.Context, batch []*pending) ([]*pending, error) {
	if s.halted != nil {
		return batch, s.stillHalted(ctx)
	}
	if err := s.fit(); err != nil {
		return batch, err
	}
	batch, err := s.rehearseAll(ctx, batch)
	if err != nil || len(batch) == 0 {
		return batch, err
	}
	requests := requestsOf(batch)
	if err := s.prepare(ctx, requests); err != nil {
		return batch, err
	}
	if parts := s.split(batch); parts != nil {
		for _, part := range parts {
			s.decide(ctx, part)
		}
		return nil, nil
	}
	applied := Apply(s.book, s.now(), requests)
	if len(applied.Entries) == 0 {
		return s.confirm(ctx, batch, applied.Answers, false)
	}
	err = s.append(ctx, batch, applied)
	switch {
	case err == nil:
		s.fruitless = 0
		s.book.Advance(applied)
		s.stats.committed(applied)
		batch, answers := s.answerAccepted(batch, applied)
		return s.confirm(ctx, batch, answers, true)
	case errors.Is(err, ErrFence):
		return s.afterFence(ctx, batch, err)
	case errors.Is(err, ErrHeadMissing):
		return s.afterHeadMissing(ctx, batch, err)
	case errors.Is(err, ErrPoison):
		return s.halve(ctx, batch, err)
	}
	return batch, err
}

// prepare makes the book ready for requests: opened, in turn, with all that
// they refer to.
func (s *Sequencer) prepare(ctx context.Context, requests []Request) error {
	if s.book == nil {
		if err := s.open(ctx); err != nil {
			return err
		}
	}
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	codes, err := s.loadTargets(ctx, requests)
	if err != nil {
		return err
	}
	more, err := s.loadIncomes(ctx, requests)
	if err != nil {
		return err
	}
	codes = append(codes, more...)
	for _, r := range requests {
		codes = r.accountCodes(codes)
	}
	return s.load(ctx, codes)
}

func (s *Sequencer) open(ctx context.Context) error {
	o, err := s.journal.Opening(ctx, s.id)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNothingHappened, err)
	}
	s.book, err = NewBook(s.id, o.Terms, HeadOf(&o.Newest), s.share())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, e := range append(o.Rules, o.Newest) {
		if !e.Intact() {
			return s.halt(ctx, hashMismatch(e.Seq(), &e))
		}
	}
	s.book.RememberRules(o.Rules)
	return s.noteHead(ctx)
}

// load caches the accounts that the book does not know of those named. An
// account whose newest entry is not intact is marked as damaged.
func (s *Sequencer) load(ctx context.Context, codes []string) error {
	var missing []string
	asked := make(map[string]bool)
	for _, code := range codes {
		if s.book.Account(code) == nil && !asked[code] {
			asked[code] = true
			missing = append(missing, code)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	accounts, entries, err := s.journal.LoadAccounts(ctx, s.id, missing, s.book.head.Seq)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNothingHappened, err)
	}
	for _, a := range accounts {
		if e := entries[a.VersionSeq]; e != nil {
			a.NameErased = a.Name == nil && e.record.Description != nil
		}
		if bad := damage(a, entries); bad != nil {
			a.Damaged = true
			if err := s.journal.Report(ctx, s.id, findingSource, *bad); err != nil {
				return fmt.Errorf("%w: %w", ErrNothingHappened, err)
			}
		}
	}
	s.book.Remember(accounts...)
	return nil
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
