package risk

import (
	"math"

	"tallystick/ledger/money"
)

// Benford's law of leading digits: the share of d is log10(1 + 1/d).
//
// Conformity is judged by the mean absolute deviation of the shares, in the bands of Nigrini, Benford's Law (2012), table
// 7.1: first digits .006, .012, .015; first two digits .0012, .0018, .0022.

// digits counts leading digits of amounts.
type digits struct {
	n   int64 // amounts with a first digit
	two int64 // amounts with two significant digits or more
	of1 [10]int64
	of2 [100]int64
}

// count takes an amount, in units: leading digits do not depend on where the decimal point stands.
func (d *digits) count(units money.Int128) {
	text := units.AppendFormat(nil, 0)
	if len(text) == 0 || text[0] < '1' || text[0] > '9' {
		return
	}
	first := int(text[0] - '0')
	d.n++
	d.of1[first]++
	if len(text) > 1 {
		d.two++
		d.of2[first*10+int(text[1]-'0')]++
	}
}

// MinBenford is how many amounts the law is held against at least: below that chance decides the bands.
const MinBenford = 1000

// benfordShare is the share of leading digits d, which are one or two.
func benfordShare(d int) float64 { return math.Log10(1 + 1/float64(d)) }

// deviation returns the mean absolute deviation of shares from the law.
func deviation(counts []int64, from int, n int64) float64 {
	var sum float64
	for d := from; d < len(counts); d++ {
		sum += math.Abs(float64(counts[d])/float64(n) - benfordShare(d))
	}
	return sum / float64(len(counts)-from)
}

// conformity names Nigrini's band.
func conformity(mad float64, bands [3]float64) string {
	switch {
	case mad <= bands[0]:
		return "close conformity"
	case mad <= bands[1]:
		return "acceptable conformity"
	case mad <= bands[2]:
		return "marginally acceptable"
	}
	return "nonconformity"
}

var (
	bandsOfOne = [3]float64{.006, .012, .015}
	bandsOfTwo = [3]float64{.0012, .0018, .0022}
)
