package ledger

import (
	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
)

// CaptureHold asks to book a hold, in full or in part. What is not booked is
// released in the same entry: a hold is captured once. With neither Amount nor
// Legs, all of it is booked.
type CaptureHold struct {
	Common
	ValueDate
	Hold   RequestID
	Amount *decimal.Decimal // part of a hold with one debit and one credit
	Legs   []Leg            // part of any hold: its legs, with what is booked of each
	Rate   *string          // exchange rate as agreed, at most MaxRate bytes
}

// ReleaseHold asks to give a hold back whole.
type ReleaseHold struct {
	Common
	Hold RequestID
	// OnExpiry releases the hold only if it has expired.
	OnExpiry bool
}

func (*CaptureHold) operation() string { return OperationCapture }
func (*ReleaseHold) operation() string { return OperationRelease }

func (*CaptureHold) accountCodes(dst []string) []string { return dst }
func (*ReleaseHold) accountCodes(dst []string) []string { return dst }

func (r *CaptureHold) targets(dst []RequestID) []RequestID { return append(dst, r.Hold) }
func (r *ReleaseHold) targets(dst []RequestID) []RequestID { return append(dst, r.Hold) }

func (*CaptureHold) weight() int { return targetWeight }
func (*ReleaseHold) weight() int { return targetWeight }

func (r *CaptureHold) fingerprintTo(b []byte) []byte {
	b = appendValueDate(append(b, r.Hold.UUID[:]...), r.ValueDate)
	b = appendOptional(b, decimalText(r.Amount))
	return appendOptional(appendLegs(b, r.Legs), r.Rate)
}

func (r *ReleaseHold) fingerprintTo(b []byte) []byte {
	return append(append(b, r.Hold.UUID[:]...), boolByte(r.OnExpiry))
}

// ExpiryRequestID is the id of the release of a hold that has expired, the same
// on every replica.
func ExpiryRequestID(ledger LedgerID, hold RequestID) RequestID {
	return DeriveRequestID(ledger, "expiry", hold.String())
}

func (r *CaptureHold) apply(o *overlay) (*draft, *Refusal) {
	m := &movement{o: o, dated: r.ValueDate, targetID: r.Hold, capture: r}
	d, refused := m.decide(captureRules, chain.Capture)
	if refused != nil {
		return nil, refused
	}
	d.details = rateDetail(r.Rate)
	return d, nil
}

func (r *ReleaseHold) apply(o *overlay) (*draft, *Refusal) {
	m := &movement{o: o, targetID: r.Hold, onExpiry: r.OnExpiry}
	return m.decide(releaseRules, chain.Release)
}

// targetKnown finds what a capture, release or reversal acts on.
func targetKnown(m *movement) *Refusal {
	m.target = m.o.target(m.targetID)
	switch {
	case m.target == nil:
		return refusal(CodeTransferNotFound, "this ledger has no transfer or hold %s", m.targetID)
	case !m.target.Entry.Intact() || m.target.Settled != nil && !m.target.Settled.Intact():
		return damagedTransfer(m.targetID)
	}
	return nil
}

// targetIsHold sets up the postings that settle a hold: its own, with nothing
// booked.
func targetIsHold(m *movement) *Refusal {
	e := m.target.Entry
	if e.record.Kind != chain.Hold {
		return refusal(CodeNotAHold, "%s is a %s, not a hold", m.targetID, e.record.Kind)
	}
	seq := e.Seq()
	m.refSeq = &seq
	for i := range e.record.Postings {
		p := &e.record.Postings[i]
		m.legs = append(m.legs, Leg{Account: e.accounts[i].Code, Direction: p.Direction})
		m.sums = append(m.sums, sum{code: e.accounts[i].Code, direction: p.Direction, settled: p.PendingChange, leg: i})
	}
	return nil
}

// holdOpen refuses a hold that was settled: that happens once (I12).
func holdOpen(m *movement) *Refusal {
	switch s := m.target.Settled; {
	case s == nil:
		return nil
	case s.record.Kind == chain.Capture:
		return refusal(CodeHoldCaptured, "hold %s was captured by entry %d; a hold is captured once", m.targetID, s.Seq())
	case s.OnExpiry():
		return refusal(CodeHoldExpired, "hold %s has expired and was released by entry %d", m.targetID, s.Seq())
	default:
		return refusal(CodeHoldReleased, "hold %s was released by entry %d", m.targetID, s.Seq())
	}
}

// expired reports whether the hold's time has come, whether or not a release
// stands there yet.
func (m *movement) expired() bool {
	expires := m.target.Entry.record.ExpiresAt
	return expires != nil && m.o.now >= *expires
}

func holdNotExpired(m *movement) *Refusal {
	if !m.expired() {
		return nil
	}
	return refusal(CodeHoldExpired, "hold %s has expired; nothing of it can be captured any more", m.targetID)
}

func expiryReached(m *movement) *Refusal {
	if !m.onExpiry || m.expired() {
		return nil
	}
	return refusal(CodeHoldNotExpired, "hold %s has not expired", m.targetID)
}

// captureAmounts says how much of each posting of the hold is booked.
func captureAmounts(m *movement) *Refusal {
	switch r := m.capture; {
	case r.Amount != nil:
		if len(m.sums) != 2 || m.accounts[0].Currency != m.accounts[1].Currency {
			return refusal(CodeCaptureMismatch, "this hold has more than one amount; name the postings to capture instead of amount")
		}
		for i := range m.sums {
			if refused := m.captureLeg(i, *r.Amount); refused != nil {
				return refused
			}
		}
	case len(r.Legs) > 0:
		return m.captureLegs(r.Legs)
	default:
		for i := range m.sums {
			m.sums[i].units = m.sums[i].settled
		}
	}
	return nil
}

// captureLegs books the named legs and nothing of the others.
func (m *movement) captureLegs(legs []Leg) *Refusal {
	places := make(map[string]int, len(m.sums))
	for i := range m.sums {
		places[m.sums[i].code] = i
	}
	given := make(map[string]bool, len(legs))
	for i := range legs {
		leg := &legs[i]
		at, ok := places[leg.Account]
		var refused *Refusal
		switch {
		case !ok || m.sums[at].direction != leg.Direction:
			refused = refusal(CodeCaptureMismatch, "the hold has no %s of account %s", leg.Direction, leg.Account)
			refused.Account = leg.Account
		case given[leg.Account]:
			refused = refusal(CodeCaptureMismatch, "account %s is named twice; a capture has one posting for each of its hold", leg.Account)
			refused.Account = leg.Account
		case leg.Currency != "" && leg.Currency != m.accounts[at].Currency:
			refused = atLeg(m, at, refusal(CodeCurrencyMismatch, "account %s is kept in %s, not in %s",
				leg.Account, m.accounts[at].Currency, leg.Currency))
		default:
			refused = m.captureLeg(at, leg.Amount)
		}
		if refused != nil {
			refused.Posting = i
			return refused
		}
		given[leg.Account] = true
	}
	return nil
}

// captureLeg books amount of the hold's posting i.
func (m *movement) captureLeg(i int, amount decimal.Decimal) *Refusal {
	s, a := &m.sums[i], m.accounts[i]
	if amount.Sign() <= 0 {
		return atLeg(m, i, refusal(CodeAmountNotPositive, "amounts are greater than zero; release a hold of which nothing is to be booked"))
	}
	units, refused := unitsOf(amount, a.Scale)
	if refused != nil {
		return atLeg(m, i, refused)
	}
	if units.Cmp(s.settled) > 0 {
		return atLeg(m, i, refusal(CodeCaptureExceedsHold, "the hold set aside %s %s of account %s; %s is more",
			s.settled.Format(a.Scale), a.Currency, a.Code, units.Format(a.Scale)))
	}
	s.units = units
	return nil
}
