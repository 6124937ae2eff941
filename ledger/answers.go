package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// outcome returns what the batch decided about request i.
func (a *Applied) outcome(i int) Outcome {
	answer := a.Answers[i]
	if answer.Items == nil {
		return a.outcomeOf(answer)
	}
	o := Outcome{Replayed: answer.Replayed, Items: make([]Outcome, len(answer.Items))}
	for j, item := range answer.Items {
		o.Items[j] = a.outcomeOf(item)
	}
	return o
}

func (a *Applied) outcomeOf(answer Answer) Outcome {
	o := Outcome{Replayed: answer.Replayed, Unchanged: answer.Unchanged, Refusal: answer.Refusal}
	if answer.Entry >= 0 {
		o.Entry = &a.Entries[answer.Entry]
	}
	return o
}

// answerAccepted answers the requests that became entries and returns the
// others with their answers.
func (s *Sequencer) answerAccepted(batch []*pending, a *Applied) ([]*pending, []Answer) {
	var rest []*pending
	var answers []Answer
	for i, p := range batch {
		answer := a.Answers[i]
		if answer.Entry < 0 {
			rest, answers = append(rest, p), append(answers, answer)
			continue
		}
		p.answer(Result{Outcome: a.outcome(i)})
	}
	return rest, answers
}

// confirm sends refusals, after two questions: does the id stand for an entry
// already, and is the head on which they were decided still the head? The
// second is answered by the batch's own commit when there was one.
func (s *Sequencer) confirm(ctx context.Context, batch []*pending, answers []Answer, committed bool) ([]*pending, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	head, found, err := s.journal.Requests(ctx, s.id, requestIDs(s.id, requestsOf(batch)))
	if err != nil {
		return batch, fmt.Errorf("%w: %w", ErrNothingHappened, err)
	}
	if !committed && head != s.book.head {
		if head.Seq <= s.book.head.Seq {
			return batch, s.halt(ctx, rolledBack(s.book.head))
		}
		if _, err := s.catchUp(ctx); err != nil {
			return batch, err
		}
		return s.answerReplays(batch, found), nil
	}
	for i, p := range batch {
		if o, ok := s.replay(p.request, found, answers[i].Refusal); ok {
			p.answer(Result{Outcome: o})
			continue
		}
		if answers[i].Refusal != nil {
			s.stats.refusals.Add(1)
		}
		p.answer(Result{Outcome: Outcome{Unchanged: answers[i].Unchanged, Refusal: answers[i].Refusal}})
	}
	return nil, nil
}

// afterFence finds out what stands in the way: entries of another process, or
// ids used before. It returns the requests to apply again.
func (s *Sequencer) afterFence(ctx context.Context, batch []*pending, fence error) ([]*pending, error) {
	followed, err := s.catchUp(ctx)
	if err != nil {
		return batch, err
	}
	var key *FenceError
	if followed > 0 {
		s.stats.collisions.Add(1)
	}
	if followed > 0 && !(errors.As(fence, &key) && key.Constraint == RequestFence) {
		s.fruitless = 0
		return batch, nil
	}
	_, found, err := s.journal.Requests(ctx, s.id, requestIDs(s.id, requestsOf(batch)))
	if err != nil {
		return batch, fmt.Errorf("%w: %w", ErrNothingHappened, err)
	}
	rest := s.answerReplays(batch, found)
	if followed > 0 || len(rest) < len(batch) {
		s.fruitless = 0
		return rest, nil
	}
	// Nothing explains the fence: what is cached of an account may be wrong.
	s.book.accounts.clear()
	if s.fruitless++; s.fruitless > maxFruitlessFences {
		return batch, s.halt(ctx, unexplainedFence(s.book.head, fence))
	}
	return batch, nil
}

// answerReplays answers the requests whose id stands for an entry and returns
// the others. The opening of an account that is there is one of these: what
// Apply says of it is part of its answer, and makes no entry.
func (s *Sequencer) answerReplays(batch []*pending, found map[RequestID]*Entry) []*pending {
	rest := batch[:0:0]
	for _, p := range batch {
		if open, ok := p.request.(*OpenAccount); ok && s.book.Account(open.Code) != nil {
			rest = append(rest, p)
			continue
		}
		if o, ok := s.replay(p.request, found, nil); ok {
			p.answer(Result{Outcome: o})
			continue
		}
		rest = append(rest, p)
	}
	return rest
}

// replay answers a request whose id stands for an entry; ok is false when none
// does. An atomic batch is replayed when all its ids do, and refused when some
// do.
func (s *Sequencer) replay(r Request, found map[RequestID]*Entry, decided *Refusal) (o Outcome, ok bool) {
	batch, atomic := r.(*AtomicBatch)
	if !atomic {
		if e := found[r.common().ID]; e != nil {
			return s.replayOne(r, e, decided), true
		}
		return s.replayParts(r, found)
	}
	o.Items = make([]Outcome, 0, len(batch.Items))
	for i, item := range batch.Items {
		e := found[item.ID]
		if e == nil {
			continue
		}
		one := s.replayOne(item, e, nil)
		if one.Refusal != nil {
			one.Refusal.Item = i
			return one, true
		}
		o.Items = append(o.Items, one)
	}
	switch len(o.Items) {
	case 0:
		return Outcome{}, false
	case len(batch.Items):
		o.Replayed = true
		return o, true
	}
	refused := partlyPosted(len(o.Items), len(batch.Items))
	refused.EvaluatedAtSeq = s.book.head.Seq
	s.stats.refusals.Add(1)
	return Outcome{Refusal: refused}, true
}

// replayParts refuses a closing when one of the ids that its transfers would have
// stands for an entry; ok is false when none does. Such ids can be foreseen.
func (s *Sequencer) replayParts(r Request, found map[RequestID]*Entry) (o Outcome, ok bool) {
	closing, ok := r.(*ClosePeriod)
	if !ok || !slices.ContainsFunc(closing.transferIDs(nil, s.id), func(id RequestID) bool { return found[id] != nil }) {
		return Outcome{}, false
	}
	s.stats.refusals.Add(1)
	refused := idConflict()
	refused.EvaluatedAtSeq = s.book.head.Seq
	return Outcome{Refusal: refused}, true
}

// replayOne answers a request whose id stands for e, if e is still what was
// answered the first time. An account that exists
// otherwise is the better answer than a conflict of derived ids.
func (s *Sequencer) replayOne(r Request, e *Entry, decided *Refusal) Outcome {
	if !e.Intact() {
		refused := damagedTransfer(e.RequestID())
		refused.EvaluatedAtSeq = s.book.head.Seq
		return Outcome{Refusal: refused}
	}
	refused := Conflict(r, e)
	if refused == nil && len(e.text.Salt) == 0 && !s.book.actsOn(r, e) {
		refused = idConflict()
	}
	if refused != nil {
		if decided != nil && decided.Code == CodeAccountExists {
			refused = decided
		}
		refused.EvaluatedAtSeq = s.book.head.Seq
		s.stats.refusals.Add(1)
		return Outcome{Refusal: refused}
	}
	s.stats.replays.Add(1)
	return Outcome{Entry: e, Replayed: true}
}

func (s *Sequencer) answerAll(batch []*pending, err error) {
	for _, p := range batch {
		p.answer(Result{Err: err})
	}
}

func requestsOf(batch []*pending) []Request {
	requests := make([]Request, len(batch))
	for i, p := range batch {
		requests[i] = p.request
	}
	return requests
}

// requestIDs returns the ids that requests use up.
func requestIDs(ledger LedgerID, requests []Request) []RequestID {
	ids := make([]RequestID, 0, len(requests))
	for _, r := range requests {
		switch r := r.(type) {
		case *AtomicBatch:
			for _, item := range r.Items {
				ids = append(ids, item.ID)
			}
			continue
		case *ClosePeriod:
			ids = r.transferIDs(ids, ledger)
		}
		ids = append(ids, r.common().ID)
	}
	return ids
}
