package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// evidence is what a verification knows of signatures over the ledger.
type evidence struct {
	keys   keyring
	policy *chain.Policy
	fresh  time.Duration
	now    time.Time

	// seen is what stood in the database before the cut was made, and so
	// belongs to entries below it.
	seen struct {
		newest int64 // size of the newest checkpoint; −1 when there is none
		nodes  int64 // leaves that the stored nodes cover
		logged int64 // size of the newest checkpoint that the super-log names; 0 when there is none
	}
	shown      *shownHead
	shownLater bool // what is shown came after the cut
	later      bool // there are checkpoints, or one is shown, of after the cut
	unseen     bool // which checkpoints there are could not be read, and that was said

	met   func(*checkpointRow) // called with each that states a root, unless nil
	roots map[int64]chain.Hash // of the sizes that somebody asks for; nil values until known
	asked map[int64]bool

	held      int64                   // checkpoints whose signature and root hold
	nodes     int64                   // stored nodes that hold
	best      *chain.SignedCheckpoint // the largest of those
	bestAt    time.Time               // when it was signed
	broken    map[string]*series      // by code: checkpoints that do not hold
	tiles     series
	truncated series

	pin         *chain.SignedCheckpoint
	pinHolds    bool
	forks       []Fork
	given       int      // receipts, archived checkpoints and states
	external    []string // what was held against the ledger from outside, for people
	superLogged int64    // ledgers that the super-log names
	superLog    *SuperLog
	compared    bool // the schema was looked at
	namesOnly   bool // and of its constraints and unique indexes the names alone
}

// series is findings of one kind of which the first is reported in full and the
// others are counted: what is wrong at one size is mostly wrong at all after it.
type series struct {
	first *finding
	more  int64
	last  int64 // entry that they reach
}

func (s *series) add(f finding) { s.addUpTo(f, f.seq) }

// addUpTo adds a finding about everything up to an entry.
func (s *series) addUpTo(f finding, last int64) {
	if s.first == nil {
		s.first = &f
	} else {
		s.more++
	}
	s.last = max(s.last, last)
}

// report adds the series to the findings.
func (s *series) report(to *findings, what string) {
	if s.first == nil {
		return
	}
	if s.more > 0 {
		s.first.proof = fmt.Sprintf("The same holds for %d further %s, up to entry %d.", s.more, what, s.last)
	}
	to.add(*s.first)
}

// ask has the tree walk keep the root of a size.
func (e *evidence) ask(size int64) { e.asked[size] = true }

// Index: the primary key, read backwards.
const (
	newestCheckpointSQL = `
select size
from book.checkpoints
where ledger_id = $1::uuid
order by size desc
limit 1`
	newestNodeSQL = `
select level, position
from book.tiles
where ledger_id = $1::uuid and level = $2::int8
order by position desc
limit 1`
)

// lookAhead notes which checkpoints and nodes there are, before the cut is made:
// a checkpoint that is published meanwhile may be beyond it.
func (v *verification) lookAhead(ctx context.Context, db *store.DB, id uuid.UUID) {
	e := &v.evidence
	e.seen.newest = -1
	err := db.Scan(ctx, newestCheckpointSQL, []any{id}, func(r *store.Row) error {
		e.seen.newest = r.Int64(0)
		return nil
	})
	for level := int64(1); level <= chain.MaxTileLevel && err == nil; level++ {
		err = db.Scan(ctx, newestNodeSQL, []any{id, level}, func(r *store.Row) error {
			if height := tileBits * r.Int64(0); r.Int64(1) < 1<<(63-height)-1 {
				e.seen.nodes = max(e.seen.nodes, (r.Int64(1)+1)<<height)
			} else {
				v.findings.add(finding{code: TileMismatch, seq: noSeq, stored: fmt.Sprintf("node %d of level %d", r.Int64(1), r.Int64(0)), recomputed: "none: no tree is that large"})
			}
			return nil
		})
	}
	if err == nil {
		err = v.readShown(ctx, db, id)
	}
	if err == nil {
		var l *loggedLedger
		if l, err = logged(ctx, db, id); l != nil {
			e.seen.logged = l.size
		}
	}
	if e.unseen = err != nil; e.unseen {
		v.findings.notChecked(noSeq, "which checkpoints there are: "+err.Error())
	}
}

// checkpointRow is a row of book.checkpoints.
type checkpointRow struct {
	size     int64
	root     chain.Hash
	note     string
	signedAt time.Time
	rejected *rejection

	signed chain.SignedCheckpoint
	found  []finding // what is wrong with it by itself
}

// checkpointReader reads the checkpoints of a ledger in order of size, a page
// at a time, and verifies their signatures on some workers.
type checkpointReader struct {
	v       *verification
	after   int64
	upTo    int64 // sizes beyond are not read
	workers int
	page    []checkpointRow
	done    bool
}

// checkpointPage is how many checkpoints are held at once; each is at most
// chain.MaxCheckpoint bytes, and mostly a few hundred.
const checkpointPage = 128

// Index: the primary key. A note beyond the bound of a checkpoint is not read
// whole.
const checkpointsSQL = `
select size, root, left(note, 65537), signed_at
from book.checkpoints
where ledger_id = $1::uuid and size > $2::int8 and size <= $3::int8
order by size
limit $4::int8`

// peek returns the next checkpoint, nil when there is none.
func (c *checkpointReader) peek(ctx context.Context) (*checkpointRow, error) {
	if len(c.page) == 0 && !c.done {
		if err := retry(ctx, func() error { return c.read(ctx) }); err != nil {
			return nil, fmt.Errorf("reading book.checkpoints: %w", err)
		}
	}
	if len(c.page) == 0 {
		return nil, nil
	}
	return &c.page[0], nil
}

// drop goes on to the next one.
func (c *checkpointReader) drop() { c.page = c.page[1:] }

// at returns the checkpoint of a size and goes on, nil when there is none.
func (c *checkpointReader) at(ctx context.Context, size int64) (*checkpointRow, error) {
	row, err := c.peek(ctx)
	if err != nil || row == nil || row.size != size {
		return nil, err
	}
	c.drop()
	return row, nil
}

func (c *checkpointReader) read(ctx context.Context) error {
	var page []checkpointRow
	args := []any{c.v.snapshot.LedgerID, c.after, c.upTo, int64(checkpointPage)}
	err := c.v.snapshot.Scan(ctx, checkpointsSQL, args, func(r *store.Row) error {
		row := checkpointRow{size: r.Int64(0), root: r.Hash(1), note: string(r.Text(2)), signedAt: time.UnixMicro(r.Micros(3)).UTC()}
		row.rejected = rejected(r)
		page = append(page, row)
		return nil
	})
	if err != nil {
		return err
	}
	c.page, c.done = page, len(page) == 0
	if c.done {
		return nil
	}
	c.after = page[len(page)-1].size
	workers := min(c.workers, len(page))
	return parallel(ctx, workers, func(_ context.Context, n int) error {
		for i := n; i < len(page); i += workers {
			page[i].open(&c.v.evidence.keys)
		}
		return nil
	})
}

// open verifies the signatures, and holds the columns against what was signed.
func (row *checkpointRow) open(keys *keyring) {
	row.signed, row.found = keys.open([]byte(row.note), row.size)
	if row.found != nil {
		return
	}
	f := finding{code: ProjectionMismatch, seq: lastOf(row.size)}
	switch s := &row.signed; {
	case row.rejected != nil:
		f.column, f.stored = row.rejected.column, row.rejected.value
	case s.Size != row.size:
		f.column, f.stored, f.recomputed = "size", fmt.Sprint(row.size), fmt.Sprintf("%d, as it was signed", s.Size)
	case s.Root != row.root:
		f.column, f.stored, f.recomputed = "root", row.root.String(), s.Root.String()+", as it was signed"
	default:
		return
	}
	row.found = append(row.found, f)
}

// report adds what is wrong with a checkpoint by itself.
func (e *evidence) report(row *checkpointRow) {
	for _, f := range row.found {
		e.add(f)
	}
}

func (e *evidence) add(f finding) {
	s := e.broken[f.code]
	if s == nil {
		s = &series{}
		e.broken[f.code] = s
	}
	s.add(f)
}

// checkCheckpoint holds a checkpoint against the root of the entries it covers.
func (e *evidence) checkCheckpoint(row *checkpointRow, root chain.Hash) {
	e.report(row)
	if !row.states() {
		return
	}
	if e.met != nil {
		e.met(row)
	}
	if row.signed.Root != root {
		e.add(finding{code: CheckpointRootMismatch, seq: lastOf(row.size), stored: row.signed.Root.String() + ", as it was signed", recomputed: root.String()})
		return
	}
	if row.found == nil && row.signed.SignedByLog() {
		e.held++
		e.hold(&row.signed, row.signedAt)
	}
}

// states reports whether the row is evidence of a root: it was signed, whatever
// its columns or its witnesses say.
func (row *checkpointRow) states() bool {
	for _, f := range row.found {
		if f.code != ProjectionMismatch && f.code != CosignatureInvalid {
			return false
		}
	}
	return row.signed.Size == row.size
}

// hold remembers the largest checkpoint that holds.
func (e *evidence) hold(s *chain.SignedCheckpoint, at time.Time) {
	if e.best == nil || s.Size >= e.best.Size {
		copied := *s
		e.best, e.bestAt = &copied, at
	}
}

// rootAt returns the root of the first size entries: as the tree walk found it,
// or from stored nodes.
func (v *verification) rootAt(ctx context.Context, size int64) (chain.Hash, error) {
	if root, ok := v.evidence.roots[size]; ok {
		return root, nil
	}
	f, err := chain.FrontierAt(size, v.nodes(ctx))
	if err != nil {
		return chain.Hash{}, fmt.Errorf("computing the root of the first %d entries: %w", size, err)
	}
	return f.Root(), nil
}

// reportEvidence turns what was counted into findings.
func (v *verification) reportEvidence() {
	e := &v.evidence
	for _, c := range Checks { // in order, so that reports are alike
		if s := e.broken[c.Code]; s != nil {
			s.report(v.findings, plural(int(min(s.more, 2)), "checkpoint", "checkpoints"))
		}
	}
	e.tiles.report(v.findings, plural(int(min(e.tiles.more, 2)), "node", "nodes"))
	if e.truncated.first == nil && e.seen.nodes > v.snapshot.Size {
		e.truncated.add(finding{code: TailTruncated, seq: v.snapshot.Size, stored: fmt.Sprintf("%d entries", v.snapshot.Size),
			recomputed: fmt.Sprintf("%d entries, by the nodes of the tree", e.seen.nodes)})
	}
	if e.truncated.first == nil && e.seen.logged > v.present {
		e.truncated.add(finding{code: TailTruncated, seq: v.present, stored: entriesText(v.present), recomputed: entriesText(e.seen.logged) + ", by the super-log"})
	}
	e.truncated.report(v.findings, plural(int(min(e.truncated.more, 2)), "checkpoint", "checkpoints"))
}
