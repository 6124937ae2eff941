package chain

import "fmt"

// Kind says what an entry records. The registry is append-only: a code, once
// given, never means anything else, and a verifier that meets a code it does
// not know reports INCOMPLETE.
type Kind uint16

// The entry kinds of format version 1, in the order of FORMAT.md.
const (
	LedgerOpened      Kind = 1
	AccountOpened     Kind = 2
	AccountChanged    Kind = 3
	Transfer          Kind = 4
	Hold              Kind = 5
	Capture           Kind = 6
	Release           Kind = 7
	Reversal          Kind = 8
	PeriodClosed      Kind = 9
	PeriodReopened    Kind = 10
	CurrencyDefined   Kind = 11
	PolicyAdopted     Kind = 12
	Run               Kind = 13
	Decision          Kind = 14
	BalanceCommitment Kind = 15
	Erasure           Kind = 16
	KeyChanged        Kind = 17
)

var kindNames = map[Kind]string{
	LedgerOpened:      "ledger_opened",
	AccountOpened:     "account_opened",
	AccountChanged:    "account_changed",
	Transfer:          "transfer",
	Hold:              "hold",
	Capture:           "capture",
	Release:           "release",
	Reversal:          "reversal",
	PeriodClosed:      "period_closed",
	PeriodReopened:    "period_reopened",
	CurrencyDefined:   "currency_defined",
	PolicyAdopted:     "policy_adopted",
	Run:               "run",
	Decision:          "decision",
	BalanceCommitment: "balance_commitment",
	Erasure:           "erasure",
	KeyChanged:        "key_changed",
}

// String returns the registered name of k, or kind(n) when it has none.
func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("kind(%d)", uint16(k))
}

// Known reports whether k is in the registry.
func (k Kind) Known() bool { return kindNames[k] != "" }

// KindNamed returns the kind registered under name; ok is false when there is none.
func KindNamed(name string) (k Kind, ok bool) {
	for k, n := range kindNames {
		if n == name {
			return k, true
		}
	}
	return 0, false
}
