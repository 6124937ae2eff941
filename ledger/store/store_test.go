package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(zombieURL) != "" {
		if err := zombie(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "zombie:", err)
		}
		return
	}
	storetest.Main(m)
}

// desk is a ledger on a database of its own, with a server's view of it.
type desk struct {
	t     testing.TB
	url   string
	db    *store.DB
	id    ledger.LedgerID
	actor ledger.KeyID
}

// each opens the ledger main with the accounts cash, alice (no overdraft) and
// bob on every engine.
func each(t *testing.T, f func(t *testing.T, d *desk)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, url string) {
		f(t, newDesk(t, url))
	})
}

func newDesk(t testing.TB, url string) *desk {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.RoleApp, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	d := &desk{t: t, url: url, db: db, actor: must(ledger.NewKeyID())}
	info, created, refused, err := db.OpenLedger(t.Context(), d.mainLedger())
	if err != nil || refused != nil || !created {
		t.Fatalf("opening the ledger: created=%v refused=%v err=%v", created, refused, err)
	}
	d.id = info.ID
	s := d.sequencers(db)
	d.accept(s, d.open("cash", chain.Asset, nil), d.open("alice", chain.Liability, decimalOf("0")), d.open("bob", chain.Liability, nil))
	return d
}

func (d *desk) mainLedger() ledger.OpenLedger {
	return ledger.OpenLedger{ID: must(ledger.NewLedgerID()), Actor: d.actor, Host: "test", Name: "main", TimeZone: "UTC",
		BaseCurrency: "EUR", ValueDaysBack: 30, ValueDaysAhead: 30}
}

// sequencers starts what a server runs over journal.
func (d *desk) sequencers(journal ledger.Journal) *ledger.Sequencers {
	s := ledger.NewSequencers(d.t.Context(), journal, d.db.ClockOffset)
	d.t.Cleanup(s.Stop)
	return s
}

func (d *desk) common() ledger.Common {
	c := ledger.Common{ID: must(ledger.NewRequestID()), Actor: d.actor}
	if _, err := rand.Read(c.Salt[:]); err != nil {
		d.t.Fatal(err)
	}
	return c
}

func (d *desk) open(code string, kind chain.AccountType, min *decimal.Decimal) *ledger.OpenAccount {
	return &ledger.OpenAccount{Common: d.common(), AccountID: must(ledger.NewAccountID()), Code: code, Type: kind, Currency: "EUR", MinBalance: min}
}

func (d *desk) transfer(debit, credit, amount string) *ledger.TransferRequest {
	a := decimal.RequireFromString(amount)
	return &ledger.TransferRequest{Common: d.common(), Legs: []ledger.Leg{
		{Account: debit, Direction: chain.Debit, Amount: a}, {Account: credit, Direction: chain.Credit, Amount: a}}}
}

// accept submits requests one after the other, all of which must be accepted.
func (d *desk) accept(s *ledger.Sequencers, requests ...ledger.Request) []*ledger.Entry {
	d.t.Helper()
	var entries []*ledger.Entry
	for _, r := range requests {
		o, err := s.Submit(d.t.Context(), d.id, r)
		if err != nil || o.Refusal != nil || o.Entry == nil {
			d.t.Fatalf("submitting: entry=%v refusal=%+v err=%v", o.Entry, o.Refusal, err)
		}
		entries = append(entries, o.Entry)
	}
	return entries
}

// owner runs SQL with the owner's rights, as an attacker or a repairer would.
func (d *desk) owner(sql string, args ...any) {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(d.t.Context()))
	if _, err := conn.Exec(d.t.Context(), sql, args...); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
}

func (d *desk) count(sql string, args ...any) int64 {
	d.t.Helper()
	var n int64
	if err := d.db.Pool().QueryRow(d.t.Context(), sql, args...).Scan(&n); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// checkLedger asserts from the rows that the chain is whole: dense, linked,
// every hash that of its columns, and all balances zero together.
func (d *desk) checkLedger() {
	d.t.Helper()
	var prev chain.Hash
	var size int64
	for seq := int64(-1); ; {
		tail, err := d.db.Tail(d.t.Context(), d.id, seq, 500)
		if err != nil {
			d.t.Fatal(err)
		}
		for i := range tail {
			r := tail[i].Record()
			if r.Seq != size || r.PrevHash != prev || !tail[i].Intact() {
				d.t.Fatalf("entry %d (at place %d) does not continue the chain or is not intact", r.Seq, size)
			}
			size, prev = size+1, tail[i].Hash()
		}
		if len(tail) == 0 {
			break
		}
		seq = size - 1
	}
	if n := d.count(`select count(*) from book.entries`); n != size {
		d.t.Fatalf("%d entries are stored, the chain has %d", n, size)
	}
	accounts, err := d.db.Accounts(d.t.Context(), d.id, store.AccountFilter{Limit: 1000})
	if err != nil {
		d.t.Fatal(err)
	}
	sum := decimal.Zero
	for _, a := range accounts {
		sum = sum.Add(a.Posted.Decimal(a.Scale))
		if a.MinBalance != nil && a.Balance().Cmp(*a.MinBalance) < 0 {
			d.t.Errorf("account %s has %s, below its limit", a.Code, a.Balance().Format(a.Scale))
		}
	}
	if !sum.IsZero() {
		d.t.Errorf("all balances sum to %s", sum)
	}
}

func (d *desk) entry(seq int64) *ledger.Entry {
	d.t.Helper()
	e, err := d.db.Entry(d.t.Context(), d.id, seq)
	if err != nil {
		d.t.Fatal(err)
	}
	return &e
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func decimalOf(s string) *decimal.Decimal {
	v := decimal.RequireFromString(s)
	return &v
}

func TestApplicationRoleCannotChangeTheBook(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		rows, err := d.db.Pool().Query(t.Context(), `select table_name from information_schema.tables where table_schema = 'book' order by table_name`)
		if err != nil {
			t.Fatal(err)
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if len(tables) < 6 {
			t.Fatalf("found only the tables %v", tables)
		}
		for _, table := range tables {
			column := "ledger_id"
			for _, statement := range []string{
				fmt.Sprintf("update book.%s set %s = %s", table, column, column),
				fmt.Sprintf("delete from book.%s", table),
				fmt.Sprintf("truncate book.%s", table),
			} {
				for name, pool := range map[string]interface {
					Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
				}{"reads": d.db.Pool(), "commits": d.db.PostingPool()} {
					_, err := pool.Exec(t.Context(), statement)
					var pgErr *pgconn.PgError
					if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
						t.Errorf("pool for %s: %s: got %v, want 42501", name, statement, err)
					}
				}
			}
		}
	})
}

func TestMigrateManyAtOnceAndAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := store.Migrate(t.Context(), url); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestOpeningALedgerAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		info, created, refused, err := d.db.OpenLedger(t.Context(), d.mainLedger())
		if err != nil || refused != nil || created || info.ID != d.id {
			t.Errorf("the same terms again: %+v created=%v refused=%v err=%v", info, created, refused, err)
		}
		other := d.mainLedger()
		other.BaseCurrency = "USD"
		_, _, refused, err = d.db.OpenLedger(t.Context(), other)
		if err != nil || refused == nil || refused.Code != ledger.CodeLedgerExists {
			t.Errorf("other terms: refused=%+v err=%v, want %s", refused, err, ledger.CodeLedgerExists)
		}
		if _, err := d.db.Ledger(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an unknown ledger: %v, want ErrNotFound", err)
		}
	})
}

func TestPostingReplayAndConflict(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.sequencers(d.db)
		text, ref, meta := "rent", "R-1", `{"a":"b"}`
		r := d.transfer("cash", "alice", "12.3")
		r.Description, r.Reference, r.Metadata = &text, &ref, &meta
		e := d.accept(s, r)[0]

		stored, err := d.db.Entry(t.Context(), d.id, e.Seq())
		if err != nil {
			t.Fatal(err)
		}
		if stored.Hash() != e.Hash() || !stored.Intact() || *stored.Text().Description != text || stored.Accounts()[1].Code != "alice" {
			t.Errorf("stored entry is %+v", stored)
		}
		again := d.transfer("cash", "alice", "12.30")
		again.ID, again.Description, again.Reference, again.Metadata = r.ID, &text, &ref, &meta
		o, err := s.Submit(t.Context(), d.id, again)
		if err != nil || !o.Replayed || o.Entry.Hash() != e.Hash() {
			t.Errorf("replay: %+v, %v", o, err)
		}
		other := d.transfer("cash", "alice", "12.3")
		other.ID = r.ID
		o, err = s.Submit(t.Context(), d.id, other)
		if err != nil || o.Refusal == nil || o.Refusal.Code != ledger.CodeIdempotencyConflict {
			t.Errorf("another body: %+v, %v", o, err)
		}
		// A refusable request under a used id is a replay or a conflict too.
		o, err = s.Submit(t.Context(), d.id, &ledger.TransferRequest{Common: again.Common, Legs: []ledger.Leg{}})
		if err != nil || o.Refusal == nil || o.Refusal.Code != ledger.CodeIdempotencyConflict {
			t.Errorf("a wrong body under a used id: %+v, %v", o, err)
		}
		d.checkLedger()
	})
}

func TestSameKeyFromManyGoroutinesIsOneEntry(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		one, two := d.sequencers(d.db), d.sequencers(d.db)
		r := d.transfer("cash", "alice", "1")
		hashes := make([]chain.Hash, 64)
		var wg sync.WaitGroup
		for i := range hashes {
			wg.Go(func() {
				s := one
				if i%2 == 1 {
					s = two
				}
				same := *r
				o, err := s.Submit(t.Context(), d.id, &same)
				if err != nil || o.Entry == nil {
					t.Errorf("submitting: %+v, %v", o, err)
					return
				}
				hashes[i] = o.Entry.Hash()
			})
		}
		wg.Wait()
		for _, h := range hashes {
			if h != hashes[0] {
				t.Fatal("one key gave two entries")
			}
		}
		d.checkLedger()
	})
}

func TestBalancesAtSeqAndTime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.sequencers(d.db)
		var entries []*ledger.Entry
		for range 37 {
			entries = append(entries, d.accept(s, d.transfer("cash", "alice", "1"))...)
		}
		for i, e := range entries {
			a, err := d.db.AccountAt(t.Context(), d.id, "alice", e.Seq())
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%d.00", i+1); a.Balance().Format(2) != want || a.AccountSeq != int64(i+1) {
				t.Errorf("as of entry %d: balance %s after %d postings, want %s", e.Seq(), a.Balance().Format(2), a.AccountSeq, want)
			}
		}
		if a, err := d.db.AccountAt(t.Context(), d.id, "alice", entries[0].Seq()-1); err != nil || !a.Balance().IsZero() {
			t.Errorf("before the first posting: %v, %v", a.Balance(), err)
		}
		if _, err := d.db.AccountAt(t.Context(), d.id, "alice", 0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("before it was opened: %v, want ErrNotFound", err)
		}
		last := entries[len(entries)-1]
		for _, tt := range []struct {
			at   time.Time
			want int64
		}{{last.RecordedAt(), last.Seq()}, {last.RecordedAt().Add(time.Hour), last.Seq()}, {time.Unix(0, 0), -1}} {
			if got, err := d.db.SeqAt(t.Context(), d.id, tt.at); err != nil || got != tt.want {
				t.Errorf("at %s: entry %d, %v, want %d", tt.at, got, err, tt.want)
			}
		}
		for i := 1; i < len(entries); i++ {
			at := entries[i].RecordedAt().Add(-time.Microsecond)
			got, err := d.db.SeqAt(t.Context(), d.id, at)
			if err != nil {
				t.Fatal(err)
			}
			if e := d.entry(got); e.RecordedAt().After(at) {
				t.Errorf("entry %d was recorded after %s", got, at)
			}
		}
	})
}

func TestSearchWalksEverythingOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.sequencers(d.db)
		ref := "invoice-7"
		want := map[string]int{}
		for i := range 25 {
			r := d.transfer("cash", []string{"alice", "bob"}[i%2], "1")
			if i%5 == 0 {
				r.Reference = &ref
				want["reference"]++
			}
			d.accept(s, r)
			want["all"]++
			want[[]string{"alice", "bob"}[i%2]]++
		}
		today := d.entry(1).RecordedAt()
		day, tomorrow := chain.DateOf(today), chain.DateOf(today.Add(24*time.Hour))
		transfers := []chain.Kind{chain.Transfer}
		for _, tt := range []struct {
			name   string
			filter store.EntryFilter
			want   int
		}{
			{"all entries", store.EntryFilter{}, want["all"] + 4},
			{"transfers", store.EntryFilter{Kinds: transfers}, want["all"]},
			{"reference", store.EntryFilter{Kinds: transfers, Reference: ref}, want["reference"]},
			{"account", store.EntryFilter{Kinds: transfers, Account: "alice"}, want["alice"]},
			{"prefix", store.EntryFilter{Kinds: transfers, AccountPrefix: "bob"}, want["bob"]},
			{"prefix of no segment", store.EntryFilter{AccountPrefix: "bo"}, 0},
			{"reference of alice", store.EntryFilter{Reference: ref, Account: "alice"}, 3},
			{"today", store.EntryFilter{FromDate: &day, Kinds: transfers}, want["all"]},
			{"tomorrow", store.EntryFilter{FromDate: &tomorrow}, 0},
			{"until today", store.EntryFilter{ToDate: &tomorrow, Kinds: transfers}, want["all"]},
		} {
			tt.filter.Limit = 4
			seen := map[int64]bool{}
			for next := new(int64); next != nil; {
				tt.filter.From = *next
				page, err := d.db.Entries(t.Context(), d.id, tt.filter)
				if err != nil {
					t.Fatalf("%s: %v", tt.name, err)
				}
				for i := range page.Entries {
					if seen[page.Entries[i].Seq()] {
						t.Errorf("%s: entry %d twice", tt.name, page.Entries[i].Seq())
					}
					seen[page.Entries[i].Seq()] = true
				}
				next = page.Next
			}
			if len(seen) != tt.want {
				t.Errorf("%s: found %d entries, want %d", tt.name, len(seen), tt.want)
			}
		}
	})
}

func TestAccountsByPrefixMatchWholeSegments(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.sequencers(d.db)
		for _, code := range []string{"c", "c:1", "c:1:x", "c:2", "c_1", "cc:1", "c-1", "c.1:2"} {
			d.accept(s, d.open(code, chain.Asset, nil))
		}
		var got []string
		for after := ""; ; {
			list, err := d.db.Accounts(t.Context(), d.id, store.AccountFilter{Prefix: "c", AfterCode: after, Limit: 2})
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			for _, a := range list {
				got = append(got, a.Code)
			}
			after = got[len(got)-1]
		}
		if s := strings.Join(got, " "); s != "c c:1 c:1:x c:2" {
			t.Errorf("under c: %s", s)
		}
	})
}

func TestTransactionsAreRetriedWhole(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		insert := `insert into ops.findings (finding_id, ledger_id, found_at, source, code, severity, next_step)
			values ($1::uuid, $2::uuid, now(), 'test', 'TEST', 'info', '')`
		runs := 0
		err := d.db.Transact(t.Context(), func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), insert, must(ledger.NewRequestID()).String(), d.id.String()); err != nil {
				return err
			}
			if runs++; runs < 3 {
				return &pgconn.PgError{Code: "40001"}
			}
			return nil
		})
		if n := d.count(`select count(*) from ops.findings`); err != nil || runs != 3 || n != 1 {
			t.Errorf("%v after %d runs, %d rows: want 1 row after 3", err, runs, n)
		}
		broken := errors.New("not for retrying")
		runs = 0
		err = d.db.Transact(t.Context(), func(pgx.Tx) error { runs++; return broken })
		if !errors.Is(err, broken) || runs != 1 {
			t.Errorf("%v after %d runs, want the error of the only run", err, runs)
		}
	})
}
