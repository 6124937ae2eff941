package reconcile

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// DefaultWorkers is twice as many as processors: each waits for the database about
// half of its time. Measured on 2 processors, 3 workers are a fifth faster than 2,
// 4 faster than 3 by 4 %, and more are not.
func DefaultWorkers() int { return 2 * runtime.GOMAXPROCS(0) }

// ErrUnknownLedger means that the database holds nothing of the ledger: neither
// its terms nor a row of its entries.
var ErrUnknownLedger = errors.New("unknown ledger")

// Verify re-derives every entry of a ledger as it stands when Verify begins,
// and reports everything that does not hold. Its error says that verification
// could not begin (ErrUnknownLedger, no connection) or was cancelled; what goes
// wrong on the way makes the report incomplete.
func Verify(ctx context.Context, db *store.DB, ledgerID uuid.UUID, opts Options) (Report, error) {
	return verifyWithin(ctx, db, ledgerID, opts, &standard)
}

func verifyWithin(ctx context.Context, db *store.DB, ledgerID uuid.UUID, opts Options, b *bounds) (Report, error) {
	if err := opts.check(); err != nil {
		return Report{}, err
	}
	begun := time.Now()
	v := newVerification(opts, b, begun)
	switch err := v.begin(ctx, db, ledgerID, &opts); {
	case err != nil && (ctx.Err() != nil || !store.Answered(err)):
		return Report{}, err
	case err != nil: // something is in the way, and the schema may say what
		v.findings.notChecked(noSeq, "the ledger: "+err.Error())
		v.snapshot, v.unreadable = db.Unpinned(ledgerID), true
		v.run(ctx, v.schemaCheck(db))
		if store.Passing(err) && len(v.findings.kept) == 0 {
			return Report{}, err // it may really be passing
		}
		return v.report(ctx, time.Since(begun))
	}
	if v.level >= LevelChain {
		if err := v.walkStripes(ctx, false); err != nil {
			return Report{}, err
		}
		v.join(v.stripes.all)
		if err := v.meetRegions(ctx); err != nil {
			return Report{}, err
		}
	}
	for _, c := range v.checks(db, &opts) {
		if v.run(ctx, c); ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
	}
	v.reportEvidence()
	return v.report(ctx, time.Since(begun))
}

// check is a part of a verification, and the level from which on it is done.
type check struct {
	what  string
	level Level
	run   func(context.Context) error
}

// checks are the parts that follow the first pass.
func (v *verification) checks(db *store.DB, opts *Options) []check {
	return []check{
		{"the Merkle tree and the checkpoints", LevelChain, v.checkTree},
		{"the newest checkpoint", LevelHead, v.checkHead},
		{"the pinned checkpoint", LevelPin, func(ctx context.Context) error { return v.checkPin(ctx, opts) }},
		{"rows without a seq", LevelColumns, v.findUnplaced},
		{"accounts and their sums", LevelColumns, v.checkBooks},
		{"requests that stand twice", LevelColumns, v.checkDuplicates},
		{"what is settled or reversed twice", LevelColumns, v.checkOnce},
		{"erasures", LevelColumns, v.checkErasures},
		{"balance commitments and snapshots of balances", LevelColumns, v.checkClaims},
		{"runs, decisions and policies", LevelColumns, v.checkNightEntries},
		{"stored runs and what they put out", LevelSchema, v.checkStoredRuns},
		{"what ledgers succeed", LevelSchema, v.readSuccessions},
		v.schemaCheck(db),
		{"ledgers that vanished", LevelSchema, func(ctx context.Context) error {
			if !opts.Others {
				return nil
			}
			return v.checkOthers(ctx, db)
		}},
		{"the super-log", LevelSchema, func(ctx context.Context) error {
			if !opts.SuperLog {
				return nil
			}
			return v.checkSuperLog(ctx, db, opts)
		}},
		{"evidence from outside the database", LevelEvidence, func(ctx context.Context) error { return v.checkOutside(ctx, opts) }},
	}
}

func (v *verification) schemaCheck(db *store.DB) check {
	return check{"tables, constraints and rights", LevelSchema, func(ctx context.Context) error { return v.checkSchema(ctx, db) }}
}

// run runs a check of this level. One that fails makes the report incomplete.
func (v *verification) run(ctx context.Context, c check) {
	if v.level < c.level {
		return
	}
	if err := c.run(ctx); err != nil && ctx.Err() == nil {
		v.findings.notChecked(noSeq, c.what+": "+err.Error())
	}
}

// verification is one run of Verify.
type verification struct {
	level         Level
	from          int64      // where a pinned checkpoint lets LevelChain begin; 0 otherwise
	spans         []readSpan // the entries that the first pass walks through; rising
	present       int64      // how many entries there are now; the cut may be an earlier one
	latest        int64      // the last size that counts: that of a cut that was asked for
	unreadable    bool       // the ledger could not even be begun
	succeeds      *Succession
	succeededBy   []SucceededBy
	gone          bool // and there is none: what is verified is what is left of it
	unlisted      bool // or whether there is one could not be read
	bounds        *bounds
	snapshot      *store.Snapshot
	workers       int
	terms         *chain.LedgerTerms // nil when they are gone
	termsDoubtful bool               // a column of them could not be read
	rules         rulebook
	otherLedgers  []uuid.UUID
	accounts      int64 // how many there are, new ones included
	alongChain    bool  // accounts are followed in the first pass
	stored        bool  // see Options
	moreSnapshots bool  // than are held against the postings
	plain         bool  // see plainColumns
	days          bookingDays
	stripes       *stripes
	requests      *requestFilter // nil when requests are not gathered
	findings      *findings
	erasures      erasures
	evidence      evidence
	progress      func(done, total int64)

	incomplete      atomic.Bool // part of the entries was not read
	textsUnreadable atomic.Bool
	textPlaces      atomic.Pointer[[]int64] // see findTexts
	termsUnreadable atomic.Bool

	newest map[uuid.UUID]balancesAt // of each account by the first pass; nil when not known
	marks  *marks                   // nil when there is nothing to look out for

	mu      sync.Mutex
	done    int64
	scope   scopeCounts
	books   books
	derived Derived
}

// walkStripes has the workers walk through all entries.
func (v *verification) walkStripes(ctx context.Context, strangersOnly bool) error {
	if v.alongChain && !strangersOnly && v.whole() {
		v.stripes.cutRegions()
	}
	if v.level >= LevelColumns && !strangersOnly && v.whole() {
		end := beside(ctx, v.findTexts, v.bounds.textsFirst)
		defer end()
	}
	return parallel(ctx, v.workers, func(ctx context.Context, _ int) error {
		w := v.newWorker()
		w.follows, w.strangersOnly = v.alongChain || strangersOnly, strangersOnly
		w.segment.quiet = make(map[string]quiet)
		err := w.run(ctx)
		v.mu.Lock()
		defer v.mu.Unlock()
		v.scope.add(w.scope)
		return err
	})
}

func (v *verification) newWorker() *worker {
	met := v.accounts
	if len(v.spans) > 0 { // most entries touch two
		read := int64(0)
		for i := range v.spans {
			read += min(v.spans[i].Entries(), met) // a row far beyond the others makes a span of any length
		}
		met = min(met, 2*read)
	}
	return &worker{v: v, days: v.days, segment: segment{bounds: v.bounds, plain: v.plain}, accounts: newAccountCache(v.bounds.cachedAccounts, met), holds: newHeldHolds(v.bounds.cachedHolds)}
}

// advance tells how far the first pass is.
func (v *verification) advance(entries int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.done += entries
	if v.progress != nil {
		v.progress(v.done, v.toDo())
	}
}

// toDo is how many entries there are to do; reading them again by account
// counts as much again.
func (v *verification) toDo() int64 {
	if v.alongChain || v.level < LevelColumns {
		return v.toRead()
	}
	return 2 * v.snapshot.Size
}

func newVerification(opts Options, b *bounds, now time.Time) *verification {
	v := &verification{level: opts.Level, stored: opts.Stored && opts.Level >= LevelSchema, bounds: b, workers: opts.Workers, findings: newFindings(b.findings), erasures: erasures{limit: b.erasures}, progress: opts.Progress}
	v.evidence = evidence{policy: opts.Policy, fresh: opts.Fresh, now: now,
		roots: make(map[int64]chain.Hash), asked: make(map[int64]bool), broken: make(map[string]*series)}
	return v
}

// begin pins the cut and reads what stands beside the entries.
//
// Rows that belong to no entry may lie beyond the newest entry, where a row
// may also belong to one that is just being appended. An append is all or
// nothing: rows seen before the cut was made belong to entries below it. So do
// checkpoints.
func (v *verification) begin(ctx context.Context, db *store.DB, ledgerID uuid.UUID, opts *Options) error {
	v.lookAhead(ctx, db, ledgerID)
	highest := v.highestRows(ctx, db, ledgerID)
	snapshot, err := db.Snapshot(ctx, ledgerID)
	if err != nil {
		return err
	}
	v.snapshot = snapshot
	if err := v.pinTo(ctx, opts.At); err != nil {
		return err
	}
	if err := v.readTerms(ctx); err != nil {
		return err
	}
	if chain.IsSuperID(ledgerID) && v.terms != nil {
		v.findings.add(finding{code: LedgerIDMismatch, seq: 0, stored: ledgerID.String(), recomputed: "an id that is no super-log's"})
	}
	if v.terms != nil && !v.termsDoubtful && v.level >= LevelChain {
		if v.days, err = newBookingDays(v.terms); err != nil {
			v.findings.notChecked(noSeq, "booking dates: "+err.Error())
		}
		v.days.tooMany = func() {
			v.findings.notChecked(noSeq, fmt.Sprintf("booking dates, once %d were on another day", maxMisbooked))
		}
	}
	if err := v.readKeys(ctx, opts.Policy); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		v.evidence.keys.unknown = true
		v.findings.notChecked(noSeq, "whose signatures count: "+err.Error())
	}
	if err := v.readPin(opts.Since); err != nil {
		return err
	}
	v.askRoots(opts)
	if err := v.setSpans(opts.Spans); err != nil {
		return err
	}
	if err := v.readLinks(ctx); err != nil {
		return err
	}
	v.stripes = newStripes(v.spans, opts.Workers, v.bounds)
	if v.level >= LevelColumns && v.whole() {
		v.requests = newRequestFilter(v.snapshot.Size, v.bounds.findings)
	}
	if err := v.chooseWay(ctx); err != nil {
		return err
	}
	v.readCuts(ctx)
	if err := retry(ctx, func() (err error) { v.plain, err = plainColumns(ctx, v.snapshot); return err }); err != nil && ctx.Err() != nil {
		return ctx.Err() // otherwise everything is read as it stands
	}
	if err := v.checkThere(ctx, db, len(highest)); err != nil {
		return err
	}
	if v.level < LevelChain {
		return nil
	}
	if err := v.readRules(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		v.findings.notChecked(noSeq, "closed periods and the ledger's currencies: "+err.Error())
	}
	return v.findStrays(ctx, highest)
}

// checkThere looks whether there is a ledger at all, or was one.
func (v *verification) checkThere(ctx context.Context, db *store.DB, tables int) error {
	switch {
	case v.terms != nil && v.snapshot.Size > 0:
		return nil
	case v.terms != nil:
		v.findings.add(finding{code: LedgerMissing, seq: 0, stored: "no entries"})
		return nil
	case v.snapshot.Size > 0 || tables > 0:
		v.findings.add(finding{code: LedgerMissing, seq: 0, stored: "no row of book.ledgers"})
		return nil
	}
	l, err := logged(ctx, db, v.snapshot.LedgerID)
	switch {
	case err != nil:
		return err
	case l != nil:
		v.findings.add(finding{code: LedgerMissing, seq: 0, stored: "nothing", recomputed: fmt.Sprintf("%d entries of %s, by the super-log", l.size, l.origin)})
	case v.evidence.seen.newest > 0:
		v.findings.add(finding{code: LedgerMissing, seq: 0, stored: "nothing", recomputed: fmt.Sprintf("%d entries, by a checkpoint", v.evidence.seen.newest)})
	default:
		return fmt.Errorf("verifying ledger %s: %w", v.snapshot.LedgerID, ErrUnknownLedger)
	}
	return nil
}

// highestRowSQL finds the last row. Index: the primary key, or
// i10_account_versions_seq, read backwards.
func highestRowSQL(table string) string {
	return `
select seq
from ` + table + `
where ledger_id = $1::uuid and seq is not null
order by seq desc
limit 1`
}

// unplacedSQL finds a row that stands nowhere, which a table without its constraints
// can have. Index: likewise.
func unplacedSQL(table string) string {
	return `
select 1::int8
from ` + table + `
where ledger_id = $1::uuid and seq is null
limit 1`
}

// findUnplaced reports rows that stand nowhere.
func (v *verification) findUnplaced(ctx context.Context) error {
	for _, table := range tables {
		if table == "ops.payloads" && v.textsUnreadable.Load() || table == "ops.metadata_terms" && v.termsUnreadable.Load() {
			continue // that was said
		}
		found := false
		err := retry(ctx, func() error {
			return v.snapshot.Scan(ctx, unplacedSQL(table), []any{v.snapshot.LedgerID}, func(*store.Row) error {
				found = true
				return nil
			})
		})
		if found {
			v.findings.add(finding{code: OrphanRow, seq: noSeq, stored: "a row of " + table + " without a seq"})
		}
		if err != nil {
			return fmt.Errorf("looking for rows of %s without a seq: %w", table, err)
		}
	}
	return nil
}

// highestRows returns the highest seq of each table that has rows of the ledger.
func (v *verification) highestRows(ctx context.Context, db *store.DB, ledgerID uuid.UUID) map[string]int64 {
	highest := make(map[string]int64)
	for _, table := range tables {
		err := db.Scan(ctx, highestRowSQL(table), []any{ledgerID}, func(r *store.Row) error {
			highest[table] = r.Int64(0)
			return nil
		})
		if err != nil {
			v.findings.notChecked(noSeq, fmt.Sprintf("rows of %s beyond the newest entry: %s", table, err))
		}
	}
	return highest
}

// Index: i10_accounts_code.
const countAccountsSQL = `
select count(*) from book.accounts where ledger_id = $1::uuid`

// metOften is how many entries there must be for each account and worker for
// following along the chain to be the cheaper way. A look-up costs what reading
// some seven postings in account order does, and three entries have six or more.
const metOften = 3

// chooseWay decides how accounts are followed.
func (v *verification) chooseWay(ctx context.Context) error {
	err := v.snapshot.Scan(ctx, countAccountsSQL, []any{v.snapshot.LedgerID}, func(r *store.Row) error {
		v.accounts = r.Int64(0)
		return nil
	})
	if err != nil {
		return fmt.Errorf("counting the accounts of ledger %s: %w", v.snapshot.LedgerID, err)
	}
	switch {
	case v.level < LevelColumns:
	case v.bounds.follow == alongChain || !v.whole():
		v.alongChain = true
	case v.bounds.follow == cheapest:
		v.alongChain = v.accounts <= int64(v.bounds.cachedAccounts) && v.accounts*int64(v.workers)*metOften <= v.snapshot.Size
	}
	return nil
}

// findStrays reports rows beyond the newest entry.
func (v *verification) findStrays(ctx context.Context, highest map[string]int64) error {
	for _, table := range tables {
		last, ok := highest[table]
		if !ok || last < v.present {
			continue
		}
		first := last
		args := []any{v.snapshot.LedgerID, v.present, last}
		err := v.snapshot.Scan(ctx, nextRowSQL(table), args, func(r *store.Row) error {
			first = r.Int64(0)
			return nil
		})
		if err != nil {
			return fmt.Errorf("looking for rows beyond the newest entry: %w", err)
		}
		v.findings.add(finding{code: OrphanRow, seq: first,
			stored: fmt.Sprintf("rows of %s up to seq %d, beyond the newest entry", table, last)})
	}
	return nil
}

// Index: the primary key.
const termsSQL = `
select name, origin, time_zone, day_cutoff, base_currency, base_scale, value_days_back, value_days_ahead
from book.ledgers
where ledger_id = $1::uuid`

// Index: the primary key.
const otherLedgersSQL = `
select ledger_id
from book.ledgers
where ledger_id <> $1::uuid
order by ledger_id
limit $2::int8`

// readTerms reads the terms of the ledger and which other ledgers there are.
func (v *verification) readTerms(ctx context.Context) error {
	err := v.snapshot.Scan(ctx, termsSQL, []any{v.snapshot.LedgerID}, func(r *store.Row) error {
		v.terms = &chain.LedgerTerms{
			Name: string(r.Text(0)), Origin: string(r.Text(1)), TimeZone: string(r.Text(2)), DayCutoff: r.Int32(3),
			BaseCurrency: string(r.Text(4)), BaseScale: r.Scale(5), ValueDaysBack: r.Int32(6), ValueDaysAhead: r.Int32(7),
		}
		if bad := rejected(r); bad != nil {
			v.termsDoubtful = true
			v.findings.add(finding{code: EntryHashMismatch, seq: 0, column: bad.column, stored: bad.value})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the terms of ledger %s: %w", v.snapshot.LedgerID, err)
	}
	err = v.snapshot.Scan(ctx, otherLedgersSQL, []any{v.snapshot.LedgerID, int64(maxLedgers)}, func(r *store.Row) error {
		v.otherLedgers = append(v.otherLedgers, r.UUID(0))
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading which ledgers there are: %w", err)
	}
	return nil
}
