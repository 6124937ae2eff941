package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile"
	"tallystick/reconcile/report"
	"tallystick/reconcile/risk"
)

// riskConnections is enough for a reader of one ledger.
const riskConnections = 4

// riskCommand computes the risk figures of a ledger: tallystick risk.
type riskCommand struct {
	Database `embed:""`
	Ledger   string `default:"main" placeholder:"NAME" help:"Name or UUID of the ledger."`
	AsOf     string `placeholder:"DATE" help:"Booking date that the figures are for; that of the newest entry by default."`
	Report   string `default:"risk" enum:"risk,safeguarding,exposures" help:"Which report: ${enum}."`
	Format   string `default:"text" placeholder:"FORMAT" help:"text, csv, json, xlsx, pdf or html."`
	Output   string `type:"path" placeholder:"FILE" help:"Write there instead of to stdout."`
	Links    string `placeholder:"URL" help:"Server that accounts and entries of a page lead to, such as http://127.0.0.1:8080."`

	riskFiles `embed:""`
}

// riskFiles are what figures rest on beside the ledger.
type riskFiles struct {
	Policy string `type:"existingfile" required:"" placeholder:"FILE" help:"Policy file (YAML); see tallystick policy check."`
	Rates  string `type:"existingfile" placeholder:"FILE" help:"Prices of currencies in the base currency (CSV: date,currency,rate)."`
	Inputs string `type:"existingfile" placeholder:"FILE" help:"Tier 1, groups, due dates and maturities (CSV: kind,subject,date,value,currency)."`
}

// Run computes and prints. It exits with 0 when no figure is beyond its red limit, 1 when one is, 2 when the books cannot be
// read as they should be, and 3 when it could not begin.
func (c *riskCommand) Run(ctx context.Context) error { return c.run(ctx, os.Stdout, os.Stderr) }

func (c *riskCommand) run(ctx context.Context, stdout, stderr *os.File) error {
	sparing()
	format, err := report.ParseFormat(c.Format)
	if err != nil {
		return err
	}
	request, err := c.read()
	if err != nil {
		return err
	}
	if c.AsOf != "" {
		day, err := chain.ParseDate(c.AsOf)
		if err != nil {
			return fmt.Errorf("reading --as-of %q: a date is written 2026-01-31", c.AsOf)
		}
		request.AsOf = &day
	}
	request.BanksUnknown = "the bank reconciliation is part of the nightly run (tallystick reconcile)"
	db, disconnect, err := c.Connect(ctx, store.RoleAuditor, riskConnections)
	if err != nil {
		return err
	}
	defer disconnect()
	id, err := findLedger(ctx, db, c.Ledger)
	if err != nil {
		return err
	}
	from, err := db.Snapshot(ctx, id)
	if err != nil {
		return err
	}
	if isTerminal(stderr) {
		bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(stderr), progressbar.OptionThrottle(progressEvery),
			progressbar.OptionSetDescription("reading the ledger"), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
		request.Progress = func(done, total int64) { bar.ChangeMax64(total); _ = bar.Set64(done) }
		defer func() { _ = bar.Finish() }()
	}
	result, err := reconcile.ComputeRisk(ctx, from, request)
	if err != nil {
		return err
	}
	return c.print(stdout, &result, format)
}

// sparingGC is the GOGC of commands that hold all accounts of a ledger: a tenth more time, and a fifth less memory.
const sparingGC = 50

// sparing has garbage collected earlier, unless GOGC says when.
func sparing() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(sparingGC)
	}
}

// read reads the files.
func (f *riskFiles) read() (r reconcile.RiskRequest, err error) {
	if r.Policy, err = policyFile(f.Policy); err != nil {
		return r, err
	}
	if f.Rates != "" {
		if r.Rates, err = readBounded(f.Rates, risk.MaxInputFile); err != nil {
			return r, err
		}
	}
	if f.Inputs != "" {
		r.Inputs, err = readBounded(f.Inputs, risk.MaxInputFile)
	}
	return r, err
}

// ledgerAddress is where links begin, or nothing.
func (c *riskCommand) ledgerAddress() string {
	if c.Links == "" {
		return ""
	}
	return strings.TrimSuffix(c.Links, "/") + "/v1/ledgers/" + c.Ledger
}

func (c *riskCommand) print(stdout *os.File, result *reconcile.RiskResult, format report.Format) error {
	at := slices.IndexFunc(result.Documents, func(d report.Document) bool { return d.Name == c.Report })
	if at < 0 {
		return fmt.Errorf("printing the report %s: there is none", c.Report)
	}
	out := stdout
	if c.Output != "" {
		file, err := os.Create(c.Output)
		if err != nil {
			return fmt.Errorf("writing %s: %w", c.Output, err)
		}
		defer file.Close()
		out = file
	}
	if err := report.Write(out, &result.Documents[at], format, report.Options{Href: hrefs(c.ledgerAddress())}); err != nil {
		return fmt.Errorf("printing the report %s: %w", c.Report, err)
	}
	if out != stdout {
		if err := out.Close(); err != nil {
			return fmt.Errorf("writing %s: %w", c.Output, err)
		}
	}
	if slices.ContainsFunc(result.Breaches, func(b risk.Breach) bool { return b.Level == report.Red }) {
		return exitError{exitTampered}
	}
	return nil
}
