package reconcile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// derive re-derives every entry of the segment from its columns, holds it
// against its stored hash and its predecessor, and looks at what the entry
// alone can be wrong about. It walks through all tables at once, in order of
// seq: what belongs to no entry stands out.
func (w *worker) derive() {
	s := &w.segment
	rows := cursor{}
	for i := range s.entries {
		row := &s.entries[i]
		w.orphans(&rows, row.entry.Seq, false)
		w.attach(row, &rows)
		w.checkEntry(row)
		w.follow(row)
	}
	w.orphans(&rows, s.high, true)
}

// cursor is how far derive is in the tables beside book.entries.
type cursor struct{ postings, versions, details int }

// attach gives the entry its postings, its account or terms, and its details.
func (w *worker) attach(row *entryRow, at *cursor) {
	s, e := &w.segment, &row.entry
	first := at.postings
	for at.postings < len(s.places) && s.places[at.postings].seq == e.Seq {
		if p := &s.places[at.postings]; p.rejected != nil && row.rejected == nil {
			row.rejected = p.rejected
		}
		at.postings++
	}
	e.Postings = s.postings[first:at.postings]
	w.places = s.places[first:at.postings]
	w.checkPlaces(row, w.places)
	w.guessed = nil
	for ; at.versions < len(s.versions) && s.versions[at.versions].seq == e.Seq; at.versions++ {
		w.attachAccount(row, &s.versions[at.versions])
	}
	if carriesAccount(e.Kind) && e.Account == nil {
		w.report(finding{code: AccountStateMismatch, seq: e.Seq, stored: "no row of book.account_versions that can be read"})
	}
	w.details = w.details[:0]
	for ; at.details < len(s.details) && s.details[at.details].seq == e.Seq; at.details++ {
		d := &s.details[at.details]
		w.details = append(w.details, d.detail)
		if row.rejected == nil {
			row.rejected = d.rejected
		}
	}
	e.Details = w.details
	if e.Kind == chain.LedgerOpened && e.Seq == 0 {
		e.Ledger = w.v.terms
	}
}

func carriesAccount(k chain.Kind) bool { return k == chain.AccountOpened || k == chain.AccountChanged }

// checkPlaces reports postings too many, too few or misnumbered, and what is
// derived from a posting and not in its hash.
func (w *worker) checkPlaces(row *entryRow, places []place) {
	e := &row.entry
	misplaced := int64(len(places)) != row.postingCount
	if misplaced {
		w.report(finding{code: PostingCountMismatch, seq: e.Seq,
			stored: fmt.Sprint(row.postingCount), recomputed: fmt.Sprint(len(places))})
	}
	for i := range places {
		p := &places[i]
		if p.ordinal != int64(i) && !misplaced {
			misplaced = true
			w.report(finding{code: PostingCountMismatch, seq: e.Seq, column: "ordinal",
				stored: fmt.Sprint(p.ordinal), recomputed: fmt.Sprint(i)})
		}
		if backValued := e.Postings[i].EffectiveDate != e.BookingDate; p.backValued != backValued && row.rejected == nil {
			w.reportDerived(e, i, "back_valued", p.backValued)
		}
	}
}

// checkRepeats holds what is derived from several postings of an entry that is
// as it was sealed; of others, nobody can say what it should be.
func (w *worker) checkRepeats(e *chain.Entry) {
	for i := range w.places {
		if stored := w.places[i].repeats; stored != repeats(e.Postings, i) {
			w.reportDerived(e, i, "repeats", stored)
		}
	}
}

// reportDerived reports a derived column of a posting that is true or false.
func (w *worker) reportDerived(e *chain.Entry, posting int, column string, stored bool) {
	w.report(finding{code: ProjectionMismatch, seq: e.Seq, account: e.Postings[posting].AccountID, named: true,
		column: column, stored: fmt.Sprint(stored), recomputed: fmt.Sprint(!stored)})
}

// repeats reports whether an earlier posting has the same currency and figures
// as posting i: a search by amount finds the entry by that one.
func repeats(postings []chain.Posting, i int) bool {
	p := &postings[i]
	for j := range i {
		if q := &postings[j]; q.Amount == p.Amount && q.PendingChange == p.PendingChange && q.Currency == p.Currency {
			return true
		}
	}
	return false
}

// attachAccount gives an account entry the attributes that stand under its seq.
func (w *worker) attachAccount(row *entryRow, v *versionRow) {
	e := &row.entry
	a, found := w.segment.accounts[v.account]
	mismatch := finding{code: AccountStateMismatch, seq: e.Seq, account: v.account, named: true}
	switch {
	case !carriesAccount(e.Kind):
		switch {
		case !row.unknownKind:
			mismatch.stored = fmt.Sprintf("attributes under an entry of kind %s", e.Kind)
			w.report(mismatch)
		case found && w.guessed == nil:
			w.guessed, _ = buildAccount(v, &a)
		}
		return
	case e.Account != nil:
		mismatch.stored = "a second version under one entry"
		w.report(mismatch)
		return
	case !found:
		mismatch.stored = "no row of book.accounts"
		w.report(mismatch)
		return
	case a.ledger != w.v.snapshot.LedgerID:
		w.report(finding{code: LedgerIDMismatch, seq: e.Seq, account: v.account, named: true, column: "ledger_id",
			stored: a.ledger.String(), recomputed: w.v.snapshot.LedgerID.String()})
	case e.Kind == chain.AccountOpened && a.openedSeq != e.Seq, e.Kind == chain.AccountChanged && a.openedSeq >= e.Seq:
		mismatch.column, mismatch.stored = "opened_seq", fmt.Sprint(a.openedSeq)
		w.report(mismatch)
	}
	if row.rejected == nil {
		row.rejected = v.rejected
	}
	if row.rejected == nil {
		row.rejected = a.rejected
	}
	account, rejected := buildAccount(v, &a)
	if row.rejected == nil {
		row.rejected = rejected
	}
	e.Account = account
}

// buildAccount puts the two rows of an account together, as they are hashed.
func buildAccount(v *versionRow, a *accountRow) (*chain.Account, *rejection) {
	account := &chain.Account{
		AccountID: v.account, Code: a.code, Type: a.kind, Currency: a.currency, Scale: a.scale,
		Frozen: v.frozen, Closed: v.closed, Tags: v.tags,
	}
	var ok bool
	if account.MinBalance, ok = limit(v.minBalance, a.scale); !ok {
		return account, (&rejection{column: "min_balance", value: v.minBalance.String()}).of(v.account)
	}
	if account.MaxBalance, ok = limit(v.maxBalance, a.scale); !ok {
		return account, (&rejection{column: "max_balance", value: v.maxBalance.String()}).of(v.account)
	}
	return account, nil
}

// orphans reports the rows before seq that no entry stands for; at the end of
// a segment, all that are left.
func (w *worker) orphans(at *cursor, seq int64, rest bool) {
	s := &w.segment
	report := func(table string, orphan int64, n int) {
		w.report(finding{code: OrphanRow, seq: orphan, stored: fmt.Sprintf("%d %s of %s", n, plural(n, "row", "rows"), table)})
	}
	for at.postings < len(s.places) && (rest || s.places[at.postings].seq < seq) {
		orphan, n := s.places[at.postings].seq, 0
		for ; at.postings < len(s.places) && s.places[at.postings].seq == orphan; at.postings++ {
			n++
		}
		report("book.postings", orphan, n)
	}
	for ; at.versions < len(s.versions) && (rest || s.versions[at.versions].seq < seq); at.versions++ {
		v := &s.versions[at.versions]
		report("book.account_versions", v.seq, 1)
		w.report(finding{code: AccountStateMismatch, seq: v.seq, account: v.account, named: true, stored: "attributes without an entry"})
	}
	for at.details < len(s.details) && (rest || s.details[at.details].seq < seq) {
		orphan, n := s.details[at.details].seq, 0
		for ; at.details < len(s.details) && s.details[at.details].seq == orphan; at.details++ {
			n++
		}
		report("book.details", orphan, n)
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// checkEntry looks at one entry: its hash, its form, its arithmetic.
func (w *worker) checkEntry(row *entryRow) {
	e := &row.entry
	w.recomputed = row.stored // until it is known better
	if r := row.rejected; r != nil {
		w.report(finding{code: EntryHashMismatch, seq: e.Seq, account: r.account, named: r.named, column: r.column, stored: r.value})
		return
	}
	if row.unknownKind || row.format != formatVersion {
		w.checkUnknown(row)
		return
	}
	w.recomputed = e.Hash()
	if w.recomputed != row.stored {
		w.reportHash(row)
	} else {
		w.checkRepeats(e)
	}
	if err := e.Check(); err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner // without the seq, which is reported anyway
		}
		if errors.Is(err, chain.ErrUnknown) {
			w.doubt(e.Seq, err.Error())
		} else {
			w.report(finding{code: EntryMalformed, seq: e.Seq, stored: strings.TrimSuffix(err.Error(), ": "+chain.ErrMalformed.Error())})
		}
	}
	if len(e.Postings) > 0 {
		w.checkAmounts(e)
		w.checkBalanced(e)
		w.checkDates(e)
	}
	w.checkCurrency(e)
	if e.Kind == chain.Hold && e.ExpiresAt != nil && *e.ExpiresAt <= e.RecordedAt {
		w.report(finding{code: HoldInvalid, seq: e.Seq, stored: "expires at " + showMicros(*e.ExpiresAt),
			recomputed: "after " + showMicros(e.RecordedAt) + ", when it was recorded"})
	}
}

// formatVersion is the encoding that this verifier can re-derive.
const formatVersion = 1

// reportHash reports an entry that is not what was sealed.
func (w *worker) reportHash(row *entryRow) {
	e := &row.entry
	if other, ok := w.sealedFor(row); ok {
		w.report(finding{code: LedgerIDMismatch, seq: e.Seq, column: "ledger_id", stored: e.LedgerID.String(), recomputed: other.String()})
		return
	}
	if e.Account != nil {
		w.report(finding{code: AccountStateMismatch, seq: e.Seq, account: e.Account.AccountID, named: true})
	}
	w.report(finding{code: EntryHashMismatch, seq: e.Seq, stored: row.stored.String(), recomputed: w.recomputed.String()})
}

// sealedFor returns the other ledger of this database that the entry was
// sealed for, if there is one.
func (w *worker) sealedFor(row *entryRow) (uuid.UUID, bool) {
	e := row.entry
	for _, id := range w.v.otherLedgers {
		e.LedgerID = id
		if e.Hash() == row.stored {
			return id, true
		}
	}
	return uuid.UUID{}, false
}

// checkUnknown deals with a format or kind that is not known. If the entry
// re-hashes under what is known, the column was edited to hide it; otherwise
// newer software may have written it, and it cannot be checked.
func (w *worker) checkUnknown(row *entryRow) {
	e := row.entry
	kinds := []chain.Kind{e.Kind}
	if row.unknownKind {
		kinds = chain.Kinds()
	}
	for _, e.Kind = range kinds {
		if row.unknownKind { // what its kind would have had attached
			e.Account, e.Ledger = nil, nil
			switch {
			case carriesAccount(e.Kind):
				e.Account = w.guessed
			case e.Kind == chain.LedgerOpened && e.Seq == 0:
				e.Ledger = w.v.terms
			}
		}
		if e.Hash() != row.stored {
			continue
		}
		f := finding{code: EntryHashMismatch, seq: e.Seq, column: "kind", stored: row.kind, recomputed: e.Kind.String()}
		if !row.unknownKind {
			f.column, f.stored, f.recomputed = "format", fmt.Sprint(row.format), fmt.Sprint(formatVersion)
		}
		w.report(f)
		return
	}
	if row.format != formatVersion {
		w.doubt(e.Seq, fmt.Sprintf("format %d is not known to this version", row.format))
		return
	}
	w.doubt(e.Seq, fmt.Sprintf("kind %q is not known to this version", row.kind))
}

// checkAmounts holds the postings against the table of FORMAT.md, section 6,
// and looks for an account that stands in the entry twice.
func (w *worker) checkAmounts(e *chain.Entry) {
	for i := range e.Postings {
		p := &e.Postings[i]
		amount, pending := p.Amount.Sign(), p.PendingChange.Sign()
		ok := true
		switch e.Kind {
		case chain.Transfer, chain.Reversal:
			ok = amount > 0 && pending == 0
		case chain.Hold:
			ok = amount == 0 && pending > 0
		case chain.Release:
			ok = amount == 0 && pending < 0
		case chain.Capture:
			ok = amount >= 0 && pending < 0
		}
		if !ok {
			w.report(finding{code: EntryMalformed, seq: e.Seq, stored: fmt.Sprintf("posting %d of a %s: amount %s, pending_change %s",
				i, e.Kind, p.Amount.Format(p.Scale), p.PendingChange.Format(p.Scale))})
		}
		for j := range i {
			if e.Postings[j].AccountID == p.AccountID {
				w.report(finding{code: EntryMalformed, seq: e.Seq, account: p.AccountID, named: true,
					stored: fmt.Sprintf("the account stands in postings %d and %d", j, i)})
			}
		}
	}
}

// checkBalanced holds I1: for each currency, debits equal credits, booked and
// pending.
func (w *worker) checkBalanced(e *chain.Entry) {
	if len(e.Postings) == 2 && mirrored(&e.Postings[0], &e.Postings[1]) {
		return
	}
	type currency struct {
		code  string
		scale uint8
	}
	type sums struct{ amount, pending [3]money.Int128 } // indexed by direction
	totals := make(map[currency]*sums)
	var order []currency
	overflow := false
	for i := range e.Postings {
		p := &e.Postings[i]
		c := currency{p.Currency, p.Scale}
		t := totals[c]
		if t == nil {
			t = &sums{}
			totals[c] = t
			order = append(order, c)
		}
		var ok1, ok2 bool
		t.amount[p.Direction], ok1 = t.amount[p.Direction].Add(p.Amount)
		t.pending[p.Direction], ok2 = t.pending[p.Direction].Add(p.PendingChange)
		overflow = overflow || !ok1 || !ok2
	}
	if overflow {
		w.report(finding{code: UnbalancedEntry, seq: e.Seq, stored: "sums beyond 128 bits"})
		return
	}
	for _, c := range order {
		for _, of := range []struct {
			column string
			sum    [3]money.Int128
		}{{"amount", totals[c].amount}, {"pending_change", totals[c].pending}} {
			if of.sum[chain.Debit] == of.sum[chain.Credit] {
				continue
			}
			w.report(finding{code: UnbalancedEntry, seq: e.Seq,
				stored:     fmt.Sprintf("%s: debits %s %s", of.column, of.sum[chain.Debit].Format(c.scale), c.code),
				recomputed: fmt.Sprintf("%s: credits %s %s", of.column, of.sum[chain.Credit].Format(c.scale), c.code)})
		}
	}
}

// mirrored reports whether two postings balance each other.
func mirrored(a, b *chain.Posting) bool {
	return a.Direction != b.Direction && a.Amount == b.Amount && a.PendingChange == b.PendingChange &&
		a.Currency == b.Currency && a.Scale == b.Scale
}
