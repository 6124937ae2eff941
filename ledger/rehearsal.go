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

// rehearseAll answers the dry runs of a batch, each on a head that is confirmed,
// and returns the rest. All of them together cost what one does in reads.
func (s *Sequencer) rehearseAll(ctx context.Context, batch []*pending) ([]*pending, error) {
	isRehearsal := func(p *pending) bool { _, ok := p.request.(*rehearsal); return ok }
	if !slices.ContainsFunc(batch, isRehearsal) {
		return batch, nil
	}
	var dry, rest []*pending
	var requests []Request
	for _, p := range batch {
		if r, ok := p.request.(*rehearsal); ok {
			dry, requests = append(dry, p), append(requests, r.items...)
		} else {
			rest = append(rest, p)
		}
	}
	for {
		if err := s.prepare(ctx, requests); err != nil {
			return batch, err
		}
		head, found, err := s.journal.Requests(ctx, s.id, requestIDs(s.id, requests))
		if err != nil {
			return batch, fmt.Errorf("%w: %w", ErrNothingHappened, err)
		}
		if head == s.book.head {
			for _, p := range dry {
				p.answer(Result{rehearsed: s.rehearsed(p.request.(*rehearsal).items, found)})
			}
			return rest, nil
		}
		if head.Seq <= s.book.head.Seq {
			return batch, s.halt(ctx, rolledBack(s.book.head))
		}
		if _, err := s.catchUp(ctx); err != nil {
			return batch, err
		}
	}
}

// rehearsed answers requests of which found have their ids: as confirm does, and
// they leave nothing behind for the others.
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
		outcomes[i].Replayed = false // one that stands twice here stands nowhere yet
		for j := range outcomes[i].Items {
			outcomes[i].Items[j].Replayed = false
		}
	}
	for i := range outcomes {
		outcomes[i].EvaluatedAtSeq = s.book.head.Seq
	}
	return outcomes
}
