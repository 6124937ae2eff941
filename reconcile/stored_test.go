package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
	"tallystick/reconcile/policy"
)

// storedAttacks change what a night has stored beside the book, with the owner's
// rights. The night's snapshot is of 29 entries, and its run entry is 29.
var storedAttacks = []struct {
	name string
	edit func(*mutated)
	want []string
}{
	{name: "nothing"},
	{name: "a balance in a snapshot", edit: (*mutated).editSnapshot, want: []string{"PROJECTION_MISMATCH@28"}},
	{name: "an account left out of a snapshot", edit: func(m *mutated) {
		m.storeSnapshot(func(all []reconcile.Balance) []reconcile.Balance { return all[1:] })
	}, want: []string{"PROJECTION_MISMATCH@28"}},
	{name: "an account too many in a snapshot", edit: func(m *mutated) {
		m.storeSnapshot(func(all []reconcile.Balance) []reconcile.Balance {
			more := all[0]
			more.ID[15]++
			return append(all, more)
		})
	}, want: []string{"PROJECTION_MISMATCH@28"}},
	{name: "an account without a posting in a snapshot", edit: func(m *mutated) {
		m.storeSnapshot(func(all []reconcile.Balance) []reconcile.Balance {
			i := slices.IndexFunc(all, func(b reconcile.Balance) bool { return b.AccountSeq == 0 })
			all[i].AccountSeq = 1
			return all
		})
	}, want: []string{"PROJECTION_MISMATCH@28"}},
	{name: "bytes of a snapshot", edit: func(m *mutated) { m.sql("update ops.snapshots set body = 'nothing' where ledger_id = '$L'") },
		want: []string{"PROJECTION_MISMATCH@28"}},
	{name: "the digest of a snapshot", edit: func(m *mutated) { m.sql("update ops.snapshots set sha256 = sha256('x') where ledger_id = '$L'") },
		want: []string{"PROJECTION_MISMATCH@28"}},
	{name: "a snapshot larger than any", edit: func(m *mutated) {
		m.sql("update ops.snapshots set body = convert_to(repeat('x', 2000000), 'UTF8') where ledger_id = '$L'")
	}, want: []string{"PROJECTION_MISMATCH@28"}},
	{name: "a snapshot of other entries", edit: func(m *mutated) { m.sql("update ops.snapshots set size = 12 where ledger_id = '$L'") },
		want: []string{"PROJECTION_MISMATCH@11"}},
	{name: "a snapshot of entries to come", edit: func(m *mutated) { m.sql("update ops.snapshots set size = 1000 where ledger_id = '$L'") },
		want: []string{"ORPHAN_ROW@999"}},
	{name: "the result of a run", edit: func(m *mutated) { m.sql("update ops.runs set result = 'incomplete' where ledger_id = '$L'") },
		want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "what a run found", edit: func(m *mutated) {
		m.sql("update ops.runs set critical = 1, warnings = 2, read_from = 3, as_of = as_of - 1, size = 4, head = sha256('x') where ledger_id = '$L'")
	}, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "the digest of a run", edit: func(m *mutated) { m.sql("update ops.runs set reports_sha256 = null where ledger_id = '$L'") },
		want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "the run of another ledger", edit: func(m *mutated) {
		m.sql("update ops.runs set ledger_id = '00000000-0000-0000-0000-000000000009' where ledger_id = '$L'")
	}, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "a run deleted", edit: func(m *mutated) { m.sql("delete from ops.runs where ledger_id = '$L'") },
		want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "a run that was killed after its entry", edit: func(m *mutated) {
		m.sql("update ops.runs set phase = 'sign', result = null, reports_sha256 = null, entry_seq = null where ledger_id = '$L'")
	}},
	{name: "a run that no entry records", edit: func(m *mutated) {
		m.sql(`insert into ops.runs (run_id, ledger_id, key, as_of, size, head, pins, phase, result, read_from, not_re_read, critical, warnings, started_at)
			values ('00000000-0000-0000-0000-000000000007', '$L', sha256('y'), '2026-01-01', 5, sha256('x'), '{}', 'done', 'passed', 0, 0, 0, 0, now())`)
	}, want: []string{"PROJECTION_MISMATCH"}},
	{name: "a run that says an entry to come records it", edit: func(m *mutated) {
		m.sql(`insert into ops.runs (run_id, ledger_id, key, as_of, size, head, pins, phase, result, read_from, not_re_read, critical, warnings, started_at, entry_seq)
			values ('00000000-0000-0000-0000-000000000006', '$L', sha256('z'), '2026-01-01', 5, sha256('x'), '{}', 'done', 'passed', 0, 0, 0, 0, now(), 1000000000000)`)
	}, want: []string{"PROJECTION_MISMATCH"}},
	{name: "the entry of a run", edit: func(m *mutated) { m.sql("update ops.runs set entry_seq = 3 where ledger_id = '$L'") }, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "the phase of a run, and its result", edit: func(m *mutated) {
		m.sql("update ops.runs set phase = 'sign', result = 'incomplete', reports_sha256 = sha256('q') where ledger_id = '$L'")
	}, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "a day that cannot be", edit: func(m *mutated) { m.sql("update ops.runs set as_of = 'infinity' where ledger_id = '$L'") }, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "a run entry of a later version", edit: func(m *mutated) {
		m.sql("update book.entries set format = 2, entry_hash = sha256('new') where ledger_id = '$L' and seq = 29")
	}},
	{name: "a run at work", edit: func(m *mutated) {
		m.sql(`insert into ops.runs (run_id, ledger_id, key, as_of, size, head, pins, phase, read_from, not_re_read, critical, warnings, started_at)
			values ('00000000-0000-0000-0000-000000000008', '$L', sha256('y'), '2026-01-01', 5, sha256('x'), '{}', 'bank', 0, 0, 0, 0, now())`)
	}},
	{name: "a name of a report that has no end", edit: func(m *mutated) { m.report("update ops.run_outputs set name = repeat('x', 200000)") }, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "bytes of a report", edit: func(m *mutated) { m.report("update ops.run_outputs set body = 'nothing'") }, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "a report for another", edit: func(m *mutated) {
		m.report("update ops.run_outputs set (body, size) = (select body, size from ops.run_outputs where run_id = $1 and kind = 'report' and name <> 'trial-balance' order by name limit 1)")
	}, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "a report for another, and its digest", edit: func(m *mutated) {
		m.report("update ops.run_outputs set (body, size, sha256) = (select body, size, sha256 from ops.run_outputs where run_id = $1 and kind = 'report' and name <> 'trial-balance' order by name limit 1)")
	}, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "the length of a report", edit: func(m *mutated) { m.report("update ops.run_outputs set size = size - 1") }, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "a report deleted", edit: func(m *mutated) { m.report("delete from ops.run_outputs") }, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "a report larger than any", edit: func(m *mutated) {
		m.report("update ops.run_outputs set body = convert_to(repeat('x', 9000000), 'UTF8')")
	}, want: []string{"PROJECTION_MISMATCH@29"}},
	{name: "a report too many", edit: func(m *mutated) {
		m.sql(fmt.Sprintf("insert into ops.run_outputs select run_id, kind, 'another', phase, sha256, size, body from ops.run_outputs where run_id = '%s' and kind = 'report' and name = 'trial-balance'", m.before.Run.ID))
	}, want: []string{"PROJECTION_MISMATCH@29"}},
}

// report runs a statement about one report of the night before, whose run is $1.
func (m *mutated) report(sql string) {
	m.t.Helper()
	sql = strings.ReplaceAll(sql, "$1", "'"+m.before.Run.ID.String()+"'")
	tag, err := m.conn.Exec(m.t.Context(), sql+fmt.Sprintf(" where run_id = '%s' and kind = 'report' and name = 'trial-balance'", m.before.Run.ID))
	if err != nil || tag.RowsAffected() != 1 {
		m.t.Fatalf("%s: %v, %v", sql, tag, err)
	}
}

// What a night has stored beside the book is held against the entries: snapshots
// against the postings, runs and what they put out against the run entries.
func TestWhatIsStoredOfNightsIsHeldAgainstTheEntries(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn, deps, signer := connect(t, url), nightDeps(t, url), signingKey(t, "signer")
		rules, err := policy.Decode([]byte(nightPolicy))
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range storedAttacks {
			m := &mutated{crime: &crime{t: t, conn: conn, key: signer, b: bankBook(t, c.name, signer)}, policy: rules}
			m.b.open("idle", chain.Asset, nil) // 28: nothing is ever posted to it
			m.b.write(t, conn)
			m.b.seal(t, conn, signer, 10, 20, 25)
			m.before = runNight(t, deps, m.b, reconcile.NightOptions{Policy: rules})
			if c.edit != nil {
				c.edit(m)
			}
			ways := []reconcile.Options{{Stored: true}, {Stored: true, Level: reconcile.LevelColumns}, {}}
			if i > 1 {
				ways = ways[:1]
			}
			for _, opts := range ways {
				want := c.want
				if opts.Level != reconcile.ByDefault || !opts.Stored {
					want = nil
				}
				report := verifyWith(t, url, m.b.ledger, opts)
				if got := slices.Compact(codes(report.Findings)); !slices.Equal(got, want) {
					t.Errorf("%s, %+v: found %v, want %v\n%s", c.name, opts, got, want, details(report.Findings))
				}
				if line := "1 stored run says what the run entry says, and put out the documents that it binds"; c.name == "nothing" && strings.Contains(string(write(t, report)), line) != opts.Stored && opts.Level == reconcile.ByDefault {
					t.Errorf("%+v: whether the report says %q is not %t:\n%s", opts, line, opts.Stored, write(t, report))
				}
				notChecked := strings.Contains(strings.Join(report.NotChecked, "\n"), "snapshots of balances")
				if opts.Level == reconcile.ByDefault && notChecked == opts.Stored {
					t.Errorf("%s, %+v: not checked: %q", c.name, opts, report.NotChecked)
				}
			}
		}
	})
}

// Snapshots of a ledger with a past are all held against the postings, each at its
// own size, and of several parts.
func TestSnapshotsAreHeldAtTheirSizes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		deps := nightDeps(t, url)
		deps.Now = func() time.Time { return time.Now().AddDate(0, 0, 40) }
		b := newBook("main")
		for i := range 6 {
			b.open(fmt.Sprintf("a:%d", i), chain.Asset, nil)
		}
		for i := range 70 {
			b.transfer(fmt.Sprintf("a:%d", i%6), fmt.Sprintf("a:%d", (i+1)%6), int64(1+i))
		}
		b.commit(b.balances())
		b.write(t, conn)
		sizes := []int64{}
		from, err := deps.DB.Snapshot(t.Context(), b.ledger)
		if err != nil {
			t.Fatal(err)
		}
		for size := int64(8); size <= from.Size; size++ { // more than are held at once
			all, err := reconcile.BalancesAt(t.Context(), from, size)
			if err != nil {
				t.Fatal(err)
			}
			parts, err := reconcile.SnapshotOf(all, 2)
			if err != nil {
				t.Fatal(err)
			}
			if err := deps.Keeper.KeepSnapshot(t.Context(), b.ledger, size, parts); err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, size)
		}
		opts := reconcile.Options{Stored: true}
		if report := verifyWith(t, url, b.ledger, opts); report.Status != reconcile.Verified {
			t.Fatalf("%v %v", codes(report.Findings), report.NotChecked)
		}
		opts.Workers = 3
		db := auditor(t, url, 6)
		for name, verify := range map[string]func() (reconcile.Report, error){
			"met by the first pass": func() (reconcile.Report, error) {
				return reconcile.VerifyJoining(t.Context(), db, b.ledger, opts, false)
			},
			"searched for": func() (reconcile.Report, error) {
				return reconcile.VerifyJoining(t.Context(), db, b.ledger, opts, true)
			},
			"read": func() (reconcile.Report, error) {
				return reconcile.VerifyNarrowly(t.Context(), db, b.ledger, opts, true)
			},
		} {
			if report, err := verify(); err != nil || report.Status != reconcile.Verified {
				t.Errorf("balances %s: %v %v, %v", name, err, codes(report.Findings), report.NotChecked)
			}
		}
		moved := sizes[len(sizes)/2]
		mustExec(t, conn, fmt.Sprintf("delete from ops.snapshots where size = %d", moved))
		mustExec(t, conn, fmt.Sprintf("update ops.snapshots set size = %d where size = %d", moved, moved+1))
		want := fmt.Sprintf("PROJECTION_MISMATCH@%d", moved-1)
		if got := codes(verifyWith(t, url, b.ledger, opts).Findings); len(got) == 0 || slices.ContainsFunc(got, func(s string) bool { return s != want }) {
			t.Errorf("found %v, want only %s", got, want)
		}
	})
}

// Who locks a table keeps an audit waiting, but not for ever.
func TestAnAuditDoesNotWaitForALockForEver(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		if conn.PgConn().ParameterStatus("crdb_version") != "" {
			t.Skip("this engine has no such locks")
		}
		b := small()
		b.write(t, conn)
		mustExec(t, conn, "begin")
		mustExec(t, conn, "lock table ops.runs in access exclusive mode")
		report := verifyWith(t, url, b.ledger, reconcile.Options{Stored: true})
		mustExec(t, conn, "rollback")
		why := "stored runs and what they put out: reading ops.runs: "
		if len(report.Findings) > 0 || report.Status != reconcile.Incomplete || !slices.ContainsFunc(report.NotChecked, func(s string) bool { return strings.HasPrefix(s, why) && strings.Contains(s, "lock timeout") }) {
			t.Errorf("%s, %v: %q", report.Status, codes(report.Findings), report.NotChecked)
		}
	})
}
