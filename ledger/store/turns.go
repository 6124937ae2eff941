package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tallystick/ledger"
)

// turnSettings bound how long a turn is waited for, and how long a process
// that hangs can keep it: its idle transaction is ended by the database.
var turnSettings = []string{
	"set lock_timeout = '1200ms'",
	"set idle_in_transaction_session_timeout = '1000ms'",
}

// turnTimeout bounds taking or giving back a turn as seen from here.
const turnTimeout = 5 * time.Second

// Turn waits for the row of the ledger in ops.turns and keeps it locked, FOR
// UPDATE, until release is called. It returns ledger.ErrNoTurn when the turn
// did not come in time. Waiters are served in order of arrival.
func (db *DB) Turn(ctx context.Context, id ledger.LedgerID) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	conn, err := db.turns.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ledger.ErrNoTurn, err)
	}
	finish := func(statement string) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnTimeout)
		defer cancel()
		if _, err := conn.Conn().PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			conn.Conn().Close(ctx) // the lock goes with the connection
		}
		conn.Release()
	}
	// One round trip; the id is a UUID and needs no quoting beyond this.
	take := "begin; select 1 from ops.turns where ledger_id = '" + id.String() + "' for update"
	if _, err := conn.Conn().PgConn().Exec(ctx, take).ReadAll(); err != nil {
		finish("rollback")
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && pgErr.Code == codeLockNotAvailable {
			return nil, ledger.ErrNoTurn
		}
		return nil, fmt.Errorf("%w: %w", ledger.ErrNoTurn, err)
	}
	return func() { finish("commit") }, nil
}
