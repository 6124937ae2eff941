package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tallystick/ledger/store/engine"
)

// fakeCockroach stands in for the binary: it takes the flags of CockroachDB 24.3, refuses others, listens,
// and writes the files a node writes when it is ready. The real one is tested wherever it is installed.
func fakeCockroach(args []string) {
	if args[0] == "version" {
		fmt.Println("v24.3.99")
		return
	}
	flags := map[string]string{}
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		flags[name] = value
	}
	fail := func(what any) {
		fmt.Fprintln(os.Stderr, "fake:", what)
		os.Exit(1)
	}
	for name := range flags {
		switch name {
		case "--insecure", "--store", "--listen-addr", "--http-addr", "--listening-url-file", "--pid-file":
		default:
			fail("unknown flag " + name)
		}
	}
	store, found := strings.CutPrefix(flags["--store"], "path=")
	if !found {
		fail("store " + flags["--store"])
	}
	l, err := net.Listen("tcp", flags["--listen-addr"])
	if err != nil {
		fail(err)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	url := fmt.Sprintf("postgresql://root@%s/defaultdb?sslmode=disable\n", l.Addr())
	if err := os.WriteFile(flags["--listening-url-file"], []byte(url), 0o600); err != nil {
		fail(err)
	}
	if err := os.WriteFile(flags["--pid-file"], fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		fail(err)
	}
	// Connections are taken from now on, and answered later.
	select {
	case <-time.After(joining):
	case <-end:
		return
	}
	if err := os.WriteFile(filepath.Join(store, "joined"), nil, 0o600); err != nil {
		fail(err)
	}
	go answerAll(l)
	<-end
	if err := os.WriteFile(filepath.Join(store, "drained"), nil, 0o600); err != nil {
		fail(err)
	}
}

// joining is how long a node takes from its files to its first answer.
const joining = 300 * time.Millisecond

// answerAll answers to whoever asks for TLS that there is none.
func answerAll(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if _, err := io.ReadFull(conn, make([]byte, 8)); err == nil {
			_, _ = conn.Write([]byte{'N'})
		}
		_ = conn.Close()
	}
}

func startFake(t *testing.T, dir string) *engine.Engine {
	t.Helper()
	e, err := engine.Start(t.Context(), engine.Options{DataDir: dir, CockroachBinary: os.Args[0], Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, e) })
	return e
}

func TestCockroachIsLaunchedAttachedToAndDrained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startFake(t, dir)
	if first.Kind() != engine.Cockroach || first.Name() != "CockroachDB v24.3.99" {
		t.Errorf("kind %s, name %q", first.Kind(), first.Name())
	}
	if !strings.HasPrefix(first.URL(), "postgresql://root@127.0.0.1:") || !strings.HasSuffix(first.URL(), "/defaultdb?sslmode=disable") {
		t.Errorf("URL %s", first.URL())
	}
	if _, err := os.Stat(filepath.Join(dir, "cockroach", "joined")); err != nil {
		t.Errorf("taken for ready before it answers: %v", err)
	}
	second := startFake(t, dir)
	if second.PID() != first.PID() || !second.Attached() {
		t.Errorf("process %d, want to attach to %d", second.PID(), first.PID())
	}
	stop(t, first)
	drained := filepath.Join(dir, "cockroach", "drained")
	if _, err := os.Stat(drained); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("drained under its second user: %v", err)
	}
	stop(t, second)
	if _, err := os.Stat(drained); err != nil {
		t.Errorf("not drained by its last user: %v", err)
	}
}

func TestKilledCockroachComesBackAtItsPort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startFake(t, dir)
	if err := syscall.Kill(first.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Done()
	second := startFake(t, dir)
	if second.URL() != first.URL() {
		t.Errorf("URL changed from %s to %s", first.URL(), second.URL())
	}
	stop(t, second) // while nobody has stopped the first handle
	await(t, "the end of the node", func() bool { return !alive(second.PID()) })
}

// A PostgreSQL ledger must not vanish behind an empty CockroachDB because someone installed one.
func TestDataAlreadyThereDecidesBeforeWhatIsInstalled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stop(t, start(t, dir, nil))
	if e := startFake(t, dir); e.Kind() != engine.Postgres {
		t.Errorf("kind %s, want %s", e.Kind(), engine.Postgres)
	}
}

func TestMissingBinaryIsNamed(t *testing.T) {
	t.Parallel()
	_, err := engine.Start(t.Context(), engine.Options{DataDir: t.TempDir(), Kind: engine.Cockroach, CockroachBinary: "/nowhere/cockroach"})
	if !errors.Is(err, engine.ErrNotInstalled) || !strings.Contains(err.Error(), "/nowhere/cockroach") {
		t.Fatalf("got %v", err)
	}
}

func TestAFolderThatCockroachWouldCutInTwo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a,b")
	if _, err := engine.Start(t.Context(), engine.Options{DataDir: dir, Kind: engine.Cockroach, CockroachBinary: os.Args[0]}); !errors.Is(err, engine.ErrStore) {
		t.Errorf("a comma: %v", err)
	}
}
