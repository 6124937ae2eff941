package api

import (
	"cmp"
	"slices"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// proveEntry returns the receipt of an entry under a checkpoint that covers it.
// It holds, or the error is ErrDamaged.
func proveEntry(e *ledger.Entry, under sealed, read chain.ReadNodes) (*chain.Receipt, error) {
	canonical, err := appendIntact(nil, e)
	if err != nil {
		return nil, err
	}
	path, err := chain.ProveInclusion(e.Seq(), under.Size, read)
	if err != nil {
		return nil, damagedTree(err)
	}
	if err := chain.VerifyInclusion(e.Seq(), under.Size, e.Hash(), path, under.Root); err != nil {
		return nil, damagedTree(err)
	}
	return &chain.Receipt{Canonical: canonical, Index: e.Seq(), Proof: path, Checkpoint: under.note}, nil
}

// receipts are the receipts of entries by seq, as .tlog-proof files. nil means
// that none were asked for; an entry without one has null.
type receipts map[int64][]byte

// appendEntry appends an entry with its receipt, if receipts were asked for.
func (r receipts) appendEntry(b []byte, e *ledger.Entry) []byte {
	b = appendEntry(b, e)
	if r == nil {
		return b
	}
	b = append(b[:len(b)-1], `,"receipt":`...)
	if receipt, ok := r[e.Seq()]; ok {
		return append(appendString(b, receipt), '}')
	}
	return append(b, "null}"...)
}

// receiptsIf returns the receipts of what was posted, if they were asked for.
func (h *handlers) receiptsIf(x *exchange, how manner, results []ledger.Result) receipts {
	if !how.sealed {
		return nil
	}
	var entries []*ledger.Entry
	for i := range results {
		if results[i].Err == nil && results[i].Refusal == nil {
			entries = append(entries, results[i].Entry)
		}
	}
	return h.receipts(x, entries)
}

// receipts waits for a checkpoint that covers all of entries, which are stored,
// and proves them. What fails from here on is for the log: the money has moved,
// and that is the answer.
func (h *handlers) receipts(x *exchange, entries []*ledger.Entry) receipts {
	proved := receipts{}
	if len(entries) == 0 {
		return proved
	}
	last := slices.MaxFunc(entries, func(a, b *ledger.Entry) int { return cmp.Compare(a.Seq(), b.Seq()) })
	shown, err := h.seals.await(x.req.Context(), x.ledger.UUID, last.Seq())
	if err != nil {
		x.cause = err
		return proved
	}
	under, err := openSealed(shown.Note, shown.Size)
	read := h.tree(x, shown.Size)
	for _, e := range entries {
		var receipt *chain.Receipt
		if err == nil {
			receipt, err = proveEntry(e, under, read)
		}
		if err != nil {
			x.cause = err
			return proved
		}
		proved[e.Seq()] = receipt.Marshal()
	}
	return proved
}
