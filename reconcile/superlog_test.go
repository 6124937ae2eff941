package reconcile_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// superSizes are the sizes at which the super-log of superCrime is signed.
var superSizes = []int64{1, 100, 300}

// superCrime is a super-log about a sealed ledger and another one, signed like both.
type superCrime struct {
	*crime
	log    *book // its leaves, in the place of entries
	leaves []chain.SuperLeaf
}

// newSuperCrime writes a super-log in which every other leaf is about a second
// ledger of which there is one entry.
func newSuperCrime(t *testing.T, url string) *superCrime {
	c := &superCrime{crime: &crime{t: t, conn: connect(t, url), key: signingKey(t, "signer")}}
	c.b, c.held = sealedBook(t, c.key, 1)
	c.b.write(t, c.conn)
	c.b.seal(t, c.conn, c.key, sealedSizes...)
	second := newBook("second")
	second.write(t, c.conn)
	c.log = &book{ledger: store.SuperLog}
	c.log.terms.Origin = "tallystick.test/super-log"
	var root chain.Hash
	for i := range superSizes[len(superSizes)-1] {
		l := chain.SuperLeaf{LedgerID: second.ledger, Origin: second.terms.Origin, Size: 1 + i, Root: root, RecordedAt: shownAt.UnixMicro() + i}
		if n := i / 2; i%2 == 0 && n < int64(len(sealedSizes)) {
			l.LedgerID, l.Origin, l.Size, l.Root = c.b.ledger, c.b.terms.Origin, sealedSizes[n], c.b.rootAt(sealedSizes[n])
		} else {
			mustExec(t, c.conn, "insert into book.checkpoints values ($1, $2, $3, 'no note', now())", l.LedgerID, l.Size, l.Root[:])
		}
		c.put(i, l)
	}
	c.log.seal(t, c.conn, c.key, superSizes...)
	c.opts = reconcile.Options{SuperLog: true, Others: true}
	return c
}

// put appends a leaf.
func (c *superCrime) put(position int64, l chain.SuperLeaf) {
	leaf := l.Hash()
	c.leaves, c.log.leaves = append(c.leaves, l), append(c.log.leaves, leaf)
	mustExec(c.t, c.conn, "insert into book.super_log values ($1, $2, $3, $4, $5, timestamptz 'epoch' + $6 * interval '1 microsecond', $7)",
		position, l.LedgerID, l.Origin, l.Size, l.Root[:], l.RecordedAt, leaf[:])
}

// superState is what the signer knows of both ledgers and of the super-log.
func (c *superCrime) superState() *reconcile.Document {
	c.opts.Level = reconcile.LevelEvidence
	position := func(b *book, size int64) map[string]any {
		return map[string]any{"size": size, "root": b.rootAt(size).String(), "head": b.leaves[size-1].String()}
	}
	size := superSizes[len(superSizes)-1]
	data, err := json.Marshal(map[string]any{"version": 1, "super_log": position(c.log, size), "ledgers": map[string]any{
		c.b.ledger.String(): position(c.b, 298), newBook("second").ledger.String(): map[string]any{"size": 1},
	}})
	if err != nil {
		c.t.Fatal(err)
	}
	return document("state.json", data)
}

// edit changes a row and hashes it again.
func (c *superCrime) edit(position int64, change func(*chain.SuperLeaf)) {
	l := &c.leaves[position]
	change(l)
	leaf := l.Hash()
	mustExec(c.t, c.conn, "update book.super_log set size = $2, root = $3, leaf = $4 where position = $1", position, l.Size, l.Root[:], leaf[:])
}

func TestTheSuperLogIsVerified(t *testing.T) {
	t.Parallel()
	const mismatch = "SUPER_LOG_MISMATCH"
	for _, row := range []struct {
		name   string
		commit func(*superCrime)
		want   []string // codes of the findings, in order
		stored string   // of the first one
		status reconcile.Status
	}{
		{"nothing", func(*superCrime) {}, nil, "", reconcile.Verified},
		{"a row gone", func(c *superCrime) { c.do("delete from book.super_log where position = 40") }, []string{mismatch}, "leaf 41: position 41", tampered},
		{"the last rows gone", func(c *superCrime) { c.do("delete from book.super_log where position >= 298") }, []string{mismatch}, "leaf 298: 298 entries (TAIL_TRUNCATED)", tampered},
		{"all rows gone", func(c *superCrime) { c.do("delete from book.super_log") }, []string{mismatch}, "leaf 0: 0 entries (TAIL_TRUNCATED)", tampered},
		{"a column edited", func(c *superCrime) { c.do("update book.super_log set origin = 'x' where position = 7") }, []string{mismatch}, "leaf 7: ", tampered},
		{"a row about another size", func(c *superCrime) { c.edit(9, func(l *chain.SuperLeaf) { l.Size = 1 << 40 }) },
			[]string{mismatch, mismatch, mismatch}, "", tampered}, // its leaf names no checkpoint, and the tree and its root are others
		{"a row about another root", func(c *superCrime) { c.edit(299, func(l *chain.SuperLeaf) { l.Root[0]++ }) },
			[]string{mismatch, mismatch}, "", tampered},
		{"a checkpoint of the ledger gone", func(c *superCrime) {
			c.do("delete from book.checkpoints where ledger_id = '$L' and size = " + fmt.Sprint(sealedSizes[0]))
		}, []string{mismatch}, "leaf 0: no checkpoint of ledger ", tampered},
		{"a node replaced", func(c *superCrime) {
			c.do("update book.tiles set hash = root from book.super_log where book.tiles.ledger_id = '" + uuid.Nil.String() + "' and book.super_log.position = 0")
		}, []string{mismatch}, "leaf 255: node 0 of level 1", tampered},
		{"a note edited", func(c *superCrime) {
			c.do("update book.checkpoints set note = replace(note, chr(10) || '300' || chr(10), chr(10) || '299' || chr(10)) where size = 300 and ledger_id = '" + uuid.Nil.String() + "'")
		}, []string{mismatch}, "", tampered},
		{"a signature edited", func(c *superCrime) {
			c.do("update book.checkpoints set note = (select n.note from book.checkpoints n where n.ledger_id = '" + uuid.Nil.String() + "' and n.size = 100), root = (select n.root from book.checkpoints n where n.ledger_id = '" + uuid.Nil.String() + "' and n.size = 100) where size = 300 and ledger_id = '" + uuid.Nil.String() + "'")
		}, []string{mismatch}, "", tampered},
		{"signed by somebody else", func(c *superCrime) {
			c.do("delete from book.checkpoints where ledger_id = '" + uuid.Nil.String() + "'")
			c.log.seal(c.t, c.conn, signingKey(c.t, "thief"), superSizes...)
		}, nil, "", reconcile.Incomplete},
		{"signed by nobody at all", func(c *superCrime) {
			c.do("delete from book.checkpoints where ledger_id = '"+uuid.Nil.String()+"'", "delete from ops.heads where ledger_id = '"+uuid.Nil.String()+"'")
		}, nil, "", reconcile.Incomplete},
		{"nothing is shown", func(c *superCrime) {
			c.do("delete from ops.heads where ledger_id = '" + uuid.Nil.String() + "'")
		}, []string{mismatch}, "leaf 299: no row of ops.heads", tampered},
		{"something else is shown", func(c *superCrime) {
			c.do("update ops.heads set note = '' where ledger_id = '" + uuid.Nil.String() + "'")
		}, []string{mismatch}, "leaf 299: a note is shown that is not of the checkpoint of size 300", tampered},
		{"a checkpoint gone that is shown", func(c *superCrime) {
			c.do("delete from book.checkpoints where size = 300 and ledger_id = '" + uuid.Nil.String() + "'")
		}, []string{mismatch}, "leaf 299: no row of book.checkpoints", tampered},
		{"signed under the name of a ledger", func(c *superCrime) {
			c.do("delete from book.checkpoints where ledger_id = '" + uuid.Nil.String() + "'")
			c.log.terms.Origin = c.b.terms.Origin
			c.log.seal(c.t, c.conn, c.key, superSizes...)
		}, []string{mismatch}, "leaf 299: ", tampered},
		{"a ledger's end gone with all that says so, but for the super-log", func(c *superCrime) {
			size := sealedSizes[len(sealedSizes)-2]
			c.truncate(size)
			c.do(fmt.Sprintf("delete from book.checkpoints where ledger_id = '$L' and size > %d", size),
				fmt.Sprintf("delete from book.tiles where ledger_id = '$L' and (position + 1) * 256 > %d", size),
				fmt.Sprintf("update ops.heads set size = %d, note = (select c.note from book.checkpoints c where c.ledger_id = '$L' and c.size = %d) where ledger_id = '$L'", size, size))
		}, []string{"TAIL_TRUNCATED", mismatch}, "", tampered},
		{"a ledger gone with its rows, and the others moved up", func(c *superCrime) {
			c.do("delete from book.super_log where ledger_id <> '$L'", "update book.super_log set position = position / 2")
		}, []string{mismatch}, "", tampered},
		{"everything of the super-log gone, and the signer's state kept", func(c *superCrime) {
			c.opts.SignerState = c.superState()
			for _, table := range []string{"book.super_log", "book.checkpoints", "book.tiles", "ops.heads"} {
				if table == "book.super_log" {
					c.do("delete from book.super_log")
				} else {
					c.do("delete from " + table + " where ledger_id = '" + uuid.Nil.String() + "'")
				}
			}
		}, []string{mismatch}, "leaf 299: 0 leaves (LOG_ROLLBACK)", tampered},
		{"a ledger gone with all traces, and the signer's state kept", func(c *superCrime) {
			c.opts.SignerState = c.superState()
			for _, table := range []string{"book.entries", "book.ledgers", "ops.payloads", "book.checkpoints"} {
				c.do("delete from " + table + " where ledger_id not in ('$L', '" + uuid.Nil.String() + "')")
			}
			c.do("delete from book.super_log")
			c.do("delete from book.checkpoints where ledger_id = '" + uuid.Nil.String() + "'")
			c.do("delete from book.tiles where ledger_id = '" + uuid.Nil.String() + "'")
		}, []string{"LEDGER_MISSING", mismatch, mismatch, mismatch}, "no entries of ledger ", tampered},
		{"signed by somebody else, and a policy says who signs", func(c *superCrime) {
			c.opts.Policy = policyOf(c.t, "log %s\nlog %s\nquorum none\n", verifierKey(c.t, c.key, c.b.terms.Origin), verifierKey(c.t, c.key, c.log.terms.Origin))
			c.do("delete from book.checkpoints where ledger_id = '" + uuid.Nil.String() + "'")
			c.log.seal(c.t, c.conn, signingKey(c.t, "thief"), superSizes...)
		}, []string{mismatch}, "leaf 299: ", tampered},
		{"under another name, and a policy says which", func(c *superCrime) {
			c.opts.Policy = policyOf(c.t, "log %s\nlog %s\nquorum none\n", verifierKey(c.t, c.key, c.b.terms.Origin), verifierKey(c.t, c.key, c.log.terms.Origin))
			c.do("delete from book.checkpoints where ledger_id = '" + uuid.Nil.String() + "'")
			c.log.terms.Origin = "elsewhere/super-log"
			c.log.seal(c.t, c.conn, c.key, superSizes...)
		}, []string{mismatch}, "leaf 299: elsewhere/super-log", tampered},
		{"a row at the last position there is", func(c *superCrime) {
			c.do("insert into book.super_log select 9223372036854775807, ledger_id, origin, 100000, root, recorded_at, leaf from book.super_log where position = 1")
		}, []string{mismatch, mismatch, mismatch}, "", tampered},
		{"cut off, but for what is shown", func(c *superCrime) {
			c.do("delete from book.super_log where position >= 100", "delete from book.checkpoints where size > 100 and ledger_id = '"+uuid.Nil.String()+"'",
				"delete from book.tiles where ledger_id = '"+uuid.Nil.String()+"'")
		}, []string{mismatch, mismatch}, "", tampered},
		{"a node of a tree that cannot be", func(c *superCrime) {
			c.do("insert into book.tiles select ledger_id, 1, 4611686018427387902, hash from book.tiles where ledger_id = '" + uuid.Nil.String() + "' limit 1")
		}, []string{mismatch}, "", tampered},
		{"a row gone, and a name that cannot be", func(c *superCrime) {
			c.do("delete from book.super_log where position = 40")
			c.do("update book.checkpoints set note = replace(note, 'tallystick.test/super-log' || chr(10), 'a+b/super-log' || chr(10)) where size = 300 and ledger_id = '" + uuid.Nil.String() + "'")
		}, []string{mismatch, mismatch, mismatch}, "", tampered},
		{"rows that cannot be read", func(c *superCrime) { c.do("revoke select on book.super_log from tallystick_auditor") }, nil, "", reconcile.Incomplete},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				c := newSuperCrime(t, url)
				row.commit(c)
				report := verifyWith(t, url, c.b.ledger, c.opts)
				var got []string
				for i := range report.Findings {
					got = append(got, report.Findings[i].Code)
					if f := &report.Findings[i]; f.Code == mismatch && f.Seq != nil {
						t.Errorf("%s at entry %d of a ledger that has nothing to do with it", *f.Stored, *f.Seq)
					}
				}
				if report.Status != row.status || !slices.Equal(got, row.want) {
					t.Errorf("%s, %v: %v, want %s, %v", report.Status, got, report.NotChecked, row.status, row.want)
				}
				if row.stored != "" && !strings.HasPrefix(*report.Findings[0].Stored, row.stored) {
					t.Errorf("found %s, want %s", *report.Findings[0].Stored, row.stored)
				}
				stranger := slices.ContainsFunc(report.NotChecked, func(s string) bool {
					return strings.Contains(s, "is no key that a signer of any ledger here has on record")
				})
				if by := row.name == "signed by somebody else"; by && !stranger || row.name == "nothing" && stranger {
					t.Errorf("not checked: %v", report.NotChecked)
				}
				if l := report.Scope.SuperLog; row.name == "nothing" && (l == nil || l.Leaves != 300 || l.Ledgers != 2 || l.Size != 300 || !strings.HasPrefix(strings.Join(l.Keys, " "), "tallystick.test/super-log+")) {
					t.Errorf("the scope says %+v", l)
				}
				if row.name == "nothing" {
					said, err := json.Marshal(report.Signed.SuperLog)
					if want := `{"leaves":300,"ledgers":2,"size":300,"keys":["` + report.Scope.SuperLog.Keys[0] + `"],"unknown_keys":[],"successions":[]}`; err != nil || string(said) != want {
						t.Errorf("programs are told %s, want %s", said, want)
					}
				}
			})
		})
	}
}
