package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tallystick/ledger/store"
)

// packedTables are those that are read in fewer columns than they have.
var packedTables = []string{"book.entries", "book.postings"}

// plainColumns reports whether the columns of packedTables have the types that the
// migrations give them, and compare their values byte by byte. Otherwise what a
// statement takes for equal may not be the same: with a collation that does not tell
// letters from capitals, or the type citext, 'DEBIT' is 'debit'.
func plainColumns(ctx context.Context, from *store.Snapshot) (bool, error) {
	want := make(map[string]bool)
	for i := range schema {
		if t := &schema[i]; slices.Contains(packedTables, t.name) {
			for column := range strings.SplitSeq(t.columns, ", ") {
				want[t.name+" "+strings.TrimSuffix(column, notNull)] = true
			}
		}
	}
	err := from.Scan(ctx, columnsSQL, nil, func(r *store.Row) error {
		delete(want, string(r.Text(0))+"."+string(r.Text(1))+" "+strings.TrimSuffix(columnOf(r), notNull))
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("reading the types of columns: %w", err)
	}
	return len(want) == 0, nil
}
