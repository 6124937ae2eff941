package risk

import (
	"fmt"
	"strconv"

	"github.com/shopspring/decimal"

	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// Expected credit loss of receivables, by a provision matrix.
//
//	loss = Σ over receivables of balance · rate(calendar days past due)
//
// The simplified approach: lifetime losses without a model, by how late a receivable is. When a receivable is due is an
// input (inputs: due). Source: IFRS 9 B5.5.35 and Illustrative Example 12.
const creditConvention = "ifrs9-simplified-provision-matrix"

// Provision adds up amounts by bucket times the bucket's rate, exactly.
func Provision(amounts []decimal.Decimal, buckets []policy.Bucket) (each []decimal.Decimal, sum decimal.Decimal) {
	each = make([]decimal.Decimal, len(buckets))
	for i, b := range buckets {
		each[i] = amounts[i].Mul(b.Rate.Decimal)
		sum = sum.Add(each[i])
	}
	return each, sum
}

func creditLoss(p *page) {
	l := p.in.Policy.Risk.Credit
	accounts := p.in.Book.of(l.Classes...)
	var undated []string
	for _, a := range accounts {
		if _, known := p.in.Dated.Due(a.Code); !known && a.Posted.Sign() > 0 {
			undated = append(undated, a.Code)
		}
	}
	f := report.Figure{ID: "credit_loss", Title: "Expected credit loss", Standard: "IFRS 9 B5.5.35, IE Example 12", Convention: creditConvention, Meaning: "What of the receivables will probably never be paid, by how late they are."}
	switch why := p.in.unclassified(); {
	case why != "":
		p.absent(f, "%s", why)
		return
	case len(undated) > 0:
		p.absent(f, "the inputs do not say when %s are due", named(undated))
		return
	case len(accounts) == 0:
		p.absent(f, "no account is of the classes %v", l.Classes)
		return
	}
	for _, currency := range currencies(accounts) {
		p.creditIn(currency, accounts, l, f)
	}
}

// creditIn writes the matrix of one currency.
func (p *page) creditIn(currency string, accounts []*Account, l *policy.CreditLoss, f report.Figure) {
	amounts := make([]decimal.Decimal, len(l.Buckets))
	counts := make([]int, len(l.Buckets))
	var late []*Account
	for _, a := range accounts {
		if a.Currency != currency || a.Posted.Sign() <= 0 {
			continue
		}
		due, _ := p.in.Dated.Due(a.Code)
		b := bucketOf(l.Buckets, max(0, int(p.in.Book.AsOf-due)))
		amounts[b] = amounts[b].Add(a.Posted.Decimal(a.Scale)) // owed to the institution, whatever side is normal
		counts[b]++
		if due < p.in.Book.AsOf {
			late = append(late, a)
		}
	}
	each, sum := Provision(amounts, l.Buckets)
	largest(late)
	p.block(p.Title + ": " + currency)
	f.ID, f.Title = "credit_loss."+currency, f.Title+" in "+currency
	f.Value, f.Sources = p.rounded(sum, currency), links(late)
	p.figure(f, sum, aboveIsWorse, l.Loss)
	t := &report.Table{Name: "credit-loss-" + lower(currency), Columns: []report.Column{{Name: "days", Title: "Days past due", Kind: report.Text}, {Name: "accounts", Title: "Accounts", Kind: report.Count},
		{Name: "amount", Title: "Receivables", Kind: report.Amount, Currency: currency}, {Name: "rate", Title: "Loss rate %", Kind: report.Ratio}, {Name: "loss", Title: "Expected loss", Kind: report.Amount, Currency: currency}}}
	chart := &report.Chart{Kind: report.Bars, Title: "Expected loss by days past due", Unit: currency, Series: []report.Series{{Name: "expected loss"}}}
	var total decimal.Decimal
	for i, b := range l.Buckets {
		total = total.Add(amounts[i])
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{textCell(bucketName(l.Buckets, i)), textCell(strconv.Itoa(counts[i])), p.amount(amounts[i], currency), textCell(percent(b.Rate.Decimal)), p.rounded(each[i], currency)}})
		chart.Categories = append(chart.Categories, bucketName(l.Buckets, i))
		chart.Series[0].Values = append(chart.Series[0].Values, p.rounded(each[i], currency).Value)
	}
	t.Rows = append(t.Rows, report.Row{Kind: report.Total, Cells: []report.Cell{textCell("total"), {}, p.amount(total, currency), {}, p.rounded(sum, currency)}})
	p.last().Table, p.last().Chart = t, chart
	p.Notes = append(p.Notes, fmt.Sprintf("Balances in the debtor's favour in %s are left out, not set off.", currency))
}
