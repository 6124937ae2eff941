package storetest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger/store/storetest"
)

// dieEnv makes a run of these tests end without Main's clean-up.
const dieEnv = "TALLYSTICK_TEST_DIE"

func TestMain(m *testing.M) { storetest.Main(m) }

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var answer string
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func TestDatabasesAreMigratedAndSeparate(t *testing.T) {
	t.Parallel()
	for range 3 {
		storetest.Each(t, func(t *testing.T, url string) {
			if n := query(t, url, "select count(*)::text from book.ledgers"); n != "0" {
				t.Errorf("%s ledgers in a new database", n)
			}
			if left := query(t, url, "select count(*)::text from information_schema.tables where table_name = 'mine'"); left != "0" {
				t.Error("another test's table is here")
			}
			conn, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			// left open on purpose: a test that leaks a connection must not keep its database
			if _, err := conn.Exec(t.Context(), "create table mine (x int8)"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestDatabaseIsDroppedAfterItsTest(t *testing.T) {
	t.Parallel()
	keeper := storetest.Database(t)
	var name string
	t.Run("user", func(t *testing.T) {
		name = query(t, storetest.Database(t), "select current_database()::text")
	})
	if !strings.HasPrefix(name, "tallystick_test_") {
		t.Fatalf("database %q", name)
	}
	if n := query(t, keeper, "select count(*)::text from pg_database where datname = '"+name+"'"); n != "0" {
		t.Errorf("%s is still there", name)
	}
}

func TestProcessThatDiesIsTidiedUpAfter(t *testing.T) {
	t.Parallel()
	if os.Getenv(storetest.URLVariable) != "" {
		t.Skip("tests run on a database that was given: there is no engine to tidy up")
	}
	if os.Getenv(dieEnv) != "" {
		storetest.Database(t)
		os.Exit(7)
	}
	tmp, err := os.MkdirTemp("", "") // shorter than t.TempDir: a long one gets a second, short name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	cmd := exec.Command(os.Args[0], "-test.run=^TestProcessThatDiesIsTidiedUpAfter$")
	cmd.Env = append(os.Environ(), dieEnv+"=1", "TMPDIR="+tmp)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 7 {
		t.Fatalf("the other process: %v\n%s", err, out)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		left, err := filepath.Glob(filepath.Join(tmp, "tallystick-test-*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still there after a minute: %v", left)
		}
	}
}
