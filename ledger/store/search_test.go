package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// wanted is one entry of the ledger that searches are tried on, as the test made it.
type wanted struct {
	seq       int64
	kind      chain.Kind
	day       chain.Date
	reference string
	related   *ledger.RequestID
	metadata  map[string]string
	accounts  []string
	figures   []decimal.Decimal // booked, or held; not what is released
}

// has says what a filter selects, in words of its own.
func (w *wanted) has(f *store.EntryFilter) bool {
	inRange := func(v decimal.Decimal) bool {
		return (f.MinAmount == nil || v.Cmp(*f.MinAmount) >= 0) && (f.MaxAmount == nil || v.Cmp(*f.MaxAmount) <= 0)
	}
	value, member := w.metadata[f.MetadataKey]
	return w.seq >= f.FromSeq && (f.ToSeq == nil || w.seq <= *f.ToSeq) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, w.kind)) &&
		(f.Reference == "" || w.reference == f.Reference) &&
		(f.RelatedTo == nil || w.related != nil && *w.related == *f.RelatedTo) &&
		(f.MetadataKey == "" || member && value == f.MetadataValue) &&
		(f.Account == "" || slices.Contains(w.accounts, f.Account)) &&
		(f.AccountPrefix == "" || slices.Contains(w.accounts, "shops:a") || slices.Contains(w.accounts, "shops:b")) &&
		(f.FromDate == nil || w.day >= *f.FromDate) && (f.ToDate == nil || w.day <= *f.ToDate) &&
		(f.Currency == "" && f.MinAmount == nil && f.MaxAmount == nil ||
			f.Currency != "USD" && slices.ContainsFunc(w.figures, inRange) || f.Currency == "EUR" && f.MinAmount == nil && f.MaxAmount == nil && len(w.accounts) > 0)
}

// bazaar writes entries of every kind that searches meet.
func (d *desk) bazaar(n int, random *rand.Rand) (*scribe, []wanted) {
	codes := []string{"cash", "alice", "bob", "shops:a", "shops:b", "shopsy"}
	opener := d.sequencers(d.db)
	for _, code := range codes[3:] {
		d.accept(opener, d.open(code, chain.Asset, nil))
	}
	s := d.scribe(codes...)
	first := s.day(0)
	references := []string{"", "", "R-1", "R-2"}
	var related []ledger.RequestID
	for range 5 {
		related = append(related, must(ledger.NewRequestID()))
	}
	var all []wanted
	for i := range n {
		w := wanted{kind: chain.Transfer, day: first + chain.Date(i*20/n), metadata: map[string]string{}, reference: references[random.IntN(4)]}
		if random.IntN(20) == 0 {
			w.related = &related[random.IntN(5)]
		}
		var meta *string
		if random.IntN(3) == 0 {
			text := fmt.Sprintf(`{"big":1e30,"n":%d,"nested":{"n":9},"ok":%t,"who":"w%d","x":null}`, i%7, i%2 == 0, i%11)
			meta = &text
			w.metadata = map[string]string{"big": "1e30", "n": fmt.Sprint(i % 7), "ok": fmt.Sprint(i%2 == 0), "who": fmt.Sprint("w", i%11), "x": "null"}
		}
		units := random.Int64N(400) + 1
		order := random.Perm(len(codes))
		w.accounts = []string{codes[order[0]], codes[order[1]]}
		legs := []leg{{w.accounts[0], chain.Debit, units, 0}, {w.accounts[1], chain.Credit, units, 0}}
		w.figures = []decimal.Decimal{decimal.New(units, -2)}
		switch random.IntN(6) {
		case 0: // one debit, two credits
			w.accounts = append(w.accounts, codes[order[2]])
			legs = []leg{{w.accounts[0], chain.Debit, units + 1, 0}, {w.accounts[1], chain.Credit, units, 0}, {w.accounts[2], chain.Credit, 1, 0}}
			w.figures = append(w.figures, decimal.New(units+1, -2), decimal.New(1, -2))
		case 1:
			w.kind = chain.Hold
			for i := range legs {
				legs[i].amount, legs[i].pending = 0, units
			}
		}
		e := s.add(w.kind, func(r *chain.Entry, t *ledger.Text) {
			r.BookingDate, r.EffectiveDate, t.Metadata = w.day, w.day, meta
			if w.reference != "" {
				t.Reference = &w.reference
			}
			if w.related != nil {
				r.RelatedTo = &w.related.UUID
			}
		}, legs...)
		w.seq = e.Seq()
		all = append(all, w)
		if w.kind == chain.Hold && i%2 == 0 {
			released := s.settle(e, chain.Release, 0)
			all = append(all, wanted{seq: released.Seq(), kind: chain.Release, day: w.day, accounts: w.accounts})
		}
	}
	s.commit()
	return s, all
}

// Whatever conditions come together, and however small the pages are, a search
// finds what looking at every entry finds.
func TestSearchFindsWhatLookingAtEveryEntryFinds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		random := rand.New(rand.NewPCG(7, 8))
		s, all := d.bazaar(5000, random)
		first := all[0].day
		pick := func(one, of int) bool { return random.IntN(of) < one }
		found := 0
		for range 150 {
			var f store.EntryFilter
			if pick(1, 3) {
				f.Kinds = []chain.Kind{chain.Transfer, chain.Hold}
			}
			if pick(1, 4) {
				f.Reference = fmt.Sprint("R-", 1+random.IntN(2))
			}
			if w := all[random.IntN(len(all))]; w.related != nil || pick(1, 8) {
				f.RelatedTo = w.related
			}
			if pick(1, 3) {
				f.MetadataKey = []string{"big", "n", "nested", "ok", "who", "x"}[random.IntN(6)]
				f.MetadataValue = []string{"1e30", "3", "9", "true", "w4", "null"}[random.IntN(6)]
				if w := all[random.IntN(len(all))]; pick(2, 3) && w.metadata["who"] != "" {
					f.MetadataKey, f.MetadataValue = "who", w.metadata["who"]
				}
			}
			if pick(1, 4) {
				f.Account = []string{"alice", "shops:a", "nobody"}[random.IntN(3)]
			}
			if pick(1, 8) {
				f.AccountPrefix = "shops"
			}
			if pick(1, 3) {
				low := decimal.New(random.Int64N(400), -2)
				high := low.Add(decimal.New([]int64{0, 3, 300}[random.IntN(3)], -2))
				f.MinAmount, f.MaxAmount = &low, &high
				if pick(1, 4) {
					f.MaxAmount = nil
				} else if pick(1, 4) {
					f.MinAmount = nil
				}
			}
			if pick(1, 6) {
				f.Currency = []string{"EUR", "USD"}[random.IntN(2)]
			}
			if pick(1, 4) {
				from, to := first+chain.Date(random.IntN(20)), first+chain.Date(random.IntN(20))
				f.FromDate, f.ToDate = &from, &to
			}
			if pick(1, 4) {
				to := random.Int64N(s.head.Seq)
				f.FromSeq, f.ToSeq = random.Int64N(s.head.Seq), &to
			}
			var want []int64
			for i := range all {
				if all[i].has(&f) {
					want = append(want, all[i].seq)
				}
			}
			f.Limit = 1 + random.IntN(1000)
			if len(want) > 30 {
				f.Limit = max(f.Limit, len(want)/6) // some pages
			}
			got := d.searchAll(f)
			if f.Kinds == nil { // what stood there before
				got = slices.DeleteFunc(got, func(seq int64) bool { return seq < all[0].seq })
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%+v\nfound %d entries, want %d: %v\nwant %v", f, len(got), len(want), got, want)
			}
			found += min(1, len(want))
		}
		if found < 40 {
			t.Errorf("only %d searches had anything to find", found)
		}
	})
}

// searchAll walks all pages.
func (d *desk) searchAll(f store.EntryFilter) []int64 {
	d.t.Helper()
	var seqs []int64
	for next := new(int64); next != nil; {
		f.From = *next
		page, err := d.db.Entries(d.t.Context(), d.id, f)
		if err != nil {
			d.t.Fatalf("%+v: %v", f, err)
		}
		if len(page.Entries) > f.Limit || page.Next != nil && *page.Next <= f.From && f.From > 0 {
			d.t.Fatalf("%+v: a page of %d entries, then from %v", f, len(page.Entries), page.Next)
		}
		for i := range page.Entries {
			seqs = append(seqs, page.Entries[i].Seq())
		}
		next = page.Next
	}
	return seqs
}

// A page of a search without an index looks at no more than a window, and says
// where to go on.
func TestSearchIsBoundedWithoutAnIndex(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.scribe("cash", "alice")
		for range 11_000 {
			s.transfer("cash", "alice", 1, nil)
		}
		rare := s.add(chain.Hold, nil, leg{"cash", chain.Debit, 0, 7}, leg{"alice", chain.Credit, 0, 7})
		s.commit()
		f := store.EntryFilter{Kinds: []chain.Kind{chain.Hold}, Limit: 5}
		page, err := d.db.Entries(t.Context(), d.id, f)
		if err != nil || len(page.Entries) != 0 || page.Next == nil || *page.Next != 10_000 {
			t.Errorf("the first page: %d entries, next %v, %v", len(page.Entries), page.Next, err)
		}
		if got := d.searchAll(f); !slices.Equal(got, []int64{rare.Seq()}) {
			t.Errorf("found %v, want the hold at %d", got, rare.Seq())
		}
	})
}

func TestTermsAreTheScalarMembers(t *testing.T) {
	t.Parallel()
	terms, err := store.TermsOf(`{"a":"x","b":1.50,"c":true,"d":null,"e":{"a":"y"},"f":["a"],"ä\u0000":"\"ö\n"}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Term{store.TermOf("a", "x"), store.TermOf("b", "1.50"), store.TermOf("c", "true"), store.TermOf("d", "null"), store.TermOf("ä\x00", "\"ö\n")}
	if !slices.Equal(terms, want) {
		t.Errorf("terms %x, want %x", terms, want)
	}
	if store.TermOf("ab", "c") == store.TermOf("a", "bc") {
		t.Error("two members have one term")
	}
	if fmt.Sprintf("%x", store.TermOf("channel", "web")) != "03ace47edcee1d654b3d579d50dfd1be" {
		t.Errorf("the term of channel=web is %x: terms that are stored would not be found any more", store.TermOf("channel", "web"))
	}
	if none, err := store.TermsOf(`{}`); err != nil || len(none) != 0 {
		t.Errorf("{}: %v, %v", none, err)
	}
	for _, bad := range []string{``, `[]`, `"a"`, `{"a":}`, `{"a":1`} {
		if _, err := store.TermsOf(bad); err == nil {
			t.Errorf("%s is no error", bad)
		}
	}
}

// Terms are stored with their entry, are erased by it, and never lie: an entry is
// found only if its metadata says so.
func TestMetadataTermsFollowTheirEntry(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.scribe("cash", "alice")
		with := func(m string) func(*chain.Entry, *ledger.Text) {
			return func(_ *chain.Entry, t *ledger.Text) { t.Metadata = &m }
		}
		plain := s.transfer("cash", "alice", 1, nil)
		kept := s.transfer("cash", "alice", 1, with(`{"case":"7","shop":"a"}`))
		erased := s.transfer("cash", "alice", 1, with(`{"case":"7","list":[1]}`))
		s.commit()
		snapshot, err := openAuditor(t, d.url).Snapshot(t.Context(), d.id.UUID)
		if err != nil {
			t.Fatal(err)
		}
		got := map[int64]int{}
		err = snapshot.MetadataTerms(t.Context(), 0, snapshot.Size, func(seq int64, term []byte) error {
			got[seq]++
			for _, want := range []store.Term{store.TermOf("case", "7"), store.TermOf("shop", "a")} {
				if string(term) == string(want[:]) {
					return nil
				}
			}
			return fmt.Errorf("entry %d has the term %x", seq, term)
		})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(map[int64]int{kept.Seq(): 2, erased.Seq(): 1}) {
			t.Errorf("terms by entry: %v, %v", got, err)
		}
		f := store.EntryFilter{MetadataKey: "case", MetadataValue: "7", Limit: 10}
		if got := d.searchAll(f); !slices.Equal(got, []int64{kept.Seq(), erased.Seq()}) {
			t.Errorf("found %v", got)
		}
		d.owner(`insert into ops.metadata_terms (ledger_id, seq, term) select ledger_id, $1, term from ops.metadata_terms where seq = $2`, plain.Seq(), erased.Seq())
		d.as(store.RoleEraser, `delete from ops.payloads where ledger_id = $1 and seq = $2`, d.id.String(), erased.Seq())
		if got := d.searchAll(f); !slices.Equal(got, []int64{kept.Seq()}) {
			t.Errorf("with terms whose metadata is gone or was never there, found %v, want %d", got, kept.Seq())
		}
		d.as(store.RoleEraser, `delete from ops.metadata_terms where ledger_id = $1 and seq = $2`, d.id.String(), erased.Seq())
		if n := d.count(`select count(*) from ops.metadata_terms where seq = $1`, erased.Seq()); n != 0 {
			t.Errorf("%d terms are left of the erased entry", n)
		}
	})
}

// as runs SQL in another role.
func (d *desk) as(role store.Role, sql string, args ...any) {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(d.t.Context()))
	if _, err := conn.Exec(d.t.Context(), "set role "+string(role)); err != nil {
		d.t.Fatal(err)
	}
	if _, err := conn.Exec(d.t.Context(), sql, args...); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
}

// TestPageOfHeavyEntriesEndsEarly: what a page takes is bounded, and no entry is
// lost between pages.
func TestPageOfHeavyEntriesEndsEarly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		const many = 700
		text := `{"note":"` + strings.Repeat("x", 15<<10) + `"}`
		var requests []ledger.Request
		for range many {
			r := d.transfer("cash", "bob", "1")
			r.Metadata = &text
			requests = append(requests, r)
		}
		for i, r := range d.sequencers(d.db).SubmitAll(t.Context(), d.id, requests) {
			if r.Entry == nil {
				t.Fatalf("transfer %d: %+v", i, r)
			}
		}
		for name, f := range map[string]store.EntryFilter{
			"all": {Kinds: []chain.Kind{chain.Transfer}}, "of an account": {Account: "bob", Kinds: []chain.Kind{chain.Transfer}},
		} {
			f.Limit = 1000
			last, pages := int64(-1), 0
			for found := 0; found < many; pages++ {
				page, err := d.db.Entries(t.Context(), d.id, f)
				if err != nil {
					t.Fatal(err)
				}
				for i := range page.Entries {
					if seq := page.Entries[i].Seq(); seq <= last {
						t.Fatalf("%s: entry %d after %d", name, seq, last)
					}
					last = page.Entries[i].Seq()
				}
				found += len(page.Entries)
				if page.Next == nil && found != many {
					t.Fatalf("%s: %d entries on all pages, want %d", name, found, many)
				}
				if page.Next != nil {
					f.From = *page.Next
				}
			}
			if pages < 2 {
				t.Errorf("%s: %d entries of 15 KiB on one page", name, many)
			}
		}
	})
}
