package reconcile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/figures"
)

// What a pass over the postings of a period has come to can be kept, and gone on
// from when the period has more entries:
//
//	state    = name │ policy │ from 4 │ as-of 4 │ first 8 │ end 8 │ max lines 8 │ needs 1 │ closings 32
//	           accounts │ late postings │ days │ lines
//	account  = id 16 │ opening 16 │ debits 16 │ credits 16 │ moved debits 16 │ moved credits 16 │ stated 16 │ postings 8
//
// All is big-endian, a list begins with its length in 8 bytes, and accounts that
// nothing was booked on are left out. Nothing in it depends on whether the pass
// went on from another state. closings is over the transfers that were known to
// move results: an entry that comes later can say so of one that was passed.

const (
	passStateName = "tallystick/pass/1"
	// maxPassState bounds a state: beyond it the next run reads the period again.
	maxPassState = 1 << 28
	// passStateAccount is the length of an account.
	passStateAccount = 16 + 6*16 + 8
)

// errPassState: the pass cannot go on from the state; the period is read instead.
var errPassState = errors.New("the state is not one to go on from")

// goOn is read from a state on. With errPassState the reader is of no further use.
func (b *bookReader) goOn(ctx context.Context, n need, r *ReportRequest, state []byte) error {
	all, err := b.opened(ctx, 0, b.End)
	if err != nil {
		return err
	}
	if err := b.setAccounts(all, r.Policy); err != nil {
		return err
	}
	if err := b.prepare(ctx, n, r); err != nil {
		return err
	}
	end, err := b.restore(n, state)
	if err != nil {
		return err
	}
	return b.readFrom(ctx, n, end)
}

// state returns what the pass has come to; nil where that is too much to keep.
func (b *bookReader) state(n need) []byte {
	if len(b.Accounts)*passStateAccount > maxPassState {
		return nil
	}
	ids := make([]uuid.UUID, len(b.Accounts))
	for id, at := range b.at {
		ids[at] = id
	}
	s := passState(b.passHead(n, b.AsOf, b.End))
	var kept []int
	for i := range b.Accounts {
		if a := &b.Accounts[i]; a.Postings > 0 || !a.Opening.IsZero() || !a.StatedClosing.IsZero() {
			kept = append(kept, i)
		}
	}
	s.number(int64(len(kept)))
	for _, i := range kept {
		a := &b.Accounts[i]
		s.id(ids[i])
		s.amounts(a.Opening, a.Debits, a.Credits, a.MovedDebits, a.MovedCredits, a.StatedClosing)
		s.number(a.Postings)
	}
	s.number(b.MoreLate)
	s.number(int64(len(b.Late)))
	for i := range b.Late {
		l := &b.Late[i]
		s.id(ids[l.Account])
		s.number(l.Seq)
		s.id(l.Request)
		s.dates(l.Booked, l.Valued)
		s.number(int64(l.Direction))
		s.amounts(l.Amount)
	}
	b.saveDays(&s)
	s.number(b.Skipped)
	s.number(int64(len(b.Lines)))
	for i := range b.Lines {
		l := &b.Lines[i]
		s.id(ids[l.Account])
		s.number(l.AccountSeq)
		s.number(l.Seq)
		s.number(int64(l.Kind))
		s.id(l.Request)
		s.dates(l.Booked, l.Valued)
		s.number(int64(l.Direction))
		s.amounts(l.Amount, l.Posted)
		s.flag(l.PriorPeriod)
	}
	if len(s) > maxPassState {
		return nil
	}
	return s
}

// passHead returns what a state of this period, up to a day and an entry, begins with.
func (b *bookReader) passHead(n need, asOf chain.Date, end int64) []byte {
	var s passState
	s.text(passStateName)
	if n.days { // sums by role
		s.text(b.Policy)
	} else {
		s.text("")
	}
	s.dates(b.From, asOf)
	s.number(b.First)
	s.number(end)
	s.number(b.MaxLines)
	s.flag(n.days)
	s.flag(n.lines)
	moved := sha256.New()
	for _, seq := range slices.Sorted(maps.Keys(b.closing)) {
		if seq < end {
			moved.Write(binary.BigEndian.AppendUint64(nil, uint64(seq)))
		}
	}
	return moved.Sum(s)
}

// saveDays writes the closes of the days that are over.
func (b *bookReader) saveDays(s *passState) {
	s.number(int64(len(b.Days)))
	if len(b.Days) == 0 {
		return
	}
	currencies := b.Currencies()
	s.number(int64(len(currencies)))
	for _, c := range currencies {
		s.text(c.Code)
	}
	for i := range b.Days {
		for j := range b.Days[i].Positions {
			p := &b.Days[i].Positions[j]
			s.amounts(p.ByType[:]...)
			s.amounts(p.ByRole...)
		}
	}
}

// restore puts the reader where a state left off, and returns at which entry that was.
func (b *bookReader) restore(n need, state []byte) (end int64, err error) {
	s := passReader{left: state}
	s.text()
	s.text()
	s.date()
	asOf := s.date()
	s.number()
	end = s.number()
	if s.short || end < b.First || end > b.End || asOf < b.From || asOf > b.AsOf {
		return 0, errPassState
	}
	fits := false
	if s.left, fits = bytes.CutPrefix(state, b.passHead(n, asOf, end)); !fits {
		return 0, errPassState
	}
	b.restoreAccounts(&s)
	b.restoreLate(&s)
	b.restoreDays(&s, n, asOf)
	b.restoreLines(&s)
	if s.short || len(s.left) > 0 {
		return 0, errPassState
	}
	return end, nil
}

func (b *bookReader) restoreAccounts(s *passReader) {
	for range s.count(passStateAccount) {
		at := s.account(b)
		if s.short {
			return
		}
		a := &b.Accounts[at]
		s.amounts(&a.Opening, &a.Debits, &a.Credits, &a.MovedDebits, &a.MovedCredits, &a.StatedClosing)
		a.Postings = s.number()
	}
}

func (b *bookReader) restoreLate(s *passReader) {
	b.MoreLate = s.number()
	for range s.count(1) {
		l := figures.Late{Account: s.account(b), Seq: s.number(), Request: s.id(), Booked: s.date(), Valued: s.date(), Direction: chain.Direction(s.number())}
		s.amounts(&l.Amount)
		b.Late = append(b.Late, l)
	}
}

// restoreDays puts the days that are over in place. A currency that came later had
// nothing on them.
func (b *bookReader) restoreDays(s *passReader, n need, asOf chain.Date) {
	days := s.number()
	if !n.days {
		s.short = s.short || days != 0
		return
	}
	if s.short || days != int64(asOf-b.From)+1 {
		s.short = true
		return
	}
	b.layOutDays()
	currencies := b.Currencies()
	places := make([]int, 0, len(currencies))
	for range s.count(1) {
		place, found := slices.BinarySearchFunc(currencies, s.text(), currencyNamed)
		if !found {
			s.short = true
			return
		}
		places = append(places, place)
	}
	for day := range days {
		for _, place := range places {
			p := &b.moved[place]
			for i := range p.ByType {
				s.amounts(&p.ByType[i])
			}
			for i := range p.ByRole {
				s.amounts(&p.ByRole[i])
			}
		}
		b.closeDays(b.From + chain.Date(day) + 1)
	}
}

func (b *bookReader) restoreLines(s *passReader) {
	b.Skipped = s.number()
	for range s.count(1) {
		l := figures.Line{Account: s.account(b), AccountSeq: s.number(), Seq: s.number(), Kind: chain.Kind(s.number()), Request: s.id(),
			Booked: s.date(), Valued: s.date(), Direction: chain.Direction(s.number())}
		s.amounts(&l.Amount, &l.Posted)
		l.PriorPeriod = s.flag()
		b.Lines = append(b.Lines, l)
	}
}

// passState is a state as it is written.
type passState []byte

func (s *passState) number(v int64) { *s = binary.BigEndian.AppendUint64(*s, uint64(v)) }

func (s *passState) id(v uuid.UUID) { *s = append(*s, v[:]...) }

func (s *passState) text(v string) {
	s.number(int64(len(v)))
	*s = append(*s, v...)
}

func (s *passState) dates(all ...chain.Date) {
	for _, v := range all {
		*s = binary.BigEndian.AppendUint32(*s, uint32(v))
	}
}

func (s *passState) amounts(all ...money.Int128) {
	for _, v := range all {
		*s = v.AppendBytes(*s)
	}
}

func (s *passState) flag(v bool) {
	b := byte(0)
	if v {
		b = 1
	}
	*s = append(*s, b)
}

// passReader reads a state. Of one that is too short, or names what is not there,
// it gives zeros and is short.
type passReader struct {
	left  []byte
	short bool
}

func (s *passReader) take(n int) []byte {
	if n < 0 || n > len(s.left) {
		s.short, s.left = true, nil
		return make([]byte, 16) // no field is longer
	}
	taken := s.left[:n]
	s.left = s.left[n:]
	return taken
}

func (s *passReader) number() int64 { return int64(binary.BigEndian.Uint64(s.take(8))) }

// count is the length of a list whose members have at least some bytes.
func (s *passReader) count(least int) int64 {
	n := s.number()
	if n < 0 || n > int64(len(s.left)/least) {
		s.short = true
		return 0
	}
	return n
}

func (s *passReader) id() uuid.UUID { return uuid.UUID(s.take(16)) }

func (s *passReader) text() string {
	n := s.number()
	if n < 0 || n > int64(len(s.left)) {
		s.short = true
		return ""
	}
	return string(s.take(int(n)))
}

func (s *passReader) date() chain.Date { return chain.Date(binary.BigEndian.Uint32(s.take(4))) }

func (s *passReader) amounts(all ...*money.Int128) {
	for _, v := range all {
		*v = money.FromBytes([16]byte(s.take(16)))
	}
}

func (s *passReader) flag() bool { return s.take(1)[0] != 0 }

// account is the place of an account that the ledger has.
func (s *passReader) account(b *bookReader) int {
	id := s.id()
	at, ok := b.at[id]
	if !ok {
		s.short, s.left = true, nil
		return 0
	}
	return int(at)
}
