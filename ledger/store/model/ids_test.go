package model_test

import (
	"testing"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/store/storetest"
)

// Ids that the ledger derives can be foreseen. Whoever uses one up gets a refusal
// for the other request, and stops nothing else.
func TestDerivedIDsThatAreTaken(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		m := newModel(t, url)
		r := m.begin(t, new(draw), 1, 0)
		defer r.end()
		pay := func(name string) *op {
			return &op{Kind: "transfer", Name: name, Legs: []opLeg{{Account: "cash", Amount: "1"}, {Account: "fees", Credit: true, Amount: "1"}}}
		}
		expiry := r.book.now + 1
		hold := &op{Kind: "hold", Name: "h", Legs: pay("").Legs, Expiry: &expiry}
		end := r.book.day
		r.all(pay("closing:c:0"), hold, pay("expiry:h"))
		r.advance(24 * time.Hour)
		for _, name := range []string{"c", "d"} {
			code := map[string]ledger.Code{"c": ledger.CodeIdempotencyConflict}[name]
			r.answered(&op{Kind: "close", Name: name, End: end, Retain: []string{"equity"}}, code)
		}
		r.answered(&op{Kind: "release", Name: "expiry:h", Target: "h", Sweep: true}, ledger.CodeIdempotencyConflict)
		r.answered(&op{Kind: "release", Name: "by hand", Target: "h"}, "")
		if n := must(m.db.Account(r.ctx, r.ledger, "equity")).AccountSeq; n != 1 {
			t.Errorf("equity has %d postings", n)
		}
	})
}

// all submits requests that the plain book accepts too.
func (r *modelRun) all(ops ...*op) { r.submit(r.processes[0], ops, r.predict(ops)) }

// answered submits o alone and expects a code, or none.
func (r *modelRun) answered(o *op, code ledger.Code) {
	outcome, err := r.processes[0].Submit(r.ctx, r.ledger, r.request(o))
	switch {
	case err != nil:
		r.tb.Fatalf("%s: %v", o.Name, err)
	case (outcome.Refusal == nil) != (code == "") || code != "" && outcome.Refusal.Code != code:
		r.tb.Fatalf("%s: %+v, want %q", o.Name, outcome.Refusal, code)
	}
}
