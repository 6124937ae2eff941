package money

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
)

// Int128 is a signed integer from −(2^127 − 1) to 2^127 − 1: an amount or a
// balance in units of a currency's scale, so that 12.34 EUR is 1234. The range
// is symmetric: −2^127 has no negation, is refused by every function that can
// fail, and only FromBytes can produce it (see InRange).
//
// Values compare with == and the zero value is 0.
type Int128 struct {
	hi int64 // two's complement, high half
	lo uint64
}

// FromInt64 returns v.
func FromInt64(v int64) Int128 { return Int128{hi: v >> 63, lo: uint64(v)} }

// FromMagnitude returns ±(hi·2^64 + lo), negative when negative is true. It is
// false when that is beyond 2^127 − 1.
func FromMagnitude(negative bool, hi, lo uint64) (Int128, bool) {
	if hi > math.MaxInt64 {
		return Int128{}, false
	}
	a := Int128{hi: int64(hi), lo: lo}
	if negative {
		return a.negated(), true
	}
	return a, true
}

// Max returns the largest value, 2^127 − 1. The smallest is its negation.
func Max() Int128 { return Int128{hi: math.MaxInt64, lo: math.MaxUint64} }

// InRange reports whether a is not −2^127, the one bit pattern outside the range.
func (a Int128) InRange() bool { return a.hi != math.MinInt64 || a.lo != 0 }

// Add returns a + b, and false when the sum is out of range.
func (a Int128) Add(b Int128) (Int128, bool) {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(uint64(a.hi), uint64(b.hi), carry)
	sum := Int128{hi: int64(hi), lo: lo}
	overflow := (a.hi^sum.hi)&(b.hi^sum.hi) < 0
	return sum, !overflow && sum.InRange()
}

// Sub returns a − b, and false when the difference is out of range.
func (a Int128) Sub(b Int128) (Int128, bool) {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(uint64(a.hi), uint64(b.hi), borrow)
	difference := Int128{hi: int64(hi), lo: lo}
	overflow := (a.hi^b.hi)&(a.hi^difference.hi) < 0
	return difference, !overflow && difference.InRange()
}

// Neg returns −a, and false when a is not in range.
func (a Int128) Neg() (Int128, bool) { return a.negated(), a.InRange() }

// negated is the two's complement of a, which wraps at −2^127.
func (a Int128) negated() Int128 {
	lo, borrow := bits.Sub64(0, a.lo, 0)
	hi, _ := bits.Sub64(0, uint64(a.hi), borrow)
	return Int128{hi: int64(hi), lo: lo}
}

// Cmp returns −1, 0 or +1 as a is less than, equal to or greater than b.
func (a Int128) Cmp(b Int128) int {
	switch {
	case a.hi < b.hi || a.hi == b.hi && a.lo < b.lo:
		return -1
	case a == b:
		return 0
	default:
		return 1
	}
}

// Sign returns −1, 0 or +1 as a is negative, zero or positive.
func (a Int128) Sign() int {
	switch {
	case a.hi < 0:
		return -1
	case a.hi == 0 && a.lo == 0:
		return 0
	default:
		return 1
	}
}

// IsZero reports whether a is 0.
func (a Int128) IsZero() bool { return a.hi == 0 && a.lo == 0 }

// Bytes returns a as 16 bytes of big-endian two's complement.
func (a Int128) Bytes() [16]byte {
	var b [16]byte
	a.AppendBytes(b[:0])
	return b
}

// AppendBytes appends the 16 bytes of Bytes to dst.
func (a Int128) AppendBytes(dst []byte) []byte {
	hi, lo := uint64(a.hi), a.lo
	return append(dst,
		byte(hi>>56), byte(hi>>48), byte(hi>>40), byte(hi>>32), byte(hi>>24), byte(hi>>16), byte(hi>>8), byte(hi),
		byte(lo>>56), byte(lo>>48), byte(lo>>40), byte(lo>>32), byte(lo>>24), byte(lo>>16), byte(lo>>8), byte(lo))
}

// FromBytes is the inverse of Bytes. It accepts every bit pattern, −2^127
// included: a caller that reads foreign bytes asks InRange.
func FromBytes(b [16]byte) Int128 {
	return Int128{hi: int64(binary.BigEndian.Uint64(b[:8])), lo: binary.BigEndian.Uint64(b[8:])}
}

// Big returns a as a new big.Int.
func (a Int128) Big() *big.Int {
	hi, lo := a.magnitude()
	v := new(big.Int).SetUint64(hi)
	v.Lsh(v, 64).Or(v, new(big.Int).SetUint64(lo))
	if a.hi < 0 {
		v.Neg(v)
	}
	return v
}

// FromBig returns v, and false when it is out of range.
func FromBig(v *big.Int) (Int128, bool) {
	if v.BitLen() > 127 {
		return Int128{}, false
	}
	var b [16]byte
	v.FillBytes(b[:])
	a := FromBytes(b)
	if v.Sign() < 0 {
		a = a.negated()
	}
	return a, true
}

// magnitude returns |a| as an unsigned 128-bit integer.
func (a Int128) magnitude() (hi, lo uint64) {
	if a.hi < 0 {
		a = a.negated()
	}
	return uint64(a.hi), a.lo
}

// String returns the decimal digits of a, without a decimal point.
func (a Int128) String() string { return a.Format(0) }

// Format returns a with exactly scale decimals: 1234 at scale 2 is "12.34",
// −5 is "-0.05", and 7 at scale 0 is "7". The string is its only allocation.
func (a Int128) Format(scale uint8) string {
	var buf [64]byte
	return string(a.AppendFormat(buf[:0], scale))
}

// AppendFormat appends the text of Format to dst.
func (a Int128) AppendFormat(dst []byte, scale uint8) []byte {
	var buf [maxDigits]byte
	digits := buf[a.digits(&buf):]
	if a.hi < 0 {
		dst = append(dst, '-')
	}
	point := len(digits) - int(scale)
	if scale == 0 {
		return append(dst, digits...)
	}
	if point > 0 {
		dst = append(dst, digits[:point]...)
		dst = append(dst, '.')
		return append(dst, digits[point:]...)
	}
	dst = append(dst, '0', '.')
	for ; point < 0; point++ {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

// maxDigits is the length of 2^127 in decimal.
const maxDigits = 39

// digits writes the decimal digits of |a| to the end of buf, at least one, and
// returns where they begin.
func (a Int128) digits(buf *[maxDigits]byte) int {
	const block, blockDigits = 10_000_000_000_000_000_000, 19 // the largest power of ten in 64 bits
	hi, lo := a.magnitude()
	i := len(buf)
	for hi > 0 {
		var rest uint64
		high := hi / block
		lo, rest = bits.Div64(hi%block, lo, block)
		hi = high
		for range blockDigits {
			i--
			buf[i] = byte('0' + rest%10)
			rest /= 10
		}
	}
	for lo > 0 || i == len(buf) {
		i--
		buf[i] = byte('0' + lo%10)
		lo /= 10
	}
	return i
}
