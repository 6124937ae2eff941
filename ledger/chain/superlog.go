package chain

import (
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"
)

// superTag begins the leaves of the super-log, see domainTag.
const superTag = "tallystick/super"

// SuperLeaf is a leaf of the super-log, the log of checkpoints of all ledgers:
// at RecordedAt, a ledger had a signed checkpoint of that size and root. Who
// follows the super-log misses a ledger that has vanished whole.
type SuperLeaf struct {
	LedgerID   uuid.UUID
	Origin     string
	Size       int64
	Root       Hash
	RecordedAt int64 // microseconds since the Unix epoch
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
	return HashCanonical(l.AppendCanonical(make([]byte, 0, leafBufferSize)))
}

// Check reports whether l is within its bounds. The error is ErrMalformed.
func (l *SuperLeaf) Check() error {
	var err error
	switch {
	case !validText(l.Origin, 1, MaxOrigin):
		err = malformed("origin %q", l.Origin)
	case l.Size < 1 || !validSize(l.Size):
		err = malformed("size %d", l.Size)
	case !validMicro(l.RecordedAt):
		err = malformed("recorded_at %d", l.RecordedAt)
	default:
		return nil
	}
	return fmt.Errorf("checking a leaf of the super-log about ledger %s: %w", l.LedgerID, err)
}

// DecodeSuperLeaf reads canonical bytes: exactly what AppendCanonical writes of
// leaves that pass Check. The error is ErrMalformed or ErrUnknown.
func DecodeSuperLeaf(b []byte) (SuperLeaf, error) {
	r, err := readerOf("a leaf of the super-log", superTag, b)
	if err != nil {
		return SuperLeaf{}, err
	}
	l := SuperLeaf{LedgerID: r.uuid(), Origin: r.text(), Size: r.int64(), Root: r.hash(), RecordedAt: r.int64()}
	if err := r.end(); err != nil {
		return SuperLeaf{}, err
	}
	if err := l.Check(); err != nil {
		return SuperLeaf{}, err
	}
	return l, nil
}
