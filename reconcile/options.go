package reconcile

import (
	"errors"
	"fmt"
	"time"

	"tallystick/ledger/chain"
)

// Level is how far a verification goes; each includes those before it.
type Level int

// The levels. Their numbers are those of the command line.
const (
	// ByDefault is LevelSchema.
	ByDefault Level = iota
	// LevelHead (0): the newest checkpoint, its signatures and its age.
	LevelHead
	// LevelPin (1): that the ledger extends the checkpoint that was pinned.
	LevelPin
	// LevelChain (2): hashes, chain and tree of the entries since the pin, or of
	// all without one, and every checkpoint since.
	LevelChain
	// LevelColumns (3): everything that can be re-derived from the columns, of
	// all entries.
	LevelColumns
	// LevelSchema (4): tables, constraints, grants, and ledgers that vanished.
	LevelSchema
	// LevelEvidence (5): what lies outside the database: receipts, archived
	// checkpoints, the signer's state.
	LevelEvidence
)

// LevelNumbered returns the level with a number of the command line.
func LevelNumbered(n int) (Level, error) {
	if n < LevelHead.Number() || n > LevelEvidence.Number() {
		return 0, fmt.Errorf("reading level %d: there are levels %d to %d", n, LevelHead.Number(), LevelEvidence.Number())
	}
	return LevelHead + Level(n), nil
}

// Number returns the number of the command line.
func (l Level) Number() int {
	if l == ByDefault {
		l = LevelSchema
	}
	return int(l - LevelHead)
}

// Document is a file that is held against the ledger.
type Document struct {
	Name string // for the report
	Data []byte
}

// MaxDocuments bounds the receipts and archived checkpoints of one verification.
const MaxDocuments = 1000

// Options say how to verify, and against what.
type Options struct {
	// Level is how far to go; ByDefault is LevelSchema.
	Level Level
	// Workers is how many segments are read at once, each over a connection of
	// its own; 0 means DefaultWorkers. The result does not depend on it.
	Workers int
	// Progress, unless nil, is called now and then with the number of entries
	// done and their total, by one goroutine at a time. Where the entries are
	// read twice they count twice.
	Progress func(done, total int64)
	// Policy, unless nil, says whose signatures count. Without one, those of the
	// keys that the chain itself names.
	Policy *chain.Policy
	// Fresh, unless 0, is how old the newest checkpoint and its cosignatures may
	// be.
	Fresh time.Duration
	// Since, unless nil, is the checkpoint that the reader of the report kept
	// from an earlier verification.
	Since *Document
	// Archived are signed checkpoints from anywhere, Receipts are .tlog-proof
	// files of clients, and SignerState, unless nil, is the state file of the
	// signer: evidence of LevelEvidence.
	Archived, Receipts []Document
	SignerState        *Document
	// At, unless nil, is the cut to verify, as it was made some time ago. What has
	// come since is looked at only as far as it shows that entries are gone.
	At *Cut
	// Spans, unless empty, are the entries to read, from LevelColumns on. All others
	// are taken as they stand, but for what is about the ledger as a whole: its
	// balances, its rules, its checkpoints and its schema.
	Spans []Span
	// Others has the other ledgers reported that vanished whole from the database.
	Others bool
	// SuperLog has the super-log read whole: its rows, its tree and its signature,
	// and whether each ledger that it names has the checkpoint that it says.
	SuperLog bool
	// Stored has what the night stored beside the book held against the entries, at
	// LevelSchema: snapshots of balances where all entries are read, the rows of
	// runs, and what runs put out.
	Stored bool
}

// errLevel: options that need a higher level.
var errLevel = errors.New("the level is too low for it")

// check fills in the defaults, and looks for options that contradict each other.
func (o *Options) check() error {
	if o.Level == ByDefault {
		o.Level = LevelSchema
	}
	if o.Workers <= 0 {
		o.Workers = DefaultWorkers()
	}
	external := len(o.Receipts) + len(o.Archived)
	switch {
	case external > MaxDocuments:
		return fmt.Errorf("reading %d receipts and checkpoints: at most %d are held against a ledger at once", external, MaxDocuments)
	case o.Level < LevelEvidence && (external > 0 || o.SignerState != nil):
		return fmt.Errorf("reading receipts, archived checkpoints or a signer's state: %w: they are held against the ledger at level %d", errLevel, LevelEvidence.Number())
	case o.Level < LevelPin && o.Since != nil:
		return fmt.Errorf("reading the pinned checkpoint: %w: it is held against the ledger from level %d on", errLevel, LevelPin.Number())
	}
	return nil
}
