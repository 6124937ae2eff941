package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"tallystick/api"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile"
	"tallystick/reconcile/figures"
	"tallystick/reconcile/policy"
)

// reportConnections is how many connections a report takes.
const reportConnections = 2

// reportFlags say which report, of which ledger, and in which form.
type reportFlags struct {
	Database `embed:""`
	Ledger   string `default:"main" placeholder:"NAME" help:"Name or UUID of the ledger."`
	From     string `placeholder:"DATE" help:"First booking date; by default the first of the year, or of the month where the report is about days or lines."`
	Output   string `type:"path" placeholder:"FILE" help:"Where to write; standard output by default."`
}

// reportCommand computes a report: tallystick report NAME.
type reportCommand struct {
	reportFlags `embed:""`
	Name        string `arg:"" help:"Which report; tallystick report list shows all."`
	AsOf        string `placeholder:"DATE" help:"Last booking date; by default that of the newest entry."`
	Account     string `placeholder:"CODE" help:"For the general ledger: only accounts under this prefix."`
	Format      string `default:"text" placeholder:"FORMAT" help:"text, csv, json, xlsx, pdf or html."`
	Kept        string `name:"run" placeholder:"ID" help:"The report that this run put out, or latest for that of the newest run that has ended; it may also be one that only runs make."`
	Policy      string `type:"existingfile" placeholder:"FILE" help:"Policy file that says which accounts are suspense, clearing and control accounts."`
}

// Run computes and writes the report.
func (c *reportCommand) Run(ctx context.Context) error {
	asked := api.ReportRequest{Name: c.Name, Format: c.Format, Account: c.Account, Run: c.Kept}
	var p *policy.Policy
	if c.Policy != "" {
		text, err := os.ReadFile(c.Policy)
		if err != nil {
			return fmt.Errorf("reading the policy: %w", err)
		}
		if p, err = policy.Decode(text); err != nil {
			return fmt.Errorf("%s: %w", c.Policy, err)
		}
	}
	if c.Kept != "" && (c.From != "" || c.AsOf != "" || c.Account != "" || c.Policy != "") {
		return errors.New("reading --run: what a run put out is there as it is; leave out --from, --as-of, --account and --policy")
	}
	if c.Name == figures.NameStatement && c.Kept == "" {
		return errors.New("choosing a report: that of one account is tallystick statement ACCOUNT")
	}
	if !slices.Contains(reportFormats(), c.Format) {
		return fmt.Errorf("reading --format %q: the formats are %s", c.Format, strings.Join(reportFormats(), ", "))
	}
	return c.make(ctx, asked, p, c.AsOf, "--as-of")
}

// statementCommand writes the statement of an account: tallystick statement ACCOUNT.
type statementCommand struct {
	reportFlags `embed:""`
	Account     string `arg:"" help:"Code of the account."`
	To          string `placeholder:"DATE" help:"Last booking date; by default that of the newest entry."`
	Format      string `default:"text" placeholder:"FORMAT" help:"text, csv, json, xlsx, pdf, html, camt.053.001.08 or camt.053.001.02."`
	IBAN        string `placeholder:"IBAN" help:"Of the account, for camt.053; without it, the account is named by its code."`
}

// Run computes and writes the statement.
func (c *statementCommand) Run(ctx context.Context) error {
	formats := append(reportFormats(), statementFormats()...)
	switch {
	case !slices.Contains(formats, c.Format):
		return fmt.Errorf("reading --format %q: the formats are %s", c.Format, strings.Join(formats, ", "))
	case c.IBAN != "" && !slices.Contains(statementFormats(), c.Format):
		return fmt.Errorf("reading --iban: only %s name an account so", strings.Join(statementFormats(), " and "))
	}
	return c.make(ctx, api.ReportRequest{Name: figures.NameStatement, Format: c.Format, Account: c.Account, IBAN: c.IBAN}, nil, c.To, "--to")
}

// make makes the report and writes it to its place.
func (f *reportFlags) make(ctx context.Context, asked api.ReportRequest, p *policy.Policy, until, untilFlag string) error {
	var err error
	if asked.From, err = dateFlag("--from", f.From); err != nil {
		return err
	}
	if asked.AsOf, err = dateFlag(untilFlag, until); err != nil {
		return err
	}
	db, disconnect, err := f.Connect(ctx, store.RoleAuditor, reportConnections)
	if err != nil {
		return err
	}
	defer disconnect()
	id, err := findLedger(ctx, db, f.Ledger)
	if err != nil {
		return err
	}
	file, err := (&reporting{db: db, policy: p}).make(ctx, id, asked)
	switch {
	case errors.Is(err, reconcile.ErrUnknownReport):
		return fmt.Errorf("%w\nhint: tallystick report list shows all; some, such as integrity, are made by runs alone: --run latest", err)
	case err != nil:
		return err
	}
	if f.Output == "" {
		_, err = os.Stdout.Write(file.Body)
		return err
	}
	if err := os.WriteFile(f.Output, file.Body, 0o600); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// dateFlag reads a date, nil when it is not given.
func dateFlag(name, text string) (*chain.Date, error) {
	if text == "" {
		return nil, nil
	}
	d, err := chain.ParseDate(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s %q: it is a date such as 2026-01-31", name, text)
	}
	return &d, nil
}

// reportListCommand lists the reports: tallystick report list.
type reportListCommand struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Run prints the list.
func (c *reportListCommand) Run() error { return c.print(os.Stdout) }

func (c *reportListCommand) print(w io.Writer) error {
	if c.JSON {
		type kind struct {
			Name    string `json:"name"`
			Title   string `json:"title"`
			Meaning string `json:"meaning"`
		}
		var all []kind
		for _, k := range reconcile.ReportKinds {
			all = append(all, kind{k.Name, k.Title, k.Meaning})
		}
		return json.NewEncoder(w).Encode(map[string]any{"reports": all, "formats": reportFormats()})
	}
	for _, k := range reconcile.ReportKinds {
		if _, err := fmt.Fprintf(w, "%-26s %s\n", k.Name, k.Meaning); err != nil {
			return err
		}
	}
	return nil
}
