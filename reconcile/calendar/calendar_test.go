package calendar_test

import (
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/reconcile/calendar"
)

func day(t *testing.T, s string) chain.Date {
	t.Helper()
	d, err := chain.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTargetIsClosedOnItsSixDays(t *testing.T) {
	t.Parallel()
	c, err := calendar.Named("target")
	if err != nil {
		t.Fatal(err)
	}
	// Good Friday and Easter Monday as published by the ECB.
	for _, closed := range []string{"2024-01-01", "2024-03-29", "2024-04-01", "2024-05-01", "2024-12-25", "2024-12-26",
		"2025-04-18", "2025-04-21", "2026-04-03", "2026-04-06", "2027-03-26", "2027-03-29", "2026-11-28", "2026-11-29"} {
		if c.BusinessDay(day(t, closed)) {
			t.Errorf("%s is a business day", closed)
		}
	}
	for _, open := range []string{"2024-03-28", "2024-04-02", "2024-05-02", "2024-12-24", "2024-12-27", "2026-04-07", "2026-11-30"} {
		if !c.BusinessDay(day(t, open)) {
			t.Errorf("%s is no business day", open)
		}
	}
}

func TestBusinessDaysAreCountedAfterTheFirstUpToTheLast(t *testing.T) {
	t.Parallel()
	c, err := calendar.Named("weekdays")
	if err != nil {
		t.Fatal(err)
	}
	c = c.With([]chain.Date{day(t, "2026-12-02")})
	for _, s := range []struct {
		from, to string
		days     int
	}{
		{"2026-11-27", "2026-11-27", 0}, // Friday
		{"2026-11-27", "2026-11-29", 0},
		{"2026-11-27", "2026-11-30", 1},
		{"2026-11-28", "2026-11-30", 1},
		{"2026-11-30", "2026-12-04", 3}, // with a holiday
		{"2026-12-04", "2026-11-30", -3},
	} {
		if n := c.Between(day(t, s.from), day(t, s.to)); n != s.days {
			t.Errorf("from %s to %s: %d business days, want %d", s.from, s.to, n, s.days)
		}
	}
	for n := -40; n <= 40; n++ {
		if n == 0 {
			continue
		}
		from := day(t, "2026-11-30")
		to := c.Add(from, n)
		if !c.BusinessDay(to) || c.Between(from, to) != n && n > 0 {
			t.Errorf("%d business days after %s is %s, %d of them between", n, from, to, c.Between(from, to))
		}
	}
}

func TestACalendarWithoutBusinessDaysEnds(t *testing.T) {
	t.Parallel()
	c := calendar.New(nil, nil)
	if c.Between(0, 10) != 10 || c.Add(3, 4) != 7 {
		t.Error("a calendar without holidays has closed days")
	}
	never := calendar.New([]time.Weekday{0, 1, 2, 3, 4, 5, 6}, nil)
	if d := never.Add(5, 1); d != 5 {
		t.Errorf("where no day is a business day, the next one is %s", d)
	}
	if _, err := calendar.Named("lunar"); err == nil {
		t.Error("an unknown calendar is there")
	}
}
