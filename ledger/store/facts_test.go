package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// rewind deletes what was booked after an entry, as only an owner can.
func (d *desk) rewind(seq int64) {
	d.t.Helper()
	for _, table := range []string{"book.entries", "book.postings", "book.details", "book.account_versions", "ops.payloads"} {
		d.owner("delete from "+table+" where ledger_id = $1::uuid and seq > $2::int8", d.id.String(), seq)
	}
	d.owner("delete from book.accounts where ledger_id = $1::uuid and opened_seq > $2::int8", d.id.String(), seq)
}

// statementText is all that a statement of three days says.
func (d *desk) statementText(db *store.DB, code string, from, to chain.Date) string {
	d.t.Helper()
	s, err := db.Statement(d.t.Context(), d.id, store.StatementFilter{Code: code, From: from, To: to, AsOf: store.Newest, Limit: 1000})
	if err != nil {
		d.t.Fatal(err)
	}
	lines := ""
	for _, l := range s.Lines {
		lines += fmt.Sprintf(" %d:%d:%s:%s", l.Posting.AccountSeq, l.Entry.Seq(), l.Posting.Amount, l.Posting.Posted)
	}
	return fmt.Sprint(s.Account.AccountID, s.Opening, s.Closing, s.Debits, s.Credits, s.Count(), lines)
}

// fresh is the same database without anything remembered.
func (d *desk) fresh() *store.DB {
	d.t.Helper()
	db, err := d.db.Traced(d.t.Context(), &statements{})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(db.Close)
	return db
}

// What is remembered says the same as what is read, while a ledger grows over the
// days, and after its end was deleted and written anew.
func TestWhatIsRememberedIsWhatWouldBeRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		fresh := d.fresh()
		start := d.scribe("cash", "bob").day(0)
		write := func(debit, credit string, n int, first chain.Date, days int) {
			s := d.scribe("cash", "bob")
			for i := range n {
				s.transfer(debit, credit, int64(i%7+1), func(r *chain.Entry, _ *ledger.Text) {
					r.BookingDate = start + first + chain.Date(i*days/n)
					r.EffectiveDate = r.BookingDate
				})
			}
			s.commit()
		}
		compare := func(when string) {
			t.Helper()
			for range 2 { // the second time from memory
				for from := start - 1; from < start+4; from++ {
					for to := from; to < start+4; to++ {
						for _, code := range []string{"cash", "bob"} {
							got, want := d.statementText(d.db, code, from, to), d.statementText(fresh, code, from, to)
							if got != want {
								t.Fatalf("%s, %s from %s to %s:\n%s\nwant\n%s", when, code, from, to, got, want)
							}
						}
					}
				}
			}
		}
		write("cash", "bob", 1300, 0, 3)
		compare("at first")
		write("bob", "cash", 700, 3, 1)
		compare("when it has grown")
		d.rewind(600)
		compare("when its end is gone")
		write("bob", "cash", 900, 1, 2)
		compare("when another end is written")
	})
}

func TestWhatIsRememberedIsOfOneLedger(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		sequencers := d.sequencers(d.db)
		other := d.mainLedger()
		other.Name = "other"
		info, created, refused, err := d.db.OpenLedger(t.Context(), other)
		if err != nil || refused != nil || !created {
			t.Fatal(created, refused, err)
		}
		dollars := d.open("bob", chain.Asset, nil)
		dollars.Currency = "USD"
		for range 2 {
			bob, err := d.db.Account(t.Context(), d.id, "bob")
			if err != nil || bob.Currency != "EUR" || bob.Type != chain.Liability {
				t.Errorf("bob is %+v, %v", bob, err)
			}
			if a, err := d.db.Account(t.Context(), info.ID, "bob"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("in a ledger without accounts: %+v, %v", a, err)
			}
		}
		if out, err := sequencers.Submit(t.Context(), info.ID, dollars); err != nil || out.Entry == nil {
			t.Fatalf("%+v, %v", out, err)
		}
		for range 2 {
			for id, currency := range map[ledger.LedgerID]string{d.id: "EUR", info.ID: "USD"} {
				if bob, err := d.db.Account(t.Context(), id, "bob"); err != nil || bob.Currency != currency {
					t.Errorf("bob is %+v, %v, want %s", bob, err, currency)
				}
			}
		}
	})
}

// An account that changes is read with its limits as they are, and each of its
// entries with those of its time, whatever is remembered of others.
func TestLimitsAreThoseOfTheirTime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		sequencers, fresh := d.sequencers(d.db), d.fresh()
		var seqs []int64
		wanted := []string{"0"}
		compare := func(when string) {
			t.Helper()
			for range 2 { // the second time from memory
				for from := range seqs {
					f := store.EntryFilter{Account: "alice", Kinds: []chain.Kind{chain.Transfer}, From: seqs[from], Limit: 10}
					page, err := d.db.Entries(t.Context(), d.id, f)
					want, err2 := fresh.Entries(t.Context(), d.id, f)
					if err != nil || err2 != nil || len(page.Entries) != len(seqs)-from || len(want.Entries) != len(seqs)-from {
						t.Fatalf("%s, from %d: %d entries, want %d; %v, %v", when, seqs[from], len(page.Entries), len(seqs)-from, err, err2)
					}
					for i := range page.Entries {
						got, read := limitOf(&page.Entries[i], "alice"), limitOf(&want.Entries[i], "alice")
						if got != wanted[from+i] || read != got {
							t.Errorf("%s, entry %d: the limit was %s, and %s when read, want %s", when, seqs[from+i], got, read, wanted[from+i])
						}
					}
				}
			}
		}
		for i, min := range []string{"-5", "-7", "-7"} {
			out, err := sequencers.Submit(t.Context(), d.id, d.transfer("cash", "alice", "1.00"))
			if err != nil || out.Entry == nil {
				t.Fatalf("%+v, %v", out, err)
			}
			seqs = append(seqs, out.Entry.Seq())
			compare(fmt.Sprint("before change ", i))
			limit := decimal.RequireFromString(min)
			change := &ledger.ChangeAccount{Common: d.common(), Code: "alice", MinBalance: ledger.Limit{Set: true, Value: &limit}}
			if _, err := sequencers.Submit(t.Context(), d.id, change); err != nil {
				t.Fatal(err)
			}
			a, err := d.db.Account(t.Context(), d.id, "alice")
			if err != nil || a.MinBalance == nil || a.MinBalance.Decimal(2).String() != min {
				t.Errorf("change %d: the limit is %v, want %s; %v", i, a.MinBalance, min, err)
			}
			compare(fmt.Sprint("after change ", i))
			wanted = append(wanted, min)
		}
		wanted[1] = "none" // and what was remembered is forgotten with the entries after it
		d.owner("update book.account_versions set min_balance = null where ledger_id = $1::uuid and seq = $2::int8", d.id.String(), seqs[0]+1)
		d.rewind(seqs[1])
		seqs = seqs[:2]
		compare("when the end is gone")
	})
}

// limitOf is the lower limit of an account at an entry.
func limitOf(e *ledger.Entry, code string) string {
	for _, a := range e.Accounts() {
		if a.Code == code && a.MinBalance != nil {
			return a.MinBalance.Decimal(2).String()
		}
	}
	return "none"
}
