package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// A row is changed and its hash made to fit: the next entry's does not.
func TestAnEntryHashedAgainBreaksTheChainAfterIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		honest := b.transfer("cash", "customers:1", 1) // 7
		b.transfer("cash", "customers:1", 1)
		conn := connect(t, url)
		b.write(t, conn)
		forged := honest
		forged.RecordedAt -= 1_000_000
		hash := forged.Hash()
		mustExec(t, conn, "update book.entries set recorded_at = recorded_at - interval '1 second', entry_hash = $1 where seq = 7", hash[:])
		report := verify(t, url, b.ledger)
		if got, want := codes(report.Findings), []string{"CHAIN_BREAK@8"}; !slices.Equal(got, want) {
			t.Fatalf("found %v, want %v", got, want)
		}
		f := report.Findings[0]
		if sealed := honest.Hash(); *f.Stored != sealed.String() || *f.Recomputed != hash.String() || f.Column != nil || f.Account != nil {
			t.Errorf("finding %s, want stored %s, recomputed %s", details(report.Findings), sealed, hash)
		}
		sameNarrowly(t, url, b.ledger, &report)
	})
}

func TestAHashMismatchNamesBothHashesAndNoColumn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		e := b.transfer("cash", "customers:1", 1) // 7
		conn := connect(t, url)
		b.write(t, conn)
		mustExec(t, conn, "update book.entries set actor = request_id where seq = 7")
		report := verify(t, url, b.ledger)
		stored := e.Hash()
		e.Actor = e.RequestID
		recomputed := e.Hash()
		if got := codes(report.Findings); !slices.Equal(got, []string{"ENTRY_HASH_MISMATCH@7"}) {
			t.Fatalf("found %v", got)
		}
		f := report.Findings[0]
		if *f.Stored != stored.String() || *f.Recomputed != recomputed.String() || *f.TransferID != e.RequestID.String() ||
			f.Column != nil || f.Account != nil || f.Severity != chain.Critical || f.NextStep == "" {
			t.Errorf("finding %s", details(report.Findings))
		}
	})
}

func TestAValueThatCannotBeThereIsNamedWithItsColumn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		conn := connect(t, url)
		b.write(t, conn)
		loosen(t, conn, "postings")
		mustExec(t, conn, "update book.postings set posted = 'NaN' where seq = 6 and ordinal = 1")
		f := verify(t, url, b.ledger).Findings
		if len(f) != 1 || *f[0].Column != "posted" || *f[0].Stored != "NaN" || *f[0].Account != "customers:1" || f[0].Recomputed != nil {
			t.Errorf("found %s", details(f))
		}
	})
}

// Other ledgers in the same database are no concern of this one, and what is
// copied from them is recognised.
func TestEntriesOfAnotherLedgerAreRecognised(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		mine, other := newBook("main"), newBook("other")
		for _, b := range []*book{mine, other} {
			b.open("cash", chain.Asset, nil)
			b.open("customers:1", chain.Liability, nil)
			b.transfer("cash", "customers:1", 5)
		}
		for i := range 3 {
			other.transfer("cash", "customers:1", int64(1+i)) // 4, 5, 6
		}
		conn := connect(t, url)
		mine.write(t, conn)
		other.write(t, conn)
		if report := verify(t, url, mine.ledger); report.Status != reconcile.Verified || report.Size != 4 {
			t.Fatalf("%s, size %d, %v", report.Status, report.Size, codes(report.Findings))
		}
		for _, table := range []string{"book.entries", "book.postings", "ops.payloads"} {
			mustExec(t, conn, "update "+table+" set ledger_id = $1 where ledger_id = $2 and seq > 3", mine.ledger, other.ledger)
		}
		report := verify(t, url, mine.ledger)
		want := []string{
			"LEDGER_ID_MISMATCH@4", "LEDGER_ID_MISMATCH@4", "LEDGER_ID_MISMATCH@4", "CHAIN_BREAK@4", "ACCOUNT_SEQ_GAP@4", "ACCOUNT_SEQ_GAP@4",
			"LEDGER_ID_MISMATCH@5", "LEDGER_ID_MISMATCH@5", "LEDGER_ID_MISMATCH@5",
			"LEDGER_ID_MISMATCH@6", "LEDGER_ID_MISMATCH@6", "LEDGER_ID_MISMATCH@6",
		}
		if got := codes(report.Findings); !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
		sameNarrowly(t, url, mine.ledger, &report)

		all, err := reconcile.Ledgers(t.Context(), auditor(t, url, 1))
		ids := []uuid.UUID{mine.ledger, other.ledger}
		slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
		if err != nil || !slices.Equal(all, ids) {
			t.Errorf("ledgers %v, %v; want %v", all, err, ids)
		}
	})
}

func TestARequestThatStandsTwiceIsFound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		first := b.transfer("cash", "customers:1", 5)                                                                                   // 7
		b.append(chain.Entry{Kind: chain.Transfer, RequestID: first.RequestID, Postings: b.move("cash", "customers:1", 5, 0)}, words{}) // 8
		b.append(chain.Entry{Kind: chain.Transfer, RequestID: first.RequestID, Postings: b.move("cash", "customers:2", 5, 0)}, words{}) // 9
		conn := connect(t, url)
		dropUnique(t, conn, "entries", "i8_entries_request")
		b.write(t, conn)
		report := verify(t, url, b.ledger)
		if got, want := codes(report.Findings), []string{"DUPLICATE_TRANSFER@8", "DUPLICATE_TRANSFER@9"}; !slices.Equal(got, want) {
			t.Fatalf("found %v, want %v", got, want)
		}
		if f := report.Findings[0]; *f.Stored != first.RequestID.String() || *f.Recomputed != "first at entry 7" {
			t.Errorf("found %s", details(report.Findings))
		}
		sameNarrowly(t, url, b.ledger, &report)
	})
}

// Two postings with the same account_seq each follow the one before it; only
// together they are one too many.
func TestAnAccountSeqThatStandsTwiceIsFound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		a, c := b.accounts["customers:1"], b.accounts["cash"]
		saved, savedCash := *a, *c
		b.transfer("cash", "customers:1", 5) // 7
		*a, *c = saved, savedCash
		b.transfer("cash", "customers:1", 5) // 8
		b.transfer("cash", "customers:1", 5) // 9
		conn := connect(t, url)
		dropUnique(t, conn, "postings", "i9_postings_account_seq")
		b.write(t, conn)
		report := verify(t, url, b.ledger)
		if got, want := codes(report.Findings), []string{"ACCOUNT_SEQ_GAP@8", "ACCOUNT_SEQ_GAP@8"}; !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
		sameNarrowly(t, url, b.ledger, &report)
	})
}

// An entry with more rows than any can have does not make the verifier hold
// them all, and does not keep it from the rest.
func TestAnEntryTooLargeToHoldIsReportedAndPassedOver(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		b.transfer("cash", "customers:1", 5) // 7
		conn := connect(t, url)
		b.write(t, conn)
		mustExec(t, conn, `insert into book.postings select ledger_id, seq, ordinal + g, account_id, direction, currency, scale, amount, pending_change,
			effective_date, back_valued, account_seq + g, posted, pending_debit, pending_credit from book.postings, generate_series(100, 106) g where seq = 6 and ordinal = 0`)
		report, err := reconcile.VerifyNarrowly(t.Context(), auditor(t, url, 2), b.ledger, reconcile.Options{Workers: 1}, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := codes(report.Findings); got[0] != "ENTRY_MALFORMED@6" || strings.Contains(fmt.Sprint(got), "GAP@6") || report.EntriesChecked != b.next-1 {
			t.Errorf("found %v in %d entries", got, report.EntriesChecked)
		}
	})
}

func TestOnlyTheFirstFindingsAreListedAndAllAreCounted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		const many = 10_050
		b := small()
		for range many {
			b.transfer("cash", "customers:1", 1)
		}
		conn := connect(t, url)
		b.write(t, conn)
		mustExec(t, conn, "update book.entries set actor = request_id where seq > 6")
		report, err := reconcile.Verify(t.Context(), auditor(t, url, 4), b.ledger, reconcile.Options{Workers: 3})
		if err != nil {
			t.Fatal(err)
		}
		if report.FindingsTotal != many || len(report.Findings) != 10_000 {
			t.Fatalf("%d findings, %d listed", report.FindingsTotal, len(report.Findings))
		}
		for i, f := range report.Findings {
			if *f.Seq != int64(7+i) || f.TransferID == nil {
				t.Fatalf("finding %d is %s", i, details([]chain.Finding{f}))
			}
		}
	})
}

// The cut is made at the beginning; what is below it must still be there at
// the end.
func TestAChangeDuringVerificationIsFound(t *testing.T) {
	t.Parallel()
	for _, change := range []struct {
		name, sql string
		want      []string
	}{
		{"the newest hash", "update book.entries set entry_hash = prev_hash where seq = 9001", []string{"ENTRY_HASH_MISMATCH@9001", "HEAD_MISMATCH@9001"}},
		{"the newest entry deleted", "delete from book.entries where seq = 9001", []string{"SEQ_GAP@9001", "ORPHAN_ROW@9001", "ORPHAN_ROW@9001"}},
	} {
		t.Run(change.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				b := small()
				for b.next < 9002 {
					b.transfer("cash", "customers:1", 1)
				}
				conn := connect(t, url)
				b.write(t, conn)
				changed := false
				report, err := reconcile.Verify(t.Context(), auditor(t, url, 2), b.ledger, reconcile.Options{Workers: 1, Progress: func(done, total int64) {
					if !changed {
						changed = true
						mustExec(t, conn, change.sql)
					}
					if done > total || total != 9002 {
						t.Errorf("progress %d of %d", done, total)
					}
				}})
				if err != nil {
					t.Fatal(err)
				}
				if got := codes(report.Findings); !slices.Equal(got, change.want) {
					t.Errorf("found %v, want %v", got, change.want)
				}
			})
		})
	}
}

// What is appended while a verification runs is not looked at, and not
// mistaken for damage.
func TestEntriesAppendedDuringVerificationAreLeftAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		for b.next < 9002 {
			b.transfer("cash", "customers:1", 1)
		}
		conn := connect(t, url)
		b.write(t, conn)
		size, head := b.next, b.head
		report, err := reconcile.Verify(t.Context(), auditor(t, url, 2), b.ledger, reconcile.Options{Workers: 1, Progress: func(int64, int64) {
			b.open(fmt.Sprintf("late:%d", b.next), chain.Asset, nil)
			b.transfer("customers:1", "cash", 3)
			b.write(t, conn)
		}})
		if err != nil {
			t.Fatal(err)
		}
		if report.Status != reconcile.Verified || report.Size != size || report.Head != head.String() || report.EntriesChecked != size || report.Scope.Accounts != 5 {
			t.Errorf("%s, size %d, %d entries, %d accounts, %v", report.Status, report.Size, report.EntriesChecked, report.Scope.Accounts, codes(report.Findings))
		}
	})
}

// A lost connection is not a finding, and does not make the report incomplete.
func TestAVerificationOutlivesItsConnections(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		for b.next < 9002 {
			b.transfer("cash", "customers:1", 1)
		}
		conn := connect(t, url)
		if conn.PgConn().ParameterStatus("crdb_version") != "" {
			t.Skip("pg_terminate_backend does not exist on CockroachDB")
		}
		b.write(t, conn)
		mustExec(t, conn, "update book.entries set actor = request_id where seq = 9000")
		report, err := reconcile.Verify(t.Context(), auditor(t, url, 2), b.ledger, reconcile.Options{Workers: 1, Progress: func(int64, int64) {
			mustExec(t, conn, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := codes(report.Findings); !slices.Equal(got, []string{"ENTRY_HASH_MISMATCH@9000"}) || report.Scope.Unchecked != 0 || report.EntriesChecked != 9002 {
			t.Errorf("%v, %d entries, %v", got, report.EntriesChecked, report.NotChecked)
		}
	})
}

// A verification that is cancelled says nothing about the ledger.
func TestACancelledVerificationIsAnError(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		b.write(t, connect(t, url))
		ctx, cancel := context.WithCancel(t.Context())
		report, err := reconcile.Verify(ctx, auditor(t, url, 2), b.ledger, reconcile.Options{Workers: 1, Progress: func(int64, int64) { cancel() }})
		if !errors.Is(err, context.Canceled) || report.Status != "" {
			t.Errorf("%v, %s", err, report.Status)
		}
	})
}

func TestLedgersAreFoundByNameAndUUID(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		b.write(t, connect(t, url))
		db := auditor(t, url, 2)
		for _, name := range []string{"main", b.ledger.String()} {
			if id, err := reconcile.FindLedger(t.Context(), db, name); err != nil || id != b.ledger {
				t.Errorf("%s is %s, %v", name, id, err)
			}
		}
		if _, err := reconcile.FindLedger(t.Context(), db, "nobody"); !errors.Is(err, reconcile.ErrUnknownLedger) {
			t.Errorf("an unknown name: %v", err)
		}
		if _, err := reconcile.Verify(t.Context(), db, uuid.Max, reconcile.Options{}); !errors.Is(err, reconcile.ErrUnknownLedger) {
			t.Errorf("an unknown UUID: %v", err)
		}
	})
}

// Every check of the table is provoked by a test of this package, and by name.
func TestEveryCheckIsProvoked(t *testing.T) {
	t.Parallel()
	provoked := map[string]bool{reconcile.HeadMismatch: true, reconcile.DuplicateTransfer: true} // in this file
	for _, a := range attacks {
		for _, want := range a.want {
			provoked[strings.Split(want, "@")[0]] = true
		}
	}
	for _, f := range slices.Concat(forgeries, misuses, misrules, misstatements, nightForgeries) {
		for _, want := range f.want {
			provoked[strings.Split(want, "@")[0]] = true
		}
	}
	for _, row := range table {
		for _, want := range append(row.also, row.want) {
			provoked[strings.Split(want, "@")[0]] = true
		}
	}
	provoked[reconcile.LedgerIDMismatch] = true
	for _, c := range reconcile.Checks {
		if !provoked[c.Code] {
			t.Errorf("no test provokes %s", c.Code)
		}
		if c.Meaning == "" || c.NextStep == "" || !strings.HasPrefix(c.Invariant, "I") {
			t.Errorf("%s says too little: %+v", c.Code, c)
		}
	}
}
