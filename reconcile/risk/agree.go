package risk

import (
	"errors"
	"fmt"

	"tallystick/ledger/money"
)

// ErrAgree: what a history added up is not what the book holds, and so one of them is of something else.
var ErrAgree = errors.New("the history does not lead to the balances of the book")

// Agree holds what the history has added up against the balances of the book: pools, limits and e-money outstanding, and what
// is open. A state that was changed after it was saved does not lead to them. The past behind those sums has no such proof;
// a run over the whole ledger reads it again.
func (h *History) Agree() error {
	of := NewHistory(h.Book, h.Policy)
	for i := range h.Book.Accounts {
		a := &h.Book.Accounts[i]
		m := Movement{Account: int32(i), Units: a.Posted, Posted: a.Posted}
		if of.pools != nil && !of.pools.move(&m) || of.funds != nil && !of.funds.move(&m) {
			return fmt.Errorf("adding up the balance of %s: %w", a.Code, errOverflow)
		}
		if of.limits != nil {
			of.limits.move(&m)
			if of.limits.now[i] != h.limits.now[i] {
				return disagree(a.Code)
			}
		}
		var open money.Int128
		for _, lot := range h.open.lots[i] {
			open, _ = open.Add(lot.value) // a damaged sum is not the balance either
		}
		if h.open.role[i] != "" && open != a.Posted {
			return disagree(a.Code)
		}
	}
	if h.pools != nil {
		for i, now := range h.pools.now {
			if now != of.pools.now[i] {
				return disagree("the pool " + h.pools.pools[i].String())
			}
		}
		for i, client := range h.pools.clients {
			if client != of.pools.clients[i] {
				return disagree("a client")
			}
		}
	}
	if h.funds != nil {
		for i, now := range h.funds.outstanding {
			if now != of.funds.outstanding[i] {
				return disagree("e-money in " + h.funds.currencies[i])
			}
		}
	}
	return nil
}

func disagree(what string) error {
	return fmt.Errorf("holding %s against the book: %w", what, ErrAgree)
}
