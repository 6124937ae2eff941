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
)

// Index: the primary key.
const namedLedgersSQL = `
select ledger_id, name from book.ledgers order by ledger_id limit $1::int8`

// maxNamed is how many ledgers Nameless tells from those without a name.
const maxNamed = 1 << 20

// Nameless returns the ledgers of which there is something in the database, if only
// in the super-log, and no row of book.ledgers, which is where their names stand, in
// ascending order of their ids; and the names of all others.
func Nameless(ctx context.Context, db *store.DB) (ids []uuid.UUID, names []string, err error) {
	ids, err = Ledgers(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	named := make(map[uuid.UUID]bool)
	err = db.Scan(ctx, namedLedgersSQL, []any{int64(maxNamed)}, func(r *store.Row) error {
		named[r.UUID(0)] = true
		names = append(names, string(r.Text(1)))
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the names of ledgers: %w", err)
	}
	if len(named) == maxNamed {
		return nil, nil, fmt.Errorf("reading the names of ledgers: there are %d and more", maxNamed)
	}
	slices.Sort(names)
	return slices.DeleteFunc(ids, func(id uuid.UUID) bool { return named[id] }), names, nil
}

// VerifyRemains verifies what is left of a ledger that is asked for by a name that no
// ledger has, where nothing is left under its id either: the tables, the super-log,
// which is signed and names every ledger that ever was, and the evidence from outside
// that names the ledger or others. Its error is ErrUnknownLedger when nothing of that
// is wrong: then there was no such ledger.
func VerifyRemains(ctx context.Context, db *store.DB, name string, opts Options) (Report, error) {
	if err := opts.check(); err != nil {
		return Report{}, err
	}
	if opts.Workers <= 0 {
		opts.Workers = DefaultWorkers()
	}
	begun := time.Now()
	v := newVerification(opts, &standard, begun)
	v.snapshot, v.unreadable, v.gone, v.stored = db.Unpinned(uuid.Max), true, true, false
	for _, c := range []check{
		v.schemaCheck(db),
		{"ledgers that vanished", LevelSchema, func(ctx context.Context) error { return v.checkOthers(ctx, db) }},
		{"the super-log", LevelSchema, func(ctx context.Context) error { return v.checkSuperLog(ctx, db, &opts) }},
		{"the signer's state", LevelEvidence, func(ctx context.Context) error {
			if opts.SignerState == nil {
				return nil
			}
			return v.checkStateOthers(ctx, opts.SignerState)
		}},
		{"the pinned checkpoint", LevelPin, func(ctx context.Context) error { return v.missPinned(ctx, db, opts.Since) }},
	} {
		if v.run(ctx, c); ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
	}
	if v.findings.critical() == 0 {
		return Report{}, fmt.Errorf("looking for ledger %q: %w", name, ErrUnknownLedger)
	}
	report, err := v.report(ctx, time.Since(begun))
	report.Ledger = name
	return report, err
}

// Index: none; there are few ledgers.
const originSQL = `
select ledger_id from book.ledgers where origin = $1::text limit 1`

// missPinned reports the ledger that a pinned checkpoint is of, when there is none of
// its origin: whoever gives it had it from there.
func (v *verification) missPinned(ctx context.Context, db *store.DB, pin *Document) error {
	if pin == nil {
		return nil
	}
	s, err := chain.OpenCheckpoint(pin.Data)
	if errors.Is(err, chain.ErrCheckpoint) {
		return fmt.Errorf("reading %s: %w", pin.Name, err)
	}
	there := false
	err = db.Scan(ctx, originSQL, []any{s.Origin}, func(*store.Row) error {
		there = true
		return nil
	})
	if err == nil && !there && s.Size > 0 {
		v.findings.add(finding{code: LedgerMissing, seq: noSeq, stored: "no ledger of that origin",
			recomputed: fmt.Sprintf("%s of %s, by the pinned checkpoint", entriesText(s.Size), s.Origin)})
	}
	return err
}
