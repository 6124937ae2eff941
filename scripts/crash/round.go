package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"tallystick/api/client"
	"tallystick/scripts/internal/harness"
)

const (
	// acksBound is how long a round may take to collect its acknowledgements.
	acksBound = 60 * time.Second
	// clientBound is how long the client may take to end after the kill: its
	// requests in flight have requestTimeout.
	clientBound = requestTimeout + 30*time.Second
	// maxDelay is the longest time between enough acknowledgements and the
	// kill; the kill falls anywhere in it.
	maxDelay = 200 * time.Millisecond
	pollStep = 2 * time.Millisecond
	// shortPatience is how long the client waits for an answer while the
	// engine is killed: the server itself lives and answers after the engine's
	// return, so that only a client that gives up leaves something to retry.
	shortPatience = 300 * time.Millisecond
)

// crasher is a whole run: one ledger, many rounds.
type crasher struct {
	o      options
	rig    *harness.Rig
	server *harness.Server
	killed int        // the engine process killed last
	past   []*attempt // of all rounds
}

// roundReport is what a round saw.
type roundReport struct {
	acks, refused int
	inFlight      int           // at the kill
	open          int           // attempts whose outcome was unknown after it
	replayed      int           // of those, found stored by the retry
	restarted     int           // 1 when the parent had to start the server again
	recovery      time.Duration // from the kill until ready, the longest
	entries       int64         // in the ledger
}

func (r *roundReport) add(other roundReport) {
	r.acks += other.acks
	r.refused += other.refused
	r.inFlight += other.inFlight
	r.open += other.open
	r.replayed += other.replayed
	r.restarted += other.restarted
	r.recovery = max(r.recovery, other.recovery)
	r.entries = other.entries
}

// String is one line.
func (r roundReport) String() string {
	return fmt.Sprintf("%d acknowledged, %d refused, %d in flight at the kill; retried %d, of which %d were stored already; ready after %s; ledger of %d entries",
		r.acks, r.refused, r.inFlight, r.open, r.replayed, r.recovery.Round(time.Millisecond), r.entries)
}

func newHarness(ctx context.Context, o options) (_ *crasher, err error) {
	rig, err := harness.NewRig(ctx, o.Binary, o.Keep)
	if err != nil {
		return nil, err
	}
	h := &crasher{o: o, rig: rig}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close(ctx))
		}
	}()
	if h.server, err = rig.Serve(ctx, "server"); err != nil {
		return nil, err
	}
	c := h.server.Client
	if _, err := c.OpenLedger(ctx, client.LedgerTerms{Name: ledgerName, BaseCurrency: currency}); err != nil {
		return nil, err
	}
	zero := "0"
	open := []client.NewAccount{{Code: emptyAccount, Type: "liability", Currency: currency, MinBalance: &zero}}
	for i := range accounts {
		open = append(open, client.NewAccount{Code: account(i), Type: "liability", Currency: currency})
	}
	return h, c.OpenAccounts(ctx, ledgerName, open)
}

func (h *crasher) close(ctx context.Context) error { return h.rig.Close(ctx) }

// round is described at the top of the package.
func (h *crasher) round(ctx context.Context, n int) (r roundReport, err error) {
	path := filepath.Join(h.rig.Dir, fmt.Sprintf("journal-%02d", n))
	j, err := openJournal(path)
	if err != nil {
		return r, err
	}
	defer j.file.Close() // only read
	p, err := h.startClient(path)
	if err != nil {
		return r, err
	}
	if err := h.strike(ctx, j, n, &r); err != nil {
		return r, errors.Join(err, p.end())
	}
	killed := time.Now()
	revived := h.revive(ctx, &r)
	r.recovery = time.Since(killed)
	if err := errors.Join(revived, p.end(), j.read()); err != nil {
		return r, err
	}
	if j.bad != "" {
		return r, fmt.Errorf("%w: the client was answered: %s", errBroken, j.bad)
	}
	h.past = append(h.past, j.order...)
	if err := h.settle(ctx, j, &r); err != nil {
		return r, err
	}
	return r, h.check(ctx, &r)
}

// strike waits for enough acknowledgements and kills the victim while requests
// are in flight.
func (h *crasher) strike(ctx context.Context, j *journal, round int, r *roundReport) error {
	deadline := time.Now().Add(acksBound)
	for j.acks < h.o.MinAcks {
		if err := j.read(); err != nil {
			return err
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("awaiting %d acknowledgements for %s: got %d", h.o.MinAcks, acksBound, j.acks)
		}
		time.Sleep(pollStep)
	}
	time.Sleep(rand.N(maxDelay))
	if err := j.read(); err != nil {
		return err
	}
	if r.inFlight = j.open; r.inFlight == 0 {
		return errors.New("killing with requests in flight: none was")
	}
	if h.o.Victim == "server" {
		return h.server.Kill()
	}
	// In odd rounds the engine's main process alone: its backends may still
	// commit what they were sent.
	var err error
	h.killed, err = h.rig.KillEngine(round%2 == 0)
	return err
}

// revive brings the server back. A killed engine is the server's to restart,
// while the client goes on posting.
func (h *crasher) revive(ctx context.Context, r *roundReport) (err error) {
	if h.o.Victim == "engine" {
		if err := h.rig.AwaitOtherEngine(ctx, h.killed, harness.ReadyBound); err != nil {
			return err
		}
	}
	if h.server.Exited() {
		r.restarted = 1
		h.server, err = h.rig.Serve(ctx, "server")
		return err
	}
	return h.server.AwaitReady(ctx, harness.ReadyBound)
}

// clientProcess is this program again, as a client.
type clientProcess struct {
	cmd  *exec.Cmd
	stop io.Closer
}

func (h *crasher) startClient(journal string) (*clientProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	patience := requestTimeout
	if h.o.Victim == "engine" {
		patience = shortPatience
	}
	cmd := exec.Command(self, "client", "--url", h.server.Client.URL(), "--journal", journal,
		"--connections", fmt.Sprint(h.o.Connections), "--timeout", patience.String())
	cmd.Env = append(os.Environ(), "TALLYSTICK_API_KEY="+h.rig.Key)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stop, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the client: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the client: %w", err)
	}
	return &clientProcess{cmd, stop}, nil
}

// end tells the client to stop and waits until it has.
func (p *clientProcess) end() error {
	overdue := time.AfterFunc(clientBound, func() { _ = p.cmd.Process.Kill() })
	defer overdue.Stop()
	closed := p.stop.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("running the client: %w", err)
	}
	return closed
}
