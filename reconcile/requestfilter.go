package reconcile

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
)

// requestFilter tells, while the first pass meets the requests of all entries,
// which of them may stand twice. It holds some bits of each in one word, in
// memory that does not grow: no request that stands twice goes unnoticed, and one
// in some thousands that stands once is looked up for nothing. That spares the
// database a sorted walk over all of them.
type requestFilter struct {
	seed  maphash.Seed
	limit int // of suspects
	words []atomic.Uint64

	mu       sync.Mutex
	suspects []uuid.UUID
}

// The size of a filter. Its words are a power of two.
const (
	// filteredRequests is how many requests a filter is good for: 3 a word, of
	// which one in 2000 is suspected for nothing.
	filteredRequests = 6 << 20
	// filterWords take 16 MB.
	filterWords = 1 << 21
	// fewRequests need no more than fewFilterWords, 512 kB.
	fewRequests    = 1 << 16
	fewFilterWords = 1 << 16
	// requestBits is how many bits stand for a request; two may be the same one.
	requestBits = 5
	// bitNumber is how many bits of a hash choose a bit of a word.
	bitNumber = 6
)

// newRequestFilter returns nil where a filter would suspect too many.
func newRequestFilter(entries int64, limit int) *requestFilter {
	words := filterWords
	switch {
	case entries > filteredRequests:
		return nil
	case entries <= fewRequests:
		words = fewFilterWords
	}
	return &requestFilter{seed: maphash.MakeSeed(), limit: limit, words: make([]atomic.Uint64, words)}
}

// meet takes in the request of an entry. Of two equal ones the later finds all
// bits set, whichever workers meet them.
func (f *requestFilter) meet(id uuid.UUID) {
	hash := maphash.Bytes(f.seed, id[:])
	var mask uint64
	for range requestBits {
		mask |= 1 << (hash % (1 << bitNumber))
		hash >>= bitNumber
	}
	if f.words[hash%uint64(len(f.words))].Or(mask)&mask != mask {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.suspects) < f.limit {
		f.suspects = append(f.suspects, id)
	}
}

// suspected returns the requests that may stand twice, each once; ok is false
// when there are more than a filter keeps.
func (f *requestFilter) suspected() (ids []uuid.UUID, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.suspects) >= f.limit {
		return nil, false
	}
	slices.SortFunc(f.suspects, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(f.suspects), true
}

// meetRequests takes in the requests of the segment at hand.
func (w *worker) meetRequests() {
	f := w.v.requests
	if f == nil || w.strangersOnly {
		return
	}
	for i := range w.segment.entries {
		f.meet(w.segment.entries[i].entry.RequestID)
	}
}
