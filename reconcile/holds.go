package reconcile

import (
	"hash/maphash"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// heldHolds are the holds that a worker has met last, at most limit: most are
// settled soon, and need not be read again for that. Of each it keeps a hash of
// its postings under a secret of this run. What settles a hold exactly has the
// same; for everything else the hold is read again, to say what differs.
type heldHolds struct {
	seed  maphash.Seed
	limit int
	holds map[int64]heldHold
	order []int64 // their seqs, a ring
	hand  int
}

// heldHold is a hold without its postings.
type heldHold struct {
	postings uint64
	target
}

func newHeldHolds(limit int) *heldHolds {
	return &heldHolds{seed: maphash.MakeSeed(), limit: limit, holds: make(map[int64]heldHold)}
}

// keep remembers a hold, in place of the one remembered longest.
func (h *heldHolds) keep(row *entryRow) {
	seq := row.entry.Seq
	if len(h.order) < h.limit {
		h.order = append(h.order, seq)
	} else {
		delete(h.holds, h.order[h.hand])
		h.order[h.hand] = seq
		h.hand = (h.hand + 1) % h.limit
	}
	held := heldHold{postings: h.sum(row.entry.Postings, false)}
	held.target = target{seq: seq, kind: chain.Hold, expires: row.has[hasExpiresAt], expiresAt: row.expiresAt}
	h.holds[seq] = held
}

// settledBy reports whether e settles a hold that is remembered, as it must. It
// may, and not be known to.
func (h *heldHolds) settledBy(e *chain.Entry) bool {
	if e.Kind == chain.Reversal {
		return false
	}
	hold, ok := h.holds[*e.RefSeq]
	if !ok || !hold.inTime(e) || h.sum(e.Postings, true) != hold.postings {
		return false
	}
	for i := range e.Postings {
		p := &e.Postings[i]
		if held, ok := p.PendingChange.Neg(); !ok || p.Amount.Cmp(held) > 0 {
			return false
		}
	}
	return true
}

// side is what a settlement has in common with its hold.
type side struct {
	account   uuid.UUID
	direction chain.Direction
	currency  string
	scale     uint8
	held      money.Int128
}

// sum hashes the postings of a hold, or of what settles it: those take away what
// the hold added.
func (h *heldHolds) sum(postings []chain.Posting, settles bool) uint64 {
	var hash maphash.Hash
	hash.SetSeed(h.seed)
	for i := range postings {
		p := &postings[i]
		s := side{account: p.AccountID, direction: p.Direction, currency: p.Currency, scale: p.Scale, held: p.PendingChange}
		if settles {
			s.held, _ = p.PendingChange.Neg() // the one value that has no negation is no hold's
		}
		maphash.WriteComparable(&hash, s)
	}
	return hash.Sum64()
}
