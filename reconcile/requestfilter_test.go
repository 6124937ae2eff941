package reconcile_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"tallystick/reconcile"
)

// TestARequestThatStandsTwiceIsSuspected holds a filter against lists with and
// without a request that stands twice.
func TestARequestThatStandsTwiceIsSuspected(t *testing.T) {
	t.Parallel()
	const entries = 20_000
	requests := make([]uuid.UUID, entries)
	for i := range requests {
		requests[i] = uuid.NewSHA1(uuid.Nil, []byte{byte(i), byte(i >> 8)})
	}
	once, ok := reconcile.Suspects(entries, 1000, requests)
	if !ok || len(once) > entries/100 {
		t.Fatalf("%d of %d requests are suspected for nothing", len(once), entries)
	}
	twice := []uuid.UUID{requests[17], requests[entries-1]}
	found, ok := reconcile.Suspects(entries, 1000, append(requests, twice...))
	if !ok || !slices.Contains(found, twice[0]) || !slices.Contains(found, twice[1]) {
		t.Errorf("the requests that stand twice are not among %d suspects", len(found))
	}
	if _, ok := reconcile.Suspects(entries, 10, append(requests, requests[:10]...)); ok {
		t.Error("more suspects than the filter keeps are said to be all")
	}
	if _, ok := reconcile.Suspects(1<<40, 1000, nil); ok {
		t.Error("a filter for more entries than it is good for")
	}
}
