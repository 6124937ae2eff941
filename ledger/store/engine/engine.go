package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Kind names a database product that can serve as the engine.
type Kind string

// The kinds, as written in --engine and TALLYSTICK_ENGINE.
const (
	// Auto is the kind whose store is already in the data folder, else CockroachDB, else PostgreSQL.
	Auto Kind = "auto"
	// Cockroach is a single CockroachDB node (24.3 or newer) with its store on disk.
	Cockroach Kind = "cockroach"
	// Postgres is a PostgreSQL server (15 or newer) on a Unix socket.
	Postgres Kind = "postgres"
)

// Bounds on waiting. Start is bounded by its context too.
const (
	// readyBound bounds the time from launch to the first accepted connection; recovery after a crash
	// replays at most max_wal_size of log, which takes seconds to a few minutes.
	readyBound = 10 * time.Minute
	// leftoverBound bounds the wait for processes of a killed engine. They leave as soon as they notice;
	// one in the middle of a statement notices at its end, and statement_timeout is 10 s.
	leftoverBound = 60 * time.Second
	// orphanBound is how long a backend may outlive a killed postmaster before it is killed too. One that waits
	// for a lock of a process that is no more never notices; one that computes is done by then, because
	// statement_timeout is 10 s. For the ledger it is one crash more.
	orphanBound = 15 * time.Second
	// stopBound bounds a clean stop, which writes a checkpoint.
	stopBound = 60 * time.Second
	// abortBound bounds the stop without a checkpoint that follows when a clean one takes too long.
	abortBound = 10 * time.Second
	// pollPause is the pause between two looks at a process that is not our child.
	pollPause = 20 * time.Millisecond
	// watchPause is the same while the engine runs undisturbed.
	watchPause = 200 * time.Millisecond
)

// ErrNotInstalled says that no binary of the wanted engine is on this machine.
var ErrNotInstalled = errors.New("no database engine is installed")

// ErrStore says that the store in the data folder cannot be used as it is: it belongs to another user or
// another major version, or the kind is ambiguous. The text says what to do.
var ErrStore = errors.New("the data folder cannot be used")

// Options say what to run and where.
type Options struct {
	// DataDir is the data folder; created with mode 0700 when absent. Required.
	DataDir string
	// Kind is the engine wanted; empty means Auto.
	Kind Kind
	// CockroachBinary is the path of the cockroach binary; empty means the one on PATH.
	CockroachBinary string
	// Settings override PostgreSQL settings at launch. For tests and measurements: an engine that is
	// attached to keeps those it was launched with. No effect on CockroachDB.
	Settings map[string]string
	// OnePass says that nearly everything will be read once and in order, such as by a verification, and has
	// PostgreSQL launched with few buffers, unless Settings or postgresql.local.conf says how many. A server that
	// attaches to such an engine is told so through Logf.
	OnePass bool
	// Logf, when not nil, is told what takes long or is unusual, one line a call. It must be goroutine-safe.
	Logf func(format string, args ...any)
}

// Engine is a running database this process uses. All methods may be called from several goroutines.
type Engine struct {
	store   *store
	dir     string
	url     string
	pid     int
	users   *fileLock
	done    chan struct{}
	exited  chan struct{} // closed when our child has been reaped; nil when attached
	leave   chan struct{} // closed by Stop; ends the watcher of an attached engine
	stopMu  sync.Mutex
	stopped bool
	logf    func(string, ...any)
}

// URL returns a connection URL of the engine's superuser, in the form pgx and psql read. It stays the same
// over restarts of a PostgreSQL engine, and on CockroachDB as long as the port is free.
func (e *Engine) URL() string { return e.url }

// Name returns product and version, such as "PostgreSQL 15.18" or "CockroachDB v24.3.1".
func (e *Engine) Name() string { return e.store.name }

// Kind returns Postgres or Cockroach.
func (e *Engine) Kind() Kind { return e.store.kind }

// PID returns the id of the engine's first process: the postmaster, or the cockroach process.
func (e *Engine) PID() int { return e.pid }

// Attached says whether the engine was already running when Start found it.
func (e *Engine) Attached() bool { return e.exited == nil }

// Done returns a channel that is closed when the engine's process has ended. After that, Stop this handle,
// or not, and Start again: both orders work.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Start returns the engine of the data folder, running and accepting connections: it attaches to the one
// already there, and otherwise creates the store if needed and launches it. The errors are ErrNotInstalled,
// ErrStore, ctx's, and those of the operating system; what the engine itself last said is part of the text.
func Start(ctx context.Context, o Options) (*Engine, error) {
	dir, err := dataDir(o.DataDir)
	if err != nil {
		return nil, err
	}
	logf := o.Logf
	if logf == nil {
		logf = func(string, ...any) {}
	}
	lock, err := lockFile(ctx, filepath.Join(dir, "engine.lock"), exclusive)
	if err != nil {
		return nil, err
	}
	defer lock.unlock()
	s, err := chooseStore(dir, o)
	if err != nil {
		return nil, err
	}
	users, err := lockFile(ctx, filepath.Join(dir, "engine.users"), shared)
	if err != nil {
		return nil, err
	}
	e := &Engine{store: s, dir: dir, users: users, logf: logf, done: make(chan struct{}), leave: make(chan struct{})}
	if err := e.open(ctx, o); err != nil {
		users.unlock()
		return nil, err
	}
	return e, nil
}

func dataDir(path string) (string, error) {
	if path == "" {
		return "", errors.New("starting the engine: no data folder given")
	}
	dir, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("resolving data folder %s: %w", path, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("creating data folder: %w", err)
	}
	return dir, nil
}

// open attaches to the running engine or launches one; the start lock is held.
func (e *Engine) open(ctx context.Context, o Options) error {
	st, err := e.settle(ctx)
	if err != nil {
		return err
	}
	if st.phase == ready {
		e.url, e.pid = st.url, st.pid
		go e.watch()
		if other := otherSettings(e.store.launchedWith(), o.settings()); len(other) > 0 {
			e.logf("the engine in %s was launched with %s, as its command needed: large ledgers are slower until all who use it have ended, and it is started anew",
				e.store.home, strings.Join(other, ", "))
		}
		return nil
	}
	if err := e.store.prepare(ctx, o.settings(), e.logf); err != nil {
		return err
	}
	return e.launch(ctx, o)
}

// settle looks until the engine is either ready or gone altogether.
func (e *Engine) settle(ctx context.Context) (status, error) {
	begun, told, ended := time.Now(), false, false
	for {
		st := e.store.look()
		if st.phase == ready || st.phase == absent {
			return st, nil
		}
		waited := time.Since(begun)
		if st.phase == leftover && waited > orphanBound && !ended {
			e.endOrphans(st.pids)
			ended = true
		}
		if st.phase == leftover && waited > leftoverBound || waited > readyBound {
			return st, fmt.Errorf("waiting for the engine in %s: processes %v are %s after %s\nhint: look at them with ps, and at %s",
				e.store.home, st.pids, st.phase, waited.Round(time.Second), e.store.log)
		}
		if !told && waited > time.Second {
			e.logf("the engine in %s is %s (processes %v): waiting", e.store.home, st.phase, st.pids)
			told = true
		}
		if err := pause(ctx, pollPause); err != nil {
			return st, fmt.Errorf("waiting for the engine in %s: %w", e.store.home, err)
		}
	}
}

// endOrphans kills the backends that a killed postmaster left behind.
func (e *Engine) endOrphans(pids []int) {
	for _, pid := range pids {
		p, err := os.FindProcess(pid) // a handle: the id cannot become another process's in between
		if err != nil {
			continue // it has ended
		}
		if e.store.runs(pid) && isBackend(pid) {
			e.logf("process %d of the engine in %s does not notice that the engine was killed; ending it", pid, e.store.home)
			_ = p.Kill() // settle sees whether it is gone
		}
		_ = p.Release()
	}
}

// launch starts the process and waits until it accepts connections.
func (e *Engine) launch(ctx context.Context, o Options) error {
	cmd, closeFiles, err := e.store.command(o.settings())
	if err != nil {
		return err
	}
	err = cmd.Start()
	closeFiles()
	if err != nil {
		return fmt.Errorf("launching %s: %w", cmd.Path, err)
	}
	e.pid = cmd.Process.Pid
	e.exited = make(chan struct{})
	go func() {
		_ = cmd.Wait() // the reason stands in the log
		e.ended()
		close(e.exited) // last: Stop waits for it
	}()
	begun, told := time.Now(), false
	for {
		if st := e.store.look(); st.phase == ready && st.pid == e.pid {
			e.url = st.url
			return nil
		}
		var failure error
		select {
		case <-e.exited:
			return fmt.Errorf("starting %s: it ended at once: %s\nhint: the whole log is %s", e.store.name, tail(e.store.log), e.store.log)
		case <-ctx.Done():
			failure = ctx.Err()
		case <-time.After(pollPause):
		}
		waited := time.Since(begun)
		if waited > readyBound {
			failure = fmt.Errorf("not ready after %s; see %s", readyBound, e.store.log)
		}
		if failure != nil {
			abort := e.end(context.WithoutCancel(ctx))
			return errors.Join(fmt.Errorf("starting %s: %w", e.store.name, failure), abort)
		}
		if !told && waited > 5*time.Second {
			e.logf("%s is still starting (recovering its log after an unclean end?)", e.store.name)
			told = true
		}
	}
}

// watch closes done when an engine that is not our child is gone.
func (e *Engine) watch() {
	for e.store.runs(e.pid) {
		select {
		case <-e.leave:
			return
		case <-time.After(watchPause):
		}
	}
	e.ended()
}

// ended ends the use of an engine that is no more, so that a handle nobody stops does not count as a user
// of the next one.
func (e *Engine) ended() {
	e.users.unlock()
	close(e.done)
}

// Stop ends this process's use of the engine, and the engine itself when no other process uses it: cleanly,
// within a bound, and without a checkpoint beyond it or when ctx ends. Nothing acknowledged is lost either
// way. Calling it again does nothing. Connections should be closed before.
func (e *Engine) Stop(ctx context.Context) error {
	e.stopMu.Lock()
	defer e.stopMu.Unlock()
	if e.stopped {
		return nil
	}
	e.stopped = true
	close(e.leave)
	defer e.users.unlock()
	lock, err := lockFile(ctx, filepath.Join(e.dir, "engine.lock"), exclusive)
	if err != nil {
		return err
	}
	defer lock.unlock()
	last, err := e.users.upgrade()
	if err != nil || !last {
		return err
	}
	defer e.store.forget()
	if !e.store.runs(e.pid) {
		return nil
	}
	return e.end(ctx)
}

// end stops the process: asks, waits, insists, waits.
func (e *Engine) end(ctx context.Context) error {
	for _, step := range []struct {
		signal syscall.Signal
		bound  time.Duration
	}{{e.store.stopSignal, stopBound}, {e.store.abortSignal, abortBound}} {
		if err := syscall.Kill(e.pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stopping %s, process %d: %w", e.store.name, e.pid, err)
		}
		if e.gone(ctx, step.bound) {
			return nil
		}
		e.logf("%s, process %d, did not end on %s", e.store.name, e.pid, step.signal)
		ctx = context.WithoutCancel(ctx) // the second step has a bound of its own
	}
	return fmt.Errorf("stopping %s: process %d is still there\nhint: see %s", e.store.name, e.pid, e.store.log)
}

// gone waits for the end of the process, at most for the bound and until ctx ends.
func (e *Engine) gone(ctx context.Context, bound time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if e.exited != nil {
		select {
		case <-e.exited:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for e.store.runs(e.pid) {
		if pause(ctx, pollPause) != nil {
			return false
		}
	}
	return true
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
