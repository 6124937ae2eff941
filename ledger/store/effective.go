package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Bounds of balances by value date.
const (
	// incomePage is how many accounts Incomes looks at together.
	incomePage = 500
	// incomesTimeout bounds Incomes, which a closing waits for.
	incomesTimeout = time.Minute
)

// Index: accounts_income.
const incomeAccountsSQL = `select ` + accountRowColumns + ` from book.accounts
where ledger_id = $1::uuid and type in ('revenue', 'expense') and opened_seq <= $2::int8 and code > $3::text
order by code limit $4::int8`

// Incomes returns the revenue and expense accounts, in order of code, whose
// balance at the end of day, by value date and as of entry asOf, is not zero; at
// most limit.
func (db *DB) Incomes(ctx context.Context, id ledger.LedgerID, day chain.Date, asOf int64, limit int) ([]ledger.Income, error) {
	ctx, cancel := context.WithTimeout(ctx, incomesTimeout)
	defer cancel()
	cut, err := db.valueCut(ctx, id, day, asOf)
	if err != nil {
		return nil, err
	}
	var incomes []ledger.Income
	for after := ""; ; {
		accounts, err := db.accountRows(ctx, incomeAccountsSQL, uuidOf(&id.UUID), asOf, after, int64(incomePage))
		if err != nil || len(accounts) == 0 {
			return incomes, err
		}
		balances, err := db.balancesEffective(ctx, accounts, cut)
		if err != nil {
			return nil, err
		}
		for i, a := range accounts {
			switch {
			case balances[i].IsZero():
				continue
			case len(incomes) == limit:
				return incomes, nil
			}
			incomes = append(incomes, ledger.Income{Code: a.Code, Currency: a.Currency, Scale: a.Scale, Balance: balances[i]})
		}
		after = accounts[len(accounts)-1].Code
	}
}

// valueCut is the end of a day by value date, as of an entry.
type valueCut struct {
	day    chain.Date
	booked int64 // last entry booked on or before day
	asOf   int64 // last entry taken into account; not before booked
}

// valueCut finds the cut; asOf must exist.
func (db *DB) valueCut(ctx context.Context, id ledger.LedgerID, day chain.Date, asOf int64) (valueCut, error) {
	var recorded, booking time.Time
	if err := db.pool.QueryRow(ctx, timesOfEntrySQL, uuidOf(&id.UUID), asOf).Scan(&recorded, &booking); err != nil {
		return valueCut{}, fmt.Errorf("reading entry %d: %w", asOf, notFound(err))
	}
	at := ledger.Head{Seq: asOf, RecordedAt: recorded.UnixMicro(), BookingDate: chain.DateOf(booking)}
	booked, err := db.lastBooked(ctx, id, day, at)
	return valueCut{day: day, booked: booked, asOf: asOf}, err
}

// What the balance booked by the end of the day lacks, and what it has too
// much: postings whose value date lies on the other side of the cut than their
// booking date. Index: postings_back_valued, which holds all that is read.
const valueCorrectionsSQL = `
(select account_id, sum(case direction when 'debit' then amount else -amount end) from book.postings
 where account_id = any($1::uuid[]) and back_valued and effective_date <= $2::date and seq > $3::int8 and seq <= $4::int8
 group by account_id)
union all
(select account_id, sum(case direction when 'debit' then -amount else amount end) from book.postings
 where account_id = any($1::uuid[]) and back_valued and effective_date > $2::date and seq <= $3::int8
 group by account_id)`

// balancesEffective returns the balances of accounts at cut, debit-positive.
func (db *DB) balancesEffective(ctx context.Context, accounts []*ledger.Account, cut valueCut) ([]money.Int128, error) {
	ids, places := make(uuids, len(accounts)), make([]uuid.UUID, len(accounts))
	byID := make(map[uuid.UUID]int, len(accounts))
	for i, a := range accounts {
		ids[i], places[i], byID[a.AccountID] = uuidOf(&a.AccountID), a.AccountID, i
	}
	booked, err := db.postingsAt(ctx, places, cut.booked)
	if err != nil {
		return nil, err
	}
	balances := make([]money.Int128, len(accounts))
	for i, a := range accounts {
		if p, ok := booked[a.AccountID]; ok {
			balances[i] = p.posting.Posted
		}
		if !balances[i].InRange() {
			return nil, fmt.Errorf("reading the balance of account %q: %w", a.Code, ErrDamaged)
		}
	}
	rows, err := db.pool.Query(ctx, valueCorrectionsSQL, ids, cut.day.Time(), cut.booked, cut.asOf)
	if err != nil {
		return nil, fmt.Errorf("reading postings by value date: %w", err)
	}
	var account [16]byte
	var change stored
	_, err = pgx.ForEachRow(rows, []any{&account, &change}, func() error {
		i, ok := byID[account]
		if !ok {
			return ErrDamaged
		}
		var fits bool
		units := change.units(accounts[i].Scale)
		if balances[i], fits = balances[i].Add(units); !fits || !units.InRange() || !balances[i].InRange() {
			return fmt.Errorf("account %q: %w", accounts[i].Code, ErrDamaged)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading postings by value date: %w", err)
	}
	return balances, nil
}

// accountPosting is a posting and its entry.
type accountPosting struct {
	seq     int64
	posting chain.Posting
}

// postingsAt returns the newest posting of each account at or before entry seq,
// however long ago that is: accounts with later postings are searched together,
// by halves over account_seq. Accounts without one are left out.
func (db *DB) postingsAt(ctx context.Context, accounts []uuid.UUID, seq int64) (map[uuid.UUID]accountPosting, error) {
	found := make(map[uuid.UUID]accountPosting, len(accounts))
	search := make(map[uuid.UUID]halving)
	err := db.latest(ctx, latestPosting, placesAt(accounts, math.MaxInt64), func(row pgx.Row) error {
		at, p, err := scanPosting(row)
		if err == nil && at <= seq {
			found[p.AccountID] = accountPosting{at, p}
		} else if err == nil && p.AccountSeq > 1 {
			search[p.AccountID] = halving{high: p.AccountSeq}
		}
		return err
	})
	if err == nil {
		err = db.halve(ctx, search, seq)
	}
	if err != nil {
		return nil, fmt.Errorf("reading balances as of entry %d: %w", seq, err)
	}
	var places []place
	for account, h := range search {
		if h.low > 0 {
			places = append(places, place{account, h.low})
		}
	}
	err = db.latest(ctx, numberedPosting, places, func(row pgx.Row) error {
		at, p, err := scanPosting(row)
		found[p.AccountID] = accountPosting{at, p}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading balances as of entry %d: %w", seq, err)
	}
	return found, nil
}

// halving is the search for the last posting of an account up to an entry:
// posting low is not beyond it, 0 for none, and posting high is.
type halving struct{ low, high int64 }

// halve narrows each search until nothing lies between.
func (db *DB) halve(ctx context.Context, search map[uuid.UUID]halving, seq int64) error {
	for {
		var middles []place
		for account, h := range search {
			if h.high-h.low > 1 {
				middles = append(middles, place{account, h.low + (h.high-h.low)/2})
			}
		}
		if len(middles) == 0 {
			return nil
		}
		answered := 0
		err := db.latest(ctx, numberedSeq, middles, func(row pgx.Row) error {
			var account [16]byte
			var accountSeq, at int64
			if err := row.Scan(&account, &accountSeq, &at); err != nil {
				return err
			}
			h := search[account]
			if accountSeq <= h.low || accountSeq >= h.high {
				return fmt.Errorf("searching the postings of account %s: %w", uuid.UUID(account), ErrDamaged)
			}
			if at <= seq {
				h.low = accountSeq
			} else {
				h.high = accountSeq
			}
			search[account] = h
			answered++
			return nil
		})
		if err != nil {
			return err
		}
		if answered < len(middles) {
			return fmt.Errorf("searching the postings of %d accounts: %w", len(middles), ErrDamaged)
		}
	}
}

// placesAt returns a place as of one entry for each account.
func placesAt(accounts []uuid.UUID, asOf int64) []place {
	places := make([]place, len(accounts))
	for i := range accounts {
		places[i] = place{accounts[i], asOf}
	}
	return places
}
