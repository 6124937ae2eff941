package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// This file holds every difference between the two engines.

// engine says what is on the other end of a connection.
type engine struct {
	cockroach bool
	name      string
}

func isCockroach(conn *pgx.Conn) bool {
	return conn.PgConn().ParameterStatus("crdb_version") != ""
}

const versionSQL = `select version()`

func detectEngine(ctx context.Context, conn *pgx.Conn) (engine, error) {
	var version string
	if err := conn.QueryRow(ctx, versionSQL).Scan(&version); err != nil {
		return engine{}, fmt.Errorf("reading the engine's version: %w", err)
	}
	e := engine{cockroach: isCockroach(conn)}
	words := strings.Fields(version)
	switch {
	case e.cockroach && len(words) > 2:
		e.name = "CockroachDB " + words[2]
	case len(words) > 1:
		e.name = words[0] + " " + words[1]
	default:
		e.name = version
	}
	return e, nil
}

// sessionSettings are the statements that every new connection runs.
func sessionSettings(conn *pgx.Conn, role Role) []string {
	timeout := StatementTimeout
	if role != RoleApp {
		timeout = 0 // migrations and audits take as long as they take
	}
	s := []string{
		fmt.Sprintf("set statement_timeout = '%dms'", timeout.Milliseconds()),
		"set timezone = 'UTC'",
	}
	if !isCockroach(conn) {
		s = append(s,
			fmt.Sprintf("set client_connection_check_interval = '%dms'", aliveCheckInterval.Milliseconds()),
			"set jit = off",
		)
	}
	if role == RoleAuditor {
		s = append(s, "set default_transaction_read_only = on")
		if !isCockroach(conn) {
			s = append(s, "set row_security = off")
		}
	}
	return append(s, "set role "+string(role))
}

// Settings returns what the engine reports of the switches that decide whether
// a commit survives a power cut; an engine without such switches reports "n/a".
func (db *DB) Settings(ctx context.Context) (map[string]string, error) {
	settings := map[string]string{"fsync": "n/a", "synchronous_commit": "n/a", "full_page_writes": "n/a"}
	if db.engine.cockroach {
		return settings, nil
	}
	for name := range settings {
		var value string
		if err := db.pool.QueryRow(ctx, `select current_setting($1::text)`, name).Scan(&value); err != nil {
			return nil, fmt.Errorf("reading the setting %s: %w", name, err)
		}
		settings[name] = value
	}
	return settings, nil
}
