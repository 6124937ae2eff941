package money_test

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/ledger/money"
)

func TestFromDecimalCountsUnitsAndNeverRounds(t *testing.T) {
	t.Parallel()
	huge := "1" + strings.Repeat("0", 40)
	for _, tt := range []struct {
		text  string
		scale uint8
		want  string // units, or empty
		err   error
	}{
		{"12.34", 2, "1234", nil},
		{"-0.05", 2, "-5", nil},
		{"7", 0, "7", nil},
		{"12.3", 2, "1230", nil},
		{"12.3400", 2, "1234", nil}, // trailing zeros are not decimals
		{"12.345", 2, "", money.ErrScale},
		{"0.000000000000000001", 18, "1", nil},
		{"0.0000000000000000001", 18, "", money.ErrScale},
		{"0.5", 0, "", money.ErrScale},
		{"0", 0, "0", nil},
		{"0.000000", 2, "0", nil},
		{"170141183460469231731687303715884105727", 0, "170141183460469231731687303715884105727", nil},
		{"-170141183460469231731687303715884105727", 0, "-170141183460469231731687303715884105727", nil},
		{"1701411834604692317316873037158841057.27", 2, "170141183460469231731687303715884105727", nil},
		{"170141183460469231731687303715884105728", 0, "", money.ErrRange},
		{"-170141183460469231731687303715884105728", 0, "", money.ErrRange},
		{"170141183460469231732", 18, "", money.ErrRange},
		{huge, 0, "", money.ErrRange},
		{huge + ".5", 0, "", money.ErrScale},
		{"9223372036854775808", 0, "9223372036854775808", nil}, // 2^63
		{"99999999999999999999", 18, "99999999999999999999000000000000000000", nil},
	} {
		got, err := money.FromDecimal(decimal.RequireFromString(tt.text), tt.scale)
		if !errors.Is(err, tt.err) || (tt.err == nil && got.String() != tt.want) {
			t.Errorf("FromDecimal(%s, %d) = %s, %v; want %s, %v", tt.text, tt.scale, got, err, tt.want, tt.err)
		}
	}
}

func TestFromDecimalDecidesHugeExponentsWithoutExpandingThem(t *testing.T) {
	t.Parallel()
	ten40 := new(big.Int).Exp(big.NewInt(10), big.NewInt(40), nil)
	for _, tt := range []struct {
		d    decimal.Decimal
		want error
	}{
		{decimal.New(1, 1_000_000_000), money.ErrRange},
		{decimal.New(1, math.MaxInt32), money.ErrRange},
		{decimal.New(1, -1_000_000_000), money.ErrScale},
		{decimal.New(10, math.MinInt32), money.ErrScale},
		{decimal.NewFromBigInt(ten40, math.MaxInt32), money.ErrRange},
		{decimal.NewFromBigInt(ten40, math.MinInt32), money.ErrScale},
		{decimal.New(0, math.MaxInt32), nil},
		{decimal.New(0, math.MinInt32), nil},
		{decimal.NewFromBigInt(ten40, -40), nil},
	} {
		_, err := money.FromDecimal(tt.d, money.MaxScale)
		if !errors.Is(err, tt.want) {
			t.Errorf("FromDecimal(%s·10^%d) gives %v, want %v", tt.d.Coefficient(), tt.d.Exponent(), err, tt.want)
		}
	}
}

func TestParseAmountHasOneSyntax(t *testing.T) {
	t.Parallel()
	longest := "-" + strings.Repeat("9", money.MaxAmountText-1)
	for _, s := range []string{
		"0", "-0", "7", "10", "12.34", "-12.34", "0.5", "0.00", "100.000",
		"123456789012345678", "1234567890123456789", "-0.1234567890123456789", longest,
	} {
		got, err := money.ParseAmount(s)
		want := decimal.RequireFromString(s)
		if err != nil || !got.Equal(want) || got.Exponent() != want.Exponent() {
			t.Errorf("ParseAmount(%q) = %s·10^%d, %v; want %s", s, got.Coefficient(), got.Exponent(), err, want)
		}
	}
	for _, s := range []string{
		"", "-", ".", "-.", "1.", ".5", "-.5", "00", "01", "-01", "+1", "1e3", "1E3", "1,000", "1_000",
		" 1", "1 ", "1\n", "--1", "1-", "1.2.3", "1..2", "NaN", "Infinity", "0x10", "١", "1\x00", "１",
		longest + "9",
	} {
		if got, err := money.ParseAmount(s); !errors.Is(err, money.ErrSyntax) {
			t.Errorf("ParseAmount(%q) = %s, %v; want ErrSyntax", s, got, err)
		}
	}
}

func TestParseAmountDoesNotRepeatLongInput(t *testing.T) {
	t.Parallel()
	_, err := money.ParseAmount(strings.Repeat("9", 1<<20))
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("error text of %d bytes", len(err.Error()))
	}
}

func TestUsualAmountsConvertWithoutBigIntegers(t *testing.T) {
	d := decimal.RequireFromString("-123456789.01")
	if n := testing.AllocsPerRun(100, func() { _, _ = money.FromDecimal(d, 2) }); n != 0 {
		t.Errorf("FromDecimal allocates %v times", n)
	}
}

func TestFormatBigWritesSumsOfAnySize(t *testing.T) {
	for _, c := range []struct {
		units string
		scale uint8
		want  string
	}{{"0", 2, "0.00"}, {"-5", 2, "-0.05"}, {"57389", 0, "57389"}, {"340282366920938463463374607431768211454", 18, "340282366920938463463.374607431768211454"}} {
		units, _ := new(big.Int).SetString(c.units, 10)
		if got := money.FormatBig(units, c.scale); got != c.want {
			t.Errorf("%s units at scale %d: %s, want %s", c.units, c.scale, got, c.want)
		}
	}
}

func FuzzDecimalRoundTrip(f *testing.F) {
	f.Add([]byte{1}, uint8(2))
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, uint8(18))
	f.Add([]byte{0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, scale uint8) {
		scale %= money.MaxScale + 1
		a := of(t, fromFuzz(b))
		if back, err := money.FromDecimal(a.Decimal(scale), scale); err != nil || back != a {
			t.Fatalf("%s at scale %d came back as %s, %v", a, scale, back, err)
		}
		text := a.Format(scale)
		d, err := money.ParseAmount(text)
		if err != nil || !d.Equal(a.Decimal(scale)) {
			t.Fatalf("%s at scale %d is written %q and read as %s, %v", a, scale, text, d, err)
		}
		if back, err := money.FromDecimal(d, scale); err != nil || back != a {
			t.Fatalf("%q came back as %s, %v", text, back, err)
		}
	})
}

// FuzzFromDecimal compares FromDecimal with exact rational arithmetic.
func FuzzFromDecimal(f *testing.F) {
	f.Add([]byte{1}, int16(0), uint8(2))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 232}, int16(-5), uint8(2))
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, int16(20), uint8(18))
	f.Fuzz(func(t *testing.T, coefficient []byte, exponent int16, scale uint8) {
		if len(coefficient) > 64 {
			return
		}
		c := new(big.Int).SetBytes(coefficient)
		if len(coefficient) > 0 && coefficient[0]&1 == 1 {
			c.Neg(c)
		}
		exponent %= 300
		got, err := money.FromDecimal(decimal.NewFromBigInt(c, int32(exponent)), scale)

		power := new(big.Int).Exp(big.NewInt(10), big.NewInt(max(int64(exponent)+int64(scale), -int64(exponent)-int64(scale))), nil)
		units := new(big.Rat).SetInt(c)
		if int(exponent)+int(scale) >= 0 {
			units.Mul(units, new(big.Rat).SetInt(power))
		} else {
			units.Quo(units, new(big.Rat).SetInt(power))
		}
		switch {
		case !units.IsInt():
			if !errors.Is(err, money.ErrScale) {
				t.Fatalf("%s·10^%d at scale %d gives %s, %v; want ErrScale", c, exponent, scale, got, err)
			}
		case !inRange(units.Num()):
			if !errors.Is(err, money.ErrRange) {
				t.Fatalf("%s·10^%d at scale %d gives %s, %v; want ErrRange", c, exponent, scale, got, err)
			}
		case err != nil || got.Big().Cmp(units.Num()) != 0:
			t.Fatalf("%s·10^%d at scale %d gives %s, %v; want %s", c, exponent, scale, got, err, units.Num())
		}
	})
}

// FuzzParseAmount holds ParseAmount against the library's own, laxer reader.
func FuzzParseAmount(f *testing.F) {
	for _, s := range []string{"0", "12.34", "-0.05", "1e3", "007", "+1", "1.", "99999999999999999999.99"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := money.ParseAmount(s)
		if err != nil {
			if !errors.Is(err, money.ErrSyntax) {
				t.Fatalf("ParseAmount(%q) gives %v", s, err)
			}
			return
		}
		want, err := decimal.NewFromString(s)
		if err != nil || !got.Equal(want) || strings.Trim(s, "-.0123456789") != "" {
			t.Fatalf("ParseAmount(%q) = %s; the library says %s, %v", s, got, want, err)
		}
	})
}

func BenchmarkFromDecimal(b *testing.B) {
	d := decimal.RequireFromString("1234567.89")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = money.FromDecimal(d, 2)
	}
}

func BenchmarkParseAmount(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = money.ParseAmount("1234567.89")
	}
}
