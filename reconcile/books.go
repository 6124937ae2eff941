package reconcile

import (
	"context"
	"fmt"
	"math/big"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// books is what the second pass adds up: the newest posting of every account.
type books struct {
	accounts  int64
	postings  int64 // the sum of account_seq: how many postings there must be
	totals    map[totalKey]*total
	doubtful  bool // a newest posting could not be read
	tooManyCs bool // more than maxCurrencies
}

type totalKey struct {
	currency string
	scale    uint8
}

// total sums up a currency. The sums may pass 128 bits: no rule keeps the sum
// of all debit balances within them.
type total struct {
	debits, credits             big.Int // of posted, both positive
	pendingDebit, pendingCredit big.Int
}

// bookAccount is an account of the second pass.
type bookAccount struct {
	id  uuid.UUID
	row accountRow
}

// Index: i10_accounts_code.
const accountPageSQL = `
select account_id, ledger_id, code, type, currency, scale, opened_seq
from book.accounts
where ledger_id = $1::uuid and (code > $2::text or code = $2::text and account_id > $3::uuid)
order by code, account_id
limit $4::int8`

// checkBooks is the second pass, account by account. It holds I2, and of I9
// what the first pass has left.
//
// Where accounts were followed along the chain, it reads the newest posting of
// each. The first pass has found a predecessor for every posting, so that the
// account_seq of an account are 1 to n; their newest ones add up to the number
// of postings unless one stands twice.
//
// Otherwise it reads all postings of each account. If they are fewer than the
// first pass has seen, the others are on accounts that are not this ledger's.
//
// The newest balances are those that the first pass has left, where it knows them
// all. Only what is well is taken from there: otherwise they are read.
func (v *verification) checkBooks(ctx context.Context) error {
	if err := v.addUp(ctx, true); err != nil {
		return err
	}
	if v.newest != nil && !v.addsUp() {
		v.newest = nil
		if err := v.addUp(ctx, false); err != nil {
			return err
		}
	}
	v.checkTotals()
	switch {
	case v.incomplete.Load():
		return nil
	case !v.whole():
		return v.checkNumbers(ctx)
	case v.alongChain && v.books.postings != v.scope.knownPostings:
		return v.findRepeats(ctx)
	case !v.alongChain && v.books.postings != v.scope.postings:
		v.stripes = newStripes(v.spans, v.workers, v.bounds)
		return v.walkStripes(ctx, true)
	}
	return nil
}

// addsUp reports whether the books have nothing that is wrong.
func (v *verification) addsUp() bool {
	b := &v.books
	for _, t := range b.totals {
		if t.debits.Cmp(&t.credits) != 0 || t.pendingDebit.Cmp(&t.pendingCredit) != 0 {
			return false
		}
	}
	return !b.doubtful && !b.tooManyCs && b.postings == v.scope.knownPostings
}

// addUp adds up the newest posting of every account. The first time, it looks at the
// accounts too.
func (v *verification) addUp(ctx context.Context, first bool) error {
	v.books = books{totals: make(map[totalKey]*total)}
	pages := make(chan []bookAccount)
	err := parallel(ctx, v.workers+1, func(ctx context.Context, i int) error {
		if i == 0 {
			defer close(pages)
			return v.eachPage(ctx, first, func(page []bookAccount) error {
				select {
				case pages <- page:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		}
		w := v.newWorker()
		for page := range pages {
			if err := retry(ctx, func() error { return w.checkPage(ctx, page, first) }); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// eachPage calls f with the accounts of the ledger, in order of their codes, and
// the first time reports those that cannot be read.
func (v *verification) eachPage(ctx context.Context, first bool, f func([]bookAccount) error) error {
	var after bookAccount
	var words words
	for {
		var page []bookAccount
		var found []finding
		last := after
		err := retry(ctx, func() error {
			page, found = nil, nil
			return v.snapshot.Scan(ctx, accountPageSQL, []any{v.snapshot.LedgerID, after.row.code, after.id, int64(v.bounds.page)}, func(r *store.Row) error {
				id, row := readAccount(r, &words)
				if row.rejected != nil {
					found = append(found, finding{code: AccountStateMismatch, seq: noSeq, account: id, named: true,
						column: row.rejected.column, stored: row.rejected.value})
				}
				if row.code == last.row.code {
					found = append(found, finding{code: AccountStateMismatch, seq: row.openedSeq, account: id, named: true,
						column: "code", stored: row.code + ", as account " + last.id.String() + " has it too", recomputed: "another account for each code"})
				}
				last = bookAccount{id, row}
				page = append(page, last)
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("reading book.accounts: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		if first {
			v.findings.add(found...)
		}
		after = last
		if err := f(page); err != nil {
			return err
		}
	}
}

// checkPage looks at some accounts.
func (w *worker) checkPage(ctx context.Context, page []bookAccount, first bool) error {
	v := w.v
	w.found, w.doubts = w.found[:0], w.doubts[:0]
	sums := books{totals: make(map[totalKey]*total)}
	for _, a := range page {
		if a.row.openedSeq < v.snapshot.Size {
			sums.accounts++
		}
	}
	var err error
	if v.alongChain {
		err = v.addNewest(ctx, page, &sums)
	} else {
		err = w.followPage(ctx, page, &sums)
	}
	if err == nil && first {
		err = w.checkLifetimes(ctx, page)
	}
	if err == nil && first {
		err = w.checkStrays(ctx, page)
	}
	if err != nil {
		return err
	}
	w.flush()
	v.mu.Lock()
	v.books.merge(&sums)
	v.mu.Unlock()
	if !v.alongChain {
		v.advance(v.snapshot.Size * int64(len(page)) / max(v.accounts, int64(len(page))))
	}
	return nil
}

// Index: i9_postings_account_seq, read backwards for one row, and those that
// were appended since.
const newestPostingSQL = `
select account_id, account_seq, currency, scale, posted, pending_debit, pending_credit
from book.postings
where account_id = u.id and seq < u.n and ledger_id = $1::uuid
order by account_seq desc`

// addNewest adds the newest postings of the accounts to sums.
func (v *verification) addNewest(ctx context.Context, page []bookAccount, sums *books) error {
	if v.newest != nil {
		for _, a := range page {
			if last, ok := v.newest[a.id]; ok {
				sums.postings += last.accountSeq
				sums.doubtful = sums.doubtful || last.unreadable
				sums.of(totalKey{last.currency, last.scale}).add(last.posted, last.pendingDebit, last.pendingCredit)
			}
		}
		return nil
	}
	keys := make([]store.Key, len(page))
	for i, a := range page {
		keys[i] = store.Key{ID: a.id, N: v.snapshot.Size}
	}
	var words words
	err := v.snapshot.ScanEach(ctx, newestPostingSQL, []any{v.snapshot.LedgerID}, keys, func(r *store.Row) error {
		sums.postings += r.Int64(1)
		key := totalKey{words.of(r.Text(2)), r.Scale(3)}
		posted, debit, credit := r.Units(4, key.scale), r.Units(5, key.scale), r.Units(6, key.scale)
		if rejected(r) != nil {
			sums.doubtful = true // reported at its entry
			return nil
		}
		sums.of(key).add(posted, debit, credit)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the newest postings: %w", err)
	}
	return nil
}

// of returns the total of a currency; beyond maxCurrencies, one that is not kept.
func (b *books) of(key totalKey) *total {
	t := b.totals[key]
	if t == nil {
		t = &total{}
		if len(b.totals) == maxCurrencies {
			b.tooManyCs = true
			return t
		}
		b.totals[key] = t
	}
	return t
}

func (t *total) add(posted, debit, credit money.Int128) {
	units := posted.Big()
	if units.Sign() < 0 {
		t.credits.Sub(&t.credits, units)
	} else {
		t.debits.Add(&t.debits, units)
	}
	t.pendingDebit.Add(&t.pendingDebit, debit.Big())
	t.pendingCredit.Add(&t.pendingCredit, credit.Big())
}

func (b *books) merge(c *books) {
	b.accounts += c.accounts
	b.postings += c.postings
	b.doubtful = b.doubtful || c.doubtful
	b.tooManyCs = b.tooManyCs || c.tooManyCs
	for key, t := range c.totals {
		sum := b.of(key)
		sum.debits.Add(&sum.debits, &t.debits)
		sum.credits.Add(&sum.credits, &t.credits)
		sum.pendingDebit.Add(&sum.pendingDebit, &t.pendingDebit)
		sum.pendingCredit.Add(&sum.pendingCredit, &t.pendingCredit)
	}
}

// checkTotals holds I2.
func (v *verification) checkTotals() {
	switch {
	case v.books.doubtful:
		v.findings.notChecked(noSeq, "whether the balances of each currency add up to zero: one of them cannot be read")
		return
	case v.books.tooManyCs:
		v.findings.notChecked(noSeq, fmt.Sprintf("whether the balances of each currency add up to zero: there are more than %d currencies", maxCurrencies))
		return
	}
	for key, t := range v.books.totals {
		for _, of := range []struct {
			column          string
			debits, credits *big.Int
		}{{"posted", &t.debits, &t.credits}, {"pending", &t.pendingDebit, &t.pendingCredit}} {
			if of.debits.Cmp(of.credits) != 0 {
				v.findings.add(finding{code: CurrencyNotZero, seq: noSeq,
					stored:     fmt.Sprintf("%s: debits %s %s", of.column, natural(of.debits, key.scale), key.currency),
					recomputed: fmt.Sprintf("%s: credits %s %s", of.column, natural(of.credits, key.scale), key.currency)})
			}
		}
	}
}

// natural writes units as 12.34.
func natural(units *big.Int, scale uint8) string {
	digits := units.String()
	if scale == 0 {
		return digits
	}
	for len(digits) <= int(scale) {
		digits = "0" + digits
	}
	return digits[:len(digits)-int(scale)] + "." + digits[len(digits)-int(scale):]
}

// Index: i9_postings_account_seq.
const accountOrderSQL = `
select account_id, account_seq, seq
from book.postings
where account_id = any($1::uuid[]) and ledger_id = $2::uuid and seq < $3::int8
order by account_id, account_seq, seq`

// findRepeats reads the postings in account order, to name those whose
// account_seq repeats.
func (v *verification) findRepeats(ctx context.Context) error {
	err := v.eachPage(ctx, false, func(page []bookAccount) error {
		ids := make([]uuid.UUID, len(page))
		for i, a := range page {
			ids[i] = a.id
		}
		var before uuid.UUID
		var beforeSeq int64
		var found []finding
		err := v.snapshot.Scan(ctx, accountOrderSQL, []any{ids, v.snapshot.LedgerID, v.snapshot.Size}, func(r *store.Row) error {
			id, accountSeq, seq := r.UUID(0), r.Int64(1), r.Int64(2)
			if id == before && accountSeq == beforeSeq {
				found = append(found, finding{code: AccountSeqGap, seq: seq, account: id, named: true, column: "account_seq",
					stored: fmt.Sprint(accountSeq), recomputed: "stands twice"})
			}
			before, beforeSeq = id, accountSeq
			return nil
		})
		v.findings.add(found...)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading postings in account order: %w", err)
	}
	v.findings.mu.Lock()
	named := v.findings.counts[AccountSeqGap] > 0
	v.findings.mu.Unlock()
	if !named {
		v.findings.add(finding{code: AccountSeqGap, seq: noSeq, stored: fmt.Sprintf("%d postings", v.scope.knownPostings),
			recomputed: fmt.Sprintf("%d by the account_seq of the newest postings", v.books.postings)})
	}
	return nil
}

// Index: i8_entries_request alone, as far as its pages are known to be visible.
const duplicatesSQL = `
select request_id
from book.entries
where ledger_id = $1::uuid
group by request_id
having count(*) > 1
limit $2::int8`

// Index: i8_entries_request.
const requestSeqsSQL = `
select request_id, seq
from book.entries
where ledger_id = $1::uuid and request_id = any($2::uuid[]) and seq < $3::int8
order by request_id, seq`

// checkDuplicates holds I8 without relying on the unique key that enforces it.
func (v *verification) checkDuplicates(ctx context.Context) error {
	if !v.whole() {
		return v.checkRequests(ctx)
	}
	ids, err := v.requestsToLookUp(ctx)
	if err != nil {
		return err
	}
	return v.lookUpRequests(ctx, ids, Span{0, v.snapshot.Size})
}

// lookUpRequests reports the entries of a span whose request stands twice.
func (v *verification) lookUpRequests(ctx context.Context, ids []uuid.UUID, in Span) error {
	for chunk := range slices.Chunk(ids, v.bounds.page) {
		var before uuid.UUID
		var first int64
		err := v.snapshot.Scan(ctx, requestSeqsSQL, []any{v.snapshot.LedgerID, chunk, v.snapshot.Size}, func(r *store.Row) error {
			id, seq := r.UUID(0), r.Int64(1)
			switch {
			case id != before:
				before, first = id, seq
			case in.Has(seq):
				v.findings.add(finding{code: DuplicateTransfer, seq: seq, column: "request_id", stored: id.String(),
					recomputed: fmt.Sprintf("first at entry %d", first)})
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading entries by request: %w", err)
		}
	}
	return nil
}

// requestsToLookUp returns the requests that may stand twice: those that the
// first pass suspects, or, where it has not met all entries or suspects too many,
// those that the engine finds by grouping.
func (v *verification) requestsToLookUp(ctx context.Context) ([]uuid.UUID, error) {
	if v.requests != nil && !v.incomplete.Load() {
		if ids, ok := v.requests.suspected(); ok {
			return ids, nil
		}
	}
	var ids []uuid.UUID
	err := retry(ctx, func() error {
		ids = ids[:0]
		return v.snapshot.Scan(ctx, duplicatesSQL, []any{v.snapshot.LedgerID, int64(v.bounds.findings)}, func(r *store.Row) error {
			ids = append(ids, r.UUID(0))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("grouping book.entries by request: %w", err)
	}
	if len(ids) == v.bounds.findings {
		v.findings.notChecked(noSeq, fmt.Sprintf("requests that stand twice beyond the first %d", v.bounds.findings))
	}
	return ids, nil
}
