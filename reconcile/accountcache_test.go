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
	const limit, accounts, perSegment, together = 32, 100, 32, 8
	random := rand.New(rand.NewPCG(1, 2))
	ids := make([]uuid.UUID, accounts)
	for i := range ids {
		ids[i][0], ids[i][15] = byte(i), byte(i/3)
	}
	cache := reconcile.NewAccountCache(limit)
	for segment := range 2000 {
		cache.NextSegment()
		held := make(map[uuid.UUID]int32)
		for range perSegment / together {
			some := make([]uuid.UUID, together)
			for i := range some {
				some[i] = ids[random.IntN(accounts)]
			}
			known := make(map[uuid.UUID]bool)
			for _, id := range some {
				known[id] = cache.Finds(id)
			}
			places, strange := cache.Hold(some)
			for i, id := range some {
				if !cache.Finds(id) {
					t.Fatalf("segment %d: account %s is not held", segment, id)
				}
				if before, again := held[id]; again && (strange[i] || before != places[i]) {
					t.Fatalf("segment %d: account %s moved from place %d to %d, strange: %t", segment, id, before, places[i], strange[i])
				} else if !again && !known[id] && !strange[i] {
					t.Fatalf("segment %d: account %s was not held, and is not strange", segment, id)
				}
				held[id] = places[i]
			}
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
