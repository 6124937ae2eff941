package reconcile

import (
	"context"

	"tallystick/ledger/store"
)

// quiet is a range of seq in which a table has no rows.
type quiet struct{ from, until int64 }

// scanSparse scans a table that has rows at few entries, unless it is known to have
// none in the segment. Where it has none, it is looked up how far that goes: a
// statement for each segment costs more than one row in a hundred segments. (Who
// follows a ledger does not know so: what it reads again may have come since.)
func (s *segment) scanSparse(ctx context.Context, from *store.Snapshot, table string, scan func() (rows int, err error)) error {
	if q := s.quiet[table]; q.from <= s.low && s.high <= q.until {
		return nil
	}
	rows, err := scan()
	if err != nil || rows > 0 || s.quiet == nil || s.high >= from.Size {
		return err
	}
	q := quiet{s.high, from.Size}
	err = from.Scan(ctx, nextRowSQL(table), []any{from.LedgerID, q.from, from.Size}, func(r *store.Row) error {
		q.until = r.Int64(0)
		return nil
	})
	if err != nil {
		return err
	}
	s.quiet[table] = q
	return nil
}
