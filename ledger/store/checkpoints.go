package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
)

// SignerPlace says where a checkpoint was signed.
type SignerPlace string

// The places.
const (
	// SignedByServer: by the process that also posts, which is not independent.
	SignedByServer SignerPlace = "serve"
	// SignedApart: by tallystick signer.
	SignedApart SignerPlace = "signer"
)

// StoredCheckpoint is a signed checkpoint of a ledger.
type StoredCheckpoint struct {
	Size     int64
	Root     chain.Hash
	Note     []byte // signed
	SignedAt time.Time
}

// ShownCheckpoint is the newest checkpoint of a ledger as it is shown.
type ShownCheckpoint struct {
	Size        int64
	Note        []byte // signed, with what cosignatures there are
	PublishedAt time.Time
	Signer      SignerPlace
}

// TreeNode is a stored node of a ledger's Merkle tree, see chain.ReadNodes.
type TreeNode struct {
	Level    int
	Position int64
	Hash     chain.Hash
}

// nodesAtOnce is how many nodes one statement stores: half a megabyte of them.
// A first checkpoint of a large ledger has hundreds of thousands.
const nodesAtOnce = 8192

const insertTilesSQL = `
insert into book.tiles (ledger_id, level, position, hash)
select $1::uuid, u.level, u.position, u.hash
from unnest($2::int8[], $3::int8[], $4::bytea[]) as u(level, position, hash)
on conflict (ledger_id, level, position) do nothing`

const insertCheckpointSQL = `
insert into book.checkpoints (ledger_id, size, root, note, signed_at)
values ($1::uuid, $2::int8, $3::bytea, $4::text, $5::timestamptz)
on conflict (ledger_id, size) do nothing`

// A smaller checkpoint never takes the place of a larger one.
const showCheckpointSQL = `
insert into ops.heads as h (ledger_id, size, note, published_at, signer)
values ($1::uuid, $2::int8, $3::text, $4::timestamptz, $5::text)
on conflict (ledger_id) do update set size = excluded.size, note = excluded.note,
    published_at = excluded.published_at, signer = excluded.signer
where h.size <= excluded.size`

// PublishCheckpoint stores a checkpoint, the nodes of the tree that it
// completes and what is shown, in one transaction; doing so again changes
// nothing. It needs RoleSigner. id is SuperLog for the super-log.
func (db *DB) PublishCheckpoint(ctx context.Context, id uuid.UUID, nodes []TreeNode, c StoredCheckpoint, by SignerPlace) error {
	var b pgx.Batch
	for some := range slices.Chunk(nodes, nodesAtOnce) {
		n := len(some)
		level, position, hash := make([]int64, n), make([]int64, n), make(byteas, n)
		for i := range some {
			level[i], position[i], hash[i] = int64(some[i].Level), some[i].Position, some[i].Hash[:]
		}
		b.Queue(insertTilesSQL, uuidOf(&id), level, position, hash)
	}
	b.Queue(insertCheckpointSQL, uuidOf(&id), c.Size, c.Root[:], string(c.Note), c.SignedAt)
	b.Queue(showCheckpointSQL, uuidOf(&id), c.Size, string(c.Note), c.SignedAt, string(by))
	if err := db.pool.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("publishing the checkpoint of ledger %s at size %d: %w", id, c.Size, err)
	}
	return nil
}

// ShowCheckpoint renews what is shown: more cosignatures, or a heartbeat. It
// needs RoleSigner.
func (db *DB) ShowCheckpoint(ctx context.Context, id uuid.UUID, c ShownCheckpoint) error {
	_, err := db.pool.Exec(ctx, showCheckpointSQL, uuidOf(&id), c.Size, string(c.Note), c.PublishedAt, string(c.Signer))
	if err != nil {
		return fmt.Errorf("showing the checkpoint of ledger %s at size %d: %w", id, c.Size, err)
	}
	return nil
}

// SuperLog is what the super-log has in place of a ledger's id.
var SuperLog = uuid.Nil

// Index: the primary key.
const shownCheckpointSQL = `select size, note, published_at, signer from ops.heads where ledger_id = $1::uuid`

// ShownCheckpoint returns the newest checkpoint of a ledger, or ErrNotFound.
func (db *DB) ShownCheckpoint(ctx context.Context, id uuid.UUID) (ShownCheckpoint, error) {
	var c ShownCheckpoint
	var signed, signer string
	err := db.pool.QueryRow(ctx, shownCheckpointSQL, uuidOf(&id)).Scan(&c.Size, &signed, &c.PublishedAt, &signer)
	if err != nil {
		return c, fmt.Errorf("reading the newest checkpoint of ledger %s: %w", id, notFound(err))
	}
	c.Note, c.Signer = []byte(signed), SignerPlace(signer)
	return c, nil
}

// Index: the primary key, either way.
const (
	firstCheckpointSQL = `select size, root, note, signed_at from book.checkpoints
where ledger_id = $1::uuid and size >= $2::int8 order by size limit 1`
	lastCheckpointSQL = `select size, root, note, signed_at from book.checkpoints
where ledger_id = $1::uuid and size <= $2::int8 order by size desc limit 1`
)

// FirstCheckpoint returns the smallest checkpoint with at least that size, or
// ErrNotFound.
func (db *DB) FirstCheckpoint(ctx context.Context, id uuid.UUID, size int64) (StoredCheckpoint, error) {
	return db.checkpoint(ctx, firstCheckpointSQL, id, size)
}

// LastCheckpoint returns the largest checkpoint of a ledger, or ErrNotFound.
func (db *DB) LastCheckpoint(ctx context.Context, id uuid.UUID) (StoredCheckpoint, error) {
	return db.checkpoint(ctx, lastCheckpointSQL, id, math.MaxInt64)
}

func (db *DB) checkpoint(ctx context.Context, sql string, id uuid.UUID, size int64) (StoredCheckpoint, error) {
	var c StoredCheckpoint
	var root []byte
	var signed string
	err := db.pool.QueryRow(ctx, sql, uuidOf(&id), size).Scan(&c.Size, &root, &signed, &c.SignedAt)
	if err != nil {
		return c, fmt.Errorf("reading a checkpoint of ledger %s: %w", id, notFound(err))
	}
	if len(root) == len(c.Root) {
		c.Root = chain.Hash(root)
	}
	c.Note = []byte(signed)
	return c, nil
}

// Index: the primary key.
const (
	leavesSQL = `select seq, entry_hash from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8 order by seq`
	nodesSQL = `select position, hash from book.tiles
where ledger_id = $1::uuid and level = $4::int8 and position >= $2::int8 and position < $3::int8 order by position`
	superLeavesSQL = `select position, leaf from book.super_log
where position >= $2::int8 and position < $3::int8 and $1::uuid is not null order by position`
)

// Nodes returns the reader of a ledger's tree, for as long as ctx. A node that
// is not stored, or not as 32 bytes, is chain.ErrNodes.
func (db *DB) Nodes(ctx context.Context, id uuid.UUID) chain.ReadNodes {
	return func(level int, first, count int64) ([]chain.Hash, error) {
		sql, args := leavesSQL, []any{uuidOf(&id), first, first + count}
		switch {
		case level > 0:
			sql, args = nodesSQL, append(args, int64(level))
		case id == SuperLog:
			sql = superLeavesSQL
		}
		rows, err := db.pool.Query(ctx, sql, args...)
		if err != nil {
			return nil, fmt.Errorf("reading nodes of level %d of ledger %s: %w", level, id, err)
		}
		hashes := make([]chain.Hash, 0, count)
		var position int64
		var hash []byte
		_, err = pgx.ForEachRow(rows, []any{&position, &hash}, func() error {
			if position != first+int64(len(hashes)) || len(hash) != len(chain.Hash{}) {
				return fmt.Errorf("node %d of level %d: %w", first+int64(len(hashes)), level, chain.ErrNodes)
			}
			hashes = append(hashes, chain.Hash(hash))
			return nil
		})
		if err == nil && int64(len(hashes)) < count {
			err = fmt.Errorf("node %d of level %d: %w", first+int64(len(hashes)), level, chain.ErrNodes)
		}
		if err != nil {
			return nil, fmt.Errorf("reading nodes of level %d of ledger %s: %w", level, id, err)
		}
		return hashes, nil
	}
}

// A holder keeps its key, and takes one whose holder is gone.
const holdKeySQL = `
insert into ops.signers as s (signer_key, holder, held_until)
values ($1::text, $2::uuid, now() + $3::float8 * interval '1 second')
on conflict (signer_key) do update set holder = excluded.holder, held_until = excluded.held_until
where s.holder = excluded.holder or s.held_until < now()`

// HoldSigningKey makes holder the one that signs with a key for a while, unless
// another one is. It needs RoleSigner.
func (db *DB) HoldSigningKey(ctx context.Context, publicKey string, holder uuid.UUID, lease time.Duration) (held bool, err error) {
	tag, err := db.pool.Exec(ctx, holdKeySQL, publicKey, uuidOf(&holder), lease.Seconds())
	if err != nil {
		return false, fmt.Errorf("asking for the signing key: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}
