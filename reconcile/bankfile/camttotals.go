package bankfile

import (
	"strconv"

	"tallystick/ledger/money"
)

// statedTotal is one of the totals of <TxsSummry>, as written.
type statedTotal struct {
	name       string
	count, sum string
	position   Position
}

// sum is a number of entries and their amounts.
type sum struct {
	count int64
	units money.Int128
	over  bool // beyond what units hold
}

func (s *sum) add(units money.Int128) {
	s.count++
	total, ok := s.units.Add(units)
	s.units, s.over = total, s.over || !ok
}

// entryTotals sums the entries of a statement for comparison with <TxsSummry>. Banks differ in whether those
// totals include entries that are not booked, so either is taken.
type entryTotals struct {
	stated      []statedTotal
	booked, all map[string]*sum
	currency    money.Currency
	mixed       bool // entries of several currencies: a sum of them means nothing
}

func (t *entryTotals) add(l *Line) {
	if t.all == nil {
		t.booked, t.all = map[string]*sum{}, map[string]*sum{}
		for _, name := range []string{"TtlNtries", "TtlCdtNtries", "TtlDbtNtries"} {
			t.booked[name], t.all[name] = &sum{}, &sum{}
		}
		t.currency = l.Amount.Currency
	}
	t.mixed = t.mixed || t.currency != l.Amount.Currency
	side := "TtlCdtNtries"
	if l.Direction == Debit {
		side = "TtlDbtNtries"
	}
	for _, name := range []string{"TtlNtries", side} {
		t.all[name].add(l.Amount.Units)
		if l.Status == Booked {
			t.booked[name].add(l.Amount.Units)
		}
	}
}

// controls adds the stated totals to the statement, each beside what was read.
func (c *camt) controls() error {
	t, s := &c.totals, c.statement
	if t.currency.Code == "" { // no entries
		t.currency = c.declared
		if s.Opening != nil {
			t.currency = s.Opening.Amount.Currency
		}
	}
	for _, stated := range t.stated {
		booked, all := sum{}, sum{}
		if t.all != nil {
			booked, all = *t.booked[stated.name], *t.all[stated.name]
		}
		if stated.count != "" {
			n, err := strconv.ParseInt(stated.count, 10, 64)
			if err != nil {
				return c.in.fault(stated.position, c.where(stated.name+" NbOfNtries"), stated.count, "not a count")
			}
			counted := booked.count
			if all.count == n {
				counted = n
			}
			s.control(Control{What: stated.name + " NbOfNtries", Count: true, Position: stated.position,
				Stated: plain(n), Counted: plain(counted)})
		}
		if stated.sum == "" || t.mixed || t.currency.Code == "" || booked.over || all.over {
			continue
		}
		amount, err := c.in.amount(stated.position, c.where(stated.name+" Sum"), stated.sum, '.', t.currency)
		if err != nil {
			return err
		}
		counted := booked.units
		if all.units == amount.Units {
			counted = all.units
		}
		s.control(Control{What: stated.name + " Sum", Position: stated.position, Stated: amount, Counted: Amount{counted, t.currency}})
	}
	return nil
}

// plain returns a number as an amount without decimals or currency.
func plain(n int64) Amount { return Amount{Units: money.FromInt64(n)} }

// control adds a control to the statement.
func (s *Statement) control(c Control) { s.Controls = append(s.Controls, c) }

// parties are the two ends of a payment, and those for whom they act.
type parties struct {
	debtor, creditor                 Party
	ultimateDebtor, ultimateCreditor Party
}

func (c *camt) relatedParties(p *parties) error {
	return c.children(func(name string) (err error) {
		switch name {
		case "Dbtr":
			return c.partyName(&p.debtor.Name)
		case "UltmtDbtr":
			return c.partyName(&p.ultimateDebtor.Name)
		case "Cdtr":
			return c.partyName(&p.creditor.Name)
		case "UltmtCdtr":
			return c.partyName(&p.ultimateCreditor.Name)
		case "DbtrAcct":
			return c.partyAccount(&p.debtor.IBAN)
		case "CdtrAcct":
			return c.partyAccount(&p.creditor.IBAN)
		}
		return nil
	})
}

// partyName reads <Nm>, in <Pty> or <Agt> or without.
func (c *camt) partyName(name *string) error {
	return c.children(func(element string) error {
		switch element {
		case "Nm":
			return c.into(name)
		case "Pty", "Agt", "FinInstnId":
			return c.partyName(name)
		}
		return nil
	})
}

func (c *camt) partyAccount(account *string) error {
	return c.children(func(name string) error {
		if name != "Id" {
			return nil
		}
		id, err := c.accountID()
		*account = id.String()
		return err
	})
}

// opposite returns the party that is not the account's owner. The accounts say who that is; where they do
// not, the payer of a credit is the debtor. In a reversal the parties keep the roles of the payment that is
// reversed, so there it is the other way round.
func (p *parties) opposite(own Account, d Direction, reversal bool) Party {
	takesDebtor := (d == Credit) != reversal
	ours := func(account string) bool { return account != "" && account == own.String() }
	if ours(p.debtor.IBAN) != ours(p.creditor.IBAN) {
		takesDebtor = ours(p.creditor.IBAN)
	}
	party, ultimate := p.creditor, p.ultimateCreditor
	if takesDebtor {
		party, ultimate = p.debtor, p.ultimateDebtor
	}
	fill(&party.Name, ultimate.Name)
	return party
}
