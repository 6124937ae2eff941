package risk

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// Limits and negative balances: which accounts stand below what the policy allows them, by how much, for how long, and
// how far down they were during the day.
//
//	excess = max(0, −balance − below)      balance on the account's normal side, below from the policy
//	days   = calendar days in excess at their close, up to and with the as-of date, without a break
//
// An account that was in excess only between two closes has an excess of zero and is listed with its lowest balance.
//
// Source: the institution's policy.
const exposureConvention = "policy-limit-close-of-day"

// limitHistory follows the accounts with a limit.
type limitHistory struct {
	floor   []money.Int128 // by account: the lowest balance allowed, on the normal side
	limited []bool
	normal  []bool // debit-normal
	now     []money.Int128
	lowest  []money.Int128 // on the day of touched, its opening balance included
	on      []chain.Date   // the day that lowest is of
	since   []chain.Date   // first day of the excess that stands now
	over    []bool         // was in excess at the last close
	touched []int32        // today
}

func newLimitHistory(b *Book, e *policy.Exposure) *limitHistory {
	n := len(b.Accounts)
	h := &limitHistory{
		floor: make([]money.Int128, n), limited: make([]bool, n), normal: make([]bool, n), now: make([]money.Int128, n),
		lowest: make([]money.Int128, n), on: make([]chain.Date, n), since: make([]chain.Date, n), over: make([]bool, n),
	}
	for i := range b.Accounts {
		a := &b.Accounts[i]
		h.on[i] = never
		h.normal[i] = a.debitNormal()
		below, ok := limitOf(a, e)
		if !ok {
			continue
		}
		units, err := money.FromDecimal(below.Truncate(int32(a.Scale)), a.Scale)
		if err != nil {
			continue // further than any balance can be
		}
		h.floor[i], _ = units.Neg()
		h.limited[i] = true
	}
	return h
}

// never is a day before all others.
const never = chain.Date(math.MinInt32)

// limitOf returns how far below zero the account may be.
func limitOf(a *Account, e *policy.Exposure) (decimal.Decimal, bool) {
	for _, l := range e.Limits {
		if a.classed && l.Class == a.class.Class {
			return l.Below.Decimal, true
		}
	}
	return decimal.Decimal{}, false
}

func (h *limitHistory) move(m *Movement) {
	i := m.Account
	if !h.limited[i] {
		return
	}
	if h.on[i] != m.Day {
		h.on[i], h.lowest[i] = m.Day, h.now[i]
		h.touched = append(h.touched, i)
	}
	v := m.Posted
	if !h.normal[i] {
		v, _ = v.Neg()
	}
	h.now[i] = v
	if v.Cmp(h.lowest[i]) < 0 {
		h.lowest[i] = v
	}
}

func (h *limitHistory) endDay(day chain.Date) {
	for _, i := range h.touched {
		over := h.now[i].Cmp(h.floor[i]) < 0
		if over && !h.over[i] {
			h.since[i] = day
		}
		h.over[i] = over
	}
	h.touched = h.touched[:0]
}

// low returns the lowest balance during a day, which without movements is that at its beginning.
func (h *limitHistory) low(i int, day chain.Date) money.Int128 {
	if h.on[i] == day {
		return h.lowest[i]
	}
	return h.now[i]
}

// excess is an account beyond its limit.
type excess struct {
	at     int
	amount decimal.Decimal // at the close of the day
	lowest decimal.Decimal // during it
	days   int64
}

func exposure(p *page) {
	e, h := p.in.Policy.Risk.Exposure, p.in.History.limits
	if len(e.Limits) == 0 {
		p.absent(report.Figure{ID: "exposure", Title: p.Title, Meaning: "Which accounts stand below their limits."}, "the policy names no limits under risk.exposure")
		return
	}
	byCurrency := map[string][]excess{}
	asOf := p.in.Book.AsOf
	var accounts []*Account
	for i := range p.in.Book.Accounts {
		if !h.limited[i] {
			continue
		}
		a := &p.in.Book.Accounts[i]
		accounts = append(accounts, a)
		x := excess{at: i, lowest: h.low(i, asOf).Decimal(a.Scale)}
		floor := h.floor[i].Decimal(a.Scale)
		if h.over[i] {
			x.amount = floor.Sub(h.now[i].Decimal(a.Scale))
			x.days = int64(asOf-h.since[i]) + 1
		}
		if h.over[i] || x.lowest.Cmp(floor) < 0 {
			byCurrency[a.Currency] = append(byCurrency[a.Currency], x)
		}
	}
	for _, currency := range currencies(accounts) {
		p.exposureIn(currency, byCurrency[currency], e)
	}
	p.Notes = append(p.Notes, "Balances are on each account's normal side; the lowest balance is that during the as-of date, its opening balance included.")
}

// exposureIn writes what stands below its limits in one currency.
func (p *page) exposureIn(currency string, list []excess, e *policy.Exposure) {
	accounts := p.in.Book.Accounts
	slices.SortFunc(list, func(a, b excess) int {
		return cmp.Or(b.amount.Cmp(a.amount), a.lowest.Cmp(b.lowest), cmp.Compare(a.at, b.at))
	})
	var sum decimal.Decimal
	var longest int64
	var over []*Account
	for _, x := range list {
		sum = sum.Add(x.amount)
		longest = max(longest, x.days)
		if x.amount.Sign() > 0 {
			over = append(over, &accounts[x.at])
		}
	}
	p.block(p.Title + ": " + currency)
	id := "exposure." + currency
	p.plain(report.Figure{ID: id + ".excess", Title: "Beyond limits in " + currency, Value: p.amount(sum, currency), Meaning: fmt.Sprintf("What %d accounts stand below their limits, together.", len(over)), Standard: "policy", Convention: exposureConvention, Sources: links(over)})
	p.figure(report.Figure{ID: id + ".days", Title: "Longest excess in " + currency, Value: textCell(strconv.FormatInt(longest, 10)), Unit: "days", Meaning: "For how many days in a row, today included, the account has been below its limit that has been so longest.", Standard: "policy", Convention: exposureConvention, Sources: links(over)},
		decimal.NewFromInt(longest), aboveIsWorse, e.Days)
	t := &report.Table{Name: "exposure-" + lower(currency), Columns: []report.Column{
		{Name: "account", Title: "Account", Kind: report.Code}, {Name: "class", Title: "Class", Kind: report.Text},
		{Name: "balance", Title: "Balance", Kind: report.Amount, Currency: currency}, {Name: "limit", Title: "Lowest allowed", Kind: report.Amount, Currency: currency},
		{Name: "excess", Title: "Excess", Kind: report.Amount, Currency: currency}, {Name: "lowest", Title: "Lowest of the day", Kind: report.Amount, Currency: currency},
		{Name: "days", Title: "Days in excess", Kind: report.Count},
	}}
	rows := e.Top
	if rows == 0 {
		rows = policy.DefaultTop
	}
	chart := &report.Chart{Kind: report.Bars, Title: "Largest excesses in " + currency, Unit: currency, Series: []report.Series{{Name: "excess"}}}
	for _, x := range list[:min(rows, len(list))] {
		a := &accounts[x.at]
		floor := p.in.History.limits.floor[x.at].Decimal(a.Scale)
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{accountCell(a.Code), textCell(a.class.Class), p.amount(a.Normal(), currency), p.amount(floor, currency), p.amount(x.amount, currency), p.amount(x.lowest, currency), textCell(strconv.FormatInt(x.days, 10))}})
		if x.amount.Sign() > 0 {
			chart.Categories = append(chart.Categories, a.Code)
			chart.Series[0].Values = append(chart.Series[0].Values, p.amount(x.amount, currency).Value)
		}
	}
	if len(list) > rows {
		p.Notes = append(p.Notes, fmt.Sprintf("Of %d accounts below their limits in %s the first %d are listed.", len(list), currency, rows))
	}
	b := p.last()
	b.Table = t
	if len(chart.Categories) > 0 {
		b.Chart = chart
	}
}
