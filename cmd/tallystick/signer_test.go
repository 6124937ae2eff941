package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// signerArgs are those of a signer with its files in a folder.
func signerArgs(url, dir string, more ...string) []string {
	return append([]string{"signer", "--database-url", url, "--key", filepath.Join(dir, "signer.key"),
		"--state", filepath.Join(dir, "state.json"), "--host", "tallystick.test"}, more...)
}

// wantSigner runs a signer once.
func wantSigner(t *testing.T, want int, words string, args []string) {
	t.Helper()
	code, stdout, stderr := command(t, append(args, "--once")...)
	if code != want || !strings.Contains(stdout+stderr, words) {
		t.Errorf("exit code %d, want %d and %q: %s%s", code, want, words, stdout, stderr)
	}
}

// auditor opens the database to look at it.
func auditor(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.RoleAuditor, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func TestSignerSaysItWithItsExitCode(t *testing.T) {
	url, dir := storetest.Database(t), t.TempDir()
	args := signerArgs(url, dir)
	main := openBook(t, url, "main")
	openBook(t, url, "second")
	wantSigner(t, exitFine, "", args)
	wantSigner(t, exitFine, "", args)

	origin := "tallystick.test/" + main.String()
	code, text, stderr := command(t, append(args, "--print-key", origin)...)
	key, err := chain.ParseLogKey(strings.TrimSpace(text))
	if code != exitFine || err != nil || key.Name() != origin {
		t.Fatalf("print-key: %d, %q, %s, %v", code, text, stderr, err)
	}
	db := auditor(t, url)
	shown, err := db.ShownCheckpoint(t.Context(), main)
	if err != nil || shown.Signer != store.SignedApart {
		t.Fatalf("shown %+v, %v", shown, err)
	}
	opened, err := chain.OpenCheckpoint(shown.Note, key)
	if err != nil || opened.Origin != origin || opened.Size != 1 || !opened.SignedBy(key) {
		t.Errorf("the checkpoint: %+v, %v", opened, err)
	}
	if leaves, err := db.SuperLeaves(t.Context(), 0, 10); err != nil || len(leaves) != 2 {
		t.Errorf("the super-log has %d leaves, %v", len(leaves), err)
	}

	openBook(t, url, "newer")
	tamper(t, url, "update book.entries set kind = 'magic', actor = request_id where ledger_id in (select ledger_id from book.ledgers where name = 'newer')")
	wantSigner(t, exitIncomplete, "no further", args)
	tamper(t, url, "delete from book.entries where kind = 'magic'")
	tamper(t, url, "delete from book.ledgers where name = 'newer'")

	tamper(t, url, "update book.entries set entry_hash = prev_hash where ledger_id = '"+main.String()+"'")
	wantSigner(t, exitTampered, reconcile.LogRollback, args)
	wantSigner(t, exitTampered, "reincarnate", args)

	if err := os.Remove(filepath.Join(dir, "state.json")); err != nil {
		t.Fatal(err)
	}
	wantSigner(t, exitTampered, "--pin", args)
	if err := os.WriteFile(filepath.Join(dir, "state.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantSigner(t, exitTampered, "damaged", args)
}

func TestAPinMustBeSignedByTheKey(t *testing.T) {
	url, dir := storetest.Database(t), t.TempDir()
	openBook(t, url, "main")
	wantSigner(t, exitFine, "", signerArgs(url, dir))
	shown, err := auditor(t, url).ShownCheckpoint(t.Context(), uuid.Nil)
	if err != nil {
		t.Fatal(err)
	}
	pin := filepath.Join(dir, "super.cp")
	if err := os.WriteFile(pin, shown.Note, 0o600); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	wantSigner(t, exitUsage, "signed by the key", append(signerArgs(url, other), "--pin", pin))
	wantSigner(t, exitUsage, "--pin", append(signerArgs(url, other), "--pin", filepath.Join(dir, "signer.key")))
}

// signs makes the server's signer beside a sequencer, and starts it if asked to.
func signs(t *testing.T, url, dir string, start bool) (*signing, *store.DB) {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.RoleApp, 4)
	if err != nil {
		t.Fatal(err)
	}
	journal := db.Journal()
	ctx, cancel := context.WithCancel(t.Context())
	sequencers := ledger.NewSequencers(ctx, journal, journal.ClockOffset)
	s := &signing{files: signerFiles{}.within(dir), url: url, host: "tallystick.test", poster: sequencers, db: db, actor: ledger.KeyID{UUID: uuid.New()}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if start {
			s.keepSigning(ctx)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		sequencers.Stop()
		db.Close()
	})
	return s, db
}

// await polls until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	end := time.After(time.Minute)
	for !so() {
		select {
		case <-ticks.C:
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestTheServerNamesItsKeyInEachLedgerBeforeItSigns(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	first := openBook(t, url, "main")
	s, db := signs(t, url, t.TempDir(), true)
	published := func(id uuid.UUID) store.StoredCheckpoint {
		c, err := db.FirstCheckpoint(t.Context(), id, 0)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		return c
	}
	await(t, "a checkpoint", func() bool { return published(first).Size > 0 })
	later := openBook(t, url, "second") // while it runs
	await(t, "a checkpoint of a new ledger", func() bool { return published(later).Size > 0 })
	for _, id := range []uuid.UUID{first, later} {
		c := published(id)
		if c.Size != 2 {
			t.Errorf("the first checkpoint has size %d, want the opening and the key", c.Size)
		}
		var named string
		err := db.Scan(t.Context(), "select value from book.details where ledger_id = $1 and seq = 1 and name = 'public_key'", []any{id}, func(r *store.Row) error {
			named = string(r.Text(0))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		key, err := chain.ParseLogKey(named)
		if err != nil {
			t.Fatalf("the chain names %q: %v", named, err)
		}
		if _, err := chain.OpenCheckpoint(c.Note, key); err != nil {
			t.Errorf("the checkpoint by the key in the chain: %v", err)
		}
		report, err := reconcile.Verify(t.Context(), auditor(t, url), id, reconcile.Options{Workers: 1})
		if err != nil || report.Status != reconcile.Verified {
			t.Errorf("verify: %s, %v", report.Status, err)
		}
	}
	await(t, "figures", func() bool {
		stats, signs := s.stats()
		of := stats[ledger.LedgerID{UUID: later}]
		return signs && of.Published == 2 && of.Size == 2 && !of.Refused && !of.ShownAt.IsZero()
	})
}

// Without its state the server's signer does not sign; it stops nothing else.
func TestTheServerGoesOnWithoutASigner(t *testing.T) {
	t.Parallel()
	url, dir := storetest.Database(t), t.TempDir()
	id := openBook(t, url, "main")
	files, _, err := signerFiles{}.within(dir).open(false)
	if err == nil {
		err = errors.Join(files.Close(), os.Remove(filepath.Join(dir, "signer", "state.json")))
	}
	if err != nil {
		t.Fatal(err)
	}
	s, db := signs(t, url, dir, false)
	if err := s.announce(t.Context(), id, "", "tallystick.test+nothing"); err == nil {
		t.Error("a key that is none was announced")
	}
	if err := s.sign(t.Context()); err == nil || !strings.Contains(err.Error(), "--pin") {
		t.Errorf("sign = %v", err)
	}
	if _, signs := s.stats(); signs {
		t.Error("it says that it signs")
	}
	if _, err := db.FirstCheckpoint(t.Context(), id, 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("something was signed: %v", err)
	}
}
