package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/signer"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// BenchmarkPosting posts batches of two-posting transfers. Built as servers are,
// entries are chained and a signer beside it re-derives them, builds the tree
// and signs; with the tag unchained there is neither. make evidence compares.
func BenchmarkPosting(b *testing.B) {
	for _, size := range []int{100, 500} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			url := storetest.Database(b)
			db, err := store.Open(b.Context(), url, store.RoleApp, 8)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			journal := db.Journal()
			poster := ledger.NewSequencers(b.Context(), journal, journal.ClockOffset)
			defer poster.Stop()
			actor := ledger.KeyID{UUID: uuid.New()}
			info, err := openLedger(b.Context(), db, ledger.OpenLedger{Host: "bench.test", Name: "main", Actor: actor, TimeZone: "UTC", BaseCurrency: "EUR"})
			if err != nil {
				b.Fatal(err)
			}
			openBenchAccounts(b, poster, info.ID, actor)
			if ledger.Chained {
				defer signBeside(b, url, db, poster, actor)()
			}
			for b.Loop() {
				for _, r := range poster.SubmitAll(b.Context(), info.ID, benchTransfers(b, size, actor)) {
					if r.Err != nil || r.Outcome.Refusal != nil {
						b.Fatal(r.Err, r.Outcome.Refusal)
					}
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "transfers/s")
		})
	}
}

// benchAccountCount is how many accounts the transfers are spread over.
const benchAccountCount = 1000

func openBenchAccounts(b *testing.B, poster *ledger.Sequencers, id ledger.LedgerID, actor ledger.KeyID) {
	b.Helper()
	var requests []ledger.Request
	for i := range benchAccountCount {
		account, err := ledger.NewAccountID()
		if err != nil {
			b.Fatal(err)
		}
		requests = append(requests, &ledger.OpenAccount{Common: ledger.Common{ID: benchID(b), Actor: actor, Salt: randomSalt()},
			AccountID: account, Code: fmt.Sprintf("a:%d", i), Type: chain.Asset, Currency: "EUR"})
	}
	for _, r := range poster.SubmitAll(b.Context(), id, requests) {
		if r.Err != nil || r.Outcome.Refusal != nil {
			b.Fatal(r.Err, r.Outcome.Refusal)
		}
	}
}

func benchID(b *testing.B) ledger.RequestID {
	id, err := ledger.NewRequestID()
	if err != nil {
		b.Fatal(err)
	}
	return id
}

func benchTransfers(b *testing.B, n int, actor ledger.KeyID) []ledger.Request {
	requests := make([]ledger.Request, n)
	for i := range requests {
		from := rand.IntN(benchAccountCount)
		to := (from + 1 + rand.IntN(benchAccountCount-1)) % benchAccountCount
		amount := decimal.New(rand.Int64N(500_000)+1, -2)
		requests[i] = &ledger.TransferRequest{Common: ledger.Common{ID: benchID(b), Actor: actor, Salt: randomSalt()}, Legs: []ledger.Leg{
			{Account: fmt.Sprintf("a:%d", from), Direction: chain.Debit, Amount: amount}, {Account: fmt.Sprintf("a:%d", to), Direction: chain.Credit, Amount: amount},
		}}
	}
	return requests
}

// signBeside runs a signer as serve does, until stop is called.
func signBeside(b *testing.B, url string, db *store.DB, poster *ledger.Sequencers, actor ledger.KeyID) (stop func()) {
	b.Helper()
	signing := &signing{poster: poster, db: db, actor: actor}
	roleDB, err := store.Open(b.Context(), url, store.RoleSigner, signerConnections)
	if err != nil {
		b.Fatal(err)
	}
	seed := sha256.Sum256([]byte("bench"))
	key, err := chain.NewSigningKey(seed[:])
	if err != nil {
		b.Fatal(err)
	}
	signs, err := signer.New(signer.Config{
		Database: signerDatabase(roleDB, store.SignedByServer), Key: key, State: signer.State{Version: 1, Holder: uuid.New()}, Host: "bench.test",
		Save: func(signer.State) error { return nil }, Announce: signing.announce, Logf: b.Logf, Alarmf: b.Errorf,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- signs.Run(ctx, true) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		roleDB.Close()
	}
}
