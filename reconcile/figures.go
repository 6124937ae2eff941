package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/figures"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// What is wrong with a request for a report.
var (
	// ErrUnknownReport: there is no report of that name.
	ErrUnknownReport = errors.New("no such report")
	// ErrUnknownAccount: the ledger had no such account at the end of the period.
	ErrUnknownAccount = errors.New("no such account")
	// ErrReportPeriod: the dates are no period, or one that this report does not have.
	ErrReportPeriod = errors.New("not a period of this report")
	// ErrReportTooLong: the report would be longer than its bound.
	ErrReportTooLong = errors.New("more than one report lists")
)

// ReportRequest asks for a report of what a ledger held at some size.
type ReportRequest struct {
	Name string
	// From and AsOf are the first and the last booking date. Without AsOf it is
	// that of the newest entry, and without From the beginning of its year, or of
	// its month where the report is about days or lines.
	From, AsOf *chain.Date
	// Account is a prefix of codes, by whole segments, for the general ledger,
	// and a code for an account statement.
	Account string
	// Policy says which roles accounts have, and what a business day is; without
	// one no account has a role.
	Policy *policy.Policy

	maxLines int64               // of the general ledger; 0: figures.MaxLines
	breaks   []figures.BreakAges // with banks, by a run
}

// ReportKind is a report that is computed on demand, at any size and for any period.
type ReportKind struct {
	Name    string
	Title   string
	Meaning string // what it is for, in a sentence

	monthly bool // the period is by default a month, and not a year
	need    need
	build   func(*figures.Books) (report.Document, error)
}

// need is what a report needs beside the sums of the accounts.
type need struct {
	days, lines bool
	one         bool // it is about one account, which the request names
	aged        bool // open items of accounts with a role
}

// ReportKinds are the reports of a period, in the order of lists.
var ReportKinds = []ReportKind{
	{figures.NameTrialBalance, "Trial balance", "Opening, movements and closing of every account, and that debits and credits are equal.", false, need{}, figures.TrialBalance},
	{figures.NameBalanceSheet, "Balance sheet", "Assets, liabilities and equity on a day, the result before the close included.", false, need{}, figures.BalanceSheet},
	{figures.NameIncomeStatement, "Income statement", "Revenue and expense of a period, and where its result went.", false, need{}, figures.IncomeStatement},
	{figures.NameRollForward, "Roll-forward", "For every account, that opening balance and movements give the closing balance that its postings state.", false, need{}, figures.RollForward},
	{figures.NameDailyPosition, "Daily position", "What each currency has at the close of every day, by type and role of account.", true, need{days: true}, figures.DailyPosition},
	{figures.NameGeneralLedger, "General ledger", "Every posting of the period, by account, with the balance after it.", true, need{lines: true}, figures.GeneralLedger},
	{figures.NameStatement, "Account statement", "The postings of one account with their texts.", true, need{one: true}, figures.Statement},
	{figures.NameAgeing, "Suspense ageing", "What is open on suspense and clearing accounts, and for how long.", true, need{aged: true}, nil},
}

// ComputeReport computes a report at the size that from is pinned to.
func ComputeReport(ctx context.Context, from *store.Snapshot, r ReportRequest) (report.Document, error) {
	kind := kindNamed(r.Name)
	if kind == nil {
		return report.Document{}, fmt.Errorf("computing report %q: %w", r.Name, ErrUnknownReport)
	}
	d, err := kind.compute(ctx, from, &r)
	if err != nil {
		return report.Document{}, fmt.Errorf("computing the %s of ledger %s at size %d: %w", strings.ToLower(kind.Title), from.LedgerID, from.Size, err)
	}
	return d, nil
}

func kindNamed(name string) *ReportKind {
	if at := slices.IndexFunc(ReportKinds, func(k ReportKind) bool { return k.Name == name }); at >= 0 {
		return &ReportKinds[at]
	}
	return nil
}

func (k *ReportKind) compute(ctx context.Context, from *store.Snapshot, r *ReportRequest) (report.Document, error) {
	b, err := pinBooks(ctx, from, k, r)
	if err != nil {
		return report.Document{}, err
	}
	switch {
	case k.need.one:
		if err := b.readStatement(ctx, r.Account); err != nil {
			return report.Document{}, err
		}
		return finished(k.build(&b.Books))
	case k.need.aged:
		return b.ageing(ctx, r.Policy)
	}
	if err := b.read(ctx, k.need, r); err != nil {
		return report.Document{}, err
	}
	return finished(k.build(&b.Books))
}

// bookReader fills in what a report needs to know of the books.
type bookReader struct {
	figures.Books
	from *store.Snapshot

	at      map[uuid.UUID]int32 // where an account is in Accounts
	closing map[int64]bool      // transfers by which closings moved results
	rows    []postingRow        // of the page at hand
	entries []bookedEntry       // of the page at hand; where it is lean, only those that tell something
	lean    bool
	plain   bookedEntry // an entry that tells nothing
	words   words
	moved   []figures.Position // of each currency up to the posting at hand
	which   []int              // place in moved of each account
	lines   []bool             // accounts of which lines are gathered; nil: none

	textless bool  // a statement has no texts
	passed   int64 // entries that the pass has read
}

// Index: the primary key.
const reportTermsSQL = `
select name, origin, time_zone, day_cutoff
from book.ledgers
where ledger_id = $1::uuid`

// pinBooks settles the period and the entries that it consists of.
func pinBooks(ctx context.Context, from *store.Snapshot, k *ReportKind, r *ReportRequest) (*bookReader, error) {
	b := &bookReader{from: from}
	b.LedgerID, b.Size, b.Head, b.MaxLines = from.LedgerID, from.Size, from.Head, figures.MaxLines
	if r.maxLines > 0 {
		b.MaxLines = r.maxLines
	}
	b.Breaks = r.breaks
	if r.Policy != nil {
		b.Policy = r.Policy.Name + " " + r.Policy.Version + ", SHA-256 " + r.Policy.SHA256.String()
	}
	if from.Size == 0 {
		return nil, ErrUnknownLedger
	}
	err := retry(ctx, func() error {
		return from.Scan(ctx, reportTermsSQL, []any{from.LedgerID}, func(r *store.Row) error {
			b.Ledger, b.Origin, b.TimeZone, b.Cutoff = string(r.Text(0)), string(r.Text(1)), string(r.Text(2)), r.Int32(3)
			return readable(r, "book.ledgers", 0)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading book.ledgers: %w", err)
	}
	if err := b.settle(ctx, k, r); err != nil {
		return nil, err
	}
	if b.First, err = SizeThrough(ctx, from, b.From-1); err != nil {
		return nil, err
	}
	b.End, err = SizeThrough(ctx, from, b.AsOf)
	return b, err
}

// settle settles the days of the period.
func (b *bookReader) settle(ctx context.Context, k *ReportKind, r *ReportRequest) error {
	if r.AsOf != nil {
		b.AsOf = *r.AsOf
	} else {
		var err error
		if b.AsOf, err = b.bookedOn(ctx, b.Size-1); err != nil {
			return err
		}
	}
	if r.From != nil {
		b.From = *r.From
	} else {
		day := b.AsOf.Time()
		month := time.January
		if k.monthly {
			month = day.Month()
		}
		b.From = chain.DateOf(time.Date(day.Year(), month, 1, 0, 0, 0, 0, time.UTC))
	}
	switch days := int64(b.AsOf) - int64(b.From) + 1; {
	case days < 1:
		return fmt.Errorf("%w: it begins on %s and ends on %s", ErrReportPeriod, b.From, b.AsOf)
	case b.From <= earliestReport:
		return fmt.Errorf("%w: it begins on %s", ErrReportPeriod, b.From)
	case k.need.days && days > figures.MaxDays:
		return fmt.Errorf("%w: it has %d days, at most %d are listed", ErrReportTooLong, days, figures.MaxDays)
	}
	return nil
}

// earliestReport is the first day of the calendar: a report names the day before
// it begins.
var earliestReport = chain.DateOf(time.Date(1, time.January, 1, 0, 0, 0, 0, time.UTC))

// bookedOn returns the booking date of an entry.
func (b *bookReader) bookedOn(ctx context.Context, seq int64) (booked chain.Date, err error) {
	err = retry(ctx, func() error {
		return b.from.Scan(ctx, bookedOnSQL, []any{b.from.LedgerID, seq}, func(r *store.Row) error {
			booked = r.Date(0)
			return readable(r, "book.entries", seq)
		})
	})
	if err != nil {
		return 0, fmt.Errorf("reading the booking date of entry %d: %w", seq, err)
	}
	return booked, nil
}

// errDamagedBooks: what is stored cannot be, so that no report can be made of it.
var errDamagedBooks = errors.New("the books are damaged\nhint: tallystick verify says where and what to do")

// damaged returns an error that wraps errDamagedBooks.
func damaged(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, errDamagedBooks)...)
}

// readable returns an error for a row that holds what its columns cannot hold: a
// report of what is damaged would claim what nobody knows.
func readable(r *store.Row, table string, seq int64) error {
	column, value, bad := r.Rejected()
	if !bad {
		return nil
	}
	return damaged("reading column %s of %s at entry %d: %q cannot be there", column, table, seq, value)
}
