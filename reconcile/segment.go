package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// segment holds the rows of a range of seq. Its memory is used again for the
// next one.
type segment struct {
	bounds *bounds
	plain  bool // see plainColumns

	low, high int64 // low ≤ seq < high; the first segment of a ledger begins below 0
	entries   []entryRow
	postings  []chain.Posting
	places    []place // of the postings, same index
	versions  []versionRow
	details   []detailRow
	accounts  map[uuid.UUID]accountRow // those of versions, and those that the worker did not know
	text      int                      // bytes in versions and details
	expected  expected                 // of the next rows, by those read last

	entryShape, postingShape shape // what rows are read in

	quiet map[string]quiet // by table; nil where nothing is known beyond the segment
}

// entryRow is a row of book.entries. The optional fields of entry are set by
// finish, when the rows do not move in memory any more.
type entryRow struct {
	entry        chain.Entry
	stored       chain.Hash
	format       int64
	unknownKind  bool
	kind         string // as stored, when it is unknown
	postingCount int64
	rejected     *rejection

	has                              [6]bool // which of the following are not null
	refSeq, expiresAt                int64
	relatedTo                        uuid.UUID
	description, reference, metadata chain.Hash

	hasText [3]bool // which of the texts that it commits to are there
	terms   terms   // those of its metadata
}

// The places in entryRow.has.
const (
	hasRefSeq = iota
	hasRelatedTo
	hasExpiresAt
	hasDescription
	hasReference
	hasMetadata
)

// place is what a row of book.postings says beside the posting.
type place struct {
	seq, ordinal int64
	backValued   bool
	repeats      bool
	rejected     *rejection
}

// versionRow is a row of book.account_versions.
type versionRow struct {
	seq                    int64
	account                uuid.UUID
	minBalance, maxBalance store.Number // nil is no limit; the scale is that of the account
	frozen                 chain.Frozen
	closed                 bool
	tags                   []chain.Tag
	rejected               *rejection
}

// accountRow is a row of book.accounts.
type accountRow struct {
	ledger    uuid.UUID
	code      string
	kind      chain.AccountType
	currency  string
	scale     uint8
	openedSeq int64
	rejected  *rejection
}

type detailRow struct {
	seq, ordinal int64
	detail       chain.Detail
	rejected     *rejection
}

// rejection is a column whose value cannot be there, such as NaN in an amount.
type rejection struct {
	column, value string
	account       uuid.UUID // of the posting or account that has it
	named         bool      // account is set
}

func rejected(r *store.Row) *rejection {
	column, value, ok := r.Rejected()
	if !ok {
		return nil
	}
	return &rejection{column: column, value: value}
}

// of names the account whose row was rejected.
func (r *rejection) of(account uuid.UUID) *rejection {
	if r != nil {
		r.account, r.named = account, true
	}
	return r
}

// errSegmentTooLarge asks for a smaller piece.
var errSegmentTooLarge = errors.New("segment too large")

func (s *segment) reset(low, high int64) {
	s.low, s.high = low, high
	if low == 0 {
		s.low = math.MinInt64 // whatever stands before the first entry is found with it
	}
	s.entries, s.postings, s.places = s.entries[:0], s.postings[:0], s.places[:0]
	s.versions, s.details, s.text = s.versions[:0], s.details[:0], 0
	s.accounts = nil
}

// empty reports whether the range has no rows of the book.
func (s *segment) empty() bool {
	return len(s.entries)+len(s.postings)+len(s.versions)+len(s.details) == 0
}

// dense reports whether there is one entry for each seq of the range.
func (s *segment) dense() bool {
	for i := range s.entries {
		if s.entries[i].entry.Seq != s.low+int64(i) {
			return false
		}
	}
	return int64(len(s.entries)) == s.high-s.low
}

// load reads the segment but for payloads and accounts: range scans in
// primary-key order, each of one table.
func (s *segment) load(ctx context.Context, from *store.Snapshot, words *words) error {
	if err := s.loadEntries(ctx, from); err != nil {
		return err
	}
	for _, scan := range []struct {
		table string
		sql   string
		row   func(*store.Row) error
	}{
		{"book.account_versions", versionsSQL, s.addVersion},
		{"book.details", detailsSQL, s.addDetail},
	} {
		err := s.scanSparse(ctx, from, scan.table, func() (rows int, err error) {
			before := len(s.versions) + len(s.details)
			err = from.Scan(ctx, scan.sql, []any{from.LedgerID, s.low, s.high}, scan.row)
			return len(s.versions) + len(s.details) - before, err
		})
		if errors.Is(err, errSegmentTooLarge) {
			return err
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", scan.table, err)
		}
	}
	if err := s.loadPostings(ctx, from, words); err != nil {
		return err
	}
	for i := range s.entries {
		s.entries[i].finish()
	}
	s.expect()
	return nil
}

// Index: the primary key.
const entriesSQL = `
select seq, format, kind, request_id, prev_hash, entry_hash, recorded_at, booking_date, effective_date,
    actor, prior_period, ref_seq, related_to, expires_at, posting_count,
    description_commitment, reference_commitment, metadata_commitment
from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq`

func (s *segment) addEntry(ledger uuid.UUID, r *store.Row) error {
	if int64(len(s.entries)) >= 2*s.bounds.segmentEntries {
		return errSegmentTooLarge // seq is not unique any more
	}
	s.entries = append(s.entries, entryRow{})
	row := &s.entries[len(s.entries)-1]
	e := &row.entry
	e.LedgerID, e.Seq = ledger, r.Int64(0)
	row.format = r.Int64(1)
	name := r.Text(2)
	var ok bool
	if e.Kind, ok = chain.KindNamed(string(name)); !ok {
		row.unknownKind, row.kind = true, strings.ToValidUTF8(string(name), "\uFFFD")
	}
	e.RequestID, e.PrevHash, row.stored = r.UUID(3), r.Hash(4), r.Hash(5)
	e.RecordedAt, e.BookingDate, e.EffectiveDate = r.Micros(6), r.Date(7), r.Date(8)
	e.Actor, e.PriorPeriod = r.UUID(9), r.Bool(10)
	row.readReferences(r, 11)
	row.postingCount = r.Int64(14)
	row.readCommitments(r, 15)
	row.rejected = rejected(r)
	return nil
}

// readReferences reads ref_seq, related_to and expires_at, which stand from a
// column on.
func (row *entryRow) readReferences(r *store.Row, from int) {
	if row.has[hasRefSeq] = !r.IsNull(from); row.has[hasRefSeq] {
		row.refSeq = r.Int64(from)
	}
	if row.has[hasRelatedTo] = !r.IsNull(from + 1); row.has[hasRelatedTo] {
		row.relatedTo = r.UUID(from + 1)
	}
	if row.has[hasExpiresAt] = !r.IsNull(from + 2); row.has[hasExpiresAt] {
		row.expiresAt = r.Micros(from + 2)
	}
}

// readCommitments reads the commitments to texts, which stand from a column on.
func (row *entryRow) readCommitments(r *store.Row, from int) {
	for i, h := range []*chain.Hash{&row.description, &row.reference, &row.metadata} {
		if row.has[hasDescription+i] = !r.IsNull(from + i); row.has[hasDescription+i] {
			*h = r.Hash(from + i)
		}
	}
}

// finish points the optional fields of the entry at those of the row.
func (row *entryRow) finish() {
	e := &row.entry
	if row.has[hasRefSeq] {
		e.RefSeq = &row.refSeq
	}
	if row.has[hasRelatedTo] {
		e.RelatedTo = &row.relatedTo
	}
	if row.has[hasExpiresAt] {
		e.ExpiresAt = &row.expiresAt
	}
	if row.has[hasDescription] {
		e.Description = &row.description
	}
	if row.has[hasReference] {
		e.Reference = &row.reference
	}
	if row.has[hasMetadata] {
		e.Metadata = &row.metadata
	}
}

// Index: the primary key.
const postingsSQL = `
select seq, ordinal, account_id, direction, currency, scale, amount, pending_change, effective_date,
    account_seq, posted, pending_debit, pending_credit, back_valued, repeats
from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq, ordinal`

func (s *segment) addPosting(r *store.Row, words *words) error {
	if len(s.postings) == s.bounds.segmentPostings {
		return errSegmentTooLarge
	}
	s.postings = append(s.postings, chain.Posting{})
	p := &s.postings[len(s.postings)-1]
	at := place{seq: r.Int64(0), ordinal: r.Int64(1)}
	p.AccountID = r.UUID(2)
	p.Direction = direction(r, 3)
	p.Currency, p.Scale = words.of(r.Text(4)), r.Scale(5)
	p.Amount, p.PendingChange = r.Units(6, p.Scale), r.Units(7, p.Scale)
	p.EffectiveDate, p.AccountSeq = r.Date(8), r.Int64(9)
	p.Posted, p.PendingDebit, p.PendingCredit = r.Units(10, p.Scale), r.Units(11, p.Scale), r.Units(12, p.Scale)
	at.backValued, at.repeats = r.Bool(13), r.Bool(14)
	at.rejected = rejected(r).of(p.AccountID)
	s.places = append(s.places, at)
	return nil
}

// direction reads the side of a posting.
func direction(r *store.Row, column int) chain.Direction {
	switch string(r.Text(column)) {
	case "debit":
		return chain.Debit
	case "credit":
		return chain.Credit
	default:
		r.Reject(column)
		return chain.Debit
	}
}

// Index: i10_account_versions_seq.
const versionsSQL = `
select seq, account_id, min_balance, max_balance, frozen, closed, tags
from book.account_versions
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq, account_id`

func (s *segment) addVersion(r *store.Row) error {
	v := versionRow{seq: r.Int64(0), account: r.UUID(1)}
	if !r.IsNull(2) {
		v.minBalance = append(store.Number(nil), r.Number(2)...)
	}
	if !r.IsNull(3) {
		v.maxBalance = append(store.Number(nil), r.Number(3)...)
	}
	var ok bool
	if v.frozen, ok = chain.ParseFrozen(string(r.Text(4))); !ok {
		r.Reject(4)
	}
	v.closed = r.Bool(5)
	if v.tags, ok = parseTags(r.Text(6)); !ok {
		r.Reject(6)
	}
	v.rejected = rejected(r).of(v.account)
	s.versions = append(s.versions, v)
	return s.hold(len(r.Text(6)) + len(v.minBalance) + len(v.maxBalance))
}

// Index: the primary key.
const detailsSQL = `
select seq, ordinal, name, value
from book.details
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq, ordinal`

func (s *segment) addDetail(r *store.Row) error {
	d := detailRow{seq: r.Int64(0), ordinal: r.Int64(1)}
	d.detail = chain.Detail{Name: string(r.Text(2)), Value: string(r.Text(3))}
	expected := int64(0)
	if n := len(s.details); n > 0 && s.details[n-1].seq == d.seq {
		expected = s.details[n-1].ordinal + 1
	}
	if d.ordinal != expected {
		r.Reject(1)
	}
	d.rejected = rejected(r)
	s.details = append(s.details, d)
	return s.hold(len(d.detail.Name) + len(d.detail.Value))
}

// rowOverhead is about what a version or a detail takes beside its text.
const rowOverhead = 200

func (s *segment) hold(bytes int) error {
	s.text += bytes + rowOverhead
	if s.text > s.bounds.segmentText {
		return errSegmentTooLarge
	}
	return nil
}

// Index: the primary key of accounts.
const accountsSQL = `
select account_id, ledger_id, code, type, currency, scale, opened_seq
from book.accounts
where account_id = any($1::uuid[])`

// loadAccounts reads the accounts with these ids.
func (s *segment) loadAccounts(ctx context.Context, from *store.Snapshot, ids []uuid.UUID, words *words) error {
	s.accounts = make(map[uuid.UUID]accountRow, len(ids))
	if len(ids) == 0 {
		return nil
	}
	err := from.Scan(ctx, accountsSQL, []any{ids}, func(r *store.Row) error {
		id, a := readAccount(r, words)
		s.accounts[id] = a
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading book.accounts: %w", err)
	}
	return nil
}

// readAccount decodes a row of accountsSQL.
func readAccount(r *store.Row, words *words) (uuid.UUID, accountRow) {
	a := accountRow{ledger: r.UUID(1), code: string(r.Text(2))}
	var ok bool
	if a.kind, ok = chain.ParseAccountType(string(r.Text(3))); !ok {
		r.Reject(3)
	}
	a.currency, a.scale, a.openedSeq = words.of(r.Text(4)), r.Scale(5), r.Int64(6)
	id := r.UUID(0)
	a.rejected = rejected(r).of(id)
	return id, a
}

// limit turns a limit into units; false when it is none at that scale.
func limit(n store.Number, scale uint8) (*money.Int128, bool) {
	if n == nil {
		return nil, true
	}
	units, ok := n.Units(scale)
	return &units, ok
}

// parseTags reads a JSON object of strings, in the order written.
func parseTags(text []byte) ([]chain.Tag, bool) {
	if string(text) == "{}" {
		return nil, true
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	var tags []chain.Tag
	for d.More() {
		key, err1 := d.Token()
		value, err2 := d.Token()
		k, ok1 := key.(string)
		v, ok2 := value.(string)
		if err1 != nil || err2 != nil || !ok1 || !ok2 {
			return nil, false
		}
		tags = append(tags, chain.Tag{Key: k, Value: v})
	}
	if t, err := d.Token(); err != nil || t != json.Delim('}') || d.More() {
		return nil, false
	}
	return tags, true
}

// words keeps one string for each currency code, so that reading one does not
// allocate.
type words struct {
	last  string
	known map[string]string
}

func (w *words) of(b []byte) string {
	if string(b) == w.last {
		return w.last
	}
	if s, ok := w.known[string(b)]; ok {
		w.last = s
		return s
	}
	w.last = string(b)
	if w.known == nil {
		w.known = make(map[string]string)
	}
	if len(w.known) < maxWords {
		w.known[w.last] = w.last
	}
	return w.last
}
