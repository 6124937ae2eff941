package reconcile

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// finding is a chain.Finding before account codes and transfer ids are looked up.
type finding struct {
	code       string
	seq        int64 // noSeq: about the ledger as a whole
	account    uuid.UUID
	named      bool // account is proven
	column     string
	stored     string
	recomputed string

	until    int64 // the last entry it is about, when that is not seq
	unhashed bool  // the entry could not even be hashed

	proof     string // what a second rule proves about it
	disproved bool
}

// breaks reports whether f interrupts what the hash of the head vouches for.
func (f *finding) breaks() bool { return f.unhashed || Checks[precedence[f.code]].breaks }

// noSeq sorts after every seq.
const noSeq = math.MaxInt64

func compareFindings(a, b finding) int {
	return cmp.Or(
		cmp.Compare(a.seq, b.seq),
		cmp.Compare(precedence[a.code], precedence[b.code]),
		slices.Compare(a.account[:], b.account[:]),
		strings.Compare(a.column, b.column),
		strings.Compare(a.stored, b.stored),
		strings.Compare(a.recomputed, b.recomputed),
	)
}

// findings gathers what the workers find. It keeps the first limit in
// the order of compareFindings, whichever worker is faster, and counts the rest.
type findings struct {
	limit int

	mu        sync.Mutex
	kept      []finding
	counts    map[string]int64 // by code, all of them
	unchecked []unchecked
	more      int64 // reasons beyond maxUnchecked
}

// unchecked is a reason for INCOMPLETE. The same reason at many entries is one.
type unchecked struct {
	what  string
	first int64 // noSeq when it is not about an entry
	count int64
}

func newFindings(limit int) *findings {
	return &findings{limit: limit, counts: make(map[string]int64)}
}

func (f *findings) add(found ...finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range found {
		f.counts[x.code]++
	}
	f.kept = append(f.kept, found...)
	if len(f.kept) >= 2*f.limit {
		f.trim()
	}
}

func (f *findings) trim() {
	slices.SortFunc(f.kept, compareFindings)
	if len(f.kept) > f.limit {
		f.kept = slices.Delete(f.kept, f.limit, len(f.kept))
	}
}

// notChecked records that something at seq (or noSeq) could not be checked.
func (f *findings) notChecked(seq int64, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.unchecked {
		if u := &f.unchecked[i]; u.what == what {
			u.first = min(u.first, seq)
			u.count++
			return
		}
	}
	if len(f.unchecked) == maxUnchecked {
		f.more++
		return
	}
	f.unchecked = append(f.unchecked, unchecked{what: what, first: seq, count: 1})
}

// sorted returns the findings kept, in order.
func (f *findings) sorted() []finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trim()
	return f.kept
}

// reasons returns why the verification is incomplete, sorted; empty when it is not.
func (f *findings) reasons() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.SortFunc(f.unchecked, func(a, b unchecked) int {
		return cmp.Or(cmp.Compare(a.first, b.first), strings.Compare(a.what, b.what))
	})
	var reasons []string
	for _, u := range f.unchecked {
		switch {
		case u.first == noSeq:
			reasons = append(reasons, u.what)
		case u.count == 1:
			reasons = append(reasons, fmt.Sprintf("entry %d: %s", u.first, u.what))
		default:
			reasons = append(reasons, fmt.Sprintf("%d entries from %d on: %s", u.count, u.first, u.what))
		}
	}
	if f.more > 0 {
		reasons = append(reasons, fmt.Sprintf("%d further places that could not be checked", f.more))
	}
	return reasons
}

// drop takes one finding back.
func (f *findings) drop(code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[code]--
}

// critical counts the findings that make a ledger tampered.
func (f *findings) critical() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := int64(0)
	for code, count := range f.counts {
		if Checks[precedence[code]].Severity == chain.Critical {
			n += count
		}
	}
	return n
}

// total counts all findings.
func (f *findings) total() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := int64(0)
	for _, count := range f.counts {
		n += count
	}
	return n
}
