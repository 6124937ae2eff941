package ledger

import (
	"context"
	"fmt"
)

// loadTargets reads what requests refer to, as of the head or later: if others
// have posted meanwhile, the keys find out. It returns the accounts concerned.
func (s *Sequencer) loadTargets(ctx context.Context, requests []Request) ([]string, error) {
	s.book.RememberTargets(nil)
	var ids []RequestID
	for _, r := range requests {
		ids = r.targets(ids)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	targets, err := s.journal.Targets(ctx, s.id, ids)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNothingHappened, err)
	}
	if err := s.loadErasures(ctx, requests, targets); err != nil {
		return nil, err
	}
	var codes []string
	for _, t := range targets {
		for _, e := range []*Entry{t.Entry, t.Settled} {
			if e == nil {
				continue
			}
			for i := range e.accounts {
				codes = append(codes, e.accounts[i].Code)
			}
			if e.Intact() {
				continue
			}
			if err := s.journal.Report(ctx, s.id, findingSource, hashMismatch(e.Seq(), e)); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrNothingHappened, err)
			}
		}
	}
	s.book.RememberTargets(targets)
	return codes, nil
}

// loadErasures says which of the targets of erasures are erased.
func (s *Sequencer) loadErasures(ctx context.Context, requests []Request, targets map[RequestID]*Target) error {
	var seqs []int64
	for _, r := range requests {
		if e, ok := r.(*EraseText); ok && targets[e.Target] != nil {
			seqs = append(seqs, targets[e.Target].Entry.Seq())
		}
	}
	if len(seqs) == 0 {
		return nil
	}
	erased, err := s.journal.Erasures(ctx, s.id, seqs)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNothingHappened, err)
	}
	for _, t := range targets {
		_, t.Erased = erased[t.Entry.Seq()]
	}
	return nil
}

// Bounds of what acts on earlier entries.
const (
	// maxBatchTargets is about how many captures, releases and reversals are taken
	// into one batch: each may have to read as many postings as an entry has.
	maxBatchTargets = 64
	// targetWeight is what one of them counts in the queue, before it is known how
	// many postings its target has.
	targetWeight = MaxBatchBytes / maxBatchTargets
)

// split cuts a batch whose targets were read into parts that fit one commit, now
// that their postings are known. It returns nil when the whole batch does.
func (s *Sequencer) split(batch []*pending) [][]*pending {
	if len(s.book.targets) == 0 {
		return nil
	}
	var parts [][]*pending
	begin, weight := 0, 0
	for i, p := range batch {
		w := 0
		for _, id := range p.request.targets(nil) {
			if t := s.book.targets[id]; t != nil {
				w += perPosting * len(t.Entry.record.Postings)
			}
		}
		if i > begin && weight+w > MaxBatchBytes {
			parts = append(parts, batch[begin:i])
			begin, weight = i, 0
		}
		weight += w
	}
	if begin == 0 {
		return nil
	}
	return append(parts, batch[begin:])
}

// loadIncomes reads the balances that a closing is to move, and returns their
// accounts. A closing that moves any is alone in its batch, see its weight.
func (s *Sequencer) loadIncomes(ctx context.Context, requests []Request) ([]string, error) {
	s.book.RememberIncomes(nil)
	var codes []string
	for _, r := range requests {
		closing, ok := r.(*ClosePeriod)
		if !ok || len(closing.Retain) == 0 {
			continue
		}
		incomes, err := s.journal.Incomes(ctx, s.id, closing.PeriodEnd, s.book.head.Seq, MaxIncomeAccounts+1)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNothingHappened, err)
		}
		s.book.RememberIncomes(incomes)
		for i := range incomes {
			codes = append(codes, incomes[i].Code)
		}
	}
	return codes, nil
}
