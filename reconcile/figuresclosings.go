package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/figures"
)

// A closing that moves the result of a period does so by transfers, just before
// it in the chain: their request ids are UUIDv5, in the name space of the ledger,
// of "closing", a zero byte, the request id of the closing, a zero byte, and
// their number from 0 on. To a report they are neither revenue nor expense.

const (
	// maxClosings is how many closings of a ledger a report looks at.
	maxClosings = 10_000
	// maxClosingParts is more transfers than any closing has.
	maxClosingParts = 32
)

// errTooManyClosings: there are more closings than a report looks at.
var errTooManyClosings = fmt.Errorf("the ledger has more than %d closings", maxClosings)

// Index: entries_rules.
const closingsSQL = `
select e.seq, e.request_id, e.kind
from book.entries as e
where e.ledger_id = $1::uuid and e.kind in ('period_closed', 'period_reopened', 'currency_defined') and e.seq < $2::int8
order by e.seq`

// readClosings finds the transfers by which closings, up to the end of the
// period, moved results.
func (b *bookReader) readClosings(ctx context.Context) error {
	type closing struct {
		seq     int64
		request uuid.UUID
	}
	var all []closing
	err := retry(ctx, func() error {
		all = all[:0]
		return b.from.Scan(ctx, closingsSQL, []any{b.from.LedgerID, b.End}, func(r *store.Row) error {
			if string(r.Text(2)) != chain.PeriodClosed.String() {
				return nil
			}
			if len(all) == maxClosings {
				return errTooManyClosings
			}
			all = append(all, closing{r.Int64(0), r.UUID(1)})
			return readable(r, "book.entries", r.Int64(0))
		})
	})
	if err != nil {
		return fmt.Errorf("reading the closings: %w", err)
	}
	b.closing = make(map[int64]bool)
	for page := range slices.Chunk(all, reportPage/maxClosingParts) {
		ids, seqs := make([]uuid.UUID, 0, len(page)*maxClosingParts), make([]int64, len(page))
		for i, c := range page {
			seqs[i] = c.seq
			for n := range maxClosingParts {
				ids = append(ids, uuid.NewSHA1(b.from.LedgerID, []byte("closing\x00"+c.request.String()+"\x00"+strconv.Itoa(n))))
			}
		}
		if err := b.readClosingTransfers(ctx, ids); err != nil {
			return err
		}
		if err := b.nameClosings(ctx, seqs); err != nil {
			return err
		}
	}
	return nil
}

// Index: i8_entries_request.
const closingPartsSQL = `
select seq, kind
from book.entries
where ledger_id = $1::uuid and request_id = any($2::uuid[])`

func (b *bookReader) readClosingTransfers(ctx context.Context, ids []uuid.UUID) error {
	err := retry(ctx, func() error {
		return b.from.Scan(ctx, closingPartsSQL, []any{b.from.LedgerID, ids}, func(r *store.Row) error {
			if string(r.Text(1)) == chain.Transfer.String() {
				b.closing[r.Int64(0)] = true
			}
			return readable(r, "book.entries", r.Int64(0))
		})
	})
	if err != nil {
		return fmt.Errorf("reading the transfers of closings: %w", err)
	}
	return nil
}

// nameClosings gathers the closings of the period that moved a result. One whose
// last transfer is not among those found was not made by this software: what it
// moved cannot be told from revenue and expense.
func (b *bookReader) nameClosings(ctx context.Context, seqs []int64) error {
	type said struct {
		last int64
		upto chain.Date
	}
	by := make(map[int64]said)
	err := retry(ctx, func() error {
		return b.from.Scan(ctx, ruleDetailsSQL, []any{b.from.LedgerID, seqs}, func(r *store.Row) error {
			seq := r.Int64(0)
			s, known := by[seq]
			if !known {
				s.last = -1
			}
			value := string(r.Text(2))
			var err error
			switch string(r.Text(1)) {
			case "closing_seq":
				s.last, err = strconv.ParseInt(value, 10, 64)
			case "period_end":
				s.upto, err = chain.ParseDate(value)
			}
			if err != nil {
				return damaged("entry %d: %w", seq, err)
			}
			by[seq] = s
			return readable(r, "book.details", seq)
		})
	})
	if err != nil {
		return fmt.Errorf("reading what closings moved: %w", err)
	}
	for _, seq := range seqs {
		s, known := by[seq]
		switch {
		case !known || s.last < 0:
		case !b.closing[s.last]:
			return damaged("reading the closing at entry %d: transfer %d, by which it moved a result, was not made by it", seq, s.last)
		case seq >= b.First:
			b.Closings = append(b.Closings, figures.Closing{Seq: seq, Upto: s.upto})
		}
	}
	return nil
}
