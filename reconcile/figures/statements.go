package figures

import (
	"fmt"
	"math/big"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/report"
)

// result is what the revenue and expense accounts of a currency say, credit-positive: a profit is positive.
type result struct {
	opening *big.Int // on the accounts before the period
	earned  *big.Int // in the period, without closings
	moved   *big.Int // to equity, by closings of the period
	closing *big.Int // left on the accounts
}

func (b *Books) result(currency string) result {
	r := result{new(big.Int), new(big.Int), new(big.Int), new(big.Int)}
	for _, a := range b.in(currency) {
		if !a.Income() {
			continue
		}
		r.opening.Sub(r.opening, a.Opening.Big())
		r.earned.Sub(r.earned, new(big.Int).Sub(a.Movement(), a.Moved()))
		r.moved.Add(r.moved, a.Moved())
		r.closing.Sub(r.closing, a.Closing())
	}
	return r
}

// BalanceSheet lists assets, and what they stand against, at the end and at the beginning of the period.
func BalanceSheet(b *Books) (report.Document, error) {
	d := b.document(NameBalanceSheet, "Balance sheet")
	for _, c := range b.Currencies() {
		s := newSheet(NameBalanceSheet, c, column("line", "Account", report.Text), column("closing", b.AsOf.String(), report.Amount), column("opening", (b.From-1).String(), report.Amount))
		assets := b.section(s, chain.Asset, "Assets", "Total assets")
		liabilities := b.section(s, chain.Liability, "Liabilities", "Total liabilities")
		equity := b.equity(s)
		sum := [2]*big.Int{new(big.Int).Add(liabilities[0], equity[0]), new(big.Int).Add(liabilities[1], equity[1])}
		s.row(report.Total, 0, text("Total liabilities and equity"), s.amount(sum[0]), s.amount(sum[1]))
		s.row(report.Difference, 0, text("Difference"), s.amount(new(big.Int).Sub(assets[0], sum[0])), s.amount(new(big.Int).Sub(assets[1], sum[1])))
		r := b.result(c.Code)
		d.Blocks = append(d.Blocks, report.Block{Heading: c.Code, Table: &s.table, Figures: []report.Figure{
			b.figure(c, NameBalanceSheet, "assets", "Total assets", assets[0], "What the ledger has, at the end of the period."),
			b.figure(c, NameBalanceSheet, "equity", "Total equity", equity[0], "What is left of them after all liabilities, the result before the close included."),
			b.figure(c, NameBalanceSheet, "result", "Result before the close", r.closing, "Revenue less expense that no closing has moved to an equity account yet."),
		}})
	}
	b.nothing(&d)
	b.late(&d, nil)
	d.Notes = append(d.Notes, "Balances are positive on the normal side of their section: debit for assets, credit for liabilities and equity. Each currency stands by itself.",
		"Accounts without a balance on either day are not listed.",
		"The result before the close is what revenue and expense accounts show. A closing moves what they show at the end of a year by value date; what was booked then with a later value date stays in it.")
	return finish(d)
}

func (b *Books) figure(c money.Currency, name, id, title string, v *big.Int, meaning string) report.Figure {
	return report.Figure{ID: name + "." + id + "." + c.Code, Title: title, Value: amount(v, c), Meaning: meaning}
}

// section lists the accounts of a type and returns their sums at the end and the beginning.
func (b *Books) section(s *sheet, t chain.AccountType, heading, total string) [2]*big.Int {
	s.row(report.Group, 0, text(heading))
	sums := b.accounts(s, t)
	s.row(report.Subtotal, 0, text(total), s.amount(sums[0]), s.amount(sums[1]))
	return sums
}

func (b *Books) accounts(s *sheet, t chain.AccountType) [2]*big.Int {
	sums := [2]*big.Int{new(big.Int), new(big.Int)}
	for _, a := range b.in(s.currency.Code) {
		closing, opening := onNormal(t, a.Closing()), onNormal(t, a.Opening.Big())
		if a.Type != t || closing.Sign() == 0 && opening.Sign() == 0 {
			continue
		}
		sums[0].Add(sums[0], closing)
		sums[1].Add(sums[1], opening)
		s.row(report.Record, 1, accountCell(a.Code), s.amount(closing), s.amount(opening))
	}
	return sums
}

// equity lists the equity accounts and the result that stands on others.
func (b *Books) equity(s *sheet) [2]*big.Int {
	s.row(report.Group, 0, text("Equity"))
	sums := b.accounts(s, chain.Equity)
	r := b.result(s.currency.Code)
	s.row(report.Record, 1, text("Result before the close"), s.amount(r.closing), s.amount(r.opening))
	sums[0].Add(sums[0], r.closing)
	sums[1].Add(sums[1], r.opening)
	s.row(report.Subtotal, 0, text("Total equity"), s.amount(sums[0]), s.amount(sums[1]))
	return sums
}

// IncomeStatement lists what was earned and spent in the period, and proves where it went.
func IncomeStatement(b *Books) (report.Document, error) {
	d := b.document(NameIncomeStatement, "Income statement")
	for _, c := range b.Currencies() {
		if !b.earns(c.Code) {
			continue
		}
		s := newSheet(NameIncomeStatement, c, column("line", "Account", report.Text), column("amount", "Amount", report.Amount))
		revenue := b.earned(s, chain.Revenue, "Revenue", "Total revenue")
		expense := b.earned(s, chain.Expense, "Expense", "Total expense")
		r := b.result(c.Code)
		net := new(big.Int).Sub(revenue, expense)
		s.row(report.Total, 0, text("Result of the period"), s.amount(net))
		d.Blocks = append(d.Blocks, report.Block{Heading: c.Code, Table: &s.table,
			Figures: []report.Figure{b.figure(c, NameIncomeStatement, "result", "Result of the period", net, "Revenue less expense; a loss is negative.")},
			Chart:   resultChart(c, revenue, expense)},
			report.Block{Heading: "Where the result of " + c.Code + " stands", Table: b.resultProof(c, r, net)})
	}
	if len(d.Blocks) == 0 {
		d.Blocks = append(d.Blocks, report.Block{Text: []string{"The ledger had no revenue and no expense accounts at the end of the period."}})
	}
	b.late(&d, (*Account).Income)
	for _, x := range b.Closings {
		d.Notes = append(d.Notes, fmt.Sprintf("Entry %d closed the books up to %s and moved a result to equity; its transfers are no revenue and no expense of this period.", x.Seq, x.Upto))
	}
	d.Notes = append(d.Notes, "Revenue and expense are positive on their normal side. Accounts without a movement are not listed. Each currency stands by itself.")
	return finish(d)
}

// earns says whether there are revenue or expense accounts in a currency.
func (b *Books) earns(currency string) bool {
	for _, a := range b.in(currency) {
		if a.Income() {
			return true
		}
	}
	return false
}

func (b *Books) earned(s *sheet, t chain.AccountType, heading, total string) *big.Int {
	s.row(report.Group, 0, text(heading))
	sum := new(big.Int)
	for _, a := range b.in(s.currency.Code) {
		v := onNormal(t, new(big.Int).Sub(a.Movement(), a.Moved()))
		if a.Type != t || a.Postings == 0 || v.Sign() == 0 {
			continue
		}
		sum.Add(sum, v)
		s.row(report.Record, 1, accountCell(a.Code), s.amount(v))
	}
	s.row(report.Subtotal, 0, text(total), s.amount(sum))
	return sum
}

func resultChart(c money.Currency, revenue, expense *big.Int) *report.Chart {
	if revenue.Sign() == 0 && expense.Sign() == 0 {
		return nil
	}
	net := new(big.Int).Sub(revenue, expense)
	return &report.Chart{Kind: report.Waterfall, Title: "Result of the period", Unit: c.Code,
		Categories: []string{"Revenue", "Expense", "Result ="},
		Series:     []report.Series{{Name: "Result", Values: []string{money.FormatBig(revenue, c.Scale), money.FormatBig(new(big.Int).Neg(expense), c.Scale), money.FormatBig(net, c.Scale)}}}}
}

// resultProof shows that the result of the period, what closings moved, and what is left on the accounts add up.
func (b *Books) resultProof(c money.Currency, r result, net *big.Int) *report.Table {
	s := newSheet("result", c, column("line", "Line", report.Text), column("amount", "Amount", report.Amount))
	s.row(report.Record, 0, text("On revenue and expense accounts before "+b.From.String()), s.amount(r.opening))
	s.row(report.Record, 0, text("Result of the period"), s.amount(net))
	s.row(report.Record, 0, text("Moved to equity by closings"), s.amount(new(big.Int).Neg(r.moved)))
	s.row(report.Total, 0, text("On revenue and expense accounts at the end of "+b.AsOf.String()), s.amount(r.closing))
	off := new(big.Int).Add(r.opening, net)
	off.Sub(off, r.moved)
	s.row(report.Difference, 0, text("Difference"), s.amount(off.Sub(off, r.closing)))
	return &s.table
}
