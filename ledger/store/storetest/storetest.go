package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger/store"
	"tallystick/ledger/store/engine"
)

// URLVariable names a database to test on instead of those found on the machine.
const URLVariable = "TALLYSTICK_TEST_DATABASE_URL"

// errNoEngine is what a test without a database fails with.
var errNoEngine = errors.New("no database to test on: neither PostgreSQL 15 or newer nor cockroach is installed" +
	"\nhint: make test installs PostgreSQL, or set " + URLVariable)

// settings make the temporary engines fast and small; what is lost with them are tests' data.
var settings = map[string]string{
	"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
	"shared_buffers": "128MB", "max_wal_size": "1GB", "min_wal_size": "80MB", "max_connections": "400",
}

// cockroachSettings do the same for a node of our own: one database and some thirty tables for each test are
// made and dropped. A version that does not know one of them goes without it.
var cockroachSettings = []string{
	"set cluster setting kv.raft_log.disable_synchronization_unsafe = true",
	"set cluster setting spanconfig.range_coalescing.system.enabled = true",
	"set cluster setting sql.stats.automatic_collection.enabled = false",
	"set cluster setting jobs.registry.interval.gc = '30s'",
	"set cluster setting kv.range_merge.queue_interval = '50ms'",
	"alter range default configure zone using gc.ttlseconds = 600",
}

// server is one engine that tests run on.
type server struct {
	name  string // of the subtest
	start func(ctx context.Context) (adminURL string, err error)

	once      sync.Once
	url       string // superuser's
	template  string // migrated database to copy; CockroachDB cannot copy one
	cockroach bool
	ours      bool // launched by launch
	err       error
	stop      []func() error // in reverse order
}

var servers = sync.OnceValue(func() []*server {
	if given := os.Getenv(URLVariable); given != "" {
		return []*server{{name: "given", start: func(context.Context) (string, error) { return given, nil }}}
	}
	var found []*server
	for _, kind := range engine.Installed() {
		s := &server{name: string(kind)}
		s.start = func(ctx context.Context) (string, error) { return s.launch(ctx, kind) }
		found = append(found, s)
	}
	return found
})

// Main runs the tests of a package, removes the engines they used, and exits. Call it as the whole of
// TestMain in every package that uses this one.
func Main(m *testing.M) {
	code := m.Run()
	for _, s := range servers() {
		if err := s.close(); err != nil {
			fmt.Fprintf(os.Stderr, "storetest: stopping %s: %v\n", s.name, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// Each runs f as a parallel subtest for each engine, named after it, with the superuser's URL of a migrated
// database of its own, which is dropped afterwards.
func Each(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	all := servers()
	if len(all) == 0 {
		t.Fatal(errNoEngine)
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			f(t, s.database(t))
		})
	}
}

// Database returns the superuser's URL of a migrated database on one engine, PostgreSQL if it is there: for
// benchmarks, and for tests whose subject is not the store. It is dropped when tb ends.
func Database(tb testing.TB) string {
	tb.Helper()
	all := servers()
	if len(all) == 0 {
		tb.Fatal(errNoEngine)
	}
	return all[len(all)-1].database(tb)
}

// database makes a database for one test.
func (s *server) database(tb testing.TB) string {
	tb.Helper()
	s.once.Do(func() { s.err = s.open(context.WithoutCancel(tb.Context())) })
	if s.err != nil {
		tb.Fatalf("starting %s for tests: %v", s.name, s.err)
	}
	ctx := tb.Context()
	name := fresh("test")
	sql := "create database " + name
	if !s.cockroach {
		sql += " template " + s.template
	}
	if err := s.admin(ctx, sql); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.drop(context.WithoutCancel(ctx), name); err != nil {
			tb.Error(err)
		}
	})
	database, err := withDatabase(s.url, name)
	if err != nil {
		tb.Fatal(err)
	}
	if s.cockroach {
		if err := store.Migrate(ctx, database); err != nil {
			tb.Fatal(err)
		}
	}
	return database
}

// open starts the engine and, on PostgreSQL, makes the template.
func (s *server) open(ctx context.Context) error {
	var err error
	if s.url, err = s.start(ctx); err != nil {
		return err
	}
	if s.cockroach, err = s.isCockroach(ctx); err != nil {
		return err
	}
	if s.cockroach {
		if s.ours {
			for _, sql := range cockroachSettings {
				_ = s.admin(ctx, sql) // without it, tests take longer
			}
		}
		return nil
	}
	template := fresh("template")
	if err := s.admin(ctx, "create database "+template); err != nil {
		return err
	}
	s.stop = append(s.stop, func() error { return s.drop(ctx, template) })
	database, err := withDatabase(s.url, template)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx, database); err != nil {
		return err
	}
	s.template = template
	return nil
}

// launch starts an engine in a temporary folder.
func (s *server) launch(ctx context.Context, kind engine.Kind) (string, error) {
	dir, err := os.MkdirTemp("", "tallystick-test-")
	if err != nil {
		return "", fmt.Errorf("creating a folder for the engine: %w", err)
	}
	s.stop = append(s.stop, func() error { return os.RemoveAll(dir) })
	e, err := engine.Start(ctx, engine.Options{
		DataDir: dir, Kind: kind, CockroachBinary: os.Getenv("COCKROACH_BINARY"), Settings: settings,
	})
	if err != nil {
		return "", err
	}
	s.ours = true
	s.stop = append(s.stop, func() error { return e.Stop(ctx) })
	if err := tidyUpAfterUs(e.PID(), dir); err != nil {
		return "", err
	}
	return e.URL(), nil
}

// tidyScript waits for the end of its standard input, which ends with this process, and removes the engine
// if the folder is still there: after a time-out or kill of the test, Main's end is never reached.
const tidyScript = `cat >/dev/null
if [ -d "$2" ]; then
	kill -INT "$1"
	while kill -0 "$1"; do sleep 0.1; done
	rm -rf "$2"
fi`

// lifelines are the writing ends of the tidying processes' inputs: open as long as this process lives, and
// held here because a forgotten file is closed by the garbage collector.
var lifelines struct {
	sync.Mutex
	open []io.Closer
}

func tidyUpAfterUs(enginePID int, dir string) error {
	cmd := exec.Command("sh", "-c", tidyScript, "tidy", strconv.Itoa(enginePID), dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("preparing to tidy up: %w", err)
	}
	lifelines.Lock()
	lifelines.open = append(lifelines.open, lifeline)
	lifelines.Unlock()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("preparing to tidy up: %w", err)
	}
	return nil
}

func (s *server) close() error {
	var errs []error
	for i := len(s.stop) - 1; i >= 0; i-- {
		errs = append(errs, s.stop[i]())
	}
	return errors.Join(errs...)
}

// admin runs one statement outside the tests' databases.
func (s *server) admin(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", s.name, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("running %q on %s: %w", sql, s.name, err)
	}
	return nil
}

func (s *server) isCockroach(ctx context.Context) (bool, error) {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return false, fmt.Errorf("connecting to %s: %w", s.name, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	return conn.PgConn().ParameterStatus("crdb_version") != "", nil
}

// drop removes a database, with the connections a test may have left open.
func (s *server) drop(ctx context.Context, name string) error {
	if s.cockroach {
		return s.admin(ctx, "drop database if exists "+name+" cascade")
	}
	return s.admin(ctx, "drop database if exists "+name+" with (force)")
}

func fresh(what string) string {
	return "tallystick_" + what + "_" + strings.ToLower(rand.Text())
}

func withDatabase(base, name string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme == "" {
		return "", fmt.Errorf("reading %s: want a postgres:// URL", URLVariable)
	}
	u.Path = "/" + name
	return u.String(), nil
}
