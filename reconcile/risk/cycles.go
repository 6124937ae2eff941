package risk

import (
	"slices"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Round trips: money that comes back to where it began, through others, within the window.
//
//	a → b → c → a      each payment after the one before, and each at least the pass-through share of the one before
//	                   and not more than it
//
// They are looked for backwards from every payment that could close one, through payments that watched accounts received
// within the window, at most maxHops of them and maxLooked of one account a day; the shortest is reported, and of several the one whose payments are the newest.

// trip is a search for one round trip.
type trip struct {
	h      *signalHistory
	goal   int32 // the account that the closing payment goes to
	length int   // payments, the closing one included
	hops   int
	cut    bool      // an account has been looked at often enough today
	path   []payment // from the closing payment back
	nodes  []int32
}

// roundTrip looks whether a payment between two watched accounts closes one.
func (h *signalHistory) roundTrip(seq int64, day chain.Date, from, to leg) {
	if !from.sends {
		from, to = to, from
	}
	if h.rules.CycleLength == 0 || !from.sends || to.sends || h.accounts[from.account] == nil || h.accounts[to.account] == nil {
		return
	}
	units := from.units
	if to.units.Cmp(units) < 0 { // the other side of an entry with several
		units = to.units
	}
	closing := payment{seq, day, from.account, units}
	t := trip{h: h, goal: to.account, path: []payment{closing}, nodes: []int32{from.account}}
	for length := 2; length <= h.rules.CycleLength; length++ {
		t.length = length
		if t.back(from.account) {
			h.found(&t, to.account, units)
			return
		}
		if t.hops >= maxHops || t.cut {
			h.cut++
			return
		}
	}
}

// back follows what came to an account before the last payment of the path, until it came from the goal.
func (t *trip) back(account int32) bool {
	last := t.path[len(t.path)-1]
	w := t.h.accounts[account]
	if w.turn != t.h.turn {
		w.turn, w.looked = t.h.turn, 0
	}
	list := w.in.recent.list
	for i := len(list) - 1; i >= 0; i-- {
		p := list[i]
		if w.looked++; w.looked > maxLooked {
			t.cut = true
			return false
		}
		if t.hops++; t.hops > maxHops {
			return false
		}
		if p.day > last.day || p.day == last.day && p.seq >= last.seq || p.day <= t.path[0].day-t.h.window || p.other < 0 || t.h.accounts[p.other] == nil || !t.follows(p.units, last.units) {
			continue
		}
		if left := t.length - len(t.path); left == 1 {
			if p.other == t.goal {
				t.path = append(t.path, p)
				return true
			}
			continue
		}
		if p.other == t.goal || slices.Contains(t.nodes, p.other) {
			continue
		}
		t.path, t.nodes = append(t.path, p), append(t.nodes, p.other)
		if t.back(p.other) {
			return true
		}
		t.path, t.nodes = t.path[:len(t.path)-1], t.nodes[:len(t.nodes)-1]
	}
	return false
}

// follows says whether a payment can be what is left of the one before.
func (t *trip) follows(before, after money.Int128) bool {
	if after.Cmp(before) > 0 {
		return false
	}
	share := t.h.rules.PassThrough.Decimal
	if share.IsZero() {
		share = decimal.New(9, -1)
	}
	return after.Decimal(0).Cmp(before.Decimal(0).Mul(share)) >= 0
}

func (h *signalHistory) found(t *trip, goal int32, units money.Int128) {
	s := Signal{Pattern: RoundTrip, Account: goal, From: t.path[len(t.path)-1].day, To: t.path[0].day, Count: int64(len(t.path)), Amount: units}
	for i := len(t.path) - 1; i >= 0; i-- {
		s.Seqs = append(s.Seqs, t.path[i].seq)
	}
	s.Others = slices.Clone(t.nodes)
	slices.Reverse(s.Others)
	h.report(s)
}
