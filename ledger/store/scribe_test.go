package store_test

import (
	"fmt"
	"testing"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// scribe writes entries into a ledger without asking the rules, so that a test
// decides every field: dates long ago, amounts, ids.
type scribe struct {
	d        *desk
	head     ledger.Head
	accounts map[string]*ledger.Account
	pending  []ledger.Entry
}

// leg is a posting in units at the account's scale.
type leg struct {
	account string
	side    chain.Direction
	amount  int64
	pending int64
}

// scribble commits at most this many entries at a time.
const scribbleBatch = 1000

// scribe continues the ledger of d; codes are the accounts that it will post to.
func (d *desk) scribe(codes ...string) *scribe {
	d.t.Helper()
	opening, err := d.db.Opening(d.t.Context(), d.id)
	if err != nil {
		d.t.Fatal(err)
	}
	s := &scribe{d: d, head: ledger.HeadOf(&opening.Newest), accounts: map[string]*ledger.Account{}}
	found, err := d.db.AccountsByCode(d.t.Context(), d.id, codes)
	if err != nil || len(found) != len(codes) {
		d.t.Fatalf("%d of %d accounts: %v", len(found), len(codes), err)
	}
	for code, a := range found {
		s.accounts[code] = &a
	}
	return s
}

// day returns the booking date of the head plus n days.
func (s *scribe) day(n int) chain.Date { return s.head.BookingDate + chain.Date(n) }

// add makes an entry of the next place. edit may change the record, before it is
// hashed, and the text.
func (s *scribe) add(kind chain.Kind, edit func(r *chain.Entry, t *ledger.Text), legs ...leg) *ledger.Entry {
	s.d.t.Helper()
	c := s.d.common()
	r := chain.Entry{LedgerID: s.d.id.UUID, Seq: s.head.Seq + 1, PrevHash: s.head.Hash, Kind: kind, RequestID: c.ID.UUID,
		RecordedAt: s.head.RecordedAt + 1, BookingDate: s.head.BookingDate, EffectiveDate: s.head.BookingDate, Actor: c.Actor.UUID}
	text := ledger.Text{Salt: c.Salt[:], Fingerprint: c.Salt[:]}
	if edit != nil {
		edit(&r, &text)
	}
	for _, f := range []struct {
		text  *string
		field chain.Field
		into  **chain.Hash
	}{{text.Description, chain.FieldDescription, &r.Description}, {text.Reference, chain.FieldReference, &r.Reference}, {text.Metadata, chain.FieldMetadata, &r.Metadata}} {
		if f.text != nil {
			h := chain.Commitment(text.Salt, f.field, *f.text)
			*f.into = &h
		}
	}
	touched := make([]ledger.PostingAccount, len(legs))
	for i, l := range legs {
		r.Postings = append(r.Postings, s.post(l, r.EffectiveDate))
		touched[i] = ledger.PostingAccount{Code: l.account, Type: s.accounts[l.account].Type}
	}
	e := ledger.Restore(r, r.Hash(), text, touched)
	s.head = ledger.HeadOf(&e)
	s.pending = append(s.pending, e)
	if len(s.pending) == scribbleBatch {
		s.commit()
	}
	return &e
}

func (s *scribe) post(l leg, effective chain.Date) chain.Posting {
	a := s.accounts[l.account]
	if a == nil {
		s.d.t.Fatalf("the scribe does not know account %s", l.account)
	}
	signed := l.amount
	if l.side == chain.Credit {
		signed = -signed
	}
	a.AccountSeq++
	a.Posted, _ = a.Posted.Add(money.FromInt64(signed))
	if l.side == chain.Debit {
		a.PendingDebit, _ = a.PendingDebit.Add(money.FromInt64(l.pending))
	} else {
		a.PendingCredit, _ = a.PendingCredit.Add(money.FromInt64(l.pending))
	}
	return chain.Posting{AccountID: a.AccountID, Direction: l.side, Currency: a.Currency, Scale: a.Scale,
		Amount: money.FromInt64(l.amount), PendingChange: money.FromInt64(l.pending), EffectiveDate: effective,
		AccountSeq: a.AccountSeq, Posted: a.Posted, PendingDebit: a.PendingDebit, PendingCredit: a.PendingCredit}
}

// commit stores what was added.
func (s *scribe) commit() {
	s.d.t.Helper()
	if len(s.pending) == 0 {
		return
	}
	first := s.pending[0].Record()
	prev := ledger.Head{Seq: first.Seq - 1, Hash: first.PrevHash}
	if err := s.d.db.Commit(s.d.t.Context(), s.d.id, prev, s.pending); err != nil {
		s.d.t.Fatal(err)
	}
	s.pending = s.pending[:0]
}

// transfer adds a transfer of units.
func (s *scribe) transfer(debit, credit string, units int64, edit func(*chain.Entry, *ledger.Text)) *ledger.Entry {
	return s.add(chain.Transfer, edit, leg{debit, chain.Debit, units, 0}, leg{credit, chain.Credit, units, 0})
}

// hold adds a hold of units that expires at that time.
func (s *scribe) hold(debit, credit string, units int64, expires time.Time) *ledger.Entry {
	return s.add(chain.Hold, func(r *chain.Entry, _ *ledger.Text) { us := expires.UnixMicro(); r.ExpiresAt = &us },
		leg{debit, chain.Debit, 0, units}, leg{credit, chain.Credit, 0, units})
}

// settle adds the capture of booked units of a hold, or its release.
func (s *scribe) settle(hold *ledger.Entry, kind chain.Kind, booked int64) *ledger.Entry {
	r := hold.Record()
	var legs []leg
	for i, p := range r.Postings {
		held := p.PendingChange.Big().Int64()
		legs = append(legs, leg{hold.Accounts()[i].Code, p.Direction, booked, -held})
	}
	return s.add(kind, acting(hold), legs...)
}

// reverse adds the reversal of a transfer or capture.
func (s *scribe) reverse(e *ledger.Entry) *ledger.Entry {
	var legs []leg
	for i, p := range e.Record().Postings {
		legs = append(legs, leg{e.Accounts()[i].Code, chain.Debit + chain.Credit - p.Direction, p.Amount.Big().Int64(), 0})
	}
	return s.add(chain.Reversal, acting(e), legs...)
}

func acting(on *ledger.Entry) func(*chain.Entry, *ledger.Text) {
	return func(r *chain.Entry, _ *ledger.Text) { seq := on.Seq(); r.RefSeq = &seq }
}

// booked lets an entry be booked days before or after the head, and valued on a
// day of its own.
func booked(booking, effective chain.Date) func(*chain.Entry, *ledger.Text) {
	return func(r *chain.Entry, _ *ledger.Text) { r.BookingDate, r.EffectiveDate = booking, effective }
}

// What a scribe writes is a ledger like any other.
func TestScribesWriteWholeLedgers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.scribe("cash", "alice", "bob")
		h := s.hold("cash", "alice", 500, time.Now())
		s.reverse(s.settle(h, chain.Capture, 200))
		s.settle(s.hold("cash", "bob", 7, time.Now()), chain.Release, 0)
		for i := range 3 * scribbleBatch / 2 {
			s.transfer("cash", "bob", int64(i+1), func(_ *chain.Entry, t *ledger.Text) { ref := fmt.Sprint(i); t.Reference = &ref })
		}
		s.commit()
		d.checkLedger()
	})
}
