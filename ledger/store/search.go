package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// Bounds of one page of a search.
const (
	// searchWindow bounds the entries looked at where no index leads to the hits:
	// looking at these takes no longer than reading a page.
	searchWindow = 10_000
	// searchLoaded bounds the candidates of an index that are read to see whether
	// the other conditions hold.
	searchLoaded = 2_000
	// pageBytes is about how much a page may hold before it ends early; entries are
	// read pageTogether at a time to see that in time, which is enough for a page
	// of the usual size and the entry that tells whether there is another.
	pageBytes    = 8 << 20
	pageTogether = 128
)

// EntryFilter selects entries; zero fields select everything.
type EntryFilter struct {
	From          int64 // first seq looked at: where a page begins
	FromSeq       int64
	ToSeq         *int64 // inclusive
	Kinds         []chain.Kind
	Reference     string
	RelatedTo     *ledger.RequestID
	Account       string // code
	AccountPrefix string // by whole segments
	FromDate      *chain.Date
	ToDate        *chain.Date // inclusive; both are booking dates
	// An entry has an amount when one of its postings books it, or holds it. Both
	// bounds are inclusive, in natural units, and of Currency if that is given.
	MinAmount *decimal.Decimal
	MaxAmount *decimal.Decimal
	Currency  string // of one of the postings
	// MetadataKey is a member of the metadata, and MetadataValue a string or the
	// JSON text of a number, a truth value or null.
	MetadataKey   string
	MetadataValue string
	Limit         int // of the page, at least 1
}

// EntryPage is a page of a search. Next is where the next page begins, nil when
// there is none; a page may hold fewer entries than asked for, even none, and
// still have a next one, because the work for one page is bounded.
type EntryPage struct {
	Entries []ledger.Entry
	Next    *int64
	AsOf    int64 // the newest entry of the ledger when the page was read
}

// Entries returns the entries that f selects, in order of seq.
func (db *DB) Entries(ctx context.Context, id ledger.LedgerID, f EntryFilter) (EntryPage, error) {
	s := search{db: db, id: id, filter: f}
	head, err := s.begin(ctx)
	if err != nil {
		return EntryPage{}, err
	}
	first, last, err := db.interval(ctx, id, f, head)
	if err != nil {
		return EntryPage{}, err
	}
	s.plan()
	end := last
	if len(s.leads) == 0 && s.scan != nil {
		end = min(last, first+searchWindow-1)
	}
	page := EntryPage{AsOf: head.Seq}
	for loaded, bytes := 0, 0; first <= end && len(page.Entries) < f.Limit && loaded < searchLoaded && bytes < pageBytes; {
		wanted := f.Limit - len(page.Entries) + 1 // one more tells whether there is another page
		seqs, looked, err := s.candidates(ctx, first, end, wanted)
		if err != nil {
			return EntryPage{}, err
		}
		first = looked + 1
		for len(seqs) > 0 {
			some := seqs[:min(pageTogether, len(seqs))]
			seqs = seqs[len(some):]
			entries, err := db.readableAt(ctx, id, some)
			if err != nil {
				return EntryPage{}, err
			}
			loaded += len(entries)
			if page.take(&f, entries) {
				return page, nil
			}
			for i := range entries {
				bytes += entryBytes(&entries[i])
			}
			if bytes >= pageBytes && len(seqs) > 0 {
				first, seqs = seqs[0], nil
			}
		}
	}
	if first <= last {
		page.Next = &first
	}
	return page, nil
}

// readableAt returns the entries at seqs, or ErrDamaged.
func (db *DB) readableAt(ctx context.Context, id ledger.LedgerID, seqs []int64) ([]ledger.Entry, error) {
	entries, err := db.entriesAt(ctx, id, seqs, true)
	if err != nil {
		return nil, err
	}
	return entries, readable(entries)
}

// take puts what f selects of entries on the page. It reports true when the page
// is full, with where the next one begins.
func (p *EntryPage) take(f *EntryFilter, entries []ledger.Entry) bool {
	p.Entries = slices.Grow(p.Entries, min(len(entries), f.Limit-len(p.Entries)))
	for i := range entries {
		if !f.selects(&entries[i]) {
			continue
		}
		if len(p.Entries) == f.Limit {
			next := entries[i].Seq()
			p.Next = &next
			return true
		}
		p.Entries = append(p.Entries, entries[i])
	}
	return false
}

// entryBytes is about what an entry takes in memory.
func entryBytes(e *ledger.Entry) int {
	const perEntry, perPosting = 512, 256
	n := perEntry + perPosting*len(e.Accounts())
	text := e.Text()
	for _, s := range []*string{text.Description, text.Reference, text.Metadata} {
		if s != nil {
			n += len(*s)
		}
	}
	return n
}

// selects repeats the conditions that candidates may not have used.
func (f *EntryFilter) selects(e *ledger.Entry) bool {
	r := e.Record()
	text := e.Text()
	switch {
	case len(f.Kinds) > 0 && !slices.Contains(f.Kinds, r.Kind),
		f.Reference != "" && (text.Reference == nil || *text.Reference != f.Reference),
		f.RelatedTo != nil && (r.RelatedTo == nil || *r.RelatedTo != f.RelatedTo.UUID),
		f.MetadataKey != "" && !hasMember(text.Metadata, f.MetadataKey, f.MetadataValue):
		return false
	}
	if (f.Currency != "" || f.MinAmount != nil || f.MaxAmount != nil) &&
		!slices.ContainsFunc(r.Postings, func(p chain.Posting) bool { return f.selectsPosting(&p) }) {
		return false
	}
	if f.Account == "" && f.AccountPrefix == "" {
		return true
	}
	touches := func(is func(code string) bool) bool {
		return slices.ContainsFunc(e.Accounts(), func(a ledger.PostingAccount) bool { return is(a.Code) })
	}
	return (f.Account == "" || touches(func(code string) bool { return code == f.Account })) &&
		(f.AccountPrefix == "" || touches(func(code string) bool { return underPrefix(code, f.AccountPrefix) }))
}

// selectsPosting reports whether a posting has a currency and amount of f.
func (f *EntryFilter) selectsPosting(p *chain.Posting) bool {
	if f.Currency != "" && p.Currency != f.Currency {
		return false
	}
	if f.MinAmount == nil && f.MaxAmount == nil {
		return true
	}
	units := p.Amount
	if units.IsZero() {
		units = p.PendingChange
	}
	if units.Sign() <= 0 { // a release neither books nor holds
		return false
	}
	amount := units.Decimal(p.Scale)
	return (f.MinAmount == nil || !amount.LessThan(*f.MinAmount)) && (f.MaxAmount == nil || !amount.GreaterThan(*f.MaxAmount))
}

// underPrefix reports whether code is prefix or lies under it by whole segments.
func underPrefix(code, prefix string) bool {
	return code == prefix || len(code) > len(prefix) && code[:len(prefix)] == prefix && code[len(prefix)] == ':'
}

// interval turns the dates of f into seqs: booking dates never go back, so a
// business day is an interval of seq.
func (db *DB) interval(ctx context.Context, id ledger.LedgerID, f EntryFilter, head ledger.Head) (first, last int64, err error) {
	first, last = max(f.From, f.FromSeq, 0), head.Seq
	if f.ToSeq != nil {
		last = min(last, *f.ToSeq)
	}
	if f.FromDate != nil {
		before, err := db.lastBooked(ctx, id, *f.FromDate-1, head)
		if err != nil {
			return 0, 0, err
		}
		first = max(first, before+1)
	}
	if f.ToDate != nil {
		until, err := db.lastBooked(ctx, id, *f.ToDate, head)
		if err != nil {
			return 0, 0, err
		}
		last = min(last, until)
	}
	return first, last, nil
}

// Indexes: i12_entries_settled and i12_entries_reversed, one arm each.
const actingOnSQL = `
(select seq from book.entries where ledger_id = $1::uuid and ref_seq = $2::int8 and kind in ('capture', 'release'))
union all
(select seq from book.entries where ledger_id = $1::uuid and ref_seq = $2::int8 and kind = 'reversal')
order by seq`

// Transfer returns the entry that the request became and those that act on it,
// or ErrNotFound.
func (db *DB) Transfer(ctx context.Context, id ledger.LedgerID, request ledger.RequestID) ([]ledger.Entry, error) {
	_, found, err := db.Requests(ctx, id, []ledger.RequestID{request})
	if err != nil {
		return nil, err
	}
	e := found[request]
	if e == nil {
		return nil, fmt.Errorf("reading transfer %s: %w", request, ErrNotFound)
	}
	switch e.Record().Kind {
	case chain.Transfer, chain.Hold:
	default:
		return nil, fmt.Errorf("reading transfer %s, which is a %s: %w", request, e.Record().Kind, ErrNotFound)
	}
	seqs, err := db.seqs(ctx, actingOnSQL, uuidOf(&id.UUID), e.Seq())
	if err != nil {
		return nil, err
	}
	acting, err := db.entriesAt(ctx, id, seqs, true)
	if err != nil {
		return nil, err
	}
	entries := append([]ledger.Entry{*e}, acting...)
	return entries, readable(entries)
}
