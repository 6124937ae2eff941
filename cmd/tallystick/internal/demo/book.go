package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// account is what the generator knows of an account.
type account struct {
	code     string
	kind     chain.AccountType
	currency string
	posted   int64 // debit-positive, in units of the currency
	held     int64 // what open holds would take away
	max      int64 // 0 is no limit
	client   bool  // client money
	frozen   chain.Frozen
	closed   bool
}

// leg is one side of a move.
type leg struct {
	account   string
	direction chain.Direction
	units     int64
}

func debit(code string, units int64) leg  { return leg{code, chain.Debit, units} }
func credit(code string, units int64) leg { return leg{code, chain.Credit, units} }

// move is a transfer, or what a hold sets aside.
type move struct {
	text      string
	reference string
	metadata  string // canonical JSON
	legs      []leg
	rate      string
	related   *ledger.RequestID
	valued    *chain.Date
	prior     bool // into a closed period
}

// common returns what every request carries; an empty text is none.
func (g *generator) common(text, reference, metadata string) ledger.Common {
	c := ledger.Common{ID: g.newID(), Actor: g.Actor, Salt: g.Salt()}
	for _, f := range []struct {
		to   **string
		text string
	}{{&c.Description, text}, {&c.Reference, reference}, {&c.Metadata, metadata}} {
		if f.text != "" {
			*f.to = &f.text
		}
	}
	return c
}

func (g *generator) ask(r ledger.Request) { g.requests = append(g.requests, r) }

// reference numbers the payments of a kind.
func (g *generator) reference(kind string) string {
	g.references[kind]++
	return fmt.Sprintf("%s-%06d", kind, g.references[kind])
}

// open opens an account.
func (g *generator) open(a account, name string, tags ...chain.Tag) {
	r := &ledger.OpenAccount{
		Common: g.common("", "", ""), AccountID: g.AccountID(), Code: a.code, Type: a.kind, Currency: a.currency,
		Name: &name, Tags: tags,
	}
	r.ID = ledger.DeriveRequestID(g.Ledger, ledger.OperationOpenAccount, a.code)
	if a.client {
		zero := decimal.Zero
		r.MinBalance = &zero
	}
	if a.max > 0 {
		limit := natural(a.max, a.currency)
		r.MaxBalance = &limit
	}
	g.accounts[a.code] = &a
	g.ask(r)
}

// scaleOf returns the decimals of a currency.
func scaleOf(currency string) int32 {
	if currency == Points {
		return 0
	}
	return 2
}

func natural(units int64, currency string) decimal.Decimal {
	return decimal.New(units, -scaleOf(currency))
}

func (g *generator) legs(of []leg) []ledger.Leg {
	legs := make([]ledger.Leg, len(of))
	for i, l := range of {
		legs[i] = ledger.Leg{Account: l.account, Direction: l.direction, Amount: natural(l.units, g.accounts[l.account].currency)}
	}
	return legs
}

func (g *generator) transfer(m move) *ledger.TransferRequest {
	r := &ledger.TransferRequest{
		Common:    g.common(m.text, m.reference, m.metadata),
		ValueDate: ledger.ValueDate{EffectiveDate: m.valued, PriorPeriod: m.prior, MayApprove: m.prior},
		Legs:      g.legs(m.legs), RelatedTo: m.related,
	}
	if m.rate != "" {
		r.Rate = &m.rate
	}
	return r
}

// book posts a transfer.
func (g *generator) book(m move) ledger.RequestID {
	r := g.transfer(m)
	g.ask(r)
	for _, l := range m.legs {
		g.add(l)
	}
	return r.ID
}

// add books a leg on the generator's own balances.
func (g *generator) add(l leg) {
	a, units := g.accounts[l.account], l.units
	if l.direction == chain.Credit {
		units = -units
	}
	a.posted += units
	if a.client {
		g.money[a.currency] -= units
	}
}

// opposite returns what undoes legs.
func opposite(legs []leg) []leg {
	back := make([]leg, len(legs))
	for i, l := range legs {
		back[i] = leg{l.account, l.direction.Opposite(), l.units}
	}
	return back
}

// reverse undoes a transfer, or the capture of a hold, whose legs these are.
func (g *generator) reverse(target ledger.RequestID, legs []leg, text string) {
	g.ask(&ledger.ReverseTransfer{Common: g.common(text, g.reference("REV"), ""), Target: target})
	for _, l := range opposite(legs) {
		g.add(l)
	}
}

// hold is money set aside.
type hold struct {
	id              ledger.RequestID
	text, reference string
	legs            []leg
	settled         bool
}

// holdDays is how long a hold is good for; it ends with that day.
const holdDays = 7

// place sets money aside. Whatever happens until then, at the end of its time a
// hold that is still open expires.
func (g *generator) place(m move) *hold {
	r := g.transfer(m)
	expires := g.timeOf(g.day+holdDays+1, midnight).Add(-time.Second)
	r.Hold, r.ExpiresAt = true, &expires
	g.ask(r)
	h := &hold{id: r.ID, text: m.text, reference: m.reference, legs: m.legs}
	g.setAside(m.legs, 1)
	g.in(holdDays+1, midnight, func() { g.expire(h) })
	return h
}

// setAside counts what holds would take away, with sign 1 when they begin and −1
// when they end.
func (g *generator) setAside(legs []leg, sign int64) {
	for _, l := range legs {
		if a := g.accounts[l.account]; lowers(a, l.direction) {
			a.held += sign * l.units
		}
	}
}

func lowers(a *account, d chain.Direction) bool { return (d == chain.Debit) != a.kind.DebitNormal() }

// capture books a hold: all of it, units of it, or the legs named. Text and
// reference are those of the hold, so that a statement says what was paid.
func (g *generator) capture(h *hold, units int64, legs []leg) []leg {
	r := &ledger.CaptureHold{Common: g.common(h.text, h.reference, ""), Hold: h.id}
	booked := h.legs
	switch {
	case legs != nil:
		booked, r.Legs = legs, g.legs(legs)
	case units > 0:
		amount := natural(units, g.accounts[h.legs[0].account].currency)
		r.Amount = &amount
		booked = []leg{{h.legs[0].account, h.legs[0].direction, units}, {h.legs[1].account, h.legs[1].direction, units}}
	}
	g.ask(r)
	h.settled = true
	g.setAside(h.legs, -1)
	for _, l := range booked {
		g.add(l)
	}
	return booked
}

// release gives a hold back.
func (g *generator) release(h *hold) {
	g.ask(&ledger.ReleaseHold{Common: g.common("Cancelled by the merchant", "", ""), Hold: h.id})
	h.settled = true
	g.setAside(h.legs, -1)
}

// expire releases a hold as the server's sweep does, if it is still open.
func (g *generator) expire(h *hold) {
	if h.settled {
		return
	}
	g.ask(&ledger.ReleaseHold{
		Common: ledger.Common{ID: ledger.ExpiryRequestID(g.Ledger, h.id), Salt: g.Salt()},
		Hold:   h.id, OnExpiry: true,
	})
	h.settled = true
	g.setAside(h.legs, -1)
}

// free returns what an account can give.
func (g *generator) free(code string) int64 {
	a := g.accounts[code]
	if a == nil || a.closed || a.frozen.Refuses(chain.Debit) {
		return 0
	}
	return -a.posted - a.held
}

// takes reports whether an account can be credited with units.
func (g *generator) takes(code string, units int64) bool {
	a := g.accounts[code]
	return a != nil && !a.closed && !a.frozen.Refuses(chain.Credit) && (a.max == 0 || -a.posted+units <= a.max)
}

// canBook reports whether every client among legs can give and take them.
func (g *generator) canBook(legs []leg) bool {
	for _, l := range legs {
		a := g.accounts[l.account]
		switch {
		case a.client && l.direction == chain.Debit && g.free(l.account) < l.units,
			a.client && l.direction == chain.Credit && !g.takes(l.account, l.units):
			return false
		}
	}
	return true
}

// change changes an account.
func (g *generator) change(code string, set func(*ledger.ChangeAccount)) {
	r := &ledger.ChangeAccount{Common: g.common("", "", ""), Code: code}
	set(r)
	a := g.accounts[code]
	if r.Frozen != nil {
		a.frozen = *r.Frozen
	}
	a.closed = a.closed || r.Close
	g.ask(r)
}

func lower(currency string) string { return strings.ToLower(currency) }
