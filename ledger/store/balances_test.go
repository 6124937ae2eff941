package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Balances in groups are what adding up every posting gives, at any size, by
// booking and by value date, on whatever pages.
func TestBalancesAreTheSumsOfPostings(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		random := rand.New(rand.NewPCG(11, 12))
		codes := []string{"a", "a:b", "a:b:c", "a:b:d", "a:c", "a-b:c", "a.b", "ab:c", "b:c:d:e", "c:b"}
		opener := d.sequencers(d.db)
		for i, code := range codes {
			r := d.open(code, chain.AccountType(i%5+1), nil)
			if i%3 == 2 {
				r.Currency = "JPY"
			}
			d.accept(opener, r)
		}
		s := d.scribe(append(slices.Clone(codes), "cash", "alice", "bob")...)
		currencies := map[string][]string{}
		for _, code := range codes {
			currencies[s.accounts[code].Currency] = append(currencies[s.accounts[code].Currency], code)
		}
		first, start := s.day(0), s.head.Seq
		var all []chain.Entry
		for i := range 700 {
			mine := currencies[[]string{"EUR", "EUR", "JPY"}[i%3]]
			booking := first + chain.Date(i/40)
			order := random.Perm(len(mine))
			if random.IntN(3) > 0 { // most postings are on two accounts, so that they have many
				order = []int{0, 1}
			}
			all = append(all, s.transfer(mine[order[0]], mine[order[1]], random.Int64N(1000)+1,
				booked(booking, booking+chain.Date(max(0, random.IntN(12)-8)*(random.IntN(3)-1)))).Record())
		}
		s.commit()
		for range 60 {
			f := store.BalanceFilter{AsOf: start + random.Int64N(701), Depth: random.IntN(4), Limit: 1 + random.IntN(6)}
			f.Prefix = []string{"", "a", "a:b", "b", "zz"}[random.IntN(5)]
			if random.IntN(2) == 0 {
				on := first + chain.Date(random.IntN(25)-3)
				f.Effective = &on
			}
			posted := map[string]int64{}
			for _, r := range all {
				for _, p := range r.Postings {
					if r.Seq <= f.AsOf && (f.Effective == nil || p.EffectiveDate <= *f.Effective) {
						posted[p.AccountID.String()] += signed(p)
					}
				}
			}
			d.checkBalances(t, f, s.accounts, posted)
		}
		f := store.BalanceFilter{Limit: 10, AsOf: start + 1000}
		if _, err := d.db.Balances(t.Context(), d.id, f); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("as of an entry that is not there: %v, want ErrNotFound", err)
		}
		d.checkEffective(t, s, all)
	})
}

// sums is a group as the test adds it up: accounts, debits, credits.
type sums [3]int64

func (d *desk) checkBalances(t *testing.T, f store.BalanceFilter, accounts map[string]*ledger.Account, posted map[string]int64) {
	t.Helper()
	type key struct{ code, currency string }
	groups, totals := map[key]sums{}, map[string]sums{}
	for code, a := range accounts {
		if f.Prefix != "" && code != f.Prefix && !strings.HasPrefix(code, f.Prefix+":") {
			continue
		}
		segments := strings.Split(code, ":")
		if f.Depth > 0 {
			segments = segments[:min(f.Depth, len(segments))]
		}
		k := key{strings.Join(segments, ":"), a.Currency}
		v := posted[a.AccountID.String()]
		one := sums{1, max(v, 0), max(-v, 0)}
		g, total := groups[k], totals[a.Currency]
		for i := range one {
			g[i], total[i] = g[i]+one[i], total[i]+one[i]
		}
		groups[k], totals[a.Currency] = g, total
	}
	var want, got []string
	for k, g := range groups {
		want = append(want, fmt.Sprint(k.code, " ", k.currency, g, g[1]-g[2]))
	}
	slices.SortFunc(want, func(a, b string) int { // by code, then currency
		x, y := strings.Fields(a), strings.Fields(b)
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1][:3], y[1][:3]))
	})
	for pages := 1; ; pages++ {
		p, err := d.db.Balances(t.Context(), d.id, f)
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		for _, g := range p.Groups {
			got = append(got, fmt.Sprint(g.Code, " ", g.Currency, sums{g.Accounts, g.Debits.Big().Int64(), g.Credits.Big().Int64()}, g.Balance))
			f.AfterCode, f.AfterCurrency = g.Code, g.Currency
		}
		if len(p.Totals) != len(totals) || p.AsOf != f.AsOf {
			t.Fatalf("%+v: totals %+v as of %d, want %v", f, p.Totals, p.AsOf, totals)
		}
		for i, total := range p.Totals {
			w := totals[total.Currency]
			if (sums{total.Accounts, total.Debits.Big().Int64(), total.Credits.Big().Int64()}) != w || i > 0 && p.Totals[i-1].Currency > total.Currency {
				t.Fatalf("%+v: total %+v, want %v", f, total, w)
			}
		}
		if !p.More {
			break
		}
		if len(p.Groups) != f.Limit {
			t.Fatalf("%+v: page %d has %d groups and is not the last", f, pages, len(p.Groups))
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v:\n%v\nwant\n%v", f, got, want)
	}
}

// checkEffective asks for the balances of single accounts by value date.
func (d *desk) checkEffective(t *testing.T, s *scribe, all []chain.Entry) {
	t.Helper()
	for code, a := range s.accounts {
		for _, day := range []chain.Date{all[0].BookingDate - 9, all[0].BookingDate + 5, s.head.BookingDate + 50} {
			asOf := all[len(all)/2].Seq
			want := int64(0)
			for _, r := range all {
				for _, p := range r.Postings {
					if p.AccountID == a.AccountID && r.Seq <= asOf && p.EffectiveDate <= day {
						want += signed(p)
					}
				}
			}
			got, err := d.db.BalanceEffective(t.Context(), d.id, code, day, asOf)
			if err != nil || got.Posted.Big().Int64() != want || got.AsOf != asOf || got.Account.Code != code {
				t.Errorf("%s on %s: %v of %q as of %d, want %d: %v", code, day, got.Posted, got.Account.Code, got.AsOf, want, err)
			}
		}
	}
	if _, err := d.db.BalanceEffective(t.Context(), d.id, "nobody", 0, store.Newest); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown account: %v, want ErrNotFound", err)
	}
}

// More accounts than are looked at together, and more groups than a page has.
func TestBalancesOfManyAccounts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		p := d.payments(4500)
		p.fund()
		f := store.BalanceFilter{AsOf: store.Newest, Limit: 700}
		var codes []string
		for {
			page, err := d.db.Balances(t.Context(), d.id, f)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Totals) != 1 || page.Totals[0].Accounts != 4504 || !page.Totals[0].Balance.IsZero() || page.Totals[0].Debits.Format(2) != "4500000.00" {
				t.Fatalf("totals %+v", page.Totals)
			}
			for _, g := range page.Groups {
				codes = append(codes, g.Code)
			}
			last := page.Groups[len(page.Groups)-1]
			f.AfterCode, f.AfterCurrency = last.Code, last.Currency
			if !page.More {
				break
			}
		}
		if len(slices.Compact(codes)) != 4504 || !slices.IsSorted(codes) {
			t.Errorf("%d accounts, sorted: %t", len(codes), slices.IsSorted(codes))
		}
	})
}
