package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// This file holds what settles or undoes an earlier entry against that entry:
// captures and releases against their hold, reversals against what they
// reverse. What stands in the same segment is at hand; what stands before it is
// read by primary key, postings as a stream, so that no more than one earlier
// entry is held beside the segment.

// reference is an entry of the segment that acts on one before the segment.
type reference struct {
	to int64 // seq
	by int   // its place in segment.entries
}

// target is an entry that another one acts on.
type target struct {
	seq        int64
	kind       chain.Kind
	unreadable bool // reported, or doubted, at the entry itself
	expires    bool
	expiresAt  int64
	postings   []chain.Posting
}

// acts reports whether the entry can be held against the one at its ref_seq.
// An erasure is held against texts, and a reopening against closings, elsewhere.
func (row *entryRow) acts() bool {
	e := &row.entry
	switch e.Kind {
	case chain.Capture, chain.Release, chain.Reversal:
		return row.readable() && row.has[hasRefSeq]
	}
	return false
}

// readable reports whether the columns say what this version understands.
func (row *entryRow) readable() bool {
	return row.rejected == nil && !row.unknownKind && row.format == formatVersion
}

// checkReferences holds I12 at the entries of the segment, once derive has given
// them their postings.
func (w *worker) checkReferences(ctx context.Context) error {
	s := &w.segment
	w.references = w.references[:0]
	for i := range s.entries {
		row := &s.entries[i]
		switch {
		case !row.acts():
			if row.entry.Kind == chain.Hold && row.readable() {
				w.holds.keep(row)
			}
		case row.refSeq < 0 || row.refSeq >= row.entry.Seq:
			w.checkReference(&row.entry, &target{}, false)
		case row.refSeq < s.low && w.holds.settledBy(&row.entry):
		case row.refSeq < s.low:
			w.references = append(w.references, reference{to: row.refSeq, by: i})
		default:
			t, found := s.target(row.refSeq)
			w.checkReference(&row.entry, &t, found)
		}
	}
	if len(w.references) == 0 {
		return nil
	}
	slices.SortFunc(w.references, func(a, b reference) int { return cmp.Or(cmp.Compare(a.to, b.to), cmp.Compare(a.by, b.by)) })
	if err := w.loadTargets(ctx); err != nil {
		return err
	}
	return w.followReferences(ctx)
}

// target returns an entry of the segment.
func (s *segment) target(seq int64) (t target, found bool) {
	i := sort.Search(len(s.entries), func(i int) bool { return s.entries[i].entry.Seq >= seq })
	if i == len(s.entries) || s.entries[i].entry.Seq != seq {
		return t, false
	}
	row := &s.entries[i]
	return target{
		seq: seq, kind: row.entry.Kind, unreadable: !row.readable(),
		expires: row.has[hasExpiresAt], expiresAt: row.expiresAt, postings: row.entry.Postings,
	}, true
}

// Index: the primary key.
const targetsSQL = `
select seq, format, kind, expires_at
from book.entries
where ledger_id = $1::uuid and seq = any($2::int8[])`

// loadTargets reads the entries that w.references are about, without postings.
func (w *worker) loadTargets(ctx context.Context) error {
	w.seqs = w.seqs[:0]
	for i := range w.references {
		if to := w.references[i].to; i == 0 || to != w.references[i-1].to {
			w.seqs = append(w.seqs, to)
		}
	}
	if w.targets == nil {
		w.targets = make(map[int64]target)
	}
	clear(w.targets)
	err := w.v.snapshot.Scan(ctx, targetsSQL, []any{w.v.snapshot.LedgerID, w.seqs}, func(r *store.Row) error {
		t := target{seq: r.Int64(0)}
		var known bool
		t.kind, known = chain.KindNamed(string(r.Text(2)))
		t.unreadable = !known || r.Int64(1) != formatVersion
		if t.expires = !r.IsNull(3); t.expires {
			t.expiresAt = r.Micros(3)
		}
		t.unreadable = t.unreadable || rejected(r) != nil
		w.targets[t.seq] = t
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the entries that others act on: %w", err)
	}
	return nil
}

// Index: the primary key.
const targetPostingsSQL = `
select seq, account_id, direction, currency, scale, amount, pending_change
from book.postings
where ledger_id = $1::uuid and seq = any($2::int8[])
order by seq, ordinal`

// followReferences reads the postings of w.targets, and holds what acts on a
// target against it as soon as its postings are complete.
func (w *worker) followReferences(ctx context.Context) error {
	next := 0
	at := target{seq: -1, postings: w.targetPostings[:0]} // what is being read
	complete := func(below int64) {
		for ; next < len(w.references) && w.references[next].to < below; next++ {
			r := w.references[next]
			t, found := w.targets[r.to]
			if t.seq == at.seq {
				t.postings, t.unreadable = at.postings, t.unreadable || at.unreadable
			}
			w.checkReference(&w.segment.entries[r.by].entry, &t, found)
		}
	}
	err := w.v.snapshot.Scan(ctx, targetPostingsSQL, []any{w.v.snapshot.LedgerID, w.seqs}, func(r *store.Row) error {
		if seq := r.Int64(0); seq != at.seq {
			complete(seq)
			at = target{seq: seq, postings: at.postings[:0]}
		}
		if len(at.postings) > chain.MaxPostings {
			return nil // no entry has so many: the number differs already
		}
		p := chain.Posting{AccountID: r.UUID(1), Direction: direction(r, 2), Currency: w.words.of(r.Text(3)), Scale: r.Scale(4)}
		p.Amount, p.PendingChange = r.Units(5, p.Scale), r.Units(6, p.Scale)
		at.unreadable = at.unreadable || rejected(r) != nil
		at.postings = append(at.postings, p)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the postings of entries that others act on: %w", err)
	}
	complete(math.MaxInt64)
	w.targetPostings = at.postings
	return nil
}

// checkReference holds an entry against the one that it acts on.
func (w *worker) checkReference(e *chain.Entry, t *target, found bool) {
	f := finding{code: HoldInvalid, seq: e.Seq}
	undoes := e.Kind == chain.Reversal
	if undoes {
		f.code = ReversalInvalid
	}
	switch {
	case !found:
		f.stored = fmt.Sprintf("ref_seq %d, where no entry stands before it", *e.RefSeq)
		w.report(f)
	case t.unreadable:
	case undoes && t.kind != chain.Transfer && t.kind != chain.Capture:
		f.stored, f.recomputed = fmt.Sprintf("ref_seq %d, a %s", t.seq, t.kind), "a transfer or a capture"
		w.report(f)
	case undoes:
		w.checkMirror(e, t, f)
	case t.kind != chain.Hold:
		f.stored, f.recomputed = fmt.Sprintf("ref_seq %d, a %s", t.seq, t.kind), "a hold"
		w.report(f)
	default:
		w.checkSettledInTime(e, t, f)
		w.checkSettled(e, t, f)
	}
}

// expired reports whether the hold had expired when e was recorded.
func (t *target) expired(e *chain.Entry) bool { return t.expires && e.RecordedAt >= t.expiresAt }

// inTime reports whether e is not a capture of what has expired, and not what the
// ledger gave back by itself before it had.
func (t *target) inTime(e *chain.Entry) bool {
	if e.Kind == chain.Capture {
		return !t.expired(e)
	}
	return t.expired(e) || e.Actor != uuid.UUID{}
}

// checkSettledInTime holds the time of a settlement against that of its hold.
func (w *worker) checkSettledInTime(e *chain.Entry, hold *target, f finding) {
	if hold.inTime(e) {
		return
	}
	f.stored = "captured at " + showMicros(e.RecordedAt)
	if e.Kind == chain.Release {
		f.stored = "released by the ledger itself at " + showMicros(e.RecordedAt)
	}
	f.recomputed = fmt.Sprintf("hold %d never expires", hold.seq)
	if hold.expires {
		f.recomputed = fmt.Sprintf("hold %d expires at %s", hold.seq, showMicros(hold.expiresAt))
	}
	w.report(f)
}

// checkSettled finds the first posting that does not settle its hold's: on the
// same side of the same account, taking away what the hold added, and booking
// no more than that. That a part balances is I1.
func (w *worker) checkSettled(e *chain.Entry, hold *target, f finding) {
	if !w.sameNumber(e, len(hold.postings), f) {
		return
	}
	for i := range e.Postings {
		p, of := &e.Postings[i], counterpart(e.Postings, i, hold.postings)
		f.account, f.named = p.AccountID, true
		if of == nil || p.Direction != of.Direction || p.Currency != of.Currency || p.Scale != of.Scale {
			f.stored, f.recomputed = fmt.Sprintf("a %s in %s", p.Direction, p.Currency), fmt.Sprintf("hold %d has no such posting", hold.seq)
			w.report(f)
			return
		}
		switch taken, ok := of.PendingChange.Neg(); {
		case !ok || p.PendingChange != taken:
			f.stored, f.recomputed = "pending_change "+p.PendingChange.Format(p.Scale), "held "+of.PendingChange.Format(of.Scale)
		case p.Amount.Cmp(of.PendingChange) > 0:
			f.stored, f.recomputed = "amount "+p.Amount.Format(p.Scale), "held "+of.PendingChange.Format(of.Scale)
		default:
			continue
		}
		w.report(f)
		return
	}
}

// checkMirror finds the first posting of a reversal that does not undo one of
// what it reverses. A leg of a hold that its capture left out booked nothing,
// and has none.
func (w *worker) checkMirror(e *chain.Entry, of *target, f finding) {
	booked := 0
	for i := range of.postings {
		if !of.postings[i].Amount.IsZero() {
			booked++
		}
	}
	if !w.sameNumber(e, booked, f) {
		return
	}
	for i := range e.Postings {
		p, undone := &e.Postings[i], counterpart(e.Postings, i, of.postings)
		f.account, f.named = p.AccountID, true
		switch {
		case undone == nil || undone.Amount.IsZero():
			f.stored, f.recomputed = fmt.Sprintf("a %s in %s", p.Direction, p.Currency), fmt.Sprintf("entry %d booked nothing on the account", of.seq)
		case p.Direction == undone.Direction || p.Amount != undone.Amount || p.Currency != undone.Currency || p.Scale != undone.Scale:
			f.stored = fmt.Sprintf("%s of %s %s", p.Direction, p.Amount.Format(p.Scale), p.Currency)
			f.recomputed = fmt.Sprintf("%s of %s %s", undone.Direction.Opposite(), undone.Amount.Format(undone.Scale), undone.Currency)
		default:
			continue
		}
		w.report(f)
		return
	}
}

// sameNumber reports whether e has as many postings as what it acts on has for it.
func (w *worker) sameNumber(e *chain.Entry, want int, f finding) bool {
	if len(e.Postings) == want {
		return true
	}
	f.stored, f.recomputed = fmt.Sprintf("%d postings", len(e.Postings)), fmt.Sprintf("%d for entry %d", want, *e.RefSeq)
	w.report(f)
	return false
}

// counterpart returns the posting among others that is on the account of
// postings[i], as a rule the one in the same place; nil when there is none.
func counterpart(postings []chain.Posting, i int, others []chain.Posting) *chain.Posting {
	account := postings[i].AccountID
	if i < len(others) && others[i].AccountID == account {
		return &others[i]
	}
	for j := range others {
		if others[j].AccountID == account {
			return &others[j]
		}
	}
	return nil
}

// once is what may act on an entry once only. The keys of the book that see to
// it are gone where an owner has dropped them.
var once = []struct {
	code, kinds, what string
}{
	{HoldInvalid, "'capture', 'release'", "holds that are settled twice"},
	{ReversalInvalid, "'reversal'", "transfers that are reversed twice"},
}

// repeatedSQL finds the entries that several of some kinds act on. Indexes:
// i12_entries_settled and i12_entries_reversed; without them, it reads the
// entries once.
func repeatedSQL(kinds string) string {
	return `
select ref_seq
from book.entries
where ledger_id = $1::uuid and kind in (` + kinds + `) and ref_seq is not null
group by ref_seq
having count(*) > 1
limit $2::int8`
}

// repeatsSQL finds those that act on the same entries. Indexes: likewise.
func repeatsSQL(kinds string) string {
	return `
select ref_seq, seq
from book.entries
where ledger_id = $1::uuid and kind in (` + kinds + `) and ref_seq = any($2::int8[]) and seq < $3::int8
order by ref_seq, seq`
}

// checkOnce holds the other half of I12: a hold is settled once, and an entry
// reversed once.
func (v *verification) checkOnce(ctx context.Context) error {
	if !v.whole() {
		return v.eachWindow(func(s Span) error { return v.checkOnceIn(ctx, s) })
	}
	for _, o := range once {
		var refs []int64
		err := retry(ctx, func() error {
			refs = refs[:0]
			return v.snapshot.Scan(ctx, repeatedSQL(o.kinds), []any{v.snapshot.LedgerID, int64(v.bounds.findings)}, func(r *store.Row) error {
				refs = append(refs, r.Int64(0))
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("looking for %s: %w", o.what, err)
		}
		if len(refs) == v.bounds.findings {
			v.findings.notChecked(noSeq, fmt.Sprintf("%s beyond the first %d", o.what, v.bounds.findings))
		}
		for chunk := range slices.Chunk(refs, v.bounds.page) {
			if err := v.findRepeated(ctx, o.code, o.kinds, chunk, Span{0, v.snapshot.Size}); err != nil {
				return fmt.Errorf("looking for %s: %w", o.what, err)
			}
		}
	}
	return nil
}

// checkOnceIn is checkOnce for what the entries of a span act on.
func (v *verification) checkOnceIn(ctx context.Context, s Span) error {
	for _, o := range once {
		refs, err := v.refsIn(ctx, o.kinds, s)
		if err != nil {
			return fmt.Errorf("looking for %s: %w", o.what, err)
		}
		for chunk := range slices.Chunk(refs, v.bounds.page) {
			if err := v.findRepeated(ctx, o.code, o.kinds, chunk, s); err != nil {
				return fmt.Errorf("looking for %s: %w", o.what, err)
			}
		}
	}
	return nil
}

// findRepeated reports all entries of a span but the first that act on the same
// one.
func (v *verification) findRepeated(ctx context.Context, code, kinds string, refs []int64, in Span) error {
	before, first := int64(-1), int64(0)
	return v.snapshot.Scan(ctx, repeatsSQL(kinds), []any{v.snapshot.LedgerID, refs, v.snapshot.Size}, func(r *store.Row) error {
		ref, seq := r.Int64(0), r.Int64(1)
		switch {
		case ref != before:
			before, first = ref, seq
		case in.Has(seq):
			v.findings.add(finding{code: code, seq: seq, column: "ref_seq",
				stored: fmt.Sprint(ref), recomputed: fmt.Sprintf("entry %d did that already", first)})
		}
		return nil
	})
}
