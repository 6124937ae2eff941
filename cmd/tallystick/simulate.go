package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tallystick/cmd/tallystick/internal/simulate"
	"tallystick/ledger/chain"
)

// simulateCommand writes made-up payments with planted patterns: tallystick simulate DIR.
type simulateCommand struct {
	Dir       string `arg:"" type:"path" placeholder:"DIR" help:"Folder to make."`
	Accounts  int    `default:"10000" help:"Clients."`
	Transfers int    `default:"100000" help:"Everyday payments among them."`
	Planted   int    `default:"20" help:"Patterns of each kind."`
	Days      int    `default:"300" help:"Days that the payments are spread over, 180 to 366."`
	From      string `placeholder:"DATE" help:"First day; so that the last is today by default."`
	Seed      uint64 `default:"1" help:"The same seed and options make the same files."`
}

// Run writes the files and says what to do with them.
func (c *simulateCommand) Run() error { return c.run(os.Stdout, time.Now()) }

func (c *simulateCommand) run(stdout io.Writer, now time.Time) error {
	o := simulate.Options{Seed: c.Seed, Accounts: c.Accounts, Transfers: c.Transfers, Days: c.Days, Planted: c.Planted, Start: chain.DateOf(now) - chain.Date(c.Days) + 1}
	if c.From != "" {
		day, err := chain.ParseDate(c.From)
		if err != nil {
			return fmt.Errorf("reading --from %q: a date is written 2026-01-31", c.From)
		}
		o.Start = day
	}
	if err := o.Check(); err != nil {
		return err
	}
	if err := os.Mkdir(c.Dir, 0o755); err != nil {
		return fmt.Errorf("making the folder %s: %w\nhint: name one that does not exist yet", c.Dir, err)
	}
	var files []*os.File
	var failed error
	for _, name := range []string{"accounts.csv", "transfers.csv", "answers.csv", "map.yaml", "policy.yaml"} {
		f, err := os.Create(filepath.Join(c.Dir, name))
		failed = errors.Join(failed, err)
		files = append(files, f)
	}
	if failed == nil {
		failed = simulate.Write(o, files[0], files[1], files[2])
	}
	for i, text := range []string{simulate.Mapping, simulate.Policy} {
		if failed == nil {
			_, failed = files[3+i].WriteString(text)
		}
	}
	for _, f := range files {
		if f != nil {
			failed = errors.Join(failed, f.Close())
		}
	}
	if failed != nil {
		return fmt.Errorf("writing to %s: %w", c.Dir, failed)
	}
	_, err := fmt.Fprintf(stdout, "%s: %d clients, %d everyday payments, %d patterns of each of %v\nWith the server running:\n  tallystick import --ledger simulated --mapping %[1]s/map.yaml %[1]s/accounts.csv %[1]s/transfers.csv\n  tallystick risk --ledger simulated --policy %[1]s/policy.yaml\nWhat it has to find is in %[1]s/answers.csv.\n",
		c.Dir, o.Accounts, o.Transfers, o.Planted, simulate.Patterns)
	return err
}
