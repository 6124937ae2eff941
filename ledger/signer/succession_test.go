package signer_test

import (
	"crypto/sha256"
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
	backup  *world
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
	w := newRestoredOf(t, leavesSigned, leavesLeft)
	w.restore()
	return w
}

// newRestoredOf signs some leaves, and makes a backup on the way, which is not restored.
func newRestoredOf(t *testing.T, signed, left int) *restored {
	t.Helper()
	w := &restored{world: newWorld(t), replica: t.TempDir()}
	p := w.start(w.dir, nil)
	w.keep()
	for n := range signed {
		w.grow("a", 1)
		w.now = w.now.Add(2 * time.Minute)
		w.settle(p)
		switch n + 1 {
		case leavesKnown:
			w.copyFiles(w.replica)
		}
		if n+1 == left {
			w.keep()
		}
	}
	last := p.state.SuperLog
	if len(w.super) != signed || last.Size != int64(signed) {
		t.Fatalf("%d leaves, and %d in the state", len(w.super), last.Size)
	}
	w.signed = chain.Checkpoint{Origin: last.Origin, Size: last.Size, Root: chain.Hash(last.Root)}
	w.stop(p)
	return w
}

// keep makes a backup of the super-log, restore brings it back.
func (w *restored) keep() {
	w.backup = &world{super: slices.Clone(w.super), checkpoints: maps.Clone(w.checkpoints), nodes: map[uuid.UUID]map[[2]int64]chain.Hash{uuid.Nil: maps.Clone(w.nodes[uuid.Nil])}, shown: maps.Clone(w.shown)}
}

func (w *restored) restore() {
	b := w.backup
	w.super, w.checkpoints[uuid.Nil], w.nodes[uuid.Nil], w.shown[uuid.Nil] = slices.Clone(b.super), slices.Clone(b.checkpoints[uuid.Nil]), maps.Clone(b.nodes[uuid.Nil]), b.shown[uuid.Nil]
}

// copyFiles copies key and state to another folder.
func (w *restored) copyFiles(to string) {
	w.t.Helper()
	for _, name := range []string{"state.json", "signer.key"} {
		content, err := os.ReadFile(filepath.Join(w.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), content, 0o600)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// succeed declares the loss with the files of a folder.
func (w *restored) succeed(dir string) (signer.Succession, error) { return w.succeedWith(dir, false) }

func (w *restored) succeedWith(dir string, allLost bool) (signer.Succession, error) {
	w.t.Helper()
	p := w.start(dir, nil)
	defer w.stop(p)
	w.before = nil
	c := p.Config
	c.State = p.state
	s, err := signer.Succeed(w.t.Context(), c, allLost)
	if err == nil {
		w.superOrigin = s.Successor
	}
	return s, err
}

// rootAt is the root of the first leaves.
func (w *restored) rootAt(size int) chain.Hash { return chain.RootOf(w.leavesOf(uuid.Nil)[:size]) }

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
	w.newestIsBy(w.superOrigin)
	last, about := "", w.ledgers[idOf(name)].origin
	for i, r := range w.super {
		if r.Leaf.AboutSuperLog() {
			last, _ = r.Leaf.Successor(w.rootAt(i + 1))
		}
		if r.Leaf.Origin == about {
			about = ""
		}
	}
	if last != w.superOrigin || about != "" {
		w.t.Errorf("the leaves lead to %s, want %s, and do not name %s", last, w.superOrigin, about)
	}
	for text := range w.notes { // what was signed of lost leaves is of no log that is left
		if c, err := chain.ParseCheckpoint(text); err == nil && strings.HasSuffix(c.Origin, chain.SuperSuffix) && c.Origin != w.superOrigin {
			delete(w.notes, text)
		}
	}
	w.checkEverything()
}

// newestIsBy wants the newest checkpoint of the super-log to cover all leaves, and to be
// signed under an origin.
func (w *restored) newestIsBy(origin string) {
	w.t.Helper()
	newest := w.checkpoints[uuid.Nil][len(w.checkpoints[uuid.Nil])-1]
	text, err := w.key.VerifierKey(origin)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := chain.ParseLogKey(text)
	if err != nil {
		w.t.Fatal(err)
	}
	if signed, err := chain.OpenCheckpoint(newest.Note, key); err != nil || newest.Size != int64(len(w.super)) || !signed.SignedByLog() || signed.Origin != origin {
		w.t.Errorf("the newest checkpoint of the super-log, of %d leaves, is %s: %v", len(w.super), newest.Note, err)
	}
}

func TestASuperLogThatHasLostLeavesIsSucceeded(t *testing.T) {
	t.Parallel()
	w := newRestored(t)
	w.superRefused(w.dir)
	s, err := w.succeed(w.dir)
	if err != nil || s.Found || s.Left != leavesLeft || !strings.HasPrefix(s.Successor, "bank.example/2-") ||
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

// TestADeclarationThatIsLostIsMadeAgain restores the same backup once more, before
// anything beyond the declaration was signed: the tree becomes the same.
func TestADeclarationThatIsLostIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newRestored(t)
	first, err := w.succeed(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.restore()
	w.now = w.now.Add(time.Minute)
	w.superRefused(w.dir)
	if s, err := w.succeed(w.dir); err != nil || s != first {
		t.Fatalf("%+v, %v, and it was %+v", s, err, first)
	}
	w.settled(w.dir, "a")
}

// TestASuccessorIsSucceeded restores the database once more, after the successor was
// signed: to before its declaration, or to after it.
func TestASuccessorIsSucceeded(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		w := newRestored(t)
		second, err := w.succeed(w.dir)
		if err != nil {
			t.Fatal(err)
		}
		if after {
			p := w.start(w.dir, nil)
			w.round(p)
			w.stop(p)
			w.keep()
		}
		w.settled(w.dir, "a")
		w.restore()
		w.superRefused(w.dir)
		third, err := w.succeed(w.dir)
		if err != nil || third.Found || third.Left != int64(len(w.backup.super)) || !strings.HasPrefix(third.Successor, "bank.example/3-") || third.Leaf.Origin != second.Successor {
			t.Fatalf("%+v, %v", third, err)
		}
		w.settled(w.dir, "a")
	}
}

// declaredTwice has a replica declare the same loss of the same backup, after the first
// declaration was signed and another restore.
func declaredTwice(t *testing.T) (w *restored, first signer.Succession) {
	t.Helper()
	w = newRestored(t)
	w.copyFiles(w.replica)
	first, err := w.succeed(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.settled(w.dir, "a")
	w.settled(w.dir, "a")
	w.restore()
	w.now = w.now.Add(time.Minute)
	second, err := w.succeed(w.replica)
	if err != nil || second.Found || second.Successor == first.Successor {
		t.Fatalf("%+v, %v", second, err)
	}
	w.settled(w.replica, "a")
	return w, first
}

// TestTwoDeclarationsGiveTwoNames: what both sign must not contradict.
func TestTwoDeclarationsGiveTwoNames(t *testing.T) {
	t.Parallel()
	w, _ := declaredTwice(t)
	w.oneRoot()
}

// TestAnotherKeyTakesTheNameThatIsSigned begins with a key that has signed nothing.
func TestAnotherKeyTakesTheNameThatIsSigned(t *testing.T) {
	t.Parallel()
	w := newRestored(t)
	if _, err := w.succeed(w.dir); err != nil {
		t.Fatal(err)
	}
	w.settled(w.dir, "a")
	seed := sha256.Sum256([]byte("another"))
	var err error
	if w.key, err = chain.NewSigningKey(seed[:]); err != nil {
		t.Fatal(err)
	}
	w.settled(t.TempDir(), "a")
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
			s, err := w.succeed(w.dir)
			if point == "appendsuper" && done {
				if w.superOrigin, _ = w.super[leavesLeft].Leaf.Successor(w.rootAt(leavesLeft + 1)); !errors.Is(err, signer.ErrNothingLost) {
					t.Errorf("after %s failed: %+v, %v", point, s, err)
				}
			} else if err != nil || s.Found {
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
	forged := func(w *restored, lost chain.Checkpoint) {
		l, err := chain.NewSuccession(lost, w.now.UnixMicro())
		if err != nil {
			t.Fatal(err)
		}
		w.super = append(w.super, signer.SuperRow{Position: int64(len(w.super)), Leaf: l, Stored: l.Hash()})
	}
	edit := func(r *signer.SuperRow) {
		r.Leaf.Size++
		r.Stored = r.Leaf.Hash()
	}
	for name, row := range map[string]struct {
		change func(*restored)
		want   error
	}{
		"a leaf edited":   {func(w *restored) { w.super[1].Leaf.Size++ }, signer.ErrRefused},
		"a leaf gone":     {func(w *restored) { w.super = slices.Delete(w.super, 1, 2) }, signer.ErrRefused},
		"a leaf replaced": {func(w *restored) { edit(&w.super[1]) }, signer.ErrRefused},
		"and all checkpoints": {func(w *restored) {
			edit(&w.super[1])
			w.checkpoints[uuid.Nil] = nil
		}, signer.ErrRefused}, // the state has the root of the first four
		"the last leaf replaced, and all checkpoints": {func(w *restored) {
			edit(&w.super[3])
			w.super, w.checkpoints[uuid.Nil] = w.super[3:], nil
			w.super[0].Position = 0
		}, signer.ErrUnproven},
		"a leaf that nobody signed": {func(w *restored) {
			w.super = append(w.super, w.super[3])
			w.super[4].Position = 4
			edit(&w.super[4])
		}, signer.ErrRefused},
		"checkpoints beyond": {func(w *restored) {
			w.checkpoints[uuid.Nil] = append(w.checkpoints[uuid.Nil], signer.Checkpoint{Size: 6})
		}, signer.ErrRefused},
		"the declaration that is due, by somebody else": {func(w *restored) { forged(w, w.signed) }, signer.ErrRefused},
		"a forged declaration":                          {func(w *restored) { forged(w, chain.Checkpoint{Origin: w.signed.Origin, Size: 9}) }, signer.ErrRefused},
		"of a far generation": {func(w *restored) {
			forged(w, chain.Checkpoint{Origin: "bank.example/999998-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b/super-log", Size: 9})
		}, signer.ErrRefused},
		"of none": {func(w *restored) {
			l := chain.SuperLeaf{Origin: w.signed.Origin, Size: 9}
			w.super = append(w.super, signer.SuperRow{Position: leavesLeft, Leaf: l, Stored: l.Hash()})
		}, signer.ErrRefused},
		"another replica": {func(w *restored) { w.holder, w.heldUntil = uuid.New(), w.now.Add(time.Hour) }, signer.ErrStandby},
		"nothing left":    {func(w *restored) { w.super, w.checkpoints[uuid.Nil] = nil, nil }, signer.ErrUnproven},
		"another key": {func(w *restored) {
			seed := sha256.Sum256([]byte("another"))
			w.key, _ = chain.NewSigningKey(seed[:])
		}, signer.ErrOtherKey},
	} {
		w := newRestored(t)
		row.change(w)
		left := len(w.super)
		if s, err := w.succeed(w.dir); !errors.Is(err, row.want) || len(w.super) != left {
			t.Errorf("%s: %+v, %v, and %d of %d leaves", name, s, err, len(w.super), left)
		}
	}
}

func TestASuperLogThatIsAllLostIsSucceeded(t *testing.T) {
	t.Parallel()
	w := newRestored(t)
	w.super, w.checkpoints[uuid.Nil], w.nodes[uuid.Nil] = nil, nil, nil
	if s, err := w.succeedWith(w.dir, true); err != nil || s.Left != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	p := w.start(w.dir, nil)
	w.grow("a", 1)
	w.now = w.now.Add(2 * time.Minute)
	w.settle(p)
	w.newestIsBy(w.superOrigin)
}

// TestAnUnknownSuccessionIsRefused has another log's, or one of the future, in place of
// the next leaf.
func TestAnUnknownSuccessionIsRefused(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"bank.example/super-log", "bank.example/2-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b/super-log", "other.example/super-log", "bank.example"} {
		w, p := signed(t)
		l, err := chain.NewSuccession(chain.Checkpoint{Origin: origin, Size: 9}, 1)
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
	pin := chain.Checkpoint{Origin: w.superOrigin, Size: newest.Size, Root: newest.Root}
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
	if !strings.Contains(said, a.origin+" is said to have ended") || !strings.Contains(said, gone.origin+" is said to have ended") || !strings.Contains(said, "no ledger has the origin bank.example/none") {
		t.Errorf("it says %s", said)
	}
	if !p.Stats()[idOf("a")].Ended || p.Stats()[idOf("b")].Ended {
		t.Errorf("%+v", p.Stats())
	}
	if n := len(w.checkpoints[idOf("b")]); n != 3 || len(w.checkpoints[idOf("a")]) != published {
		t.Errorf("%d checkpoints of the other ledger", n)
	}
	if last := w.super[len(w.super)-1].Leaf; last.LedgerID != idOf("b") {
		t.Errorf("the last leaf is about %s", last.Origin)
	}
}

// TestOnlyTheLedgerThatIsNamedHasEnded has other rows and ledgers bear its origin.
func TestOnlyTheLedgerThatIsNamedHasEnded(t *testing.T) {
	t.Parallel()
	for name, leaf := range map[string]chain.SuperLeaf{
		"another ledger's id": {LedgerID: idOf("x"), Size: 1},
		"a size beyond":       {LedgerID: idOf("a"), Size: 1 << 40},
		"another root":        {LedgerID: idOf("a"), Size: 17},
	} {
		w, p := signed(t)
		w.stop(p)
		leaf.Origin, leaf.Root, leaf.RecordedAt = w.ledgers[idOf("a")].origin, chain.Hash{9}, 1
		w.checkpoints[leaf.LedgerID] = append(w.checkpoints[leaf.LedgerID], signer.Checkpoint{Size: leaf.Size, Root: leaf.Root})
		w.super = append(w.super, signer.SuperRow{Position: int64(len(w.super)), Leaf: leaf, Stored: leaf.Hash()})
		w.ledgers[idOf("copy")] = &logbook{origin: leaf.Origin, leaves: []chain.Hash{{1}}}
		p = w.start(w.dir, func(c *signer.Config) { c.Ended = []string{leaf.Origin} })
		for range 3 {
			w.now = w.now.Add(2 * time.Minute)
			w.round(p)
		}
		if n := w.checkpoints[uuid.Nil][len(w.checkpoints[uuid.Nil])-1].Size; n != int64(len(w.super))-1 {
			t.Errorf("%s: %d of %d leaves are signed", name, n, len(w.super))
		}
		if !p.Stats()[idOf("copy")].Refused {
			t.Errorf("%s: a copy that bears the origin is %+v", name, p.Stats()[idOf("copy")])
		}
	}
}
