package bankfile

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
)

// Digest is a SHA-256. That of a File is over its bytes. That of a Statement is over its content: account,
// dates, sequence, balances and all lines, each field behind its length; not over its id, nor its place, so
// that the same statement sent again in another file, or under another id, has the same digest.
type Digest [sha256.Size]byte

// String returns the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

type contentHash struct {
	hash  hash.Hash
	bytes []byte
}

func newContentHash() *contentHash {
	h := &contentHash{hash: sha256.New()}
	h.text("tallystick bank statement v1")
	return h
}

func (h *contentHash) text(fields ...string) {
	h.bytes = h.bytes[:0]
	for _, f := range fields {
		h.bytes = binary.AppendUvarint(h.bytes, uint64(len(f)))
		h.bytes = append(h.bytes, f...)
	}
	h.hash.Write(h.bytes) // a hash never fails
}

func (h *contentHash) number(n int64) {
	h.hash.Write(binary.BigEndian.AppendUint64(h.bytes[:0], uint64(n)))
}

func (h *contentHash) amount(a *Amount) {
	if a == nil {
		h.text("none")
		return
	}
	h.text("amount", a.Currency.Code)
	h.hash.Write(a.Units.AppendBytes(h.bytes[:0]))
	h.number(int64(a.Currency.Scale))
}

func (h *contentHash) references(r References) {
	h.text(r.EndToEnd, r.Transaction, r.Servicer, r.Instruction, r.Mandate, r.Client, r.Entry, r.Message, r.Batch, r.UETR, r.Cheque)
}

func (h *contentHash) line(l *Line) {
	reversal := "forward"
	if l.Reversal {
		reversal = "reversal"
	}
	h.text("line", string(l.BookingDate), string(l.ValueDate), string(l.Direction), reversal, string(l.Status),
		l.Counterparty.Name, l.Counterparty.IBAN, l.Remittance, l.Code, l.Info)
	h.amount(&l.Amount)
	h.references(l.References)
	if l.Batch != nil {
		h.text("batch", l.Batch.Message, l.Batch.Payment)
		h.number(l.Batch.Count)
		h.amount(l.Batch.Total)
	}
	h.number(int64(len(l.Details)))
	for _, d := range l.Details {
		h.text(string(d.Direction), d.Counterparty.Name, d.Counterparty.IBAN, d.Remittance, d.Code, d.Info)
		h.amount(d.Amount)
		h.references(d.References)
	}
}

func (h *contentHash) statement(s *Statement) (d Digest) {
	h.text("statement", string(s.Format), s.Account.IBAN, s.Account.Other, s.Currency, string(s.From), string(s.To))
	h.number(s.Sequence.Number)
	h.number(s.Sequence.Page)
	h.number(int64(s.Lines))
	h.number(int64(len(s.Balances)))
	for _, b := range s.Balances {
		h.text(string(b.Kind), string(b.Date))
		h.amount(&b.Amount)
	}
	h.hash.Sum(d[:0])
	return d
}
