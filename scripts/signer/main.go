// Command signer kills a signer with kill -9 under load, and proves that it
// never signed two histories.
//
//	go run ./scripts/signer
//
// A server posts, and does not sign. A signer, a process of its own, does.
//
//   - Undisturbed, the window is measured: how old the oldest acknowledged entry
//     is that no published checkpoint covers, sampled every few milliseconds.
//   - Then the signer is killed at random moments and started again, while notes
//     are collected from outside: what the database shows, what it has stored, and
//     what stands in the state file, after every kill.
//   - At the end every note is held against the ledger: the root of its size,
//     computed again from the entries' hashes, is the one that was signed. So all
//     notes are consistent with each other. verify exits with 0.
//   - Two witnesses, processes too, cosign what is published by then; while one of
//     them is down, the policy wants both, and nothing is published.
//   - Without its state the signer refuses, exit code 1, and says what to do; with
//     checkpoints that are vouched for it goes on.
//   - With the database rolled back, its tail deleted without a trace so that
//     verify finds it whole, the signer refuses, exit code 1, and says what to do.
//
// Exit code 1 means that a promise was broken, 3 that it could not run.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// options are the flags of a run.
type options struct {
	Kills       int           `default:"100" help:"How often the signer is killed."`
	Connections int           `default:"64" help:"Connections that post."`
	Window      time.Duration `default:"20s" help:"How long the window is measured, undisturbed."`
	P99         time.Duration `help:"Fail when the 99th percentile of the window is longer; 0: only print it."`
	Binary      string        `type:"path" help:"Use this tallystick instead of building one."`
	Keep        bool          `help:"Keep the temporary folder with data and logs."`
}

// errBroken says that something promised does not hold.
var errBroken = errors.New("promise broken")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errBroken, fmt.Sprintf(format, args...))
}

func main() {
	var o options
	kong.Parse(&o, kong.Description("Kill the signer under load and check that it never signs two histories."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "signer:", err)
		if errors.Is(err, errBroken) {
			os.Exit(1)
		}
		os.Exit(3)
	}
}

// run does everything, in the order at the top of the package.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	if o.Kills < 1 || o.Connections < 1 || o.Window <= 0 {
		return fmt.Errorf("checking the flags: %d kills, %d connections, %s; want at least one of each", o.Kills, o.Connections, o.Window)
	}
	s, err := set(ctx, o, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"measuring the window", s.measure},
		{"killing the signer", s.killAgainAndAgain},
		{"holding the notes against the ledger", s.checkNotes},
		{"asking witnesses", s.askWitnesses},
		{"taking the state away", s.loseState},
		{"rolling the database back", s.rollBack},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}
