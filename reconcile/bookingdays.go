package reconcile

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"tallystick/ledger/chain"
)

// bookingDays says on which day an entry is booked: that of recorded_at by the terms
// of the ledger, or a later one if the entry before it has that (FORMAT.md, section
// 7). The zero value holds nothing against anything. It remembers what it worked out
// last, and is copied for each goroutine.
type bookingDays struct {
	terms *chain.LedgerTerms
	zone  *time.Location

	span        int64 // since the epoch, of the days below; see daySpan
	first, last chain.Date

	found   *atomic.Int64 // by all copies
	tooMany func()        // called once; nil where nobody asks
}

const (
	// daySpan is for how long one look at the clock does.
	daySpan = 15 * time.Minute
	// zoneMargin is how far the clock of a zone may have been another one for the
	// server that booked: what governments decree reaches machines late. Nearly every
	// change in tzdata is of an hour or less.
	zoneMargin = 2 * time.Hour
	// maxMisbooked is how many are reported: with another zone in the ledger's terms
	// every entry is.
	maxMisbooked = 100
)

// newBookingDays reads the terms of a ledger. The error says that its time zone is
// unknown here.
func newBookingDays(terms *chain.LedgerTerms) (bookingDays, error) {
	zone, err := time.LoadLocation(terms.TimeZone)
	if err != nil {
		return bookingDays{}, fmt.Errorf("reading the time zone of ledger %s: %w", terms.Name, err)
	}
	return bookingDays{terms: terms, zone: zone, span: math.MinInt64, found: new(atomic.Int64)}, nil
}

// of returns the days that a time may belong to: one, or two around the hour at
// which the day begins.
func (d *bookingDays) of(recordedAt int64) (first, last chain.Date) {
	if span := recordedAt / daySpan.Microseconds(); span != d.span {
		d.span = span
		begin := time.UnixMicro(span * daySpan.Microseconds())
		d.first, d.last = bookingDay(d.terms, d.zone, begin.Add(-zoneMargin)), bookingDay(d.terms, d.zone, begin.Add(daySpan+zoneMargin))
	}
	return d.first, d.last
}

// hold holds the booking date of an entry against its time and the entry before it,
// nil at the beginning of the ledger. A date before that one's is reported as such.
func (d *bookingDays) hold(prev, now *link) []finding {
	if d.terms == nil || now.rejected == "recorded_at" || now.rejected == "booking_date" {
		return nil
	}
	first, last := d.of(now.recordedAt)
	if prev != nil {
		if now.bookingDate < prev.bookingDate {
			return nil
		}
		first, last = max(first, prev.bookingDate), max(last, prev.bookingDate)
	}
	if first <= now.bookingDate && now.bookingDate <= last {
		return nil
	}
	if n := d.found.Add(1); n > maxMisbooked {
		if n == maxMisbooked+1 && d.tooMany != nil {
			d.tooMany()
		}
		return nil
	}
	expected := first.String()
	if last != first {
		expected += " or " + last.String()
	}
	return []finding{{code: BookingDateMismatch, seq: now.seq, column: "booking_date", stored: now.bookingDate.String(),
		recomputed: fmt.Sprintf("%s, of %s in %s", expected, showMicros(now.recordedAt), d.terms.TimeZone)}}
}
