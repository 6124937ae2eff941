-- The night: runs, what they found and put out, bank statements, matching, decisions about breaks.
--
-- Why: the nightly job is pinned to a size of the ledger and must be resumable, so what it has done so far is rows; bank
-- statements and decisions are inputs that a run is pinned to, so they are kept as they came. All of it is in ops: what
-- must not be denied later (a run's digest, a decision, a sign-off) is an entry of the ledger beside it.
-- Deploy order: before the servers that read it. Reversible: its tables may be dropped; the book does not refer to them.
-- Append-only by grants, but for ops.runs (its phase and lease), ops.night_turns (who runs the night) and ops.bank_turns (a lock).

-- +goose NO TRANSACTION
-- +goose Up

-- One row a run. key is the SHA-256 over all that a run is pinned to: the same inputs are the same run.
create table if not exists ops.runs (
    run_id       uuid not null,
    ledger_id    uuid not null,
    key          bytea not null,
    as_of        date not null,
    size         int8 not null,
    head         bytea not null,
    pins         jsonb not null,        -- every input by name: SHA-256 of policy, rates, inputs, calendar, statements, decisions; never hashed as text
    phase        text not null,         -- the phase that is to be done next; 'done' at the end
    result       text,                  -- as in the run entry
    read_from    int8 not null,
    not_re_read  int8 not null,         -- entries below read_from that were not read again
    critical     int8 not null,
    warnings     int8 not null,
    reports_sha256 bytea,
    entry_seq    int8,                  -- its run entry
    holder       uuid,                  -- the process at work
    held_until   timestamptz,
    started_at   timestamptz not null,
    ended_at     timestamptz,
    constraint runs_id primary key (run_id),
    constraint runs_key unique (ledger_id, key),
    constraint runs_result check (result is null or result in ('passed', 'failed', 'incomplete')),
    constraint runs_hashes check (length(key) = 32 and length(head) = 32 and (reports_sha256 is null or length(reports_sha256) = 32))
);
create index if not exists runs_by_day on ops.runs (ledger_id, as_of, started_at);

-- What a run put out: one row a document, canonical JSON (see reconcile/report), compressed. kind is 'report', 'findings', 'result' or 'state'.
create table if not exists ops.run_outputs (
    run_id   uuid not null,
    kind     text not null,
    name     text not null,
    phase    text not null,
    sha256   bytea not null,            -- of the bytes before compression
    size     int8 not null,             -- bytes before compression
    body     bytea not null,            -- gzip
    constraint run_outputs_name primary key (run_id, kind, name),
    constraint run_outputs_hash check (length(sha256) = 32)
);

-- Whose turn a night is, one row a ledger and night; the scheduler's lock. due is the moment by the cron expression.
create table if not exists ops.night_turns (
    ledger_id  uuid not null,
    due        timestamptz not null,
    holder     uuid,
    held_until timestamptz,
    run_id     uuid,
    done_at    timestamptz,
    failed     text,                    -- why the last try ended, empty when it goes on
    tries      int8 not null,
    constraint night_turns_due primary key (ledger_id, due)
);
create index if not exists night_turns_open on ops.night_turns (ledger_id, due) where done_at is null;

-- The row of a ledger is locked by the process that stores a bank file, or writes lines off: what follows what, and what is written
-- off already, is decided one after the other.
create table if not exists ops.bank_turns (
    ledger_id uuid not null,
    constraint bank_turns_ledger primary key (ledger_id)
);

-- Bank files as they were judged, numbered from 1 without gaps: as with seq, a number is a cut. A quarantined one has no
-- statements.
create table if not exists ops.bank_files (
    ledger_id   uuid not null,
    file        int8 not null,
    sha256      bytea not null,
    name        text not null,          -- as it was handed in; no path
    format      text not null,          -- empty when it could not be told
    bytes       int8 not null,
    verdict     text not null,
    reasons     jsonb not null,
    imported_at timestamptz not null,
    imported_by text not null,
    constraint bank_files_number primary key (ledger_id, file),
    constraint bank_files_content unique (ledger_id, sha256, verdict),
    constraint bank_files_hash check (length(sha256) = 32),
    constraint bank_files_verdict check (verdict in ('accepted', 'quarantined'))
);

-- One row a statement and currency, numbered from 1 without gaps.
create table if not exists ops.bank_statements (
    ledger_id    uuid not null,
    statement    int8 not null,
    file         int8 not null,
    account_code text not null,         -- of the ledger, by the policy or by hand
    bank_account text not null,         -- IBAN, or the number the bank uses
    currency     text not null,
    scale        int8 not null,
    format       text not null,
    bank_id      text not null,         -- the bank's own id of the statement
    sha256       bytea not null,        -- digest of its content
    number       int8 not null,
    page         int8 not null,
    from_date    date,
    to_date      date not null,
    opening      decimal,               -- null where the bank states none
    closing      decimal,
    credits      decimal not null,      -- of the booked lines
    debits       decimal not null,
    lines        int8 not null,
    notes        jsonb not null,
    constraint bank_statements_number primary key (ledger_id, statement),
    constraint bank_statements_content unique (ledger_id, bank_account, currency, sha256),
    constraint bank_statements_hash check (length(sha256) = 32),
    constraint bank_statements_scale check (scale between 0 and 18)
);
create index if not exists bank_statements_by_account on ops.bank_statements (ledger_id, account_code, statement);
create index if not exists bank_statements_in_order on ops.bank_statements (ledger_id, bank_account, currency, to_date, number, page, statement);

create table if not exists ops.bank_lines (
    ledger_id    uuid not null,
    statement    int8 not null,
    line         int8 not null,         -- from 1
    booked       date not null,
    valued       date,
    amount       decimal not null,      -- signed: positive raises the balance at the bank
    status       text not null,         -- only BOOK moves the balance
    reversal     bool not null,
    code         text not null,         -- the bank's code of the kind of transaction
    party        text not null,         -- who stands at the other end
    description  text not null,
    refs         jsonb not null,        -- end-to-end id, bank's reference, batch id, … by name
    constraint bank_lines_line primary key (ledger_id, statement, line)
);

-- What people decided about breaks has no table here: it stands in the ledger, and the reasons in ops.payloads, where they
-- can be erased. A copy could not.

-- Breaks through time: one row a break, first seen once. What a break is now is in the newest run's output.
create table if not exists ops.breaks (
    break_id   text not null,
    ledger_id  uuid not null,
    first_run  uuid not null,
    first_seen date not null,
    constraint breaks_id primary key (ledger_id, break_id)
);

-- Balances of all accounts at a size: derived, held against the postings by the next run (I11). A part is a few thousand
-- accounts, compressed to some 20 bytes an account: as rows of their own they cost several times as much. A snapshot counts once all its parts are there.
-- It is taken when as many postings have come since the one before as there are accounts, and never deleted: so all
-- snapshots together have no more lines than the book has postings.
create table if not exists ops.snapshots (
    ledger_id uuid not null,
    size      int8 not null,            -- entries before it
    part      int8 not null,            -- 0 to parts - 1, in order of account_id
    parts     int8 not null,
    accounts  int8 not null,            -- in this part
    sha256    bytea not null,           -- of the body before compression
    body      bytea not null,           -- see reconcile/snapshot.go
    constraint i11_snapshots_part primary key (ledger_id, size, part),
    constraint i11_snapshots_parts check (size > 0 and part >= 0 and part < parts and accounts >= 0 and length(sha256) = 32)
);
-- Which snapshots there are, without their bodies.
create index if not exists snapshots_sizes on ops.snapshots (ledger_id, size, part) include (parts);

-- What the night and the people who look at it put on record, in order: for who lists or checks them.
create index if not exists entries_night on book.entries (ledger_id, seq) where kind in ('policy_adopted', 'run', 'decision');

grant select, insert, update on ops.runs, ops.night_turns, ops.bank_turns to tallystick_app;
grant select, insert on ops.run_outputs, ops.bank_files, ops.bank_statements, ops.bank_lines, ops.breaks, ops.snapshots to tallystick_app;
grant select on ops.runs, ops.night_turns, ops.run_outputs, ops.bank_files, ops.bank_statements, ops.bank_lines, ops.breaks, ops.snapshots to tallystick_auditor, tallystick_signer;

-- +goose Down
drop index if exists book.entries_night;
drop table if exists ops.snapshots;
drop table if exists ops.breaks;
drop table if exists ops.bank_lines;
drop table if exists ops.bank_turns;
drop table if exists ops.bank_statements;
drop table if exists ops.bank_files;
drop table if exists ops.night_turns;
drop table if exists ops.run_outputs;
drop table if exists ops.runs;
