package chain

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// superTag begins the leaves of the super-log, see domainTag.
const superTag = "tallystick/super"

// SuperLeaf is a leaf of the super-log: at RecordedAt, a ledger had a signed
// checkpoint of that size and root.
type SuperLeaf struct {
	LedgerID   uuid.UUID
	Origin     string
	Size       int64
	Root       Hash
	RecordedAt int64 // microseconds since 1970
}

// AppendCanonical appends the canonical bytes of l, as FORMAT.md lays them out.
func (l *SuperLeaf) AppendCanonical(dst []byte) []byte {
	dst = append(dst, superTag...)
	dst = binary.BigEndian.AppendUint16(dst, formatVersion)
	dst = append(dst, l.LedgerID[:]...)
	dst = appendText(dst, l.Origin)
	dst = binary.BigEndian.AppendUint64(dst, uint64(l.Size))
	dst = append(dst, l.Root[:]...)
	return binary.BigEndian.AppendUint64(dst, uint64(l.RecordedAt))
}

// Hash returns the RFC 6962 leaf hash of l.
func (l *SuperLeaf) Hash() Hash {
	return sha256.Sum256(l.AppendCanonical([]byte{leafPrefix}))
}
