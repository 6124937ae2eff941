package reconcile

import (
	"context"
	"slices"

	"tallystick/ledger/store"
)

// Index: none is needed where the ledger is most of the table.
const textPlacesSQL = `
select seq
from ops.payloads
where ledger_id = $1::uuid and (description is not null or reference is not null or metadata is not null) and seq < $2::int8
limit $3::int8`

// findTexts looks which entries have a text, beside the first pass: in a ledger in
// which few have one, payloads need not be looked at in every segment, which is a
// twentieth of the time. Where there are many, or they cannot be read, nothing is
// known, and segments are read as ever.
func (v *verification) findTexts(ctx context.Context) {
	places := []int64{}
	err := v.snapshot.Scan(ctx, textPlacesSQL, []any{v.snapshot.LedgerID, v.snapshot.Size, int64(v.bounds.textPlaces) + 1}, func(r *store.Row) error {
		places = append(places, r.Int64(0))
		return nil
	})
	if err == nil && len(places) <= v.bounds.textPlaces {
		slices.Sort(places)
		v.textPlaces.Store(&places)
	}
}

// textless reports whether no entry of the segment has a text, as far as that is
// known by now.
func (w *worker) textless() bool {
	places := w.v.textPlaces.Load()
	if places == nil {
		return false
	}
	i, _ := slices.BinarySearch(*places, w.segment.low)
	return i == len(*places) || (*places)[i] >= w.segment.high
}

// beside runs f beside what follows, or before it; end ends it.
func beside(ctx context.Context, f func(context.Context), before bool) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	if before {
		<-done
	}
	return func() {
		cancel()
		<-done
	}
}
