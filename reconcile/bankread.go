package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/reconcile/bankbook"
	"tallystick/reconcile/match"
)

// bankPage is how many rows are read at once.
const bankPage = 10_000

// Index: the primary key. What only announces lines is no statement.
const bankStatementsSQL = `
select statement, account_code, bank_account, currency, scale, number, page, from_date, to_date, opening, closing
from ops.bank_statements
where ledger_id = $1::uuid and statement <= $3::int8 and to_date <= $2::date and format <> 'camt.054'
order by statement`

func (r *bankReader) readStatements(ctx context.Context) error {
	r.statements, r.numbers = map[string][]bankStatement{}, map[int64]bool{}
	return r.Snapshot.Scan(ctx, bankStatementsSQL, []any{r.Snapshot.LedgerID, r.AsOf.Time(), r.Statements}, func(row *store.Row) error {
		s := bankStatement{currency: string(row.Text(3)), scale: row.Scale(4)}
		s.Number, s.BankAccount, s.Sequence, s.Page, s.To = row.Int64(0), string(row.Text(2)), row.Int64(5), row.Int64(6), row.Date(8)
		if !row.IsNull(7) {
			day := row.Date(7)
			s.From = &day
		}
		for column, balance := range map[int]**money.Int128{9: &s.Opening, 10: &s.Closing} {
			if !row.IsNull(column) {
				units := row.Units(column, s.scale)
				*balance = &units
			}
		}
		code := string(row.Text(1))
		r.numbers[s.Number] = true
		r.statements[code] = append(r.statements[code], s)
		return bankRow(row)
	})
}

// Index: the primary key.
const bankStatementLinesSQL = `
select line, booked, valued, amount, reversal, description, refs::text
from ops.bank_lines
where ledger_id = $1::uuid and statement = $2::int8 and status = 'BOOK'
order by line`

// readLines reads the booked lines of a statement.
func (r *bankReader) readLines(ctx context.Context, s bankStatement) ([]match.Line, error) {
	wanted, _ := r.names()
	var lines []match.Line
	err := retry(ctx, func() error {
		lines = nil
		return r.Snapshot.Scan(ctx, bankStatementLinesSQL, []any{r.Snapshot.LedgerID, s.Number}, func(row *store.Row) error {
			l := match.Line{ID: bankbook.BankLine(s.Number, row.Int64(0)), Side: match.Bank, Booked: row.Date(1), Units: row.Units(3, s.scale),
				Currency: s.currency, Scale: s.scale, Reversal: row.Bool(4)}
			l.Valued = l.Booked
			if !row.IsNull(2) {
				l.Valued = row.Date(2)
			}
			if err := bankRow(row); err != nil {
				return err
			}
			if err := json.Unmarshal(row.Text(6), &l.References); err != nil {
				return fmt.Errorf("reading the references of line %s: %w", l.ID, err)
			}
			for name := range l.References {
				if !wanted[name] {
					delete(l.References, name)
				}
			}
			if text := string(row.Text(5)); text != "" && wanted["remittance"] {
				l.References["remittance"] = []string{text}
			}
			lines = append(lines, l)
			return nil
		})
	})
	return lines, wrap(fmt.Sprintf("reading the lines of bank statement %d", s.Number), err)
}

// Index: i10_accounts_code.
const bankAccountSQL = `
select account_id, currency, scale from book.accounts
where ledger_id = $1::uuid and code = $2::text and opened_seq < $3::int8`

// readAccount finds an account of the ledger, and false when it was not open.
func (r *bankReader) readAccount(ctx context.Context, code string, in *bankbook.Input) (bool, error) {
	known := false
	err := r.Snapshot.Scan(ctx, bankAccountSQL, []any{r.Snapshot.LedgerID, code, r.Snapshot.Size}, func(row *store.Row) error {
		known = true
		r.accountID.ID, in.Currency, in.Scale = row.UUID(0), string(row.Text(1)), row.Scale(2)
		return bankRow(row)
	})
	return known, err
}

// Index: i9_postings_account_seq.
const bankPostingsSQL = `
select seq, ordinal, direction, amount, account_seq, posted
from book.postings
where account_id = $1::uuid and account_seq > $2::int8
order by account_seq
limit $3::int8`

// readPostings reads what was booked on the account, in pages, with what the entries say.
func (r *bankReader) readPostings(ctx context.Context, in *bankbook.Input) error {
	_, wanted := r.names()
	lineOfEntry := map[int64]string{}
	for after := int64(0); ; {
		var page []match.Line
		rows, last, posted := 0, after, in.Posted
		err := retry(ctx, func() error {
			page, rows, last, posted = nil, 0, after, in.Posted
			return r.Snapshot.Scan(ctx, bankPostingsSQL, []any{r.accountID.ID, after, int64(bankPage)}, func(row *store.Row) error {
				rows++
				seq := row.Int64(0)
				if seq >= r.Snapshot.Size {
					return nil
				}
				last = row.Int64(4)
				posted = row.Units(5, in.Scale)
				units := row.Units(3, in.Scale)
				if string(row.Text(2)) == "credit" {
					units, _ = units.Neg() // an amount is positive
				}
				if !units.IsZero() { // a hold or a release moves nothing
					page = append(page, match.Line{ID: bankbook.LedgerLine(seq, row.Int64(1)), Side: match.Ledger, Units: units, Currency: in.Currency, Scale: in.Scale, Entry: seq})
				}
				return bankRow(row)
			})
		})
		if err != nil {
			return wrap("reading the postings of the account", err)
		}
		if err := r.readEntries(ctx, page, wanted); err != nil {
			return err
		}
		for i := range page {
			if page[i].Booked > r.AsOf {
				return fmt.Errorf("entry %d is booked on %s, and the ledger is looked at as of %s", page[i].Entry, page[i].Booked, r.AsOf)
			}
			lineOfEntry[page[i].Entry] = page[i].ID
		}
		in.Postings, in.Posted = append(in.Postings, page...), posted
		if rows < bankPage || last == after {
			break
		}
		after = last
	}
	for i := range in.Postings {
		if l := &in.Postings[i]; l.Reverses != "" {
			seq, _ := strconv.ParseInt(l.Reverses, 10, 64) // readEntries wrote it
			l.Reverses = lineOfEntry[seq]
		}
	}
	return nil
}

// Indexes: the primary keys.
const (
	bankEntrySQL = `
select seq, kind, booking_date, effective_date, request_id, related_to, ref_seq
from book.entries
where ledger_id = $1::uuid and seq = u.n`
	bankTextSQL = `
select seq, description, reference, metadata
from ops.payloads
where ledger_id = $1::uuid and seq = u.n`
)

// readEntries fills in what the entries of postings say.
func (r *bankReader) readEntries(ctx context.Context, page []match.Line, wanted map[string]bool) error {
	at := make(map[int64]*match.Line, len(page))
	keys := make([]store.Key, len(page))
	for i := range page {
		at[page[i].Entry], keys[i].N = &page[i], page[i].Entry
		page[i].References = map[string][]string{}
	}
	add := func(l *match.Line, name, value string) {
		if value != "" && wanted[name] {
			l.References[name] = []string{value}
		}
	}
	found := 0
	err := retry(ctx, func() error {
		found = 0
		return r.Snapshot.ScanEach(ctx, bankEntrySQL, []any{r.Snapshot.LedgerID}, keys, func(row *store.Row) error {
			l := at[row.Int64(0)]
			found++
			l.Booked, l.Valued, l.Reversal = row.Date(2), row.Date(3), string(row.Text(1)) == chain.Reversal.String()
			add(l, "request_id", row.UUID(4).String())
			if !row.IsNull(5) {
				add(l, "related_to", row.UUID(5).String())
			}
			if l.Reversal && !row.IsNull(6) {
				l.Reverses = strconv.FormatInt(row.Int64(6), 10)
			}
			return bankRow(row)
		})
	})
	if err == nil && found != len(page) {
		err = fmt.Errorf("%d of %d entries are there\nhint: run tallystick verify", found, len(page))
	}
	if err != nil {
		return wrap("reading the entries of the account's postings", err)
	}
	err = retry(ctx, func() error {
		return r.Snapshot.ScanEach(ctx, bankTextSQL, []any{r.Snapshot.LedgerID}, keys, func(row *store.Row) error {
			l := at[row.Int64(0)]
			for column, name := range map[int]string{1: "description", 2: "reference"} {
				if !row.IsNull(column) {
					add(l, name, string(row.Text(column)))
				}
			}
			if !row.IsNull(3) {
				for name, value := range members(row.Text(3)) {
					add(l, "metadata."+name, value)
				}
			}
			return nil
		})
	})
	return wrap("reading the texts of the account's postings", err)
}

// members returns the strings and numbers of a JSON object.
func members(object []byte) map[string]string {
	var all map[string]any
	d := json.NewDecoder(strings.NewReader(string(object)))
	d.UseNumber()
	if d.Decode(&all) != nil {
		return nil // the chain phase holds it against its commitment
	}
	texts := make(map[string]string, len(all))
	for name, value := range all {
		switch v := value.(type) {
		case string:
			texts[name] = v
		case json.Number:
			texts[name] = v.String()
		}
	}
	return texts
}

// Index: breaks_id.
const breaksSeenSQL = `select break_id, first_seen from ops.breaks where ledger_id = $1::uuid and first_seen < $2::date`

func (r *bankReader) readSeen(ctx context.Context) error {
	r.seen = map[string]chain.Date{}
	return r.Snapshot.Scan(ctx, breaksSeenSQL, []any{r.Snapshot.LedgerID, r.AsOf.Time()}, func(row *store.Row) error {
		r.seen[string(row.Text(0))] = row.Date(1)
		return bankRow(row)
	})
}

// Index: the primary keys, and bank_files_content. A file is not in quarantine any more once it was accepted and its
// statements count.
const quarantineSQL = `
select f.file, f.sha256, f.reasons::text from ops.bank_files as f
where f.ledger_id = $1::uuid and f.verdict = 'quarantined' and f.file <= $2::int8
    and not exists (select 1 from ops.bank_files as a, ops.bank_statements as s
        where a.ledger_id = $1::uuid and a.sha256 = f.sha256 and a.verdict = 'accepted'
            and s.ledger_id = $1::uuid and s.file = a.file and s.statement <= $3::int8)
order by f.file`

// readQuarantine lists the files in quarantine that nobody has dealt with.
func (r *bankReader) readQuarantine(ctx context.Context, out *BankOutcome) error {
	out.Quarantined = out.Quarantined[:0]
	return r.Snapshot.Scan(ctx, quarantineSQL, []any{r.Snapshot.LedgerID, r.BankFiles, r.Statements}, func(row *store.Row) error {
		q := QuarantinedFile{File: row.Int64(0), SHA256: row.Hash(1).String()}
		if r.handled[bankFileSubject(q.File)] {
			return nil
		}
		var reasons []json.RawMessage
		if err := json.Unmarshal(row.Text(2), &reasons); err != nil {
			return fmt.Errorf("reading the reasons of bank file %d: %w", q.File, err)
		}
		q.Reasons = len(reasons)
		out.Quarantined = append(out.Quarantined, q)
		return bankRow(row)
	})
}

// bankFileSubject names a bank file as the subject of a decision.
func bankFileSubject(file int64) string { return "bankfile:" + strconv.FormatInt(file, 10) }

// bankRow refuses a row that holds what it cannot.
func bankRow(r *store.Row) error {
	if column, value, bad := r.Rejected(); bad {
		return fmt.Errorf("column %s holds %s, which cannot be there", column, value)
	}
	return nil
}
