package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// signerOf opens the database as the signer does.
func signerOf(t *testing.T, d *desk) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), d.url, store.RoleSigner, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func TestTheSignerSeesWhereAllLedgersStand(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		second := d.mainLedger()
		second.Name = "second"
		info, _, refused, err := d.db.OpenLedger(t.Context(), second)
		if err != nil || refused != nil {
			t.Fatal(refused, err)
		}
		var got []store.LedgerHead
		err = signerOf(t, d).LedgerHeads(t.Context(), func(page []store.LedgerHead) error {
			got = append(got, page...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var want []store.LedgerHead
		for _, id := range []ledger.LedgerID{d.id, info.ID} {
			l, err := d.db.Ledger(t.Context(), id.String())
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, store.LedgerHead{ID: id.UUID, Origin: l.Terms.Origin, Size: l.Size, Head: l.Head})
		}
		slices.SortFunc(want, func(a, b store.LedgerHead) int { return slices.Compare(a.ID[:], b.ID[:]) })
		if !slices.Equal(got, want) {
			t.Errorf("heads %v, want %v", got, want)
		}
		stop := errors.New("stop")
		if err := signerOf(t, d).LedgerHeads(t.Context(), func([]store.LedgerHead) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("LedgerHeads = %v", err)
		}
	})
}

func TestCheckpointsAreReadInOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		db := signerOf(t, d)
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for _, size := range []int64{7, 3, 12} {
			c := store.StoredCheckpoint{Size: size, Root: chain.Hash{byte(size)}, Note: []byte("note"), SignedAt: at}
			for range 2 { // the second time changes nothing
				if err := db.PublishCheckpoint(t.Context(), d.id.UUID, nil, c, store.SignedApart); err != nil {
					t.Fatal(err)
				}
			}
		}
		sizes := func(beyond, most int64) (found []int64) {
			all, err := db.CheckpointsAfter(t.Context(), d.id.UUID, beyond, most)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				if c.Root != (chain.Hash{byte(c.Size)}) || string(c.Note) != "note" || !c.SignedAt.Equal(at) {
					t.Errorf("checkpoint %+v", c)
				}
				found = append(found, c.Size)
			}
			return found
		}
		if got := sizes(0, 10); !slices.Equal(got, []int64{3, 7, 12}) {
			t.Errorf("all: %v", got)
		}
		if got := sizes(3, 1); !slices.Equal(got, []int64{7}) {
			t.Errorf("one beyond 3: %v", got)
		}
		if shown, err := db.ShownCheckpoint(t.Context(), d.id.UUID); err != nil || shown.Size != 12 {
			t.Errorf("shown %+v, %v", shown, err)
		}
	})
}

func TestTheSuperLogGrowsAtItsEndOnly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		db := signerOf(t, d)
		leaf := func(n int64) chain.SuperLeaf {
			return chain.SuperLeaf{LedgerID: uuid.NewSHA1(uuid.Nil, []byte{byte(n)}), Origin: "bank.test/1", Size: n, Root: chain.Hash{byte(n)}, RecordedAt: 1_700_000_000_000_001 + n}
		}
		if err := db.AppendSuperLeaves(t.Context(), 0, []chain.SuperLeaf{leaf(1), leaf(2)}); err != nil {
			t.Fatal(err)
		}
		if err := db.AppendSuperLeaves(t.Context(), 1, []chain.SuperLeaf{leaf(3), leaf(4)}); err == nil {
			t.Error("a leaf was put in the place of another")
		}
		rows, err := db.SuperLeaves(t.Context(), 0, 10)
		if err != nil || len(rows) != 2 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for i, r := range rows {
			want := leaf(int64(i) + 1)
			if r.Position != int64(i) || r.SuperLeaf != want || r.Stored != want.Hash() {
				t.Errorf("row %d: %+v", i, r)
			}
		}
		read := db.Nodes(t.Context(), store.SuperLog)
		if leaves, err := read(0, 0, 2); err != nil || leaves[1] != rows[1].Stored {
			t.Errorf("as leaves of the tree: %v, %v", leaves, err)
		}
	})
}

// A first checkpoint of a large ledger completes more nodes than go into one
// statement; they are stored with it or not at all.
func TestMoreNodesThanOneStatementStores(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		db := signerOf(t, d)
		nodes := make([]store.TreeNode, 2*store.NodesAtOnce+1)
		for i := range nodes {
			nodes[i] = store.TreeNode{Level: 1, Position: int64(i), Hash: chain.Hash{byte(i), byte(i >> 8), 1}}
		}
		c := store.StoredCheckpoint{Size: int64(len(nodes)) * chain.TileWidth, Note: []byte("note"), SignedAt: time.Unix(1, 0)}
		broken := slices.Clone(nodes)
		broken[len(broken)-1].Level = 99 // in the last statement
		if err := db.PublishCheckpoint(t.Context(), d.id.UUID, broken, c, store.SignedApart); err == nil {
			t.Fatal("a node of level 99 was stored")
		}
		read := db.Nodes(t.Context(), d.id.UUID)
		if _, err := read(1, 0, 1); !errors.Is(err, chain.ErrNodes) {
			t.Errorf("nodes without their checkpoint: %v", err)
		}
		if err := db.PublishCheckpoint(t.Context(), d.id.UUID, nodes, c, store.SignedApart); err != nil {
			t.Fatal(err)
		}
		stored, err := read(1, 0, int64(len(nodes)))
		if err != nil {
			t.Fatal(err)
		}
		for i := range stored {
			if stored[i] != nodes[i].Hash {
				t.Fatalf("node %d is %s", i, stored[i])
			}
		}
	})
}
