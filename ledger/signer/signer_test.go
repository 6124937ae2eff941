package signer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/signer"
)

// play is what happens in the fault table: two ledgers grow, idle, and grow.
func play(w *world, p *process) {
	for i := range 6 {
		switch i {
		case 0:
			w.grow("a", 300)
			w.grow("b", 5)
		case 1, 4:
			w.grow("a", 257)
		case 2:
			w.now = w.now.Add(2 * time.Minute) // heartbeats, and another leaf in the super-log
			w.grow("b", 1)
		}
		w.now = w.now.Add(time.Second)
		w.round(p)
	}
}

// announcing has the world take announcements.
func announcing(w *world) func(*signer.Config) {
	return func(c *signer.Config) {
		c.Announce = func(_ context.Context, id uuid.UUID, _, key string) error {
			return w.do("announce", func() error {
				w.announced = append(w.announced, key)
				w.ledgers[id].leaves = append(w.ledgers[id].leaves, leafOf(key, 0))
				return nil
			})
		}
		c.Cosign = func(_ context.Context, origin string, note []byte, prove func(int64) ([]chain.Hash, error)) ([]byte, error) {
			err := w.do("cosign", func() error {
				w.letOut(origin, note)
				return nil
			})
			if err != nil {
				return nil, err
			}
			_, err = prove(1)
			return note, err
		}
	}
}

// Whatever fails, whenever, done or not, and whether the process goes on or
// crashes: every note that was let out is of the log, and of the state that was
// on disk before it; and the next one puts everything right.
func TestEveryPointMayFail(t *testing.T) {
	t.Parallel()
	whole := newWorld(t)
	play(whole, whole.start(whole.dir, announcing(whole)))
	for _, point := range []string{"ledgers", "follow", "checkpoints", "largest", "nodes", "publish", "show", "superrows", "appendsuper", "hold", "save", "announce", "cosign"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			if whole.calls[point] == 0 {
				t.Errorf("the point %s is never met", point)
			}
			for n := 1; n <= whole.calls[point]; n++ {
				for _, done := range []bool{false, true} {
					failAt(t, point, n, done, done == (n%2 == 0)) // each both ways, by turns
				}
			}
		})
	}
}

// failAt plays with one point failing, and then wants everything put right.
func failAt(t *testing.T, point string, n int, done, crash bool) {
	t.Helper()
	w := newWorld(t)
	w.faultP, w.faultN, w.done = point, n, done
	p := w.start(w.dir, announcing(w))
	play(w, p)
	w.faultP = ""
	if crash {
		w.stop(p)
		p = w.start(w.dir, announcing(w))
	}
	w.grow("a", 3)
	w.settle(p)
	w.checkEverything()
	w.stop(p)
	if t.Failed() {
		t.Fatalf("%s, call %d, done %t, crash %t\n%s", point, n, done, crash, strings.Join(w.log, "\n"))
	}
}

// refuses does a round and wants the ledger refused with that finding, or for a
// reason with that text.
func (w *world) refuses(p *process, name, want string) {
	w.t.Helper()
	r := w.round(p)
	if r.Refused < 1 || !p.Stats()[idOf(name)].Refused {
		w.t.Errorf("refused %d: %v", r.Refused, w.log)
	}
	if got := strings.Join(append(slices.Clone(w.findings), w.log...), "\n"); !strings.Contains(got, want) {
		w.t.Errorf("refused with %s, want %s", got, want)
	}
}

// signed is a world in which a ledger of 300 entries is signed and published.
func signed(t *testing.T) (*world, *process) {
	t.Helper()
	w := newWorld(t)
	w.grow("a", 300)
	p := w.start(w.dir, nil)
	w.settle(p)
	return w, p
}

func TestWhatIsNotAsItWasSignedIsRefused(t *testing.T) {
	t.Parallel()
	other := bytes.Repeat([]byte{9}, 32)
	foreign, err := chain.NewSigningKey(other)
	if err != nil {
		t.Fatal(err)
	}
	note := func(w *world, key chain.SigningKey, size int64, root chain.Hash) []byte {
		signed, err := key.Sign(chain.Checkpoint{Origin: w.ledgers[idOf("a")].origin, Size: size, Root: root})
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	for _, tt := range []struct {
		name   string
		tamper func(w *world, l *logbook)
		want   string
	}{
		{"the tail deleted", func(_ *world, l *logbook) { l.leaves = l.leaves[:200] }, "LOG_ROLLBACK@200"},
		{"the newest entry replaced", func(_ *world, l *logbook) { l.leaves[299] = leafOf("x", 0) }, "LOG_ROLLBACK@299"},
		{"the tail replaced by a longer one", func(_ *world, l *logbook) {
			l.leaves = append(l.leaves[:250], make([]chain.Hash, 100)...)
		}, "LOG_ROLLBACK@299"},
		{"the ledger deleted whole", func(w *world, l *logbook) { delete(w.ledgers, idOf("a")) }, "LOG_ROLLBACK@0"},
		{"another origin", func(_ *world, l *logbook) { l.origin = "elsewhere.example/1" }, "LOG_ROLLBACK@0"},
		{"a checkpoint beyond the ledger", func(w *world, l *logbook) {
			w.checkpoints[idOf("a")] = append(w.checkpoints[idOf("a")], signer.Checkpoint{Size: 500, Note: note(w, w.key, 500, chain.Hash{1})})
			w.grow("a", 1)
		}, "LOG_ROLLBACK@301"},
		{"a fork under the same key", func(w *world, l *logbook) {
			w.checkpoints[idOf("a")] = append(w.checkpoints[idOf("a")], signer.Checkpoint{Size: 310, Root: chain.Hash{1}, Note: note(w, w.key, 310, chain.Hash{1})})
			w.grow("a", 20)
		}, "FORK_PROVEN@309"},
		{"a fork under another key", func(w *world, l *logbook) {
			w.checkpoints[idOf("a")] = append(w.checkpoints[idOf("a")], signer.Checkpoint{Size: 310, Root: chain.Hash{1}, Note: note(w, foreign, 310, chain.Hash{1})})
			w.grow("a", 20)
		}, "CHECKPOINT_ROOT_MISMATCH@309"},
	} {
		for _, restarted := range []bool{false, true} {
			w, p := signed(t)
			tt.tamper(w, w.ledgers[idOf("a")])
			before := len(w.notes)
			if restarted {
				w.stop(p)
				p = w.start(w.dir, nil)
			}
			w.refuses(p, "a", tt.want)
			w.now = w.now.Add(3 * time.Minute)
			w.refuses(p, "a", tt.want)
			if len(w.notes) != before {
				t.Errorf("%s: something was signed", tt.name)
			}
			if n := len(w.findings); n != 1 {
				t.Errorf("%s: %d findings stored, want one: %v", tt.name, n, w.findings)
			}
			if err := p.Run(t.Context(), false); !errors.Is(err, signer.ErrRefused) {
				t.Errorf("%s: Run = %v", tt.name, err)
			}
			w.stop(p)
		}
	}
}

// Another ledger is signed all the same, and the refused one when it is well.
func TestARefusedLedgerKeepsNoOtherWaitingAndMayRecover(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	lost := w.ledgers[idOf("a")].leaves
	w.ledgers[idOf("a")].leaves = lost[:200]
	w.grow("b", 5)
	w.refuses(p, "a", "LOG_ROLLBACK@200")
	if n := len(w.checkpoints[idOf("b")]); n != 1 {
		t.Errorf("the other ledger has %d checkpoints", n)
	}
	w.ledgers[idOf("a")].leaves = lost
	w.grow("a", 10)
	w.now = w.now.Add(2 * time.Minute)
	if r := w.round(p); r.Refused != 0 {
		t.Errorf("still refused: %v", w.log)
	}
	w.settle(p)
	w.checkEverything()
}

func TestALostOrDamagedStateIsRefused(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	w.stop(p)
	state, key := filepath.Join(w.dir, "state.json"), filepath.Join(w.dir, "signer.key")
	text, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	open := func() error {
		files, err := signer.OpenFiles(state)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = files.Open(key, false)
		return errors.Join(err, files.Close())
	}
	write := func(path string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range text {
		damaged := bytes.Clone(text)
		damaged[i] ^= 1
		write(state, damaged)
		if err := open(); !errors.Is(err, signer.ErrState) || !strings.Contains(err.Error(), "--pin") {
			t.Fatalf("with byte %d changed: %v", i, err)
		}
	}
	for _, n := range []int{0, 1, len(text) / 2, len(text) - 1} {
		write(state, text[:n])
		if err := open(); !errors.Is(err, signer.ErrState) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	write(state, append(bytes.Clone(text), ' '))
	if err := open(); !errors.Is(err, signer.ErrState) {
		t.Errorf("with a byte too many: %v", err)
	}
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	if err := open(); !errors.Is(err, signer.ErrStateLost) || !strings.Contains(err.Error(), "--pin") {
		t.Errorf("without a state: %v", err)
	}
	write(state, text)
	if err := open(); err != nil {
		t.Errorf("with the state back: %v", err)
	}
	for _, content := range []string{"", "PRIVATE+KEY+a+00000000+AAAA\n", "PRIVATE+KEY+tallystick+00000000+" + strings.Repeat("A", 44) + "\n"} {
		write(key, []byte(content))
		if err := open(); !errors.Is(err, signer.ErrKey) {
			t.Errorf("with the key %q: %v", content, err)
		}
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("with a key that all may read: %v", err)
	}
}

func TestOneProcessUsesAState(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deeper", "state.json")
	first, err := signer.OpenFiles(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.OpenFiles(path); !errors.Is(err, signer.ErrInUse) {
		t.Errorf("the second: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := signer.OpenFiles(path)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	_ = second.Close()
}

// pinOf is a checkpoint of ledger a.
func pinOf(w *world, size int64) chain.Checkpoint {
	l := w.ledgers[idOf("a")]
	return chain.Checkpoint{Origin: l.origin, Size: size, Root: chain.RootOf(l.leaves[:size])}
}

// newFolder starts a signer without the state, with pins.
func (w *world) newFolder(pins ...chain.Checkpoint) *process {
	return w.start(w.t.TempDir(), func(c *signer.Config) { c.Pins = pins })
}

func TestWithoutAStateOnlyAPinVouchesForWhatTheKeySigned(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	w.stop(p)
	w.grow("a", 10)
	w.heldUntil = time.Time{}

	p = w.newFolder()
	w.refuses(p, "a", "--pin")
	if len(p.state.Ledgers) != 0 {
		t.Error("a state was made of what is refused")
	}
	w.stop(p)

	wrong := pinOf(w, 100)
	wrong.Root[0] ^= 1
	for _, tt := range []struct {
		pin  chain.Checkpoint
		want string
	}{
		{wrong, "LOG_ROLLBACK@99"},
		{chain.Checkpoint{Origin: wrong.Origin, Size: 1000, Root: chain.Hash{1}}, "LOG_ROLLBACK@310"},
	} {
		w.findings, w.log, w.heldUntil = nil, nil, time.Time{}
		p = w.newFolder(tt.pin)
		w.refuses(p, "a", tt.want)
		w.stop(p)
	}

	w.heldUntil = time.Time{}
	p = w.newFolder(pinOf(w, 300), chain.Checkpoint{Origin: "bank.example/super-log", Size: 1, Root: w.super[0].Stored})
	w.settle(p)
	w.checkEverything()
	w.stop(p)
}

// The state of a replica may be old: it goes through what was published since.
func TestAReplicaTakesOverWithAnOlderState(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	old := t.TempDir()
	text, err := os.ReadFile(filepath.Join(w.dir, "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(old, "state.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		w.grow("a", 100)
		w.now = w.now.Add(2 * time.Minute)
		w.round(p)
	}
	w.stop(p)
	heir := w.start(old, nil)
	w.grow("a", 1)
	w.settle(heir)
	w.checkEverything()
	if got := heir.state.Ledgers[idOf("a")].Size; got != 801 {
		t.Errorf("the heir signed up to %d", got)
	}
	w.stop(heir)
}

func TestOneOfTwoReplicasSigns(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	second := w.newFolder(pinOf(w, 300), chain.Checkpoint{Origin: "bank.example/super-log", Size: 1, Root: w.super[0].Stored})
	w.grow("a", 50)
	w.now = w.now.Add(time.Second)
	published := len(w.checkpoints[idOf("a")])
	if r := w.round(second); !r.Standby || len(w.checkpoints[idOf("a")]) != published {
		t.Fatalf("the second signs while the first has the lease: %+v", r)
	}
	if checked := second.Stats()[idOf("a")].Checked; checked != 350 {
		t.Errorf("the second checked up to %d", checked)
	}
	w.round(p)
	if len(w.checkpoints[idOf("a")]) != published+1 {
		t.Error("the first does not sign")
	}
	w.grow("a", 50)
	w.now = w.now.Add(signer.Lease + time.Second)
	if r := w.round(second); r.Standby || len(w.checkpoints[idOf("a")]) != published+2 {
		t.Fatalf("the second does not take over: %+v, %v", r, w.log)
	}
	w.grow("a", 50)
	if r := w.round(p); !r.Standby || len(w.checkpoints[idOf("a")]) != published+2 {
		t.Errorf("the first goes on signing: %+v", r)
	}
	w.checkEverything()
}

func TestNothingIsPublishedBelowTheQuorum(t *testing.T) {
	t.Parallel()
	cosigner, err := chain.NewCosigningKey("w.example", bytes.Repeat([]byte{3}, 32))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := chain.ParsePolicy([]byte("witness w " + cosigner.VerifierKey() + "\nquorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	up, asked := false, 0
	change := func(c *signer.Config) {
		c.Policy = policy
		c.Cosign = func(_ context.Context, origin string, note []byte, _ func(int64) ([]chain.Hash, error)) ([]byte, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			asked++
			w.letOut(origin, note)
			if !up {
				return nil, errors.New("nobody there")
			}
			opened, _ := chain.OpenCheckpoint(note)
			line, err := cosigner.Cosign(opened.Checkpoint, w.now)
			if err != nil {
				return nil, err
			}
			return chain.AddSignatures(note, line)
		}
	}
	p := w.start(w.dir, change)
	for range 3 {
		w.grow("a", 300)
		w.now = w.now.Add(6 * time.Second)
		if r := w.round(p); r.Waiting != 1 {
			t.Errorf("%+v: %v", r, w.log)
		}
	}
	if asked != 3 || len(w.checkpoints) != 0 || len(w.shown) != 0 || p.state.Ledgers[idOf("a")].Size != 900 || !p.Stats()[idOf("a")].Waiting {
		t.Errorf("asked %d times, published %v, state at %d", asked, w.checkpoints, p.state.Ledgers[idOf("a")].Size)
	}
	w.stop(p)
	p = w.start(w.dir, change)
	up = true
	w.settle(p)
	w.checkEverything()
	c := w.checkpoints[idOf("a")]
	key, err := chain.ParseWitnessKey(cosigner.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := chain.OpenCheckpoint(c[0].Note, key); err != nil || len(c) != 1 || c[0].Size != 900 || len(opened.Signatures) != 1 {
		t.Errorf("published %d, %+v, %v", len(c), opened, err)
	}
	before := w.shown[idOf("a")]
	w.now = w.now.Add(signer.Heartbeat)
	w.round(p)
	if now := w.shown[idOf("a")]; now.At.Equal(before.At) || bytes.Equal(now.Note, before.Note) {
		t.Error("the heartbeat has no fresh cosignature")
	}
	up = false
	w.now = w.now.Add(signer.Heartbeat)
	before = w.shown[idOf("a")]
	w.round(p)
	if now := w.shown[idOf("a")]; !bytes.Equal(now.Note, before.Note) {
		t.Error("a heartbeat without the quorum took the place of one with it")
	}
}

func TestWhatCannotBeCheckedIsNotSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grow("a", 100).blocks = 60
	p := w.start(w.dir, nil)
	for range 3 {
		w.now = w.now.Add(time.Second)
		if r := w.round(p); r.Unchecked != 1 || r.Refused != 0 || len(w.findings) != 0 {
			t.Errorf("%+v, %v", r, w.findings)
		}
	}
	if c := w.checkpoints[idOf("a")]; len(c) != 1 || c[0].Size != 60 {
		t.Errorf("published %v", c)
	}
	if n := strings.Count(strings.Join(w.log, "\n"), "no further"); n != 1 {
		t.Errorf("said %d times that it goes no further", n)
	}
	w.ledgers[idOf("a")].blocks = 0 // newer software
	w.now = w.now.Add(2 * time.Minute)
	w.settle(p)
	w.checkEverything()
}

func TestNoCheckpointBeforeTheChainNamesTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grow("a", 10)
	w.faultP, w.faultN = "announce", 1
	p := w.start(w.dir, announcing(w))
	if r := w.round(p); r.Failed != 1 || len(w.checkpoints) != 0 {
		t.Errorf("%+v, published %v", r, w.checkpoints)
	}
	w.settle(p)
	if c := w.checkpoints[idOf("a")]; len(c) != 1 || c[0].Size != 11 || len(w.announced) != 1 {
		t.Errorf("published %v, announced %v", c, w.announced)
	}
	w.stop(p)
	p = w.start(w.dir, announcing(w))
	w.grow("a", 1)
	w.settle(p)
	if len(w.announced) != 1 {
		t.Errorf("announced again: %v", w.announced)
	}
}

// A checkpoint by a key that the chain does not name would be one that no verification
// trusts, for good: it is not published, and that is said once.
func TestNothingIsPublishedByAKeyThatTheChainDoesNotName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	named := false
	p := w.start(w.dir, func(c *signer.Config) {
		c.Database.Missing = func(_ context.Context, id uuid.UUID, key chain.VerifierKey, size int64) (string, error) {
			if id == uuid.Nil {
				t.Error("the super-log has no chain that names a key")
			}
			if named {
				return "", nil
			}
			return fmt.Sprintf("another than %s at %d", key.ID(), size), nil
		}
	})
	for range 2 {
		w.grow("a", 10)
		w.now = w.now.Add(time.Minute)
		if r := w.round(p); r.Waiting != 1 || len(w.checkpoints[idOf("a")]) != 0 {
			t.Errorf("%+v, published %v", r, w.checkpoints)
		}
	}
	if said := strings.Count(strings.Join(w.log, "\n"), "another than"); said != 1 {
		t.Errorf("said %d times: %v", said, w.log)
	}
	named = true
	w.now = w.now.Add(time.Minute)
	w.settle(p)
	if c := w.checkpoints[idOf("a")]; len(c) != 1 || c[0].Size != 20 {
		t.Errorf("published %v", c)
	}
}

func TestTheSuperLogHasALeafALedgerAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start(w.dir, nil)
	for range 130 {
		w.grow("a", 1)
		w.now = w.now.Add(time.Second)
		w.round(p)
	}
	w.grow("b", 1)
	w.round(p)
	var got []string
	for _, r := range w.super {
		got = append(got, fmt.Sprintf("%s %d", map[uuid.UUID]string{idOf("a"): "a", idOf("b"): "b"}[r.Leaf.LedgerID], r.Leaf.Size))
	}
	if want := []string{"a 1", "a 61", "a 121", "b 1"}; !slices.Equal(got, want) {
		t.Errorf("leaves %v, want %v", got, want)
	}
	w.settle(p)
	w.checkEverything()
}

func TestAForgedSuperLogIsRefused(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(w *world){
		"a leaf deleted":  func(w *world) { w.super = w.super[:0] },
		"a leaf replaced": func(w *world) { w.super[0].Leaf.Size++ },
		"a leaf made up": func(w *world) {
			w.super = append(w.super, w.super[0])
			w.super[1].Position = 1
			w.super[1].Leaf.Size = 7
		},
		"a checkpoint out": func(w *world) { w.super = append(w.super, made(w)) },
		"and a checkpoint": func(w *world) {
			w.super = append(w.super, made(w))
			id := idOf("a")
			w.checkpoints[id] = append([]signer.Checkpoint{{Size: 17}}, w.checkpoints[id]...)
		},
	} {
		w, p := signed(t)
		tamper(w)
		w.grow("a", 1)
		w.now = w.now.Add(2 * time.Minute)
		w.round(p)
		w.round(p)
		if !p.Stats()[uuid.Nil].Refused || len(w.findings) == 0 {
			t.Errorf("%s: %v, %v", name, w.findings, w.log)
		}
		if all := w.checkpoints[idOf("a")]; all[len(all)-1].Size != int64(len(w.ledgers[idOf("a")].leaves)) {
			t.Errorf("%s: the newest checkpoint of the ledger is of size %d, and must not wait", name, all[len(all)-1].Size)
		}
	}
}

// made is a leaf about a checkpoint that was never published.
func made(w *world) signer.SuperRow {
	l := chain.SuperLeaf{LedgerID: idOf("a"), Origin: w.ledgers[idOf("a")].origin, Size: 17, RecordedAt: 1}
	return signer.SuperRow{Position: 1, Leaf: l, Stored: l.Hash()}
}

func TestALedgerThatIsBehindIsSignedBitByBit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grow("a", 1)
	p := w.start(w.dir, nil)
	w.settle(p)
	w.grow("a", 300_000)
	if r := w.round(p); !r.Backlog {
		t.Errorf("%+v", r)
	}
	if c := w.checkpoints[idOf("a")]; len(c) != 2 || c[1].Size >= 300_000 {
		t.Errorf("published %d checkpoints", len(c))
	}
	w.settle(p)
	w.checkEverything()
}
