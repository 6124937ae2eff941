// Command latency measures how long a server takes to answer each kind of read,
// over one kept-alive connection, on accounts and terms drawn from the ledger.
//
//	go run ./scripts/latency                             the AMLSim sample in a server of its own
//	TALLYSTICK_API_KEY=… go run ./scripts/latency --url http://127.0.0.1:8080 --ledger main
//
// Without --url it starts a server, imports the sample with the mapping beside
// this file, and posts a few transfers that are related to others. With --url it
// only reads. A read that the ledger has nothing for, such as a search for a
// reference where no transfer has one, is listed as absent.
//
// Exit code 1 means that a read was slower than --p99, 3 that it could not run.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"

	"tallystick/api/client"
	"tallystick/scripts/internal/harness"
	"tallystick/scripts/samples"
)

// options are the program's flags.
type options struct {
	URL      string        `env:"TALLYSTICK_URL" help:"Server to read from; its key is taken from TALLYSTICK_API_KEY. Without it, one is started."`
	Ledger   string        `default:"amlsim" help:"Ledger to read."`
	Data     string        `type:"path" help:"Folder with nodes.csv and transactions.csv to import; without it, amlsim in the folder of samples."`
	Requests int           `default:"1000" help:"Requests of each kind."`
	Bound    time.Duration `default:"30s" help:"Time for each kind, after which it ends with fewer requests."`
	Seed     uint64        `default:"1" help:"Seed of what is drawn."`
	Only     string        `help:"Measure only the reads whose name matches this regular expression."`
	P99      time.Duration `name:"p99" help:"Fail when the 99th percentile of a read is above this; 0 for no limit."`
	Binary   string        `type:"path" help:"Use this tallystick instead of building one."`
}

// errSlow says that a read took longer than it may.
var errSlow = errors.New("too slow")

// mapping is what the rows of the sample become.
//
//go:embed map.yaml
var mapping []byte

func main() {
	var o options
	kong.Parse(&o, kong.Description("Measure how long each kind of read takes."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Getenv("TALLYSTICK_API_KEY"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		if errors.Is(err, errSlow) {
			os.Exit(1)
		}
		os.Exit(3)
	}
}

func run(ctx context.Context, o options, key string, out io.Writer) (err error) {
	if o.Requests < 1 || o.Bound <= 0 {
		return errors.New("checking the flags: --requests and --bound must be above 0")
	}
	only, err := regexp.Compile(o.Only)
	if err != nil {
		return fmt.Errorf("checking --only: %w", err)
	}
	if o.URL != "" {
		server, err := client.New(o.URL, key)
		if err != nil {
			return err
		}
		return measure(ctx, o, only, server, out)
	}
	if o.Data == "" {
		if o.Data, err = samples.Find("amlsim"); err != nil {
			return err
		}
	}
	rig, err := harness.NewRig(ctx, o.Binary, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.Close(ctx)) }()
	server, err := rig.Serve(ctx, "server")
	if err != nil {
		return err
	}
	if err := fill(ctx, o, rig, server.Client); err != nil {
		return err
	}
	return measure(ctx, o, only, server.Client, out)
}

// fill imports the sample and relates a few transfers to others.
func fill(ctx context.Context, o options, rig *harness.Rig, server *client.Client) error {
	path := filepath.Join(rig.Dir, "map.yaml")
	if err := os.WriteFile(path, mapping, 0o600); err != nil {
		return fmt.Errorf("writing the mapping: %w", err)
	}
	printed, code, err := rig.Run(ctx, "import", "--json", "--url", server.URL(), "--ledger", o.Ledger, "--mapping", path,
		filepath.Join(o.Data, "nodes.csv"), filepath.Join(o.Data, "transactions.csv"))
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d: %s", code, printed)
	}
	if err != nil {
		return fmt.Errorf("importing the sample: %w", err)
	}
	return relate(ctx, server, o.Ledger)
}

// related is how many transfers relate posts.
const related = 100

// relate posts transfers that say to be related to some of the first there are.
func relate(ctx context.Context, server *client.Client, ledger string) error {
	var targets []client.Entry
	err := server.Entries(ctx, ledger, 0, func(e client.Entry) error {
		if e.Kind == "transfer" {
			targets = append(targets, e)
		}
		if len(targets) == related {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	conn := server.Conn(answerBound)
	defer conn.Close()
	for _, e := range targets {
		legs := make([]string, len(e.Postings))
		for i, p := range e.Postings {
			legs[i] = fmt.Sprintf(`{"account":%q,"direction":%q,"amount":"0.01"}`, p.Account, p.Direction)
		}
		body := fmt.Sprintf(`{"id":%q,"related_to":%q,"postings":[%s]}`, uuid.New(), e.ID, strings.Join(legs, ","))
		answer, err := conn.Post(ctx, client.LedgerPath(ledger, "transfers"), "", []byte(body))
		if err == nil && answer.Status >= 300 {
			err = client.ParseProblem(answer.Status, answer.Body)
		}
		if err != nil {
			return fmt.Errorf("posting a related transfer: %w", err)
		}
	}
	return nil
}

// errEnough ends a walk over a list.
var errEnough = errors.New("enough")
