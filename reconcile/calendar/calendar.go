// Package calendar counts business days. It has no time zones: a day is a date, and whose day it is was decided where
// the date was given.
package calendar

import (
	"fmt"
	"slices"
	"time"

	"tallystick/ledger/chain"
)

// Calendar says which days are business days. The zero value has nothing but business days; see New.
type Calendar struct {
	weekend  [7]bool
	holidays map[chain.Date]bool
	named    func(year int) []chain.Date
}

// MaxSpan is how many days Between and Add count over at most: a hundred years. What lies further apart counts as that.
const MaxSpan = 36525

// New returns a calendar with the weekend and the holidays given.
func New(weekend []time.Weekday, holidays []chain.Date) Calendar {
	c := Calendar{holidays: make(map[chain.Date]bool, len(holidays))}
	for _, d := range weekend {
		c.weekend[d] = true
	}
	for _, d := range holidays {
		c.holidays[d] = true
	}
	return c
}

// Names are the calendars that Named knows.
var Names = []string{"target", "weekdays"}

// Named returns a calendar by name: "weekdays" is Monday to Friday, "target" that without the closing days of the
// TARGET system, which are 1 January, Good Friday, Easter Monday, 1 May, 25 and 26 December (ECB, since 2002).
func Named(name string) (Calendar, error) {
	c := New([]time.Weekday{time.Saturday, time.Sunday}, nil)
	switch name {
	case "weekdays":
	case "target":
		c.named = target
	default:
		return Calendar{}, fmt.Errorf("finding calendar %q: there are %q", name, Names)
	}
	return c, nil
}

// With returns the calendar with more holidays.
func (c Calendar) With(holidays []chain.Date) Calendar {
	all := make(map[chain.Date]bool, len(c.holidays)+len(holidays))
	for d := range c.holidays {
		all[d] = true
	}
	for _, d := range holidays {
		all[d] = true
	}
	c.holidays = all
	return c
}

// BusinessDay says whether banks are open on the day.
func (c Calendar) BusinessDay(d chain.Date) bool {
	t := d.Time()
	if c.weekend[t.Weekday()] || c.holidays[d] {
		return false
	}
	return c.named == nil || !slices.Contains(c.named(t.Year()), d)
}

// Between counts the business days after a, up to and with b; negative where b is before a. So from Friday to Monday it
// is one.
func (c Calendar) Between(a, b chain.Date) int {
	if b < a {
		return -c.Between(b, a)
	}
	n := 0
	for d := a + 1; d <= min(b, a+MaxSpan); d++ {
		if c.BusinessDay(d) {
			n++
		}
	}
	return n
}

// Add returns the n-th business day after d, or before it where n is negative; d itself where n is 0. It is at most
// MaxSpan days away.
func (c Calendar) Add(d chain.Date, n int) chain.Date {
	step := chain.Date(1)
	if n < 0 {
		step, n = -1, -n
	}
	for day := d; n > 0; {
		day += step
		if c.BusinessDay(day) {
			d, n = day, n-1
		}
		if day-d > MaxSpan || d-day > MaxSpan {
			break
		}
	}
	return d
}

// Before returns the last business day before d.
func (c Calendar) Before(d chain.Date) chain.Date { return c.Add(d, -1) }

// target returns the closing days of a year.
func target(year int) []chain.Date {
	day := func(month time.Month, day int) chain.Date {
		return chain.DateOf(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
	}
	sunday := easter(year)
	return []chain.Date{day(time.January, 1), sunday - 2, sunday + 1, day(time.May, 1), day(time.December, 25), day(time.December, 26)}
}

// easter returns Easter Sunday of the Gregorian calendar (the anonymous algorithm: Meeus, Astronomical Algorithms, ch. 8).
func easter(year int) chain.Date {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 19*l) / 433
	n := h + l - 7*m
	return chain.DateOf(time.Date(year, time.Month((n+90)/25), (n+33*((n+90)/25)+19)%32, 0, 0, 0, 0, time.UTC))
}
