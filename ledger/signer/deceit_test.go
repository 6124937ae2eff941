package signer_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/signer"
)

// roots returns the roots that were let out of an origin at a size.
func (w *world) roots(origin string, size int64) []chain.Hash {
	var all []chain.Hash
	for text := range w.notes {
		if c, err := chain.ParseCheckpoint(text); err == nil && c.Origin == origin && c.Size == size {
			all = append(all, c.Root)
		}
	}
	return all
}

// Whoever owns the database can make a second ledger with the origin of the
// first, or of the super-log: a name is signed for one history.
func TestTwoLedgersAreNotSignedUnderOneOrigin(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	origin := w.ledgers[idOf("a")].origin
	w.grow("b", 300).origin = origin
	w.grow("c", 1).origin = "bank.example/super-log"
	for _, restarted := range []bool{false, true} {
		if restarted {
			w.stop(p)
			p = w.start(w.dir, nil)
		}
		w.now = w.now.Add(2 * time.Minute)
		w.refuses(p, "b", "LEDGER_ID_MISMATCH@0")
		w.refuses(p, "c", "LEDGER_ID_MISMATCH@0")
		if roots := w.roots(origin, 300); len(roots) != 1 {
			t.Errorf("%d roots were signed for one size of %s", len(roots), origin)
		}
		if p.Stats()[idOf("a")].Refused {
			t.Error("the true one is refused too")
		}
	}
	w.stop(p)
}

// A signer that begins anew is held to every pin, not to one of them.
func TestEveryPinIsHeld(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	w.stop(p)
	good, wrong := pinOf(w, 50), pinOf(w, 100)
	wrong.Root[0] ^= 1
	for _, pins := range [][]chain.Checkpoint{{good, wrong}, {wrong, good}} {
		w.findings, w.log, w.heldUntil = nil, nil, time.Time{}
		p := w.newFolder(pins...)
		w.refuses(p, "a", "LOG_ROLLBACK@99")
		w.stop(p)
	}
}

// A leaf from a time to come would otherwise be a ledger's last one for long.
func TestAClockThatWasAheadKeepsNothingOutOfTheSuperLog(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	w.now = w.now.AddDate(1, 0, 0)
	w.grow("a", 1)
	w.settle(p)
	before := len(w.super)
	w.now = w.now.AddDate(-1, 0, 0).Add(time.Hour)
	for range 3 {
		w.grow("a", 1)
		w.now = w.now.Add(2 * time.Second)
		w.round(p)
	}
	if n := len(w.super) - before; n != 1 {
		t.Errorf("%d leaves, want one, and then none for a minute", n)
	}
	w.settle(p)
	w.checkEverything()
}

// On a ledger that is idle, too, and after a restart.
func TestACheckpointBeyondAnIdleLedgerIsRefused(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	w.stop(p)
	w.checkpoints[idOf("a")] = append(w.checkpoints[idOf("a")], signer.Checkpoint{Size: 500, Root: chain.Hash{1}})
	p = w.start(w.dir, nil)
	w.now = w.now.Add(2 * time.Minute)
	w.round(p)
	w.refuses(p, "a", "LOG_ROLLBACK@300")
	w.stop(p)
}

// A machine's name may change, and is the default of the host.
func TestTheSuperLogKeepsItsName(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	w.stop(p)
	asked := make(map[string]bool)
	p = w.start(w.dir, func(c *signer.Config) {
		announcing(w)(c)
		c.Announce, c.Host = nil, "other.example"
		cosign := c.Cosign
		c.Cosign = func(ctx context.Context, origin string, note []byte, prove func(int64) ([]chain.Hash, error)) ([]byte, error) {
			w.mu.Lock()
			asked[origin] = true
			w.mu.Unlock()
			return cosign(ctx, origin, note, prove)
		}
	})
	w.grow("a", 10)
	w.now = w.now.Add(2 * time.Minute)
	w.settle(p)
	w.checkEverything()
	if note := string(w.shown[uuid.Nil].Note); !strings.HasPrefix(note, "bank.example/super-log\n2\n") || asked["other.example/super-log"] {
		t.Errorf("shown is %q; witnesses were asked about %v", note, asked)
	}
	w.stop(p)
}

// A ledger of a million entries must not begin anew whenever the database does
// not answer for a moment.
func TestWhatWasCheckedBeforeAFailureIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grow("a", 400_000)
	p := w.start(w.dir, nil)
	w.round(p)
	checked := p.Stats()[idOf("a")].Checked
	w.faultP, w.faultN = "follow", w.calls["follow"]+2
	if r := w.round(p); r.Failed != 1 {
		t.Errorf("%+v", r)
	}
	if now := p.Stats()[idOf("a")].Checked; checked == 0 || now <= checked {
		t.Errorf("checked up to %d, and to %d after a failure", checked, now)
	}
	if len(w.notes) != 0 {
		t.Error("something was signed before the end was reached")
	}
	w.settle(p)
	w.checkEverything()
	w.stop(p)
}

// A round is short, however many ledgers are behind, and one that is not is
// signed in each.
func TestLedgersThatAreBehindKeepNoOtherWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grow("live", 1)
	p := w.start(w.dir, nil)
	w.settle(p)
	behind := []string{"a", "b", "c", "d"}
	for _, name := range behind {
		w.grow(name, 100_000)
	}
	checked := func() (n int64) {
		for _, s := range p.Stats() {
			n += s.Checked
		}
		return n
	}
	for range 3 {
		w.grow("live", 1)
		w.now = w.now.Add(2 * time.Second)
		before := checked()
		if r := w.round(p); !r.Backlog {
			t.Errorf("%+v", r)
		}
		if n := checked() - before; n > 131_072+2*16_384 {
			t.Errorf("a round followed %d entries", n)
		}
		if c := w.checkpoints[idOf("live")]; c[len(c)-1].Size != int64(len(w.ledgers[idOf("live")].leaves)) {
			t.Errorf("the ledger that is not behind was not signed: %d checkpoints", len(c))
		}
	}
	w.settle(p)
	if !slices.ContainsFunc(behind, func(name string) bool { return len(w.checkpoints[idOf(name)]) > 0 }) {
		t.Error("none of those that are behind was signed")
	}
	w.checkEverything()
	w.stop(p)
}

// A first start names the key in every ledger, which must not be one long round.
func TestTheKeyIsNamedInAFewLedgersARound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 150 {
		w.grow(fmt.Sprint(i), 1)
	}
	p := w.start(w.dir, announcing(w))
	for round := 1; round <= 3; round++ {
		if r := w.round(p); r.Backlog != (round < 3) {
			t.Errorf("round %d: %+v", round, r)
		}
		if named, signed := len(w.announced), len(w.checkpoints)-1; named != min(64*round, 150) || signed != named {
			t.Errorf("after round %d, %d ledgers name the key and %d are signed", round, named, signed)
		}
	}
	w.settle(p)
	w.checkEverything()
	w.stop(p)
}

// A key file that is gone is made again; that must not go unnoticed.
func TestAnotherKeyIsSaid(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	w.stop(p)
	said := func() int { return strings.Count(strings.Join(w.log, "\n"), "another key") }
	w.stop(w.start(w.dir, nil))
	if n := said(); n != 0 {
		t.Errorf("said %d times with the same key", n)
	}
	other, err := chain.NewSigningKey(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	w.key = other
	p = w.start(w.dir, nil)
	if n := said(); n != 1 {
		t.Errorf("said %d times: %v", n, w.log)
	}
	w.grow("a", 10)
	w.settle(p)
	w.checkEverything()
	w.stop(p)
	w.stop(w.start(w.dir, nil))
	if n := said(); n != 1 {
		t.Errorf("said %d times in all", n)
	}
}

// A replica that is stopped between its state and its note, and goes on after
// another has taken over and signed more, changes nothing of that.
func TestAReplicaThatSleptPublishesNothingOver(t *testing.T) {
	t.Parallel()
	w, p := signed(t)
	w.stop(p)
	second := w.newFolder(pinOf(w, 300), chain.Checkpoint{Origin: "bank.example/super-log", Size: 1, Root: w.super[0].Stored})
	a, slept := w.ledgers[idOf("a")].origin, false
	first := w.start(w.dir, func(c *signer.Config) {
		c.Cosign = func(_ context.Context, origin string, note []byte, _ func(int64) ([]chain.Hash, error)) ([]byte, error) {
			if origin == a && !slept {
				slept = true
				w.grow("a", 300)
				w.now = w.now.Add(time.Hour)
				if r := w.round(second); r.Standby {
					t.Errorf("the second does not take over: %+v", r)
				}
			}
			return note, nil
		}
	})
	w.grow("a", 10)
	w.now = w.now.Add(time.Hour)
	w.round(first)
	if shown := w.shown[idOf("a")].Size; !slept || shown != 610 {
		t.Errorf("slept %t; shown is size %d", slept, shown)
	}
	if r := w.round(first); !r.Standby {
		t.Errorf("the first goes on signing: %+v", r)
	}
	w.grow("a", 1)
	w.settle(second)
	w.checkEverything()
	w.stop(first)
	w.stop(second)
}
