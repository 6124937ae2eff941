package ledger

import (
	"context"
	"sync/atomic"
	"time"
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
	if s.queued.Add(int64(p.weight)) > QueueBytes {
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

// await waits for the answer, at most AnswerPatience. A request that the
// sequencer has not taken yet is withdrawn when the wait ends.
func (s *Sequencer) await(ctx context.Context, p *pending) Result {
	timer := time.NewTimer(AnswerPatience)
	defer timer.Stop()
	select {
	case r := <-p.done:
		return r
	case <-ctx.Done():
	case <-timer.C:
	case <-s.stopped:
		select {
		case r := <-p.done:
			return r
		default:
		}
	}
	if p.state.CompareAndSwap(waiting, withdrawn) {
		return Result{Err: ErrUnavailable}
	}
	return Result{Err: ErrUnknownOutcome}
}

// weigh estimates the bytes that r adds to a batch.
func weigh(r Request) int {
	const perEntry, perPosting = 400, 160
	n := perEntry
	if t, ok := r.(*TransferRequest); ok {
		n += perPosting * len(t.Legs)
	}
	c := r.common()
	for _, text := range []*string{c.Description, c.Reference, c.Metadata} {
		if text != nil {
			n += len(*text)
		}
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
	weight := 0
	if p := s.carry; p != nil {
		s.carry = nil
		batch, weight = append(batch, p), p.weight
	}
	for len(batch) < MaxBatchRequests {
		p := s.next(ctx, len(batch) == 0)
		if p == nil {
			break
		}
		if len(batch) > 0 && weight+p.weight > MaxBatchBytes {
			s.carry = p
			break
		}
		batch, weight = append(batch, p), weight+p.weight
	}
	return batch
}

// next takes one request; it waits for one only when asked to, and gives the
// turn back before it does.
func (s *Sequencer) next(ctx context.Context, wait bool) *pending {
	for {
		var p *pending
		select {
		case p = <-s.queue:
		default:
			if !wait {
				return nil
			}
			s.giveBackTurn()
			select {
			case p = <-s.queue:
			case <-ctx.Done():
				return nil
			}
		}
		s.queued.Add(int64(-p.weight))
		if p.state.CompareAndSwap(waiting, taken) {
			return p
		}
	}
}
