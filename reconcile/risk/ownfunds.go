package risk

import (
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// Own funds that a payment or e-money institution must hold, from its ledger.
//
// Method B, payment services (PSD2 art. 9(1)): PV is a twelfth of the payments of the preceding year.
//
//	4 % of PV up to 5 m + 2.5 % up to 10 m + 1 % up to 100 m + 0.5 % up to 250 m + 0.25 % above, times k
//
// Method D, e-money (EMD2 art. 5(3), 2(4)): 2 % of the average of what was outstanding at the end of each calendar day of the
// six calendar months before, computed on the first day of the month and applied for that month. What is outstanding are the
// balances in the holders' favour: what one of them owes is no less e-money of another.
//
// Payments are the debits of the classes that the policy names, reversals excepted, over the twelve months up to the as-of
// date; slices are of the base currency, and other currencies count at the rate of the as-of date.
const (
	methodBConvention = "psd2-art9-method-b-rolling-12-months"
	methodDConvention = "emd2-art5-method-d-calendar-days"
)

// slice is a part of the payment volume and its rate.
type slice struct{ upTo, rate decimal.Decimal }

// methodB are the slices of PSD2 art. 9(1); the last has no end.
var methodB = []slice{
	{decimal.New(5, 6), decimal.New(4, -2)},
	{decimal.New(10, 6), decimal.New(25, -3)},
	{decimal.New(100, 6), decimal.New(1, -2)},
	{decimal.New(250, 6), decimal.New(5, -3)},
	{decimal.Decimal{}, decimal.New(25, -4)},
}

// MethodB returns the own funds by PSD2 art. 9, method B, of a monthly payment volume, exactly.
func MethodB(volume, scaling decimal.Decimal) decimal.Decimal {
	var sum, from decimal.Decimal
	for _, s := range methodB {
		part := volume.Sub(from)
		if !s.upTo.IsZero() {
			part = decimal.Min(volume, s.upTo).Sub(from)
		}
		if part.Sign() > 0 {
			sum = sum.Add(part.Mul(s.rate))
		}
		from = s.upTo
	}
	return sum.Mul(scaling)
}

// MethodD returns the own funds by EMD2 art. 5, method D: 2 % of an average of e-money outstanding.
func MethodD(average decimal.Decimal) decimal.Decimal { return average.Mul(decimal.New(2, -2)) }

// fundsHistory follows payments and e-money by currency.
type fundsHistory struct {
	payment, emoney []int32 // by account: the currency's place, −1 for none
	currencies      []string
	scales          []uint8
	outstanding     []money.Int128
	days            [][]point[money.Int128] // of outstanding
	paid            []map[chain.Date]money.Int128
}

func newFundsHistory(b *Book, o *policy.OwnFunds) *fundsHistory {
	h := &fundsHistory{payment: make([]int32, len(b.Accounts)), emoney: make([]int32, len(b.Accounts))}
	for i := range b.Accounts {
		a := &b.Accounts[i]
		h.payment[i], h.emoney[i] = -1, -1
		pays, is := slices.Contains(o.Payments, a.class.Class), slices.Contains(o.EMoney, a.class.Class)
		if !a.classed || !pays && !is {
			continue
		}
		at := slices.Index(h.currencies, a.Currency)
		if at < 0 {
			at = len(h.currencies)
			h.currencies, h.scales = append(h.currencies, a.Currency), append(h.scales, a.Scale)
			h.paid = append(h.paid, map[chain.Date]money.Int128{})
		}
		if pays {
			h.payment[i] = int32(at)
		}
		if is {
			h.emoney[i] = int32(at)
		}
	}
	h.outstanding = make([]money.Int128, len(h.currencies))
	h.days = make([][]point[money.Int128], len(h.currencies))
	return h
}

func (h *fundsHistory) move(m *Movement) bool {
	if at := h.payment[m.Account]; at >= 0 && m.Units.Sign() > 0 && !m.Undo {
		sum, ok := h.paid[at][m.Day].Add(m.Units)
		if !ok {
			return false
		}
		h.paid[at][m.Day] = sum
	}
	if at := h.emoney[m.Account]; at >= 0 {
		after, _ := m.Posted.Neg() // credit-positive
		before, ok := after.Add(m.Units)
		if !ok {
			return false
		}
		if h.outstanding[at], ok = h.outstanding[at].Sub(only(before, 1)); !ok {
			return false
		}
		if h.outstanding[at], ok = h.outstanding[at].Add(only(after, 1)); !ok {
			return false
		}
	}
	return true
}

func (h *fundsHistory) endDay(day chain.Date) {
	for i, now := range h.outstanding {
		if list := h.days[i]; len(list) == 0 || list[len(list)-1].value != now {
			h.days[i] = append(list, point[money.Int128]{day, now})
		}
	}
}

// year returns the first of the twelve months up to the as-of date: a year before the day after it, which also at the end of
// February leaves out no day.
func (in *Inputs) year() chain.Date {
	return chain.DateOf((in.Book.AsOf + 1).Time().AddDate(-1, 0, 0))
}

// volume returns the payments of the twelve months up to the as-of date, in base currency.
func (in *Inputs) volume() (decimal.Decimal, error) {
	h := in.History.funds
	from := in.year()
	var sum decimal.Decimal
	for i, currency := range h.currencies {
		var units money.Int128
		for day, paid := range h.paid[i] {
			if day >= from && day <= in.Book.AsOf {
				var ok bool
				if units, ok = units.Add(paid); !ok {
					return sum, errOverflow
				}
			}
		}
		base, err := in.convert(units.Decimal(h.scales[i]), currency)
		if err != nil {
			return sum, err
		}
		sum = sum.Add(base)
	}
	return sum, nil
}

// average returns the average of e-money outstanding at the close of each calendar day of the six calendar months before
// the as-of date's, in base currency.
func (in *Inputs) average() (mean decimal.Decimal, from, to chain.Date, err error) {
	month := in.Book.AsOf.Time()
	first := time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	from, to = chain.DateOf(first.AddDate(0, -6, 0)), chain.DateOf(first)-1
	if !in.History.begun || in.History.first > from {
		return mean, from, to, fmt.Errorf("six calendar months are needed, from %s on, and the ledger's first movement is later", from)
	}
	h := in.History.funds
	var sum decimal.Decimal
	for i, currency := range h.currencies {
		var units decimal.Decimal
		for day := from; day <= to; day++ {
			v, _ := at(h.days[i], day)
			units = units.Add(v.Decimal(h.scales[i]))
		}
		base, err := in.convert(units, currency)
		if err != nil {
			return mean, from, to, err
		}
		sum = sum.Add(base)
	}
	return sum.DivRound(decimal.NewFromInt(int64(to-from)+1), ratDecimals), from, to, nil
}

func ownFunds(p *page) {
	o := p.in.Policy.Risk.OwnFunds
	base := p.in.Book.Base
	why := p.in.unclassified()
	var required decimal.Decimal
	computed := why == ""
	if len(o.Payments) > 0 {
		f := report.Figure{ID: "own_funds.method_b", Title: "Own funds, method B", Standard: "PSD2 art. 9", Convention: methodBConvention, Meaning: "What has to be held for payment services: a falling share of a twelfth of the payments of a year."}
		v, ok := p.methodB(o, f, why)
		required, computed = required.Add(v), computed && ok
	}
	if len(o.EMoney) > 0 {
		f := report.Figure{ID: "own_funds.method_d", Title: "Own funds, method D", Standard: "EMD2 art. 5, UK EMR 2011 sch. 2", Convention: methodDConvention, Meaning: "What has to be held for e-money: 2 % of what was outstanding on average."}
		v, ok := p.methodD(f, why)
		required, computed = required.Add(v), computed && ok
	}
	excess := report.Figure{ID: "own_funds.excess", Title: "Own funds beyond the requirement", Standard: "PSD2 art. 8, EMD2 art. 5", Convention: "held-less-methods-b-and-d", Meaning: "What is held as own funds less what has to be held."}
	switch {
	case !computed:
		p.absent(excess, "the requirement is not computed")
		return
	case len(o.Payments)+len(o.EMoney) == 0:
		p.absent(excess, "the policy names neither payments nor e_money under risk.own_funds")
		return
	case len(o.Held) == 0:
		p.absent(excess, "the policy names no classes of own funds (risk.own_funds.held)")
		return
	}
	var held decimal.Decimal
	accounts := p.in.Book.of(o.Held...)
	for _, a := range accounts {
		v, err := p.in.convert(a.Posted.Decimal(a.Scale).Neg(), a.Currency)
		if err != nil {
			p.absent(excess, "%s", err)
			return
		}
		held = held.Add(v)
	}
	left := held.Sub(required)
	excess.Value, excess.Sources = p.rounded(left, base), links(accounts)
	limits := o.Excess
	if limits.Red == nil {
		limits.Red = &policy.Decimal{}
	}
	p.figure(excess, left, belowIsWorse, limits)
}

func (p *page) methodB(o *policy.OwnFunds, f report.Figure, why string) (decimal.Decimal, bool) {
	volume, err := p.in.volume()
	year := p.in.year()
	switch {
	case why != "":
	case err != nil:
		why = err.Error()
	case !p.in.History.begun || p.in.History.first > year:
		why = fmt.Sprintf("a year of payments is needed, from %s on, and the ledger's first movement is later", year)
	}
	if why != "" {
		p.absent(f, "%s", why)
		return decimal.Decimal{}, false
	}
	monthly := volume.DivRound(decimal.NewFromInt(12), ratDecimals)
	v := MethodB(monthly, o.Scaling.Decimal)
	f.Value, f.Sources = p.rounded(v, p.in.Book.Base), links(p.in.Book.of(o.Payments...))
	p.plain(f)
	p.plain(report.Figure{ID: "own_funds.volume", Title: "Monthly payment volume", Value: p.rounded(monthly, p.in.Book.Base), Standard: f.Standard, Convention: f.Convention, Meaning: "A twelfth of all payments from " + year.String() + " on."})
	return v, true
}

func (p *page) methodD(f report.Figure, why string) (decimal.Decimal, bool) {
	mean, from, to, err := p.in.average()
	if why == "" && err != nil {
		why = err.Error()
	}
	if why != "" {
		p.absent(f, "%s", why)
		return decimal.Decimal{}, false
	}
	v := MethodD(mean)
	f.Value, f.Sources = p.rounded(v, p.in.Book.Base), links(p.in.Book.of(p.in.Policy.Risk.OwnFunds.EMoney...))
	p.plain(f)
	p.plain(report.Figure{ID: "own_funds.average", Title: "Average e-money outstanding", Value: p.rounded(mean, p.in.Book.Base), Standard: f.Standard, Convention: f.Convention, Meaning: fmt.Sprintf("At the close of each calendar day from %s to %s.", from, to)})
	return v, true
}
