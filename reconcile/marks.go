package reconcile

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sort"
	"strconv"
	"sync"

	"github.com/google/uuid"
)

// marks are the balances of accounts at the cuts of the claims, gathered while the
// first pass walks past them: at each cut, and at the end of each stripe, those of
// the accounts posted to since the one before. So the last mark of an account before
// a cut is of its last posting before it.
//
// They are good for claims if the pass has met every posting and found nothing wrong.
type marks struct {
	cuts  []int64 // rising
	limit int

	mu   sync.Mutex
	all  []mark
	lost bool // an account was dropped, or there were too many
}

// mark is what an account had after its posting at seq.
type mark struct {
	account uuid.UUID
	seq     int64
	balances
}

// maxCuts is how many claims the first pass looks out for.
const maxCuts = 2 * maxStoredSnapshots

// readCuts notes the cuts of all claims before the first pass. Where that fails, or
// there are too many, balances are read again for each; what is wrong with a claim is
// said when it is held.
func (v *verification) readCuts(ctx context.Context) {
	if v.level < LevelColumns || !v.whole() || !v.alongChain {
		return
	}
	var cuts []int64
	for after := int64(-1); len(cuts) <= maxCuts; {
		page, last, err := v.commitmentPage(ctx, after)
		if err != nil {
			return
		}
		if last == after {
			break
		}
		after = last
		for _, c := range page {
			if size, err := strconv.ParseInt(c.detail("size"), 10, 64); err == nil {
				cuts = append(cuts, size)
			}
		}
	}
	if v.stored {
		kept, err := snapshotsUpTo(ctx, v.snapshot, v.snapshot.Size, maxStoredSnapshots)
		if err != nil {
			return
		}
		for _, s := range kept {
			cuts = append(cuts, s.size)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	if n := len(cuts); n == 0 || n > maxCuts || cuts[0] < 1 || cuts[n-1] > v.snapshot.Size {
		return
	}
	v.marks = &marks{cuts: cuts, limit: v.bounds.marks}
	v.stripes.cuts = cuts
}

// markEnd takes in what the worker's accounts have at the end of what it has walked
// through, if that is a cut or the stripe ends there.
func (w *worker) markEnd(end int64, ofStripe bool) {
	m := w.v.marks
	if m == nil || w.strangersOnly || end > m.cuts[len(m.cuts)-1] {
		return
	}
	if _, is := slices.BinarySearch(m.cuts, end); !is && !ofStripe {
		return
	}
	m.take(w.accounts, w.marked)
	w.marked = end
}

// take takes in the accounts posted to since an entry.
func (m *marks) take(c *accountCache, since int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost = m.lost || c.forgot
	for i := 0; i < len(c.states) && !m.lost; i++ {
		if a := &c.states[i]; a.accountSeq > 0 && a.seq >= since {
			m.all = append(m.all, mark{a.id, a.seq, a.balances})
			m.lost = len(m.all) > m.limit
		}
	}
	if m.lost {
		m.all = nil
	}
}

// settle puts the marks in order, once all have been taken; it returns nil when they
// are no good.
func (m *marks) settle() *marks {
	if m == nil || m.lost {
		return nil
	}
	slices.SortFunc(m.all, func(a, b mark) int {
		if c := bytes.Compare(a.account[:], b.account[:]); c != 0 {
			return c
		}
		return cmp.Compare(a.seq, b.seq)
	})
	return m
}

// fill sets the balances of accounts at some cuts, which rise; ok is false when the
// first pass did not look out for one of them.
func (m *marks) fill(accounts []pastAccount, cuts []int64) (ok bool) {
	for _, c := range cuts {
		if _, known := slices.BinarySearch(m.cuts, c); !known {
			return false
		}
	}
	for i := range accounts {
		a := &accounts[i]
		of := m.all[sort.Search(len(m.all), func(i int) bool { return bytes.Compare(m.all[i].account[:], a.id[:]) >= 0 }):]
		var at balances
		for c, cut := range cuts {
			for ; len(of) > 0 && of[0].account == a.id && of[0].seq < cut; of = of[1:] {
				at = of[0].balances
			}
			a.at[c] = at
		}
	}
	return true
}
