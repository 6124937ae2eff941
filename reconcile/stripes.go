package reconcile

import (
	"math"
	"slices"
	"sync"
)

// stripes share the entries of some spans out among workers. Each worker walks
// through a stripe of its own in order of seq, because the account states that
// it holds are then those of the next entry; one that is done takes the back
// half of the longest stripe that is left.
type stripes struct {
	bounds  *bounds
	regions []*region // where accounts are followed across them
	cuts    []int64   // where nothing that is taken reaches across; rising

	mu    sync.Mutex
	all   []*stripe
	fresh []*stripe // those of all that no worker has begun
}

// stripe is a range of seq that one worker walks through. The worker alone
// uses first, last and broken, until all are done.
type stripe struct {
	low       int64
	next, end int64 // what is left; guarded by stripes.mu

	first, last  *link // the first and the last entry met, nil when there is none
	frontUnknown bool  // an entry that could not be held in memory stands before first
	broken       bool  // what follows last was not read

	tree *stripeTree // nil when it is not looked at here

	region *region   // nil when accounts are not followed across regions
	opens  []opening // of accounts that the region before knows
}

func newStripes(spans []readSpan, workers int, b *bounds) *stripes {
	s := &stripes{bounds: b}
	for i := range spans {
		s.share(spans[i].Span, workers)
	}
	s.fresh = s.all
	return s
}

// cutRegions has accounts followed across regions: each stripe is one for now.
func (s *stripes) cutRegions() {
	for _, c := range s.all {
		c.region = newRegion(c, s.bounds.cachedAccounts)
		s.regions = append(s.regions, c.region)
	}
}

// share cuts a span into a stripe for each worker.
func (s *stripes) share(of Span, workers int) {
	// A single row far beyond the others makes a span of any length.
	each := min(of.Entries()/int64(workers), math.MaxInt64/2) + 1
	step := s.bounds.wholeBlocks(max(each, s.bounds.segmentEntries))
	for low := of.From; low < of.To; low += step {
		end := low + step
		if end > of.To || end < low {
			end = of.To
		}
		s.all = append(s.all, &stripe{low: low, next: low, end: end})
		if end == of.To {
			break
		}
	}
}

// begin returns a stripe that no worker has begun, or else one stolen; nil when
// there is nothing left to do.
func (s *stripes) begin() *stripe {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) == 0 {
		return s.steal()
	}
	first := s.fresh[0]
	s.fresh = s.fresh[1:]
	return first
}

// take removes up to n entries from the front of a stripe, and none beyond the next
// cut; ok is false when it is done.
func (s *stripes) take(from *stripe, n int64) (low, high int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from.next >= from.end {
		return 0, 0, false
	}
	low = from.next
	high = low + min(n, from.end-low)
	if i, _ := slices.BinarySearch(s.cuts, low+1); i < len(s.cuts) {
		high = min(high, s.cuts[i])
	}
	from.next = high
	return low, high, true
}

// endOf is where a stripe that is done has ended.
func (s *stripes) endOf(c *stripe) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.end
}

// setNext moves the front of a stripe: back to what was taken last, or forward
// over seqs that are known to have no rows.
func (s *stripes) setNext(of *stripe, next int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of.next = min(next, of.end)
}

// abandon gives up what is left of a stripe, and says what that is.
func (s *stripes) abandon(of *stripe) (low, high int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	low, high = of.next, of.end
	of.next, of.broken = of.end, true
	return low, high
}

// steal makes a stripe of the back half of the longest one; nil when all are short.
func (s *stripes) steal() *stripe {
	var longest *stripe
	for _, c := range s.all {
		if longest == nil || c.end-c.next > longest.end-longest.next {
			longest = c
		}
	}
	if longest == nil || longest.end-longest.next < 2*s.bounds.stolenEntries {
		return nil
	}
	middle := s.bounds.wholeBlocks(longest.next + (longest.end-longest.next)/2)
	stolen := &stripe{low: middle, next: middle, end: longest.end, region: longest.region}
	longest.end = middle
	s.all = append(s.all, stolen)
	return stolen
}
