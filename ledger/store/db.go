package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Role is a database role; each has only the rights that its work needs.
type Role string

// The roles that Migrate makes sure of.
const (
	RoleOwner   Role = "tallystick_owner"   // owns the tables, runs migrations
	RoleApp     Role = "tallystick_app"     // appends to the book, reads it
	RoleSigner  Role = "tallystick_signer"  // reads entries, inserts checkpoints
	RoleAuditor Role = "tallystick_auditor" // reads everything, writes nothing
	RoleEraser  Role = "tallystick_eraser"  // deletes payloads, nothing else
)

// Bounds of a database session.
const (
	// StatementTimeout ends a statement of the server that hangs.
	StatementTimeout = 10 * time.Second
	// AuditPatience is how long an audit waits for a lock. Only what changes a table
	// keeps a reader waiting, and who holds that lock must not keep an audit for ever:
	// what is behind it is then said to be not checked.
	AuditPatience = 10 * time.Second
	// connectTimeout bounds one attempt to reach the database.
	connectTimeout = 5 * time.Second
	// aliveCheckInterval is how often PostgreSQL looks whether the client of a
	// running statement is still there.
	aliveCheckInterval = 2 * time.Second
	// readTimeout bounds one read of the sequencer as seen from here.
	readTimeout = StatementTimeout + 2*time.Second
	// tcpUserTimeout is how long PostgreSQL waits for a client that does not
	// acknowledge what it is sent.
	tcpUserTimeout = 10 * time.Second
	// connLifetime and its jitter spread reconnects over time.
	connLifetime       = 20 * time.Minute
	connLifetimeJitter = 5 * time.Minute
	// readBuffer is what one read from the database may bring, for each connection in
	// bytes: PostgreSQL sends in pieces of 8 KiB, and several wait while rows are
	// looked at.
	readBuffer = 64 << 10
	// postingConns bounds the commits in flight, one per ledger posted to.
	postingConns = 8
	// turnConns bounds the ledgers on which this process holds the turn at once.
	turnConns = 8
)

// DB holds the connections of one role.
type DB struct {
	pool    *pgxpool.Pool // reads
	posting *pgxpool.Pool // commits; RoleApp only
	journal *pgxpool.Pool // the sequencers' reads, which never wait behind those of clients; RoleApp only
	turns   *pgxpool.Pool // connections that hold a turn while posting commits; RoleApp only
	engine  engine
	ledgers ledgerNames
	facts   *facts // nil for sequencers

	grown    atomic.Bool  // plans may be kept, see lookups
	farSweep atomic.Int64 // when SweepHolds last began at the watermark, in microseconds
}

// Open connects to the database at url (a postgres:// URL or keyword string)
// with at most maxConns connections for reading; RoleApp has postingConns and
// turnConns more for writing. Every connection takes on role, whatever rights
// the URL's user has.
func Open(ctx context.Context, url string, role Role, maxConns int) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parsing the database URL: %w", err)
	}
	cfg.MaxConnLifetime = connLifetime
	cfg.MaxConnLifetimeJitter = connLifetimeJitter
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	cfg.ConnConfig.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(bufio.NewReaderSize(r, readBuffer), w)
	}
	db := &DB{facts: &facts{}}
	if db.pool, err = openPool(ctx, cfg, role, maxConns, readPlans, nil); err != nil {
		return nil, err
	}
	if role == RoleApp {
		db.posting, err = openPool(ctx, cfg, role, postingConns, nil, commitPlans)
		if err == nil {
			db.journal, err = openPool(ctx, cfg, role, postingConns, readPlans, nil)
		}
		if err == nil {
			db.turns, err = openPool(ctx, cfg, role, turnConns, turnSettings, nil)
		}
	}
	if err == nil {
		err = db.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			db.engine, err = detectEngine(ctx, c.Conn())
			return err
		})
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("connecting to the database as %s: %w", role, err)
	}
	return db, nil
}

// openPool opens connections that run settings, and onPostgres on PostgreSQL.
func openPool(ctx context.Context, base *pgxpool.Config, role Role, maxConns int, settings, onPostgres []string) (*pgxpool.Pool, error) {
	cfg := base.Copy()
	cfg.MaxConns = int32(maxConns)
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		all := append(sessionSettings(conn, role), settings...)
		if !isCockroach(conn) {
			all = append(all, onPostgres...)
		}
		return prepareSession(ctx, conn, all)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the database pool: %w", err)
	}
	return pool, nil
}

// prepareSession gives a new connection its role, its time limits and the
// decimal codec.
func prepareSession(ctx context.Context, conn *pgx.Conn, settings []string) error {
	registerNumeric(conn.TypeMap())
	for _, s := range settings {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("preparing the session (%s): %w", s, err)
		}
	}
	return nil
}

// Journal returns the view of db that the sequencers use: its reads do not wait
// behind those of clients. It must not be closed, and ends with db.
func (db *DB) Journal() *DB {
	return &DB{pool: db.journal, posting: db.posting, turns: db.turns, engine: db.engine}
}

// Close returns when all connections are closed.
func (db *DB) Close() {
	for _, pool := range []*pgxpool.Pool{db.turns, db.posting, db.journal, db.pool} {
		if pool != nil {
			pool.Close()
		}
	}
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Ping(ctx) }

// EngineName returns the product and version of the database, such as
// "PostgreSQL 15.18".
func (db *DB) EngineName() string { return db.engine.name }
