package reconcile_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// leavesOf are made-up entry hashes.
func leavesOf(n int) []chain.Hash {
	leaves := make([]chain.Hash, n)
	for i := range leaves {
		binary.BigEndian.PutUint64(leaves[i][:], uint64(i))
	}
	return leaves
}

// The tree of the verifier is the one that signers and proofs use, at every size,
// and it tells of every stored node, once and in order.
func TestTheVerifiersTreeIsTheSigners(t *testing.T) {
	t.Parallel()
	const n = 66_000
	leaves := leavesOf(n)
	var f chain.Frontier
	var stored []string
	m := reconcile.NewMerkle(f)
	for i, leaf := range leaves {
		f.Append(leaf)
		m.Add(0, leaf, func(level int, position int64, node chain.Hash) {
			width := int64(1) << (8 * level)
			if want := chain.RootOf(leaves[position*width : (position+1)*width]); node != want {
				t.Errorf("node %d of level %d is %s, want %s", position, level, node, want)
			}
			stored = append(stored, fmt.Sprintf("%d/%d", level, position))
		})
		if i < 600 || i > n-600 {
			if m.Root() != f.Root() {
				t.Fatalf("size %d: root %s, want %s", i+1, m.Root(), f.Root())
			}
		}
	}
	var want []string
	for at := range n / chain.TileWidth {
		if want = append(want, fmt.Sprintf("1/%d", at)); at == chain.TileWidth-1 {
			want = append(want, "2/0")
		}
	}
	if !slices.Equal(stored, want) {
		t.Errorf("told of %v", stored)
	}
	again := reconcile.NewMerkle(f)
	if again.Root() != f.Root() {
		t.Error("a tree that is continued has another root")
	}
}

// However many checkpoints there are, each is looked at: more than a page.
func TestEveryCheckpointIsHeldAgainstTheTree(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		key := signingKey(t, "signer")
		b, _ := sealedBook(t, key, 1)
		conn := connect(t, url)
		b.write(t, conn)
		var sizes []int64
		for size := int64(8); size <= sealedEntries; size++ {
			sizes = append(sizes, size)
		}
		b.seal(t, conn, key, sizes...)
		report := verifyWith(t, url, b.ledger, reconcile.Options{})
		if s := report.Scope.Signing; report.Status != reconcile.Verified || s.Checkpoints != int64(len(sizes)) || s.Unsealed != 0 || s.Nodes != 1 {
			t.Fatalf("%s: %+v, %v, %v", report.Status, s, codes(report.Findings), report.NotChecked)
		}
		for _, size := range []int64{8, 135, 136, 137, 263, 299} { // about the ends of pages
			signed, err := key.Sign(chain.Checkpoint{Origin: b.terms.Origin, Size: size, Root: chain.EmptyRoot})
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, conn, "update book.checkpoints set note = $1, root = $2 where size = $3", string(signed), chain.EmptyRoot[:], size)
			report := verifyWith(t, url, b.ledger, reconcile.Options{Level: reconcile.LevelChain})
			if got, want := codes(report.Findings), []string{fmt.Sprintf("CHECKPOINT_ROOT_MISMATCH@%d", size-1)}; !slices.Equal(got, want) {
				t.Errorf("found %v, want %v", got, want)
			}
			root := b.rootAt(size)
			mustExec(t, conn, "update book.checkpoints set note = $1, root = $2 where size = $3", string(b.sign(t, key, size)), root[:], size)
		}
	})
}

// The first pass holds the tree against the leaves on all workers at once; where
// that shows anything wrong, the walk in order says what, and the same as ever.
func TestStripesAddUpToOneTree(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		key := signingKey(t, "signer")
		b, _ := sealedBook(t, key, 1)
		for b.next < 2100 {
			b.transfer("cash", "customers:1", 1+b.next%7)
		}
		conn := connect(t, url)
		b.write(t, conn)
		b.seal(t, conn, key, 100, 256, 512, 700, 1024, 1500, 1792, 2090)
		db := auditor(t, url, 8)
		hold := func(want bool) {
			t.Helper()
			for _, workers := range []int{1, 2, 3, 7} {
				holds, trees, err := reconcile.StripesHold(t.Context(), db, b.ledger, workers)
				if err != nil || holds != want || trees < min(workers, 4) { // of 2,100 entries, seven workers get five stripes
					t.Errorf("%d workers: %v with %d trees, want %v: %v", workers, holds, trees, want, err)
				}
				report, err := reconcile.VerifyInBlocks(t.Context(), db, b.ledger, reconcile.Options{Level: reconcile.LevelColumns, Workers: workers})
				if err != nil {
					t.Fatal(err)
				}
				if s := report.Scope.Signing; want && (report.Status != reconcile.Verified || s.Checkpoints != 8 || s.Nodes != 8 || s.Size != 2090) {
					t.Errorf("%d workers: %s, %+v", workers, report.Status, s)
				}
				inOrder := verify(t, url, b.ledger) // one stripe
				if got, want := details(report.Findings), details(inOrder.Findings); got != want {
					t.Errorf("%d workers: found %s\nwant %s", workers, got, want)
				}
			}
		}
		hold(true)
		for _, c := range []struct{ damage, repair string }{
			{"update book.tiles set position = 70 where position = 0", "update book.tiles set position = 0 where position = 70"},
			{"update book.checkpoints set note = replace(note, E'\n1500\n', E'\n1501\n') where size = 1500", "update book.checkpoints set note = replace(note, E'\n1501\n', E'\n1500\n') where size = 1500"},
			{"update book.tiles set hash = (select root from book.checkpoints where size = 100) where position = 5", ""},
			{"delete from book.entries where seq = 1100", ""},
		} {
			mustExec(t, conn, c.damage)
			hold(false)
			if c.repair != "" {
				mustExec(t, conn, c.repair)
				hold(true)
			}
		}
	})
}

// A node beyond the newest checkpoint is looked at, however the entries are cut
// into stripes.
func TestNodesBeyondTheNewestCheckpointAreHeld(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		key := signingKey(t, "signer")
		b, _ := sealedBook(t, key, 1)
		for b.next < 2100 {
			b.transfer("cash", "customers:1", 1+b.next%7)
		}
		conn := connect(t, url)
		b.write(t, conn)
		b.seal(t, conn, key, 100, 300)
		mustExec(t, conn, "insert into book.tiles values ($1, 1, 6, $2)", b.ledger, make([]byte, 32))
		db := auditor(t, url, 8)
		for _, workers := range []int{1, 2, 7} {
			report, err := reconcile.VerifyInBlocks(t.Context(), db, b.ledger, reconcile.Options{Level: reconcile.LevelColumns, Workers: workers})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := codes(report.Findings), []string{"TILE_MISMATCH@1791"}; !slices.Equal(got, want) {
				t.Errorf("%d workers: found %v, want %v", workers, got, want)
			}
		}
	})
}

// A key counts for the checkpoints that cover the entry that adds it, and not for
// those that cover the one that ends it; the first key for those before it too.
func TestAKeyCountsFromEntryToEntry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		for _, end := range []string{chain.KeyRetire, chain.KeyRevoke} {
			first, second := signingKey(t, "first"), signingKey(t, "second")
			b := smallNamed(end)
			b.changeKey(t, chain.KeyAdd, first) // 7
			b.transfer("cash", "customers:1", 1)
			b.changeKey(t, chain.KeyAdd, second) // 9
			b.transfer("cash", "customers:1", 1)
			b.changeKey(t, end, first) // 11
			b.transfer("cash", "customers:1", 1)
			conn := connect(t, url)
			b.write(t, conn)
			for _, c := range []struct {
				key   chain.SigningKey
				size  int64
				valid bool
			}{{first, 7, true}, {first, 8, true}, {second, 9, false}, {second, 10, true}, {first, 10, true}, {first, 11, true}, {first, 12, false}, {second, 12, true}} {
				mustExec(t, conn, "delete from book.checkpoints")
				mustExec(t, conn, "delete from ops.heads")
				b.seal(t, conn, c.key, c.size)
				report := verifyWith(t, url, b.ledger, reconcile.Options{Level: reconcile.LevelHead})
				want := []string{}
				if !c.valid {
					want = []string{fmt.Sprintf("CHECKPOINT_UNKNOWN_KEY@%d", c.size-1)}
				}
				if got := codes(report.Findings); !slices.Equal(got, want) {
					t.Errorf("%s, size %d: found %v, want %v", end, c.size, got, want)
				}
			}
		}
	})
}

// A signer is told which keys the chain names: those that a verification would trust.
func TestSignersAreToldWhichKeysCount(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		first, second := signingKey(t, "first"), signingKey(t, "second")
		b := smallNamed("told")
		b.changeKey(t, chain.KeyAdd, first) // 7
		b.transfer("cash", "customers:1", 1)
		b.changeKey(t, chain.KeyAdd, second)   // 9
		b.changeKey(t, chain.KeyRetire, first) // 10
		b.transfer("cash", "customers:1", 1)
		b.write(t, connect(t, url))
		db, err := store.Open(t.Context(), url, store.RoleSigner, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		keys := reconcile.NewSignerKeys(db)
		for _, c := range []struct {
			key  chain.SigningKey
			size int64
			want string
		}{
			{second, 7, ""}, // none is named so far
			{second, 8, verifierKey(t, first, b.terms.Origin).ID()},
			{first, 8, ""},
			{first, 10, ""},
			{second, 9, verifierKey(t, first, b.terms.Origin).ID()},
			{second, 10, ""},
			{first, 11, "retired at entry 10"},
			{second, 12, ""},
			{signingKey(t, "third"), 12, verifierKey(t, second, b.terms.Origin).ID()},
		} {
			why, err := keys.Missing(t.Context(), b.ledger, verifierKey(t, c.key, b.terms.Origin), c.size)
			if err != nil || (why == "") != (c.want == "") || !strings.Contains(why, c.want) {
				t.Errorf("size %d: %q, %v, want %q", c.size, why, err, c.want)
			}
		}
	})
}

// Each level sees what it says, and nothing of those above.
func TestEachLevelSeesWhatItSays(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		key := signingKey(t, "signer")
		b, _ := sealedBook(t, key, 1)
		conn := connect(t, url)
		b.write(t, conn)
		b.seal(t, conn, key, sealedSizes...)
		for _, sql := range []string{
			"update book.checkpoints set note = '' where size = 100",                // 99: level 2
			"update book.entries set actor = request_id where seq in (120, 280)",    // level 2
			"update ops.payloads set description = 'for Eve' where seq = 8",         // level 3
			"alter table book.postings drop constraint i1_postings_amount_positive", // level 4
		} {
			mustExec(t, conn, sql)
		}
		chained := []string{"CHECKPOINT_BAD_SIGNATURE@99", "ENTRY_HASH_MISMATCH@120", "ENTRY_HASH_MISMATCH@280"}
		columns := append([]string{"COMMITMENT_MISMATCH@8"}, chained...)
		pin := document("pin.cp", b.sign(t, key, 256))
		for _, c := range []struct {
			level reconcile.Level
			since *reconcile.Document
			want  []string
		}{
			{reconcile.LevelHead, nil, []string{}},
			{reconcile.LevelPin, pin, []string{}},
			{reconcile.LevelChain, nil, chained},
			{reconcile.LevelChain, pin, []string{"ENTRY_HASH_MISMATCH@280"}},
			{reconcile.LevelColumns, pin, columns},
			{reconcile.ByDefault, pin, append(slices.Clone(columns), "SCHEMA_TAMPERED")},
			{reconcile.LevelEvidence, nil, append(slices.Clone(columns), "SCHEMA_TAMPERED")},
		} {
			report := verifyWith(t, url, b.ledger, reconcile.Options{Level: c.level, Since: c.since})
			if got := codes(report.Findings); !slices.Equal(got, c.want) {
				t.Errorf("level %d: found %v, want %v", c.level.Number(), got, c.want)
			}
		}
	})
}

// What follows a pin begins with the entry that the pin covers last.
func TestWhatFollowsAPinIsHeldAgainstIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		key := signingKey(t, "signer")
		b, _ := sealedBook(t, key, 1)
		conn := connect(t, url)
		b.write(t, conn)
		b.seal(t, conn, key, sealedSizes...)
		pinned := reconcile.Options{Level: reconcile.LevelChain, Since: document("pin.cp", b.sign(t, key, 270))}
		for _, c := range []struct {
			sql  string
			want []string
		}{
			{"select 1", []string{}},
			{"update book.entries set prev_hash = entry_hash where seq = 270", []string{"ENTRY_HASH_MISMATCH@270", "CHAIN_BREAK@270"}},
			{"delete from book.entries where seq = 270", []string{"SEQ_GAP@270", "ORPHAN_ROW@270"}},
		} {
			mustExec(t, conn, c.sql)
			report := verifyWith(t, url, b.ledger, pinned)
			if got := codes(report.Findings); !slices.Equal(got, c.want) {
				t.Errorf("%s: found %v, want %v", c.sql, got, c.want)
			}
			if len(c.want) == 0 && report.EntriesChecked != 30 {
				t.Errorf("%d entries read, want 30", report.EntriesChecked)
			}
		}
		mustExec(t, conn, "delete from book.entries where seq = 269")
		if got := codes(verifyWith(t, url, b.ledger, pinned).Findings); !slices.Contains(got, "SEQ_GAP@269") {
			t.Errorf("the last pinned entry deleted: found %v", got)
		}
	})
}

// Every table of the book is part of the fingerprint of the schema.
func TestTheFingerprintOfTheSchemaIsWhole(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		rows, err := connect(t, url).Query(t.Context(), `select table_name::text from information_schema.tables where table_schema = 'book'`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			if !reconcile.Listed("book." + name) {
				t.Errorf("book.%s is not in reconcile/schema.go", name)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	})
}
