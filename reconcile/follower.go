package reconcile

import (
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Point is where a ledger stood when it was followed so far. The zero value is
// before the first entry.
type Point struct {
	Size        int64
	Head        chain.Hash // of entry Size − 1
	RecordedAt  int64      // of that entry, like BookingDate
	BookingDate chain.Date
}

// Step is what following a ledger from a point on has given.
type Step struct {
	// Hashes are the recomputed ones of the entries from the point to Next.
	Hashes []chain.Hash
	// Next is where to go on. It is the point itself when something critical was
	// found, and never beyond an entry that could not be checked.
	Next Point
	// Size is how many entries the ledger has.
	Size int64
	// Findings are in the order of a Report's. After a critical one there are no
	// hashes.
	Findings []chain.Finding
	// Unchecked says what could not be checked, such as an entry of a kind that
	// newer software knows.
	Unchecked []string
}

// Refused reports whether something critical was found.
func (s *Step) Refused() bool {
	for i := range s.Findings {
		if s.Findings[i].Severity == chain.Critical {
			return true
		}
	}
	return false
}

// following bounds what a Follower holds of a ledger: half of what a worker of
// Verify does.
var following = bounds{
	segmentEntries:  4096,
	segmentPostings: 16_384,
	segmentText:     8 << 20,
	cachedAccounts:  16_384,
	cachedHolds:     8192,
	stolenEntries:   math.MaxInt64 / 2, // nobody to take from
	findings:        100,
	follow:          alongChain,
	page:            1024,
}

// maxFollowed is how many ledgers a Follower remembers the accounts of, some
// 5 MB each at most.
const maxFollowed = 16

// Follower re-derives the entries of ledgers as they come, as the first pass of
// Verify does along the chain: hash, form, balance, density, time, accounts and
// their limits, periods, currencies, and what captures, releases and reversals
// act on. It remembers the accounts of the ledgers that it followed last, so
// that a few new entries cost a few queries.
//
// What stands before the point it takes as it stands: the balance that a posting
// follows, the hold that a capture settles. It does not look at texts, for what
// stands twice, or at any table that no hash covers; all that is Verify's. It is
// not for use by several goroutines at once.
type Follower struct {
	db      *store.DB
	bounds  *bounds
	held    map[uuid.UUID]*followed
	turn    uint64
	segment segment // memory that is used again, for all ledgers
}

// NewFollower returns one that reads from db.
func NewFollower(db *store.DB) *Follower { return newFollower(db, &following) }

func newFollower(db *store.DB, b *bounds) *Follower {
	return &Follower{db: db, bounds: b, held: make(map[uuid.UUID]*followed), segment: segment{bounds: b}}
}

// followed is what a Follower remembers of a ledger.
type followed struct {
	v      *verification
	worker *worker
	rules  *ruleReader
	begun  bool
	at     Point
	turn   uint64 // when it was followed last
}

// Follow re-derives the entries of a ledger from a point on, at most that many.
// The error says that something could not be read; trying again is all there is
// to do.
func (f *Follower) Follow(ctx context.Context, id uuid.UUID, from Point, most int64) (Step, error) {
	step, first, err := f.follow(ctx, id, from, most)
	if err != nil || len(step.Unchecked) > 0 || step.Refused() {
		delete(f.held, id) // its accounts are somewhere beyond the point
	}
	if err != nil || step.Refused() || first <= from.Size || first == noSeq {
		return step, err
	}
	// Up to the entry that could not be checked, all is well.
	before, _, err := f.follow(ctx, id, from, first-from.Size)
	before.Unchecked = step.Unchecked
	return before, err
}

// follow does it; first is the first entry that could not be checked.
func (f *Follower) follow(ctx context.Context, id uuid.UUID, from Point, most int64) (step Step, first int64, err error) {
	step.Next = from
	cut, err := f.db.Snapshot(ctx, id)
	if err != nil {
		return step, 0, err
	}
	step.Size = cut.Size
	rollback, err := f.holdPoint(ctx, cut, from)
	if err != nil || rollback != nil {
		step.Findings = rollback
		return step, 0, err
	}
	pinned, end := cut.Size, cut.Size
	if end-from.Size > most {
		end = from.Size + most
	}
	if end == from.Size {
		return step, 0, nil
	}
	cut.Size = end
	l := f.remembered(id, from)
	l.v.snapshot, l.v.findings = cut, newFindings(f.bounds.findings)
	if err := l.begin(ctx); err != nil {
		return step, 0, err
	}
	last, err := f.walk(ctx, l, from, pinned)
	if err != nil {
		return step, 0, err
	}
	if step.Findings, err = l.v.list(ctx); err != nil {
		return step, 0, err
	}
	step.Unchecked = l.v.findings.reasons()
	if step.Refused() || len(step.Unchecked) > 0 {
		return step, l.v.findings.firstUnchecked(), nil
	}
	step.Hashes = l.worker.hashes
	step.Next = Point{Size: end, Head: last.recomputed, RecordedAt: last.recordedAt, BookingDate: last.bookingDate}
	l.at = step.Next
	return step, 0, nil
}

// Index: the primary key.
const pointSQL = `
select entry_hash from book.entries
where ledger_id = $1::uuid and seq = $2::int8`

// holdPoint looks whether the ledger still has what was followed, and returns
// findings if not.
func (f *Follower) holdPoint(ctx context.Context, cut *store.Snapshot, from Point) ([]chain.Finding, error) {
	if from.Size == 0 {
		return nil, nil
	}
	if cut.Size < from.Size {
		return []chain.Finding{NewFinding(LogRollback, cut.Size, entriesText(cut.Size), entriesText(from.Size)+", signed")}, nil
	}
	stored, found := "no entry", false
	err := cut.Scan(ctx, pointSQL, []any{cut.LedgerID, from.Size - 1}, func(r *store.Row) error {
		h := r.Hash(0)
		found = rejected(r) == nil && h == from.Head
		stored = h.String()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading entry %d of ledger %s: %w", from.Size-1, cut.LedgerID, err)
	}
	if found {
		return nil, nil
	}
	lost := finding{code: LogRollback, seq: from.Size - 1, column: "entry_hash", stored: stored, recomputed: from.Head.String()}
	return []chain.Finding{lost.public(nil, nil)}, nil
}

// NewFinding is a finding that a signer makes itself, with the severity and the
// next step of its code.
func NewFinding(code string, seq int64, stored, recomputed string) chain.Finding {
	f := finding{code: code, seq: seq, stored: stored, recomputed: recomputed}
	return f.public(nil, nil)
}

func entriesText(n int64) string {
	return fmt.Sprintf("%d %s", n, plural(int(min(n, math.MaxInt32)), "entry", "entries"))
}

// remembered returns what is known of a ledger at that point, or makes room for
// it.
func (f *Follower) remembered(id uuid.UUID, at Point) *followed {
	f.turn++
	l := f.held[id]
	if l == nil || l.at != at {
		if l == nil && len(f.held) >= maxFollowed {
			f.forgetOldest()
		}
		v := &verification{level: LevelColumns, bounds: f.bounds}
		l = &followed{v: v, worker: v.newWorker(), rules: newRuleReader(v), at: at}
		l.worker.follows, l.worker.bookOnly, l.worker.keepsHashes = true, true, true
		f.held[id] = l
	}
	l.turn = f.turn
	return l
}

func (f *Follower) forgetOldest() {
	var oldest uuid.UUID
	turn := uint64(math.MaxUint64)
	for id, l := range f.held {
		if l.turn < turn {
			oldest, turn = id, l.turn
		}
	}
	delete(f.held, oldest)
}

// begin reads what stands beside the entries: all of it the first time, and
// later only the rules that are new.
func (l *followed) begin(ctx context.Context) error {
	after := l.at.Size - 1
	if !l.begun {
		after = -1
		if err := l.v.readTerms(ctx); err != nil {
			return err
		}
	}
	if l.v.terms == nil {
		l.v.findings.add(finding{code: LedgerMissing, seq: 0, stored: "no row of book.ledgers"})
	}
	l.begun = true
	return l.rules.read(ctx, after)
}

// walk goes through the entries of the cut, and returns the last one.
func (f *Follower) walk(ctx context.Context, l *followed, from Point, pinned int64) (*link, error) {
	v, w := l.v, l.worker
	s := &stripe{low: from.Size, next: from.Size, end: v.snapshot.Size}
	if from.Size > 0 {
		s.last = &link{seq: from.Size - 1, stored: from.Head, recomputed: from.Head, recordedAt: from.RecordedAt, bookingDate: from.BookingDate}
	}
	v.stripes = &stripes{bounds: f.bounds, all: []*stripe{s}}
	if !f.segment.plain { // otherwise everything is read as it stands
		f.segment.plain, _ = plainColumns(ctx, v.snapshot)
	}
	w.stripe, w.segment, w.hashes = s, f.segment, nil
	err := w.walk(ctx)
	f.segment = w.segment
	w.segment = segment{bounds: f.bounds}
	if err != nil {
		return nil, fmt.Errorf("re-deriving entries %d to %d of ledger %s: %w", s.next, s.end-1, v.snapshot.LedgerID, err)
	}
	if s.first != nil && from.Size == 0 && !s.frontUnknown {
		v.findings.add(compareLinks(nil, s.first, &w.days)...)
	}
	switch reached := s.last; {
	case reached == nil:
		v.findings.add(missing(from.Size, v.snapshot.Size-1))
	case reached.seq < v.snapshot.Size-1:
		v.findings.add(missing(reached.seq+1, v.snapshot.Size-1))
	case v.snapshot.Size == pinned && reached.stored != v.snapshot.Head && reached.rejected != "entry_hash":
		v.findings.add(finding{code: HeadMismatch, seq: reached.seq, stored: reached.stored.String(), recomputed: v.snapshot.Head.String()})
	}
	return s.last, nil
}

// list returns the findings as they are reported.
func (v *verification) list(ctx context.Context) ([]chain.Finding, error) {
	kept, err := v.prove(ctx, v.findings.sorted())
	if err != nil {
		return nil, err
	}
	if len(kept) == 0 {
		return nil, nil
	}
	codes, requests, err := v.lookUpNames(ctx, kept)
	if err != nil {
		return nil, err
	}
	all := make([]chain.Finding, len(kept))
	for i := range kept {
		all[i] = kept[i].public(codes, requests)
	}
	return all, nil
}

// firstUnchecked returns the first entry that could not be checked, noSeq when
// there is none.
func (f *findings) firstUnchecked() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := int64(noSeq)
	for _, u := range f.unchecked {
		first = min(first, u.first)
	}
	return first
}
