package reconcile_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

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
		{name: "a pin of a ledger that is there", commit: func(c *superCrime) { c.opts.Since = document("pin.cp", c.b.sign(c.t, c.key, 256)) }},
		{name: "a file that is no pin", commit: func(c *superCrime) { c.opts.Since = document("pin.cp", []byte("nothing")) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				c := newSuperCrime(t, url)
				row.commit(c)
				db := auditor(t, url, 2)
				ids, names, err := reconcile.Nameless(t.Context(), db)
				if err != nil || len(ids) != row.ids || len(ids) == 1 && ids[0] != c.b.ledger || !slices.Contains(names, "second") {
					t.Errorf("without a name: %v, with one: %v, %v; want %d", ids, names, err, row.ids)
				}
				report, err := reconcile.VerifyRemains(t.Context(), db, "gone", c.opts)
				if row.want == nil {
					if !errors.Is(err, reconcile.ErrUnknownLedger) {
						t.Errorf("%v %v, want %v", codes(report.Findings), err, reconcile.ErrUnknownLedger)
					}
					return
				}
				got := codes(report.Findings)
				slices.Sort(got)
				if err != nil || report.Status != tampered || report.Ledger != "gone" || !slices.Equal(slices.Compact(got), row.want) {
					t.Errorf("%s, %s, %v, %v, want %v", report.Ledger, report.Status, got, err, row.want)
				}
			})
		})
	}
}

// Names are read as they are, however many.
func TestNamelessNamesTheOthers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		var want []string
		for i := range 3 {
			b := newBook(fmt.Sprintf("ledger-%d", i))
			b.write(t, conn)
			want = append(want, b.terms.Name)
		}
		_, names, err := reconcile.Nameless(t.Context(), auditor(t, url, 1))
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%v, %v, want %v", names, err, want)
		}
	})
}
