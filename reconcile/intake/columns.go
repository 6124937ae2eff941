package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"tallystick/reconcile/bankfile"
)

// MaxColumns is the longest description of a CSV file, in bytes.
const MaxColumns = 64 << 10

// columns is a description of a CSV file as it is written.
type columns struct {
	Delimiter  string `yaml:"delimiter"`   // one character; "," when empty, "tab" for a tab
	Encoding   string `yaml:"encoding"`    // utf-8, or windows-1252
	SkipLines  int    `yaml:"skip_lines"`  // before the row of names
	Decimal    string `yaml:"decimal"`     // mark, "." when empty
	Thousands  string `yaml:"thousands"`   // mark
	DateLayout string `yaml:"date_layout"` // how 2 January 2006 is written, such as 02.01.2006

	AccountNumber string `yaml:"account_number"` // of all rows, or
	Account       string `yaml:"account"`        // its column
	CurrencyCode  string `yaml:"currency_code"`
	Currency      string `yaml:"currency"`
	NewestFirst   bool   `yaml:"newest_first"`

	BookingDate string   `yaml:"booking_date"`
	ValueDate   string   `yaml:"value_date"`
	Amount      string   `yaml:"amount"` // signed, unless there is a direction, or two columns:
	Credit      string   `yaml:"credit"`
	Debit       string   `yaml:"debit"`
	Direction   string   `yaml:"direction"`
	CreditWords []string `yaml:"credit_words"`
	DebitWords  []string `yaml:"debit_words"`
	Balance     string   `yaml:"balance"`
	Name        string   `yaml:"name"`
	IBAN        string   `yaml:"iban"`
	Remittance  []string `yaml:"remittance"`
	EndToEnd    string   `yaml:"end_to_end"`
	Reference   string   `yaml:"reference"`
	Code        string   `yaml:"code"`
}

// DecodeColumns reads the description of a CSV file, in YAML. Whether it is complete shows when a file is read with it.
func DecodeColumns(text []byte) (*bankfile.Columns, error) {
	if len(text) > MaxColumns {
		return nil, fmt.Errorf("reading the columns of a CSV file: the description has %d bytes, at most %d are read", len(text), MaxColumns)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var c columns
	switch err := d.Decode(&c); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("reading the columns of a CSV file: the description is empty")
	case err != nil:
		return nil, fmt.Errorf("reading the columns of a CSV file: %w", err)
	}
	var delimiter rune
	switch {
	case c.Delimiter == "tab":
		delimiter = '\t'
	case utf8.RuneCountInString(c.Delimiter) > 1:
		return nil, fmt.Errorf("reading the columns of a CSV file: the delimiter %q is not one character; write tab for a tab", c.Delimiter)
	case c.Delimiter != "":
		delimiter, _ = utf8.DecodeRuneInString(c.Delimiter)
	}
	return &bankfile.Columns{Delimiter: delimiter, Encoding: c.Encoding, SkipLines: c.SkipLines, Decimal: c.Decimal, Thousands: c.Thousands, DateLayout: c.DateLayout,
		AccountNumber: c.AccountNumber, CurrencyCode: c.CurrencyCode, NewestFirst: c.NewestFirst, Account: c.Account, Currency: c.Currency,
		BookingDate: c.BookingDate, ValueDate: c.ValueDate, Amount: c.Amount, Credit: c.Credit, Debit: c.Debit, Direction: c.Direction,
		CreditWords: c.CreditWords, DebitWords: c.DebitWords, Balance: c.Balance, Name: c.Name, IBAN: c.IBAN, Remittance: c.Remittance,
		EndToEnd: c.EndToEnd, Reference: c.Reference, Code: c.Code}, nil
}
