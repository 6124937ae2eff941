package main

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// signedBook is a ledger whose first entries were signed.
type signedBook struct {
	*holdBook
	url, file string
	key       chain.SigningKey
	signed    chain.Checkpoint
	args      []string // of ledger reincarnate, but for the name and the reason
}

func newSignedBook(t *testing.T) *signedBook {
	t.Helper()
	b := &signedBook{url: storetest.Database(t), file: filepath.Join(t.TempDir(), "last.cp")}
	b.holdBook = newHoldBook(t, b.url)
	seed := sha256.Sum256([]byte("signer"))
	var err error
	if b.key, err = chain.NewSigningKey(seed[:]); err != nil {
		t.Fatal(err)
	}
	info, err := b.db.Ledger(t.Context(), "book")
	if err != nil {
		t.Fatal(err)
	}
	root, err := rootAt(b.db.Nodes(t.Context(), info.ID.UUID), info.Size)
	if err != nil {
		t.Fatal(err)
	}
	b.signed = chain.Checkpoint{Origin: info.Terms.Origin, Size: info.Size, Root: root}
	b.sign(t, b.key, b.signed)
	b.args = []string{"ledger", "reincarnate", "--database-url", b.url, "--data-dir", t.TempDir(), "--ledger", "book", "--checkpoint", b.file, "--host", "new.test"}
	return b
}

// sign makes the checkpoint file.
func (b *signedBook) sign(t *testing.T, key chain.SigningKey, c chain.Checkpoint) {
	t.Helper()
	note, err := key.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.file, note, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b *signedBook) changeKey(t *testing.T, action string) {
	t.Helper()
	public := signerKey(t, "signer", b.signed.Origin)
	r := &ledger.ChangeKey{Common: b.common(t), Action: action, Role: chain.RoleSigner, Key: public.ID()}
	if action == chain.KeyAdd {
		r.PublicKey = public.String()
	}
	b.ask(t, r)
}

func TestALedgerIsSucceeded(t *testing.T) {
	b := newSignedBook(t)
	b.changeKey(t, chain.KeyAdd)
	run := append(b.args, "--name", "book.2", "--reason", "restore", "--lost", "7")
	code, out, told := command(t, run...)
	if code != exitFine || !strings.Contains(out, "ledger book.2 is open") || !strings.Contains(out, "succeeds   "+b.signed.Origin+" at size 3") ||
		!strings.Contains(out, "lost       7 entries (restore)") || !strings.Contains(out, "/v1/ledgers/book/balances?seq=2") {
		t.Fatalf("exit code %d, %s%s", code, out, told)
	}
	info, err := b.db.Ledger(t.Context(), "book.2")
	if err != nil {
		t.Fatal(err)
	}
	first, err := b.db.Entry(t.Context(), info.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	note, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	r := first.Record()
	for name, want := range map[string]string{
		"lost_entries": "7", "lost_reason": "restore", "predecessor_origin": b.signed.Origin, "predecessor_size": "3",
		"predecessor_root": b.signed.Root.String(), "predecessor_checkpoint_sha256": chain.Hash(sha256.Sum256(note)).String(),
	} {
		if got, _ := r.Detail(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !first.Intact() || r.Check() != nil || info.Terms.Origin == b.signed.Origin || !strings.HasPrefix(info.Terms.Origin, "new.test/") {
		t.Errorf("the successor begins with %+v: %v", r, r.Check())
	}

	code, out, told = command(t, append(run, "--json")...)
	var again struct {
		ID          string
		Predecessor struct{ Origin string }
	}
	if err := json.Unmarshal([]byte(out), &again); code != exitFine || err != nil || again.ID != info.ID.String() || again.Predecessor.Origin != b.signed.Origin {
		t.Errorf("doing so again: exit code %d, %s%s, %v", code, out, told, err)
	}
	if code, _, told = command(t, append(b.args, "--name", "book.2", "--reason", "failover")...); code != exitUsage || !strings.Contains(told, "ledger_exists") {
		t.Errorf("another loss under the same name: exit code %d, %s", code, told)
	}
	auditor, err := store.Open(t.Context(), b.url, store.RoleAuditor, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer auditor.Close()
	for _, name := range []string{"book", "book.2"} {
		of, err := b.db.Ledger(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		report, err := reconcile.Verify(t.Context(), auditor, of.ID.UUID, reconcile.Options{Workers: 1})
		if err != nil || report.Status != reconcile.Verified {
			t.Errorf("ledger %s is %s: %v, %v", name, report.Status, report.Findings, err)
		}
		declared := reconcile.Succession{Origin: b.signed.Origin, Size: b.signed.Size, Root: b.signed.Root.String(), Lost: "7", Reason: "restore"}
		switch s := &report.Scope; {
		case name == "book" && (s.Succeeds != nil || len(s.SucceededBy) != 1 || s.SucceededBy[0] != (reconcile.SucceededBy{Ledger: info.ID.UUID, Succession: declared})):
			t.Errorf("of the old ledger: %+v, %+v", s.Succeeds, s.SucceededBy)
		case name == "book.2" && (s.Succeeds == nil || *s.Succeeds != declared || len(s.SucceededBy) != 0):
			t.Errorf("of the successor: %+v, %+v", s.Succeeds, s.SucceededBy)
		}
		var text strings.Builder
		if err := report.WriteText(&text); err != nil || !strings.Contains(text.String(), "declared lost: 7 entries (restore)") {
			t.Errorf("ledger %s reads %s, %v", name, text.String(), err)
		}
	}
}

func TestASuccessorNeedsAGoodCheckpoint(t *testing.T) {
	b := newSignedBook(t)
	run := append(b.args, "--name", "book.2", "--reason", "restore")
	public := signerKey(t, "signer", b.signed.Origin)
	refused := func(what, want string, args ...string) {
		t.Helper()
		code, out, told := command(t, append(run, args...)...)
		if code != exitUsage || out != "" || !strings.Contains(told, want) {
			t.Errorf("%s: exit code %d, %s%s", what, code, out, told)
		}
	}
	refused("no key on record", "hint: name the key with --key")
	refused("another key", "hint: name the key with --key", "--key", signerKey(t, "other", b.signed.Origin).String())
	refused("no key at all", "reading the verifier key", "--key", "nonsense")
	refused("no number", "reading --lost", "--lost=-3")
	b.changeKey(t, chain.KeyAdd)
	b.changeKey(t, chain.KeyRevoke)
	refused("a revoked key", "hint: name the key with --key")

	other := b.signed
	other.Root[0] ^= 1
	b.sign(t, b.key, other)
	refused("another history", "use the newest checkpoint whose entries the database still has", "--key", public.String())
	foreign := b.signed
	foreign.Origin = "other.test/1"
	b.sign(t, b.key, foreign)
	refused("another ledger", "the origin of ledger book is", "--key", public.String())
	if err := os.WriteFile(b.file, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("no checkpoint", "not a checkpoint", "--key", public.String())

	b.sign(t, b.key, other)
	code, out, told := command(t, append(b.args, "--name", "book.3", "--reason", "damage", "--key", public.String())...)
	if code != exitFine || !strings.Contains(out, "lost       unknown entries (damage)") {
		t.Errorf("a damaged ledger: exit code %d, %s%s", code, out, told)
	}
	beyond := b.signed
	beyond.Size += 1000
	b.sign(t, b.key, beyond)
	if code, out, told = command(t, append(b.args, "--name", "book.4", "--reason", "failover", "--key", public.String())...); code != exitFine {
		t.Errorf("a ledger that was cut off: exit code %d, %s%s", code, out, told)
	}
}
