// Command amlsim puts a real payment history through a running server: it opens
// the 20,000 accounts of an IBM/AMLSim sample, funds them with their opening
// balances from one equity account, posts its 120,558 transfers one request
// each over many connections, and compares every balance with one computed
// here from the same files, and with the figures published beside them.
//
//	TALLYSTICK_API_KEY=$(cat data/admin.key) go run ./scripts/amlsim
//
// Request ids are derived from the file and row, so a second run finds every
// transfer stored already and changes nothing. Fifteen rows pay an account from
// itself; a transfer needs two accounts, so the server must refuse them.
//
// The sample is not part of this repository; --data says where it is, and
// without it the folder that package samples knows. Exit code 1 means that
// something differs, 3 that it could not run.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"tallystick/api/client"
	"tallystick/scripts/samples"
)

// options are the program's flags.
type options struct {
	URL         string `default:"http://127.0.0.1:8080" env:"TALLYSTICK_URL" help:"Server to post to; its key is taken from TALLYSTICK_API_KEY."`
	Ledger      string `default:"amlsim" help:"Ledger to post to; opened when absent."`
	Data        string `type:"path" help:"Folder with nodes.csv and transactions.csv; without it, amlsim in the folder of samples."`
	Connections int    `default:"64" help:"Connections, each with one request at a time."`
}

// errDiffers says that the server's book is not what the files make it.
var errDiffers = errors.New("comparing with the files")

func main() {
	var o options
	kong.Parse(&o, kong.Description("Post the AMLSim sample through a running server and check every balance."))
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
	p := poster{server: server, ledger: o.Ledger, connections: o.Connections}
	before, err := p.open(ctx, s)
	if err != nil {
		return fmt.Errorf("opening the book: %w", err)
	}
	funded, err := p.post(ctx, s.fundings())
	if err != nil {
		return fmt.Errorf("funding the accounts: %w", err)
	}
	fmt.Printf("%-9s %d accounts with %s, in %d transfers: %s\n", "funded", len(s.opening), s.total, len(s.fundings()), funded)
	posted, err := p.post(ctx, s.payments())
	if err != nil {
		return fmt.Errorf("posting the transfers: %w", err)
	}
	fmt.Printf("%-9s %d transfers over %d connections: %s\n", "posted", len(s.transfers), o.Connections, posted)
	after, err := server.Ledger(ctx, o.Ledger)
	if err != nil {
		return err
	}
	fmt.Printf("%-9s %d entries, %d of them new, head %s\n", "ledger", after.Size, after.Size-before.Size, after.Head)
	if err := checkOutcomes(s, funded, posted, before, after); err != nil {
		return err
	}
	return p.compare(ctx, s)
}

// checkOutcomes compares how the requests ended with what the files ask for.
func checkOutcomes(s *sample, funded, posted outcome, before, after client.Ledger) error {
	var wrong []error
	expect := func(what string, got, want int64) {
		if got != want {
			wrong = append(wrong, fmt.Errorf("%w: %d %s, want %d", errDiffers, got, what, want))
		}
	}
	expect("fundings stored", funded.accepted+funded.replayed, int64(len(s.fundings())))
	expect("fundings refused", funded.refused, 0)
	expect("transfers stored", posted.accepted+posted.replayed, int64(len(s.transfers)-s.toSelf))
	expect("transfers refused", posted.refused, int64(s.toSelf))
	expect("transfers refused that are not from an account to itself", posted.unexpected, 0)
	expect("new entries", after.Size-before.Size, funded.accepted+posted.accepted)
	if funded.accepted+posted.accepted == 0 && before.Head != after.Head {
		wrong = append(wrong, fmt.Errorf("%w: nothing was accepted, and the head moved from %s to %s", errDiffers, before.Head, after.Head))
	}
	return errors.Join(wrong...)
}
