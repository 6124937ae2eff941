package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/witness"
)

// witnessedLog is a log with a signing key, for a witness to know.
type witnessedLog struct {
	origin string
	key    chain.SigningKey
}

func newWitnessedLog(t *testing.T, origin string) witnessedLog {
	t.Helper()
	key, err := chain.NewSigningKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return witnessedLog{origin, key}
}

func (l witnessedLog) verifier(t *testing.T) string {
	t.Helper()
	key, err := l.key.VerifierKey(l.origin)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// at returns the signed checkpoint of a tree with that many leaves, and the
// proof from a smaller one.
func (l witnessedLog) at(t *testing.T, size int) (signed []byte, prove witness.Prove) {
	t.Helper()
	leaves := make([]chain.Hash, size)
	for i := range leaves {
		leaves[i] = chain.Hash{byte(i)}
	}
	signed, err := l.key.Sign(chain.Checkpoint{Origin: l.origin, Size: int64(size), Root: chain.RootOf(leaves)})
	if err != nil {
		t.Fatal(err)
	}
	return signed, func(from int64) ([]chain.Hash, error) {
		return chain.ProveConsistency(from, int64(size), func(_ int, first, count int64) ([]chain.Hash, error) {
			return leaves[first : first+count], nil
		})
	}
}

func witnessIn(folder string, logs ...string) *witnessCommand {
	return &witnessCommand{
		Listen: "127.0.0.1:0", Key: filepath.Join(folder, "witness.key"), State: filepath.Join(folder, "state"),
		Name: "witness.example/1", Log: logs,
	}
}

// runningWitness is a witness that was started, and the policy line it printed.
type runningWitness struct {
	line string
	stop func() error
}

// launch runs the command until the test stops it.
func (c *witnessCommand) launch(t *testing.T) runningWitness {
	t.Helper()
	read, write := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := c.run(ctx, write)
		write.CloseWithError(errors.Join(err, io.EOF))
		ended <- err
	}()
	stop := func() error {
		cancel()
		go func() { _, _ = io.Copy(io.Discard, read) }()
		select {
		case err := <-ended:
			return err
		case <-time.After(shutdownBound):
			return errors.New("it does not stop")
		}
	}
	t.Cleanup(cancel)
	var said []byte
	buffer := make([]byte, 4096)
	for !bytes.Contains(said, []byte("\n  witness ")) {
		n, err := read.Read(buffer)
		if err != nil {
			t.Fatalf("it says %q and ends: %v", said, err)
		}
		said = append(said, buffer[:n]...)
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return runningWitness{strings.TrimSpace(lines[len(lines)-1]), stop}
}

func (w runningWitness) circle(t *testing.T) (*witness.Circle, *chain.Policy) {
	t.Helper()
	policy, err := chain.ParsePolicy([]byte(w.line + "\nquorum " + strings.Fields(w.line)[1] + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	circle, err := witness.NewCircle(t.Context(), policy, witness.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(circle.Close)
	return circle, policy
}

// The line that a witness prints is all that a signer needs, and the next
// process of the witness goes on where the last one was.
func TestWitnessCosignsAndGoesOn(t *testing.T) {
	t.Parallel()
	l := newWitnessedLog(t, "ledger.example/1")
	folder := t.TempDir()
	var key string
	for i, size := range []int{3, 5, 5} {
		c := witnessIn(folder, l.verifier(t))
		if i > 0 {
			c.Name = ""
		}
		w := c.launch(t)
		circle, policy := w.circle(t)
		signed, prove := l.at(t, size)
		note, err := circle.Gather(t.Context(), signed, prove)
		if err != nil {
			t.Fatal(err)
		}
		s, err := chain.OpenCheckpoint(note, policy.Keys()...)
		if err != nil || !policy.Quorum(&s, time.Now().Add(-time.Hour)) {
			t.Fatalf("size %d has no quorum: %v, %+v", size, err, circle.Outcomes())
		}
		if now := policy.Witnesses[0].Key.String(); key == "" {
			key = now
		} else if now != key {
			t.Errorf("its key was %s and is %s", key, now)
		}
		if err := w.stop(); err != nil {
			t.Errorf("it stops with %v", err)
		}
	}
	var printed bytes.Buffer
	c := witnessIn(folder)
	c.PrintKey = true
	if err := c.run(t.Context(), &printed); err != nil || printed.String() != key+"\n" {
		t.Errorf("--print-key prints %q, %v", &printed, err)
	}
}

// --print-key makes a key where there is none, and works beside a witness.
func TestWitnessPrintsItsKey(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	c := witnessIn(folder)
	c.PrintKey = true
	var first, second bytes.Buffer
	if err := c.run(t.Context(), &first); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(c.Key); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key file: %v, %v", info, err)
	}
	w := witnessIn(folder, newWitnessedLog(t, "ledger.example/1").verifier(t)).launch(t)
	if err := c.run(t.Context(), &second); err != nil || second.String() != first.String() {
		t.Errorf("beside a witness it prints %q, not %q: %v", &second, &first, err)
	}
	if !strings.Contains(w.line, strings.TrimSpace(first.String())) {
		t.Errorf("the line for policies is %q, the key %q", w.line, &first)
	}
	url := strings.Fields(w.line)[3]
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if page, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(page), "nothing yet") {
		t.Errorf("its page is %q, %v", page, err)
	}
	if err := w.stop(); err != nil {
		t.Error(err)
	}
}

func TestWitnessTakesTheLogsOfAPolicy(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	l := newWitnessedLog(t, "ledger.example/1")
	c := witnessIn(folder)
	c.Policy = filepath.Join(folder, "witness.policy")
	if err := os.WriteFile(c.Policy, []byte("log "+l.verifier(t)+"\nquorum none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := c.launch(t)
	circle, _ := w.circle(t)
	signed, prove := l.at(t, 3)
	if _, err := circle.Gather(t.Context(), signed, prove); err != nil || circle.Outcomes()[0].Err != nil {
		t.Errorf("%v, %+v", err, circle.Outcomes())
	}
	if err := w.stop(); err != nil {
		t.Error(err)
	}
}

// What does not allow a witness to start is said, with exit code 3.
func TestWitnessRefusesToStart(t *testing.T) {
	t.Parallel()
	log := newWitnessedLog(t, "ledger.example/1").verifier(t)
	used := t.TempDir()
	w := witnessIn(used, log).launch(t)
	circle, _ := w.circle(t)
	signed, prove := newWitnessedLog(t, "ledger.example/1").at(t, 3)
	if _, err := circle.Gather(t.Context(), signed, prove); err != nil {
		t.Fatal(err)
	}
	policy := func(text string) *witnessCommand {
		c := witnessIn(t.TempDir())
		c.Policy = filepath.Join(t.TempDir(), "policy")
		if err := os.WriteFile(c.Policy, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return c
	}
	busy := witnessIn(t.TempDir(), log)
	busy.Listen = strings.TrimPrefix(strings.Fields(w.line)[3], "http://")
	for _, c := range []struct {
		name    string
		command *witnessCommand
		says    string
	}{
		{"no log", witnessIn(t.TempDir()), "--policy"},
		{"a policy without logs", policy("quorum none\n"), "--policy"},
		{"a policy that is none", policy("log x\nquorum none\n"), "line 1"},
		{"a log key that is none", witnessIn(t.TempDir(), "x+y+z"), "--log"},
		{"the key of a witness as that of a log", witnessIn(t.TempDir(), strings.Fields(w.line)[2]), "--log"},
		{"a folder in use", witnessIn(used, log), "another --state folder"},
		{"an address in use", busy, "--listen"},
	} {
		if err := c.command.run(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: it says %v, not %q", c.name, err, c.says)
		}
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(used, "state")); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), []string{"witness", "--log", log, "--listen", "127.0.0.1:0", "--key", filepath.Join(used, "witness.key"), "--state", filepath.Join(used, "state")}); code != exitUsage {
		t.Errorf("with its state lost it ends with exit code %d", code)
	}
}
