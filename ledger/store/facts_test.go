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

// An account that changes is read with its limits as they are, and as they were.
func TestLimitsAreNotRemembered(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		sequencers := d.sequencers(d.db)
		var seqs []int64
		for i, min := range []string{"-5", "-7", "-7"} {
			out, err := sequencers.Submit(t.Context(), d.id, d.transfer("cash", "alice", "1.00"))
			if err != nil || out.Entry == nil {
				t.Fatalf("%+v, %v", out, err)
			}
			seqs = append(seqs, out.Entry.Seq())
			limit := decimal.RequireFromString(min)
			change := &ledger.ChangeAccount{Common: d.common(), Code: "alice", MinBalance: ledger.Limit{Set: true, Value: &limit}}
			if _, err := sequencers.Submit(t.Context(), d.id, change); err != nil {
				t.Fatal(err)
			}
			a, err := d.db.Account(t.Context(), d.id, "alice")
			if err != nil || a.MinBalance == nil || a.MinBalance.Decimal(2).String() != min {
				t.Errorf("change %d: the limit is %v, want %s; %v", i, a.MinBalance, min, err)
			}
		}
		page, err := d.db.Entries(t.Context(), d.id, store.EntryFilter{Account: "alice", Kinds: []chain.Kind{chain.Transfer}, Limit: 10})
		if err != nil || len(page.Entries) != len(seqs) {
			t.Fatalf("%d entries, %v", len(page.Entries), err)
		}
		for i, want := range []string{"0", "-5", "-7"} {
			for _, a := range page.Entries[i].Accounts() {
				if a.Code == "alice" && (a.MinBalance == nil || a.MinBalance.Decimal(2).String() != want) {
					t.Errorf("entry %d: the limit was %v, want %s", seqs[i], a.MinBalance, want)
				}
			}
		}
	})
}
