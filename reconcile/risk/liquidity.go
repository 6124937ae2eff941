package risk

import (
	"math/big"

	"github.com/shopspring/decimal"

	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// Liquidity coverage: liquid assets against what flows out in thirty days of stress.
//
//	HQLA  = L1 + L2A + L2B − adjustment(15 %) − adjustment(40 %)               after haircuts
//	  adjustment(15 %) = max(L2B − 15/85·(L1 + L2A), L2B − 15/60·L1, 0)
//	  adjustment(40 %) = max(L2A + L2B − adjustment(15 %) − 2/3·L1, 0)
//	net outflow = out − min(in, 75 % of out)
//	ratio       = HQLA ÷ net outflow
//
// Factors are the policy's. What matures after the horizon does not flow (inputs: maturity). Source: Basel Framework
// LCR20–40; BCBS 238, Annex 1 (caps; nothing is unwound here, since a ledger knows of no secured transactions) and Annex 4.
const liquidityConvention = "bcbs238-annex1-no-unwind"

// HQLA returns the stock of liquid assets after the caps of 40 % and 15 %, exactly, and both adjustments. The levels are
// after haircuts and not negative.
func HQLA(l1, l2a, l2b decimal.Decimal) (stock, cap15, cap40 *big.Rat) {
	one, a, b := l1.Rat(), l2a.Rat(), l2b.Rat()
	rest := func(v *big.Rat, num, den int64, of *big.Rat) *big.Rat {
		return new(big.Rat).Sub(v, new(big.Rat).Mul(big.NewRat(num, den), of))
	}
	cap15 = most(rest(b, 15, 85, new(big.Rat).Add(one, a)), rest(b, 15, 60, one), new(big.Rat))
	twos := new(big.Rat).Sub(new(big.Rat).Add(a, b), cap15)
	cap40 = most(rest(twos, 2, 3, one), new(big.Rat))
	stock = new(big.Rat).Sub(new(big.Rat).Add(one, twos), cap40)
	return stock, cap15, cap40
}

func most(list ...*big.Rat) *big.Rat {
	m := list[0]
	for _, v := range list[1:] {
		if v.Cmp(m) > 0 {
			m = v
		}
	}
	return m
}

// NetOutflow returns outflows less inflows, which count up to 75 % of the outflows.
func NetOutflow(out, in decimal.Decimal) decimal.Decimal {
	return out.Sub(decimal.Min(in, out.Mul(decimal.New(75, -2))))
}

// flow is a part of the waterfall.
type flow struct {
	class  string
	amount decimal.Decimal // in base currency, after factor or haircut
}

func liquidity(p *page) {
	l := p.in.Policy.Risk.Liquidity
	ratio := report.Figure{ID: "liquidity.ratio", Title: "Liquidity coverage", Unit: "%", Standard: "Basel LCR20–40, BCBS 238", Convention: liquidityConvention, Meaning: "Liquid assets as a share of what would flow out, net, in thirty days of stress. Below 100 % the institution could not pay."}
	levels := map[string]decimal.Decimal{}
	var assets, outs, ins []flow
	var out, in decimal.Decimal
	why := p.in.unclassified()
	take := func(class string, factor decimal.Decimal, debit, matures bool) decimal.Decimal {
		v, err := p.in.classBalance(class, debit, matures)
		if err != nil && why == "" {
			why = err.Error()
		}
		return v.Mul(factor)
	}
	for _, a := range l.Assets {
		v := take(a.Class, decimal.New(1, 0).Sub(a.Haircut.Decimal), true, false)
		levels[a.Level] = levels[a.Level].Add(v)
		assets = append(assets, flow{a.Class, v})
	}
	for _, f := range l.Outflows {
		v := take(f.Class, f.Factor.Decimal, false, true)
		out, outs = out.Add(v), append(outs, flow{f.Class, v})
	}
	for _, f := range l.Inflows {
		v := take(f.Class, f.Factor.Decimal, true, true)
		in, ins = in.Add(v), append(ins, flow{f.Class, v})
	}
	if why != "" {
		p.absent(ratio, "%s", why)
		return
	}
	stock, cap15, cap40 := HQLA(levels["1"], levels["2a"], levels["2b"])
	p.coverage(l, ratio, stock, out, in)
	p.liquidityTable(assets, outs, ins, new(big.Rat).Add(cap15, cap40), out.Sub(NetOutflow(out, in)))
}

// classBalance adds up the balances of a class on the side named, in base currency; balances on the other side count as
// none. With matures, what matures beyond the horizon is left out.
func (in *Inputs) classBalance(class string, debit, matures bool) (decimal.Decimal, error) {
	horizon := in.Policy.Risk.Liquidity.Horizon
	if horizon == 0 {
		horizon = policy.DefaultHorizon
	}
	var sum decimal.Decimal
	for _, a := range in.Book.of(class) {
		v := a.Posted.Decimal(a.Scale)
		if !debit {
			v = v.Neg()
		}
		if v.Sign() <= 0 {
			continue
		}
		if day, known := in.Dated.Maturity(a.Code); matures && known && int(day-in.Book.AsOf) > horizon {
			continue
		}
		base, err := in.convert(v, a.Currency)
		if err != nil {
			return sum, err
		}
		sum = sum.Add(base)
	}
	return sum, nil
}

// coverage writes the ratio and what it is made of.
func (p *page) coverage(l *policy.Liquidity, ratio report.Figure, stock *big.Rat, out, in decimal.Decimal) {
	base := p.in.Book.Base
	net := NetOutflow(out, in)
	hqla := decimal.NewFromBigRat(stock, ratDecimals)
	switch {
	case net.Sign() <= 0:
		p.absent(ratio, "nothing flows out, so there is nothing to cover")
	default:
		v := decimal.NewFromBigRat(new(big.Rat).Quo(stock, net.Rat()), ratDecimals)
		ratio.Value = textCell(percent(v))
		limits := l.Ratio
		if limits.Red == nil {
			limits.Red = &policy.Decimal{Decimal: decimal.New(1, 0)}
		}
		p.figure(ratio, v.Shift(2), belowIsWorse, inPercent(limits))
	}
	for _, f := range []struct {
		id, title, meaning string
		v                  decimal.Decimal
	}{
		{"hqla", "Liquid assets", "High-quality liquid assets after haircuts and caps.", hqla},
		{"outflow", "Outflows", "What flows out in the horizon by the policy's factors.", out},
		{"inflow", "Inflows", "What flows in; at most three quarters of the outflows count.", in},
		{"net_outflow", "Net outflows", "Outflows less the inflows that count.", net},
	} {
		p.plain(report.Figure{ID: "liquidity." + f.id, Title: f.title, Value: p.rounded(f.v, base), Meaning: f.meaning, Standard: ratio.Standard, Convention: liquidityConvention})
	}
}

// ratDecimals is where exact fractions become decimals, long before they are rounded: to a currency, or to a hundredth of a
// percent. Limits are held against what is not rounded yet.
const ratDecimals = 24

// liquidityTable writes every class, and the waterfall from assets to what is left.
func (p *page) liquidityTable(assets, outs, ins []flow, caps *big.Rat, counted decimal.Decimal) {
	base := p.in.Book.Base
	t := &report.Table{Name: "liquidity", Columns: []report.Column{
		{Name: "part", Title: "Part", Kind: report.Text}, {Name: "class", Title: "Class", Kind: report.Text}, {Name: "amount", Title: "Weighted", Kind: report.Amount, Currency: base}}}
	chart := &report.Chart{Kind: report.Waterfall, Title: "From liquid assets to what is left", Unit: base, Series: []report.Series{{Name: "change"}}}
	var left decimal.Decimal
	step := func(name string, v decimal.Decimal) {
		left = left.Add(v)
		chart.Categories = append(chart.Categories, name)
		chart.Series[0].Values = append(chart.Series[0].Values, p.rounded(v, base).Value)
	}
	row := func(part, class string, v decimal.Decimal) {
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{textCell(part), textCell(class), p.rounded(v, base)}})
	}
	for _, f := range assets {
		row("liquid assets", f.class, f.amount)
		step(f.class, f.amount)
	}
	over := decimal.NewFromBigRat(caps, ratDecimals).Neg()
	row("beyond the caps", "", over)
	step("caps", over)
	for _, f := range outs {
		row("outflows", f.class, f.amount.Neg())
		step(f.class, f.amount.Neg())
	}
	for _, f := range ins {
		row("inflows", f.class, f.amount)
	}
	row("inflows that count", "", counted)
	step("inflows", counted)
	chart.Categories = append(chart.Categories, "left=")
	chart.Series[0].Values = append(chart.Series[0].Values, p.rounded(left, base).Value)
	p.last().Table, p.last().Chart = t, chart
}
