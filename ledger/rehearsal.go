package ledger

import (
	"context"
	"fmt"
	"slices"
)

// rehearsal is a pending dry run: its requests are decided in order, each on
// what the ones before it would leave behind, and nothing is stored.
type rehearsal struct {
	Common
	standalone
	items []Request
}

func (*rehearsal) operation() string                  { return "rehearsal" }
func (*rehearsal) fingerprintTo(b []byte) []byte      { return b }
func (*rehearsal) accountCodes(dst []string) []string { return dst }
func (*rehearsal) apply(*overlay) (*draft, *Refusal)  { panic("a rehearsal is not applied to the book") }
func (r *rehearsal) weight() int {
	n := 0
	for _, item := range r.items {
		n += weigh(item)
	}
	return n
}

// rehearseAll answers the dry runs of a batch and returns the rest.
func (s *Sequencer) rehearseAll(ctx context.Context, batch []*pending) ([]*pending, error) {
	isRehearsal := func(p *pending) bool { _, ok := p.request.(*rehearsal); return ok }
	if !slices.ContainsFunc(batch, isRehearsal) {
		return batch, nil
	}
	rest := make([]*pending, 0, len(batch))
	for i, p := range batch {
		r, ok := p.request.(*rehearsal)
		if !ok {
			rest = append(rest, p)
			continue
		}
		outcomes, err := s.rehearse(ctx, r.items)
		if err != nil {
			return append(rest, batch[i:]...), err
		}
		p.answer(Result{rehearsed: outcomes})
	}
	return rest, nil
}

// rehearse decides requests on a head that is confirmed. Those whose ids stand
// already are answered as confirm does, and leave nothing behind for the others.
func (s *Sequencer) rehearse(ctx context.Context, requests []Request) ([]Outcome, error) {
	for {
		if err := s.prepare(ctx, requests); err != nil {
			return nil, err
		}
		head, found, err := s.journal.Requests(ctx, s.id, requestIDs(s.id, requests))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNothingHappened, err)
		}
		if head == s.book.head {
			return s.rehearsed(requests, found), nil
		}
		if head.Seq <= s.book.head.Seq {
			return nil, s.halt(ctx, rolledBack(s.book.head))
		}
		if _, err := s.catchUp(ctx); err != nil {
			return nil, err
		}
	}
}

// rehearsed answers requests of which found have their ids.
func (s *Sequencer) rehearsed(requests []Request, found map[RequestID]*Entry) []Outcome {
	outcomes := make([]Outcome, len(requests))
	fresh, places := make([]Request, 0, len(requests)), make([]int, 0, len(requests))
	for i, r := range requests {
		o, ok := s.replay(r, found, nil)
		if ok {
			outcomes[i] = o
			continue
		}
		fresh, places = append(fresh, r), append(places, i)
	}
	applied := Apply(s.book, s.now(), fresh)
	for at, i := range places {
		outcomes[i] = applied.outcome(at)
	}
	for i := range outcomes {
		outcomes[i].EvaluatedAtSeq = s.book.head.Seq
	}
	return outcomes
}
