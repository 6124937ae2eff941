package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	crdbpgx "github.com/cockroachdb/cockroach-go/v2/crdb/crdbpgxv5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Bounds of retrying a transaction.
const (
	txAttempts = 10
	txBackOff  = 5 * time.Millisecond // doubled each time, with jitter
)

// transact runs f in a transaction of several statements and commits it; f
// may run several times and must have no effect beside its statements. The
// write path does not come here: it is one implicit transaction (see Commit).
//
// CockroachDB retries through cockroach-go's savepoint protocol. That must not
// be used on PostgreSQL, where releasing the savepoint of a transaction that
// was rolled back can be taken for success: there the whole transaction is
// retried.
func (db *DB) transact(ctx context.Context, f func(pgx.Tx) error) error {
	return db.transactOn(ctx, db.pool, f)
}

// transactOn is transact on a connection of pool.
func (db *DB) transactOn(ctx context.Context, pool *pgxpool.Pool, f func(pgx.Tx) error) error {
	if db.engine.cockroach {
		return crdbpgx.ExecuteTx(ctx, pool, pgx.TxOptions{}, f)
	}
	for attempt := 1; ; attempt++ {
		err := pgx.BeginFunc(ctx, pool, f)
		if err == nil || attempt == txAttempts || !asksForRetry(err) {
			return err
		}
		backOff := txBackOff << (attempt - 1)
		select {
		case <-ctx.Done():
			return fmt.Errorf("retrying a transaction: %w", ctx.Err())
		case <-time.After(backOff/2 + rand.N(backOff)):
		}
	}
}

// asksForRetry reports whether the database rolled a transaction back only
// because of others.
func asksForRetry(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (pgErr.Code == codeSerialization || pgErr.Code == codeDeadlock)
}
