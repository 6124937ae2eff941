package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/api"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// provable is a ledger on a server, with somebody who signs its checkpoints.
type provable struct {
	*holdBook
	notary *storetest.Notary
	origin string
	key    string // verifies what the notary signs
	dir    string // for files
}

// serveProofs serves a book of three entries and makes the environment name the
// server and a key that may read and approve.
func serveProofs(t *testing.T) *provable {
	t.Helper()
	url := storetest.Database(t)
	p := &provable{holdBook: newHoldBook(t, url), notary: storetest.NewNotary(t, url), dir: t.TempDir()}
	info, err := p.db.Ledger(t.Context(), "book")
	if err != nil {
		t.Fatal(err)
	}
	p.origin = info.Terms.Origin
	p.key = p.notary.VerifierKey(t, p.origin)
	const key = "tallystick_the-key-of-a-test-of-proofs"
	if _, err := p.db.CreateKey(t.Context(), sha256.Sum256([]byte(key)), "tester", store.ScopeApprove); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Config{
		DB: p.db, Poster: p.poster, Host: "tallystick.test", Version: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}))
	t.Cleanup(server.Close)
	t.Setenv("TALLYSTICK_URL", server.URL)
	t.Setenv("TALLYSTICK_API_KEY", key)
	return p
}

// pay pays one euro from a to b, and returns the id of the transfer.
func (p *provable) pay(t *testing.T) ledger.RequestID {
	t.Helper()
	r := &ledger.TransferRequest{Common: p.common(t), Legs: []ledger.Leg{
		{Account: "a", Direction: chain.Debit, Amount: decimal.NewFromInt(1)}, {Account: "b", Direction: chain.Credit, Amount: decimal.NewFromInt(1)},
	}}
	p.ask(t, r)
	return r.ID
}

func (p *provable) seal(t *testing.T) []byte {
	t.Helper()
	info, err := p.db.Ledger(t.Context(), "book")
	if err != nil {
		t.Fatal(err)
	}
	return p.notary.Seal(t, p.id.UUID, p.origin, info.Size)
}

// file writes a file and returns its path.
func (p *provable) file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wants runs a command and requires an exit code and texts, on whichever stream.
func wants(t *testing.T, exit int, texts []string, args ...string) string {
	t.Helper()
	code, out, told := command(t, args...)
	if code != exit {
		t.Errorf("%s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, exit, out, told)
	}
	for _, text := range texts {
		if !strings.Contains(out+told, text) {
			t.Errorf("%s: no %q in\n%s%s", strings.Join(args, " "), text, out, told)
		}
	}
	return out
}

func TestAReceiptIsFetchedAndCheckedOffline(t *testing.T) {
	p := serveProofs(t)
	transfer := p.pay(t)
	wants(t, exitUsage, []string{"not_sealed", "hint: a signer publishes"}, "prove", "entry", "--ledger", "book", "--seq", "3")
	p.seal(t)
	path := filepath.Join(p.dir, "payment.tlog-proof")
	wants(t, exitFine, []string{"entry 3 stands under the checkpoint of size 4", "NOT CHECKED: --key or --policy"},
		"prove", "entry", "--ledger", "book", "--transfer", transfer.String(), "--out", path)
	wants(t, exitUsage, []string{"file exists"}, "prove", "entry", "--ledger", "book", "--seq", "3", "--out", path)
	out := wants(t, exitFine, []string{"signed by  " + p.origin + "+"}, "prove", "entry", "--ledger", "book", "--seq", "3", "--key", p.key)
	receipt, err := os.ReadFile(path)
	if err != nil || string(receipt) != out {
		t.Errorf("printed %s, written %s, %v", out, receipt, err)
	}

	t.Setenv("TALLYSTICK_URL", "http://127.0.0.1:1") // nothing from here on asks a server
	proved := []string{"proved: entry 3 of " + p.origin, "transfer, request " + transfer.String(), "posting    debit 1.00 EUR", "size 4"}
	wants(t, exitFine, proved, "prove", "check", path, "--key", p.key)
	policy := p.file(t, "audit.policy", []byte("log "+p.key+"\nquorum none\n"))
	wants(t, exitFine, proved, "prove", "check", path, "--policy", policy)
	wants(t, exitUsage, []string{"anybody could have made it"}, "prove", "check", path)
	wants(t, exitUsage, []string{"give either"}, "prove", "check", path, "--policy", policy, "--key", p.key)
	wants(t, exitUsage, []string{"reading --key"}, "prove", "check", path, "--key", "nonsense")

	stranger := storetest.NewNotary(t, storetest.Database(t))
	wants(t, exitTampered, []string{"CHECKPOINT_UNKNOWN_KEY"}, "prove", "check", path, "--key", stranger.VerifierKey(t, p.origin))
	witness := "witness w " + witnessKey(t) + "\n"
	policy = p.file(t, "strict.policy", []byte("log "+p.key+"\n"+witness+"quorum w\n"))
	wants(t, exitTampered, []string{"WITNESS_QUORUM_NOT_MET"}, "prove", "check", path, "--policy", policy)

	resized := p.file(t, "resized", bytes.Replace(receipt, []byte("\n4\n"), []byte("\n5\n"), 1))
	wants(t, exitTampered, []string{"CHECKPOINT_BAD_SIGNATURE"}, "prove", "check", resized, "--key", p.key)
	r, err := chain.ParseReceipt(receipt)
	if err != nil {
		t.Fatal(err)
	}
	r.Canonical[60] ^= 1 // within prev_hash
	wants(t, exitTampered, []string{"PROOF_INVALID"}, "prove", "check", p.file(t, "changed", r.Marshal()), "--key", p.key)
	wants(t, exitIncomplete, []string{"INCOMPLETE", "not a receipt"}, "prove", "check", p.file(t, "cut", receipt[:100]), "--key", p.key)
	wants(t, exitUsage, []string{"no such file"}, "prove", "check", filepath.Join(p.dir, "nowhere"), "--key", p.key)
}

// witnessKey returns the verifier key of some witness.
func witnessKey(t *testing.T) string {
	t.Helper()
	key, err := chain.NewCosigningKey("witness.example", bytes.Repeat([]byte{3}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key.VerifierKey()
}

func TestCheckpointsAreCompared(t *testing.T) {
	p := serveProofs(t)
	wants(t, exitUsage, []string{"no_checkpoint"}, "checkpoint", "print", "--ledger", "book")
	small := p.file(t, "small.cp", p.seal(t))
	for range 3 {
		p.pay(t)
	}
	large := filepath.Join(p.dir, "large.cp")
	note := p.seal(t)
	if out := wants(t, exitFine, nil, "checkpoint", "print", "--ledger", "book"); out != string(note) {
		t.Errorf("printed %s, want %s", out, note)
	}
	wants(t, exitFine, nil, "checkpoint", "print", "--ledger", "book", "--output", large)

	compare := func(more ...string) []string { return append([]string{"checkpoint", "compare"}, more...) }
	wants(t, exitFine, []string{"consistent: " + p.origin, "NOT CHECKED"}, compare(large, large)...)
	wants(t, exitIncomplete, []string{"INCOMPLETE", "prove consistency --from 3 --to 6"}, compare(large, small)...)
	wants(t, exitFine, []string{"consistent: ", "size 3 with", "size 6 with", "signed by  " + p.origin + "+"}, compare(large, small, "--ledger", "book", "--key", p.key)...)
	proof := filepath.Join(p.dir, "proof.json")
	wants(t, exitFine, []string{"at size 6 extends what it was at size 3"}, "prove", "consistency", "--ledger", "book", "--since", small, "--out", proof)
	wants(t, exitFine, []string{"consistent: "}, compare(small, large, "--proof", proof)...)

	fork := p.notary.Sign(t, chain.Checkpoint{Origin: p.origin, Size: 6, Root: chain.Hash{1}})
	other := p.file(t, "fork.cp", fork)
	wants(t, exitTampered, []string{"FORK_PROVEN", string(note), string(fork), "two roots"}, compare(large, other, "--key", p.key)...)
	early := p.notary.Sign(t, chain.Checkpoint{Origin: p.origin, Size: 3, Root: chain.Hash{1}})
	other = p.file(t, "early.cp", early)
	wants(t, exitTampered, []string{"FORK_PROVEN", string(note), string(early), "had another root", "nodes that lead"}, compare(other, large, "--proof", proof, "--key", p.key)...)
	wants(t, exitIncomplete, []string{"INCOMPLETE", string(note), "contradict each other", "NOT CHECKED"}, compare(other, large, "--proof", proof)...)
	wants(t, exitTampered, []string{"PIN_INCONSISTENT"}, "prove", "consistency", "--ledger", "book", "--since", other)
	other = p.file(t, "later.cp", p.notary.Sign(t, chain.Checkpoint{Origin: p.origin, Size: 6, Root: chain.Hash{2}}))
	wants(t, exitIncomplete, []string{"INCOMPLETE", "proves nothing about the checkpoints"}, compare(small, other, "--proof", proof)...)

	empty := p.file(t, "empty.cp", p.notary.Sign(t, chain.Checkpoint{Origin: p.origin, Root: chain.EmptyRoot}))
	wants(t, exitIncomplete, []string{"REJECT_EMPTY_BASELINE"}, compare(empty, large)...)
	wants(t, exitIncomplete, []string{"REJECT_EMPTY_BASELINE"}, "prove", "consistency", "--ledger", "book", "--from", "0")
	foreign := p.file(t, "foreign.cp", p.notary.Sign(t, chain.Checkpoint{Origin: "elsewhere.test/x", Size: 6, Root: chain.Hash{1}}))
	wants(t, exitUsage, []string{"these are two ledgers"}, compare(foreign, large)...)
	wants(t, exitTampered, []string{"CHECKPOINT_BAD_SIGNATURE"}, compare(p.file(t, "edited.cp", bytes.Replace(note, []byte("\n6\n"), []byte("\n7\n"), 1)), large, "--key", p.key)...)
	wants(t, exitIncomplete, []string{"INCOMPLETE", "not a checkpoint"}, compare(proof, large)...)
}

func TestConsistencyIsProvedBetweenSizes(t *testing.T) {
	p := serveProofs(t)
	p.seal(t)
	p.pay(t)
	p.pay(t)
	p.seal(t)
	prove := func(more ...string) []string {
		return append([]string{"prove", "consistency", "--ledger", "book", "--key", p.key}, more...)
	}
	wants(t, exitFine, []string{"at size 5 extends what it was at size 1", "signed by  " + p.origin + "+"}, prove("--from", "1")...)
	wants(t, exitFine, []string{"at size 3 extends what it was at size 2", "signed by  " + p.origin + "+"}, prove("--from", "2", "--to", "3")...)
	wants(t, exitFine, []string{"NOT CHECKED: nothing was signed at size 4"}, prove("--from", "2", "--to", "4")...)
	wants(t, exitUsage, []string{"not_sealed"}, prove("--from", "6")...)
	wants(t, exitTampered, []string{"CHECKPOINT_UNKNOWN_KEY"}, "prove", "consistency", "--ledger", "book", "--from", "1",
		"--key", storetest.NewNotary(t, storetest.Database(t)).VerifierKey(t, p.origin))
}

func TestAStatementIsProvedAndCheckedOffline(t *testing.T) {
	p := serveProofs(t)
	day := func(n int) string { return time.UnixMicro(p.clock.Load()).UTC().AddDate(0, 0, n).Format(time.DateOnly) }
	p.pay(t)
	first := day(0)
	for range 2 {
		p.set(time.UnixMicro(p.clock.Load()).AddDate(0, 0, 1))
		p.pay(t)
		p.pay(t)
	}
	second, third := day(-1), day(0)
	p.seal(t)
	prove := func(name, from, to string) []string {
		return []string{"prove", "statement", "b", "--ledger", "book", "--from", from, "--to", to, "--out", filepath.Join(p.dir, name)}
	}
	wants(t, exitFine, []string{"opening    1.00 after posting 1", "credit 1.00, balance 2.00", "closing    3.00 after posting 3", "no line is missing: the next posting", "NOT CHECKED: --key"},
		prove("second.json", second, second)...)
	wants(t, exitFine, []string{"opening    0.00 after posting 0", "closing    5.00 after posting 5", "proved up to posting 5, and not that it is the last: account b", "NOT CHECKED: that none followed it among the 8 entries"},
		prove("all.json", first, third)...)
	wants(t, exitFine, []string{"opening    5.00 after posting 5", "closing    5.00 after posting 5"}, prove("later.json", day(1), day(2))...)
	p.pay(t) // not sealed, and so not in the proof
	wants(t, exitFine, []string{"closing    5.00 after posting 5"}, prove("unsealed.json", third, third)...)

	t.Setenv("TALLYSTICK_URL", "http://127.0.0.1:1")
	path := filepath.Join(p.dir, "second.json")
	wants(t, exitFine, []string{"proved: account b (liability, EUR) of " + p.origin, "closing    3.00", "signed by  " + p.origin + "+"}, "prove", "check", path, "--key", p.key)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := chain.ParseStatementProof(text)
	if err != nil {
		t.Fatal(err)
	}
	proof.Entries = append(proof.Entries[:2], proof.Entries[3:]...)
	gap, err := proof.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	wants(t, exitTampered, []string{"STATEMENT_GAP"}, "prove", "check", p.file(t, "gap.json", gap), "--key", p.key)
	wants(t, exitIncomplete, []string{"INCOMPLETE"}, "prove", "check", p.file(t, "cut.json", text[:len(text)/2]), "--key", p.key)
	for _, bad := range [][3]string{{"2026-1-1", third, "reading --from"}, {first, "x", "reading --to"}, {third, first, "it is after --to"}} {
		wants(t, exitUsage, []string{bad[2]}, prove(fmt.Sprint(bad), bad[0], bad[1])...)
	}
}

// cut takes the last entries of a statement proof away.
func (p *provable) cut(t *testing.T, name, from string, entries int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, from))
	if err != nil {
		t.Fatal(err)
	}
	proof, err := chain.ParseStatementProof(text)
	if err != nil {
		t.Fatal(err)
	}
	proof.Entries = proof.Entries[:len(proof.Entries)-entries]
	if text, err = proof.Marshal(); err != nil {
		t.Fatal(err)
	}
	return p.file(t, name, text)
}

// A statement from which the last lines were taken away is one that ends earlier: that
// this is not shown is said first, and a balance proof shows it.
func TestTheEndOfAStatementIsShownByABalanceProof(t *testing.T) {
	p := serveProofs(t)
	url := os.Getenv("TALLYSTICK_URL")
	day := time.UnixMicro(p.clock.Load()).UTC().Format(time.DateOnly)
	balance := func(name string) string {
		path := filepath.Join(p.dir, name)
		wants(t, exitFine, nil, "prove", "balance", "b", "--ledger", "book", "--key", p.key, "--out", path)
		return path
	}
	statement := func(name string) string {
		path := filepath.Join(p.dir, name)
		wants(t, exitFine, nil, "prove", "statement", "b", "--ledger", "book", "--from", day, "--to", day, "--key", p.key, "--out", path)
		return path
	}
	check := func(path string, more ...string) []string {
		return append([]string{"prove", "check", path, "--key", p.key}, more...)
	}
	p.pay(t)
	p.pay(t)
	p.seal(t)
	early := statement("early.json")
	p.commit(t)
	p.seal(t)
	now := balance("now.balance-proof")
	p.pay(t)
	p.seal(t)
	late := statement("late.json")
	p.commit(t)
	p.seal(t)
	later := balance("later.balance-proof")

	t.Setenv("TALLYSTICK_URL", "http://127.0.0.1:1")
	open := []string{"proved up to posting 2, and not that it is the last: account b", "closing    2.00 after posting 2"}
	alone := []string{"NOT CHECKED: that none followed it among the 5 entries: a statement from which the last lines were taken away looks like this one", "prove check --balance FILE"}
	wants(t, exitFine, append(alone, open...), check(early)...)
	wants(t, exitFine, []string{"proved: account b", "no line is missing: posting 2 is the last among the first 5 entries, by the balance proof"}, check(early, "--balance", now)...)
	wants(t, exitFine, append(open, "one did among the first 7; get the statement anew"), check(early, "--balance", later)...)
	wants(t, exitFine, []string{"proved: account b", "posting 3 is the last among the first 7 entries"}, check(late, "--balance", later)...)
	wants(t, exitFine, []string{"proved up to posting 3,", "the balance proof is older, of posting 2"}, check(late, "--balance", now)...)

	cut := p.cut(t, "cut.json", "late.json", 1)
	wants(t, exitFine, append(open, "a statement from which the last lines were taken away looks like this one"), check(cut)...)
	wants(t, exitFine, append(open, "by the balance proof, none did among the first 5"), check(cut, "--balance", now)...)
	wants(t, exitTampered, []string{"STATEMENT_GAP", "ends with posting 2 of the account, and there are 3 among the first 7 entries"}, check(cut, "--balance", later)...)
	shorter := p.cut(t, "shorter.json", "early.json", 1)
	wants(t, exitTampered, []string{"STATEMENT_GAP"}, check(shorter, "--balance", now)...)

	wants(t, exitUsage, []string{"--balance is for a statement proof"}, check(now, "--balance", now)...)
	wants(t, exitUsage, []string{"reading --balance"}, check(early, "--balance", filepath.Join(p.dir, "none"))...)
	wants(t, exitIncomplete, []string{"INCOMPLETE"}, check(early, "--balance", early)...)
	t.Setenv("TALLYSTICK_URL", url)
	other := filepath.Join(p.dir, "a.balance-proof")
	wants(t, exitFine, nil, "prove", "balance", "a", "--ledger", "book", "--key", p.key, "--out", other)
	wants(t, exitTampered, []string{"PROOF_INVALID", "for a statement of account"}, check(early, "--balance", other)...)
}

// commit has the server commit to all balances.
func (p *provable) commit(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, os.Getenv("TALLYSTICK_URL")+"/v1/ledgers/book/balance-commitments", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("TALLYSTICK_API_KEY"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("committing to the balances: %d %s", resp.StatusCode, text)
	}
}

func TestABalanceIsProvedAndCheckedOffline(t *testing.T) {
	p := serveProofs(t)
	p.pay(t)
	p.seal(t)
	prove := func(name string) []string {
		return []string{"prove", "balance", "b", "--ledger", "book", "--key", p.key, "--out", filepath.Join(p.dir, name)}
	}
	wants(t, exitUsage, []string{"commitment_not_found", "hint: somebody with the scope approve"}, prove("early")...)
	p.commit(t)
	wants(t, exitUsage, []string{"not_sealed", "hint: a signer publishes"}, prove("unsealed")...)
	p.pay(t) // after what was committed to
	p.seal(t)
	said := []string{"proved: account ", "of " + p.origin + " after its first 4 entries", "balance    -1.00 EUR (debit-positive) after posting 1", "commitment entry 4", "signed by  " + p.origin + "+"}
	wants(t, exitFine, append(said, "account b has the id "), prove("b.balance-proof")...)

	t.Setenv("TALLYSTICK_URL", "http://127.0.0.1:1")
	path := filepath.Join(p.dir, "b.balance-proof")
	wants(t, exitFine, said, "prove", "check", path, "--key", p.key)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := chain.ParseBalanceReceipt(text)
	if err != nil {
		t.Fatal(err)
	}
	r.Leaf.AccountSeq++
	wants(t, exitTampered, []string{"PROOF_INVALID"}, "prove", "check", p.file(t, "changed", r.Marshal()), "--key", p.key)
	wants(t, exitIncomplete, []string{"INCOMPLETE"}, "prove", "check", p.file(t, "cut", text[:len(text)/2]), "--key", p.key)
}
