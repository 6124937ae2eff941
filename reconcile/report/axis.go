package report

import (
	"strconv"

	"github.com/shopspring/decimal"
)

// axis maps values to units of a drawing, between two round numbers.
type axis struct {
	low, high decimal.Decimal
	ticks     []decimal.Decimal
	exponent  int32 // of ten, by which labels are divided
	decimals  int32 // of labels
	length    int
}

// Ticks of an axis: at least three, and seldom more than this.
const wantedTicks = 5

// newAxis makes one for values from low to high.
func newAxis(low, high decimal.Decimal, length int) *axis {
	if low.Equal(high) {
		low, high = decimal.Min(low, decimal.Zero), decimal.Max(high, decimal.Zero)
		if low.Equal(high) {
			high = decimal.New(1, 0)
		}
	}
	raw := high.Sub(low).Shift(-1).Mul(decimal.New(10/wantedTicks, 0))
	power := magnitude(raw)
	factor := int64(10)
	for _, f := range []int64{5, 2, 1} {
		if raw.Shift(-power).LessThanOrEqual(decimal.New(f, 0)) {
			factor = f
		}
	}
	step := decimal.New(factor, power)
	// Division by 1, 2, 5 or 10 is multiplication by 10, 5, 2 or 1, which is exact.
	steps := func(d decimal.Decimal) decimal.Decimal { return d.Shift(-power - 1).Mul(decimal.New(10/factor, 0)) }
	a := &axis{low: steps(low).Floor().Mul(step), high: steps(high).Ceil().Mul(step), length: length}
	for t := a.low; t.LessThanOrEqual(a.high); t = t.Add(step) {
		a.ticks = append(a.ticks, t)
	}
	largest := magnitude(decimal.Max(a.low.Abs(), a.high.Abs()))
	if largest >= 4 || largest < -6 {
		a.exponent = largest - (largest%3+3)%3
	}
	if factor == 10 {
		power++
	}
	a.decimals = max(0, a.exponent-power)
	return a
}

// magnitude is the power of ten of the first digit.
func magnitude(d decimal.Decimal) int32 {
	return int32(d.NumDigits()) - 1 + d.Exponent()
}

// at is the distance of a value from the low end.
func (a *axis) at(v decimal.Decimal) int {
	part := v.Sub(a.low).Mul(decimal.New(int64(a.length), 0)).DivRound(a.high.Sub(a.low), 0)
	return int(part.IntPart())
}

func (a *axis) label(tick decimal.Decimal) string {
	whole, fraction := grouped(tick.Shift(-a.exponent).StringFixed(a.decimals))
	return whole + fraction
}

// unit is what labels are in: the unit of the chart, and the power of ten that they leave out.
func (a *axis) unit(of string) string {
	words := map[int32]string{0: "", 3: "thousand", 6: "million", 9: "billion", 12: "trillion"}
	word, known := words[a.exponent]
	if !known {
		word = "× 10^" + strconv.Itoa(int(a.exponent))
	}
	if of != "" && word != "" {
		return of + " " + word
	}
	return of + word
}
