package risk

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// Safeguarding: the relevant funds that must be kept apart for clients, against what is kept.
//
//	requirement = Σ over clients of max(balance of the client, 0)     per pool and currency
//	resource    = Σ of the balances of the accounts that hold it      per pool and currency
//	excess      = resource − requirement; a shortfall when negative
//
// A client's own accounts of one pool and currency are one balance; clients are never netted with each other, because
// one client's debt does not pay another's claim. The negative balances are an exposure of the institution and stand by
// themselves.
//
// Source: FCA CASS 15.8 (internal safeguarding reconciliation; payment services and e-money, in force from 7 May 2026).
const safeguardingConvention = "cass15-individual-client-no-netting"

// pool is what one group of clients in one currency is kept in.
type pool struct{ name, currency string }

func (p pool) String() string {
	if p.name == "" {
		return p.currency
	}
	return p.name + " " + p.currency
}

// id names figures of the pool.
func (p pool) id() string {
	if p.name == "" {
		return p.currency
	}
	return p.name + "." + p.currency
}

// safeguarded is the state of a pool.
type safeguarded struct{ requirement, negative, resource money.Int128 }

func (s safeguarded) short() bool { return s.resource.Cmp(s.requirement) < 0 }

// poolHistory follows requirement and resource of each pool through the days.
type poolHistory struct {
	pools   []pool
	days    [][]point[safeguarded] // by pool
	now     []safeguarded
	role    []poolRole     // by account
	clients []money.Int128 // balance of each client in its pool, positive when the client is owed
}

// poolRole is what an account is to its pool: −1 is none of them.
type poolRole struct{ pool, client, resource int32 }

func newPoolHistory(b *Book, s *policy.Safeguarding) *poolHistory {
	h := &poolHistory{role: make([]poolRole, len(b.Accounts))}
	pools := map[pool]int32{}
	clients := map[string]int32{}
	for i := range b.Accounts {
		a := &b.Accounts[i]
		h.role[i] = poolRole{-1, -1, -1}
		isClient, isResource := slices.Contains(s.Clients, a.class.Class), slices.Contains(s.Resource, a.class.Class)
		if !a.classed || !isClient && !isResource {
			continue
		}
		p := pool{a.class.Pool, a.Currency}
		at, known := pools[p]
		if !known {
			at = int32(len(h.pools))
			pools[p] = at
			h.pools = append(h.pools, p)
		}
		h.role[i].pool = at
		if isResource {
			h.role[i].resource = at
			continue
		}
		key := fmt.Sprintf("%d\x00%s", at, a.client)
		c, known := clients[key]
		if !known {
			c = int32(len(h.clients))
			clients[key] = c
			h.clients = append(h.clients, money.Int128{})
		}
		h.role[i].client = c
	}
	h.now = make([]safeguarded, len(h.pools))
	h.days = make([][]point[safeguarded], len(h.pools))
	return h
}

func (h *poolHistory) move(m *Movement) bool {
	r := h.role[m.Account]
	if r.pool < 0 {
		return true
	}
	now := &h.now[r.pool]
	var ok bool
	if r.client < 0 {
		now.resource, ok = now.resource.Add(m.Units)
		return ok
	}
	before := h.clients[r.client]
	after, ok := before.Sub(m.Units) // owed to the client: credit-positive
	if !ok {
		return false
	}
	h.clients[r.client] = after
	for _, part := range []struct {
		sum  *money.Int128
		sign int
	}{{&now.requirement, 1}, {&now.negative, -1}} {
		if *part.sum, ok = part.sum.Sub(only(before, part.sign)); !ok {
			return false
		}
		if *part.sum, ok = part.sum.Add(only(after, part.sign)); !ok {
			return false
		}
	}
	return true
}

// only returns the value if it has the sign, and zero otherwise.
func only(v money.Int128, sign int) money.Int128 {
	if v.Sign() != sign {
		return money.Int128{}
	}
	return v
}

func (h *poolHistory) endDay(day chain.Date) {
	for i, now := range h.now {
		if list := h.days[i]; len(list) == 0 || list[len(list)-1].value != now {
			h.days[i] = append(list, point[safeguarded]{day, now})
		}
	}
}

// shortSince returns the first day of the shortfall that stands now.
func shortSince(days []point[safeguarded]) chain.Date {
	var since chain.Date
	for i := len(days) - 1; i >= 0 && days[i].value.short(); i-- {
		since = days[i].day
	}
	return since
}

// chartDays is how many calendar days a chart of the past shows.
const chartDays = 60

func safeguarding(p *page) {
	s, h := p.in.Policy.Risk.Safeguarding, p.in.History.pools
	whole := report.Figure{ID: "safeguarding", Title: "Safeguarding", Standard: safeguardingSource, Convention: safeguardingConvention, Meaning: "Whether client money is all there."}
	if why := p.in.unclassified(); why != "" {
		p.absent(whole, "%s", why)
		return
	}
	if len(h.pools) == 0 {
		p.absent(whole, "no account is of the classes %v or %v", s.Clients, s.Resource)
		return
	}
	order := make([]int, len(h.pools))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(h.pools[a].name, h.pools[b].name), cmp.Compare(h.pools[a].currency, h.pools[b].currency))
	})
	for _, i := range order {
		p.pool(h, i, s)
	}
	p.Notes = append(p.Notes, "A client's accounts of one pool and currency are one balance; balances of different clients are never set off against each other.")
	p.poolTable(h, order)
}

const safeguardingSource = "FCA CASS 15.8"

// pool writes the figures of one pool.
func (p *page) pool(h *poolHistory, i int, s *policy.Safeguarding) {
	at, now := h.pools[i], h.now[i]
	scale := p.in.Book.scale(at.currency)
	excess := now.resource.Decimal(scale).Sub(now.requirement.Decimal(scale))
	p.block("Safeguarding: pool " + at.String())
	id := "safeguarding." + at.id()
	var clients, resource []*Account
	for n := range p.in.Book.Accounts {
		switch r := h.role[n]; {
		case r.pool != int32(i):
		case r.client >= 0:
			clients = append(clients, &p.in.Book.Accounts[n])
		default:
			resource = append(resource, &p.in.Book.Accounts[n])
		}
	}
	largest(clients)
	title, meaning := "Excess of "+at.String(), "More is kept apart for the clients of this pool than they are owed; the rest is the institution's own."
	if excess.IsZero() {
		meaning = "Exactly what the clients of this pool are owed is kept apart for them."
	}
	if excess.Sign() < 0 {
		title, meaning = "Excess of "+at.String()+" (negative: a shortfall)", fmt.Sprintf("Clients of this pool are owed more than is kept apart for them, since %s without a break. It has to be made good from own money today.", shortSince(h.days[i]))
	}
	limits := s.Excess
	if limits.Red == nil {
		limits.Red = &policy.Decimal{} // below zero is a shortfall whatever a policy says
	}
	p.figure(report.Figure{ID: id + ".excess", Title: title, Value: p.amount(excess, at.currency), Meaning: meaning, Standard: safeguardingSource, Convention: safeguardingConvention, Sources: links(resource)}, excess, belowIsWorse, limits)
	if excess.Sign() < 0 { // the sentence that stands first on the page says it all
		p.Breaches[len(p.Breaches)-1].Text = fmt.Sprintf("The client pool %s is short of %s %s since %s, without a break", at, p.amount(excess.Neg(), at.currency).Value, at.currency, shortSince(h.days[i]))
	}
	p.plain(report.Figure{ID: id + ".requirement", Title: "Requirement of " + at.String(), Value: p.amount(now.requirement.Decimal(scale), at.currency), Meaning: "What all clients with a balance in their favour are owed together.", Standard: safeguardingSource, Convention: safeguardingConvention, Sources: links(clients)})
	p.plain(report.Figure{ID: id + ".resource", Title: "Resource of " + at.String(), Value: p.amount(now.resource.Decimal(scale), at.currency), Meaning: "What the accounts hold that keep client money apart.", Standard: safeguardingSource, Convention: safeguardingConvention, Sources: links(resource)})
	p.plain(report.Figure{ID: id + ".negative", Title: "Negative balances of " + at.String(), Value: p.amount(now.negative.Decimal(scale), at.currency), Meaning: "What clients owe on these accounts. It is the institution's own exposure and reduces nothing of the requirement.", Standard: safeguardingSource, Convention: safeguardingConvention})
	p.poolChart(h.days[i], at, scale)
}

// largest orders accounts by what they hold, the largest first, and then by code.
func largest(accounts []*Account) {
	slices.SortFunc(accounts, func(a, b *Account) int {
		return cmp.Or(b.Normal().Cmp(a.Normal()), cmp.Compare(a.Code, b.Code))
	})
}

func (p *page) poolChart(days []point[safeguarded], of pool, scale uint8) {
	c := &report.Chart{Kind: report.Lines, Title: fmt.Sprintf("Requirement and resource of %s, the last %d days", of, chartDays), Unit: of.currency,
		Series: []report.Series{{Name: "requirement"}, {Name: "resource"}}}
	for day := max(p.in.History.first, p.in.Book.AsOf-chartDays+1); day <= p.in.Book.AsOf; day++ {
		s, ok := at(days, day)
		if !ok {
			continue
		}
		c.Categories = append(c.Categories, day.String())
		c.Series[0].Values = append(c.Series[0].Values, s.requirement.Format(scale))
		c.Series[1].Values = append(c.Series[1].Values, s.resource.Format(scale))
	}
	if len(c.Categories) > 1 {
		p.last().Chart = c
	}
}

func (p *page) poolTable(h *poolHistory, order []int) {
	t := &report.Table{Name: "safeguarding", Columns: []report.Column{
		{Name: "pool", Title: "Pool", Kind: report.Text}, {Name: "currency", Title: "Currency", Kind: report.Text},
		{Name: "requirement", Title: "Requirement", Kind: report.Amount}, {Name: "resource", Title: "Resource", Kind: report.Amount},
		{Name: "excess", Title: "Excess", Kind: report.Amount}, {Name: "negative", Title: "Negative balances", Kind: report.Amount},
		{Name: "short_since", Title: "Short since", Kind: report.Date},
	}}
	for _, i := range order {
		at, now := h.pools[i], h.now[i]
		scale := p.in.Book.scale(at.currency)
		amount := func(v decimal.Decimal) report.Cell { return p.amount(v, at.currency) }
		requirement, resource := now.requirement.Decimal(scale), now.resource.Decimal(scale)
		since := report.Cell{}
		if now.short() {
			since.Value = shortSince(h.days[i]).String()
		}
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{textCell(at.name), textCell(at.currency), amount(requirement), amount(resource), amount(resource.Sub(requirement)), amount(now.negative.Decimal(scale)), since}})
	}
	p.block("All pools")
	p.last().Table = t
}
