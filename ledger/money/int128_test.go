package money_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"tallystick/ledger/money"
)

// limit is 2^127 − 1.
var limit = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 127), big.NewInt(1))

func inRange(v *big.Int) bool { return v.CmpAbs(limit) <= 0 }

// edges are the values at which carries, signs and ranges change.
func edges() []*big.Int {
	var vs []*big.Int
	for _, shift := range []uint{0, 1, 31, 32, 62, 63, 64, 65, 126, 127} {
		power := new(big.Int).Lsh(big.NewInt(1), shift)
		for _, delta := range []int64{-1, 0, 1} {
			v := new(big.Int).Add(power, big.NewInt(delta))
			vs = append(vs, v, new(big.Int).Neg(v))
		}
	}
	for _, digits := range []int{18, 19, 20, 37, 38} {
		v, _ := new(big.Int).SetString("1"+strings.Repeat("0", digits), 10)
		vs = append(vs, v, new(big.Int).Neg(v), new(big.Int).Sub(v, big.NewInt(1)))
	}
	kept := vs[:0]
	for _, v := range vs {
		if inRange(v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// of returns v, which must be in range.
func of(t *testing.T, v *big.Int) money.Int128 {
	t.Helper()
	a, ok := money.FromBig(v)
	if !ok {
		t.Fatalf("FromBig(%s) is out of range", v)
	}
	return a
}

// agree compares everything Int128 can do to a and b with math/big.
func agree(t *testing.T, x, y *big.Int) {
	t.Helper()
	a, b := of(t, x), of(t, y)
	agreeUnary(t, a, x)
	for _, op := range []struct {
		name string
		got  func(money.Int128) (money.Int128, bool)
		want *big.Int
	}{
		{"+", a.Add, new(big.Int).Add(x, y)},
		{"-", a.Sub, new(big.Int).Sub(x, y)},
	} {
		got, ok := op.got(b)
		if ok != inRange(op.want) {
			t.Errorf("%s %s %s: ok = %t, want %t", x, op.name, y, ok, inRange(op.want))
		}
		if ok && got.Big().Cmp(op.want) != 0 {
			t.Errorf("%s %s %s = %s, want %s", x, op.name, y, got, op.want)
		}
	}
	if got, want := a.Cmp(b), x.Cmp(y); got != want {
		t.Errorf("Cmp(%s, %s) = %d, want %d", x, y, got, want)
	}
	if (a == b) != (x.Cmp(y) == 0) {
		t.Errorf("%s == %s is %t", x, y, a == b)
	}
}

func agreeUnary(t *testing.T, a money.Int128, x *big.Int) {
	t.Helper()
	if a.Big().Cmp(x) != 0 || a.String() != x.String() || a.Sign() != x.Sign() || a.IsZero() != (x.Sign() == 0) {
		t.Errorf("%s came back as %s, text %q, sign %d", x, a.Big(), a, a.Sign())
	}
	if !a.InRange() {
		t.Errorf("InRange(%s) is false", x)
	}
	negated, ok := a.Neg()
	if !ok || negated.Big().Cmp(new(big.Int).Neg(x)) != 0 {
		t.Errorf("Neg(%s) = %s, %t", x, negated, ok)
	}
	twosComplement := new(big.Int).Set(x)
	if x.Sign() < 0 {
		twosComplement.Add(twosComplement, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	var want [16]byte
	twosComplement.FillBytes(want[:])
	if a.Bytes() != want {
		t.Errorf("Bytes(%s) = %x, want %x", x, a.Bytes(), want)
	}
	if money.FromBytes(want) != a {
		t.Errorf("FromBytes(%x) = %s, want %s", want, money.FromBytes(want), x)
	}
	if got := a.AppendBytes([]byte{7}); string(got) != "\x07"+string(want[:]) {
		t.Errorf("AppendBytes(%s) = %x", x, got)
	}
	abs := new(big.Int).Abs(x)
	lo := new(big.Int).And(abs, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
	hi := new(big.Int).Rsh(abs, 64).Uint64()
	if got, ok := money.FromMagnitude(x.Sign() < 0, hi, lo); !ok || got != a {
		t.Errorf("FromMagnitude of %s = %s, %t", x, got, ok)
	}
}

func TestArithmeticAgreesWithMathBigAtTheEdges(t *testing.T) {
	t.Parallel()
	for _, x := range edges() {
		for _, y := range edges() {
			agree(t, x, y)
		}
	}
}

func TestNothingBeyondTheSymmetricRangeIsMade(t *testing.T) {
	t.Parallel()
	beyond := new(big.Int).Add(limit, big.NewInt(1))
	for _, v := range []*big.Int{beyond, new(big.Int).Neg(beyond), new(big.Int).Lsh(limit, 1000)} {
		if a, ok := money.FromBig(v); ok {
			t.Errorf("FromBig(%s) = %s", v, a)
		}
	}
	if a, ok := money.FromMagnitude(true, 1<<63, 0); ok {
		t.Errorf("FromMagnitude(−2^127) = %s", a)
	}
	lowest := money.FromBytes([16]byte{0x80})
	if lowest.InRange() {
		t.Error("−2^127 is in range")
	}
	if a, ok := lowest.Neg(); ok {
		t.Errorf("Neg(−2^127) = %s", a)
	}
	if got, want := lowest.String(), "-170141183460469231731687303715884105728"; got != want {
		t.Errorf("−2^127 prints as %s, want %s", got, want)
	}
	if money.Max().Big().Cmp(limit) != 0 {
		t.Errorf("Max() = %s", money.Max())
	}
}

func TestFromInt64KeepsTheSign(t *testing.T) {
	t.Parallel()
	for _, v := range []int64{math.MinInt64, -1, 0, 1, math.MaxInt64} {
		if got := money.FromInt64(v).Big(); got.Cmp(big.NewInt(v)) != 0 {
			t.Errorf("FromInt64(%d) = %s", v, got)
		}
	}
}

func TestFormatShowsExactlyScaleDecimals(t *testing.T) {
	t.Parallel()
	max := money.Max()
	min, _ := max.Neg()
	for _, tt := range []struct {
		units money.Int128
		scale uint8
		want  string
	}{
		{money.FromInt64(1234), 2, "12.34"},
		{money.FromInt64(-5), 2, "-0.05"},
		{money.FromInt64(7), 0, "7"},
		{money.FromInt64(0), 0, "0"},
		{money.FromInt64(0), 2, "0.00"},
		{money.FromInt64(-100), 2, "-1.00"},
		{money.FromInt64(10), 1, "1.0"},
		{money.FromInt64(1), 18, "0.000000000000000001"},
		{money.FromInt64(math.MinInt64), 4, "-922337203685477.5808"},
		{max, 0, "170141183460469231731687303715884105727"},
		{max, 18, "170141183460469231731.687303715884105727"},
		{min, 2, "-1701411834604692317316873037158841057.27"},
		{money.FromInt64(3), 60, "0." + strings.Repeat("0", 59) + "3"},
	} {
		if got := tt.units.Format(tt.scale); got != tt.want {
			t.Errorf("Format(%s, %d) = %q, want %q", tt.units.Big(), tt.scale, got, tt.want)
		}
		if got := string(tt.units.AppendFormat([]byte("x"), tt.scale)); got != "x"+tt.want {
			t.Errorf("AppendFormat(%s, %d) = %q, want %q", tt.units.Big(), tt.scale, got, "x"+tt.want)
		}
	}
}

func TestFormatAllocatesTheStringOnly(t *testing.T) {
	max := money.Max()
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { buf = max.AppendFormat(buf[:0], 2) }); n != 0 {
		t.Errorf("AppendFormat allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { sink = max.Format(2) }); n != 1 {
		t.Errorf("Format allocates %v times", n)
	}
}

var sink string

func FuzzInt128AgreesWithMathBig(f *testing.F) {
	for _, v := range edges() {
		a, _ := money.FromBig(v)
		b := a.Bytes()
		f.Add(b[:], b[:])
	}
	f.Fuzz(func(t *testing.T, x, y []byte) {
		a, b := fromFuzz(x), fromFuzz(y)
		agree(t, a, b)
		agree(t, a, a)
	})
}

// fromFuzz reads up to 16 bytes as two's complement, −2^127 taken as 0.
func fromFuzz(b []byte) *big.Int {
	var fixed [16]byte
	copy(fixed[:], b)
	v := new(big.Int).SetBytes(fixed[:])
	if fixed[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	if !inRange(v) {
		v.SetInt64(0)
	}
	return v
}

func BenchmarkAdd(b *testing.B) {
	x, y := money.FromInt64(1234), money.FromInt64(-99)
	for b.Loop() {
		x, _ = x.Add(y)
	}
}

func BenchmarkFormat(b *testing.B) {
	x := money.FromInt64(123456789)
	b.ReportAllocs()
	for b.Loop() {
		sink = x.Format(2)
	}
}
