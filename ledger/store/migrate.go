package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"tallystick/migrations"
)

// Tables of the migration tool; both live in ops.
const (
	versionTable = "ops.schema_versions"
	leaseTable   = "ops.schema_lease"
)

// Migrate brings the database at url to the newest schema. It needs a user
// that may create roles and schemas (or roles and schemas made beforehand), may
// run from several processes at once, and does nothing when there is nothing
// to do.
func Migrate(ctx context.Context, url string) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("parsing the database URL: %w", err)
	}
	if err := bootstrap(ctx, cfg); err != nil {
		return err
	}
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "set role "+string(RoleOwner))
		return err
	}))
	defer db.Close()
	return migrateAll(ctx, db)
}

func migrateAll(ctx context.Context, db *sql.DB) error {
	locker, err := lock.NewPostgresTableLocker(lock.WithTableName(leaseTable))
	if err != nil {
		return fmt.Errorf("making the migration lease: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS,
		goose.WithLocker(locker), goose.WithIsolateDDL(true), goose.WithTableName(versionTable))
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return nil
}

const (
	roleExistsSQL   = `select exists (select 1 from pg_catalog.pg_roles where rolname = $1::text)`
	schemaUsageSQL  = `select has_schema_privilege($1::text, $2::text, 'usage')`
	schemaExistsSQL = `select exists (select 1 from pg_catalog.pg_namespace where nspname = $1::text)`
)

// bootstrapAttempts bounds the races with other migrators: roles are shared by
// all databases of an engine, and concurrent grants on one role collide.
const bootstrapAttempts = 20

// bootstrap makes sure of the roles, of our membership in them, and of the
// schemas, which must exist before the migration tool's own tables can.
func bootstrap(ctx context.Context, cfg *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("connecting to migrate: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for attempt := 1; ; attempt++ {
		err = bootstrapOnce(ctx, conn)
		if err == nil || attempt == bootstrapAttempts || !isBootstrapRace(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt) * 5 * time.Millisecond):
		}
	}
}

func bootstrapOnce(ctx context.Context, conn *pgx.Conn) error {
	for _, role := range []Role{RoleOwner, RoleApp, RoleSigner, RoleAuditor, RoleEraser} {
		if err := ensureRole(ctx, conn, role); err != nil {
			return err
		}
	}
	for _, schema := range []string{"book", "ops"} {
		if err := ensureSchema(ctx, conn, schema); err != nil {
			return err
		}
	}
	return nil
}

const databaseSQL = `select current_database()`

// ensureSchema creates schema unless it is there, and lets every role use it.
func ensureSchema(ctx context.Context, conn *pgx.Conn, schema string) error {
	var exists bool
	if err := conn.QueryRow(ctx, schemaExistsSQL, schema).Scan(&exists); err != nil {
		return fmt.Errorf("looking for the schema %s: %w", schema, err)
	}
	if !exists {
		var database string // a URL need not name one
		if err := conn.QueryRow(ctx, databaseSQL).Scan(&database); err != nil {
			return fmt.Errorf("looking which database this is: %w", err)
		}
		database = pgx.Identifier{database}.Sanitize()
		for _, s := range []string{
			"grant create on database " + database + " to " + string(RoleOwner),
			"create schema if not exists " + schema + " authorization " + string(RoleOwner),
		} {
			if _, err := conn.Exec(ctx, s); err != nil {
				return fmt.Errorf("making the schema %s (%s): %w", schema, s, err)
			}
		}
	}
	for _, role := range []Role{RoleApp, RoleSigner, RoleAuditor, RoleEraser} {
		var usable bool
		if err := conn.QueryRow(ctx, schemaUsageSQL, string(role), schema).Scan(&usable); err != nil {
			return fmt.Errorf("looking for the rights of %s on the schema %s: %w", role, schema, err)
		}
		if usable {
			continue
		}
		if err := asOwner(ctx, conn, "grant usage on schema "+schema+" to "+string(role)); err != nil {
			return fmt.Errorf("letting %s use the schema %s: %w", role, schema, err)
		}
	}
	return nil
}

// asOwner runs one statement with the owner's rights.
func asOwner(ctx context.Context, conn *pgx.Conn, statement string) error {
	if _, err := conn.Exec(ctx, "set role "+string(RoleOwner)); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, statement)
	_, reset := conn.Exec(ctx, "reset role")
	return errors.Join(err, reset)
}

// ensureRole creates role unless it is there, and makes sure that the connected
// user may take it on. That is tried rather than looked up: from PostgreSQL 16
// on, who creates a role is a member of it that may not.
func ensureRole(ctx context.Context, conn *pgx.Conn, role Role) error {
	var exists bool
	if err := conn.QueryRow(ctx, roleExistsSQL, string(role)).Scan(&exists); err != nil {
		return fmt.Errorf("looking for the role %s: %w", role, err)
	}
	if !exists {
		if _, err := conn.Exec(ctx, "create role "+string(role)); err != nil {
			return fmt.Errorf("creating the role %s: %w", role, err)
		}
	}
	_, err := conn.Exec(ctx, "set role "+string(role))
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == codeInsufficient {
		if _, err := conn.Exec(ctx, "grant "+string(role)+" to current_user"); err != nil {
			return fmt.Errorf("becoming a member of %s: %w", role, err)
		}
		_, err = conn.Exec(ctx, "set role "+string(role))
	}
	if err != nil {
		return fmt.Errorf("taking on the role %s: %w", role, err)
	}
	if _, err := conn.Exec(ctx, "reset role"); err != nil {
		return fmt.Errorf("laying down the role %s: %w", role, err)
	}
	return nil
}

// isBootstrapRace tells the errors of two migrators that make the same role,
// schema or grant at once.
func isBootstrapRace(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	switch pgErr.Code {
	case "42710", "42P06", "23505", "40001", "40P01", "XX000":
		return true
	}
	return false
}
