package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// TestPackedRowsSayTheSame reads a ledger with every kind of entry packed and as it
// stands. Nothing of it needs to be read as it stands.
func TestPackedRowsSayTheSame(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := sample()
		b.write(t, connect(t, url))
		db := auditor(t, url, 1)
		total := 0
		for low := int64(0); low < b.next; low += 3 {
			packed, whole, n, err := reconcile.ReadBothWays(t.Context(), db, b.ledger, low, low+3)
			if err != nil {
				t.Fatal(err)
			}
			if total += n; packed != whole {
				t.Errorf("entries from %d on: packed\n%s\nas they stand\n%s", low, packed, whole)
			}
		}
		if want := int(b.next) + 24; total != want {
			t.Errorf("%d rows were read packed, want %d", total, want)
		}
	})
}

// TestColumnsAreLeftOutAndComeBack reads a ledger in whose middle stands every kind
// of entry: before and after, fewer columns are read, and all say the same.
func TestColumnsAreLeftOutAndComeBack(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := sample()
		plain := func() {
			for range 30 {
				b.transfer("customers:8", "customers:9", 5)
			}
		}
		b.open("customers:8", chain.Liability, nil)
		b.open("customers:9", chain.Liability, nil)
		plain()
		b.release(b.hold("customers:8", "customers:9", 3, time.Hour))
		plain()
		b.write(t, connect(t, url))
		const step = 2
		var columns []int
		err := reconcile.ReadInShapes(t.Context(), auditor(t, url, 1), b.ledger, b.next, step, func(low int64, shaped, whole string, n int) {
			if columns = append(columns, n); shaped != whole {
				t.Errorf("entries from %d on: in few columns\n%s\nas they stand\n%s", low, shaped, whole)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		all, fewest, middle := columns[0], columns[len(columns)-1], columns[len(columns)-1-30/step]
		if fewest != 0 || middle <= fewest || slices.Max(columns) < middle || all <= fewest {
			t.Errorf("columns of each segment: %d; want many, none, some and none", columns)
		}
	})
}

func TestWhatCannotBePackedIsReadAsItStands(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"ordinal":     "update book.postings set ordinal = 600 where seq = 9 and ordinal = 3",
		"account_seq": "update book.postings set account_seq = 2000000000000 where seq = 9 and ordinal = 3",
		"format":      "update book.entries set format = 2 where seq = 9",
		"kind":        "update book.entries set kind = 'swap' where seq = 9",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := storetest.Database(t)
			b := sample()
			conn := connect(t, url)
			b.write(t, conn)
			mustExec(t, conn, sql)
			db := auditor(t, url, 1)
			if _, _, _, err := reconcile.ReadBothWays(t.Context(), db, b.ledger, 8, 10); err == nil {
				t.Fatal("the rows were read packed")
			}
			report := verify(t, url, b.ledger)
			if report.Status == reconcile.Verified || report.EntriesChecked != b.next {
				t.Errorf("%s, %d entries, %v", report.Status, report.EntriesChecked, codes(report.Findings))
			}
		})
	}
}
