package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
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

// batchBody is a batch of n transfers in the long form, as a payment front-end
// sends it.
func batchBody(ids func() string, n int) string {
	var body strings.Builder
	body.WriteString(`{"transfers":[`)
	for i := range n {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"id":%q,"postings":[{"account":"bench:%d","direction":"debit","amount":"12.34"},{"account":"bench:%d","direction":"credit","amount":"12.34"}]}`,
			ids(), i%200, 200+i%200)
	}
	body.WriteString("]}")
	return body.String()
}

// BenchmarkDecodeBatch is what reading a batch of 500 costs.
func BenchmarkDecodeBatch(b *testing.B) {
	body := batchBody(uuid.NewString, 500)
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest("POST", "/", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		x := &exchange{req: req}
		batch, err := x.transfers()
		if err != nil || len(batch.items) != 500 {
			b.Fatalf("%d items, %v", len(batch.items), err)
		}
	}
	b.ReportMetric(float64(500*b.N)/b.Elapsed().Seconds(), "transfers/s")
}

// BenchmarkPostBatch posts batches of 500 from several clients to a ledger of its
// own: everything but tallystick bench itself.
func BenchmarkPostBatch(b *testing.B) {
	bank := newBank(b, storetest.Database(b), nil)
	bank.post("/v1/ledgers/main/accounts/batch", `{"accounts":[`+repeated(400, `{"code":"bench:%d","type":"asset","currency":"EUR"}`)+`]}`).is(200, "")
	newID := func() string { return uuid.Must(uuid.NewV7()).String() }
	b.SetParallelism(4)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, err := http.NewRequestWithContext(b.Context(), "POST", bank.url+batchPath, strings.NewReader(batchBody(newID, 500)))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+testKey)
			req.Header.Set("Content-Type", "application/json")
			resp, err := bank.client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			text, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != 200 || strings.Contains(string(text), "problem") {
				b.Errorf("answered %d %.300s, %v", resp.StatusCode, text, err)
			}
		}
	})
	b.ReportMetric(float64(500*b.N)/b.Elapsed().Seconds(), "transfers/s")
}
