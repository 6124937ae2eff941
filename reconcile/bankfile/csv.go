package bankfile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tallystick/ledger/money"
)

// Columns describe the CSV file of a bank, of which no two are alike. Every name is that of a column in the
// header row; an empty one is a column that the file does not have.
type Columns struct {
	Delimiter  rune   // ',' when zero
	Encoding   string // utf-8 when empty, or windows-1252 (which covers ISO 8859-1)
	SkipLines  int    // lines before the header row
	Decimal    string // decimal mark, "." when empty
	Thousands  string // mark between groups of digits; none when empty
	DateLayout string // Go's layout, such as 02.01.2006; 2006-01-02 when empty

	AccountNumber string // of all rows, when there is no column of it
	CurrencyCode  string // of all rows, when there is no column of it
	NewestFirst   bool   // the first row is the latest

	Account, Currency      string
	BookingDate, ValueDate string
	Amount                 string   // signed, unless Direction or Credit and Debit are columns
	Credit, Debit          string   // instead of Amount: of which each row fills one
	Direction              string   // its column, with the words of it:
	CreditWords            []string // such as C, CR, Haben
	DebitWords             []string
	Balance                string // after the row
	Name, IBAN             string
	Remittance             []string // joined by spaces
	EndToEnd, Reference    string
	Code                   string
}

// Bounds of a CSV file.
const (
	maxSkipLines = 1000
	maxColumns   = 1000
)

// check says what is wrong with a description before a file is opened with it.
func (c *Columns) check() error {
	switch {
	case c.BookingDate == "":
		return errors.New("columns of a CSV file: no column for the booking date")
	case c.Amount == "" && (c.Credit == "" || c.Debit == ""):
		return errors.New("columns of a CSV file: neither a column for the amount nor two for credit and debit")
	case c.Amount != "" && c.Credit+c.Debit != "":
		return errors.New("columns of a CSV file: both a column for the amount and others for credit or debit")
	case c.Direction != "" && (len(c.CreditWords) == 0 || len(c.DebitWords) == 0):
		return errors.New("columns of a CSV file: a column for the direction needs its words for credit and debit")
	case c.Account == "" && c.AccountNumber == "":
		return errors.New("columns of a CSV file: neither a column for the account nor its number")
	case c.Currency == "" && c.CurrencyCode == "":
		return errors.New("columns of a CSV file: neither a column for the currency nor its code")
	case c.Encoding != "" && c.Encoding != "utf-8" && c.Encoding != "windows-1252":
		return fmt.Errorf("columns of a CSV file: encoding %q is neither utf-8 nor windows-1252", c.Encoding)
	case len(c.Decimal) > 1:
		return fmt.Errorf("columns of a CSV file: decimal mark %q is not one byte", c.Decimal)
	case c.SkipLines < 0 || c.SkipLines > maxSkipLines:
		return fmt.Errorf("columns of a CSV file: %d lines to skip, at most %d", c.SkipLines, maxSkipLines)
	}
	return nil
}

// csvFile reads the rows. Consecutive rows of one account and currency are a statement. Where the file has a
// balance after each row, it is proved row by row, and gives the opening and the closing balance.
type csvFile struct {
	in      *intake
	columns Columns
	rows    *csv.Reader
	place   map[string]int
	row     []string
	at      Position
	money   money.Currency
	running running
}

// running follows the balance after each row.
type running struct {
	known     bool
	last      money.Int128 // the balance known last
	since     money.Int128 // what the rows since then have moved
	opening   money.Int128
	closing   money.Int128
	broken    bool
	lastPlace Position
}

func readCSV(in *intake) error {
	f := &csvFile{in: in, columns: *in.options.Columns}
	if err := f.columns.check(); err != nil {
		in.refused = err // the caller's description, not the file, is at fault
		return err
	}
	for range f.columns.SkipLines {
		in.source.mark()
		if _, _, err := in.source.textLine(); err != nil {
			return in.fault(in.source.position(), "", "", "the file ends before its header row")
		}
	}
	f.rows = csv.NewReader(in.source)
	f.rows.FieldsPerRecord, f.rows.LazyQuotes, f.rows.ReuseRecord = -1, true, true
	if f.columns.Delimiter != 0 {
		f.rows.Comma = f.columns.Delimiter
	}
	if err := f.header(); err != nil {
		return err
	}
	for {
		err := f.next()
		if errors.Is(err, io.EOF) {
			return f.endStatement()
		}
		if err != nil {
			return err
		}
		if err := f.take(); err != nil {
			return err
		}
	}
}

// next reads a row that holds something.
func (f *csvFile) next() error {
	for {
		f.in.source.mark()
		f.at = f.in.source.position()
		row, err := f.rows.Read()
		var parse *csv.ParseError
		switch {
		case errors.As(err, &parse):
			return f.in.fault(f.at, "", "", "not a row of CSV: "+parse.Err.Error())
		case err != nil:
			return err
		}
		if len(row) > maxColumns {
			return f.in.fault(f.at, "", "", fmt.Sprintf("more than %d columns", maxColumns))
		}
		if err := f.decode(row); err != nil {
			return err
		}
		if slices.ContainsFunc(row, func(s string) bool { return s != "" }) {
			f.row = row
			return nil
		}
	}
}

func (f *csvFile) decode(row []string) error {
	for i, s := range row {
		switch {
		case len(s) > MaxText:
			return f.in.fault(f.at, "", "", fmt.Sprintf("a field longer than %d bytes", MaxText))
		case f.columns.Encoding == "windows-1252":
			s = text1252(s)
		case !utf8.ValidString(s):
			return f.in.fault(f.at, "", text([]byte(s)), "not UTF-8: describe the file as windows-1252 if it is that")
		}
		row[i] = strings.TrimSpace(strings.ReplaceAll(clean(s), "\n", " "))
	}
	return nil
}

// header finds the described columns.
func (f *csvFile) header() error {
	if err := f.next(); errors.Is(err, io.EOF) {
		return f.in.fault(f.at, "", "", "no header row")
	} else if err != nil {
		return err
	}
	f.place = map[string]int{}
	for i, name := range f.row {
		if _, twice := f.place[name]; twice {
			f.place[name] = -1
		} else {
			f.place[name] = i
		}
	}
	c := &f.columns
	for _, name := range append([]string{c.Account, c.Currency, c.BookingDate, c.ValueDate, c.Amount, c.Credit, c.Debit, c.Direction,
		c.Balance, c.Name, c.IBAN, c.EndToEnd, c.Reference, c.Code}, c.Remittance...) {
		if name == "" {
			continue
		}
		switch i, found := f.place[name]; {
		case !found:
			return f.in.fault(f.at, "header row", strings.Join(f.row, ","), "no column "+name)
		case i < 0:
			return f.in.fault(f.at, "header row", strings.Join(f.row, ","), "two columns "+name)
		}
	}
	return nil
}

// value returns a field of the row by the name of its column.
func (f *csvFile) value(column string) string {
	if i, ok := f.place[column]; ok && column != "" && i < len(f.row) {
		return f.row[i]
	}
	return ""
}

func (f *csvFile) date(column string) (Date, error) {
	s := f.value(column)
	if s == "" {
		return "", nil
	}
	layout := f.columns.DateLayout
	if layout == "" {
		layout = time.DateOnly
	}
	t, err := time.Parse(layout, s)
	if err != nil || t.Year() < firstYear {
		return "", f.in.fault(f.at, column, s, "not a date: "+layout+" expected")
	}
	return Date(t.Format(time.DateOnly)), nil
}

// signed reads a number with a sign before or behind it.
func (f *csvFile) signed(column, s string) (money.Int128, error) {
	negative := strings.HasPrefix(s, "-") || strings.HasSuffix(s, "-")
	digits := strings.TrimSpace(strings.TrimSuffix(strings.TrimLeft(s, "+-"), "-"))
	if f.columns.Thousands != "" {
		digits = strings.ReplaceAll(digits, f.columns.Thousands, "")
	}
	mark := byte('.')
	if f.columns.Decimal != "" {
		mark = f.columns.Decimal[0]
	}
	a, err := f.in.amount(f.at, column, digits, mark, f.money)
	if err == nil && negative {
		a.Units, _ = a.Units.Neg() // the range is symmetric
	}
	return a.Units, err
}
