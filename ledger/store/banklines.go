package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
)

const insertBankLinesSQL = `
insert into ops.bank_lines (ledger_id, statement, line, booked, valued, amount, status, reversal, code, party, description, refs)
select $1::uuid, u.statement, u.line, u.booked, u.valued, u.amount, u.status, u.reversal, u.code, u.party, u.description, u.refs::jsonb
from unnest($2::int8[], $3::int8[], $4::date[], $5::date[], $6::decimal[], $7::text[], $8::bool[], $9::text[], $10::text[], $11::text[], $12::text[])
  as u(statement, line, booked, valued, amount, status, reversal, code, party, description, refs)`

// bankLineWriter inserts lines in batches, whatever their number.
type bankLineWriter struct {
	ctx    context.Context // of the transaction that it is a part of
	tx     pgx.Tx
	id     ledger.LedgerID
	first  int64   // number of the first statement
	counts []int64 // lines by statement
	scales []uint8

	statements, lines                         []int64
	booked                                    []time.Time
	valued                                    []*time.Time
	amounts                                   decimals
	reversals                                 []bool
	statuses, codes, parties, described, refs []string
	bytes                                     int
}

func newBankLineWriter(ctx context.Context, tx pgx.Tx, id ledger.LedgerID, first int64, statements []NewBankStatement) *bankLineWriter {
	w := &bankLineWriter{ctx: ctx, tx: tx, id: id, first: first, counts: make([]int64, len(statements)), scales: make([]uint8, len(statements))}
	for i := range statements {
		w.scales[i] = statements[i].Scale
	}
	return w
}

// add takes a line of the statement at a place in those that are stored.
func (w *bankLineWriter) add(statement int, l BankLine) error {
	if statement < 0 || statement >= len(w.counts) {
		return fmt.Errorf("storing bank line %d: there is no statement %d", l.Number, statement)
	}
	refs, err := json.Marshal(l.References)
	if err != nil {
		return fmt.Errorf("storing bank line %d: %w", l.Number, err)
	}
	w.counts[statement]++
	if w.amounts == nil {
		w.amounts = newDecimals(bankLinesAtOnce)
	}
	var valued *time.Time
	if l.Valued != nil {
		day := l.Valued.Time()
		valued = &day
	}
	w.statements, w.lines = append(w.statements, w.first+int64(statement)), append(w.lines, l.Number)
	w.booked, w.valued = append(w.booked, l.Booked.Time()), append(w.valued, valued)
	w.amounts = w.amounts.append(l.Units, w.scales[statement])
	w.statuses, w.reversals = append(w.statuses, l.Status), append(w.reversals, l.Reversal)
	w.codes, w.parties = append(w.codes, plainText(l.Code)), append(w.parties, plainText(l.Party))
	w.described, w.refs = append(w.described, plainText(l.Description)), append(w.refs, plainJSON(refs))
	w.bytes += len(l.Code) + len(l.Party) + len(l.Description) + len(refs)
	if len(w.lines) >= bankLinesAtOnce || w.bytes >= bankBytesAtOnce {
		return w.flush()
	}
	return nil
}

func (w *bankLineWriter) flush() error {
	if len(w.lines) == 0 {
		return nil
	}
	_, err := w.tx.Exec(w.ctx, insertBankLinesSQL, uuidOf(&w.id.UUID), w.statements, w.lines, w.booked, w.valued, w.amounts.literal(),
		w.statuses, w.reversals, w.codes, w.parties, w.described, w.refs)
	if err != nil {
		return fmt.Errorf("inserting bank lines: %w", err)
	}
	w.statements, w.lines, w.booked, w.valued, w.amounts = w.statements[:0], w.lines[:0], w.booked[:0], w.valued[:0], nil
	w.statuses, w.reversals, w.codes, w.parties = w.statuses[:0], w.reversals[:0], w.codes[:0], w.parties[:0]
	w.described, w.refs, w.bytes = w.described[:0], w.refs[:0], 0
	return nil
}

// plainText makes a text of a bank storable: no engine keeps a NUL, or what is
// not UTF-8.
func plainText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// plainJSON does the same for JSON, which escapes a NUL.
func plainJSON(text []byte) string { return strings.ReplaceAll(string(text), `\u0000`, `\ufffd`) }

const bankFileColumns = `file, sha256, name, format, bytes, verdict, reasons::text, imported_at, imported_by`

func scanBankFile(row pgx.Row) (BankFile, error) {
	var f BankFile
	var verdict, reasons string
	var hash []byte
	if err := row.Scan(&f.Number, &hash, &f.Name, &f.Format, &f.Bytes, &verdict, &reasons, &f.ImportedAt, &f.ImportedBy); err != nil {
		return f, notFound(err)
	}
	f.Accepted = verdict == accepted
	f.ImportedAt = f.ImportedAt.UTC()
	copy(f.SHA256[:], hash)
	return f, readJSON("reasons of bank file", reasons, &f.Reasons)
}

func readJSON(what, text string, into any) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("reading the %s: %w: %w", what, err, ErrDamaged)
	}
	return nil
}

// Index: the primary key.
const bankFilesSQL = `select ` + bankFileColumns + ` from ops.bank_files
where ledger_id = $1::uuid and file > $2::int8 order by file limit $3::int8`

// BankFiles returns up to limit files after one, in the order in which they came.
func (db *DB) BankFiles(ctx context.Context, id ledger.LedgerID, after int64, limit int) ([]BankFile, error) {
	rows, err := db.pool.Query(ctx, bankFilesSQL, uuidOf(&id.UUID), after, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("listing bank files: %w", err)
	}
	files, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (BankFile, error) { return scanBankFile(row) })
	if err != nil {
		return nil, fmt.Errorf("listing bank files: %w", err)
	}
	return files, nil
}

// AcceptedBankFile returns the accepted file of that content, or ErrNotFound.
func (db *DB) AcceptedBankFile(ctx context.Context, id ledger.LedgerID, sha256 [32]byte) (BankFile, error) {
	f, err := scanBankFile(db.pool.QueryRow(ctx, bankFileBySQL, uuidOf(&id.UUID), sha256[:], accepted))
	if err != nil {
		return f, fmt.Errorf("looking for a bank file: %w", err)
	}
	return f, nil
}
