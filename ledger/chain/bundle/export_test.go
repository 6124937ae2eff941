package bundle

import "tallystick/ledger/chain"

// WithMaxAccounts sets the bound on accounts.
func (o Options) WithMaxAccounts(n int) Options {
	o.maxAccounts = n
	return o
}

// ReadFast reads an entry the fast way; ok is false when it is left to chain.Decode.
func ReadFast(canonical []byte) (e chain.Entry, ok bool) {
	var r record
	if !r.readHeader(canonical) || !r.readMoney(canonical) {
		return e, false
	}
	e = chain.Entry{Kind: r.kind, LedgerID: r.ledger, Seq: r.seq, PrevHash: r.prev, RecordedAt: r.recordedAt, BookingDate: r.booking,
		Description: r.commitments[0], Reference: r.commitments[1], Metadata: r.commitments[2], Postings: r.postings}
	if r.refSeq >= 0 {
		e.RefSeq = &r.refSeq
	}
	return e, true
}
