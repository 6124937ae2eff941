package bankfile

import (
	"slices"
	"strings"

	"tallystick/ledger/money"
)

// take makes a line of the row.
func (f *csvFile) take() error {
	c := &f.columns
	account, code := f.value(c.Account), f.value(c.Currency)
	if c.Account == "" {
		account = c.AccountNumber
	}
	if c.Currency == "" {
		code = c.CurrencyCode
	}
	if err := f.statement(accountOf(account), code); err != nil {
		return err
	}
	l := &Line{Position: f.at, Status: Booked, Code: f.value(c.Code), Counterparty: Party{f.value(c.Name), compactIBAN(f.value(c.IBAN))},
		References: References{EndToEnd: reference(f.value(c.EndToEnd)), Client: reference(f.value(c.Reference))}}
	var err error
	if l.BookingDate, err = f.date(c.BookingDate); err != nil {
		return err
	}
	if l.BookingDate == "" {
		return f.in.fault(f.at, c.BookingDate, strings.Join(f.row, ","), "a row without a booking date")
	}
	if l.ValueDate, err = f.date(c.ValueDate); err != nil {
		return err
	}
	moved, err := f.moved()
	if err != nil {
		return err
	}
	l.Direction, l.Amount = Credit, Amount{moved, f.money}
	if moved.Sign() < 0 {
		l.Direction = Debit
		l.Amount.Units, _ = moved.Neg() // the range is symmetric
	}
	var texts []string
	for _, column := range c.Remittance {
		texts = append(texts, f.value(column))
	}
	l.Remittance = squeeze(strings.Join(texts, " "))
	if err := f.follow(moved); err != nil {
		return err
	}
	s := f.in.open
	if s.From == "" || l.BookingDate < s.From {
		s.From = l.BookingDate
	}
	s.To = max(s.To, l.BookingDate)
	return f.in.line(l)
}

// statement opens a new one when the account or the currency changes.
func (f *csvFile) statement(a Account, code string) error {
	if f.in.open != nil && f.in.open.Account == a && f.in.open.Currency == code {
		return nil
	}
	if err := f.endStatement(); err != nil {
		return err
	}
	currency, err := f.in.currency(f.at, "currency", code)
	if err != nil {
		return err
	}
	s, err := f.in.begin()
	if err != nil {
		return err
	}
	s.Position, s.Account, s.Currency = f.at, a, code
	f.money, f.running = currency, running{}
	return nil
}

// moved returns what the row does to the balance.
func (f *csvFile) moved() (money.Int128, error) {
	c := &f.columns
	if c.Amount == "" {
		return f.twoColumns()
	}
	units, err := f.signed(c.Amount, f.value(c.Amount))
	if err != nil || c.Direction == "" {
		return units, err
	}
	word := f.value(c.Direction)
	debit := slices.Contains(c.DebitWords, word)
	switch {
	case !debit && !slices.Contains(c.CreditWords, word):
		return units, f.in.fault(f.at, c.Direction, word, "neither a word for credit nor one for debit")
	case units.Sign() < 0 && !debit:
		return units, f.in.fault(f.at, c.Amount, f.value(c.Amount), "a negative credit: which of its two signs holds is unknown")
	case units.Sign() > 0 && debit:
		units, _ = units.Neg() // the range is symmetric
	}
	return units, nil
}

// twoColumns reads the amount of a file with a column for credits and one for debits. Some banks sign the
// debits, and some fill the other column with a zero.
func (f *csvFile) twoColumns() (money.Int128, error) {
	var units [2]money.Int128
	for i, column := range []string{f.columns.Credit, f.columns.Debit} {
		s := f.value(column)
		if s == "" {
			continue
		}
		var err error
		if units[i], err = f.signed(column, s); err != nil {
			return money.Int128{}, err
		}
	}
	credit, debit := units[0], units[1]
	switch {
	case credit.Sign() < 0:
		return credit, f.in.fault(f.at, f.columns.Credit, f.value(f.columns.Credit), "a negative credit")
	case !credit.IsZero() && !debit.IsZero():
		return credit, f.in.fault(f.at, f.columns.Credit, f.value(f.columns.Credit), "a row with both a credit and a debit")
	case f.value(f.columns.Credit)+f.value(f.columns.Debit) == "":
		return credit, f.in.fault(f.at, f.columns.Credit, strings.Join(f.row, ","), "a row with neither a credit nor a debit")
	case debit.Sign() > 0:
		debit, _ = debit.Neg() // the range is symmetric
	}
	if debit.IsZero() {
		return credit, nil
	}
	return debit, nil
}

// follow proves the balance after the row. Where the newest row is first, a balance is that of the row above
// less what that row moved.
func (f *csvFile) follow(moved money.Int128) error {
	r := &f.running
	since, ok := r.since.Add(moved)
	if !ok {
		return f.in.fault(f.at, "", "", "sums beyond what can be counted")
	}
	stated := f.value(f.columns.Balance)
	if stated == "" {
		r.since = since
		return nil
	}
	balance, err := f.signed(f.columns.Balance, stated)
	if err != nil {
		return err
	}
	var counted, edge money.Int128
	if f.columns.NewestFirst {
		counted, ok = r.last.Sub(r.since)
		edge, _ = balance.Add(r.since) // closing, should this be the first balance
		r.since = moved
	} else {
		counted, ok = r.last.Add(since)
		edge, _ = balance.Sub(since)
		r.since = money.Int128{}
	}
	switch {
	case !r.known:
		r.opening, r.closing = edge, edge
	case (!ok || counted != balance) && !r.broken:
		r.broken = true
		f.in.open.control(Control{What: "balance after the row", Position: f.at, Stated: Amount{balance, f.money}, Counted: Amount{counted, f.money}})
	}
	r.known, r.last, r.lastPlace = true, balance, f.at
	return nil
}

// endStatement closes the open statement with the balances that its rows gave.
func (f *csvFile) endStatement() error {
	s, r := f.in.open, &f.running
	if s == nil {
		return nil
	}
	if r.known {
		var ok bool
		if f.columns.NewestFirst {
			r.opening, ok = r.last.Sub(r.since)
		} else {
			r.closing, ok = r.last.Add(r.since)
		}
		if !ok {
			return f.in.fault(r.lastPlace, "", "", "sums beyond what can be counted")
		}
		for _, b := range []Balance{
			{Kind: OpeningBooked, Amount: Amount{r.opening, f.money}, Date: s.From, Position: s.Position},
			{Kind: ClosingBooked, Amount: Amount{r.closing, f.money}, Date: s.To, Position: r.lastPlace}} {
			if err := f.in.balance(b); err != nil {
				return err
			}
		}
	}
	s.ID = s.Account.String() + "/" + string(s.From) + "/" + string(s.To)
	return f.in.end()
}
