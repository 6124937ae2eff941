package risk

import (
	"math"
	"slices"

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
	other int32 // the other account, −1 where there is none or several
	units money.Int128
}

// side of an account's payments.
type flowSide struct {
	recent []payment          // within the window, in order
	near   []payment          // of those, just below the threshold
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

	signals map[string][]*Signal
	more    map[string]int64
	benford map[string]*digits // by currency
	cut     int64              // round trips not searched to the end
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
		i, _ := slices.BinarySearchFunc(b.Accounts, a.Code, func(x Account, code string) int { return compareText(x.Code, code) })
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

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
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

// moved is an entry that waits. other is −1 where it has not exactly two legs.
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
	for i, l := range legs {
		w := h.accounts[l.account]
		if w == nil {
			continue
		}
		other := int32(-1)
		if len(legs) == 2 {
			other = legs[1-i].account
		}
		p := payment{e.seq, day, other, l.units}
		h.dormant(w, l.account, &p)
		if l.sends {
			h.sent(w, l.account, p)
		}
		h.flows(w, l.account, p, l.sends)
	}
	if len(legs) == 2 {
		h.roundTrip(e.seq, day, legs[0], legs[1])
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
func (h *signalHistory) flows(w *watched, account int32, p payment, sends bool) {
	side, fan := &w.in, FanIn
	if sends {
		side, fan = &w.out, FanOut
	}
	for _, s := range []*flowSide{&w.in, &w.out} {
		s.recent, s.near = since(s.recent, p.day-h.window+1), since(s.near, p.day-h.window+1)
	}
	if len(side.recent) < maxRecent {
		side.recent = append(side.recent, p)
	}
	h.structuring(side, account, p)
	h.fan(side, account, p, fan)
	if n := len(w.in.recent) + len(w.out.recent); h.rules.Velocity > 0 && n >= h.rules.Velocity {
		first := p
		for _, s := range []*flowSide{&w.in, &w.out} {
			if len(s.recent) > 0 && s.recent[0].seq < first.seq {
				first = s.recent[0]
			}
		}
		h.extend(&w.in, Signal{Pattern: Velocity, Account: account, From: first.day, To: p.day, Count: int64(n), Amount: p.units, Seqs: []int64{first.seq, p.seq}})
	}
	if sends {
		h.passThrough(w, account, p)
	}
}

// since drops what was before a day.
func since(list []payment, day chain.Date) []payment {
	i := 0
	for i < len(list) && list[i].day < day {
		i++
	}
	if i == 0 {
		return list
	}
	return slices.Delete(list, 0, i)
}

// structuring: several payments just below the threshold that reach it together.
func (h *signalHistory) structuring(side *flowSide, account int32, p payment) {
	threshold := h.threshold[account]
	if h.rules.Structuring == 0 || threshold.IsZero() || p.units.Cmp(threshold) >= 0 || p.units.Cmp(h.near[account]) < 0 || len(side.near) >= maxRecent {
		return
	}
	side.near = append(side.near, p)
	if len(side.near) < h.rules.Structuring {
		return
	}
	sum, ok := total(side.near)
	if !ok || sum.Cmp(threshold) < 0 {
		return
	}
	h.extend(side, Signal{Pattern: Structuring, Account: account, From: side.near[0].day, To: p.day, Count: int64(len(side.near)), Amount: sum, Seqs: []int64{side.near[0].seq, p.seq}})
}

// total adds payments up, and says false beyond 128 bits.
func total(list []payment) (sum money.Int128, ok bool) {
	for _, p := range list {
		if sum, ok = sum.Add(p.units); !ok {
			return sum, false
		}
	}
	return sum, true
}

// fan: many different counterparties.
func (h *signalHistory) fan(side *flowSide, account int32, p payment, pattern string) {
	if h.rules.Fan == 0 || len(side.recent) < h.rules.Fan || p.other < 0 {
		return
	}
	others := map[int32]bool{}
	for _, q := range side.recent {
		if q.other >= 0 {
			others[q.other] = true
		}
	}
	if len(others) < h.rules.Fan {
		return
	}
	sum, _ := total(side.recent)
	h.extend(side, Signal{Pattern: pattern, Account: account, From: side.recent[0].day, To: p.day, Count: int64(len(others)), Amount: sum, Seqs: []int64{side.recent[0].seq, p.seq}})
}

// passThrough: of what came in within the window, nearly all goes out again, and it is at least the threshold.
func (h *signalHistory) passThrough(w *watched, account int32, p payment) {
	threshold := h.threshold[account]
	if h.rules.PassThrough.Sign() <= 0 || threshold.IsZero() || len(w.in.recent) == 0 {
		return
	}
	in, ok1 := total(w.in.recent)
	out, ok2 := int128(0), true
	for _, q := range w.out.recent {
		if q.seq > w.in.recent[0].seq {
			if out, ok2 = out.Add(q.units); !ok2 {
				return
			}
		}
	}
	if !ok1 || in.Cmp(threshold) < 0 {
		return
	}
	scale := h.book.Accounts[account].Scale
	least := in.Decimal(scale).Mul(h.rules.PassThrough.Decimal)
	if out.Decimal(scale).Cmp(least) < 0 {
		return
	}
	h.extend(&w.out, Signal{Pattern: PassThrough, Account: account, From: w.in.recent[0].day, To: p.day, Count: int64(len(w.in.recent) + len(w.out.recent)), Amount: in, Seqs: []int64{w.in.recent[0].seq, p.seq}})
}

func int128(v int64) money.Int128 { return money.FromInt64(v) }

func (h *signalHistory) close() {
	h.wait()
	h.release(chain.Date(math.MaxInt32))
}
