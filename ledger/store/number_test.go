package store

import (
	"context"
	"encoding/binary"
	"math/big"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"

	"tallystick/ledger/money"
)

// sent returns v as an engine sends it: written by pgx, whose encoder is not
// the decoder under test.
func sent(t testing.TB, v string) Number {
	t.Helper()
	if strings.Contains(v, "e") {
		v = decimal.RequireFromString(v).String()
	}
	var n pgtype.Numeric
	if err := n.Scan(v); err != nil {
		t.Fatal(err)
	}
	b, err := pgtype.NewMap().Encode(pgtype.NumericOID, pgtype.BinaryFormatCode, n, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNumbersAreReadExactly(t *testing.T) {
	t.Parallel()
	const largest = "170141183460469231731687303715884105727"
	for _, c := range []struct {
		number string
		scale  uint8
		want   string // units; empty is a refusal
	}{
		{"0", 0, "0"}, {"0", 18, "0"}, {"0.00", 0, "0"}, {"-0", 2, "0"},
		{"12.34", 2, "1234"}, {"-12.34", 2, "-1234"}, {"12.3", 2, "1230"}, {"12.340", 2, "1234"}, {"12", 2, "1200"}, {"120000", 2, "12000000"},
		{"12.345", 2, ""}, {"0.001", 2, ""}, {"0.0001", 3, ""}, {"0.0001", 4, "1"}, {"0.00001", 4, ""}, {"0.00001", 5, "1"},
		{"1.5", 0, ""}, {"0.000000000000000001", 18, "1"}, {"0.0000000000000000001", 18, ""},
		{"99999999.99999999", 8, "9999999999999999"}, {"1234567890123456789012345678.9", 1, "12345678901234567890123456789"},
		{largest, 0, largest}, {"-" + largest, 0, "-" + largest}, {"170141183460469231731687303715884105728", 0, ""},
		{"1701411834604692317316873037158841057.27", 2, largest}, {"1701411834604692317316873037158841057.28", 2, ""},
		{"1e38", 0, "1" + zeros(38)}, {"1e39", 0, ""}, {"1e20", 18, "1" + zeros(38)}, {"1e21", 18, ""}, {"1e2000", 0, ""}, {"1e-2000", 18, ""},
		{"NaN", 2, ""}, {"Infinity", 2, ""}, {"-Infinity", 2, ""},
	} {
		got, ok := sent(t, c.number).Units(c.scale)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("%s at scale %d is %s, %t; want %q", c.number, c.scale, got, ok, c.want)
		}
	}
}

func zeros(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = '0'
	}
	return string(b)
}

func TestNumbersAreShownInFull(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"0", "0.00", "12.34", "-12.30", "0.001", "10000", "123456789.0001", "NaN", "Infinity", "-Infinity", "100000000", "-0.0000001"} {
		if got := sent(t, v).String(); got != v {
			t.Errorf("%s is shown as %s", v, got)
		}
	}
	if got := sent(t, "1e3000").String(); len(got) > 100 {
		t.Errorf("1e3000 is shown in %d bytes", len(got))
	}
	if got := Number("short").String(); got != "not a decimal" {
		t.Errorf("nonsense is shown as %s", got)
	}
}

// FuzzNumber holds Units against shopspring/decimal on whatever bytes a
// damaged or hostile database may send.
func FuzzNumber(f *testing.F) {
	for _, v := range []string{"0", "12.34", "-0.05", "1e30", "NaN", "170141183460469231731687303715884105728"} {
		f.Add([]byte(sent(f, v)), uint8(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, scale uint8) {
		scale %= money.MaxScale + 1
		n := Number(b)
		got, ok := n.Units(scale)
		_ = n.String()
		if !n.wellFormed() || n.ndigits() > 100 {
			return
		}
		value, finite := slowly(n)
		if !finite {
			if ok {
				t.Fatalf("%x is read as %s", b, got)
			}
			return
		}
		want, err := money.FromDecimal(value, scale)
		if ok != (err == nil) || ok && got != want {
			t.Fatalf("%x at scale %d is %s, %t; want %s, %v", b, scale, got, ok, want, err)
		}
	})
}

// slowly adds the digits up by the definition.
func slowly(n Number) (decimal.Decimal, bool) {
	if s := n.sign(); s != signPositive && s != signNegative {
		return decimal.Decimal{}, false
	}
	sum := new(big.Int)
	for i := range n.ndigits() {
		sum.Mul(sum, big.NewInt(10000))
		sum.Add(sum, new(big.Int).SetUint64(n.digit(i)))
	}
	if n.sign() == signNegative {
		sum.Neg(sum)
	}
	return decimal.NewFromBigInt(sum, int32(4*(n.weight()-n.ndigits()+1))), true
}

// ScanEachByArms is ScanEach with the statement for CockroachDB, on whatever
// engine this is.
func (s *Snapshot) ScanEachByArms(ctx context.Context, lookup string, args []any, keys []Key, row func(*Row) error) error {
	other := *s
	other.db = &DB{pool: s.db.pool, engine: engine{cockroach: true}}
	return other.ScanEach(ctx, lookup, args, keys, row)
}

func BenchmarkUnits(b *testing.B) {
	n := sent(b, "123456.78")
	for b.Loop() {
		if _, ok := n.Units(2); !ok {
			b.Fatal("refused")
		}
	}
}

func TestANumberOfTheWrongLengthIsRefused(t *testing.T) {
	t.Parallel()
	n := sent(t, "12.34")
	binary.BigEndian.PutUint16(n, 9)
	if _, ok := n.Units(2); ok {
		t.Error("a number that ends before its digits is read")
	}
}
