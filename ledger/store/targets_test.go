package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

func TestOpeningHasTheRulesInOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.scribe("cash", "alice")
		why := "late invoices"
		var want []int64
		for i := range 3 {
			s.transfer("cash", "alice", 1, nil)
			end := chain.Detail{Name: "period_end", Value: s.day(i - 9).String()}
			closed := s.add(chain.PeriodClosed, func(r *chain.Entry, _ *ledger.Text) {
				r.Details = []chain.Detail{end, {Name: "through_seq", Value: fmt.Sprint(r.Seq - 1)}}
			})
			s.transfer("cash", "alice", 1, nil)
			reopened := s.add(chain.PeriodReopened, func(r *chain.Entry, t *ledger.Text) {
				acting(closed)(r, t)
				r.Details, t.Description = []chain.Detail{end}, &why
			})
			currency := s.add(chain.CurrencyDefined, func(r *chain.Entry, _ *ledger.Text) {
				r.Details = []chain.Detail{{Name: "code", Value: fmt.Sprint("POINTS", i)}, {Name: "name", Value: "points"}, {Name: "scale", Value: "0"}}
			})
			want = append(want, closed.Seq(), reopened.Seq(), currency.Seq())
		}
		newest := s.transfer("cash", "alice", 1, nil)
		s.commit()
		o, err := d.db.Opening(t.Context(), d.id)
		if err != nil {
			t.Fatal(err)
		}
		if o.Terms.Name != "main" || o.Newest.Hash() != newest.Hash() || !o.Newest.Intact() {
			t.Errorf("the ledger %s begins at %d, want main at %d", o.Terms.Name, o.Newest.Seq(), newest.Seq())
		}
		var got []int64
		for i := range o.Rules {
			e := &o.Rules[i]
			got = append(got, e.Seq())
			if !e.Intact() || !ledger.SetsRules(e.Record().Kind) {
				t.Errorf("entry %d is a %s, intact: %t", e.Seq(), e.Record().Kind, e.Intact())
			}
			if text := e.Text().Description; e.Record().Kind == chain.PeriodReopened && (text == nil || *text != why) {
				t.Errorf("entry %d has lost its description", e.Seq())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("rules at %v, want %v", got, want)
		}
	})
}

// Every kind with postings comes back as it was hashed, through each way of
// reading it.
func TestEveryFieldOfAnEntryComesBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.scribe("cash", "alice")
		related := must(ledger.NewRequestID()).UUID
		full := func(r *chain.Entry, _ *ledger.Text) {
			r.RelatedTo, r.PriorPeriod, r.EffectiveDate = &related, true, s.day(-3)
			r.Details = []chain.Detail{{Name: "rate", Value: "EUR/USD 1.0834"}}
		}
		s.transfer("cash", "alice", 3, full)
		us := time.Now().UnixMicro()
		hold := s.add(chain.Hold, func(r *chain.Entry, t *ledger.Text) { full(r, t); r.ExpiresAt = &us },
			leg{"cash", chain.Debit, 0, 9}, leg{"alice", chain.Credit, 0, 9})
		s.add(chain.Capture, func(r *chain.Entry, t *ledger.Text) {
			acting(hold)(r, t)
			r.Details = []chain.Detail{{Name: "rate", Value: "1"}}
		},
			leg{"cash", chain.Debit, 4, -9}, leg{"alice", chain.Credit, 4, -9})
		s.commit()
		d.checkLedger() // through Tail
		for seq := int64(4); seq <= 6; seq++ {
			if e := d.entry(seq); !e.Intact() {
				t.Errorf("entry %d, a %s, is not what was stored: %+v", seq, e.Record().Kind, e.Record())
			}
		}
		_, evidence, err := d.db.LoadAccounts(t.Context(), d.id, []string{"alice"}, 6)
		if err != nil || evidence[6] == nil || !evidence[6].Intact() {
			t.Errorf("the evidence of alice's balance: %+v, %v", evidence, err)
		}
	})
}

func TestTargetsAndWhatBecameOfThem(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.scribe("cash", "alice")
		plain, undone := s.transfer("cash", "alice", 1, nil), s.transfer("cash", "alice", 2, nil)
		undoing := s.reverse(undone)
		open, captured, released, returned := s.hold("cash", "alice", 3, time.Now()), s.hold("cash", "alice", 4, time.Now()),
			s.hold("cash", "alice", 5, time.Now()), s.hold("cash", "alice", 6, time.Now())
		capture, release, capturedAll := s.settle(captured, chain.Capture, 1), s.settle(released, chain.Release, 0), s.settle(returned, chain.Capture, 6)
		undoneToo := s.reverse(capturedAll)
		s.commit()
		account := d.entry(1)

		ids := []ledger.RequestID{must(ledger.NewRequestID())}
		want := map[ledger.RequestID][3]*ledger.Entry{}
		for _, w := range [][3]*ledger.Entry{
			{plain}, {undone, nil, undoing}, {undoing}, {open}, {captured, capture}, {released, release},
			{returned, capturedAll, undoneToo}, {capture}, {capturedAll, nil, undoneToo}, {release}, {account},
		} {
			ids = append(ids, w[0].RequestID())
			want[w[0].RequestID()] = w
		}
		got, err := d.db.Targets(t.Context(), d.id, ids)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d targets, want %d: %v", len(got), len(want), err)
		}
		for id, target := range got {
			for i, e := range []*ledger.Entry{target.Entry, target.Settled, target.Reversed} {
				what := [...]string{"entry", "what settled it", "what reversed it"}[i]
				switch w := want[id][i]; {
				case (e == nil) != (w == nil):
					t.Errorf("entry %d: %s is %v, want %v", target.Entry.Seq(), what, e, w)
				case e != nil && (e.Hash() != w.Hash() || !e.Intact()):
					t.Errorf("entry %d: %s is entry %d, want %d", target.Entry.Seq(), what, e.Seq(), w.Seq())
				case e != nil && len(e.Accounts()) > 0 && e.Accounts()[0].Code != w.Accounts()[0].Code:
					t.Errorf("entry %d: %s is on %q", target.Entry.Seq(), what, e.Accounts()[0].Code)
				}
			}
		}
		if none, err := d.db.Targets(t.Context(), d.id, ids[:1]); err != nil || len(none) != 0 {
			t.Errorf("an unknown id: %v, %v", none, err)
		}
	})
}

// Incomes are what adding up all postings by their value date gives, whatever
// their booking dates, on any day and as of any entry.
func TestIncomesAreTheSumsByValueDate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		codes := []string{"fees", "interest", "rent", "wages"}
		kinds := []chain.AccountType{chain.Revenue, chain.Revenue, chain.Expense, chain.Expense}
		opener := d.sequencers(d.db)
		for i, code := range codes {
			d.accept(opener, d.open(code, kinds[i], nil))
		}
		s := d.scribe(append(codes, "cash", "alice")...)
		first, start := s.day(0), s.head.Seq
		random := rand.New(rand.NewPCG(1, 2))
		var all []chain.Entry
		for i := range 300 {
			booking := first + chain.Date(i/10)
			effective := booking
			if random.IntN(3) == 0 {
				effective += chain.Date(random.IntN(21) - 10)
			}
			from, to := codes[random.IntN(4)], []string{"cash", "alice"}[random.IntN(2)]
			if random.IntN(2) == 0 {
				from, to = to, from
			}
			all = append(all, s.transfer(from, to, int64(random.IntN(1000)+1), booked(booking, effective)).Record())
		}
		s.commit()
		for _, asOf := range []int64{start, start + 1, start + 77, start + 150, s.head.Seq} {
			for _, day := range []chain.Date{first - 20, first - 1, first, first + 7, first + 15, first + 29, first + 30, first + 60} {
				want := map[string]int64{}
				for _, r := range all {
					for _, p := range r.Postings {
						if r.Seq <= asOf && p.EffectiveDate <= day {
							for _, code := range codes {
								if s.accounts[code].AccountID == p.AccountID {
									want[code] += signed(p)
								}
							}
						}
					}
				}
				for code, v := range want {
					if v == 0 {
						delete(want, code)
					}
				}
				got := map[string]int64{}
				incomes, err := d.db.Incomes(t.Context(), d.id, day, asOf, 10)
				if err != nil {
					t.Fatal(err)
				}
				for _, in := range incomes {
					got[in.Code] = in.Balance.Big().Int64()
					if in.Currency != "EUR" || in.Scale != 2 {
						t.Errorf("%+v", in)
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("on %s as of entry %d: %v, want %v", day, asOf, got, want)
				}
				if some, err := d.db.Incomes(t.Context(), d.id, day, asOf, 2); err != nil || len(some) != min(2, len(want)) {
					t.Errorf("at most 2: %d, %v", len(some), err)
				}
			}
		}
		if _, err := d.db.Incomes(t.Context(), d.id, first, s.head.Seq+1, 10); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("as of an entry that is not there: %v, want ErrNotFound", err)
		}
	})
}

func signed(p chain.Posting) int64 {
	v := p.Amount.Big().Int64()
	if p.Direction == chain.Credit {
		return -v
	}
	return v
}
