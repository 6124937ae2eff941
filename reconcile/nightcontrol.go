package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"slices"

	"tallystick/reconcile/policy"
)

// checkControl holds control accounts against the sum of the accounts that they
// stand for. Currencies are never added up: of accounts in a currency for which
// the policy names no control account, the sum must be zero.
func (b *nightBooks) checkControl(ctx context.Context) (string, error) {
	if b.Policy == nil {
		return "", notApplicable("there is no policy to say which accounts are control accounts")
	}
	controls := b.Policy.Accounts.Control
	if len(controls) == 0 {
		return "", notApplicable("policy " + b.policyName() + " names no control account")
	}
	if err := b.readBalances(ctx); err != nil {
		return "", err
	}
	held := 0
	for i := range controls {
		c := &controls[i]
		sums := b.sums(c.Sum)
		if i > 0 && slices.ContainsFunc(controls[:i], func(other policy.Control) bool {
			return other.Account == c.Account && other.Sum.String() == c.Sum.String()
		}) {
			continue
		}
		at, ok := b.at[c.Account]
		if !ok {
			if len(sums) > 0 {
				b.Find(b.about(ControlMismatch, noSeq, c.Account, "no such account", "the control account of "+c.Sum.String()+", by policy "+b.policyName()))
			}
			continue
		}
		held++
		account := &b.balances[at]
		want := new(big.Int)
		if sum := sums[totalKey{account.Currency, account.Scale}]; sum != nil {
			want.Set(sum)
		}
		if c.Opposite {
			want.Neg(want)
		}
		if want.Cmp(account.Posted.Big()) != 0 {
			b.Find(b.about(ControlMismatch, noSeq, c.Account, account.Posted.Format(account.Scale)+" "+account.Currency,
				fmt.Sprintf("%s %s, by the accounts %s%s", signed(want, account.Scale), account.Currency, c.Sum, oppositely(c))))
		}
	}
	b.uncontrolled(controls)
	return fmt.Sprintf("%d control accounts of %d that policy %s names", held, len(controls), b.policyName()), nil
}

// uncontrolled reports sums in currencies in which no control account stands for
// them.
func (b *nightBooks) uncontrolled(controls []policy.Control) {
	seen := make(map[string]bool)
	for i := range controls {
		pattern := controls[i].Sum.String()
		if seen[pattern] {
			continue
		}
		seen[pattern] = true
		controlled := make(map[string]bool)
		for j := range controls {
			if at, ok := b.at[controls[j].Account]; ok && controls[j].Sum.String() == pattern {
				controlled[b.balances[at].Currency] = true
			}
		}
		if len(controlled) == 0 {
			continue // reported: the control account is missing
		}
		sums := b.sums(controls[i].Sum)
		keys := make([]totalKey, 0, len(sums))
		for key := range sums {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, func(a, c totalKey) int {
			return cmp.Or(cmp.Compare(a.currency, c.currency), cmp.Compare(a.scale, c.scale))
		})
		for _, key := range keys {
			if sum := sums[key]; sum.Sign() != 0 && !controlled[key.currency] {
				b.Find(b.about(ControlMismatch, noSeq, "", "no control account in "+key.currency,
					fmt.Sprintf("%s %s, by the accounts %s", signed(sum, key.scale), key.currency, pattern)))
			}
		}
	}
}

// sums adds the balances of the accounts that match up by currency.
func (b *nightBooks) sums(p policy.Pattern) map[totalKey]*big.Int {
	sums := make(map[totalKey]*big.Int)
	for i := range b.balances {
		a := &b.balances[i]
		if !p.Matches(a.Code) {
			continue
		}
		key := totalKey{a.Currency, a.Scale}
		if sums[key] == nil {
			sums[key] = new(big.Int)
		}
		sums[key].Add(sums[key], a.Posted.Big())
	}
	return sums
}

// policyName names the policy and its version.
func (n *Night) policyName() string { return n.Policy.Name + " " + n.Policy.Version }

func oppositely(c *policy.Control) string {
	if c.Opposite {
		return " on the other side"
	}
	return ""
}

// signed writes units, which may be negative, as 12.34.
func signed(units *big.Int, scale uint8) string {
	if units.Sign() < 0 {
		return "-" + natural(new(big.Int).Neg(units), scale)
	}
	return natural(units, scale)
}
