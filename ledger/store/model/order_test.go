package model_test

import (
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
)

// Bounds of a run with several processes.
const (
	orderRounds  = 3
	orderClients = 4 // per process
	orderGroup   = 5 // requests that a client sends at a time
)

// Requests come to two processes at once, some of them to both. What they are
// answered is what they would be answered in the order of the chain: each
// accepted one there where its entry stands, each refused one after the entry
// that its refusal names; and no request is two entries.
func TestProcessesTogetherAgreeWithAnOrder(t *testing.T) {
	t.Parallel()
	shortModel()
	storetest.Each(t, func(t *testing.T, url string) {
		m := newModel(t, url)
		rapid.Check(t, func(rt *rapid.T) {
			d := &draw{rt: rt}
			r := m.begin(rt, d, 2, anyOf[int32](d, 0, cutoff))
			defer r.end()
			for range orderRounds {
				r.passTime()
				seq := int64(r.book.size - 1)
				sent := r.together()
				r.inOrder(sent, seq)
			}
			r.compare()
		})
		t.Logf("%d ledgers, %d requests, of which were answered: %v", m.runs, m.requests, m.answers)
		m.checkVariety()
	})
}

// sending is a request on its way to one process, and its answer.
type sending struct {
	op     *op
	result ledger.Result
}

// together draws requests and sends them all at once.
func (r *modelRun) together() []*sending {
	d := r.draw
	truth := r.book
	d.book = truth.clone()
	var clients [2 * orderClients][]*sending
	var all []*sending
	to := func(o *op) {
		s := &sending{op: o}
		at := d.between(0, len(clients)-1)
		clients[at], all = append(clients[at], s), append(all, s)
	}
	for range d.between(30, 90) {
		o := d.one()
		if d.chance(8) {
			o = d.atomic(nil)
		}
		if slices.ContainsFunc(namesOf(o), func(name string) bool { return d.sent[name] != nil && d.sent[name] != o && d.chance(50) }) {
			continue // fewer conflicts
		}
		if d.book.submit(o) == good {
			for _, item := range o.Items {
				d.sent[item.Name] = item
			}
		}
		if d.sent[o.Name] == nil {
			d.sent[o.Name] = o
		}
		to(o)
		if d.chance(10) {
			to(o)
		}
	}
	var work sync.WaitGroup
	for i, sendings := range clients {
		work.Go(func() {
			for group := range slices.Chunk(sendings, orderGroup) {
				var requests []ledger.Request
				for _, s := range group {
					requests = append(requests, r.request(s.op))
				}
				for j, result := range r.processes[i%2].SubmitAll(r.ctx, r.ledger, requests) {
					group[j].result = result
				}
			}
		})
	}
	work.Wait()
	r.book, d.book = truth, truth
	return all
}

// inOrder books the entries after seq on the plain book in the order of the
// chain, and holds every answer against the book at its place.
func (r *modelRun) inOrder(sent []*sending, seq int64) {
	accepted := map[ledger.RequestID]*op{}
	for _, answer := range []verdict{replayed, good} { // a replay may come from a key with other rights
		for _, s := range sent {
			if verdictOf(&s.result.Outcome) != answer {
				continue
			}
			for _, o := range append([]*op{s.op}, s.op.Items...) {
				accepted[r.id(o.Name)] = o
			}
		}
	}
	open := map[*sending]bool{}
	for _, s := range sent {
		r.requests++
		r.answers[verdictOf(&s.result.Outcome).code]++
		open[s] = true
	}
	tail, err := r.db.Tail(r.ctx, r.ledger, seq, 1000)
	if err != nil {
		r.tb.Fatal(err)
	}
	r.settle(sent, open, seq)
	for i := range tail {
		e := &tail[i]
		if o := accepted[e.RequestID()]; o != nil {
			if v := r.book.submit(o); v != good {
				r.tb.Fatalf("entry %d is %s %s, the plain book says %s there", e.Seq(), o.Name, o.body(), v.code)
			}
		} else if e.Record().Kind != chain.Transfer {
			r.tb.Fatalf("entry %d, a %s, was asked for by nobody", e.Seq(), e.Record().Kind)
		} // else a transfer of a closing, which is booked with it
		if int64(r.book.size-1) == e.Seq() {
			r.settle(sent, open, e.Seq())
		}
	}
	for _, s := range sent {
		if open[s] {
			r.tb.Fatalf("%s was answered %+v (%s), which the plain book says at no place after entry %d", s.op.Name, verdictOf(&s.result.Outcome), s.op.body(), seq)
		}
	}
}

// settle looks at the answers that belong to the place after entry seq.
func (r *modelRun) settle(sent []*sending, open map[*sending]bool, seq int64) {
	for _, s := range sent {
		if !open[s] {
			continue
		}
		if s.result.Err != nil {
			r.tb.Fatalf("%s: %v", s.op.Name, s.result.Err)
		}
		got := verdictOf(&s.result.Outcome)
		switch {
		case got == good || got == replayed:
			open[s] = !r.stands(s)
		case got == unchanged:
			open[s] = r.book.clone().submit(s.op) != unchanged
		case got.code == string(ledger.CodeIdempotencyConflict) || got.code == string(ledger.CodeBatchPartlyPosted):
			// What stands under the id may be newer than the head that is named.
			open[s] = seq < s.result.Refusal.EvaluatedAtSeq || r.book.clone().submit(s.op) != got
		case s.result.Refusal.EvaluatedAtSeq == seq:
			if want := r.book.clone().submit(s.op); want != got {
				r.tb.Fatalf("%s %s was answered %+v at entry %d, the plain book says %+v", s.op.Name, s.op.body(), got, seq, want)
			}
			open[s] = false
		}
	}
}

// stands reports whether the book has what an accepted request became.
func (r *modelRun) stands(s *sending) bool {
	outcomes, items := []ledger.Outcome{s.result.Outcome}, []*op{s.op}
	if s.op.Kind == "atomic" {
		outcomes, items = s.result.Items, s.op.Items
	}
	for i, o := range items {
		e := r.book.entries[o.Name]
		if e == nil {
			return false
		}
		if e.body != o.body() || outcomes[i].Entry == nil || outcomes[i].Entry.RequestID() != r.id(o.Name) {
			r.tb.Fatalf("%s was acknowledged with entry %+v, which is another request's", o.Name, outcomes[i].Entry)
		}
	}
	return true
}
