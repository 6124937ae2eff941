package risk

import (
	"math"
	"slices"
)

// Outliers: amounts that an account does not usually send, by the modified z-score of their logarithms.
//
//	z = 0.6745 · (x − median) ÷ MAD            MAD: median of |x − median|
//	z = (x − median) ÷ (1.253314 · mean |x − median|)   where MAD is zero
//
// Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993); beyond 3.5 an amount is one. Where all amounts are
// the same there is nothing to tell.

// modifiedZ returns the score of each value; nil when all values are the same.
func modifiedZ(values []float64) []float64 {
	center := median(values)
	off := make([]float64, len(values))
	var sum float64
	for i, v := range values {
		off[i] = math.Abs(v - center)
		sum += off[i]
	}
	divisor := median(off) / 0.6745
	if divisor == 0 {
		divisor = 1.253314 * sum / float64(len(values))
	}
	if divisor == 0 {
		return nil
	}
	scores := make([]float64, len(values))
	for i, v := range values {
		scores[i] = (v - center) / divisor
	}
	return scores
}

func median(values []float64) float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return Quantile7(sorted, 0.5)
}

// outlier is an amount that stands out.
type outlier struct {
	account int32
	sample  sample
	score   float64
	others  int
}

// outliers scores the newest amounts of each watched account and keeps those from a day on.
func (h *signalHistory) outliers(from int32, limit float64) []outlier {
	var list []outlier
	for i, w := range h.accounts {
		if w == nil || len(w.amounts) < max(2, h.rules.MinAmounts) || int32(w.lastDay) < from {
			continue
		}
		logs := make([]float64, len(w.amounts))
		for j, s := range w.amounts {
			v, _ := s.units.Big().Float64()
			logs[j] = math.Log(v)
		}
		for j, z := range modifiedZ(logs) {
			if math.Abs(z) > limit && int32(w.amounts[j].day) >= from {
				list = append(list, outlier{int32(i), w.amounts[j], z, len(logs)})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b outlier) int {
		switch x, y := math.Abs(a.score), math.Abs(b.score); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return int(a.sample.seq - b.sample.seq)
	})
	return list
}
