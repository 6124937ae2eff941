package signer_test

import (
	"testing"
	"time"

	"tallystick/ledger/chain"
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
