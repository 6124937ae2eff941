package reconcile

import (
	"context"
	"fmt"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// followAccounts walks through the postings of the segment in order, each held
// against its account as the postings and account entries before it left it.
func (w *worker) followAccounts(ctx context.Context) error {
	s := &w.segment
	next := 0
	for i := range s.postings {
		p, at := &s.postings[i], &s.places[i]
		for ; next < len(s.versions) && s.versions[next].seq < at.seq; next++ {
			w.changeAccount(&s.versions[next])
		}
		a := &w.accounts.states[w.held[i]]
		if w.strangersOnly && !a.stranger() {
			continue
		}
		if !a.stranger() {
			w.scope.knownPostings++
		}
		before := previous{seq: a.seq, balances: a.balances}
		if p.AccountSeq != a.accountSeq+1 && at.rejected == nil {
			var err error
			if before, err = w.lookUp(ctx, p.AccountID, p.AccountSeq); err != nil {
				return err
			}
		}
		w.checkPosting(p, at, a, &before)
	}
	for ; next < len(s.versions); next++ {
		w.changeAccount(&s.versions[next])
	}
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
		if !before.unreadable && w.checkAccountSeq(p, at, before) {
			w.checkBalances(p, at, &before.balances)
		}
		w.checkRules(p, at, a)
	}
	a.seq = at.seq
	a.balances = balances{
		accountSeq: p.AccountSeq, posted: p.Posted, pendingDebit: p.PendingDebit, pendingCredit: p.PendingCredit,
		unreadable: at.rejected != nil,
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
	if a.minBalance == nil && a.maxBalance == nil {
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
	case !raises && a.minBalance != nil && (!ok || normal.Cmp(*a.minBalance) < 0):
		f.recomputed = "min_balance " + a.minBalance.Format(a.scale)
		w.report(f)
	case raises && a.maxBalance != nil && (!ok || normal.Cmp(*a.maxBalance) > 0):
		f.recomputed = "max_balance " + a.maxBalance.Format(a.scale)
		w.report(f)
	}
}
