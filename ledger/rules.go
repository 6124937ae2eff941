package ledger

import (
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// This file answers the question "when may money move?". Rules are checked in
// the order written here; the first that does not hold is the answer. When an
// account may be opened or changed is in account_rules.go.

// transferRules are the rules of a transfer, in order of precedence. Each works
// on what the ones before it have established.
var transferRules = []func(*movement) *Refusal{
	postingCount,
	amountsPositive,
	accountOnOneSide,
	accountsKnown,
	currenciesAgree,
	amountsFitCurrency,
	currenciesBalance,
	valueDateAllowed,
	accountsOpen,
	accountsNotFrozen,
	balancesFit,
	withinLimits,
}

// movement is a transfer while it is decided.
type movement struct {
	o         *overlay
	r         *TransferRequest
	accounts  []*Account // one per leg
	sums      []sum      // one per account
	effective chain.Date
	postings  []chain.Posting // one per sum
}

// sum is what a transfer does to one account: legs that name it twice count
// together, so that an account stands at most once per entry.
type sum struct {
	code      string
	direction chain.Direction
	units     money.Int128
	leg       int // the first leg that names it
}

func (r *TransferRequest) apply(o *overlay) (*draft, *Refusal) {
	m := &movement{o: o, r: r}
	for _, rule := range transferRules {
		if refused := rule(m); refused != nil {
			return nil, refused
		}
	}
	d := &draft{kind: chain.Transfer, effective: m.effective, postings: m.postings}
	d.accounts = make([]PostingAccount, len(m.sums))
	for i := range m.sums {
		a := m.accounts[m.sums[i].leg]
		d.accounts[i] = PostingAccount{Code: a.Code, Type: a.Type, MinBalance: a.MinBalance}
	}
	return d, nil
}

// postingCount bounds the legs of a transfer.
func postingCount(m *movement) *Refusal {
	n := len(m.r.Legs)
	if n >= MinPostings && n <= MaxPostings {
		return nil
	}
	return refusal(CodePostingCount, "a transfer has %d to %d postings, this one has %d", MinPostings, MaxPostings, n)
}

// amountsPositive holds I1: the side says the sign.
func amountsPositive(m *movement) *Refusal {
	for i := range m.r.Legs {
		if leg := &m.r.Legs[i]; leg.Amount.Sign() <= 0 {
			return atLeg(m, i, refusal(CodeAmountNotPositive,
				"amounts are greater than zero; swap debit and credit instead of a negative amount"))
		}
	}
	return nil
}

// accountOnOneSide refuses an account that is debited and credited at once.
func accountOnOneSide(m *movement) *Refusal {
	legs := m.r.Legs
	if len(legs) == 2 {
		if legs[0].Account == legs[1].Account && legs[0].Direction != legs[1].Direction {
			return atLeg(m, 1, refusal(CodeAccountTwice, "account %s is debited and credited in one transfer", legs[1].Account))
		}
		return nil
	}
	sides := make(map[string]chain.Direction, len(legs))
	for i := range legs {
		side, ok := sides[legs[i].Account]
		if ok && side != legs[i].Direction {
			return atLeg(m, i, refusal(CodeAccountTwice, "account %s is debited and credited in one transfer", legs[i].Account))
		}
		sides[legs[i].Account] = legs[i].Direction
	}
	return nil
}

// accountsKnown finds the accounts, and refuses those whose stored state is damaged.
func accountsKnown(m *movement) *Refusal {
	m.accounts = make([]*Account, len(m.r.Legs))
	for i := range m.r.Legs {
		code := m.r.Legs[i].Account
		if m.accounts[i] = m.o.account(code); m.accounts[i] == nil {
			return atLeg(m, i, unknownAccount(code))
		}
		if m.accounts[i].Damaged {
			return atLeg(m, i, damagedAccount(code))
		}
	}
	return nil
}

// currenciesAgree holds I10 where a leg asserts its currency.
func currenciesAgree(m *movement) *Refusal {
	for i := range m.r.Legs {
		asserted, a := m.r.Legs[i].Currency, m.accounts[i]
		if asserted == "" || asserted == a.Currency {
			continue
		}
		if _, ok := money.ISO(asserted); !ok {
			return atLeg(m, i, unknownCurrency(asserted))
		}
		return atLeg(m, i, refusal(CodeCurrencyMismatch, "account %s is kept in %s, not in %s", a.Code, a.Currency, asserted))
	}
	return nil
}

// amountsFitCurrency holds I1: amounts are whole units of their currency, never rounded.
func amountsFitCurrency(m *movement) *Refusal {
	scales := make(map[string]uint8, len(m.accounts))
	for _, a := range m.accounts {
		scales[a.Code] = a.Scale
	}
	var refused *Refusal
	m.sums, refused = summedUnits(m.r, func(code string) (uint8, bool) {
		scale, ok := scales[code]
		return scale, ok
	})
	if refused != nil {
		return atLeg(m, refused.Posting, refused)
	}
	return nil
}

// summedUnits turns the legs of r into units, one sum per account in the order
// of first mention.
func summedUnits(r *TransferRequest, scaleOf func(code string) (scale uint8, ok bool)) ([]sum, *Refusal) {
	sums := make([]sum, 0, len(r.Legs))
	var index map[string]int
	if len(r.Legs) > 2 {
		index = make(map[string]int, len(r.Legs))
	}
	for i := range r.Legs {
		leg := &r.Legs[i]
		scale, ok := scaleOf(leg.Account)
		if !ok {
			return nil, &Refusal{Code: CodeUnknownAccount, Posting: i}
		}
		units, refused := unitsOf(leg.Amount, scale)
		if refused != nil {
			refused.Posting = i
			return nil, refused
		}
		at, repeated := firstMention(sums, index, leg.Account)
		if !repeated {
			if index != nil {
				index[leg.Account] = len(sums)
			}
			sums = append(sums, sum{code: leg.Account, direction: leg.Direction, units: units, leg: i})
			continue
		}
		if sums[at].units, ok = sums[at].units.Add(units); !ok {
			return nil, &Refusal{Code: CodeAmountRange, Detail: "the legs of one account sum to more than 128 bits", Posting: i}
		}
	}
	return sums, nil
}

func firstMention(sums []sum, index map[string]int, code string) (at int, ok bool) {
	if index != nil {
		at, ok = index[code]
		return at, ok
	}
	return 0, len(sums) > 0 && sums[0].code == code
}

// currenciesBalance holds I1, and thereby I2: debits equal credits in each currency.
func currenciesBalance(m *movement) *Refusal {
	type total struct{ debit, credit money.Int128 }
	totals := make(map[string]total, 1)
	for _, s := range m.sums {
		a := m.accounts[s.leg]
		t := totals[a.Currency]
		side := &t.debit
		if s.direction == chain.Credit {
			side = &t.credit
		}
		var ok bool
		if *side, ok = side.Add(s.units); !ok {
			return refusal(CodeAmountRange, "the %s postings sum to more than 128 bits", a.Currency)
		}
		totals[a.Currency] = t
	}
	for _, s := range m.sums {
		a := m.accounts[s.leg]
		if t := totals[a.Currency]; t.debit != t.credit {
			return refusal(CodeUnbalanced, "%s debits of %s and credits of %s differ; they must be equal in each currency",
				a.Currency, t.debit.Format(a.Scale), t.credit.Format(a.Scale))
		}
	}
	return nil
}

// valueDateAllowed keeps value dates within the ledger's terms (I10).
func valueDateAllowed(m *movement) *Refusal {
	booking := m.o.bookingDate
	m.effective = booking
	if m.r.EffectiveDate == nil {
		return nil
	}
	m.effective = *m.r.EffectiveDate
	terms := &m.o.book.terms
	first, last := booking-chain.Date(terms.ValueDaysBack), booking+chain.Date(terms.ValueDaysAhead)
	if m.effective < first || m.effective > last {
		return refusal(CodeDateOutOfBounds, "effective_date %s is outside %s to %s, which this ledger allows today",
			m.effective, first, last)
	}
	return nil
}

// accountsOpen holds I10 for closed accounts.
func accountsOpen(m *movement) *Refusal {
	for i, a := range m.accounts {
		if a.Closed {
			return atLeg(m, i, closedAccount(a.Code))
		}
	}
	return nil
}

// accountsNotFrozen holds I10 for frozen ones.
func accountsNotFrozen(m *movement) *Refusal {
	for i, a := range m.accounts {
		d := m.r.Legs[i].Direction
		if a.Frozen.Refuses(d) {
			return atLeg(m, i, refusal(CodeAccountFrozen, "account %s is frozen (%s) and takes no %s", a.Code, a.Frozen, d))
		}
	}
	return nil
}

// balancesFit books the sums on the balances (I9) and refuses what 128 bits
// cannot hold. A balance lies within ±(2^127−1), so that it can be negated.
func balancesFit(m *movement) *Refusal {
	m.postings = make([]chain.Posting, len(m.sums))
	for i, s := range m.sums {
		a := m.accounts[s.leg]
		book := a.Posted.Add
		if s.direction == chain.Credit {
			book = a.Posted.Sub
		}
		posted, ok := book(s.units)
		if ok {
			_, ok = posted.Neg()
		}
		if !ok {
			return atLeg(m, s.leg, refusal(CodeAmountRange, "the balance of %s would need more than 128 bits", a.Code))
		}
		m.postings[i] = chain.Posting{
			AccountID: a.AccountID, Direction: s.direction, Currency: a.Currency, Scale: a.Scale,
			Amount: s.units, EffectiveDate: m.effective, AccountSeq: a.AccountSeq + 1,
			Posted: posted, PendingDebit: a.PendingDebit, PendingCredit: a.PendingCredit,
		}
	}
	return nil
}

// withinLimits holds I3. A limit stops a movement towards it, never one away
// from it: an account below its minimum may still receive money.
func withinLimits(m *movement) *Refusal {
	for i, s := range m.sums {
		a, p := m.accounts[s.leg], &m.postings[i]
		lowers := (s.direction == chain.Debit) != a.Type.DebitNormal()
		if lowers && a.MinBalance != nil && below(a, p) {
			r := refusal(CodeLimitExceeded, "account %s has %s %s available and cannot give %s", a.Code,
				available(a), a.Currency, s.units.Format(a.Scale))
			r.Available = a.Available()
			return atLeg(m, s.leg, r)
		}
		if !lowers && a.MaxBalance != nil && above(a, p) {
			return atLeg(m, s.leg, refusal(CodeLimitExceeded, "account %s would pass its max_balance of %s %s by taking %s",
				a.Code, a.MaxBalance.Format(a.Scale), a.Currency, s.units.Format(a.Scale)))
		}
	}
	return nil
}

// below reports whether balance − held after p is under the minimum; a
// difference that 128 bits cannot hold is.
func below(a *Account, p *chain.Posting) bool {
	free, ok := Balance(a.Type, p.Posted).Sub(held(a.Type, p.PendingDebit, p.PendingCredit))
	return !ok || free.Cmp(*a.MinBalance) < 0
}

// above reports whether balance + expected increases after p is over the maximum.
func above(a *Account, p *chain.Posting) bool {
	full, ok := Balance(a.Type, p.Posted).Add(incoming(a.Type, p.PendingDebit, p.PendingCredit))
	return !ok || full.Cmp(*a.MaxBalance) > 0
}

func available(a *Account) string {
	if v := a.Available(); v != nil {
		return v.Format(a.Scale)
	}
	return "nothing"
}

// unitsOf turns natural units into units at scale, without rounding.
func unitsOf(d decimal.Decimal, scale uint8) (money.Int128, *Refusal) {
	units, err := money.FromDecimal(d, scale)
	switch {
	case err == nil:
		return units, nil
	case errors.Is(err, money.ErrScale):
		return units, refusal(CodeAmountPrecision, "the currency has %d decimals, the amount has more; amounts are never rounded", scale)
	}
	return units, refusal(CodeAmountRange, "the amount needs more than 128 bits at %d decimals", scale)
}

func refusal(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, args...), Posting: -1}
}

// atLeg says which posting a refusal is about.
func atLeg(m *movement, leg int, r *Refusal) *Refusal {
	r.Posting, r.Account = leg, m.r.Legs[leg].Account
	if m.accounts != nil && m.accounts[leg] != nil {
		r.Currency, r.Scale = m.accounts[leg].Currency, m.accounts[leg].Scale
	}
	return r
}

func unknownAccount(code string) *Refusal {
	r := refusal(CodeUnknownAccount, "this ledger has no account %s; open it first", code)
	r.Account = code
	return r
}

func unknownCurrency(code string) *Refusal {
	return refusal(CodeUnknownCurrency, "%s is neither an active ISO 4217 currency nor one that this ledger defines", code)
}

func closedAccount(code string) *Refusal {
	r := refusal(CodeAccountClosed, "account %s is closed and takes nothing any more", code)
	r.Account = code
	return r
}

func damagedAccount(code string) *Refusal {
	r := refusal(CodeAccountDamaged, "what is stored of account %s does not match its hash; nothing is posted to it until the finding is resolved", code)
	r.Account = code
	return r
}
