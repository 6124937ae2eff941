package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tallystick/ledger/chain"
)

// Snapshot is a consistent cut of one ledger: its entries with seq < Size.
//
// It holds no transaction open. Entries never change and are dense (I4, I5),
// so a size is a cut on both engines, may be read over many connections and as
// slowly as it takes, and whoever changes what lies below it is the culprit
// that the reader looks for.
type Snapshot struct {
	// LedgerID is the ledger that was asked for, whether or not it exists.
	LedgerID uuid.UUID
	// Size is one more than the highest seq when the cut was made, 0 without entries.
	Size int64
	// Head is the stored entry_hash of seq Size−1: chain.Genesis without
	// entries, and also when what is stored is not 32 bytes.
	Head chain.Hash

	db *DB
}

// Unpinned returns a cut without entries: of a ledger that cannot be read, for
// what there is to ask beside it.
func (db *DB) Unpinned(ledgerID uuid.UUID) *Snapshot { return &Snapshot{LedgerID: ledgerID, db: db} }

// Index: i5_entries_seq, read backwards for one row.
const pinSQL = `
select seq, entry_hash from book.entries
where ledger_id = $1::uuid and seq is not null order by seq desc limit 1`

// Snapshot pins the present size and head of a ledger. A ledger without
// entries, or an unknown one, has size 0.
func (db *DB) Snapshot(ctx context.Context, ledgerID uuid.UUID) (*Snapshot, error) {
	s := &Snapshot{LedgerID: ledgerID, db: db}
	var highest int64
	var head []byte
	err := db.pool.QueryRow(ctx, pinSQL, ledgerID.String()).Scan(&highest, &head)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("pinning ledger %s: %w", ledgerID, err)
	}
	s.Size = max(0, min(highest, math.MaxInt64-1)+1)
	if len(head) == len(s.Head) {
		s.Head = chain.Hash(head)
	}
	return s, nil
}

// Scan is DB.Scan, for queries that keep to the cut: that is up to sql.
func (s *Snapshot) Scan(ctx context.Context, sql string, args []any, row func(*Row) error) error {
	return s.db.Scan(ctx, sql, args, row)
}

// Scan runs sql with args on a connection of its own and calls row for each row
// of the result, in order. The row is only valid during the call, and so is
// everything it returns that refers to memory; row must not call Scan, or a
// small pool may wait for itself. An error from row ends the scan and is
// returned as it is.
//
// The values come as the engine sends them, in binary, and are decoded where
// they lie: a scan allocates per call, not per row.
func (db *DB) Scan(ctx context.Context, sql string, args []any, row func(*Row) error) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquiring a connection: %w", err)
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, sql, queryArgs(args)...)
	if err != nil {
		return fmt.Errorf("querying: %w", err)
	}
	defer rows.Close()
	r := Row{fields: rows.FieldDescriptions()}
	for rows.Next() {
		r.values, r.rejected = rows.RawValues(), notRejected
		if err := row(&r); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("querying: %w", err)
	}
	return nil
}

// queryArgs asks for binary results and turns lists of ids into what pgx
// encodes without calling each element's Value, which costs ten times as much.
func queryArgs(args []any) []any {
	all := append(make([]any, 0, len(args)+1), pgx.QueryResultFormats{pgx.BinaryFormatCode})
	for _, a := range args {
		if ids, ok := a.([]uuid.UUID); ok {
			list := make(uuids, len(ids))
			for i := range ids {
				list[i] = uuidOf(&ids[i])
			}
			a = list
		}
		all = append(all, a)
	}
	return all
}

// Passing reports whether an error of Scan may be gone at the next attempt: the
// connection was lost, the engine restarts, is short of something, or asks for
// the statement to be repeated. (CockroachDB cannot repeat by itself a scan
// whose first rows it has sent.) What the statement itself is refused for, such
// as a missing grant, stays.
func Passing(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || len(pgErr.Code) != 5 {
		return true
	}
	return PassingState(pgErr.Code)
}

// PassingState is Passing for an SQLSTATE, which has five characters.
func PassingState(code string) bool {
	switch code[:2] {
	case "08", "40", "53", "57": // connection, rollback, resources, operator
		return true
	}
	return strings.HasPrefix(code, classNodes)
}

// Answered reports whether an error of Scan is one that the engine sent.
func Answered(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr)
}

// Interrupted reports whether something failed because of the engine or the way to
// it, and not because of what it holds. A statement that took too long is neither
// for certain, and is not counted.
func Interrupted(err error) bool {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return Passing(err) && pgErr.Code != codeCanceled
	}
	var netErr net.Error
	return errors.As(err, &netErr)
}

// Lacking reports whether a query failed because the engine has no such table,
// column or function at all: CockroachDB's catalogue is not the whole of
// PostgreSQL's, and what it cannot name it does not have.
func Lacking(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	switch pgErr.Code {
	case "42P01", "42703", "42883", "0A000": // undefined table, column, function; not supported
		return true
	}
	return false
}

// Key is what one lookup of ScanEach is for.
type Key struct {
	ID uuid.UUID
	N  int64
}

// keysAtOnce is how many keys one statement of ScanEach looks up on PostgreSQL.
const keysAtOnce = 1024

// ScanEach runs a lookup for each key and calls row for each row found, in no
// particular order, under the rules of Scan. The lookup is a query of at most
// one row that names the key as u.id and u.n, and args as $1, $2 and so on. Its
// plan does not depend on statistics: one descent of an index for each key.
func (s *Snapshot) ScanEach(ctx context.Context, lookup string, args []any, keys []Key, row func(*Row) error) error {
	atOnce := keysAtOnce
	if s.db.engine.cockroach {
		atOnce = latestArms
	}
	for chunk := range slices.Chunk(keys, atOnce) {
		sql, all := lookupLateral(lookup, args, chunk)
		if s.db.engine.cockroach {
			sql, all = lookupArms(lookup, args, chunk)
		}
		if err := s.Scan(ctx, sql, all, row); err != nil {
			return err
		}
	}
	return nil
}

// lookupLateral is the statement for PostgreSQL. Only a limit keeps its planner
// from turning LATERAL into a join of another kind.
func lookupLateral(lookup string, args []any, keys []Key) (string, []any) {
	ids, ns := make(uuids, len(keys)), make([]int64, len(keys))
	for i := range keys {
		ids[i], ns[i] = uuidOf(&keys[i].ID), keys[i].N
	}
	sql := fmt.Sprintf("select r.* from unnest($%d::uuid[], $%d::int8[]) as u(id, n) cross join lateral (%s limit 1) as r",
		len(args)+1, len(args)+2, lookup)
	return sql, append(slices.Clone(args), ids, ns)
}

// lookupArms is the statement for CockroachDB, where LATERAL may read every row
// of an account. It has parameters only for what the lookup names: one that stands
// nowhere has no type, and is refused.
func lookupArms(lookup string, args []any, keys []Key) (string, []any) {
	byID, byN := strings.Contains(lookup, "u.id"), strings.Contains(lookup, "u.n")
	arms, all := make([]string, len(keys)), slices.Clone(args)
	for i, k := range keys {
		var names []string
		if byID {
			all = append(all, uuidOf(&k.ID))
			names = append(names, "u.id", fmt.Sprintf("$%d::uuid", len(all)))
		}
		if byN {
			all = append(all, k.N)
			names = append(names, "u.n", fmt.Sprintf("$%d::int8", len(all)))
		}
		arms[i] = "(" + strings.NewReplacer(names...).Replace(lookup) + " limit 1)"
	}
	return strings.Join(arms, " union all "), all
}
