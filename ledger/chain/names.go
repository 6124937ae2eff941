package chain

import "fmt"

// The wire names of the enumerations, indexed by the codes that are hashed. The
// zero Direction and AccountType are not names of anything.
var (
	directionNames   = []string{Debit: "debit", Credit: "credit"}
	accountTypeNames = []string{Asset: "asset", Liability: "liability", Equity: "equity", Revenue: "revenue", Expense: "expense"}
	frozenNames      = []string{FrozenNone: "none", FrozenDebits: "debits", FrozenCredits: "credits", FrozenAll: "all"}
)

// String returns "debit" or "credit", or direction(n) for any other code.
func (d Direction) String() string { return nameOf(directionNames, uint8(d), "direction") }

// Opposite returns the other side.
func (d Direction) Opposite() Direction {
	if d == Debit {
		return Credit
	}
	return Debit
}

// ParseDirection returns the direction that String names s; ok is false when there is none.
func ParseDirection(s string) (d Direction, ok bool) {
	code, ok := codeOf(directionNames, s)
	return Direction(code), ok
}

// String returns "asset", "liability", "equity", "revenue" or "expense", or
// account_type(n) for any other code.
func (t AccountType) String() string { return nameOf(accountTypeNames, uint8(t), "account_type") }

// DebitNormal reports whether debits raise the balance of an account of type t,
// as shown on its normal side: true for assets and expenses.
func (t AccountType) DebitNormal() bool { return t == Asset || t == Expense }

// ParseAccountType returns the type that String names s; ok is false when there is none.
func ParseAccountType(s string) (t AccountType, ok bool) {
	code, ok := codeOf(accountTypeNames, s)
	return AccountType(code), ok
}

// String returns "none", "debits", "credits" or "all", or frozen(n) for any
// other code.
func (f Frozen) String() string { return nameOf(frozenNames, uint8(f), "frozen") }

// Refuses reports whether an account frozen to degree f takes no posting on side d.
func (f Frozen) Refuses(d Direction) bool {
	switch f {
	case FrozenNone:
		return false
	case FrozenDebits:
		return d == Debit
	case FrozenCredits:
		return d == Credit
	default:
		return true
	}
}

// ParseFrozen returns the degree that String names s; ok is false when there is none.
func ParseFrozen(s string) (f Frozen, ok bool) {
	code, ok := codeOf(frozenNames, s)
	return Frozen(code), ok
}

func nameOf(names []string, code uint8, of string) string {
	if int(code) < len(names) && names[code] != "" {
		return names[code]
	}
	return fmt.Sprintf("%s(%d)", of, code)
}

func codeOf(names []string, name string) (code uint8, ok bool) {
	for i, n := range names {
		if n == name && n != "" {
			return uint8(i), true
		}
	}
	return 0, false
}
