package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// rights lists, for each table, what each role may do there: s(elect), i(nsert),
// u(pdate), d(elete), t(runcate). A new table needs its line.
var rights = map[string]struct{ app, auditor, signer, eraser string }{
	"book.account_versions": {app: "si", auditor: "s", signer: "s"},
	"book.accounts":         {app: "si", auditor: "s", signer: "s"},
	"book.checkpoints":      {app: "s", auditor: "s", signer: "si"},
	"book.details":          {app: "si", auditor: "s", signer: "s"},
	"book.entries":          {app: "si", auditor: "s", signer: "s", eraser: "s"},
	"book.ledgers":          {app: "si", auditor: "s", signer: "s"},
	"book.postings":         {app: "si", auditor: "s", signer: "s"},
	"book.super_log":        {app: "s", auditor: "s", signer: "si"},
	"book.tiles":            {app: "s", auditor: "s", signer: "si"},
	"ops.api_keys":          {app: "siu"},
	"ops.bank_files":        {app: "si", auditor: "s", signer: "s"},
	"ops.bank_lines":        {app: "si", auditor: "s", signer: "s"},
	"ops.bank_statements":   {app: "si", auditor: "s", signer: "s"},
	"ops.bank_turns":        {app: "siu"},
	"ops.breaks":            {app: "si", auditor: "s", signer: "s"},
	"ops.findings":          {app: "si", auditor: "s", signer: "si"},
	"ops.heads":             {app: "s", auditor: "s", signer: "siu"},
	"ops.metadata_terms":    {app: "si", auditor: "s", signer: "s", eraser: "sd"},
	"ops.night_turns":       {app: "siu", auditor: "s", signer: "s"},
	"ops.payloads":          {app: "si", auditor: "s", signer: "s", eraser: "sd"},
	"ops.run_outputs":       {app: "si", auditor: "s", signer: "s"},
	"ops.runs":              {app: "siu", auditor: "s", signer: "s"},
	"ops.signers":           {auditor: "s", signer: "siu"},
	"ops.snapshots":         {app: "si", auditor: "s", signer: "s"},
	"ops.sweeps":            {app: "siu"},
	"ops.turns":             {app: "siu"},
	"ops.schema_lease":      {},
	"ops.schema_versions":   {},
}

func TestRolesHaveTheRightsTheyNeedAndNoOthers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		columns := firstColumns(t, conn)
		for table := range rights {
			if columns[table] == "" {
				t.Errorf("%s is listed and does not exist", table)
			}
		}
		for table, column := range columns {
			may, listed := rights[table]
			if !listed {
				t.Errorf("the table %s has no line in rights", table)
				continue
			}
			for role, want := range map[store.Role]string{store.RoleApp: may.app, store.RoleAuditor: may.auditor, store.RoleSigner: may.signer, store.RoleEraser: may.eraser} {
				if got := rightsOf(t, conn, role, table, column); got != want {
					t.Errorf("%s may do %q to %s, want %q", role, got, table, want)
				}
			}
		}
	})
}

// firstColumns returns the tables of both schemas with a column of each.
func firstColumns(t *testing.T, conn *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `select table_schema || '.' || table_name, column_name from information_schema.columns
where table_schema in ('book', 'ops') order by ordinal_position desc`)
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]string{}
	var table, column string
	if _, err := pgx.ForEachRow(rows, []any{&table, &column}, func() error { columns[table] = column; return nil }); err != nil {
		t.Fatal(err)
	}
	return columns
}

// rightsOf tries each statement in the role, on no rows.
func rightsOf(t *testing.T, conn *pgx.Conn, role store.Role, table, column string) string {
	t.Helper()
	var got strings.Builder
	for _, try := range []struct{ right, sql string }{
		{"s", "select %[2]s from %[1]s where false"},
		{"i", "insert into %[1]s (%[2]s) select null where false"},
		{"u", "update %[1]s set %[2]s = null where false"},
		{"d", "delete from %[1]s"},
		{"t", "truncate %[1]s"},
	} {
		if _, err := conn.Exec(t.Context(), "set role "+string(role)); err != nil {
			t.Fatal(err)
		}
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = tx.Exec(t.Context(), fmt.Sprintf(try.sql, table, column))
		var pgErr *pgconn.PgError
		switch {
		case err == nil || errors.As(err, &pgErr) && pgErr.Code[:2] == "23": // a constraint, which is asked after the rights
			got.WriteString(try.right)
		case !errors.As(err, &pgErr) || pgErr.Code != "42501":
			t.Fatalf("%s: %v", try.sql, err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "reset role"); err != nil {
			t.Fatal(err)
		}
	}
	return got.String()
}
