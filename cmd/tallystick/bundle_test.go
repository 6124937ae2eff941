package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// sealedDemo is a demonstration with signed checkpoints.
type sealedDemo struct {
	url    string
	id     ledger.LedgerID
	origin string
	key    chain.SigningKey
	public string
	sizes  []int64
	notes  [][]byte
}

// seal signs a ledger at some sizes, as a signer does.
func seal(t *testing.T, url string, db *store.DB, id ledger.LedgerID, sizes ...func(int64) int64) *sealedDemo {
	t.Helper()
	info, err := db.Ledger(t.Context(), id.String())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := store.Open(t.Context(), url, store.RoleSigner, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer signer.Close()
	s := &sealedDemo{url: url, id: id, origin: info.Terms.Origin}
	if s.key, err = chain.NewSigningKey(bytes.Repeat([]byte{5}, 32)); err != nil {
		t.Fatal(err)
	}
	if s.public, err = s.key.VerifierKey(s.origin); err != nil {
		t.Fatal(err)
	}
	leaves, err := signer.Nodes(t.Context(), id.UUID)(0, 0, info.Size)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range sizes {
		s.publish(t.Context(), t, signer, leaves, of(info.Size))
	}
	return s
}

func (s *sealedDemo) publish(ctx context.Context, t *testing.T, signer *store.DB, leaves []chain.Hash, size int64) {
	t.Helper()
	var nodes []store.TreeNode
	for level, below := 1, leaves[:size]; len(below) >= chain.TileWidth; level++ {
		var above []chain.Hash
		for i := 0; i+chain.TileWidth <= len(below); i += chain.TileWidth {
			above = append(above, chain.RootOf(below[i:i+chain.TileWidth]))
			nodes = append(nodes, store.TreeNode{Level: level, Position: int64(len(above) - 1), Hash: above[len(above)-1]})
		}
		below = above
	}
	c := chain.Checkpoint{Origin: s.origin, Size: size, Root: chain.RootOf(leaves[:size])}
	note, err := s.key.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	stored := store.StoredCheckpoint{Size: size, Root: c.Root, Note: note, SignedAt: time.Now()}
	if err := signer.PublishCheckpoint(ctx, s.id.UUID, nodes, stored, store.SignedApart); err != nil {
		t.Fatal(err)
	}
	s.sizes, s.notes = append(s.sizes, size), append(s.notes, note)
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A bundle of a year of a small institution, made from the database and
// verified without one.
func TestBundlesAreMadeAndVerified(t *testing.T) {
	url := storetest.Database(t)
	db, id := makeDemo(t, url)
	s := seal(t, url, db, id, func(n int64) int64 { return n / 3 }, func(n int64) int64 { return n - 10 }, func(n int64) int64 { return n })
	secret := base64.StdEncoding.EncodeToString(append([]byte{1}, bytes.Repeat([]byte{5}, 32)...))
	public, err := s.key.VerifierKey("tallystick")
	if err != nil {
		t.Fatal(err)
	}
	key := write(t, "signer.key", []byte("PRIVATE+KEY+"+public[:strings.LastIndex(public, "+")+1]+secret+"\n"))
	pin := write(t, "pin.cp", s.notes[0])
	out := filepath.Join(t.TempDir(), "year.zip")

	open := write(t, "signer.key", nil)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{open: "others may read it", write(t, "signer.key", []byte("PRIVATE+KEY+tallystick+00000000+"+secret+"\n")): "its id is not that of its key"} {
		code, text, errors := command(t, "bundle", "create", "--database-url", url, "--ledger", "demo", "--out", out, "--key", path)
		if code != exitUsage || text != "" || !strings.Contains(errors, want) {
			t.Errorf("exit code %d, %s%s, want %s", code, text, errors, want)
		}
	}
	code, text, errors := command(t, "bundle", "create", "--database-url", url, "--ledger", "demo", "--out", out, "--since", pin, "--key", key)
	if code != exitFine || !strings.Contains(text, "holds ledger demo") || errors != "" {
		t.Fatalf("exit code %d\n%s%s", code, text, errors)
	}
	code, text, errors = command(t, "verify", out, "--key", s.public)
	if code != exitFine || !strings.HasPrefix(text, "VERIFIED: ledger demo is what was signed") || !strings.Contains(text, "NOT CHECKED") ||
		!strings.Contains(text, "1 consistency proofs") || !strings.Contains(text, "manifest   signed by") && !strings.Contains(text, "manifest  signed by") || errors != "" {
		t.Errorf("exit code %d\n%s%s", code, text, errors)
	}
	code, text, _ = command(t, "verify", out, "--key", s.public, "--json", "--workers", "2")
	var report bundle.Report
	if err := json.Unmarshal([]byte(text), &report); err != nil || code != exitFine || report.Status != bundle.Verified || report.Size != s.sizes[2] || report.EntriesChecked != s.sizes[2] {
		t.Errorf("exit code %d, %v\n%s", code, err, text)
	}
	if code, text, _ = command(t, "verify", out); code != exitFine || !strings.HasPrefix(text, "VERIFIED, BY ITS OWN KEYS") {
		t.Errorf("without a key: exit code %d\n%s", code, text)
	}
	if code, _, errors = command(t, "bundle", "create", "--database-url", url, "--ledger", "demo", "--out", out); code != exitUsage || !strings.Contains(errors, "there already") {
		t.Errorf("a second time: exit code %d\n%s", code, errors)
	}

	smaller := filepath.Join(t.TempDir(), "smaller.zip")
	code, text, errors = command(t, "bundle", "create", "--database-url", url, "--ledger", "demo", "--out", smaller, "--size", "50", "--no-texts")
	if code != exitFine || !strings.Contains(text, "without texts") {
		t.Fatalf("exit code %d\n%s%s", code, text, errors)
	}
	if code, text, _ = command(t, "verify", smaller, "--key", s.public); code != exitFine || !strings.Contains(text, "made without them") {
		t.Errorf("smaller: exit code %d\n%s", code, text)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(smaller), ".*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	whole, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	whole[len(whole)/4] ^= 1
	damaged := write(t, "damaged.zip", whole)
	if code, text, _ = command(t, "verify", damaged, "--key", s.public); code != exitTampered || !strings.Contains(text, bundle.ManifestMismatch) {
		t.Errorf("damaged: exit code %d\n%s", code, text)
	}
	cut := write(t, "cut.zip", whole[:len(whole)/2])
	if code, _, errors = command(t, "verify", cut, "--key", s.public); code != exitUsage || !strings.Contains(errors, "not an evidence bundle") {
		t.Errorf("cut short: exit code %d\n%s", code, errors)
	}
	if code, _, errors = command(t, "verify", out, "--all"); code != exitUsage || !strings.Contains(errors, "leave --ledger and --all out") {
		t.Errorf("with --all: exit code %d\n%s", code, errors)
	}

	if code, text, errors = command(t, "verify", out, "--key", s.public, "--since", pin); code != exitFine || !strings.Contains(text, "the checkpoint that you kept") {
		t.Errorf("with a pin: exit code %d\n%s%s", code, text, errors)
	}
	if code, _, errors = command(t, "verify", out, "--level", "2"); code != exitUsage || !strings.Contains(errors, "a bundle takes") {
		t.Errorf("with --level: exit code %d\n%s", code, errors)
	}

	// A ledger that is not what was signed makes no bundle.
	tamper(t, url, "update book.entries set actor = request_id where seq = 17 and ledger_id = '"+id.String()+"'")
	again := filepath.Join(t.TempDir(), "again.zip")
	code, _, errors = command(t, "bundle", "create", "--database-url", url, "--ledger", "demo", "--out", again)
	if _, err := os.Stat(again); code != exitUsage || !strings.Contains(errors, "tallystick verify says what was changed") || !os.IsNotExist(err) {
		t.Errorf("tampered: exit code %d, %v\n%s", code, err, errors)
	}
}

func TestABundleNeedsACheckpoint(t *testing.T) {
	url := storetest.Database(t)
	openBook(t, url, "main")
	code, _, errors := command(t, "bundle", "create", "--database-url", url, "--out", filepath.Join(t.TempDir(), "b.zip"))
	if code != exitUsage || !strings.Contains(errors, "there is none") || !strings.Contains(errors, "hint:") {
		t.Errorf("exit code %d\n%s", code, errors)
	}
}

// A code means the same in a bundle and in a database.
func TestCodesMeanTheSameInBothVerifications(t *testing.T) {
	t.Parallel()
	same := 0
	for _, b := range bundle.Checks {
		for _, r := range reconcile.Checks {
			if b.Code != r.Code {
				continue
			}
			if same++; b.Severity != r.Severity || b.Invariant != r.Invariant {
				t.Errorf("%s is %s, %s in a bundle and %s, %s in a database", b.Code, b.Severity, b.Invariant, r.Severity, r.Invariant)
			}
		}
	}
	if same < 15 {
		t.Errorf("only %d codes are known to both", same)
	}
}
