package ledger

import "tallystick/ledger/chain"

// ReverseTransfer asks to undo a transfer, or the capture of a hold, in full:
// the same accounts and amounts, directions exchanged, dated today. A partial
// refund is a new transfer that is related to the first.
type ReverseTransfer struct {
	Common
	Target RequestID // a transfer, a captured hold, or a capture
}

func (*ReverseTransfer) operation() string                     { return OperationReverse }
func (*ReverseTransfer) accountCodes(dst []string) []string    { return dst }
func (r *ReverseTransfer) targets(dst []RequestID) []RequestID { return append(dst, r.Target) }
func (*ReverseTransfer) weight() int                           { return targetWeight }
func (r *ReverseTransfer) fingerprintTo(b []byte) []byte       { return append(b, r.Target.UUID[:]...) }
func (r *ReverseTransfer) apply(o *overlay) (*draft, *Refusal) {
	m := &movement{o: o, targetID: r.Target}
	return m.decide(reversalRules, chain.Reversal)
}

// targetReversible sets up the postings of a reversal, when there is something
// to reverse and that was not done before (I12).
func targetReversible(m *movement) *Refusal {
	e := m.target.Entry
	switch e.record.Kind {
	case chain.Transfer, chain.Capture:
	case chain.Hold:
		s := m.target.Settled
		if s == nil {
			return refusal(CodeNotReversible, "%s is a hold that has booked nothing; release it instead", m.targetID)
		}
		if s.record.Kind != chain.Capture {
			return refusal(CodeNotReversible, "hold %s was released by entry %d; there is nothing to reverse", m.targetID, s.Seq())
		}
		e = s
	case chain.Reversal:
		return refusal(CodeNotReversible, "%s is a reversal; post a new transfer instead of reversing it", m.targetID)
	default:
		return refusal(CodeNotReversible, "%s is a %s and booked nothing", m.targetID, e.record.Kind)
	}
	if r := m.target.Reversed; r != nil {
		return refusal(CodeAlreadyReversed, "%s was reversed by entry %d", m.targetID, r.Seq())
	}
	seq := e.Seq()
	m.refSeq = &seq
	for i := range e.record.Postings {
		p := &e.record.Postings[i]
		if p.Amount.IsZero() {
			continue // a leg of a hold that its capture left out
		}
		direction := chain.Debit
		if p.Direction == chain.Debit {
			direction = chain.Credit
		}
		m.sums = append(m.sums, sum{code: e.accounts[i].Code, direction: direction, units: p.Amount, leg: len(m.legs)})
		m.legs = append(m.legs, Leg{Account: e.accounts[i].Code, Direction: direction})
	}
	return nil
}
