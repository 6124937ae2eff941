package reconcile

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Cut is a ledger as it stood at some size: Head is the hash of entry Size − 1.
type Cut struct {
	Size int64
	Head chain.Hash
}

// Span is the entries from From up to, and without, To.
type Span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Entries returns how many there are.
func (s Span) Entries() int64 { return s.To - s.From }

// Has reports whether an entry is one of them.
func (s Span) Has(seq int64) bool { return s.From <= seq && seq < s.To }

// String names the entries.
func (s Span) String() string {
	if s.Entries() == 1 {
		return fmt.Sprintf("entry %d", s.From)
	}
	return fmt.Sprintf("entries %d to %d", s.From, s.To-1)
}

// readSpan is a span that the first pass walks through, and the entries that it
// is held against on both sides, which it takes as they stand.
type readSpan struct {
	Span
	before *link // nil where the span begins with the ledger, or the entry is gone
	after  *link // nil where it ends with the ledger, likewise
}

// whole reports whether all entries are read.
func (v *verification) whole() bool {
	return len(v.spans) == 1 && v.spans[0].From == 0 && v.spans[0].To == v.snapshot.Size
}

// toRead is how many entries the first pass walks through.
func (v *verification) toRead() int64 {
	n := int64(0)
	for i := range v.spans {
		n += v.spans[i].Entries()
	}
	return n
}

// reads reports whether the first pass walks through an entry.
func (v *verification) reads(seq int64) bool {
	for i := range v.spans {
		if v.spans[i].Has(seq) {
			return true
		}
	}
	return false
}

// notRead returns the entries below the cut that the first pass leaves out.
func (v *verification) notRead() []Span {
	var left []Span
	next := int64(0)
	for i := range v.spans {
		if s := v.spans[i].Span; s.From > next {
			left = append(left, Span{next, s.From})
		}
		next = max(next, v.spans[i].To)
	}
	if next < v.snapshot.Size {
		left = append(left, Span{next, v.snapshot.Size})
	}
	return left
}

// pinTo makes the cut that somebody asks for. The ledger may have grown since,
// and what has come is of no concern; but whatever says that there was more than
// there is now says that entries are gone.
func (v *verification) pinTo(ctx context.Context, at *Cut) error {
	v.present = v.snapshot.Size
	v.latest = math.MaxInt64
	if at == nil {
		return nil
	}
	e := &v.evidence
	for _, more := range []struct {
		size int64
		what string
	}{{e.seen.newest, "the newest checkpoint"}, {e.shownSize(), "the checkpoint that is shown"}, {e.seen.nodes, "the nodes of the tree"}, {e.seen.logged, "the super-log"}} {
		if more.size > v.present && e.truncated.first == nil {
			e.truncated.add(finding{code: TailTruncated, seq: v.present, stored: entriesText(v.present), recomputed: entriesText(more.size) + ", by " + more.what})
		}
	}
	if v.present < at.Size {
		v.findings.add(finding{code: LogRollback, seq: v.present, stored: entriesText(v.present), recomputed: entriesText(at.Size) + ", to which this is pinned"})
		return nil
	}
	v.latest = at.Size
	v.snapshot.Size, v.snapshot.Head = at.Size, at.Head
	if err := v.holdCut(ctx, at); err != nil {
		return err
	}
	return v.clipEvidence(ctx)
}

// shownSize is the size of the checkpoint that is shown, −1 without one.
func (e *evidence) shownSize() int64 {
	if e.shown == nil {
		return -1
	}
	return e.shown.size
}

// holdCut looks whether the last entry of the cut is still the one it was.
func (v *verification) holdCut(ctx context.Context, at *Cut) error {
	if at.Size == 0 {
		return nil
	}
	return v.snapshot.Scan(ctx, sealedSQL, []any{v.snapshot.LedgerID, at.Size - 1}, func(r *store.Row) error {
		if stored := r.Hash(0); stored != at.Head {
			v.findings.add(finding{code: LogRollback, seq: at.Size - 1, column: "entry_hash", stored: stored.String(), recomputed: at.Head.String() + ", to which this is pinned"})
			v.snapshot.Head = stored
		}
		return nil
	})
}

// Index: the primary key, read backwards.
const newestCheckpointBelowSQL = `
select size
from book.checkpoints
where ledger_id = $1::uuid and size <= $2::int8
order by size desc
limit 1`

// clipEvidence leaves checkpoints and nodes out that came after the cut.
func (v *verification) clipEvidence(ctx context.Context) error {
	e := &v.evidence
	e.later = max(e.seen.newest, e.shownSize()) > v.snapshot.Size
	if e.shownSize() > v.snapshot.Size {
		e.shown, e.shownLater = nil, true
	}
	e.seen.nodes = min(e.seen.nodes, v.snapshot.Size-v.snapshot.Size%chain.TileWidth)
	if e.seen.newest <= v.snapshot.Size {
		return nil
	}
	e.seen.newest = -1
	err := v.snapshot.Scan(ctx, newestCheckpointBelowSQL, []any{v.snapshot.LedgerID, v.snapshot.Size}, func(r *store.Row) error {
		e.seen.newest = r.Int64(0)
		return nil
	})
	return wrap("looking for the newest checkpoint of the cut", err)
}

// setSpans says what is read: all, what follows the pin, or what is asked for.
func (v *verification) setSpans(asked []Span) error {
	size := v.snapshot.Size
	switch {
	case len(asked) == 0:
		v.spans = []readSpan{{Span: Span{min(v.from, size), size}}}
		return nil
	case v.level < LevelColumns:
		return fmt.Errorf("reading some entries only: %w: that is done from level %d on", errLevel, LevelColumns.Number())
	}
	next := int64(0)
	for _, s := range asked {
		if s.From < next || s.To <= s.From {
			return fmt.Errorf("reading %s: spans rise, and have entries", s)
		}
		next = s.To
		s.To = min(s.To, size)
		switch last := len(v.spans) - 1; {
		case s.From >= s.To: // beyond the cut
		case last >= 0 && v.spans[last].To == s.From:
			v.spans[last].To = s.To
		default:
			v.spans = append(v.spans, readSpan{Span: s})
		}
	}
	return nil
}

// Index: the primary key.
const linkSQL = `
select prev_hash, entry_hash, recorded_at, booking_date
from book.entries
where ledger_id = $1::uuid and seq = $2::int8`

// readLinks reads the entries around the spans.
func (v *verification) readLinks(ctx context.Context) error {
	for i := range v.spans {
		s := &v.spans[i]
		for _, of := range []struct {
			at  *(*link)
			seq int64
		}{{&s.before, s.From - 1}, {&s.after, s.To}} {
			if of.seq < 0 || of.seq >= v.snapshot.Size {
				continue
			}
			var err error
			if *of.at, err = v.readLink(ctx, of.seq); err != nil {
				return err
			}
			if *of.at == nil {
				v.findings.add(missing(of.seq, of.seq))
			}
		}
	}
	return nil
}

// readLink reads an entry as a neighbour, nil when it is not there.
func (v *verification) readLink(ctx context.Context, seq int64) (*link, error) {
	var l *link
	err := v.snapshot.Scan(ctx, linkSQL, []any{v.snapshot.LedgerID, seq}, func(r *store.Row) error {
		l = &link{seq: seq, prevHash: r.Hash(0), stored: r.Hash(1), recomputed: r.Hash(1), recordedAt: r.Micros(2), bookingDate: r.Date(3)}
		if bad := rejected(r); bad != nil {
			l.rejected = bad.column
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading entry %d: %w", seq, err)
	}
	return l, nil
}

// spanWindow is how many entries the statements about a span are about at once.
const spanWindow = 1 << 16

// eachWindow calls f with the spans, a window at a time.
func (v *verification) eachWindow(f func(Span) error) error {
	for i := range v.spans {
		for low := v.spans[i].From; low < v.spans[i].To; low += spanWindow {
			if err := f(Span{low, min(low+spanWindow, v.spans[i].To)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// numbered is a run of the postings of an account: all that it has in a window.
type numbered struct {
	account   uuid.UUID
	low, high int64 // of their account_seq
	count     int64
}

// Indexes: the primary key; i9_postings_account_seq, a range for each account.
const (
	numberedSQL = `
select account_id, min(account_seq), max(account_seq), count(*)
from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
group by account_id`
	countNumbersSQL = `
select u.id, (
    select count(*) from book.postings
    where account_id = u.id and account_seq >= u.low and account_seq <= u.high and ledger_id = $1::uuid and seq < $2::int8
)
from unnest($3::uuid[], $4::int8[], $5::int8[]) as u(id, low, high)`
	twiceNumberedSQL = `
select account_seq, seq
from book.postings
where account_id = $1::uuid and account_seq >= $2::int8 and account_seq <= $3::int8 and ledger_id = $4::uuid and seq < $5::int8
order by account_seq, seq`
)

// checkNumbers looks for postings in the spans whose account_seq stands twice,
// wherever the other one is: between the lowest and the highest number that an
// account has in a window, there must be as many postings in the whole ledger as
// in the window. That each follows one before it the first pass has seen to.
func (v *verification) checkNumbers(ctx context.Context) error {
	return v.eachWindow(func(s Span) error {
		var all []numbered
		err := retry(ctx, func() error {
			all = all[:0]
			return v.snapshot.Scan(ctx, numberedSQL, []any{v.snapshot.LedgerID, s.From, s.To}, func(r *store.Row) error {
				all = append(all, numbered{r.UUID(0), r.Int64(1), r.Int64(2), r.Int64(3)})
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("counting the postings of %s by account: %w", s, err)
		}
		slices.SortFunc(all, func(a, b numbered) int { return bytes.Compare(a.account[:], b.account[:]) })
		for page := range slices.Chunk(all, v.bounds.page) {
			if err := retry(ctx, func() error { return v.countNumbers(ctx, page) }); err != nil {
				return fmt.Errorf("counting postings by account_seq: %w", err)
			}
		}
		return nil
	})
}

func (v *verification) countNumbers(ctx context.Context, page []numbered) error {
	ids, low, high := make([]uuid.UUID, len(page)), make([]int64, len(page)), make([]int64, len(page))
	at := make(map[uuid.UUID]int, len(page))
	for i, n := range page {
		ids[i], low[i], high[i], at[n.account] = n.account, n.low, n.high, i
	}
	var twice []int
	err := v.snapshot.Scan(ctx, countNumbersSQL, []any{v.snapshot.LedgerID, v.snapshot.Size, ids, low, high}, func(r *store.Row) error {
		if i := at[r.UUID(0)]; r.Int64(1) > page[i].count {
			twice = append(twice, i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var found []finding
	for _, i := range twice {
		before := int64(0)
		n := page[i]
		err := v.snapshot.Scan(ctx, twiceNumberedSQL, []any{n.account, n.low, n.high, v.snapshot.LedgerID, v.snapshot.Size}, func(r *store.Row) error {
			if r.Int64(0) == before && v.reads(r.Int64(1)) {
				found = append(found, finding{code: AccountSeqGap, seq: r.Int64(1), account: n.account, named: true, column: "account_seq",
					stored: fmt.Sprint(before), recomputed: "stands twice"})
			}
			before = r.Int64(0)
			return nil
		})
		if err != nil {
			return err
		}
	}
	v.findings.add(found...)
	return nil
}

// Index: the primary key.
const requestsBetweenSQL = `
select request_id
from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq`

// checkRequests looks for requests of the spans that stand twice (I8), wherever
// the other one is.
func (v *verification) checkRequests(ctx context.Context) error {
	return v.eachWindow(func(s Span) error {
		var ids []uuid.UUID
		err := retry(ctx, func() error {
			ids = ids[:0]
			return v.snapshot.Scan(ctx, requestsBetweenSQL, []any{v.snapshot.LedgerID, s.From, s.To}, func(r *store.Row) error {
				ids = append(ids, r.UUID(0))
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("reading the requests of %s: %w", s, err)
		}
		slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
		return v.lookUpRequests(ctx, slices.Compact(ids), s)
	})
}

// refsBetweenSQL finds what the entries of a span act on. Index: the primary key.
func refsBetweenSQL(kinds string) string {
	return `
select ref_seq
from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8 and kind in (` + kinds + `) and ref_seq is not null
order by ref_seq`
}

// refsIn returns what entries of the spans act on.
func (v *verification) refsIn(ctx context.Context, kinds string, s Span) ([]int64, error) {
	var refs []int64
	err := retry(ctx, func() error {
		refs = refs[:0]
		return v.snapshot.Scan(ctx, refsBetweenSQL(kinds), []any{v.snapshot.LedgerID, s.From, s.To}, func(r *store.Row) error {
			refs = append(refs, r.Int64(0))
			return nil
		})
	})
	return slices.Compact(refs), err
}
