package reconcile

import (
	"hash/maphash"
	"math/bits"
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
	// requestsInWord is how many requests a word is good for, of which one in 2000
	// is suspected for nothing.
	requestsInWord = 3
	// filteredRequests is how many requests a filter is good for, in 16 MB.
	filteredRequests = requestsInWord<<21 - 1
	// fewFilterWords take 512 kB.
	fewFilterWords = 1 << 16
	// requestBits is how many bits stand for a request; two may be the same one.
	requestBits = 5
	// metAtOnce is how many requests are met at once: their words, all over the
	// memory, are then fetched at the same time.
	metAtOnce = 32
	// bitNumber is how many bits of a hash choose a bit of a word.
	bitNumber = 6
)

// newRequestFilter returns nil where a filter would suspect too many.
func newRequestFilter(entries int64, limit int) *requestFilter {
	if entries > filteredRequests {
		return nil
	}
	words := max(fewFilterWords, 1<<bits.Len64(uint64(entries)/requestsInWord))
	return &requestFilter{seed: maphash.MakeSeed(), limit: limit, words: make([]atomic.Uint64, words)}
}

// bits are those that stand for a request, and the word that they stand in.
func (f *requestFilter) bits(id *uuid.UUID) (word *atomic.Uint64, mask uint64) {
	hash := maphash.Bytes(f.seed, id[:])
	for range requestBits {
		mask |= 1 << (hash % (1 << bitNumber))
		hash >>= bitNumber
	}
	return &f.words[hash%uint64(len(f.words))], mask
}

// meet takes in the request of an entry. Of two equal ones the later finds all
// bits set, whichever workers meet them.
func (f *requestFilter) meet(word *atomic.Uint64, mask uint64, id *uuid.UUID) {
	if word.Or(mask)&mask != mask {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.suspects) < f.limit {
		f.suspects = append(f.suspects, *id)
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
	var words [metAtOnce]*atomic.Uint64
	var masks [metAtOnce]uint64
	for rest := w.segment.entries; len(rest) > 0; rest = rest[min(metAtOnce, len(rest)):] {
		some := rest[:min(metAtOnce, len(rest))]
		for i := range some {
			words[i], masks[i] = f.bits(&some[i].entry.RequestID)
		}
		for i := range some {
			words[i].Load()
		}
		for i := range some {
			f.meet(words[i], masks[i], &some[i].entry.RequestID)
		}
	}
}
