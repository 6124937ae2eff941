package reconcile

import (
	"cmp"
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
select ledger_id, name from book.ledgers order by ledger_id`

const (
	// maxRenamed is how many are looked at whether another name is theirs.
	maxRenamed = 1000
	// maxLost is how many of them are returned.
	maxLost = 20
)

// Lost is what there is where no ledger has a name that is asked for.
type Lost struct {
	// IDs are the ledgers that may be meant: those that were opened under the name, as
	// their first entry bears it, and say another one now; one that has the origin of
	// the pinned checkpoint, and was not opened as it says; and those of which there is
	// something in the database, if only in the super-log, and no row of book.ledgers,
	// which is where names stand.
	IDs []uuid.UUID
	// More is how many there are beside IDs.
	More int
	// Names are those of all ledgers that have one, in ascending order.
	Names []string
}

// FindLost looks for ledgers that a name may be of which none has. pin may be nil.
func FindLost(ctx context.Context, db *store.DB, name string, pin *Document) (Lost, error) {
	var lost Lost
	all, err := Ledgers(ctx, db)
	if err != nil {
		return lost, err
	}
	named := make(map[uuid.UUID]bool)
	err = db.Scan(ctx, namedLedgersSQL, nil, func(r *store.Row) error {
		named[r.UUID(0)] = true
		lost.Names = append(lost.Names, string(r.Text(1)))
		return nil
	})
	if err != nil {
		return lost, fmt.Errorf("reading the names of ledgers: %w", err)
	}
	slices.Sort(lost.Names)
	origin := ""
	if pin != nil {
		s, _ := chain.OpenCheckpoint(pin.Data) // what is no checkpoint has no origin
		origin = s.Origin
	}
	looked, unread := 0, error(nil)
	for _, id := range all {
		is := !named[id]
		if !is && looked < maxRenamed {
			looked++
			var failed error
			if is, failed = openedAs(ctx, db, id, name, origin); failed != nil {
				unread = cmp.Or(unread, failed)
			}
		}
		switch {
		case is && len(lost.IDs) < maxLost:
			lost.IDs = append(lost.IDs, id)
		case is:
			lost.More++
		}
	}
	if len(lost.IDs) > 0 {
		unread = nil // what stands in the way is said of them
	}
	return lost, unread
}

// openedAs reports whether the first entry of a ledger bears a name that it does not
// have now, or does not bear what it says now, an origin included.
func openedAs(ctx context.Context, db *store.DB, id uuid.UUID, name, origin string) (bool, error) {
	v := newVerification(Options{Level: LevelChain}, &standard, time.Time{})
	var err error
	if v.snapshot, err = db.Snapshot(ctx, id); err == nil {
		err = v.readTerms(ctx)
	}
	if err != nil || v.terms == nil {
		return false, err
	}
	s := segment{bounds: &standard}
	s.reset(0, 1)
	if err := s.load(ctx, v.snapshot, &words{}); err != nil {
		return false, err
	}
	bears := func(terms chain.LedgerTerms) bool {
		if len(s.entries) != 1 || s.entries[0].entry.Kind != chain.LedgerOpened {
			return false
		}
		e := s.entries[0].entry
		e.Ledger = &terms
		for i := range s.details {
			e.Details = append(e.Details, s.details[i].detail)
		}
		return e.Check() == nil && e.Hash() == s.entries[0].stored
	}
	renamed := *v.terms
	renamed.Name = name
	return renamed.Name != v.terms.Name && bears(renamed) || origin != "" && v.terms.Origin == origin && !bears(*v.terms), nil
}

// VerifyRemains verifies what is left of a ledger that is asked for by a name that no
// ledger has, where nothing is left under its id either: the tables, the super-log,
// which is signed and names every ledger that ever was, and the evidence from outside
// that names the ledger or others. name is empty where any ledger is asked for. Its error is ErrUnknownLedger when nothing of that
// is wrong, and no evidence is left in doubt: then there was no such ledger. why,
// unless nil, is why ledgers could not be looked for: then the report is incomplete
// at least.
func VerifyRemains(ctx context.Context, db *store.DB, name string, opts Options, why error) (Report, error) {
	if err := opts.check(); err != nil {
		return Report{}, err
	}
	if opts.Since != nil {
		if _, err := chain.OpenCheckpoint(opts.Since.Data); errors.Is(err, chain.ErrCheckpoint) {
			return Report{}, fmt.Errorf("reading the pinned checkpoint %s: %w", opts.Since.Name, err)
		}
	}
	outside := opts.Since != nil || opts.SignerState != nil || len(opts.Archived)+len(opts.Receipts) > 0
	if why != nil && !outside {
		if there, err := anyTable(ctx, db); err == nil && !there {
			return Report{}, fmt.Errorf("%w\nhint: there is no table of a ledger here; is it the right database, and was tallystick migrate run on it?", why)
		}
	}
	begun := time.Now()
	v := newVerification(opts, &standard, begun)
	v.snapshot, v.unreadable, v.gone, v.unlisted, v.stored = db.Unpinned(uuid.Max), true, true, why != nil, false
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
		{"the checkpoints and receipts that were given", LevelPin, func(ctx context.Context) error { return v.missSigned(ctx, db, &opts) }},
	} {
		if v.run(ctx, c); ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
	}
	if why != nil {
		v.findings.notChecked(noSeq, why.Error())
	}
	if v.findings.critical() == 0 && why == nil && (!outside || len(v.findings.reasons()) == 0) {
		return Report{}, fmt.Errorf("looking for ledger %q: %w", name, ErrUnknownLedger)
	}
	report, err := v.report(ctx, time.Since(begun))
	report.Ledger = name
	return report, err
}

const anyTableSQL = `
select c.relname::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops')
limit 1`

// anyTable reports whether there is anything in the schemas of a ledger.
func anyTable(ctx context.Context, db *store.DB) (there bool, err error) {
	err = db.Scan(ctx, anyTableSQL, nil, func(*store.Row) error {
		there = true
		return nil
	})
	return there, err
}

// Index: none; there are few ledgers.
const originSQL = `
select ledger_id from book.ledgers where origin = $1::text limit 1`

// missSigned reports the ledgers of the signed checkpoints that were given, those of
// receipts included, of whose origin there is none: whoever gives one had it from
// there.
func (v *verification) missSigned(ctx context.Context, db *store.DB, opts *Options) error {
	type given struct {
		what   string
		note   []byte
		pinned bool
	}
	var all []given
	if opts.Since != nil {
		all = append(all, given{"the pinned checkpoint", opts.Since.Data, true})
	}
	for _, d := range opts.Archived {
		all = append(all, given{"checkpoint " + d.Name, d.Data, false})
	}
	for _, d := range opts.Receipts {
		r, err := chain.ParseReceipt(d.Data)
		if err != nil {
			return fmt.Errorf("reading receipt %s: %w", d.Name, err)
		}
		all = append(all, given{"receipt " + d.Name, r.Checkpoint, false})
	}
	var keys []chain.VerifierKey
	if v.evidence.policy != nil {
		keys = v.evidence.policy.Keys()
	}
	for _, g := range all {
		s, err := chain.OpenCheckpoint(g.note, keys...)
		if errors.Is(err, chain.ErrCheckpoint) {
			return fmt.Errorf("reading %s: %w", g.what, err)
		}
		vouched := g.pinned || err == nil && s.SignedByLog()
		there := false
		err = db.Scan(ctx, originSQL, []any{s.Origin}, func(*store.Row) error {
			there = true
			return nil
		})
		if err != nil {
			return fmt.Errorf("looking for the ledger of %s: %w", g.what, err)
		}
		switch {
		case there || s.Size == 0:
		case vouched:
			v.findings.add(finding{code: LedgerMissing, seq: noSeq, stored: "no ledger of that origin",
				recomputed: fmt.Sprintf("%s of %s, by %s", entriesText(s.Size), s.Origin, g.what)})
		default:
			v.findings.notChecked(noSeq, fmt.Sprintf("whether %s is genuine: it is of %s of %s, of which there is no ledger here; say with --policy whose signature counts", g.what, entriesText(s.Size), s.Origin))
		}
	}
	return nil
}
