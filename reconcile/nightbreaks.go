package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"tallystick/ledger/chain"
	"tallystick/reconcile/bankbook"
	"tallystick/reconcile/report"
	"tallystick/reconcile/risk"
)

// openBreaks returns the open breaks that the bank phase put out, or why they are not all known.
func (n *Night) openBreaks(ctx context.Context) (items []risk.Item, unknown string, err error) {
	encoded, err := n.Output(ctx, ResultOutput, BankResult)
	if errors.Is(err, ErrNoOutput) {
		return nil, "the bank reconciliation was not done", nil
	}
	if err != nil {
		return nil, "", err
	}
	var out BankOutcome
	if err := json.Unmarshal(encoded, &out); err != nil {
		return nil, "", fmt.Errorf("reading the result of the bank phase: %w", err)
	}
	for _, r := range out.Accounts {
		switch {
		case r.State == bankbook.NoStatement:
			unknown = "there is no statement of the bank for " + r.Account
		case r.State == bankbook.NotReconciled:
			unknown = "the reconciliation of " + r.Account + " does not prove itself"
		case r.MoreBreaks > 0:
			unknown = fmt.Sprintf("%s has %d breaks more than are listed", r.Account, r.MoreBreaks)
		}
		for i := range r.Breaks {
			since, err := chain.ParseDate(r.Breaks[i].Since)
			if err != nil {
				return nil, "", fmt.Errorf("reading break %s: %w", r.Breaks[i].ID, err)
			}
			items = append(items, itemsOf(&r.Breaks[i], since)...)
		}
	}
	if len(out.Accounts) == 0 {
		unknown = "the policy names no bank accounts, and there are no statements"
	}
	return items, unknown, nil
}

// itemsOf turns a break into open items, one a currency: what it leaves between bank and ledger, or where the two agree in
// the amount, that amount.
func itemsOf(b *bankbook.Break, since chain.Date) []risk.Item {
	var items []risk.Item
	for _, a := range b.Amounts {
		units := a.Difference
		if units.IsZero() {
			units = a.Bank
		}
		if units.IsZero() {
			units = a.Ledger
		}
		items = append(items, risk.Item{What: "break", Name: b.ID, Currency: a.Currency, Amount: units.Decimal(a.Scale), Since: since, Link: &report.Link{Account: b.Account}})
	}
	return items
}
