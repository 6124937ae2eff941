package bankbook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/match"
)

// sides are both sides of an account, and where they begin and end.
type sides struct {
	in      *Input
	bank    []match.Line
	ledger  []match.Line
	balance match.Balance
	begins  chain.Date
	sources []Source
	stated  bool // the bank states a balance
	beyond  bool // a sum is out of range
}

// Source is a bank account with what came of it.
type Source struct {
	BankAccount string `json:"bank_account"`
	Statements  int    `json:"statements"`
	Lines       int    `json:"lines"`
	From        string `json:"from,omitempty"` // first day of the first
	To          string `json:"to,omitempty"`   // last day of the last
	Closing     string `json:"closing,omitempty"`

	last chain.Date
}

func (s *sides) add(x, y money.Int128) money.Int128 {
	z, ok := x.Add(y)
	s.beyond = s.beyond || !ok
	return z
}

func (s *sides) sub(x, y money.Int128) money.Int128 {
	z, ok := x.Sub(y)
	s.beyond = s.beyond || !ok
	return z
}

// arrange puts the sides together.
func arrange(in *Input) (*sides, error) {
	s := &sides{in: in, balance: match.Balance{Currency: in.Currency, Scale: in.Scale, LedgerClosing: in.Posted}, stated: true}
	statements := slices.Clone(in.Statements)
	slices.SortFunc(statements, func(a, b Statement) int {
		return cmp.Or(strings.Compare(a.BankAccount, b.BankAccount), cmp.Compare(a.To, b.To), cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Page, b.Page), cmp.Compare(a.Number, b.Number))
	})
	var accounts [][]Statement
	for i := range statements {
		if i == 0 || statements[i].BankAccount != statements[i-1].BankAccount {
			accounts = append(accounts, nil)
		}
		accounts[len(accounts)-1] = append(accounts[len(accounts)-1], statements[i])
	}
	first := 0 // the account that begins first
	for i := range accounts {
		if begins(&accounts[i][0]) < begins(&accounts[first][0]) {
			first = i
		}
	}
	for i := range accounts {
		opening := s.follow(accounts[i])
		if i == first {
			s.balance.BankOpening = opening
			continue
		}
		s.join(&accounts[i][0], opening)
	}
	if len(accounts) > 0 {
		s.begin(&accounts[first][0])
	}
	if s.beyond {
		return nil, fmt.Errorf("reconciling account %s: a sum is out of range", in.Account)
	}
	return s, nil
}

// begins is the first day of a statement.
func begins(st *Statement) chain.Date {
	if st.From != nil && *st.From <= st.To {
		return *st.From
	}
	return st.To
}

// follow takes the statements of a bank account in their order, and returns the balance that they begin with.
func (s *sides) follow(statements []Statement) (opening money.Int128) {
	source := Source{BankAccount: statements[0].BankAccount, Statements: len(statements), From: begins(&statements[0]).String()}
	var balance money.Int128
	known := false
	for i := range statements {
		st := &statements[i]
		var movement money.Int128
		for j := range st.Lines {
			movement = s.add(movement, st.Lines[j].Units)
		}
		switch {
		case st.Opening != nil:
			balance = *st.Opening
		case !known && st.Closing != nil:
			balance = s.sub(*st.Closing, movement)
		}
		if i == 0 {
			opening = balance
		} else if !known && (st.Opening != nil || st.Closing != nil) {
			opening = s.sub(balance, s.before(statements[:i]))
		}
		known = known || st.Opening != nil || st.Closing != nil
		if balance = s.add(balance, movement); st.Closing != nil {
			balance = *st.Closing
		}
		for _, l := range st.Lines {
			l.Booked = min(l.Booked, s.in.AsOf)
			s.bank = append(s.bank, l)
		}
		source.Lines += len(st.Lines)
		source.last = max(source.last, st.To)
	}
	source.To = source.last.String()
	if known {
		source.Closing = balance.Format(s.in.Scale)
	}
	s.stated = s.stated && known
	s.balance.BankClosing = s.add(s.balance.BankClosing, balance)
	s.sources = append(s.sources, source)
	return opening
}

// before sums the lines of statements.
func (s *sides) before(statements []Statement) (sum money.Int128) {
	for i := range statements {
		for j := range statements[i].Lines {
			sum = s.add(sum, statements[i].Lines[j].Units)
		}
	}
	return sum
}

// join brings the opening balance of a bank account that is not the first in as a line.
func (s *sides) join(st *Statement, opening money.Int128) {
	if !opening.IsZero() {
		s.bank = append(s.bank, s.openingLine(st, opening, false))
	}
}

func (s *sides) openingLine(st *Statement, units money.Int128, brought bool) match.Line {
	return match.Line{ID: BankLine(st.Number, 0), Side: match.Bank, Booked: begins(st), Valued: begins(st), Units: units, Currency: s.in.Currency, Scale: s.in.Scale, Brought: brought}
}

// begin decides which postings belong to the opening balance. A statement may say that it begins on the day on which the one
// before ended; so where the balances agree on the day of its first line instead, it begins there.
func (s *sides) begin(st *Statement) {
	s.begins = begins(st)
	s.balance.LedgerOpening = s.ledgerBefore(s.begins)
	if !s.stated { // nothing to compare with: the openings are taken as equal
		s.balance.BankOpening = s.add(s.balance.BankOpening, s.balance.LedgerOpening)
		s.balance.BankClosing = s.add(s.balance.BankClosing, s.balance.LedgerOpening)
	} else if day, ok := firstBooked(st); ok && s.balance.LedgerOpening != s.balance.BankOpening && s.ledgerBefore(day) == s.balance.BankOpening {
		s.begins, s.balance.LedgerOpening = day, s.balance.BankOpening
	}
	if gap := s.sub(s.balance.BankOpening, s.balance.LedgerOpening); !gap.IsZero() {
		s.bank = append(s.bank, s.openingLine(st, gap, true))
	}
	for _, l := range s.in.Postings {
		if l.Booked >= s.begins {
			s.ledger = append(s.ledger, l)
		}
	}
}

// firstBooked is the day of the first line of a statement, and false when it has none.
func firstBooked(st *Statement) (first chain.Date, ok bool) {
	for i := range st.Lines {
		if day := min(st.Lines[i].Booked, st.To); i == 0 || day < first {
			first = day
		}
	}
	return first, len(st.Lines) > 0
}

// ledgerBefore is the ledger's balance before a day.
func (s *sides) ledgerBefore(day chain.Date) (sum money.Int128) {
	for i := range s.in.Postings {
		if s.in.Postings[i].Booked < day {
			sum = s.add(sum, s.in.Postings[i].Units)
		}
	}
	return sum
}
