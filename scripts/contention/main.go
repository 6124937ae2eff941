// Command contention runs two server processes on one ledger and checks that
// sharing it costs throughput and nothing else.
//
//	go run ./scripts/contention                  both undisturbed
//	go run ./scripts/contention --disturb kill   one killed -9 and started again
//	go run ./scripts/contention --disturb stop   one stopped for 30 s, then continued
//
// Every transfer debits or credits one hot account with min_balance 0, more
// often debits, so that its balance keeps touching zero and about every fifth
// transfer must be refused. First one process alone is measured with as many
// connections as both have together later. Then, with two:
//
//   - both met entries of the other (collisions), and took turns;
//   - clients saw 201, 422 limit_exceeded and 503, nothing else;
//   - the hot account's balance was never below zero, neither when polled
//     during the run nor after any of its postings, and its postings are a chain;
//   - every refusal was right: at the seq it was decided at, the account held
//     what the refusal says, which was less than was asked for;
//   - every acknowledged transfer is stored once, at its seq; a refused one is
//     not; an unanswered one, posted again, is stored once or refused;
//   - undisturbed: together at least half of one process, neither below 30 % of
//     the sum, p99 at most five times that of one process;
//   - disturbed: the other process acknowledged again within 2 s, the returned
//     one posts again;
//   - verify exits with 0.
//
// Exit code 1 means that one of these does not hold, 3 that it could not run.
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

	"tallystick/scripts/internal/harness"
)

// options are the program's flags.
type options struct {
	Disturb     string        `enum:"none,kill,stop" default:"none" help:"What happens to the process that holds the turn, a quarter into the run: none, kill or stop."`
	Duration    time.Duration `default:"60s" help:"Measured time with two processes."`
	Baseline    time.Duration `default:"20s" help:"Measured time with one."`
	WarmUp      time.Duration `default:"3s" help:"Time before each that is not measured."`
	Stopped     time.Duration `default:"30s" help:"How long --disturb stop lasts."`
	Connections int           `default:"32" help:"Connections to each process; the one alone gets twice as many."`
	Untimed     bool          `help:"Check only what is right, not how fast it is: for a machine that is busy."`
	Binary      string        `type:"path" help:"Use this tallystick instead of building one."`
	Keep        bool          `help:"Keep the temporary folder with data and logs."`
}

// errBroken says that something promised does not hold.
var errBroken = errors.New("promise broken")

// broken describes one promise that does not hold.
func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errBroken, fmt.Sprintf(format, args...))
}

func main() {
	var o options
	kong.Parse(&o, kong.Description("Run two server processes on one ledger and check that nothing but throughput is lost."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "contention:", err)
		if errors.Is(err, errBroken) {
			os.Exit(1)
		}
		os.Exit(3)
	}
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	if o.Disturb == "stop" && o.Duration/4+o.Stopped >= o.Duration {
		return fmt.Errorf("checking the flags: a stop of %s, a quarter into %s, lasts beyond its end", o.Stopped, o.Duration)
	}
	p, err := newPair(ctx, o, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	alone, err := p.alone(ctx)
	if err != nil {
		return fmt.Errorf("measuring one process: %w", err)
	}
	if err := p.together(ctx); err != nil {
		return fmt.Errorf("running two processes: %w", err)
	}
	failed := []error{p.checkAnswers(), p.checkCounters(), p.checkBook(ctx)}
	switch {
	case o.Untimed:
	case o.Disturb == "none":
		failed = append(failed, p.checkFigures(alone))
	default:
		failed = append(failed, p.checkDisturbance())
	}
	verdict, err := p.rig.MustVerify(ctx, pairLedger)
	switch {
	case errors.Is(err, harness.ErrNotVerified):
		failed = append(failed, broken("%v", err))
	case err != nil:
		failed = append(failed, err)
	default:
		fmt.Fprintf(out, "%-9s %s, size %d, head %s\n", "verify", verdict.Status, verdict.Size, verdict.Head)
	}
	return errors.Join(failed...)
}
