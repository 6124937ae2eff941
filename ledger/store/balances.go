package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// balancesPage is how many accounts Balances looks at together.
const balancesPage = 2_000

// BalanceFilter selects and groups balances.
type BalanceFilter struct {
	Prefix    string      // of codes, by whole segments; all accounts when empty
	Depth     int         // accounts are one group whose codes share so many segments; 0 for each by itself
	AsOf      int64       // Newest, or the AsOf of the page before
	Effective *chain.Date // by value date at the end of this day, otherwise as booked
	// A page begins after the group of this code and currency, both empty for the first.
	AfterCode, AfterCurrency string
	Limit                    int
}

// BalanceGroup is the sum of balances in one currency. Balance is Debits − Credits.
type BalanceGroup struct {
	Code     string // the segments that the accounts share
	Currency string
	Scale    uint8
	Accounts int64
	Balance  money.Int128 // debit-positive
	Debits   money.Int128 // sum of the balances on the debit side
	Credits  money.Int128 // sum of those on the credit side, without their sign
}

// BalancePage is a page of groups in order of code and currency. Totals, one of
// each currency and without a code, are of all pages.
type BalancePage struct {
	AsOf   int64 // the entry as of which it was read
	Groups []BalanceGroup
	Totals []BalanceGroup
	More   bool // whether there is another page
}

// Balances returns the balances that f selects; ErrNotFound when there is no
// such entry as f.AsOf. Every page reads all accounts that are selected.
func (db *DB) Balances(ctx context.Context, id ledger.LedgerID, f BalanceFilter) (BalancePage, error) {
	at, err := db.headAt(ctx, id, f.AsOf)
	if err != nil {
		return BalancePage{}, err
	}
	balancesOf := func(accounts []*ledger.Account) ([]money.Int128, error) { return db.balancesAt(ctx, accounts, at.Seq) }
	if f.Effective != nil {
		cut, err := db.valueCut(ctx, id, *f.Effective, at)
		if err != nil {
			return BalancePage{}, err
		}
		balancesOf = func(accounts []*ledger.Account) ([]money.Int128, error) {
			return db.balancesEffective(ctx, accounts, cut)
		}
	}
	g := newGrouping(&f)
	for next := (AccountFilter{Prefix: f.Prefix, Limit: balancesPage}); ; {
		accounts, err := db.accountsUnder(ctx, id, next, at.Seq)
		if err != nil {
			return BalancePage{}, err
		}
		balances, err := balancesOf(accounts)
		if err != nil {
			return BalancePage{}, err
		}
		for i, a := range accounts {
			if err := g.add(a, balances[i]); err != nil {
				return BalancePage{}, fmt.Errorf("adding the balance of account %q: %w", a.Code, err)
			}
		}
		if len(accounts) < balancesPage {
			return g.page(at.Seq), nil
		}
		next.AfterCode = accounts[len(accounts)-1].Code
	}
}

// groupKey orders groups.
type groupKey struct{ code, currency string }

func (k groupKey) compare(other groupKey) int {
	return cmp.Or(cmp.Compare(k.code, other.code), cmp.Compare(k.currency, other.currency))
}

// grouping adds balances up. It keeps the groups of one page, and at most as
// many again, whatever the number of accounts.
type grouping struct {
	depth  int
	limit  int
	after  groupKey
	groups map[groupKey]*BalanceGroup
	last   *groupKey // groups beyond it are left out
	totals map[string]*BalanceGroup
}

func newGrouping(f *BalanceFilter) *grouping {
	return &grouping{depth: f.Depth, limit: f.Limit, after: groupKey{f.AfterCode, f.AfterCurrency},
		groups: make(map[groupKey]*BalanceGroup), totals: make(map[string]*BalanceGroup)}
}

func (g *grouping) add(a *ledger.Account, balance money.Int128) error {
	total := g.totals[a.Currency]
	if total == nil {
		total = &BalanceGroup{Currency: a.Currency, Scale: a.Scale}
		g.totals[a.Currency] = total
	}
	if err := total.add(a, balance); err != nil {
		return err
	}
	key := groupKey{firstSegments(a.Code, g.depth), a.Currency}
	if key.compare(g.after) <= 0 || g.last != nil && key.compare(*g.last) > 0 {
		return nil
	}
	group := g.groups[key]
	if group == nil {
		group = &BalanceGroup{Code: key.code, Currency: a.Currency, Scale: a.Scale}
		g.groups[key] = group
		if len(g.groups) > 2*(g.limit+1) {
			g.cut()
		}
	}
	return group.add(a, balance)
}

// cut leaves the groups of the page and one more. What is cut once is never
// taken in again.
func (g *grouping) cut() {
	keys := g.keys()
	for _, key := range keys[g.limit+1:] {
		delete(g.groups, key)
	}
	g.last = &keys[g.limit]
}

func (g *grouping) keys() []groupKey {
	keys := make([]groupKey, 0, len(g.groups))
	for key := range g.groups {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, groupKey.compare)
	return keys
}

func (g *grouping) page(asOf int64) BalancePage {
	p := BalancePage{AsOf: asOf}
	keys := g.keys()
	p.More = len(keys) > g.limit
	for _, key := range keys[:min(len(keys), g.limit)] {
		p.Groups = append(p.Groups, *g.groups[key])
	}
	for _, total := range g.totals {
		p.Totals = append(p.Totals, *total)
	}
	slices.SortFunc(p.Totals, func(a, b BalanceGroup) int { return cmp.Compare(a.Currency, b.Currency) })
	return p
}

// add adds the balance of one account.
func (b *BalanceGroup) add(a *ledger.Account, balance money.Int128) error {
	if a.Scale != b.Scale {
		return ErrDamaged // a currency has one scale
	}
	b.Accounts++
	side, size := &b.Debits, balance
	if balance.Sign() < 0 {
		side, size = &b.Credits, negated(balance)
	}
	var fits [2]bool
	b.Balance, fits[0] = b.Balance.Add(balance)
	*side, fits[1] = side.Add(size)
	if !fits[0] || !fits[1] {
		return ErrBeyondRange
	}
	return nil
}

func negated(v money.Int128) money.Int128 {
	n, _ := v.Neg() // a balance lies within ±(2^127−1)
	return n
}

// firstSegments returns the first n segments of a code, or all for 0.
func firstSegments(code string, n int) string {
	if n == 0 {
		return code
	}
	end := 0
	for range n {
		i := strings.IndexByte(code[end:], ':')
		if i < 0 {
			return code
		}
		end += i + 1
	}
	return code[:end-1]
}
