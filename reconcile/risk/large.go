package risk

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// Large exposures and concentration: what groups of connected clients owe.
//
//	exposure(g) = Σ of positive balances of the accounts of g, in base currency at the rate
//	share(g)    = exposure(g) ÷ Tier 1; reported from 10 %, at most 25 %      Basel LEX20.1, LEX10.8
//	HHI         = Σ (100 · exposure(g) ÷ Σ exposures)²                        between 10,000 ÷ n and 10,000
//	CR10        = the ten largest ÷ Σ exposures
//
// Balances in the client's favour reduce nothing: only a legal right to set off would, and no ledger knows of one. Bands of
// HHI: up to 1,000 not concentrated, up to 1,800 moderately, above highly (US DoJ and FTC, Merger Guidelines 2023, 2.1).
const largeConvention = "lex-gross-no-set-off"

// HHI returns the Herfindahl-Hirschman index of shares of a whole, in points up to 10,000: sum of squares × 10,000 over the
// square of the sum, to ratDecimals. Of nothing it is zero.
func HHI(amounts []decimal.Decimal) decimal.Decimal {
	var sum, squares decimal.Decimal
	for _, a := range amounts {
		sum = sum.Add(a)
		squares = squares.Add(a.Mul(a))
	}
	if sum.IsZero() {
		return decimal.Decimal{}
	}
	return squares.Shift(4).DivRound(sum.Mul(sum), ratDecimals)
}

// owed is what a group of connected clients owes.
type owed struct {
	group    string
	amount   decimal.Decimal
	accounts []*Account
}

// exposures adds up what each group owes, the largest first.
func (in *Inputs) exposures(classes []string) (list []owed, sum decimal.Decimal, err error) {
	at := map[string]int{}
	for _, a := range in.Book.of(classes...) {
		debit := a.Posted.Decimal(a.Scale)
		if debit.Sign() <= 0 {
			continue
		}
		base, err := in.convert(debit, a.Currency)
		if err != nil {
			return nil, sum, err
		}
		group := in.Dated.Group(a.client, in.Book.AsOf)
		if group == a.client {
			group = in.Dated.Group(a.Code, in.Book.AsOf)
			if group == a.Code {
				group = a.client
			}
		}
		i, known := at[group]
		if !known {
			i = len(list)
			at[group] = i
			list = append(list, owed{group: group})
		}
		list[i].amount = list[i].amount.Add(base)
		list[i].accounts = append(list[i].accounts, a)
		sum = sum.Add(base)
	}
	slices.SortFunc(list, func(a, b owed) int { return cmp.Or(b.amount.Cmp(a.amount), cmp.Compare(a.group, b.group)) })
	return list, sum, nil
}

func largeExposures(p *page) {
	l := p.in.Policy.Risk.Large
	largestOne := report.Figure{ID: "large_exposures.largest", Title: "Largest exposure", Standard: "Basel LEX20", Convention: largeConvention, Unit: "% of Tier 1", Meaning: "What the group of connected clients that owes most owes, as a share of Tier 1 capital."}
	hhi := report.Figure{ID: "large_exposures.hhi", Title: "Concentration (HHI)", Standard: "DoJ/FTC Merger Guidelines 2023", Convention: "hhi-points", Unit: "points", Meaning: "How much the exposures are those of few: 10,000 is one debtor. From 1,000 on concentrated, from 1,800 on highly so."}
	list, sum, err := p.in.exposures(l.Classes)
	why := p.in.unclassified()
	if err != nil {
		why = err.Error()
	}
	if why != "" {
		p.absent(largestOne, "%s", why)
		p.absent(hhi, "%s", why)
		return
	}
	p.againstTier1(l, list, largestOne)
	p.concentration(l, list, sum, hhi)
}

// againstTier1 writes shares of Tier 1, and the list.
func (p *page) againstTier1(l *policy.LargeExposures, list []owed, f report.Figure) {
	tier1, currency, from, ok := p.in.Dated.Tier1(p.in.Book.AsOf)
	why := "the inputs name no tier1 for " + p.in.Book.AsOf.String() + " or before"
	switch {
	case ok && tier1.Sign() <= 0:
		ok, why = false, fmt.Sprintf("Tier 1 is %s %s from %s on, and shares of it mean nothing", tier1, currency, from)
	case ok:
		var err error
		if tier1, err = p.in.convert(tier1, currency); err != nil {
			ok, why = false, err.Error()
		}
	}
	share := func(o owed) decimal.Decimal { return o.amount.DivRound(tier1, ratDecimals) }
	if !ok {
		p.absent(f, "%s", why)
	} else {
		var top owed
		if len(list) > 0 {
			top = list[0]
		}
		f.Value, f.Sources = textCell(percent(share(top))), links(top.accounts)
		if top.group != "" {
			f.Title += ": " + top.group
		}
		amber, red := l.Report, l.Limit
		p.figure(f, share(top).Shift(2), fromIsAmber, inPercent(policy.Limit{Amber: &amber, Red: &red}))
	}
	base := p.in.Book.Base
	t := &report.Table{Name: "large-exposures", Columns: []report.Column{
		{Name: "group", Title: "Group", Kind: report.Code}, {Name: "accounts", Title: "Accounts", Kind: report.Count},
		{Name: "exposure", Title: "Exposure", Kind: report.Amount, Currency: base}, {Name: "share", Title: "% of Tier 1", Kind: report.Ratio},
		{Name: "status", Title: "Status", Kind: report.Text},
	}}
	top := l.Top
	if top == 0 {
		top = policy.DefaultTop
	}
	for i, o := range list {
		status := ""
		cell := report.Cell{Absent: "not computed"}
		if ok {
			cell = textCell(percent(share(o)))
			switch {
			case share(o).Cmp(l.Limit.Decimal) > 0:
				status = "over the limit"
			case share(o).Cmp(l.Report.Decimal) >= 0:
				status = "to be reported"
			}
		}
		if i >= top && status == "" {
			continue
		}
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{groupCell(o), textCell(fmt.Sprint(len(o.accounts))), p.rounded(o.amount, base), cell, textCell(status)}})
	}
	p.last().Table = t
}

// groupCell links a group to its first account.
func groupCell(o owed) report.Cell {
	return report.Cell{Value: o.group, Link: &report.Link{Account: o.accounts[0].Code}}
}

// concentration writes HHI and CR10.
func (p *page) concentration(l *policy.LargeExposures, list []owed, sum decimal.Decimal, hhi report.Figure) {
	cr := report.Figure{ID: "large_exposures.cr10", Title: "Ten largest (CR10)", Standard: "industrial economics: concentration ratio", Convention: "cr10-share-of-sum", Unit: "%", Meaning: "What the ten groups that owe most owe, as a share of all exposures."}
	if sum.IsZero() {
		p.absent(hhi, "there are no exposures")
		p.absent(cr, "there are no exposures")
		return
	}
	amounts := make([]decimal.Decimal, len(list))
	var ten decimal.Decimal
	for i, o := range list {
		amounts[i] = o.amount
		if i < 10 {
			ten = ten.Add(o.amount)
		}
	}
	v := HHI(amounts)
	hhi.Value = textCell(v.StringFixed(0))
	limits := l.HHI
	p.figure(hhi, v, aboveIsWorse, limits)
	cr.Value = textCell(percent(ten.DivRound(sum, ratDecimals)))
	p.plain(cr)
}
