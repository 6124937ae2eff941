package intake

import (
	"errors"
	"fmt"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/bankfile"
)

// place is a statement of the file, in one of its currencies.
type place struct {
	statement int
	currency  string
}

// judgement is what one pass over a file, and a look at the store, have shown.
type judgement struct {
	verdict bankfile.Verdict
	reasons []store.BankReason
	last    map[int]chain.Date // the latest day of the lines of a statement, for one that does not say when it ends
	counts  map[place]int64    // lines
	known   map[place]store.BankStatement
	fresh   []store.NewBankStatement
	place   map[place]int // of the fresh ones, in fresh
	order   []place       // of all that count
}

// judge reads the file once and compares it with what is stored.
func (t *taking) judge() (*judgement, error) {
	if err := t.rewind(); err != nil {
		return nil, err
	}
	j := &judgement{last: map[int]chain.Date{}, counts: map[place]int64{}, known: map[place]store.BankStatement{}, place: map[place]int{}}
	var err error
	j.verdict, err = bankfile.Foot(t.file.Content, t.options(), t.previous(j), bankfile.Receiver{
		Line: func(s *bankfile.Statement, l *bankfile.Line) error {
			j.counts[place{s.Index, l.Amount.Currency.Code}]++
			for _, d := range []bankfile.Date{l.BookingDate, l.ValueDate} {
				if day, err := chain.ParseDate(string(d)); err == nil {
					j.last[s.Index] = max(j.last[s.Index], day)
					break
				}
			}
			return nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("reading bank file %s: %w", t.file.Name, err)
	}
	for i := range j.verdict.Reasons {
		j.reasons = append(j.reasons, reasonOf(&j.verdict.Reasons[i]))
	}
	if j.verdict.More > 0 {
		j.reasons = append(j.reasons, store.BankReason{Code: "more", Text: fmt.Sprintf("and %d more", j.verdict.More)})
	}
	if len(j.reasons) > 0 {
		return j, nil
	}
	return j, t.compare(j)
}

// previous says how the statement before one ended. One that is stored already follows what it followed then, so that
// nothing is asked about it.
func (t *taking) previous(j *judgement) bankfile.Previous {
	return func(s *bankfile.Statement, currency string) (bankfile.Last, bool, error) {
		if _, known, err := t.lookUp(j, s, currency); known || err != nil {
			return bankfile.Last{}, false, err
		}
		last, err := t.db.LastBankStatement(t.ctx, t.id, numberOf(s), currency)
		if errors.Is(err, store.ErrNotFound) || err == nil && last.Closing == nil {
			return bankfile.Last{}, false, nil
		}
		if err != nil {
			return bankfile.Last{}, false, err
		}
		c := s.Opening
		end := bankfile.Last{To: bankfile.Date(last.To.String()), Sequence: bankfile.Sequence{Number: last.Sequence, Page: last.Page}}
		end.Closing.Units, end.Closing.Currency.Code, end.Closing.Currency.Scale = *last.Closing, currency, last.Scale
		if c != nil && c.Amount.Currency.Code == currency {
			end.Closing.Currency = c.Amount.Currency // amounts are compared with their currency
		}
		return end, true, nil
	}
}

// lookUp finds a statement of the file among those stored.
func (t *taking) lookUp(j *judgement, s *bankfile.Statement, currency string) (store.BankStatement, bool, error) {
	at := place{s.Index, currency}
	if known, ok := j.known[at]; ok {
		return known, true, nil
	}
	known, err := t.db.KnownBankStatement(t.ctx, t.id, numberOf(s), currency, s.Digest)
	if errors.Is(err, store.ErrNotFound) {
		return known, false, nil
	}
	if err == nil {
		j.known[at] = known
	}
	return known, err == nil, err
}

// compare sorts the statements of an accepted file into known and fresh ones, and finds those that contradict what is
// stored.
func (t *taking) compare(j *judgement) error {
	type account struct{ bank, currency string }
	behind := map[account]int64{} // the known statement that a fresh one comes behind
	for i := range j.verdict.Statements {
		footed := &j.verdict.Statements[i]
		if footed.Repeats >= 0 {
			continue
		}
		s := &footed.Statement
		for k := range footed.Totals {
			total := &footed.Totals[k]
			at, of := place{s.Index, total.Currency.Code}, account{numberOf(s), total.Currency.Code}
			known, ok, err := t.lookUp(j, s, total.Currency.Code)
			if err != nil {
				return err
			}
			j.order = append(j.order, at)
			if ok {
				behind[of] = known.Number
				continue
			}
			fresh, reason, err := t.fresh(j, footed, total)
			if err != nil {
				return err
			}
			if reason == nil && !fresh.Unordered {
				reason = t.afterKnown(&fresh, behind[of])
			}
			if reason != nil {
				j.reasons = append(j.reasons, *reason)
				continue
			}
			j.place[at] = len(j.fresh)
			j.fresh = append(j.fresh, fresh)
		}
	}
	return nil
}

// afterKnown finds a statement that comes behind a stored one in the file, while the store goes on from there.
func (t *taking) afterKnown(fresh *store.NewBankStatement, known int64) *store.BankReason {
	if known == 0 || known == fresh.Follows {
		return nil
	}
	return &store.BankReason{Code: string(bankfile.OutOfOrder), Account: fresh.BankAccount, Currency: fresh.Currency,
		Text: fmt.Sprintf("statement %s of %s to %s comes behind statement %d, which was accepted before, and so does statement %d", fresh.BankID, fresh.BankAccount, fresh.To, known, fresh.Follows)}
}

// fresh returns a statement of one currency as it would be stored, or why it cannot be.
func (t *taking) fresh(j *judgement, footed *bankfile.Footed, total *bankfile.Total) (store.NewBankStatement, *store.BankReason, error) {
	s := &footed.Statement
	n := store.NewBankStatement{Unordered: s.Format == bankfile.Camt054}
	n.BankAccount, n.Currency, n.Scale, n.Format = numberOf(s), total.Currency.Code, total.Currency.Scale, string(s.Format)
	n.BankID, n.SHA256, n.Sequence, n.Page = s.ID, chain.Hash(s.Digest), s.Sequence.Number, s.Sequence.Page
	n.Credits, n.Debits, n.Lines = total.Credits.Units, total.Debits.Units, j.counts[place{s.Index, total.Currency.Code}]
	n.Notes = append(append([]string{}, s.Notes...), footed.Notes...)
	if s.Remainder > 0 {
		n.Notes = append(n.Notes, fmt.Sprintf("and %d more", s.Remainder))
	}
	if total.Opening != nil {
		n.Opening = &total.Opening.Amount.Units
	}
	if total.Closing != nil {
		n.Closing = &total.Closing.Amount.Units
	}
	if from, err := chain.ParseDate(string(s.From)); err == nil {
		n.From = &from
	}
	refuse := func(code, text string) *store.BankReason {
		return &store.BankReason{Code: code, Line: int64(s.Position.Line), Byte: s.Position.Offset, Account: n.BankAccount, Currency: n.Currency, Text: text}
	}
	var err error
	if n.To, err = chain.ParseDate(string(s.To)); err != nil {
		if n.To = j.last[s.Index]; n.To == 0 {
			return n, refuse(string(bankfile.Unreadable), fmt.Sprintf("statement %d of %s at %s does not say when it ends, and has no dated line", s.Index+1, n.BankAccount, s.Position)), nil
		}
		n.Notes = append(n.Notes, "it does not say when it ends: the day of its last line is taken")
	}
	if n.BankAccount == "" {
		return n, refuse(string(bankfile.Unreadable), fmt.Sprintf("statement %d at %s does not say which account it is of", s.Index+1, s.Position)), nil
	}
	same, err := t.db.BankStatementNamed(t.ctx, t.id, &n.BankStatement)
	switch {
	case err == nil:
		return n, refuse(ConflictCode, fmt.Sprintf("statement %s of %s to %s was accepted with other content, as statement %d", n.BankID, n.BankAccount, n.To, same.Number)), nil
	case !errors.Is(err, store.ErrNotFound):
		return n, nil, err
	}
	last, err := t.db.LastBankStatement(t.ctx, t.id, n.BankAccount, n.Currency)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return n, nil, err
	}
	n.Follows = last.Number
	return n, nil, nil
}

// statements lists what the file holds, in its order.
func (j *judgement) statements() []Statement {
	list := make([]Statement, 0, len(j.order))
	for _, at := range j.order {
		if known, ok := j.known[at]; ok {
			list = append(list, Statement{known, true})
			continue
		}
		list = append(list, Statement{j.fresh[j.place[at]].BankStatement, false})
	}
	return list
}
