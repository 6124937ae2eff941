package ledger

import (
	"context"
	"errors"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// What can go wrong with a request, beside being refused. Each is a sentinel;
// callers match with errors.Is.
var (
	// ErrOverloaded: the queue is full; nothing happened.
	ErrOverloaded = errors.New("too many requests are waiting")
	// ErrUnavailable: the database is away or this process is not fit to post;
	// nothing happened.
	ErrUnavailable = errors.New("posting is not possible at the moment")
	// ErrHalted: a check found the ledger damaged and posting has stopped;
	// nothing happened.
	ErrHalted = errors.New("posting to this ledger has stopped after a finding")
	// ErrStopped: the process is shutting down; nothing happened.
	ErrStopped = errors.New("the server is stopping")
	// ErrUnknownOutcome: the connection was lost at commit and could not be
	// resolved in time; a retry with the same id is safe.
	ErrUnknownOutcome = errors.New("the outcome is not known yet")
	// ErrPoison: this one request cannot be stored, or not so that it could be read
	// again, for a reason that no rule foresaw; nothing happened.
	ErrPoison = errors.New("the request cannot be stored")
)

// What Journal.Commit reports beside ErrUnknownOutcome and ErrPoison.
var (
	// ErrFence: a key of the batch is taken; see FenceError.
	ErrFence = errors.New("another entry stands there")
	// ErrHeadMissing: the predecessor of the batch is not in the ledger.
	ErrHeadMissing = errors.New("the head is missing from the ledger")
	// ErrAnswered goes with an ErrUnknownOutcome that the database itself reported of
	// this batch, with a code that says nothing about why. The same answer again and
	// again is a refusal.
	ErrAnswered = errors.New("the database answered with an error that says nothing about the outcome")
	// ErrNothingHappened: the batch certainly left no trace; trying it again is fine.
	ErrNothingHappened = errors.New("nothing was stored")
)

// ErrNoTurn is what Journal.Turn returns when the turn did not come in time.
var ErrNoTurn = errors.New("the turn to post did not come in time")

// FenceError says which key refused a batch.
type FenceError struct{ Constraint string }

// Error names the constraint.
func (e *FenceError) Error() string { return "refused by the key " + e.Constraint }

// Is makes every FenceError an ErrFence.
func (e *FenceError) Is(target error) bool { return target == ErrFence }

// RequestFence is the constraint that refuses an id used before (I8).
const RequestFence = "i8_entries_request"

// Opening is what a book begins with: the terms of the ledger, its newest entry,
// and the entries that set rules for all accounts, in order (see SetsRules).
type Opening struct {
	Terms  chain.LedgerTerms
	Newest Entry
	Rules  []Entry
}

// SetsRules reports whether entries of kind k change what the whole ledger
// accepts: its closed periods, its currencies and its keys.
func SetsRules(k chain.Kind) bool {
	return k == chain.PeriodClosed || k == chain.PeriodReopened || k == chain.CurrencyDefined || k == chain.KeyChanged
}

// Target is an entry that a request refers to, and what has become of it.
type Target struct {
	Entry    *Entry // what stands under the id, of whatever kind
	Settled  *Entry // the capture or release of a hold, nil while it is open
	Reversed *Entry // the reversal of Entry, or of the capture of a hold; nil when there is none
	Erased   bool   // an erasure of Entry's text is on record; known to an EraseText only
}

// Income is the balance of a revenue or expense account.
type Income struct {
	Code     string
	Currency string
	Scale    uint8
	Balance  money.Int128 // debit-positive
	// BeyondRange says that the balance by value date needs more than 128 bits.
	BeyondRange bool
}

// DueHold is a hold that has expired and that nothing has settled.
type DueHold struct {
	Ledger    LedgerID
	ID        RequestID
	ExpiresAt time.Time
}

// Journal is what a sequencer needs of the store. Reads see at least what was
// committed before they began.
type Journal interface {
	// Opening returns what a book begins with.
	Opening(ctx context.Context, id LedgerID) (Opening, error)
	// Targets returns the transfers and holds that exist among ids, and what has
	// become of each.
	Targets(ctx context.Context, id LedgerID, ids []RequestID) (map[RequestID]*Target, error)
	// Erasures returns the erasures on record of the entries at seqs, by these.
	Erasures(ctx context.Context, id LedgerID, seqs []int64) (map[int64]int64, error)
	// Incomes returns the revenue and expense accounts whose balance at the end
	// of a day, by value date and as of entry asOf, is not zero; at most limit.
	Incomes(ctx context.Context, id LedgerID, day chain.Date, asOf int64, limit int) ([]Income, error)
	// LoadAccounts returns the accounts that exist among codes, as of entry
	// asOf, with the entries that their states come from.
	LoadAccounts(ctx context.Context, id LedgerID, codes []string, asOf int64) ([]*Account, map[int64]*Entry, error)
	// Commit appends entries after prev in one transaction, all or none.
	Commit(ctx context.Context, id LedgerID, prev Head, entries []Entry) error
	// Requests returns, from one snapshot, the head and the entries that stand
	// under ids.
	Requests(ctx context.Context, id LedgerID, ids []RequestID) (Head, map[RequestID]*Entry, error)
	// Tail returns up to limit entries after seq, in order; only account entries
	// need their text.
	Tail(ctx context.Context, id LedgerID, seq int64, limit int) ([]Entry, error)
	// Turn waits for the turn to post and returns how to give it back.
	Turn(ctx context.Context, id LedgerID) (release func(), err error)
	// Report stores a finding.
	Report(ctx context.Context, id LedgerID, source string, f chain.Finding) error
}
