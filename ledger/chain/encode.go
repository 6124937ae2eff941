package chain

import (
	"encoding/binary"
	"math"
	"sync"

	"github.com/google/uuid"

	"tallystick/ledger/money"
)

// domainTag begins every canonical entry, so that its hash can never be taken
// for the hash of something else.
const domainTag = "tallystick/entry"

// formatVersion is the version of the encoding that FORMAT.md describes.
const formatVersion = 1

// What RFC 6962 puts before a leaf and before an inner node, so that no leaf hash
// equals that of a node.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// AppendCanonical appends the canonical bytes of e, as FORMAT.md lays them out,
// to dst. It allocates only to grow dst.
//
// It encodes any e, because a verifier has to hash what a damaged database
// serves. Two entries that pass Check have equal bytes only if they are equal;
// and no entry that fails Check has the bytes of one that passes, because a
// length too large for its field is written as the largest value of that
// field, which Decode refuses.
func (e *Entry) AppendCanonical(dst []byte) []byte {
	dst = append(dst, domainTag...)
	dst = binary.BigEndian.AppendUint16(dst, formatVersion)
	dst = binary.BigEndian.AppendUint16(dst, uint16(e.Kind))
	dst = append(dst, e.LedgerID[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Seq))
	dst = append(dst, e.PrevHash[:]...)
	dst = append(dst, e.RequestID[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.RecordedAt))
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.BookingDate))
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.EffectiveDate))
	dst = append(dst, e.Actor[:]...)
	dst = appendBool(dst, e.PriorPeriod)
	dst = appendOptionalInt64(dst, e.RefSeq)
	dst = appendOptionalUUID(dst, e.RelatedTo)
	dst = appendOptionalInt64(dst, e.ExpiresAt)
	dst = appendOptionalHash(dst, e.Description)
	dst = appendOptionalHash(dst, e.Reference)
	dst = appendOptionalHash(dst, e.Metadata)

	dst = appendCount(dst, len(e.Postings))
	for i := range e.Postings {
		dst = e.Postings[i].appendCanonical(dst)
	}
	dst = appendBool(dst, e.Ledger != nil)
	if e.Ledger != nil {
		dst = e.Ledger.appendCanonical(dst)
	}
	dst = appendBool(dst, e.Account != nil)
	if e.Account != nil {
		dst = e.Account.appendCanonical(dst)
	}
	dst = appendCount(dst, len(e.Details))
	for i := range e.Details {
		dst = appendText(dst, e.Details[i].Name)
		dst = appendText(dst, e.Details[i].Value)
	}
	return dst
}

func (p *Posting) appendCanonical(dst []byte) []byte {
	dst = append(dst, p.AccountID[:]...)
	dst = append(dst, byte(p.Direction))
	dst = appendText(dst, p.Currency)
	dst = append(dst, p.Scale)
	dst = p.Amount.AppendBytes(dst)
	dst = p.PendingChange.AppendBytes(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.EffectiveDate))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.AccountSeq))
	dst = p.Posted.AppendBytes(dst)
	dst = p.PendingDebit.AppendBytes(dst)
	return p.PendingCredit.AppendBytes(dst)
}

func (l *LedgerTerms) appendCanonical(dst []byte) []byte {
	dst = appendText(dst, l.Name)
	dst = appendText(dst, l.Origin)
	dst = appendText(dst, l.TimeZone)
	dst = binary.BigEndian.AppendUint32(dst, uint32(l.DayCutoff))
	dst = appendText(dst, l.BaseCurrency)
	dst = append(dst, l.BaseScale)
	dst = binary.BigEndian.AppendUint32(dst, uint32(l.ValueDaysBack))
	return binary.BigEndian.AppendUint32(dst, uint32(l.ValueDaysAhead))
}

func (a *Account) appendCanonical(dst []byte) []byte {
	dst = append(dst, a.AccountID[:]...)
	dst = appendText(dst, a.Code)
	dst = append(dst, byte(a.Type))
	dst = appendText(dst, a.Currency)
	dst = append(dst, a.Scale)
	dst = appendOptionalInt128(dst, a.MinBalance)
	dst = appendOptionalInt128(dst, a.MaxBalance)
	dst = append(dst, byte(a.Frozen))
	dst = appendBool(dst, a.Closed)
	dst = appendCount(dst, len(a.Tags))
	for i := range a.Tags {
		dst = appendText(dst, a.Tags[i].Key)
		dst = appendText(dst, a.Tags[i].Value)
	}
	return dst
}

// appendCount writes a count or a length. Every bound of the format is below
// 65535, so the value that stands for "more than fits" is never canonical.
func appendCount(dst []byte, n int) []byte {
	return binary.BigEndian.AppendUint16(dst, uint16(min(n, math.MaxUint16)))
}

func appendText(dst []byte, s string) []byte {
	return append(appendCount(dst, len(s)), s...)
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendOptionalInt64(dst []byte, v *int64) []byte {
	if v == nil {
		return append(dst, 0)
	}
	return binary.BigEndian.AppendUint64(append(dst, 1), uint64(*v))
}

func appendOptionalInt128(dst []byte, v *money.Int128) []byte {
	if v == nil {
		return append(dst, 0)
	}
	return v.AppendBytes(append(dst, 1))
}

func appendOptionalUUID(dst []byte, v *uuid.UUID) []byte {
	if v == nil {
		return append(dst, 0)
	}
	return append(append(dst, 1), v[:]...)
}

func appendOptionalHash(dst []byte, v *Hash) []byte {
	if v == nil {
		return append(dst, 0)
	}
	return append(append(dst, 1), v[:]...)
}

// leafBuffers holds buffers of a usual entry's size, so that hashing does not
// allocate. A buffer that a large entry has grown is not kept.
var leafBuffers = sync.Pool{New: func() any { b := make([]byte, 0, leafBufferSize); return &b }}

const leafBufferSize = 4096

// Hash returns the entry hash, SHA-256(0x00 ‖ canonical bytes), which is the
// RFC 6962 leaf hash of e.
func (e *Entry) Hash() Hash {
	buf := leafBuffers.Get().(*[]byte)
	leaf := e.AppendCanonical(append((*buf)[:0], leafPrefix))
	h := sha(leaf)
	leafBuffers.Put(buf)
	return h
}

// LeafHash returns the RFC 6962 leaf hash of a leaf that has its prefix, the byte
// 0x00, before it.
func LeafHash(prefixed []byte) Hash { return sha(prefixed) }

// HashCanonical returns the entry hash of the entry with these canonical bytes.
func HashCanonical(canonical []byte) Hash {
	buf := leafBuffers.Get().(*[]byte)
	leaf := append(append((*buf)[:0], leafPrefix), canonical...)
	h := sha(leaf)
	leafBuffers.Put(buf)
	return h
}
