package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"tallystick/api"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/signer"
	"tallystick/ledger/store"
)

// signing is the signer that runs in the server, for convenience: what it says
// is no more independent than the server. Whatever befalls it, the server goes
// on.
type signing struct {
	files  signerFiles
	url    string
	host   string
	ended  []string     // see signer.Config
	actor  ledger.KeyID // who names the key in the chain
	poster *ledger.Sequencers
	db     *store.DB // of the server

	signer atomic.Pointer[signer.Signer] // nil while it does not sign
}

const (
	// signingPause is how long it waits before it tries to begin again.
	signingPause = 2 * time.Second
)

// keepSigning signs until ctx ends.
func (s *signing) keepSigning(ctx context.Context) {
	said := ""
	for {
		err := s.sign(ctx)
		s.signer.Store(nil)
		if ctx.Err() != nil {
			return
		}
		if text := fmt.Sprint(err); text != said {
			said = text
			if errors.Is(err, signer.ErrInUse) {
				slog.Info("another process on this data folder signs; this one waits its turn")
			} else {
				slog.Error("checkpoints are not signed", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(signingPause):
		}
	}
}

// sign opens what a signer needs, and signs until ctx ends.
func (s *signing) sign(ctx context.Context) error {
	files, opened, err := s.files.open(false)
	if err != nil {
		return err
	}
	defer files.Close()
	db, err := store.Open(ctx, s.url, store.RoleSigner, signerConnections)
	if err != nil {
		return err
	}
	defer db.Close()
	opened.Host, opened.Ended, opened.Announce, opened.Database = s.host, s.ended, s.announce, signerDatabase(db, store.SignedByServer)
	circle, err := opened.askWitnesses(ctx)
	if err != nil {
		return err
	}
	defer circle.Close()
	signs, err := signer.New(opened.Config)
	if err != nil {
		return err
	}
	s.signer.Store(signs)
	return signs.Run(ctx, true)
}

// announce puts the key on record in a ledger's own chain.
func (s *signing) announce(ctx context.Context, id uuid.UUID, _, verifierKey string) error {
	key, err := chain.ParseLogKey(verifierKey)
	if err != nil {
		return err
	}
	// An entry of today would end a history of the past that is being made.
	resume, ok, err := s.db.TryPauseSweeps(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return signer.ErrNotYet
	}
	defer resume()
	request, err := ledger.NewRequestID()
	if err != nil {
		return err
	}
	outcome, err := s.poster.Submit(ctx, ledger.LedgerID{UUID: id}, &ledger.ChangeKey{
		Common: ledger.Common{ID: request, Actor: s.actor, Salt: randomSalt()},
		Action: chain.KeyAdd, Role: chain.RoleSigner, Key: key.ID(), PublicKey: verifierKey,
	})
	if err == nil && outcome.Refusal != nil {
		err = fmt.Errorf("adding the key %s: %s (%s)", key.ID(), outcome.Refusal.Detail, outcome.Refusal.Code)
	}
	return err
}

// stats is what /metrics shows; signing is false while nothing is signed here.
func (s *signing) stats() (ledgers map[ledger.LedgerID]api.SignerStats, signs bool) {
	now := s.signer.Load()
	if now == nil {
		return nil, false
	}
	ledgers = make(map[ledger.LedgerID]api.SignerStats)
	for id, stats := range now.Stats() {
		ledgers[ledger.LedgerID{UUID: id}] = api.SignerStats(stats)
	}
	return ledgers, true
}
