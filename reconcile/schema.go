package reconcile

// table is one that the verification rests on, as the migrations make it.
type table struct {
	name string
	// columns are "name type", notNull behind it where it is, in any order.
	columns string
	// constraints are those that must be enforced, unique indexes included, and indexes
	// the others.
	constraints, indexes string
	// app, signer and eraser are the rights of these roles: letters out of
	// select, insert, update, delete. The auditor may select, and nothing else.
	app, signer, eraser string
	// aside says that nothing is verified against the rows of the table: what makes it
	// another one weakens a control, and is no more.
	aside bool
}

const notNull = "!"

// schema is the fingerprint of the schema: what a test holds against a database
// that was just migrated, and verify against the one at hand. It follows the
// migrations, which are not read here: who audits a schema must not take it from
// whoever makes it.
var schema = []table{
	{name: "book.ledgers", app: "si", signer: "s",
		columns: "ledger_id uuid!, name text!, origin text!, time_zone text!, day_cutoff int8!, base_currency text!, base_scale int8!, " +
			"value_days_back int8!, value_days_ahead int8!",
		constraints: "i4_ledgers, i4_ledgers_name, i4_ledgers_name_length, i5_ledgers_day_cutoff, i10_ledgers_value_days"},
	{name: "book.accounts", app: "si", signer: "s",
		columns:     "account_id uuid!, ledger_id uuid!, code text!, type text!, currency text!, scale int8!, opened_seq int8!",
		constraints: "i9_accounts, i10_accounts_code, i10_accounts_code_length, i10_accounts_type, i1_accounts_scale",
		indexes:     "accounts_in_order, accounts_income"},
	{name: "book.account_versions", app: "si", signer: "s",
		columns: "account_id uuid!, seq int8!, ledger_id uuid!, min_balance numeric, max_balance numeric, frozen text!, closed bool!, " +
			"tags text!",
		constraints: "i10_account_versions, i10_account_versions_seq, i10_account_versions_frozen, i3_account_versions_limits"},
	{name: "book.entries", app: "si", signer: "s", eraser: "s",
		columns: "ledger_id uuid!, seq int8!, format int8!, kind text!, request_id uuid!, prev_hash bytea!, entry_hash bytea!, " +
			"recorded_at timestamptz!, booking_date date!, effective_date date!, actor uuid!, prior_period bool!, ref_seq int8, " +
			"related_to uuid, expires_at timestamptz, posting_count int8!, description_commitment bytea, reference_commitment bytea, " +
			"metadata_commitment bytea",
		constraints: "i5_entries_seq, i8_entries_request, i5_entries_seq_not_negative, i6_entries_hashes, i1_entries_postings, " +
			"i12_entries_settled, i12_entries_reversed, i12_entries_erased",
		indexes: "entries_commitments, entries_expiring, entries_keys, entries_night, entries_related, entries_rules"},
	{name: "book.postings", app: "si", signer: "s",
		columns: "ledger_id uuid!, seq int8!, ordinal int8!, account_id uuid!, direction text!, currency text!, scale int8!, " +
			"amount numeric!, pending_change numeric!, effective_date date!, back_valued bool!, account_seq int8!, posted numeric!, " +
			"pending_debit numeric!, pending_credit numeric!, repeats bool!",
		constraints: "i4_postings, i9_postings_account_seq, i9_postings_account_seq_positive, i1_postings_direction, " +
			"i1_postings_amount_positive, i1_postings_scale, i1_postings_pending, i1_postings_fits_scale, i1_postings_fits_128_bits",
		indexes: "postings_amount, postings_back_valued, postings_held"},
	{name: "book.details", app: "si", signer: "s",
		columns:     "ledger_id uuid!, seq int8!, ordinal int8!, name text!, value text!",
		constraints: "i4_details"},
	{name: "book.tiles", app: "s", signer: "si",
		columns:     "ledger_id uuid!, level int8!, position int8!, hash bytea!",
		constraints: "i7_tiles, i7_tiles_level, i7_tiles_position, i7_tiles_hash"},
	{name: "book.checkpoints", app: "s", signer: "si",
		columns:     "ledger_id uuid!, size int8!, root bytea!, note text!, signed_at timestamptz!",
		constraints: "i7_checkpoints, i7_checkpoints_size, i7_checkpoints_root"},
	{name: "book.super_log", app: "s", signer: "si",
		columns:     "position int8!, ledger_id uuid!, origin text!, size int8!, root bytea!, recorded_at timestamptz!, leaf bytea!",
		constraints: "i7_super_log, i7_super_log_size, i7_super_log_position, i7_super_log_hashes"},
	{name: "ops.payloads", app: "si", signer: "s", eraser: "sd",
		columns:     "ledger_id uuid!, seq int8!, salt bytea!, fingerprint bytea!, description text, reference text, metadata text",
		constraints: "i11_payloads",
		indexes:     "payloads_reference"},
	{name: "ops.metadata_terms", app: "si", signer: "s", eraser: "sd",
		columns:     "ledger_id uuid!, seq int8!, term bytea!",
		constraints: "i11_metadata_terms, i11_metadata_terms_length",
		indexes:     "metadata_terms_term"},
	{name: "ops.runs", app: "siu", signer: "s",
		columns: "run_id uuid!, ledger_id uuid!, key bytea!, as_of date!, size int8!, head bytea!, pins jsonb!, phase text!, result text, " +
			"read_from int8!, not_re_read int8!, critical int8!, warnings int8!, reports_sha256 bytea, entry_seq int8, holder uuid, " +
			"held_until timestamptz, started_at timestamptz!, ended_at timestamptz",
		constraints: "runs_id, runs_key, runs_result, runs_hashes",
		indexes:     "runs_by_day"},
	{name: "ops.run_outputs", app: "si", signer: "s",
		columns:     "run_id uuid!, kind text!, name text!, phase text!, sha256 bytea!, size int8!, body bytea!",
		constraints: "run_outputs_name, run_outputs_hash"},
	{name: "ops.snapshots", app: "si", signer: "s",
		columns:     "ledger_id uuid!, size int8!, part int8!, parts int8!, accounts int8!, sha256 bytea!, body bytea!",
		constraints: "i11_snapshots_part, i11_snapshots_parts",
		indexes:     "snapshots_sizes"},
	{name: "ops.heads", app: "s", signer: "siu",
		columns:     "ledger_id uuid!, size int8!, note text!, published_at timestamptz!, signer text!",
		constraints: "heads_ledger, heads_signer"},
	{name: "ops.api_keys", app: "siu", aside: true},
	{name: "ops.bank_files", app: "si", signer: "s", aside: true},
	{name: "ops.bank_lines", app: "si", signer: "s", aside: true},
	{name: "ops.bank_statements", app: "si", signer: "s", aside: true},
	{name: "ops.bank_turns", app: "siu", aside: true},
	{name: "ops.breaks", app: "si", signer: "s", aside: true},
	{name: "ops.findings", app: "si", signer: "si", aside: true},
	{name: "ops.night_turns", app: "siu", signer: "s", aside: true},
	{name: "ops.schema_lease", aside: true},
	{name: "ops.schema_versions", aside: true},
	{name: "ops.signers", signer: "siu", aside: true},
	{name: "ops.sweeps", app: "siu", aside: true},
	{name: "ops.turns", app: "siu", aside: true},
}
