package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// A statement says what the postings of its interval say, on whatever pages, as
// of any entry.
func TestStatementsAddUp(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		random := rand.New(rand.NewPCG(9, 10))
		_, all := d.bazaar(900, random)
		var entries []ledger.Entry
		for next := new(int64); next != nil; {
			page, err := d.db.Entries(t.Context(), d.id, store.EntryFilter{From: *next, Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			entries, next = append(entries, page.Entries...), page.Next
		}
		first := all[0].day
		for range 40 {
			code := []string{"alice", "cash", "shops:b"}[random.IntN(3)]
			from, to := first+chain.Date(random.IntN(30)-5), first+chain.Date(random.IntN(30)-5)
			asOf := entries[len(entries)-1-random.IntN(500)].Seq()
			d.checkStatement(t, entries, store.StatementFilter{Code: code, From: from, To: to, AsOf: asOf, Limit: 1 + random.IntN(60)})
		}
		whole := store.StatementFilter{Code: "alice", From: first - 100, To: first + 100, AsOf: store.Newest, Limit: 1000}
		d.checkStatement(t, entries, whole)
		if s, err := d.db.Statement(t.Context(), d.id, whole); err != nil || s.AsOf != entries[len(entries)-1].Seq() || s.Next != 0 {
			t.Errorf("as of the newest entry: as of %d, next %d, %v", s.AsOf, s.Next, err)
		}
	})
}

// checkStatement adds up, from the entries, what the statement must say.
func (d *desk) checkStatement(t *testing.T, entries []ledger.Entry, f store.StatementFilter) {
	t.Helper()
	var opening, closing, debits, credits, openingSeq, closingSeq int64
	var want []string
	for i := range entries {
		r := entries[i].Record()
		for j, p := range r.Postings {
			if entries[i].Accounts()[j].Code != f.Code || f.AsOf != store.Newest && r.Seq > f.AsOf || r.BookingDate > f.To && f.From <= f.To || r.BookingDate >= f.From && f.From > f.To {
				continue
			}
			closing, closingSeq = closing+signed(p), p.AccountSeq
			if r.BookingDate < f.From {
				opening, openingSeq = closing, closingSeq
				continue
			}
			if v := p.Amount.Big().Int64(); p.Direction == chain.Debit {
				debits += v
			} else {
				credits += v
			}
			want = append(want, line(&entries[i], &p))
		}
	}
	var got []string
	for after, page := int64(0), 0; ; page++ {
		f.After = after
		s, err := d.db.Statement(t.Context(), d.id, f)
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		sums := fmt.Sprint(s.Opening.Posted, s.Opening.AccountSeq, s.Closing.Posted, s.Closing.AccountSeq, s.Debits, s.Credits, s.Count())
		if sums != fmt.Sprint(opening, openingSeq, closing, closingSeq, debits, credits, len(want)) {
			t.Fatalf("%+v: opening, closing, totals %s; want %s", f, sums,
				fmt.Sprint(opening, openingSeq, closing, closingSeq, debits, credits, len(want)))
		}
		if s.Account.Code != f.Code || s.Account.Currency != "EUR" || len(s.Lines) > f.Limit {
			t.Fatalf("%+v: %d lines of %+v", f, len(s.Lines), s.Account)
		}
		for i := range s.Lines {
			got = append(got, line(&s.Lines[i].Entry, &s.Lines[i].Posting))
		}
		if after = s.Next; after == 0 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v: %d lines, want %d:\n%v\nwant\n%v", f, len(got), len(want), got, want)
	}
}

func line(e *ledger.Entry, p *chain.Posting) string {
	r, ref := e.Record(), ""
	if e.Text().Reference != nil {
		ref = *e.Text().Reference
	}
	return fmt.Sprint(p.AccountSeq, r.Seq, r.Kind, r.RequestID, r.BookingDate, r.EffectiveDate, r.RecordedAt, p.Direction, p.Amount, p.PendingChange, p.Posted, ref)
}

func TestStatementsOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		day := d.entry(0).Record().BookingDate
		f := store.StatementFilter{Code: "bob", From: day, To: day, AsOf: store.Newest, Limit: 10}
		if s, err := d.db.Statement(t.Context(), d.id, f); err != nil || len(s.Lines) != 0 || s.Count() != 0 || !s.Closing.Posted.IsZero() {
			t.Errorf("an account without postings: %+v, %v", s, err)
		}
		for name, wrong := range map[string]func(f *store.StatementFilter){
			"an unknown account":   func(f *store.StatementFilter) { f.Code = "nobody" },
			"before it was opened": func(f *store.StatementFilter) { f.AsOf = 1 },
			"an unknown entry":     func(f *store.StatementFilter) { f.AsOf = 99 },
		} {
			f := f
			wrong(&f)
			if _, err := d.db.Statement(t.Context(), d.id, f); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", name, err)
			}
		}
	})
}

func TestStatementOfADamagedAccountIsNotGiven(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.scribe("cash", "bob")
		for range 3 {
			s.transfer("cash", "bob", 5, nil)
		}
		s.commit()
		f := store.StatementFilter{Code: "bob", From: s.day(0), To: s.day(0), AsOf: store.Newest, Limit: 10}
		d.owner(`alter table book.postings drop constraint i1_postings_fits_scale`)
		for _, column := range []string{"posted", "amount"} {
			d.owner(`update book.postings set ` + column + ` = ` + column + ` + 0.001 where account_seq = 2 and ` + bobs)
			if _, err := d.db.Statement(t.Context(), d.id, f); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("%s: %v, want ErrDamaged", column, err)
			}
			d.owner(`update book.postings set ` + column + ` = ` + column + ` - 0.001 where account_seq = 2 and ` + bobs)
		}
		d.owner(`delete from book.postings where account_seq = 2 and ` + bobs)
		if _, err := d.db.Statement(t.Context(), d.id, f); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("a posting that is missing: %v, want ErrDamaged", err)
		}
	})
}
