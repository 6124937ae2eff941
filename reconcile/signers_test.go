package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// A chain that names a key that signs, and not one checkpoint: somebody removed them,
// or the signer never ran. Either way there is something to look into, unless the key
// went on record only just now.
func TestAKeyThatSignsAndNoCheckpointIsIncomplete(t *testing.T) {
	t.Parallel()
	const long, justNow = -5000 * time.Hour, 20 * time.Second
	add := func(names ...string) func(*testing.T, *book) {
		return func(t *testing.T, b *book) {
			for _, name := range names {
				b.changeKey(t, chain.KeyAdd, signingKey(t, name))
			}
		}
	}
	ended := func(action string) func(*testing.T, *book) {
		return func(t *testing.T, b *book) {
			add("signer")(t, b)
			b.changeKey(t, action, signingKey(t, "signer"))
		}
	}
	const unused, known, unknown = "names a key that signs. Either", "although the chain names a key", "there are none. A chain"
	for _, c := range []struct {
		name string
		in   time.Duration // from now until the entry that names the key
		keys func(*testing.T, *book)
		opts reconcile.Options
		want string // what is said of signatures
	}{
		{"long ago", long, add("signer"), reconcile.Options{}, unused},
		{"two minutes ago", -2 * time.Minute, add("signer"), reconcile.Options{}, unused},
		{"just now", justNow, add("signer"), reconcile.Options{}, known},
		{"in an hour", time.Hour, add("signer"), reconcile.Options{}, unused},
		{"a second key just now", long, func(t *testing.T, b *book) {
			add("signer")(t, b)
			b.now = time.Now().Add(justNow)
			add("next")(t, b)
		}, reconcile.Options{}, unused},
		{"no key", long, func(*testing.T, *book) {}, reconcile.Options{}, unknown},
		{"retired", long, ended(chain.KeyRetire), reconcile.Options{}, known},
		{"revoked", long, ended(chain.KeyRevoke), reconcile.Options{}, known},
		{"retired, and another", long, func(t *testing.T, b *book) { ended(chain.KeyRetire)(t, b); add("next")(t, b) }, reconcile.Options{}, unused},
		{"the chain", long, add("signer"), reconcile.Options{Level: reconcile.LevelChain}, unused},
		{"some entries", long, add("signer"), reconcile.Options{Spans: []reconcile.Span{{From: 0, To: 3}}}, unused},
		{"a bound on the age", long, add("signer"), reconcile.Options{Fresh: time.Hour}, unused},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				b := smallNamed("main")
				b.now = time.Now().UTC().Add(c.in)
				c.keys(t, b)
				b.transfer("cash", "customers:1", 5)
				b.write(t, connect(t, url))
				report := verifyWith(t, url, b.ledger, c.opts)
				status, said := reconcile.Verified, 0
				if c.want == unused {
					status, said = reconcile.Incomplete, 1
				}
				if len(report.Findings) > 0 || report.Status != status || report.Scope.Unchecked != said {
					t.Errorf("%s, %v, %q", report.Status, codes(report.Findings), report.NotChecked)
				}
				about := slices.DeleteFunc(slices.Clone(report.NotChecked), func(s string) bool { return !strings.HasPrefix(s, "signatures") })
				if len(about) != 1 || !strings.Contains(about[0], c.want) {
					t.Errorf("of signatures: %q, want one that has %q", about, c.want)
				}
			})
		})
	}
}

// What was signed and removed is missed, at the size of the head and at a cut below;
// what was signed after a cut is not missed at it.
func TestCheckpointsThatWereRemovedAreMissed(t *testing.T) {
	t.Parallel()
	const all = "delete from book.checkpoints; delete from book.tiles; delete from ops.heads"
	for _, c := range []struct {
		name, sql string
		cut       int64 // 0: none
		status    reconcile.Status
	}{
		{"nothing", "", 0, reconcile.Verified},
		{"everything", all, 0, reconcile.Incomplete},
		{"everything, at a cut", all, 50, reconcile.Incomplete},
		{"nothing, at a cut before the first", "", 50, reconcile.Verified},
		{"what is shown, at a cut before the first", "delete from ops.heads", 50, reconcile.Verified},
		{"what is shown", "delete from ops.heads", 0, reconcile.Tampered},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				conn, key := connect(t, url), signingKey(t, "signer")
				b, _ := sealedBook(t, key, 1)
				b.write(t, conn)
				b.seal(t, conn, key, sealedSizes...)
				for sql := range strings.SplitSeq(c.sql, ";") {
					mustExec(t, conn, sql)
				}
				opts := reconcile.Options{}
				if c.cut > 0 {
					opts.At = &reconcile.Cut{Size: c.cut, Head: b.leaves[c.cut-1]}
				}
				report := verifyWith(t, url, b.ledger, opts)
				if report.Status != c.status {
					t.Errorf("%s, want %s: %v, %q", report.Status, c.status, codes(report.Findings), report.NotChecked)
				}
				missed := slices.ContainsFunc(report.NotChecked, func(s string) bool { return strings.Contains(s, "hold one of them") })
				if missed != (c.status == reconcile.Incomplete) {
					t.Errorf("%q", report.NotChecked)
				}
			})
		})
	}
}
