package reconcile_test

import (
	"fmt"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// TestRegionsLeaveWhatTheNextOnesNeed has several workers walk through a ledger. What
// its accounts have where a region begins is looked up only where something is wrong,
// and then the findings are those of one worker.
func TestRegionsLeaveWhatTheNextOnesNeed(t *testing.T) {
	t.Parallel()
	const accounts, transfers, workers = 12, 1600, 3
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBook("main")
		for i := range accounts {
			b.open(fmt.Sprintf("customers:%d", i), chain.Liability, nil)
		}
		for i := range transfers {
			b.transfer(fmt.Sprintf("customers:%d", i%accounts), fmt.Sprintf("customers:%d", (i+1+i/accounts%(accounts-1))%accounts), int64(1+i%7))
		}
		conn := connect(t, url)
		b.write(t, conn)
		db := auditor(t, url, workers+1)
		openings, left, read, err := reconcile.RegionsLeave(t.Context(), db, b.ledger, workers)
		if err != nil || openings < accounts*(workers-1) || left != read {
			t.Errorf("%d openings, %v; the regions left\n%s\nthe book has\n%s", openings, err, left, read)
		}
		mustExec(t, conn, "update book.postings set posted = posted + 1 where seq = (select max(seq) from book.postings where seq < 700 and account_id = (select account_id from book.accounts where code = 'customers:3')) and account_id = (select account_id from book.accounts where code = 'customers:3')")
		if _, left, _, err = reconcile.RegionsLeave(t.Context(), db, b.ledger, workers); err != nil || left != "unknown" {
			t.Errorf("after an edit, the regions left %s, %v", left, err)
		}
		var want string
		for _, n := range []int{1, 2, workers, 7} {
			report, err := reconcile.VerifyInBlocks(t.Context(), db, b.ledger, reconcile.Options{Level: reconcile.LevelColumns, Workers: n})
			if err != nil || report.Status == reconcile.Verified {
				t.Fatalf("%d workers: %s, %v", n, report.Status, err)
			}
			if got := details(report.Findings); want == "" {
				want = got
			} else if got != want {
				t.Errorf("%d workers found %s\none %s", n, got, want)
			}
		}
	})
}
