package money

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"

	"github.com/shopspring/decimal"
)

// The ways in which a number is not an amount. Errors of this package wrap
// exactly one of them.
var (
	// ErrSyntax: the text is not a number in the syntax of ParseAmount.
	ErrSyntax = errors.New("not a decimal number")
	// ErrScale: the number has more decimals than its currency; nothing is ever rounded.
	ErrScale = errors.New("more decimals than the currency has")
	// ErrRange: the number is beyond ±(2^127 − 1) units.
	ErrRange = errors.New("beyond 2^127 - 1 units")
)

// Bounds of amounts.
const (
	// MaxScale is the largest number of decimals a currency may have.
	MaxScale = 18
	// MaxAmountText is the longest text that ParseAmount reads, in bytes. The
	// longest amount there is has 39 digits, a point and a sign.
	MaxAmountText = 60
)

// int64Digits is how many decimal digits always fit an int64.
const int64Digits = 18

// pow10 holds the powers of ten that fit 64 bits.
var pow10 = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// FromDecimal returns d in units of 10^−scale: 12.34 at scale 2 is 1234. The
// error wraps ErrScale when d has more decimals than scale (trailing zeros do
// not count), or ErrRange. Its cost is bounded by the digits that d already
// holds, whatever its exponent says: 1e1000000000 is refused, not expanded.
func FromDecimal(d decimal.Decimal, scale uint8) (Int128, error) {
	if d.Sign() == 0 {
		return Int128{}, nil
	}
	shift := int64(d.Exponent()) + int64(scale)
	if d.NumDigits() <= int64Digits {
		return fromSmall(d.CoefficientInt64(), shift)
	}
	return fromLarge(d.Coefficient(), shift)
}

// fromSmall returns c·10^shift for 0 < |c| < 10^18.
func fromSmall(c, shift int64) (Int128, error) {
	magnitude := uint64(c)
	if c < 0 {
		magnitude = -magnitude
	}
	switch {
	case shift < -int64Digits:
		return Int128{}, ErrScale
	case shift < 0:
		quotient, rest := magnitude/pow10[-shift], magnitude%pow10[-shift]
		if rest != 0 {
			return Int128{}, ErrScale
		}
		a, _ := FromMagnitude(c < 0, 0, quotient)
		return a, nil
	case shift < int64(len(pow10)):
		hi, lo := bits.Mul64(magnitude, pow10[shift])
		a, _ := FromMagnitude(c < 0, hi, lo) // below 10^37
		return a, nil
	default:
		return fromLarge(big.NewInt(c), shift)
	}
}

// fromLarge returns c·10^shift for c ≠ 0.
func fromLarge(c *big.Int, shift int64) (Int128, error) {
	switch {
	case shift >= maxDigits || c.BitLen() > 127 && shift >= 0:
		return Int128{}, ErrRange
	case shift >= 0:
		c.Mul(c, bigPow10(shift))
	case int64(c.TrailingZeroBits()) < -shift:
		// 10^n divides c only if 2^n does, so the division below is never larger than c.
		return Int128{}, ErrScale
	default:
		var rest big.Int
		c.QuoRem(c, bigPow10(-shift), &rest)
		if rest.Sign() != 0 {
			return Int128{}, ErrScale
		}
	}
	a, ok := FromBig(c)
	if !ok {
		return Int128{}, ErrRange
	}
	return a, nil
}

func bigPow10(n int64) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil) }

// Decimal returns a as the decimal number of natural units that DECIMAL columns
// hold: 1234 at scale 2 is 12.34, with exponent −scale.
func (a Int128) Decimal(scale uint8) decimal.Decimal {
	if a.hi == int64(a.lo)>>63 { // fits an int64
		return decimal.New(int64(a.lo), -int32(scale))
	}
	return decimal.NewFromBigInt(a.Big(), -int32(scale))
}

// FormatBig writes units of any size with the decimals of their scale, as Format does:
// sums may need more than 128 bits.
func FormatBig(units *big.Int, scale uint8) string {
	return decimal.NewFromBigInt(units, -int32(scale)).StringFixed(int32(scale))
}

// ParseAmount reads the one syntax of numbers on the wire: an optional '-',
// digits, and optionally a point and more digits, such as "12.34", "-0.5" or
// "7". No exponent, no '+', no spaces, no digit grouping, no leading zeros
// beyond a single 0, at most MaxAmountText bytes. The error wraps ErrSyntax.
// Signs, decimals and limits are the caller's rules.
func ParseAmount(s string) (decimal.Decimal, error) {
	if len(s) > MaxAmountText {
		return decimal.Decimal{}, fmt.Errorf("parsing an amount of %d bytes: %w", len(s), ErrSyntax)
	}
	negative, digits, decimals, ok := scanAmount(s)
	if !ok {
		return decimal.Decimal{}, fmt.Errorf("parsing amount %q: %w", s, ErrSyntax)
	}
	if digits > int64Digits {
		return parseLong(s, decimals)
	}
	var c int64
	for i := range len(s) {
		if s[i] >= '0' { // neither '-' nor '.'
			c = c*10 + int64(s[i]-'0')
		}
	}
	if negative {
		c = -c
	}
	return decimal.New(c, -int32(decimals)), nil
}

// scanAmount checks the syntax of ParseAmount and counts the digits, and those
// of them after the point.
func scanAmount(s string) (negative bool, digits, decimals int, ok bool) {
	i := 0
	if i < len(s) && s[i] == '-' {
		negative = true
		i++
	}
	whole := countDigits(s[i:])
	if whole == 0 || whole > 1 && s[i] == '0' {
		return false, 0, 0, false
	}
	i += whole
	if i < len(s) && s[i] == '.' {
		decimals = countDigits(s[i+1:])
		if decimals == 0 {
			return false, 0, 0, false
		}
		i += 1 + decimals
	}
	return negative, whole + decimals, decimals, i == len(s)
}

// countDigits returns how many ASCII digits s begins with.
func countDigits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

// parseLong reads an amount of more than 18 digits that scanAmount accepted.
func parseLong(s string, decimals int) (decimal.Decimal, error) {
	plain := s
	if decimals > 0 {
		point := len(s) - decimals - 1
		plain = s[:point] + s[point+1:]
	}
	c, ok := new(big.Int).SetString(plain, 10)
	if !ok {
		return decimal.Decimal{}, fmt.Errorf("parsing amount %q: %w", s, ErrSyntax)
	}
	return decimal.NewFromBigInt(c, -int32(decimals)), nil
}
