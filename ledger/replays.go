package ledger

import (
	"slices"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
)

// This file answers whether a request is the one that an entry was made of.

// Conflict compares a request with the entry that stands under its id (I8). It
// returns nil when the request is the same, and the refusal otherwise. After an
// erasure only what the entry itself binds, money above all, can be compared; see
// also actsOn.
func Conflict(r Request, e *Entry) *Refusal {
	var same bool
	if len(e.text.Salt) > 0 {
		fingerprint := Fingerprint(r, e.text.Salt)
		same = string(fingerprint[:]) == string(e.text.Fingerprint)
	} else {
		same = sameBound(r, e)
	}
	if same {
		return nil
	}
	return idConflict()
}

func idConflict() *Refusal {
	return refusal(CodeIdempotencyConflict,
		"this id or idempotency key stands for another request already; use a new one for a new request")
}

// sameBound compares what an erasure leaves: what the entry itself says.
func sameBound(r Request, e *Entry) bool {
	switch r := r.(type) {
	case *TransferRequest:
		return r.sameMoney(e)
	case *CaptureHold:
		return e.record.Kind == chain.Capture && r.sameMoney(e)
	case *ReleaseHold:
		return e.record.Kind == chain.Release
	case *ReverseTransfer:
		return e.record.Kind == chain.Reversal
	case *OpenAccount:
		return e.record.Kind == chain.AccountOpened && r.sameAccount(e.record.Account)
	case *ChangeAccount:
		return e.record.Kind == chain.AccountChanged && r.leads(e.record.Account)
	case *ClosePeriod:
		return e.record.Kind == chain.PeriodClosed && hasDetail(e, "period_end", r.PeriodEnd.String())
	case *ReopenPeriod:
		return e.record.Kind == chain.PeriodReopened && hasDetail(e, "period_end", r.PeriodEnd.String())
	case *ChangeKey:
		return e.record.Kind == chain.KeyChanged && hasDetail(e, "action", r.Action) && hasDetail(e, "role", r.Role) && hasDetail(e, "key_id", r.Key)
	case *RecordRun:
		return e.record.Kind == chain.Run && slices.Equal(r.details(), e.record.Details)
	case *Decide:
		return r.sameDecision(e)
	case *AdoptPolicy:
		return r.samePolicy(e)
	}
	return false // requests without text, which nothing erases
}

// actsOn reports whether e acts on what r names, which the fingerprint says as
// long as there is one: a release of one hold is no answer for another. Of a hold
// that was captured, a reversal acts on the capture.
func (b *Book) actsOn(r Request, e *Entry) bool {
	switch r.(type) {
	case *RecordRun, *Decide:
		return true // they refer to others in their details, which were compared
	}
	for _, id := range r.targets(nil) {
		t, acted := b.targets[id], e.record.RefSeq
		if t == nil || acted == nil || t.Entry.Seq() != *acted && (t.Settled == nil || t.Settled.Seq() != *acted) {
			return false
		}
	}
	return true
}

func hasDetail(e *Entry, name, want string) bool {
	value, ok := e.record.Detail(name)
	return ok && value == want
}

// sameAccount compares all but the name.
func (r *OpenAccount) sameAccount(a *chain.Account) bool {
	min, refused := limitUnits(r.MinBalance, a.Scale)
	max, refusedToo := limitUnits(r.MaxBalance, a.Scale)
	wanted := Account{Account: *a}
	wanted.Code, wanted.Type, wanted.Currency, wanted.Frozen = r.Code, r.Type, r.Currency, r.Frozen
	wanted.MinBalance, wanted.MaxBalance, wanted.Tags = min, max, r.Tags
	return refused == nil && refusedToo == nil && r.Code == a.Code && sameAttributes(&wanted.Account, nil, &Account{Account: *a})
}

// leads reports whether the change leads to what a says, but for the name.
func (r *ChangeAccount) leads(a *chain.Account) bool {
	nameless := *r
	nameless.Name = nil
	wanted, _, refused := nameless.wanted(&Account{Account: *a})
	return refused == nil && r.Code == a.Code && r.Close == a.Closed && sameAttributes(wanted, nil, &Account{Account: *a})
}

func (r *TransferRequest) sameMoney(e *Entry) bool {
	kind := chain.Transfer
	if r.Hold {
		kind = chain.Hold
	}
	booked := make(map[string]chain.Posting, len(e.accounts))
	for i := range e.accounts {
		booked[e.accounts[i].Code] = e.record.Postings[i]
	}
	asked, refused := summedUnits(r.Legs, func(code string) (uint8, bool) {
		p, ok := booked[code]
		return p.Scale, ok
	})
	if refused != nil || e.record.Kind != kind || len(asked) != len(booked) {
		return false
	}
	for _, l := range asked {
		p := booked[l.code]
		units := p.Amount
		if r.Hold {
			units = p.PendingChange
		}
		if p.Direction != l.direction || units != l.units {
			return false
		}
	}
	return true
}

// sameMoney compares what a capture books of each posting of its hold: the
// amount it names, or all of it when it names none.
func (r *CaptureHold) sameMoney(e *Entry) bool {
	named := make(map[string]*Leg, len(r.Legs))
	for i := range r.Legs {
		named[r.Legs[i].Account] = &r.Legs[i]
	}
	found := 0
	for i := range e.record.Postings {
		p := &e.record.Postings[i]
		held, _ := p.PendingChange.Neg()
		asked := held.Decimal(p.Scale)
		switch leg := named[e.accounts[i].Code]; {
		case r.Amount != nil:
			asked = *r.Amount
		case leg != nil && leg.Direction == p.Direction:
			asked = leg.Amount
			found++
		case len(r.Legs) > 0:
			asked = decimal.Zero
		}
		if !asked.Equal(p.Amount.Decimal(p.Scale)) {
			return false
		}
	}
	return found == len(r.Legs)
}
