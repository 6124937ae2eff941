package schedule

import (
	"slices"
	"testing"
	"time"
	_ "time/tzdata"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEachNightIsDueOnceAlsoWhenTheClockIsChanged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, spec, zone, from string
		want                   []string
	}{
		{"an ordinary night", "30 2 * * *", "Europe/Brussels", "2026-02-10T12:00:00Z", []string{"2026-02-11T01:30:00Z", "2026-02-12T01:30:00Z"}},
		{"an hour that is left out", "30 2 * * *", "Europe/Brussels", "2026-03-27T12:00:00Z",
			[]string{"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		{"an hour that comes twice", "30 2 * * *", "Europe/Brussels", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		{"from within the second time", "30 2 * * *", "Europe/Brussels", "2026-10-25T01:10:00Z", []string{"2026-10-26T01:30:00Z"}},
		{"from between the two", "30 2 * * *", "Europe/Brussels", "2026-10-25T00:30:00Z", []string{"2026-10-26T01:30:00Z"}},
		{"west of Greenwich, left out", "15 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", []string{"2026-03-08T07:00:00Z", "2026-03-09T06:15:00Z"}},
		{"west of Greenwich, twice", "15 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", []string{"2026-11-01T05:15:00Z", "2026-11-02T06:15:00Z"}},
		{"half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", []string{"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
		{"midnight that is left out", "0 0 * * *", "Africa/Cairo", "2026-04-22T12:00:00Z", []string{"2026-04-22T22:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"}},
		{"two in the hour that is left out are one", "0,30 2 * * *", "Europe/Brussels", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
		{"working days", "0 3 * * 1-5", "UTC", "2026-02-06T12:00:00Z", []string{"2026-02-09T03:00:00Z", "2026-02-10T03:00:00Z"}},
	} {
		s, err := Parse(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		z, now := zone(t, c.zone), at(t, c.from)
		for _, want := range c.want {
			if now = s.Next(now, z); !now.Equal(at(t, want)) {
				t.Errorf("%s: %s, want %s", c.what, now.UTC().Format(time.RFC3339), want)
			}
		}
	}
}

// Whatever the zone, a year has as many nights as days, each after the one before.
func TestAYearHasANightADay(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "Europe/Brussels", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"} {
		z := zone(t, name)
		for _, spec := range []string{"0 0 * * *", "30 1 * * *", "30 2 * * *", "59 23 * * *"} {
			s, err := Parse(spec)
			if err != nil {
				t.Fatal(err)
			}
			from := time.Date(2026, 1, 1, 12, 0, 0, 0, z)
			dues, more := s.Between(from, from.AddDate(1, 0, 0), z, 1000)
			if len(dues) != 365 || more != 0 || !slices.IsSortedFunc(dues, time.Time.Compare) {
				t.Errorf("%s in %s: %d nights", spec, name, len(dues))
			}
		}
	}
}

func TestOfManyMissedTheNewestAreKept(t *testing.T) {
	t.Parallel()
	s, err := Parse("0 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	from := at(t, "2026-01-01T02:00:00Z")
	dues, more := s.Between(from, from.AddDate(0, 0, 10), time.UTC, 3)
	if len(dues) != 3 || more != 7 || !dues[0].Equal(from.AddDate(0, 0, 8)) || !dues[2].Equal(from.AddDate(0, 0, 10)) {
		t.Errorf("%v and %d more", dues, more)
	}
	if dues, more = s.Between(from, from, time.UTC, 3); len(dues) != 0 || more != 0 {
		t.Errorf("%v and %d more", dues, more)
	}
}

func TestWhatIsNoCronExpressionIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "30 2 * *", "30 2 * * * *", "61 2 * * *", "@daily", "@every 1h", "TZ=UTC 30 2 * * *", "CRON_TZ=UTC 0 1 * * *", "0 0 30 2 *", "a b c d e"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
