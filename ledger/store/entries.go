package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

const entryColumns = `seq, kind, request_id, prev_hash, entry_hash, recorded_at, booking_date, effective_date, actor,
    prior_period, ref_seq, related_to, expires_at, description_commitment, reference_commitment, metadata_commitment`

const postingColumns = `seq, account_id, direction, currency, scale, amount, pending_change, effective_date,
    account_seq, posted, pending_debit, pending_credit`

// All of these read single tables in primary-key order, never a join: the
// rows are put together here.
const (
	entriesBetweenSQL = `select ` + entryColumns + ` from book.entries
where ledger_id = $1::uuid and seq > $2::int8 and seq <= $3::int8 order by seq`
	postingsBetweenSQL = `select ` + postingColumns + `, ordinal from book.postings
where ledger_id = $1::uuid and seq > $2::int8 and seq <= $3::int8 order by seq, ordinal`
	payloadsBetweenSQL = `select seq, salt, fingerprint, description, reference, metadata from ops.payloads
where ledger_id = $1::uuid and seq > $2::int8 and seq <= $3::int8`
	detailsBetweenSQL = `select seq, name, value, ordinal from book.details
where ledger_id = $1::uuid and seq > $2::int8 and seq <= $3::int8 order by seq, ordinal`
)

// Indexes: the primary keys, and i10_account_versions_seq.
var (
	entriesAt = keyed{keys: `$2::int8[]`, most: 1, order: `seq`,
		lookup: `select ` + entryColumns + ` from book.entries where ledger_id = $1::uuid and seq = u.key`}
	postingsAt = keyed{keys: `$2::int8[]`, most: chain.MaxPostings + 1, order: `seq, ordinal`,
		lookup: `select ` + postingColumns + `, ordinal from book.postings where ledger_id = $1::uuid and seq = u.key`}
	payloadsAt = keyed{keys: `$2::int8[]`, most: 1,
		lookup: `select seq, salt, fingerprint, description, reference, metadata from ops.payloads where ledger_id = $1::uuid and seq = u.key`}
	detailsAt = keyed{keys: `$2::int8[]`, most: chain.MaxDetails + 1, order: `seq, ordinal`,
		lookup: `select seq, name, value, ordinal from book.details where ledger_id = $1::uuid and seq = u.key`}
	versionsAt = keyed{keys: `$2::int8[]`, most: 1,
		lookup: `select seq, account_id, min_balance, max_balance, frozen, closed, tags from book.account_versions where ledger_id = $1::uuid and seq = u.key`}
	accountsByID = keyed{keys: `$1::uuid[]`, most: 1,
		lookup: `select account_id, code, type, currency, scale from book.accounts where account_id = u.key`}
)

// usualPostings is how many postings most entries have.
const usualPostings = 2

// assembly puts entries together from the rows of their tables.
type assembly struct {
	db       *DB
	id       ledger.LedgerID
	records  []chain.Entry
	hashes   []chain.Hash
	texts    []ledger.Text
	bySeq    map[int64]int
	versions []version
	limits   bool // whether readers need the limits in force at each entry
	accounts map[uuid.UUID]*assembledAccount
}

// assembledAccount is what entries need of an account they touch.
type assembledAccount struct {
	code       string
	kind       chain.AccountType
	currency   string
	scale      uint8
	minimums   []minimum   // in order of seq
	remembered minimumSpan // none when its upTo is 0
	read       bool        // something of it was read, and is to be remembered
}

// minimum is the lower limit of an account from an entry on.
type minimum struct {
	seq   int64
	units *money.Int128
}

// minimumSpan is a lower limit that was still in force at another entry.
type minimumSpan struct {
	minimum
	upTo int64
}

// Tail returns up to limit entries after seq, in order, without their text but
// for the names of accounts.
func (db *DB) Tail(ctx context.Context, id ledger.LedgerID, seq int64, limit int) ([]ledger.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	a := db.assemble(id, false)
	last := seq + int64(limit)
	if err := a.readEntries(ctx, entriesBetweenSQL, seq, last); err != nil {
		return nil, err
	}
	if len(a.records) == 0 {
		return nil, nil
	}
	last = a.records[len(a.records)-1].Seq // postings beyond it belong to entries not seen
	if err := a.readPostings(ctx, postingsBetweenSQL, seq, last); err != nil {
		return nil, err
	}
	if err := a.readRare(ctx, true); err != nil {
		return nil, err
	}
	if len(a.versions) > 0 { // accounts have names
		seqs := make([]int64, len(a.versions))
		for i := range a.versions {
			seqs[i] = a.versions[i].seq
		}
		if err := a.readTexts(ctx, seqs); err != nil {
			return nil, err
		}
	}
	return a.entries(), nil
}

// entriesAt returns the entries at seqs with their text, in order of seq;
// those that do not exist are left out. limits says whether the lower limits in
// force at each are wanted.
func (db *DB) entriesAt(ctx context.Context, id ledger.LedgerID, seqs []int64, limits bool) ([]ledger.Entry, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	seqs = slices.Compact(slices.Sorted(slices.Values(seqs)))
	a := db.assemble(id, limits)
	if err := a.readAt(ctx, seqs); err != nil {
		return nil, err
	}
	if err := a.readRare(ctx, false); err != nil {
		return nil, err
	}
	if err := a.markErased(ctx); err != nil {
		return nil, err
	}
	return a.entries(), nil
}

// readAt reads what stands at seqs, which rise, in one round trip: entries that
// follow each other in one go, which takes the database a third of the time.
func (a *assembly) readAt(ctx context.Context, seqs []int64) error {
	parts := []struct {
		at      keyed
		between string
		scan    func(pgx.Rows) error
	}{
		{entriesAt, entriesBetweenSQL, a.scanEntries}, {postingsAt, postingsBetweenSQL, a.scanPostings},
		{payloadsAt, payloadsBetweenSQL, a.scanTexts}, {detailsAt, detailsBetweenSQL, a.scanDetails},
	}
	before, last := seqs[0]-1, seqs[len(seqs)-1]
	dense := len(seqs) > 1 && last-before == int64(len(seqs))
	b := new(pgx.Batch)
	if !dense {
		b = a.db.lookups()
	}
	for _, part := range parts {
		if dense {
			b.Queue(part.between, uuidOf(&a.id.UUID), before, last).Query(part.scan)
		} else {
			b.Queue(part.at.on(a.db.engine), uuidOf(&a.id.UUID), seqs).Query(part.scan)
		}
	}
	a.records, a.hashes = make([]chain.Entry, 0, len(seqs)), make([]chain.Hash, 0, len(seqs))
	if err := a.db.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("reading entries: %w", err)
	}
	return nil
}

// Entry returns the entry at seq, or ErrNotFound.
func (db *DB) Entry(ctx context.Context, id ledger.LedgerID, seq int64) (ledger.Entry, error) {
	entries, err := db.entriesAt(ctx, id, []int64{seq}, true)
	switch {
	case err != nil:
	case len(entries) == 0:
		err = ErrNotFound
	default:
		err = readable(entries)
	}
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("reading entry %d: %w", seq, err)
	}
	return entries[0], nil
}

func (db *DB) assemble(id ledger.LedgerID, limits bool) *assembly {
	return &assembly{db: db, id: id, limits: limits, bySeq: make(map[int64]int), accounts: make(map[uuid.UUID]*assembledAccount)}
}

func (a *assembly) readEntries(ctx context.Context, sql string, args ...any) error {
	rows, err := a.db.pool.Query(ctx, sql, append([]any{uuidOf(&a.id.UUID)}, args...)...)
	if err != nil {
		return fmt.Errorf("reading entries: %w", err)
	}
	return a.scanEntries(rows)
}

func (a *assembly) scanEntries(rows pgx.Rows) error {
	defer rows.Close()
	into := newEntryScan()
	for rows.Next() {
		e, hash, err := into.scan(rows)
		if err != nil {
			return fmt.Errorf("reading entries: %w", err)
		}
		e.LedgerID = a.id.UUID
		a.bySeq[e.Seq] = len(a.records)
		a.records, a.hashes = append(a.records, e), append(a.hashes, hash)
	}
	a.texts = make([]ledger.Text, len(a.records))
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading entries: %w", err)
	}
	return nil
}

// entryScan is where the columns of an entry go, one for all rows of a query.
type entryScan struct {
	e                                            chain.Entry
	kind                                         string
	prev, hash, description, reference, metadata pgtype.DriverBytes // of the row, until the next
	recorded, booking, effective                 time.Time
	related                                      *[16]byte
	expires                                      *time.Time
	into                                         []any
}

func newEntryScan() *entryScan {
	s := new(entryScan)
	s.into = []any{&s.e.Seq, &s.kind, (*[16]byte)(&s.e.RequestID), &s.prev, &s.hash, &s.recorded, &s.booking, &s.effective,
		(*[16]byte)(&s.e.Actor), &s.e.PriorPeriod, &s.e.RefSeq, &s.related, &s.expires, &s.description, &s.reference, &s.metadata}
	return s
}

// scan returns a row, all of it but the ledger.
func (s *entryScan) scan(row pgx.Row) (chain.Entry, chain.Hash, error) {
	s.e.RefSeq, s.related, s.expires = nil, nil, nil // what the row before points to is its own
	if err := row.Scan(s.into...); err != nil {
		return s.e, chain.Hash{}, err
	}
	e := s.e
	e.Kind, _ = chain.KindNamed(s.kind) // an unknown kind is 0, which no hash matches
	e.PrevHash, e.RecordedAt = hashOf(s.prev), s.recorded.UnixMicro()
	e.BookingDate, e.EffectiveDate = chain.DateOf(s.booking), chain.DateOf(s.effective)
	e.RelatedTo = (*uuid.UUID)(s.related)
	if s.expires != nil {
		us := s.expires.UnixMicro()
		e.ExpiresAt = &us
	}
	e.Description, e.Reference, e.Metadata = optionalHash(s.description), optionalHash(s.reference), optionalHash(s.metadata)
	return e, hashOf(s.hash), nil
}

func (a *assembly) readPostings(ctx context.Context, sql string, args ...any) error {
	rows, err := a.db.pool.Query(ctx, sql, append([]any{uuidOf(&a.id.UUID)}, args...)...)
	if err != nil {
		return fmt.Errorf("reading postings: %w", err)
	}
	return a.scanPostings(rows)
}

func (a *assembly) scanPostings(rows pgx.Rows) error {
	defer rows.Close()
	var ordinal int64
	into := newPostingScan(&ordinal)
	for rows.Next() {
		seq, p, err := into.scan(rows)
		if err != nil {
			return fmt.Errorf("reading the postings of entry %d: %w", seq, err)
		}
		if i, ok := a.bySeq[seq]; ok {
			if a.records[i].Postings == nil {
				a.records[i].Postings = make([]chain.Posting, 0, usualPostings)
			}
			a.records[i].Postings = append(a.records[i].Postings, p)
			a.accounts[p.AccountID] = nil
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading postings: %w", err)
	}
	return nil
}

// postingScan is where the columns of a posting go. One serves all rows of a
// query: what each row would allocate is garbage that other requests wait for.
type postingScan struct {
	seq, scale                                           int64
	p                                                    chain.Posting
	direction                                            string
	amount, pending, posted, pendingDebit, pendingCredit stored
	effective                                            time.Time
	into                                                 []any
}

// newPostingScan is for postingColumns, and what follows them into more.
func newPostingScan(more ...any) *postingScan {
	s := new(postingScan)
	s.into = append([]any{&s.seq, (*[16]byte)(&s.p.AccountID), &s.direction, &s.p.Currency, &s.scale, &s.amount, &s.pending, &s.effective,
		&s.p.AccountSeq, &s.posted, &s.pendingDebit, &s.pendingCredit}, more...)
	return s
}

// scan returns a row; all of the posting is of that row.
func (s *postingScan) scan(row pgx.Row) (seq int64, p chain.Posting, err error) {
	if err := row.Scan(s.into...); err != nil {
		return s.seq, s.p, err
	}
	s.p.Direction, _ = chain.ParseDirection(s.direction)
	s.p.Scale, s.p.EffectiveDate = scaleOf(s.scale), chain.DateOf(s.effective)
	s.p.Amount, s.p.PendingChange = s.amount.units(s.p.Scale), s.pending.units(s.p.Scale)
	s.p.Posted, s.p.PendingDebit, s.p.PendingCredit = s.posted.units(s.p.Scale), s.pendingDebit.units(s.p.Scale), s.pendingCredit.units(s.p.Scale)
	return s.seq, s.p, nil
}

// scanPosting scans a single row of postingColumns.
func scanPosting(row pgx.Row) (seq int64, p chain.Posting, err error) {
	return newPostingScan().scan(row)
}

func (a *assembly) readTexts(ctx context.Context, seqs []int64) error {
	rows, err := a.db.pool.Query(ctx, payloadsAt.on(a.db.engine), uuidOf(&a.id.UUID), seqs)
	if err != nil {
		return fmt.Errorf("reading payloads: %w", err)
	}
	return a.scanTexts(rows)
}

func (a *assembly) scanTexts(rows pgx.Rows) error {
	var seq int64
	var t ledger.Text
	_, err := pgx.ForEachRow(rows, []any{&seq, &t.Salt, &t.Fingerprint, &t.Description, &t.Reference, &t.Metadata}, func() error {
		if i, ok := a.bySeq[seq]; ok {
			a.texts[i] = t
			t = ledger.Text{}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading payloads: %w", err)
	}
	return nil
}

// readRare reads what only some entries need: accounts and their limits,
// account attributes, ledger terms, and details if they were not read yet.
func (a *assembly) readRare(ctx context.Context, details bool) error {
	var versioned, detailed []int64
	for i := range a.records {
		e := &a.records[i]
		switch e.Kind {
		case chain.AccountOpened, chain.AccountChanged:
			versioned = append(versioned, e.Seq)
		case chain.LedgerOpened:
			terms, err := a.db.terms(ctx, a.id)
			if err != nil {
				return err
			}
			e.Ledger = &terms
			detailed = append(detailed, e.Seq)
		case chain.Release, chain.Reversal: // never have details
		default:
			detailed = append(detailed, e.Seq)
		}
	}
	if err := a.readVersions(ctx, versioned); err != nil {
		return err
	}
	if details {
		if err := a.readDetails(ctx, detailed); err != nil {
			return err
		}
	}
	if err := a.readAccounts(ctx); err != nil {
		return err
	}
	a.fillVersions()
	return nil
}

func (a *assembly) readVersions(ctx context.Context, seqs []int64) error {
	if len(seqs) == 0 {
		return nil
	}
	rows, err := a.db.pool.Query(ctx, versionsAt.on(a.db.engine), uuidOf(&a.id.UUID), seqs)
	if err != nil {
		return fmt.Errorf("reading account versions: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scanVersion(rows)
		if err != nil {
			return fmt.Errorf("reading account versions: %w", err)
		}
		a.versions = append(a.versions, v)
		a.accounts[v.accountID] = nil
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading account versions: %w", err)
	}
	return nil
}

// fillVersions gives the account entries their attributes, now that the
// accounts rows and with them the scales are known.
func (a *assembly) fillVersions() {
	for i := range a.versions {
		v := &a.versions[i]
		at, ok := a.bySeq[v.seq]
		acc := a.accounts[v.accountID]
		if !ok || acc == nil {
			continue
		}
		full := chain.Account{AccountID: v.accountID, Code: acc.code, Type: acc.kind, Currency: acc.currency, Scale: acc.scale}
		v.fill(&full)
		a.records[at].Account = &full
	}
}

func (a *assembly) readDetails(ctx context.Context, seqs []int64) error {
	if len(seqs) == 0 {
		return nil
	}
	rows, err := a.db.pool.Query(ctx, detailsAt.on(a.db.engine), uuidOf(&a.id.UUID), seqs)
	if err != nil {
		return fmt.Errorf("reading details: %w", err)
	}
	return a.scanDetails(rows)
}

func (a *assembly) scanDetails(rows pgx.Rows) error {
	var seq int64
	var ordinal int64
	var d chain.Detail
	_, err := pgx.ForEachRow(rows, []any{&seq, &d.Name, &d.Value, &ordinal}, func() error {
		if i, ok := a.bySeq[seq]; ok {
			a.records[i].Details = append(a.records[i].Details, d)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading details: %w", err)
	}
	return nil
}

// entries returns what was put together.
func (a *assembly) entries() []ledger.Entry {
	list := make([]ledger.Entry, len(a.records))
	for i, r := range a.records {
		touched := make([]ledger.PostingAccount, len(r.Postings))
		for j := range r.Postings {
			if acc := a.accounts[r.Postings[j].AccountID]; acc != nil {
				touched[j] = ledger.PostingAccount{Code: acc.code, Type: acc.kind, MinBalance: acc.minimumAt(r.Seq)}
			}
		}
		list[i] = ledger.Restore(r, a.hashes[i], a.texts[i], touched)
	}
	return list
}

// minimumAt returns the lower limit in force at an entry.
func (a *assembledAccount) minimumAt(seq int64) *money.Int128 {
	var units *money.Int128
	for _, m := range a.minimums {
		if m.seq > seq {
			break
		}
		units = m.units
	}
	return units
}

func hashOf(b []byte) (h chain.Hash) {
	copy(h[:], b)
	return h
}

func optionalHash(b []byte) *chain.Hash {
	if b == nil {
		return nil
	}
	h := hashOf(b)
	return &h
}
