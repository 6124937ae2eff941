package api

import (
	"fmt"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// The super-log is served as a ledger is, below /v1/super-log.

// superCheckpoint answers GET /v1/super-log/checkpoint.
func (h *handlers) superCheckpoint(x *exchange) error {
	if q := x.query(); q.err != nil {
		return q.err
	}
	return h.sendCheckpoint(x)
}

// superTile answers GET /v1/super-log/tile/{tile}.
func (h *handlers) superTile(x *exchange) error {
	if q := x.query(); q.err != nil {
		return q.err
	}
	return h.sendTile(x)
}

// superBundle answers GET /v1/super-log/tile/entries/{bundle}.
func (h *handlers) superBundle(x *exchange) error {
	if q := x.query(); q.err != nil {
		return q.err
	}
	t, err := h.findTile(x, "entries/")
	if err != nil {
		return err
	}
	leaves, err := h.DB.SuperLeaves(x.req.Context(), t.First(), int64(t.Width))
	if err != nil {
		return err
	}
	if len(leaves) < t.Width {
		return fmt.Errorf("reading %d leaves of the super-log, which a checkpoint covers: there are %d: %w", t.Width, len(leaves), store.ErrDamaged)
	}
	var canonical []byte
	for i := range leaves {
		l := &leaves[i]
		canonical = l.AppendCanonical(canonical[:0])
		if l.Position != t.First()+int64(i) || chain.HashCanonical(canonical) != l.Stored {
			return fmt.Errorf("hashing leaf %d of the super-log again: %w", t.First()+int64(i), store.ErrDamaged)
		}
		if x.out, err = chain.AppendBundleEntry(x.out, canonical); err != nil {
			return fmt.Errorf("bundling leaf %d of the super-log: %w", l.Position, err)
		}
	}
	return x.sendWith(200, octetsType, immutable)
}
