package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/policy"
)

// VerifyNarrowly is Verify with bounds so small that the sample ledger is cut
// into many segments, that accounts are dropped and met again, that workers
// take work from each other, and that entries are read in pieces. Accounts are
// followed along the chain or in account order.
func VerifyNarrowly(ctx context.Context, db *store.DB, ledgerID uuid.UUID, opts Options, byAccounts bool) (Report, error) {
	follow := alongChain
	if byAccounts {
		follow = byAccount
	}
	return verifyWithin(ctx, db, ledgerID, opts, &bounds{
		follow:         follow,
		segmentEntries: 3, segmentPostings: 4, segmentText: 3000, cachedAccounts: 4, cachedHolds: 5, stolenEntries: 1,
		findings: 1000, erasures: 10, page: 2,
	})
}

// VerifyJoining is VerifyNarrowly with all accounts held, so that what they have
// before a region is left by the one before, and what they had at the cuts of claims
// by the first pass; or not that, so that it is searched for.
func VerifyJoining(ctx context.Context, db *store.DB, ledgerID uuid.UUID, opts Options, searching bool) (Report, error) {
	marks := 1000
	if searching {
		marks = 0
	}
	return verifyWithin(ctx, db, ledgerID, opts, &bounds{
		follow:         alongChain,
		segmentEntries: 3, segmentPostings: 40, segmentText: 16_000, cachedAccounts: 1000, cachedHolds: 5, stolenEntries: 2, marks: marks, textPlaces: 5, textsFirst: true,
		findings: 1000, erasures: 10, page: 2,
	})
}

// NewNarrowFollower is NewFollower with bounds so small that the sample ledger
// is cut into many segments.
func NewNarrowFollower(db *store.DB) *Follower {
	return newFollower(db, &bounds{
		follow:         alongChain,
		segmentEntries: 3, segmentPostings: 4, segmentText: 2600, cachedAccounts: 4, cachedHolds: 5, stolenEntries: 1,
		findings: 1000, erasures: 10, page: 2,
	})
}

// Merkle is the verifier's tree.
type Merkle struct{ merkle }

// NewMerkle continues the tree of some first leaves.
func NewMerkle(f chain.Frontier) *Merkle { return &Merkle{newMerkle(f)} }

// Add is merkle.add.
func (m *Merkle) Add(height int, node chain.Hash, stored func(level int, position int64, node chain.Hash)) {
	m.add(height, node, stored)
}

// Root is merkle.root.
func (m *Merkle) Root() chain.Hash { return m.root() }

// Listed is listed.
func Listed(table string) bool { return listed(table) }

// inBlocks are bounds by which a small ledger is cut into stripes of whole blocks
// of the tree, some of which are taken over from another worker.
var inBlocks = bounds{
	follow:         alongChain,
	segmentEntries: 256, segmentPostings: 2000, segmentText: 1 << 20, cachedAccounts: 2000, cachedHolds: 5, stolenEntries: 256,
	findings: 1000, erasures: 10, page: 100,
}

// VerifyInBlocks is Verify within these bounds.
func VerifyInBlocks(ctx context.Context, db *store.DB, ledgerID uuid.UUID, opts Options) (Report, error) {
	return verifyWithin(ctx, db, ledgerID, opts, &inBlocks)
}

// StripesHold does the first pass of VerifyInBlocks, and reports whether it has
// shown that tree and checkpoints hold, and how many stripes had a tree.
func StripesHold(ctx context.Context, db *store.DB, ledgerID uuid.UUID, workers int) (holds bool, trees int, err error) {
	opts := Options{Level: LevelColumns, Workers: workers}
	v := newVerification(opts, &inBlocks, time.Time{})
	if err := v.begin(ctx, db, ledgerID, &opts); err != nil {
		return false, 0, err
	}
	if err := v.walkStripes(ctx, false); err != nil {
		return false, 0, err
	}
	v.join(v.stripes.all)
	for _, s := range v.stripes.all {
		if s.tree != nil {
			trees++
		}
	}
	return v.stripesHold(), trees, nil
}

// RegionsLeave does the first pass of VerifyInBlocks and joins its regions. It
// returns how many postings were left to the join, and what the newest ones add up to
// as the regions left them and as they are read, as text; "unknown" for the former
// where the regions do not know of all.
func RegionsLeave(ctx context.Context, db *store.DB, ledgerID uuid.UUID, workers int) (openings int, left, read string, err error) {
	opts := Options{Level: LevelColumns, Workers: workers}
	v := newVerification(opts, &inBlocks, time.Time{})
	if err := v.begin(ctx, db, ledgerID, &opts); err != nil {
		return 0, "", "", err
	}
	if err := v.walkStripes(ctx, false); err != nil {
		return 0, "", "", err
	}
	for _, r := range v.stripes.regions {
		openings += len(r.first.opens)
	}
	if err := v.meetRegions(ctx); err != nil {
		return 0, "", "", err
	}
	show := func() string {
		text := fmt.Sprintf("%d postings", v.books.postings)
		for key, t := range v.books.totals {
			text += fmt.Sprint(key, &t.debits, &t.credits, &t.pendingDebit, &t.pendingCredit)
		}
		return text
	}
	if left = "unknown"; v.newest != nil {
		err = v.addUp(ctx, true)
		left = show()
	}
	v.newest = nil
	err = errors.Join(err, v.addUp(ctx, true))
	return openings, left, show(), err
}

// AccountCache is the cache of a worker.
type AccountCache struct{ *accountCache }

// NewAccountCache returns a cache of at most limit accounts.
func NewAccountCache(limit int) AccountCache { return AccountCache{newAccountCache(limit, 0)} }

// NextSegment lets go of what the segment before needed.
func (c AccountCache) NextSegment() { c.epoch++ }

// Finds reports whether an account is held.
func (c AccountCache) Finds(id uuid.UUID) bool { return c.find(id) != nil }

// Hold makes room for some accounts, as for the postings of a segment: their places
// are guessed first. It returns these, and which accounts were not held.
func (c AccountCache) Hold(ids []uuid.UUID) (places []int32, strange []bool) {
	postings, guesses := make([]chain.Posting, len(ids)), make([]int32, len(ids))
	for i := range ids {
		postings[i].AccountID = ids[i]
	}
	c.fetch(postings, guesses)
	for i := range ids {
		at, unknown := c.hold(&ids[i], guesses[i]-1)
		places, strange = append(places, at), append(strange, unknown)
	}
	return places, strange
}

// Suspects returns which of some requests a filter for that many entries suspects
// of standing twice; ok is false when they are too many, or the entries.
func Suspects(entries int64, limit int, requests []uuid.UUID) (ids []uuid.UUID, ok bool) {
	f := newRequestFilter(entries, limit)
	if f == nil {
		return nil, false
	}
	for _, id := range requests {
		word, mask := f.bits(&id)
		f.meet(word, mask, &id)
	}
	return f.suspected()
}

// ReadBothWays reads a range of entries with their postings, packed and as they
// stand, and returns both as text; n is how many rows were read packed.
func ReadBothWays(ctx context.Context, db *store.DB, ledger uuid.UUID, low, high int64) (packed, whole string, n int, err error) {
	from, err := db.Snapshot(ctx, ledger)
	if err != nil {
		return "", "", 0, err
	}
	base := max(low, 0)
	var words words
	var a, b segment
	for _, s := range []*segment{&a, &b} {
		s.bounds = &standard
		s.reset(low, high)
		s.expected = expected{currency: "EUR", scale: 2}
	}
	args := []any{ledger, low, high}
	like := &a.expected
	scans := []error{
		from.Scan(ctx, a.entryShape.of(entryExtras).sql, append(args[:3:3], base, like.booking.Time(), like.actor), func(r *store.Row) error { return a.addPackedEntry(ledger, r, base, like) }),
		from.Scan(ctx, a.postingShape.of(postingExtras).sql, append(args[:3:3], base, "EUR", int64(2), like.effective.Time()), func(r *store.Row) error { return a.addPacked(r, base, like, &words) }),
		from.Scan(ctx, entriesSQL, args, func(r *store.Row) error { return b.addEntry(ledger, r) }),
		from.Scan(ctx, postingsSQL, args, func(r *store.Row) error { return b.addPosting(r, &words) }),
	}
	return a.show(), b.show(), len(a.entries) + len(a.postings), errors.Join(scans...)
}

func (s *segment) show() string { return fmt.Sprintf("%+v\n%+v\n%+v", s.entries, s.postings, s.places) }

// ReadInShapes reads the entries below size with their postings, so many at a time,
// in the columns that a worker would choose and as they stand, and calls each with
// both as text. columns is how many more columns the last one was read in than are
// always sent; −1: as it stands.
func ReadInShapes(ctx context.Context, db *store.DB, ledger uuid.UUID, size, step int64, each func(low int64, shaped, whole string, columns int)) error {
	from, err := db.Snapshot(ctx, ledger)
	if err != nil {
		return err
	}
	var words words
	shaped := segment{bounds: &standard, plain: true}
	for low := int64(0); low < size; low += step {
		whole := segment{bounds: &standard}
		whole.reset(low, low+step)
		shaped.reset(low, low+step)
		whole.low, shaped.low = low, low
		args := []any{ledger, low, low + step}
		entries, postings := shaped.entryShape.reads, shaped.postingShape.reads
		err := errors.Join(
			shaped.loadEntries(ctx, from), shaped.loadPostings(ctx, from, &words),
			from.Scan(ctx, entriesSQL, args, func(r *store.Row) error { return whole.addEntry(ledger, r) }),
			from.Scan(ctx, postingsSQL, args, func(r *store.Row) error { return whole.addPosting(r, &words) }),
		)
		if err != nil {
			return err
		}
		shaped.expect()
		columns := len(shaped.entryShape.sent) + len(shaped.postingShape.sent)
		if entries == shaped.entryShape.reads || postings == shaped.postingShape.reads {
			columns = -1
		}
		each(low, shaped.show(), whole.show(), columns)
	}
	return nil
}

// SnapshotOf cuts balances into the parts of a snapshot.
func SnapshotOf(all []Balance, lines int) ([]store.SnapshotPart, error) {
	return snapshotOf(all, lines)
}

// Rehash computes the hashes of a ledger anew, from its columns as they now stand,
// each over the one before: what a forger does who wants no hash to give an edit
// away.
func Rehash(ctx context.Context, db *store.DB, ledgerID uuid.UUID, set func(seq int64, prev, hash chain.Hash) error) error {
	cut, err := db.Snapshot(ctx, ledgerID)
	if err != nil {
		return err
	}
	v := &verification{level: LevelChain, bounds: &standard, snapshot: cut, findings: newFindings(standard.findings)}
	if err := v.readTerms(ctx); err != nil {
		return err
	}
	w := v.newWorker()
	w.stripe = &stripe{}
	prev := chain.Genesis
	for seq := range cut.Size {
		w.segment.reset(seq, seq+1)
		if err := w.segment.load(ctx, cut, &w.words); err != nil {
			return err
		}
		w.beginSegment()
		if err := w.meet(ctx); err != nil {
			return err
		}
		if len(w.segment.entries) != 1 {
			return fmt.Errorf("rehashing entry %d: there are %d", seq, len(w.segment.entries))
		}
		w.derive()
		e := &w.segment.entries[0].entry
		e.PrevHash = prev
		hash := e.Hash()
		if err := set(seq, prev, hash); err != nil {
			return err
		}
		prev = hash
	}
	return nil
}

// Spans returns the entries that a plan reads, of a ledger with that size and
// number of runs on record.
func (p *Plan) Spans(size, runs int64) []Span { return p.spans(size, runs) }

// DoPhases does some phases of the night of a ledger, planned otherwise, and keeps
// nothing. It returns what they found, and how long each took.
func DoPhases(ctx context.Context, deps NightDeps, o NightOptions, plan func(*Night), names ...string) ([]PhaseFindings, []time.Duration, error) {
	n, _, err := freeze(ctx, deps.DB, deps.Now(), &o)
	if err != nil {
		return nil, nil, err
	}
	n.Keeper, n.again = &deps.Keeper, true
	r := &nightRun{Night: n, options: &o}
	r.bodies = make(map[string][]byte)
	plan(n)
	var all []PhaseFindings
	var took []time.Duration
	for _, name := range names {
		at := slices.IndexFunc(phases, func(p phase) bool { return p.name == name })
		begun := time.Now()
		if err := r.doPhase(ctx, &phases[at]); err != nil {
			return nil, nil, err
		}
		took = append(took, time.Since(begun))
		all = append(all, r.found.of(name))
		r.endPhase()
	}
	return all, took, nil
}

// NightOutputs does the whole night of a ledger but for its entry, planned
// otherwise, and keeps nothing. It returns what it would have put out, by kind and
// name, and how many entries the reports of periods have read.
func NightOutputs(ctx context.Context, deps NightDeps, o NightOptions, plan func(*Night)) (map[string][]byte, int64, error) {
	n, _, err := freeze(ctx, deps.DB, deps.Now(), &o)
	if err != nil {
		return nil, 0, err
	}
	n.Keeper, n.again = &deps.Keeper, true
	r := &nightRun{Night: n, options: &o}
	r.bodies = make(map[string][]byte)
	plan(n)
	for i := range phases {
		if phases[i].do == nil {
			break
		}
		if err := r.doPhase(ctx, &phases[i]); err != nil {
			return nil, 0, err
		}
		r.endPhase()
	}
	return r.bodies, n.passed, nil
}

// Passes reads the year and the month of reports up to a day, as the night does:
// all of them, and from the states on that such a pass has left at an earlier day.
// It returns the states and documents of both, and how many entries both have read.
func Passes(ctx context.Context, s *store.Snapshot, p *policy.Policy, earlier, day chain.Date, policyBefore *policy.Policy) (outcomes [2]string, read [2]int64, err error) {
	for monthly, k := range map[bool]*ReportKind{false: kindNamed("trial-balance"), true: kindNamed("daily-position")} {
		n := periodNeed(monthly)
		request := func(on chain.Date, p *policy.Policy) *ReportRequest {
			return &ReportRequest{AsOf: &on, Policy: p, maxLines: passLines}
		}
		before, err := pinBooks(ctx, s, k, request(earlier, policyBefore))
		if err == nil {
			err = before.read(ctx, n, request(earlier, policyBefore))
		}
		if err != nil {
			return outcomes, read, err
		}
		for i, state := range [][]byte{nil, before.state(n)} {
			q := request(day, p)
			b, err := pinBooks(ctx, s, k, q)
			if err == nil && state != nil {
				if err = b.goOn(ctx, n, q, state); errors.Is(err, errPassState) {
					b, err = pinBooks(ctx, s, k, q)
					state = nil
				}
			}
			if err == nil && state == nil {
				err = b.read(ctx, n, q)
			}
			if err != nil {
				return outcomes, read, err
			}
			read[i] += b.passed
			outcomes[i] += fmt.Sprintf("%v %x\n%+v\n", monthly, b.state(n), b.Books)
		}
	}
	return outcomes, read, nil
}

// passLines is how many lines Passes lists: few, so that the bound is met.
const passLines = 25
