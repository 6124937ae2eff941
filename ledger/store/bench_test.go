package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// BenchmarkCommit measures the write path below the sequencer: batches of
// two-posting transfers, on an engine without fsync.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{16, 64, 256, 1000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			db, err := store.Open(b.Context(), storetest.Database(b), store.RoleApp, 8)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			commits := newCommits(b, db, size)
			b.ReportAllocs()
			for b.Loop() {
				commits.next(b)
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "transfers/s")
		})
	}
}

// commits makes batches and commits them, as the sequencer does.
type commits struct {
	desk  *desk
	book  *ledger.Book
	batch []ledger.Request
}

func newCommits(b *testing.B, db *store.DB, size int) *commits {
	b.Helper()
	d := &desk{db: db, actor: must(ledger.NewKeyID())}
	info, _, refused, err := db.OpenLedger(b.Context(), d.mainLedger())
	if err != nil || refused != nil {
		b.Fatal(refused, err)
	}
	d.id = info.ID
	opening, err := db.Opening(b.Context(), d.id)
	if err != nil {
		b.Fatal(err)
	}
	book, err := ledger.NewBook(d.id, opening.Terms, ledger.HeadOf(&opening.Newest), ledger.CacheBytes)
	if err != nil {
		b.Fatal(err)
	}
	c := &commits{desk: d, book: book}
	for i := range 100 {
		c.batch = append(c.batch, d.open(fmt.Sprintf("a:%d", i), chain.Asset, nil))
	}
	c.commit(b)
	for i := range size {
		c.batch = append(c.batch, d.transfer(fmt.Sprintf("a:%d", i%100), fmt.Sprintf("a:%d", (i+7)%100), "12.34"))
	}
	return c
}

func (c *commits) next(b *testing.B) {
	for _, r := range c.batch {
		t := r.(*ledger.TransferRequest)
		t.ID = must(ledger.NewRequestID())
		a := decimal.New(rand.Int64N(500_000)+1, -2)
		t.Legs[0].Amount, t.Legs[1].Amount = a, a
	}
	applied := ledger.Apply(c.book, time.Now(), c.batch)
	if err := c.desk.db.Commit(b.Context(), c.desk.id, c.book.Head(), applied.Entries); err != nil {
		b.Fatal(err)
	}
	c.book.Advance(applied)
}

// commit commits the batch at hand and empties it.
func (c *commits) commit(b *testing.B) {
	applied := ledger.Apply(c.book, time.Now(), c.batch)
	if err := c.desk.db.Commit(b.Context(), c.desk.id, c.book.Head(), applied.Entries); err != nil {
		b.Fatal(err)
	}
	c.book.Advance(applied)
	c.batch = nil
}
