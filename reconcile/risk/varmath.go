package risk

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// The statistics of value at risk, on binary floating point: returns and losses, never balances. Losses are positive.

var normal = distuv.Normal{Mu: 0, Sigma: 1}

// Quantile7 returns the quantile of type 7 (Hyndman and Fan 1996): linear between order statistics, at (n−1)·p, as R and
// NumPy have it by default. gonum's LinInterp is type 4, hence this one. sorted is in ascending order and not empty.
func Quantile7(sorted []float64, p float64) float64 {
	at := float64(len(sorted)-1) * p
	i := int(math.Floor(at))
	if i >= len(sorted)-1 {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// historical returns value at risk and expected shortfall of losses: the quantile of type 7, and the mean of the losses that
// reach it.
func historical(losses []float64, confidence float64) (atRisk, shortfall float64) {
	sorted := slices.Clone(losses)
	slices.Sort(sorted)
	atRisk = Quantile7(sorted, confidence)
	n := 0
	for _, l := range sorted {
		if l >= atRisk {
			shortfall += l
			n++
		}
	}
	if n == 0 { // rounding put the quantile a hair above the largest loss
		return atRisk, atRisk
	}
	return atRisk, shortfall / float64(n)
}

// NormalVaR returns value at risk of a position with a daily volatility, under normal returns without drift, over a
// horizon of days by the square root of time (RiskMetrics 1996; Hull, Options, Futures and Other Derivatives, ch. 22).
func NormalVaR(position, volatility, z, days float64) float64 {
	return position * volatility * z * math.Sqrt(days)
}

// normalShortfall is the mean of a normal loss beyond its quantile: σ·φ(z)/(1−confidence).
func normalShortfall(sigma, z, confidence float64) float64 {
	return sigma * normal.Prob(z) / (1 - confidence)
}

// EWMA returns the next variance of exponentially weighted returns: λ·σ² + (1−λ)·u² (RiskMetrics 1996).
func EWMA(variance, lambda, u float64) float64 { return lambda*variance + (1-lambda)*u*u }

// ewmaVolatility runs EWMA over returns in order of time, from the square of the first.
func ewmaVolatility(returns []float64, lambda float64) float64 {
	variance := returns[0] * returns[0]
	for _, u := range returns[1:] {
		variance = EWMA(variance, lambda, u)
	}
	return math.Sqrt(variance)
}

// rootMeanSquare is the volatility without drift.
func rootMeanSquare(returns []float64) float64 {
	var sum float64
	for _, u := range returns {
		sum += u * u
	}
	return math.Sqrt(sum / float64(len(returns)))
}

// CornishFisher returns a normal quantile corrected for skew and excess kurtosis (Cornish and Fisher 1937, third order).
func CornishFisher(z, skew, kurtosis float64) float64 {
	return z + (z*z-1)*skew/6 + (z*z*z-3*z)*kurtosis/24 - (2*z*z*z-5*z)*skew*skew/36
}

// cornishFisherVaR takes skew and kurtosis of the losses as gonum has them: corrected for the size of the sample.
func cornishFisherVaR(losses []float64, z float64) float64 {
	mean, deviation := stat.MeanStdDev(losses, nil)
	if deviation == 0 {
		return mean
	}
	return mean + deviation*CornishFisher(z, stat.Skew(losses, nil), stat.ExKurtosis(losses, nil))
}

// Kupiec returns the likelihood ratio of the proportion of failures, and its p-value by χ² with one degree of freedom
// (Kupiec 1995): x of n days were worse than the figure, and a share of rate was to be expected.
func Kupiec(n, x int, rate float64) (ratio, p float64) {
	logs := func(share float64) float64 {
		var sum float64
		if n > x {
			sum += float64(n-x) * math.Log1p(-share)
		}
		if x > 0 {
			sum += float64(x) * math.Log(share)
		}
		return sum
	}
	ratio = max(0, -2*(logs(rate)-logs(float64(x)/float64(n))))
	return ratio, distuv.ChiSquared{K: 1}.Survival(ratio)
}

// Zones returns from how many exceptions on the amber and the red zone begin: where the probability of that many or fewer
// reaches 95 % and 99.99 % if the model is right (Basel MAR32.9). For 250 days at 99 % they are 5 and 10. Of so few days that
// none at all already reaches it, no exception is green all the same, and red begins after amber.
func Zones(days int, rate float64) (amber, red int) {
	b := distuv.Binomial{N: float64(days), P: rate}
	reaches := func(share float64) int {
		for x := 0; x < days; x++ {
			if b.CDF(float64(x)) >= share {
				return x
			}
		}
		return days
	}
	amber = max(1, reaches(0.95))
	return amber, max(amber+1, reaches(0.9999))
}
