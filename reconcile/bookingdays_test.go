package reconcile

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// What the ledger books is among the days that are expected, for every zone, every
// beginning of the day and every time; and beside those there is none.
func TestTheDayThatTheLedgerBooksIsExpected(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/Sao_Paulo"}
	rapid.Check(t, func(t *rapid.T) {
		terms := chain.LedgerTerms{TimeZone: rapid.SampledFrom(zones).Draw(t, "zone"), DayCutoff: int32(rapid.IntRange(0, 24*3600-1).Draw(t, "cutoff"))}
		days, err := newBookingDays(&terms)
		if err != nil {
			t.Fatal(err)
		}
		var prev *link
		at := time.Date(rapid.IntRange(1990, 2060).Draw(t, "year"), 1, 1, 0, 0, 0, 0, time.UTC)
		for seq, step := range rapid.SliceOf(rapid.Int64Range(0, (36*time.Hour).Microseconds())).Draw(t, "steps") {
			at = at.Add(time.Duration(step) * time.Microsecond)
			now := &link{seq: int64(seq), recordedAt: at.UnixMicro(), bookingDate: ledger.BookingDate(&terms, days.zone, at)}
			if prev != nil {
				now.bookingDate = max(now.bookingDate, prev.bookingDate)
			}
			if found := days.hold(prev, now); found != nil {
				t.Fatalf("at %s: %s, want %s", at, found[0].stored, found[0].recomputed)
			}
			first, last := days.of(now.recordedAt)
			for _, wrong := range []chain.Date{first - 1, last + 1} {
				other := *now
				other.bookingDate = wrong
				days.found.Store(0)
				switch found := days.hold(prev, &other); {
				case prev != nil && wrong <= prev.bookingDate: // as late as the one before, or said to be earlier
				case len(found) != 1 || found[0].code != BookingDateMismatch:
					t.Fatalf("at %s, booked on %s: found %v", at, wrong, found)
				}
			}
			prev = now
		}
	})
}

// Two days are expected only around the hour at which the day begins: 15:00 of UTC.
func TestOneDayIsExpectedButAroundItsBeginning(t *testing.T) {
	t.Parallel()
	days, err := newBookingDays(&chain.LedgerTerms{TimeZone: "Europe/Berlin", DayCutoff: 17 * 3600})
	if err != nil {
		t.Fatal(err)
	}
	var two []int
	for hour := range 24 {
		first, last := days.of(time.Date(2026, 7, 1, hour, 0, 0, 0, time.UTC).UnixMicro())
		if last != first {
			two = append(two, hour)
		}
	}
	if want := []int{13, 14, 15, 16}; !slices.Equal(two, want) {
		t.Errorf("at %v of UTC", two)
	}
}

// Another zone in the terms puts every entry on another day: that is said of some.
func TestMisbookedEntriesDoNotCrowdOthersOut(t *testing.T) {
	t.Parallel()
	days, err := newBookingDays(&chain.LedgerTerms{TimeZone: "Pacific/Kiritimati"})
	if err != nil {
		t.Fatal(err)
	}
	told, found := 0, 0
	days.tooMany = func() { told++ }
	noon := time.Date(2026, 7, 1, 18, 0, 0, 0, time.UTC)
	for range 10 * maxMisbooked {
		copied := days
		found += len(copied.hold(nil, &link{recordedAt: noon.UnixMicro(), bookingDate: chain.DateOf(noon)}))
	}
	if found != maxMisbooked || told != 1 {
		t.Errorf("%d findings, told %d times", found, told)
	}
}
