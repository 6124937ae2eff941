package bankfile

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tallystick/ledger/money"
)

// amount reads digits with at most one decimal mark into units of a currency. Leading zeros and a mark
// without digits on one of its sides are what banks write ("9,", ".5", "000120"). There is no sign.
func (in *intake) amount(at Position, where, digits string, mark byte, c money.Currency) (Amount, error) {
	whole, fraction, _ := strings.Cut(digits, string(mark))
	if whole+fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return Amount{}, in.fault(at, where, digits, "not an amount: digits with at most one "+string(mark)+" expected")
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		whole += "." + fraction
	}
	d, err := money.ParseAmount(whole)
	if err != nil {
		return Amount{}, in.fault(at, where, digits, "not an amount: too many digits")
	}
	units, err := money.FromDecimal(d, c.Scale)
	switch {
	case errors.Is(err, money.ErrScale):
		return Amount{}, in.fault(at, where, digits, fmt.Sprintf("more decimals than the %d of %s", c.Scale, c.Code))
	case err != nil:
		return Amount{}, in.fault(at, where, digits, err.Error())
	}
	return Amount{units, c}, nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// isoDate reads the day at the beginning of an ISO 8601 date or date and time: the day where the bank is.
func isoDate(s string) (Date, bool) {
	if len(s) > len(time.DateOnly) {
		if c := s[len(time.DateOnly)]; c != 'T' && c != 'Z' && c != '+' && c != '-' && c != ' ' {
			return "", false
		}
		s = s[:len(time.DateOnly)]
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < firstYear {
		return "", false
	}
	return Date(s), true
}

// Bounds of dates. A year of two digits from pivotYear on is of the last century.
const (
	firstYear = 1900
	pivotYear = 70
)

// shortDate reads YYMMDD. A day that its month does not have, such as 30 February in interest calendars of
// 360 days, is the month's last: exact is false then.
func shortDate(s string) (d Date, exact, ok bool) {
	if len(s) != 6 || !allDigits(s) {
		return "", false, false
	}
	year := 2000 + number2(s)
	if year-2000 >= pivotYear {
		year -= 100
	}
	return day(year, number2(s[2:]), number2(s[4:]))
}

func number2(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }

func day(year, month, dayOfMonth int) (d Date, exact, ok bool) {
	if month < 1 || month > 12 || dayOfMonth < 1 || dayOfMonth > 31 {
		return "", false, false
	}
	last := time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC)
	exact = dayOfMonth <= last.Day()
	if !exact {
		dayOfMonth = last.Day()
	}
	return Date(time.Date(year, time.Month(month), dayOfMonth, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)), exact, true
}
