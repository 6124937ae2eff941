package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/schollz/progressbar/v3"

	"tallystick/api/client"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile"
	"tallystick/reconcile/intake"
	"tallystick/reconcile/policy"
)

// reconcileCommands run the night and look at runs.
type reconcileCommands struct {
	Run     reconcileRunCommand  `cmd:"" default:"withargs" help:"Run the night of a ledger: chain, books, bank, risk, reports; the outcome becomes an entry."`
	List    reconcileListCommand `cmd:"" help:"List the runs of a ledger, those of the latest day first."`
	Show    reconcileShowCommand `cmd:"" help:"Show what a run found and put out."`
	SignOff signOffCommand       `cmd:"" name:"sign-off" help:"Sign a run off, through the API: one reviews, somebody else approves."`
}

// runConnections bounds the connections of a run that write.
const runConnections = 4

// reconcileRunCommand runs the night once: tallystick reconcile.
type reconcileRunCommand struct {
	Database    `embed:""`
	nightFiles  `embed:"" envprefix:"TALLYSTICK_NIGHT_"`
	Ledger      string   `default:"main" placeholder:"NAME" help:"Name or UUID of the ledger."`
	AsOf        string   `placeholder:"DATE" help:"Day whose end the figures are for; the last business day that is over by default."`
	Statements  []string `type:"existingfile" placeholder:"FILE" help:"File of a bank to take first, as tallystick bank import does; may be repeated."`
	Full        bool     `xor:"reading" help:"Read all entries."`
	Incremental bool     `xor:"reading" help:"Read what came since the last run that passed, and a seventh of the rest."`
	Again       bool     `help:"Compute a run that has ended once more and compare; nothing is written."`
	SignerState string   `type:"path" placeholder:"FILE" help:"State file of the signer, from which an increment begins; signer/state.json in the data folder by default."`
	APIKeyFile  string   `name:"api-key-file" type:"path" placeholder:"FILE" help:"File that holds the API key of whoever prepares the run; without it TALLYSTICK_API_KEY, and without that the ledger itself prepares it."`
	Workers     int      `placeholder:"N" help:"Segments read at once, each over a connection of its own; by default, twice as many as processors."`
	JSON        bool     `name:"json" help:"Print one JSON object."`
}

// Run runs the night. It exits with 0 when nothing critical was found, 1 after
// critical findings or breaches of the policy, 2 when something could not be
// checked, and 3 when it could not begin or go on; then the same command goes on.
func (c *reconcileRunCommand) Run(ctx context.Context) error {
	return c.run(ctx, os.Stdout, os.Stderr)
}

func (c *reconcileRunCommand) run(ctx context.Context, stdout, stderr *os.File) error {
	sparing()
	o := reconcile.NightOptions{Again: c.Again, Workers: c.Workers}
	switch {
	case c.Workers < 0 || c.Workers > maxVerifyWorkers:
		return fmt.Errorf("reading --workers %d: it is at most %d", c.Workers, maxVerifyWorkers)
	case c.Full:
		o.Reading = reconcile.ReadWhole
	case c.Incremental:
		o.Reading = reconcile.ReadIncrement
	}
	var err error
	if o.AsOf, err = optionalDay("--as-of", c.AsOf); err != nil {
		return err
	}
	work, stop, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer stop()
	actor, err := c.actor(ctx, work.db)
	if err != nil {
		return err
	}
	if o.Ledger, err = reconcile.FindLedger(ctx, work.db, c.Ledger); err != nil {
		return nightUsage(err)
	}
	if err := c.takeStatements(ctx, work, ledger.LedgerID{UUID: o.Ledger}, stderr); err != nil {
		return err
	}
	var finish func()
	o.Progress, finish = showPhases(terminal(stderr), "entries")
	result, err := work.run(ctx, actor, time.Now, o)
	finish()
	if err != nil {
		return nightUsage(err)
	}
	if err := printNight(stdout, &result, c.Ledger, c.JSON); err != nil {
		return fmt.Errorf("printing the run: %w", err)
	}
	return nightExit(&result)
}

// takeStatements takes the files of --statements, and says on stderr what became
// of each. What is in quarantine is a finding of the run.
func (c *reconcileRunCommand) takeStatements(ctx context.Context, work *nightWork, id ledger.LedgerID, stderr *os.File) error {
	desk := &bankDesk{db: work.db, policy: func() (*policy.Policy, error) { return policyFromFile(c.Policy) }}
	for _, path := range c.Statements {
		receipt, err := takeFile(ctx, desk, id, path, nil, nil)
		if unfit, ok := errors.AsType[*intake.AccountError](err); ok {
			err = fmt.Errorf("%w\nhint: %s: CODE under bank_accounts of the policy, or tallystick bank import --account", err, spaceless(unfit.BankAccount))
		}
		if err != nil {
			return fmt.Errorf("taking %s: %w", path, err)
		}
		if err := receipt.print(stderr); err != nil {
			return err
		}
	}
	return nil
}

// begin opens what a run writes with.
func (c *reconcileRunCommand) begin(ctx context.Context) (work *nightWork, stop func(), err error) {
	if err := c.mustExist(); err != nil {
		return nil, nil, err
	}
	running, err := c.start(ctx)
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(ctx, running.url, store.RoleApp, runConnections)
	if err != nil {
		running.stop(ctx)
		return nil, nil, err
	}
	journal := db.Journal()
	poster := ledger.NewSequencers(ctx, journal, journal.ClockOffset)
	state := c.SignerState
	if state == "" {
		state = signerFiles{}.within(c.DataDir).State
	}
	return &nightWork{url: running.url, db: db, poster: poster, files: c.nightFiles, state: state}, func() {
		poster.Stop()
		db.Close()
		running.stop(ctx)
	}, nil
}

// actor returns whose key prepares the run; the nil key without one.
func (c *reconcileRunCommand) actor(ctx context.Context, db *store.DB) (ledger.KeyID, error) {
	if c.APIKeyFile == "" && os.Getenv("TALLYSTICK_API_KEY") == "" {
		return ledger.KeyID{}, nil
	}
	key, err := (&Remote{APIKeyFile: c.APIKeyFile}).key()
	if err != nil {
		return ledger.KeyID{}, err
	}
	p, err := db.KeyByHash(ctx, sha256.Sum256([]byte(key)))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ledger.KeyID{}, errors.New("looking for the API key: this database does not know it")
	case err != nil:
		return ledger.KeyID{}, fmt.Errorf("looking for the API key: %w", err)
	case !p.Scopes.Has(store.ScopePost):
		return ledger.KeyID{}, errors.New("taking the API key: preparing a run needs the scope post")
	}
	return p.ID, nil
}

// optionalDay reads a flag that is a date or empty.
func optionalDay(flag, text string) (*chain.Date, error) {
	if text == "" {
		return nil, nil
	}
	day, err := chain.ParseDate(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s %q: it is a date such as 2026-12-31", flag, text)
	}
	return &day, nil
}

// showPhases draws a bar for the phase at work, which counts units, if somebody is
// watching.
func showPhases(stderr *os.File, units string) (progress func(phase string, done, total int64), finish func()) {
	if stderr == nil {
		return nil, func() {}
	}
	var bar *progressbar.ProgressBar
	at := ""
	finish = func() {
		if bar != nil {
			_ = bar.Finish()
		}
	}
	return func(phase string, done, total int64) {
		if phase != at {
			finish()
			at = phase
			bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(stderr), progressbar.OptionThrottle(progressEvery),
				progressbar.OptionSetDescription(phase), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
				progressbar.OptionSetItsString(units), progressbar.OptionClearOnFinish())
		}
		if total > 0 {
			bar.ChangeMax64(total)
		}
		_ = bar.Set64(done)
	}, finish
}

// reconcileListCommand lists runs: tallystick reconcile list.
type reconcileListCommand struct {
	Database `embed:""`
	Ledger   string `default:"main" placeholder:"NAME" help:"Name or UUID of the ledger."`
	Limit    int    `default:"30" help:"How many runs, at most 1000."`
	JSON     bool   `name:"json" help:"Print one JSON object a line."`
}

// maxListedRuns bounds --limit.
const maxListedRuns = 1000

// Run lists the runs that the database holds.
func (c *reconcileListCommand) Run(ctx context.Context) error {
	if c.Limit < 1 || c.Limit > maxListedRuns {
		return fmt.Errorf("reading --limit %d: it is 1 to %d", c.Limit, maxListedRuns)
	}
	db, disconnect, err := c.Connect(ctx, store.RoleAuditor, nightConnections)
	if err != nil {
		return err
	}
	defer disconnect()
	id, err := reconcile.FindLedger(ctx, db, c.Ledger)
	if err != nil {
		return err
	}
	runs, err := db.Runs(ctx, ledger.LedgerID{UUID: id}, nil, c.Limit)
	if err != nil {
		return nightUsage(err)
	}
	if c.JSON {
		for i := range runs {
			if err := json.NewEncoder(os.Stdout).Encode(reconcile.ShowRun(&runs[i])); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AS OF\tRUN\tSIZE\tRESULT\tCRITICAL\tWARNINGS\tENTRY\tSTARTED")
	for i := range runs {
		r := &runs[i]
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%d\t%s\t%s\n", r.AsOf, r.ID, r.Size, standing(r), r.Critical, r.Warnings, seqText(r.EntrySeq), r.StartedAt.UTC().Format(time.RFC3339))
	}
	return w.Flush()
}

// standing is the result of a run, or where it is.
func standing(r *store.Run) string {
	if r.Phase == store.PhaseDone {
		return r.Result
	}
	return "at " + r.Phase
}

func seqText(seq *int64) string {
	if seq == nil {
		return "-"
	}
	return fmt.Sprint(*seq)
}

// reconcileShowCommand shows a run: tallystick reconcile show.
type reconcileShowCommand struct {
	Database `embed:""`
	Ledger   string `default:"main" placeholder:"NAME" help:"Name or UUID of the ledger."`
	JSON     bool   `name:"json" help:"Print one JSON object."`
	ID       string `arg:"" name:"run" help:"Id of the run."`
}

// Run shows a run as it is stored, held against its entry in the ledger. It exits
// as the run did.
func (c *reconcileShowCommand) Run(ctx context.Context) error {
	run, err := uuid.Parse(c.ID)
	if err != nil {
		return fmt.Errorf("reading the id of the run %q: it is a UUID; tallystick reconcile list shows them", c.ID)
	}
	db, disconnect, err := c.Connect(ctx, store.RoleAuditor, nightConnections)
	if err != nil {
		return err
	}
	defer disconnect()
	id, err := reconcile.FindLedger(ctx, db, c.Ledger)
	if err != nil {
		return err
	}
	row, err := db.Run(ctx, ledger.LedgerID{UUID: id}, run)
	if err != nil {
		return nightUsage(err)
	}
	result, err := reconcile.NightResultOf(ctx, db, row)
	if err != nil {
		return err
	}
	if err := printNight(os.Stdout, &result, c.Ledger, c.JSON); err != nil {
		return fmt.Errorf("printing the run: %w", err)
	}
	return nightExit(&result)
}

// signOffCommand signs a run off: tallystick reconcile sign-off.
type signOffCommand struct {
	Remote  `embed:""`
	Ledger  string `default:"main" placeholder:"NAME" help:"Ledger of the run."`
	Outcome string `required:"" enum:"reviewed,approved,rejected" help:"What you say of it: ${enum}. One reviews, somebody else approves; either may reject."`
	Reason  string `placeholder:"TEXT" help:"Why; it stands with the entry and can be erased."`
	JSON    bool   `name:"json" help:"Print the entry as one JSON object."`
	ID      string `arg:"" name:"run" help:"Id of the run."`
}

// Run signs off through the API; the key needs the scope approve.
func (c *signOffCommand) Run(ctx context.Context) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	text, err := server.SignOff(ctx, c.Ledger, c.ID, client.SignOff{Outcome: c.Outcome, Reason: c.Reason})
	if err != nil {
		return fmt.Errorf("signing off run %s: %w", c.ID, err)
	}
	if c.JSON {
		return printRaw(os.Stdout, text)
	}
	e, err := readPeriodEntry(text)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("run %s of ledger %s is %s\n%s", c.ID, c.Ledger, c.Outcome, e.place())
	return err
}
