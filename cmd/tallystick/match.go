package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"tallystick/api/client"
	"tallystick/ledger/store"
	"tallystick/reconcile"
	"tallystick/reconcile/bankbook"
	"tallystick/reconcile/match"
)

// matchCommands are about what belongs to what between bank and ledger.
type matchCommands struct {
	Run      matchRunCommand      `cmd:"" help:"Match now, without storing anything, and show what is open."`
	List     matchListCommand     `cmd:"" help:"List the breaks that the newest run found."`
	Explain  matchExplainCommand  `cmd:"" help:"Say why a line did not match: the nearest candidate and the test that failed."`
	Match    matchMatchCommand    `cmd:"" help:"Decide that lines belong together."`
	Accept   matchAcceptCommand   `cmd:"" help:"Accept a suggested match."`
	Unmatch  matchUnmatchCommand  `cmd:"" help:"Decide that lines do not belong together."`
	Assign   matchAssignCommand   `cmd:"" help:"Give a break an owner and a cause."`
	Note     matchNoteCommand     `cmd:"" help:"Put a note on record about a break, or about a file in quarantine (bankfile:NUMBER)."`
	WriteOff matchWriteOffCommand `cmd:"" name:"write-off" help:"Book the difference of a break to an account, and settle it with that."`
	Carry    matchCarryCommand    `cmd:"" help:"Leave a break open, knowingly."`
}

// matchFlags say what to match.
type matchFlags struct {
	Database `embed:""`
	Ledger   string `default:"main" placeholder:"NAME" help:"Name or UUID of the ledger."`
	Policy   string `type:"existingfile" placeholder:"FILE" help:"Policy file: bank accounts, rules, calendar."`
	AsOf     string `placeholder:"DATE" help:"Day whose end is looked at; that of the newest entry by default."`
	JSON     bool   `name:"json" help:"Print one JSON object."`
}

// outcome matches now.
func (c *matchFlags) outcome(ctx context.Context, account string) (*reconcile.BankOutcome, error) {
	o := reconcile.NightOptions{}
	var err error
	if o.Policy, err = policyFromFile(c.Policy); err != nil {
		return nil, err
	}
	if o.AsOf, err = optionalDay("--as-of", c.AsOf); err != nil {
		return nil, err
	}
	db, disconnect, err := c.Connect(ctx, store.RoleAuditor, bankConnections)
	if err != nil {
		return nil, err
	}
	defer disconnect()
	if o.Ledger, err = reconcile.FindLedger(ctx, db, c.Ledger); err != nil {
		return nil, err
	}
	return reconcile.MatchBank(ctx, db, time.Now(), o, account)
}

// matchRunCommand matches now: tallystick match run.
type matchRunCommand struct {
	matchFlags `embed:""`
	Account    string `placeholder:"CODE" help:"Only this account of the ledger."`
}

// Run exits with 1 when a proof does not hold. Breaks alone are no failure.
func (c *matchRunCommand) Run(ctx context.Context) error {
	out, err := c.outcome(ctx, c.Account)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(out)
	} else {
		err = printOutcome(os.Stdout, out)
	}
	if err != nil {
		return fmt.Errorf("printing what was matched: %w", err)
	}
	for _, r := range out.Accounts {
		if r.State == bankbook.NotReconciled {
			return exitError{exitTampered}
		}
	}
	return nil
}

// printOutcome prints each account: its proofs, its totals and what is open.
func printOutcome(w io.Writer, out *reconcile.BankOutcome) error {
	for _, f := range out.Findings() {
		account, stored := "", ""
		if f.Account != nil {
			account = " account " + *f.Account
		}
		if f.Stored != nil {
			stored = ": " + *f.Stored
		}
		if _, err := fmt.Fprintf(w, "%s %s%s%s\n", f.Severity, f.Code, account, stored); err != nil {
			return err
		}
	}
	for _, r := range out.Accounts {
		if _, err := fmt.Fprintf(w, "%s as of %s: %s\n", r.Account, r.AsOf, strings.ReplaceAll(string(r.State), "_", " ")); err != nil {
			return err
		}
		if r.Proof == nil {
			continue
		}
		p := r.Proof
		if _, err := fmt.Fprintf(w, "  bank %s − ledger %s = %s %s, of which open breaks explain %s; difference %s\n", p.BankClosing.Format(r.Scale), p.LedgerClosing.Format(r.Scale),
			p.Difference.Format(r.Scale), r.Currency, p.OpenBreaks.Format(r.Scale), p.Unexplained.Format(r.Scale)); err != nil {
			return err
		}
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, t := range r.Totals {
			fmt.Fprintf(tw, "  %s\t%d groups\t%d lines\t%s %s\n", t.Status, t.Groups, t.Lines, t.Amount.Difference.Format(r.Scale), r.Currency)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
		if err := printBreaks(w, r.Breaks); err != nil {
			return err
		}
	}
	return nil
}

func printBreaks(w io.Writer, breaks []bankbook.Break) error {
	if len(breaks) == 0 {
		_, err := fmt.Fprintln(w, "nothing is open")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "BREAK\tACCOUNT\tSTATUS\tSINCE\tAGE\tDIFFERENCE\tOWNER\tLINES\tCAUSE")
	for i := range breaks {
		b := &breaks[i]
		var lines, differences []string
		for _, l := range b.Lines[:min(len(b.Lines), 4)] {
			lines = append(lines, l.ID)
		}
		for _, a := range b.Amounts {
			differences = append(differences, a.Difference.Format(a.Scale)+" "+a.Currency)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", b.ID, b.Account, b.Status, b.Since, b.Age, strings.Join(differences, ", "), b.Owner, strings.Join(lines, " "), b.Cause)
	}
	return tw.Flush()
}

// matchListCommand lists the breaks of the newest run: tallystick match list.
type matchListCommand struct {
	Database `embed:""`
	Ledger   string `default:"main" placeholder:"NAME" help:"Name or UUID of the ledger."`
	Account  string `placeholder:"CODE" help:"Only breaks of this account."`
	Status   string `placeholder:"STATUS" help:"Only breaks of this status, such as unmatched_bank."`
	Bucket   string `placeholder:"DAYS" help:"Only breaks of this age: 0-4, 5-15, 16-30, 31-45 or 46+."`
	Settled  bool   `help:"Those that people have settled, instead of those that are open."`
	JSON     bool   `name:"json" help:"Print one JSON object."`
}

// Run lists the breaks.
func (c *matchListCommand) Run(ctx context.Context) error {
	return c.withKeys(ctx, func(db *store.DB) error {
		id, err := db.LedgerID(ctx, c.Ledger)
		if err != nil {
			return noSuchLedger(c.Ledger, err)
		}
		run, ok, err := newestRun(ctx, db, id)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("looking for the newest run of ledger %s: there is none\nhint: tallystick match run matches now; tallystick reconcile runs the night", c.Ledger)
		}
		out, err := bankOutcome(ctx, db, run.ID)
		if err != nil {
			return err
		}
		breaks := []bankbook.Break{}
		for _, a := range out.Accounts {
			list := a.Breaks
			if c.Settled {
				list = a.Settled
			}
			for _, b := range list {
				if (c.Account == "" || c.Account == b.Account) && (c.Status == "" || match.Status(c.Status) == b.Status) && (c.Bucket == "" || match.Bucket(c.Bucket) == b.Bucket) {
					breaks = append(breaks, b)
				}
			}
		}
		if c.JSON {
			return json.NewEncoder(os.Stdout).Encode(map[string]any{"run": run.ID.String(), "as_of": run.AsOf.String(), "breaks": breaks})
		}
		if _, err := fmt.Printf("run %s as of %s\n", run.ID, run.AsOf); err != nil {
			return err
		}
		return printBreaks(os.Stdout, breaks)
	})
}

// matchExplainCommand explains a line: tallystick match explain.
type matchExplainCommand struct {
	matchFlags `embed:""`
	Line       string `arg:"" help:"Line: bank:STATEMENT/LINE or ledger:SEQ/POSTING."`
}

// Run matches now and explains.
func (c *matchExplainCommand) Run(ctx context.Context) error {
	if _, _, _, err := bankbook.ParseLine(c.Line); err != nil {
		return err
	}
	out, err := c.outcome(ctx, "")
	if err != nil {
		return err
	}
	for _, r := range out.Accounts {
		e, ok := r.Explain(c.Line)
		if !ok {
			continue
		}
		if c.JSON {
			return json.NewEncoder(os.Stdout).Encode(e)
		}
		return printExplanation(os.Stdout, &e)
	}
	return fmt.Errorf("explaining line %s: no account that is reconciled has it on or before that day\nhint: tallystick bank list shows the statements, tallystick match run --policy FILE what is reconciled", c.Line)
}

func printExplanation(w io.Writer, e *match.Explanation) error {
	if _, err := fmt.Fprintf(w, "%s: %s (group %s)\n  %s\n", e.Line, strings.ReplaceAll(string(e.Status), "_", " "), e.Group, e.Words); err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, t := range e.Tests {
		passed := "fails"
		if t.Passed {
			passed = "holds"
		}
		fmt.Fprintf(tw, "  %s\t%s\tbank %s\tledger %s\t%s\n", t.Name, passed, t.Bank, t.Ledger, t.Words)
	}
	return tw.Flush()
}

// decisionFlags are those of all decisions.
type decisionFlags struct {
	Remote `embed:""`
	Ledger string `default:"main" placeholder:"NAME" help:"Name or UUID of the ledger."`
	Reason string `required:"" placeholder:"TEXT" help:"Why. It is bound to the entry, and can be erased."`
	JSON   bool   `name:"json" help:"Print what the server answers."`
}

// decide puts a decision on record through the API; the key needs the scope
// approve. Subjects are lines, or one break.
func (c *decisionFlags) decide(ctx context.Context, subjects []string, d client.NewDecision) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	d.Reason = c.Reason
	if len(subjects) == 1 && !strings.Contains(subjects[0], ":") {
		d.Break = subjects[0]
	} else {
		d.Lines = subjects
	}
	answer, err := server.Decide(ctx, c.Ledger, d)
	if err != nil {
		return fmt.Errorf("deciding %s: %w%s", d.Action, err, hintToDecide(err))
	}
	if c.JSON {
		return printRaw(os.Stdout, answer)
	}
	var made struct {
		Seq      int64    `json:"seq"`
		Subjects []string `json:"subjects"`
		EntrySeq *int64   `json:"entry_seq"`
		Amount   string   `json:"amount"`
		Currency string   `json:"currency"`
	}
	if err := json.Unmarshal(answer, &made); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	text := fmt.Sprintf("entry %d: %s %s", made.Seq, strings.ReplaceAll(d.Action, "_", " "), strings.Join(made.Subjects, " "))
	if made.EntrySeq != nil {
		text += fmt.Sprintf("; entry %d books %s %s on the account", *made.EntrySeq, made.Amount, made.Currency)
	}
	_, err = fmt.Printf("%s; it counts from the next run on\n", text)
	return err
}

func hintToDecide(err error) string {
	switch {
	case client.HasCode(err, "break_not_found"):
		return "\nhint: tallystick match list shows the breaks of the newest run; lines can be named instead"
	case client.HasCode(err, "line_not_found"):
		return "\nhint: tallystick match run and tallystick bank list show which lines there are"
	}
	return ""
}

// matchMatchCommand matches by hand.
type matchMatchCommand struct {
	decisionFlags `embed:""`
	Lines         []string `arg:"" help:"Lines that belong together, or a break."`
}

// Run decides.
func (c *matchMatchCommand) Run(ctx context.Context) error {
	return c.decide(ctx, c.Lines, client.NewDecision{Action: "match"})
}

// matchAcceptCommand accepts a suggestion.
type matchAcceptCommand struct {
	decisionFlags `embed:""`
	Lines         []string `arg:"" help:"The break that was suggested, or its lines."`
}

// Run decides.
func (c *matchAcceptCommand) Run(ctx context.Context) error {
	return c.decide(ctx, c.Lines, client.NewDecision{Action: "accept"})
}

// matchUnmatchCommand parts lines.
type matchUnmatchCommand struct {
	decisionFlags `embed:""`
	Lines         []string `arg:"" help:"Lines that do not belong together, or a break."`
}

// Run decides.
func (c *matchUnmatchCommand) Run(ctx context.Context) error {
	return c.decide(ctx, c.Lines, client.NewDecision{Action: "unmatch"})
}

// matchAssignCommand gives a break an owner and a cause.
type matchAssignCommand struct {
	decisionFlags `embed:""`
	Lines         []string `arg:"" help:"Break, or its lines."`
	Owner         string   `placeholder:"WORD" help:"Who sees to it: a team, not a person; it stands in reports for ever."`
	Cause         string   `placeholder:"WORD" help:"What is behind it, such as bank_fee."`
}

// Run decides.
func (c *matchAssignCommand) Run(ctx context.Context) error {
	if c.Owner == "" && c.Cause == "" {
		return errors.New("reading --owner and --cause: name at least one of them")
	}
	return c.decide(ctx, c.Lines, client.NewDecision{Action: "assign", Owner: c.Owner, Cause: c.Cause})
}

// matchNoteCommand puts a note on record.
type matchNoteCommand struct {
	decisionFlags `embed:""`
	Lines         []string `arg:"" help:"Break, its lines, or a file in quarantine: bankfile:NUMBER."`
}

// Run decides.
func (c *matchNoteCommand) Run(ctx context.Context) error {
	return c.decide(ctx, c.Lines, client.NewDecision{Action: "note"})
}

// matchWriteOffCommand writes a break off.
type matchWriteOffCommand struct {
	decisionFlags `embed:""`
	Lines         []string `arg:"" help:"Break, or its lines."`
	Account       string   `required:"" placeholder:"CODE" help:"Account that the difference is booked to."`
	Supersedes    string   `placeholder:"ID" help:"Earlier decision that wrote these lines off and was taken back."`
}

// Run books and decides. Run again, it finishes what failed half-way, and books nothing twice.
func (c *matchWriteOffCommand) Run(ctx context.Context) error {
	return c.decide(ctx, c.Lines, client.NewDecision{Action: "write_off", Account: c.Account, Supersedes: c.Supersedes})
}

// matchCarryCommand leaves a break open.
type matchCarryCommand struct {
	decisionFlags `embed:""`
	Lines         []string `arg:"" help:"Break, or its lines."`
	Until         string   `placeholder:"DATE" help:"Last day; without end when left out."`
}

// Run decides.
func (c *matchCarryCommand) Run(ctx context.Context) error {
	return c.decide(ctx, c.Lines, client.NewDecision{Action: "carry", Until: c.Until})
}
