package signer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/signer"
)

// oneRoot wants every note that was let out so far to be the only one of its origin and
// size.
func (w *restored) oneRoot() {
	w.t.Helper()
	roots := make(map[string]chain.Hash)
	for _, note := range w.everything {
		text, _, _ := strings.Cut(note, "\n\n")
		c, err := chain.ParseCheckpoint(text + "\n")
		if err != nil {
			w.t.Fatal(err)
		}
		at := fmt.Sprintf("%s@%d", c.Origin, c.Size)
		if before, known := roots[at]; known && before != c.Root {
			w.t.Errorf("two notes of %s have the roots %s and %s", at, before, c.Root)
		}
		roots[at] = c.Root
	}
}

// TestEveryRestoreIsSucceeded restores each of the backups that there can be, twice, with
// a leaf or more in between.
func TestEveryRestoreIsSucceeded(t *testing.T) {
	t.Parallel()
	const most = 9
	for signed := 1; signed <= most; signed++ {
		for left := range signed {
			for grown := range 3 {
				w := newRestoredOf(t, signed, left)
				for range 2 {
					w.restore()
					s, err := w.succeedWith(w.dir, left == 0)
					if err != nil || s.Found || s.Left != int64(left) {
						t.Fatalf("%d of %d leaves left, %d grown since: %+v, %v", left, signed, grown, s, err)
					}
					for range grown {
						w.settled(w.dir, "a")
					}
				}
				w.settled(w.dir, "a")
				w.oneRoot()
			}
		}
	}
}

// TestAReplicaFollowsWhateverItHadSigned has replicas whose states end before, at and
// behind what is left.
func TestAReplicaFollowsWhateverItHadSigned(t *testing.T) {
	t.Parallel()
	for known := 1; known <= leavesSigned; known++ {
		w := newRestoredOf(t, known, min(known, leavesLeft))
		w.copyFiles(w.replica)
		p := w.start(w.dir, nil)
		for n := known; n < leavesSigned; n++ {
			w.grow("a", 1)
			w.now = w.now.Add(2 * time.Minute)
			w.settle(p)
			if n+1 == leavesLeft {
				w.keep()
			}
		}
		w.stop(p)
		w.restore()
		first, err := w.succeed(w.dir)
		if err != nil {
			t.Fatal(err)
		}
		w.settled(w.dir, "a")
		w.settled(w.dir, "a")
		s, err := w.succeed(w.replica)
		if err != nil || !s.Found || s.Successor != first.Successor || s.More != 0 {
			t.Fatalf("with a state of %d leaves: %+v, %v", known, s, err)
		}
		w.settled(w.replica, "a")
		w.settled(w.dir, "a")
		w.oneRoot()
	}
}

// TestALossThatIsMoreThanWasDeclaredIsTold declares it with a state of before the
// newest signature.
func TestALossThatIsMoreThanWasDeclaredIsTold(t *testing.T) {
	t.Parallel()
	w := newRestoredOf(t, leavesSigned, leavesLeft)
	w.copyFiles(w.replica)
	p := w.start(w.dir, nil)
	w.grow("a", 1)
	w.now = w.now.Add(2 * time.Minute)
	w.settle(p)
	w.stop(p)
	w.restore()
	if _, err := w.succeed(w.replica); err != nil {
		t.Fatal(err)
	}
	w.settled(w.replica, "a")
	if s, err := w.succeed(w.dir); err != nil || !s.Found || s.Leaf.Size != leavesSigned || s.More != leavesSigned+1 {
		t.Errorf("%+v, %v", s, err)
	}
	w.settled(w.dir, "a")
}

// TestSiblingsAreBothBound has two replicas declare the loss of one backup, restored
// twice; the first one then finds the other's.
func TestSiblingsAreBothBound(t *testing.T) {
	t.Parallel()
	w, first := declaredTwice(t)
	third, err := w.succeed(w.dir)
	if err != nil || third.Found || third.Leaf.Origin != first.Successor || !strings.HasPrefix(third.Successor, "bank.example/3-") {
		t.Fatalf("%+v, %v", third, err)
	}
	w.settled(w.dir, "a")
	if s, err := w.succeed(w.replica); err != nil || !s.Found || s.Successor != third.Successor {
		t.Fatalf("%+v, %v", s, err)
	}
	w.settled(w.replica, "a")
	w.oneRoot()
}

// TestLeavesThatComeBackAreTaken restores an old backup, and later a newer one.
func TestLeavesThatComeBackAreTaken(t *testing.T) {
	t.Parallel()
	w := newRestoredOf(t, leavesSigned, leavesLeft)
	old := w.backup
	w.keep()
	newer := w.backup
	w.backup = old
	w.restore()
	second, err := w.succeed(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.settled(w.dir, "a")
	w.backup = newer
	w.restore()
	third, err := w.succeed(w.dir)
	if err != nil || third.Left != leavesSigned || third.Leaf.Origin != second.Successor {
		t.Fatalf("%+v, %v", third, err)
	}
	w.settled(w.dir, "a")
	w.oneRoot()
}

// TestADeclarationStandsForItsTreeAlone puts it, or what it was made from, on another tree.
func TestADeclarationStandsForItsTreeAlone(t *testing.T) {
	t.Parallel()
	w := newRestored(t)
	w.copyFiles(w.replica)
	first, err := w.succeed(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.settled(w.dir, "a")
	w.restore()
	w.super = append(w.super[:3], signer.SuperRow{Position: 3, Leaf: first.Leaf, Stored: first.Leaf.Hash()})
	w.checkpoints[uuid.Nil] = slices.DeleteFunc(w.checkpoints[uuid.Nil], func(c signer.Checkpoint) bool { return c.Size > 3 })
	for _, dir := range []string{w.replica, w.dir} {
		if s, err := w.succeed(dir); !errors.Is(err, signer.ErrRefused) {
			t.Errorf("a declaration that was copied: %+v, %v", s, err)
		}
	}

	w = newRestoredOf(t, leavesSigned, 3)
	w.restore()
	if first, err = w.succeed(w.dir); err != nil {
		t.Fatal(err)
	}
	p := w.start(w.dir, nil)
	w.round(p)
	w.stop(p)
	w.restore()
	w.super[2].Leaf.RecordedAt++
	w.super[2].Stored = w.super[2].Leaf.Hash()
	w.checkpoints[uuid.Nil] = w.checkpoints[uuid.Nil][:2]
	if s, err := w.succeed(w.dir); err == nil && s.Successor == first.Successor {
		t.Errorf("on an edited leaf: %+v", s)
	}
	w.settled(w.dir, "a")
	w.oneRoot()
}

// TestAStandbyKnowsWhatWasSigned has one replica sign and another one check, which takes
// over after a restore.
func TestAStandbyKnowsWhatWasSigned(t *testing.T) {
	t.Parallel()
	w := newRestoredOf(t, 2, 2)
	dir, pins := t.TempDir(), []chain.Checkpoint{w.signed, pinOf(w.world, int64(len(w.ledgers[idOf("a")].leaves)))}
	holder, standby := w.start(w.dir, nil), w.start(dir, func(c *signer.Config) { c.Pins = pins })
	w.before = nil
	for n := 2; n < leavesSigned; n++ {
		w.grow("a", 1)
		w.now = w.now.Add(2 * time.Minute)
		for range 5 {
			w.now = w.now.Add(time.Second)
			w.round(holder)
			if r := w.round(standby); !r.Standby || r.Failed > 0 || r.Refused > 0 {
				t.Fatalf("%+v, %v", r, w.log)
			}
		}
		if n+1 == leavesLeft {
			w.keep()
		}
	}
	if size := standby.state.SuperLog.Size; size != leavesSigned {
		t.Errorf("the state of the standby has %d leaves", size)
	}
	w.stop(holder)
	w.restore()
	w.heldUntil = time.Time{}
	for range 5 {
		w.grow("a", 1)
		w.now = w.now.Add(2 * time.Minute)
		w.round(standby)
	}
	if !standby.Stats()[uuid.Nil].Refused || standby.Stats()[idOf("a")].Refused {
		t.Errorf("%+v", standby.Stats())
	}
	w.stop(standby)
	w.oneRoot()
	if _, err := w.succeed(dir); err != nil {
		t.Fatal(err)
	}
	w.settled(dir, "a")
	w.oneRoot()
}

// TestABackupOfADeclarationIsRestored has a backup that was made before the declaration
// was signed, and one with a leaf that was not.
func TestABackupOfADeclarationIsRestored(t *testing.T) {
	t.Parallel()
	w := newRestored(t)
	second, err := w.succeed(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.keep()
	w.settled(w.dir, "a")
	w.settled(w.dir, "a")
	w.restore()
	third, err := w.succeed(w.dir)
	if err != nil || third.Left != leavesLeft+1 || third.Leaf.Origin != second.Successor {
		t.Fatalf("%+v, %v", third, err)
	}
	w.settled(w.dir, "a")
	w.oneRoot()

	w = newRestoredOf(t, leavesSigned, leavesLeft)
	old := w.backup
	w.keep()
	newer := w.backup
	newer.checkpoints[uuid.Nil] = newer.checkpoints[uuid.Nil][:leavesSigned-1] // the last leaf was not signed
	newer.shown[uuid.Nil] = newer.checkpoints[uuid.Nil][leavesSigned-2]
	w.backup = old
	w.restore()
	if _, err := w.succeed(w.dir); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		w.settled(w.dir, "a")
	}
	w.backup = newer
	w.restore()
	s, err := w.succeed(w.dir)
	if errors.Is(err, signer.ErrRefused) {
		s, err = w.succeedWith(w.dir, true)
	}
	if err != nil || s.Left != leavesSigned {
		t.Fatalf("%+v, %v", s, err)
	}
	w.settled(w.dir, "a")
	w.oneRoot()
}
