// Command tallystick runs, checks and measures a Tallystick ledger; see
// tallystick --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // ledgers name time zones; the machine may have no database of them

	"github.com/alecthomas/kong"

	"tallystick/ledger"
)

// version is set by the linker; see the Makefile.
var version = "unversioned"

// commands is the whole command tree.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Serve the HTTP API, with an embedded database engine unless --database-url is given."`
	Migrate migrateCommand `cmd:"" help:"Bring the database to the newest schema and exit."`
	Ledger  struct {
		Open        ledgerOpenCommand        `cmd:"" help:"Open a ledger."`
		Reincarnate ledgerReincarnateCommand `cmd:"" help:"Open the successor of a ledger that has lost entries, bound to its last good checkpoint."`
		CarryOver   ledgerCarryOverCommand   `cmd:"" help:"Carry accounts, balances and open holds over into the successor of a ledger."`
	} `cmd:"" help:"Ledgers."`
	Period struct {
		Close  periodCloseCommand  `cmd:"" help:"Close the books up to a day, with the result moved to equity if asked to."`
		Reopen periodReopenCommand `cmd:"" help:"Reopen the newest closed period."`
	} `cmd:"" help:"Accounting periods."`
	Keys struct {
		Create keysCreateCommand `cmd:"" help:"Make an API key and print it, this once."`
		List   keysListCommand   `cmd:"" help:"List all API keys, revoked ones too."`
		Revoke keysRevokeCommand `cmd:"" help:"End an API key for ever."`
		Signer struct {
			Add    signerKeyAddCommand    `cmd:"" help:"Put on record that a key signs the ledger's checkpoints from here on."`
			Retire signerKeyRetireCommand `cmd:"" help:"Put on record that a key is not used any more; what it signed stays good."`
			Revoke signerKeyRevokeCommand `cmd:"" help:"Put on record that a key is compromised."`
			List   signerKeyListCommand   `cmd:"" help:"List the signing keys of a ledger, with the entries that added and ended them."`
		} `cmd:"" help:"Keys that sign a ledger's checkpoints: entries of the ledger, through the API."`
	} `cmd:"" help:"API keys, and the keys that sign checkpoints."`
	Checkpoint struct {
		Print   checkpointPrintCommand   `cmd:"" help:"Print the newest signed checkpoint of a ledger: keep it, and later proofs can begin from it."`
		Compare checkpointCompareCommand `cmd:"" help:"Compare two checkpoints of one ledger, such as two auditors were given."`
	} `cmd:"" help:"Signed checkpoints."`
	Prove struct {
		Entry       proveEntryCommand       `cmd:"" help:"Get the receipt of an entry, a .tlog-proof file."`
		Consistency proveConsistencyCommand `cmd:"" help:"Get the proof that a ledger extends what it was at an earlier size."`
		Statement   proveStatementCommand   `cmd:"" help:"Get the statement of an account with the proof of every line, and that none is missing."`
		Balance     proveBalanceCommand     `cmd:"" help:"Get the proof of an account's balance by the newest balance commitment."`
		Check       proveCheckCommand       `cmd:"" help:"Check a receipt, a statement proof or a balance proof, with no server and no database."`
	} `cmd:"" help:"Proofs that stand without the server."`
	Witness  witnessCommand `cmd:"" help:"Run a witness: cosign the checkpoints of logs, each only if it extends the one before."`
	Erase    eraseCommand   `cmd:"" help:"Erase the free text of an entry, a transfer or an account, on record and for ever."`
	Signer   signerCommand  `cmd:"" help:"Check every new entry, and sign checkpoints of what holds."`
	SuperLog struct {
		Reincarnate superLogReincarnateCommand `cmd:"" help:"Declare that the super-log has lost leaves, as after a restore, and begin its successor."`
	} `cmd:"" name:"super-log" help:"The log over the checkpoints of all ledgers."`
	Verify    verifyCommand     `cmd:"" help:"Re-derive a ledger from what the database holds, and report everything that does not hold."`
	Reconcile reconcileCommands `cmd:"" help:"The night: reconcile a ledger with itself and with the bank, and report."`
	Bundle    struct {
		Create bundleCreateCommand `cmd:"" help:"Write the ledger at a signed checkpoint to a file, with all that it takes to check it elsewhere."`
	} `cmd:"" help:"Evidence bundles."`
	Report struct {
		List reportListCommand `cmd:"" help:"List the reports there are."`
		Make reportCommand     `cmd:"" default:"withargs" help:"Compute a report of what a ledger holds; make may be left out."`
	} `cmd:"" help:"Financial reports: trial balance, balance sheet, income statement and others."`
	Statement statementCommand `cmd:"" help:"Write the statement of an account, also as camt.053."`

	Risk   riskCommand `cmd:"" help:"Compute the risk figures of a ledger by a policy file."`
	Policy struct {
		Check   policyCheckCommand   `cmd:"" help:"Read a policy file as a run would, and say what is wrong with it."`
		Adopt   policyAdoptCommand   `cmd:"" help:"Put on record which policy file binds the figures of a ledger, through the API."`
		Example policyExampleCommand `cmd:"" help:"Print a policy to begin with, which goes with the ledger of tallystick demo."`
	} `cmd:"" help:"Policy files."`
	Bank  bankCommands  `cmd:"" help:"Statements of banks: take files and list them."`
	Match matchCommands `cmd:"" help:"What belongs to what between bank and ledger, and decisions about what is open."`

	Import   importCommand   `cmd:"" help:"Post the rows of CSV or JSONL files to a running server."`
	Export   exportCommand   `cmd:"" help:"Write the entries of a ledger to a CSV, JSONL or hledger file."`
	Demo     demoCommand     `cmd:"" help:"Make a ledger that looks like a small payment institution after a year."`
	Simulate simulateCommand `cmd:"" help:"Write made-up payments with planted patterns, and their answer key, as files to import."`
	Bench    benchCommand    `cmd:"" help:"Measure a running server."`

	Version kong.VersionFlag `help:"Print the version and exit."`
}

// Exit codes of every command.
const (
	exitFine       = 0
	exitTampered   = 1
	exitIncomplete = 2
	exitUsage      = 3
)

// exitError ends the process with a code other than exitUsage; what there is to
// say has been said.
type exitError struct{ code int }

// Error names the code.
func (e exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func main() {
	if !ledger.Chained {
		fmt.Fprintln(os.Stderr, "tallystick: built without the hash chain, to measure it; build without the tag unchained")
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	var tree commands
	parser := kong.Must(&tree,
		kong.Name("tallystick"),
		kong.Description("A banking transaction ledger that is audited without being trusted."),
		kong.Vars{"version": version},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Exit(func(code int) {
			if code != exitFine {
				code = exitUsage
			}
			os.Exit(code)
		}),
	)
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "tallystick: %s\nhint: %s --help\n", err, asked(err))
		return exitUsage
	}
	err = command.Run()
	var exit exitError
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &exit):
		return exit.code
	}
	fmt.Fprintln(os.Stderr, "tallystick:", err)
	return exitUsage
}

// asked names the command that could not be parsed, as far as it was.
func asked(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) {
		if node := wrong.Context.Selected(); node != nil {
			return node.FullPath()
		}
	}
	return "tallystick"
}
