package ledger

import (
	"context"
	"sync/atomic"
	"time"

	"tallystick/ledger/chain"
)

// pending is a request on its way.
type pending struct {
	request Request
	weight  int // rough size in bytes
	state   atomic.Int32
	done    chan Result
}

// States of a pending request. Only a waiting one can still be withdrawn.
const (
	waiting = iota
	taken
	withdrawn
)

// answer sends r, unless the request has an answer that nobody has fetched.
func (p *pending) answer(r Result) {
	select {
	case p.done <- r:
	default:
	}
}

// enqueue puts a request into the queue without waiting.
func (s *Sequencer) enqueue(r Request) (*pending, error) {
	p := &pending{request: r, weight: weigh(r), done: make(chan Result, 1)}
	if s.queued.Add(int64(p.weight)) > QueueBytes { // of all ledgers
		s.queued.Add(int64(-p.weight))
		s.stats.overloaded.Add(1)
		return nil, ErrOverloaded
	}
	select {
	case <-s.stopped:
		return nil, ErrStopped
	default:
	}
	select {
	case s.queue <- p:
		return p, nil
	default:
		s.queued.Add(int64(-p.weight))
		s.stats.overloaded.Add(1)
		return nil, ErrOverloaded
	}
}

// await waits for the answer until deadline. A request that the
// sequencer has not taken yet is withdrawn when the wait ends.
func (s *Sequencer) await(ctx context.Context, p *pending, deadline time.Time) Result {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case r := <-p.done:
		return r
	case <-ctx.Done():
	case <-timer.C:
	case <-s.stopped:
	}
	if p.state.CompareAndSwap(waiting, withdrawn) {
		return Result{Err: ErrUnavailable}
	}
	select {
	case r := <-p.done: // it came meanwhile
		return r
	default:
		return Result{Err: ErrUnknownOutcome}
	}
}

// weigh estimates the bytes that r adds to a batch.
func weigh(r Request) int {
	const perEntry = 400
	c := r.common()
	return perEntry + r.weight() + textWeight(c.Description) + textWeight(c.Reference) + textWeight(c.Metadata)
}

// perPosting and perTag are what the columns of one take beside its texts.
const perPosting, perTag = 160, 8

func (r *TransferRequest) weight() int { return perPosting * len(r.Legs) }

func (r *OpenAccount) weight() int {
	return perPosting + 2*len(r.Code) + textWeight(r.Name) + tagsWeight(r.Tags)
}

// weight of a change is that of the largest account: what a change leaves as
// it is, is written again.
func (r *ChangeAccount) weight() int {
	return perPosting + 2*len(r.Code) + 2*MaxAccountName + MaxTags*(perTag+2*(MaxTagKey+MaxTagValue))
}

// textWeight allows for escaping.
func textWeight(text *string) int {
	if text == nil {
		return 0
	}
	return 2 * len(*text)
}

func tagsWeight(tags []chain.Tag) int {
	n := 0
	for _, t := range tags {
		n += perTag + 2*(len(t.Key)+len(t.Value))
	}
	return n
}

// turnAway answers what still waits when the sequencer stops.
func (s *Sequencer) turnAway() {
	if s.carry != nil {
		s.carry.answer(Result{Err: ErrStopped})
		s.carry = nil
	}
	for {
		select {
		case p := <-s.queue:
			if p.state.CompareAndSwap(waiting, taken) {
				p.answer(Result{Err: ErrStopped})
			}
		default:
			return
		}
	}
}

// collect takes all that waits, at least one request, within the bounds of a
// batch. It returns nil when ctx ends.
func (s *Sequencer) collect(ctx context.Context) []*pending {
	var batch []*pending
	weight, size := 0, 0
	if p := s.carry; p != nil {
		s.carry = nil
		batch, weight, size = append(batch, p), p.weight, p.size()
	}
	for size < MaxBatchRequests {
		p := s.next(ctx, len(batch) == 0)
		if p == nil {
			break
		}
		if len(batch) > 0 && (weight+p.weight > MaxBatchBytes || size+p.size() > MaxBatchRequests) {
			s.carry = p
			break
		}
		batch, weight, size = append(batch, p), weight+p.weight, size+p.size()
	}
	return batch
}

// size is how many requests count against MaxBatchRequests.
func (p *pending) size() int {
	if batch, ok := p.request.(*AtomicBatch); ok {
		return len(batch.Items)
	}
	return 1
}

// next takes one request; it waits for one only when asked to, and gives the
// turn back before it does.
func (s *Sequencer) next(ctx context.Context, wait bool) *pending {
	for ctx.Err() == nil {
		var p *pending
		select {
		case p = <-s.queue:
		default:
			if !wait {
				return nil
			}
			if p = s.duringTurn(ctx); p == nil {
				s.giveBackTurn()
				p = s.idle(ctx)
			}
			if p == nil {
				return nil
			}
		}
		s.queued.Add(int64(-p.weight))
		if p.state.CompareAndSwap(waiting, taken) {
			return p
		}
	}
	return nil
}

// duringTurn waits for a request as long as the turn lasts, nil when none came
// or there is no turn. Clients that just had their answer send the next request
// at once; a turn given back in between would be worth one batch.
func (s *Sequencer) duringTurn(ctx context.Context) *pending {
	if s.turn.release == nil {
		return nil
	}
	timer := time.NewTimer(time.Until(s.turn.until))
	defer timer.Stop()
	select {
	case p := <-s.queue:
		return p
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// idle waits for a request, nil when ctx ends. A ledger that nobody posts to for
// IdleAfter gives back the memory of its cache, but keeps its head: only with
// it can a rewound ledger be noticed.
func (s *Sequencer) idle(ctx context.Context) *pending {
	timer := time.NewTimer(IdleAfter)
	defer timer.Stop()
	for {
		select {
		case p := <-s.queue:
			return p
		case <-ctx.Done():
			return nil
		case <-timer.C:
			if s.book != nil {
				s.book.accounts.clear()
			}
		}
	}
}
