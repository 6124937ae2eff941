package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// faulty is the store with faults put before or after single calls.
type faulty struct {
	*store.DB
	commit   func(call int, do func() error) error
	requests func(call int, do func() error) error
	tail     func(call int, do func() error) error
	load     func(call int, do func() error) error

	commits, asks, tails, loads atomic.Int32
}

func through(fault func(int, func() error) error, calls *atomic.Int32, do func() error) error {
	n := int(calls.Add(1))
	if fault == nil {
		return do()
	}
	return fault(n, do)
}

func (f *faulty) Commit(ctx context.Context, id ledger.LedgerID, prev ledger.Head, entries []ledger.Entry) error {
	return through(f.commit, &f.commits, func() error { return f.DB.Commit(ctx, id, prev, entries) })
}

func (f *faulty) Requests(ctx context.Context, id ledger.LedgerID, ids []ledger.RequestID) (h ledger.Head, m map[ledger.RequestID]*ledger.Entry, err error) {
	err = through(f.requests, &f.asks, func() error { h, m, err = f.DB.Requests(ctx, id, ids); return err })
	return h, m, err
}

func (f *faulty) Tail(ctx context.Context, id ledger.LedgerID, seq int64, limit int) (e []ledger.Entry, err error) {
	err = through(f.tail, &f.tails, func() error { e, err = f.DB.Tail(ctx, id, seq, limit); return err })
	return e, err
}

func (f *faulty) LoadAccounts(ctx context.Context, id ledger.LedgerID, codes []string, asOf int64) (a []*ledger.Account, m map[int64]*ledger.Entry, err error) {
	err = through(f.load, &f.loads, func() error { a, m, err = f.DB.LoadAccounts(ctx, id, codes, asOf); return err })
	return a, m, err
}

var errLost = errors.New("connection lost")

// before fails the first n calls without doing anything; after does them first.
func before(n int, kind error) func(int, func() error) error {
	return func(call int, do func() error) error {
		if call <= n {
			return fmt.Errorf("%w: %w", kind, errLost)
		}
		return do()
	}
}

func after(n int, kind error) func(int, func() error) error {
	return func(call int, do func() error) error {
		err := do()
		if call <= n && (err == nil || errors.Is(err, ledger.ErrFence)) {
			return fmt.Errorf("%w: %w", kind, errLost)
		}
		return err
	}
}

// Each I/O point of the write path fails, with and without its effect having
// happened; the request must be acknowledged once and stored once all the same.
func TestFaultsNeitherLoseNorDouble(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		for _, tt := range []struct {
			name  string
			fault func(*faulty)
		}{
			{"commit unknown, not stored", func(f *faulty) { f.commit = before(1, ledger.ErrUnknownOutcome) }},
			{"commit unknown, stored", func(f *faulty) { f.commit = after(1, ledger.ErrUnknownOutcome) }},
			{"commit unknown three times, stored at the first", func(f *faulty) { f.commit = after(3, ledger.ErrUnknownOutcome) }},
			{"commit unknown, then nothing happened", func(f *faulty) {
				f.commit = func(call int, do func() error) error {
					switch call {
					case 1:
						return ledger.ErrUnknownOutcome
					case 2:
						return ledger.ErrNothingHappened
					}
					return do()
				}
			}},
			{"commit did nothing", func(f *faulty) { f.commit = before(2, ledger.ErrNothingHappened) }},
			{"unknown, stored, and the tail cannot be read", func(f *faulty) {
				f.commit, f.tail = after(1, ledger.ErrUnknownOutcome), before(1, errLost)
			}},
			{"answered without a meaning for long, stored at the first", func(f *faulty) {
				f.commit = after(1<<20, fmt.Errorf("%w: %w", ledger.ErrUnknownOutcome, ledger.ErrAnswered))
			}},
			{"accounts cannot be loaded", func(f *faulty) { f.load = before(1, errLost) }},
		} {
			f := &faulty{DB: d.db}
			tt.fault(f)
			s := d.sequencers(f)
			r := d.transfer("cash", "bob", "1")
			e := d.accept(s, r)[0]
			if n := d.count(`select count(*) from book.entries where request_id = $1::uuid`, r.ID.String()); n != 1 {
				t.Errorf("%s: stored %d times", tt.name, n)
			}
			if stored := d.entry(e.Seq()); stored.Hash() != e.Hash() {
				t.Errorf("%s: another hash is stored than was acknowledged", tt.name)
			}
			s.Stop()
		}
		d.checkLedger()
	})
}

func TestRefusalWaitsUntilItsHeadIsConfirmed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		stale, other := d.sequencers(d.db), d.sequencers(d.db)
		d.accept(stale, d.transfer("cash", "alice", "1")) // its book is open now, with alice in it
		d.accept(other, d.transfer("cash", "alice", "100"))
		// On the stale head alice has 1.00; the truth is 101.00.
		d.accept(stale, d.transfer("alice", "cash", "50"))
		// And an account that the stale process has never heard of.
		d.accept(other, d.open("carol", chain.Liability, nil))
		d.accept(stale, d.transfer("cash", "carol", "1"))
		d.checkLedger()
	})
}

func TestRefusalSurvivesAFailedConfirmation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.sequencers(&faulty{DB: d.db, requests: before(1, errLost)})
		o, err := s.Submit(t.Context(), d.id, d.transfer("alice", "cash", "1"))
		if err != nil || o.Refusal == nil || o.Refusal.Code != ledger.CodeLimitExceeded {
			t.Errorf("got %+v, %v, want %s", o, err, ledger.CodeLimitExceeded)
		}
	})
}

func TestRewoundHeadStopsPostingWithAFinding(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(*desk) ledger.Request{
		"acceptable": func(d *desk) ledger.Request { return d.transfer("cash", "bob", "1") },
		"refusable":  func(d *desk) ledger.Request { return d.transfer("alice", "bob", "1") },
	} {
		each(t, func(t *testing.T, d *desk) {
			s := d.sequencers(d.db)
			for range 5 {
				d.accept(s, d.transfer("cash", "bob", "1"))
			}
			size := d.count(`select count(*) from book.entries`)
			for _, table := range []string{"book.postings", "ops.payloads", "book.entries"} {
				d.owner(`delete from `+table+` where seq >= $1`, size-2)
			}
			for range 2 {
				_, err := s.Submit(t.Context(), d.id, again(d))
				if !errors.Is(err, ledger.ErrHalted) {
					t.Errorf("%s: after the rewind: %v, want ErrHalted", name, err)
				}
			}
			if n := d.count(`select count(*) from book.entries`); n != size-2 {
				t.Errorf("%s: %d entries after the refusal, want %d: a gap may have appeared", name, n, size-2)
			}
			if n := d.count(`select count(*) from ops.findings where code = 'LOG_ROLLBACK' and severity = 'critical'`); n != 1 {
				t.Errorf("%s: %d findings stored, want 1", name, n)
			}
			if st := s.Stats()[d.id]; !st.Halted {
				t.Errorf("%s: the stats do not say that posting has stopped", name)
			}
			d.checkLedger()
		})
	}
}

func TestDamagedPredecessorBlocksTheAccount(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		e := d.accept(d.sequencers(d.db), d.transfer("cash", "bob", "1"))[0]
		d.accept(d.sequencers(d.db), d.transfer("cash", "alice", "1"))
		d.owner(`update book.postings set posted = posted - 1000 where seq = $1 and ordinal = 1`, e.Seq())
		s := d.sequencers(d.db)
		o, err := s.Submit(t.Context(), d.id, d.transfer("bob", "alice", "500"))
		if err != nil || o.Refusal == nil || o.Refusal.Code != ledger.CodeAccountDamaged {
			t.Errorf("posting from the damaged balance: %+v, %v, want %s", o, err, ledger.CodeAccountDamaged)
		}
		if n := d.count(`select count(*) from ops.findings where code = 'ENTRY_HASH_MISMATCH' and seq = $1`, e.Seq()); n != 1 {
			t.Errorf("%d findings stored, want 1", n)
		}
		d.accept(s, d.transfer("cash", "alice", "1")) // others go on
	})
}

// A row about an account that no entry of its ledger sealed is no state to post from,
// and the application's own rights suffice to insert one.
func TestAStrayRowBlocksTheAccount(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		d.accept(d.sequencers(d.db), d.transfer("cash", "bob", "1"))
		d.accept(d.sequencers(d.db), d.transfer("cash", "alice", "1"))
		d.owner(`insert into book.postings select '018f0000-0000-7000-8000-0000000000ff', p.seq, p.ordinal, p.account_id, p.direction, p.currency, p.scale, 1000, 0,
			p.effective_date, p.back_valued, p.account_seq + 1, p.posted - 1000, 0, 0, false
			from book.postings p join book.accounts a on a.account_id = p.account_id where a.code = 'bob' order by p.account_seq desc limit 1`)
		d.owner(`insert into book.account_versions select account_id, opened_seq + 1, '018f0000-0000-7000-8000-0000000000ff', -999999, null, 'none', false, '{}' from book.accounts where code = 'alice'`)
		s := d.sequencers(d.db)
		for account, code := range map[string]string{"bob": "BALANCE_CHAIN_BREAK", "alice": "ACCOUNT_STATE_MISMATCH"} {
			o, err := s.Submit(t.Context(), d.id, d.transfer(account, "cash", "500"))
			if err != nil || o.Refusal == nil || o.Refusal.Code != ledger.CodeAccountDamaged {
				t.Errorf("posting from %s: %+v, %v, want %s", account, o, err, ledger.CodeAccountDamaged)
			}
			if n := d.count(`select count(*) from ops.findings where code = $1`, code); n != 1 {
				t.Errorf("%d findings %s stored, want 1", n, code)
			}
		}
	})
}

// A server process dies while its batch waits in the database, and the batch
// commits afterwards.
func TestZombieBatchIsStoredOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		blocker, err := pgx.Connect(t.Context(), d.url)
		if err != nil {
			t.Fatal(err)
		}
		defer blocker.Close(context.WithoutCancel(t.Context()))
		s := d.sequencers(d.db)
		d.accept(s, d.transfer("cash", "bob", "1"))
		head := d.entry(d.count(`select count(*) from book.entries`) - 1)

		// The blocker reserves the place of the zombie's postings and thereby makes it wait.
		r := d.transfer("cash", "bob", "2")
		tx, err := blocker.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		record := head.Record()
		if _, err := tx.Exec(t.Context(), `insert into ops.payloads (ledger_id, seq, salt, fingerprint) values ($1, $2, '', '')`,
			uuid.UUID(record.LedgerID).String(), head.Seq()+1); err != nil {
			t.Fatal(err)
		}
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), zombieURL+"="+d.url, zombieLedger+"="+d.id.String(), zombieRequest+"="+r.ID.String())
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		d.awaitWaiting()
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the zombie ended by itself before it was killed")
		}
		retried := make(chan error, 1)
		go func() {
			o, err := s.Submit(t.Context(), d.id, r)
			if err == nil && o.Entry == nil {
				err = fmt.Errorf("refused: %+v", o.Refusal)
			}
			retried <- err
		}()
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-retried; err != nil {
			t.Fatal(err)
		}
		if n := d.count(`select count(*) from book.entries where request_id = $1::uuid`, r.ID.String()); n != 1 {
			t.Errorf("stored %d times", n)
		}
		d.checkLedger()
	})
}

// Variables that make this test program the client process of the zombie test.
const (
	zombieURL     = "TALLYSTICK_TEST_ZOMBIE_URL"
	zombieLedger  = "TALLYSTICK_TEST_ZOMBIE_LEDGER"
	zombieRequest = "TALLYSTICK_TEST_ZOMBIE_REQUEST"
)

// zombie submits one transfer and waits to be killed.
func zombie(ctx context.Context) error {
	id, err := uuid.Parse(os.Getenv(zombieLedger))
	if err != nil {
		return err
	}
	request, err := uuid.Parse(os.Getenv(zombieRequest))
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, os.Getenv(zombieURL), store.RoleApp, 2)
	if err != nil {
		return err
	}
	amount := decimal.RequireFromString("2")
	r := &ledger.TransferRequest{Common: ledger.Common{ID: ledger.RequestID{UUID: request}}, Legs: []ledger.Leg{
		{Account: "cash", Direction: chain.Debit, Amount: amount}, {Account: "bob", Direction: chain.Credit, Amount: amount}}}
	_, err = ledger.NewSequencers(ctx, db, db.ClockOffset).Submit(ctx, ledger.LedgerID{UUID: id}, r)
	return err
}

// awaitWaiting returns when some statement on the payloads waits for a lock.
func (d *desk) awaitWaiting() {
	d.t.Helper()
	sql := `select count(*) from pg_catalog.pg_stat_activity where wait_event_type = 'Lock' and query like '%ops.payloads%' and datname = current_database()`
	if d.db.Cockroach() {
		sql = `select count(*) from [show cluster queries] where query like '%ops.payloads%' and phase = 'executing'`
	}
	conn, err := pgx.Connect(d.t.Context(), d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(d.t.Context()))
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		var n int
		if err := conn.QueryRow(d.t.Context(), sql).Scan(&n); err != nil {
			d.t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
	d.t.Fatal("no statement waits for the lock")
}

func TestPoisonIsFoundAndTheRestCommits(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		d.owner(`alter table ops.payloads add constraint unforeseen check (description is null or description <> 'poison')`)
		var requests []ledger.Request
		poison := "poison"
		for i := range 40 {
			r := d.transfer("cash", "bob", "1")
			if i == 17 || i == 31 {
				r.Description = &poison
			}
			requests = append(requests, r)
		}
		for i, r := range d.sequencers(d.db).SubmitAll(t.Context(), d.id, requests) {
			if bad := i == 17 || i == 31; bad != errors.Is(r.Err, ledger.ErrPoison) || !bad && r.Entry == nil {
				t.Errorf("request %d: %+v", i, r)
			}
		}
		d.checkLedger()
	})
}

// What CockroachDB has no code for may be about one request: a batch that is
// answered so again and again is taken apart like any other that is refused.
func TestAnAnswerThatSaysNothingIsARefusalInTheEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		culprit := d.transfer("cash", "bob", "13")
		journal := &refusing{DB: d.db, id: culprit.ID}
		requests := []ledger.Request{d.transfer("cash", "bob", "1"), culprit, d.transfer("cash", "bob", "2")}
		for i, r := range d.sequencers(journal).SubmitAll(t.Context(), d.id, requests) {
			if bad := i == 1; bad != errors.Is(r.Err, ledger.ErrPoison) || !bad && r.Entry == nil {
				t.Errorf("request %d: %+v", i, r)
			}
		}
		if n := journal.refused.Load(); n < 3 {
			t.Errorf("given up after %d attempts", n)
		}
		d.checkLedger()
	})
}

// refusing answers to each batch with one request in it with an error without a
// meaning, and stores the others.
type refusing struct {
	*store.DB
	id      ledger.RequestID
	refused atomic.Int32
}

func (r *refusing) Commit(ctx context.Context, id ledger.LedgerID, prev ledger.Head, entries []ledger.Entry) error {
	for i := range entries {
		if entries[i].RequestID() == r.id {
			r.refused.Add(1)
			return fmt.Errorf("%w: %w: %w", ledger.ErrUnknownOutcome, ledger.ErrAnswered, errLost)
		}
	}
	return r.DB.Commit(ctx, id, prev, entries)
}

// A request that no rule refuses, and that would become an entry which no
// verifier can decode, is never stored.
func TestWhatCannotBeDecodedIsNotStored(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.sequencers(d.db)
		text, told := "for Ada", d.transfer("cash", "bob", "1")
		told.Description = &text
		d.accept(s, told)
		erase := func(basis string) *ledger.EraseText {
			r := &ledger.EraseText{Target: told.ID, Basis: basis}
			r.Common = d.transfer("cash", "bob", "1").Common
			return r
		}
		requests := []ledger.Request{d.transfer("cash", "bob", "1"), erase("GDPR 17"), d.transfer("cash", "bob", "1"), erase(""), erase("gdpr_17")}
		for i, r := range s.SubmitAll(t.Context(), d.id, requests) {
			if bad := i == 1 || i == 3; bad != errors.Is(r.Err, ledger.ErrPoison) || !bad && r.Entry == nil {
				t.Errorf("request %d: %+v", i, r)
			}
		}
		d.checkLedger()
	})
}

// Two servers share a hot account that may not go below zero.
func TestTwoServersOnOneLedger(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		second, err := store.Open(t.Context(), d.url, store.RoleApp, 8)
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		servers := []*ledger.Sequencers{d.sequencers(d.db), d.sequencers(second)}
		defer servers[1].Stop()
		var wg sync.WaitGroup
		var accepted [2]atomic.Int64
		for worker := range 16 {
			wg.Go(func() {
				at := worker % 2
				for i := range 40 {
					r := d.transfer("cash", "alice", "1")
					if i%3 != 0 {
						r = d.transfer("alice", "cash", "1")
					}
					o, err := servers[at].Submit(t.Context(), d.id, r)
					switch {
					case err != nil:
						t.Errorf("server %d: %v", at, err)
						return
					case o.Refusal == nil:
						accepted[at].Add(1)
					case o.Refusal.Code != ledger.CodeLimitExceeded:
						t.Errorf("server %d: %+v", at, o.Refusal)
					}
				}
			})
		}
		wg.Wait()
		one, two := servers[0].Stats()[d.id], servers[1].Stats()[d.id]
		if one.Collisions+two.Collisions == 0 || accepted[0].Load() == 0 || accepted[1].Load() == 0 {
			t.Errorf("collisions %d+%d, accepted %d+%d: the servers did not meet", one.Collisions, two.Collisions, accepted[0].Load(), accepted[1].Load())
		}
		if one.Turns+two.Turns == 0 {
			t.Error("no turn was taken")
		}
		d.checkLedger()
		lowest := d.count(`select count(*) from book.postings p join book.accounts a on a.account_id = p.account_id
			where a.code = 'alice' and p.posted > 0`)
		if lowest != 0 {
			t.Errorf("alice was below zero after %d postings", lowest)
		}
	})
}

// killCommit ends the backends at work on an insert, once, and says how many it ended. It
// looks for them until the round is over.
func killCommit(t *testing.T, conn *pgx.Conn, over <-chan struct{}) int64 {
	for {
		select {
		case <-over:
			return 0
		default:
		}
		// Backends at work on a commit are the ones worth killing.
		tag, err := conn.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and state = 'active' and query like '%insert into%' and pid <> pg_backend_pid()`)
		if err != nil {
			t.Error(err)
			return 0
		}
		if n := tag.RowsAffected(); n > 0 {
			return n
		}
	}
}

func TestTerminatedConnectionsAreNoticedByNobody(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		if d.db.Cockroach() {
			t.Skip("pg_terminate_backend does not exist on CockroachDB")
		}
		s := d.sequencers(d.db)
		// One kill a round: on a machine whose commits take longer than finding their
		// backends, killing without a pause would let none through.
		rounds := make(chan (<-chan struct{}))
		var killed atomic.Int64
		var killer sync.WaitGroup
		killer.Go(func() {
			conn, err := pgx.Connect(t.Context(), d.url)
			if err != nil {
				t.Error(err)
				for range rounds { // the rounds go on without it
				}
				return
			}
			defer conn.Close(context.WithoutCancel(t.Context()))
			for over := range rounds {
				killed.Add(killCommit(t, conn, over))
			}
		})
		// A kill finds a commit only if it comes in time: there are rounds until some did.
		posted := 0
		for deadline := time.Now().Add(time.Minute); posted < 300 || killed.Load() == 0 && time.Now().Before(deadline); posted += 10 {
			requests := make([]ledger.Request, 10)
			for i := range requests {
				requests[i] = d.transfer("cash", "bob", "1")
			}
			over := make(chan struct{})
			rounds <- over
			for _, r := range s.SubmitAll(t.Context(), d.id, requests) {
				if r.Err != nil || r.Entry == nil {
					t.Errorf("%+v", r)
				}
			}
			close(over)
		}
		close(rounds)
		killer.Wait()
		if killed.Load() == 0 {
			t.Error("no backend was killed: nothing was tried")
		}
		if n := d.count(`select count(*) from book.entries where kind = 'transfer'`); n != int64(posted) {
			t.Errorf("%d transfers stored, want %d", n, posted)
		}
		d.checkLedger()
	})
}

func TestLatestStatesAgreeAndReadOneRowEach(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.sequencers(d.db)
		var accounts []uuid.UUID
		for i := range 70 { // more than one statement's arms
			r := d.open("n:"+strconv.Itoa(i), chain.Asset, nil)
			d.accept(s, r)
			accounts = append(accounts, r.AccountID.UUID)
		}
		var batch []ledger.Request
		for i := range 2000 {
			batch = append(batch, d.transfer("n:"+strconv.Itoa(i%69), "n:"+strconv.Itoa((i+1)%69), "1"))
		}
		for _, r := range s.SubmitAll(t.Context(), d.id, batch) {
			if r.Err != nil || r.Entry == nil {
				t.Fatalf("%+v", r)
			}
		}
		head := d.count(`select max(seq) from book.entries`)
		collect := func(latest func(context.Context, []uuid.UUID, int64, func(pgx.Row) error) error, asOf int64) map[string]int64 {
			states := map[string]int64{}
			err := latest(t.Context(), accounts, asOf, func(row pgx.Row) error {
				var seq, accountSeq int64
				var id [16]byte
				var skip any
				err := row.Scan(&seq, &id, &skip, &skip, &skip, &skip, &skip, &skip, &accountSeq, &skip, &skip, &skip)
				states[uuid.UUID(id).String()] = accountSeq
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return states
		}
		for _, asOf := range []int64{head, head - 100, 50} {
			arms := collect(d.db.LatestByArms, asOf)
			if d.db.Cockroach() {
				continue
			}
			if lateral := collect(d.db.LatestLateral, asOf); fmt.Sprint(arms) != fmt.Sprint(lateral) {
				t.Errorf("as of %d: arms %v, lateral %v", asOf, arms, lateral)
			}
		}
		if !d.db.Cockroach() {
			d.checkRowsRead(accounts, head)
		}
	})
}

var rowsRead = regexp.MustCompile(`Index (?:Only )?Scan .*postings.*\(actual rows=(\d+) loops=(\d+)\)`)

// checkRowsRead asserts that PostgreSQL reads at most one posting per account.
func (d *desk) checkRowsRead(accounts []uuid.UUID, head int64) {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(d.t.Context()))
	ids, heads := make([]string, len(accounts)), make([]int64, len(accounts))
	for i := range accounts {
		ids[i], heads[i] = accounts[i].String(), head
	}
	rows, err := conn.Query(d.t.Context(), `explain (analyze, costs off, timing off) `+store.LatestPostingSQL, ids, heads)
	if err != nil {
		d.t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		d.t.Fatal(err)
	}
	plan := strings.Join(lines, "\n")
	found := rowsRead.FindStringSubmatch(plan)
	if found == nil {
		d.t.Fatalf("the plan uses no index of postings:\n%s", plan)
	}
	each, _ := strconv.Atoi(found[1])
	loops, _ := strconv.Atoi(found[2])
	if each*loops > len(accounts) {
		d.t.Errorf("%d rows read for %d accounts:\n%s", each*loops, len(accounts), plan)
	}
}

// A name is text beside the chain; a process that follows a foreign change of
// an account must not lose it.
func TestFollowedAccountKeepsItsName(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		one, two := d.sequencers(d.db), d.sequencers(d.db)
		d.accept(one, d.transfer("cash", "bob", "1"))
		name, frozen, thawed := "Bob's wallet", chain.FrozenAll, chain.FrozenNone
		d.accept(two, &ledger.ChangeAccount{Common: d.common(), Code: "bob", Name: &name, Frozen: &frozen})
		d.accept(one, &ledger.ChangeAccount{Common: d.common(), Code: "bob", Frozen: &thawed})
		a, err := d.db.Account(t.Context(), d.id, "bob")
		if err != nil || a.Name == nil || *a.Name != name || a.Frozen != chain.FrozenNone {
			t.Errorf("bob is %+v, %v", a, err)
		}
		d.checkLedger()
	})
}

func TestDamagedHeadStopsPosting(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		e := d.accept(d.sequencers(d.db), d.transfer("cash", "bob", "1"))[0]
		d.owner(`update book.entries set actor = ledger_id where seq = $1`, e.Seq())
		if _, err := d.sequencers(d.db).Submit(t.Context(), d.id, d.transfer("cash", "alice", "1")); !errors.Is(err, ledger.ErrHalted) {
			t.Errorf("posting after a damaged head: %v, want ErrHalted", err)
		}
		if n := d.count(`select count(*) from ops.findings where code = 'ENTRY_HASH_MISMATCH' and seq = $1`, e.Seq()); n != 1 {
			t.Errorf("%d findings stored, want 1", n)
		}
	})
}

func TestServerStopsAlthoughAnOutcomeIsUnknown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		s := d.sequencers(&faulty{DB: d.db, commit: before(1<<30, ledger.ErrUnknownOutcome)})
		ctx, cancel := context.WithCancel(t.Context())
		submitted := make(chan error, 1)
		go func() {
			_, err := s.Submit(ctx, d.id, d.transfer("cash", "bob", "1"))
			submitted <- err
		}()
		for s.Stats()[d.id].Unknown == 0 {
			runtime.Gosched()
		}
		cancel()
		if err := <-submitted; !errors.Is(err, ledger.ErrUnknownOutcome) {
			t.Errorf("the client was told %v, want ErrUnknownOutcome", err)
		}
		s.Stop() // returns once resolving has gone on for ResolvePatience
	})
}
