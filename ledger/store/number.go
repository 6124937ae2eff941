package store

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"

	"tallystick/ledger/money"
)

// Number is a DECIMAL as both engines send it in binary: number of digits,
// weight of the first digit, sign and displayed decimals, two bytes each, and
// then digits of base 10000. Its value is the sum of digit i × 10000^(weight−i).
type Number []byte

// The values of a Number's sign field.
const (
	signPositive = 0x0000
	signNegative = 0x4000
	signNaN      = 0xC000
	signPlusInf  = 0xD000
	signMinusInf = 0xF000
)

const (
	numberHeader   = 8
	decimalsPerSet = 4 // decimal digits in one digit of base 10000
	// shownDigits bounds how many digits of base 10000 String shows.
	shownDigits = 64
)

var powersOf10 = [...]uint64{1, 10, 100, 1000, 10000}

func (n Number) ndigits() int { return int(binary.BigEndian.Uint16(n)) }
func (n Number) weight() int  { return int(int16(binary.BigEndian.Uint16(n[2:]))) }
func (n Number) sign() uint16 { return binary.BigEndian.Uint16(n[4:]) }
func (n Number) digit(i int) uint64 {
	return uint64(binary.BigEndian.Uint16(n[numberHeader+2*i:]))
}

func (n Number) wellFormed() bool {
	return len(n) >= numberHeader && len(n) == numberHeader+2*n.ndigits()
}

// Units returns n in units of 10^−scale: 12.34 at scale 2 is 1234, and so is
// 12.340. It is false, and never rounds, when n has more decimals than scale,
// is beyond ±(2^127−1), or is NaN or infinite.
func (n Number) Units(scale uint8) (money.Int128, bool) {
	if !n.wellFormed() || n.sign() != signPositive && n.sign() != signNegative {
		return money.Int128{}, false
	}
	var m magnitude
	exponent := decimalsPerSet*n.weight() + int(scale) // of the digit at hand, in decimals of the result
	last := 0                                          // exponent of the last digit taken in
	for i := range n.ndigits() {
		d := n.digit(i)
		switch {
		case exponent >= 0:
			m.mulAdd(10000, d)
			last = exponent
		case exponent > -decimalsPerSet && d%powersOf10[-exponent] == 0:
			m.mulAdd(powersOf10[decimalsPerSet+exponent], d/powersOf10[-exponent])
			last = 0
		case d != 0:
			return money.Int128{}, false
		}
		exponent -= decimalsPerSet
	}
	for ; last > 0 && !m.overflow && !m.isZero(); last-- {
		m.mulAdd(10, 0)
	}
	if m.overflow {
		return money.Int128{}, false
	}
	return money.FromMagnitude(n.sign() == signNegative && !m.isZero(), m.hi, m.lo)
}

// magnitude is an unsigned 128-bit integer that remembers whether it overflowed.
type magnitude struct {
	hi, lo   uint64
	overflow bool
}

func (m *magnitude) isZero() bool { return m.hi == 0 && m.lo == 0 }

// mulAdd makes m × factor + addend of m.
func (m *magnitude) mulAdd(factor, addend uint64) {
	carry, lo := bits.Mul64(m.lo, factor)
	over, hi := bits.Mul64(m.hi, factor)
	lo, c := bits.Add64(lo, addend, 0)
	hi, c1 := bits.Add64(hi, carry, c)
	m.hi, m.lo = hi, lo
	m.overflow = m.overflow || over != 0 || c1 != 0
}

// String writes n in full up to a few hundred digits, as the engines would.
func (n Number) String() string {
	if !n.wellFormed() {
		return "not a decimal"
	}
	switch n.sign() {
	case signNaN:
		return "NaN"
	case signPlusInf:
		return "Infinity"
	case signMinusInf:
		return "-Infinity"
	}
	var b strings.Builder
	if n.sign() == signNegative {
		b.WriteByte('-')
	}
	if n.weight() > shownDigits || n.weight() < -shownDigits || n.ndigits() > 2*shownDigits {
		for i := range min(n.ndigits(), 4) {
			b.WriteString(pad4(n.digit(i)))
		}
		return b.String() + "…×10000^" + strconv.Itoa(n.weight())
	}
	n.writeInteger(&b)
	n.writeDecimals(&b, int(binary.BigEndian.Uint16(n[6:])))
	return b.String()
}

func (n Number) writeInteger(b *strings.Builder) {
	if n.weight() < 0 {
		b.WriteByte('0')
		return
	}
	for i := 0; i <= n.weight(); i++ {
		d := uint64(0)
		if i < n.ndigits() {
			d = n.digit(i)
		}
		if i == 0 {
			b.WriteString(strconv.FormatUint(d, 10))
		} else {
			b.WriteString(pad4(d))
		}
	}
}

func (n Number) writeDecimals(b *strings.Builder, decimals int) {
	if decimals == 0 {
		return
	}
	var d strings.Builder
	for i := n.weight() + 1; d.Len() < decimals && i <= n.ndigits()+shownDigits; i++ {
		switch {
		case i < 0 || i >= n.ndigits():
			d.WriteString("0000")
		default:
			d.WriteString(pad4(n.digit(i)))
		}
	}
	text := d.String()
	b.WriteByte('.')
	b.WriteString(text[:min(len(text), decimals)])
}

// pad4 writes a digit of base 10000 with leading zeros.
func pad4(d uint64) string {
	s := strconv.FormatUint(d, 10)
	return strings.Repeat("0", max(0, decimalsPerSet-len(s))) + s
}
