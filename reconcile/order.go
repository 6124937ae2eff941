package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// followPage holds all postings of some accounts against one another, account
// by account, and adds the newest ones to sums.
func (w *worker) followPage(ctx context.Context, page []bookAccount, sums *books) error {
	w.segment.reset(0, 0)
	w.segment.accounts = make(map[uuid.UUID]accountRow, len(page))
	w.ids = w.ids[:0]
	for _, a := range page {
		w.ids = append(w.ids, a.id)
		w.segment.accounts[a.id] = a.row
	}
	err := w.loadHistories(ctx)
	switch half := len(page) / 2; {
	case errors.Is(err, errSegmentTooLarge) && half > 0:
		if err := w.followPage(ctx, page[:half], sums); err != nil {
			return err
		}
		return w.followPage(ctx, page[half:], sums)
	case errors.Is(err, errSegmentTooLarge):
		w.doubt(noSeq, fmt.Sprintf("limits, freezes and closing of account %s: it was changed too often to hold", page[0].id))
		w.segment.versions = w.segment.versions[:0]
		w.historyUnknown = true
		defer func() { w.historyUnknown = false }()
	case err != nil:
		return err
	}
	return w.followHistories(ctx, sums)
}

// historyOf returns the versions of an account, by seq.
func (w *worker) historyOf(id uuid.UUID) []versionRow {
	all := w.segment.versions
	from := sort.Search(len(all), func(i int) bool { return bytes.Compare(all[i].account[:], id[:]) >= 0 })
	to := from
	for to < len(all) && all[to].account == id {
		to++
	}
	return all[from:to]
}

// Index: the primary key.
const historiesSQL = `
select seq, account_id, min_balance, max_balance, frozen, closed, tags
from book.account_versions
where account_id = any($1::uuid[]) and seq < $2::int8 and ledger_id = $3::uuid
order by account_id, seq`

// loadHistories reads all attributes that the accounts of w.ids have had.
func (w *worker) loadHistories(ctx context.Context) error {
	args := []any{w.ids, w.v.snapshot.Size, w.v.snapshot.LedgerID}
	err := w.v.snapshot.Scan(ctx, historiesSQL, args, w.segment.addVersion)
	if err != nil && !errors.Is(err, errSegmentTooLarge) {
		return fmt.Errorf("reading book.account_versions by account: %w", err)
	}
	return err
}

// history is the account at hand.
type history struct {
	accountState
	versions []versionRow // its own, by seq
	inForce  int          // how many of them are before the posting at hand
	before   previous     // what the newest posting was held against
	newest   totalKey
}

// Index: i9_postings_account_seq.
const postingsByAccountSQL = `
select account_id, account_seq, seq, direction, currency, scale, amount, pending_change, posted, pending_debit, pending_credit
from book.postings
where account_id = any($1::uuid[]) and seq < $2::int8 and ledger_id = $3::uuid
order by account_id, account_seq`

// followHistories walks through the postings of the accounts of w.ids.
func (w *worker) followHistories(ctx context.Context, sums *books) error {
	h := history{accountState: accountState{seq: noPosting}}
	args := []any{w.ids, w.v.snapshot.Size, w.v.snapshot.LedgerID}
	err := w.v.snapshot.Scan(ctx, postingsByAccountSQL, args, func(r *store.Row) error {
		at := place{seq: r.Int64(2)}
		p := chain.Posting{AccountID: r.UUID(0), AccountSeq: r.Int64(1), Direction: direction(r, 3), Currency: w.words.of(r.Text(4)), Scale: r.Scale(5)}
		p.Amount, p.PendingChange = r.Units(6, p.Scale), r.Units(7, p.Scale)
		p.Posted, p.PendingDebit, p.PendingCredit = r.Units(8, p.Scale), r.Units(9, p.Scale), r.Units(10, p.Scale)
		at.rejected = rejected(r)
		if p.AccountID != h.id {
			h.end(sums)
			w.begin(&h, p.AccountID)
		}
		w.continueHistory(&h, &p, &at)
		sums.postings++
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading book.postings by account: %w", err)
	}
	h.end(sums)
	return nil
}

// noPosting is the seq of an account's newest posting before there is one.
const noPosting = -1

// begin turns to an account.
func (w *worker) begin(h *history, id uuid.UUID) {
	*h = history{accountState: accountState{id: id, seq: noPosting}}
	if row, ok := w.segment.accounts[id]; ok {
		h.setAccount(&row, w.v.snapshot.LedgerID)
	}
	h.versions = w.historyOf(id)
	if w.historyUnknown {
		h.open, h.doubtful = true, true // that it was opened is looked up
	}
}

// continueHistory puts the attributes in force at a posting, and checks it.
func (w *worker) continueHistory(h *history, p *chain.Posting, at *place) {
	if h.inForce > 0 && h.versions[h.inForce-1].seq >= at.seq {
		h.inForce, h.open = 0, false // the posting is out of order: from the beginning
	}
	for ; h.inForce < len(h.versions) && h.versions[h.inForce].seq < at.seq; h.inForce++ {
		h.setVersion(&h.versions[h.inForce])
	}
	if h.seq != noPosting && p.AccountSeq == h.accountSeq {
		w.report(finding{code: AccountSeqGap, seq: max(at.seq, h.seq), account: p.AccountID, named: true, column: "account_seq",
			stored: fmt.Sprint(p.AccountSeq), recomputed: "stands twice"})
	} else {
		h.before = previous{seq: h.seq, balances: h.balances}
	}
	w.checkPosting(p, at, &h.accountState, &h.before)
	h.newest = totalKey{p.Currency, p.Scale}
}

// end adds the newest posting of the account to the sums.
func (h *history) end(sums *books) {
	switch {
	case h.seq == noPosting:
	case h.unreadable:
		sums.doubtful = true // reported at its entry
	default:
		sums.of(h.newest).add(h.posted, h.pendingDebit, h.pendingCredit)
	}
}
