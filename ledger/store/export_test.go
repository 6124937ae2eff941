package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// NodesAtOnce is the bound.
const NodesAtOnce = nodesAtOnce

// Pool returns the pool that reads go through.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// PostingPool returns the pool that commits go through.
func (db *DB) PostingPool() *pgxpool.Pool { return db.posting }

// Cockroach reports which engine it is.
func (db *DB) Cockroach() bool { return db.engine.cockroach }

// LatestByArms looks up latest states with the statement for CockroachDB, on
// whatever engine this is, and LatestLateral with the one for PostgreSQL.
func (db *DB) LatestByArms(ctx context.Context, accounts []uuid.UUID, asOf int64, scan func(pgx.Row) error) error {
	other := &DB{pool: db.pool, engine: engine{cockroach: true}}
	return other.latest(ctx, latestPosting, placesOf(accounts, asOf), scan)
}

// LatestLateral is the counterpart of LatestByArms.
func (db *DB) LatestLateral(ctx context.Context, accounts []uuid.UUID, asOf int64, scan func(pgx.Row) error) error {
	other := &DB{pool: db.pool}
	return other.latest(ctx, latestPosting, placesOf(accounts, asOf), scan)
}

// LatestPostingSQL is the statement that loads balances on PostgreSQL.
var LatestPostingSQL = latestPosting.lateral()

// Transact runs a transaction of several statements.
func (db *DB) Transact(ctx context.Context, f func(pgx.Tx) error) error { return db.transact(ctx, f) }

func placesOf(accounts []uuid.UUID, asOf int64) []place {
	places := make([]place, len(accounts))
	for i := range accounts {
		places[i] = place{accounts[i], asOf}
	}
	return places
}

// Traced is a view of db for reading whose statements tracer sees. It must be
// closed.
func (db *DB) Traced(ctx context.Context, tracer pgx.QueryTracer) (*DB, error) {
	cfg := db.pool.Config()
	cfg.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	return &DB{pool: pool, engine: db.engine}, err
}

// Alone is a view of db for reading over a single connection. It must be closed.
func (db *DB) Alone(ctx context.Context) (*DB, error) {
	cfg := db.pool.Config()
	cfg.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	return &DB{pool: pool, engine: db.engine}, err
}
