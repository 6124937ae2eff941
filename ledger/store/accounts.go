package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// version is a row of account_versions.
type version struct {
	seq       int64
	accountID uuid.UUID
	min, max  stored
	frozen    string
	closed    bool
	tags      string
}

func scanVersion(row pgx.Row) (v version, err error) {
	err = row.Scan(&v.seq, (*[16]byte)(&v.accountID), &v.min, &v.max, &v.frozen, &v.closed, &v.tags)
	return v, err
}

// fill sets what the version holds of a, whose scale must be known.
func (v *version) fill(a *chain.Account) {
	a.MinBalance, a.MaxBalance = v.min.limit(a.Scale), v.max.limit(a.Scale)
	a.Frozen, _ = chain.ParseFrozen(v.frozen)
	a.Closed = v.closed
	var err error
	if a.Tags, err = parseTags(v.tags); err != nil {
		a.Tags = []chain.Tag{unreadableTag}
	}
}

const accountRowColumns = `account_id, code, type, currency, scale, opened_seq`

// Index of all: i10_accounts_code.
var accountsByCode = keyed{keys: `$2::text[]`, most: 1,
	lookup: `select ` + accountRowColumns + ` from book.accounts where ledger_id = $1::uuid and code = u.key`}

const (
	accountsAfterSQL = `select ` + accountRowColumns + ` from book.accounts
where ledger_id = $1::uuid and opened_seq <= $2::int8 and code > $3::text order by code limit $4::int8`
	// $4 is the prefix, $5 the prefix and a colon as a LIKE pattern.
	accountsLikeSQL = `select ` + accountRowColumns + ` from book.accounts
where ledger_id = $1::uuid and opened_seq <= $2::int8 and code > $3::text and (code = $4::text or code like $5::text)
order by code limit $6::int8`
	// Where text sorts by bytes, all codes under a prefix lie between it with a
	// colon and it with a semicolon, the next character.
	accountsRangeSQL = `select ` + accountRowColumns + ` from book.accounts
where ledger_id = $1::uuid and opened_seq <= $2::int8 and code > $3::text
    and (code = $4::text or (code > $4::text || ':' and code < $4::text || ';'))
    and code >= $4::text and code < $4::text || ';'
order by code limit $5::int8`
)

// accountsNamed returns the accounts that exist among codes, without state.
func (db *DB) accountsNamed(ctx context.Context, id ledger.LedgerID, codes ...string) ([]*ledger.Account, error) {
	if len(codes) == 1 {
		if a := db.facts.accountNamed(id, codes[0]); a != nil {
			return []*ledger.Account{a}, nil
		}
	}
	list, err := db.accountRows(ctx, accountsByCode.on(db.engine), uuidOf(&id.UUID), slices.Compact(slices.Sorted(slices.Values(codes))))
	if err == nil {
		db.facts.keepNamed(id, list)
	}
	return list, err
}

// accountRows runs one of the statements above.
func (db *DB) accountRows(ctx context.Context, sql string, args ...any) ([]*ledger.Account, error) {
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("reading accounts: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*ledger.Account, error) {
		a := new(ledger.Account)
		var kind string
		var scale int64
		err := row.Scan((*[16]byte)(&a.AccountID), &a.Code, &kind, &a.Currency, &scale, &a.OpenedSeq)
		a.Type, _ = chain.ParseAccountType(kind)
		a.Scale = scaleOf(scale)
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading accounts: %w", err)
	}
	return list, nil
}

// fillStates sets attributes and balances of accounts as of entry asOf, which
// must be near the head: it walks back from the newest posting of each.
// Accounts opened later are left out.
func (db *DB) fillStates(ctx context.Context, id ledger.LedgerID, accounts []*ledger.Account, asOf int64) ([]*ledger.Account, error) {
	byID := make(map[uuid.UUID]*ledger.Account, len(accounts))
	places := make([]place, 0, len(accounts))
	known := accounts[:0:0]
	for _, a := range accounts {
		if a.OpenedSeq <= asOf {
			byID[a.AccountID] = a
			places, known = append(places, place{a.AccountID, asOf}), append(known, a)
		}
	}
	var named []int64
	err := db.latest(ctx, latestVersion, places, func(row pgx.Row) error {
		v, err := scanVersion(row)
		if err != nil {
			return err
		}
		a := byID[v.accountID]
		a.VersionSeq = v.seq
		named = append(named, v.seq)
		v.fill(&a.Account)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading account attributes: %w", err)
	}
	err = db.latest(ctx, latestPosting, places, func(row pgx.Row) error {
		seq, p, err := scanPosting(row)
		if err != nil {
			return err
		}
		setState(byID[p.AccountID], seq, &p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading balances: %w", err)
	}
	return known, db.fillNames(ctx, id, known, named)
}

func setState(a *ledger.Account, seq int64, p *chain.Posting) {
	a.PostingSeq, a.AccountSeq, a.Posted = seq, p.AccountSeq, p.Posted
	a.PendingDebit, a.PendingCredit = p.PendingDebit, p.PendingCredit
}

// A name whose erasure is on record is gone, even before its text is: the next
// change of the account would write it again. Indexes: the primary key, and
// i12_entries_erased.
var namesAt = keyed{keys: `$2::int8[]`, most: 1,
	lookup: `select p.seq, p.description from ops.payloads as p where p.ledger_id = $1::uuid and p.seq = u.key and p.description is not null
    and not exists (select 1 from book.entries as e where e.ledger_id = $1::uuid and e.ref_seq = p.seq and e.kind = 'erasure')`}

func (db *DB) fillNames(ctx context.Context, id ledger.LedgerID, accounts []*ledger.Account, seqs []int64) error {
	if len(seqs) == 0 {
		return nil
	}
	rows, err := db.pool.Query(ctx, namesAt.on(db.engine), uuidOf(&id.UUID), seqs)
	if err != nil {
		return fmt.Errorf("reading account names: %w", err)
	}
	return scanNames(rows, accounts)
}

func scanNames(rows pgx.Rows, accounts []*ledger.Account) error {
	names := make(map[int64]string)
	var seq int64
	var name string
	if _, err := pgx.ForEachRow(rows, []any{&seq, &name}, func() error { names[seq] = name; return nil }); err != nil {
		return fmt.Errorf("reading account names: %w", err)
	}
	for _, a := range accounts {
		if name, ok := names[a.VersionSeq]; ok {
			a.Name = &name
		}
	}
	return nil
}

// LoadAccounts returns the accounts that exist among codes as of entry asOf,
// with the entries that their states come from, by seq.
func (db *DB) LoadAccounts(ctx context.Context, id ledger.LedgerID, codes []string, asOf int64) ([]*ledger.Account, map[int64]*ledger.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	rows, err := db.accountsNamed(ctx, id, codes...)
	if err != nil {
		return nil, nil, err
	}
	accounts, err := db.fillStates(ctx, id, rows, asOf)
	if err != nil {
		return nil, nil, err
	}
	wanted := make(map[int64]bool, 2*len(accounts))
	for _, a := range accounts {
		wanted[a.VersionSeq] = true
		if a.AccountSeq > 0 {
			wanted[a.PostingSeq] = true
		}
	}
	seqs := make([]int64, 0, len(wanted))
	for seq := range wanted {
		seqs = append(seqs, seq)
	}
	entries, err := db.entriesAt(ctx, id, seqs, false)
	if err != nil {
		return nil, nil, err
	}
	evidence := make(map[int64]*ledger.Entry, len(entries))
	for i := range entries {
		evidence[entries[i].Seq()] = &entries[i]
	}
	return accounts, evidence, nil
}

// AccountsByCode returns the present states of the accounts that exist among codes.
func (db *DB) AccountsByCode(ctx context.Context, id ledger.LedgerID, codes []string) (map[string]ledger.Account, error) {
	head, err := db.head(ctx, id)
	if err != nil {
		return nil, err
	}
	rows, err := db.accountsNamed(ctx, id, codes...)
	if err != nil {
		return nil, err
	}
	accounts, err := db.fillStates(ctx, id, rows, head.Seq)
	if err != nil {
		return nil, err
	}
	byCode := make(map[string]ledger.Account, len(accounts))
	for _, a := range accounts {
		if err := readableAccount(a); err != nil {
			return nil, err
		}
		byCode[a.Code] = *a
	}
	return byCode, nil
}

// Account returns the present state of an account, or ErrNotFound.
func (db *DB) Account(ctx context.Context, id ledger.LedgerID, code string) (ledger.Account, error) {
	found, err := db.AccountsByCode(ctx, id, []string{code})
	if err != nil {
		return ledger.Account{}, err
	}
	a, ok := found[code]
	if !ok {
		return ledger.Account{}, fmt.Errorf("reading account %q: %w", code, ErrNotFound)
	}
	return a, nil
}

// AccountFilter selects accounts: those whose code is Prefix or lies under it
// by whole segments, all when it is empty, and that come after AfterCode.
type AccountFilter struct {
	Prefix    string
	AfterCode string
	Limit     int
}

// Accounts returns the present states of accounts in order of code.
func (db *DB) Accounts(ctx context.Context, id ledger.LedgerID, f AccountFilter) ([]ledger.Account, error) {
	head, err := db.head(ctx, id)
	if err != nil {
		return nil, err
	}
	rows, err := db.accountsUnder(ctx, id, f, head.Seq)
	if err != nil {
		return nil, err
	}
	accounts, err := db.fillStates(ctx, id, rows, head.Seq)
	if err != nil {
		return nil, err
	}
	list := make([]ledger.Account, len(accounts))
	for i, a := range accounts {
		if err := readableAccount(a); err != nil {
			return nil, err
		}
		list[i] = *a
	}
	return list, nil
}

// accountsUnder returns the accounts of a filter that were open as of an entry,
// in order of code and without state.
func (db *DB) accountsUnder(ctx context.Context, id ledger.LedgerID, f AccountFilter, asOf int64) ([]*ledger.Account, error) {
	switch {
	case f.Prefix == "":
		return db.accountRows(ctx, accountsAfterSQL, uuidOf(&id.UUID), asOf, f.AfterCode, int64(f.Limit))
	case db.engine.bytewise:
		return db.accountRows(ctx, accountsRangeSQL, uuidOf(&id.UUID), asOf, f.AfterCode, f.Prefix, int64(f.Limit))
	}
	return db.accountRows(ctx, accountsLikeSQL, uuidOf(&id.UUID), asOf, f.AfterCode, f.Prefix, likePrefix(f.Prefix), int64(f.Limit))
}

// likePrefix returns the LIKE pattern of everything under a prefix of codes.
func likePrefix(prefix string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(prefix) + ":%"
}

// AccountAt returns the state of an account as of entry seq, however long ago,
// or ErrNotFound when it was not open yet.
func (db *DB) AccountAt(ctx context.Context, id ledger.LedgerID, code string, seq int64) (ledger.Account, error) {
	a, err := db.accountAsOf(ctx, id, code, seq)
	if err != nil {
		return ledger.Account{}, err
	}
	accountSeq, err := db.accountSeqAt(ctx, a.AccountID, seq)
	if err != nil || accountSeq == 0 {
		return *a, err
	}
	at, p, err := scanPosting(db.pool.QueryRow(ctx, postingOfAccountSQL, uuidOf(&a.AccountID), accountSeq))
	if err != nil {
		return ledger.Account{}, fmt.Errorf("reading posting %d of account %q: %w", accountSeq, code, missing(err))
	}
	setState(a, at, &p)
	return *a, readableAccount(a)
}

// accountAsOf returns an account with its attributes, without its state.
func (db *DB) accountAsOf(ctx context.Context, id ledger.LedgerID, code string, seq int64) (*ledger.Account, error) {
	a, err := db.accountOpened(ctx, id, code, seq)
	if err != nil {
		return nil, err
	}
	return a, db.fillVersionAt(ctx, id, a, seq)
}

// accountOpened returns an account that was open as of an entry, without
// attributes and state.
func (db *DB) accountOpened(ctx context.Context, id ledger.LedgerID, code string, seq int64) (*ledger.Account, error) {
	rows, err := db.accountsNamed(ctx, id, code)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || rows[0].OpenedSeq > seq {
		return nil, fmt.Errorf("reading account %q as of entry %d: %w", code, seq, ErrNotFound)
	}
	return rows[0], nil
}

func (db *DB) fillVersionAt(ctx context.Context, id ledger.LedgerID, a *ledger.Account, seq int64) error {
	err := db.latest(ctx, latestVersion, []place{{a.AccountID, seq}}, func(row pgx.Row) error {
		v, err := scanVersion(row)
		if err != nil {
			return err
		}
		a.VersionSeq = v.seq
		v.fill(&a.Account)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the attributes of account %q: %w", a.Code, err)
	}
	return db.fillNames(ctx, id, []*ledger.Account{a}, []int64{a.VersionSeq})
}

// Index: i9_postings_account_seq.
const postingOfAccountSQL = `select ` + postingColumns + ` from book.postings
where account_id = $1::uuid and account_seq = $2::int8`

// AccountPosting is a posting as a line of its account.
type AccountPosting struct {
	Seq         int64
	RequestID   ledger.RequestID
	Kind        chain.Kind
	RecordedAt  time.Time
	BookingDate chain.Date
	Posting     chain.Posting
	MinBalance  *money.Int128 // the lower limit in force at the entry
}

const accountPostingsSQL = `select ` + postingColumns + ` from book.postings
where account_id = $1::uuid and account_seq > $2::int8 order by account_seq limit $3::int8`

// AccountPostings returns up to limit postings of an account after
// afterAccountSeq, in order of account_seq.
func (db *DB) AccountPostings(ctx context.Context, id ledger.LedgerID, account ledger.Account, afterAccountSeq int64, limit int) ([]AccountPosting, error) {
	rows, err := db.pool.Query(ctx, accountPostingsSQL, uuidOf(&account.AccountID), afterAccountSeq, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("reading the postings of %q: %w", account.Code, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (AccountPosting, error) {
		seq, p, err := scanPosting(row)
		return AccountPosting{Seq: seq, Posting: p}, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the postings of %q: %w", account.Code, err)
	}
	a := db.assemble(id, true)
	seqs := make([]int64, len(list))
	for i := range list {
		seqs[i] = list[i].Seq
	}
	if err := a.readEntries(ctx, entriesAt.on(db.engine), seqs); err != nil {
		return nil, err
	}
	for i := range list {
		at, ok := a.bySeq[list[i].Seq]
		if !ok {
			return nil, fmt.Errorf("reading entry %d of account %q: %w", list[i].Seq, account.Code, ErrDamaged)
		}
		a.records[at].Postings = []chain.Posting{list[i].Posting} // all that the limits are wanted for
	}
	a.accounts[account.AccountID] = nil
	if err := a.readAccounts(ctx); err != nil {
		return nil, err
	}
	entries := a.entries()
	for i := range list {
		r := entries[a.bySeq[list[i].Seq]].Record()
		list[i].RequestID, list[i].Kind = ledger.RequestID{UUID: r.RequestID}, r.Kind
		list[i].RecordedAt, list[i].BookingDate = time.UnixMicro(r.RecordedAt).UTC(), r.BookingDate
		list[i].MinBalance = entries[a.bySeq[list[i].Seq]].Accounts()[0].MinBalance
	}
	return list, readable(entries)
}
