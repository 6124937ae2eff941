package api

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

const benchBody = `{"id":"0191d7ae-6c3f-7cc1-9a2b-3f1d0e8b9a10","description":"card payment","postings":[` +
	`{"account":"customers:4711:wallet","direction":"debit","amount":"12.34"},` +
	`{"account":"merchants:42:clearing","direction":"credit","amount":"12.34"}]}`

func BenchmarkDecodeTransfer(b *testing.B) {
	r := new(reader)
	b.ReportAllocs()
	for b.Loop() {
		r.body.Reset()
		r.body.WriteString(benchBody)
		r.reset()
		decodeTransfer(r, &ledger.TransferRequest{})
		if err := r.end(); err != nil {
			b.Fatal(err)
		}
	}
}

// benchEntry is an answer of the usual size.
func benchEntry() *ledger.Entry {
	posting := chain.Posting{Direction: chain.Debit, Currency: "EUR", Scale: 2, Amount: money.FromInt64(1234), AccountSeq: 99, Posted: money.FromInt64(-99887766)}
	record := chain.Entry{Seq: 1234567, Kind: chain.Transfer, RecordedAt: time.Now().UnixMicro(), BookingDate: 20000, EffectiveDate: 20000, Postings: []chain.Posting{posting, posting}}
	text := "card payment"
	minimum := money.FromInt64(0)
	accounts := []ledger.PostingAccount{{Code: "customers:4711:wallet", Type: chain.Liability, MinBalance: &minimum}, {Code: "merchants:42:clearing", Type: chain.Liability}}
	e := ledger.Restore(record, chain.Hash{}, ledger.Text{Description: &text}, accounts)
	return &e
}

func BenchmarkAppendEntry(b *testing.B) {
	e := benchEntry()
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = appendEntry(out[:0], e)
	}
	b.SetBytes(int64(len(out)))
}

// BenchmarkPostTransfer is a transfer from the router to the answer, without
// network and sequencer: what the API itself costs.
func BenchmarkPostTransfer(b *testing.B) {
	db, err := store.Open(b.Context(), storetest.Database(b), store.RoleApp, 2)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.EnsureKey(b.Context(), sha256.Sum256([]byte(testKey)), "bench", scopeAdmin); err != nil {
		b.Fatal(err)
	}
	id, err := ledger.NewLedgerID()
	if err != nil {
		b.Fatal(err)
	}
	_, _, _, err = db.OpenLedger(b.Context(), ledger.OpenLedger{ID: id, Host: "h", Name: "main", TimeZone: "UTC", BaseCurrency: "EUR"})
	if err != nil {
		b.Fatal(err)
	}
	e := benchEntry()
	stub := &posterStub{submit: func(context.Context, ledger.LedgerID, ledger.Request) (ledger.Outcome, error) {
		return ledger.Outcome{Entry: e}, nil
	}}
	handler := New(Config{DB: db, Poster: stub, Log: slog.New(slog.DiscardHandler)})
	req := httptest.NewRequest("POST", "/v1/ledgers/main/transfers", http.NoBody)
	req.Header.Set("Authorization", "Bearer "+testKey)
	req.Header.Set("Content-Type", "application/json")
	body := strings.NewReader("")
	req.Body = struct {
		*strings.Reader
		closer
	}{Reader: body}
	req.ContentLength = int64(len(benchBody))
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(benchBody)
		clear(w.header)
		handler.ServeHTTP(w, req)
		if w.status != 201 {
			b.Fatalf("answered %d", w.status)
		}
	}
}

type closer struct{}

func (closer) Close() error { return nil }

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

func BenchmarkParseID(b *testing.B) {
	text := []byte(uuid.NewString())
	for b.Loop() {
		if _, ok := parseID(text); !ok {
			b.Fatal("refused")
		}
	}
}
