package risk

import (
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"tallystick/reconcile/report"
)

// Foreign exchange position: what the institution is long or short in other currencies than its own, and the charge on it.
//
//	position(c) = Σ assets − Σ liabilities in c, without the accounts through which currencies are exchanged, at the rate
//	net open    = max(Σ long, Σ |short|) + |gold|
//	charge      = 8 % of it
//
// The accounts of exchange (such as fx:USD) mirror the position, since each currency of the book adds up to zero, and so are
// left out; equity, revenue and expenses in other currencies are part of the mirror. Source: Basel Framework MAR40.3 and
// MAR40.14 (shorthand method), CRR art. 352.
const fxConvention = "mar40-shorthand-assets-less-liabilities"

// Position is what is held of a currency, in the base currency; negative is short.
type Position struct {
	Currency string
	Own      decimal.Decimal // in the currency itself
	Base     decimal.Decimal
}

// NetOpen returns the net open position by the shorthand method. gold is the currency that gold is booked in.
func NetOpen(positions []Position, gold string) (net, long, short, metal decimal.Decimal) {
	for _, p := range positions {
		switch {
		case gold != "" && p.Currency == gold:
			metal = metal.Add(p.Base)
		case p.Base.Sign() > 0:
			long = long.Add(p.Base)
		default:
			short = short.Sub(p.Base)
		}
	}
	return decimal.Max(long, short).Add(metal.Abs()), long, short, metal
}

// positions adds up assets less liabilities in each currency but the base, without the accounts of exchange.
func (in *Inputs) positions(exchange []string) ([]Position, error) {
	sums := map[string]decimal.Decimal{}
	for i := range in.Book.Accounts {
		a := &in.Book.Accounts[i]
		if a.Currency == in.Book.Base || a.Type != "asset" && a.Type != "liability" || a.classed && slices.Contains(exchange, a.class.Class) {
			continue
		}
		sums[a.Currency] = sums[a.Currency].Add(a.Posted.Decimal(a.Scale))
	}
	var list []Position
	for _, currency := range slices.Sorted(maps.Keys(sums)) { // the first without a rate is named
		own := sums[currency]
		base, err := in.convert(own, currency)
		if err != nil {
			return nil, err
		}
		list = append(list, Position{currency, own, base})
	}
	return list, nil
}

func fxPosition(p *page) {
	f := p.in.Policy.Risk.FX
	base := p.in.Book.Base
	net := report.Figure{ID: "fx.net_open", Title: "Net open position", Standard: "Basel MAR40, CRR art. 352", Convention: fxConvention, Meaning: "The larger of all long and all short positions in other currencies, and gold: what a move of exchange rates acts on."}
	charge := report.Figure{ID: "fx.charge", Title: "Charge", Standard: "Basel MAR40.1", Convention: fxConvention, Meaning: "The share of the net open position that has to be covered by capital: " + percent(f.Charge.Decimal) + " %."}
	list, err := p.in.positions(f.Position)
	why := p.in.unclassified()
	if err != nil {
		why = err.Error()
	}
	if why != "" {
		p.absent(net, "%s", why)
		p.absent(charge, "%s", why)
		return
	}
	open, long, short, gold := NetOpen(list, f.Gold)
	var sources []*Account
	for i := range p.in.Book.Accounts {
		if a := &p.in.Book.Accounts[i]; a.Currency != base && (a.Type == "asset" || a.Type == "liability") && !a.Posted.IsZero() && !slices.Contains(f.Position, a.class.Class) {
			sources = append(sources, a)
		}
	}
	largest(sources)
	net.Value, net.Sources = p.rounded(open, base), links(sources)
	p.figure(net, open, aboveIsWorse, f.Net)
	charge.Value = p.rounded(open.Mul(f.Charge.Decimal), base)
	p.plain(charge)
	t := &report.Table{Name: "fx", Columns: []report.Column{
		{Name: "currency", Title: "Currency", Kind: report.Text}, {Name: "position", Title: "Position", Kind: report.Amount},
		{Name: "rate", Title: "Rate", Kind: report.Ratio}, {Name: "rate_date", Title: "Rate of", Kind: report.Date},
		{Name: "base", Title: "In " + base, Kind: report.Amount, Currency: base},
	}}
	chart := &report.Chart{Kind: report.Bars, Title: "Positions", Unit: base, Series: []report.Series{{Name: "long less short"}}}
	for _, q := range list {
		row := []report.Cell{textCell(q.Currency), p.amount(q.Own, q.Currency), {}, {}, p.rounded(q.Base, base)}
		if rate, day, ok := p.in.Rates.At(q.Currency, p.in.Book.AsOf); ok {
			row[2], row[3] = textCell(rate.String()), textCell(day.String())
		}
		t.Rows = append(t.Rows, report.Row{Cells: row})
		chart.Categories = append(chart.Categories, q.Currency)
		chart.Series[0].Values = append(chart.Series[0].Values, row[4].Value)
	}
	for _, sum := range []struct {
		name string
		v    decimal.Decimal
	}{{"long", long}, {"short", short}, {"gold", gold}} {
		t.Rows = append(t.Rows, report.Row{Kind: report.Total, Cells: []report.Cell{textCell(sum.name), {}, {}, {}, p.rounded(sum.v, base)}})
	}
	p.last().Table = t
	if len(list) > 0 {
		p.last().Chart = chart
	}
}
