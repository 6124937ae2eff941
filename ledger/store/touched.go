package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
)

// This file reads what entries need of the accounts that they touch.

// readAccounts completes a.accounts: codes, types and lower limits of all
// accounts that the entries touch.
func (a *assembly) readAccounts(ctx context.Context) error {
	if len(a.accounts) == 0 {
		return nil
	}
	if err := a.readUnknown(ctx, a.db.facts.known(a.accounts)); err != nil {
		return err
	}
	if !a.limits {
		return nil
	}
	return a.readMinimums(ctx)
}

// readUnknown reads the accounts of those ids.
func (a *assembly) readUnknown(ctx context.Context, ids uuids) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := a.db.pool.Query(ctx, accountsByID.on(a.db.engine), ids)
	if err != nil {
		return fmt.Errorf("reading accounts: %w", err)
	}
	var id [16]byte
	var code, kind, currency string
	var scale int64
	_, err = pgx.ForEachRow(rows, []any{&id, &code, &kind, &currency, &scale}, func() error {
		t, _ := chain.ParseAccountType(kind)
		a.accounts[id] = &assembledAccount{code: code, kind: t, currency: currency, scale: scaleOf(scale)}
		a.db.facts.keep(id, a.accounts[id])
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading accounts: %w", err)
	}
	return nil
}

// readMinimums finds, for each posting, the lower limit in force at its entry.
func (a *assembly) readMinimums(ctx context.Context) error {
	// Most accounts never change: what the newest entry needs serves the others.
	first, last := make(map[uuid.UUID]int64, len(a.accounts)), make([]place, 0, len(a.accounts))
	for i := len(a.records) - 1; i >= 0; i-- {
		for _, p := range a.records[i].Postings {
			if _, met := first[p.AccountID]; !met {
				last = append(last, place{account: p.AccountID, asOf: a.records[i].Seq})
			}
			first[p.AccountID] = a.records[i].Seq
		}
	}
	changed := make(map[uuid.UUID]int64)
	read := func(row pgx.Row) error {
		v, err := scanVersion(row)
		if err != nil {
			return err
		}
		if acc := a.accounts[v.accountID]; acc != nil {
			acc.minimums = append(acc.minimums, minimum{seq: v.seq, units: v.min.limit(acc.scale)})
			if v.seq > first[v.accountID] {
				changed[v.accountID] = v.seq
			}
		}
		return nil
	}
	err := a.db.latest(ctx, latestVersion, last, read)
	if err == nil && len(changed) > 0 {
		var places []place
		for i := range a.records {
			for _, p := range a.records[i].Postings {
				if a.records[i].Seq < changed[p.AccountID] {
					places = append(places, place{account: p.AccountID, asOf: a.records[i].Seq})
				}
			}
		}
		err = a.db.latest(ctx, latestVersion, places, read)
	}
	if err != nil {
		return fmt.Errorf("reading limits: %w", err)
	}
	for _, acc := range a.accounts {
		if acc != nil {
			slices.SortFunc(acc.minimums, func(x, y minimum) int { return cmp.Compare(x.seq, y.seq) })
		}
	}
	return nil
}
