package reconcile_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	pgxdecimal "github.com/jackc/pgx-shopspring-decimal"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(verifyVariable); url != "" {
		verifyAndExit(context.Background(), url, os.Getenv(verifyVariable+"_LEDGER"))
	}
	storetest.Main(m)
}

// book builds a ledger entry by entry and writes it to a database, without a
// line of the code that writes ledgers: what Verify passes is what FORMAT.md
// says, and not what the sequencer happens to do. It also builds what the
// sequencer never would.
type book struct {
	ledger   uuid.UUID
	terms    chain.LedgerTerms
	head     chain.Hash
	next     int64
	now      time.Time
	accounts map[string]*account
	rows     rows
	kinds    []chain.Kind  // of all entries
	leaves   []chain.Hash  // their hashes
	made     []chain.Entry // the entries themselves, if they are kept
	keeps    bool
	byItself bool // the next entry is made by the ledger itself
}

// account is what the builder remembers of one.
type account struct {
	chain.Account
	opened                  int64
	seq                     int64
	posted, debits, credits money.Int128
}

// rows are the rows to be written, by table.
type rows struct {
	ledgers, accounts, versions, entries, postings, details, payloads, terms [][]any
}

// words is the free text of an entry, and where its commitments come from.
type words struct {
	description, reference, metadata string
	terms                            [][]byte // of metadata, see term
}

// term is what metadata is searched by.
func term(key, value string) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "\x00\x00\x00%c%s%s", len(key), key, value))
	return sum[:16]
}

// stableID derives ids, so that two runs of a test build the same ledger.
func stableID(format string, args ...any) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, format, args...))
}

// newBook begins a ledger with its terms.
func newBook(name string) *book { return newBookIn(name, "EUR") }

// newBookIn begins a ledger that is kept in a currency.
func newBookIn(name, currency string) *book {
	b := &book{ledger: stableID("ledger %s", name), accounts: make(map[string]*account),
		now: time.Date(2026, 3, 30, 9, 0, 0, 0, time.UTC)}
	b.terms = chain.LedgerTerms{
		Name: name, Origin: "tallystick.test/" + b.ledger.String(), TimeZone: "UTC",
		BaseCurrency: currency, BaseScale: 2, ValueDaysBack: 3650, ValueDaysAhead: 366,
	}
	b.rows.ledgers = append(b.rows.ledgers, []any{b.ledger, name, b.terms.Origin, "UTC", 0, currency, 2, 3650, 366})
	b.append(chain.Entry{Kind: chain.LedgerOpened, Ledger: &b.terms}, words{})
	return b
}

// append chains e and queues its rows. What e leaves zero of the header is
// filled in.
func (b *book) append(e chain.Entry, t words) chain.Entry {
	b.now = b.now.Add(time.Second)
	e.LedgerID, e.Seq, e.PrevHash = b.ledger, b.next, b.head
	if e.RequestID == (uuid.UUID{}) {
		e.RequestID = stableID("request %s %d", b.terms.Name, e.Seq)
	}
	if e.RecordedAt == 0 {
		e.RecordedAt = b.now.UnixMicro()
	}
	if e.BookingDate == 0 {
		e.BookingDate = chain.DateOf(b.now)
	}
	if e.EffectiveDate == 0 {
		e.EffectiveDate = e.BookingDate
	}
	if !b.byItself && e.Actor == (uuid.UUID{}) {
		e.Actor = stableID("key")
	}
	b.byItself = false
	for i := range e.Postings {
		if e.Postings[i].EffectiveDate == 0 {
			e.Postings[i].EffectiveDate = e.EffectiveDate
		}
	}
	salt := sha256.Sum256(fmt.Appendf(nil, "salt %d", e.Seq))
	e.Description = commit(salt[:], chain.FieldDescription, t.description)
	e.Reference = commit(salt[:], chain.FieldReference, t.reference)
	e.Metadata = commit(salt[:], chain.FieldMetadata, t.metadata)
	b.head = e.Hash()
	b.leaves = append(b.leaves, b.head)
	if b.keeps {
		b.made = append(b.made, e)
	}
	b.next++
	b.kinds = append(b.kinds, e.Kind)
	b.queue(&e)
	b.rows.payloads = append(b.rows.payloads, []any{b.ledger, e.Seq, salt[:], []byte("fingerprint"), orNull(t.description), orNull(t.reference), orNull(t.metadata)})
	for _, term := range t.terms {
		b.rows.terms = append(b.rows.terms, []any{b.ledger, e.Seq, term})
	}
	return e
}

func commit(salt []byte, f chain.Field, s string) *chain.Hash {
	if s == "" {
		return nil
	}
	h := chain.Commitment(salt, f, s)
	return &h
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// queue turns e into rows.
func (b *book) queue(e *chain.Entry) {
	hash := e.Hash()
	var expires any
	if e.ExpiresAt != nil {
		expires = time.UnixMicro(*e.ExpiresAt)
	}
	var related, ref any
	if e.RelatedTo != nil {
		related = *e.RelatedTo
	}
	if e.RefSeq != nil {
		ref = *e.RefSeq
	}
	b.rows.entries = append(b.rows.entries, []any{b.ledger, e.Seq, 1, e.Kind.String(), e.RequestID, e.PrevHash[:], hash[:],
		time.UnixMicro(e.RecordedAt), e.BookingDate.Time(), e.EffectiveDate.Time(), e.Actor, e.PriorPeriod, ref, related, expires,
		len(e.Postings), hashBytes(e.Description), hashBytes(e.Reference), hashBytes(e.Metadata)})
	for i, p := range e.Postings {
		b.rows.postings = append(b.rows.postings, []any{b.ledger, e.Seq, i, p.AccountID, p.Direction.String(), p.Currency, int64(p.Scale),
			p.Amount.Decimal(p.Scale), p.PendingChange.Decimal(p.Scale), p.EffectiveDate.Time(), p.EffectiveDate != e.BookingDate,
			p.AccountSeq, p.Posted.Decimal(p.Scale), p.PendingDebit.Decimal(p.Scale), p.PendingCredit.Decimal(p.Scale),
			slices.ContainsFunc(e.Postings[:i], func(q chain.Posting) bool {
				return q.Currency == p.Currency && q.Amount == p.Amount && q.PendingChange == p.PendingChange
			})})
	}
	for i, d := range e.Details {
		b.rows.details = append(b.rows.details, []any{b.ledger, e.Seq, i, d.Name, d.Value})
	}
	if a := e.Account; a != nil {
		b.rows.versions = append(b.rows.versions, []any{a.AccountID, e.Seq, b.ledger, limitOf(a.MinBalance, a.Scale), limitOf(a.MaxBalance, a.Scale),
			a.Frozen.String(), a.Closed, tagsText(a.Tags)})
	}
}

func hashBytes(h *chain.Hash) any {
	if h == nil {
		return nil
	}
	return h[:]
}

func limitOf(units *money.Int128, scale uint8) any {
	if units == nil {
		return nil
	}
	return units.Decimal(scale)
}

func tagsText(tags []chain.Tag) string {
	s := "{"
	for i, t := range tags {
		if i > 0 {
			s += ","
		}
		s += fmt.Sprintf("%q:%q", t.Key, t.Value)
	}
	return s + "}"
}

// units is an amount at the scale of its account.
func units(v int64) *money.Int128 {
	u := money.FromInt64(v)
	return &u
}

// open opens an account in EUR, changed by change before it is sealed.
func (b *book) open(code string, kind chain.AccountType, change func(*chain.Account)) chain.Entry {
	a := &account{opened: b.next, Account: chain.Account{AccountID: stableID("account %s %s", b.terms.Name, code), Code: code, Type: kind, Currency: "EUR", Scale: 2}}
	if change != nil {
		change(&a.Account)
	}
	b.accounts[code] = a
	b.rows.accounts = append(b.rows.accounts, []any{a.AccountID, b.ledger, a.Code, a.Type.String(), a.Currency, int64(a.Scale), b.next})
	sealed := a.Account
	return b.append(chain.Entry{Kind: chain.AccountOpened, Account: &sealed}, words{description: "account " + code})
}

// change puts other attributes of an account in force.
func (b *book) change(code string, change func(*chain.Account)) chain.Entry {
	a := b.accounts[code]
	change(&a.Account)
	sealed := a.Account
	return b.append(chain.Entry{Kind: chain.AccountChanged, Account: &sealed}, words{})
}

// post makes a posting and moves the builder's balances on.
func (b *book) post(code string, d chain.Direction, amount, pending int64) chain.Posting {
	a := b.accounts[code]
	a.seq++
	amountUnits, pendingUnits := money.FromInt64(amount), money.FromInt64(pending)
	if d == chain.Debit {
		a.posted, _ = a.posted.Add(amountUnits)
		a.debits, _ = a.debits.Add(pendingUnits)
	} else {
		a.posted, _ = a.posted.Sub(amountUnits)
		a.credits, _ = a.credits.Add(pendingUnits)
	}
	return chain.Posting{
		AccountID: a.AccountID, Direction: d, Currency: a.Currency, Scale: a.Scale,
		Amount: amountUnits, PendingChange: pendingUnits, AccountSeq: a.seq,
		Posted: a.posted, PendingDebit: a.debits, PendingCredit: a.credits,
	}
}

// move is the two postings of a movement between two accounts.
func (b *book) move(debit, credit string, amount, pending int64) []chain.Posting {
	return []chain.Posting{b.post(debit, chain.Debit, amount, pending), b.post(credit, chain.Credit, amount, pending)}
}

// transfer moves cents between two accounts.
func (b *book) transfer(debit, credit string, amount int64) chain.Entry {
	return b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move(debit, credit, amount, 0)}, words{})
}

// hold sets cents aside, for good or for a time.
func (b *book) hold(debit, credit string, held int64, expires time.Duration) chain.Entry {
	e := chain.Entry{Kind: chain.Hold, Postings: b.move(debit, credit, 0, held)}
	if expires != 0 {
		e.ExpiresAt = new(b.now.Add(expires).UnixMicro())
	}
	return b.append(e, words{})
}

// settle makes an entry that acts on another.
func (b *book) settle(kind chain.Kind, of chain.Entry, postings []chain.Posting) chain.Entry {
	return b.append(chain.Entry{Kind: kind, RefSeq: &of.Seq, Postings: postings}, words{})
}

// codeOf returns the code of an account.
func (b *book) codeOf(id uuid.UUID) string {
	for code, a := range b.accounts {
		if a.AccountID == id {
			return code
		}
	}
	panic("an account that the book does not have")
}

// release gives a hold back.
func (b *book) release(hold chain.Entry) chain.Entry {
	var postings []chain.Posting
	for _, p := range hold.Postings {
		held := p.PendingChange.Big().Int64()
		postings = append(postings, b.post(b.codeOf(p.AccountID), p.Direction, 0, -held))
	}
	return b.settle(chain.Release, hold, postings)
}

// reverse undoes a transfer or capture.
func (b *book) reverse(of chain.Entry) chain.Entry {
	var postings []chain.Posting
	for _, p := range of.Postings {
		if amount := p.Amount.Big().Int64(); amount > 0 {
			postings = append(postings, b.post(b.codeOf(p.AccountID), p.Direction.Opposite(), amount, 0))
		}
	}
	return b.settle(chain.Reversal, of, postings)
}

// facts are details in the order of their names.
func facts(pairs ...string) []chain.Detail {
	var list []chain.Detail
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, chain.Detail{Name: pairs[i], Value: pairs[i+1]})
	}
	chain.SortDetails(list)
	return list
}

// close closes the books up to a day, with more details than must be.
func (b *book) close(end chain.Date, more ...string) chain.Entry {
	return b.append(chain.Entry{Kind: chain.PeriodClosed,
		Details: facts(append(more, "period_end", end.String(), "through_seq", fmt.Sprint(b.next-1))...)}, words{})
}

// reopen undoes a closing.
func (b *book) reopen(closing chain.Entry) chain.Entry {
	end, _ := closing.Detail("period_end")
	return b.append(chain.Entry{Kind: chain.PeriodReopened, RefSeq: &closing.Seq, Details: facts("period_end", end)}, words{})
}

// define gives the ledger a currency of its own.
func (b *book) define(code string, scale int) chain.Entry {
	return b.append(chain.Entry{Kind: chain.CurrencyDefined, Details: facts("code", code, "name", "our "+code, "scale", fmt.Sprint(scale))}, words{})
}

// The tables, their columns in the order of rows.
var tables = []struct {
	schema, name string
	columns      []string
	of           func(*rows) *[][]any
}{
	{"book", "ledgers", []string{"ledger_id", "name", "origin", "time_zone", "day_cutoff", "base_currency", "base_scale", "value_days_back", "value_days_ahead"},
		func(r *rows) *[][]any { return &r.ledgers }},
	{"book", "accounts", []string{"account_id", "ledger_id", "code", "type", "currency", "scale", "opened_seq"},
		func(r *rows) *[][]any { return &r.accounts }},
	{"book", "account_versions", []string{"account_id", "seq", "ledger_id", "min_balance", "max_balance", "frozen", "closed", "tags"},
		func(r *rows) *[][]any { return &r.versions }},
	{"book", "entries", []string{"ledger_id", "seq", "format", "kind", "request_id", "prev_hash", "entry_hash", "recorded_at", "booking_date", "effective_date",
		"actor", "prior_period", "ref_seq", "related_to", "expires_at", "posting_count", "description_commitment", "reference_commitment", "metadata_commitment"},
		func(r *rows) *[][]any { return &r.entries }},
	{"book", "postings", []string{"ledger_id", "seq", "ordinal", "account_id", "direction", "currency", "scale", "amount", "pending_change", "effective_date",
		"back_valued", "account_seq", "posted", "pending_debit", "pending_credit", "repeats"},
		func(r *rows) *[][]any { return &r.postings }},
	{"book", "details", []string{"ledger_id", "seq", "ordinal", "name", "value"},
		func(r *rows) *[][]any { return &r.details }},
	{"ops", "payloads", []string{"ledger_id", "seq", "salt", "fingerprint", "description", "reference", "metadata"},
		func(r *rows) *[][]any { return &r.payloads }},
	{"ops", "metadata_terms", []string{"ledger_id", "seq", "term"},
		func(r *rows) *[][]any { return &r.terms }},
}

// write copies what is queued into the database.
func (b *book) write(tb testing.TB, conn *pgx.Conn) {
	tb.Helper()
	for _, t := range tables {
		queued := t.of(&b.rows)
		if len(*queued) == 0 {
			continue
		}
		if _, err := conn.CopyFrom(tb.Context(), pgx.Identifier{t.schema, t.name}, t.columns, pgx.CopyFromRows(*queued)); err != nil {
			tb.Fatalf("writing %s: %v", t.name, err)
		}
		*queued = (*queued)[:0]
	}
}

// connect opens a connection with the rights of the owner, and more.
func connect(tb testing.TB, url string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.WithoutCancel(tb.Context())) })
	pgxdecimal.Register(conn.TypeMap())
	return conn
}

// mustExec runs a statement with the rights of the owner.
func mustExec(tb testing.TB, conn *pgx.Conn, sql string, args ...any) {
	tb.Helper()
	if _, err := conn.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatalf("running %s: %v", sql, err)
	}
}

// loosen drops every CHECK of a table of the book, as an owner would who wants
// to store what they refuse.
func loosen(tb testing.TB, conn *pgx.Conn, table string) {
	tb.Helper()
	rows, err := conn.Query(tb.Context(), `select c.conname::text from pg_catalog.pg_constraint c join pg_catalog.pg_class t on t.oid = c.conrelid
		join pg_catalog.pg_namespace n on n.oid = t.relnamespace where c.contype = 'c' and n.nspname = 'book' and t.relname = $1`, table)
	if err != nil {
		tb.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		tb.Fatalf("reading the checks of %s: %d, %v", table, len(names), err)
	}
	for _, name := range names {
		mustExec(tb, conn, "alter table book."+table+" drop constraint "+name)
	}
}

// dropUnique takes a unique key away, as an owner who wants to repeat one would.
func dropUnique(tb testing.TB, conn *pgx.Conn, table, constraint string) {
	tb.Helper()
	if conn.PgConn().ParameterStatus("crdb_version") != "" {
		mustExec(tb, conn, "drop index book."+table+"@"+constraint+" cascade")
		return
	}
	mustExec(tb, conn, "alter table book."+table+" drop constraint "+constraint)
}

// auditor opens the database as verify does.
func auditor(tb testing.TB, url string, conns int) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), url, store.RoleAuditor, conns)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db
}

// verify verifies what the columns say, with two workers.
func verify(tb testing.TB, url string, ledger uuid.UUID) reconcile.Report {
	tb.Helper()
	return verifyWith(tb, url, ledger, reconcile.Options{Level: reconcile.LevelColumns})
}

// verifyWith verifies with two workers.
func verifyWith(tb testing.TB, url string, ledger uuid.UUID, opts reconcile.Options) reconcile.Report {
	tb.Helper()
	opts.Workers = 2
	report, err := reconcile.Verify(tb.Context(), auditor(tb, url, 2), ledger, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return report
}

// sameNarrowly verifies again within narrow bounds, with one worker and with
// several, along the chain and by account: however the work is cut, the findings
// are the same.
func sameNarrowly(tb testing.TB, url string, ledger uuid.UUID, want *reconcile.Report) {
	tb.Helper()
	for _, c := range []struct {
		workers                       int
		byAccount, joining, searching bool
	}{{workers: 1}, {workers: 4}, {workers: 1, byAccount: true}, {workers: 4, byAccount: true}, {workers: 3, joining: true}, {workers: 7, joining: true}, {workers: 2, joining: true, searching: true}} {
		workers := c.workers
		db := auditor(tb, url, workers+1)
		opts := reconcile.Options{Level: reconcile.LevelColumns, Workers: workers}
		report, err := reconcile.VerifyNarrowly(tb.Context(), db, ledger, opts, c.byAccount)
		if c.joining {
			report, err = reconcile.VerifyJoining(tb.Context(), db, ledger, opts, c.searching)
		}
		if err != nil {
			tb.Fatal(err)
		}
		if got, want := details(report.Findings), details(want.Findings); got != want {
			tb.Errorf("with narrow bounds, %+v: found %s\nwant %s", c, got, want)
		}
		if report.Status != want.Status || report.EntriesChecked != want.EntriesChecked || report.FindingsTotal != want.FindingsTotal {
			tb.Errorf("with narrow bounds, %+v: %s, %d entries, %d findings; want %s, %d, %d", c,
				report.Status, report.EntriesChecked, report.FindingsTotal, want.Status, want.EntriesChecked, want.FindingsTotal)
		}
		db.Close()
	}
}

// codes shortens findings to CODE@seq, or CODE without a seq.
func codes(findings []chain.Finding) []string {
	list := []string{}
	for _, f := range findings {
		if f.Seq == nil {
			list = append(list, f.Code)
		} else {
			list = append(list, fmt.Sprintf("%s@%d", f.Code, *f.Seq))
		}
	}
	return list
}
