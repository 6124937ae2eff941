package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// build compiles the command once for all cases.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "receipt")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return binary
}

// run returns the exit code and what was printed.
func run(t *testing.T, binary string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

const origin = "ledger.example/01890a5d-ac96-774b-bcce-000000000001"

// ledger makes n transfers, the last of them with many postings, and a checkpoint of them.
func ledger(t *testing.T, n int) (entries [][]byte, leaves []chain.Hash, checkpoint []byte, key string) {
	t.Helper()
	signer, err := chain.NewSigningKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for seq := range n {
		e := chain.Entry{LedgerID: uuid.MustParse(origin[len("ledger.example/"):]), Seq: int64(seq), Kind: chain.Transfer, RecordedAt: int64(seq)}
		if seq == 0 {
			e.Kind = chain.LedgerOpened
			e.Ledger = &chain.LedgerTerms{Name: "main", Origin: origin, TimeZone: "UTC", BaseCurrency: "EUR", BaseScale: 2}
		}
		postings := 2
		if seq == n-1 {
			postings = chain.MaxPostings
		}
		for i := range postings {
			e.Postings = append(e.Postings, chain.Posting{
				AccountID: uuid.UUID{15: byte(i), 14: byte(i >> 8)}, Direction: chain.Direction(1 + i%2), Currency: "EUR", Scale: 2, Amount: money.FromInt64(5), AccountSeq: 1,
			})
		}
		entries = append(entries, e.AppendCanonical(nil))
		leaves = append(leaves, e.Hash())
	}
	if checkpoint, err = signer.Sign(chain.Checkpoint{Origin: origin, Size: int64(n), Root: chain.RootOf(leaves)}); err != nil {
		t.Fatal(err)
	}
	if key, err = signer.VerifierKey(origin); err != nil {
		t.Fatal(err)
	}
	return entries, leaves, checkpoint, key
}

func TestReceiptIsVerifiedWithoutOurLibraries(t *testing.T) {
	t.Parallel()
	binary := build(t)
	const n = 11
	entries, leaves, checkpoint, key := ledger(t, n)
	read := func(_ int, first, count int64) ([]chain.Hash, error) { return leaves[first : first+count], nil }
	file := filepath.Join(t.TempDir(), "entry.tlog-proof")
	write := func(b []byte) {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	receipt := func(seq int) []byte {
		path, err := chain.ProveInclusion(int64(seq), n, read)
		if err != nil {
			t.Fatal(err)
		}
		return (&chain.Receipt{Canonical: entries[seq], Index: int64(seq), Proof: path, Checkpoint: checkpoint}).Marshal()
	}
	for _, seq := range []int{4, n - 1} {
		write(receipt(seq))
		code, out, errs := run(t, binary, file, key)
		want := fmt.Sprintf("PROVEN: entry %d with leaf hash %s\nunder the checkpoint of %s at size %d with root %s\nsigned by %s\n",
			seq, leaves[seq], origin, n, chain.RootOf(leaves), key[:strings.LastIndex(key, "+")])
		if code != 0 || out != want || errs != "" {
			t.Errorf("exit code %d, %q and %q, want\n%s", code, out, errs, want)
		}
	}

	good := receipt(4)
	refuse := func(what string, args ...string) {
		if code, out, errs := run(t, binary, args...); code != 1 || out != "" || !strings.HasPrefix(errs, "receipt: NOT PROVEN: ") {
			t.Errorf("%s: exit code %d, %q and %q", what, code, out, errs)
		}
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	at := 0
	for i, line := range lines[:len(lines)-1] {
		if len(line) > 1 { // a bit within each part of the file
			b := bytes.Clone(good)
			b[at+len(line)/2] ^= 2
			write(b)
			refuse(fmt.Sprintf("bit of line %d", i), file, key)
		}
		at += len(line)
	}
	write(bytes.Replace(good, []byte("index 4"), []byte("index 5"), 1))
	refuse("another index", file, key)
	write(good)
	other, err := chain.NewSigningKey(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := other.VerifierKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	refuse("another key", file, otherKey)
	refuse("no key", file, "key")
	refuse("no file", file+".absent", key)
	refuse("no arguments")
}
