package store

import (
	"context"
	"fmt"

	"tallystick/ledger"
)

// Index: entries_night.
const decisionsSQL = `select seq from book.entries
where ledger_id = $1::uuid and kind = 'decision' and seq >= $2::int8 order by seq limit $3::int8`

// Decisions returns up to limit decisions from entry from on, in order, with
// their texts.
func (db *DB) Decisions(ctx context.Context, id ledger.LedgerID, from int64, limit int) ([]ledger.Entry, error) {
	seqs, err := db.seqs(ctx, decisionsSQL, uuidOf(&id.UUID), from, int64(limit))
	if err != nil {
		return nil, err
	}
	return db.DecisionsAt(ctx, id, seqs)
}

// DecisionsAt returns the entries at seqs with their texts.
func (db *DB) DecisionsAt(ctx context.Context, id ledger.LedgerID, seqs []int64) ([]ledger.Entry, error) {
	entries, err := db.entriesAt(ctx, id, seqs, true)
	if err != nil {
		return nil, fmt.Errorf("reading decisions: %w", err)
	}
	return entries, readable(entries)
}

// Index: the primary key.
const bankLineSQL = `select line, booked, valued, amount, status, reversal, code, party, description, refs::text from ops.bank_lines
where ledger_id = $1::uuid and statement = $2::int8 and line = $3::int8`

// BankLine returns a line with its statement, or ErrNotFound.
func (db *DB) BankLine(ctx context.Context, id ledger.LedgerID, statement, line int64) (BankStatement, BankLine, error) {
	s, err := db.BankStatement(ctx, id, statement)
	if err != nil {
		return s, BankLine{}, err
	}
	l, err := scanBankLine(db.pool.QueryRow(ctx, bankLineSQL, uuidOf(&id.UUID), statement, line), s.Scale)
	if err != nil {
		return s, l, fmt.Errorf("reading line %d of bank statement %d: %w", line, statement, err)
	}
	return s, l, nil
}
