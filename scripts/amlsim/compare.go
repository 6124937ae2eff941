package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"tallystick/api/client"
)

// published are the facts about this sample that stand beside it, computed by
// somebody else. Another sample has other sizes and is compared with its own
// files alone.
var published = struct {
	accounts, transfers          int
	node0, node100, node19999    string
	lowest, highest, sum, equity string
	below                        int
}{20_000, 120_558, "184.44", "437.68", "-33361.75", "-33361.75", "25409.87", "5600953.52", "-5600953.52", 8_496}

// compare reads every account over the API and compares its balance with the
// one computed from the files.
func compare(ctx context.Context, server *client.Client, ledger string, s *sample) error {
	balances := map[string]decimal.Decimal{}
	debits := decimal.Zero // sum of all balances, debit positive
	var wrong []error
	err := server.Accounts(ctx, ledger, func(a client.Account) error {
		balance, err := decimal.NewFromString(a.Balance)
		if err != nil {
			return fmt.Errorf("reading the balance of %s: %w", a.Code, err)
		}
		if _, twice := balances[a.Code]; twice {
			return fmt.Errorf("%w: account %s is listed twice", errDiffers, a.Code)
		}
		balances[a.Code] = balance
		if a.DebitNormal() {
			debits = debits.Add(balance)
		} else {
			debits = debits.Sub(balance)
		}
		return nil
	})
	if err != nil {
		return err
	}
	expect := func(what string, got, want fmt.Stringer) {
		if got.String() != want.String() {
			wrong = append(wrong, fmt.Errorf("%w: %s is %s, want %s", errDiffers, what, got, want))
		}
	}
	for node, want := range s.closing {
		got, there := balances[customer(node)]
		if !there {
			return fmt.Errorf("%w: account %s is not listed", errDiffers, customer(node))
		}
		expect(customer(node), got, want)
	}
	if len(balances) != len(s.closing)+1 {
		wrong = append(wrong, fmt.Errorf("%w: %d accounts, want %d", errDiffers, len(balances), len(s.closing)+1))
	}
	expect(equityAccount, balances[equityAccount], s.total.Neg())
	expect("the sum of all balances", debits, decimal.Zero)
	wrong = append(wrong, comparePublished(s, balances)...)
	if len(wrong) > 10 {
		wrong = append(wrong[:10], fmt.Errorf("%w: and %d more", errDiffers, len(wrong)-10))
	}
	return errors.Join(wrong...)
}

// comparePublished prints the figures of the customers' balances and compares
// them with the published ones when this is the published sample.
func comparePublished(s *sample, balances map[string]decimal.Decimal) []error {
	lowest, highest, sum, below := balances[customer(0)], balances[customer(0)], decimal.Zero, 0
	for node := range s.closing {
		balance := balances[customer(node)]
		lowest, highest = decimal.Min(lowest, balance), decimal.Max(highest, balance)
		sum = sum.Add(balance)
		if balance.IsNegative() {
			below++
		}
	}
	fmt.Printf("%-9s lowest %s, highest %s, %d below zero, customers %s, equity %s\n", "balances",
		lowest.StringFixed(2), highest.StringFixed(2), below, sum.StringFixed(2), balances[equityAccount].StringFixed(2))
	if len(s.opening) != published.accounts || len(s.transfers) != published.transfers {
		return nil
	}
	var wrong []error
	for _, f := range []struct{ what, got, want string }{
		{"node 0", balances[customer(0)].StringFixed(2), published.node0},
		{"node 100", balances[customer(100)].StringFixed(2), published.node100},
		{"node 19999", balances[customer(19_999)].StringFixed(2), published.node19999},
		{"the lowest balance", lowest.StringFixed(2), published.lowest},
		{"the highest balance", highest.StringFixed(2), published.highest},
		{"the sum of the customers' balances", sum.StringFixed(2), published.sum},
		{equityAccount, balances[equityAccount].StringFixed(2), published.equity},
		{"the number of balances below zero", fmt.Sprint(below), fmt.Sprint(published.below)},
	} {
		if f.got != f.want {
			wrong = append(wrong, fmt.Errorf("%w: %s is %s, published %s", errDiffers, f.what, f.got, f.want))
		}
	}
	return wrong
}
