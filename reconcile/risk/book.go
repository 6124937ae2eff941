package risk

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
)

// Account is an account of the ledger with its balance at the size of the run.
type Account struct {
	Code     string
	Type     string // asset, liability, equity, revenue or expense
	Currency string
	Scale    uint8
	Tags     map[string]string
	Posted   money.Int128 // debit-positive, in units of the scale

	class   policy.Class
	classed bool
	client  string
}

// Normal returns the balance on the account's normal side, in natural units.
func (a *Account) Normal() decimal.Decimal { return a.natural(a.Posted) }

// natural turns debit-positive units to the normal side, in natural units.
func (a *Account) natural(units money.Int128) decimal.Decimal {
	d := units.Decimal(a.Scale)
	if a.debitNormal() {
		return d
	}
	return d.Neg()
}

func (a *Account) debitNormal() bool { return a.Type == "asset" || a.Type == "expense" }

// Class returns the class that the policy gives the account, and false when none of its rules matches.
func (a *Account) Class() (policy.Class, bool) { return a.class, a.classed }

// Client returns who the account is for: the value of the tag that its class groups by, or else its own code.
func (a *Account) Client() string { return a.client }

// Book is every account of a ledger at the size that the run is pinned to.
type Book struct {
	Ledger   string
	AsOf     chain.Date
	Base     string    // the ledger's base currency
	Accounts []Account // in order of code
	// Unclassified are the accounts with a balance that no class matches.
	Unclassified []string

	byClass map[string][]int32
	scales  map[string]uint8
}

// errOrder: accounts come in order, each once.
var errOrder = errors.New("the accounts are not in order of code")

// NewBook classifies the accounts by the policy.
func NewBook(ledger string, asOf chain.Date, base string, accounts []Account, p *policy.Policy) (*Book, error) {
	b := &Book{Ledger: ledger, AsOf: asOf, Base: base, Accounts: accounts, byClass: map[string][]int32{}}
	for i := range accounts {
		a := &accounts[i]
		if i > 0 && accounts[i-1].Code >= a.Code {
			return nil, fmt.Errorf("classifying %s: %w", a.Code, errOrder)
		}
		a.class, a.classed = p.Classify(a.Code, a.Type, a.Tags)
		a.client = a.Code
		if value := a.Tags[a.class.Group]; a.class.Group != "" && value != "" {
			a.client = a.class.Group + "=" + value
		}
		switch {
		case a.classed:
			b.byClass[a.class.Class] = append(b.byClass[a.class.Class], int32(i))
		case !a.Posted.IsZero():
			b.Unclassified = append(b.Unclassified, a.Code)
		}
	}
	return b, nil
}

// of returns the accounts of some classes, in order of code.
func (b *Book) of(classes ...string) []*Account {
	var at []int32
	for _, c := range classes {
		at = append(at, b.byClass[c]...)
	}
	slices.Sort(at)
	list := make([]*Account, 0, len(at))
	for _, i := range slices.Compact(at) {
		list = append(list, &b.Accounts[i])
	}
	return list
}

// currencies returns the currencies of accounts, in order.
func currencies(accounts []*Account) []string {
	var list []string
	for _, a := range accounts {
		list = append(list, a.Currency)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// maxNamed is how many accounts a reason names.
const maxNamed = 5

// named lists the first of many names.
func named(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}
