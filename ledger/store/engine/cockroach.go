package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func cockroachHome(dir string) string { return filepath.Join(dir, "cockroach") }

// cockroachNode is a CockroachDB store on a data folder, run as a single node with the flags of 24.3.
//
// Such a node is for development and evaluation: it listens without passwords on a loopback port, so whoever
// can log in to the machine can connect. Production gives a URL of a secured cluster instead.
type cockroachNode struct {
	*store
	binary string
}

// findCockroach returns the path of the binary: the one given, else the one on PATH.
func findCockroach(given string) (string, error) {
	if given == "" {
		given = "cockroach"
	}
	path, err := exec.LookPath(given)
	if err != nil {
		return "", fmt.Errorf("%w: %w\nhint: put cockroach on PATH or name it in COCKROACH_BINARY", ErrNotInstalled, err)
	}
	return filepath.Abs(path)
}

func cockroachStore(dir, given string) (*store, error) {
	binary, err := findCockroach(given)
	if err != nil {
		return nil, err
	}
	tag, err := firstLine(binary, "version", "--build-tag")
	if err != nil {
		return nil, err
	}
	if err := supported(tag); err != nil {
		return nil, fmt.Errorf("looking at %s: %w", binary, err)
	}
	home := cockroachHome(dir)
	if strings.Contains(home, ",") {
		return nil, fmt.Errorf("%w: CockroachDB takes the comma in %s for the end of the path\nhint: name another folder with --data-dir", ErrStore, home)
	}
	if me := os.Geteuid(); me != 0 {
		if _, err := runAs(home); err != nil {
			return nil, err
		}
	}
	n := &cockroachNode{
		store:  &store{kind: Cockroach, name: "CockroachDB " + tag, home: home, log: filepath.Join(dir, "cockroach.log")},
		binary: binary,
	}
	n.store.look, n.store.prepare, n.store.command, n.store.forget = n.look, n.prepare, n.command, func() {}
	n.store.launchedWith = func() []string { return nil }
	// SIGTERM drains; a node that is killed recovers from its log.
	n.stopSignal, n.abortSignal = syscall.SIGTERM, syscall.SIGKILL
	return n.store, nil
}

// oldestCockroach is the oldest version that runs what this project sends: year and number.
var oldestCockroach = [2]int{24, 3}

// supported refuses a version that is known to be too old. A tag of another form, such as that of a build of
// one's own, is tried.
func supported(tag string) error {
	var year, number int
	if n, _ := fmt.Sscanf(tag, "v%d.%d", &year, &number); n < 2 {
		return nil
	}
	if year < oldestCockroach[0] || year == oldestCockroach[0] && number < oldestCockroach[1] {
		return fmt.Errorf("CockroachDB %s is too old\nhint: %d.%d or newer is needed; --engine postgres does without", tag, oldestCockroach[0], oldestCockroach[1])
	}
	return nil
}

// files the node writes once it accepts connections
func (n *cockroachNode) urlFile() string { return filepath.Join(n.home, "listening.url") }
func (n *cockroachNode) pidFile() string { return filepath.Join(n.home, "node.pid") }

func (n *cockroachNode) look() status {
	st := status{phase: absent}
	if b, err := os.ReadFile(n.pidFile()); err == nil {
		st.pid, _ = strconv.Atoi(strings.TrimSpace(string(b))) // half-written: 0, which runs nowhere
	}
	if !n.runs(st.pid) {
		st.pids = processesIn(n.home)
		if len(st.pids) > 0 {
			st.phase = starting
		}
		return st
	}
	st.pids, st.phase = []int{st.pid}, starting
	b, err := os.ReadFile(n.urlFile())
	if err != nil {
		return st
	}
	u, err := url.Parse(strings.TrimSpace(string(b)))
	if err != nil || !answersSQL(u.Host) {
		return st
	}
	u.User, u.Path = url.User("root"), "/defaultdb"
	u.RawQuery = "sslmode=disable"
	st.phase, st.url = ready, u.String()
	return st
}

// sslRequest asks a server of PostgreSQL's protocol whether it speaks TLS, which it answers with one byte
// (PostgreSQL documentation, "Message Formats"). answerBound bounds the wait for it.
var sslRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}

const answerBound = time.Second

// answersSQL says whether statements are answered there. A node writes its files and takes connections before
// that: until it has joined itself, they wait.
func answersSQL(address string) bool {
	conn, err := net.DialTimeout("tcp", address, answerBound)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(answerBound)); err != nil {
		return false
	}
	if _, err := conn.Write(sslRequest); err != nil {
		return false
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err == nil
}

// prepare makes the folder and forgets who ran before; the port it had is kept if it is still free, so
// that clients of a restarted node find it where it was.
func (n *cockroachNode) prepare(context.Context, map[string]string, func(string, ...any)) error {
	if err := os.MkdirAll(n.home, 0o700); err != nil {
		return fmt.Errorf("creating the store's folder: %w", err)
	}
	if err := os.Remove(n.pidFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing stale pid file: %w", err)
	}
	return nil
}

// address returns the loopback address to listen on: the one before if it is free, else any.
func (n *cockroachNode) address() string {
	const anyPort = "127.0.0.1:0"
	b, err := os.ReadFile(n.urlFile())
	if err != nil {
		return anyPort
	}
	u, err := url.Parse(strings.TrimSpace(string(b)))
	if err != nil {
		return anyPort
	}
	before := net.JoinHostPort("127.0.0.1", u.Port())
	l, err := net.Listen("tcp", before)
	if err != nil {
		return anyPort
	}
	_ = l.Close()
	return before
}

func (n *cockroachNode) command(map[string]string) (*exec.Cmd, func(), error) {
	log, err := openLog(n.log)
	if err != nil {
		return nil, nil, err
	}
	address := n.address()
	_ = os.Remove(n.urlFile())
	cmd := exec.Command(n.binary, "start-single-node", "--insecure", "--store=path="+n.home,
		"--listen-addr="+address, "--http-addr=127.0.0.1:0",
		"--listening-url-file="+n.urlFile(), "--pid-file="+n.pidFile())
	cmd.Dir = n.home
	cmd.Env = environment("COCKROACH_SKIP_ENABLING_DIAGNOSTIC_REPORTING=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, func() { _ = log.Close() }, nil
}
