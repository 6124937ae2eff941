package mapping

import (
	"fmt"
	"strings"

	"tallystick/ledger/money"
)

// numbers is how a file writes numbers.
type numbers struct {
	Decimal   *string `yaml:"decimal"`   // a point when not given
	Thousands *string `yaml:"thousands"` // none when not given
}

func (n numbers) check() error {
	decimal, thousands := n.marks()
	if len([]rune(decimal)) != 1 || len([]rune(thousands)) > 1 || strings.ContainsAny(decimal+thousands, "0123456789+-") {
		return fmt.Errorf("numbers: decimal is one character and thousands one or none, neither a digit nor a sign")
	}
	if decimal == thousands {
		return fmt.Errorf("numbers: decimal and thousands are both %q", decimal)
	}
	return nil
}

func (n numbers) marks() (decimal, thousands string) {
	decimal = "."
	if n.Decimal != nil {
		decimal = *n.Decimal
	}
	if n.Thousands != nil {
		thousands = *n.Thousands
	}
	return decimal, thousands
}

// parse returns a number as the API takes it: digits with an optional point and
// digits, no sign, and no zero too many in front. Its value is that of text, to
// the last decimal.
func (n numbers) parse(text string) (amount string, negative bool, err error) {
	decimal, thousands := n.marks()
	rest := strings.TrimSpace(text)
	wrong := func(why string) (string, bool, error) {
		return "", false, fmt.Errorf("%q is not a number: %s", text, why)
	}
	switch {
	case rest == "":
		return wrong("there is nothing")
	case rest[0] == '-':
		rest, negative = rest[1:], true
	case rest[0] == '+':
		rest = rest[1:]
	}
	whole, fraction, pointed := strings.Cut(rest, decimal)
	if thousands != "" && strings.Contains(whole, thousands) {
		groups := strings.Split(whole, thousands)
		for i, g := range groups {
			if len(g) > 3 || g == "" || i > 0 && len(g) != 3 {
				return wrong(fmt.Sprintf("%q separates groups of three digits", thousands))
			}
		}
		whole = strings.Join(groups, "")
	}
	if !digits(whole) || pointed && !digits(fraction) {
		return wrong(fmt.Sprintf("want digits, with %q before the decimals and %s", decimal, separator(thousands)))
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	amount = whole
	if pointed {
		amount += "." + fraction
	}
	if _, err := money.ParseAmount(amount); err != nil {
		return wrong(err.Error())
	}
	return amount, negative && strings.Trim(amount, "0.") != "", nil
}

func separator(thousands string) string {
	if thousands == "" {
		return "nothing between thousands"
	}
	return fmt.Sprintf("%q or nothing between thousands", thousands)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isZero reports whether an amount that parse returned is zero.
func isZero(amount string) bool { return strings.Trim(amount, "0.") == "" }
