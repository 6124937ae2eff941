package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/reconcile/figures"
	"tallystick/reconcile/policy"
)

// Reports of a period rest on one pass over its postings in order of seq:
//
//	balances before it (BalancesAt) ──▶ Accounts ◀── amounts, a page of entries at a time
//	                                        │
//	                                        ├─▶ balances at the close of each day
//	                                        └─▶ lines, if asked for
//
// It costs the accounts and the postings of the period, and holds the accounts,
// a page, and at most figures.MaxLines lines.

const (
	// reportPage is how many entries a report reads at once.
	reportPage = 8192
	// maxReportRows is how many postings it holds at once; a page with more is
	// read in smaller pieces.
	maxReportRows = 1 << 17
)

// errBeyondRange: movements add up to more than an amount can be.
var errBeyondRange = errors.New("the sum is beyond 2^127 - 1 units")

// bookedEntry is what a report needs to know of an entry.
type bookedEntry struct {
	seq     int64
	booked  chain.Date
	kind    chain.Kind
	request uuid.UUID
	prior   bool
	moves   bool // it moves a result to equity, or back
}

// postingRow is what a report needs to know of a posting.
type postingRow struct {
	seq, accountSeq int64
	account         int32
	direction       chain.Direction
	amount, posted  money.Int128
	valued          chain.Date
}

// read fills in the accounts, and what the report needs beside them.
func (b *bookReader) read(ctx context.Context, n need, r *ReportRequest) error {
	if err := b.readAccounts(ctx, r.Policy); err != nil {
		return err
	}
	if err := b.prepare(ctx, n, r); err != nil {
		return err
	}
	if n.days {
		if err := b.openDays(); err != nil {
			return err
		}
	}
	return b.readFrom(ctx, n, b.First)
}

// prepare settles, of the accounts that are known, what the pass asks for.
func (b *bookReader) prepare(ctx context.Context, n need, r *ReportRequest) error {
	if n.lines {
		b.lines = make([]bool, len(b.Accounts))
		if err := b.chooseLines(r.Account); err != nil {
			return err
		}
	}
	return b.readClosings(ctx)
}

// readFrom is the pass, from an entry of the period on.
func (b *bookReader) readFrom(ctx context.Context, n need, first int64) error {
	for low, size := first, int64(reportPage); low < b.End; {
		high := min(b.End, low+size)
		err := retry(ctx, func() error {
			if n.days || n.lines {
				return b.loadPage(ctx, low, high)
			}
			return b.loadLean(ctx, low, high)
		})
		if errors.Is(err, errSegmentTooLarge) && size > 1 {
			size /= 2
			continue
		}
		if err != nil {
			return err
		}
		if err := b.addPage(n.days); err != nil {
			return err
		}
		b.passed += high - low
		low = high
	}
	if n.days {
		b.closeDays(b.AsOf + 1)
	}
	b.sortLines()
	return nil
}

// readAccounts begins with the accounts as they stood before the period, and
// those opened in it.
func (b *bookReader) readAccounts(ctx context.Context, p *policy.Policy) error {
	before, err := BalancesAt(ctx, b.from, b.First)
	if err != nil {
		return err
	}
	after, err := b.opened(ctx, b.First, b.End)
	if err != nil {
		return err
	}
	return b.setAccounts(append(before, after...), p)
}

// setAccounts begins with accounts as they stand in all.
func (b *bookReader) setAccounts(all []Balance, p *policy.Policy) error {
	slices.SortFunc(all, func(x, y Balance) int { return strings.Compare(x.Code, y.Code) })
	b.Accounts, b.at = make([]figures.Account, len(all)), make(map[uuid.UUID]int32, len(all))
	for i := range all {
		a := &all[i]
		b.Accounts[i] = figures.Account{Code: a.Code, Type: a.Type, Currency: a.Currency, Scale: a.Scale,
			Role: roleOf(p, a.Code), Opening: a.Posted, StatedClosing: a.Posted}
		b.at[a.ID] = int32(i)
	}
	for _, c := range b.Currencies() {
		if i := slices.IndexFunc(b.Accounts, func(a figures.Account) bool { return a.Currency == c.Code && a.Scale != c.Scale }); i >= 0 {
			return damaged("account %s has %d decimals and others in %s have %d", b.Accounts[i].Code, b.Accounts[i].Scale, c.Code, c.Scale)
		}
	}
	return nil
}

// roleOf returns the role that a policy gives an account.
func roleOf(p *policy.Policy, code string) string {
	if p == nil {
		return ""
	}
	if slices.ContainsFunc(p.Accounts.Control, func(c policy.Control) bool { return c.Account == code }) {
		return "control"
	}
	role, _, _ := p.Accounts.Ages(code)
	return role
}

// Index: i10_accounts_code.
const openedAccountsSQL = `
select account_id, ledger_id, code, type, currency, scale, opened_seq
from book.accounts
where ledger_id = $1::uuid and opened_seq >= $2::int8 and opened_seq < $3::int8`

// opened returns the accounts that were opened by some entries, without balances.
func (b *bookReader) opened(ctx context.Context, low, high int64) ([]Balance, error) {
	var all []Balance
	err := retry(ctx, func() error {
		all = all[:0]
		return b.from.Scan(ctx, openedAccountsSQL, []any{b.from.LedgerID, low, high}, func(r *store.Row) error {
			id, row := readAccount(r, &b.words)
			if row.rejected != nil {
				return unreadable("account "+id.String(), row.rejected)
			}
			if len(all) == maxBalances {
				return errTooManyAccounts
			}
			all = append(all, Balance{ID: id, Code: row.code, Type: row.kind, Currency: row.currency, Scale: row.scale, OpenedSeq: row.openedSeq})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading book.accounts: %w", err)
	}
	return all, nil
}

// chooseLines chooses the accounts of which lines are gathered, and leaves all
// others out of the report.
func (b *bookReader) chooseLines(prefix string) error {
	found := false
	for i := range b.Accounts {
		code := b.Accounts[i].Code
		b.lines[i] = prefix == "" || code == prefix || strings.HasPrefix(code, prefix+":")
		found = found || b.lines[i]
	}
	if !found && prefix != "" {
		return fmt.Errorf("%w: none under %q at the end of %s", ErrUnknownAccount, prefix, b.AsOf)
	}
	return nil
}

// Indexes: the primary key of entries.
const bookedEntriesSQL = `
select seq, booking_date, kind, request_id, prior_period, ref_seq
from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq`

// Index: the primary key of postings. Holds book nothing.
const bookedPostingsSQL = `
select seq, account_id, account_seq, direction, amount, posted, effective_date
from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8 and amount <> 0
order by seq, ordinal`

// Index: the primary key of entries. Most say nothing that sums depend on.
const tellingEntriesSQL = `
select seq, booking_date, kind, request_id, prior_period, ref_seq
from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8 and (prior_period or kind = 'reversal')
order by seq`

// Index: the primary key of entries.
const countEntriesSQL = `
select count(*)
from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8`

// Index: the primary key of postings. Holds book nothing.
const leanPostingsSQL = `
select seq, account_id, case direction when 'debit' then amount when 'credit' then -amount end, posted
from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8 and amount <> 0
order by seq, ordinal`

// loadLean is loadPage for reports without days and lines, in fewer columns: what
// PostgreSQL takes for a row is mostly columns. Pages with something booked late
// are read in full.
func (b *bookReader) loadLean(ctx context.Context, low, high int64) error {
	b.entries, b.rows, b.lean = b.entries[:0], b.rows[:0], true
	args := []any{b.from.LedgerID, low, high}
	count := int64(0)
	err := b.from.Scan(ctx, countEntriesSQL, args, func(r *store.Row) error {
		count = r.Int64(0)
		return nil
	})
	if err == nil {
		err = b.from.Scan(ctx, tellingEntriesSQL, args, b.addEntry)
	}
	if err != nil {
		return fmt.Errorf("reading book.entries: %w", err)
	}
	if count != high-low {
		return damaged("reading entries %d to %d: there are %d", low, high-1, count)
	}
	if slices.ContainsFunc(b.entries, func(e bookedEntry) bool { return e.prior }) {
		return b.loadPage(ctx, low, high)
	}
	if err := b.from.Scan(ctx, leanPostingsSQL, args, b.addLean); err != nil {
		return fmt.Errorf("reading book.postings: %w", err)
	}
	return nil
}

func (b *bookReader) addLean(r *store.Row) error {
	if len(b.rows) == maxReportRows {
		return errSegmentTooLarge
	}
	p := postingRow{seq: r.Int64(0), direction: chain.Debit}
	a, err := b.account(&p, r.UUID(1))
	if err != nil {
		return err
	}
	p.amount, p.posted = r.Units(2, a.Scale), r.Units(3, a.Scale)
	if p.amount.Sign() < 0 {
		p.direction = chain.Credit
		p.amount, _ = p.amount.Neg() // the range is symmetric
	}
	b.rows = append(b.rows, p)
	return readable(r, "book.postings", p.seq)
}

// account finds the account of a posting.
func (b *bookReader) account(p *postingRow, id uuid.UUID) (*figures.Account, error) {
	at, ok := b.at[id]
	if !ok {
		return nil, damaged("reading a posting at entry %d: there is no account %s", p.seq, id)
	}
	p.account = at
	return &b.Accounts[at], nil
}

// loadPage reads the entries and postings of a range of seq.
func (b *bookReader) loadPage(ctx context.Context, low, high int64) error {
	b.entries, b.rows, b.lean = b.entries[:0], b.rows[:0], false
	args := []any{b.from.LedgerID, low, high}
	if err := b.from.Scan(ctx, bookedEntriesSQL, args, b.addEntry); err != nil {
		return fmt.Errorf("reading book.entries: %w", err)
	}
	if int64(len(b.entries)) != high-low {
		return damaged("reading entries %d to %d: there are %d", low, high-1, len(b.entries))
	}
	if err := b.from.Scan(ctx, bookedPostingsSQL, args, b.addPosting); err != nil {
		return fmt.Errorf("reading book.postings: %w", err)
	}
	return nil
}

func (b *bookReader) addEntry(r *store.Row) error {
	e := bookedEntry{seq: r.Int64(0), booked: r.Date(1), request: r.UUID(3), prior: r.Bool(4)}
	var known bool
	if e.kind, known = chain.KindNamed(string(r.Text(2))); !known {
		r.Reject(2)
	}
	e.moves = b.closing[e.seq]
	if e.kind == chain.Reversal && !r.IsNull(5) {
		e.moves = b.closing[r.Int64(5)]
	}
	b.entries = append(b.entries, e)
	return readable(r, "book.entries", e.seq)
}

func (b *bookReader) addPosting(r *store.Row) error {
	if len(b.rows) == maxReportRows {
		return errSegmentTooLarge
	}
	p := postingRow{seq: r.Int64(0), accountSeq: r.Int64(2), valued: r.Date(6)}
	a, err := b.account(&p, r.UUID(1))
	if err != nil {
		return err
	}
	var known bool
	if p.direction, known = chain.ParseDirection(string(r.Text(3))); !known {
		r.Reject(3)
	}
	p.amount, p.posted = r.Units(4, a.Scale), r.Units(5, a.Scale)
	b.rows = append(b.rows, p)
	return readable(r, "book.postings", p.seq)
}

// addPage adds the page at hand to the accounts.
func (b *bookReader) addPage(days bool) error {
	for i := range b.rows {
		p := &b.rows[i]
		e, err := b.entryOf(p.seq)
		if err != nil {
			return err
		}
		a := &b.Accounts[p.account]
		if !add(a, e, p) {
			return fmt.Errorf("adding up account %s at entry %d: %w", a.Code, p.seq, errBeyondRange)
		}
		if days {
			b.closeDays(e.booked)
			if err := b.moveDay(p); err != nil {
				return err
			}
		}
		if e.prior && (b.lines == nil || b.lines[p.account]) {
			b.addLate(e, p)
		}
		if b.lines != nil && b.lines[p.account] {
			b.addLine(e, p)
		}
	}
	return nil
}

// entryOf returns the entry of a posting of the page at hand.
func (b *bookReader) entryOf(seq int64) (*bookedEntry, error) {
	if !b.lean {
		if len(b.entries) > 0 {
			if place := seq - b.entries[0].seq; place >= 0 && place < int64(len(b.entries)) && b.entries[place].seq == seq {
				return &b.entries[place], nil
			}
		}
		return nil, damaged("reading a posting of entry %d: there is no such entry", seq)
	}
	b.plain = bookedEntry{seq: seq, moves: b.closing[seq]}
	for len(b.entries) > 0 && b.entries[0].seq < seq {
		b.entries = b.entries[1:]
	}
	if len(b.entries) > 0 && b.entries[0].seq == seq {
		return &b.entries[0], nil
	}
	return &b.plain, nil
}

// add adds a posting to its account.
func add(a *figures.Account, e *bookedEntry, p *postingRow) (ok bool) {
	side, moved := &a.Debits, &a.MovedDebits
	if p.direction == chain.Credit {
		side, moved = &a.Credits, &a.MovedCredits
	}
	*side, ok = side.Add(p.amount)
	if e.moves {
		*moved, _ = moved.Add(p.amount) // a part of the sum above
	}
	a.Postings++
	a.StatedClosing = p.posted
	return ok
}

func (b *bookReader) addLate(e *bookedEntry, p *postingRow) {
	if len(b.Late) == figures.MaxLate {
		b.MoreLate++
		return
	}
	b.Late = append(b.Late, figures.Late{Account: int(p.account), Seq: p.seq, Request: e.request, Booked: e.booked, Valued: p.valued,
		Direction: p.direction, Amount: p.amount})
}

// addLine gathers a line; beyond the bound, lines are only counted.
func (b *bookReader) addLine(e *bookedEntry, p *postingRow) {
	if b.Skipped == 0 && int64(len(b.Lines)) < b.MaxLines {
		b.Lines = append(b.Lines, figures.Line{Account: int(p.account), AccountSeq: p.accountSeq, Seq: p.seq, Kind: e.kind, Request: e.request,
			Booked: e.booked, Valued: p.valued, Direction: p.direction, Amount: p.amount, Posted: p.posted, PriorPeriod: e.prior})
		return
	}
	b.Skipped += int64(len(b.Lines)) + 1
	b.Lines = nil
}

// sortLines puts lines in the order of the report, and leaves out the accounts
// that it is not about.
func (b *bookReader) sortLines() {
	if b.lines == nil {
		return
	}
	slices.SortFunc(b.Lines, func(x, y figures.Line) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.AccountSeq, y.AccountSeq))
	})
	place, kept := make([]int, len(b.Accounts)), b.Accounts[:0]
	for i := range b.Accounts {
		if b.lines[i] {
			place[i] = len(kept)
			kept = append(kept, b.Accounts[i])
		}
	}
	b.Accounts = kept
	for i := range b.Lines {
		b.Lines[i].Account = place[b.Lines[i].Account]
	}
	for i := range b.Late {
		b.Late[i].Account = place[b.Late[i].Account]
	}
}
