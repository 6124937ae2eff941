package bankbook

import (
	"fmt"
	"strconv"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/calendar"
	"tallystick/reconcile/match"
	"tallystick/reconcile/policy"
)

// Statement is a statement of a bank account, in the currency of the ledger's account. Lines are those that are booked.
type Statement struct {
	Number           int64
	BankAccount      string
	Sequence, Page   int64
	From             *chain.Date
	To               chain.Date
	Opening, Closing *money.Int128
	Lines            []match.Line // their ids are those of BankLine
}

// Decision is a decision entry about lines.
type Decision struct {
	match.Decision
	// Later says that the entry which settles it is not among those of the day.
	Later bool
}

// Input is all that an account is reconciled from.
type Input struct {
	Account    string
	Currency   string
	Scale      uint8
	AsOf       chain.Date
	Expected   []string    // bank accounts that the policy names
	Statements []Statement // that end up to AsOf, in any order
	Postings   []match.Line
	Posted     money.Int128 // the ledger's balance, debit-positive
	Decisions  []Decision
	Rules      policy.Matching
	Days       calendar.Calendar
	FirstSeen  func(breakID string) (chain.Date, bool)
}

// BankLine returns the id of a line of a statement; line 0 is the difference of the openings.
func BankLine(statement, line int64) string {
	return "bank:" + strconv.FormatInt(statement, 10) + "/" + strconv.FormatInt(line, 10)
}

// LedgerLine returns the id of a posting.
func LedgerLine(seq, ordinal int64) string {
	return "ledger:" + strconv.FormatInt(seq, 10) + "/" + strconv.FormatInt(ordinal, 10)
}

// ParseLine reads the id of a line: its side and two numbers.
func ParseLine(id string) (side match.Side, container, number int64, err error) {
	kind, rest, _ := strings.Cut(id, ":")
	first, second, _ := strings.Cut(rest, "/")
	container, err1 := strconv.ParseInt(first, 10, 64)
	number, err2 := strconv.ParseInt(second, 10, 64)
	side = match.Side(kind)
	canonical := BankLine(container, number)
	if side == match.Ledger {
		canonical = LedgerLine(container, number)
	}
	if err1 != nil || err2 != nil || container < 0 || number < 0 || id != canonical {
		return "", 0, 0, fmt.Errorf("reading line %q: a line is bank:STATEMENT/LINE or ledger:SEQ/POSTING, such as bank:12/3", id)
	}
	return side, container, number, nil
}
