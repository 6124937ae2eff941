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
// accounts that the entries touch. What is not remembered takes one round trip,
// and one more where limits have changed since.
func (a *assembly) readAccounts(ctx context.Context) error {
	if len(a.accounts) == 0 {
		return nil
	}
	var b pgx.Batch
	if unknown := a.db.facts.known(a.accounts); len(unknown) > 0 {
		b.Queue(accountsByID.on(a.db.engine), unknown).Query(a.scanAccounts)
	}
	if a.limits {
		a.queueMinimums(&b)
	}
	if b.Len() == 0 {
		return nil
	}
	if err := a.db.pool.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("reading accounts: %w", err)
	}
	a.db.facts.keep(a.accounts)
	if a.limits {
		return a.readEarlierMinimums(ctx)
	}
	return nil
}

func (a *assembly) scanAccounts(rows pgx.Rows) error {
	var id [16]byte
	var code, kind, currency string
	var scale int64
	_, err := pgx.ForEachRow(rows, []any{&id, &code, &kind, &currency, &scale}, func() error {
		t, _ := chain.ParseAccountType(kind)
		a.accounts[id] = &assembledAccount{code: code, kind: t, currency: currency, scale: scaleOf(scale), read: true}
		return nil
	})
	return err
}

// queueMinimums sets the lower limits that are remembered, and queues the others:
// of each account that which is in force now, since most never change.
func (a *assembly) queueMinimums(b *pgx.Batch) {
	first, last := make(map[uuid.UUID]int64, len(a.accounts)), int64(0)
	for i := range a.records {
		last = a.records[i].Seq
		for _, p := range a.records[i].Postings {
			if _, met := first[p.AccountID]; !met {
				first[p.AccountID] = last
			}
		}
	}
	asOf := max(last, a.db.facts.newest(a.id).Seq)
	places := make([]place, 0, len(first))
	for id, seq := range first {
		if acc := a.accounts[id]; acc != nil && acc.remembered.seq <= seq && last <= acc.remembered.upTo {
			acc.minimums = append(acc.minimums, acc.remembered.minimum)
			continue
		}
		places = append(places, place{account: id, asOf: asOf})
	}
	a.db.queueLatest(b, latestVersion, places, func(row pgx.Row) error {
		v, err := scanVersion(row)
		if err != nil {
			return err
		}
		if acc := a.addMinimum(&v); acc != nil {
			acc.remembered, acc.read = minimumSpan{acc.minimums[0], asOf}, true
		}
		return nil
	})
}

// addMinimum adds a lower limit to those of its account, and returns it.
func (a *assembly) addMinimum(v *version) *assembledAccount {
	acc := a.accounts[v.accountID]
	if acc != nil {
		acc.minimums = append(acc.minimums, minimum{seq: v.seq, units: v.min.limit(acc.scale)})
	}
	return acc
}

// readEarlierMinimums reads the lower limits in force at entries before the last
// change of an account.
func (a *assembly) readEarlierMinimums(ctx context.Context) error {
	var places []place
	for i := range a.records {
		seq := a.records[i].Seq
		for _, p := range a.records[i].Postings {
			if acc := a.accounts[p.AccountID]; acc != nil && len(acc.minimums) > 0 && seq < acc.minimums[0].seq {
				places = append(places, place{account: p.AccountID, asOf: seq})
			}
		}
	}
	err := a.db.latest(ctx, latestVersion, places, func(row pgx.Row) error {
		v, err := scanVersion(row)
		if err == nil {
			a.addMinimum(&v)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading limits: %w", err)
	}
	if len(places) > 0 {
		for _, acc := range a.accounts {
			if acc != nil {
				slices.SortFunc(acc.minimums, func(x, y minimum) int { return cmp.Compare(x.seq, y.seq) })
			}
		}
	}
	return nil
}
