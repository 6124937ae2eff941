package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/store"
	"tallystick/reconcile/calendar"
	"tallystick/reconcile/figures"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// ageing computes what is open on the accounts that a policy calls suspense or
// clearing accounts.
func (b *bookReader) ageing(ctx context.Context, p *policy.Policy) (report.Document, error) {
	if p == nil {
		return finished(figures.Ageing(&b.Books, nil, calendar.Calendar{}))
	}
	all, err := BalancesAt(ctx, b.from, b.End)
	if err != nil {
		return report.Document{}, err
	}
	b.at = make(map[uuid.UUID]int32)
	var aged []*Balance
	for i := range all {
		a := &all[i]
		role := roleOf(p, a.Code)
		if role != policy.RoleSuspense && role != policy.RoleClearing {
			continue
		}
		b.at[a.ID] = int32(len(b.Accounts))
		b.Accounts = append(b.Accounts, figures.Account{Code: a.Code, Type: a.Type, Currency: a.Currency, Scale: a.Scale, Role: role,
			Opening: a.Posted, StatedClosing: a.Posted, MaxAge: maxAge(p, a.Code)})
		aged = append(aged, a)
	}
	var open []figures.OpenItem
	for _, a := range aged {
		items, err := b.openItems(ctx, a, figures.MaxLines-len(open))
		if err != nil {
			return report.Document{}, err
		}
		slices.Reverse(items) // oldest first
		open = append(open, items...)
	}
	if err := b.dateItems(ctx, open); err != nil {
		return report.Document{}, err
	}
	return finished(figures.Ageing(&b.Books, open, p.Days()))
}

// maxAge returns for how many business days a policy lets a balance stand.
func maxAge(p *policy.Policy, code string) int {
	_, allowed, _ := p.Accounts.Ages(code)
	return allowed.MaxAge
}

// dateItems fills in when items were booked, and by which request.
func (b *bookReader) dateItems(ctx context.Context, items []figures.OpenItem) error {
	for page := range slices.Chunk(items, statementPage) {
		at := make(map[int64]*bookedEntry, len(page))
		seqs := make([]int64, len(page))
		for i := range page {
			seqs[i] = page[i].Seq
		}
		err := retry(ctx, func() error {
			b.entries = make([]bookedEntry, 0, len(seqs))
			return b.from.Scan(ctx, statementEntriesSQL, []any{b.from.LedgerID, seqs}, func(r *store.Row) error { return b.addEntry(r) })
		})
		if err != nil {
			return fmt.Errorf("reading book.entries: %w", err)
		}
		for i := range b.entries {
			at[b.entries[i].seq] = &b.entries[i]
		}
		for i := range page {
			e := at[page[i].Seq]
			if e == nil {
				return damaged("reading entry %d: it is not there", page[i].Seq)
			}
			page[i].Booked, page[i].Request = e.booked, e.request
		}
	}
	return nil
}
