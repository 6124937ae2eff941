package demo

import (
	"fmt"
	"time"
)

// currencies are those of wallets, the base currency first.
var currencies = []string{"EUR", "GBP", "USD"}

// schemes are the payment schemes by which money comes and goes.
var schemes = map[string]string{"EUR": "sepa", "GBP": "fps", "USD": "ach"}

// Accounts of the institution, by currency.
func safeguarding(currency string) string { return "bank:safeguarding:" + lower(currency) }
func operating(currency string) string    { return "bank:operating:" + lower(currency) }
func position(currency string) string     { return "fx:" + lower(currency) }
func retained(currency string) string     { return "equity:retained:" + lower(currency) }
func clearing(what, currency string) string {
	return "clearing:" + what + ":" + lower(currency)
}
func revenue(what, currency string) string { return "revenue:" + what + ":" + lower(currency) }
func expense(what, currency string) string { return "expense:" + what + ":" + lower(currency) }

// rates are what one EUR costs, in millionths.
type rates map[string]int64

const million = 1_000_000

// Where rates begin, and around where they stay.
var middle = map[string]int64{"GBP": 845_000, "USD": 1_085_000}

const (
	exchangeFee    = 50 // what clients pay, in parts of ten thousand
	exchangeSpread = 40 // and what their rate is worse than the market's
)

func (r *rates) begin() {
	*r = rates{"EUR": million}
	for currency, rate := range middle {
		(*r)[currency] = rate
	}
}

// move lets a day pass: up to 0.3 % up or down, and a little back to the middle.
func (r rates) move(g *generator) {
	for _, currency := range currencies[1:] {
		r[currency] += r[currency]*g.between(-30, 30)/10_000 + (middle[currency]-r[currency])/50
	}
}

// convert returns what a client gets for units of from, and the rate as text.
// One of the two is EUR.
func (r rates) convert(units int64, from, to string) (int64, string) {
	if from == "EUR" {
		rate := r[to] * (10_000 - exchangeSpread) / 10_000
		return units * rate / million, rateText(to, rate)
	}
	rate := r[from] * (10_000 + exchangeSpread) / 10_000
	return units * million / rate, rateText(from, rate)
}

func rateText(currency string, rate int64) string {
	return fmt.Sprintf("1 EUR = %d.%06d %s", rate/million, rate%million, currency)
}

// closeDay settles and safeguards: what the evening is for.
func (g *generator) closeDay() {
	g.settlePayments()
	if g.businessDay() {
		g.payScheme()
	}
	lastOfMonth := (g.date() + 1).Time().Day() == 1
	if g.weekday(0) == time.Friday || lastOfMonth {
		g.coverPositions()
	}
	if lastOfMonth {
		g.bookExchangeResult()
	}
	g.safeguard()
}

// settlePayments moves what has come in and gone out to and from the bank.
func (g *generator) settlePayments() {
	for _, currency := range currencies {
		in := g.accounts[clearing("payments", currency)].posted
		g.shift(safeguarding(currency), clearing("payments", currency), in, "Settlement of the day, "+schemes[currency])
	}
}

// shift moves units from one account of the institution to another, or back when
// they are negative.
func (g *generator) shift(to, from string, units int64, text string) {
	if units < 0 {
		to, from, units = from, to, -units
	}
	if units > 0 {
		g.book(move{text: text, legs: []leg{debit(to, units), credit(from, units)}})
	}
}

// interchange is what the scheme leaves the institution, in parts of ten thousand.
const interchange = 25

// payScheme pays the card scheme what was captured up to the evening before.
func (g *generator) payScheme() {
	for _, currency := range currencies {
		code := clearing("cards", currency)
		if due := g.cardsDue[currency]; due > 0 {
			kept := due * interchange / 10_000
			legs := []leg{debit(code, due), credit(operating(currency), due-kept)}
			if kept > 0 {
				legs = append(legs, credit(revenue("interchange", currency), kept))
			}
			g.book(move{text: "Settlement with the card scheme", reference: g.reference("SCH"), legs: legs})
		}
		g.cardsDue[currency] = max(0, -g.accounts[code].posted)
	}
}

// safeguard makes what lies at safeguarding banks equal to client money.
func (g *generator) safeguard() {
	for _, currency := range currencies {
		missing := g.money[currency] - g.accounts[safeguarding(currency)].posted
		g.shift(safeguarding(currency), operating(currency), missing, "Safeguarding: client money at the end of the day")
	}
}

// coverPositions buys and sells in the market what clients have sold and bought.
func (g *generator) coverPositions() {
	for _, currency := range currencies[1:] {
		sold := g.accounts[position(currency)].posted // clients got it from us
		euros := sold * million / g.rates[currency]
		if euros == 0 {
			continue
		}
		legs := []leg{debit(operating(currency), sold), credit(position(currency), sold), debit(position("EUR"), euros), credit(operating("EUR"), euros)}
		text := "Bought in the market to cover the position"
		if sold < 0 {
			text = "Sold in the market to cover the position"
			for i := range legs {
				legs[i].units = -legs[i].units
			}
			legs = opposite(legs)
		}
		g.book(move{text: text, reference: g.reference("MKT"), legs: legs, rate: rateText(currency, g.rates[currency])})
	}
}

// bookExchangeResult takes what the covered positions have left over as income.
func (g *generator) bookExchangeResult() {
	g.shift(position("EUR"), revenue("exchange", "EUR"), -g.accounts[position("EUR")].posted, "Result of the month from exchange")
}
