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

// targetWeight estimates the bytes that the entries acting on the targets of a
// batch add to it.
func (s *Sequencer) targetWeight() int {
	n := 0
	for _, t := range s.book.targets {
		n += perPosting * len(t.Entry.record.Postings)
	}
	return n
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
