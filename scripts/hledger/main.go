// Command hledger exports a ledger as an hledger journal and lets hledger add it
// up: every balance must be the one that the server answers.
//
//	TALLYSTICK_API_KEY=$(cat data/admin.key) go run ./scripts/hledger --ledger demo
//
// Nothing may be posted to the ledger meanwhile. Exit code 1 means that a
// balance differs, 3 that it could not run.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"tallystick/api/client"
	"tallystick/scripts/internal/hledger"
)

// options are the program's flags.
type options struct {
	URL    string `default:"http://127.0.0.1:8080" env:"TALLYSTICK_URL" help:"Server that has the ledger; its key is taken from TALLYSTICK_API_KEY."`
	Ledger string `default:"main" help:"Ledger to compare."`
	Binary string `type:"path" default:"bin/tallystick" help:"The tallystick that exports."`
}

func main() {
	var o options
	kong.Parse(&o, kong.Description("Let hledger add up a ledger and compare every balance."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	accounts, err := run(ctx, o, os.Getenv("TALLYSTICK_API_KEY"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "hledger:", err)
		if errors.Is(err, hledger.ErrDiffers) {
			os.Exit(1)
		}
		os.Exit(3)
	}
	fmt.Printf("ledger %s: hledger has the same balance in all %d accounts\n", o.Ledger, accounts)
}

// run exports and compares, and returns how many accounts there are.
func run(ctx context.Context, o options, key string) (accounts int, err error) {
	server, err := client.New(o.URL, key)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "tallystick-hledger-")
	if err != nil {
		return 0, fmt.Errorf("making a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	journal := filepath.Join(dir, "export.journal")
	cmd := exec.CommandContext(ctx, o.Binary, "export", "--url", o.URL, "--ledger", o.Ledger, "--format", "hledger", "--output", journal)
	cmd.Env = append(os.Environ(), "TALLYSTICK_API_KEY="+key)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("exporting ledger %s: %w", o.Ledger, err)
	}
	return hledger.Compare(ctx, server, o.Ledger, journal)
}
