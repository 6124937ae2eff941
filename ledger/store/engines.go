package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// This file holds every difference between the two engines.

// engine says what is on the other end of a connection.
type engine struct {
	cockroach bool
	bytewise  bool // text sorts by its bytes
	name      string
}

func isCockroach(conn *pgx.Conn) bool {
	return conn.PgConn().ParameterStatus("crdb_version") != ""
}

const bytewiseSQL = `select datlocprovider = 'c' and datcollate in ('C', 'POSIX') from pg_catalog.pg_database where datname = current_database()`

const versionSQL = `select version()`

func detectEngine(ctx context.Context, conn *pgx.Conn) (engine, error) {
	var version string
	if err := conn.QueryRow(ctx, versionSQL).Scan(&version); err != nil {
		return engine{}, fmt.Errorf("reading the engine's version: %w", err)
	}
	e := engine{cockroach: isCockroach(conn), bytewise: isCockroach(conn)}
	if !e.cockroach {
		if err := conn.QueryRow(ctx, bytewiseSQL).Scan(&e.bytewise); err != nil {
			return engine{}, fmt.Errorf("reading the database's collation: %w", err)
		}
	}
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
		"set client_encoding = 'UTF8'", // whatever the database or the role has as default
	}
	if !isCockroach(conn) {
		s = append(s,
			fmt.Sprintf("set client_connection_check_interval = '%dms'", aliveCheckInterval.Milliseconds()),
			fmt.Sprintf("set tcp_user_timeout = %d", tcpUserTimeout.Milliseconds()),
			"set jit = off",
			"set constraint_exclusion = off",  // no row is passed over because a constraint says that it cannot be
			"set quote_all_identifiers = off", // in what the catalogue says of constraints
		)
	}
	if !isCockroach(conn) && role == RoleApp {
		// An acknowledgement means durable, whatever the database's default.
		s = append(s, "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') in ('off', 'local')")
	}
	if !isCockroach(conn) && role != RoleOwner {
		// A database can name another schema first, whose operators and functions
		// would then stand for the engine's own: "seq < $1" would mean whatever
		// its owner likes, for whoever audits him too. Migrations only make things.
		s = append(s, "set search_path = pg_catalog, pg_temp")
	}
	if role == RoleAuditor {
		s = append(s, "set default_transaction_read_only = on")
		if !isCockroach(conn) {
			s = append(s, "set row_security = off", fmt.Sprintf("set lock_timeout = '%dms'", AuditPatience.Milliseconds()))
		}
	}
	return append(s, "set role "+string(role))
}

// What a pool sets beside sessionSettings. A plan that is kept may have been made
// while a table was small, when reading all of it, or all of a ledger, looks
// cheapest: reads are planned anew each time, which costs a tenth of a millisecond.
// (CockroachDB keeps plans by default from 25.2 on, and one that is kept does not
// take the keys of "= any" as the spans to read.) Commits are not; they look at one
// row by its key, and must not take to reading the table.
var (
	readPlans   = []string{"set plan_cache_mode = force_custom_plan"}
	commitPlans = []string{"set enable_seqscan = off"} // on PostgreSQL only
)

// Statements of a batch, which is a transaction, keep their plans on PostgreSQL
// after keptPlansSQL. For those made while a table is small, any index is as good
// as the right one: grownSQL says whether book.entries, which has several that
// begin alike, was large enough when it was last analyzed.
const (
	keptPlansSQL = `select set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true)`
	grownSQL     = `select reltuples >= 10000 from pg_class where oid = 'book.entries'::regclass`
)

// lookups returns a batch for statements that descend one index of entries or
// their parts for each of their keys, or in its order. There is no other plan for
// them, so it is kept: planning the handful that a page takes costs as much as
// running two of them.
func (db *DB) lookups() *pgx.Batch {
	b := new(pgx.Batch)
	switch {
	case db.engine.cockroach:
	case db.grown.Load():
		b.Queue(keptPlansSQL)
	default:
		b.Queue(grownSQL).QueryRow(func(row pgx.Row) error {
			var grown bool
			err := row.Scan(&grown)
			db.grown.Store(grown)
			return err
		})
	}
	return b
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

// keyed is a statement that looks up rows for many keys at once: lookup finds
// those of one, which it names u.key, and the keys are a parameter.
type keyed struct {
	lookup string
	keys   string // the parameter, such as $2::int8[]
	most   int    // rows of a key, at most
	order  string // of the result, if it matters
}

// on returns the statement for an engine. On PostgreSQL it is one descent of an
// index for each key, whatever the statistics say: for "= any" on a table that
// was not analyzed yet, its planner reads the whole ledger. (Only a limit keeps
// it from turning LATERAL into a join of another kind.) CockroachDB takes the
// keys of "= any" as the spans to read, and LATERAL for a join of all rows.
func (k keyed) on(e engine) string {
	sql := ""
	if e.cockroach {
		sql = strings.Replace(k.lookup, "u.key", "any("+k.keys+")", 1)
	} else {
		sql = fmt.Sprintf("select r.* from unnest(%s) as u(key) cross join lateral (%s limit %d) as r", k.keys, k.lookup, k.most)
	}
	if k.order != "" {
		sql += " order by " + k.order
	}
	return sql
}

// latestOf is a statement that finds, for each of many accounts, the newest row
// at or before an entry: the last in order whose bound is not beyond that of
// the place.
type latestOf struct {
	columns, table, order, bound string
}

var (
	latestVersion = latestOf{
		columns: `seq, account_id, min_balance, max_balance, frozen, closed, tags`,
		table:   `book.account_versions`, order: `seq`, bound: `seq`,
	}
	latestPosting = latestOf{columns: postingColumns, table: `book.postings`, order: `account_seq`, bound: `seq`}
	// The same by account_seq: place.asOf is the number of a posting.
	numberedPosting = latestOf{columns: postingColumns, table: `book.postings`, order: `account_seq`, bound: `account_seq`}
	// The same by account_seq: place.asOf is the number of a posting. Both lie in
	// i9_postings_account_seq, so that a posting long ago is found as fast.
	latestBalance   = latestOf{columns: `account_id, account_seq, seq, posted`, table: `book.postings`, order: `account_seq`, bound: `seq`}
	numberedBalance = latestOf{columns: `account_id, account_seq, seq, posted`, table: `book.postings`, order: `account_seq`, bound: `account_seq`}
	numberedSeq     = latestOf{columns: `account_id, account_seq, seq`, table: `book.postings`, order: `account_seq`, bound: `account_seq`}
)

// latestArms is how many accounts one statement looks up on CockroachDB, where
// LATERAL and DISTINCT ON read every row of each account but an arm of a UNION
// ALL reads one.
const latestArms = 64

// place is an account as of an entry, or at the posting of that number.
type place struct {
	account uuid.UUID
	asOf    int64
}

// latest calls scan for the newest row of each place's account at or before its
// entry. Rows read: one per place (and those after it, which are few near the head).
func (db *DB) latest(ctx context.Context, what latestOf, places []place, scan func(pgx.Row) error) error {
	for _, a := range what.asked(db.engine, places) {
		if err := db.each(ctx, scan, a.sql, a.args...); err != nil {
			return err
		}
	}
	return nil
}

// queueLatest is latest as a part of a batch.
func (db *DB) queueLatest(b *pgx.Batch, what latestOf, places []place, scan func(pgx.Row) error) {
	for _, a := range what.asked(db.engine, places) {
		b.Queue(a.sql, a.args...).Query(func(rows pgx.Rows) error { return eachOf(rows, scan) })
	}
}

// asked is a statement with its parameters.
type asked struct {
	sql  string
	args []any
}

// asked returns the statements that find the newest rows at places.
func (w latestOf) asked(e engine, places []place) []asked {
	if len(places) == 0 {
		return nil
	}
	if !e.cockroach {
		ids, asOf := make(uuids, len(places)), make([]int64, len(places))
		for i := range places {
			ids[i], asOf[i] = uuidOf(&places[i].account), places[i].asOf
		}
		return []asked{{w.lateral(), []any{ids, asOf}}}
	}
	var all []asked
	for some := range slices.Chunk(places, latestArms) {
		args := make([]any, 0, 2*len(some))
		for i := range some {
			args = append(args, uuidOf(&some[i].account), some[i].asOf)
		}
		all = append(all, asked{w.arms(len(some)), args})
	}
	return all
}

// one is the statement that latest runs for a single place, with its parameters,
// on either engine.
func (w latestOf) one(p place) (sql string, args []any) {
	return w.arms(1), []any{uuidOf(&p.account), p.asOf}
}

func (db *DB) each(ctx context.Context, scan func(pgx.Row) error, sql string, args ...any) error {
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	return eachOf(rows, scan)
}

func eachOf(rows pgx.Rows, scan func(pgx.Row) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (w latestOf) lateral() string {
	return `select r.* from unnest($1::uuid[], $2::int8[]) as u(id, as_of) cross join lateral (
    select ` + w.columns + ` from ` + w.table + `
    where account_id = u.id and ` + w.bound + ` <= u.as_of order by ` + w.order + ` desc limit 1) as r`
}

func (w latestOf) arms(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		if i > 1 {
			b.WriteString(" union all ")
		}
		fmt.Fprintf(&b, "(select %s from %s where account_id = $%d::uuid and %s <= $%d::int8 order by %s desc limit 1)",
			w.columns, w.table, 2*i-1, w.bound, 2*i, w.order)
	}
	return b.String()
}
