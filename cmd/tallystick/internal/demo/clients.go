package demo

import (
	"fmt"
	"slices"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// Segments of clients.
const (
	retail   = "retail"
	student  = "student"
	business = "business"
)

// client is a person or a firm with wallets.
type client struct {
	number   int
	segment  string
	home     string   // currency
	wallets  []string // currencies open, home first
	joins    int      // day
	income   int64    // a month, of a person
	payday   int      // of the month
	rentDay  int
	employer *client
	staff    []*client // of a firm, on its payroll
	card     bool
	points   bool
	passive  bool  // pays nothing of its own accord
	gone     bool  // is paid nothing any more
	spent    int64 // by card since points were last given
}

// merchant is a shop that takes payments from wallets.
type merchant struct {
	name, trade, currency string
}

func (m *merchant) account() string { return "merchants:" + m.name + ":" + lower(m.currency) }

func wallet(number int, currency string) string {
	return fmt.Sprintf("customers:%04d:%s", number, lower(currency))
}

func (c *client) wallet(currency string) string { return wallet(c.number, currency) }
func (c *client) main() string                  { return wallet(c.number, c.home) }
func (c *client) pointsAccount() string         { return fmt.Sprintf("customers:%04d:points", c.number) }

// has reports whether the client has a wallet in currency.
func (c *client) has(currency string) bool { return slices.Contains(c.wallets, currency) }

var shops = []merchant{
	{"grocer", "groceries", "EUR"}, {"bakery", "bread and cake", "EUR"}, {"bookshop", "books", "EUR"},
	{"cafe", "coffee", "EUR"}, {"cinema", "tickets", "EUR"}, {"hardware", "tools", "EUR"},
	{"pharmacy", "pharmacy", "EUR"}, {"bicycles", "bicycle repair", "EUR"},
	{"teahouse", "tea", "GBP"}, {"tailor", "clothes", "GBP"}, {"garden", "plants", "GBP"},
	{"diner", "lunch", "USD"}, {"records", "music", "USD"}, {"outfitter", "outdoor clothes", "USD"},
}

// drawClients decides who the clients are and when they come: two in five in
// the first days, from a predecessor, the others over the year.
func (g *generator) drawClients() {
	for i := range shops {
		g.merchants = append(g.merchants, &shops[i])
	}
	joins := make([]int, g.Customers)
	early := max(2*g.Customers/5, blockedCase)
	for i := range joins {
		if i < early {
			joins[i] = i * 3 / early
		} else {
			joins[i] = int(g.between(4, Days-20))
		}
	}
	slices.Sort(joins)
	for i, day := range joins {
		c := g.drawClient(i + 1)
		c.joins = day
		g.clients = append(g.clients, c)
		at := day*daySlots + int(g.between(morning+1, latest-1))
		g.agenda[at] = append(g.agenda[at], func() { g.join(c) })
	}
}

func (g *generator) drawClient(number int) *client {
	c := &client{number: number, segment: retail, home: "EUR", card: true, points: true}
	isCase := slices.Contains([]int{firstCase, dormantCase, frozenCase, closedCase, blockedCase}, number)
	if n := g.random.IntN(100); !isCase {
		switch {
		case n < 18 || number == 2:
			c.segment = business
		case n < 30:
			c.segment = student
		}
		if n = g.random.IntN(100); n < 16 {
			c.home = "GBP"
		} else if n < 28 {
			c.home = "USD"
		}
		c.card = g.chance(850)
		c.points = c.card && c.home == "EUR" && c.segment != business && g.chance(550)
	}
	switch c.segment {
	case student:
		c.income = 1000 * g.between(60, 110)
	default:
		c.income = 1000 * g.between(160, 450)
	}
	c.payday = int(g.between(22, 28))
	c.rentDay = int(g.between(1, 6))
	c.passive = number == dormantCase
	c.gone = c.passive
	return c
}

// join opens a client's first wallet, with a first deposit soon after.
func (g *generator) join(c *client) {
	g.openWallet(c, c.home)
	if c.points {
		g.open(account{code: c.pointsAccount(), kind: chain.Liability, currency: Points, client: true},
			fmt.Sprintf("Client %04d, loyalty points", c.number), chain.Tag{Key: "client", Value: fmt.Sprintf("%04d", c.number)})
	}
	if c.number == firstCase {
		g.openWallet(c, "GBP")
		g.openWallet(c, "USD")
	}
	g.hire(c)
	first := c.income * g.between(40, 110) / 100
	if c.segment == business {
		first = 1000 * g.between(500, 4000)
	}
	g.in(0, g.slot+1, func() { g.payIn(c, first, "First deposit", "DEP") })
}

// hire finds every third person a firm among the clients to work for.
func (g *generator) hire(c *client) {
	const mostStaff = 4
	if c.segment != retail || c.passive || !g.chance(330) {
		return
	}
	for _, firm := range g.clients {
		if firm.segment == business && firm.home == c.home && firm.joins <= g.day && firm.has(firm.home) && len(firm.staff) < mostStaff {
			firm.staff, c.employer = append(firm.staff, c), firm
			return
		}
	}
}

// studentMax is the most that the wallet of a student may hold.
const studentMax = 500_000

func (g *generator) openWallet(c *client, currency string) {
	a := account{code: c.wallet(currency), kind: chain.Liability, currency: currency, client: true}
	if c.segment == student {
		a.max = studentMax
	}
	number := fmt.Sprintf("%04d", c.number)
	g.open(a, "Client "+number+", "+currency, chain.Tag{Key: "client", Value: number}, chain.Tag{Key: "segment", Value: c.segment})
	c.wallets = append(c.wallets, currency)
}

// planCases puts on the agenda what happens to the clients that stand for
// something; called on the first day.
func (g *generator) planCases() {
	dormant, frozen, closed, blocked := g.clients[dormantCase-1], g.clients[frozenCase-1], g.clients[closedCase-1], g.clients[blockedCase-1]
	g.in(270, afternoon, func() {
		number := fmt.Sprintf("%04d", dormant.number)
		tags := []chain.Tag{{Key: "client", Value: number}, {Key: "segment", Value: dormant.segment}, {Key: "status", Value: "dormant"}}
		g.change(dormant.main(), func(r *ledger.ChangeAccount) { r.Tags = &tags })
	})
	g.in(240, noon, func() { g.freeze(frozen, chain.FrozenDebits) })
	g.in(120, noon, func() { g.freeze(blocked, chain.FrozenAll) })
	g.in(141, noon, func() { g.freeze(blocked, chain.FrozenNone) })
	g.in(180, noon, func() { closed.passive, closed.gone = true, true })
	g.in(180+2*holdDays, noon, func() { g.close(closed) })
}

// freeze freezes the wallets of a client.
func (g *generator) freeze(c *client, to chain.Frozen) {
	for _, currency := range c.wallets {
		g.change(c.wallet(currency), func(r *ledger.ChangeAccount) { r.Frozen = &to })
	}
}

// close pays a client out and closes the accounts.
func (g *generator) close(c *client) {
	for _, currency := range c.wallets {
		code := c.wallet(currency)
		if left := g.free(code); left > 0 {
			g.book(move{text: "Balance paid out, account to be closed", reference: g.reference("OUT"),
				legs: []leg{debit(code, left), credit(clearing("payments", currency), left)}})
		}
		g.change(code, func(r *ledger.ChangeAccount) { r.Close = true })
	}
	code := c.pointsAccount()
	if left := g.free(code); left > 0 {
		g.book(move{text: "Points given up", legs: []leg{debit(code, left), credit(pointsIssued, left)}})
	}
	g.change(code, func(r *ledger.ChangeAccount) { r.Close = true })
}
