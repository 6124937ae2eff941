package match

import (
	"encoding/json"
	"fmt"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// In JSON an amount is a decimal with the decimals of its currency, as a text, and a date is 2026-01-31. What is written
// is the same for the same value, and is read back as it was.

type amountJSON struct {
	Currency   string `json:"currency"`
	Scale      uint8  `json:"scale"`
	Bank       string `json:"bank"`
	Ledger     string `json:"ledger"`
	Difference string `json:"difference"`
}

// MarshalJSON writes the amount.
func (a Amount) MarshalJSON() ([]byte, error) {
	return json.Marshal(amountJSON{a.Currency, a.Scale, a.Bank.Format(a.Scale), a.Ledger.Format(a.Scale), a.Difference.Format(a.Scale)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (a *Amount) UnmarshalJSON(b []byte) error {
	var j amountJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("reading the amount of a group: %w", err)
	}
	*a = Amount{Currency: j.Currency, Scale: j.Scale}
	return read(j.Scale, scanned{j.Bank, &a.Bank}, scanned{j.Ledger, &a.Ledger}, scanned{j.Difference, &a.Difference})
}

type bookingJSON struct {
	Account  string `json:"account"`
	Currency string `json:"currency"`
	Scale    uint8  `json:"scale"`
	Amount   string `json:"amount"`
}

// MarshalJSON writes the booking.
func (k Booking) MarshalJSON() ([]byte, error) {
	return json.Marshal(bookingJSON{k.Account, k.Currency, k.Scale, k.Units.Format(k.Scale)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (k *Booking) UnmarshalJSON(b []byte) error {
	var j bookingJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("reading the booking of a suggestion: %w", err)
	}
	*k = Booking{Account: j.Account, Currency: j.Currency, Scale: j.Scale}
	return read(j.Scale, scanned{j.Amount, &k.Units})
}

type plainStanding Standing

type standingJSON struct {
	FirstSeen string `json:"first_seen"`
	Since     string `json:"since"`
	plainStanding
}

// MarshalJSON writes the standing.
func (s Standing) MarshalJSON() ([]byte, error) {
	return json.Marshal(standingJSON{s.FirstSeen.String(), s.Since.String(), plainStanding(s)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Standing) UnmarshalJSON(b []byte) error {
	var j standingJSON
	err := json.Unmarshal(b, &j)
	*s = Standing(j.plainStanding)
	if err == nil {
		s.FirstSeen, err = chain.ParseDate(j.FirstSeen)
	}
	if err == nil {
		s.Since, err = chain.ParseDate(j.Since)
	}
	if err != nil {
		return fmt.Errorf("reading the standing of a break: %w", err)
	}
	return nil
}

type proofJSON struct {
	Currency       string `json:"currency"`
	Scale          uint8  `json:"scale"`
	BankOpening    string `json:"bank_opening"`
	BankMovement   string `json:"bank_movement"`
	BankClosing    string `json:"bank_closing"`
	BankFooting    string `json:"bank_footing"`
	LedgerOpening  string `json:"ledger_opening"`
	LedgerMovement string `json:"ledger_movement"`
	LedgerClosing  string `json:"ledger_closing"`
	LedgerFooting  string `json:"ledger_footing"`
	Brought        string `json:"brought"`
	OpeningGap     string `json:"opening_gap"`
	Difference     string `json:"difference"`
	OpenBreaks     string `json:"open_breaks"`
	Unexplained    string `json:"unexplained"`
}

// MarshalJSON writes the proof.
func (p Proof) MarshalJSON() ([]byte, error) {
	f := func(units money.Int128) string { return units.Format(p.Scale) }
	return json.Marshal(proofJSON{p.Currency, p.Scale, f(p.BankOpening), f(p.BankMovement), f(p.BankClosing), f(p.BankFooting),
		f(p.LedgerOpening), f(p.LedgerMovement), f(p.LedgerClosing), f(p.LedgerFooting), f(p.Brought), f(p.OpeningGap), f(p.Difference), f(p.OpenBreaks), f(p.Unexplained)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Proof) UnmarshalJSON(b []byte) error {
	var j proofJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("reading the proof of a currency: %w", err)
	}
	*p = Proof{Balance: Balance{Currency: j.Currency, Scale: j.Scale}}
	return read(j.Scale, scanned{j.BankOpening, &p.BankOpening}, scanned{j.BankMovement, &p.BankMovement}, scanned{j.BankClosing, &p.BankClosing},
		scanned{j.BankFooting, &p.BankFooting}, scanned{j.LedgerOpening, &p.LedgerOpening}, scanned{j.LedgerMovement, &p.LedgerMovement},
		scanned{j.LedgerClosing, &p.LedgerClosing}, scanned{j.LedgerFooting, &p.LedgerFooting}, scanned{j.Brought, &p.Brought},
		scanned{j.OpeningGap, &p.OpeningGap}, scanned{j.Difference, &p.Difference}, scanned{j.OpenBreaks, &p.OpenBreaks}, scanned{j.Unexplained, &p.Unexplained})
}

// scanned is a text and where its units go.
type scanned struct {
	text string
	to   *money.Int128
}

func read(scale uint8, all ...scanned) error {
	for _, one := range all {
		d, err := decimal.NewFromString(one.text)
		if err == nil {
			*one.to, err = money.FromDecimal(d, scale)
		}
		if err != nil {
			return fmt.Errorf("reading the amount %q: %w", one.text, err)
		}
	}
	return nil
}
