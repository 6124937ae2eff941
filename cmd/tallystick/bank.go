package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"tallystick/ledger"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/reconcile/bankfile"
	"tallystick/reconcile/intake"
	"tallystick/reconcile/policy"
)

// bankConnections bounds the connections of the commands about banks.
const bankConnections = 4

// bankCommands are about files of banks.
type bankCommands struct {
	Import bankImportCommand `cmd:"" help:"Take files of banks: camt.053, camt.054, MT940, BAI2, or CSV with its columns described."`
	List   bankListCommand   `cmd:"" help:"List the statements of a ledger, and the files in quarantine with why."`
}

// bankImportCommand takes files of banks: tallystick bank import.
type bankImportCommand struct {
	Database `embed:""`
	Ledger   string   `default:"main" placeholder:"NAME" help:"Name or UUID of the ledger."`
	Files    []string `arg:"" type:"existingfile" help:"Files, in the order of their days."`
	Account  []string `placeholder:"[NUMBER=]CODE" help:"The ledger's account for a bank account, or for all that are not named; comes before the policy. It is remembered."`
	Policy   string   `type:"existingfile" placeholder:"FILE" help:"Policy file whose bank_accounts say which account is which."`
	Format   string   `default:"auto" enum:"auto,csv" help:"${enum}: a file tells by itself what it is, unless it is CSV."`
	Mapping  string   `type:"existingfile" placeholder:"FILE" help:"With --format csv: which columns the file has (YAML)."`
	JSON     bool     `name:"json" help:"Print one JSON object."`
}

// Run takes the files one after the other. It exits with 1 when something is in
// quarantine.
func (c *bankImportCommand) Run(ctx context.Context) error {
	byHand, err := accountsByHand(c.Account)
	if err != nil {
		return err
	}
	columns, err := c.columns()
	if err != nil {
		return err
	}
	read := func() (*policy.Policy, error) { return policyFromFile(c.Policy) }
	if _, err := read(); err != nil {
		return err
	}
	return c.withKeys(ctx, func(db *store.DB) error {
		id, err := db.LedgerID(ctx, c.Ledger)
		if err != nil {
			return noSuchLedger(c.Ledger, err)
		}
		desk := &bankDesk{db: db, policy: read}
		var receipts []bankReceipt
		quarantined := false
		for _, path := range c.Files {
			r, err := takeFile(ctx, desk, id, path, columns, byHand)
			if unfit, ok := errors.AsType[*intake.AccountError](err); ok {
				err = fmt.Errorf("%w\nhint: --account %s=CODE, or %s: CODE under bank_accounts of the policy", err, spaceless(unfit.BankAccount), spaceless(unfit.BankAccount))
			}
			if err != nil {
				return fmt.Errorf("taking %s: %w", path, err)
			}
			quarantined = quarantined || r.Outcome == string(intake.Quarantined)
			if receipts = append(receipts, r); !c.JSON {
				if err := r.print(os.Stdout); err != nil {
					return err
				}
			}
		}
		if c.JSON {
			if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"files": receipts}); err != nil {
				return err
			}
		}
		if quarantined {
			return exitError{exitTampered}
		}
		return nil
	})
}

// columns reads the description of a CSV file.
func (c *bankImportCommand) columns() (*bankfile.Columns, error) {
	switch {
	case c.Format == "csv" && c.Mapping == "":
		return nil, errors.New("reading --format csv: say with --mapping FILE which columns the file has")
	case c.Format != "csv" && c.Mapping != "":
		return nil, errors.New("reading --mapping: it goes with --format csv; all other formats tell by themselves what they are")
	case c.Mapping == "":
		return nil, nil
	}
	text, err := readBounded(c.Mapping, intake.MaxColumns)
	if err != nil {
		return nil, fmt.Errorf("reading --mapping: %w", err)
	}
	return intake.DecodeColumns(text)
}

// accountsByHand reads --account: CODE, or NUMBER=CODE.
func accountsByHand(given []string) (map[string]string, error) {
	byHand := make(map[string]string, len(given))
	for _, text := range given {
		number, code, named := strings.Cut(text, "=")
		if !named {
			number, code = "", text
		}
		number = spaceless(number)
		if code == "" || named && number == "" {
			return nil, fmt.Errorf("reading --account %q: it is CODE, or NUMBER=CODE", text)
		}
		if _, twice := byHand[number]; twice {
			return nil, fmt.Errorf("reading --account %q: an account is named for it already", text)
		}
		byHand[number] = code
	}
	return byHand, nil
}

func spaceless(s string) string { return strings.Join(strings.Fields(s), "") }

// policyFromFile reads a policy file, nil without one.
func policyFromFile(path string) (*policy.Policy, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readBounded(path, policy.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("reading --policy: %w", err)
	}
	p, err := policy.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("reading --policy %s: %w", path, err)
	}
	return p, nil
}

func noSuchLedger(name string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("looking for ledger %s: there is none\nhint: tallystick ledger open --help", name)
	}
	return err
}

// takeFile takes one file.
func takeFile(ctx context.Context, desk *bankDesk, id ledger.LedgerID, path string, columns *bankfile.Columns, byHand map[string]string) (bankReceipt, error) {
	file, err := os.Open(path)
	if err != nil {
		return bankReceipt{}, err
	}
	defer file.Close()
	by := "command line"
	if who, err := user.Current(); err == nil {
		by += ", " + who.Username
	}
	r, err := desk.take(ctx, id, intake.File{Name: filepath.Base(path), Content: file, Columns: columns, By: by}, byHand)
	if err != nil {
		return bankReceipt{}, err
	}
	receipt := bankReceipt{Path: path, Outcome: string(r.Outcome), File: r.File.Number, SHA256: r.File.SHA256.String(), Reasons: r.File.Reasons, Statements: []bankStatementLine{}}
	if r.Outcome != intake.Quarantined {
		receipt.Reasons = nil
	}
	for i := range r.Statements {
		receipt.Statements = append(receipt.Statements, lineOfStatement(&r.Statements[i].BankStatement, r.Statements[i].Already))
	}
	return receipt, nil
}

// bankReceipt is what became of a file, as it is printed.
type bankReceipt struct {
	Path       string              `json:"path"`
	Outcome    string              `json:"outcome"`
	File       int64               `json:"file,omitempty"`
	SHA256     string              `json:"sha256"`
	Reasons    []store.BankReason  `json:"reasons,omitempty"`
	Statements []bankStatementLine `json:"statements"`
}

// bankStatementLine is a statement, as it is printed.
type bankStatementLine struct {
	Statement   int64    `json:"statement"`
	Account     string   `json:"account"`
	BankAccount string   `json:"bank_account"`
	Currency    string   `json:"currency"`
	From        string   `json:"from,omitempty"`
	To          string   `json:"to"`
	Opening     string   `json:"opening,omitempty"`
	Credits     string   `json:"credits"`
	Debits      string   `json:"debits"`
	Closing     string   `json:"closing,omitempty"`
	Lines       int64    `json:"lines"`
	Already     bool     `json:"already_there,omitempty"`
	Notes       []string `json:"notes"`
}

func lineOfStatement(s *store.BankStatement, already bool) bankStatementLine {
	l := bankStatementLine{Statement: s.Number, Account: s.Account, BankAccount: s.BankAccount, Currency: s.Currency, To: s.To.String(),
		Credits: s.Credits.Format(s.Scale), Debits: s.Debits.Format(s.Scale), Lines: s.Lines, Already: already, Notes: append([]string{}, s.Notes...)}
	if s.From != nil {
		l.From = s.From.String()
	}
	for _, balance := range []struct {
		units *money.Int128
		to    *string
	}{{s.Opening, &l.Opening}, {s.Closing, &l.Closing}} {
		if balance.units != nil {
			*balance.to = balance.units.Format(s.Scale)
		}
	}
	return l
}

// print prints what became of a file.
func (r *bankReceipt) print(w io.Writer) error {
	words := map[string]string{
		string(intake.Accepted): "accepted", string(intake.Already): "already there; nothing was changed", string(intake.Quarantined): "in quarantine; nothing of it was taken",
	}[r.Outcome]
	if _, err := fmt.Fprintf(w, "%s: %s\n", r.Path, words); err != nil {
		return err
	}
	for _, reason := range r.Reasons {
		if _, err := fmt.Fprintf(w, "  %s: %s\n", reason.Code, reason.Text); err != nil {
			return err
		}
	}
	for i := range r.Statements {
		if _, err := fmt.Fprintf(w, "  %s\n", r.Statements[i].sentence()); err != nil {
			return err
		}
		for _, note := range r.Statements[i].Notes {
			if _, err := fmt.Fprintf(w, "    note: %s\n", note); err != nil {
				return err
			}
		}
	}
	return nil
}

// sentence tells a statement on one line.
func (l *bankStatementLine) sentence() string {
	known := func(balance string) string {
		if balance == "" {
			return "not stated"
		}
		return balance
	}
	text := fmt.Sprintf("statement %d of %s to %s, account %s: %s + %s − %s = %s %s, %d lines", l.Statement, l.BankAccount, l.To, l.Account,
		known(l.Opening), l.Credits, l.Debits, known(l.Closing), l.Currency, l.Lines)
	if l.Already {
		text += ", there before"
	}
	return text
}

// bankListCommand lists what was taken: tallystick bank list.
type bankListCommand struct {
	Database `embed:""`
	Ledger   string `default:"main" placeholder:"NAME" help:"Name or UUID of the ledger."`
	Account  string `placeholder:"CODE" help:"Only statements of this account of the ledger."`
	JSON     bool   `name:"json" help:"Print one JSON object."`
}

// bankListPage is how many statements or files are read at once.
const bankListPage = 1000

// Run lists statements and files in quarantine.
func (c *bankListCommand) Run(ctx context.Context) error {
	return c.withKeys(ctx, func(db *store.DB) error {
		id, err := db.LedgerID(ctx, c.Ledger)
		if err != nil {
			return noSuchLedger(c.Ledger, err)
		}
		statements := []bankStatementLine{}
		for after := int64(0); ; {
			page, err := db.BankStatements(ctx, id, store.BankStatementFilter{Account: c.Account, After: after, Limit: bankListPage})
			if err != nil {
				return err
			}
			for i := range page {
				statements, after = append(statements, lineOfStatement(&page[i], false)), page[i].Number
			}
			if len(page) < bankListPage {
				break
			}
		}
		quarantined, err := refusedFiles(ctx, db, id)
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(os.Stdout).Encode(map[string]any{"statements": statements, "quarantined": quarantined})
		}
		return printBankList(os.Stdout, statements, quarantined)
	})
}

// refusedFiles lists the files in quarantine, but for those that were accepted since.
func refusedFiles(ctx context.Context, db *store.DB, id ledger.LedgerID) ([]bankReceipt, error) {
	quarantined, accepted := []bankReceipt{}, map[string]bool{}
	for after := int64(0); ; {
		page, err := db.BankFiles(ctx, id, after, bankListPage)
		if err != nil {
			return nil, err
		}
		for _, f := range page {
			after = f.Number
			if f.Accepted {
				accepted[f.SHA256.String()] = true
				continue
			}
			quarantined = append(quarantined, bankReceipt{Path: f.Name, Outcome: string(intake.Quarantined), File: f.Number, SHA256: f.SHA256.String(), Reasons: f.Reasons, Statements: []bankStatementLine{}})
		}
		if len(page) < bankListPage {
			return slices.DeleteFunc(quarantined, func(r bankReceipt) bool { return accepted[r.SHA256] }), nil
		}
	}
}

func printBankList(out io.Writer, statements []bankStatementLine, quarantined []bankReceipt) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATEMENT\tACCOUNT\tBANK ACCOUNT\tFROM\tTO\tOPENING\tCREDITS\tDEBITS\tCLOSING\tCURRENCY\tLINES")
	for i := range statements {
		s := &statements[i]
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", s.Statement, s.Account, s.BankAccount, s.From, s.To, s.Opening, s.Credits, s.Debits, s.Closing, s.Currency, s.Lines)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i := range quarantined {
		if _, err := fmt.Fprintf(out, "bankfile:%d ", quarantined[i].File); err != nil {
			return err
		}
		if err := quarantined[i].print(out); err != nil {
			return err
		}
	}
	return nil
}
