package reconcile

import (
	"context"
	"fmt"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// followHeld follows the postings of the segment, in order, up to those where an
// account is met whose state is not held, and returns how many they are. Where
// accounts are opened or changed, it leaves all of them to followAccounts.
func (w *worker) followHeld(ctx context.Context) (int, error) {
	s := &w.segment
	if !w.follows || len(s.versions) > 0 {
		return 0, nil
	}
	i := 0
	for i < len(s.postings) {
		end := w.hold()
		if len(w.unmet) > 0 {
			break
		}
		for ; i < end; i++ {
			if err := w.followPosting(ctx, i); err != nil {
				return 0, err
			}
		}
	}
	return i, nil
}

// followAccounts walks through the postings of the segment in order, from one on.
func (w *worker) followAccounts(ctx context.Context, from int) error {
	s := &w.segment
	if !w.follows {
		return nil
	}
	next := 0
	for i := from; i < len(s.postings); i++ {
		for ; next < len(s.versions) && s.versions[next].seq < s.places[i].seq; next++ {
			w.changeAccount(&s.versions[next])
		}
		if err := w.followPosting(ctx, i); err != nil {
			return err
		}
	}
	for ; next < len(s.versions); next++ {
		w.changeAccount(&s.versions[next])
	}
	return nil
}

// followPosting holds a posting against its account as the postings and account
// entries before it left it.
func (w *worker) followPosting(ctx context.Context, i int) error {
	p, at := &w.segment.postings[i], &w.segment.places[i]
	a := &w.accounts.states[w.held[i]]
	if w.strangersOnly && !a.stranger() {
		return nil
	}
	if !a.stranger() {
		w.scope.knownPostings++
	}
	before := previous{seq: a.seq, balances: a.balances}
	switch {
	case at.rejected != nil:
	case a.awaited:
		w.stripe.opens = append(w.stripe.opens, opening{*p, *at})
		before.unreadable = true // until the regions are joined
	case p.AccountSeq != a.accountSeq+1:
		var err error
		if before, err = w.lookUp(ctx, p.AccountID, p.AccountSeq); err != nil {
			return err
		}
	}
	w.checkPosting(p, at, a, &before)
	return nil
}

// stranger reports whether the account is not one of this ledger's.
func (a *accountState) stranger() bool { return !a.exists || a.foreign }

// changeAccount puts the attributes of an account entry in force.
func (w *worker) changeAccount(v *versionRow) {
	a := w.accounts.find(v.account)
	if a == nil {
		return // nothing of it is held: they are read when it is met
	}
	if row, ok := w.segment.accounts[v.account]; ok {
		a.setAccount(&row, w.v.snapshot.LedgerID)
	}
	a.setVersion(v)
}

// checkPosting holds I9, I10 and I3 at one posting, given the account's
// posting before it, and moves the account on.
func (w *worker) checkPosting(p *chain.Posting, at *place, a *accountState, before *previous) {
	if at.rejected == nil {
		w.checkFollows(p, at, before)
		w.checkRules(p, at, a)
	}
	a.seq, a.awaited = at.seq, false
	a.balances = balances{
		accountSeq: p.AccountSeq, posted: p.Posted, pendingDebit: p.PendingDebit, pendingCredit: p.PendingCredit,
		unreadable: at.rejected != nil,
	}
}

// checkFollows holds I9 at one posting, given the account's posting before it.
func (w *worker) checkFollows(p *chain.Posting, at *place, before *previous) {
	if !before.unreadable && w.checkAccountSeq(p, at, before) {
		w.checkBalances(p, at, &before.balances)
	}
}

// checkAccountSeq reports whether before is the posting that p follows.
func (w *worker) checkAccountSeq(p *chain.Posting, at *place, before *previous) bool {
	if before.accountSeq+1 == p.AccountSeq && (before.accountSeq <= 0 || before.seq <= at.seq) {
		return true
	}
	gap := finding{code: AccountSeqGap, seq: at.seq, account: p.AccountID, named: true, column: "account_seq",
		stored: fmt.Sprint(p.AccountSeq)}
	if before.accountSeq+1 != p.AccountSeq {
		gap.recomputed = fmt.Sprint(before.accountSeq + 1)
	} else {
		gap.recomputed = fmt.Sprintf("after %d, which stands at entry %d", before.accountSeq, before.seq)
	}
	w.report(gap)
	return false
}

// checkBalances holds the balances after p against those before it.
func (w *worker) checkBalances(p *chain.Posting, at *place, before *balances) {
	posted, ok1 := before.posted.Add(p.Amount)
	debit, credit, ok2 := before.pendingDebit, before.pendingCredit, true
	if p.Direction == chain.Credit {
		posted, ok1 = before.posted.Sub(p.Amount)
		credit, ok2 = credit.Add(p.PendingChange)
	} else {
		debit, ok2 = debit.Add(p.PendingChange)
	}
	if ok1 && ok2 && p.Posted == posted && p.PendingDebit == debit && p.PendingCredit == credit {
		return
	}
	f := finding{code: BalanceChainBreak, seq: at.seq, account: p.AccountID, named: true}
	if !ok1 || !ok2 {
		f.recomputed = "beyond 128 bits"
		w.report(f)
		return
	}
	for _, b := range []struct {
		column             string
		stored, recomputed money.Int128
	}{
		{"posted", p.Posted, posted},
		{"pending_debit", p.PendingDebit, debit},
		{"pending_credit", p.PendingCredit, credit},
	} {
		if b.stored != b.recomputed {
			f.column, f.stored, f.recomputed = b.column, b.stored.Format(p.Scale), b.recomputed.Format(p.Scale)
			w.report(f)
		}
	}
}

// checkRules holds the posting against the attributes in force.
func (w *worker) checkRules(p *chain.Posting, at *place, a *accountState) {
	f := finding{seq: at.seq, account: p.AccountID, named: true}
	switch {
	case !a.exists:
		f.code, f.stored = AccountMissing, "no row of book.accounts"
	case a.foreign:
		f.code, f.stored = LedgerIDMismatch, "an account of another ledger"
	case !a.open:
		f.code, f.stored = AccountMissing, "not opened before this entry"
	case a.doubtful: // reported at the entry that set them
	case p.Currency != a.currency || p.Scale != a.scale:
		f.code, f.stored = CurrencyMismatch, fmt.Sprintf("%s with %d decimals", p.Currency, p.Scale)
		f.recomputed = fmt.Sprintf("%s with %d decimals", a.currency, a.scale)
	default:
		w.checkTakes(p, a, f)
		return
	}
	if f.code != "" {
		w.report(f)
	}
}

// checkTakes holds closing, freezing and limits against a posting that takes
// something; giving a hold back is always allowed.
func (w *worker) checkTakes(p *chain.Posting, a *accountState, f finding) {
	if p.Amount.Sign() <= 0 && p.PendingChange.Sign() <= 0 {
		return
	}
	if a.closed {
		f.code = AccountClosedPosting
		w.report(f)
	}
	if a.frozen.Refuses(p.Direction) {
		f.code, f.stored, f.recomputed = AccountFrozenPosting, p.Direction.String(), "frozen: "+a.frozen.String()
		w.report(f)
	}
	w.checkLimits(p, a, f)
}

// checkLimits holds I3. A limit stops a movement towards it, never one away
// from it, and holds count as if they were captured: a posting of amount and
// pending_change moves balance − held down by their sum, or balance + expected
// up by it, and the other figure the other way or not at all.
func (w *worker) checkLimits(p *chain.Posting, a *accountState, f finding) {
	l := a.limits
	if l == nil {
		return
	}
	moved, ok := p.Amount.Add(p.PendingChange)
	if ok && moved.Sign() <= 0 {
		return
	}
	// Debit-positive figures, turned to the account's normal side.
	figure, ok := p.Posted.Sub(p.PendingCredit) // what credits may still take away
	if p.Direction == chain.Debit {
		figure, ok = p.Posted.Add(p.PendingDebit) // what debits may still bring
	}
	normal := figure
	if !a.kind.DebitNormal() {
		normal, _ = figure.Neg()
	}
	raises := (p.Direction == chain.Debit) == a.kind.DebitNormal()
	f.code, f.stored = LimitExceeded, normal.Format(p.Scale)
	switch {
	case !raises && l.min != nil && (!ok || normal.Cmp(*l.min) < 0):
		f.recomputed = "min_balance " + l.min.Format(a.scale)
		w.report(f)
	case raises && l.max != nil && (!ok || normal.Cmp(*l.max) > 0):
		f.recomputed = "max_balance " + l.max.Format(a.scale)
		w.report(f)
	}
}
