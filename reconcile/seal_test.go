package reconcile_test

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
	"tallystick/reconcile"
)

// signingKey derives a key from a name, so that every run has the same.
func signingKey(tb testing.TB, name string) chain.SigningKey {
	tb.Helper()
	seed := sha256.Sum256([]byte("key " + name))
	key, err := chain.NewSigningKey(seed[:])
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// verifierKey is the public half, as the chain and policies name it.
func verifierKey(tb testing.TB, key chain.SigningKey, origin string) chain.VerifierKey {
	tb.Helper()
	text, err := key.VerifierKey(origin)
	if err != nil {
		tb.Fatal(err)
	}
	parsed, err := chain.ParseLogKey(text)
	if err != nil {
		tb.Fatal(err)
	}
	return parsed
}

// changeKey appends the entry by which a signer's key begins or ends to be valid.
func (b *book) changeKey(tb testing.TB, action string, key chain.SigningKey) chain.Entry {
	tb.Helper()
	k := verifierKey(tb, key, b.terms.Origin)
	pairs := []string{"action", action, "key_id", k.ID(), "role", "signer"}
	if action == "add" {
		pairs = append(pairs, "public_key", k.String())
	}
	return b.append(chain.Entry{Kind: chain.KeyChanged, Details: facts(pairs...)}, words{})
}

// rootAt is the root of the book's first entries, as the signer computes it.
func (b *book) rootAt(size int64) chain.Hash { return chain.RootOf(b.leaves[:size]) }

// sign signs the book at a size.
func (b *book) sign(tb testing.TB, key chain.SigningKey, size int64) []byte {
	tb.Helper()
	signed, err := key.Sign(chain.Checkpoint{Origin: b.terms.Origin, Size: size, Root: b.rootAt(size)})
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// shownAt is when the newest checkpoint of a sealed book was shown last.
var shownAt = time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC)

// seal stores what a signer would: checkpoints of these sizes, the nodes of the
// tree that they complete, and the last of them as what is shown.
func (b *book) seal(tb testing.TB, conn *pgx.Conn, key chain.SigningKey, sizes ...int64) {
	tb.Helper()
	last := sizes[len(sizes)-1]
	for level, width := int64(1), int64(chain.TileWidth); width <= last; level, width = level+1, width*chain.TileWidth {
		for at := int64(0); (at+1)*width <= last; at++ {
			root := chain.RootOf(b.leaves[at*width : (at+1)*width])
			mustExec(tb, conn, "insert into book.tiles values ($1, $2, $3, $4) on conflict do nothing", b.ledger, level, at, root[:])
		}
	}
	for i, size := range sizes {
		root := b.rootAt(size)
		mustExec(tb, conn, "insert into book.checkpoints values ($1, $2, $3, $4, $5)", b.ledger, size, root[:],
			string(b.sign(tb, key, size)), shownAt.Add(time.Duration(i-len(sizes))*time.Minute))
	}
	b.show(tb, conn, b.sign(tb, key, last), last)
}

// show puts a checkpoint in place of the one that is shown.
func (b *book) show(tb testing.TB, conn *pgx.Conn, signed []byte, size int64) {
	tb.Helper()
	mustExec(tb, conn, `insert into ops.heads values ($1, $2, $3, $4, 'serve')
		on conflict (ledger_id) do update set size = excluded.size, note = excluded.note, published_at = excluded.published_at`, b.ledger, size, string(signed), shownAt)
}

// witnessKey derives the key of a witness from its name.
func witnessKey(tb testing.TB, name string) chain.CosigningKey {
	tb.Helper()
	seed := sha256.Sum256([]byte("witness " + name))
	key, err := chain.NewCosigningKey(name, seed[:])
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// cosign adds a witness's cosignature over a checkpoint to a note.
func (b *book) cosign(tb testing.TB, signed []byte, w chain.CosigningKey, size int64, at time.Time) []byte {
	tb.Helper()
	line, err := w.Cosign(chain.Checkpoint{Origin: b.terms.Origin, Size: size, Root: b.rootAt(size)}, at)
	if err != nil {
		tb.Fatal(err)
	}
	if signed, err = chain.AddSignatures(signed, line); err != nil {
		tb.Fatal(err)
	}
	return signed
}

// receipt proves an entry under a checkpoint.
func (b *book) receipt(tb testing.TB, key chain.SigningKey, e chain.Entry, size int64) []byte {
	tb.Helper()
	proof, err := chain.ProveInclusion(e.Seq, size, b.read)
	if err != nil {
		tb.Fatal(err)
	}
	r := chain.Receipt{Canonical: e.AppendCanonical(nil), Index: e.Seq, Proof: proof, Checkpoint: b.sign(tb, key, size)}
	return r.Marshal()
}

// read is chain.ReadNodes.
func (b *book) read(level int, first, count int64) ([]chain.Hash, error) {
	hashes := make([]chain.Hash, count)
	for i := range hashes {
		width := int64(1) << (8 * level)
		at := (first + int64(i)) * width
		hashes[i] = chain.RootOf(b.leaves[at : at+width])
	}
	return hashes, nil
}

func document(name string, data []byte) *reconcile.Document {
	return &reconcile.Document{Name: name, Data: data}
}

// policyOf is a policy with a signer, witnesses and a quorum.
func policyOf(tb testing.TB, text string, args ...any) *chain.Policy {
	tb.Helper()
	p, err := chain.ParsePolicy(fmt.Appendf(nil, text, args...))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}
