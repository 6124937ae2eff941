package bankfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// continuity proves that each statement begins where the one before it ended: in the file, and before it.
// Statements are taken in the order of their days, whichever way the bank sorts them. Left out are
// notifications, which have no balances, and repetitions. Two statements of BAI2 for the same account and
// day are not consecutive: an account record is the whole day.
//
// Numbers are only noted: some banks number by the day of the year, some begin again each year, some send
// the same number always. When the balances agree, a missing number is a statement without effect.
func (f *footing) continuity() error {
	order := make([]*Footed, 0, len(f.verdict.Statements))
	for i := range f.verdict.Statements {
		if s := &f.verdict.Statements[i]; s.Repeats < 0 && s.Statement.Format != Camt054 {
			order = append(order, s)
		}
	}
	slices.SortStableFunc(order, func(a, b *Footed) int {
		x, y := &a.Statement, &b.Statement
		return cmp.Or(strings.Compare(x.Account.String(), y.Account.String()), cmp.Compare(x.To, y.To),
			cmp.Compare(x.Sequence.Number, y.Sequence.Number), cmp.Compare(x.Sequence.Page, y.Sequence.Page))
	})
	type key struct{ account, currency string }
	last := map[key]*Last{} // nil where a statement did not say how it ends
	for _, s := range order {
		for i := range s.Totals {
			t := &s.Totals[i]
			k := key{s.Statement.Account.String(), t.Currency.Code}
			before, inFile := last[k]
			last[k] = nil
			if t.Closing != nil {
				last[k] = &Last{Closing: t.Closing.Amount, To: s.Statement.To, Sequence: s.Statement.Sequence}
			}
			if inFile && before != nil && s.Statement.Format == BAI2 && before.To == s.Statement.To {
				continue
			}
			if !inFile && f.previous != nil {
				stored, known, err := f.previous(&s.Statement, t.Currency.Code)
				if err != nil {
					return fmt.Errorf("finding the statement before that of %s to %s: %w", k.account, s.Statement.To, err)
				}
				if known {
					before = &stored
				}
			}
			if before != nil {
				f.follows(s, t, *before)
			}
		}
	}
	return nil
}

// follows compares a statement with the end of the one before.
func (f *footing) follows(s *Footed, t *Total, before Last) {
	x := &s.Statement
	if x.To != "" && before.To != "" && x.To < before.To && x.From <= x.To {
		f.because(Reason{Code: OutOfOrder, Statement: x.Index, Account: x.Account, Position: x.Position,
			Text: fmt.Sprintf("statement %d of %s at %s ends on %s, before the one that was accepted last, which ends on %s", x.Index+1, x.Account, x.Position, x.To, before.To)})
		return
	}
	if n, m := x.Sequence, before.Sequence; n.Number != 0 && m.Number != 0 && n.Number != m.Number+1 && (n.Number != m.Number || n.Page != m.Page+1) {
		s.Notes = append(s.Notes, fmt.Sprintf("number %d/%d follows %d/%d", n.Number, n.Page, m.Number, m.Page))
	}
	if t.Opening == nil {
		s.Notes = append(s.Notes, t.Currency.Code+" does not show that it follows the statement before: no opening balance is stated")
		return
	}
	if t.Opening.Amount == before.Closing {
		return
	}
	r := f.differ(Discontinuous, x.Index, x.Account, t.Opening.Position, t.Opening.Amount, before.Closing)
	r.Text = fmt.Sprintf("statement %d of %s opens with %s at %s, but the one before closed with %s: %s off", x.Index+1, x.Account, r.Stated, r.Position, r.Counted, r.Difference)
	f.because(r)
}
