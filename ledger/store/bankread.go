package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

const bankStatementColumns = `statement, file, account_code, bank_account, currency, scale, format, bank_id, sha256,
    number, page, from_date, to_date, opening, closing, credits, debits, lines, notes::text`

func scanBankStatement(row pgx.Row) (BankStatement, error) {
	var s BankStatement
	var scale int64
	var hash []byte
	var from *time.Time
	var to time.Time
	var opening, closing, credits, debits stored
	var notes string
	err := row.Scan(&s.Number, &s.File, &s.Account, &s.BankAccount, &s.Currency, &scale, &s.Format, &s.BankID, &hash,
		&s.Sequence, &s.Page, &from, &to, &opening, &closing, &credits, &debits, &s.Lines, &notes)
	if err != nil {
		return s, notFound(err)
	}
	s.Scale = scaleOf(scale)
	copy(s.SHA256[:], hash)
	if from != nil {
		day := chain.DateOf(*from)
		s.From = &day
	}
	s.To = chain.DateOf(to)
	s.Opening, s.Closing = opening.limit(s.Scale), closing.limit(s.Scale)
	s.Credits, s.Debits = credits.units(s.Scale), debits.units(s.Scale)
	for _, units := range []*money.Int128{s.Opening, s.Closing, &s.Credits, &s.Debits} {
		if units != nil && !units.InRange() {
			return s, fmt.Errorf("reading bank statement %d: %w", s.Number, ErrDamaged)
		}
	}
	return s, readJSON("notes of bank statement", notes, &s.Notes)
}

// BankStatementFilter selects statements; empty fields select all.
type BankStatementFilter struct {
	Account     string // code of the ledger's account
	BankAccount string
	After       int64 // number of the statement after which the page begins
	Limit       int
}

// Indexes: bank_statements_by_account, or the primary key.
const (
	bankStatementsSQL = `select ` + bankStatementColumns + ` from ops.bank_statements
where ledger_id = $1::uuid and statement > $2::int8 and ($3::text = '' or bank_account = $3::text) order by statement limit $4::int8`
	bankStatementsOfSQL = `select ` + bankStatementColumns + ` from ops.bank_statements
where ledger_id = $1::uuid and statement > $2::int8 and ($3::text = '' or bank_account = $3::text) and account_code = $5::text order by statement limit $4::int8`
)

// BankStatements returns statements in the order in which they came.
func (db *DB) BankStatements(ctx context.Context, id ledger.LedgerID, f BankStatementFilter) ([]BankStatement, error) {
	sql, args := bankStatementsSQL, []any{uuidOf(&id.UUID), f.After, f.BankAccount, int64(f.Limit)}
	if f.Account != "" {
		sql, args = bankStatementsOfSQL, append(args, f.Account)
	}
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("listing bank statements: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (BankStatement, error) { return scanBankStatement(row) })
	if err != nil {
		return nil, fmt.Errorf("listing bank statements: %w", err)
	}
	return list, nil
}

// Index: the primary key.
const bankStatementSQL = `select ` + bankStatementColumns + ` from ops.bank_statements where ledger_id = $1::uuid and statement = $2::int8`

// BankStatement returns a statement, or ErrNotFound.
func (db *DB) BankStatement(ctx context.Context, id ledger.LedgerID, number int64) (BankStatement, error) {
	s, err := scanBankStatement(db.pool.QueryRow(ctx, bankStatementSQL, uuidOf(&id.UUID), number))
	if err != nil {
		return s, fmt.Errorf("reading bank statement %d: %w", number, err)
	}
	return s, nil
}

// Index: bank_statements_in_order, read backwards. What only announces the lines
// of a statement to come has no place in the order.
const lastBankStatementSQL = `select ` + bankStatementColumns + ` from ops.bank_statements
where ledger_id = $1::uuid and bank_account = $2::text and currency = $3::text and format <> 'camt.054'
order by to_date desc, number desc, page desc, statement desc limit 1`

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func lastBankStatement(ctx context.Context, on querier, id ledger.LedgerID, bankAccount, currency string) (BankStatement, error) {
	return scanBankStatement(on.QueryRow(ctx, lastBankStatementSQL, uuidOf(&id.UUID), bankAccount, currency))
}

// LastBankStatement returns the statement of a bank account and currency that
// ends last, or ErrNotFound.
func (db *DB) LastBankStatement(ctx context.Context, id ledger.LedgerID, bankAccount, currency string) (BankStatement, error) {
	s, err := lastBankStatement(ctx, db.pool, id, bankAccount, currency)
	if err != nil {
		return s, fmt.Errorf("reading the last statement of bank account %s in %s: %w", bankAccount, currency, err)
	}
	return s, nil
}

// Index: bank_statements_content.
const knownBankStatementSQL = `select ` + bankStatementColumns + ` from ops.bank_statements
where ledger_id = $1::uuid and bank_account = $2::text and currency = $3::text and sha256 = $4::bytea`

// KnownBankStatement returns the statement of a bank account and currency with
// that content, or ErrNotFound.
func (db *DB) KnownBankStatement(ctx context.Context, id ledger.LedgerID, bankAccount, currency string, sha256 [32]byte) (BankStatement, error) {
	s, err := scanBankStatement(db.pool.QueryRow(ctx, knownBankStatementSQL, uuidOf(&id.UUID), bankAccount, currency, sha256[:]))
	if err != nil {
		return s, fmt.Errorf("looking for a statement of bank account %s in %s: %w", bankAccount, currency, err)
	}
	return s, nil
}

// Index: bank_statements_in_order.
const bankStatementNamedSQL = `select ` + bankStatementColumns + ` from ops.bank_statements
where ledger_id = $1::uuid and bank_account = $2::text and currency = $3::text and to_date = $4::date and number = $5::int8 and page = $6::int8
    and bank_id = $7::text and format = $8::text and bank_id <> '' order by statement limit 1`

// BankStatementNamed returns the statement of the same bank account, currency,
// format, day, number and id of the bank's, or ErrNotFound. One without an id is
// never found.
func (db *DB) BankStatementNamed(ctx context.Context, id ledger.LedgerID, like *BankStatement) (BankStatement, error) {
	s, err := scanBankStatement(db.pool.QueryRow(ctx, bankStatementNamedSQL, uuidOf(&id.UUID), like.BankAccount, like.Currency, like.To.Time(),
		like.Sequence, like.Page, like.BankID, like.Format))
	if err != nil {
		return s, fmt.Errorf("looking for statement %s of bank account %s: %w", like.BankID, like.BankAccount, err)
	}
	return s, nil
}

// Index: bank_statements_in_order; one row of it for each bank account would do,
// and there are few.
const bankAccountsSQL = `select distinct bank_account, currency, account_code from ops.bank_statements where ledger_id = $1::uuid order by 1, 2, 3`

// BankAccount is an account at a bank in one currency, and the ledger's account
// for it.
type BankAccount struct {
	Bank     string
	Currency string
	Account  string
}

// BankAccounts returns the accounts of which there are statements.
func (db *DB) BankAccounts(ctx context.Context, id ledger.LedgerID) ([]BankAccount, error) {
	rows, err := db.pool.Query(ctx, bankAccountsSQL, uuidOf(&id.UUID))
	if err != nil {
		return nil, fmt.Errorf("listing bank accounts: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[BankAccount])
	if err != nil {
		return nil, fmt.Errorf("listing bank accounts: %w", err)
	}
	return list, nil
}

// Index: the primary key.
const bankLinesSQL = `select line, booked, valued, amount, status, reversal, code, party, description, refs::text from ops.bank_lines
where ledger_id = $1::uuid and statement = $2::int8 and line > $3::int8 order by line limit $4::int8`

// BankLines returns up to limit lines of a statement after one, in order.
func (db *DB) BankLines(ctx context.Context, id ledger.LedgerID, s *BankStatement, after int64, limit int) ([]BankLine, error) {
	rows, err := db.pool.Query(ctx, bankLinesSQL, uuidOf(&id.UUID), s.Number, after, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("reading the lines of bank statement %d: %w", s.Number, err)
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (BankLine, error) { return scanBankLine(row, s.Scale) })
	if err != nil {
		return nil, fmt.Errorf("reading the lines of bank statement %d: %w", s.Number, err)
	}
	return lines, nil
}

func scanBankLine(row pgx.Row, scale uint8) (BankLine, error) {
	var l BankLine
	var booked time.Time
	var valued *time.Time
	var amount stored
	var refs string
	err := row.Scan(&l.Number, &booked, &valued, &amount, &l.Status, &l.Reversal, &l.Code, &l.Party, &l.Description, &refs)
	if err != nil {
		return l, notFound(err)
	}
	l.Booked = chain.DateOf(booked)
	if valued != nil {
		day := chain.DateOf(*valued)
		l.Valued = &day
	}
	if l.Units = amount.units(scale); !l.Units.InRange() {
		return l, fmt.Errorf("reading bank line %d: %w", l.Number, ErrDamaged)
	}
	return l, readJSON("references of bank line", refs, &l.References)
}

// Index: the primary key.
const keepBreakSQL = `
insert into ops.breaks (ledger_id, break_id, first_run, first_seen)
select $1::uuid, u.break_id, $3::uuid, $4::date from unnest($2::text[]) as u(break_id) on conflict (ledger_id, break_id) do nothing`

var breaksSeen = keyed{keys: `$2::text[]`, most: 1,
	lookup: `select break_id, first_seen from ops.breaks where ledger_id = $1::uuid and break_id = u.key`}

// breaksAtOnce bounds the breaks of one statement.
const breaksAtOnce = 1000

// KeepBreaks keeps when breaks were first seen, and changes nothing about those
// that were seen before.
func (db *DB) KeepBreaks(ctx context.Context, id ledger.LedgerID, run [16]byte, seen chain.Date, breaks []string) error {
	for len(breaks) > 0 {
		some := breaks[:min(breaksAtOnce, len(breaks))]
		breaks = breaks[len(some):]
		if _, err := db.pool.Exec(ctx, keepBreakSQL, uuidOf(&id.UUID), some, run, seen.Time()); err != nil {
			return fmt.Errorf("keeping when breaks were first seen: %w", err)
		}
	}
	return nil
}

// BreaksFirstSeen returns when breaks were first seen; those never seen are not
// in it.
func (db *DB) BreaksFirstSeen(ctx context.Context, id ledger.LedgerID, breaks []string) (map[string]chain.Date, error) {
	seen := make(map[string]chain.Date, len(breaks))
	for len(breaks) > 0 {
		some := breaks[:min(breaksAtOnce, len(breaks))]
		breaks = breaks[len(some):]
		err := db.each(ctx, func(row pgx.Row) error {
			var name string
			var day time.Time
			err := row.Scan(&name, &day)
			seen[name] = chain.DateOf(day)
			return err
		}, breaksSeen.on(db.engine), uuidOf(&id.UUID), some)
		if err != nil {
			return nil, fmt.Errorf("reading when breaks were first seen: %w", err)
		}
	}
	return seen, nil
}
