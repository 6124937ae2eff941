package reconcile

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Options say how to verify.
type Options struct {
	// Workers is how many segments are read at once, each over a connection of
	// its own; 0 means DefaultWorkers. The result does not depend on it.
	Workers int
	// Progress, unless nil, is called now and then with the number of entries
	// done and their total, by one goroutine at a time. Where the entries are
	// read twice they count twice.
	Progress func(done, total int64)
}

// DefaultWorkers is half as many again as processors: a worker now and then
// waits for the database. Measured on 2 processors, 3 workers are a tenth
// faster than 2.
func DefaultWorkers() int { n := runtime.GOMAXPROCS(0); return n + n/2 }

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
	if opts.Workers <= 0 {
		opts.Workers = DefaultWorkers()
	}
	begun := time.Now()
	v, err := begin(ctx, db, ledgerID, opts, b)
	if err != nil {
		return Report{}, err
	}
	if err := v.walkStripes(ctx, false); err != nil {
		return Report{}, err
	}
	v.join(v.stripes.all)
	for _, check := range []struct {
		what string
		run  func(context.Context) error
	}{
		{"accounts and their sums", v.checkBooks},
		{"requests that stand twice", v.checkDuplicates},
		{"what is settled or reversed twice", v.checkOnce},
		{"erasures", v.checkErasures},
	} {
		if err := check.run(ctx); err != nil {
			if ctx.Err() != nil {
				return Report{}, ctx.Err()
			}
			v.findings.notChecked(noSeq, check.what+": "+err.Error())
		}
	}
	return v.report(ctx, time.Since(begun))
}

// verification is one run of Verify.
type verification struct {
	bounds        *bounds
	snapshot      *store.Snapshot
	workers       int
	terms         *chain.LedgerTerms // nil when they are gone
	termsDoubtful bool               // a column of them could not be read
	rules         rulebook
	otherLedgers  []uuid.UUID
	accounts      int64 // how many there are, new ones included
	alongChain    bool  // accounts are followed in the first pass
	stripes       *stripes
	findings      *findings
	erasures      erasures
	progress      func(done, total int64)

	incomplete      atomic.Bool // part of the entries was not read
	textsUnreadable atomic.Bool
	termsUnreadable atomic.Bool

	mu    sync.Mutex
	done  int64
	scope scopeCounts
	books books
}

// walkStripes has the workers walk through all entries.
func (v *verification) walkStripes(ctx context.Context, strangersOnly bool) error {
	return parallel(ctx, v.workers, func(ctx context.Context, _ int) error {
		w := v.newWorker()
		w.follows, w.strangersOnly = v.alongChain || strangersOnly, strangersOnly
		err := w.run(ctx)
		v.mu.Lock()
		defer v.mu.Unlock()
		v.scope.add(w.scope)
		return err
	})
}

func (v *verification) newWorker() *worker {
	return &worker{v: v, segment: segment{bounds: v.bounds}, accounts: newAccountCache(v.bounds.cachedAccounts), holds: newHeldHolds(v.bounds.cachedHolds)}
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
	if v.alongChain {
		return v.snapshot.Size
	}
	return 2 * v.snapshot.Size
}

// begin pins the cut and reads what stands beside the entries.
//
// Rows that belong to no entry may lie beyond the newest entry, where a row
// may also belong to one that is just being appended. An append is all or
// nothing: rows seen before the cut was made belong to entries below it.
func begin(ctx context.Context, db *store.DB, ledgerID uuid.UUID, opts Options, b *bounds) (*verification, error) {
	v := &verification{bounds: b, workers: opts.Workers, findings: newFindings(b.findings), erasures: erasures{limit: b.erasures}, progress: opts.Progress}
	highest := v.highestRows(ctx, db, ledgerID)
	var err error
	if v.snapshot, err = db.Snapshot(ctx, ledgerID); err != nil {
		return nil, err
	}
	if err := v.readTerms(ctx); err != nil {
		return nil, err
	}
	v.stripes = newStripes(v.snapshot.Size, opts.Workers, b)
	if err := v.chooseWay(ctx); err != nil {
		return nil, err
	}
	switch {
	case v.terms == nil && v.snapshot.Size == 0 && len(highest) == 0:
		return nil, fmt.Errorf("verifying ledger %s: %w", ledgerID, ErrUnknownLedger)
	case v.terms == nil:
		v.findings.add(finding{code: LedgerMissing, seq: 0, stored: "no row of book.ledgers"})
	case v.snapshot.Size == 0:
		v.findings.add(finding{code: LedgerMissing, seq: 0, stored: "no entries"})
	}
	if err := v.readRules(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		v.findings.notChecked(noSeq, "closed periods and the ledger's currencies: "+err.Error())
	}
	return v, v.findStrays(ctx, highest)
}

// highestRowSQL finds the last row. Index: the primary key, or
// i10_account_versions_seq, read backwards.
func highestRowSQL(table string) string {
	return `
select seq
from ` + table + `
where ledger_id = $1::uuid
order by seq desc
limit 1`
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
	switch v.bounds.follow {
	case alongChain:
		v.alongChain = true
	case cheapest:
		v.alongChain = v.accounts <= int64(v.bounds.cachedAccounts) && v.accounts*int64(v.workers)*metOften <= v.snapshot.Size
	}
	return nil
}

// findStrays reports rows beyond the newest entry.
func (v *verification) findStrays(ctx context.Context, highest map[string]int64) error {
	for _, table := range tables {
		last, ok := highest[table]
		if !ok || last < v.snapshot.Size {
			continue
		}
		first := last
		args := []any{v.snapshot.LedgerID, v.snapshot.Size, last}
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

// Indexes: i4_ledgers_name and the primary key.
const findLedgerSQL = `
select ledger_id from book.ledgers where name = $1::text`

// FindLedger returns the id of the ledger with that name or UUID, and
// ErrUnknownLedger when there is no such name. A UUID need not have a row in
// book.ledgers: its entries can be verified without.
func FindLedger(ctx context.Context, db *store.DB, nameOrID string) (uuid.UUID, error) {
	var found []uuid.UUID
	err := db.Scan(ctx, findLedgerSQL, []any{nameOrID}, func(r *store.Row) error {
		found = append(found, r.UUID(0))
		return nil
	})
	switch id, isID := uuid.Parse(nameOrID); {
	case err != nil:
		return uuid.UUID{}, fmt.Errorf("looking for ledger %q: %w", nameOrID, err)
	case len(found) > 0:
		return found[0], nil
	case isID == nil:
		return id, nil
	}
	return uuid.UUID{}, fmt.Errorf("looking for ledger %q: %w", nameOrID, ErrUnknownLedger)
}

// Index: the primary key, one row at a time: each probe skips a whole ledger.
const nextLedgerSQL = `
(select ledger_id from book.entries where ledger_id > $1::uuid order by ledger_id, seq limit 1)
union all
(select ledger_id from book.ledgers where ledger_id > $1::uuid order by ledger_id limit 1)`

// Ledgers returns the ids of all ledgers in the database, also of those whose
// terms or entries are gone, in ascending order.
func Ledgers(ctx context.Context, db *store.DB) ([]uuid.UUID, error) {
	var all []uuid.UUID
	for at := (uuid.UUID{}); ; at = all[len(all)-1] {
		var next []uuid.UUID
		err := db.Scan(ctx, nextLedgerSQL, []any{at}, func(r *store.Row) error {
			next = append(next, r.UUID(0))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading which ledgers there are: %w", err)
		}
		if len(next) == 0 {
			return all, nil
		}
		all = append(all, slices.MinFunc(next, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }))
	}
}

// What a failure that may pass is given.
const (
	attempts     = 5
	attemptPause = time.Second
)

// retry calls f until it succeeds, or fails for good. Each call must begin
// from the beginning.
func retry(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil || n == attempts || !store.Passing(err) || errors.Is(err, errSegmentTooLarge) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(attemptPause):
		}
	}
}

// parallel runs n copies of f and returns the first error, which cancels the
// others.
func parallel(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
