package ledger

import (
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// This file answers the question "when may money move?". Rules are checked in
// the order written here; the first that does not hold is the answer. When an
// account may be opened or changed is in account_rules.go, when a period may be
// closed in periods.go.

// transferRules are the rules of a transfer and of a hold, in order of
// precedence. Each works on what the ones before it have established.
var transferRules = []func(*movement) *Refusal{
	postingCount,
	amountsPositive,
	accountOnOneSide,
	accountsKnown,
	currenciesAgree,
	amountsFitCurrency,
	currenciesBalance,
	valueDateAllowed,
	periodOpen,
	expiryAhead,
	accountsOpen,
	accountsNotFrozen,
	balancesFit,
	withinLimits,
}

// captureRules are those of a capture. The limits are not among them: a hold was
// held against them, and a capture takes no more than it set aside.
var captureRules = []func(*movement) *Refusal{
	targetKnown,
	targetIsHold,
	holdOpen,
	holdNotExpired,
	accountsKnown,
	captureAmounts,
	currenciesBalance,
	valueDateAllowed,
	periodOpen,
	accountsNotFrozen,
	balancesFit,
}

// releaseRules are those of a release. A freeze does not stop one: nothing is
// taken.
var releaseRules = []func(*movement) *Refusal{
	targetKnown,
	targetIsHold,
	holdOpen,
	expiryReached,
	accountsKnown,
	balancesFit,
}

// reversalRules are those of a reversal.
var reversalRules = []func(*movement) *Refusal{
	targetKnown,
	targetReversible,
	accountsKnown,
	accountsOpen,
	accountsNotFrozen,
	balancesFit,
	withinLimits,
}

// closingRules are those of the transfers by which closing a period moves its
// result.
var closingRules = []func(*movement) *Refusal{
	accountsKnown,
	valueDateAllowed,
	accountsOpen,
	accountsNotFrozen,
	balancesFit,
	withinLimits,
}

// movement is a request to move money while it is decided.
type movement struct {
	o         *overlay
	legs      []Leg
	dated     ValueDate
	hold      bool       // set the money aside only
	expiresAt *time.Time // of the hold to be
	target    *Target    // what a capture, release or reversal acts on
	targetID  RequestID
	capture   *CaptureHold // the request of a capture
	onExpiry  bool         // release only when the hold has expired
	refSeq    *int64       // the entry acted on

	accounts  []*Account // one per leg
	sums      []sum      // one per account
	effective chain.Date
	postings  []chain.Posting // one per sum
}

// sum is what a movement does to one account: legs that name it twice count
// together, so that an account stands at most once per entry.
type sum struct {
	code      string
	direction chain.Direction
	units     money.Int128 // booked, or set aside by a hold
	settled   money.Int128 // of an earlier hold, no longer set aside
	leg       int          // the first leg that names it
}

// decide holds m against rules and makes an entry of it.
func (m *movement) decide(rules []func(*movement) *Refusal, kind chain.Kind) (*draft, *Refusal) {
	m.effective = m.o.bookingDate
	for _, rule := range rules {
		if refused := rule(m); refused != nil {
			return nil, refused
		}
	}
	d := &draft{kind: kind, effective: m.effective, prior: m.dated.PriorPeriod, refSeq: m.refSeq, postings: m.postings}
	d.accounts = make([]PostingAccount, len(m.sums))
	for i := range m.sums {
		a := m.accounts[m.sums[i].leg]
		d.accounts[i] = PostingAccount{Code: a.Code, Type: a.Type, MinBalance: a.MinBalance}
	}
	return d, nil
}

func (r *TransferRequest) apply(o *overlay) (*draft, *Refusal) {
	m := &movement{o: o, legs: r.Legs, dated: r.ValueDate, hold: r.Hold, expiresAt: r.ExpiresAt}
	kind := chain.Transfer
	if r.Hold {
		kind = chain.Hold
	}
	d, refused := m.decide(transferRules, kind)
	if refused != nil {
		return nil, refused
	}
	if r.RelatedTo != nil {
		d.relatedTo = &r.RelatedTo.UUID
	}
	if r.Hold && r.ExpiresAt != nil {
		micros := r.ExpiresAt.UnixMicro()
		d.expiresAt = &micros
	}
	d.details = rateDetail(r.Rate)
	return d, nil
}

// rateDetail is the exchange rate as an entry binds it.
func rateDetail(rate *string) []chain.Detail {
	if rate == nil {
		return nil
	}
	return []chain.Detail{{Name: "rate", Value: *rate}}
}

// postingCount bounds the legs of a transfer.
func postingCount(m *movement) *Refusal {
	n := len(m.legs)
	if n >= MinPostings && n <= MaxPostings {
		return nil
	}
	return refusal(CodePostingCount, "a transfer has %d to %d postings, this one has %d", MinPostings, MaxPostings, n)
}

// amountsPositive holds I1: the side says the sign.
func amountsPositive(m *movement) *Refusal {
	for i := range m.legs {
		if leg := &m.legs[i]; leg.Amount.Sign() <= 0 {
			return atLeg(m, i, refusal(CodeAmountNotPositive,
				"amounts are greater than zero; swap debit and credit instead of a negative amount"))
		}
	}
	return nil
}

// accountOnOneSide refuses an account that is debited and credited at once.
func accountOnOneSide(m *movement) *Refusal {
	legs := m.legs
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
	m.accounts = make([]*Account, len(m.legs))
	for i := range m.legs {
		code := m.legs[i].Account
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
	for i := range m.legs {
		asserted, a := m.legs[i].Currency, m.accounts[i]
		if asserted == "" || asserted == a.Currency {
			continue
		}
		if _, ok := m.o.rules.currency(asserted); !ok {
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
	m.sums, refused = summedUnits(m.legs, func(code string) (uint8, bool) {
		scale, ok := scales[code]
		return scale, ok
	})
	if refused != nil {
		return atLeg(m, refused.Posting, refused)
	}
	return nil
}

// summedUnits turns legs into units, one sum per account in the order
// of first mention.
func summedUnits(legs []Leg, scaleOf func(code string) (scale uint8, ok bool)) ([]sum, *Refusal) {
	sums := make([]sum, 0, len(legs))
	var index map[string]int
	if len(legs) > 2 {
		index = make(map[string]int, len(legs))
	}
	for i := range legs {
		leg := &legs[i]
		scale, ok := scaleOf(leg.Account)
		if !ok {
			return nil, &Refusal{Code: CodeUnknownAccount, Posting: i, Item: -1}
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
			return nil, &Refusal{Code: CodeAmountRange, Detail: "the legs of one account sum to more than 128 bits", Posting: i, Item: -1}
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
	if m.dated.EffectiveDate == nil {
		return nil
	}
	m.effective = *m.dated.EffectiveDate
	terms := &m.o.book.terms
	first, last := booking-chain.Date(terms.ValueDaysBack), booking+chain.Date(terms.ValueDaysAhead)
	if m.effective < first || m.effective > last {
		return refusal(CodeDateOutOfBounds, "effective_date %s is outside %s to %s, which this ledger allows today",
			m.effective, first, last)
	}
	return nil
}

// periodOpen holds I10 for closed periods: only an approved prior-period entry
// takes a value date in one.
func periodOpen(m *movement) *Refusal {
	closed := m.o.rules.closed(m.effective)
	switch {
	case m.dated.PriorPeriod && !m.dated.MayApprove:
		return refusal(CodeApprovalRequired, "prior_period needs an API key with the scope approve")
	case closed && !m.dated.PriorPeriod:
		newest, _ := m.o.rules.newest()
		return refusal(CodePeriodClosed, "the books are closed up to %s and effective_date is %s; use a later date, or prior_period with approval",
			newest.end, m.effective)
	case !closed && m.dated.PriorPeriod:
		return refusal(CodePriorPeriodUnneeded, "effective_date %s lies in no closed period; leave prior_period out", m.effective)
	}
	return nil
}

// expiryAhead refuses a hold that has expired before it stands.
func expiryAhead(m *movement) *Refusal {
	if m.expiresAt == nil || m.expiresAt.UnixMicro() > m.o.now {
		return nil
	}
	return refusal(CodeExpiryPassed, "expires_at has passed already; a hold expires in the future, or never")
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

// accountsNotFrozen holds I10 for frozen ones. A leg of a hold that its capture
// leaves out takes nothing.
func accountsNotFrozen(m *movement) *Refusal {
	for _, s := range m.sums {
		a := m.accounts[s.leg]
		if !s.units.IsZero() && a.Frozen.Refuses(s.direction) {
			return atLeg(m, s.leg, refusal(CodeAccountFrozen, "account %s is frozen (%s) and takes no %s", a.Code, a.Frozen, s.direction))
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
		p, ok := m.posting(a, &s)
		if !ok {
			return atLeg(m, s.leg, refusal(CodeAmountRange, "the balance of %s would need more than 128 bits", a.Code))
		}
		if p.PendingDebit.Sign() < 0 || p.PendingCredit.Sign() < 0 {
			return atLeg(m, s.leg, damagedAccount(a.Code)) // it holds less than this hold set aside
		}
		m.postings[i] = p
	}
	return nil
}

// posting books s on a; ok is false when 128 bits cannot hold the result.
func (m *movement) posting(a *Account, s *sum) (p chain.Posting, ok bool) {
	p = chain.Posting{
		AccountID: a.AccountID, Direction: s.direction, Currency: a.Currency, Scale: a.Scale,
		EffectiveDate: m.effective, AccountSeq: a.AccountSeq + 1,
		Posted: a.Posted, PendingDebit: a.PendingDebit, PendingCredit: a.PendingCredit,
	}
	if m.hold {
		p.PendingChange = s.units
	} else {
		p.Amount = s.units
		p.PendingChange, _ = s.settled.Neg() // no hold is larger than 2^127−1
	}
	book, pending := a.Posted.Add, &p.PendingDebit
	if s.direction == chain.Credit {
		book, pending = a.Posted.Sub, &p.PendingCredit
	}
	if p.Posted, ok = book(p.Amount); !ok {
		return p, false
	}
	*pending, ok = pending.Add(p.PendingChange)
	return p, ok
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
