package main

import (
	"net/url"
	"strconv"

	"github.com/shopspring/decimal"

	"tallystick/api/client"
)

// read is a kind of read. next returns the path of one request, "" when the
// ledger has nothing to ask for.
type read struct {
	name string
	next func() string
}

// reads returns every kind.
func (d *drawn) reads() []read {
	path := func(query url.Values, segments ...string) string {
		p := client.LedgerPath(d.ledger.Name, segments...)
		if len(query) > 0 {
			p += "?" + query.Encode()
		}
		return p
	}
	type v = url.Values
	search := func(query v) string { return path(query, "transfers") }
	return append([]read{
		{"account", func() string { return path(nil, "accounts", d.account()) }},
		{"balance", func() string { return path(nil, "accounts", d.account(), "balance") }},
		{"balance at a seq", func() string {
			e := d.entry(anyEntry)
			return path(v{"seq": {strconv.FormatInt(e.Seq, 10)}}, "accounts", e.Postings[0].Account, "balance")
		}},
		{"balance by value date", func() string {
			return path(v{"effective": {d.entry(anyEntry).EffectiveDate}}, "accounts", d.account(), "balance")
		}},
		{"balances of a prefix", func() string { return path(v{"prefix": {d.account()}}, "balances") }},
		{"statement", func() string { return path(nil, "accounts", d.account(), "statement") }},
		{"statement of days", func() string {
			day := d.entry(anyEntry).BookingDate
			return path(v{"from": {day}, "to": {day}}, "accounts", d.account(), "statement")
		}},
		{"statement, busiest account", func() string {
			return path(v{"from": {d.entry(anyEntry).BookingDate}}, "accounts", d.busiest.Code, "statement")
		}},
		{"postings of an account", func() string { return path(nil, "accounts", d.account(), "postings") }},
		{"entries", func() string {
			return path(v{"from": {strconv.FormatInt(d.random.Int64N(d.ledger.Size), 10)}}, "entries")
		}},
		{"entry", func() string { return path(nil, "entries", strconv.FormatInt(d.random.Int64N(d.ledger.Size), 10)) }},
		{"transfer", func() string {
			return path(nil, "transfers", d.entry(func(e *entry) bool { return e.Kind == "transfer" }).ID)
		}},
	}, d.searches(search)...)
}

// searches returns every condition of a search.
func (d *drawn) searches(search func(url.Values) string) []read {
	type v = url.Values
	amounts := func(wider string) func() string {
		return func() string {
			p := d.entry(anyEntry).Postings[0]
			query := v{"min_amount": {p.Amount}, "currency": {p.Currency}}
			if wider != "" {
				high := decimal.RequireFromString(p.Amount).Add(decimal.RequireFromString(wider))
				query.Set("max_amount", high.String())
			}
			return search(query)
		}
	}
	return []read{
		{"search: reference", func() string {
			e := d.entry(func(e *entry) bool { return e.Reference != "" })
			if e == nil {
				return ""
			}
			return search(v{"reference": {e.Reference}})
		}},
		{"search: related_to", func() string {
			e := d.entry(func(e *entry) bool { return e.RelatedTo != "" })
			if e == nil {
				return ""
			}
			return search(v{"related_to": {e.RelatedTo}})
		}},
		{"search: rare metadata", func() string {
			key, value := "", ""
			d.entry(func(e *entry) bool {
				for k, any := range e.Metadata {
					if text, ok := any.(string); ok && [2]string{k, text} != d.commonly {
						key, value = k, text
					}
				}
				return key != ""
			})
			if key == "" {
				return ""
			}
			return search(v{"metadata_key": {key}, "metadata_value": {value}})
		}},
		{"search: common metadata", func() string {
			if d.commonly[0] == "" {
				return ""
			}
			return search(v{"metadata_key": {d.commonly[0]}, "metadata_value": {d.commonly[1]}})
		}},
		{"search: amount", amounts("0")},
		{"search: narrow amounts", amounts("0.50")},
		{"search: wide amounts", amounts("")},
		{"search: dates", func() string {
			day := d.entry(anyEntry).BookingDate
			return search(v{"from": {day}, "to": {day}})
		}},
		{"search: account", func() string { return search(v{"account": {d.account()}}) }},
		{"search: account, dates", func() string {
			e := d.entry(anyEntry)
			return search(v{"account": {e.Postings[0].Account}, "from": {e.BookingDate}, "to": {e.BookingDate}})
		}},
		{"search: busiest account", func() string { return search(v{"account": {d.busiest.Code}}) }},
	}
}
