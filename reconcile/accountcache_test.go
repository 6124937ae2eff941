package reconcile_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"tallystick/reconcile"
)

// TestTheAccountCacheHoldsWhatASegmentNeeds compares the cache with a map: what it
// holds it finds, what a segment needs it does not drop, and what it has dropped
// it does not know.
func TestTheAccountCacheHoldsWhatASegmentNeeds(t *testing.T) {
	t.Parallel()
	const limit, accounts, perSegment = 32, 100, 32
	random := rand.New(rand.NewPCG(1, 2))
	ids := make([]uuid.UUID, accounts)
	for i := range ids {
		ids[i][0], ids[i][15] = byte(i), byte(i/3)
	}
	cache := reconcile.NewAccountCache(limit)
	for segment := range 2000 {
		cache.NextSegment()
		held := make(map[uuid.UUID]int32)
		for range perSegment {
			id := ids[random.IntN(accounts)]
			known := cache.Finds(id)
			at, strange := cache.Hold(id)
			if strange == known || !cache.Finds(id) {
				t.Fatalf("segment %d: account %s was held: %t, and is strange: %t", segment, id, known, strange)
			}
			if before, again := held[id]; again && before != at {
				t.Fatalf("segment %d: account %s moved from place %d to %d", segment, id, before, at)
			}
			held[id] = at
		}
		found := 0
		for _, id := range ids {
			if cache.Finds(id) {
				found++
			} else if _, needed := held[id]; needed {
				t.Fatalf("segment %d: account %s was dropped", segment, id)
			}
		}
		if found > limit {
			t.Fatalf("segment %d: %d accounts are held", segment, found)
		}
	}
}
