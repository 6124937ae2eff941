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
	next    *pending // queued together with this one, right behind it
	weight  int      // rough size in bytes
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

// enqueue puts requests into the queue, all together or none, without waiting:
// those that fit one batch are not torn apart by one that begins meanwhile.
func (s *Sequencer) enqueue(requests ...Request) ([]*pending, error) {
	list := make([]*pending, len(requests))
	weight := 0
	for i, r := range requests {
		list[i] = &pending{request: r, weight: weigh(r), done: make(chan Result, 1)}
		weight += list[i].weight
		if i > 0 {
			list[i-1].next = list[i]
		}
	}
	bytes, length := s.queued.Add(int64(weight)), s.waiting.Add(int64(len(list))) // bytes of all ledgers
	if bytes > QueueBytes || length > QueueLength {
		s.unqueue(weight, len(list))
		s.stats.overloaded.Add(int64(len(list)))
		return nil, ErrOverloaded
	}
	select {
	case <-s.stopped:
		s.unqueue(weight, len(list))
		return nil, ErrStopped
	case s.queue <- list[0]: // never full: length bounds it
		return list, nil
	}
}

// unqueue takes requests off what waits.
func (s *Sequencer) unqueue(weight, n int) {
	s.queued.Add(int64(-weight))
	s.waiting.Add(int64(-n))
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
	for {
		if s.front == nil {
			select {
			case s.front = <-s.queue:
			default:
				return
			}
		}
		if p := s.front; s.take() {
			p.answer(Result{Err: ErrStopped})
		}
	}
}

// collect takes all that waits, at least one request, within the bounds of a
// batch. It returns nil when ctx ends.
func (s *Sequencer) collect(ctx context.Context) []*pending {
	var batch []*pending
	weight, size := 0, 0
	for size < MaxBatchRequests {
		p := s.look(ctx, len(batch) == 0)
		if p == nil {
			break
		}
		if len(batch) > 0 && (weight+p.weight > MaxBatchBytes || size+p.size() > MaxBatchRequests) {
			break
		}
		if s.take() {
			batch, weight, size = append(batch, p), weight+p.weight, size+p.size()
		}
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

// look returns the request at the front; it waits for one only when asked to,
// and gives the turn back before it does.
func (s *Sequencer) look(ctx context.Context, wait bool) *pending {
	if ctx.Err() != nil {
		return nil
	}
	if s.front != nil {
		return s.front
	}
	select {
	case s.front = <-s.queue:
	default:
		if !wait {
			return nil
		}
		if s.front = s.duringTurn(ctx); s.front == nil {
			s.giveBackTurn()
			s.front = s.idle(ctx)
		}
	}
	return s.front
}

// take takes the request at the front off what waits. It reports false when the
// request was withdrawn.
func (s *Sequencer) take() bool {
	p := s.front
	s.front = p.next
	s.unqueue(p.weight, 1)
	return p.state.CompareAndSwap(waiting, taken)
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
