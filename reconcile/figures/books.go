package figures

import (
	"math/big"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Books is what the entries of a ledger say of a period. Amounts are units of their currency; a balance is
// debit-positive.
type Books struct {
	Ledger   string // name
	LedgerID uuid.UUID
	Origin   string
	TimeZone string
	Cutoff   int32  // seconds after midnight at which the next booking day begins
	Policy   string // that gives accounts their roles; empty: none

	Size int64      // entries that the reader was pinned to
	Head chain.Hash // of the last of them

	From, AsOf chain.Date // booking dates, both in the period
	First, End int64      // entries of the period: First ≤ seq < End

	Accounts []Account   // by code; those that were open at its end
	Late     []Late      // booked in the period with a value date in a closed one, by seq
	MoreLate int64       // beyond MaxLate
	Breaks   []BreakAges // with banks; nil: not known
	Closings []Closing   // that moved a result in the period, by seq
	Days     []Day       // of the period, where they were asked for
	Lines    []Line      // postings of the period, where they were asked for, by account and account_seq
	MaxLines int64       // how many lines are gathered at most
	Skipped  int64       // lines that were not gathered because there are more
}

// Bounds of what is held at once.
const (
	// MaxLate is how many late postings a report lists; the others are counted.
	MaxLate = 1000
	// MaxLines is how many postings a report lists at most.
	MaxLines = 100_000
	// MaxDays is how many days a report of days has: ten years.
	MaxDays = 3660
)

// Account is an account and what the period did to it.
type Account struct {
	Code     string
	Type     chain.AccountType
	Currency string
	Scale    uint8
	Role     string // that the policy gives it, such as suspense; empty: none
	MaxAge   int    // for how many business days the policy lets a balance stand, of suspense and clearing

	Opening money.Int128 // that its last posting before the period states
	Debits  money.Int128 // amounts booked in the period
	Credits money.Int128
	// MovedDebits and MovedCredits are that part of them by which closings moved a result.
	MovedDebits, MovedCredits money.Int128
	Postings                  int64 // of the period, those that booked an amount
	// StatedClosing is what its last posting of the period states, on which the sums above do not rest.
	StatedClosing money.Int128
}

// Closing returns what the account has at the end of the period.
func (a *Account) Closing() *big.Int {
	return new(big.Int).Add(a.Opening.Big(), a.Movement())
}

// Movement returns debits less credits.
func (a *Account) Movement() *big.Int { return new(big.Int).Sub(a.Debits.Big(), a.Credits.Big()) }

// Moved returns the part of Movement by which closings moved a result.
func (a *Account) Moved() *big.Int {
	return new(big.Int).Sub(a.MovedDebits.Big(), a.MovedCredits.Big())
}

// Income says whether the account is closed at the end of a year.
func (a *Account) Income() bool { return a.Type == chain.Revenue || a.Type == chain.Expense }

// blank says whether there is nothing to report.
func (a *Account) blank() bool {
	return a.Postings == 0 && a.Opening.IsZero() && a.StatedClosing.IsZero()
}

// Late is a posting of the period whose value date lies in a period that was closed before.
type Late struct {
	Account        int // in Books.Accounts
	Seq            int64
	Request        uuid.UUID
	Booked, Valued chain.Date
	Direction      chain.Direction
	Amount         money.Int128
}

// Closing is an entry of the period that closed books and moved a result.
type Closing struct {
	Seq  int64 // of the period_closed entry
	Upto chain.Date
}

// Day is the close of a day.
type Day struct {
	Date      chain.Date
	Positions []Position // of every currency, in the order of Currencies
}

// Position is what the accounts of a currency add up to at the close of a day, debit-positive.
type Position struct {
	ByType [chain.Expense + 1]money.Int128 // by type of account
	ByRole []money.Int128                  // in the order of Roles
}

// Roles are those that a policy can give an account, in the order of reports.
var Roles = []string{"control", "suspense", "clearing"}

// Line is a posting that booked an amount.
type Line struct {
	Account        int // in Books.Accounts
	AccountSeq     int64
	Seq            int64
	Kind           chain.Kind
	Request        uuid.UUID
	Booked, Valued chain.Date
	Direction      chain.Direction
	Amount         money.Int128
	Posted         money.Int128 // balance after it, as it states
	PriorPeriod    bool

	// Free text, where it was asked for: what a run stores has none, because text can be erased.
	Reference, Description string
	Erased                 bool
}

// Currencies returns the currencies of the accounts, with their decimals, by code.
func (b *Books) Currencies() []money.Currency {
	var all []money.Currency
	for i := range b.Accounts {
		a := &b.Accounts[i]
		at, found := slices.BinarySearchFunc(all, a.Currency, func(c money.Currency, code string) int { return compare(c.Code, code) })
		if !found {
			all = slices.Insert(all, at, money.Currency{Code: a.Currency, Scale: a.Scale})
		}
	}
	return all
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// in returns the accounts of a currency, by code.
func (b *Books) in(currency string) []*Account {
	var list []*Account
	for i := range b.Accounts {
		if b.Accounts[i].Currency == currency {
			list = append(list, &b.Accounts[i])
		}
	}
	return list
}
