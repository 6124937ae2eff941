-- The book (append-only facts) and ops (everything that may change).
--
-- Why: the first schema. Deploy order: migrate, then start servers.
-- Reversible: no; a book is never dropped by a migration.
--
-- Both schemas and all roles exist before this file runs (ledger/store makes
-- them), and it runs as tallystick_owner, which therefore owns every table.
-- Constraints are named after the invariants I1 to I12 of the README.
-- DECIMAL columns hold natural units (12.34), debit-positive where signed.

-- +goose NO TRANSACTION
-- +goose Up

create table if not exists book.ledgers (
    ledger_id        uuid not null,
    name             text not null,
    origin           text not null,
    time_zone        text not null,
    day_cutoff       int8 not null,
    base_currency    text not null,
    base_scale       int8 not null,
    value_days_back  int8 not null,
    value_days_ahead int8 not null,
    constraint i4_ledgers primary key (ledger_id),
    constraint i4_ledgers_name unique (name),
    constraint i4_ledgers_name_length check (length(name) between 1 and 64),
    constraint i5_ledgers_day_cutoff check (day_cutoff between 0 and 86399),
    constraint i10_ledgers_value_days check (value_days_back >= 0 and value_days_ahead >= 0)
);

create table if not exists book.accounts (
    account_id uuid not null,
    ledger_id  uuid not null,
    code       text not null,
    type       text not null,
    currency   text not null,
    scale      int8 not null,
    opened_seq int8 not null,
    constraint i9_accounts primary key (account_id),
    constraint i10_accounts_code unique (ledger_id, code),
    constraint i10_accounts_code_length check (length(code) between 1 and 128),
    constraint i10_accounts_type check (type in ('asset', 'liability', 'equity', 'revenue', 'expense')),
    constraint i1_accounts_scale check (scale between 0 and 18)
);

-- The accounts whose balances the closing of a period moves.
create index if not exists accounts_income on book.accounts (ledger_id, code)
    where type in ('revenue', 'expense');

create table if not exists book.account_versions (
    account_id  uuid not null,
    seq         int8 not null,
    ledger_id   uuid not null,
    min_balance decimal,
    max_balance decimal,
    frozen      text not null,
    closed      bool not null,
    tags        text not null,
    constraint i10_account_versions primary key (account_id, seq),
    constraint i10_account_versions_seq unique (ledger_id, seq),
    constraint i10_account_versions_frozen check (frozen in ('none', 'debits', 'credits', 'all')),
    constraint i3_account_versions_limits check (min_balance is null or max_balance is null or min_balance <= max_balance)
);

-- i5_entries_seq is the fence on which every writer depends: two writers that
-- believe in the same head collide here, and nowhere else is needed.
create table if not exists book.entries (
    ledger_id              uuid not null,
    seq                    int8 not null,
    format                 int8 not null,
    kind                   text not null,
    request_id             uuid not null,
    prev_hash              bytea not null,
    entry_hash             bytea not null,
    recorded_at            timestamptz not null,
    booking_date           date not null,
    effective_date         date not null,
    actor                  uuid not null,
    prior_period           bool not null,
    ref_seq                int8,
    related_to             uuid,
    expires_at             timestamptz,
    posting_count          int8 not null,
    description_commitment bytea,
    reference_commitment   bytea,
    metadata_commitment    bytea,
    constraint i5_entries_seq primary key (ledger_id, seq),
    constraint i8_entries_request unique (ledger_id, request_id),
    constraint i5_entries_seq_not_negative check (seq >= 0),
    constraint i6_entries_hashes check (length(prev_hash) = 32 and length(entry_hash) = 32),
    constraint i1_entries_postings check (posting_count between 0 and 500)
);

-- One capture or release per hold, one reversal per transfer.
create unique index if not exists i12_entries_settled on book.entries (ledger_id, ref_seq)
    where kind in ('capture', 'release');
create unique index if not exists i12_entries_reversed on book.entries (ledger_id, ref_seq)
    where kind = 'reversal';

-- Closed periods and currencies, which a server reads before it posts.
create index if not exists entries_rules on book.entries (ledger_id, seq)
    where kind in ('period_closed', 'period_reopened', 'currency_defined');
-- Holds in the order in which they expire, for the sweep that releases them.
create index if not exists entries_expiring on book.entries (expires_at, ledger_id, seq) include (request_id)
    where kind = 'hold' and expires_at is not null;

-- What entries are related to another, for a search.
create index if not exists entries_related on book.entries (ledger_id, related_to, seq)
    where related_to is not null;

create table if not exists book.postings (
    ledger_id      uuid not null,
    seq            int8 not null,
    ordinal        int8 not null,
    account_id     uuid not null,
    direction      text not null,
    currency       text not null,
    scale          int8 not null,
    amount         decimal not null,
    pending_change decimal not null,
    effective_date date not null,
    back_valued    bool not null,
    account_seq    int8 not null,
    posted         decimal not null,
    pending_debit  decimal not null,
    pending_credit decimal not null,
    -- an earlier posting of the entry has the same currency, amount and
    -- pending_change: a search by amount finds the entry by that one
    repeats        bool not null default false,
    constraint i4_postings primary key (ledger_id, seq, ordinal),
    constraint i9_postings_account_seq unique (account_id, account_seq),
    constraint i9_postings_account_seq_positive check (account_seq >= 1),
    constraint i1_postings_direction check (direction in ('debit', 'credit')),
    constraint i1_postings_amount_positive check (amount >= 0 and (amount > 0 or pending_change <> 0)),
    constraint i1_postings_scale check (scale between 0 and 18),
    constraint i1_postings_pending check (pending_debit >= 0 and pending_credit >= 0),
    -- most postings hold nothing: comparing with zero is cheaper than rounding
    constraint i1_postings_fits_scale check (
        amount = round(amount, scale::int4) and posted = round(posted, scale::int4)
        and (pending_change = 0 or pending_change = round(pending_change, scale::int4))
        and (pending_debit = 0 or pending_debit = round(pending_debit, scale::int4))
        and (pending_credit = 0 or pending_credit = round(pending_credit, scale::int4))
    ),
    -- 2^127 units at the currency's scale, in natural units
    constraint i1_postings_fits_128_bits check (
        greatest(amount, abs(pending_change), abs(posted), pending_debit, pending_credit) < case scale
            when 2 then 1701411834604692317316873037158841057.28
            when 0 then 170141183460469231731687303715884105728
            when 3 then 170141183460469231731687303715884105.728
            when 1 then 17014118346046923173168730371588410572.8
            when 4 then 17014118346046923173168730371588410.5728
            when 5 then 1701411834604692317316873037158841.05728
            when 6 then 170141183460469231731687303715884.105728
            when 7 then 17014118346046923173168730371588.4105728
            when 8 then 1701411834604692317316873037158.84105728
            when 9 then 170141183460469231731687303715.884105728
            when 10 then 17014118346046923173168730371.5884105728
            when 11 then 1701411834604692317316873037.15884105728
            when 12 then 170141183460469231731687303.715884105728
            when 13 then 17014118346046923173168730.3715884105728
            when 14 then 1701411834604692317316873.03715884105728
            when 15 then 170141183460469231731687.303715884105728
            when 16 then 17014118346046923173168.7303715884105728
            when 17 then 1701411834604692317316.87303715884105728
            when 18 then 170141183460469231731.687303715884105728
        end
    )
);

-- Balances by value date start from the booked balance and correct it by these.
create index if not exists postings_back_valued on book.postings (account_id, effective_date, seq)
    include (direction, amount) where back_valued;

-- Entries by an amount that they book, or hold.
create index if not exists postings_amount on book.postings (ledger_id, amount, seq)
    where amount > 0 and not repeats;
create index if not exists postings_held on book.postings (ledger_id, pending_change, seq)
    where amount = 0 and pending_change > 0 and not repeats;

create table if not exists book.details (
    ledger_id uuid not null,
    seq       int8 not null,
    ordinal   int8 not null,
    name      text not null,
    value     text not null,
    constraint i4_details primary key (ledger_id, seq, ordinal)
);

-- Free text lives outside the book so that it can be erased; the entry holds
-- only commitments to it. salt and fingerprint decide replays (I8).
create table if not exists ops.payloads (
    ledger_id   uuid not null,
    seq         int8 not null,
    salt        bytea not null,
    fingerprint bytea not null,
    description text,
    reference   text,
    metadata    text,
    constraint i11_payloads primary key (ledger_id, seq)
);
create index if not exists payloads_reference on ops.payloads (ledger_id, reference, seq)
    where reference is not null;

-- Metadata for a search: a term is the first 16 bytes of a SHA-256 over the key
-- and value of a member (see ledger/store/metadata.go). Erasure deletes them
-- with the payload.
create table if not exists ops.metadata_terms (
    ledger_id uuid not null,
    seq       int8 not null,
    term      bytea not null,
    constraint i11_metadata_terms primary key (ledger_id, seq, term),
    constraint i11_metadata_terms_length check (length(term) = 16)
);
create index if not exists metadata_terms_term on ops.metadata_terms (ledger_id, term, seq);

-- The row of a ledger is locked by the process whose turn it is to post.
create table if not exists ops.turns (
    ledger_id uuid not null,
    constraint turns_ledger primary key (ledger_id)
);

-- The row of a sweep is locked by the process that sweeps. Everything due before
-- watermark is settled, but for what became visible long after its time, which
-- a sweep finds that starts further back once in a while (looked_back_at).
create table if not exists ops.sweeps (
    name           text not null,
    watermark      timestamptz not null,
    looked_back_at timestamptz not null,
    constraint sweeps_name primary key (name)
);
insert into ops.sweeps (name, watermark, looked_back_at)
values ('expired_holds', '1970-01-01 00:00:00+00', '1970-01-01 00:00:00+00') on conflict (name) do nothing;

-- key_hash is SHA-256 of the key: a key has 256 bits of randomness and needs
-- no slow hash. key_id is the actor in entries, so that rows are revoked and
-- never deleted. scopes are words out of read, post, approve, admin, in this
-- order, with a space between.
create table if not exists ops.api_keys (
    key_id     uuid not null,
    key_hash   bytea not null,
    name       text not null,
    created_at timestamptz not null,
    scopes     text not null,
    revoked_at timestamptz,
    constraint api_keys_id primary key (key_id),
    constraint api_keys_hash unique (key_hash),
    constraint api_keys_hash_length check (length(key_hash) = 32)
);

create table if not exists ops.findings (
    finding_id  uuid not null,
    ledger_id   uuid not null,
    found_at    timestamptz not null,
    source      text not null,
    code        text not null,
    severity    text not null,
    seq         int8,
    transfer_id text,
    account     text,
    column_name text,
    stored      text,
    recomputed  text,
    next_step   text not null,
    constraint findings_id primary key (finding_id),
    constraint findings_severity check (severity in ('info', 'warning', 'critical'))
);
create index if not exists findings_by_ledger on ops.findings (ledger_id, found_at);

-- The application appends to the book and reads it, and nothing else.
grant select, insert on book.ledgers, book.accounts, book.account_versions, book.entries, book.postings, book.details to tallystick_app;
grant select, insert on ops.payloads, ops.metadata_terms, ops.findings to tallystick_app;
grant select, insert, update on ops.turns, ops.sweeps, ops.api_keys to tallystick_app;
grant select on book.ledgers, book.accounts, book.account_versions, book.entries, book.postings, book.details to tallystick_auditor, tallystick_signer;
grant select on ops.payloads, ops.metadata_terms, ops.findings to tallystick_auditor, tallystick_signer;
grant select, delete on ops.payloads, ops.metadata_terms to tallystick_eraser;
