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

// kindNames is indexed by kind; 0 is no kind.
var kindNames = [...]string{
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

var kindsByName = func() map[string]Kind {
	kinds := make(map[string]Kind)
	for k, name := range kindNames {
		if name != "" {
			kinds[name] = Kind(k)
		}
	}
	return kinds
}()

// String returns the registered name of k, or kind(n) when it has none.
func (k Kind) String() string {
	if k.Known() {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint16(k))
}

// Known reports whether k is in the registry.
func (k Kind) Known() bool { return int(k) < len(kindNames) && kindNames[k] != "" }

// KindNamed returns the kind registered under name; ok is false when there is none.
func KindNamed(name string) (k Kind, ok bool) {
	k, ok = kindsByName[name]
	return k, ok
}

// Kinds returns every kind in the registry, in the order of their codes.
func Kinds() []Kind {
	var kinds []Kind
	for k, name := range kindNames {
		if name != "" {
			kinds = append(kinds, Kind(k))
		}
	}
	return kinds
}
