package api

import (
	"errors"
	"fmt"
	"slices"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Checkpoints, tiles and bundles of entries are served as C2SP tlog-tiles has
// it, so that clients which know nothing of this server verify a ledger: the
// prefix of a log is /v1/ledgers/{ledger}. A tile is there when the newest
// published checkpoint covers it, and never changes.

const (
	// bundleTogether is how many entries of a bundle are read at once.
	bundleTogether = 64
	// usualEntryBytes is about what an entry takes in a bundle.
	usualEntryBytes = 360
)

var (
	noteType   = []string{"text/plain; charset=utf-8"}
	octetsType = []string{"application/octet-stream"}
	// immutable lets clients keep what never changes; a cache that others share
	// must not, because it does not know their keys.
	immutable = []string{"private, max-age=31536000, immutable"}
)

// checkpoint answers GET /v1/ledgers/{ledger}/checkpoint.
func (h *handlers) checkpoint(x *exchange) error {
	if err := h.findLog(x); err != nil {
		return err
	}
	return h.sendCheckpoint(x)
}

// findLog finds the ledger of a request without parameters.
func (h *handlers) findLog(x *exchange) error {
	if q := x.query(); q.err != nil {
		return q.err
	}
	return h.findLedger(x)
}

// sendCheckpoint answers with the newest checkpoint of x.ledger; that of no
// ledger is the super-log's.
func (h *handlers) sendCheckpoint(x *exchange) error {
	shown, err := h.shown(x)
	if err != nil {
		return err
	}
	x.out = append(x.out, shown.Note...)
	return x.sendAs(200, noteType)
}

// shown returns the newest checkpoint.
func (h *handlers) shown(x *exchange) (store.ShownCheckpoint, error) {
	shown, err := h.DB.ShownCheckpoint(x.req.Context(), x.ledger.UUID)
	if errors.Is(err, store.ErrNotFound) {
		return shown, newProblem(codeNoCheckpoint, "nothing has been signed here yet; a signer publishes the first checkpoint soon after the first entry")
	}
	return shown, err
}

// tile answers GET /v1/ledgers/{ledger}/tile/{tile}.
func (h *handlers) tile(x *exchange) error {
	if err := h.findLog(x); err != nil {
		return err
	}
	return h.sendTile(x)
}

// sendTile answers with a tile of the tree of x.ledger, as sendCheckpoint does.
func (h *handlers) sendTile(x *exchange) error {
	t, err := h.findTile(x, "")
	if err != nil {
		return err
	}
	nodes, err := h.DB.Nodes(x.req.Context(), x.ledger.UUID)(t.Level, t.First(), int64(t.Width))
	if err != nil {
		return damagedTree(err)
	}
	for i := range nodes {
		x.out = append(x.out, nodes[i][:]...)
	}
	return x.sendWith(200, octetsType, immutable)
}

// bundle answers GET /v1/ledgers/{ledger}/tile/entries/{bundle}.
func (h *handlers) bundle(x *exchange) error {
	if err := h.findLog(x); err != nil {
		return err
	}
	t, err := h.findTile(x, "entries/")
	if err != nil {
		return err
	}
	next, last := t.First(), t.First()+int64(t.Width)
	x.out = slices.Grow(x.out, t.Width*usualEntryBytes)
	var canonical []byte
	for next < last {
		entries, err := h.DB.Tail(x.req.Context(), x.ledger, next-1, int(min(bundleTogether, last-next)))
		if err != nil {
			return fmt.Errorf("reading entries from %d: %w", next, err)
		}
		if len(entries) == 0 {
			return fmt.Errorf("reading entry %d, which a checkpoint covers: it is gone: %w", next, store.ErrDamaged)
		}
		for i := range entries {
			if entries[i].Seq() != next {
				return fmt.Errorf("reading entry %d, which a checkpoint covers: it is gone: %w", next, store.ErrDamaged)
			}
			if canonical, err = appendIntact(canonical[:0], &entries[i]); err != nil {
				return err
			}
			if x.out, err = chain.AppendBundleEntry(x.out, canonical); err != nil {
				return fmt.Errorf("bundling entry %d: %w", next, err)
			}
			next++
		}
	}
	return x.sendWith(200, octetsType, immutable)
}

// appendIntact appends the canonical bytes of an entry, made of the columns that
// clients see; that they hash to what the tree holds is checked.
func appendIntact(b []byte, e *ledger.Entry) ([]byte, error) {
	record, start := e.Record(), len(b)
	b = record.AppendCanonical(b)
	if chain.HashCanonical(b[start:]) != e.Hash() {
		return b, fmt.Errorf("hashing entry %d again: %w", e.Seq(), store.ErrDamaged)
	}
	return b, nil
}

// findTile reads what stands behind tile/ and before in the path, and returns the
// tile when the newest checkpoint covers it.
func (h *handlers) findTile(x *exchange, before string) (chain.Tile, error) {
	t, err := chain.ParseTile(before + x.param("*"))
	if err != nil {
		return t, newProblem(codeTileNotFound, "this is not the path of a tile; see https://c2sp.org/tlog-tiles")
	}
	shown, err := h.shown(x)
	if err != nil {
		return t, err
	}
	if !t.FitsIn(shown.Size) {
		return t, newProblem(codeTileNotFound, "the newest checkpoint is of size %d and does not cover this tile", shown.Size)
	}
	return t, nil
}

// damagedTree says that nodes which must be there are not.
func damagedTree(err error) error {
	if errors.Is(err, chain.ErrNodes) || errors.Is(err, chain.ErrProof) {
		return fmt.Errorf("%w: %w", err, store.ErrDamaged)
	}
	return err
}
