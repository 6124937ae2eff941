package risk

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// Ageing of open items: breaks of the bank reconciliation, balances on suspense accounts, and what clearing accounts have
// not settled, by age in business days, with the charge of unsettled transactions.
//
//	age    = business days after the day it came up, to the as-of date
//	charge = Σ |amount| · rate(age)      0–4: 0 %, 5–15: 8 %, 16–30: 50 %, 31–45: 75 %, 46 and more: 100 %
//
// Source: Basel Framework CRE70.9 (delivery versus payment), as reported in COREP C 11.00. The standard charges the positive
// current exposure; a ledger knows no market price, and so the whole amount is taken.
const ageingConvention = "cre70-whole-amount-fifo"

// cre70 are the buckets of CRE70.9.
var cre70 = []policy.Bucket{{From: 0, Rate: rate("0")}, {From: 5, Rate: rate("0.08")}, {From: 16, Rate: rate("0.5")}, {From: 31, Rate: rate("0.75")}, {From: 46, Rate: rate("1")}}

func rate(s string) policy.Decimal { return policy.Decimal{Decimal: decimal.RequireFromString(s)} }

// Item is something that is open.
type Item struct {
	What     string // break, suspense or clearing
	Name     string
	Currency string
	Amount   decimal.Decimal // signed; its size counts
	Since    chain.Date
	Link     *report.Link
}

// openHistory follows what of the balances of suspense and clearing accounts is how old: what is taken away settles what came
// first (first in, first out), as the suspense ageing has it. A lot is a day, so that an account has at most as many as days.
type openHistory struct {
	role []string // by account, as the policy has it; empty for all others
	lots [][]point[money.Int128]
}

func newOpenHistory(b *Book, roles *policy.Accounts) *openHistory {
	n := len(b.Accounts)
	h := &openHistory{role: make([]string, n), lots: make([][]point[money.Int128], n)}
	for i := range b.Accounts {
		h.role[i], _, _ = roles.Ages(b.Accounts[i].Code)
	}
	return h
}

func (h *openHistory) move(m *Movement) {
	if h.role[m.Account] == "" {
		return
	}
	lots, left := h.lots[m.Account], m.Units
	for len(lots) > 0 && left.Sign() != 0 && lots[0].value.Sign() != left.Sign() {
		first := &lots[0]
		sum, _ := first.value.Add(left) // of opposite signs
		if sum.Sign() == first.value.Sign() {
			first.value, left = sum, money.Int128{}
			break
		}
		lots, left = lots[1:], sum
	}
	if left.Sign() != 0 {
		if last := len(lots) - 1; last >= 0 && lots[last].day == m.Day {
			lots[last].value, _ = lots[last].value.Add(left) // a part of the balance, which fits
		} else {
			lots = append(lots, point[money.Int128]{m.Day, left})
		}
	}
	h.lots[m.Account] = lots
}

// items returns what is open.
func (h *openHistory) items(b *Book) []Item {
	var list []Item
	for i, lots := range h.lots {
		a := &b.Accounts[i]
		for _, lot := range lots {
			list = append(list, Item{h.role[i], a.Code, a.Currency, lot.value.Decimal(a.Scale), lot.day, &report.Link{Account: a.Code}})
		}
	}
	return list
}

// aged is what an age bucket holds of one kind and currency.
type aged struct {
	count  int64
	amount decimal.Decimal
}

// bucketOf returns which bucket an age falls into.
func bucketOf(list []policy.Bucket, age int) int {
	at := 0
	for i, b := range list {
		if age >= b.From {
			at = i
		}
	}
	return at
}

// bucketName writes the ages of a bucket: 5–15, or 46+ for the last.
func bucketName(list []policy.Bucket, i int) string {
	if i == len(list)-1 {
		return strconv.Itoa(list[i].From) + "+"
	}
	return fmt.Sprintf("%d–%d", list[i].From, list[i+1].From-1)
}

var kindsOfItems = []string{"break", policy.RoleSuspense, policy.RoleClearing}

func ageing(p *page) {
	a := p.in.Policy.Risk.Ageing
	buckets := a.Buckets
	if len(buckets) == 0 {
		buckets = cre70
	}
	items := slices.Concat(p.in.Breaks, p.in.History.open.items(p.in.Book))
	if why := p.in.BanksUnknown; why != "" {
		p.absent(report.Figure{ID: "ageing.breaks", Title: "Breaks of the bank reconciliation", Meaning: "What bank and ledger disagree about, by age.", Standard: "Basel CRE70", Convention: ageingConvention}, "%s", why)
	}
	var list []string
	for _, item := range items {
		list = append(list, item.Currency)
	}
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) == 0 && p.in.BanksUnknown == "" {
		p.plain(report.Figure{ID: "ageing.items", Title: "Open items", Value: textCell("0"), Meaning: "Nothing is open.", Standard: "Basel CRE70", Convention: ageingConvention})
	}
	for _, currency := range list {
		p.ageingIn(currency, items, buckets, a)
	}
}

// ageingIn writes what is open in one currency.
func (p *page) ageingIn(currency string, all []Item, buckets []policy.Bucket, a *policy.Ageing) {
	days := p.in.Policy.Days()
	ages := map[chain.Date]int{} // a calendar counts day by day
	age := func(i Item) int {
		n, known := ages[i.Since]
		if !known {
			n = max(0, days.Between(i.Since, p.in.Book.AsOf))
			ages[i.Since] = n
		}
		return n
	}
	items := slices.DeleteFunc(slices.Clone(all), func(i Item) bool { return i.Currency != currency })
	slices.SortFunc(items, func(x, y Item) int {
		return cmp.Or(cmp.Compare(x.Since, y.Since), y.Amount.Abs().Cmp(x.Amount.Abs()), cmp.Compare(x.What, y.What), cmp.Compare(x.Name, y.Name))
	})
	cells := map[string][]aged{}
	for _, kind := range kindsOfItems {
		cells[kind] = make([]aged, len(buckets))
	}
	var charge decimal.Decimal
	var sources []report.Link
	for _, item := range items {
		b := bucketOf(buckets, age(item))
		c := &cells[item.What][b]
		c.count++
		c.amount = c.amount.Add(item.Amount.Abs())
		cost := item.Amount.Abs().Mul(buckets[b].Rate.Decimal)
		if charge = charge.Add(cost); cost.Sign() > 0 && item.Link != nil {
			sources = append(sources, *item.Link)
		}
	}
	without := ""
	if p.in.BanksUnknown != "" {
		without = " Breaks of the bank are not all among them: " + p.in.BanksUnknown + "."
	}
	p.block(p.Title + ": " + currency)
	p.figure(report.Figure{ID: "ageing." + currency + ".charge", Title: "Charge on open items in " + currency, Value: p.rounded(charge, currency), Meaning: fmt.Sprintf("What %d open items would cost in capital by their age: the older, the more.", len(items)) + without, Standard: "Basel CRE70, COREP C 11.00", Convention: ageingConvention, Sources: sources},
		charge, aboveIsWorse, a.Charge)
	heat := &report.Chart{Kind: report.Heat, Title: "Open amounts in " + currency + " by age in business days", Unit: currency}
	t := &report.Table{Name: "ageing-" + lower(currency), Columns: []report.Column{{Name: "what", Title: "What", Kind: report.Text}, {Name: "age", Title: "Age", Kind: report.Text},
		{Name: "items", Title: "Items", Kind: report.Count}, {Name: "amount", Title: "Amount", Kind: report.Amount, Currency: currency}, {Name: "rate", Title: "Charged %", Kind: report.Ratio}, {Name: "charge", Title: "Charge", Kind: report.Amount, Currency: currency}}}
	for i := range buckets {
		heat.Categories = append(heat.Categories, bucketName(buckets, i))
	}
	for _, kind := range kindsOfItems {
		s := report.Series{Name: kind}
		for i, c := range cells[kind] {
			s.Values = append(s.Values, p.amount(c.amount, currency).Value)
			if c.count > 0 {
				t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{textCell(kind), textCell(bucketName(buckets, i)), textCell(strconv.FormatInt(c.count, 10)), p.amount(c.amount, currency), textCell(percent(buckets[i].Rate.Decimal)), p.rounded(c.amount.Mul(buckets[i].Rate.Decimal), currency)}})
			}
		}
		heat.Series = append(heat.Series, s)
	}
	t.Rows = append(t.Rows, report.Row{Kind: report.Total, Cells: []report.Cell{textCell("total"), {}, {}, {}, {}, p.rounded(charge, currency)}})
	p.last().Table, p.last().Chart = t, heat
	p.oldest(currency, items, age)
}

// maxOldest is how many open items are listed by name.
const maxOldest = 100

func (p *page) oldest(currency string, items []Item, age func(Item) int) {
	t := &report.Table{Name: "open-items-" + lower(currency), Columns: []report.Column{{Name: "what", Title: "What", Kind: report.Text}, {Name: "item", Title: "Item", Kind: report.Code},
		{Name: "since", Title: "Since", Kind: report.Date}, {Name: "age", Title: "Business days", Kind: report.Count}, {Name: "amount", Title: "Amount", Kind: report.Amount, Currency: currency}}}
	for _, item := range items[:min(len(items), maxOldest)] {
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{textCell(item.What), {Value: item.Name, Link: item.Link}, textCell(item.Since.String()), textCell(strconv.Itoa(age(item))), p.amount(item.Amount, currency)}})
	}
	if len(items) > maxOldest {
		p.Notes = append(p.Notes, fmt.Sprintf("Of %d open items in %s the oldest %d are listed.", len(items), currency, maxOldest))
	}
	p.block("Oldest open items in " + currency)
	p.last().Table = t
}
