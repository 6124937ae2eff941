package store

import (
	"context"
	"fmt"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// SnapshotPart is some accounts of a snapshot of balances. What its body says is
// the reader's business: see reconcile/snapshot.go.
type SnapshotPart struct {
	Accounts int64
	SHA256   chain.Hash // of the body before compression
	Body     []byte     // compressed
}

// Index: i11_snapshots_part, which makes it once.
const keepSnapshotSQL = `
insert into ops.snapshots (ledger_id, size, part, parts, accounts, sha256, body)
values ($1::uuid, $2::int8, $3::int8, $4::int8, $5::int8, $6::bytea, $7::bytea)
on conflict (ledger_id, size, part) do nothing`

// KeepSnapshot stores the balances of all accounts after the first size entries.
// What is there already stays; a snapshot of which a part is missing does not
// count, so that one that was interrupted is finished by the next call.
func (db *DB) KeepSnapshot(ctx context.Context, id ledger.LedgerID, size int64, parts []SnapshotPart) error {
	for i, p := range parts {
		_, err := db.pool.Exec(ctx, keepSnapshotSQL, uuidOf(&id.UUID), size, int64(i), int64(len(parts)), p.Accounts, p.SHA256[:], p.Body)
		if err != nil {
			return fmt.Errorf("storing part %d of the balances of ledger %s after %d entries: %w", i, id, size, err)
		}
	}
	return nil
}
