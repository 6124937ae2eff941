package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// entryFormat is the version of the canonical encoding that entries are hashed in.
const entryFormat = 1

// commitTimeout bounds one Commit as seen from here; the server's own
// StatementTimeout ends a statement before.
const commitTimeout = StatementTimeout + 2*time.Second

// The predecessor guard: without the head that the batch was decided on, the
// key is null and the whole batch is refused (23502). Locks: none but the new
// keys; i5_entries_seq is what a second writer collides with.
const insertEntriesSQL = `
insert into book.entries (ledger_id, seq, format, kind, request_id, prev_hash, entry_hash, recorded_at,
    booking_date, effective_date, actor, prior_period, ref_seq, related_to, expires_at, posting_count,
    description_commitment, reference_commitment, metadata_commitment)
select case when exists (
        select 1 from book.entries where ledger_id = $1::uuid and seq = $2::int8 and entry_hash = $3::bytea
    ) then $1::uuid end,
    u.seq, $4::int8, u.kind, u.request_id, u.prev_hash, u.entry_hash, u.recorded_at,
    u.booking_date, u.effective_date, u.actor, u.prior_period, u.ref_seq, u.related_to, u.expires_at, u.posting_count,
    u.description_commitment, u.reference_commitment, u.metadata_commitment
from unnest($5::int8[], $6::text[], $7::uuid[], $8::bytea[], $9::bytea[], $10::timestamptz[],
    $11::date[], $12::date[], $13::uuid[], $14::bool[], $15::int8[], $16::uuid[], $17::timestamptz[], $18::int8[],
    $19::bytea[], $20::bytea[], $21::bytea[])
  as u(seq, kind, request_id, prev_hash, entry_hash, recorded_at,
    booking_date, effective_date, actor, prior_period, ref_seq, related_to, expires_at, posting_count,
    description_commitment, reference_commitment, metadata_commitment)`

const insertPostingsSQL = `
insert into book.postings (ledger_id, seq, ordinal, account_id, direction, currency, scale, amount, pending_change,
    effective_date, back_valued, account_seq, posted, pending_debit, pending_credit, repeats)
select $1::uuid, u.seq, u.ordinal, u.account_id, u.direction, u.currency, u.scale, u.amount, u.pending_change,
    u.effective_date, u.back_valued, u.account_seq, u.posted, u.pending_debit, u.pending_credit, u.repeats
from unnest($2::int8[], $3::int8[], $4::uuid[], $5::text[], $6::text[], $7::int8[], $8::decimal[], $9::decimal[],
    $10::date[], $11::bool[], $12::int8[], $13::decimal[], $14::decimal[], $15::decimal[], $16::bool[])
  as u(seq, ordinal, account_id, direction, currency, scale, amount, pending_change,
    effective_date, back_valued, account_seq, posted, pending_debit, pending_credit, repeats)`

const insertPayloadsSQL = `
insert into ops.payloads (ledger_id, seq, salt, fingerprint, description, reference, metadata)
select $1::uuid, u.seq, u.salt, u.fingerprint, u.description, u.reference, u.metadata
from unnest($2::int8[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::text[])
  as u(seq, salt, fingerprint, description, reference, metadata)`

const insertAccountsSQL = `
insert into book.accounts (account_id, ledger_id, code, type, currency, scale, opened_seq)
select u.account_id, $1::uuid, u.code, u.type, u.currency, u.scale, u.opened_seq
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::int8[], $7::int8[])
  as u(account_id, code, type, currency, scale, opened_seq)`

const insertVersionsSQL = `
insert into book.account_versions (account_id, seq, ledger_id, min_balance, max_balance, frozen, closed, tags)
select u.account_id, u.seq, $1::uuid, u.min_balance, u.max_balance, u.frozen, u.closed, u.tags
from unnest($2::uuid[], $3::int8[], $4::decimal[], $5::decimal[], $6::text[], $7::bool[], $8::text[])
  as u(account_id, seq, min_balance, max_balance, frozen, closed, tags)`

const insertDetailsSQL = `
insert into book.details (ledger_id, seq, ordinal, name, value)
select $1::uuid, u.seq, u.ordinal, u.name, u.value
from unnest($2::int8[], $3::int8[], $4::text[], $5::text[]) as u(seq, ordinal, name, value)`

// Commit appends entries after prev: a few multi-row inserts in one implicit
// transaction and one round trip. It returns nil only when they are durable,
// and otherwise an error that is ledger.ErrFence, ErrHeadMissing,
// ErrNothingHappened, ErrPoison or ErrUnknownOutcome.
func (db *DB) Commit(ctx context.Context, id ledger.LedgerID, prev ledger.Head, entries []ledger.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	conn, err := db.posting.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ledger.ErrNothingHappened, err)
	}
	defer conn.Release()
	if err := conn.Conn().SendBatch(ctx, commitBatch(id, prev, entries)).Close(); err != nil {
		return db.classifyCommit(err)
	}
	return nil
}

func commitBatch(id ledger.LedgerID, prev ledger.Head, entries []ledger.Entry) *pgx.Batch {
	var b pgx.Batch
	queueEntries(&b, id, prev, entries)
	queuePostings(&b, id, entries)
	queuePayloads(&b, id, entries)
	queueTerms(&b, id, entries)
	queueAccounts(&b, id, entries)
	queueDetails(&b, id, entries)
	return &b
}

func queueEntries(b *pgx.Batch, id ledger.LedgerID, prev ledger.Head, entries []ledger.Entry) {
	n := len(entries)
	seq, kind, request := make([]int64, n), make([]string, n), make(uuids, n)
	prevHash, hash, recorded := make(byteas, n), make(byteas, n), make([]time.Time, n)
	booking, effective, actor := make([]time.Time, n), make([]time.Time, n), make(uuids, n)
	prior, ref, related := make([]bool, n), make([]*int64, n), make(uuids, n)
	expires, postings := make([]*time.Time, n), make([]int64, n)
	description, reference, metadata := make(byteas, n), make(byteas, n), make(byteas, n)
	hashes := make([]byte, 0, 2*n*sha256.Size) // one allocation for all
	for i := range entries {
		r := entries[i].Record()
		seq[i], kind[i], request[i] = r.Seq, r.Kind.String(), uuidOf(&r.RequestID)
		hashes, prevHash[i] = appendHash(hashes, r.PrevHash)
		hashes, hash[i] = appendHash(hashes, entries[i].Hash())
		recorded[i] = time.UnixMicro(r.RecordedAt)
		booking[i], effective[i] = r.BookingDate.Time(), r.EffectiveDate.Time()
		actor[i], prior[i], ref[i], related[i] = uuidOf(&r.Actor), r.PriorPeriod, r.RefSeq, uuidOf(r.RelatedTo)
		if r.ExpiresAt != nil {
			t := time.UnixMicro(*r.ExpiresAt)
			expires[i] = &t
		}
		postings[i] = int64(len(r.Postings))
		description[i], reference[i], metadata[i] = hashBytes(r.Description), hashBytes(r.Reference), hashBytes(r.Metadata)
	}
	b.Queue(insertEntriesSQL, uuidOf(&id.UUID), prev.Seq, prev.Hash[:], int64(entryFormat),
		seq, kind, request, prevHash, hash, recorded, booking, effective, actor, prior, ref, related, expires,
		postings, description, reference, metadata)
}

func queuePostings(b *pgx.Batch, id ledger.LedgerID, entries []ledger.Entry) {
	n := 0
	for i := range entries {
		n += len(entries[i].Accounts())
	}
	if n == 0 {
		return
	}
	seq, ordinal, account := make([]int64, 0, n), make([]int64, 0, n), make(uuids, 0, n)
	direction, currency, scale := make([]string, 0, n), make([]string, 0, n), make([]int64, 0, n)
	amount, pending := newDecimals(n), newDecimals(n)
	effective, backValued, accountSeq := make([]time.Time, 0, n), make([]bool, 0, n), make([]int64, 0, n)
	posted, pendingDebit, pendingCredit := newDecimals(n), newDecimals(n), newDecimals(n)
	repeats := make([]bool, 0, n)
	for i := range entries {
		r := entries[i].Record()
		for o := range r.Postings {
			p := &r.Postings[o]
			seq, ordinal, account = append(seq, r.Seq), append(ordinal, int64(o)), append(account, uuidOf(&p.AccountID))
			direction, currency, scale = append(direction, p.Direction.String()), append(currency, p.Currency), append(scale, int64(p.Scale))
			amount, pending = amount.append(p.Amount, p.Scale), pending.append(p.PendingChange, p.Scale)
			effective, backValued = append(effective, p.EffectiveDate.Time()), append(backValued, p.EffectiveDate != r.BookingDate)
			accountSeq, posted = append(accountSeq, p.AccountSeq), posted.append(p.Posted, p.Scale)
			pendingDebit = pendingDebit.append(p.PendingDebit, p.Scale)
			pendingCredit = pendingCredit.append(p.PendingCredit, p.Scale)
		}
		repeats = appendRepeats(repeats, r.Postings)
	}
	b.Queue(insertPostingsSQL, uuidOf(&id.UUID), seq, ordinal, account, direction, currency, scale,
		amount.literal(), pending.literal(), effective, backValued, accountSeq,
		posted.literal(), pendingDebit.literal(), pendingCredit.literal(), repeats)
}

// figures are what a search by amount looks for in a posting.
type figures struct {
	currency        string
	amount, pending money.Int128
}

// appendRepeats appends, for each posting, whether an earlier one of the entry
// has the same figures.
func appendRepeats(repeats []bool, postings []chain.Posting) []bool {
	if len(postings) == 2 { // most
		return append(repeats, false, figuresOf(&postings[0]) == figuresOf(&postings[1]))
	}
	seen := make(map[figures]bool, len(postings))
	for i := range postings {
		f := figuresOf(&postings[i])
		repeats = append(repeats, seen[f])
		seen[f] = true
	}
	return repeats
}

func figuresOf(p *chain.Posting) figures {
	return figures{p.Currency, p.Amount, p.PendingChange}
}

func queuePayloads(b *pgx.Batch, id ledger.LedgerID, entries []ledger.Entry) {
	n := len(entries)
	seq, salt, fingerprint := make([]int64, n), make(byteas, n), make(byteas, n)
	description, reference, metadata := make([]*string, n), make([]*string, n), make([]*string, n)
	for i := range entries {
		t := entries[i].Text()
		seq[i], salt[i], fingerprint[i] = entries[i].Seq(), t.Salt, t.Fingerprint
		description[i], reference[i], metadata[i] = t.Description, t.Reference, t.Metadata
	}
	b.Queue(insertPayloadsSQL, uuidOf(&id.UUID), seq, salt, fingerprint, description, reference, metadata)
}

func queueAccounts(b *pgx.Batch, id ledger.LedgerID, entries []ledger.Entry) {
	var opened, versions []*chain.Account
	var openedSeq, versionSeq []int64
	for i := range entries {
		r := entries[i].Record()
		if r.Account == nil {
			continue
		}
		versions, versionSeq = append(versions, r.Account), append(versionSeq, r.Seq)
		if r.Kind == chain.AccountOpened {
			opened, openedSeq = append(opened, r.Account), append(openedSeq, r.Seq)
		}
	}
	if n := len(opened); n > 0 {
		account, code, kind := make(uuids, n), make([]string, n), make([]string, n)
		currency, scale := make([]string, n), make([]int64, n)
		for i, a := range opened {
			account[i], code[i], kind[i] = uuidOf(&a.AccountID), a.Code, a.Type.String()
			currency[i], scale[i] = a.Currency, int64(a.Scale)
		}
		b.Queue(insertAccountsSQL, uuidOf(&id.UUID), account, code, kind, currency, scale, openedSeq)
	}
	if n := len(versions); n > 0 {
		account, min, max := make(uuids, n), make([]*decimal.Decimal, n), make([]*decimal.Decimal, n)
		frozen, closed, tags := make([]string, n), make([]bool, n), make([]string, n)
		for i, a := range versions {
			account[i], min[i], max[i] = uuidOf(&a.AccountID), limitOf(a.MinBalance, a.Scale), limitOf(a.MaxBalance, a.Scale)
			frozen[i], closed[i], tags[i] = a.Frozen.String(), a.Closed, tagsText(a.Tags)
		}
		b.Queue(insertVersionsSQL, uuidOf(&id.UUID), account, versionSeq, min, max, frozen, closed, tags)
	}
}

func queueDetails(b *pgx.Batch, id ledger.LedgerID, entries []ledger.Entry) {
	var seq, ordinal []int64
	var name, value []string
	for i := range entries {
		r := entries[i].Record()
		for o, d := range r.Details {
			seq, ordinal = append(seq, r.Seq), append(ordinal, int64(o))
			name, value = append(name, d.Name), append(value, d.Value)
		}
	}
	if len(seq) > 0 {
		b.Queue(insertDetailsSQL, uuidOf(&id.UUID), seq, ordinal, name, value)
	}
}

// uuids is a uuid[] parameter; an element that is not valid is null.
type uuids = pgtype.FlatArray[pgtype.UUID]

// byteas is a bytea[] parameter; a nil element is null.
type byteas = pgtype.FlatArray[[]byte]

// decimals is a decimal[] parameter as an array literal. It says the same as the
// binary form and takes a third of the allocations of a commit (BenchmarkCommit).
type decimals []byte

func newDecimals(n int) decimals { return append(make(decimals, 0, 8*n+2), '{') }

func (d decimals) append(units money.Int128, scale uint8) decimals {
	if len(d) > 1 {
		d = append(d, ',')
	}
	return units.AppendFormat(d, scale)
}

func (d decimals) literal() string { return string(append(d, '}')) }

func appendHash(slab []byte, h chain.Hash) (longer, stored []byte) {
	longer = append(slab, h[:]...)
	return longer, longer[len(slab):]
}

func uuidOf(u *uuid.UUID) pgtype.UUID {
	if u == nil {
		return pgtype.UUID{}
	}
	return pgtype.UUID{Bytes: *u, Valid: true}
}

func hashBytes(h *chain.Hash) []byte {
	if h == nil {
		return nil
	}
	return h[:]
}

func limitOf(units *money.Int128, scale uint8) *decimal.Decimal {
	if units == nil {
		return nil
	}
	d := units.Decimal(scale)
	return &d
}
