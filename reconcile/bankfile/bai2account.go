package bankfile

import (
	"fmt"
	"strconv"
	"strings"

	"tallystick/ledger/money"
)

// baiBalances are the type codes of status that are balances (appendix A of the specification).
var baiBalances = map[string]BalanceKind{"010": OpeningBooked, "015": ClosingBooked, "040": OpeningAvailable, "045": ClosingAvailable, "060": currentAvailable}

// beginAccount reads 03: account, currency, and groups of type code, amount, item count and funds type.
func (b *bai2) beginAccount() error {
	s, err := b.in.begin()
	if err != nil {
		return err
	}
	s.Position = b.at
	s.Account = accountOf(b.get(1))
	s.From, s.To = b.asOf, b.asOf
	s.ID = fmt.Sprintf("%s/%s/%d", b.fileID, b.asOf, s.Index)
	b.current = b.money
	if code := b.get(2); code != "" {
		if b.current, err = b.in.currency(b.at, "record 03", code); err != nil {
			return err
		}
	}
	s.Currency = b.current.Code
	b.account, b.credits, b.debits, b.stated = signedSum{}, sum{}, sum{}, b.stated[:0]
	for i := 3; i < len(b.fields); {
		code, amount, count := b.get(i), b.get(i+1), b.get(i+2)
		if code == "" { // a comma too many, as before an 88
			i++
			continue
		}
		i += 4 + b.fundsLength(i+3)
		if len(code) != 3 || !allDigits(code) {
			return b.fault(code, "not a type code: three digits expected")
		}
		if amount == "" {
			continue // stated as unknown
		}
		if err := b.summary(code, amount, count); err != nil {
			return err
		}
	}
	return nil
}

// summary takes a balance or a sum of the account.
func (b *bai2) summary(code, amount, count string) error {
	units, err := b.signedUnits(amount, b.at)
	if err != nil {
		return err
	}
	b.account.add(units)
	if kind, ok := baiBalances[code]; ok {
		return b.in.balance(Balance{Kind: kind, Amount: Amount{units, b.current}, Date: b.asOf, Position: b.at})
	}
	switch code {
	case "100":
		b.stated = append(b.stated, baiSummary{what: "total credits (100)", amount: units, count: count, position: b.at})
	case "400":
		b.stated = append(b.stated, baiSummary{what: "total debits (400)", amount: units, count: count, position: b.at, debit: true})
	}
	if len(b.stated) > MaxBalances {
		return b.fault("", "too many summaries of an account")
	}
	return nil
}

// baiDirection returns what a type code of a transaction does to the balance. 100 to 399 are credits, 400 to
// 699 debits, 720 to 759 payments on loans (credits), 760 to 779 loans paid out (debits), 920 to 959 credits
// and 960 to 999 debits of a bank's own; 890 to 899 move no money.
func baiDirection(code string) (d Direction, moves, ok bool) {
	n, err := strconv.Atoi(code)
	switch {
	case err != nil || len(code) != 3 || !allDigits(code):
		return "", false, false
	case n >= 100 && n <= 399, n >= 720 && n <= 759, n >= 920 && n <= 959:
		return Credit, true, true
	case n >= 400 && n <= 699, n >= 760 && n <= 779, n >= 960 && n <= 999:
		return Debit, true, true
	case n >= 890 && n <= 899:
		return Credit, false, true
	}
	return "", false, false
}

// transaction reads 16: type code, amount, funds type, bank reference, customer reference, text.
func (b *bai2) transaction() error {
	code := b.get(1)
	direction, moves, ok := baiDirection(code)
	if !ok {
		return b.fault(code, "a type code that is neither credit nor debit: the sign of this transaction is unknown")
	}
	l := &Line{Position: b.at, BookingDate: b.asOf, Direction: direction, Status: Booked, Code: code, Amount: Amount{Currency: b.current}}
	amount := b.get(2)
	switch {
	case amount == "" && moves:
		return b.fault("", "a transaction without an amount")
	case strings.HasPrefix(amount, "-"):
		return b.fault(amount, "a negative amount: the type code alone is the sign")
	case amount != "":
		units, err := b.signedUnits(amount, b.at)
		if err != nil {
			return err
		}
		b.account.add(units)
		l.Amount.Units = units
	}
	if funds := b.get(3); funds == "V" || funds == "v" {
		if value := b.get(4); value != "" {
			var exact bool
			if l.ValueDate, exact, ok = shortDate(value); !ok || !exact {
				return b.fault(value, "not a value date: YYMMDD expected")
			}
		}
	}
	refs := 4 + b.fundsLength(3)
	l.References.Servicer, l.References.Client = reference(b.get(refs)), reference(b.get(refs+1))
	l.Remittance = squeeze(strings.Join(b.text, " "))
	switch {
	case !moves:
		l.Status = Info
	case direction == Credit:
		b.credits.add(l.Amount.Units)
	default:
		b.debits.add(l.Amount.Units)
	}
	return b.in.line(l)
}

// endAccount reads 49: control total, number of records.
func (b *bai2) endAccount() error {
	if b.account.over || b.credits.over || b.debits.over {
		return b.fault("", "control totals beyond what can be counted")
	}
	total, err := b.signedUnits(b.get(1), b.at)
	if err != nil {
		return err
	}
	records, err := b.signedUnits(b.get(2), b.at)
	if err != nil {
		return err
	}
	s := b.in.open
	s.control(Control{What: "account control total", Position: b.at, Stated: Amount{total, b.current}, Counted: Amount{b.account.units, b.current}})
	s.control(Control{What: "account number of records", Count: true, Position: b.at, Stated: Amount{Units: records}, Counted: plain(b.records)})
	if err := b.summaries(); err != nil {
		return err
	}
	b.group.total.add(b.account.units)
	b.group.parts++
	b.group.records += b.records
	b.records = 0
	return b.in.end()
}

// summaries compares the stated sums of credits and debits with the transactions. A bank that reports
// summaries only, without any transaction, has nothing to be compared.
func (b *bai2) summaries() error {
	if b.credits.count+b.debits.count == 0 {
		return nil
	}
	for _, stated := range b.stated {
		counted := b.credits
		if stated.debit {
			counted = b.debits
		}
		amount := stated.amount
		if amount.Sign() < 0 {
			amount, _ = amount.Neg() // some banks sign the sum of debits
		}
		b.in.open.control(Control{What: stated.what, Position: stated.position, Stated: Amount{amount, b.current}, Counted: Amount{counted.units, b.current}})
		if stated.count == "" {
			continue
		}
		n, err := strconv.ParseInt(stated.count, 10, 64)
		if err != nil {
			return b.in.fault(stated.position, stated.what, stated.count, "not a count of items")
		}
		if n != 0 || counted.count == 0 {
			b.in.open.control(Control{What: stated.what + " items", Count: true, Position: stated.position, Stated: Amount{Units: money.FromInt64(n)}, Counted: plain(counted.count)})
		}
	}
	return nil
}
