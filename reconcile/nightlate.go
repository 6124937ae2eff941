package reconcile

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// LateEntries are the entries since the run before that change days which it has
// reported.
type LateEntries struct {
	From    int64       `json:"from"` // the first entry that was looked at
	Count   int64       `json:"count"`
	Entries []LateEntry `json:"entries"` // the first 10,000
}

// LateEntry is one of them. ValueDate is the earliest of its postings.
type LateEntry struct {
	Seq         int64      `json:"seq"`
	Transfer    string     `json:"transfer"`
	Kind        string     `json:"kind"`
	BookingDate chain.Date `json:"booking_date"`
	ValueDate   chain.Date `json:"value_date"`
	PriorPeriod bool       `json:"prior_period"`
}

// maxLate is how many late entries are listed.
const maxLate = 10_000

// checkLate lists what was booked since the run before for days up to its own, and
// what was booked into a closed period with approval.
func (b *nightBooks) checkLate(ctx context.Context) (string, error) {
	if b.Previous == nil {
		return "", notApplicable("this is the first run: no day was reported before")
	}
	late := LateEntries{From: b.Previous.Size, Entries: []LateEntry{}}
	err := b.eachBooked(ctx, b.Previous.Size, b.Snapshot.Size, func(e *bookedRow) error {
		valued := e.effective
		for i := range e.postings {
			valued = min(valued, e.postings[i].effective)
		}
		if len(e.postings) == 0 || valued > b.Previous.AsOf && !e.priorPeriod {
			return nil
		}
		if late.Count++; len(late.Entries) < maxLate {
			late.Entries = append(late.Entries, LateEntry{Seq: e.seq, Transfer: e.request.String(), Kind: e.kind, BookingDate: e.booking, ValueDate: valued, PriorPeriod: e.priorPeriod})
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if late.Count > 0 {
		first := &late.Entries[0]
		b.Find(nightFinding(LateEntriesListed, first.Seq, fmt.Sprintf("%d %s; the first is valued %s and booked %s", late.Count, plural(int(min(late.Count, 2)), "entry", "entries"), first.ValueDate, first.BookingDate),
			fmt.Sprintf("value dates after %s, which run %s has reported", b.Previous.AsOf, b.Previous.ID)))
	}
	return entriesFrom(b.Previous.Size, b.Snapshot.Size), b.Put(ResultOutput, "late-entries", late)
}

// bookedRow is an entry with its postings, as the checks of the books read it.
type bookedRow struct {
	seq         int64
	kind        string
	request     uuid.UUID
	recordedAt  int64
	booking     chain.Date
	effective   chain.Date
	priorPeriod bool
	postings    []movedRow
}

// movedRow is a posting of it.
type movedRow struct {
	account               uuid.UUID
	direction             chain.Direction
	currency              string
	scale                 uint8
	amount, pendingChange money.Int128
	effective             chain.Date
}

// bookedPage is how many entries are read at once.
const bookedPage = 4096

// Indexes of both: the primary key.
const (
	bookedRowsSQL = `
select seq, kind, request_id, recorded_at, booking_date, effective_date, prior_period
from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq`
	movedRowsSQL = `
select seq, account_id, direction, currency, scale, amount, pending_change, effective_date
from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq, ordinal`
)

// eachBooked calls f with the entries from one seq up to, and without, another. A
// value that cannot be there reads as zero: the chain phase reports it.
func (n *Night) eachBooked(ctx context.Context, from, to int64, f func(*bookedRow) error) error {
	var words words
	var page []bookedRow
	for low := from; low < to; low += bookedPage {
		high := min(low+bookedPage, to)
		args := []any{n.LedgerID, low, high}
		err := retry(ctx, func() error {
			page = page[:0]
			err := n.Snapshot.Scan(ctx, bookedRowsSQL, args, func(r *store.Row) error {
				page = append(page, bookedRow{seq: r.Int64(0), kind: string(r.Text(1)), request: r.UUID(2), recordedAt: r.Micros(3),
					booking: r.Date(4), effective: r.Date(5), priorPeriod: r.Bool(6)})
				return nil
			})
			if err != nil {
				return err
			}
			at := 0
			return n.Snapshot.Scan(ctx, movedRowsSQL, args, func(r *store.Row) error {
				for at < len(page) && page[at].seq < r.Int64(0) {
					at++
				}
				if at == len(page) || page[at].seq != r.Int64(0) {
					return nil
				}
				p := movedRow{account: r.UUID(1), direction: direction(r, 2), currency: words.of(r.Text(3)), scale: r.Scale(4)}
				p.amount, p.pendingChange, p.effective = r.Units(5, p.scale), r.Units(6, p.scale), r.Date(7)
				page[at].postings = append(page[at].postings, p)
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("reading %s: %w", Span{low, high}, err)
		}
		for i := range page {
			if err := f(&page[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// byAccount orders postings, so that an order of their own makes no other body.
func (e *bookedRow) byAccount() {
	slices.SortStableFunc(e.postings, func(a, b movedRow) int { return bytes.Compare(a.account[:], b.account[:]) })
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
