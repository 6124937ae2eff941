package mapping

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"unicode/utf8"
)

// check finds what no file could be read with.
func (m *Mapping) check() error {
	if m.Ledger != nil && m.Ledger.BaseCurrency == "" {
		return errors.New("ledger: base_currency is missing")
	}
	for i := range m.Accounts {
		a := &m.Accounts[i]
		where := fmt.Sprintf("accounts, number %d", i+1)
		if err := a.check(); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		named := map[string]bool{}
		if a.columns(named); len(named) > 0 || a.Opening != nil {
			return fmt.Errorf("%s: those at the top are constants, without columns and opening balance: put it below files", where)
		}
	}
	for i, f := range m.Files {
		if f == nil {
			return fmt.Errorf("files, number %d: it is empty", i+1)
		}
		if err := f.check(); err != nil {
			return fmt.Errorf("files, number %d (match: %q): %w", i+1, f.Match, err)
		}
	}
	if len(m.Files) == 0 {
		return errors.New("files: it describes no file")
	}
	return nil
}

func (f *File) check() error {
	if _, err := path.Match(f.Match, "x"); err != nil || f.Match == "" {
		return errors.New("match is a file's name, or a pattern of names such as payments-*.csv")
	}
	if f.Format == "" {
		f.Format = "csv"
		if ext := path.Ext(f.Match); ext == ".jsonl" || ext == ".ndjson" {
			f.Format = "jsonl"
		}
	}
	delimiter, size := utf8.DecodeRuneInString(f.Delimiter)
	switch {
	case f.Format != "csv" && f.Format != "jsonl":
		return fmt.Errorf("format is csv or jsonl, not %q", f.Format)
	case f.Format != "csv" && f.Delimiter != "":
		return errors.New("only csv has a delimiter")
	case f.Delimiter != "" && (size != len(f.Delimiter) || delimiter == utf8.RuneError || slices.Contains([]rune{'"', '\r', '\n', 0}, delimiter)):
		return fmt.Errorf("delimiter is one character and no quote or line break, not %q", f.Delimiter)
	case !slices.Contains([]string{"", "utf-8", "latin1", "windows-1252", "utf-16"}, f.Encoding):
		return fmt.Errorf("encoding is utf-8, latin1, windows-1252 or utf-16, not %q", f.Encoding)
	case len(f.Accounts)+len(f.Transfers) == 0:
		return errors.New("its rows become neither accounts nor transfers")
	}
	if err := f.Numbers.check(); err != nil {
		return err
	}
	if err := checkConditions(f.Skip); err != nil {
		return err
	}
	for i := range f.Accounts {
		if err := f.Accounts[i].check(); err != nil {
			return fmt.Errorf("accounts, number %d: %w", i+1, err)
		}
	}
	for i := range f.Transfers {
		if err := f.Transfers[i].check(); err != nil {
			return fmt.Errorf("transfers, number %d: %w", i+1, err)
		}
	}
	return nil
}

func checkConditions(all []condition) error {
	for _, c := range all {
		tests := 0
		for _, given := range []bool{c.Equals != nil, c.NotEquals != nil, c.Empty != nil, c.Zero != nil} {
			if given {
				tests++
			}
		}
		if c.Column == "" || tests != 1 {
			return errors.New("skip: a condition has a column and one of equals, not_equals, empty and zero")
		}
	}
	return nil
}

func (a *account) check() error {
	for _, one := range []struct {
		name string
		is   *template
	}{{"code", &a.Code}, {"type", &a.Type}, {"currency", &a.Currency}} {
		if !one.is.given() {
			return fmt.Errorf("%s is missing", one.name)
		}
	}
	if o := a.Opening; o != nil {
		if !o.Amount.given() || !o.From.given() {
			return errors.New("opening_balance needs amount and from, the account that it comes from")
		}
		if err := o.Effective.checkGiven(); err != nil {
			return fmt.Errorf("opening_balance: %w", err)
		}
	}
	return checkConditions(a.Skip)
}

func (t *transfer) check() error {
	short := t.Debit.given() || t.Credit.given() || t.Amount.given()
	switch {
	case short && len(t.Postings) > 0:
		return errors.New("it has postings, or debit, credit and amount, not both")
	case !short && len(t.Postings) < 2:
		return errors.New("it needs debit, credit and amount, or two or more postings")
	case short && !(t.Debit.given() && t.Credit.given() && t.Amount.given()):
		return errors.New("it needs debit, credit and amount")
	case !slices.Contains([]string{"", "refuse", "swap"}, t.Negative):
		return fmt.Errorf("negative is refuse or swap, not %q", t.Negative)
	case !short && t.Negative != "":
		return errors.New("negative goes with debit, credit and amount")
	case !short && t.Currency.given():
		return errors.New("with postings, the currency stands in each of them")
	}
	for i := range t.Postings {
		p := &t.Postings[i]
		if !p.Account.given() || !p.Direction.given() || !p.Amount.given() {
			return fmt.Errorf("postings, number %d: it needs account, direction and amount", i+1)
		}
		if err := checkConditions(p.Skip); err != nil {
			return err
		}
	}
	if err := t.Effective.checkGiven(); err != nil {
		return err
	}
	return checkConditions(t.Skip)
}

func (d *date) checkGiven() error {
	if d == nil {
		return nil
	}
	if err := d.check(); err != nil {
		return fmt.Errorf("effective_date: %w", err)
	}
	return nil
}
