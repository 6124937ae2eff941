// Command amlsim puts a real payment history through a running server: it
// imports an IBM/AMLSim sample with `tallystick import` and the mapping beside
// this file, which opens its 20,000 accounts, funds them with their opening
// balances from one equity account and posts its 120,558 transfers. Then it
// compares every balance with one computed here from the same files, and with
// the figures published beside them.
//
//	TALLYSTICK_API_KEY=$(cat data/admin.key) go run ./scripts/amlsim
//
// With --single it posts the transfers itself instead, one request each over
// many connections, into a ledger of its own.
//
// A second run finds every transfer stored already and changes nothing. Fifteen
// rows pay an account from itself; a transfer needs two accounts, so the server
// must refuse them.
//
// The sample is not part of this repository; --data says where it is, and
// without it the folder that package samples knows. Exit code 1 means that
// something differs, 3 that it could not run.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"tallystick/api/client"
	"tallystick/scripts/samples"
)

// options are the program's flags.
type options struct {
	URL    string `default:"http://127.0.0.1:8080" env:"TALLYSTICK_URL" help:"Server to post to; its key is taken from TALLYSTICK_API_KEY."`
	Ledger string `placeholder:"NAME" help:"Ledger to post to, opened when absent; amlsim by default, amlsim-single with --single."`
	Data   string `type:"path" help:"Folder with nodes.csv and transactions.csv; without it, amlsim in the folder of samples."`
	Binary string `type:"path" default:"bin/tallystick" help:"The tallystick that imports."`

	Single      bool `help:"Post the transfers one request each instead of importing them."`
	Connections int  `default:"64" help:"Connections with --single."`
}

// errDiffers says that the server's book is not what the files make it.
var errDiffers = errors.New("comparing with the files")

// mapping is what the rows become.
//
//go:embed map.yaml
var mapping []byte

func main() {
	var o options
	kong.Parse(&o, kong.Description("Import the AMLSim sample into a running server and check every balance."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Getenv("TALLYSTICK_API_KEY")); err != nil {
		fmt.Fprintln(os.Stderr, "amlsim:", err)
		if errors.Is(err, errDiffers) {
			os.Exit(1)
		}
		os.Exit(3)
	}
}

func run(ctx context.Context, o options, key string) error {
	if o.Single && o.Connections < 1 {
		return fmt.Errorf("reading --connections %d: it is at least 1", o.Connections)
	}
	if o.Ledger == "" {
		o.Ledger = map[bool]string{false: "amlsim", true: "amlsim-single"}[o.Single]
	}
	if o.Data == "" {
		var err error
		if o.Data, err = samples.Find("amlsim"); err != nil {
			return err
		}
	}
	s, err := readSample(o.Data)
	if err != nil {
		return err
	}
	server, err := client.New(o.URL, key)
	if err != nil {
		return err
	}
	if o.Single {
		return o.postSingly(ctx, server, s)
	}
	before, err := standingOf(ctx, server, o.Ledger)
	if err != nil && !client.HasStatus(err, 404) {
		return err
	}
	report, err := o.importSample(ctx, key)
	if err != nil {
		return err
	}
	fmt.Printf("%-9s %d transfers accepted, %d in the ledger already, %d rows refused, in %s ms, %d/s\n",
		"imported", report.Accepted, report.Replayed, report.Refused, report.Took, report.PerSecond)
	after, err := standingOf(ctx, server, o.Ledger)
	if err != nil {
		return err
	}
	fmt.Println(after.since(before))
	if err := checkOutcome(s, report, before, after); err != nil {
		return err
	}
	return compare(ctx, server, o.Ledger, s)
}

// outcome is what import reports.
type outcome struct {
	Accepted  int64       `json:"accepted"`
	Replayed  int64       `json:"replayed"`
	Refused   int64       `json:"refused"`
	Opened    int64       `json:"accounts_opened"`
	There     int64       `json:"accounts_there"`
	Took      json.Number `json:"took_ms"`
	PerSecond int64       `json:"transfers_per_second"`
}

// importSample runs tallystick import to its end.
func (o *options) importSample(ctx context.Context, key string) (outcome, error) {
	var report outcome
	dir, err := os.MkdirTemp("", "tallystick-amlsim-")
	if err != nil {
		return report, fmt.Errorf("making a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	cmd, err := o.command(ctx, key, dir)
	if err != nil {
		return report, err
	}
	out, err := cmd.Output()
	if err != nil {
		return report, fmt.Errorf("importing the sample: %w\n%s", err, out)
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return report, fmt.Errorf("reading what import printed: %w\n%s", err, out)
	}
	return report, nil
}

// command returns the import of the sample, with its mapping in dir.
func (o *options) command(ctx context.Context, key, dir string) (*exec.Cmd, error) {
	path := filepath.Join(dir, "map.yaml")
	if err := os.WriteFile(path, mapping, 0o600); err != nil {
		return nil, fmt.Errorf("writing the mapping: %w", err)
	}
	cmd := exec.CommandContext(ctx, o.Binary, "import", "--json", "--url", o.URL, "--ledger", o.Ledger, "--mapping", path,
		filepath.Join(o.Data, "nodes.csv"), filepath.Join(o.Data, "transactions.csv"))
	cmd.Env = append(os.Environ(), "TALLYSTICK_API_KEY="+key)
	return cmd, nil
}

// checkOutcome compares how the rows ended with what the files ask for.
func checkOutcome(s *sample, report outcome, before, after standing) error {
	var wrong []error
	expect := expectations(&wrong)
	expect("accounts", report.Opened+report.There, int64(len(s.opening)+1))
	expect("transfers stored", report.Accepted+report.Replayed, int64(len(s.opening)+len(s.transfers)-s.toSelf))
	expect("rows refused", report.Refused, int64(s.toSelf))
	opened := int64(0)
	if before.Size == 0 {
		opened = 1 // the entry that opened the ledger
	}
	expect("new entries", after.news(before), report.Accepted+report.Opened+opened)
	if report.Accepted+report.Opened == 0 && after.keys == before.keys && before.Head != after.Head {
		wrong = append(wrong, fmt.Errorf("%w: nothing was accepted, and the head moved from %s to %s", errDiffers, before.Head, after.Head))
	}
	return errors.Join(wrong...)
}

// standing is a ledger at a moment. The server's signer puts its key on record
// in a new ledger, when it comes to it.
type standing struct {
	client.Ledger
	keys int64
}

func standingOf(ctx context.Context, server *client.Client, ledger string) (standing, error) {
	for {
		keys, err := server.Keys(ctx, ledger, "signer")
		if err != nil {
			return standing{}, err
		}
		l, err := server.Ledger(ctx, ledger)
		if err != nil {
			return standing{}, err
		}
		again, err := server.Keys(ctx, ledger, "signer")
		if err != nil || len(again) == len(keys) {
			return standing{l, int64(len(keys))}, err
		}
	}
}

// news counts the entries since before, but those that put keys on record.
func (s standing) news(before standing) int64 {
	return s.Size - s.keys - (before.Size - before.keys)
}

// since says what has become of the ledger.
func (s standing) since(before standing) string {
	return fmt.Sprintf("%-9s %d entries, %d of them new, head %s", "ledger", s.Size, s.news(before), s.Head)
}

// expectations returns a function that adds to wrong what differs.
func expectations(wrong *[]error) func(what string, got, want int64) {
	return func(what string, got, want int64) {
		if got != want {
			*wrong = append(*wrong, fmt.Errorf("%w: %d %s, want %d", errDiffers, got, what, want))
		}
	}
}
