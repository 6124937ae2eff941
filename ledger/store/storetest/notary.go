package storetest

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Notary signs checkpoints for tests. It believes what the database says, which
// a signer does not.
type Notary struct {
	db   *store.DB
	key  chain.SigningKey
	logs map[uuid.UUID]*notarized
}

// notarized is the tree of a log as far as it was signed.
type notarized struct {
	tree   chain.Frontier
	levels [chain.MaxTileLevel + 1][]chain.Hash // level 0 are the leaves
}

// notaryReads is how many leaves a notary reads at once.
const notaryReads = 10_000

// NewNotary returns a notary with a key of its own for the database at url.
func NewNotary(tb testing.TB, url string) *Notary {
	tb.Helper()
	db, err := store.Open(tb.Context(), url, store.RoleSigner, 2)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // never fails: see crypto/rand
	key, err := chain.NewSigningKey(seed)
	if err != nil {
		tb.Fatal(err)
	}
	return &Notary{db: db, key: key, logs: make(map[uuid.UUID]*notarized)}
}

// VerifierKey returns the key that verifies what the notary signs for an origin.
func (n *Notary) VerifierKey(tb testing.TB, origin string) string {
	tb.Helper()
	key, err := n.key.VerifierKey(origin)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// Sign signs a checkpoint, whatever it says.
func (n *Notary) Sign(tb testing.TB, c chain.Checkpoint) []byte {
	tb.Helper()
	note, err := n.key.Sign(c)
	if err != nil {
		tb.Fatal(err)
	}
	return note
}

// Seal signs and publishes a checkpoint of the first size entries of a ledger,
// and returns its note.
func (n *Notary) Seal(tb testing.TB, id uuid.UUID, origin string, size int64) []byte {
	tb.Helper()
	note, err := n.seal(tb, id, origin, size)
	if err != nil {
		tb.Fatal(err)
	}
	return note
}

// SealSuper appends leaves to the super-log, and signs and publishes it.
func (n *Notary) SealSuper(tb testing.TB, origin string, leaves []chain.SuperLeaf) []byte {
	tb.Helper()
	var size int64
	if l := n.logs[store.SuperLog]; l != nil {
		size = l.tree.Size()
	}
	if err := n.db.AppendSuperLeaves(tb.Context(), size, leaves); err != nil {
		tb.Fatal(err)
	}
	return n.Seal(tb, store.SuperLog, origin, size+int64(len(leaves)))
}

func (n *Notary) seal(tb testing.TB, id uuid.UUID, origin string, size int64) ([]byte, error) {
	l := n.logs[id]
	if l == nil {
		l = &notarized{}
		n.logs[id] = l
	}
	read := n.db.Nodes(tb.Context(), id)
	var nodes []store.TreeNode
	for l.tree.Size() < size {
		leaves, err := read(0, l.tree.Size(), min(notaryReads, size-l.tree.Size()))
		if err != nil {
			return nil, err
		}
		for _, leaf := range leaves {
			l.tree.Append(leaf)
			nodes = l.add(nodes, 0, leaf)
		}
	}
	if l.tree.Size() > size {
		return nil, fmt.Errorf("sealing ledger %s at size %d: it is sealed at %d", id, size, l.tree.Size())
	}
	c := chain.Checkpoint{Origin: origin, Size: size, Root: l.tree.Root()}
	note, err := n.key.Sign(c)
	if err != nil {
		return nil, err
	}
	stored := store.StoredCheckpoint{Size: size, Root: c.Root, Note: note, SignedAt: time.Now().Truncate(time.Microsecond)}
	return note, n.db.PublishCheckpoint(tb.Context(), id, nodes, stored, store.SignedApart)
}

// add adds a node to a level, and to nodes what that completes above.
func (l *notarized) add(nodes []store.TreeNode, level int, hash chain.Hash) []store.TreeNode {
	l.levels[level] = append(l.levels[level], hash)
	width := len(l.levels[level])
	if width%chain.TileWidth != 0 {
		return nodes
	}
	root := chain.RootOf(l.levels[level][width-chain.TileWidth:])
	nodes = append(nodes, store.TreeNode{Level: level + 1, Position: int64(width/chain.TileWidth) - 1, Hash: root})
	return l.add(nodes, level+1, root)
}
