package ledger

import (
	"cmp"
	"crypto/sha256"
	"math/big"
	"slices"
	"strconv"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// This file answers when a period may be closed and reopened.

// ClosePeriod asks to close the books up to a day: from then on no value date up
// to it is taken, but with an approved prior_period. With Retain, what revenue
// and expense accounts show at that day, by value date, is moved to equity in
// the same commit, by transfers valued at that day.
type ClosePeriod struct {
	Common
	standalone
	PeriodEnd chain.Date
	Retain    []string // codes of equity accounts, one per currency
}

// ReopenPeriod asks to undo the newest closing. Its description is the reason.
type ReopenPeriod struct {
	Common
	standalone
	PeriodEnd chain.Date
}

// Bounds of a closing.
const (
	// MaxIncomeAccounts is how many revenue and expense accounts may have a
	// balance when a result is moved.
	MaxIncomeAccounts = 10 * maxIncomesMoved
	// MaxRetainAccounts bounds the accounts that take a result, and so its
	// currencies.
	MaxRetainAccounts = 10
	// maxIncomesMoved is how many of them one transfer moves: one posting is the
	// retaining account's.
	maxIncomesMoved = MaxPostings - 1
	// maxClosingTransfers is how many transfers that takes; the last of each
	// currency may not be full.
	maxClosingTransfers = MaxIncomeAccounts/maxIncomesMoved + MaxRetainAccounts
)

func (*ClosePeriod) operation() string  { return OperationClosePeriod }
func (*ReopenPeriod) operation() string { return OperationReopenPeriod }

func (r *ClosePeriod) accountCodes(dst []string) []string { return append(dst, r.Retain...) }
func (*ReopenPeriod) accountCodes(dst []string) []string  { return dst }

// weight of a closing that moves a result is that of a whole commit, see alone.
func (r *ClosePeriod) weight() int {
	if len(r.Retain) > 0 {
		return MaxBatchBytes
	}
	return perPosting
}

func (*ReopenPeriod) weight() int { return perPosting }

func (r *ClosePeriod) fingerprintTo(b []byte) []byte {
	b = appendText(b, r.PeriodEnd.String())
	for _, code := range r.Retain {
		b = appendText(b, code)
	}
	return b
}

func (r *ReopenPeriod) fingerprintTo(b []byte) []byte { return appendText(b, r.PeriodEnd.String()) }

// apply closes a period that is over and not closed yet.
func (r *ClosePeriod) apply(o *overlay) (*draft, *Refusal) {
	newest, any := o.rules.newest()
	switch {
	case r.PeriodEnd >= o.bookingDate:
		return nil, refusal(CodePeriodNotOver, "the ledger books on %s; a period is closed when its last day is over", o.bookingDate)
	case any && r.PeriodEnd <= newest.end:
		return nil, refusal(CodePeriodAlreadyClosed, "the books are closed up to %s already; reopen that period first", newest.end)
	}
	details := []chain.Detail{{Name: "period_end", Value: r.PeriodEnd.String()}}
	if len(r.Retain) > 0 {
		more, refused := r.moveResult(o)
		if refused != nil {
			return nil, refused
		}
		details = append(details, more...)
	}
	details = append(details, chain.Detail{Name: "through_seq", Value: strconv.FormatInt(o.head.Seq, 10)})
	chain.SortDetails(details)
	return &draft{kind: chain.PeriodClosed, effective: o.bookingDate, details: details}, nil
}

// apply reopens the newest closed period.
func (r *ReopenPeriod) apply(o *overlay) (*draft, *Refusal) {
	newest, any := o.rules.newest()
	switch {
	case !any:
		return nil, refusal(CodePeriodNotClosed, "no period of this ledger is closed")
	case newest.end != r.PeriodEnd:
		return nil, refusal(CodePeriodNotClosed, "only the newest closed period can be reopened; it ended on %s", newest.end)
	}
	return &draft{
		kind: chain.PeriodReopened, effective: o.bookingDate, refSeq: &newest.seq,
		details: []chain.Detail{{Name: "period_end", Value: r.PeriodEnd.String()}},
	}, nil
}

// moveResult appends the transfers that move the period's result and returns
// what the closing says about them. It refuses all of them or none.
func (r *ClosePeriod) moveResult(o *overlay) ([]chain.Detail, *Refusal) {
	retain, details, refused := r.retaining(o)
	if refused != nil {
		return nil, refused
	}
	incomes := slices.Clone(o.book.incomes)
	if len(incomes) > MaxIncomeAccounts {
		return nil, refusal(CodeTooManyIncomeAccounts,
			"more than %d revenue and expense accounts have a balance; move it by transfers of your own, then close without retain", MaxIncomeAccounts)
	}
	slices.SortFunc(incomes, func(a, b Income) int { return compareIncomes(&a, &b) })
	o.begin()
	for n := 0; len(incomes) > 0; n++ {
		size := 1
		for size < len(incomes) && size < maxIncomesMoved && incomes[size].Currency == incomes[0].Currency {
			size++
		}
		if refused := r.moveIncomes(o, n, incomes[:size], retain[incomes[0].Currency]); refused != nil {
			o.rollBack()
			return nil, refused
		}
		incomes = incomes[size:]
	}
	if len(o.entries) > o.undo.entries {
		details = append(details, chain.Detail{Name: "closing_seq", Value: strconv.FormatInt(o.head.Seq, 10)})
	}
	o.undo = nil
	return details, nil
}

// compareIncomes orders by currency, and what adds to equity before what takes
// from it: between two transfers of a closing the retaining account does not fall
// below where it begins or ends.
func compareIncomes(a, b *Income) int {
	return cmp.Or(cmp.Compare(a.Currency, b.Currency), cmp.Compare(a.Balance.Sign(), b.Balance.Sign()), cmp.Compare(a.Code, b.Code))
}

// retaining checks the accounts that take the result, by currency.
func (r *ClosePeriod) retaining(o *overlay) (map[string]*Account, []chain.Detail, *Refusal) {
	if len(r.Retain) > MaxRetainAccounts {
		return nil, nil, refusal(CodeRetainAccountInvalid, "a result is retained by at most %d accounts, one per currency", MaxRetainAccounts)
	}
	retain := make(map[string]*Account, len(r.Retain))
	var details []chain.Detail
	for _, code := range r.Retain {
		a := o.account(code)
		switch {
		case a == nil:
			return nil, nil, unknownAccount(code)
		case a.Type != chain.Equity:
			refused := refusal(CodeRetainAccountInvalid, "account %s is of type %s; the result of a period goes to an equity account", code, a.Type)
			refused.Account = code
			return nil, nil, refused
		case retain[a.Currency] != nil:
			refused := refusal(CodeRetainAccountInvalid, "accounts %s and %s are both to retain %s; name one per currency",
				retain[a.Currency].Code, code, a.Currency)
			refused.Account = code
			return nil, nil, refused
		}
		retain[a.Currency] = a
		details = append(details, chain.Detail{Name: "retain_account." + a.Currency, Value: code})
	}
	return retain, details, nil
}

// moveIncomes appends transfer n of a closing: the balances of incomes, all of
// one currency, to an equity account.
func (r *ClosePeriod) moveIncomes(o *overlay, n int, incomes []Income, retain *Account) *Refusal {
	if retain == nil {
		return refusal(CodeRetainAccountNeeded, "accounts such as %s have a result in %s; name an equity account of that currency in retain",
			incomes[0].Code, incomes[0].Currency)
	}
	end := r.PeriodEnd
	m := &movement{o: o, dated: ValueDate{EffectiveDate: &end}}
	var sum big.Int
	for i := range incomes {
		if incomes[i].BeyondRange {
			refused := refusal(CodeAmountRange, "the balance of %s at %s by value date needs more than 128 bits", incomes[i].Code, end)
			refused.Account = incomes[i].Code
			return refused
		}
		sum.Add(&sum, incomes[i].Balance.Big())
		m.bookAway(incomes[i].Code, incomes[i].Balance)
	}
	net, fits := money.FromBig(&sum)
	if !fits {
		return refusal(CodeAmountRange, "the result in %s needs more than 128 bits", retain.Currency)
	}
	if !net.IsZero() {
		opposite, _ := net.Neg()
		m.bookAway(retain.Code, opposite)
	}
	d, refused := m.decide(closingRules, chain.Transfer)
	if refused != nil {
		return refused
	}
	description := "Result of the period to " + end.String()
	number := strconv.Itoa(n)
	part := &TransferRequest{Common: Common{
		ID:    r.transferID(o.book.id, n),
		Actor: r.Actor, Description: &description,
	}}
	salt := sha256.Sum256(append(r.Salt[:], number...))
	copy(part.Salt[:], salt[:])
	o.accept(part, d)
	return nil
}

// transferID is the id of transfer n of a closing.
func (r *ClosePeriod) transferID(ledger LedgerID, n int) RequestID {
	return DeriveRequestID(ledger, "closing", r.ID.String()+"\x00"+strconv.Itoa(n))
}

// transferIDs appends the ids that the transfers of a closing may have.
func (r *ClosePeriod) transferIDs(dst []RequestID, ledger LedgerID) []RequestID {
	if len(r.Retain) == 0 {
		return dst
	}
	for n := range maxClosingTransfers {
		dst = append(dst, r.transferID(ledger, n))
	}
	return dst
}

// bookAway takes a debit-positive balance off an account.
func (m *movement) bookAway(code string, balance money.Int128) {
	direction, units := chain.Credit, balance
	if balance.Sign() < 0 {
		direction = chain.Debit
		units, _ = balance.Neg()
	}
	m.sums = append(m.sums, sum{code: code, direction: direction, units: units, leg: len(m.legs)})
	m.legs = append(m.legs, Leg{Account: code, Direction: direction})
}
