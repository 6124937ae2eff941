package store

import (
	"context"
	"fmt"
	"math"
	"math/big"
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
	// walkedBack is how many postings an account may have to be walked back over.
	walkedBack = 64
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
	at, err := db.headAt(ctx, id, asOf)
	if err != nil {
		return nil, err
	}
	cut, err := db.valueCut(ctx, id, day, at)
	if err != nil {
		return nil, err
	}
	var incomes []ledger.Income
	for after := ""; ; {
		accounts, err := db.accountRows(ctx, incomeAccountsSQL, uuidOf(&id.UUID), asOf, after, int64(incomePage))
		if err != nil || len(accounts) == 0 {
			return incomes, err
		}
		balances, err := db.sumsEffective(ctx, accounts, cut)
		if err != nil {
			return nil, err
		}
		for i, a := range accounts {
			switch {
			case balances[i].Sign() == 0:
				continue
			case len(incomes) == limit:
				return incomes, nil
			}
			income := ledger.Income{Code: a.Code, Currency: a.Currency, Scale: a.Scale}
			var fits bool
			income.Balance, fits = money.FromBig(balances[i])
			income.BeyondRange = !fits
			incomes = append(incomes, income)
		}
		after = accounts[len(accounts)-1].Code
	}
}

// EffectiveBalance is the balance of an account by value date.
type EffectiveBalance struct {
	Account ledger.Account // attributes as of AsOf, without a state
	AsOf    int64          // the entry up to which postings are taken into account
	Posted  money.Int128   // debit-positive
}

// BalanceEffective returns the balance of an account at the end of day by value
// date, as of entry asOf, which may be Newest; ErrNotFound when there is no such
// account or entry, ErrBeyondRange when it needs more than 128 bits.
func (db *DB) BalanceEffective(ctx context.Context, id ledger.LedgerID, code string, day chain.Date, asOf int64) (EffectiveBalance, error) {
	at, err := db.headAt(ctx, id, asOf)
	if err != nil {
		return EffectiveBalance{}, err
	}
	a, err := db.accountAsOf(ctx, id, code, at.Seq)
	if err != nil {
		return EffectiveBalance{}, err
	}
	cut, err := db.valueCut(ctx, id, day, at)
	if err != nil {
		return EffectiveBalance{}, err
	}
	balances, err := db.balancesEffective(ctx, []*ledger.Account{a}, cut)
	if err != nil {
		return EffectiveBalance{}, err
	}
	return EffectiveBalance{Account: *a, AsOf: at.Seq, Posted: balances[0]}, readableAccount(a)
}

// valueCut is the end of a day by value date, as of an entry.
type valueCut struct {
	day    chain.Date
	booked int64 // last entry booked on or before day
	asOf   int64 // last entry taken into account; not before booked
}

// valueCut finds the cut as of a head.
func (db *DB) valueCut(ctx context.Context, id ledger.LedgerID, day chain.Date, at ledger.Head) (valueCut, error) {
	booked, err := db.lastBooked(ctx, id, day, at)
	return valueCut{day: day, booked: booked, asOf: at.Seq}, err
}

// What the balance booked by the end of the day lacks, and what it has too
// much: postings whose value date lies on the other side of the cut than their
// booking date. Index: postings_back_valued, which holds all that is read.
var (
	valuedBefore = keyed{keys: `$1::uuid[]`, most: 1,
		lookup: `select account_id, sum(case direction when 'debit' then amount else -amount end) as change from book.postings
 where account_id = u.key and back_valued and effective_date <= $2::date and seq > $3::int8 and seq <= $4::int8 group by account_id`}
	valuedAfter = keyed{keys: `$1::uuid[]`, most: 1,
		lookup: `select account_id, sum(case direction when 'debit' then -amount else amount end) as change from book.postings
 where account_id = u.key and back_valued and effective_date > $2::date and seq <= $3::int8 group by account_id`}
)

// balancesEffective returns the balances of accounts at cut, debit-positive, or
// ErrBeyondRange.
func (db *DB) balancesEffective(ctx context.Context, accounts []*ledger.Account, cut valueCut) ([]money.Int128, error) {
	sums, err := db.sumsEffective(ctx, accounts, cut)
	if err != nil {
		return nil, err
	}
	balances := make([]money.Int128, len(sums))
	for i := range sums {
		var fits bool
		if balances[i], fits = money.FromBig(sums[i]); !fits {
			return nil, fmt.Errorf("adding up account %q by value date: %w", accounts[i].Code, ErrBeyondRange)
		}
	}
	return balances, nil
}

// sumsEffective is balancesEffective without a bound: the rules keep every
// booked balance within 128 bits, and not what the same postings add up to in
// the order of their value dates.
func (db *DB) sumsEffective(ctx context.Context, accounts []*ledger.Account, cut valueCut) ([]*big.Int, error) {
	booked, err := db.balancesAt(ctx, accounts, cut.booked)
	if err != nil {
		return nil, err
	}
	balances := make([]*big.Int, len(booked))
	for i := range booked {
		balances[i] = booked[i].Big()
	}
	ids, byID := make(uuids, len(accounts)), make(map[uuid.UUID]int, len(accounts))
	for i, a := range accounts {
		ids[i], byID[a.AccountID] = uuidOf(&a.AccountID), i
	}
	correct := func(what keyed, args ...any) error {
		rows, err := db.pool.Query(ctx, what.on(db.engine), append([]any{ids, cut.day.Time(), cut.booked}, args...)...)
		if err != nil {
			return err
		}
		var account [16]byte
		var change stored
		_, err = pgx.ForEachRow(rows, []any{&account, &change}, func() error {
			i := byID[account]
			units, ok := change.sum(accounts[i].Scale)
			if !ok {
				return fmt.Errorf("account %q: %w", accounts[i].Code, ErrDamaged)
			}
			balances[i].Add(balances[i], units)
			return nil
		})
		return err
	}
	if err = correct(valuedBefore, cut.asOf); err == nil {
		err = correct(valuedAfter)
	}
	if err != nil {
		return nil, fmt.Errorf("reading postings by value date: %w", err)
	}
	return balances, nil
}

// balancesAt returns the booked balances of accounts as of entry seq,
// debit-positive, however long ago that is: of an account with few postings, the
// later ones are walked back over; the others are searched together, by halves
// over account_seq.
func (db *DB) balancesAt(ctx context.Context, accounts []*ledger.Account, seq int64) ([]money.Int128, error) {
	balances, byID := make([]money.Int128, len(accounts)), make(map[uuid.UUID]int, len(accounts))
	places := make([]place, len(accounts))
	for i, a := range accounts {
		byID[a.AccountID], places[i] = i, place{a.AccountID, math.MaxInt64}
	}
	search := make(map[uuid.UUID]halving)
	var short []place
	read := func(row pgx.Row) error {
		var account [16]byte
		var accountSeq, at int64
		var posted stored
		if err := row.Scan(&account, &accountSeq, &at, &posted); err != nil {
			return err
		}
		switch {
		case at <= seq:
		case accountSeq <= walkedBack:
			short = append(short, place{account, seq})
			return nil
		default:
			search[account] = halving{high: accountSeq}
			return nil
		}
		i := byID[account]
		if balances[i] = posted.units(accounts[i].Scale); !balances[i].InRange() {
			return fmt.Errorf("account %q: %w", accounts[i].Code, ErrDamaged)
		}
		return nil
	}
	err := db.latest(ctx, numberedBalance, places, read)
	if err == nil {
		err = db.latest(ctx, latestBalance, short, read)
	}
	if err == nil {
		err = db.halve(ctx, search, seq)
	}
	if err == nil {
		places = places[:0]
		for account, h := range search {
			if h.low > 0 {
				places = append(places, place{account, h.low})
			}
		}
		err = db.latest(ctx, numberedBalance, places, read)
	}
	if err != nil {
		return nil, fmt.Errorf("reading balances as of entry %d: %w", seq, err)
	}
	return balances, nil
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
