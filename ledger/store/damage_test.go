package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// Errors that the database reports for one request must not hold up others,
// whatever their class.
func TestUnforeseenErrorsHitOnlyTheirRequest(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		if d.db.Cockroach() {
			t.Skip("triggers on CockroachDB run PL/pgSQL of its own; the classes are those of PostgreSQL")
		}
		for _, code := range []string{"P0001", "22012", "XX001", "0A000", "54000", "23502"} {
			d.owner(fmt.Sprintf(`create or replace function ops.unforeseen() returns trigger language plpgsql as
				$$ begin if new.description = 'culprit' then raise exception 'no' using errcode = '%s'; end if; return new; end $$`, code))
			d.owner(`drop trigger if exists unforeseen on ops.payloads`)
			d.owner(`create trigger unforeseen before insert on ops.payloads for each row execute function ops.unforeseen()`)
			s := d.sequencers(d.db)
			culprit := d.transfer("cash", "bob", "1")
			text := "culprit"
			culprit.Description = &text
			for i, r := range s.SubmitAll(t.Context(), d.id, []ledger.Request{d.transfer("cash", "bob", "1"), culprit, d.transfer("cash", "bob", "1")}) {
				if bad := i == 1; bad != errors.Is(r.Err, ledger.ErrPoison) || !bad && r.Entry == nil {
					t.Errorf("%s, request %d: %+v", code, i, r)
				}
			}
		}
		if n := d.count(`select count(*) from ops.findings`); n != 0 {
			t.Errorf("%d findings about a ledger that is whole", n)
		}
		d.checkLedger()
	})
}

// A replay is the original answer or none.
func TestReplayOfADamagedTransferIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.sequencers(d.db)
		whole, changed := d.transfer("cash", "bob", "1"), d.transfer("cash", "bob", "2")
		d.accept(s, whole, changed)
		d.owner(`update book.postings set amount = 3 where amount = 2`)
		results := s.SubmitAll(t.Context(), d.id, []ledger.Request{whole, changed})
		if r := results[0]; r.Err != nil || !r.Replayed {
			t.Errorf("the transfer that is whole: %+v", r)
		}
		if r := results[1]; r.Refusal == nil || r.Refusal.Code != ledger.CodeTransferDamaged {
			t.Errorf("the transfer that was changed: %+v", r)
		}
	})
}

// bobs selects what is stored of the account bob.
const bobs = `account_id = (select account_id from book.accounts where code = 'bob')`

// What cannot be read of one account blocks that account, with a finding, and
// nothing else.
func TestUnreadableValueBlocksItsAccountOnly(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"too many decimals": `update book.postings set posted = posted + 0.001 where ` + bobs,
		"not a number":      `update book.postings set posted = 'NaN' where ` + bobs,
		"no tags":           `update book.account_versions set tags = '{' where ` + bobs,
		"limit":             `update book.account_versions set min_balance = 'NaN' where ` + bobs,
		"scale":             `update book.postings set scale = 17 where ` + bobs,
	} {
		each(t, func(t *testing.T, d *desk) {
			d.accept(d.sequencers(d.db), d.transfer("cash", "bob", "1"))
			d.accept(d.sequencers(d.db), d.transfer("cash", "alice", "1")) // the damage is not at the head
			for _, constraint := range []string{"i1_postings_fits_scale", "i1_postings_fits_128_bits"} {
				d.owner(`alter table book.postings drop constraint ` + constraint)
			}
			d.owner(damage)
			s := d.sequencers(d.db)
			toBob, other := d.transfer("cash", "bob", "1"), d.transfer("cash", "alice", "1")
			results := s.SubmitAll(t.Context(), d.id, []ledger.Request{toBob, other})
			if r := results[0]; r.Refusal == nil || r.Refusal.Code != ledger.CodeAccountDamaged {
				t.Errorf("%s: posting to the damaged account: %+v", name, r)
			}
			if r := results[1]; r.Err != nil || r.Entry == nil {
				t.Errorf("%s: posting elsewhere: %+v", name, r)
			}
			if n := d.count(`select count(*) from ops.findings where code = 'ENTRY_HASH_MISMATCH'`); n == 0 {
				t.Errorf("%s: no finding", name)
			}
			if _, err := d.db.Account(t.Context(), d.id, "bob"); name != "scale" && !errors.Is(err, store.ErrDamaged) {
				t.Errorf("%s: reading the account: %v, want ErrDamaged", name, err)
			}
		})
	}
}

// An entry of another process that cannot be read stops posting, with a finding.
func TestUnreadableTailStopsPosting(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.sequencers(d.db)
		d.accept(s, d.transfer("cash", "bob", "1"))
		d.accept(d.sequencers(d.db), d.transfer("cash", "alice", "1"))
		d.owner(`alter table book.postings drop constraint i1_postings_fits_scale`)
		d.owner(`update book.postings set posted = posted + 0.001 where seq = (select max(seq) from book.entries)`)
		if _, err := s.Submit(t.Context(), d.id, d.transfer("cash", "bob", "1")); !errors.Is(err, ledger.ErrHalted) {
			t.Errorf("posting after an unreadable entry: %v, want ErrHalted", err)
		}
		if n := d.count(`select count(*) from ops.findings where severity = 'critical'`); n != 1 {
			t.Errorf("%d findings, want 1", n)
		}
	})
}

// The weight of a request bounds what its commit sends, also for accounts with
// all the tags they may have.
func TestBatchesStayWithinTheirBytes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		var requests []ledger.Request
		for i := range 400 {
			r := d.open(fmt.Sprintf("t:%d", i), chain.Asset, nil)
			for k := range ledger.MaxTags {
				r.Tags = append(r.Tags, chain.Tag{Key: fmt.Sprintf("k%02d", k), Value: strings.Repeat("\"", ledger.MaxTagValue)})
			}
			requests = append(requests, r)
		}
		s := d.sequencers(d.db)
		for i, r := range s.SubmitAll(t.Context(), d.id, requests) {
			if r.Err != nil || r.Entry == nil {
				t.Fatalf("request %d: %+v", i, r)
			}
		}
		tags := d.count(`select sum(length(tags)) from book.account_versions`)
		if st := s.Stats()[d.id]; st.Batches < tags/ledger.MaxBatchBytes {
			t.Errorf("%d bytes of tags went in %d batches of at most %d bytes", tags, st.Batches, ledger.MaxBatchBytes)
		}
	})
}

// A migrator that died between making a schema and granting its use is made up for.
func TestMigrateCompletesWhatAnotherBegan(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `revoke usage on schema book from tallystick_app`); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := store.Migrate(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		newDesk(t, url).checkLedger()
	})
}

func TestFarBehindStartsAgainAtTheNewestEntry(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		behind, other := d.sequencers(d.db), d.sequencers(d.db)
		d.accept(behind, d.transfer("cash", "bob", "1"))
		batch := make([]ledger.Request, 7000)
		for range 3 { // further than a process follows entry by entry
			for i := range batch {
				batch[i] = d.transfer("cash", "alice", "1")
			}
			for _, r := range other.SubmitAll(t.Context(), d.id, batch) {
				if r.Err != nil || r.Entry == nil {
					t.Fatalf("%+v", r)
				}
			}
		}
		d.accept(behind, d.transfer("alice", "bob", "21000"))
		if followed := behind.Stats()[d.id].Followed; followed >= int64(3*len(batch)) {
			t.Errorf("%d entries were followed one by one", followed)
		}
		d.checkLedger()
	})
}
