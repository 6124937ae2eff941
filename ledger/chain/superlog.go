package chain

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// superTag begins the leaves of the super-log, see domainTag.
const superTag = "tallystick/super"

// SuperSuffix ends the origin of every super-log. That of the first one of a host is
// <host>/super-log, that of its successors <host>/2-9f86…/super-log, <host>/3-…/super-log
// and so on: the number is the generation, and 40 hexadecimal digits begin the root of
// the tree whose last leaf is the one by which it succeeds the one before. So two trees
// never begin under one name.
const SuperSuffix = "/super-log"

// superDigits are hexadecimal digits in the origin of a successor: 160 bits, so that two
// trees with the same ones are out of reach.
const superDigits = 40

// ParseSuperOrigin returns the host and the generation of a super-log, 1 of the first.
func ParseSuperOrigin(origin string) (host string, generation int64, ok bool) {
	host, ok = strings.CutSuffix(origin, SuperSuffix)
	if !ok || host == "" {
		return "", 0, false
	}
	if parts := laterSuperLog.FindStringSubmatch(host); parts != nil {
		if n, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
			return parts[1], n, true
		}
	}
	return host, 1, true
}

// laterSuperLog is the origin of a successor, but for its suffix: host and generation,
// from 2 on.
var laterSuperLog = regexp.MustCompile(fmt.Sprintf(`(?s)^(.+)/([2-9]|[1-9][0-9]+)-[0-9a-f]{%d}$`, superDigits))

// SuperPrecedes reports whether a super-log is of an earlier generation than another
// one of its host.
func SuperPrecedes(origin, other string) bool {
	host, n, ok := ParseSuperOrigin(origin)
	otherHost, m, otherOK := ParseSuperOrigin(other)
	return ok && otherOK && host == otherHost && n < m
}

// SuperLeaf is a leaf of the super-log, the log of checkpoints of all ledgers:
// at RecordedAt, a ledger had a signed checkpoint of that size and root. Who
// follows the super-log misses a ledger that has vanished whole.
//
// A leaf may also be about the super-log itself, see NewSuccession.
type SuperLeaf struct {
	LedgerID   uuid.UUID
	Origin     string
	Size       int64
	Root       Hash
	RecordedAt int64 // microseconds since the Unix epoch
}

// LastSuperID is the largest id that a leaf about a super-log has in place of a
// ledger's: eight zero bytes, and after them the generation in eight. Ids of ledgers are
// above.
var LastSuperID = uuid.UUID{8: 0x7f, 9: 0xff, 10: 0xff, 11: 0xff, 12: 0xff, 13: 0xff, 14: 0xff, 15: 0xff}

// NewSuccession returns the leaf by which a super-log that has lost leaves is
// succeeded: it names the newest checkpoint that was signed of it, and what follows
// the leaf is signed under the origin of the successor. The leaves before it are those
// that are left. The error is ErrMalformed when the checkpoint is not one of a
// super-log.
func NewSuccession(lost Checkpoint, recordedAt int64) (SuperLeaf, error) {
	_, generation, _ := ParseSuperOrigin(lost.Origin)
	l := SuperLeaf{LedgerID: superID(generation), Origin: lost.Origin, Size: lost.Size, Root: lost.Root, RecordedAt: recordedAt}
	if _, ok := l.Successor(EmptyRoot); !ok {
		return SuperLeaf{}, fmt.Errorf("succeeding a super-log: %w", malformed("origin %q", lost.Origin))
	}
	return l, l.Check()
}

// maxSuperGeneration bounds how often a super-log is succeeded.
const maxSuperGeneration = 999_999

func superID(generation int64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[8:], uint64(generation))
	return id
}

// IsSuperID reports whether an id is one that no ledger may have, see LastSuperID.
func IsSuperID(id uuid.UUID) bool { return bytes.Compare(id[:], LastSuperID[:]) <= 0 }

// AboutSuperLog reports whether the leaf is about a super-log, and no ledger.
func (l *SuperLeaf) AboutSuperLog() bool { return IsSuperID(l.LedgerID) }

// Successor returns the origin under which a super-log is signed after this leaf, which
// makes its root the given one; ok is false when the leaf is about a ledger, or names a
// super-log that it cannot be about.
func (l *SuperLeaf) Successor(root Hash) (origin string, ok bool) {
	host, generation, ok := ParseSuperOrigin(l.Origin)
	if !ok || generation > maxSuperGeneration || l.LedgerID != superID(generation) {
		return "", false
	}
	origin = fmt.Sprintf("%s/%d-%s%s", host, generation+1, root.String()[:superDigits], SuperSuffix)
	return origin, validText(origin, 1, MaxOrigin)
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
