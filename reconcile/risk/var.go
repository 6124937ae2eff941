package risk

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// Value at risk of the currencies held: what today's positions could lose by exchange rates in a few days.
//
//	loss(t)       = −Σ position(c) · (rate(c, t) ÷ rate(c, t−1) − 1)      positions of fx.go, in base currency
//	historical    = quantile of type 7 of the losses of the window; shortfall: mean of the losses that reach it
//	parametric    = z · root mean square                                   without drift
//	EWMA          = z · √(λσ² + (1−λ)u², …)                                from the square of the first return
//	Cornish-Fisher = mean + deviation · z corrected for skew and kurtosis
//
// each times √horizon. The back-test holds the loss of each of the last days against the historical figure of the day
// before, with today's positions: exceptions, Kupiec's proportion of failures, the traffic light of Basel.
//
// Source: Basel Framework MAR30–33 (value at risk, back-testing), RiskMetrics Technical Document 1996.
const (
	varHistorical = "var-historical-type7"
	varParametric = "var-normal-zero-mean"
	varEWMA       = "var-ewma-seed-first-square"
	varCornish    = "var-cornish-fisher-gonum-moments"
)

const varStandard = "Basel MAR30–33, RiskMetrics 1996"

// returnsOf are what positions would have gained, by day, in the order of days.
type returnsOf struct {
	from  chain.Date // the day before the first
	days  []chain.Date
	gains []float64
}

// gains computes what today's positions would have gained on each of the last n days that have rates of all of them.
func (in *Inputs) gains(positions []Position, n int) (r returnsOf) {
	var held []Position
	for _, p := range positions {
		if !p.Base.IsZero() {
			held = append(held, p)
		}
	}
	common := map[chain.Date]int{}
	rates := make([]map[chain.Date]decimal.Decimal, len(held))
	for i, p := range held {
		rates[i] = map[chain.Date]decimal.Decimal{}
		for _, q := range in.Rates.last(p.Currency, in.Book.AsOf, policy.MaxReturns*2) {
			rates[i][q.day] = q.rate
			common[q.day]++
		}
	}
	var days []chain.Date
	for day, count := range common {
		if count == len(held) {
			days = append(days, day)
		}
	}
	slices.Sort(days)
	days = days[max(0, len(days)-n-1):]
	if len(days) > 0 {
		r.from = days[0]
	}
	for t := 1; t < len(days); t++ {
		var gain float64
		for i, p := range held {
			change := rates[i][days[t]].DivRound(rates[i][days[t-1]], ratDecimals).Sub(decimal.New(1, 0))
			gain += p.Base.Mul(change).InexactFloat64()
		}
		r.days, r.gains = append(r.days, days[t]), append(r.gains, gain)
	}
	return r
}

// broken says why the returns are none of days: rates of all currencies are missing for too long, so that a return would be
// that of weeks, or a number is beyond what statistics can hold.
func (r *returnsOf) broken(asOf chain.Date) string {
	before := r.from
	for i, day := range append(slices.Clone(r.days), asOf) {
		if day-before > MaxRateAge {
			return fmt.Sprintf("from %s to %s there is no day with rates of all currencies held, and at most %d days may lie between", before, day, MaxRateAge)
		}
		if before = day; i < len(r.gains) && !(math.Abs(r.gains[i]) < maxGain) {
			return fmt.Sprintf("the rates of %s make a gain beyond %g", day, maxGain)
		}
	}
	return ""
}

// maxGain keeps fourth powers finite.
const maxGain = 1e60

func valueAtRisk(p *page) {
	v := p.in.Policy.Risk.VaR
	f := report.Figure{ID: "var.historical", Title: "Value at risk, historical", Standard: varStandard, Convention: varHistorical,
		Meaning: fmt.Sprintf("On %s %% of days today's positions lose no more than this by exchange rates within %d days.", percentText(v.Confidence.Decimal), v.Horizon)}
	var exchange []string
	if fx := p.in.Policy.Risk.FX; fx != nil {
		exchange = fx.Position
	}
	positions, err := p.in.positions(exchange)
	why := p.in.unclassified()
	var r returnsOf
	switch {
	case why != "":
	case err != nil:
		why = err.Error()
	case !slices.ContainsFunc(positions, func(q Position) bool { return !q.Base.IsZero() }):
		why = "there are no positions in other currencies than " + p.in.Book.Base
	default:
		if r = p.in.gains(positions, v.Window+v.Backtest); len(r.gains) < v.Window {
			why = fmt.Sprintf("%d daily returns are needed, and the rates of the currencies held give %d", v.Window, len(r.gains))
		} else {
			why = r.broken(p.in.Book.AsOf)
		}
	}
	if why != "" {
		p.absent(f, "%s", why)
		return
	}
	p.losses(f, r.gains[len(r.gains)-v.Window:], v)
	p.backtest(r, v)
}

func percentText(share decimal.Decimal) string { return share.Shift(2).String() }

// losses writes the figures over one window of gains.
func (p *page) losses(f report.Figure, gains []float64, v *policy.VaR) {
	losses := make([]float64, len(gains))
	for i, g := range gains {
		losses[i] = -g
	}
	confidence := v.Confidence.InexactFloat64()
	z := normal.Quantile(confidence)
	root := NormalVaR(1, 1, 1, float64(v.Horizon))
	base := p.in.Book.Base
	figure := func(id, title, convention, meaning string, value float64) report.Figure {
		return report.Figure{ID: "var." + id, Title: title, Value: p.rounded(decimal.NewFromFloat(value*root), base), Standard: varStandard, Convention: convention, Meaning: meaning}
	}
	atRisk, shortfall := historical(losses, confidence)
	f.Value = p.rounded(decimal.NewFromFloat(atRisk*root), base)
	p.figure(f, decimal.NewFromFloat(atRisk*root), aboveIsWorse, v.Limit)
	sigma := rootMeanSquare(losses)
	weighted := ewmaVolatility(gains, v.Lambda.InexactFloat64())
	for _, g := range []report.Figure{
		figure("shortfall", "Expected shortfall, historical", varHistorical, "What is lost on average on the days that are worse.", shortfall),
		figure("parametric", "Value at risk, parametric", varParametric, "The same if gains were normally distributed around zero.", z*sigma),
		figure("parametric_shortfall", "Expected shortfall, parametric", varParametric, "The mean of a normal loss beyond it.", normalShortfall(sigma, z, confidence)),
		figure("ewma", "Value at risk, EWMA", varEWMA, "The same with the newest days weighing most.", z*weighted),
		figure("ewma_shortfall", "Expected shortfall, EWMA", varEWMA, "The mean of a normal loss beyond it.", normalShortfall(weighted, z, confidence)),
		figure("cornish_fisher", "Value at risk, Cornish-Fisher", varCornish, "The normal quantile corrected for how lopsided and heavy-tailed the losses are.", cornishFisherVaR(losses, z)),
	} {
		p.plain(g)
	}
}

// backtest holds each of the last days against the figure of the day before.
func (p *page) backtest(r returnsOf, v *policy.VaR) {
	f := report.Figure{ID: "var.exceptions", Title: "Back-test: exceptions", Unit: "days", Standard: "Basel MAR32", Convention: "mar32-traffic-light-current-positions", Meaning: "On how many days more was lost than the figure of the day before said."}
	why := ""
	switch {
	case v.Backtest == 0:
		why = "the policy asks for no back-test (risk.var.backtest)"
	case len(r.gains) < v.Window+v.Backtest:
		why = fmt.Sprintf("%d daily returns are needed for the window and the back-test, and there are %d", v.Window+v.Backtest, len(r.gains))
	}
	kupiec := report.Figure{ID: "var.kupiec", Title: "Back-test: Kupiec's likelihood ratio", Standard: "Kupiec 1995", Convention: "pof-chi2-1", Meaning: "How badly the number of exceptions fits the confidence."}
	if why != "" {
		p.absent(f, "%s", why)
		p.absent(kupiec, "%s", why)
		return
	}
	confidence := v.Confidence.InexactFloat64()
	base := p.in.Book.Base
	chart := &report.Chart{Kind: report.Lines, Title: "Gains of today's positions against the figure of the day before", Unit: base,
		Series: []report.Series{{Name: "gain"}, {Name: "value at risk, as a loss"}}}
	exceptions := 0
	for t := len(r.gains) - v.Backtest; t < len(r.gains); t++ {
		losses := make([]float64, v.Window)
		for i := range losses {
			losses[i] = -r.gains[t-v.Window+i]
		}
		atRisk, _ := historical(losses, confidence)
		if -r.gains[t] > atRisk {
			exceptions++
		}
		chart.Categories = append(chart.Categories, r.days[t].String())
		chart.Series[0].Values = append(chart.Series[0].Values, p.rounded(decimal.NewFromFloat(r.gains[t]), base).Value)
		chart.Series[1].Values = append(chart.Series[1].Values, p.rounded(decimal.NewFromFloat(-atRisk), base).Value)
	}
	amber, red := Zones(v.Backtest, 1-confidence)
	one := decimal.New(1, 0)
	f.Value = textCell(strconv.Itoa(exceptions))
	n := decimal.NewFromInt(int64(exceptions))
	p.figure(f, n, aboveIsWorse, policy.Limit{
		Amber: &policy.Decimal{Decimal: decimal.NewFromInt(int64(amber)).Sub(one)},
		Red:   &policy.Decimal{Decimal: decimal.NewFromInt(int64(red)).Sub(one)},
	})
	ratio, probability := Kupiec(v.Backtest, exceptions, 1-confidence)
	kupiec.Value = textCell(decimal.NewFromFloat(ratio).StringFixed(5))
	kupiec.Meaning = "How badly the number of exceptions fits the confidence; its p-value is " + decimal.NewFromFloat(probability).StringFixed(5) + ", and below 0.05 the model is doubtful."
	p.plain(kupiec)
	p.last().Chart = chart
}
