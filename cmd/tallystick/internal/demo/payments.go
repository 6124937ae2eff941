package demo

import (
	"fmt"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// planDay puts on the agenda what clients and the office do today.
func (g *generator) planDay() {
	g.rates.move(g)
	if g.Rate != nil {
		for _, currency := range currencies[1:] {
			g.Rate(g.date(), currency, g.rates[currency])
		}
	}
	g.planOffice()
	for _, c := range g.clients {
		if len(c.wallets) == 0 {
			continue // yet to join
		}
		switch {
		case c.gone:
		case c.segment == business:
			g.planFirm(c)
		default:
			g.planPerson(c)
		}
	}
	if g.weekday(0) == time.Monday {
		g.in(0, morning+2, g.payMerchants)
	}
	if g.chance(250) {
		g.in(0, g.hour(), g.basket)
	}
}

// hour returns a time at which people are awake.
func (g *generator) hour() int { return int(g.between(morning, latest)) }

// shortMonth is a day that every month has; what is due later is due then.
const shortMonth = 28

// planPerson plans the day of a retail client or a student: income, rent, what
// is left of the month, and now and then a payment.
func (g *generator) planPerson(c *client) {
	_, day := g.calendar()
	if day == c.payday && c.employer == nil && !c.passive {
		text, kind := "Salary", "SAL"
		if c.segment == student {
			text, kind = "Allowance", "ALW"
		}
		g.in(0, morning+1, func() { g.payIn(c, c.income, text, kind) })
	}
	if c.passive {
		return
	}
	if day == c.rentDay {
		g.in(0, morning+2, func() {
			if rent := c.income * g.between(30, 42) / 100; rent <= g.free(c.main()) {
				g.payOut(c, rent, "Rent", "RENT")
			}
		})
	}
	if day == shortMonth && g.free(c.main()) > 3*c.income {
		g.in(0, noon, func() { g.payOut(c, g.free(c.main())-c.income, "To a savings account elsewhere", "OUT") })
	}
	activity := 1000
	if c.number == firstCase {
		activity = 3000
	}
	if c.card && g.chance(170*activity/1000) {
		g.in(0, g.hour(), func() { g.swipe(c) })
	}
	if g.chance(55 * activity / 1000) {
		g.in(0, g.hour(), func() { g.shop(c) })
	}
	if g.chance(30 * activity / 1000) {
		g.in(0, g.hour(), func() { g.payFriend(c) })
	}
	if g.chance(12 * activity / 1000) {
		g.in(0, g.hour(), func() { g.exchange(c) })
	}
}

// planFirm plans the day of a business client.
func (g *generator) planFirm(c *client) {
	_, day := g.calendar()
	if day == shortMonth && g.free(c.main()) > 6_000_000 {
		g.in(0, noon, func() { g.payOut(c, g.free(c.main())-3_000_000, "To the firm's house bank", "OUT") })
	}
	if day == 25 && len(c.staff) > 0 {
		g.in(0, morning+1, func() { g.payStaff(c) })
	}
	if c.card && g.chance(90) {
		g.in(0, g.hour(), func() { g.swipe(c) })
	}
	if !g.businessDay() {
		return
	}
	if g.chance(260) {
		g.in(0, g.hour(), func() { g.payIn(c, g.between(20_000, 650_000), "Invoice paid", "INV") })
	}
	if g.chance(150) {
		g.in(0, g.hour(), func() { g.payOut(c, g.between(15_000, 420_000), "Supplier", "SUP") })
	}
	if g.chance(20) {
		g.in(0, g.hour(), func() { g.exchange(c) })
	}
}

// valued returns the value date of a payment that comes in: at weekends that of
// the next business day.
func (g *generator) valued() *chain.Date {
	days := 0
	for ; g.weekday(days) == time.Saturday || g.weekday(days) == time.Sunday; days++ {
	}
	if days == 0 {
		return nil
	}
	d := g.date() + chain.Date(days)
	return &d
}

// payIn credits a client with what a payment scheme brings.
func (g *generator) payIn(c *client, units int64, text, kind string) {
	if g.takes(c.main(), units) {
		g.book(move{text: text, reference: g.reference(kind), metadata: `{"channel":"` + schemes[c.home] + `"}`, valued: g.valued(),
			legs: []leg{debit(clearing("payments", c.home), units), credit(c.main(), units)}})
	}
}

// payOut sends a client's money away, as far as there is any.
func (g *generator) payOut(c *client, units int64, text, kind string) {
	units = min(units, g.free(c.main()))
	if units > 0 {
		g.book(move{text: text, reference: g.reference(kind), metadata: `{"channel":"` + schemes[c.home] + `"}`,
			legs: []leg{debit(c.main(), units), credit(clearing("payments", c.home), units)}})
	}
}

// payStaff pays the staff of a firm in one transfer, if the money suffices; from
// elsewhere if not.
func (g *generator) payStaff(firm *client) {
	legs := []leg{{}}
	total := int64(0)
	for _, c := range firm.staff {
		if g.takes(c.main(), c.income) {
			legs = append(legs, credit(c.main(), c.income))
			total += c.income
		}
	}
	legs[0] = debit(firm.main(), total)
	switch {
	case total == 0:
	case g.free(firm.main()) >= total:
		month, _ := g.calendar()
		g.book(move{text: "Salaries for " + month.String(), reference: g.reference("PAY"), legs: legs})
	default:
		for _, c := range firm.staff {
			g.payIn(c, c.income, "Salary", "SAL")
		}
	}
}

// payFriend moves money from one client to another.
func (g *generator) payFriend(c *client) {
	friend, units := pick(g, g.clients), g.between(500, 9000)
	if friend == c || friend.gone || !friend.has(c.home) {
		return
	}
	legs := []leg{debit(c.main(), units), credit(friend.wallet(c.home), units)}
	if g.canBook(legs) {
		g.book(move{text: pick(g, []string{"Dinner", "Thanks!", "Concert tickets", "Present", "Taxi, my half"}),
			reference: g.reference("P2P"), metadata: `{"channel":"app"}`, legs: legs})
	}
}

// shopFee is what a merchant pays, in parts of ten thousand.
const shopFee = 120

// shop pays a merchant from the wallet. Some payments are reversed, of some a
// part is refunded.
func (g *generator) shop(c *client) {
	m, units := pick(g, g.merchants), g.between(450, 6000)
	if !c.has(m.currency) {
		return
	}
	fee := units * shopFee / 10_000
	legs := []leg{debit(c.wallet(m.currency), units), credit(m.account(), units-fee), credit(revenue("merchants", m.currency), fee)}
	if !g.canBook(legs) {
		return
	}
	id := g.book(move{text: "Paid at the " + m.name + ", " + m.trade, reference: g.reference("SHOP"), metadata: `{"channel":"app"}`, legs: legs})
	back := int(g.between(1, 10))
	switch n := g.random.IntN(100); {
	case n < 2:
		g.in(back, noon, func() {
			if g.canBook(opposite(legs)) {
				g.reverse(id, legs, "Cancelled: goods returned to the "+m.name)
			}
		})
	case n < 5:
		g.in(back, afternoon, func() { g.refund(id, c, m, units*g.between(20, 70)/100) })
	}
}

// refund pays part of a purchase back: a new transfer that is related to it.
func (g *generator) refund(of ledger.RequestID, c *client, m *merchant, units int64) {
	legs := []leg{debit(m.account(), units), credit(c.wallet(m.currency), units)}
	if g.canBook(legs) {
		g.book(move{text: "Part of the price back from the " + m.name, reference: g.reference("REF"), legs: legs, related: &of})
	}
}

// payMerchants pays out most of what merchants have taken; the rest stays for refunds.
func (g *generator) payMerchants() {
	for _, m := range g.merchants {
		if units := g.free(m.account()) * 80 / 100; units >= 1000 {
			g.book(move{text: "Weekly payout", reference: g.reference("POUT"), metadata: `{"channel":"` + schemes[m.currency] + `"}`,
				legs: []leg{debit(m.account(), units), credit(clearing("payments", m.currency), units)}})
		}
	}
}

// exchange turns money of a client into another currency, through the position
// accounts, at a rate that the entry binds. One side is always EUR.
func (g *generator) exchange(c *client) {
	from, to := c.home, "EUR"
	if from == "EUR" {
		to = pick(g, []string{"GBP", "USD"})
	}
	if c.number == firstCase && g.chance(300) {
		from, to = pick(g, []string{"GBP", "USD"}), "EUR"
	}
	if !c.has(from) {
		return
	}
	give := min(g.between(2000, 60_000), g.free(c.wallet(from)))
	if give < 1000 {
		return
	}
	fee := give * exchangeFee / 10_000
	get, rate := g.rates.convert(give-fee, from, to)
	if !c.has(to) {
		if len(c.wallets) > 1 && c.segment != business {
			return
		}
		g.openWallet(c, to)
	}
	if !g.takes(c.wallet(to), get) {
		return
	}
	g.book(move{
		text: fmt.Sprintf("Exchange %s to %s", from, to), reference: g.reference("FX"), metadata: `{"channel":"app"}`, rate: rate,
		legs: []leg{
			debit(c.wallet(from), give), credit(position(from), give-fee), credit(revenue("exchange", from), fee),
			debit(position(to), get), credit(c.wallet(to), get),
		},
	})
}
