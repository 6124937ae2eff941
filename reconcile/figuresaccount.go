package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/figures"
)

// A statement costs the postings of its account in the period, not those of the
// ledger: the postings of an account are numbered in order of seq, so that the
// numbers of the first and the last in the period are found by halving.

// statementPage is how many lines of a statement are read at once.
const statementPage = 4096

// Index: i10_accounts_code.
const accountNamedSQL = `
select account_id, ledger_id, code, type, currency, scale, opened_seq
from book.accounts
where ledger_id = $1::uuid and code = $2::text and opened_seq < $3::int8`

// readStatement fills in one account and its lines with their texts.
func (b *bookReader) readStatement(ctx context.Context, code string) error {
	id, err := b.findAccount(ctx, code)
	if err != nil {
		return err
	}
	newest, err := b.newestBefore(ctx, id, b.End)
	if err != nil {
		return err
	}
	first, err := b.firstFrom(ctx, id, newest.accountSeq)
	if err != nil {
		return err
	}
	if n := newest.accountSeq - first + 1; n > b.MaxLines {
		return fmt.Errorf("%w: account %s has %d postings from %s to %s, at most %d are listed; ask for a shorter period", ErrReportTooLong, code, n, b.From, b.AsOf, b.MaxLines)
	}
	a := &b.Accounts[0]
	a.StatedClosing = newest.posted
	if first > 1 {
		before, err := b.numbered(ctx, id, first-1)
		if err != nil {
			return err
		}
		a.Opening = before.posted
	}
	for low := first; low <= newest.accountSeq; low += statementPage {
		if err := b.readLines(ctx, id, low, min(newest.accountSeq, low+statementPage-1)); err != nil {
			return err
		}
	}
	return nil
}

// findAccount makes the account the only one.
func (b *bookReader) findAccount(ctx context.Context, code string) (id uuid.UUID, err error) {
	b.Accounts = nil
	err = retry(ctx, func() error {
		b.Accounts = b.Accounts[:0]
		return b.from.Scan(ctx, accountNamedSQL, []any{b.from.LedgerID, code, b.End}, func(r *store.Row) error {
			var row accountRow
			if id, row = readAccount(r, &b.words); row.rejected != nil {
				return unreadable("account "+code, row.rejected)
			}
			b.Accounts = append(b.Accounts, figures.Account{Code: row.code, Type: row.kind, Currency: row.currency, Scale: row.scale})
			return nil
		})
	})
	if err != nil {
		return id, fmt.Errorf("reading account %s: %w", code, err)
	}
	if len(b.Accounts) != 1 {
		return id, fmt.Errorf("%w: %q at the end of %s", ErrUnknownAccount, code, b.AsOf)
	}
	b.at = map[uuid.UUID]int32{id: 0}
	return id, nil
}

// Index: i9_postings_account_seq, read backwards for one row.
const newestBeforeSQL = `
select seq, account_id, account_seq, direction, amount, posted, effective_date
from book.postings
where account_id = $1::uuid and ledger_id = $2::uuid and seq < $3::int8
order by account_seq desc
limit 1`

// Index: i9_postings_account_seq.
const numberedPostingSQL = `
select seq, account_id, account_seq, direction, amount, posted, effective_date
from book.postings
where account_id = $1::uuid and ledger_id = $2::uuid and account_seq = $3::int8`

// newestBefore returns the newest posting of an account before an entry; its
// number is 0 where there is none.
func (b *bookReader) newestBefore(ctx context.Context, account uuid.UUID, seq int64) (postingRow, error) {
	rows, err := b.postingsOf(ctx, newestBeforeSQL, account, seq)
	if err != nil || len(rows) == 0 {
		return postingRow{}, err
	}
	return rows[0], nil
}

// numbered returns the posting of an account with a number.
func (b *bookReader) numbered(ctx context.Context, account uuid.UUID, accountSeq int64) (postingRow, error) {
	rows, err := b.postingsOf(ctx, numberedPostingSQL, account, accountSeq)
	if err == nil && len(rows) != 1 {
		err = damaged("reading posting %d of account %s: there are %d", accountSeq, account, len(rows))
	}
	if err != nil {
		return postingRow{}, err
	}
	return rows[0], nil
}

func (b *bookReader) postingsOf(ctx context.Context, sql string, account uuid.UUID, more ...any) ([]postingRow, error) {
	err := retry(ctx, func() error {
		b.rows = b.rows[:0]
		return b.from.Scan(ctx, sql, append([]any{account, b.from.LedgerID}, more...), b.addPosting)
	})
	if err != nil {
		return nil, fmt.Errorf("reading book.postings by account: %w", err)
	}
	return b.rows, nil
}

// firstFrom returns the number of the first posting in the period, one more than
// newest where there is none.
func (b *bookReader) firstFrom(ctx context.Context, account uuid.UUID, newest int64) (int64, error) {
	var failed error
	i := sort.Search(int(newest), func(i int) bool {
		if failed != nil {
			return true
		}
		var p postingRow
		p, failed = b.numbered(ctx, account, int64(i)+1)
		return p.seq >= b.First
	})
	return int64(i) + 1, failed
}

// Index: i9_postings_account_seq.
const statementPostingsSQL = `
select seq, account_id, account_seq, direction, amount, posted, effective_date
from book.postings
where account_id = $1::uuid and ledger_id = $2::uuid and account_seq >= $3::int8 and account_seq <= $4::int8
order by account_seq`

// Index: the primary key.
const statementEntriesSQL = `
select seq, booking_date, kind, request_id, prior_period, ref_seq
from book.entries
where ledger_id = $1::uuid and seq = any($2::int8[])
order by seq`

// readLines reads the lines of a page, their entries and texts.
func (b *bookReader) readLines(ctx context.Context, account uuid.UUID, low, high int64) error {
	rows, err := b.postingsOf(ctx, statementPostingsSQL, account, low, high)
	if err != nil {
		return err
	}
	if int64(len(rows)) != high-low+1 {
		return damaged("reading postings %d to %d of account %s: there are %d", low, high, b.Accounts[0].Code, len(rows))
	}
	seqs := make([]int64, len(rows))
	for i := range rows {
		seqs[i] = rows[i].seq
	}
	err = retry(ctx, func() error {
		b.entries = b.entries[:0]
		return b.from.Scan(ctx, statementEntriesSQL, []any{b.from.LedgerID, seqs}, b.addEntry)
	})
	if err != nil {
		return fmt.Errorf("reading book.entries: %w", err)
	}
	first := len(b.Lines)
	for i := range rows {
		if i >= len(b.entries) || b.entries[i].seq != rows[i].seq {
			return damaged("reading entry %d: it is not there", rows[i].seq)
		}
		if !rows[i].amount.IsZero() {
			if !add(&b.Accounts[0], &b.entries[i], &rows[i]) {
				return fmt.Errorf("adding up account %s at entry %d: %w", b.Accounts[0].Code, rows[i].seq, errBeyondRange)
			}
			b.addLine(&b.entries[i], &rows[i])
		}
	}
	if b.textless {
		return nil
	}
	return b.readTexts(ctx, b.Lines[first:])
}

// Index of both: the primary key.
const (
	statementCommittedSQL = `
select seq, description_commitment is not null, reference_commitment is not null
from book.entries
where ledger_id = $1::uuid and seq = any($2::int8[])
order by seq`
	statementTextsSQL = `
select seq, description, reference
from ops.payloads
where ledger_id = $1::uuid and seq = any($2::int8[])
order by seq`
)

// readTexts reads the texts of lines, which stand in order of seq. A text that an
// entry commits to and that is not there was erased.
func (b *bookReader) readTexts(ctx context.Context, lines []figures.Line) error {
	seqs := make([]int64, len(lines))
	for i := range lines {
		seqs[i] = lines[i].Seq
	}
	committed := make([][2]bool, len(lines))
	for _, scan := range []struct {
		table, sql string
		row        func(r *store.Row, at int)
	}{
		{"book.entries", statementCommittedSQL, func(r *store.Row, at int) { committed[at] = [2]bool{r.Bool(1), r.Bool(2)} }},
		{"ops.payloads", statementTextsSQL, func(r *store.Row, at int) {
			if !r.IsNull(1) {
				lines[at].Description = string(r.Text(1))
			}
			if !r.IsNull(2) {
				lines[at].Reference = string(r.Text(2))
			}
		}},
	} {
		err := retry(ctx, func() error {
			return b.from.Scan(ctx, scan.sql, []any{b.from.LedgerID, seqs}, func(r *store.Row) error {
				if at, found := slices.BinarySearch(seqs, r.Int64(0)); found {
					scan.row(r, at)
				}
				return readable(r, scan.table, r.Int64(0))
			})
		})
		if err != nil {
			return fmt.Errorf("reading %s: %w", scan.table, err)
		}
	}
	for i := range lines {
		l := &lines[i]
		l.Erased = committed[i][0] && l.Description == "" || committed[i][1] && l.Reference == ""
	}
	return nil
}

// openPage is how many postings are read at once to see which are open.
const openPage = 1024

// Index: i9_postings_account_seq, read backwards.
const postingsDownSQL = `
select seq, account_id, account_seq, direction, amount, posted, effective_date
from book.postings
where account_id = $1::uuid and ledger_id = $2::uuid and account_seq <= $3::int8
order by account_seq desc
limit $4::int8`

// openItems returns the postings of which a balance consists if what came first
// was settled first: the newest on its side that add up to it, the oldest of them
// perhaps in part. They come newest first.
func (b *bookReader) openItems(ctx context.Context, account *Balance, most int) ([]figures.OpenItem, error) {
	side, left := chain.Debit, account.Posted
	if left.Sign() < 0 {
		side = chain.Credit
		left, _ = left.Neg()
	}
	var open []figures.OpenItem
	for from := account.AccountSeq; left.Sign() > 0 && from > 0; {
		rows, err := b.postingsOf(ctx, postingsDownSQL, account.ID, from, int64(openPage))
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			break
		}
		for i := range rows {
			from = rows[i].accountSeq - 1
			if p := &rows[i]; p.direction == side && !p.amount.IsZero() && left.Sign() > 0 {
				if len(open) == most {
					return nil, fmt.Errorf("%w: account %s has more than %d open items", ErrReportTooLong, account.Code, most)
				}
				part := p.amount
				if part.Cmp(left) > 0 {
					part = left
				}
				left, _ = left.Sub(part)
				open = append(open, figures.OpenItem{Account: int(p.account), Seq: p.seq, Valued: p.valued, Direction: side, Amount: p.amount, Open: part})
			}
		}
	}
	if left.Sign() > 0 {
		return nil, damaged("reading what is open on account %s: its postings do not give its balance", account.Code)
	}
	return open, nil
}
