package reconcile_test

import (
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

// vanish deletes everything about the ledger in the tables of the book, and what is
// shown of it, but for what the super-log says.
func (c *superCrime) vanish() {
	for _, table := range []string{"ops.heads", "book.checkpoints", "book.tiles", "book.details", "book.postings", "book.account_versions", "book.accounts", "ops.payloads", "ops.metadata_terms", "book.entries", "book.ledgers"} {
		c.do("delete from " + table + " where ledger_id = '$L'")
	}
}

// eraseSuperLog deletes all of the super-log.
func (c *superCrime) eraseSuperLog() {
	c.do("delete from book.super_log", "delete from book.checkpoints", "delete from book.tiles", "delete from ops.heads")
}

// Whatever is left of a ledger that is asked for by its name says that it was there.
func TestWhatIsLeftOfALedgerIsFound(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		commit func(*superCrime)
		want   []string // of VerifyRemains; nil where there is nothing
		ids    int      // ledgers without a name
	}{
		{name: "nothing is gone", commit: func(*superCrime) {}},
		{name: "all of it but the super-log", commit: (*superCrime).vanish, want: []string{"LEDGER_MISSING"}, ids: 1},
		{name: "its row alone", commit: func(c *superCrime) { c.do("delete from book.ledgers where ledger_id = '$L'") }, ids: 1},
		{name: "with its rows in the super-log", commit: func(c *superCrime) {
			c.vanish()
			c.do("delete from book.super_log where ledger_id = '$L'")
		}, want: []string{"SUPER_LOG_MISMATCH"}},
		{name: "and all of the super-log", commit: func(c *superCrime) {
			c.vanish()
			c.eraseSuperLog()
		}},
		{name: "and the signer's state has it", commit: func(c *superCrime) {
			c.opts.SignerState = c.superState()
			c.vanish()
			c.eraseSuperLog()
		}, want: []string{"LEDGER_MISSING", "SUPER_LOG_MISMATCH"}},
		{name: "and a pin has it", commit: func(c *superCrime) {
			c.opts.Since = document("pin.cp", c.b.sign(c.t, c.key, 256))
			c.vanish()
			c.eraseSuperLog()
		}, want: []string{"LEDGER_MISSING"}},
		{name: "and a checkpoint has it, whose key nobody names", commit: func(c *superCrime) {
			c.opts.Archived, c.opts.Level = []reconcile.Document{*document("a.cp", c.b.sign(c.t, c.key, 256))}, reconcile.LevelEvidence
			c.vanish()
			c.eraseSuperLog()
		}, want: []string{}},
		{name: "and a checkpoint has it, whose key a policy names", commit: func(c *superCrime) {
			c.opts.Policy = policyOf(c.t, "log %s\nquorum none\n", verifierKey(c.t, c.key, c.b.terms.Origin))
			c.opts.Archived, c.opts.Level = []reconcile.Document{*document("a.cp", c.b.sign(c.t, c.key, 256))}, reconcile.LevelEvidence
			c.vanish()
			c.eraseSuperLog()
		}, want: []string{"LEDGER_MISSING"}},
		{name: "a pin of a ledger that is there", commit: func(c *superCrime) { c.opts.Since = document("pin.cp", c.b.sign(c.t, c.key, 256)) }},
		{name: "a file that is no pin", commit: func(c *superCrime) { c.opts.Since = document("pin.cp", []byte("nothing")) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				c := newSuperCrime(t, url)
				row.commit(c)
				db := auditor(t, url, 2)
				lost, err := reconcile.FindLost(t.Context(), db, "gone", nil)
				if ids := lost.IDs; err != nil || len(ids) != row.ids || len(ids) == 1 && ids[0] != c.b.ledger || !slices.Contains(lost.Names, "second") {
					t.Errorf("lost: %+v, %v; want %d", lost, err, row.ids)
				}
				report, err := reconcile.VerifyRemains(t.Context(), db, "gone", c.opts, nil)
				if row.want == nil {
					if !errors.Is(err, reconcile.ErrUnknownLedger) && !errors.Is(err, chain.ErrCheckpoint) {
						t.Errorf("%v %v, want %v", codes(report.Findings), err, reconcile.ErrUnknownLedger)
					}
					return
				}
				got := codes(report.Findings)
				slices.Sort(got)
				status := tampered
				if len(row.want) == 0 {
					status = reconcile.Incomplete
				}
				if err != nil || report.Status != status || report.Ledger != "gone" || !slices.Equal(slices.Compact(got), row.want) {
					t.Errorf("%s, %s, %v, %v, want %v", report.Ledger, report.Status, got, err, row.want)
				}
			})
		})
	}
}

// A ledger that says another name than it was opened under is found by that one, and
// by the origin of a pin.
func TestARenamedLedgerIsFound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		var all []*book
		var names []string
		for i := range 3 {
			b := newBook(fmt.Sprintf("ledger-%d", i))
			b.write(t, conn)
			all, names = append(all, b), append(names, b.terms.Name)
		}
		db, pin := auditor(t, url, 1), document("pin.cp", all[2].sign(t, signingKey(t, "signer"), 1))
		find := func(name string, pin *reconcile.Document, want ...uuid.UUID) {
			t.Helper()
			lost, err := reconcile.FindLost(t.Context(), db, name, pin)
			if err != nil || !slices.Equal(lost.IDs, want) || lost.More > 0 || !slices.Equal(lost.Names, names) {
				t.Errorf("%s: %+v, %v, want %v", name, lost, err, want)
			}
		}
		find("ledger-9", nil)
		find("ledger-9", pin)
		mustExec(t, conn, "update book.ledgers set name = 'mine' where name = 'ledger-1'")
		names = []string{"ledger-0", "ledger-2", "mine"}
		find("ledger-1", nil, all[1].ledger)
		find("ledger-9", nil)
		mustExec(t, conn, "update book.ledgers set day_cutoff = 1 where name = 'ledger-2'")
		find("ledger-9", pin, all[2].ledger)
	})
}

// Where even the list of ledgers cannot be read, that is said, and what stands in the way.
func TestWhatStandsInTheWayOfLedgersIsSaid(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, sql string
		want      []string
		status    reconcile.Status
	}{
		{"a right is missing", "revoke select on book.ledgers from tallystick_auditor", nil, reconcile.Incomplete},
		{"a table is gone", "drop table book.ledgers cascade", []string{"SCHEMA_TAMPERED"}, tampered},
		{"a view", "alter table book.ledgers rename to kept; create view book.ledgers as select * from book.kept", []string{"CONTROL_WEAKENED", "ROWS_FILTERED", "SCHEMA_TAMPERED"}, tampered},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				conn := connect(t, url)
				small().write(t, conn)
				for _, s := range strings.Split(row.sql, "; ") {
					mustExec(t, conn, s)
				}
				db := auditor(t, url, 2)
				_, why := reconcile.FindLedger(t.Context(), db, "main")
				report, err := reconcile.VerifyRemains(t.Context(), db, "main", reconcile.Options{}, why)
				got := codes(report.Findings)
				slices.Sort(got)
				if why == nil || err != nil || report.Status != row.status || !slices.Equal(slices.Compact(got), row.want) && len(got)+len(row.want) > 0 || report.Scope.Unchecked == 0 {
					t.Errorf("%v: %s, %v, %v, %q", why, report.Status, got, err, report.NotChecked)
				}
			})
		})
	}
}
