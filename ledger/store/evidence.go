package store

import (
	"context"
	"fmt"
	"strings"

	"tallystick/ledger"
)

// Evidence returns up to limit entries after seq, in order, with their texts:
// what goes into an evidence bundle. Whether they are those that were sealed is
// up to the caller.
func (db *DB) Evidence(ctx context.Context, id ledger.LedgerID, seq int64, limit int) ([]ledger.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	a := db.assemble(id, false)
	last := seq + int64(limit)
	if err := a.readEntries(ctx, entriesBetweenSQL, seq, last); err != nil {
		return nil, err
	}
	if len(a.records) == 0 {
		return nil, nil
	}
	last = a.records[len(a.records)-1].Seq // rows beyond it belong to entries not seen
	if err := a.readPostings(ctx, postingsBetweenSQL, seq, last); err != nil {
		return nil, err
	}
	rows, err := db.pool.Query(ctx, payloadsBetweenSQL, uuidOf(&id.UUID), seq, last)
	if err != nil {
		return nil, fmt.Errorf("reading payloads: %w", err)
	}
	if err := a.scanTexts(rows); err != nil {
		return nil, err
	}
	rows, err = db.pool.Query(ctx, detailsBetweenSQL, uuidOf(&id.UUID), seq, last)
	if err != nil {
		return nil, fmt.Errorf("reading details: %w", err)
	}
	if err := a.scanDetails(rows); err != nil {
		return nil, err
	}
	if err := a.readRare(ctx, false); err != nil {
		return nil, err
	}
	return a.entries(), nil
}

// The catalogue, read whole.
const schemaSQL = `
select t.table_schema, t.table_name, t.table_type, c.column_name, c.data_type, c.is_nullable
from information_schema.tables as t
join information_schema.columns as c on c.table_schema = t.table_schema and c.table_name = t.table_name
where t.table_schema in ('book', 'ops')
order by t.table_schema, t.table_name, c.ordinal_position`

// Schema returns the tables and columns of both schemas that the role may see,
// one column a line, for comparison with those of another day or database.
func (db *DB) Schema(ctx context.Context) (string, error) {
	var b strings.Builder
	err := db.Scan(ctx, schemaSQL, nil, func(r *Row) error {
		for i := range r.values {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.Write(r.values[i])
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("reading the schema: %w", err)
	}
	return b.String(), nil
}
