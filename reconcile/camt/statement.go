package camt

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Version is a version of the message.
type Version string

// The versions.
const (
	V8 Version = "camt.053.001.08"
	V2 Version = "camt.053.001.02"
)

// Versions lists them.
var Versions = []Version{V8, V2}

// Bounds of the schema, in characters and digits.
const (
	maxID       = 35 // ids and references
	maxAccount  = 34 // an account's number that is no IBAN
	maxLine     = 140
	maxInfo     = 500
	maxDigits   = 18
	maxDecimals = 5
)

// ErrUnfit: the statement has something that the schema has no place for.
var ErrUnfit = errors.New("it does not fit a camt.053 statement")

// Statement is what one account did between two days. Balances are positive on the credit side.
type Statement struct {
	ID       string // unique for the account; at most 35 characters
	Created  time.Time
	IBAN     string // of the account, or else
	Number   string // what it is called
	Currency money.Currency

	From, To         chain.Date
	Opening, Closing money.Int128
	Lines            []Line
}

// Line is a posting that moved the balance.
type Line struct {
	Ref            string // of the line in the statement; at most 35 characters
	Servicer       string // reference of the one that keeps the account; at most 35 characters
	Booked, Valued chain.Date
	Credit         bool
	Amount         money.Int128 // positive
	Reversal       bool         // it undoes an earlier line
	Kind           string       // of the entry, as the ledger calls it; at most 35 characters
	Reference      string       // the client's own
	Description    string
}

// sums are the totals of a statement.
type sums struct {
	credits, debits           *big.Int
	creditLines, debitedLines int64
}

var (
	iban     = regexp.MustCompile(`^[A-Z]{2}[0-9]{2}[a-zA-Z0-9]{1,30}$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
)

// check looks for what the schema does not take, and adds the lines up.
func (s *Statement) check() (sums, error) {
	total := sums{credits: new(big.Int), debits: new(big.Int)}
	switch {
	case !currency.MatchString(s.Currency.Code):
		return total, unfit("currency %s: the schema knows currencies of three letters only", s.Currency.Code)
	case s.IBAN != "" && !iban.MatchString(s.IBAN):
		return total, unfit("%q is no IBAN", s.IBAN)
	case s.IBAN == "" && utf8.RuneCountInString(s.Number) > maxAccount:
		return total, unfit("account %s has more than %d characters: give its IBAN, or a number that is shorter", s.Number, maxAccount)
	}
	for _, text := range []struct {
		what, value string
		most        int
	}{{"id", s.ID, maxID}, {"account", s.IBAN + s.Number, 2 * maxAccount}} {
		if err := fits(text.what, text.value, text.most); err != nil {
			return total, err
		}
	}
	if err := s.fit(sized{"opening balance", s.Opening.Big()}, sized{"closing balance", s.Closing.Big()}); err != nil {
		return total, err
	}
	for i := range s.Lines {
		l := &s.Lines[i]
		if err := s.checkLine(l); err != nil {
			return total, fmt.Errorf("line %s: %w", l.Ref, err)
		}
		if l.Credit {
			total.credits.Add(total.credits, l.Amount.Big())
			total.creditLines++
		} else {
			total.debits.Add(total.debits, l.Amount.Big())
			total.debitedLines++
		}
	}
	return total, s.foots(&total)
}

func (s *Statement) checkLine(l *Line) error {
	if l.Amount.Sign() <= 0 {
		return unfit("amount %s: the direction is the sign", l.Amount.Format(s.Currency.Scale))
	}
	if err := s.fit(sized{"amount", l.Amount.Big()}); err != nil {
		return err
	}
	for _, text := range []struct {
		what, value string
		most        int
	}{{"reference of the line", l.Ref, maxID}, {"reference of the servicer", l.Servicer, maxID}, {"kind", l.Kind, maxID}} {
		if err := fits(text.what, text.value, text.most); err != nil {
			return err
		}
	}
	if err := clean("description", l.Description); err != nil {
		return err
	}
	if utf8.RuneCountInString(l.Reference) > maxInfo {
		return unfit("the reference has more than %d characters", maxInfo)
	}
	return clean("reference", l.Reference)
}

// foots says whether balances and lines agree. They always do; what does not must not leave the house.
func (s *Statement) foots(total *sums) error {
	closing := new(big.Int).Add(s.Opening.Big(), total.credits)
	closing.Sub(closing, total.debits)
	if closing.Cmp(s.Closing.Big()) != 0 {
		return fmt.Errorf("opening balance and lines give %s, and the closing balance is %s", closing, s.Closing.Big())
	}
	return s.fit(sized{"sum of credits", total.credits}, sized{"sum of debits", total.debits}, sized{"sum of lines", new(big.Int).Add(total.credits, total.debits)})
}

// sized is an amount and what it is.
type sized struct {
	what string
	v    *big.Int
}

// fit says whether the schema has room for amounts.
func (s *Statement) fit(amounts ...sized) error {
	for _, a := range amounts {
		if _, err := s.amount(a.what, a.v); err != nil {
			return err
		}
	}
	return nil
}

// amount writes the size of an amount: at least as many decimals as the currency has, but for those zeros that the schema
// has no room for.
func (s *Statement) amount(what string, v *big.Int) (string, error) {
	digits := new(big.Int).Abs(v).String()
	scale := int(s.Currency.Scale)
	if short := scale + 1 - len(digits); short > 0 {
		digits = strings.Repeat("0", short) + digits
	}
	whole, decimals := digits[:len(digits)-scale], digits[len(digits)-scale:]
	if len(decimals) > maxDecimals {
		if strings.Trim(decimals[maxDecimals:], "0") != "" {
			return "", unfit("%s %s.%s %s has more than %d decimals", what, whole, decimals, s.Currency.Code, maxDecimals)
		}
		decimals = decimals[:maxDecimals]
	}
	if len(whole)+len(decimals) > maxDigits {
		return "", unfit("%s %s.%s %s has more than %d digits", what, whole, decimals, s.Currency.Code, maxDigits)
	}
	if decimals == "" {
		return whole, nil
	}
	return whole + "." + decimals, nil
}

// fits says whether a text is there, and short and clean enough.
func fits(what, text string, most int) error {
	if n := utf8.RuneCountInString(text); n < 1 || n > most {
		return unfit("the %s %q has %d characters, and the schema wants 1 to %d", what, text, n, most)
	}
	return clean(what, text)
}

// clean says whether XML can hold a text.
func clean(what, text string) error {
	if !utf8.ValidString(text) {
		return unfit("the %s is no UTF-8", what)
	}
	for _, r := range text {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return unfit("the %s has the character %U, which XML cannot hold", what, r)
		}
	}
	return nil
}

func unfit(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnfit}, args...)...)
}
