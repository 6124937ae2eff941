package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tallystick/ledger/chain"
)

// link is what an entry's neighbours are held against.
type link struct {
	seq                          int64
	prevHash, stored, recomputed chain.Hash
	recordedAt                   int64
	bookingDate                  chain.Date
	rejected                     string // the column that could not be read, if any
}

// follow holds the entry against the one before it in the stripe.
func (w *worker) follow(row *entryRow) {
	e := &row.entry
	if w.keepsHashes {
		w.hashes = append(w.hashes, w.recomputed)
	}
	now := link{
		seq: e.Seq, prevHash: e.PrevHash, stored: row.stored, recomputed: w.recomputed,
		recordedAt: e.RecordedAt, bookingDate: e.BookingDate,
	}
	if row.rejected != nil {
		now.rejected = row.rejected.column
	}
	switch {
	case w.stripe.last != nil:
		w.found = append(w.found, compareLinks(w.stripe.last, &now, &w.days)...)
	case w.stripe.first == nil && !w.stripe.frontUnknown:
		first := now
		w.stripe.first = &first // the entry before it is another stripe's last
	}
	if w.stripe.last == nil {
		w.stripe.last = new(link)
	}
	*w.stripe.last = now
}

// compareLinks holds I5 and the chain between an entry and the one before it,
// or the beginning of the ledger when prev is nil.
func compareLinks(prev, now *link, days *bookingDays) []finding {
	var found []finding
	expected := int64(0)
	if prev != nil {
		expected = max(prev.seq+1, 0)
	}
	switch {
	case now.seq > expected:
		found = append(found, missing(expected, now.seq-1))
	case now.seq < expected:
		found = append(found, finding{code: SeqGap, seq: now.seq, stored: fmt.Sprint(now.seq), recomputed: fmt.Sprint(expected)})
	case now.rejected == "prev_hash":
	case now.seq == 0:
		if now.prevHash != chain.Genesis {
			found = append(found, finding{code: ChainBreak, seq: now.seq, column: "prev_hash",
				stored: now.prevHash.String(), recomputed: chain.Genesis.String()})
		}
	case prev != nil && now.prevHash != prev.stored && now.prevHash != prev.recomputed:
		found = append(found, finding{code: ChainBreak, seq: now.seq, stored: now.prevHash.String(), recomputed: prev.stored.String()})
	}
	found = append(found, days.hold(prev, now)...)
	if prev == nil {
		return found
	}
	if now.recordedAt < prev.recordedAt && now.rejected != "recorded_at" {
		found = append(found, finding{code: TimeRegression, seq: now.seq, column: "recorded_at",
			stored: showMicros(now.recordedAt), recomputed: "at or after " + showMicros(prev.recordedAt)})
	}
	if now.bookingDate < prev.bookingDate && now.rejected != "booking_date" {
		found = append(found, finding{code: TimeRegression, seq: now.seq, column: "booking_date",
			stored: now.bookingDate.String(), recomputed: "on or after " + prev.bookingDate.String()})
	}
	return found
}

// missing reports the entries from first to last, which are not there, as one.
func missing(first, last int64) finding {
	f := finding{code: SeqGap, seq: first, until: last, recomputed: fmt.Sprintf("entry %d", first)}
	if last > first {
		f.recomputed = fmt.Sprintf("entries %d to %d (%d)", first, last, last-first+1)
	}
	return f
}

func showMicros(t int64) string { return time.UnixMicro(t).UTC().Format(time.RFC3339Nano) }

// join holds the stripes against each other, and the spans against what stands on
// both sides of them; the last one against the head that was pinned.
func (v *verification) join(all []*stripe) {
	slices.SortFunc(all, func(a, b *stripe) int { return cmp.Compare(a.low, b.low) })
	for i := range v.spans {
		s := &v.spans[i]
		n := 0
		for n < len(all) && all[n].low < s.To {
			n++
		}
		v.joinSpan(s, all[:n])
		all = all[n:]
	}
}

func (v *verification) joinSpan(span *readSpan, all []*stripe) {
	prev, days := span.before, v.days
	known := span.From == 0 || prev != nil // prev is really the last entry before the stripe at hand
	for _, s := range all {
		if s.first != nil && known && !s.frontUnknown {
			v.findings.add(compareLinks(prev, s.first, &days)...)
		}
		if s.last != nil {
			prev = s.last
		}
		switch {
		case s.broken:
			known = false
		case s.last != nil:
			known = true
		case s.first != nil || s.frontUnknown:
			known = false
		}
	}
	switch {
	case !known || span.Entries() == 0:
	case prev == nil:
		v.findings.add(missing(0, span.To-1))
	case prev.seq < span.To-1:
		v.findings.add(missing(max(prev.seq+1, 0), span.To-1))
	case span.To < v.snapshot.Size && span.after != nil && !v.reads(span.To):
		v.findings.add(compareLinks(prev, span.after, &days)...)
	case span.To == v.snapshot.Size && prev.stored != v.snapshot.Head && prev.rejected != "entry_hash":
		v.findings.add(finding{code: HeadMismatch, seq: prev.seq, stored: prev.stored.String(), recomputed: v.snapshot.Head.String()})
	}
}
