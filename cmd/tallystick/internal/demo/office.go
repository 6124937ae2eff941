package demo

import (
	"fmt"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// pointsIssued is the other side of all loyalty points.
const pointsIssued = "points:issued"

// Capital paid in, in units: at least the first, and more with many clients.
const (
	leastCapital   = 75_000_000
	capitalEach    = 250_000
	foreignCapital = 4 // a part of it in each other currency
	loan           = 10_000_000
)

// found opens the institution's accounts and pays in its capital.
func (g *generator) found() {
	g.ask(&ledger.DefineCurrency{Common: g.common("", "", ""), Code: Points, Name: "Loyalty points", Scale: 0})
	institution := func(code string, kind chain.AccountType, currency, name string) {
		g.open(account{code: code, kind: kind, currency: currency}, name)
	}
	for _, currency := range currencies {
		for _, a := range []struct {
			code string
			kind chain.AccountType
			name string
		}{
			{safeguarding(currency), chain.Asset, "Safeguarding account, client money"},
			{operating(currency), chain.Asset, "Operating account, own money"},
			{clearing("payments", currency), chain.Asset, "Transfers in and out, settled every evening"},
			{clearing("cards", currency), chain.Liability, "Owed to the card scheme"},
			{clearing("chargebacks", currency), chain.Asset, "Claimed back from the card scheme"},
			{position(currency), chain.Asset, "Exchange position"},
			{revenue("monthly", currency), chain.Revenue, "Monthly fees"},
			{revenue("exchange", currency), chain.Revenue, "Fees and results of exchange"},
			{revenue("merchants", currency), chain.Revenue, "Fees of merchants"},
			{revenue("interchange", currency), chain.Revenue, "Interchange of card payments"},
			{revenue("interest", currency), chain.Revenue, "Interest on bank accounts"},
			{expense("chargebacks", currency), chain.Expense, "Disputes lost"},
			{"equity:capital:" + lower(currency), chain.Equity, "Capital paid in"},
			{retained(currency), chain.Equity, "Retained result"},
		} {
			institution(a.code, a.kind, currency, a.name+", "+currency)
		}
	}
	for _, what := range []string{"salaries", "social", "rent", "systems", "audit", "loyalty", "interest"} {
		institution(expense(what, "EUR"), chain.Expense, "EUR", "Costs: "+what)
	}
	institution("loan:eur", chain.Liability, "EUR", "Loan of a founder")
	institution(pointsIssued, chain.Asset, Points, "Loyalty points issued")
	for i, m := range g.merchants {
		g.open(account{code: m.account(), kind: chain.Liability, currency: m.currency, client: true}, "Merchant: "+m.trade,
			chain.Tag{Key: "client", Value: fmt.Sprintf("m%02d", i+1)}, chain.Tag{Key: "segment", Value: "merchant"})
	}
	g.payInCapital()
	g.planCases()
}

func (g *generator) payInCapital() {
	capital := max(leastCapital, capitalEach*int64(g.Customers))
	for i, currency := range currencies {
		units := capital
		if i > 0 {
			units /= foreignCapital
		}
		g.book(move{text: "Capital paid in", reference: g.reference("CAP"),
			legs: []leg{debit(operating(currency), units), credit("equity:capital:"+lower(currency), units)}})
	}
	g.shift(operating("EUR"), "loan:eur", loan, "Loan of a founder, 4 % a year")
}

// planOffice plans what the institution itself does today.
func (g *generator) planOffice() {
	month, day := g.calendar()
	switch day {
	case 1:
		g.in(0, morning, g.chargeMonthly)
		g.in(0, morning+1, g.bookInterest)
		g.in(0, morning+2, func() { g.pay("rent", 60_000, "Office rent") })
	case 2:
		g.in(0, morning+1, g.givePoints)
	case 15:
		g.in(0, noon, func() { g.pay("systems", 45_000, "Hosting and licences") })
	case 25:
		g.in(0, morning+1, g.payOwnStaff)
	}
	if day == 20 && month == time.April {
		g.in(0, noon, func() { g.pay("audit", 480_000, "Annual audit") })
	}
	g.planClosings(month, day)
}

// scaled returns a cost that grows with the number of clients.
func (g *generator) scaled(units int64) int64 {
	return max(units/3, units*int64(g.Customers)/DefaultCustomers)
}

// pay books a cost of the institution.
func (g *generator) pay(what string, units int64, text string) {
	units = g.scaled(units)
	g.book(move{text: text, reference: g.reference("COST"), legs: []leg{debit(expense(what, "EUR"), units), credit(operating("EUR"), units)}})
}

func (g *generator) payOwnStaff() {
	month, _ := g.calendar()
	salaries, social := g.scaled(520_000), g.scaled(112_000)
	g.book(move{text: "Own salaries for " + month.String(), reference: g.reference("COST"), legs: []leg{
		debit(expense("salaries", "EUR"), salaries), debit(expense("social", "EUR"), social), credit(operating("EUR"), salaries+social),
	}})
}

// monthlyFees by segment, in the currency of the client; students pay none.
var monthlyFees = map[string]int64{retail: 390, business: 1900}

// chargeMonthly takes the monthly fee from those who can pay it.
func (g *generator) chargeMonthly() {
	for _, c := range g.clients {
		fee := monthlyFees[c.segment]
		if len(c.wallets) == 0 || c.passive || fee == 0 || g.free(c.main()) < fee {
			continue
		}
		g.book(move{text: "Monthly fee", reference: g.reference("FEE"), legs: []leg{debit(c.main(), fee), credit(revenue("monthly", c.home), fee)}})
	}
}

// Interest a year, in parts of ten thousand.
const (
	bankInterest = 190
	loanInterest = 400
)

// bookInterest books the interest of the month before, valued at its last day.
func (g *generator) bookInterest() {
	end := g.date() - 1
	if end < g.start {
		return
	}
	for _, currency := range currencies {
		lying := g.accounts[safeguarding(currency)].posted + g.accounts[operating(currency)].posted
		if units := lying * bankInterest / 10_000 / 12; units > 0 {
			g.book(move{text: "Interest of the month", valued: &end,
				legs: []leg{debit(operating(currency), units), credit(revenue("interest", currency), units)}})
		}
	}
	units := int64(loan) * loanInterest / 10_000 / 12
	g.book(move{text: "Interest on the loan", valued: &end, legs: []leg{debit(expense("interest", "EUR"), units), credit(operating("EUR"), units)}})
}

// pointsOfCent is how many points one cent is worth, and leastPoints how many
// are turned into money at least.
const (
	pointsOfCent = 5
	leastPoints  = 500
)

// givePoints gives a point for each euro spent by card, in one transfer to many,
// and turns the points of some clients into money.
func (g *generator) givePoints() {
	const most = 400 // legs
	var legs []leg
	total := int64(0)
	give := func() {
		if total > 0 {
			g.book(move{text: "Loyalty points of the month", legs: append(legs, debit(pointsIssued, total))})
		}
		legs, total = nil, 0
	}
	for _, c := range g.clients {
		points := c.spent / 100
		if points > 0 && g.takes(c.pointsAccount(), points) {
			legs, total = append(legs, credit(c.pointsAccount(), points)), total+points
			c.spent -= 100 * points
		}
		if len(legs) == most {
			give()
		}
	}
	give()
	for _, c := range g.clients {
		if c.points && g.chance(250) {
			g.redeem(c)
		}
	}
}

// redeem turns points into money: two currencies in one entry.
func (g *generator) redeem(c *client) {
	points := g.free(c.pointsAccount()) / leastPoints * leastPoints
	cents := points / pointsOfCent
	if points == 0 || !g.takes(c.main(), cents) {
		return
	}
	g.book(move{text: "Points redeemed", reference: g.reference("PTS"), rate: fmt.Sprintf("%d %s = 1.00 EUR", 100*pointsOfCent, Points), legs: []leg{
		debit(c.pointsAccount(), points), credit(pointsIssued, points),
		debit(expense("loyalty", "EUR"), cents), credit(c.main(), cents),
	}})
}
