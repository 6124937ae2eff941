package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// A hash covers a whole entry and cannot say which column was changed. But
// often another rule says what a column must have been: the account's chain
// gives a balance, the other side of the entry gives an amount, a type is one
// of five. If an entry with such a value in place of the stored one has the
// sealed hash, then that is what was sealed, and this column alone was changed:
// not a guess any more, but a proof that whoever reads it can repeat.

const (
	// maxProofs is how many hash mismatches are looked into.
	maxProofs = 100
	// maxDays is how many days around the booking date are tried as dates.
	maxDays = 400
	// datedPostings is the most postings whose dates are tried one by one.
	datedPostings = 8
)

// guess is a value that a column may have been sealed with.
type guess struct {
	column         string
	account        uuid.UUID
	named          bool // account is set
	stored, sealed string
	apply          func(*chain.Entry)
}

// prove looks for the column that was changed in the first maxProofs entries
// that do not re-hash, and says so in their findings. An account whose entry
// was changed elsewhere is as it was sealed after all.
func (v *verification) prove(ctx context.Context, kept []finding) ([]finding, error) {
	w := v.newWorker()
	w.follows = true // the accounts of the entry are wanted as they were before it
	proofs := 0
	for i := range kept {
		f := &kept[i]
		if f.code != EntryHashMismatch || f.column != "" || proofs == maxProofs {
			continue
		}
		proofs++
		g, err := w.proveEntry(ctx, f.seq)
		if err != nil {
			return kept, fmt.Errorf("looking for the changed column of entry %d: %w", f.seq, err)
		}
		if g == nil {
			continue
		}
		f.account, f.named, f.column = g.account, g.named, g.column
		f.proof = fmt.Sprintf("Proven: %s is %s and was sealed as %s; with that the entry has its sealed hash.", g.column, g.stored, g.sealed)
		if i == 0 || !kept[i-1].isStateOf(f.seq) {
			continue
		}
		if state := &kept[i-1]; g.named {
			state.column, state.stored, state.recomputed = g.column, g.stored, g.sealed
		} else {
			state.disproved = true
			v.findings.drop(state.code)
		}
	}
	return slices.DeleteFunc(kept, func(f finding) bool { return f.disproved }), nil
}

// isStateOf reports whether f says no more than that the attributes sealed at
// seq are not those that stand there.
func (f *finding) isStateOf(seq int64) bool {
	return f.code == AccountStateMismatch && f.seq == seq && f.column == "" && f.stored == ""
}

// proveEntry reads an entry again and tries what its columns may have been.
func (w *worker) proveEntry(ctx context.Context, seq int64) (*guess, error) {
	s := &w.segment
	w.accounts.clear()
	s.reset(seq, seq+1)
	if seq == 0 {
		s.low = 0
	}
	if err := s.load(ctx, w.v.snapshot, &w.words); err != nil {
		return nil, err
	}
	w.beginSegment()
	if err := w.meet(ctx); err != nil {
		return nil, err
	}
	if len(s.entries) != 1 {
		return nil, nil
	}
	row := &s.entries[0]
	w.attach(row, &cursor{})
	if row.rejected != nil || row.unknownKind || row.format != formatVersion {
		return nil, nil
	}
	before, after, err := w.neighbours(ctx, seq)
	if err != nil {
		return nil, err
	}
	if recomputed := row.entry.Hash(); after != nil && *after == recomputed {
		return &guess{column: "entry_hash", stored: row.stored.String(), sealed: recomputed.String()}, nil
	}
	for _, guesses := range [][]guess{
		headerGuesses(&row.entry, before), w.postingGuesses(&row.entry), accountGuesses(row.entry.Account), dateGuesses(&row.entry),
	} {
		for i := range guesses {
			e := row.entry
			e.Postings = slices.Clone(e.Postings)
			guesses[i].apply(&e)
			if e.Hash() == row.stored {
				return &guesses[i], nil
			}
		}
	}
	return nil, nil
}

// Index: the primary key.
const neighboursSQL = `
select seq, prev_hash, entry_hash
from book.entries
where ledger_id = $1::uuid and seq in ($2::int8, $3::int8)`

// neighbours returns the hash of the entry before seq, and what the entry
// after it says is the hash of seq; nil when they cannot be had.
func (w *worker) neighbours(ctx context.Context, seq int64) (before, after *chain.Hash, err error) {
	err = w.v.snapshot.Scan(ctx, neighboursSQL, []any{w.v.snapshot.LedgerID, seq - 1, seq + 1}, func(r *store.Row) error {
		at, prev, hash := r.Int64(0), r.Hash(1), r.Hash(2)
		switch {
		case rejected(r) != nil:
		case at < seq:
			before = &hash
		default:
			after = &prev
		}
		return nil
	})
	return before, after, err
}

// headerGuesses are about the columns of book.entries.
func headerGuesses(e *chain.Entry, before *chain.Hash) []guess {
	var list []guess
	for _, k := range chain.Kinds() {
		list = append(list, guess{column: "kind", stored: e.Kind.String(), sealed: k.String(), apply: func(e *chain.Entry) { e.Kind = k }})
	}
	list = append(list, guess{column: "prior_period", stored: fmt.Sprint(e.PriorPeriod), sealed: fmt.Sprint(!e.PriorPeriod),
		apply: func(e *chain.Entry) { e.PriorPeriod = !e.PriorPeriod }})
	if before != nil {
		list = append(list, guess{column: "prev_hash", stored: e.PrevHash.String(), sealed: before.String(), apply: func(e *chain.Entry) { e.PrevHash = *before }})
	}
	return list
}

// dateGuesses are about every day around the booking date.
func dateGuesses(e *chain.Entry) []guess {
	var list []guess
	for offset := chain.Date(-maxDays); offset <= maxDays; offset++ {
		day := e.BookingDate + offset
		list = append(list, guess{column: "booking_date", stored: e.BookingDate.String(), sealed: day.String(),
			apply: func(e *chain.Entry) { e.BookingDate = day }})
		list = append(list, guess{column: "effective_date", stored: e.EffectiveDate.String(), sealed: day.String(),
			apply: func(e *chain.Entry) { e.EffectiveDate = day }})
		if len(e.Postings) > datedPostings {
			continue
		}
		for i := range e.Postings {
			p := &e.Postings[i]
			list = append(list, guess{column: "effective_date", account: p.AccountID, named: true, stored: p.EffectiveDate.String(), sealed: day.String(),
				apply: func(e *chain.Entry) { e.Postings[i].EffectiveDate = day }})
		}
	}
	return list
}

// postingGuesses are about single columns of single postings, by what the
// account had before and what the other postings add up to.
func (w *worker) postingGuesses(e *chain.Entry) []guess {
	var list []guess
	for i := range e.Postings {
		p := e.Postings[i]
		a := w.accounts.find(p.AccountID)
		add := func(column, stored, sealed string, apply func(*chain.Posting)) {
			list = append(list, guess{column: column, account: p.AccountID, named: true, stored: stored, sealed: sealed,
				apply: func(e *chain.Entry) { apply(&e.Postings[i]) }})
		}
		addUnits := func(column string, stored money.Int128, sealed money.Int128, ok bool, set func(*chain.Posting)) {
			if ok && sealed != stored {
				add(column, stored.Format(p.Scale), sealed.Format(p.Scale), set)
			}
		}
		add("direction", p.Direction.String(), p.Direction.Opposite().String(), func(p *chain.Posting) { p.Direction = p.Direction.Opposite() })
		if a.exists {
			add("currency", p.Currency, a.currency, func(p *chain.Posting) { p.Currency = a.currency })
			add("scale", fmt.Sprint(p.Scale), fmt.Sprint(a.scale), func(p *chain.Posting) { p.Scale = a.scale })
		}
		add("account_seq", fmt.Sprint(p.AccountSeq), fmt.Sprint(a.accountSeq+1), func(p *chain.Posting) { p.AccountSeq = a.accountSeq + 1 })
		moved, ok := movement(p.Direction, a.posted, p.Posted)
		addUnits("amount", p.Amount, moved, ok, func(p *chain.Posting) { p.Amount = moved })
		missing, ok := balancing(e.Postings, i)
		addUnits("amount", p.Amount, missing, ok, func(p *chain.Posting) { p.Amount = missing })
		posted, ok := book(p.Direction, a.posted, p.Amount)
		addUnits("posted", p.Posted, posted, ok, func(p *chain.Posting) { p.Posted = posted })
		debit, credit := a.pendingDebit, a.pendingCredit
		if p.Direction == chain.Debit {
			debit, ok = debit.Add(p.PendingChange)
		} else {
			credit, ok = credit.Add(p.PendingChange)
		}
		addUnits("pending_debit", p.PendingDebit, debit, ok, func(p *chain.Posting) { p.PendingDebit = debit })
		addUnits("pending_credit", p.PendingCredit, credit, ok, func(p *chain.Posting) { p.PendingCredit = credit })
	}
	return append(list, w.everyAmount(e))
}

// everyAmount puts the amounts of all postings back to what the balances say.
func (w *worker) everyAmount(e *chain.Entry) guess {
	return guess{column: "amount", stored: "changed in several postings", sealed: "what the balances give",
		apply: func(e *chain.Entry) {
			for i := range e.Postings {
				p := &e.Postings[i]
				if moved, ok := movement(p.Direction, w.accounts.find(p.AccountID).posted, p.Posted); ok {
					p.Amount = moved
				}
			}
		}}
}

// book returns a balance after an amount on a side.
func book(d chain.Direction, posted, amount money.Int128) (money.Int128, bool) {
	if d == chain.Credit {
		return posted.Sub(amount)
	}
	return posted.Add(amount)
}

// movement returns the amount that takes a balance from one value to another.
func movement(d chain.Direction, from, to money.Int128) (money.Int128, bool) {
	if d == chain.Credit {
		return from.Sub(to)
	}
	return to.Sub(from)
}

// balancing returns the amount of posting i with which its currency balances.
func balancing(postings []chain.Posting, i int) (money.Int128, bool) {
	var sum money.Int128
	ok := true
	for j := range postings {
		p := &postings[j]
		if j == i || !ok || p.Currency != postings[i].Currency || p.Scale != postings[i].Scale {
			continue
		}
		sum, ok = book(p.Direction, sum, p.Amount)
	}
	if ok && postings[i].Direction == chain.Debit {
		sum, ok = sum.Neg()
	}
	return sum, ok
}

// accountGuesses are about the attributes that have few values.
func accountGuesses(a *chain.Account) []guess {
	if a == nil {
		return nil
	}
	var list []guess
	add := func(column, stored, sealed string, apply func(*chain.Account)) {
		list = append(list, guess{column: column, account: a.AccountID, named: true, stored: stored, sealed: sealed,
			apply: func(e *chain.Entry) {
				changed := *e.Account
				apply(&changed)
				e.Account = &changed
			}})
	}
	for t := chain.Asset; t <= chain.Expense; t++ {
		add("type", a.Type.String(), t.String(), func(a *chain.Account) { a.Type = t })
	}
	for f := chain.FrozenNone; f <= chain.FrozenAll; f++ {
		add("frozen", a.Frozen.String(), f.String(), func(a *chain.Account) { a.Frozen = f })
	}
	add("closed", fmt.Sprint(a.Closed), fmt.Sprint(!a.Closed), func(a *chain.Account) { a.Closed = !a.Closed })
	for _, limit := range []*money.Int128{nil, {}} {
		sealed := showLimit(limit, a.Scale)
		add("min_balance", showLimit(a.MinBalance, a.Scale), sealed, func(a *chain.Account) { a.MinBalance = limit })
		add("max_balance", showLimit(a.MaxBalance, a.Scale), sealed, func(a *chain.Account) { a.MaxBalance = limit })
	}
	return list
}

func showLimit(units *money.Int128, scale uint8) string {
	if units == nil {
		return "none"
	}
	return units.Format(scale)
}
