package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// This file stores what banks send; banklines.go and bankread.go hand it out.

// BankFile is a file of a bank, as it was judged.
type BankFile struct {
	Number     int64 // from 1, without gaps; given when it is stored
	SHA256     chain.Hash
	Name       string // without a path
	Format     string // empty when it could not be told
	Bytes      int64
	Accepted   bool
	Reasons    []BankReason // why it is in quarantine
	ImportedAt time.Time
	ImportedBy string
}

// BankReason is one reason for quarantine.
type BankReason struct {
	Code       string `json:"code"`
	Line       int64  `json:"line,omitempty"` // place in the file, where there is one
	Byte       int64  `json:"byte,omitempty"`
	Account    string `json:"account,omitempty"`
	Currency   string `json:"currency,omitempty"`
	Difference string `json:"difference,omitempty"` // stated less counted
	Text       string `json:"text"`
}

// BankStatement is a statement in one currency; who has several has one for each.
type BankStatement struct {
	Number      int64 // from 1, without gaps; given when it is stored
	File        int64
	Account     string // code of the ledger's account
	BankAccount string // IBAN, or the number the bank uses
	Currency    string
	Scale       uint8
	Format      string
	BankID      string
	SHA256      chain.Hash // of its content
	Sequence    int64      // by the bank; 0 is unknown
	Page        int64
	From        *chain.Date
	To          chain.Date
	Opening     *money.Int128 // positive when the account is in credit; nil where the bank states none
	Closing     *money.Int128
	Credits     money.Int128 // of the booked lines
	Debits      money.Int128
	Lines       int64
	Notes       []string
}

// BankLine is a line of a statement.
type BankLine struct {
	Number      int64 // in its statement, from 1
	Booked      chain.Date
	Valued      *chain.Date
	Units       money.Int128 // positive raises the balance at the bank
	Status      string
	Reversal    bool
	Code        string
	Party       string
	Description string
	References  map[string][]string
}

// BookedLine is the status of a line that moves the balance, and Announcement the
// format of files that only announce the lines of a statement to come.
const (
	BookedLine   = "BOOK"
	Announcement = "camt.054"
)

// NewBankStatement is a statement that is to be stored. Follows is the number of
// the statement of the same bank account and currency that it was found to
// follow, 0 for none; Unordered ones, which only announce what a statement will
// hold, follow nothing.
type NewBankStatement struct {
	BankStatement
	Follows   int64
	Unordered bool
}

// ErrBankMoved: another statement of the account was stored meanwhile. Judge the
// file again.
var ErrBankMoved = errors.New("another statement of the account was stored meanwhile")

// Bounds of storing a file.
const (
	// bankLinesAtOnce and bankBytesAtOnce bound one statement that inserts lines.
	bankLinesAtOnce = 1000
	bankBytesAtOnce = 512 << 10
	// bankPatience bounds the wait for another file that is being stored.
	bankPatience = 10 * time.Minute
)

const (
	bankTurnSQL     = `insert into ops.bank_turns (ledger_id) values ($1::uuid) on conflict (ledger_id) do nothing`
	takeBankTurnSQL = `select 1 from ops.bank_turns where ledger_id = $1::uuid for update`
)

// Indexes of the following: the primary keys, read backwards for one row.
const nextBankNumbersSQL = `select
    coalesce((select file from ops.bank_files where ledger_id = $1::uuid order by file desc limit 1), 0) + 1,
    coalesce((select statement from ops.bank_statements where ledger_id = $1::uuid order by statement desc limit 1), 0) + 1`

const insertBankFileSQL = `
insert into ops.bank_files (ledger_id, file, sha256, name, format, bytes, verdict, reasons, imported_at, imported_by)
values ($1::uuid, $2::int8, $3::bytea, $4::text, $5::text, $6::int8, $7::text, $8::jsonb, $9::timestamptz, $10::text)`

// Index: bank_files_content.
const bankFileBySQL = `select ` + bankFileColumns + ` from ops.bank_files
where ledger_id = $1::uuid and sha256 = $2::bytea and verdict = $3::text`

const (
	accepted    = "accepted"
	quarantined = "quarantined"
)

// QuarantineBankFile keeps that a file was refused and why, and nothing else of
// it. A file that is in quarantine already stays there as it is; fresh is false.
func (db *DB) QuarantineBankFile(ctx context.Context, id ledger.LedgerID, f BankFile) (stored BankFile, fresh bool, err error) {
	f.Accepted = false
	err = db.bankTurn(ctx, id, func(tx pgx.Tx) error {
		stored, fresh, err = insertBankFile(ctx, tx, id, f)
		return err
	})
	if err != nil {
		return BankFile{}, false, fmt.Errorf("keeping the verdict about bank file %s: %w", f.Name, err)
	}
	return stored, fresh, nil
}

// StoreBankFile stores an accepted file with its statements and their lines, all
// or nothing. lines hands over the lines of the statements, by their places in
// statements, each exactly once; it may be called several times, from the
// beginning. A file that is there already stays as it is, and fresh is false.
// ErrBankMoved: a statement does not follow what it was found to follow any more.
func (db *DB) StoreBankFile(ctx context.Context, id ledger.LedgerID, f BankFile, statements []NewBankStatement,
	lines func(emit func(statement int, l BankLine) error) error) (stored BankFile, fresh bool, err error) {
	f.Accepted = true
	err = db.bankTurn(ctx, id, func(tx pgx.Tx) error {
		if stored, fresh, err = insertBankFile(ctx, tx, id, f); err != nil || !fresh {
			return err
		}
		first, err := insertBankStatements(ctx, tx, id, stored.Number, statements)
		if err != nil {
			return err
		}
		w := newBankLineWriter(ctx, tx, id, first, statements)
		if err := lines(w.add); err != nil {
			return err
		}
		if err := w.flush(); err != nil {
			return err
		}
		for i := range statements {
			statements[i].Number, statements[i].File = first+int64(i), stored.Number
			if w.counts[i] != statements[i].Lines {
				return fmt.Errorf("storing statement %s of %s: it has %d lines, and %d were handed over", statements[i].BankID, statements[i].BankAccount, statements[i].Lines, w.counts[i])
			}
		}
		return nil
	})
	if err != nil {
		return BankFile{}, false, fmt.Errorf("storing bank file %s: %w", f.Name, err)
	}
	return stored, fresh, nil
}

// InBankTurn runs f while no process stores a file of the ledger, or does anything
// else in its turn. f has connections of its own.
func (db *DB) InBankTurn(ctx context.Context, id ledger.LedgerID, f func() error) error {
	ran := false
	var done error
	err := db.bankTurn(ctx, id, func(pgx.Tx) error {
		if !ran { // and not again where the engine wants the transaction repeated: all it did was wait
			ran, done = true, f()
		}
		return nil
	})
	if ran { // the transaction is nothing but its lock
		return done
	}
	return err
}

// bankTurn runs f in a transaction while no other process stores a file of the
// ledger. The wait for another one may be longer than a statement may take.
func (db *DB) bankTurn(ctx context.Context, id ledger.LedgerID, f func(pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, bankPatience)
	defer cancel()
	if _, err := db.pool.Exec(ctx, bankTurnSQL, uuidOf(&id.UUID)); err != nil {
		return err
	}
	for {
		waited := false
		err := db.transact(ctx, func(tx pgx.Tx) error {
			waited = true
			if _, err := tx.Exec(ctx, takeBankTurnSQL, uuidOf(&id.UUID)); err != nil {
				return err
			}
			waited = false
			return f(tx)
		})
		var pgErr *pgconn.PgError
		if waited && ctx.Err() == nil && errors.As(err, &pgErr) && pgErr.Code == codeCanceled {
			continue // by its time limit, in the queue
		}
		return err
	}
}

// insertBankFile inserts the row of a file, unless one of that content and
// verdict is there. The caller holds the turn.
func insertBankFile(ctx context.Context, tx pgx.Tx, id ledger.LedgerID, f BankFile) (BankFile, bool, error) {
	verdict := quarantined
	if f.Accepted {
		verdict = accepted
	}
	before, err := scanBankFile(tx.QueryRow(ctx, bankFileBySQL, uuidOf(&id.UUID), f.SHA256[:], verdict))
	if err == nil || !errors.Is(err, ErrNotFound) {
		return before, false, err
	}
	var next int64
	if err := tx.QueryRow(ctx, nextBankNumbersSQL, uuidOf(&id.UUID)).Scan(&f.Number, &next); err != nil {
		return f, false, err
	}
	reasons, err := jsonList(f.Reasons)
	if err != nil {
		return f, false, err
	}
	f.ImportedAt = time.Now().UTC().Truncate(time.Microsecond)
	_, err = tx.Exec(ctx, insertBankFileSQL, uuidOf(&id.UUID), f.Number, f.SHA256[:], plainText(f.Name), f.Format, f.Bytes, verdict, reasons, f.ImportedAt, f.ImportedBy)
	return f, true, err
}

// jsonList returns a list as JSON, never null.
func jsonList[T any](list []T) (string, error) {
	if list == nil {
		list = []T{}
	}
	text, err := json.Marshal(list)
	return plainJSON(text), err
}

const insertBankStatementSQL = `
insert into ops.bank_statements (ledger_id, statement, file, account_code, bank_account, currency, scale, format, bank_id, sha256,
    number, page, from_date, to_date, opening, closing, credits, debits, lines, notes)
values ($1::uuid, $2::int8, $3::int8, $4::text, $5::text, $6::text, $7::int8, $8::text, $9::text, $10::bytea,
    $11::int8, $12::int8, $13::date, $14::date, $15::decimal, $16::decimal, $17::decimal, $18::decimal, $19::int8, $20::jsonb)`

// insertBankStatements numbers and inserts statements, each of which must follow
// what is stored.
func insertBankStatements(ctx context.Context, tx pgx.Tx, id ledger.LedgerID, file int64, statements []NewBankStatement) (first int64, err error) {
	var next int64
	if err := tx.QueryRow(ctx, nextBankNumbersSQL, uuidOf(&id.UUID)).Scan(&next, &first); err != nil {
		return 0, err
	}
	type account struct{ bank, currency string }
	moved := make(map[account]bool)
	for i := range statements {
		s := &statements[i]
		if at := (account{s.BankAccount, s.Currency}); !s.Unordered && !moved[at] {
			moved[at] = true
			last, err := lastBankStatement(ctx, tx, id, s.BankAccount, s.Currency)
			switch {
			case err != nil && !errors.Is(err, ErrNotFound):
				return 0, err
			case last.Number != s.Follows:
				return 0, ErrBankMoved
			}
		}
		if err := insertBankStatement(ctx, tx, id, file, first+int64(i), &s.BankStatement); err != nil {
			return 0, err
		}
	}
	return first, nil
}

func insertBankStatement(ctx context.Context, tx pgx.Tx, id ledger.LedgerID, file, number int64, s *BankStatement) error {
	notes, err := jsonList(s.Notes)
	if err != nil {
		return err
	}
	var from *time.Time
	if s.From != nil {
		day := s.From.Time()
		from = &day
	}
	amount := func(units *money.Int128) *string {
		if units == nil {
			return nil
		}
		text := units.Format(s.Scale)
		return &text
	}
	_, err = tx.Exec(ctx, insertBankStatementSQL, uuidOf(&id.UUID), number, file, s.Account, plainText(s.BankAccount), s.Currency, int64(s.Scale),
		s.Format, plainText(s.BankID), s.SHA256[:], s.Sequence, s.Page, from, s.To.Time(), amount(s.Opening), amount(s.Closing),
		amount(&s.Credits), amount(&s.Debits), s.Lines, notes)
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == codeUnique && pgErr.ConstraintName == "bank_statements_content" {
		return ErrBankMoved
	}
	return err
}
