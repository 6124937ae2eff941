package risk

import (
	"math"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
)

// Bounds of what is kept of the past for signals, each of one account.
const (
	maxRecent = 10_000 // payments within the window
	maxSample = 64     // newest amounts, for statistics
	maxHops   = 20_000 // payments looked at for one round trip
	// maxLooked is how many payments of one account are looked at for all round trips of one day.
	maxLooked = 1_000_000
	// maxWaiting is how many entries wait to be put in the order of their value dates.
	maxWaiting = 4_000_000
	// settled is after how many calendar days entries of a value date are taken to be complete. What is valued further back
	// counts when it comes.
	settled = 7
	// MaxSignals is how many signals of one pattern are kept; more are counted.
	MaxSignals = 10_000
)

// Signal is something to look at. It accuses nobody.
type Signal struct {
	Pattern  string
	Account  int32
	From, To chain.Date
	Count    int64        // of payments, or of counterparties
	Amount   money.Int128 // units of the account's currency
	Seqs     []int64      // entries, the first and the last at least
	Others   []int32      // accounts of a round trip, in order
}

// The patterns.
const (
	Structuring = "structuring"
	PassThrough = "pass-through"
	Velocity    = "velocity"
	FanIn       = "fan-in"
	FanOut      = "fan-out"
	RoundTrip   = "round-trip"
	Dormant     = "dormant"
)

// payment is money that one watched account sent another, or anybody.
type payment struct {
	seq   int64
	day   chain.Date
	other int32 // the other account, −1 where there are several
	units money.Int128
}

// before says that a payment was made before another.
func (p *payment) before(q *payment) bool { return p.day < q.day || p.day == q.day && p.seq < q.seq }

// side of an account's payments.
type flowSide struct {
	recent stream             // within the window, in order
	near   stream             // of those, just below the threshold
	last   map[string]*Signal // the newest of each pattern, which may still grow
}

// watched is an account that signals are looked for on.
type watched struct {
	in, out flowSide
	lastDay chain.Date
	moved   bool
	amounts []sample // the newest sent
	sent    int64
	round   int64

	early  money.Int128 // of what went out, what went before the first that came in
	added  bool         // early is of the windows as they are
	turn   int64        // the day that looked is of, as signalHistory counts them
	looked int          // payments looked at for round trips
}

// sample is an amount sent.
type sample struct {
	seq   int64
	day   chain.Date
	units money.Int128
}

// signalHistory looks for patterns while the movements pass.
type signalHistory struct {
	book      *Book
	rules     *policy.Signals
	window    chain.Date
	accounts  []*watched // by account; nil is not watched
	threshold []money.Int128
	near      []money.Int128
	roundUnit []money.Int128
	legs      []leg // of the entry at hand
	at        collecting
	waiting   map[chain.Date][]moved // by value date
	count     int                    // of those that wait
	done      chain.Date             // the newest day that was looked at
	scratch   []leg
	debits    []leg // of the entry that is looked at
	credits   []leg
	turn      int64 // days looked at

	signals map[string][]*Signal
	more    map[string]int64
	benford map[string]*digits // by currency
	cut     int64              // round trips not searched to the end
	full    int64              // payments that found a window full
}

func newSignalHistory(b *Book, p *policy.Policy) *signalHistory {
	s := p.Risk.Signals
	n := len(b.Accounts)
	h := &signalHistory{book: b, rules: s, window: chain.Date(s.Window), accounts: make([]*watched, n), threshold: make([]money.Int128, n), near: make([]money.Int128, n),
		roundUnit: make([]money.Int128, n), waiting: map[chain.Date][]moved{}, done: never, signals: map[string][]*Signal{}, more: map[string]int64{}, benford: map[string]*digits{}}
	if h.window == 0 {
		h.window = policy.DefaultSignalWindow
	}
	for _, a := range b.of(s.Classes...) {
		i, _ := slices.BinarySearchFunc(b.Accounts, a.Code, func(x Account, code string) int { return strings.Compare(x.Code, code) })
		h.accounts[i] = &watched{}
		hundred := decimal.New(100, 0)
		h.roundUnit[i], _ = money.FromDecimal(hundred, a.Scale)
		if t, ok := s.Threshold[a.Currency]; ok {
			h.threshold[i], _ = money.FromDecimal(t.Truncate(int32(a.Scale)), a.Scale)
			share := decimal.New(1, 0).Sub(s.Margin.Decimal)
			h.near[i], _ = money.FromDecimal(t.Mul(share).RoundCeil(int32(a.Scale)), a.Scale)
		}
	}
	return h
}

// Payments count by value date: that is when they were meant to happen, and a history that was imported has been booked in
// an hour. Entries arrive in order of seq, so they wait by day until the day is settled.
//
//	entries by seq ──▶ waiting, by value date ──▶ a day at a time, by seq: the patterns

// leg is a movement of a watched account, or the other side of one.
type leg struct {
	account int32
	sends   bool
	units   money.Int128
}

// moved is an entry that waits.
type moved struct {
	seq   int64
	legs  [2]leg
	count int8
	more  []leg // beyond two
}

// collecting is the entry whose legs arrive.
type collecting struct {
	seq    int64
	valued chain.Date
	undo   bool
}

// move collects the legs of an entry.
func (h *signalHistory) move(m *Movement) {
	if len(h.legs) > 0 && h.at.seq != m.Seq {
		h.wait()
	}
	if len(h.legs) == 0 {
		h.at = collecting{m.Seq, m.Valued, m.Undo}
	}
	h.legs = append(h.legs, h.legOf(m))
}

// legOf returns how much moved, and whether the account sent it: its balance on its normal side fell.
func (h *signalHistory) legOf(m *Movement) leg {
	l := leg{account: m.Account, units: m.Units, sends: m.Units.Sign() > 0}
	if !l.sends {
		l.units, _ = l.units.Neg()
	}
	if h.book.Accounts[m.Account].debitNormal() {
		l.sends = !l.sends
	}
	return l
}

// wait puts the entry at hand with those of its day: reversals undo payments and are none, and what no watched account has a
// part in is of no interest.
func (h *signalHistory) wait() {
	legs := h.legs
	h.legs = legs[:0]
	if len(legs) == 0 || h.at.undo || !slices.ContainsFunc(legs, func(l leg) bool { return h.accounts[l.account] != nil }) {
		return
	}
	e := moved{seq: h.at.seq, count: int8(min(len(legs), 3))}
	copy(e.legs[:], legs)
	if len(legs) > 2 {
		e.more = slices.Clone(legs[2:])
	}
	day := max(h.at.valued, h.done)
	h.waiting[day] = append(h.waiting[day], e)
	if h.count++; h.count > maxWaiting {
		h.release(h.oldest())
	}
}

func (h *signalHistory) oldest() chain.Date {
	day := chain.Date(math.MaxInt32)
	for d := range h.waiting {
		day = min(day, d)
	}
	return day
}

// release looks at the entries of all days up to one.
func (h *signalHistory) release(until chain.Date) {
	var days []chain.Date
	for day := range h.waiting {
		if day <= until {
			days = append(days, day)
		}
	}
	slices.Sort(days)
	for _, day := range days {
		list := h.waiting[day]
		delete(h.waiting, day)
		h.count -= len(list)
		h.done = day
		h.turn++
		for i := range list {
			h.entry(&list[i], day)
		}
	}
}

func (h *signalHistory) endDay(day chain.Date) {
	h.wait()
	h.release(day - settled)
	h.forget(day)
}

// entry looks at an entry.
func (h *signalHistory) entry(e *moved, day chain.Date) {
	legs := append(h.scratch[:0], e.legs[:min(int(e.count), 2)]...)
	legs = append(legs, e.more...)
	h.scratch = legs
	h.debits, h.credits = h.debits[:0], h.credits[:0]
	for _, l := range legs {
		if l.sends != h.book.Accounts[l.account].debitNormal() {
			h.debits = append(h.debits, l)
		} else {
			h.credits = append(h.credits, l)
		}
	}
	for _, l := range legs {
		w := h.accounts[l.account]
		if w == nil {
			continue
		}
		p := payment{e.seq, day, -1, l.units}
		others := h.others(l)
		if len(others) == 1 {
			p.other = others[0].account
		}
		h.dormant(w, l.account, &p)
		if l.sends {
			h.sent(w, l.account, p)
		}
		h.flows(w, l.account, p, others, l.sends)
	}
	if len(h.debits) > 1 && len(h.credits) > 1 {
		return
	}
	for _, from := range h.debits {
		for _, to := range h.credits {
			h.roundTrip(e.seq, day, from, to)
		}
	}
}

// others returns whom a leg of the entry at hand is with: the other side, unless there are several on both sides, and nobody
// knows which paid which.
func (h *signalHistory) others(l leg) []leg {
	switch debit := l.sends != h.book.Accounts[l.account].debitNormal(); {
	case len(h.debits) > 1 && len(h.credits) > 1:
		return nil
	case debit:
		return h.credits
	default:
		return h.debits
	}
}

// report keeps a signal, and returns nil beyond MaxSignals.
func (h *signalHistory) report(s Signal) *Signal {
	if len(h.signals[s.Pattern]) >= MaxSignals {
		h.more[s.Pattern]++
		return nil
	}
	h.signals[s.Pattern] = append(h.signals[s.Pattern], &s)
	return &s
}

// remember keeps the newest signal of a pattern.
func (f *flowSide) remember(pattern string, s *Signal) {
	if f.last == nil {
		f.last = map[string]*Signal{}
	}
	f.last[pattern] = s
}

// extend joins a signal to the one before on the same side of the account while their windows overlap.
func (h *signalHistory) extend(side *flowSide, s Signal) {
	if last := side.last[s.Pattern]; last != nil && last.To >= s.From {
		last.To = s.To
		last.Count = max(last.Count, s.Count)
		if s.Amount.Cmp(last.Amount) > 0 {
			last.Amount = s.Amount
		}
		last.Seqs = []int64{last.Seqs[0], s.Seqs[len(s.Seqs)-1]}
		return
	}
	side.remember(s.Pattern, h.report(s))
}

// dormant looks for the first movement after a long silence.
func (h *signalHistory) dormant(w *watched, account int32, p *payment) {
	if days := chain.Date(h.rules.Dormant); days > 0 && w.moved && p.day-w.lastDay >= days {
		h.report(Signal{Pattern: Dormant, Account: account, From: w.lastDay, To: p.day, Count: int64(p.day - w.lastDay), Amount: p.units, Seqs: []int64{p.seq}})
	}
	w.moved, w.lastDay = true, p.day
}

// sent counts what an account sends, for statistics.
func (h *signalHistory) sent(w *watched, account int32, p payment) {
	w.sent++
	if divisible(p.units, h.roundUnit[account]) {
		w.round++
	}
	if len(w.amounts) == maxSample {
		w.amounts = slices.Delete(w.amounts, 0, 1)
	}
	w.amounts = append(w.amounts, sample{p.seq, p.day, p.units})
	currency := h.book.Accounts[account].Currency
	d := h.benford[currency]
	if d == nil {
		d = &digits{}
		h.benford[currency] = d
	}
	d.count(p.units)
}

// divisible says whether an amount is a multiple of a unit.
func divisible(v, unit money.Int128) bool {
	if unit.IsZero() {
		return false
	}
	x := v.Big()
	return x.Rem(x, unit.Big()).Sign() == 0
}

// flows looks for patterns of one account within the window.
func (h *signalHistory) flows(w *watched, account int32, p payment, others []leg, sends bool) {
	side, fan := &w.in, FanIn
	if sends {
		side, fan = &w.out, FanOut
	}
	w.since(p.day - h.window + 1)
	if len(side.recent.list) < maxRecent {
		side.recent.add(p, others, h.rules.Fan)
	} else {
		h.full++
	}
	h.structuring(side, account, p)
	h.fan(side, account, p, fan)
	if n := len(w.in.recent.list) + len(w.out.recent.list); h.rules.Velocity > 0 && n >= h.rules.Velocity {
		first := p
		for _, s := range []*flowSide{&w.in, &w.out} {
			if list := s.recent.list; len(list) > 0 && list[0].before(&first) {
				first = list[0]
			}
		}
		h.extend(&w.in, Signal{Pattern: Velocity, Account: account, From: first.day, To: p.day, Count: int64(n), Amount: p.units, Seqs: []int64{first.seq, p.seq}})
	}
	if sends {
		h.passThrough(w, account, p)
	}
}

// since drops what was before a day.
func (w *watched) since(day chain.Date) {
	for _, f := range []*stream{&w.in.recent, &w.in.near, &w.out.recent, &w.out.near} {
		if f.since(day) {
			w.added = false
		}
	}
}

// structuring: several payments just below the threshold that reach it together.
func (h *signalHistory) structuring(side *flowSide, account int32, p payment) {
	threshold := h.threshold[account]
	if h.rules.Structuring == 0 || threshold.IsZero() || p.units.Cmp(threshold) >= 0 || p.units.Cmp(h.near[account]) < 0 || len(side.near.list) >= maxRecent {
		return
	}
	near := &side.near
	near.add(p, nil, 0)
	if len(near.list) < h.rules.Structuring || near.beyond || near.sum.Cmp(threshold) < 0 {
		return
	}
	h.extend(side, Signal{Pattern: Structuring, Account: account, From: near.list[0].day, To: p.day, Count: int64(len(near.list)), Amount: near.sum, Seqs: []int64{near.list[0].seq, p.seq}})
}

// fan: many different counterparties.
func (h *signalHistory) fan(side *flowSide, account int32, p payment, pattern string) {
	recent := &side.recent
	if h.rules.Fan == 0 || len(recent.others) < h.rules.Fan || recent.beyond {
		return
	}
	h.extend(side, Signal{Pattern: pattern, Account: account, From: recent.list[0].day, To: p.day, Count: int64(len(recent.others)), Amount: recent.sum, Seqs: []int64{recent.list[0].seq, p.seq}})
}

// passThrough: of what came in within the window, nearly all goes out again, and it is at least the threshold.
func (h *signalHistory) passThrough(w *watched, account int32, p payment) {
	threshold := h.threshold[account]
	in, gone := &w.in.recent, &w.out.recent
	if h.rules.PassThrough.Sign() <= 0 || threshold.IsZero() || len(in.list) == 0 || in.beyond || gone.beyond || in.sum.Cmp(threshold) < 0 {
		return
	}
	out, _ := gone.sum.Sub(w.before()) // of positive amounts a part
	scale := h.book.Accounts[account].Scale
	least := in.sum.Decimal(scale).Mul(h.rules.PassThrough.Decimal)
	if out.Decimal(scale).Cmp(least) < 0 {
		return
	}
	h.extend(&w.out, Signal{Pattern: PassThrough, Account: account, From: in.list[0].day, To: p.day, Count: int64(len(in.list) + len(gone.list)), Amount: in.sum, Seqs: []int64{in.list[0].seq, p.seq}})
}

// before returns what went out before the first that came in. Both windows are in order and grow at their ends, so that it
// is the same until one of them drops something, or the first comes in.
func (w *watched) before() money.Int128 {
	if !w.added {
		w.early, w.added = money.Int128{}, true
		for i := range w.out.recent.list {
			q := &w.out.recent.list[i]
			if !q.before(&w.in.recent.list[0]) {
				break
			}
			w.early, _ = w.early.Add(q.units)
		}
	}
	return w.early
}

// close looks at what waits, but for what is valued after the day that the figures are of.
func (h *signalHistory) close() {
	h.wait()
	h.release(h.book.AsOf)
}
