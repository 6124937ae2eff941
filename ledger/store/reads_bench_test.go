package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// payments writes transfers between customers from one equity account on, in the
// way of a payment institution: most customers have few, each with a value date,
// one in ten with metadata, one in fifty with a rate, one in a hundred with a
// reference, one in a thousand related to another.
type payments struct {
	s         *scribe
	customers []string
	random    *rand.Rand
	ids       []ledger.RequestID
}

func (d *desk) payments(customers int) *payments {
	d.t.Helper()
	p := &payments{random: rand.New(rand.NewPCG(3, 4))}
	open := []ledger.Request{d.open("equity:funding", chain.Equity, nil)}
	for i := range customers {
		p.customers = append(p.customers, fmt.Sprintf("customers:%d:wallet", i))
		open = append(open, d.open(p.customers[i], chain.Liability, nil))
	}
	s := d.sequencers(d.db)
	for chunk := range slices.Chunk(open, 5000) {
		for _, r := range s.SubmitAll(d.t.Context(), d.id, chunk) {
			if r.Err != nil || r.Entry == nil {
				d.t.Fatalf("opening an account: %+v", r)
			}
		}
	}
	p.s = d.scribe(append(slices.Clone(p.customers), "equity:funding")...)
	return p
}

// fund credits every customer.
func (p *payments) fund() {
	for _, c := range p.customers {
		p.s.transfer("equity:funding", c, 100_000, nil)
	}
	p.s.commit()
}

// pay writes n transfers; they go on over days of booking.
func (p *payments) pay(n, days int) {
	first := p.s.day(0)
	for i := range n {
		from, to := p.random.IntN(len(p.customers)), p.random.IntN(len(p.customers)-1)
		if to >= from {
			to++
		}
		e := p.s.transfer(p.customers[from], p.customers[to], p.random.Int64N(500_000)+1, func(r *chain.Entry, t *ledger.Text) {
			r.BookingDate = first + chain.Date(i*days/n)
			r.EffectiveDate = r.BookingDate - chain.Date(p.random.IntN(3))
			if i%10 == 0 {
				m := fmt.Sprintf(`{"batch":"b%d","channel":"web"}`, i/100)
				t.Metadata = &m
			}
			if i%100 == 0 {
				ref := fmt.Sprintf("INV-%d", i/200)
				t.Reference = &ref
			}
			if i%50 == 0 {
				r.Details = []chain.Detail{{Name: "rate", Value: "EUR/USD 1.0834"}}
			}
			if i%1000 == 0 && i > 0 {
				r.RelatedTo = &p.ids[p.random.IntN(len(p.ids))].UUID
			}
		})
		p.ids = append(p.ids, e.RequestID())
	}
	p.s.commit()
}

// BenchmarkReads measures what clients read from a ledger of 140,000 transfers
// among 20,000 accounts, and reports the 99th percentile.
func BenchmarkReads(b *testing.B) {
	d := newBenchDesk(b)
	p := d.payments(20_000)
	p.fund()
	p.pay(120_000, 90)
	day := p.s.day(0)
	random := rand.New(rand.NewPCG(5, 6))
	customer := func() string { return p.customers[random.IntN(len(p.customers))] }
	amount := func() *decimal.Decimal { a := decimal.New(random.Int64N(500_000)+1, -2); return &a }
	search := func(f store.EntryFilter) error {
		f.Limit = 100
		_, err := d.db.Entries(b.Context(), d.id, f)
		return err
	}
	kinds := []chain.Kind{chain.Transfer, chain.Hold}
	for _, read := range []struct {
		name string
		do   func() error
	}{
		{"balance", func() error { _, err := d.db.Account(b.Context(), d.id, customer()); return err }},
		{"balance at", func() error {
			_, err := d.db.AccountAt(b.Context(), d.id, customer(), random.Int64N(p.s.head.Seq-50_000)+50_000)
			return err
		}},
		{"balance effective", func() error {
			_, err := d.db.BalanceEffective(b.Context(), d.id, customer(), day-chain.Date(random.IntN(95)), store.Newest)
			return err
		}},
		{"statement", func() error {
			_, err := d.db.Statement(b.Context(), d.id, store.StatementFilter{Code: customer(), From: day - 60, To: day - 5, AsOf: store.Newest, Limit: 100})
			return err
		}},
		{"statement of the funding account", func() error {
			_, err := d.db.Statement(b.Context(), d.id, store.StatementFilter{Code: "equity:funding", From: day - 100, To: day, AsOf: store.Newest, Limit: 100})
			return err
		}},
		{"search reference", func() error {
			return search(store.EntryFilter{Kinds: kinds, Reference: fmt.Sprintf("INV-%d", random.IntN(600))})
		}},
		{"search related", func() error {
			return search(store.EntryFilter{Kinds: kinds, RelatedTo: &p.ids[random.IntN(len(p.ids))]})
		}},
		{"search metadata", func() error {
			return search(store.EntryFilter{Kinds: kinds, MetadataKey: "batch", MetadataValue: fmt.Sprintf("b%d", random.IntN(1200))})
		}},
		{"search common metadata", func() error {
			return search(store.EntryFilter{Kinds: kinds, MetadataKey: "channel", MetadataValue: "web"})
		}},
		{"search amount", func() error {
			a := amount()
			return search(store.EntryFilter{Kinds: kinds, MinAmount: a, MaxAmount: a, Currency: "EUR"})
		}},
		{"search amounts", func() error {
			a := amount()
			high := a.Add(decimal.New(100, -2))
			return search(store.EntryFilter{Kinds: kinds, MinAmount: a, MaxAmount: &high, Currency: "EUR"})
		}},
		{"search many amounts", func() error { return search(store.EntryFilter{Kinds: kinds, MinAmount: amount()}) }},
		{"search account", func() error { return search(store.EntryFilter{Kinds: kinds, Account: customer()}) }},
		{"search account and metadata", func() error {
			return search(store.EntryFilter{Kinds: kinds, Account: customer(), MetadataKey: "channel", MetadataValue: "web"})
		}},
		{"search dates", func() error {
			d := day - chain.Date(random.IntN(80))
			return search(store.EntryFilter{Kinds: kinds, FromDate: &d, ToDate: &d})
		}},
		{"search prefix", func() error { return search(store.EntryFilter{Kinds: kinds, AccountPrefix: "equity"}) }},
		{"balances of a prefix", func() error {
			_, err := d.db.Balances(b.Context(), d.id, store.BalanceFilter{Prefix: fmt.Sprint("customers:", random.IntN(20_000)), AsOf: store.Newest, Limit: 100})
			return err
		}},
		{"balances of all", func() error {
			_, err := d.db.Balances(b.Context(), d.id, store.BalanceFilter{Depth: 1, AsOf: store.Newest, Limit: 100})
			return err
		}},
		{"balances of all long ago", func() error {
			_, err := d.db.Balances(b.Context(), d.id, store.BalanceFilter{Depth: 1, AsOf: 80_000, Limit: 100})
			return err
		}},
		{"balances of all effective", func() error {
			on := day - 30
			_, err := d.db.Balances(b.Context(), d.id, store.BalanceFilter{Depth: 1, AsOf: store.Newest, Effective: &on, Limit: 100})
			return err
		}},
	} {
		b.Run(read.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if err := read.do(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

func newBenchDesk(b *testing.B) *desk { return newDesk(b, storetest.Database(b)) }
