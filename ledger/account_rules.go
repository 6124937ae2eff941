package ledger

import (
	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// This file answers when an account may be opened or changed. Conditions are
// checked in the order written here; the first that does not hold is the answer.

// apply opens an account: known currency, limits that fit it and do not cross,
// a code that is new. The same attributes again change nothing.
func (r *OpenAccount) apply(o *overlay) (*draft, *Refusal) {
	currency, ok := o.rules.currency(r.Currency)
	if !ok {
		return nil, unknownCurrency(r.Currency)
	}
	min, refused := limitUnits(r.MinBalance, currency.Scale)
	if refused != nil {
		return nil, refused
	}
	max, refused := limitUnits(r.MaxBalance, currency.Scale)
	if refused != nil {
		return nil, refused
	}
	if limitsCross(min, max) {
		return nil, refusal(CodeLimitsCrossed, "min_balance is above max_balance")
	}
	wanted := chain.Account{
		AccountID: r.AccountID.UUID, Code: r.Code, Type: r.Type,
		Currency: currency.Code, Scale: currency.Scale,
		MinBalance: min, MaxBalance: max, Frozen: r.Frozen, Tags: r.Tags,
	}
	if a := o.account(r.Code); a != nil {
		wanted.AccountID, wanted.Scale = a.AccountID, a.Scale
		name := r.Name
		if a.NameErased {
			name = nil // nothing is left to compare it with
		}
		if sameAttributes(&wanted, name, a) {
			return nil, nil
		}
		refused := refusal(CodeAccountExists, "account %s exists with other attributes; change it with PATCH, or choose another code", r.Code)
		refused.Account = r.Code
		return nil, refused
	}
	return &draft{kind: chain.AccountOpened, effective: o.bookingDate, account: &wanted, name: r.Name}, nil
}

// apply changes an account: it exists, is open, its limits do not cross, and
// it closes only when nothing is on it.
func (r *ChangeAccount) apply(o *overlay) (*draft, *Refusal) {
	a := o.account(r.Code)
	switch {
	case a == nil:
		return nil, unknownAccount(r.Code)
	case a.Damaged:
		return nil, damagedAccount(r.Code)
	}
	wanted, name, refused := r.wanted(a)
	switch {
	case refused != nil:
		return nil, refused
	case sameAttributes(wanted, name, a) && (!r.Keyed || a.Closed):
		return nil, nil
	case a.Closed:
		return nil, closedAccount(r.Code)
	case limitsCross(wanted.MinBalance, wanted.MaxBalance):
		return nil, refusal(CodeLimitsCrossed, "min_balance would be above max_balance")
	case wanted.Closed && !(a.Posted.IsZero() && a.PendingDebit.IsZero() && a.PendingCredit.IsZero()):
		refused := refusal(CodeAccountNotEmpty, "account %s has a balance of %s %s or open holds; move it before closing",
			a.Code, a.Balance().Format(a.Scale), a.Currency)
		refused.Account = r.Code
		return nil, refused
	}
	return &draft{kind: chain.AccountChanged, effective: o.bookingDate, account: wanted, name: name}, nil
}

// wanted returns the attributes and the name of a after the change.
func (r *ChangeAccount) wanted(a *Account) (*chain.Account, *string, *Refusal) {
	w, name := a.Account, a.Name
	for _, l := range []struct {
		change Limit
		limit  **money.Int128
	}{{r.MinBalance, &w.MinBalance}, {r.MaxBalance, &w.MaxBalance}} {
		if !l.change.Set {
			continue
		}
		units, refused := limitUnits(l.change.Value, a.Scale)
		if refused != nil {
			return nil, nil, refused
		}
		*l.limit = units
	}
	if r.Name != nil {
		name = r.Name
	}
	if r.Frozen != nil {
		w.Frozen = *r.Frozen
	}
	if r.Tags != nil {
		w.Tags = *r.Tags
	}
	w.Closed = w.Closed || r.Close
	return &w, name, nil
}

func sameAttributes(wanted *chain.Account, name *string, a *Account) bool {
	if len(wanted.Tags) != len(a.Tags) {
		return false
	}
	for i := range wanted.Tags {
		if wanted.Tags[i] != a.Tags[i] {
			return false
		}
	}
	return wanted.Type == a.Type && wanted.Currency == a.Currency &&
		equal(wanted.MinBalance, a.MinBalance) && equal(wanted.MaxBalance, a.MaxBalance) &&
		wanted.Frozen == a.Frozen && wanted.Closed == a.Closed && equal(name, a.Name)
}

func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func limitsCross(min, max *money.Int128) bool {
	return min != nil && max != nil && min.Cmp(*max) > 0
}

func limitUnits(d *decimal.Decimal, scale uint8) (*money.Int128, *Refusal) {
	if d == nil {
		return nil, nil
	}
	units, refused := unitsOf(*d, scale)
	if refused != nil {
		return nil, refused
	}
	return &units, nil
}
