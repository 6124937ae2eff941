package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/calendar"
	"tallystick/reconcile/policy"
)

// A night is one run of the nightly job over one ledger:
//
//	freeze ─▶ chain ─▶ books ─▶ bank ─▶ risk ─▶ reports ─▶ sign
//	  │         └────────┴────────┴───────┴────────┘         │
//	  │             findings and outputs, stored             └ a run entry in the ledger
//	  │             with the phase that they came of
//	  └ a size and head of the ledger, a day, and the digests of everything else that
//	    is read: together they are the run's key
//
// The same key is the same run: it goes on where it was killed, and once it has
// ended it is answered from the store. What it puts out depends on nothing but
// what the key covers: no clock, no order of maps or workers.

// phase is a part of the night. It may be killed anywhere and is then done again
// from its beginning: it leaves nothing but what it Puts and Finds. Its error
// says that the night cannot go on now; what is wrong with the books is a finding,
// and what could not be looked at is said by NotChecked.
//
// version is part of a run's key. It is raised when the same inputs come to give
// other outputs, so that what an older version stored is not taken for what this
// one would have said.
type phase struct {
	name    string
	version int
	do      func(*Night, context.Context) error
}

// phases is the night on one screen.
var phases = []phase{
	{"chain", 1, (*Night).chainPhase},     // nobody changed what was sealed
	{"books", 1, (*Night).booksPhase},     // the books agree with themselves
	{"bank", 1, (*Night).bankPhase},       // and with the bank
	{"risk", 1, (*Night).riskPhase},       // what that means
	{"reports", 1, (*Night).reportsPhase}, // and how it reads
	{signing, 1, nil},                     // see sign: the outcome becomes an entry
}

// signing is the last phase.
const signing = "sign"

// Night is one run at work. Phases read the ledger through Snapshot, which is
// pinned, and what else they read they find here.
type Night struct {
	RunID    uuid.UUID
	Key      chain.Hash
	LedgerID uuid.UUID
	// Snapshot is the ledger up to the end of the day: its Size and Head.
	Snapshot *store.Snapshot
	// Present is the ledger when the run was frozen. Entries from Snapshot.Size on
	// are of later days; decisions and erasures among them count, and the run is
	// pinned to their digest.
	Present int64
	Terms   chain.LedgerTerms
	AsOf    chain.Date // booking date: the day whose end the figures are for
	Days    calendar.Calendar
	Plan    Plan
	// Previous is the newest run of an earlier day that has ended; nil without one.
	Previous *PreviousRun

	Policy *policy.Policy // nil without one
	Rates  *Document      // rates.csv; nil without
	Inputs *Document      // inputs.csv; nil without
	// Statements is the highest number of a bank statement that the run is pinned
	// to: those up to it that end up to AsOf. BankFiles is that of a quarantined
	// file, whatever its day. Both are 0 without one.
	Statements, BankFiles int64

	DB      *store.DB
	Keeper  *Keeper
	Workers int
	// Progress tells how far the phase at work is.
	Progress func(done, total int64)

	found     found
	notReRead int64
	passed    int64             // entries that the reports of periods have read
	outputs   []store.RunOutput // of the phase at work
	kept      []store.RunOutput // of the phases before, without bodies
	again     bool              // nothing is stored
	bodies    map[string][]byte // of all phases, while nothing is stored
}

// Plan says which entries the chain phase reads.
type Plan struct {
	// Whole: all of them.
	Whole bool `json:"whole"`
	// ReadFrom, unless Whole, is the size of the newest run before that passed:
	// everything from there on is read, and a part of what lies below.
	ReadFrom int64 `json:"read_from"`
	// Why says in words why so.
	Why string `json:"why"`
	// SignerState is the state file of the signer, the one thing outside the
	// database that says what the ledger was; nil without one.
	SignerState *Document `json:"-"`
}

// PreviousRun is the run whose closing balances this one begins with.
type PreviousRun struct {
	ID      uuid.UUID
	AsOf    chain.Date
	Size    int64
	Reports chain.Hash // digest of what it put out
}

// RunEntry is what the sign phase puts on record.
type RunEntry struct {
	Run                uuid.UUID
	Ledger             uuid.UUID
	AsOf               chain.Date
	Size               int64
	Head               chain.Hash
	ReadFrom           int64
	Result             string // chain.RunPassed, …
	Critical, Warnings int64
	Reports            chain.Hash
	Inputs             map[string]chain.Hash // by chain.RunInputs
}

// ErrOtherOutcome is what Keeper.Sign returns when the ledger has a run of that
// id with another outcome.
var ErrOtherOutcome = errors.New("the ledger has a run entry of this id with another outcome")

// Keeper is how a run keeps what it has done. It reads the database itself and
// writes through these alone.
type Keeper struct {
	Begin   func(context.Context, store.Run) (store.Run, error)
	Hold    func(ctx context.Context, run, holder uuid.UUID, lease time.Duration) (bool, error)
	Leave   func(ctx context.Context, run, holder uuid.UUID) error
	Advance func(context.Context, store.RunStep) error
	End     func(context.Context, store.RunEnd) error
	// Sign appends the run entry over the normal write path and returns its seq. A
	// run that has one already gets it again; with another outcome, ErrOtherOutcome.
	Sign func(context.Context, RunEntry) (int64, error)
	// KeepSnapshot stores the balances of all accounts at a size.
	KeepSnapshot func(ctx context.Context, ledger uuid.UUID, size int64, parts []store.SnapshotPart) error
	// KeepBreaks keeps the day on which breaks were first seen; those seen before stay.
	KeepBreaks func(ctx context.Context, ledger, run uuid.UUID, seen chain.Date, breaks []string) error
}

// Find reports what a check found.
func (n *Night) Find(findings ...chain.Finding) { n.found.add(findings...) }

// NotChecked says in words what could not be looked at. It makes the run
// incomplete.
func (n *Night) NotChecked(what string) { n.found.unchecked = append(n.found.unchecked, what) }

// LeaveOut says that entries were not read again.
func (n *Night) LeaveOut(entries int64) { n.notReRead += entries }

// tell tells how far the phase at work is.
func (n *Night) tell(done, total int64) {
	if n.Progress != nil {
		n.Progress(done, total)
	}
}

// nightFinding is a finding of the night, with the severity and the next step of
// its code. It is about an entry unless seq is noSeq.
func nightFinding(code string, seq int64, stored, recomputed string) chain.Finding {
	check := nightCheck(code)
	f := chain.Finding{Code: code, Severity: check.Severity, NextStep: check.NextStep, Stored: optional(stored), Recomputed: optional(recomputed)}
	if seq != noSeq {
		f.Seq = &seq
	}
	return f
}
