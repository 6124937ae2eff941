package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"tallystick/api/client"
)

const (
	// ReadyBound is how long a server may take to become ready, an engine's
	// first start or recovery included.
	ReadyBound = 60 * time.Second
	// stopBound is how long a clean stop may take before it is cut short.
	stopBound = 60 * time.Second
	pollStep  = 10 * time.Millisecond
	// portAttempts is how often another port is tried when somebody else
	// took the free one first.
	portAttempts = 5
)

// ErrExited says that a server process ended where it should have run.
var ErrExited = errors.New("server process ended")

// Server is one running `tallystick serve`.
type Server struct {
	Client *client.Client
	name   string
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
	failed error // of cmd.Wait; read after exited is closed
}

// Serve starts a server on a free loopback port, over the rig's data folder,
// and returns when it is ready. The name is that of its log, and several may
// run at once: they share the folder's engine.
func (r *Rig) Serve(ctx context.Context, name string) (*Server, error) {
	for attempt := 1; ; attempt++ {
		s, err := r.launch(name)
		if err != nil {
			return nil, err
		}
		r.servers = append(r.servers, s)
		err = s.AwaitReady(ctx, ReadyBound)
		if err == nil {
			return s, nil
		}
		text, _ := os.ReadFile(s.log) // without it there is less to tell, no more
		if attempt < portAttempts && bytes.Contains(text, []byte("address already in use")) {
			continue
		}
		return nil, errors.Join(fmt.Errorf("starting server %s: %w\n%s", name, err, text[max(0, len(text)-2000):]), s.Stop())
	}
}

func (r *Rig) launch(name string) (*Server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	c, err := client.New("http://"+address, r.Key)
	if err != nil {
		return nil, err
	}
	args := append([]string{"serve", "--listen", address, "--data-dir", r.DataDir}, r.ServeArgs...)
	return r.spawn(name, c, args)
}

// Spawn starts another long command of tallystick. What it returns has no Client
// and is never ready; its log is named after name.
func (r *Rig) Spawn(name string, args ...string) (*Server, error) {
	s, err := r.spawn(name, nil, args)
	if err == nil {
		r.servers = append(r.servers, s)
	}
	return s, err
}

func (r *Rig) spawn(name string, c *client.Client, args []string) (*Server, error) {
	log, err := os.OpenFile(filepath.Join(r.Dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer log.Close() // the process has its own descriptor
	// A context would kill the process with it; servers are ended by Kill,
	// Stop and Close alone.
	cmd := exec.Command(r.Binary, args...)
	cmd.Env = r.environment()
	cmd.Stdout, cmd.Stderr = log, log
	// Ctrl-C on the terminal is for the program, which then stops servers.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	s := &Server{Client: c, name: name, cmd: cmd, log: log.Name(), exited: make(chan struct{})}
	go func() {
		s.failed = cmd.Wait()
		close(s.exited)
	}()
	return s, nil
}

// Log returns what the process has said so far.
func (s *Server) Log() (string, error) {
	text, err := os.ReadFile(s.log)
	return string(text), err
}

// PID returns the server's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Exited reports whether the process has ended.
func (s *Server) Exited() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// AwaitReady returns when /readyz says so, and with an error when bound has
// passed, ctx or the process has ended.
func (s *Server) AwaitReady(ctx context.Context, bound time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	ticks := time.NewTicker(pollStep)
	defer ticks.Stop()
	for {
		err := s.Client.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("awaiting server %s: %w: %v", s.name, ErrExited, s.failed)
		case <-ctx.Done():
			return fmt.Errorf("awaiting server %s for %s: %w", s.name, bound, err)
		case <-ticks.C:
		}
	}
}

// Signal sends a signal, such as SIGSTOP.
func (s *Server) Signal(sig os.Signal) error {
	if err := s.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("sending %s to server %s: %w", sig, s.name, err)
	}
	return nil
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (s *Server) Kill() error {
	if err := s.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-s.exited
	return nil
}

// Stop ends the process with SIGTERM, as an operator would, and reports when
// it did not end cleanly. It does nothing once the process has ended.
func (s *Server) Stop() error {
	if s.Exited() {
		return nil
	}
	if err := s.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.NewTimer(stopBound)
	defer timer.Stop()
	select {
	case <-s.exited:
	case <-timer.C:
		return errors.Join(fmt.Errorf("stopping server %s: still running after %s", s.name, stopBound), s.Kill())
	}
	if s.failed != nil {
		return fmt.Errorf("stopping server %s: %w", s.name, s.failed)
	}
	return nil
}

// freeAddress returns an address that nobody listened on just now. All of
// 127.0.0.0/8 is the loopback: an address of its own in it keeps apart what runs
// at once, where a free port alone might be taken by another before it is used.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)))
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	address := l.Addr().String()
	return address, l.Close()
}
