package client

import (
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// IDs makes request ids. Each is as unique as 62 random bits (and a time, for
// version 7) make it; the generator is seeded from the system's. It is for one
// goroutine.
type IDs struct {
	random  *rand.ChaCha8
	version int
}

// NewIDs returns a generator of UUIDs of version 7, which begin with the time
// and so arrive in the order of an index, or of version 4, which are random.
func NewIDs(version int) (*IDs, error) {
	if version != 4 && version != 7 {
		return nil, fmt.Errorf("making ids of UUID version %d: want 4 or 7", version)
	}
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("seeding ids: %w", err)
	}
	return &IDs{random: rand.NewChaCha8(seed), version: version}, nil
}

// Next returns another id.
func (g *IDs) Next() uuid.UUID {
	var id uuid.UUID
	high, low := g.random.Uint64(), g.random.Uint64()
	if g.version == 7 {
		// RFC 9562, method 3: milliseconds, then 12 bits of their fraction.
		now := time.Now()
		ms := uint64(now.UnixMilli())
		fraction := uint64(now.Nanosecond()%1e6) << 12 / 1e6
		high = ms<<16 | fraction
	}
	binary.BigEndian.PutUint64(id[:8], high)
	binary.BigEndian.PutUint64(id[8:], low)
	id[6] = id[6]&0x0f | byte(g.version)<<4
	id[8] = id[8]&0x3f | 0x80
	return id
}

// Append appends the text form of another id to dst.
func (g *IDs) Append(dst []byte) []byte {
	id := g.Next()
	const hex = "0123456789abcdef"
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hex[b>>4], hex[b&15])
	}
	return dst
}
