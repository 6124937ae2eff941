package reconcile

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"tallystick/reconcile/figures"
	"tallystick/reconcile/policy"
)

// maxOpenItems is how many open postings of one account are looked through for the
// oldest.
const maxOpenItems = 1_000_000

// checkAged looks for suspense and clearing accounts on which something has been
// open for longer than the policy lets it. As in the report on their ageing, what
// came first is taken as settled first.
func (b *nightBooks) checkAged(ctx context.Context) (string, error) {
	if b.Policy == nil {
		return "", notApplicable("there is no policy to say which accounts are suspense and clearing accounts")
	}
	if len(b.Policy.Accounts.Suspense)+len(b.Policy.Accounts.Clearing) == 0 {
		return "", notApplicable("policy " + b.policyName() + " names no suspense or clearing accounts")
	}
	if err := b.readBalances(ctx); err != nil {
		return "", err
	}
	looked, open := 0, 0
	for i := range b.balances {
		a := &b.balances[i]
		role := roleOf(b.Policy, a.Code)
		if role != policy.RoleSuspense && role != policy.RoleClearing {
			continue
		}
		looked++
		if a.Posted.IsZero() {
			continue
		}
		open++
		oldest, err := b.oldestOpen(ctx, a)
		if err != nil {
			return "", err
		}
		allowed := maxAge(b.Policy, a.Code)
		age := max(0, b.Days.Between(oldest.Booked, b.AsOf))
		if age <= allowed {
			continue
		}
		code := SuspenseAged
		if role == "clearing" {
			code = ClearingAged
		}
		b.Find(b.about(code, oldest.Seq, a.Code, fmt.Sprintf("%s %s; open since %s, %d business days", a.Normal().Format(a.Scale), a.Currency, oldest.Booked, age),
			fmt.Sprintf("zero after %d business days, by policy %s", allowed, b.policyName())))
	}
	return fmt.Sprintf("%d accounts, %d of them not zero, by policy %s", looked, open, b.policyName()), nil
}

// oldestOpen returns the oldest posting of which a balance still consists.
func (b *nightBooks) oldestOpen(ctx context.Context, a *Balance) (figures.OpenItem, error) {
	r := &bookReader{from: b.Snapshot, at: map[uuid.UUID]int32{a.ID: 0}}
	r.Accounts = []figures.Account{{Code: a.Code, Type: a.Type, Currency: a.Currency, Scale: a.Scale}}
	items, err := r.openItems(ctx, a, maxOpenItems)
	if err != nil {
		return figures.OpenItem{}, err
	}
	oldest := items[len(items)-1:]
	err = r.dateItems(ctx, oldest)
	return oldest[0], err
}
