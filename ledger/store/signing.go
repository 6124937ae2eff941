package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
)

// LedgerHead is where a ledger stands.
type LedgerHead struct {
	ID     uuid.UUID
	Origin string
	Size   int64
	Head   chain.Hash // as stored, of entry Size − 1
}

// headsAtOnce is how many ledgers one statement looks at.
const headsAtOnce = 1024

// Index: the primary key of book.ledgers.
const ledgersAfterSQL = `
select ledger_id, origin from book.ledgers
where ledger_id > $1::uuid order by ledger_id limit $2::int8`

// Index: i5_entries_seq, read backwards for one row.
const headOfSQL = `
select ledger_id, seq, entry_hash from book.entries
where ledger_id = u.id and seq >= u.n order by seq desc`

// LedgerHeads calls each with every ledger that has terms, a page at a time, in
// ascending order of their ids. Between pages it holds no connection.
func (db *DB) LedgerHeads(ctx context.Context, each func([]LedgerHead) error) error {
	after := uuid.Nil
	for {
		page, err := db.ledgersAfter(ctx, after)
		if err == nil && len(page) > 0 {
			err = db.readHeads(ctx, page)
		}
		if err != nil {
			return fmt.Errorf("reading where the ledgers stand: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		if err := each(page); err != nil || len(page) < headsAtOnce {
			return err
		}
		after = page[len(page)-1].ID
	}
}

func (db *DB) ledgersAfter(ctx context.Context, after uuid.UUID) ([]LedgerHead, error) {
	rows, err := db.pool.Query(ctx, ledgersAfterSQL, uuidOf(&after), int64(headsAtOnce))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (h LedgerHead, err error) {
		return h, row.Scan((*[16]byte)(&h.ID), &h.Origin)
	})
}

func (db *DB) readHeads(ctx context.Context, page []LedgerHead) error {
	at, keys := make(map[uuid.UUID]*LedgerHead, len(page)), make([]Key, len(page))
	for i := range page {
		at[page[i].ID], keys[i] = &page[i], Key{ID: page[i].ID}
	}
	return (&Snapshot{db: db}).ScanEach(ctx, headOfSQL, nil, keys, func(r *Row) error {
		h := at[r.UUID(0)]
		h.Size, h.Head = r.Int64(1)+1, r.Hash(2)
		return nil
	})
}

// Index: the primary key.
const checkpointsAfterSQL = `
select size, root, note, signed_at from book.checkpoints
where ledger_id = $1::uuid and size > $2::int8 order by size limit $3::int8`

// CheckpointsAfter returns the checkpoints of a ledger that are larger than a
// size, smallest first, at most that many. A root that is not stored as 32 bytes
// is zero.
func (db *DB) CheckpointsAfter(ctx context.Context, id uuid.UUID, size, most int64) ([]StoredCheckpoint, error) {
	rows, err := db.pool.Query(ctx, checkpointsAfterSQL, uuidOf(&id), size, most)
	if err == nil {
		var all []StoredCheckpoint
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c StoredCheckpoint, err error) {
			var root []byte
			var signed string
			err = row.Scan(&c.Size, &root, &signed, &c.SignedAt)
			if len(root) == len(c.Root) {
				c.Root = chain.Hash(root)
			}
			c.Note = []byte(signed)
			return c, err
		})
		if err == nil {
			return all, nil
		}
	}
	return nil, fmt.Errorf("reading the checkpoints of ledger %s beyond size %d: %w", id, size, err)
}

// StoredSuperLeaf is a row of the super-log.
type StoredSuperLeaf struct {
	Position int64
	chain.SuperLeaf
	Stored chain.Hash // the leaf hash as stored, zero when that is not 32 bytes
}

// Index: the primary key.
const superRowsSQL = `
select position, ledger_id, origin, size, root, recorded_at, leaf from book.super_log
where position >= $1::int8 order by position limit $2::int8`

// SuperLeaves returns the leaves of the super-log from a position on, at most
// that many.
func (db *DB) SuperLeaves(ctx context.Context, from, most int64) ([]StoredSuperLeaf, error) {
	rows, err := db.pool.Query(ctx, superRowsSQL, from, most)
	if err == nil {
		var all []StoredSuperLeaf
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l StoredSuperLeaf, err error) {
			var root, leaf []byte
			var recorded time.Time
			err = row.Scan(&l.Position, (*[16]byte)(&l.LedgerID), &l.Origin, &l.Size, &root, &recorded, &leaf)
			if len(root) == len(l.Root) {
				l.Root = chain.Hash(root)
			}
			if len(leaf) == len(l.Stored) {
				l.Stored = chain.Hash(leaf)
			}
			l.RecordedAt = recorded.UnixMicro()
			return l, err
		})
		if err == nil {
			return all, nil
		}
	}
	return nil, fmt.Errorf("reading the super-log from position %d on: %w", from, err)
}

const insertSuperLeavesSQL = `
insert into book.super_log (position, ledger_id, origin, size, root, recorded_at, leaf)
select u.position, u.ledger_id, u.origin, u.size, u.root, u.recorded_at, u.leaf
from unnest($1::int8[], $2::uuid[], $3::text[], $4::int8[], $5::bytea[], $6::timestamptz[], $7::bytea[])
    as u(position, ledger_id, origin, size, root, recorded_at, leaf)`

// AppendSuperLeaves appends to the super-log from a position on, all leaves or
// none: none when another one stands there. It needs RoleSigner.
func (db *DB) AppendSuperLeaves(ctx context.Context, position int64, leaves []chain.SuperLeaf) error {
	n := len(leaves)
	positions, ids, origins, sizes := make([]int64, n), make(uuids, n), make([]string, n), make([]int64, n)
	roots, times, hashes := make(byteas, n), make([]time.Time, n), make(byteas, n)
	for i := range leaves {
		l := &leaves[i]
		hash := l.Hash()
		positions[i], ids[i], origins[i], sizes[i] = position+int64(i), uuidOf(&l.LedgerID), l.Origin, l.Size
		roots[i], times[i], hashes[i] = l.Root[:], time.UnixMicro(l.RecordedAt), hash[:]
	}
	if _, err := db.pool.Exec(ctx, insertSuperLeavesSQL, positions, ids, origins, sizes, roots, times, hashes); err != nil {
		return fmt.Errorf("appending %d leaves to the super-log at position %d: %w", n, position, err)
	}
	return nil
}
