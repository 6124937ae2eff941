package carryover

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// submit posts requests to the successor and waits for all answers. What stands there already is fine.
func (c *carrier) submit(ctx context.Context, requests []ledger.Request, names []string) error {
	for i, r := range c.Poster.SubmitAll(ctx, c.Into.ID, requests) {
		switch {
		case r.Err != nil:
			return fmt.Errorf("%s: %w\nhint: run the same command again, it goes on where it was", names[i], r.Err)
		case r.Refusal != nil:
			return fmt.Errorf("%s: %s (%s)", names[i], r.Refusal.Detail, r.Refusal.Code)
		}
	}
	return nil
}

// common returns what every request carries, under an id made of what it does.
func (c *carrier) common(what, of string) ledger.Common {
	key := fmt.Sprintf("%s\x00%d\x00%s\x00%s", c.From.Terms.Origin, c.seq, what, of)
	return ledger.Common{ID: ledger.DeriveRequestID(c.Into.ID, operation, key), Actor: c.Actor, Salt: c.Salt()}
}

// defineCurrencies defines the currencies of the old ledger's own.
func (c *carrier) defineCurrencies(ctx context.Context) error {
	opening, err := c.DB.Opening(ctx, c.From.ID)
	if err != nil {
		return err
	}
	var requests []ledger.Request
	var names []string
	for i := range opening.Rules {
		r := opening.Rules[i].Record()
		if r.Kind != chain.CurrencyDefined || r.Seq > c.seq {
			continue
		}
		code, _ := r.Detail("code")
		name, _ := r.Detail("name")
		text, _ := r.Detail("scale")
		scale, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return fmt.Errorf("reading the currency that entry %d defines: %w", r.Seq, err)
		}
		requests = append(requests, &ledger.DefineCurrency{Common: c.common("currency", code), Code: code, Name: name, Scale: uint8(scale)})
		names = append(names, "defining currency "+code)
	}
	return c.submit(ctx, requests, names)
}

// openOpenings opens the opening accounts, that of the base currency first.
func (c *carrier) openOpenings(ctx context.Context) error {
	currencies := []string{c.Into.Terms.BaseCurrency}
	for _, s := range c.result.Sums {
		if s.Currency != currencies[0] {
			currencies = append(currencies, s.Currency)
		}
	}
	name := "Balances carried over from ledger " + c.From.Terms.Name
	for _, currency := range currencies {
		code := c.opening(currency)
		id, err := ledger.NewAccountID()
		if err != nil {
			return err
		}
		r := &ledger.OpenAccount{Common: c.common("opening", currency), AccountID: id, Code: code, Type: chain.Equity, Currency: currency, Name: &name,
			Tags: []chain.Tag{{Key: tagOrigin, Value: c.From.Terms.Origin}, {Key: tagHash, Value: c.result.Hash.String()}, {Key: tagSeq, Value: strconv.FormatInt(c.seq, 10)}}}
		if err := c.submit(ctx, []ledger.Request{r}, []string{"opening account " + code}); err != nil {
			return err
		}
	}
	return nil
}

// carryAccounts opens the accounts, and posts their balances: each by a transfer of its own, so that the receipt of one
// shows nobody else's.
func (c *carrier) carryAccounts(ctx context.Context) error {
	return c.walkOld(ctx, "carrying over accounts", func(page []ledger.Account) error {
		if err := c.openAccounts(ctx, page); err != nil {
			return err
		}
		var requests []ledger.Request
		var names []string
		for i := range page {
			if a := &page[i]; !a.Posted.IsZero() {
				requests, names = append(requests, c.balance(a)), append(names, "carrying over the balance of account "+a.Code)
			}
		}
		return c.submit(ctx, requests, names)
	})
}

// openAccounts opens those accounts of a page that are not there.
func (c *carrier) openAccounts(ctx context.Context, page []ledger.Account) error {
	there, err := c.DB.AccountsByCode(ctx, c.Into.ID, codesOf(page))
	if err != nil {
		return err
	}
	var requests []ledger.Request
	var names []string
	for i := range page {
		a := &page[i]
		if is, ok := there[a.Code]; ok {
			if is.Type != a.Type || is.Currency != a.Currency {
				return fmt.Errorf("opening account %s: ledger %s has one already, of type %s in %s, and it was of type %s in %s",
					a.Code, c.Into.Terms.Name, is.Type, is.Currency, a.Type, a.Currency)
			}
			continue
		}
		r := &ledger.OpenAccount{Common: c.common("account", a.Code), Code: a.Code, Type: a.Type, Currency: a.Currency, Name: a.Name, Tags: a.Tags}
		if r.AccountID, err = ledger.NewAccountID(); err != nil {
			return err
		}
		if !waits(a) {
			r.MinBalance, r.MaxBalance, r.Frozen = natural(a.MinBalance, a.Scale), natural(a.MaxBalance, a.Scale), a.Frozen
		}
		requests, names = append(requests, r), append(names, "opening account "+a.Code)
	}
	return c.submit(ctx, requests, names)
}

// waits reports whether limits and freeze of an account have to wait until its balance and its holds are there, which they
// would not let in.
func waits(a *ledger.Account) bool {
	if a.Posted.IsZero() && a.PendingDebit.IsZero() && a.PendingCredit.IsZero() {
		return false
	}
	if a.Frozen != chain.FrozenNone {
		return true
	}
	if available := a.Available(); a.MinBalance != nil && (available == nil || available.Sign() < 0) {
		return true
	}
	if a.MaxBalance == nil {
		return false
	}
	incoming := a.PendingCredit
	if a.Type.DebitNormal() {
		incoming = a.PendingDebit
	}
	most, fits := a.Balance().Add(incoming)
	return !fits || most.Cmp(*a.MaxBalance) > 0
}

func natural(units *money.Int128, scale uint8) *decimal.Decimal {
	if units == nil {
		return nil
	}
	d := units.Decimal(scale)
	return &d
}

// balance returns the transfer that carries the balance of an account over.
func (c *carrier) balance(a *ledger.Account) *ledger.TransferRequest {
	amount, mine, other := a.Posted.Decimal(a.Scale), chain.Debit, chain.Credit
	if amount.Sign() < 0 {
		amount, mine, other = amount.Neg(), other, mine
	}
	text := fmt.Sprintf("Balance carried over from ledger %s as of entry %d", c.From.Terms.Name, c.seq)
	metadata := fmt.Sprintf(`{"carried_over_ledger":"%s","%s":"%d"}`, c.From.ID, tagSeq, c.seq) // canonical: in order, and nothing to escape
	t := &ledger.TransferRequest{Common: c.common("balance", a.Code), Legs: []ledger.Leg{
		{Account: a.Code, Direction: mine, Amount: amount}, {Account: c.opening(a.Currency), Direction: other, Amount: amount},
	}}
	t.Description, t.Metadata = &text, &metadata
	return t
}

// carryHolds places the open holds again, under their ids, so that who placed them can settle them.
func (c *carrier) carryHolds(ctx context.Context) error {
	return c.walkHolds(ctx, func(open []*ledger.Entry) error {
		var requests []ledger.Request
		var names []string
		for _, hold := range open {
			if !c.over(hold) {
				requests, names = append(requests, c.placed(hold)), append(names, "placing hold "+hold.RequestID().String()+" again")
			}
		}
		return c.submit(ctx, requests, names)
	})
}

// placed returns the request that places a hold again.
func (c *carrier) placed(hold *ledger.Entry) *ledger.TransferRequest {
	record, text, accounts := hold.Record(), hold.Text(), hold.Accounts()
	t := &ledger.TransferRequest{Common: ledger.Common{ID: hold.RequestID(), Actor: c.Actor, Salt: c.Salt()}, Hold: true}
	if !text.Erased {
		t.Description, t.Reference, t.Metadata = text.Description, text.Reference, text.Metadata
	}
	if record.ExpiresAt != nil {
		t.ExpiresAt = new(time.UnixMicro(*record.ExpiresAt))
	}
	if record.RelatedTo != nil {
		t.RelatedTo = &ledger.RequestID{UUID: *record.RelatedTo}
	}
	if rate, ok := record.Detail("rate"); ok {
		t.Rate = &rate
	}
	for i := range record.Postings {
		p := &record.Postings[i]
		t.Legs = append(t.Legs, ledger.Leg{Account: accounts[i].Code, Direction: p.Direction, Amount: p.PendingChange.Decimal(p.Scale)})
	}
	return t
}

// finishAccounts sets what had to wait: limits, freezes, closings.
func (c *carrier) finishAccounts(ctx context.Context) error {
	return c.walkOld(ctx, "limits, freezes and closings", func(page []ledger.Account) error {
		var requests []ledger.Request
		var names []string
		for i := range page {
			a := &page[i]
			if !a.Closed && !waits(a) {
				continue
			}
			requests = append(requests, &ledger.ChangeAccount{
				Common: c.common("attributes", a.Code), Code: a.Code, Close: a.Closed, Frozen: &a.Frozen,
				MinBalance: ledger.Limit{Set: true, Value: natural(a.MinBalance, a.Scale)}, MaxBalance: ledger.Limit{Set: true, Value: natural(a.MaxBalance, a.Scale)},
			})
			names = append(names, "setting limits, freeze and closing of account "+a.Code)
		}
		return c.submit(ctx, requests, names)
	})
}

// closeOpenings closes the opening accounts, that of the base currency last: then everything is carried over. It leaves
// them open while something differs.
func (c *carrier) closeOpenings(ctx context.Context) error {
	if c.result.Differ > 0 {
		return nil
	}
	for i := len(c.result.Openings) - 1; i >= 0; i-- {
		code := c.result.Openings[i]
		r := &ledger.ChangeAccount{Common: c.common("closing", code), Code: code, Close: true}
		if err := c.submit(ctx, []ledger.Request{r}, []string{"closing account " + code}); err != nil {
			return err
		}
	}
	return nil
}
