package reconcile

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// The super-log names every ledger that was ever signed, and is a log itself: its
// rows are held against its tree and its checkpoints, and against the checkpoints
// of the ledgers that they are about.

// Index: i7_super_log_size, one row at a time: each probe skips a whole ledger.
const nextLoggedSQL = `
select ledger_id
from book.super_log
where ledger_id > $1::uuid
order by ledger_id, size
limit 1`

// Index: i7_super_log_size, read backwards.
const loggedSQL = `
select size, left(origin, 256)
from book.super_log
where ledger_id = $1::uuid
order by size desc
limit 1`

// Index: the primary key.
const anyEntrySQL = `
select seq
from book.entries
where ledger_id = $1::uuid
order by seq
limit 1`

// scan is the Scan of a database or of a snapshot.
type scan func(ctx context.Context, sql string, args []any, row func(*store.Row) error) error

// anyEntry reports whether there is an entry of a ledger.
func anyEntry(ctx context.Context, scan scan, id uuid.UUID) (bool, error) {
	there := false
	err := scan(ctx, anyEntrySQL, []any{id}, func(*store.Row) error {
		there = true
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("looking for entries of ledger %s: %w", id, err)
	}
	return there, nil
}

// loggedLedger is a ledger as the super-log knows it.
type loggedLedger struct {
	id     uuid.UUID
	size   int64
	origin string
}

// logged returns what the super-log knows of a ledger, nil when nothing.
func logged(ctx context.Context, db *store.DB, id uuid.UUID) (*loggedLedger, error) {
	var found *loggedLedger
	err := db.Scan(ctx, loggedSQL, []any{id}, func(r *store.Row) error {
		found = &loggedLedger{id, r.Int64(0), string(r.Text(1))}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for ledger %s in the super-log: %w", id, err)
	}
	return found, nil
}

// Missing returns the ledgers that the super-log names and of which there is no
// entry, in ascending order; visit, unless nil, is called with each ledger that
// it names.
func Missing(ctx context.Context, db *store.DB, visit func(uuid.UUID)) ([]uuid.UUID, error) {
	var missing []uuid.UUID
	for at := chain.LastSuperID; ; { // ids below are of super-logs
		next, found := uuid.UUID{}, false
		err := db.Scan(ctx, nextLoggedSQL, []any{at}, func(r *store.Row) error {
			next, found = r.UUID(0), true
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading which ledgers the super-log names: %w", err)
		}
		if !found {
			return missing, nil
		}
		at = next
		if visit != nil {
			visit(at)
		}
		there, err := anyEntry(ctx, db.Scan, at)
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, at)
		}
	}
}

// checkOthers reports the other ledgers that vanished whole.
func (v *verification) checkOthers(ctx context.Context, db *store.DB) error {
	missing, err := Missing(ctx, db, func(uuid.UUID) { v.evidence.superLogged++ })
	if err != nil {
		return err
	}
	for _, id := range missing {
		if id == v.snapshot.LedgerID {
			continue // reported as the ledger itself
		}
		l, err := logged(ctx, db, id)
		if err != nil {
			return err
		}
		if l != nil {
			v.findings.add(finding{code: LedgerMissing, seq: noSeq, stored: "no entries of ledger " + id.String(),
				recomputed: fmt.Sprintf("%d entries of %s, by the super-log", l.size, l.origin)})
		}
	}
	return nil
}

// superPage is how many rows of the super-log are read at once.
const superPage = 1024

// Index: the primary key. An origin beyond its bound is not read whole.
const superRowsSQL = `
select position, ledger_id, left(origin, 256), size, root, recorded_at, leaf
from book.super_log
where position > $1::int8
order by position
limit $2::int8`

// superRow is a row of the super-log.
type superRow struct {
	position int64
	leaf     chain.SuperLeaf
	stored   chain.Hash
	rejected *rejection
}

// SuperLog is the super-log as a verification found it.
type SuperLog struct {
	Leaves  int64    `json:"leaves"`       // about ledgers
	Ledgers int64    `json:"ledgers"`      // that they are about
	Size    int64    `json:"size"`         // of its newest checkpoint, 0 without one
	Keys    []string `json:"keys"`         // of signers that are known, under that checkpoint
	Unknown []string `json:"unknown_keys"` // other keys that claim to have signed it
	// Successions are where it begins anew after a loss, the first hundred.
	Successions []SuperSuccession `json:"successions"`
}

// superWalk reads the super-log. It is a verification of its own, of a log without
// a ledger: what it finds is told of the super-log, and in no entry's name.
type superWalk struct {
	v      *verification // that of the ledger
	own    *verification // that of the super-log
	db     *store.DB
	tree   *treeWalk
	last   int64 // the position of the row before, −1 at first
	newest int64 // when the last row was recorded, in Unix microseconds
	there  map[uuid.UUID]bool
	found  [len(superKinds)]series
	seen   SuperLog

	before      string // the origin of the newest checkpoint before a succession
	successor   string // under which checkpoints are signed from here on; "" before one
	successions int64
}

// superKinds are what can be wrong with rows: of each kind, the first is reported.
var superKinds = [...]string{"rows", "leaves", "checkpoints"}

const (
	superPlace = iota
	superHash
	superPublished
)

// checkSuperLog reads the super-log whole: its positions are dense, each row gives
// the leaf that is stored with it and is about a checkpoint that its ledger has, and
// the tree over all is the one that was stored and signed.
func (v *verification) checkSuperLog(ctx context.Context, db *store.DB, opts *Options) error {
	own := newVerification(Options{Level: LevelChain, Workers: v.workers}, v.bounds, v.evidence.now)
	own.snapshot, own.latest, own.evidence.keys.unknown = db.Unpinned(store.SuperLog), math.MaxInt64, true
	own.lookAhead(ctx, db, store.SuperLog)
	if len(own.findings.unchecked) > 0 {
		return errors.New(own.findings.unchecked[0].what)
	}
	w := &superWalk{v: v, own: own, db: db, last: -1, there: make(map[uuid.UUID]bool), seen: SuperLog{Keys: []string{}, Unknown: []string{}, Successions: []SuperSuccession{}}}
	own.evidence.met = w.meet
	var kept *signerPosition
	if opts.SignerState != nil && v.level >= LevelEvidence {
		if state, err := parseSignerState(opts.SignerState); err == nil && state.SuperLog != nil && state.SuperLog.Size > 0 { // an error is said elsewhere
			kept = state.SuperLog
			own.evidence.ask(kept.Size)
		}
	}
	if err := w.askDeclared(ctx); err != nil {
		return err
	}
	w.tree = own.newTreeWalk(ctx, chain.Frontier{}, &own.evidence, -1, v.workers)
	defer w.report()
	if err := w.tree.pass(); err != nil {
		return err
	}
	for more := true; more; {
		var err error
		if more, err = w.readPage(ctx); err != nil {
			return err
		}
	}
	own.snapshot.Size = w.last + 1
	if !w.tree.lost {
		if err := w.tree.beyond(); err != nil {
			return err
		}
	}
	if err := w.whoSigned(ctx); err != nil {
		return err
	}
	if err := w.holdShown(ctx); err != nil {
		return err
	}
	w.holdKept(kept)
	w.seen.Leaves, w.seen.Ledgers = w.last+1-w.successions, int64(len(w.there))
	w.unsigned(w.newest)
	v.evidence.superLog = &w.seen
	return nil
}

// readPage reads the next rows; more is false when there are none.
func (w *superWalk) readPage(ctx context.Context) (more bool, err error) {
	var page []superRow
	err = retry(ctx, func() error {
		page = page[:0]
		return w.db.Scan(ctx, superRowsSQL, []any{w.last, int64(superPage)}, func(r *store.Row) error {
			row := superRow{position: r.Int64(0), stored: r.Hash(6)}
			row.leaf = chain.SuperLeaf{LedgerID: r.UUID(1), Origin: string(r.Text(2)), Size: r.Int64(3), Root: r.Hash(4), RecordedAt: r.Micros(5)}
			row.rejected = rejected(r)
			page = append(page, row)
			return nil
		})
	})
	if err != nil {
		return false, fmt.Errorf("reading book.super_log: %w", err)
	}
	for i := range page {
		if err := w.row(&page[i]); err != nil {
			return false, err
		}
	}
	return len(page) > 0, w.published(ctx, page)
}

// row holds a row against the one before it and against its own columns, and adds
// its leaf to the tree. Behind a row that is gone there is no tree.
func (w *superWalk) row(r *superRow) error {
	if r.position != w.last+1 {
		w.add(superPlace, r.position, fmt.Sprintf("position %d", r.position), fmt.Sprintf("position %d", w.last+1))
		w.tree.lost = true
	}
	w.last, w.newest = r.position, r.leaf.RecordedAt
	switch leaf := r.leaf.Hash(); {
	case r.rejected != nil:
		w.add(superHash, r.position, r.rejected.column+" "+r.rejected.value, "")
	case leaf != r.stored:
		w.add(superHash, r.position, r.stored.String(), leaf.String()+", by its columns")
	case r.leaf.AboutSuperLog() && !w.tree.lost:
		w.succeed(r)
	}
	if w.tree.lost {
		return nil
	}
	return w.tree.add(r.stored)
}

// Index: the primary key.
const publishedSQL = `
select u.id, u.n, root
from book.checkpoints
where ledger_id = u.id and size = u.n`

// published holds rows against the checkpoints that they are about. A ledger of
// which nothing is left is reported as missing.
func (w *superWalk) published(ctx context.Context, page []superRow) error {
	var keys []store.Key
	for i := range page {
		id := page[i].leaf.LedgerID
		if page[i].leaf.AboutSuperLog() {
			continue
		}
		there, known := w.there[id]
		if !known {
			err := retry(ctx, func() (err error) {
				there, err = anyEntry(ctx, w.db.Scan, id)
				return err
			})
			if err != nil {
				return err
			}
			w.there[id] = there
		}
		if there {
			keys = append(keys, store.Key{ID: id, N: page[i].leaf.Size})
		}
	}
	roots := make(map[store.Key]chain.Hash)
	err := retry(ctx, func() error {
		return w.own.snapshot.ScanEach(ctx, publishedSQL, nil, keys, func(r *store.Row) error {
			roots[store.Key{ID: r.UUID(0), N: r.Int64(1)}] = r.Hash(2)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("reading the checkpoints that the super-log is about: %w", err)
	}
	for i := range page {
		l := &page[i].leaf
		switch root, ok := roots[store.Key{ID: l.LedgerID, N: l.Size}]; {
		case !w.there[l.LedgerID]:
		case !ok:
			w.add(superPublished, page[i].position, fmt.Sprintf("no checkpoint of ledger %s at size %d", l.LedgerID, l.Size), "root "+l.Root.String()+", by its leaf")
		case root != l.Root:
			w.add(superPublished, page[i].position, fmt.Sprintf("root %s, of ledger %s at size %d", root, l.LedgerID, l.Size), "root "+l.Root.String()+", by its leaf")
		}
	}
	return nil
}

// whoSigned looks whose signature is under the newest checkpoint: of the keys that
// the policy names for the super-log, or else of this ledger's signers, whose keys
// sign every log of theirs, or of another ledger's. That a signature is of nobody who
// is known here is no finding: then the super-log counts as not checked.
func (w *superWalk) whoSigned(ctx context.Context) error {
	newest, err := w.own.checkpointAt(ctx, w.own.evidence.seen.newest)
	if err != nil || newest == nil || len(newest.found) > 0 {
		return err // what was found is in the walk's findings
	}
	w.seen.Size = newest.size
	origin, f := newest.signed.Origin, finding{seq: lastOf(newest.size)}
	named := w.named()
	keys, err := w.keys(origin, named)
	switch {
	case err != nil || !strings.HasSuffix(origin, chain.SuperSuffix):
		w.own.evidence.add(f.as(OriginMismatch, origin, "<host>"+chain.SuperSuffix))
	case len(named) > 0 && len(keys) == 0:
		w.own.evidence.add(f.as(OriginMismatch, origin, named[0].Name()+", by the policy"))
	}
	signed, err := chain.OpenCheckpoint([]byte(newest.note), keys...)
	switch {
	case errors.Is(err, chain.ErrSignature):
		w.own.evidence.add(finding{code: CheckpointBadSignature, seq: lastOf(newest.size), stored: err.Error()})
	case errors.Is(err, chain.ErrUnknownKey) && len(named) == 0:
		if keys, err = w.keysOfOthers(ctx, origin); err != nil {
			return err
		}
		if others, err := chain.OpenCheckpoint([]byte(newest.note), keys...); err == nil {
			signed = others
		}
	case err != nil && !errors.Is(err, chain.ErrUnknownKey):
		return err
	}
	w.seen.Unknown = append(w.seen.Unknown, signed.Unknown...)
	if len(named) > 0 && len(keys) > 0 && !signed.SignedByLog() {
		w.own.evidence.add(f.as(CheckpointUnknownKey, strings.Join(signed.Unknown, ", "), keys[0].ID()+", by the policy"))
	}
	for _, x := range signed.Signatures {
		if x.Time.IsZero() {
			w.seen.Keys = append(w.seen.Keys, x.Key.ID())
		}
	}
	return nil
}

// named returns the keys of super-logs that the policy names.
func (w *superWalk) named() []chain.VerifierKey {
	if w.v.evidence.policy == nil {
		return nil
	}
	return slices.DeleteFunc(w.v.evidence.policy.Keys(), func(k chain.VerifierKey) bool { return !strings.HasSuffix(k.Name(), chain.SuperSuffix) })
}

// keys returns whose signatures count under an origin. A key that was revoked may be
// somebody else's by now.
func (w *superWalk) keys(origin string, named []chain.VerifierKey) ([]chain.VerifierKey, error) {
	if len(named) > 0 {
		return w.v.evidence.policy.LogKeys(origin), nil
	}
	var keys []chain.VerifierKey
	for _, s := range w.v.evidence.keys.signers {
		if s.revoked {
			continue
		}
		key, err := s.key.For(origin)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (w *superWalk) add(kind int, position int64, stored, recomputed string) {
	w.found[kind].addUpTo(finding{seq: position, stored: stored, recomputed: recomputed}, position)
}

// report tells what was found, in the super-log's name.
func (w *superWalk) report() {
	tell := func(s *series, what string) {
		if s.first == nil {
			return
		}
		f := *s.first
		f.stored = fmt.Sprintf("leaf %d: %s", f.seq, f.stored)
		if f.code != "" {
			f.stored += " (" + f.code + ")"
		}
		if s.more > 0 {
			f.proof = fmt.Sprintf("The same holds for %d further %s, up to leaf %d.", s.more, what, s.last)
		}
		f.code, f.seq = SuperLogMismatch, noSeq
		w.v.findings.add(f)
	}
	for kind := range w.found {
		tell(&w.found[kind], superKinds[kind])
	}
	e, size := &w.own.evidence, w.last+1
	for _, f := range w.own.findings.sorted() {
		tell(&series{first: &f}, "")
	}
	for _, c := range Checks {
		if s := e.broken[c.Code]; s != nil {
			tell(s, "checkpoints")
		}
	}
	tell(&e.tiles, "nodes")
	for _, more := range []struct {
		size int64
		by   string
	}{{e.seen.nodes, "the nodes of the tree"}, {e.shownSize(), "the checkpoint that is shown"}} {
		if e.truncated.first == nil && more.size > size && !w.tree.lost {
			e.truncated.add(finding{code: TailTruncated, seq: size, stored: fmt.Sprintf("%d leaves", size), recomputed: fmt.Sprintf("%d leaves, by %s", more.size, more.by)})
		}
	}
	tell(&e.truncated, "checkpoints")
}
