package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
)

const insertKeySQL = `
insert into ops.api_keys (key_id, key_hash, name, created_at)
values ($1::uuid, $2::bytea, $3::text, $4::timestamptz) on conflict (key_hash) do nothing`

const keyByHashSQL = `select key_id from ops.api_keys where key_hash = $1::bytea`

// EnsureKey makes sure that the API key with this SHA-256 is known and returns
// its id. The key itself is never stored.
func (db *DB) EnsureKey(ctx context.Context, hash [sha256.Size]byte, name string) (ledger.KeyID, error) {
	id, err := ledger.NewKeyID()
	if err != nil {
		return ledger.KeyID{}, err
	}
	err = db.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, insertKeySQL, uuidOf(&id.UUID), hash[:], name, time.Now()); err != nil {
			return err
		}
		return tx.QueryRow(ctx, keyByHashSQL, hash[:]).Scan((*[16]byte)(&id.UUID))
	})
	if err != nil {
		return ledger.KeyID{}, fmt.Errorf("storing the API key %s: %w", name, err)
	}
	return id, nil
}

// KeyByHash returns the id of the API key with this SHA-256, or ErrNotFound.
func (db *DB) KeyByHash(ctx context.Context, hash [sha256.Size]byte) (ledger.KeyID, error) {
	var id ledger.KeyID
	if err := db.pool.QueryRow(ctx, keyByHashSQL, hash[:]).Scan((*[16]byte)(&id.UUID)); err != nil {
		return ledger.KeyID{}, fmt.Errorf("looking for an API key: %w", notFound(err))
	}
	return id, nil
}
