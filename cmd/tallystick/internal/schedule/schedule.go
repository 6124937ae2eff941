// Package schedule says when nights are due: by a cron expression, on the clock
// that hangs in some time zone.
//
// A cron expression speaks of what a clock shows. Twice a year that is not what
// passes: an hour is left out, or comes twice. Whatever is due in an hour that is
// left out is due when the clock is put forward, and what is due in one that comes
// twice is due the first time; so each night has one due time, and none is lost.
package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is a cron expression of five fields.
type Schedule struct {
	clock cron.Schedule // is asked in UTC, for what a clock shows
}

// fields are those of Parse: no seconds, no words such as @daily, no time zone.
var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Parse reads a cron expression: minute, hour, day of the month, month, day of the
// week, such as "30 2 * * *".
func Parse(text string) (Schedule, error) {
	if strings.Contains(text, "=") {
		return Schedule{}, fmt.Errorf("reading the cron expression %q: the time zone is given apart", text)
	}
	clock, err := fields.Parse(text)
	if err != nil {
		return Schedule{}, fmt.Errorf("reading the cron expression %q: %w", text, err)
	}
	if clock.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, fmt.Errorf("reading the cron expression %q: there is no such day", text)
	}
	return Schedule{clock}, nil
}

// Next returns the first due time after t, by the clock of a zone.
func (s Schedule) Next(t time.Time, zone *time.Location) time.Time {
	shown := onClock(t, zone)
	for {
		shown = s.clock.Next(shown)
		if due := firstShown(shown, zone); due.After(t) {
			return due
		}
	}
}

// onClock returns what a clock in the zone shows, as if it were UTC.
func onClock(t time.Time, zone *time.Location) time.Time {
	l := t.In(zone)
	return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), l.Nanosecond(), time.UTC)
}

// firstShown returns when a clock in the zone first shows that, or is put forward
// beyond it.
func firstShown(shown time.Time, zone *time.Location) time.Time {
	t := time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), shown.Second(), 0, zone)
	begins, ends := t.ZoneBounds()
	switch is := onClock(t, zone); {
	case is.After(shown): // t lies behind the gap
		return begins
	case is.Before(shown): // before it
		return ends
	case begins.IsZero():
		return t
	}
	_, offset := t.Zone()
	_, before := begins.Add(-time.Nanosecond).Zone()
	if earlier := t.Add(time.Duration(offset-before) * time.Second); earlier.Before(begins) && onClock(earlier, zone).Equal(shown) {
		return earlier
	}
	return t
}

// Between returns the due times after one time, up to and with another, oldest
// first: the newest so many of them, and how many more there are.
func (s Schedule) Between(after, upTo time.Time, zone *time.Location, most int) (dues []time.Time, more int) {
	for due := s.Next(after, zone); !due.After(upTo); due = s.Next(due, zone) {
		if dues = append(dues, due); len(dues) > most {
			dues, more = dues[1:], more+1
		}
	}
	return dues, more
}
