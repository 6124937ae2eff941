package signer_test

import (
	"errors"
	"maps"
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

// restored is a world whose super-log was restored from a backup: of its leaves about
// a ledger that grows, one a minute, the last ones are gone.
type restored struct {
	*world
	replica string // folder of a replica whose state is older than the backup
	signed  chain.Checkpoint
}

const (
	leavesSigned = 6
	leavesLeft   = 4
	leavesKnown  = 2 // to the replica
)

func newRestored(t *testing.T) *restored {
	t.Helper()
	w := &restored{world: newWorld(t), replica: t.TempDir()}
	p := w.start(w.dir, nil)
	var backup *world
	for n := range leavesSigned {
		w.grow("a", 1)
		w.now = w.now.Add(2 * time.Minute)
		w.settle(p)
		switch n + 1 {
		case leavesKnown:
			for _, name := range []string{"state.json", "signer.key"} {
				content, err := os.ReadFile(filepath.Join(w.dir, name))
				if err == nil {
					err = os.WriteFile(filepath.Join(w.replica, name), content, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		case leavesLeft:
			backup = &world{super: slices.Clone(w.super), checkpoints: maps.Clone(w.checkpoints), nodes: map[uuid.UUID]map[[2]int64]chain.Hash{uuid.Nil: maps.Clone(w.nodes[uuid.Nil])}, shown: maps.Clone(w.shown)}
		}
	}
	last := p.state.SuperLog
	if len(w.super) != leavesSigned || last.Size != leavesSigned {
		t.Fatalf("%d leaves, and %d in the state", len(w.super), last.Size)
	}
	w.signed = chain.Checkpoint{Origin: last.Origin, Size: last.Size, Root: chain.Hash(last.Root)}
	w.stop(p)
	w.super, w.checkpoints[uuid.Nil], w.nodes[uuid.Nil], w.shown[uuid.Nil] = backup.super, backup.checkpoints[uuid.Nil], backup.nodes[uuid.Nil], backup.shown[uuid.Nil]
	return w
}

// succeed declares the loss with the files of a folder.
func (w *restored) succeed(dir string) (signer.Succession, error) {
	w.t.Helper()
	p := w.start(dir, nil)
	defer w.stop(p)
	w.before = nil
	c := p.Config
	c.State = p.state
	s, err := signer.Succeed(w.t.Context(), c)
	if s.Successor != "" && err == nil {
		w.losses = 1
	}
	return s, err
}

// superRefused wants the super-log to be refused with a hint, and nothing else.
func (w *restored) superRefused(dir string) {
	w.t.Helper()
	p := w.start(dir, nil)
	defer w.stop(p)
	w.grow("a", 1)
	for range 3 {
		w.now = w.now.Add(2 * time.Minute)
		w.round(p)
	}
	if !p.Stats()[uuid.Nil].Refused || p.Stats()[idOf("a")].Refused || !strings.Contains(strings.Join(w.log, "\n"), "tallystick super-log reincarnate") {
		w.t.Errorf("in %s: %+v, %v", dir, p.Stats(), w.log)
	}
}

// settled wants a signer to publish everything, the super-log as its successor, with
// a leaf about a ledger that grows.
func (w *restored) settled(dir, name string) {
	w.t.Helper()
	p := w.start(dir, nil)
	defer w.stop(p)
	w.grow(name, 1)
	w.now = w.now.Add(2 * time.Minute)
	w.settle(p)
	w.now = w.now.Add(2 * time.Minute)
	w.settle(p)
	newest := w.checkpoints[uuid.Nil][len(w.checkpoints[uuid.Nil])-1]
	text, err := w.key.VerifierKey("bank.example/2/super-log")
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := chain.ParseLogKey(text)
	if err != nil {
		w.t.Fatal(err)
	}
	if signed, err := chain.OpenCheckpoint(newest.Note, key); err != nil || newest.Size != int64(len(w.super)) || !signed.SignedByLog() {
		w.t.Errorf("the newest checkpoint of the super-log, of %d leaves: %+v, %v", len(w.super), signed, err)
	}
	var about []string
	for _, r := range w.super[leavesLeft:] {
		about = append(about, r.Leaf.Origin)
	}
	if want := []string{w.signed.Origin, w.ledgers[idOf(name)].origin}; about[0] != want[0] || !slices.Contains(about, want[1]) {
		w.t.Errorf("leaves about %v, want first %s and then %s among them", about, want[0], want[1])
	}
	for text := range w.notes { // what was signed of the lost leaves is of no log that is left
		if c, err := chain.ParseCheckpoint(text); err == nil && c.Origin == w.signed.Origin && c.Size > leavesLeft {
			delete(w.notes, text)
		}
	}
	w.checkEverything()
}

func TestASuperLogThatHasLostLeavesIsSucceeded(t *testing.T) {
	t.Parallel()
	w := newRestored(t)
	w.superRefused(w.dir)
	s, err := w.succeed(w.dir)
	if err != nil || s.Found || s.Left != leavesLeft || s.Successor != "bank.example/2/super-log" ||
		s.Leaf.Origin != w.signed.Origin || s.Leaf.Size != w.signed.Size || s.Leaf.Root != w.signed.Root {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := w.succeed(w.dir); !errors.Is(err, signer.ErrNothingLost) {
		t.Errorf("doing so again at once: %v", err)
	}
	w.settled(w.dir, "a")
	if _, err := w.succeed(w.dir); !errors.Is(err, signer.ErrNothingLost) {
		t.Errorf("doing so later: %v", err)
	}

	w.superRefused(w.replica)
	if s, err := w.succeed(w.replica); err != nil || !s.Found || s.Left != leavesLeft {
		t.Fatalf("with a replica's state: %+v, %v", s, err)
	}
	w.settled(w.replica, "a")
	w.settled(w.dir, "b")
	if n := slices.IndexFunc(w.super[leavesLeft+1:], func(r signer.SuperRow) bool { return r.Leaf.AboutSuperLog() }); n >= 0 {
		t.Errorf("leaf %d declares a loss too", leavesLeft+1+n)
	}
}

// TestADeclarationThatIsLostIsMadeAgain restores the database once more, before
// anything of the successor was signed.
func TestADeclarationThatIsLostIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newRestored(t)
	if _, err := w.succeed(w.dir); err != nil {
		t.Fatal(err)
	}
	w.super = w.super[:leavesLeft]
	w.superRefused(w.dir)
	if s, err := w.succeed(w.dir); err != nil || s.Found || s.Left != leavesLeft || s.Successor != "bank.example/2/super-log" || s.Leaf.Root != w.signed.Root {
		t.Fatalf("%+v, %v", s, err)
	}
	w.settled(w.dir, "a")
}

// TestASuccessorIsSucceeded restores the database once more, after the successor was
// signed: to before its declaration, or to after it.
func TestASuccessorIsSucceeded(t *testing.T) {
	t.Parallel()
	for _, left := range []int{leavesLeft, leavesLeft + 1} {
		w := newRestored(t)
		if _, err := w.succeed(w.dir); err != nil {
			t.Fatal(err)
		}
		w.settled(w.dir, "a")
		w.super = w.super[:left]
		w.checkpoints[uuid.Nil] = slices.DeleteFunc(w.checkpoints[uuid.Nil], func(c signer.Checkpoint) bool { return c.Size > int64(left) })
		w.superRefused(w.dir)
		s, err := w.succeed(w.dir)
		if err != nil || s.Found || s.Left != int64(left) || s.Successor != "bank.example/3/super-log" || s.Leaf.Origin != "bank.example/2/super-log" {
			t.Fatalf("%+v, %v", s, err)
		}
		w.losses = 2
		p := w.start(w.dir, nil)
		for range 3 {
			w.grow("a", 1)
			w.now = w.now.Add(2 * time.Minute)
			w.settle(p)
		}
		w.stop(p)
		if newest := w.checkpoints[uuid.Nil][len(w.checkpoints[uuid.Nil])-1]; newest.Size != int64(len(w.super)) || !strings.HasPrefix(string(newest.Note), "bank.example/3/super-log\n") {
			t.Errorf("the newest checkpoint of %d leaves is %s", len(w.super), newest.Note)
		}
	}
}

// TestASuccessionIsFinished ends it at every call, before or after what it does.
func TestASuccessionIsFinished(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"hold", "superrows", "checkpoints", "appendsuper", "save"} {
		for _, done := range []bool{false, true} {
			w := newRestored(t)
			clear(w.calls)
			w.faultP, w.faultN, w.done = point, 1, done
			if _, err := w.succeed(w.dir); !errors.Is(err, errFault) {
				t.Errorf("%s fails: %v", point, err)
			}
			w.faultP = ""
			if point == "save" && done {
				w.losses = 1
			} else if s, err := w.succeed(w.dir); err != nil || s.Found != (point == "save" || point == "appendsuper" && done) {
				t.Errorf("after %s failed: %+v, %v", point, s, err)
			}
			w.settled(w.dir, "a")
			if len(w.super) < leavesLeft+2 || w.super[leavesLeft+1].Leaf.AboutSuperLog() {
				t.Errorf("after %s failed there are two declarations, or nothing after one", point)
			}
		}
	}
}

func TestOnlyASuperLogThatHoldsIsSucceeded(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*restored)
		want   error
	}{
		"a leaf edited":   {func(w *restored) { w.super[1].Leaf.Size++ }, signer.ErrRefused},
		"a leaf gone":     {func(w *restored) { w.super = slices.Delete(w.super, 1, 2) }, signer.ErrRefused},
		"a leaf replaced": {func(w *restored) { w.super[1].Leaf.Size++; w.super[1].Stored = w.super[1].Leaf.Hash() }, signer.ErrRefused},
		"another replica": {func(w *restored) { w.holder, w.heldUntil = uuid.New(), w.now.Add(time.Hour) }, signer.ErrStandby},
	} {
		w := newRestored(t)
		row.change(w)
		left := len(w.super)
		if s, err := w.succeed(w.dir); !errors.Is(err, row.want) || len(w.super) != left {
			t.Errorf("%s: %+v, %v, and %d of %d leaves", name, s, err, len(w.super), left)
		}
	}
}

// TestAnUnknownSuccessionIsRefused has another log's, or one of the future, in place of
// the next leaf.
func TestAnUnknownSuccessionIsRefused(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"bank.example/super-log", "bank.example/2/super-log", "other.example/super-log", "bank.example"} {
		w, p := signed(t)
		l, _, err := chain.NewSuccession(chain.Checkpoint{Origin: origin, Size: 9}, 1)
		if (err != nil) != (origin == "bank.example") {
			t.Fatal(err)
		}
		if err != nil {
			l = chain.SuperLeaf{Origin: origin, Size: 9, RecordedAt: 1} // of no generation
		}
		w.super = append(w.super, signer.SuperRow{Position: int64(len(w.super)), Leaf: l, Stored: l.Hash()})
		w.grow("a", 1)
		w.now = w.now.Add(2 * time.Minute)
		w.round(p)
		w.round(p)
		if !p.Stats()[uuid.Nil].Refused {
			t.Errorf("%s: %v", origin, w.log)
		}
	}
}

// TestTheSuccessorIsVouchedForByAPin starts without a state.
func TestTheSuccessorIsVouchedForByAPin(t *testing.T) {
	t.Parallel()
	w := newRestored(t)
	if _, err := w.succeed(w.dir); err != nil {
		t.Fatal(err)
	}
	w.settled(w.dir, "b")
	newest := w.checkpoints[uuid.Nil][len(w.checkpoints[uuid.Nil])-1]
	pin := chain.Checkpoint{Origin: "bank.example/2/super-log", Size: newest.Size, Root: newest.Root}
	p := w.newFolder(pin, pinOf(w.world, int64(len(w.ledgers[idOf("a")].leaves))), chain.Checkpoint{
		Origin: w.ledgers[idOf("b")].origin, Size: int64(len(w.ledgers[idOf("b")].leaves)), Root: chain.RootOf(w.ledgers[idOf("b")].leaves)})
	w.now = w.now.Add(2 * time.Minute)
	w.grow("b", 1)
	w.settle(p)
	if p.Stats()[uuid.Nil].Refused || p.state.SuperLog == nil || p.state.SuperLog.Origin != pin.Origin {
		t.Errorf("%+v, %v", p.state.SuperLog, w.log)
	}
	w.checkEverything()
}

// TestALedgerThatHasEndedIsLeftAlone has one that lost entries, which is refused, and
// one that is gone; a fresh state has neither.
func TestALedgerThatHasEndedIsLeftAlone(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	w.grow("gone", 3)
	w.now = w.now.Add(2 * time.Minute)
	w.settle(p)
	gone := w.ledgers[idOf("gone")]
	delete(w.ledgers, idOf("gone"))
	a := w.grow("a", 0)
	a.leaves = a.leaves[:len(a.leaves)-1]
	if r := w.round(p); r.Refused != 2 {
		t.Errorf("%+v, %v", r, w.log)
	}
	w.stop(p)
	published := len(w.checkpoints[idOf("a")])
	p = w.start(w.dir, func(c *signer.Config) { c.Ended = []string{a.origin, gone.origin, "bank.example/none"} })
	for range 3 {
		w.grow("a", 1)
		w.grow("b", 1)
		w.now = w.now.Add(2 * time.Minute)
		if r := w.round(p); r.Refused != 0 || r.Failed != 0 {
			t.Errorf("%+v, %v", r, w.log)
		}
	}
	said := strings.Join(w.log, "\n")
	if !strings.Contains(said, a.origin+" has ended") || !strings.Contains(said, gone.origin+" has ended") || !strings.Contains(said, "no ledger has the origin bank.example/none") {
		t.Errorf("it says %s", said)
	}
	if n := len(w.checkpoints[idOf("b")]); n != 3 || len(w.checkpoints[idOf("a")]) != published {
		t.Errorf("%d checkpoints of the other ledger", n)
	}
	if last := w.super[len(w.super)-1].Leaf; last.LedgerID != idOf("b") {
		t.Errorf("the last leaf is about %s", last.Origin)
	}
}
