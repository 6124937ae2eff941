package reconcile_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// signer opens the database as the signer does.
func signer(tb testing.TB, url string) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), url, store.RoleSigner, 2)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db
}

// beyondFollowing are the codes that only Verify finds.
var beyondFollowing = []string{"DUPLICATE_TRANSFER", "COMMITMENT_MISMATCH", "PAYLOAD_MISSING", "PAYLOAD_ERASED", "CURRENCY_NOT_ZERO"}

// followable reports whether a finding of Verify is one that following finds,
// too: about a row of a table that a hash covers, and met under an entry.
func followable(f *chain.Finding, size int64) bool {
	stored, column := "", ""
	if f.Stored != nil {
		stored = *f.Stored
	}
	if f.Column != nil {
		column = *f.Column
	}
	switch {
	case slices.Contains(beyondFollowing, f.Code), f.Seq != nil && *f.Seq >= size, f.Code == "ORPHAN_ROW" && f.Seq == nil,
		strings.Contains(stored, "ops.payloads"), strings.Contains(stored, "ops.metadata_terms"), column == "metadata_terms",
		f.Code == "LEDGER_MISSING" && stored == "no entries", f.Recomputed != nil && *f.Recomputed == "no entry opens the account there":
		return false
	}
	return true
}

// sameFollowed follows the ledger from its beginning, in one step: what is found
// is what Verify finds there.
func sameFollowed(t *testing.T, url string, ledger uuid.UUID, report *reconcile.Report) {
	t.Helper()
	db := auditor(t, url, 2)
	defer db.Close()
	for name, follower := range map[string]*reconcile.Follower{"usual": reconcile.NewFollower(db), "narrow": reconcile.NewNarrowFollower(db)} {
		step, err := follower.Follow(t.Context(), ledger, reconcile.Point{}, math.MaxInt64)
		if err != nil {
			t.Fatal(err)
		}
		var want []chain.Finding
		for _, f := range report.Findings {
			if followable(&f, report.Size) {
				want = append(want, f)
			}
		}
		if got, want := details(step.Findings), details(want); got != want {
			t.Errorf("%s bounds: followed, found %s\nwant %s", name, got, want)
		}
		if refused := len(want) > 0; step.Refused() != refused || refused && (step.Hashes != nil || step.Next.Size != 0) {
			t.Errorf("%s bounds: refused %t, %d hashes, next %d", name, step.Refused(), len(step.Hashes), step.Next.Size)
		}
	}
}

// sealed returns the stored hashes of a ledger.
func sealed(t *testing.T, b *book) []chain.Hash {
	t.Helper()
	var all []chain.Hash
	for _, row := range b.rows.entries {
		all = append(all, chain.Hash(row[6].([]byte)))
	}
	return all
}

func TestALedgerIsFollowedInStepsOfAnyLength(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := sample()
		want := sealed(t, b)
		b.write(t, connect(t, url))
		db := signer(t, url)
		for _, most := range []int64{1, 2, 3, 7, math.MaxInt64} {
			for _, anew := range []bool{false, true} {
				follower := reconcile.NewNarrowFollower(db)
				var got []chain.Hash
				at := reconcile.Point{}
				for at.Size < int64(len(want)) {
					if anew { // as after a restart
						follower = reconcile.NewNarrowFollower(db)
					}
					step, err := follower.Follow(t.Context(), b.ledger, at, most)
					if err != nil || len(step.Findings)+len(step.Unchecked) > 0 || step.Next.Size-at.Size != int64(len(step.Hashes)) || len(step.Hashes) == 0 {
						t.Fatalf("at %d, most %d: %+v, %v", at.Size, most, step, err)
					}
					got, at = append(got, step.Hashes...), step.Next
				}
				if !slices.Equal(got, want) || at.Head != want[len(want)-1] {
					t.Errorf("steps of %d: the hashes differ", most)
				}
				if step, err := follower.Follow(t.Context(), b.ledger, at, most); err != nil || step.Next != at || len(step.Hashes)+len(step.Findings) != 0 {
					t.Errorf("at the end: %+v, %v", step, err)
				}
			}
		}
	})
}

// pointAt follows a ledger up to a size.
func pointAt(t *testing.T, db *store.DB, ledger uuid.UUID, size int64) reconcile.Point {
	t.Helper()
	step, err := reconcile.NewFollower(db).Follow(t.Context(), ledger, reconcile.Point{}, size)
	if err != nil || step.Next.Size != size {
		t.Fatalf("following to %d: %+v, %v", size, step, err)
	}
	return step.Next
}

func TestALedgerThatWasRolledBackIsNotFollowed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		for range 3 {
			b.transfer("cash", "customers:1", 5) // 7, 8, 9
		}
		conn := connect(t, url)
		b.write(t, conn)
		db := signer(t, url)
		at := pointAt(t, db, b.ledger, 10)
		follower := reconcile.NewFollower(db)
		refuses := func(what, want string) {
			t.Helper()
			for range 2 {
				step, err := follower.Follow(t.Context(), b.ledger, at, 100)
				if got := fmt.Sprint(codes(step.Findings)); err != nil || got != want || !step.Refused() || step.Next != at {
					t.Errorf("%s: %s, %+v, %v", what, got, step, err)
				}
			}
		}
		for _, table := range []string{"book.entries", "book.postings", "ops.payloads"} {
			mustExec(t, conn, "delete from "+table+" where seq >= 8")
		}
		refuses("the tail was deleted", "[LOG_ROLLBACK@8]")

		b.next, b.head = 8, chain.Hash{}
		if err := conn.QueryRow(t.Context(), "select entry_hash from book.entries where seq = 7").Scan(hashInto{&b.head}); err != nil {
			t.Fatal(err)
		}
		for _, code := range []string{"cash", "customers:1"} {
			a := b.accounts[code]
			a.seq -= 2
			a.posted = *units(a.posted.Big().Int64() - map[string]int64{"cash": 10, "customers:1": -10}[code])
		}
		for range 3 {
			b.transfer("cash", "customers:1", 6) // 8, 9, 10
		}
		b.write(t, conn)
		if report := verify(t, url, b.ledger); report.Status != reconcile.Verified {
			t.Fatalf("the other continuation is %s: %s", report.Status, details(report.Findings))
		}
		refuses("another continuation", "[LOG_ROLLBACK@9]")

		mustExec(t, conn, "delete from book.entries where seq = 9")
		refuses("the entry at the point deleted", "[LOG_ROLLBACK@9]")
		mustExec(t, conn, "delete from book.entries")
		refuses("all entries deleted", "[LOG_ROLLBACK@0]")
	})
}

// hashInto scans a hash.
type hashInto struct{ h *chain.Hash }

// ScanBytes implements pgtype.BytesScanner.
func (s hashInto) ScanBytes(b []byte) error {
	*s.h = chain.Hash(b)
	return nil
}

func TestFollowingStopsBeforeWhatCannotBeChecked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := sample()
		conn := connect(t, url)
		want := sealed(t, b)
		b.write(t, conn)
		mustExec(t, conn, "update book.entries set kind = 'magic', actor = request_id where seq = 17")
		follower := reconcile.NewFollower(signer(t, url))
		step, err := follower.Follow(t.Context(), b.ledger, reconcile.Point{}, math.MaxInt64)
		if err != nil || step.Next.Size != 17 || !slices.Equal(step.Hashes, want[:17]) || len(step.Unchecked) != 1 || step.Refused() {
			t.Fatalf("followed to %d with %v, %v", step.Next.Size, step.Unchecked, err)
		}
		again, err := follower.Follow(t.Context(), b.ledger, step.Next, math.MaxInt64)
		if err != nil || again.Next != step.Next || len(again.Hashes) != 0 || len(again.Unchecked) != 1 {
			t.Errorf("followed on to %+v, %v", again, err)
		}
	})
}

// A wrong entry behind a right one: the follower knows the accounts from before.
func TestWhatComesLaterIsHeldAgainstWhatWasFollowed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBook("later")
		b.open("cash", chain.Asset, nil)
		b.open("customers:1", chain.Liability, func(a *chain.Account) { a.MinBalance = units(0) })
		b.transfer("cash", "customers:1", 100) // 3
		conn := connect(t, url)
		b.write(t, conn)
		db := signer(t, url)
		follower := reconcile.NewFollower(db)
		at := reconcile.Point{}
		next := func(want ...string) {
			t.Helper()
			step, err := follower.Follow(t.Context(), b.ledger, at, 100)
			if got := codes(step.Findings); err != nil || !slices.Equal(got, append([]string{}, want...)) {
				t.Errorf("at %d: found %v, want %v, %v", at.Size, got, want, err)
			}
			at = step.Next
		}
		next()
		b.change("customers:1", func(a *chain.Account) { a.Frozen = chain.FrozenDebits }) // 4
		b.define("XTS", 3)                                                                // 5
		b.write(t, conn)
		next()
		if at.Size != 6 {
			t.Fatalf("followed to %d", at.Size)
		}
		b.define("XTS", 3)                     // 6
		b.transfer("customers:1", "cash", 101) // 7
		b.write(t, conn)
		next("CURRENCY_INVALID@6", "LIMIT_EXCEEDED@7", "ACCOUNT_FROZEN_POSTING@7")
	})
}

// queriesOfRounds returns what PostgreSQL counted of a session that followed so
// many entries, one at a time.
func queriesOfRounds(t *testing.T, url string, conn *pgx.Conn, b *book, rounds int64) int64 {
	t.Helper()
	counted := func() (n int64) {
		if err := conn.QueryRow(t.Context(), "select xact_commit from pg_stat_database where datname = current_database()").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	db, err := store.Open(t.Context(), url, store.RoleSigner, 1)
	if err != nil {
		t.Fatal(err)
	}
	at := pointAt(t, db, b.ledger, 10)
	follower := reconcile.NewFollower(db)
	before := counted()
	for range rounds {
		step, err := follower.Follow(t.Context(), b.ledger, at, 1)
		if err != nil || len(step.Hashes) != 1 {
			t.Fatalf("at %d: %+v, %v", at.Size, step, err)
		}
		at = step.Next
	}
	db.Close()
	// A session is counted to its end when it has ended.
	await(t, func() bool {
		var left int
		if err := conn.QueryRow(t.Context(), "select count(*) from pg_stat_activity where datname = current_database() and backend_type = 'client backend'").Scan(&left); err != nil {
			t.Fatal(err)
		}
		return left == 1
	})
	return counted() - before
}

// await polls until something is so.
func await(t *testing.T, so func() bool) {
	t.Helper()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	end := time.After(time.Minute)
	for !so() {
		select {
		case <-ticks.C:
		case <-end:
			t.Fatal("waited a minute in vain")
		}
	}
}

// What a new entry costs does not depend on what was there before.
func TestANewEntryCostsAFewQueries(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	conn := connect(t, url)
	if conn.PgConn().ParameterStatus("crdb_version") != "" {
		t.Skip("the queries of a session are counted by PostgreSQL")
	}
	b := small()
	for range 200 {
		b.transfer("cash", "customers:1", 1)
	}
	b.write(t, conn)
	mustExec(t, conn, "set stats_fetch_consistency = none")
	const few, many, most = 10, 110, 9
	some := queriesOfRounds(t, url, conn, b, few)
	more := queriesOfRounds(t, url, conn, b, many)
	if each := (more - some) / (many - few); each < 1 || each > most {
		t.Errorf("%d queries for a new entry, want at most %d (%d in all, then %d)", each, most, some, more)
	} else {
		t.Logf("%d queries for a new entry", each)
	}
}
