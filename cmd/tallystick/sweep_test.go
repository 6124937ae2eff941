package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// holdBook is a ledger with two accounts on which holds are placed.
type holdBook struct {
	db     *store.DB
	poster *ledger.Sequencers
	id     ledger.LedgerID
	clock  atomic.Int64
	url    string
	broken atomic.Bool // the eraser
}

func newHoldBook(t *testing.T, url string) *holdBook {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.RoleApp, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	b := &holdBook{url: url, db: db, id: ledger.LedgerID{UUID: openBook(t, url, "book")}}
	b.set(time.Now())
	b.poster = ledger.NewSimulation(t.Context(), db.Journal(), func() time.Time { return time.UnixMicro(b.clock.Load()) })
	t.Cleanup(func() { b.poster.Stop() })
	for _, code := range []string{"a", "b"} {
		id, err := ledger.NewAccountID()
		if err != nil {
			t.Fatal(err)
		}
		b.ask(t, &ledger.OpenAccount{Common: b.common(t), AccountID: id, Code: code, Type: chain.Liability, Currency: "EUR"})
	}
	return b
}

func (b *holdBook) set(t time.Time) { b.clock.Store(t.UnixMicro()) }

func (b *holdBook) common(t *testing.T) ledger.Common {
	t.Helper()
	id, err := ledger.NewRequestID()
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Common{ID: id, Salt: randomSalt()}
}

func (b *holdBook) ask(t *testing.T, r ledger.Request) {
	t.Helper()
	o, err := b.poster.Submit(t.Context(), b.id, r)
	if err != nil || o.Refusal != nil {
		t.Fatalf("%T: %+v, %v", r, o.Refusal, err)
	}
}

// hold places a hold of one euro and returns its id.
func (b *holdBook) hold(t *testing.T, expires time.Time) ledger.RequestID {
	t.Helper()
	one := decimal.NewFromInt(1)
	r := &ledger.TransferRequest{Common: b.common(t), Hold: true, ExpiresAt: &expires, Legs: []ledger.Leg{
		{Account: "a", Direction: chain.Debit, Amount: one}, {Account: "b", Direction: chain.Credit, Amount: one},
	}}
	b.ask(t, r)
	return r.ID
}

// held returns what open holds would take from account a, in cents.
func (b *holdBook) held(t *testing.T) string {
	t.Helper()
	a, err := b.db.Account(t.Context(), b.id, "a")
	if err != nil {
		t.Fatal(err)
	}
	return a.Held().Format(2)
}

func TestExpiredHoldsAreReleased(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newHoldBook(t, url)
		start := time.Now()
		early, late := b.hold(t, start.Add(time.Hour)), b.hold(t, start.Add(2*time.Hour))
		captured := b.hold(t, start.Add(time.Hour))
		b.ask(t, &ledger.CaptureHold{Common: b.common(t), Hold: captured})

		var log bytes.Buffer
		s := &sweeper{db: b.db, poster: b.poster, log: slog.New(slog.NewTextHandler(&log, nil))}
		for i, c := range []struct {
			after    time.Duration
			released int
			held     string
		}{{30 * time.Minute, 0, "2.00"}, {time.Hour, 1, "1.00"}, {time.Hour, 0, "1.00"}, {3 * time.Hour, 1, "0.00"}, {4 * time.Hour, 0, "0.00"}} {
			b.set(start.Add(c.after))
			if n := s.sweep(t.Context(), start.Add(c.after)); n != c.released || b.held(t) != c.held {
				t.Errorf("sweep %d after %s: released %d, held %s; want %d and %s\n%s", i, c.after, n, b.held(t), c.released, c.held, log.String())
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 2 || strings.Count(log.String(), "holds=1") != 2 {
			t.Errorf("two sweeps released something, the log says:\n%s", log.String())
		}
		for _, id := range []ledger.RequestID{early, late} {
			entries, err := b.db.Transfer(t.Context(), b.id, id)
			if err != nil || len(entries) != 2 || entries[1].RequestID() != ledger.ExpiryRequestID(b.id, id) {
				t.Errorf("hold %s has the entries %v, %v", id, entries, err)
			}
		}
	})
}

// A client that uses up the id that all replicas derive does not keep a hold open.
func TestAUsedIDDoesNotKeepAHoldOpen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newHoldBook(t, url)
		later := time.Now().Add(time.Hour)
		hold := b.hold(t, later)
		common := b.common(t)
		common.ID = ledger.ExpiryRequestID(b.id, hold)
		one := decimal.NewFromInt(1)
		b.ask(t, &ledger.TransferRequest{Common: common, Legs: []ledger.Leg{
			{Account: "a", Direction: chain.Debit, Amount: one}, {Account: "b", Direction: chain.Credit, Amount: one},
		}})
		b.set(later)
		s := &sweeper{db: b.db, poster: b.poster, log: slog.New(slog.DiscardHandler)}
		if n := s.sweep(t.Context(), later); n != 1 || b.held(t) != "0.00" {
			t.Errorf("released %d, held %s", n, b.held(t))
		}
		entries, err := b.db.Transfer(t.Context(), b.id, hold)
		if err != nil || len(entries) != 2 || !entries[1].OnExpiry() {
			t.Errorf("the hold has the entries %v, %v", entries, err)
		}
	})
}

// A sweep that fails is logged once, the next ones go on, and the hold is
// released as soon as posting is possible.
func TestAFailingSweepIsTriedAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newHoldBook(t, url)
		b.hold(t, time.Now().Add(time.Minute))
		later := time.Now().Add(time.Hour)
		b.poster.Stop()
		var log bytes.Buffer
		s := &sweeper{db: b.db, poster: b.poster, log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 3 {
			if n := s.sweep(t.Context(), later); n != 0 {
				t.Fatalf("released %d without a sequencer", n)
			}
		}
		s.poster = ledger.NewSimulation(t.Context(), b.db.Journal(), func() time.Time { return later })
		defer s.poster.Stop()
		if n := s.sweep(t.Context(), later.Add(time.Minute)); n != 1 || b.held(t) != "0.00" {
			t.Errorf("released %d, held %s", n, b.held(t))
		}
		if got := log.String(); strings.Count(got, "level=WARN") != 1 || strings.Count(got, "released again") != 1 {
			t.Errorf("the log says:\n%s", got)
		}
	})
}

// The loop that the server runs releases by itself, and ends with its context.
func TestTheServerSweepsUntilItStops(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newHoldBook(t, url)
		b.hold(t, time.Now().Add(100*time.Millisecond))
		b.set(time.Now().Add(time.Hour)) // the book's clock; that of the loop follows

		events := make(eventHandler, 100)
		s := &sweeper{db: b.db, poster: b.poster, log: slog.New(events)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.keepSweeping(ctx)
		}()
		select {
		case event := <-events:
			if event != "released expired holds" || b.held(t) != "0.00" {
				t.Errorf("%s, held %s", event, b.held(t))
			}
		case <-time.After(20 * time.Second):
			t.Error("the hold is not released")
		}
		cancel()
		<-ended
	})
}

// eventHandler sends what is logged.
type eventHandler chan string

func (h eventHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h eventHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h eventHandler) WithGroup(string) slog.Handler            { return h }
func (h eventHandler) Handle(_ context.Context, r slog.Record) error {
	h <- r.Message
	return nil
}
