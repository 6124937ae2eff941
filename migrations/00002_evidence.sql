-- Signed checkpoints, and the Merkle tree that they are about.
--
-- Why: who owns the database can rewrite a chain; a signature over its root,
-- kept elsewhere too, shows it. Deploy order: migrate, then start servers and
-- signers. Reversible: no; what was signed is never dropped by a migration.

-- +goose NO TRANSACTION
-- +goose Up

-- The inner nodes of the tree at the heights 8, 16, …: position n of level k is
-- the root of the complete subtree over the leaves n·256^k to (n+1)·256^k − 1.
-- Level 0 is book.entries.entry_hash. The super-log has the nil UUID.
create table if not exists book.tiles (
    ledger_id uuid not null,
    level     int8 not null,
    position  int8 not null,
    hash      bytea not null,
    constraint i7_tiles primary key (ledger_id, level, position),
    constraint i7_tiles_level check (level between 1 and 7),
    constraint i7_tiles_position check (position >= 0),
    constraint i7_tiles_hash check (length(hash) = 32)
);

-- What was signed: one checkpoint for a size. note is the signed note
-- (C2SP tlog-checkpoint) as it was when it was published first.
create table if not exists book.checkpoints (
    ledger_id uuid not null,
    size      int8 not null,
    root      bytea not null,
    note      text not null,
    signed_at timestamptz not null,
    constraint i7_checkpoints primary key (ledger_id, size),
    constraint i7_checkpoints_size check (size >= 0),
    constraint i7_checkpoints_root check (length(root) = 32)
);

-- The super-log: checkpoints of all ledgers in one log of its own, so that a
-- ledger that vanished whole is missed. leaf is its RFC 6962 leaf hash, see
-- ledger/chain/FORMAT.md.
create table if not exists book.super_log (
    position    int8 not null,
    ledger_id   uuid not null,
    origin      text not null,
    size        int8 not null,
    root        bytea not null,
    recorded_at timestamptz not null,
    leaf        bytea not null,
    constraint i7_super_log primary key (position),
    constraint i7_super_log_size unique (ledger_id, size),
    constraint i7_super_log_position check (position >= 0),
    constraint i7_super_log_hashes check (length(root) = 32 and length(leaf) = 32)
);

-- The newest checkpoint of each ledger as it is shown: with the cosignatures of
-- witnesses, and renewed by a heartbeat while nothing is new.
create table if not exists ops.heads (
    ledger_id    uuid not null,
    size         int8 not null,
    note         text not null,
    published_at timestamptz not null,
    -- where the signer runs: 'serve' is the process that also posts
    signer       text not null,
    constraint heads_ledger primary key (ledger_id),
    constraint heads_signer check (signer in ('serve', 'signer'))
);

-- Which replica signs with a key. Safety does not rest on it: it keeps two from
-- doing the same work.
create table if not exists ops.signers (
    signer_key text not null,
    holder     uuid not null,
    held_until timestamptz not null,
    constraint signers_key primary key (signer_key)
);

-- Which keys sign and post: like entries_rules, read before a server posts.
create index if not exists entries_keys on book.entries (ledger_id, seq) where kind = 'key_changed';

-- The text of an entry is erased once.
create unique index if not exists i12_entries_erased on book.entries (ledger_id, ref_seq) where kind = 'erasure';

-- Balance commitments, and the accounts in the order of their tree.
create index if not exists entries_commitments on book.entries (ledger_id, seq) where kind = 'balance_commitment';
create index if not exists accounts_in_order on book.accounts (ledger_id, account_id);

grant select on book.tiles, book.checkpoints, book.super_log, ops.heads to tallystick_app, tallystick_auditor;
grant select, insert on book.tiles, book.checkpoints, book.super_log to tallystick_signer;
grant select, insert, update on ops.heads, ops.signers to tallystick_signer;
grant select on ops.signers to tallystick_auditor;
grant insert on ops.findings to tallystick_signer;
-- The eraser deletes only what an erasure is on record of.
grant select on book.entries to tallystick_eraser;
