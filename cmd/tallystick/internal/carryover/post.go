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

// What is done, where the ids of requests are derived. They are part of what was posted: none ever changes.
const (
	operation  = "carry_over"
	actDefine  = "currency"
	actOpening = "opening" // an opening account
	actOpen    = "account"
	actBalance = "balance"
	actFinish  = "attributes"
	actClose   = "closing"
)

// act is a request, and what it does.
type act struct {
	ledger.Request
	what string
	fine ledger.Code // a refusal that is no failure
}

// submit posts to the successor and waits for all answers. What stands there already is fine.
func (c *carrier) submit(ctx context.Context, acts []act) error {
	requests := make([]ledger.Request, len(acts))
	for i := range acts {
		requests[i] = acts[i].Request
	}
	for i, r := range c.Poster.SubmitAll(ctx, c.Into.ID, requests) {
		switch {
		case r.Err != nil:
			return fmt.Errorf("%s: %w\nhint: run the same command again, it goes on where it was", acts[i].what, r.Err)
		case r.Refusal != nil && r.Refusal.Code != acts[i].fine:
			return fmt.Errorf("%s: ledger %s refuses it: %s (%s)\nhint: was something posted there meanwhile? Running the same command again goes on where it was; another successor begins anew",
				acts[i].what, c.Into.Terms.Name, r.Refusal.Detail, r.Refusal.Code)
		}
	}
	return nil
}

// common returns what every request carries, under an id made of what it does.
func (c *carrier) common(what, of string) ledger.Common {
	key := fmt.Sprintf("%s\x00%d\x00%s\x00%s", c.From.Terms.Origin, c.seq, what, of)
	return ledger.Common{ID: ledger.DeriveRequestID(c.Into.ID, operation, key), Actor: c.Actor, Salt: c.Salt()}
}

// ownCurrencies returns the currencies that a ledger defines up to an entry.
func (c *carrier) ownCurrencies(ctx context.Context, id ledger.LedgerID, upTo int64) ([]*ledger.DefineCurrency, error) {
	opening, err := c.DB.Opening(ctx, id)
	if err != nil {
		return nil, err
	}
	var list []*ledger.DefineCurrency
	for i := range opening.Rules {
		r := opening.Rules[i].Record()
		if r.Kind != chain.CurrencyDefined || r.Seq > upTo {
			continue
		}
		d := new(ledger.DefineCurrency)
		d.Code, _ = r.Detail("code")
		d.Name, _ = r.Detail("name")
		text, _ := r.Detail("scale")
		scale, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return nil, fmt.Errorf("reading the currency that entry %d defines: %w", r.Seq, err)
		}
		d.Scale = uint8(scale)
		list = append(list, d)
	}
	return list, nil
}

// defineCurrencies defines the currencies of the old ledger's own.
func (c *carrier) defineCurrencies(ctx context.Context) error {
	acts := make([]act, len(c.own))
	for i, d := range c.own {
		d.Common = c.common(actDefine, d.Code)
		acts[i] = act{Request: d, what: "defining currency " + d.Code}
	}
	return c.submit(ctx, acts)
}

// openOpenings opens the opening accounts, that of the base currency first and by itself: who comes second with another entry
// is refused there.
func (c *carrier) openOpenings(ctx context.Context) error {
	name := "Balances carried over from ledger " + c.From.Terms.Name
	for _, currency := range c.currencies() {
		code := c.opening(currency)
		id, err := ledger.NewAccountID()
		if err != nil {
			return err
		}
		r := &ledger.OpenAccount{Common: c.common(actOpening, currency), AccountID: id, Code: code, Type: chain.Equity, Currency: currency, Name: &name,
			Tags: []chain.Tag{{Key: tagOrigin, Value: c.From.Terms.Origin}, {Key: tagHash, Value: c.result.Hash.String()}, {Key: tagSeq, Value: strconv.FormatInt(c.seq, 10)}}}
		if err := c.submit(ctx, []act{{Request: r, what: "opening account " + code}}); err != nil {
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
		var acts []act
		for i := range page {
			if a := &page[i]; !a.Posted.IsZero() {
				acts = append(acts, act{Request: c.balance(a), what: "carrying over the balance of account " + a.Code})
			}
		}
		return c.submit(ctx, acts)
	})
}

// openAccounts opens those accounts of a page that are not there.
func (c *carrier) openAccounts(ctx context.Context, page []ledger.Account) error {
	there, err := c.DB.AccountsByCode(ctx, c.Into.ID, codesOf(page))
	if err != nil {
		return err
	}
	var acts []act
	for i := range page {
		a := &page[i]
		if _, ok := there[a.Code]; ok {
			continue
		}
		r := &ledger.OpenAccount{Common: c.common(actOpen, a.Code), Code: a.Code, Type: a.Type, Currency: a.Currency, Name: a.Name, Tags: a.Tags}
		if r.AccountID, err = ledger.NewAccountID(); err != nil {
			return err
		}
		if !waits(a) {
			r.MinBalance, r.MaxBalance, r.Frozen = natural(a.MinBalance, a.Scale), natural(a.MaxBalance, a.Scale), a.Frozen
		}
		acts = append(acts, act{Request: r, what: "opening account " + a.Code})
	}
	return c.submit(ctx, acts)
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
	return new(units.Decimal(scale))
}

// balance returns the transfer that carries the balance of an account over.
func (c *carrier) balance(a *ledger.Account) *ledger.TransferRequest {
	amount, mine, other := a.Posted.Decimal(a.Scale), chain.Debit, chain.Credit
	if amount.Sign() < 0 {
		amount, mine, other = amount.Neg(), other, mine
	}
	text := fmt.Sprintf("Balance carried over from ledger %s as of entry %d", c.From.Terms.Name, c.seq)
	metadata := fmt.Sprintf(`{"carried_over_ledger":"%s","%s":"%d"}`, c.From.ID, tagSeq, c.seq) // canonical: in order, and nothing to escape
	t := &ledger.TransferRequest{Common: c.common(actBalance, a.Code), Legs: []ledger.Leg{
		{Account: a.Code, Direction: mine, Amount: amount}, {Account: c.opening(a.Currency), Direction: other, Amount: amount},
	}}
	t.Description, t.Metadata = &text, &metadata
	return t
}

// carryHolds places the open holds again, under their ids, so that who placed them can settle them. Those that the successor
// has are left as they are, whatever has become of them or of their text; those whose time is over it refuses.
func (c *carrier) carryHolds(ctx context.Context) error {
	return c.walkHolds(ctx, "carrying over holds", func(open []openHold) error {
		var acts []act
		for i := range open {
			h := &open[i]
			switch h.fate() {
			case foreign:
				return errForeign(c, h)
			case absent:
				acts = append(acts, act{Request: c.placed(h), what: "placing hold " + h.RequestID().String() + " again", fine: ledger.CodeExpiryPassed})
			}
		}
		return c.submit(ctx, acts)
	})
}

// placed returns the request that places a hold again.
func (c *carrier) placed(hold *openHold) *ledger.TransferRequest {
	record, text, accounts := hold.Record(), hold.Text(), hold.Accounts()
	t := &ledger.TransferRequest{Common: ledger.Common{ID: hold.RequestID(), Actor: c.Actor, Salt: c.Salt()}, Hold: true}
	if !hold.erased {
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
		var acts []act
		for i := range page {
			a := &page[i]
			if !a.Closed && !waits(a) {
				continue
			}
			acts = append(acts, act{what: "setting limits, freeze and closing of account " + a.Code, Request: &ledger.ChangeAccount{
				Common: c.common(actFinish, a.Code), Code: a.Code, Close: a.Closed, Frozen: &a.Frozen,
				MinBalance: ledger.Limit{Set: true, Value: natural(a.MinBalance, a.Scale)}, MaxBalance: ledger.Limit{Set: true, Value: natural(a.MaxBalance, a.Scale)},
			}})
		}
		return c.submit(ctx, acts)
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
		r := &ledger.ChangeAccount{Common: c.common(actClose, code), Code: code, Close: true}
		if err := c.submit(ctx, []act{{Request: r, what: "closing account " + code}}); err != nil {
			return err
		}
	}
	return nil
}
