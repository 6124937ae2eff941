package risk

import (
	"maps"
	"slices"

	"tallystick/ledger/chain"
)

// state is what a search goes on from. Signals are named by their place, so that those that may still grow are found again.
func (h *signalHistory) state(c *codec) {
	if !c.reading {
		h.wait()
	}
	c.day(&h.done)
	number(c, &h.cut)
	number(c, &h.full)
	place := map[*Signal]int{}
	for _, p := range patterns {
		kept := h.signals[p.name]
		list(c, &kept, func(s **Signal) {
			if c.reading {
				*s = &Signal{Pattern: p.name}
			}
			c.signal(*s)
		})
		more := h.more[p.name]
		number(c, &more)
		if len(kept) > 0 {
			h.signals[p.name] = kept
		}
		if more > 0 {
			h.more[p.name] = more
		}
		for i, s := range kept {
			place[s] = i
		}
	}
	some(c, len(h.accounts), func(i int32) bool { return h.accounts[i] != nil }, func(i int32) { h.watched(c, h.accounts[i], place) })
	h.waitingState(c)
	h.digitState(c)
}

func (c *codec) signal(s *Signal) {
	c.account(&s.Account)
	c.day(&s.From)
	c.day(&s.To)
	number(c, &s.Count)
	c.units(&s.Amount)
	list(c, &s.Seqs, func(v *int64) { number(c, v) })
	list(c, &s.Others, c.account)
}

func (c *codec) payment(p *payment) {
	number(c, &p.seq)
	c.day(&p.day)
	c.account(&p.other)
	c.units(&p.units)
}

func (h *signalHistory) watched(c *codec, w *watched, place map[*Signal]int) {
	c.flag(&w.moved)
	if !w.moved {
		return
	}
	c.day(&w.lastDay)
	number(c, &w.sent)
	number(c, &w.round)
	list(c, &w.amounts, func(s *sample) { number(c, &s.seq); c.day(&s.day); c.units(&s.units) })
	if !c.reading { // what lies before the window of all that can come counts no more
		w.since(h.done - h.window + 1)
	}
	for _, side := range []*flowSide{&w.in, &w.out} {
		side.recent.state(c, h.rules.Fan)
		side.near.state(c, 0)
		h.growing(c, side, place)
	}
}

// growing are the signals of a side that later payments may extend.
func (h *signalHistory) growing(c *codec, side *flowSide, place map[*Signal]int) {
	type grows struct{ pattern, at int }
	var all []grows
	for i, p := range patterns {
		if s := side.last[p.name]; s != nil {
			if at, kept := place[s]; kept {
				all = append(all, grows{i, at})
			}
		}
	}
	list(c, &all, func(g *grows) { number(c, &g.pattern); number(c, &g.at) })
	for _, g := range all {
		if g.pattern < 0 || g.pattern >= len(patterns) || g.at < 0 || g.at >= len(h.signals[patterns[g.pattern].name]) {
			c.fail("a signal is damaged")
			return
		}
		name := patterns[g.pattern].name
		side.remember(name, h.signals[name][g.at])
	}
}

func (h *signalHistory) waitingState(c *codec) {
	days := slices.Sorted(maps.Keys(h.waiting))
	list(c, &days, c.day)
	for _, day := range days {
		waits := h.waiting[day]
		list(c, &waits, func(e *moved) {
			number(c, &e.seq)
			number(c, &e.count)
			for i := range e.legs {
				c.leg(&e.legs[i])
			}
			list(c, &e.more, c.leg)
		})
		if c.reading {
			h.waiting[day] = waits
			h.count += len(waits)
		}
	}
}

func (c *codec) leg(l *leg) {
	c.account(&l.account)
	c.flag(&l.sends)
	c.units(&l.units)
}

func (h *signalHistory) digitState(c *codec) {
	names := slices.Sorted(maps.Keys(h.benford))
	list(c, &names, c.text)
	for _, name := range names {
		d := h.benford[name]
		if d == nil {
			d = &digits{}
			h.benford[name] = d
		}
		number(c, &d.n)
		number(c, &d.two)
		counted(c, d.of1[:])
		counted(c, d.of2[:])
	}
}

// forget drops signals that no report lists any more, and that nothing that waits can extend.
func (h *signalHistory) forget(day chain.Date) {
	if h.rules.Lookback == 0 {
		return
	}
	oldest := day - chain.Date(h.rules.Lookback) - h.window - settled
	for name, kept := range h.signals {
		h.signals[name] = slices.DeleteFunc(kept, func(s *Signal) bool { return s.To < oldest })
	}
}
