// Command crash kills a server, or its database engine, with kill -9 under load
// and proves that nothing acknowledged was lost and nothing was stored twice.
//
//	go run ./scripts/crash --victim server --rounds 20
//	go run ./scripts/crash --victim engine --rounds 20
//
// A round:
//
//	client process ── posts over 32 connections, writes every attempt and every
//	      │           answer to a journal with write(2) before going on
//	parent ── waits for 200 acknowledgements in this round, then for a random
//	      │   moment, and kills the victim with requests in flight: the server;
//	      │   or the engine's main process; or, every other round, all its processes
//	      ├── brings the server back (a killed engine it must restart itself),
//	      │   and ends the client
//	      ├── posts every unanswered request again, byte for byte (a client of a
//	      │   killed engine gives up after 300 ms: the server would answer later)
//	      └── reads the whole ledger: everything acknowledged in any round stands
//	          there once, at its seq, with its hash; what was retried once; what
//	          was refused not at all; seq without gaps, each entry on the one before
//
// and after the last round `tallystick verify` must exit with 0. The client's
// journal is in another process than anything that is killed, so it survives
// without fsync. One attempt in twenty must be refused for its limit.
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

	"tallystick/scripts/internal/harness"
)

// options are the flags of a run.
type options struct {
	Victim      string `enum:"server,engine" default:"server" help:"What is killed: server or engine."`
	Rounds      int    `default:"20" help:"How often."`
	Connections int    `default:"32" help:"Connections of the client process."`
	MinAcks     int    `default:"200" help:"Acknowledgements in a round before the kill."`
	Binary      string `type:"path" help:"Use this tallystick instead of building one."`
	Keep        bool   `help:"Keep the temporary folder with data, logs and journals."`
}

// errBroken says that a promise of the ledger does not hold.
var errBroken = errors.New("promise broken")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:]))
}

// execute runs the command that args name and returns the exit code.
func execute(ctx context.Context, args []string) int {
	var cli struct {
		Run    options       `cmd:"" default:"withargs" help:"Kill, restart and check."`
		Client clientOptions `cmd:"" hidden:"" help:"The client process, started by run."`
	}
	parser := kong.Must(&cli, kong.Description("Kill the server or its engine under load and check that no acknowledged transfer is lost or doubled."))
	command, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	if command.Command() == "client" {
		err = postUntilToldToStop(ctx, cli.Client, os.Stdin)
	} else {
		err = run(ctx, cli.Run, os.Stdout)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errBroken):
		fmt.Fprintln(os.Stderr, "crash:", err)
		return 1
	default:
		fmt.Fprintln(os.Stderr, "crash:", err)
		return 3
	}
}

// run does all rounds and prints a line for each.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	if o.Rounds < 1 || o.Connections < 1 || o.MinAcks < 1 {
		return fmt.Errorf("checking the flags: %d rounds, %d connections, %d acknowledgements; want at least 1 of each", o.Rounds, o.Connections, o.MinAcks)
	}
	h, err := newHarness(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close(ctx)) }()
	start := time.Now()
	var sum roundReport
	for n := 1; n <= o.Rounds; n++ {
		r, err := h.round(ctx, n)
		if err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		fmt.Fprintf(out, "round %2d: %s\n", n, r)
		sum.add(r)
	}
	verdict, err := h.rig.MustVerify(ctx, ledgerName)
	if errors.Is(err, harness.ErrNotVerified) {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d rounds of kill -9 of the %s in %s: %s\n", o.Rounds, o.Victim, time.Since(start).Round(time.Second), sum)
	fmt.Fprintf(out, "every acknowledged transfer is stored once with its hash; verify: %s, size %d, head %s\n",
		verdict.Status, verdict.Size, verdict.Head)
	return nil
}
