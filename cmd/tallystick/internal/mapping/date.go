package mapping

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tallystick/cmd/tallystick/internal/tabular"
)

// maxDays bounds a count of days: no calendar of ours is longer.
const maxDays = 3_660_000

// date is how a row says a day.
type date struct {
	Value    template `yaml:"value"`
	Layout   string   `yaml:"layout"`
	DaysFrom string   `yaml:"days_from"`

	from time.Time
}

func (d *date) check() error {
	switch {
	case !d.Value.given():
		return fmt.Errorf("a date needs a value")
	case d.Layout != "" && d.DaysFrom != "":
		return fmt.Errorf("a date has a layout or days_from, not both")
	case d.DaysFrom != "":
		var err error
		if d.from, err = time.Parse(time.DateOnly, d.DaysFrom); err != nil {
			return fmt.Errorf("days_from %q is not a day such as 2026-01-01", d.DaysFrom)
		}
		return nil
	case d.Layout == "":
		d.Layout = time.DateOnly
		return nil
	}
	layout, err := goLayout(d.Layout)
	if err != nil {
		return err
	}
	// A layout without year, month and day would make days that nobody wrote.
	probe := time.Date(2031, time.November, 23, 0, 0, 0, 0, time.UTC)
	if read, err := time.Parse(layout, probe.Format(layout)); err != nil || read.YearDay() != probe.YearDay() || read.Year() != probe.Year() {
		return fmt.Errorf("layout %q does not say year, month and day, such as 02.01.2006 or %%d.%%m.%%Y", d.Layout)
	}
	d.Layout = layout
	return nil
}

// of returns the day as YYYY-MM-DD, or nothing where the row says nothing.
func (d *date) of(row *tabular.Row) (string, error) {
	text := strings.TrimSpace(d.Value.of(row))
	if text == "" {
		return "", nil
	}
	if d.DaysFrom == "" {
		day, err := time.Parse(d.Layout, text)
		if err != nil {
			return "", fmt.Errorf("%q is not a date as in %s", text, d.Layout)
		}
		return day.Format(time.DateOnly), nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < -maxDays || n > maxDays {
		return "", fmt.Errorf("%q is not a whole number of days", text)
	}
	day := d.from.AddDate(0, 0, n)
	if day.Year() < 1 || day.Year() > 9999 {
		return "", fmt.Errorf("%q days from %s is beyond the calendar", text, d.DaysFrom)
	}
	return day.Format(time.DateOnly), nil
}

// directives are those of strftime, as Go writes them.
var directives = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'j': "002", 'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday",
	'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'z': "-0700", '%': "%",
}

// goLayout returns a layout of strftime in Go's notation, and one of Go as it is.
func goLayout(layout string) (string, error) {
	if !strings.Contains(layout, "%") {
		return layout, nil
	}
	var b strings.Builder
	for i := 0; i < len(layout); i++ {
		c := layout[i]
		switch {
		case c == '%' && i+1 < len(layout) && directives[layout[i+1]] != "":
			i++
			b.WriteString(directives[layout[i]])
		case c == '%':
			return "", fmt.Errorf("layout %q: after %% stands one of Y y m d e j b B a A H I M S p z %%", layout)
		case c == 'T' || c == 'Z' || c < '0' || c > 'z' || c > '9' && c < 'A' || c > 'Z' && c < 'a' && c != '_':
			b.WriteByte(c)
		default: // a digit or letter could be read as part of Go's notation
			return "", fmt.Errorf("layout %q: %q cannot stand between directives", layout, c)
		}
	}
	return b.String(), nil
}
