package ledger_test

import (
	"errors"
	"fmt"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// scene is what entries say, added up one after the other without any rule of
// the package: what a database would answer, and what the checks look at.
type scene struct {
	records  []chain.Entry
	entries  []ledger.Entry
	seqs     map[ledger.RequestID]int64
	settled  map[int64]int64 // what captured or released a hold
	reversed map[int64]int64
	erased   map[int64]int64
	accounts map[string]*ledger.Account
	codes    map[[16]byte]string
	closed   []chain.Date // ends of closed periods
}

func newScene() *scene {
	return &scene{
		seqs: map[ledger.RequestID]int64{}, settled: map[int64]int64{}, reversed: map[int64]int64{}, erased: map[int64]int64{},
		accounts: map[string]*ledger.Account{}, codes: map[[16]byte]string{},
	}
}

// add appends e. It fails when e is no entry that may stand there, whatever was
// asked for.
func (s *scene) add(e ledger.Entry) error {
	r := e.Record()
	if err := r.Check(); err != nil {
		return err
	}
	if err := s.continues(&e, &r); err != nil {
		return fmt.Errorf("entry %d: %w", r.Seq, err)
	}
	if err := s.act(&r); err != nil {
		return fmt.Errorf("entry %d, a %s: %w", r.Seq, r.Kind, err)
	}
	sums := map[string][2]money.Int128{}
	for i := range r.Postings {
		p := &r.Postings[i]
		if err := s.book(&r, p, e.Accounts()[i]); err != nil {
			return fmt.Errorf("entry %d, posting %d: %w", r.Seq, i, err)
		}
		sum := sums[p.Currency]
		for j, units := range []money.Int128{p.Amount, p.PendingChange} {
			if p.Direction == chain.Credit {
				units, _ = units.Neg()
			}
			sum[j], _ = sum[j].Add(units)
		}
		sums[p.Currency] = sum
	}
	for currency, sum := range sums {
		if !sum[0].IsZero() || !sum[1].IsZero() {
			return fmt.Errorf("entry %d does not balance in %s: %s booked, %s pending", r.Seq, currency, sum[0], sum[1])
		}
	}
	if r.Account != nil {
		s.setAccount(&r, e.Text().Description)
	}
	s.records, s.entries = append(s.records, r), append(s.entries, e)
	s.seqs[e.RequestID()] = r.Seq
	return nil
}

// continues holds I5, I6 and I8.
func (s *scene) continues(e *ledger.Entry, r *chain.Entry) error {
	if r.Seq != int64(len(s.records)) || !e.Intact() {
		return fmt.Errorf("it stands at place %d, or its hash is not its own", len(s.records))
	}
	if _, twice := s.seqs[e.RequestID()]; twice {
		return errors.New("its id stands for another entry")
	}
	if r.Seq == 0 {
		return nil
	}
	last := &s.records[r.Seq-1]
	if r.PrevHash != s.entries[r.Seq-1].Hash() || r.RecordedAt < last.RecordedAt || r.BookingDate < last.BookingDate {
		return errors.New("it does not continue the chain, or goes back in time")
	}
	return nil
}

// act holds I12: each entry is acted on once, by what may act on it.
func (s *scene) act(r *chain.Entry) error {
	if r.RefSeq == nil {
		if r.Kind == chain.PeriodClosed {
			text, _ := r.Detail("period_end")
			end, err := chain.ParseDate(text)
			if err != nil || len(s.closed) > 0 && end <= s.closed[len(s.closed)-1] {
				return fmt.Errorf("period %s follows %v", text, s.closed)
			}
			s.closed = append(s.closed, end)
		}
		return nil
	}
	if r.Kind == chain.Erasure {
		return s.erase(r)
	}
	target := &s.records[*r.RefSeq]
	done, allowed := s.settled, []chain.Kind{chain.Hold}
	switch r.Kind {
	case chain.Reversal:
		done, allowed = s.reversed, []chain.Kind{chain.Transfer, chain.Capture}
	case chain.PeriodReopened:
		allowed = []chain.Kind{chain.PeriodClosed}
		s.closed = s.closed[:len(s.closed)-1]
	}
	for _, kind := range allowed {
		if target.Kind != kind {
			continue
		}
		if by, twice := done[*r.RefSeq]; twice {
			return fmt.Errorf("entry %d acted on %d already", by, *r.RefSeq)
		}
		done[*r.RefSeq] = r.Seq
		return settles(r, target)
	}
	return fmt.Errorf("it acts on a %s", target.Kind)
}

// erase takes the name from an account, if that is the text that is erased.
func (s *scene) erase(r *chain.Entry) error {
	target := &s.records[*r.RefSeq]
	if by, twice := s.erased[target.Seq]; twice || target.Description == nil && target.Reference == nil && target.Metadata == nil {
		return fmt.Errorf("the text of entry %d was erased by entry %d, or there is none", target.Seq, by)
	}
	s.erased[target.Seq] = r.Seq
	for _, a := range s.accounts {
		if a.VersionSeq == target.Seq {
			a.NameErased, a.Name = a.Name != nil, nil
		}
	}
	return nil
}

// settles compares the postings of a capture, release or reversal with those of
// what it acts on.
func settles(r, target *chain.Entry) error {
	want := map[[16]byte]chain.Posting{}
	for _, p := range target.Postings {
		if r.Kind == chain.Reversal {
			p.Direction = p.Direction.Opposite()
			if p.Amount.IsZero() {
				continue
			}
		}
		want[p.AccountID] = p
	}
	if len(want) != len(r.Postings) {
		return fmt.Errorf("it has %d postings, want %d", len(r.Postings), len(want))
	}
	for _, p := range r.Postings {
		w, ok := want[p.AccountID]
		taken, _ := p.PendingChange.Neg()
		switch {
		case !ok || w.Direction != p.Direction:
			return errors.New("a posting is on another account or side")
		case r.Kind == chain.Reversal && (p.Amount != w.Amount || !p.PendingChange.IsZero()):
			return fmt.Errorf("it books %s of %s", p.Amount, w.Amount)
		case r.Kind != chain.Reversal && (taken != w.PendingChange || p.Amount.Cmp(w.PendingChange) > 0):
			return fmt.Errorf("it takes %s and books %s of %s", taken, p.Amount, w.PendingChange)
		case r.Kind == chain.Capture && target.ExpiresAt != nil && r.RecordedAt >= *target.ExpiresAt:
			return errors.New("the hold had expired")
		}
	}
	return nil
}

// book holds I9 and I10 for one posting.
func (s *scene) book(r *chain.Entry, p *chain.Posting, of ledger.PostingAccount) error {
	a := s.accounts[of.Code]
	if a == nil || a.AccountID != p.AccountID || a.Currency != p.Currency || a.Scale != p.Scale || a.Type != of.Type || !same(a.MinBalance, of.MinBalance) {
		return fmt.Errorf("account %s is %+v", of.Code, a)
	}
	posted, pending, other := p.Amount, &a.PendingDebit, p.PendingCredit
	was := a.PendingCredit
	if p.Direction == chain.Credit {
		posted, _ = posted.Neg()
		pending, other, was = &a.PendingCredit, p.PendingDebit, a.PendingDebit
	}
	after, ok := a.Posted.Add(posted)
	held, fits := pending.Add(p.PendingChange)
	now := p.PendingDebit
	if p.Direction == chain.Credit {
		now = p.PendingCredit
	}
	switch {
	case !ok || !fits || after != p.Posted || held != now || other != was || p.AccountSeq != a.AccountSeq+1:
		return fmt.Errorf("%+v does not follow %+v", p, a)
	case a.Closed:
		return fmt.Errorf("account %s is closed", a.Code)
	case !p.Amount.IsZero() && a.Frozen.Refuses(p.Direction):
		return fmt.Errorf("account %s is frozen", a.Code)
	case !r.PriorPeriod && len(s.closed) > 0 && p.EffectiveDate <= s.closed[len(s.closed)-1]:
		return fmt.Errorf("value date %s lies in a closed period", p.EffectiveDate)
	}
	a.Posted, a.PendingDebit, a.PendingCredit = p.Posted, p.PendingDebit, p.PendingCredit
	a.AccountSeq, a.PostingSeq = p.AccountSeq, r.Seq
	return nil
}

func same[T comparable](a, b *T) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

func (s *scene) setAccount(r *chain.Entry, name *string) {
	a := s.accounts[r.Account.Code]
	if a == nil {
		a = &ledger.Account{OpenedSeq: r.Seq}
		s.accounts[r.Account.Code] = a
		s.codes[r.Account.AccountID] = r.Account.Code
	}
	a.Account, a.Name, a.NameErased, a.VersionSeq = *r.Account, name, false, r.Seq
}

// at returns the scene after the first n entries.
func (s *scene) at(n int) *scene {
	if n == len(s.entries) {
		return s
	}
	before := newScene()
	for _, e := range s.entries[:n] {
		if err := before.add(e); err != nil {
			panic(err) // it was added once
		}
	}
	return before
}

// targets returns what stands under ids.
func (s *scene) targets(ids []ledger.RequestID) map[ledger.RequestID]*ledger.Target {
	found := map[ledger.RequestID]*ledger.Target{}
	for _, id := range ids {
		seq, ok := s.seqs[id]
		if !ok {
			continue
		}
		t := &ledger.Target{Entry: &s.entries[seq]}
		_, t.Erased = s.erased[seq]
		undone := seq
		if by, ok := s.settled[seq]; ok && s.records[seq].Kind == chain.Hold {
			t.Settled, undone = &s.entries[by], by
		}
		if by, ok := s.reversed[undone]; ok {
			t.Reversed = &s.entries[by]
		}
		found[id] = t
	}
	return found
}

// incomes adds up revenue and expense by value date.
func (s *scene) incomes(day chain.Date) []ledger.Income {
	sums := map[string]money.Int128{}
	for i := range s.records {
		for _, p := range s.records[i].Postings {
			code := s.codes[p.AccountID]
			units := p.Amount
			if p.Direction == chain.Credit {
				units, _ = units.Neg()
			}
			if p.EffectiveDate <= day {
				sums[code], _ = sums[code].Add(units)
			}
		}
	}
	var found []ledger.Income
	for code, sum := range sums {
		if a := s.accounts[code]; !sum.IsZero() && (a.Type == chain.Revenue || a.Type == chain.Expense) {
			found = append(found, ledger.Income{Code: code, Currency: a.Currency, Scale: a.Scale, Balance: sum})
		}
	}
	return found
}
