package reconcile_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// lostSize is what was signed of the super-log of superCrime before it lost leaves.
const lostSize = 307

// declare declares that the super-log has lost leaves. What c.name makes of an origin is
// that of the successor where it is empty.
func (c *superCrime) declare(lost chain.Checkpoint) {
	c.t.Helper()
	l, err := chain.NewSuccession(lost, shownAt.UnixMicro())
	if err != nil {
		c.t.Fatal(err)
	}
	c.put(int64(len(c.leaves)), l)
}

func (c *superCrime) name(origin string) string {
	if origin == "" {
		size := int64(len(c.leaves))
		origin, _ = c.leaves[size-1].Successor(c.log.rootAt(size))
	}
	return origin
}

// succeed declares a loss, and signs on under an origin.
func (c *superCrime) succeed(lost chain.Checkpoint, origin string) {
	c.t.Helper()
	c.declare(lost)
	c.log.terms.Origin = c.name(origin)
	c.log.seal(c.t, c.conn, c.key, int64(len(c.leaves)))
}

// lostOf is the checkpoint that was signed, of a root that no leaves have any more.
func lostOf(origin string, size int64) chain.Checkpoint {
	return chain.Checkpoint{Origin: origin, Size: size, Root: chain.Hash{1, byte(size)}}
}

// oldState is the state of a signer that does not know of the loss.
func (c *superCrime) oldState(kept chain.Checkpoint) *reconcile.Document {
	c.opts.Level = reconcile.LevelEvidence
	data, err := json.Marshal(map[string]any{"version": 1, "super_log": map[string]any{"origin": kept.Origin, "size": kept.Size, "root": kept.Root.String(), "head": kept.Root.String()},
		"ledgers": map[string]any{c.b.ledger.String(): map[string]any{"size": 298, "root": c.b.rootAt(298).String(), "head": c.b.leaves[297].String()}}})
	if err != nil {
		c.t.Fatal(err)
	}
	return document("state.json", data)
}

func TestASuccessorOfTheSuperLogIsVerified(t *testing.T) {
	t.Parallel()
	const first, later = "tallystick.test/super-log", "tallystick.test/3-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b/super-log"
	for _, row := range []struct {
		name        string
		commit      func(*superCrime)
		stored      string // of SUPER_LOG_MISMATCH; "" when nothing is found
		successions int
	}{
		{"declared", func(c *superCrime) { c.succeed(lostOf(first, lostSize), "") }, "", 1},
		{"declared twice", func(c *superCrime) {
			c.succeed(lostOf(first, lostSize), "")
			c.succeed(lostOf(c.log.terms.Origin, lostSize), "")
		}, "", 2},
		{"and one that another replica had declared", func(c *superCrime) {
			c.succeed(lostOf(first, lostSize), "")
			c.succeed(lostOf("tallystick.test/2-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b/super-log", lostSize), "")
		}, "", 2},
		{"declared twice, and the first declaration was lost too", func(c *superCrime) { c.succeed(lostOf(later, lostSize), "") }, "", 1},
		{"signed under the old name", func(c *superCrime) { c.succeed(lostOf(first, lostSize), first) }, "leaf 300: " + first + " (ORIGIN_MISMATCH)", 1},
		{"signed under a later name", func(c *superCrime) { c.succeed(lostOf(first, lostSize), later) }, "leaf 300: " + later + " (ORIGIN_MISMATCH)", 1},
		{"declared of one that was succeeded", func(c *superCrime) {
			c.succeed(lostOf(first, lostSize), "")
			c.succeed(lostOf(first, lostSize+1), c.log.terms.Origin)
		}, "leaf 301: a leaf by which \"" + first + "\" is succeeded", 1},
		{"declared of another host's", func(c *superCrime) {
			c.succeed(lostOf(first, lostSize), "")
			c.succeed(lostOf("other.test/super-log", lostSize+1), c.log.terms.Origin)
		}, "leaf 301: a leaf by which \"other.test/super-log\" is succeeded", 1},
		{"declared of another host's from the first", func(c *superCrime) { c.succeed(lostOf("other.test/super-log", lostSize), first) },
			"leaf 300: a leaf by which \"other.test/super-log\" is succeeded", 0},
		{"declared, and nothing is lost", func(c *superCrime) {
			c.succeed(chain.Checkpoint{Origin: first, Size: 300, Root: c.log.rootAt(300)}, first)
		}, "leaf 300: a leaf by which \"" + first + "\" is succeeded", 0},
		{"declared of no generation", func(c *superCrime) {
			c.put(300, chain.SuperLeaf{LedgerID: uuid.Nil, Origin: first, Size: lostSize, RecordedAt: 1})
			c.log.seal(c.t, c.conn, c.key, 301)
		}, "leaf 300: a leaf by which \"" + first + "\" is succeeded", 0},
		{"declared, and the leaf edited", func(c *superCrime) {
			c.succeed(lostOf(first, lostSize), "")
			c.do("update book.super_log set size = size + 1 where position = 300")
		}, "leaf 300: ", 0},
		{"and a state that knows of it", func(c *superCrime) {
			c.succeed(lostOf(first, lostSize), "")
			c.opts.SignerState = c.oldState(chain.Checkpoint{Origin: c.log.terms.Origin, Size: 301, Root: c.log.rootAt(301)})
		}, "", 1},
		{"and a state that begins anew", func(c *superCrime) {
			c.succeed(lostOf(first, lostSize), "")
			c.opts.SignerState = c.oldState(chain.Checkpoint{Origin: c.log.terms.Origin})
		}, "", 1},
		{"and a state of before, which was declared", func(c *superCrime) {
			c.succeed(lostOf(first, lostSize), "")
			c.opts.SignerState = c.oldState(lostOf(first, lostSize))
		}, "", 1},
		{"and a state of before, but nobody signed that", func(c *superCrime) {
			c.declare(lostOf(first, lostSize))
			c.opts.SignerState = c.oldState(lostOf(first, lostSize))
		}, "leaf 306: 301 leaves (LOG_ROLLBACK)", 1},
		{"and a state of before, but a thief signed that", func(c *superCrime) {
			key := c.key
			c.key = signingKey(c.t, "thief")
			c.succeed(lostOf(first, lostSize), "")
			c.key = key
			c.opts.SignerState = c.oldState(lostOf(first, lostSize))
		}, "leaf 306: 301 leaves (LOG_ROLLBACK)", 1},
		{"and a state of before its end", func(c *superCrime) {
			c.succeed(lostOf(first, lostSize), "")
			c.opts.SignerState = c.oldState(lostOf(first, lostSize-1))
		}, "", 1},
		{"and a state of before its end, and nobody signed that", func(c *superCrime) {
			c.declare(lostOf(first, lostSize))
			c.opts.SignerState = c.oldState(lostOf(first, lostSize-1))
		}, "leaf 305: 301 leaves (LOG_ROLLBACK)", 1},
		{"and a state of before its end, which is still there", func(c *superCrime) {
			c.succeed(lostOf(first, lostSize), "")
			c.opts.SignerState = c.oldState(chain.Checkpoint{Origin: first, Size: 200, Root: c.log.rootAt(200)})
		}, "", 1},
		{"and a state of before, with another root", func(c *superCrime) {
			c.succeed(lostOf(first, lostSize), "")
			kept := lostOf(first, lostSize)
			kept.Root[5]++
			c.opts.SignerState = c.oldState(kept)
		}, "leaf 306: 301 leaves (LOG_ROLLBACK)", 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				c := newSuperCrime(t, url)
				row.commit(c)
				report := verifyWith(t, url, c.b.ledger, c.opts)
				want := reconcile.Verified
				if row.stored != "" {
					want = tampered
				}
				if row.name == "and a state of before its end" {
					want = reconcile.Incomplete
				}
				if report.Status != want || len(report.Scope.SuperLog.Successions) != row.successions {
					t.Errorf("%s, %v, %+v", report.Status, report.NotChecked, report.Scope.SuperLog)
				}
				for i := range report.Findings {
					if f := &report.Findings[i]; f.Code != reconcile.SuperLogMismatch || !strings.HasPrefix(*f.Stored, row.stored) {
						t.Errorf("found %s %s, want %s", f.Code, *f.Stored, row.stored)
					}
				}
				if l := report.Scope.SuperLog; row.name == "declared" && (l.Leaves != 300 || l.Ledgers != 2 || l.Size != 301 || len(l.Keys) != 1 || l.Successions[0].Position != 300 || l.Successions[0].Size != lostSize) {
					t.Errorf("the scope says %+v", l)
				}
			})
		})
	}
}
