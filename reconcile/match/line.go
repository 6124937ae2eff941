package match

import (
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/calendar"
	"tallystick/reconcile/policy"
)

// Bounds. What passes one is an error, or is left open and said in Result.Notes.
const (
	MaxLines         = 4_000_000 // of both sides together
	MaxGroup         = 10_000    // lines of one group
	MaxDecisions     = 1_000_000
	MaxCandidates    = 64 // lines that are looked at to find the one that another means
	MaxSubsetLines   = policy.MaxSubset
	MaxSubsetAnchors = 50_000 // lines whose amount is searched for among sums
	MaxReferences    = 1_000  // values of one line
	MaxNotes         = 100
)

// Side says who wrote a line.
type Side string

// The sides.
const (
	Bank   Side = "bank"
	Ledger Side = "ledger"
)

// Line is a booked line of a statement, or a posting on the account that the statement is about.
type Line struct {
	ID     string // unique among the lines of both sides, and the same tomorrow
	Side   Side
	Booked chain.Date
	Valued chain.Date // shown, not compared
	// Units is the amount as the bank sees it: positive raises the balance at the bank, which is a debit in the ledger.
	Units    money.Int128
	Currency string
	Scale    uint8 // decimals of Units; the same for all lines of a currency
	// References are values by name, as policy.Rule has the names. A line with several values under one name
	// stands for several payments: only rules of kind batch look at it by that name.
	References map[string][]string
	Text       string // for people
	Reversal   bool   // its writer says that it takes another line back
	Reverses   string // id of that line, where it is known
	Entry      int64  // seq of the entry, on the ledger's side
	// Brought says that the line was open at the opening: the opening balances hold it already.
	Brought bool
}

// Balance is what the two sides say of one currency at both ends of what is matched.
type Balance struct {
	Currency      string
	Scale         uint8
	BankOpening   money.Int128
	BankClosing   money.Int128
	LedgerOpening money.Int128 // debit-positive, as Units
	LedgerClosing money.Int128
}

// Action is what a decision does.
type Action string

// The actions. A decision about lines supersedes earlier ones about the same lines.
const (
	DoMatch    Action = "match"     // the lines, with those of Entry, are one group
	DoAccept   Action = "accept"    // likewise; they were suggested
	DoUnmatch  Action = "unmatch"   // the lines are not one group, and no rule makes them one again
	DoWriteOff Action = "write_off" // the lines are settled by Entry
	DoCarry    Action = "carry"     // the lines stay open knowingly, up to and with Until
	DoAssign   Action = "assign"    // Owner and Cause
	DoNote     Action = "note"      // Note
)

// Decision is what a person decided about lines.
type Decision struct {
	Seq    int64 // order of the decisions, and their name; each has another
	Action Action
	Lines  []string
	Entry  *int64 // the entry that settles; its lines on the account join the group
	Owner  string
	Cause  string
	Note   string
	Until  *chain.Date // nil is without end
}

// Input is what Match computes from, and all that it computes from.
type Input struct {
	Account   string // code of the ledger's account; shown
	Bank      []Line // in any order
	Ledger    []Line
	Balances  []Balance // one for each currency of the lines; others may be there
	Rules     policy.Matching
	Calendar  calendar.Calendar
	AsOf      chain.Date // no line is booked later
	Decisions []Decision
	// FirstSeen returns when a break was first reported; nil, or false, is never before, so as of AsOf.
	FirstSeen func(breakID string) (chain.Date, bool)
}
