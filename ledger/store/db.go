package store

import (
	"context"
	"fmt"
	"time"

	pgxdecimal "github.com/jackc/pgx-shopspring-decimal"
	"github.com/jackc/pgx/v5"
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
	// connectTimeout bounds one attempt to reach the database.
	connectTimeout = 5 * time.Second
	// aliveCheckInterval is how often PostgreSQL looks whether the client of a
	// running statement is still there.
	aliveCheckInterval = 2 * time.Second
	// connLifetime and its jitter spread reconnects over time.
	connLifetime       = 20 * time.Minute
	connLifetimeJitter = 5 * time.Minute
)

// DB is a pool of connections that all act as one role.
type DB struct {
	pool   *pgxpool.Pool
	engine engine
}

// Open connects to the database at url (a postgres:// URL or keyword string)
// with at most maxConns connections. Every connection takes on role, whatever
// rights the URL's user has.
func Open(ctx context.Context, url string, role Role, maxConns int) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parsing the database URL: %w", err)
	}
	cfg.MaxConns = int32(maxConns)
	cfg.MaxConnLifetime = connLifetime
	cfg.MaxConnLifetimeJitter = connLifetimeJitter
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		return prepareSession(ctx, conn, role)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the database pool: %w", err)
	}
	db := &DB{pool: pool}
	err = pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		db.engine, err = detectEngine(ctx, c.Conn())
		return err
	})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("connecting to the database as %s: %w", role, err)
	}
	return db, nil
}

// prepareSession gives a new connection its role, its time limits and the
// decimal codec.
func prepareSession(ctx context.Context, conn *pgx.Conn, role Role) error {
	pgxdecimal.Register(conn.TypeMap())
	for _, s := range sessionSettings(conn, role) {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("preparing the session (%s): %w", s, err)
		}
	}
	return nil
}

// Close returns when all connections are closed.
func (db *DB) Close() { db.pool.Close() }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Ping(ctx) }

// EngineName returns the product and version of the database, such as
// "PostgreSQL 15.18".
func (db *DB) EngineName() string { return db.engine.name }
