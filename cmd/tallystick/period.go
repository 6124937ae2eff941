package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"tallystick/api/client"
	"tallystick/ledger/chain"
)

// retainDetail begins the names of the details of a closing that say where a
// currency's result went.
const retainDetail = "retain_account."

// periodCloseCommand closes a period: tallystick period close.
type periodCloseCommand struct {
	Remote      `embed:""`
	Ledger      string   `required:"" placeholder:"NAME" help:"Ledger whose books are closed."`
	End         string   `required:"" placeholder:"DATE" help:"Last day of the period, such as 2026-12-31; it must be over."`
	Retain      []string `placeholder:"ACCOUNT" help:"Equity account that takes what revenue and expense accounts show at that day, one per currency: for the end of a year."`
	Description string   `placeholder:"TEXT" help:"Text of the entry."`
	DryRun      bool     `help:"Say what would be closed, and close nothing."`
	JSON        bool     `name:"json" help:"Print the entry as one JSON object."`
}

// Run closes the period through the API; the key needs the scope approve.
func (c *periodCloseCommand) Run(ctx context.Context) error {
	server, err := periodServer(&c.Remote, c.End)
	if err != nil {
		return err
	}
	text, err := server.ClosePeriod(ctx, c.Ledger, client.PeriodClosing{
		PeriodEnd: c.End, Retain: c.Retain, Description: c.Description,
	}, c.DryRun)
	if err != nil {
		return fmt.Errorf("closing the books of %s up to %s: %w%s", c.Ledger, c.End, err, hintToRetain(err))
	}
	return c.print(os.Stdout, text)
}

// hintToRetain says what is missing where the result of some currency has no
// place to go.
func hintToRetain(err error) string {
	if client.HasCode(err, "retain_account_needed") {
		return "\nhint: give --retain once for each currency in which something was earned or spent"
	}
	return ""
}

func (c *periodCloseCommand) print(w io.Writer, text json.RawMessage) error {
	if c.JSON {
		return printRaw(w, text)
	}
	e, err := readPeriodEntry(text)
	if err != nil {
		return err
	}
	did := "are closed up to " + c.End
	if c.DryRun {
		did = "would be closed up to " + c.End + "; nothing was changed"
	}
	_, err = fmt.Fprintf(w, "the books of ledger %s %s\n%s  through    entry %s\n", c.Ledger, did, e.place(), e.detail("through_seq"))
	for _, d := range e.Details {
		if currency, ok := strings.CutPrefix(d.Name, retainDetail); ok && err == nil {
			_, err = fmt.Fprintf(w, "  retained   %s in %s\n", currency, d.Value)
		}
	}
	return err
}

// periodReopenCommand undoes the newest closing: tallystick period reopen.
type periodReopenCommand struct {
	Remote `embed:""`
	Ledger string `required:"" placeholder:"NAME" help:"Ledger whose books are reopened."`
	End    string `required:"" placeholder:"DATE" help:"Last day of the newest closed period."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; it stands in the entry."`
	JSON   bool   `name:"json" help:"Print the entry as one JSON object."`
}

// Run reopens the period through the API; the key needs the scope approve.
func (c *periodReopenCommand) Run(ctx context.Context) error {
	server, err := periodServer(&c.Remote, c.End)
	if err != nil {
		return err
	}
	text, err := server.ReopenPeriod(ctx, c.Ledger, c.End, c.Reason)
	if err != nil {
		return fmt.Errorf("reopening the books of %s to %s: %w", c.Ledger, c.End, err)
	}
	if c.JSON {
		return printRaw(os.Stdout, text)
	}
	e, err := readPeriodEntry(text)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("the period of ledger %s to %s is open again\n%s", c.Ledger, c.End, e.place())
	return err
}

// periodServer checks the date and returns the server.
func periodServer(r *Remote, end string) (*client.Client, error) {
	if _, err := chain.ParseDate(end); err != nil {
		return nil, fmt.Errorf("reading --end %q: it is a date such as 2026-12-31", end)
	}
	return r.client()
}

// client returns the server that the flags name.
func (r *Remote) client() (*client.Client, error) {
	key, err := r.key()
	if err != nil {
		return nil, err
	}
	return client.New(r.URL, key)
}

// periodEntry is what is told of an entry that closes or reopens a period.
type periodEntry struct {
	Seq     *int64 `json:"seq"` // absent from a dry run
	Hash    string `json:"hash"`
	Details []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"details"`
}

func readPeriodEntry(text json.RawMessage) (*periodEntry, error) {
	e := new(periodEntry)
	if err := json.Unmarshal(text, e); err != nil {
		return nil, fmt.Errorf("reading the server's answer: %w", err)
	}
	return e, nil
}

// place returns the line that says where the entry stands, if it does.
func (e *periodEntry) place() string {
	if e.Seq == nil {
		return ""
	}
	return fmt.Sprintf("  entry      %d, hash %s\n", *e.Seq, e.Hash)
}

func (e *periodEntry) detail(name string) string {
	for _, d := range e.Details {
		if d.Name == name {
			return d.Value
		}
	}
	return "-"
}

// printRaw prints what the server sent as one line.
func printRaw(w io.Writer, text json.RawMessage) error {
	_, err := fmt.Fprintf(w, "%s\n", strings.TrimSpace(string(text)))
	return err
}
