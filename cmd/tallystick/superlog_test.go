package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/store/storetest"
)

// TestAfterARestoreTheSuperLogGoesOn has a backup restored that was made before a
// ledger was opened, and signs on.
func TestAfterARestoreTheSuperLogGoesOn(t *testing.T) {
	url, dir := storetest.Database(t), t.TempDir()
	args := signerArgs(url, dir)
	first := openBook(t, url, "main")
	wantSigner(t, exitFine, "", args)
	second := openBook(t, url, "second")
	wantSigner(t, exitFine, "", args)
	for _, table := range []string{"book.entries", "book.postings", "book.details", "ops.payloads", "book.checkpoints", "ops.heads", "book.super_log", "book.ledgers"} {
		tamper(t, url, "delete from "+table+" where ledger_id = '"+second.String()+"'")
	}
	tamper(t, url, "delete from book.checkpoints where size = 2 and ledger_id = '"+uuid.Nil.String()+"'")
	tamper(t, url, `update ops.heads set size = c.size, note = c.note from book.checkpoints as c
		where c.ledger_id = ops.heads.ledger_id and c.size = 1 and ops.heads.ledger_id = '`+uuid.Nil.String()+"'")
	wantSigner(t, exitTampered, "tallystick super-log reincarnate", args)

	reincarnate := func(dir string) []string {
		return []string{"super-log", "reincarnate", "--database-url", url, "--key", filepath.Join(dir, "signer.key"), "--state", filepath.Join(dir, "state.json")}
	}
	if code, out, told := command(t, reincarnate(t.TempDir())...); code != exitUsage || out != "" || !strings.Contains(told, "name them with --state") {
		t.Errorf("without a state: exit code %d, %s%s", code, out, told)
	}
	const origin = "tallystick.test/super-log"
	code, out, told := command(t, append(reincarnate(dir), "--json")...)
	var declared struct {
		Origin         string `json:"origin"`
		Position       int64  `json:"position"`
		DeclaredBefore bool   `json:"declared_before"`
		Predecessor    struct {
			Origin string `json:"origin"`
			Size   int64  `json:"size"`
		} `json:"predecessor"`
	}
	if err := json.Unmarshal([]byte(out), &declared); err != nil || code != exitFine || !strings.HasPrefix(declared.Origin, "tallystick.test/2-") || declared.Position != 1 ||
		declared.DeclaredBefore || declared.Predecessor.Origin != origin || declared.Predecessor.Size != 2 {
		t.Fatalf("exit code %d, %s%s, %v", code, out, told, err)
	}
	if code, out, told := command(t, reincarnate(dir)...); code != exitUsage || !strings.Contains(told, "nothing to declare") {
		t.Errorf("again: exit code %d, %s%s", code, out, told)
	}

	ledgerAgain := []string{"ledger", "reincarnate", "--database-url", url, "--data-dir", dir, "--ledger", "main", "--name", "main.2", "--reason", "damage", "--host", "tallystick.test", "--signer-state"}
	publicKey := func(origin string) string {
		_, key, _ := command(t, append(args, "--print-key", origin)...)
		return strings.TrimSpace(key)
	}
	of := "tallystick.test/" + first.String()
	if code, out, told := command(t, append(ledgerAgain, filepath.Join(dir, "state.json"), "--key", publicKey(of))...); code != exitFine || !strings.Contains(out, "succeeds   "+of+" at size 1") {
		t.Errorf("a successor by the signer's state: exit code %d, %s%s", code, out, told)
	}
	if code, _, told := command(t, append(ledgerAgain, filepath.Join(dir, "signer.key"))...); code != exitUsage || !strings.Contains(told, "signer's state") {
		t.Errorf("a successor by no state: exit code %d, %s", code, told)
	}
	if code, _, told := command(t, ledgerAgain[:len(ledgerAgain)-1]...); code != exitUsage || !strings.Contains(told, "--checkpoint") {
		t.Errorf("a successor by nothing: exit code %d, %s", code, told)
	}

	wantSigner(t, exitTampered, "is refused", args) // the ledger that is gone
	args = append(args, "--ended", "tallystick.test/"+second.String())
	wantSigner(t, exitFine, "is said to have ended", args)
	third := openBook(t, url, "third")
	wantSigner(t, exitFine, "", args)
	if code, out, told := command(t, reincarnate(dir)...); code != exitUsage || !strings.Contains(told, "holds every leaf that was signed") {
		t.Errorf("with nothing lost: exit code %d, %s%s", code, out, told)
	}
	wantSigner(t, exitFine, "no ledger has the origin nonsense", append(args, "--ended", "nonsense"))

	leaves, err := auditor(t, url).SuperLeaves(t.Context(), 0, 10)
	if err != nil || len(leaves) != 4 || !leaves[1].AboutSuperLog() {
		t.Fatalf("the super-log has %+v, %v", leaves, err)
	}
	if code, out, told := command(t, "verify", "--database-url", url, "--all"); strings.Contains(out, "LEDGER_MISSING") || strings.Contains(out, "00000000-") {
		t.Errorf("verify --all: exit code %d, %s%s", code, out, told)
	}
	if code, out, _ := command(t, "verify", "--database-url", url, "--ledger", "fourth"); strings.Contains(out, "00000000-") {
		t.Errorf("verify of no ledger: exit code %d, %s", code, out)
	}
	var policy strings.Builder
	for _, of := range []string{declared.Origin, "tallystick.test/" + third.String()} {
		policy.WriteString("log " + publicKey(of) + "\n")
	}
	file := filepath.Join(dir, "policy")
	if err := os.WriteFile(file, []byte(policy.String()+"quorum none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, told = command(t, "verify", "--database-url", url, "--ledger", "third", "--policy", file)
	if code != exitFine || !strings.Contains(out, "leaf 1 declares a loss: "+origin+" had been signed at size 2") ||
		!strings.Contains(out, "3 checkpoints about 3 ledgers; at size 4 signed by "+declared.Origin) {
		t.Errorf("verify: exit code %d, %s%s", code, out, told)
	}
}
