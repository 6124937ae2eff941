package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// store is one kind of engine on one data folder: where it lives and how to run it.
type store struct {
	kind Kind
	name string // product and version
	home string // folder of the data, and working folder of every process
	log  string // file that receives the engine's stderr

	look    func() status
	prepare func(ctx context.Context, settings map[string]string, logf func(string, ...any)) error
	command func(settings map[string]string) (cmd *exec.Cmd, closeFiles func(), err error)
	// launchedWith returns the settings, name=value, that the running engine was launched with beside its own.
	launchedWith func() []string
	forget       func() // removes what only a running engine needs, after the last user

	stopSignal, abortSignal syscall.Signal
}

// runs says whether process pid is one of this store.
func (s *store) runs(pid int) bool { return inFolder(pid, s.home) }

// chooseStore settles the kind. Data that is already there decides before what is installed, so that
// installing a second product never hides a ledger.
func chooseStore(dir string, o Options) (*store, error) {
	kind := o.Kind
	if kind == "" {
		kind = Auto
	}
	if kind == Auto {
		hasPostgres, hasCockroach := exists(postgresHome(dir)), exists(cockroachHome(dir))
		_, cockroachErr := findCockroach(o.CockroachBinary)
		switch {
		case hasPostgres && hasCockroach:
			return nil, fmt.Errorf("%w: %s holds a PostgreSQL and a CockroachDB store\nhint: say which with --engine", ErrStore, dir)
		case hasCockroach, !hasPostgres && cockroachErr == nil:
			kind = Cockroach
		default:
			kind = Postgres
		}
	}
	switch kind {
	case Cockroach:
		return cockroachStore(dir, o.CockroachBinary)
	case Postgres:
		return postgresStore(dir)
	}
	return nil, fmt.Errorf("choosing an engine: unknown kind %q; known are auto, cockroach, postgres", o.Kind)
}

// Installed returns the kinds whose binaries are on this machine, CockroachDB first: COCKROACH_BINARY or
// cockroach on PATH, and PostgreSQL 15 or newer.
func Installed() []Kind {
	var kinds []Kind
	if _, err := findCockroach(os.Getenv("COCKROACH_BINARY")); err == nil {
		kinds = append(kinds, Cockroach)
	}
	if _, err := findPostgres(0); err == nil {
		kinds = append(kinds, Postgres)
	}
	return kinds
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// runAs returns the user the engine must run as: nil means ourselves. Only root needs another one: the
// owner of the store when there is one, else postgres, else nobody.
func runAs(home string) (*syscall.Credential, error) {
	info, err := os.Stat(home)
	owner, known := -1, false
	var group int
	if err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			owner, group, known = int(st.Uid), int(st.Gid), true
		}
	}
	if me := os.Geteuid(); me != 0 {
		if known && owner != me {
			return nil, fmt.Errorf("%w: %s belongs to user %d, and this is user %d\nhint: run as its owner or as root, or give another --data-dir",
				ErrStore, home, owner, me)
		}
		return nil, nil
	}
	if known && owner != 0 {
		return &syscall.Credential{Uid: uint32(owner), Gid: uint32(group)}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("choosing a user for PostgreSQL, which refuses root: neither postgres nor nobody exists\nhint: create one with useradd --system postgres")
}

// environment is ours without what would steer the engine from outside (PGDATA, PGOPTIONS, LC_*), or is meant
// for this process alone (GOMEMLIMIT).
func environment(add ...string) []string {
	keep := []string{"LC_ALL=C", "TZ=UTC"}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "PATH", "TMPDIR", "LD_LIBRARY_PATH", "HOME", "GOMAXPROCS":
			keep = append(keep, kv)
		}
	}
	return append(keep, add...)
}

// Bounds of the engine's log.
const (
	logRotateBytes = 10 << 20 // a log larger than this at launch becomes .1, replacing the one before
	logTailBytes   = 2000     // how much of the log an error cites
)

// openLog opens the log for appending, and follows no link: as root, in another user's folder, that could
// lead anywhere.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logRotateBytes {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("rotating engine log: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening engine log: %w", err)
	}
	return f, nil
}

// tail returns the end of the log for an error text.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > logTailBytes {
		if _, err := f.Seek(-logTailBytes, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}

// firstLine runs a binary for its version.
func firstLine(binary string, args ...string) (string, error) {
	cmd := exec.Command(binary, args...)
	cmd.Env = environment()
	cmd.Dir = "/"
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", filepath.Base(binary), err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line), nil
}
