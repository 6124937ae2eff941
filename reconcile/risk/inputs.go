package risk

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Bounds of input files.
const (
	MaxInputFile = 64 << 20 // bytes
	MaxInputRows = 1_000_000
	MaxWrongRows = 20 // errors reported at once
)

// ErrInput is wrapped by all errors of reading inputs.
var ErrInput = errors.New("the file is not as it should be")

// Rates are prices of currencies in the base currency, by day (rates.csv: date,currency,rate; one unit of currency is rate
// units of base).
type Rates struct {
	Base   string
	SHA256 chain.Hash
	days   map[string][]quote // in order of day
}

type quote struct {
	day  chain.Date
	rate decimal.Decimal
}

// MaxRateAge is for how many calendar days a rate counts that is the newest there is.
const MaxRateAge = 7

// At returns the newest rate on a day or before it, and the day it is of; false when there is none, or an older one than
// MaxRateAge. The base currency has rate 1.
func (r *Rates) At(currency string, day chain.Date) (decimal.Decimal, chain.Date, bool) {
	if r != nil && currency == r.Base {
		return decimal.New(1, 0), day, true
	}
	if r == nil {
		return decimal.Decimal{}, 0, false
	}
	list := r.days[currency]
	i, found := slices.BinarySearchFunc(list, day, func(q quote, d chain.Date) int { return int(q.day - d) })
	if !found {
		i--
	}
	if i < 0 || day-list[i].day > MaxRateAge {
		return decimal.Decimal{}, 0, false
	}
	return list[i].rate, list[i].day, true
}

// Days returns the days of a currency's rates up to a day, the last n of them, in order.
func (r *Rates) last(currency string, day chain.Date, n int) []quote {
	if r == nil {
		return nil
	}
	list := r.days[currency]
	end := len(list)
	for end > 0 && list[end-1].day > day {
		end--
	}
	return list[max(0, end-n):end]
}

// DecodeRates reads rates.csv. Its errors name the lines.
func DecodeRates(file []byte, base string) (*Rates, error) {
	r := &Rates{Base: base, SHA256: sha256.Sum256(file), days: map[string][]quote{}}
	err := eachRow("rates", file, []string{"date", "currency", "rate"}, func(f []string) error {
		day, err := chain.ParseDate(f[0])
		if err != nil {
			return fmt.Errorf("%q is no date; one is written 2026-01-31", f[0])
		}
		if !money.ValidCurrencyCode(f[1]) {
			return fmt.Errorf("%q is no code of a currency", f[1])
		}
		rate, err := money.ParseAmount(f[2])
		switch {
		case err != nil:
			return fmt.Errorf("reading the rate %q: %w", f[2], err)
		case rate.Sign() <= 0:
			return fmt.Errorf("the rate %s is not more than zero", f[2])
		case f[1] == base && !rate.Equal(decimal.New(1, 0)):
			return fmt.Errorf("the rate of the base currency %s is 1, not %s", base, f[2])
		}
		r.days[f[1]] = append(r.days[f[1]], quote{day, rate})
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, currency := range slices.Sorted(maps.Keys(r.days)) {
		list := r.days[currency]
		slices.SortStableFunc(list, func(a, b quote) int { return int(a.day - b.day) })
		for i := 1; i < len(list); i++ {
			if list[i].day == list[i-1].day {
				return nil, fmt.Errorf("reading rates: %w: %s has two rates for %s", ErrInput, currency, list[i].day)
			}
		}
	}
	return r, nil
}

// Kinds of dated inputs.
const (
	InputTier1    = "tier1"    // Tier 1 capital from a day on: value, currency
	InputGroup    = "group"    // subject (an account's code, or a client as Client has it) belongs to the group named by value, from a day on
	InputDue      = "due"      // the balance of the account subject is due on the day
	InputMaturity = "maturity" // the balance of the account subject matures on the day
)

// Dated are the inputs that no ledger holds (inputs.csv: kind,subject,date,value,currency).
type Dated struct {
	SHA256   chain.Hash
	tier1    []capital
	groups   map[string][]membership
	due      map[string]chain.Date
	maturity map[string]chain.Date
}

type capital struct {
	from     chain.Date
	value    decimal.Decimal
	currency string
}

type membership struct {
	from  chain.Date
	group string
}

// Tier1 returns the capital in force on a day, and from when it is.
func (d *Dated) Tier1(day chain.Date) (value decimal.Decimal, currency string, from chain.Date, ok bool) {
	if d == nil {
		return
	}
	for _, c := range d.tier1 {
		if c.from <= day {
			value, currency, from, ok = c.value, c.currency, c.from, true
		}
	}
	return
}

// Group returns the group of connected clients that a subject belongs to on a day; itself when it is in none.
func (d *Dated) Group(subject string, day chain.Date) string {
	if d == nil {
		return subject
	}
	group := subject
	for _, m := range d.groups[subject] {
		if m.from <= day {
			group = m.group
		}
	}
	return group
}

// Due returns when the balance of an account is due.
func (d *Dated) Due(code string) (chain.Date, bool) {
	if d == nil {
		return 0, false
	}
	day, ok := d.due[code]
	return day, ok
}

// Maturity returns when the balance of an account matures.
func (d *Dated) Maturity(code string) (chain.Date, bool) {
	if d == nil {
		return 0, false
	}
	day, ok := d.maturity[code]
	return day, ok
}

// DecodeInputs reads inputs.csv. Its errors name the lines.
func DecodeInputs(file []byte) (*Dated, error) {
	d := &Dated{SHA256: sha256.Sum256(file), groups: map[string][]membership{}, due: map[string]chain.Date{}, maturity: map[string]chain.Date{}}
	err := eachRow("inputs", file, []string{"kind", "subject", "date", "value", "currency"}, d.row)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(d.tier1, func(a, b capital) int { return int(a.from - b.from) })
	for i := 1; i < len(d.tier1); i++ {
		if d.tier1[i].from == d.tier1[i-1].from {
			return nil, fmt.Errorf("reading inputs: %w: there are two values of tier1 from %s on", ErrInput, d.tier1[i].from)
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(d.groups)) {
		list := d.groups[subject]
		slices.SortStableFunc(list, func(a, b membership) int { return int(a.from - b.from) })
		for i := 1; i < len(list); i++ {
			if list[i].from == list[i-1].from {
				return nil, fmt.Errorf("reading inputs: %w: %s is in two groups from %s on", ErrInput, subject, list[i].from)
			}
		}
	}
	return d, nil
}

func (d *Dated) row(f []string) error {
	day, err := chain.ParseDate(f[2])
	if err != nil {
		return fmt.Errorf("%q is no date; one is written 2026-01-31", f[2])
	}
	kind, subject := f[0], f[1]
	switch {
	case (subject == "") != (kind == InputTier1):
		return fmt.Errorf("%s has a subject, and only %s has none", kind, InputTier1)
	case f[4] != "" && kind != InputTier1, f[3] != "" && (kind == InputDue || kind == InputMaturity):
		return fmt.Errorf("%s of %s has a value or a currency that would not count: leave them empty", kind, subject)
	}
	switch kind {
	case InputTier1:
		value, err := money.ParseAmount(f[3])
		if err != nil {
			return fmt.Errorf("reading the value %q: %w", f[3], err)
		}
		if !money.ValidCurrencyCode(f[4]) {
			return fmt.Errorf("%q is no code of a currency", f[4])
		}
		d.tier1 = append(d.tier1, capital{day, value, f[4]})
	case InputGroup:
		if f[3] == "" {
			return errors.New("the value, which names the group, is missing")
		}
		d.groups[subject] = append(d.groups[subject], membership{day, f[3]})
	case InputDue, InputMaturity:
		dates := map[string]map[string]chain.Date{InputDue: d.due, InputMaturity: d.maturity}[kind]
		if _, twice := dates[subject]; twice {
			return fmt.Errorf("%s of %s stands twice", kind, subject)
		}
		dates[subject] = day
	default:
		return fmt.Errorf("the kind is %s, %s, %s or %s, not %q", InputTier1, InputGroup, InputDue, InputMaturity, kind)
	}
	return nil
}

// MaxInputText is how long a field may be, in bytes.
const MaxInputText = 256

// plainText refuses what no page could print.
func plainText(column, s string) error {
	switch {
	case len(s) > MaxInputText:
		return fmt.Errorf("the %s has %d bytes, at most %d are read", column, len(s), MaxInputText)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("the %s %q is no plain text in UTF-8", column, s)
	}
	return nil
}

// eachRow reads a CSV file with a header, whose columns may stand in any order.
func eachRow(what string, file []byte, columns []string, row func([]string) error) error {
	if len(file) > MaxInputFile {
		return fmt.Errorf("reading %s: %w: it has %d bytes, at most %d are read", what, ErrInput, len(file), MaxInputFile)
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(file, []byte("\ufeff"))))
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		return fmt.Errorf("reading %s: %w: the header %s is missing", what, ErrInput, strings.Join(columns, ","))
	}
	at := make([]int, len(columns))
	for i, c := range columns {
		if at[i] = slices.Index(header, c); at[i] < 0 {
			return fmt.Errorf("reading %s: %w: line 1: the column %s is missing; the header is %s", what, ErrInput, c, strings.Join(columns, ","))
		}
	}
	if len(header) != len(columns) {
		return fmt.Errorf("reading %s: %w: line 1: there are %d columns; the header is %s", what, ErrInput, len(header), strings.Join(columns, ","))
	}
	var wrong []error
	fields := make([]string, len(columns))
	for n := 0; ; n++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w: %w", what, ErrInput, err)
		}
		if n == MaxInputRows {
			return fmt.Errorf("reading %s: %w: it has more than %d rows", what, ErrInput, MaxInputRows)
		}
		var plain error
		for i := range fields {
			fields[i] = strings.Clone(strings.TrimSpace(record[at[i]]))
			if plain == nil {
				plain = plainText(columns[i], fields[i])
			}
		}
		if plain == nil {
			plain = row(fields)
		}
		if err := plain; err != nil {
			line, _ := r.FieldPos(0)
			if wrong = append(wrong, fmt.Errorf("line %d: %w", line, err)); len(wrong) == MaxWrongRows {
				break
			}
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("reading %s: %w: %w", what, ErrInput, errors.Join(wrong...))
	}
	return nil
}
