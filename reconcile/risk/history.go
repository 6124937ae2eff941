package risk

import (
	"errors"
	"fmt"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
)

// Movement is a posting that changed a booked balance.
type Movement struct {
	Seq     int64
	Day     chain.Date   // booking date
	Valued  chain.Date   // value date
	Account int32        // its place in Book.Accounts
	Units   money.Int128 // change of the balance, debit-positive
	Posted  money.Int128 // balance after it, debit-positive
	Undo    bool         // a reversal
}

// History goes through every posting up to the run's size, in order of seq, and keeps what the calculations need of the
// way there. Its memory grows with accounts, pools and days, and not with postings; what the signals keep has bounds of its
// own (signals.go).
type History struct {
	Book   *Book
	Policy *policy.Policy

	first, day chain.Date
	begun      bool
	err        error

	pools   *poolHistory
	limits  *limitHistory
	funds   *fundsHistory
	open    *openHistory
	signals *signalHistory
}

// errOverflow: sums beyond 128 bits.
var errOverflow = errors.New("a sum of balances is beyond 128 bits")

// NewHistory prepares to follow a ledger from its first entry.
func NewHistory(b *Book, p *policy.Policy) *History {
	h := &History{Book: b, Policy: p}
	if s := p.Risk.Safeguarding; s != nil {
		h.pools = newPoolHistory(b, s)
	}
	if e := p.Risk.Exposure; e != nil {
		h.limits = newLimitHistory(b, e)
	}
	if o := p.Risk.OwnFunds; o != nil {
		h.funds = newFundsHistory(b, o)
	}
	h.open = newOpenHistory(b, &p.Accounts)
	if s := p.Risk.Signals; s != nil {
		h.signals = newSignalHistory(b, p)
	}
	return h
}

// Add takes the next movement.
func (h *History) Add(m *Movement) {
	if !h.begun {
		h.begun, h.first, h.day = true, m.Day, m.Day
	}
	if m.Day != h.day {
		h.endDay()
		h.day = m.Day
	}
	if h.pools != nil && !h.pools.move(m) || h.funds != nil && !h.funds.move(m) {
		h.fail(m)
	}
	if h.limits != nil {
		h.limits.move(m)
	}
	h.open.move(m)
	if h.signals != nil {
		h.signals.move(m)
	}
}

func (h *History) fail(m *Movement) {
	if h.err == nil {
		h.err = fmt.Errorf("adding up balances at entry %d: %w", m.Seq, errOverflow)
	}
}

func (h *History) endDay() {
	if h.pools != nil {
		h.pools.endDay(h.day)
	}
	if h.limits != nil {
		h.limits.endDay(h.day)
	}
	if h.funds != nil {
		h.funds.endDay(h.day)
	}
	if h.signals != nil {
		h.signals.endDay(h.day)
	}
}

// Close ends the last day. It has to be called once, before Compute.
func (h *History) Close() {
	if h.begun {
		h.endDay()
	}
	if h.signals != nil {
		h.signals.close()
	}
}

// point is a value from a day on.
type point[T any] struct {
	day   chain.Date
	value T
}

// at returns the value at the end of a day, and false before the first.
func at[T any](points []point[T], day chain.Date) (value T, ok bool) {
	low, high := 0, len(points)
	for low < high {
		if mid := (low + high) / 2; points[mid].day <= day {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 {
		return value, false
	}
	return points[low-1].value, true
}
