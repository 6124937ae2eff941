package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
)

// This file finds the entries that a search reads. Each condition that has an
// index leads to its hits in order of seq; where there are several, that which
// leads furthest with as many hits is the most selective, and the others thin
// its hits out. Conditions without an index scan a window of entries.

// Bounds of leads.
const (
	// leadAtLeast is how many hits each of several leads is asked for.
	leadAtLeast = 256
	// leadAmounts is how many entries a range of amounts may have to be a lead;
	// they come in order of amount and are all read. A wider range is scanned for.
	leadAmounts = 3_000
)

// search is the search for one page.
type search struct {
	db      *DB
	id      ledger.LedgerID
	filter  EntryFilter
	few     bool    // the entries with the amounts asked for are at most leadAmounts
	amounts []int64 // these are they, in order
	leads   []lead
	scan    lead // nil where every entry is a candidate
}

// lead returns up to limit seqs from first to last, in order, duplicates
// included.
type lead func(ctx context.Context, first, last int64, limit int) ([]int64, error)

const (
	// Index: payloads_reference.
	seqsByReferenceSQL = `select seq from ops.payloads
where ledger_id = $1::uuid and reference = $2::text and reference is not null and seq >= $3::int8 and seq <= $4::int8
order by seq limit $5::int8`
	// Index: entries_related.
	seqsByRelatedSQL = `select seq from book.entries
where ledger_id = $1::uuid and related_to = $2::uuid and related_to is not null and seq >= $3::int8 and seq <= $4::int8
order by seq limit $5::int8`
	// Index: metadata_terms_term.
	seqsByTermSQL = `select seq from ops.metadata_terms
where ledger_id = $1::uuid and term = $2::bytea and seq >= $3::int8 and seq <= $4::int8 order by seq limit $5::int8`
	// Indexes: postings_amount and postings_held, one arm each.
	seqsByAmountSQL = `
(select seq from book.postings where ledger_id = $1::uuid and amount = $2::decimal and amount > 0 and not repeats
    and seq >= $3::int8 and seq <= $4::int8 order by seq limit $5::int8)
union all
(select seq from book.postings where ledger_id = $1::uuid and pending_change = $2::decimal and amount = 0 and pending_change > 0
    and not repeats and seq >= $3::int8 and seq <= $4::int8 order by seq limit $5::int8)
order by seq limit $5::int8`
	// The same indexes, one row: how many there are, at most a limit, and which
	// unless it is reached. No condition on seq: what it drops would be read
	// without bound.
	seqsByAmountsSQL = `select count(*), case when count(*) < $4::int8 then array_agg(h.seq) end from (
(select seq from book.postings where ledger_id = $1::uuid and amount >= $2::decimal and amount <= $3::decimal and amount > 0
    and not repeats order by amount, seq limit $4::int8)
union all
(select seq from book.postings where ledger_id = $1::uuid and pending_change >= $2::decimal and pending_change <= $3::decimal
    and amount = 0 and pending_change > 0 and not repeats order by pending_change, seq limit $4::int8)) as h`
	// Index: i9_postings_account_seq.
	seqsByAccountSQL = `select seq from book.postings
where account_id = $1::uuid and account_seq > $2::int8 and seq <= $3::int8 order by account_seq limit $4::int8`
)

// Index of all: the primary key, over at most searchWindow entries.
const (
	seqsByPrefixSQL = `select distinct seq from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq <= $3::int8 and account_id in (
    select account_id from book.accounts where ledger_id = $1::uuid and (code = $5::text or code like $6::text))
order by seq limit $4::int8`
	seqsByFiguresSQL = `select distinct seq from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq <= $3::int8 and not repeats and ($5::text = '' or currency = $5::text)
    and ($6::decimal is null or case when amount = 0 then pending_change else amount end >= $6::decimal)
    and ($7::decimal is null or case when amount = 0 then pending_change else amount end <= $7::decimal)
order by seq limit $4::int8`
	seqsByKindSQL = `select seq from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq <= $3::int8 and kind = any($5::text[]) order by seq limit $4::int8`
)

// plan finds the leads of the filter, or what to scan for.
func (s *search) plan() {
	f := &s.filter
	ledgerID := uuidOf(&s.id.UUID)
	byKey := func(sql string, key any) {
		s.leads = append(s.leads, func(ctx context.Context, first, last int64, limit int) ([]int64, error) {
			return s.db.seqs(ctx, sql, ledgerID, key, first, last, int64(limit))
		})
	}
	if f.RelatedTo != nil {
		byKey(seqsByRelatedSQL, uuidOf(&f.RelatedTo.UUID))
	}
	if f.Reference != "" {
		byKey(seqsByReferenceSQL, f.Reference)
	}
	if f.MetadataKey != "" {
		term := TermOf(f.MetadataKey, f.MetadataValue)
		byKey(seqsByTermSQL, term[:])
	}
	if f.Account != "" {
		s.leads = append(s.leads, s.byAccount)
	}
	switch {
	case !f.byAmount():
	case s.few:
		s.leads = append(s.leads, s.byAmounts)
	case f.MinAmount != nil && f.MaxAmount != nil && f.MinAmount.Equal(*f.MaxAmount):
		byKey(seqsByAmountSQL, *f.MinAmount)
	}
	if len(s.leads) == 0 {
		s.planScan()
	}
}

// byAmount reports whether f asks for amounts.
func (f *EntryFilter) byAmount() bool { return f.MinAmount != nil || f.MaxAmount != nil }

// most is above every amount.
var most = decimal.New(1, 39)

// begin reads the head and, where a range of amounts is asked for, the entries in
// it: if they are few enough, they lead.
func (s *search) begin(ctx context.Context) (head ledger.Head, err error) {
	if !s.filter.byAmount() {
		return s.db.head(ctx, s.id)
	}
	low, high := decimal.Zero, most
	if s.filter.MinAmount != nil {
		low = *s.filter.MinAmount
	}
	if s.filter.MaxAmount != nil {
		high = *s.filter.MaxAmount
	}
	before := s.db.facts.newest(s.id)
	b := s.db.lookups()
	b.Queue(headSQL, uuidOf(&s.id.UUID)).QueryRow(func(row pgx.Row) error { head, err = scanHead(row); return err })
	b.Queue(seqsByAmountsSQL, uuidOf(&s.id.UUID), low, high, int64(leadAmounts+1)).QueryRow(func(row pgx.Row) error {
		var found int64
		err := row.Scan(&found, &s.amounts)
		s.few = found <= leadAmounts
		return err
	})
	if err := s.db.pool.SendBatch(ctx, b).Close(); err != nil {
		return head, fmt.Errorf("searching ledger %s by amount: %w", s.id, err)
	}
	s.db.facts.saw(s.id, before, head)
	slices.Sort(s.amounts)
	return head, nil
}

// byAmounts leads through the entries with the amounts that were asked for.
func (s *search) byAmounts(_ context.Context, first, last int64, limit int) ([]int64, error) {
	from, _ := slices.BinarySearch(s.amounts, first)
	to, _ := slices.BinarySearch(s.amounts, last+1)
	return slices.Clone(s.amounts[from:max(from, min(to, from+limit))]), nil
}

func (s *search) planScan() {
	f, ledgerID := &s.filter, uuidOf(&s.id.UUID)
	window := func(sql string, args ...any) {
		s.scan = func(ctx context.Context, first, last int64, limit int) ([]int64, error) {
			return s.db.seqs(ctx, sql, append([]any{ledgerID, first, last, int64(limit)}, args...)...)
		}
	}
	switch {
	case f.AccountPrefix != "":
		window(seqsByPrefixSQL, f.AccountPrefix, likePrefix(f.AccountPrefix))
	case f.Currency != "" || f.MinAmount != nil || f.MaxAmount != nil:
		window(seqsByFiguresSQL, f.Currency, f.MinAmount, f.MaxAmount)
	case len(f.Kinds) > 0:
		kinds := make([]string, len(f.Kinds))
		for i, k := range f.Kinds {
			kinds[i] = k.String()
		}
		window(seqsByKindSQL, kinds)
	}
}

// byAccount leads through the postings of one account.
func (s *search) byAccount(ctx context.Context, first, last int64, limit int) ([]int64, error) {
	accounts, err := s.db.accountsNamed(ctx, s.id, s.filter.Account)
	if err != nil || len(accounts) == 0 {
		return nil, err
	}
	before, err := s.db.accountSeqAt(ctx, accounts[0].AccountID, first-1)
	if err != nil {
		return nil, err
	}
	return s.db.seqs(ctx, seqsByAccountSQL, uuidOf(&accounts[0].AccountID), before, last, int64(limit))
}

// candidates returns up to limit seqs from first to last at which hits may be,
// in order, and the seq up to which there are no others.
func (s *search) candidates(ctx context.Context, first, last int64, limit int) (seqs []int64, looked int64, err error) {
	switch {
	case len(s.leads) > 0:
		seqs, looked, err = s.led(ctx, first, last, limit)
	case s.scan != nil:
		seqs, looked, err = s.follow(ctx, s.scan, first, last, limit)
	default:
		looked = min(last, first+int64(limit)-1)
		for seq := first; seq <= looked; seq++ {
			seqs = append(seqs, seq)
		}
	}
	if len(seqs) > limit {
		seqs = seqs[:limit]
		looked = seqs[limit-1]
	}
	return seqs, looked, err
}

// follow asks one lead, and says how far its answer is complete.
func (s *search) follow(ctx context.Context, l lead, first, last int64, limit int) (seqs []int64, looked int64, err error) {
	seqs, err = l(ctx, first, last, limit)
	looked = last
	if len(seqs) >= limit {
		looked = seqs[limit-1]
	}
	return slices.Compact(seqs), looked, err
}

// led asks all leads, follows the one that leads furthest, and drops what
// another, as far as it leads, does not have.
func (s *search) led(ctx context.Context, first, last int64, limit int) (seqs []int64, looked int64, err error) {
	if len(s.leads) > 1 {
		limit = max(limit, leadAtLeast)
	}
	found := make([][]int64, len(s.leads))
	upTo := make([]int64, len(s.leads))
	best := 0
	for i, l := range s.leads {
		if found[i], upTo[i], err = s.follow(ctx, l, first, last, limit); err != nil {
			return nil, 0, err
		}
		if upTo[i] > upTo[best] || upTo[i] == upTo[best] && len(found[i]) < len(found[best]) {
			best = i
		}
	}
	seqs = found[best]
	for i := range found {
		if i == best {
			continue
		}
		seqs = slices.DeleteFunc(seqs, func(seq int64) bool {
			_, has := slices.BinarySearch(found[i], seq)
			return !has && seq <= upTo[i]
		})
	}
	return seqs, upTo[best], nil
}

func (db *DB) seqs(ctx context.Context, sql string, args ...any) ([]int64, error) {
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("searching entries: %w", err)
	}
	seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("searching entries: %w", err)
	}
	return seqs, nil
}
