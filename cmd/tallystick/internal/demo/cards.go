package demo

import (
	"fmt"

	"tallystick/ledger"
)

// trade is what a card pays for.
type trade struct {
	text, code string // merchant category
	low, high  int64
	part       int // how often the captured amount is less than was held, in a thousand
}

var trades = []trade{
	{"groceries", "5411", 1200, 9500, 15}, {"groceries", "5411", 800, 6000, 15}, {"restaurant", "5812", 1400, 8800, 20},
	{"online shop", "5999", 900, 18_000, 60}, {"public transport", "4111", 150, 4500, 10}, {"fuel", "5541", 5000, 9900, 700},
	{"hotel", "7011", 9000, 42_000, 350}, {"clothes", "5651", 2500, 16_000, 30}, {"streaming", "5815", 799, 1799, 0},
}

// swipe pays by card: the amount is held, and captured in full or in part some
// days later; or the merchant cancels; or nothing comes, and the hold expires.
func (g *generator) swipe(c *client) {
	t := pick(g, trades)
	units := g.between(t.low, t.high)
	if c.segment == student {
		units = (units + 1) / 2
	}
	currency := c.home
	if len(c.wallets) > 1 && g.chance(250) {
		currency = pick(g, c.wallets)
	}
	code := c.wallet(currency)
	if c.passive || g.free(code) < units {
		return
	}
	h := g.place(move{
		text: "Card payment: " + t.text, reference: g.reference("CARD"), metadata: fmt.Sprintf(`{"channel":"card","mcc":"%s"}`, t.code),
		legs: []leg{debit(code, units), credit(clearing("cards", currency), units)},
	})
	days := int(g.between(0, 3))
	switch n := g.random.IntN(1000); {
	case n < 40:
		g.in(days, g.hour(), func() {
			if !h.settled {
				g.release(h)
			}
		})
	case n < 70: // the merchant never comes back
	default:
		booked := int64(0)
		if g.chance(t.part) {
			booked = units * g.between(35, 95) / 100
		}
		g.in(days, g.hour(), func() { g.settle(c, h, currency, booked) })
	}
}

// settle captures a card payment, unless the wallet is frozen: then the hold
// expires.
func (g *generator) settle(c *client, h *hold, currency string, units int64) {
	code := c.wallet(currency)
	if h.settled || g.accounts[code].frozen.Refuses(h.legs[0].direction) {
		return
	}
	legs := g.capture(h, units, nil)
	if c.points && currency == "EUR" {
		c.spent += legs[0].units
	}
	switch n := g.random.IntN(1000); {
	case n < 10:
		g.in(int(g.between(1, 9)), noon, func() {
			if g.takes(code, legs[0].units) {
				g.reverse(h.id, legs, "Purchase cancelled by the merchant")
			}
		})
	case n < 14:
		g.in(int(g.between(15, 40)), noon, func() { g.chargeBack(h.id, code, currency, legs[0].units) })
	}
}

// chargeBack gives a client the money of a disputed payment and claims it from
// the scheme, which pays in most cases a month later.
func (g *generator) chargeBack(payment ledger.RequestID, code, currency string, units int64) {
	if !g.takes(code, units) {
		return
	}
	claim := clearing("chargebacks", currency)
	id := g.book(move{text: "Disputed card payment, credited", reference: g.reference("CHB"), related: &payment,
		legs: []leg{debit(claim, units), credit(code, units)}})
	won := g.chance(700)
	g.in(int(g.between(20, 40)), afternoon, func() {
		m := move{text: "Dispute won", reference: g.reference("CHB"), related: &id,
			legs: []leg{debit(operating(currency), units), credit(claim, units)}}
		if !won {
			m.text, m.legs[0] = "Dispute lost", debit(expense("chargebacks", currency), units)
		}
		g.book(m)
	})
}

// basket is a hold with several merchants, of which one may not deliver: the
// capture names the legs that are booked.
func (g *generator) basket() {
	c := pick(g, g.clients)
	one, other := g.merchants[g.random.IntN(4)], g.merchants[4+g.random.IntN(4)]
	if c.passive || !c.has(one.currency) {
		return
	}
	a, b := g.between(900, 5000), g.between(900, 5000)
	code := c.wallet(one.currency)
	if g.free(code) < a+b {
		return
	}
	h := g.place(move{text: "Basket of two shops", reference: g.reference("CART"), metadata: `{"channel":"app"}`,
		legs: []leg{debit(code, a+b), credit(one.account(), a), credit(other.account(), b)}})
	delivered := g.chance(600)
	g.in(2, noon, func() {
		switch {
		case h.settled || g.accounts[code].frozen.Refuses(h.legs[0].direction):
		case delivered:
			g.capture(h, 0, nil)
		default:
			g.capture(h, 0, []leg{debit(code, a), credit(one.account(), a)})
		}
	})
}
