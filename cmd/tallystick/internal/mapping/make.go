package mapping

import (
	"fmt"
	"strconv"
	"strings"

	"tallystick/cmd/tallystick/internal/tabular"
)

// Constants returns the accounts that stand in the mapping itself.
func (m *Mapping) Constants() ([]Account, error) {
	var all []Account
	var none File
	for i := range m.Accounts {
		a, err := m.Accounts[i].of(&tabular.Row{}, &none)
		if err != nil {
			return nil, fmt.Errorf("accounts, number %d: %w", i+1, err)
		}
		all = append(all, a)
	}
	return all, nil
}

// Make returns what a row becomes. An error means that the row does not say what
// the mapping reads from it, such as a number.
func (f *File) Make(row *tabular.Row) (Made, error) {
	var made Made
	skip, err := f.anyHolds(f.Skip, row)
	if err != nil || skip {
		return made, err
	}
	for i := range f.Accounts {
		if err := f.addAccount(&made, &f.Accounts[i], i, row); err != nil {
			return made, err
		}
	}
	for i := range f.Transfers {
		spec := &f.Transfers[i]
		if skip, err := f.anyHolds(spec.Skip, row); err != nil || skip {
			if err != nil {
				return made, err
			}
			continue
		}
		t, err := spec.of(row, f)
		if err != nil {
			return made, err
		}
		t.Part = "transfer." + strconv.Itoa(i)
		made.Transfers = append(made.Transfers, t)
	}
	return made, nil
}

func (f *File) addAccount(made *Made, spec *account, number int, row *tabular.Row) error {
	skip, err := f.anyHolds(spec.Skip, row)
	if err != nil || skip {
		return err
	}
	a, err := spec.of(row, f)
	if err != nil {
		return err
	}
	made.Accounts = append(made.Accounts, a)
	if spec.Opening == nil {
		return nil
	}
	t, err := spec.Opening.of(row, f, &a)
	if err != nil || t == nil {
		return err
	}
	t.Part = "opening." + strconv.Itoa(number)
	made.Transfers = append(made.Transfers, *t)
	return nil
}

func (a *account) of(row *tabular.Row, f *File) (Account, error) {
	made := Account{Code: a.Code.of(row), Type: a.Type.of(row), Currency: a.Currency.of(row), Name: a.Name.of(row), Frozen: a.Frozen.of(row)}
	var err error
	if made.MinBalance, err = f.limit("min_balance", &a.MinBalance, row); err != nil {
		return made, err
	}
	if made.MaxBalance, err = f.limit("max_balance", &a.MaxBalance, row); err != nil {
		return made, err
	}
	made.Tags = texts(a.Tags, row)
	return made, nil
}

// texts returns the values that are not empty.
func texts(templates map[string]template, row *tabular.Row) map[string]string {
	var made map[string]string
	for key, t := range templates {
		if v := t.of(row); v != "" {
			if made == nil {
				made = make(map[string]string, len(templates))
			}
			made[key] = v
		}
	}
	return made
}

// limit reads a balance that may be negative; nothing is no limit.
func (f *File) limit(name string, t *template, row *tabular.Row) (string, error) {
	text := t.of(row)
	if strings.TrimSpace(text) == "" {
		return "", nil
	}
	amount, negative, err := f.Numbers.parse(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if negative {
		amount = "-" + amount
	}
	return amount, nil
}

// of returns the transfer of an opening balance, or nil when there is none.
func (o *opening) of(row *tabular.Row, f *File, a *Account) (*Transfer, error) {
	text := o.Amount.of(row)
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	amount, negative, err := f.Numbers.parse(text)
	if err != nil {
		return nil, fmt.Errorf("opening_balance: %w", err)
	}
	if isZero(amount) {
		return nil, nil
	}
	t := &Transfer{Debit: o.From.of(row), Credit: a.Code, Amount: amount, Currency: a.Currency,
		Description: o.Description.of(row), Reference: o.Reference.of(row)}
	if debitNormal := a.Type == "asset" || a.Type == "expense"; debitNormal != negative {
		t.Debit, t.Credit = t.Credit, t.Debit
	}
	t.EffectiveDate, err = o.Effective.ofGiven(row)
	return t, err
}

func (t *transfer) of(row *tabular.Row, f *File) (Transfer, error) {
	made := Transfer{Currency: t.Currency.of(row), Description: t.Description.of(row), Reference: t.Reference.of(row)}
	var err error
	if made.EffectiveDate, err = t.Effective.ofGiven(row); err != nil {
		return made, err
	}
	made.Metadata = texts(t.Metadata, row)
	if len(t.Postings) > 0 {
		made.Postings, err = t.legs(row, f)
		return made, err
	}
	made.Debit, made.Credit = t.Debit.of(row), t.Credit.of(row)
	amount, negative, err := f.Numbers.parse(t.Amount.of(row))
	switch {
	case err != nil:
		return made, fmt.Errorf("amount: %w", err)
	case negative && t.Negative != "swap":
		return made, fmt.Errorf("amount: %q is negative\nhint: negative: swap in the mapping lets it go the other way", t.Amount.of(row))
	case negative:
		made.Debit, made.Credit = made.Credit, made.Debit
	}
	made.Amount = amount
	return made, nil
}

func (t *transfer) legs(row *tabular.Row, f *File) ([]Posting, error) {
	legs := make([]Posting, 0, len(t.Postings))
	for i := range t.Postings {
		p := &t.Postings[i]
		skip, err := f.anyHolds(p.Skip, row)
		if err != nil {
			return nil, err
		}
		if skip {
			continue
		}
		amount, negative, err := f.Numbers.parse(p.Amount.of(row))
		if err == nil && negative {
			err = fmt.Errorf("%q is negative", p.Amount.of(row))
		}
		if err != nil {
			return nil, fmt.Errorf("postings, number %d: amount: %w", i+1, err)
		}
		legs = append(legs, Posting{Account: p.Account.of(row), Direction: p.Direction.of(row), Amount: amount, Currency: p.Currency.of(row)})
	}
	return legs, nil
}

func (d *date) ofGiven(row *tabular.Row) (string, error) {
	if d == nil {
		return "", nil
	}
	day, err := d.of(row)
	if err != nil {
		return "", fmt.Errorf("effective_date: %w", err)
	}
	return day, nil
}

// anyHolds reports whether one of the conditions holds for the row.
func (f *File) anyHolds(all []condition, row *tabular.Row) (bool, error) {
	for i := range all {
		c := &all[i]
		text, _ := row.Value(c.Column)
		holds := false
		switch {
		case c.Equals != nil:
			holds = text == *c.Equals
		case c.NotEquals != nil:
			holds = text != *c.NotEquals
		case c.Empty != nil:
			holds = (strings.TrimSpace(text) == "") == *c.Empty
		case strings.TrimSpace(text) == "":
			holds = !*c.Zero // nothing is no zero
		default:
			amount, _, err := f.Numbers.parse(text)
			if err != nil {
				return false, fmt.Errorf("column %s: %w", c.Column, err)
			}
			holds = isZero(amount) == *c.Zero
		}
		if holds {
			return true, nil
		}
	}
	return false, nil
}
