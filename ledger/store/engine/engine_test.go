package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tallystick/ledger/store/engine"
)

// holdEnv makes the test binary a server of its own: it starts the engine on the folder, says so and waits.
const holdEnv = "TALLYSTICK_TEST_HOLD_ENGINE"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "start-single-node" || len(os.Args) > 1 && os.Args[1] == "version" {
		fakeCockroach(os.Args[1:])
		return
	}
	if dir := os.Getenv(holdEnv); dir != "" {
		e, err := engine.Start(context.Background(), engine.Options{DataDir: dir, Kind: engine.Postgres, Settings: quick})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("engine", e.PID())
		_, _ = os.Stdin.Read(make([]byte, 1))
		if err := e.Stop(context.Background()); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// quick is for small engines that need not survive the machine: most tests wait for processes, not for the disk.
var quick = map[string]string{"fsync": "off", "shared_buffers": "16MB"}

func start(t *testing.T, dir string, settings map[string]string) *engine.Engine {
	t.Helper()
	if settings == nil {
		settings = quick
	}
	e, err := engine.Start(t.Context(), engine.Options{DataDir: dir, Kind: engine.Postgres, Settings: settings, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, e) })
	return e
}

func stop(t *testing.T, e *engine.Engine) {
	t.Helper()
	if err := e.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// hold starts another process that uses the engine of dir.
func hold(t *testing.T, dir string) (cmd *exec.Cmd, enginePID int, release func()) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, found := strings.CutPrefix(strings.TrimSpace(line), "engine ")
	if err != nil || !found {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	if enginePID, err = strconv.Atoi(pid); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = in.Close(); _ = cmd.Wait() })
	t.Cleanup(release)
	return cmd, enginePID, release
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func do(t *testing.T, url, sql string) {
	t.Helper()
	conn := connect(t, url)
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, url, sql string) string {
	t.Helper()
	conn := connect(t, url)
	var answer string
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return answer
}

// await polls a condition that another process brings about.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still waiting for: %s", what)
		}
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestDataSurvivesStopAndStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	first := start(t, dir, nil)
	do(t, first.URL(), "create table kept (x int8); insert into kept values (42)")
	if first.Attached() || first.Kind() != engine.Postgres || !strings.HasPrefix(first.Name(), "PostgreSQL 1") {
		t.Errorf("attached %v, kind %s, name %q", first.Attached(), first.Kind(), first.Name())
	}
	stop(t, first)
	if alive(first.PID()) {
		t.Error("the engine is alive after Stop")
	}
	select {
	case <-first.Done():
	default:
		t.Error("Done is open after Stop ended the engine")
	}
	stop(t, first) // idempotent

	second := start(t, dir, nil)
	if second.URL() != first.URL() {
		t.Errorf("URL changed from %s to %s", first.URL(), second.URL())
	}
	if got := ask(t, second.URL(), "select x::text from kept"); got != "42" {
		t.Errorf("read %s, want 42", got)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data folder: %v, %v", info.Mode(), err)
	}
}

// A verification launches an engine with few buffers, and whoever attaches to it to
// serve is told.
func TestAnEngineForOnePassHasFewBuffersAndSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begin := func(onePass bool, settings map[string]string) (e *engine.Engine, told string) {
		var mu sync.Mutex
		e, err := engine.Start(t.Context(), engine.Options{DataDir: dir, Kind: engine.Postgres, OnePass: onePass, Settings: settings, Logf: func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			told += fmt.Sprintf(format, args...)
		}})
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		return e, told
	}
	fast := map[string]string{"fsync": "off"}
	first, _ := begin(true, fast)
	var buffers string
	if err := connect(t, first.URL()).QueryRow(t.Context(), "show shared_buffers").Scan(&buffers); err != nil || buffers != "128MB" {
		t.Errorf("shared_buffers is %s, %v", buffers, err)
	}
	another, told := begin(true, fast)
	if !another.Attached() || told != "" {
		t.Errorf("another verification was told %q", told)
	}
	server, told := begin(false, fast)
	if !server.Attached() || !strings.Contains(told, "shared_buffers=128MB") || strings.Contains(told, "fsync") {
		t.Errorf("a server was told %q", told)
	}
	for _, e := range []*engine.Engine{first, another, server} {
		stop(t, e)
	}
	server, told = begin(false, map[string]string{"fsync": "off", "shared_buffers": "16MB"})
	defer stop(t, server)
	if server.Attached() || strings.Contains(told, "slower") {
		t.Errorf("a server with an engine of its own was told %q", told)
	}
}

func TestSettingsKeepWhatIsAcknowledged(t *testing.T) {
	t.Parallel()
	e := start(t, t.TempDir(), map[string]string{"work_mem": "5MB"})
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on",
		"listen_addresses": "", "lc_collate": "C", "server_encoding": "UTF8", "timezone": "UTC",
		"jit": "off", "work_mem": "5MB", "max_connections": "200",
	} {
		if got := ask(t, e.URL(), "select current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	if got := ask(t, e.URL(), "select count(*)::text from pg_settings where sourcefile like '%postgresql.conf' and not setting = any(array['']) and pending_restart"); got != "0" {
		t.Errorf("%s settings wait for a restart", got)
	}
	if got := ask(t, e.URL(), "select coalesce(string_agg(name || ': ' || error, ', '), '') from pg_file_settings where error is not null"); got != "" {
		t.Errorf("settings not understood: %s", got)
	}
}

func TestLastUserStopsTheEngine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, pid, release := hold(t, dir)
	mine := start(t, dir, nil)
	if mine.PID() != pid || !mine.Attached() {
		t.Fatalf("process %d (attached %v), want to attach to %d", mine.PID(), mine.Attached(), pid)
	}
	release() // the one that launched it leaves first
	if got := ask(t, mine.URL(), "select 1::text"); got != "1" {
		t.Fatalf("got %s", got)
	}
	stop(t, mine)
	await(t, "the end of the engine", func() bool { return !alive(pid) })
}

func TestAttachedUserLeavesTheEngineRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir, nil)
	second := start(t, dir, nil)
	stop(t, second)
	if got := ask(t, first.URL(), "select 1::text"); got != "1" {
		t.Fatalf("got %s", got)
	}
}

func TestSimultaneousStartsShareOneEngine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	engines := make([]*engine.Engine, 4)
	for i := range engines {
		wg.Go(func() {
			e, err := engine.Start(t.Context(), engine.Options{DataDir: dir, Kind: engine.Postgres, Settings: quick})
			if err != nil {
				t.Error(err)
				return
			}
			engines[i] = e
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, e := range engines {
		if e.PID() != engines[0].PID() {
			t.Errorf("two engines: %d and %d", e.PID(), engines[0].PID())
		}
	}
	for _, e := range engines {
		wg.Go(func() { stop(t, e) })
	}
	wg.Wait()
	// The last to leave need not be the one whose child the engine is, and who thus buries it.
	await(t, "the end of the engine", func() bool { return !alive(engines[0].PID()) })
}

func TestEngineOfAKilledServerIsTakenOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, pid, _ := hold(t, dir)
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait()
	next := start(t, dir, nil)
	if next.PID() != pid || !next.Attached() {
		t.Fatalf("process %d (attached %v), want %d", next.PID(), next.Attached(), pid)
	}
	stop(t, next)
	await(t, "the end of the engine", func() bool { return !alive(pid) })
	if _, err := os.Stat(filepath.Join(dir, "postgres", "data", "postmaster.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("postmaster.pid after a clean stop: %v", err)
	}
}

func TestKilledEngineRecoversBesideABusyBackend(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir, nil)
	do(t, first.URL(), "create table kept (x int8); insert into kept values (42)")

	// A backend that computes does not notice the postmaster's death until its statement ends.
	busy := connect(t, first.URL())
	backend := int(busy.PgConn().PID())
	computing := make(chan struct{})
	go func() {
		defer close(computing)
		_, _ = busy.Exec(t.Context(), "select count(*) from generate_series(1, 8000000)")
	}()
	await(t, "the backend to compute", func() bool {
		return ask(t, first.URL(), fmt.Sprintf("select count(*)::text from pg_stat_activity where pid = %d and state = 'active'", backend)) == "1"
	})
	if err := syscall.Kill(first.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Done()

	second := start(t, dir, nil)
	if got := ask(t, second.URL(), "select x::text from kept"); got != "42" {
		t.Errorf("read %s, want 42", got)
	}
	<-computing
	if second.URL() != first.URL() {
		t.Errorf("URL changed from %s to %s", first.URL(), second.URL())
	}
	stop(t, first) // late, and of an engine that is no more: the new one stays
	if got := ask(t, second.URL(), "select 1::text"); got != "1" {
		t.Fatalf("got %s", got)
	}
}

// A backend that waits for a process that was killed too never learns of the postmaster's end. A stopped one
// is as deaf.
func TestKilledEngineIsNotKeptDownByADeafBackend(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir, nil)
	do(t, first.URL(), "create table kept (x int8); insert into kept values (42)")
	deaf := int(connect(t, first.URL()).PgConn().PID())
	inFolder := exec.Command("sleep", "300")
	inFolder.Dir = filepath.Join(dir, "postgres", "data", "base") // near, and not one of the store's
	if err := inFolder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inFolder.Process.Kill(); _ = inFolder.Wait() })
	if err := syscall.Kill(deaf, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(first.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Done()

	second := start(t, dir, nil)
	if got := ask(t, second.URL(), "select x::text from kept"); got != "42" {
		t.Errorf("read %s, want 42", got)
	}
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", deaf)); err == nil { // a process that ended and is not buried yet has none
		t.Errorf("backend %d of the killed engine is still there: %s", deaf, exe)
	}
	if !alive(inFolder.Process.Pid) {
		t.Error("a process that is none of the engine's was ended")
	}
}

func TestForgottenHandleOfAKilledEngineIsNoUserOfTheNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	launched := start(t, dir, nil)
	attached := start(t, dir, nil)
	if err := syscall.Kill(launched.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-launched.Done()
	<-attached.Done()
	next := start(t, dir, nil)
	stop(t, next)
	if alive(next.PID()) {
		t.Error("the engine is alive after its only user left")
	}
}

func TestDoneTellsAnAttachedUserToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, pid, _ := hold(t, dir)
	e := start(t, dir, nil)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("Done is open 30 s after the engine was killed")
	}
}

func TestStalePidFileNamingAnotherProcessIsNoObstacle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir, nil)
	pidFile := filepath.Join(dir, "postgres", "data", "postmaster.pid")
	lockFile := filepath.Join(dir, "postgres", "socket", ".s.PGSQL.5432.lock")
	content, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, first)

	// After a reboot the id belongs to a process of the same user that PostgreSQL would take for itself.
	other := exec.Command("sleep", "300")
	owner := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() == 0 {
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	_, rest, _ := strings.Cut(string(content), "\n")
	stale := []byte(strconv.Itoa(other.Process.Pid) + "\n" + rest)
	for _, file := range []string{pidFile, lockFile} {
		if err := os.WriteFile(file, stale, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(file, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	second := start(t, dir, nil)
	if got := ask(t, second.URL(), "select 1::text"); got != "1" {
		t.Fatalf("got %s", got)
	}
	if !alive(other.Process.Pid) {
		t.Error("the innocent process is gone")
	}
}

func TestDeepDataFolderIsReachedThroughAShortName(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 40), "data")
	e := start(t, dir, nil)
	if got := ask(t, e.URL(), "select 1::text"); got != "1" {
		t.Fatalf("got %s", got)
	}
	config, err := pgx.ParseConfig(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Host) > 90 || strings.HasPrefix(config.Host, dir) {
		t.Errorf("host %s", config.Host)
	}
	stop(t, e)
	if _, err := os.Lstat(config.Host); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the short name is left behind: %v", err)
	}
}

func TestFolderNamesNeedNoEscaping(t *testing.T) {
	t.Parallel()
	// Not t.TempDir, whose names are long enough to be reached through a short link instead.
	short, err := os.MkdirTemp("", "e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	dir := filepath.Join(short, "mit Leerzeichen & 1+1 = 100% 'ä' #?")
	e := start(t, dir, nil)
	if got := ask(t, e.URL(), "select 1::text"); got != "1" {
		t.Fatalf("got %s", got)
	}
	config, err := pgx.ParseConfig(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "postgres", "socket"); config.Host != want {
		t.Errorf("host %s, want %s itself", config.Host, want)
	}
}

func TestRootNeedsNoOpenParents(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs the engine as another user")
	}
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	e := start(t, filepath.Join(closed, "data"), nil)
	if got := ask(t, e.URL(), "select 1::text"); got != "1" {
		t.Fatalf("got %s", got)
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d", e.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
		t.Error("the engine runs as root")
	}
	for _, path := range []string{closed, filepath.Join(closed, "data"), filepath.Join(closed, "data", "postgres")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v, want 0700", path, info.Mode(), err)
		}
	}
}

func TestTerminalSignalsDoNotReachTheEngine(t *testing.T) {
	t.Parallel()
	e := start(t, t.TempDir(), nil)
	group, err := syscall.Getpgid(e.PID())
	if err != nil {
		t.Fatal(err)
	}
	if group == syscall.Getpgrp() {
		t.Error("the engine is in our process group: Ctrl-C would stop it before the server")
	}
}

func TestEndedContextLeavesNoProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, stage := range []string{"while the store is made", "while the engine comes up"} {
		if e, err := engine.Start(ended, engine.Options{DataDir: dir, Kind: engine.Postgres, Settings: quick}); !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: got %v, %v", stage, e, err)
		}
		e := start(t, dir, nil) // and nothing that would hinder the next, which makes the store for the second stage
		if e.Attached() {
			t.Errorf("%s: an engine was left running", stage)
		}
		stop(t, e)
	}
}

func TestLaunchErrorCitesTheLog(t *testing.T) {
	t.Parallel()
	_, err := engine.Start(t.Context(), engine.Options{
		DataDir: t.TempDir(), Kind: engine.Postgres, Settings: map[string]string{"no_such_setting": "1"},
	})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Fatalf("got %v, want the setting named", err)
	}
}

func TestLogHoldsNoStatementText(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := start(t, dir, nil)
	conn := connect(t, e.URL())
	var pgErr *pgconn.PgError
	if _, err := conn.Exec(t.Context(), "select 'Rosalind' / 0"); !errors.As(err, &pgErr) {
		t.Fatalf("got %v", err)
	}
	stop(t, e)
	log, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), "Rosalind") {
		t.Error("the log cites a statement")
	}
	if !strings.Contains(string(log), "ready to accept connections") {
		t.Error("the log is not the engine's")
	}
}

func TestUnusableStoresAreNamed(t *testing.T) {
	t.Parallel()
	t.Run("of another major version", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		home := filepath.Join(dir, "postgres", "data")
		if err := os.MkdirAll(home, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "PG_VERSION"), []byte("12\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := engine.Start(t.Context(), engine.Options{DataDir: dir, Kind: engine.Postgres, Settings: quick})
		if !errors.Is(err, engine.ErrStore) || !strings.Contains(err.Error(), "postgresql-12") {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("two of them", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		for _, home := range []string{"postgres/data", "cockroach"} {
			if err := os.MkdirAll(filepath.Join(dir, home), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := engine.Start(t.Context(), engine.Options{DataDir: dir}); !errors.Is(err, engine.ErrStore) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("no folder", func(t *testing.T) {
		t.Parallel()
		if _, err := engine.Start(t.Context(), engine.Options{}); err == nil {
			t.Fatal("no error")
		}
	})
	t.Run("unknown kind", func(t *testing.T) {
		t.Parallel()
		if _, err := engine.Start(t.Context(), engine.Options{DataDir: t.TempDir(), Kind: "oracle"}); err == nil {
			t.Fatal("no error")
		}
	})
}
