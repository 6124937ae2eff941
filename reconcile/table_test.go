package reconcile_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// The sizes of the sealed ledger's checkpoints. The second completes a node of
// the tree; the newest covers all entries but the last two.
var sealedSizes = []int64{100, 256, 280, 298}

const sealedEntries = 300

// crime is a sealed ledger, and what somebody with the rights of the owner does
// to it.
type crime struct {
	t    *testing.T
	conn *pgx.Conn
	b    *book
	key  chain.SigningKey
	held chain.Entry // one that a client has a receipt for
	opts reconcile.Options
}

// sealedBook is a ledger with 300 entries, whose entry 150 moves an amount that
// a forger may want to be another one. The same amount makes the same ledger.
func sealedBook(tb testing.TB, key chain.SigningKey, amount int64) (b *book, held chain.Entry) {
	b = smallNamed("main")
	b.changeKey(tb, "add", key) // 7
	b.keeps = true
	b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 5, 0)}, words{"for Ada", "R-1", `{"a":1}`, [][]byte{term("a", "1")}}) // 8
	for b.next < sealedEntries {
		e := b.transfer("cash", fmt.Sprintf("customers:%d", 1+b.next%2), map[bool]int64{true: amount, false: 1 + b.next%5}[b.next == 150])
		if e.Seq == sealedSizes[len(sealedSizes)-1]-1 {
			held = e
		}
	}
	return b, held
}

// do runs SQL; $L is the ledger.
func (c *crime) do(sql ...string) {
	c.t.Helper()
	for _, s := range sql {
		mustExec(c.t, c.conn, literalsOf(c.b).Replace(s))
	}
}

func literalsOf(b *book) *strings.Replacer {
	return strings.NewReplacer("$L", b.ledger.String(), "$cash", b.accounts["cash"].AccountID.String(),
		"$c1", b.accounts["customers:1"].AccountID.String(), "$c2", b.accounts["customers:2"].AccountID.String(), "$c3", b.accounts["customers:3"].AccountID.String())
}

// truncate removes everything from an entry on.
func (c *crime) truncate(from int64) {
	for _, table := range []string{"book.entries", "book.postings", "book.details", "book.account_versions", "ops.payloads", "ops.metadata_terms"} {
		mustExec(c.t, c.conn, "delete from "+table+" where seq >= $1", from)
	}
}

// unsign removes checkpoints and nodes that cover more than some first entries,
// and shows the last that is left.
func (c *crime) unsign(size int64) {
	mustExec(c.t, c.conn, "delete from book.checkpoints where size > $1", size)
	mustExec(c.t, c.conn, "delete from book.tiles where (position + 1) * 256 > $1", size)
	mustExec(c.t, c.conn, "delete from ops.heads")
	mustExec(c.t, c.conn, "insert into ops.heads select ledger_id, size, note, signed_at, 'serve' from book.checkpoints order by size desc limit 1")
}

// forge replaces the entries by those of another history, with every hash made
// to fit, and leaves what was signed.
func (c *crime) forge() {
	c.truncate(0)
	c.do("delete from book.accounts", "delete from book.ledgers")
	c.b, _ = sealedBook(c.t, c.key, 99_999)
	c.b.write(c.t, c.conn)
}

// resign signs the forged history with the stolen key.
func (c *crime) resign() {
	c.do("delete from book.checkpoints", "delete from book.tiles", "delete from ops.heads")
	c.b.seal(c.t, c.conn, c.key, sealedSizes...)
}

// append adds an entry whose chain is sound: the application's secrets were
// stolen.
func (c *crime) append(make func(b *book)) {
	make(c.b)
	c.b.write(c.t, c.conn)
}

// state is the signer's state of an honest ledger.
func (c *crime) state(b *book, size int64) *reconcile.Document {
	position := map[string]any{"size": size, "root": b.rootAt(size).String(), "head": b.leaves[size-1].String(), "note": string(b.sign(c.t, c.key, size))}
	data, err := json.Marshal(map[string]any{"version": 1, "ledgers": map[string]any{b.ledger.String(): position}})
	if err != nil {
		c.t.Fatal(err)
	}
	return document("state.json", data)
}

// tableRow is a row of the attack table: what is done, the finding that must be
// there, and where it must stand first.
type tableRow struct {
	name   string
	commit func(c *crime)
	want   string // CODE@first bad seq, or CODE of the ledger as a whole
	status reconcile.Status
	also   []string
	// postgres: CockroachDB has no such thing.
	postgres bool
}

const tampered = reconcile.Tampered

var table = []tableRow{
	{name: "nothing", commit: func(*crime) {}, status: reconcile.Verified},

	{name: "amount edited", commit: func(c *crime) { c.do("update book.postings set amount = 77 where seq = 120") }, want: "ENTRY_HASH_MISMATCH@120", status: tampered},
	{name: "account edited", commit: func(c *crime) {
		c.do("update book.postings set account_id = '$c3', account_seq = 1 where seq = 120 and ordinal = 1")
	}, want: "ENTRY_HASH_MISMATCH@120", status: tampered},
	{name: "currency edited", commit: func(c *crime) { c.do("update book.postings set currency = 'USD' where seq = 120") }, want: "ENTRY_HASH_MISMATCH@120", status: tampered},
	{name: "value date of a posting edited", commit: func(c *crime) {
		c.do("update book.postings set effective_date = '2026-01-01' where seq = 120 and ordinal = 0")
	}, want: "ENTRY_HASH_MISMATCH@120", status: tampered},
	{name: "value date of an entry edited", commit: func(c *crime) { c.do("update book.entries set effective_date = '2026-01-01' where seq = 120") }, want: "ENTRY_HASH_MISMATCH@120", status: tampered},
	{name: "backdated and hashed again", commit: func(c *crime) {
		forged := rehash(c, 120, func(e *chain.Entry) { e.RecordedAt -= 500_000 })
		mustExec(c.t, c.conn, "update book.entries set recorded_at = $1, entry_hash = $2 where seq = 120", time.UnixMicro(forged.RecordedAt), hashOf(forged))
	}, want: "CHAIN_BREAK@121", status: tampered},
	{name: "stored hash replaced", commit: func(c *crime) { c.do("update book.entries set entry_hash = prev_hash where seq = 99") }, want: "ENTRY_HASH_MISMATCH@99", status: tampered,
		also: []string{"CHECKPOINT_ROOT_MISMATCH@99", "TILE_MISMATCH@255"}},
	{name: "suffix hashed again", commit: (*crime).forge, want: "CHECKPOINT_ROOT_MISMATCH@255", status: tampered, also: []string{"TILE_MISMATCH@255"}},
	{name: "suffix hashed again, against the signer's state", commit: func(c *crime) {
		c.opts.SignerState, c.opts.Level = c.state(c.b, 298), reconcile.LevelEvidence
		c.forge()
		c.do("delete from book.checkpoints", "delete from book.tiles", "delete from ops.heads")
	}, want: "LOG_ROLLBACK@297", status: tampered},
	{name: "suffix hashed again, against a pin", commit: func(c *crime) {
		c.opts.Since = document("pin.cp", c.b.sign(c.t, c.key, 256))
		c.forge()
		c.do("delete from book.checkpoints", "delete from book.tiles", "delete from ops.heads")
	}, want: "PIN_INCONSISTENT@255", status: tampered},
	{name: "signed again with the stolen key", commit: func(c *crime) {
		c.opts.Archived, c.opts.Level = []reconcile.Document{*document("old.cp", c.b.sign(c.t, c.key, 256))}, reconcile.LevelEvidence
		c.forge()
		c.resign()
	}, want: "FORK_PROVEN@255", status: tampered},
	{name: "signed again at another size", commit: func(c *crime) {
		c.opts.Archived, c.opts.Level = []reconcile.Document{*document("old.cp", c.b.sign(c.t, c.key, 270))}, reconcile.LevelEvidence
		c.forge()
		c.resign()
	}, want: "FORK_PROVEN@269", status: tampered},
	{name: "signed again, against a pin", commit: func(c *crime) {
		c.opts.Since = document("pin.cp", c.b.sign(c.t, c.key, 256))
		c.forge()
		c.resign()
	}, want: "FORK_PROVEN@255", status: tampered, also: []string{"PIN_INCONSISTENT@255"}},

	{name: "last row deleted", commit: func(c *crime) { c.truncate(297) }, want: "TAIL_TRUNCATED@297", status: tampered},
	{name: "last rows deleted, rewound", commit: func(c *crime) {
		c.opts.Since = document("pin.cp", c.b.sign(c.t, c.key, 298))
		c.truncate(290)
		c.unsign(290)
	}, want: "LOG_ROLLBACK@290", status: tampered},
	{name: "checkpoints rewound, but not the tree", commit: func(c *crime) {
		c.truncate(200)
		c.do("delete from book.checkpoints where size > 200", "delete from ops.heads",
			"insert into ops.heads select ledger_id, size, note, signed_at, 'serve' from book.checkpoints order by size desc limit 1")
	}, want: "TAIL_TRUNCATED@200", status: tampered},
	{name: "restored from an honest backup", commit: func(c *crime) {
		c.opts.SignerState, c.opts.Level = c.state(c.b, 300), reconcile.LevelEvidence
		c.truncate(280)
		c.unsign(280)
	}, want: "LOG_ROLLBACK@280", status: tampered},
	{name: "tail deleted under a receipt", commit: func(c *crime) {
		c.opts.Receipts, c.opts.Level = []reconcile.Document{*document("r.tlog-proof", c.b.receipt(c.t, c.key, c.held, 298))}, reconcile.LevelEvidence
		c.truncate(297)
		c.unsign(297)
	}, want: "RECEIPT_NOT_INCLUDED@297", status: tampered, also: []string{"LOG_ROLLBACK@297"}},

	{name: "middle row deleted", commit: func(c *crime) {
		c.do("delete from book.entries where seq = 120", "delete from book.postings where seq = 120", "delete from ops.payloads where seq = 120")
	}, want: "SEQ_GAP@120", status: tampered},
	{name: "middle row deleted behind the tree", commit: func(c *crime) { c.do("delete from book.entries where seq = 270") }, want: "SEQ_GAP@270", status: tampered},
	{name: "deleted and renumbered", commit: func(c *crime) {
		c.do("delete from book.entries where seq = 120", "delete from book.postings where seq = 120", "delete from ops.payloads where seq = 120")
		for _, t := range []string{"book.entries", "book.postings", "ops.payloads"} {
			for seq := 121; seq < sealedEntries; seq++ {
				mustExec(c.t, c.conn, "update "+t+" set seq = $1 where seq = $2", seq-1, seq)
			}
		}
	}, want: "ENTRY_HASH_MISMATCH@120", status: tampered, also: []string{"CHECKPOINT_ROOT_MISMATCH@255"}},
	{name: "row copied to the tail", commit: func(c *crime) {
		dropUnique(c.t, c.conn, "entries", "i8_entries_request")
		c.append(func(b *book) {
			b.append(chain.Entry{Kind: chain.Transfer, RequestID: c.held.RequestID, Postings: b.move("cash", "customers:2", 3, 0)}, words{})
		})
	}, want: "DUPLICATE_TRANSFER@300", status: tampered, also: []string{"SCHEMA_TAMPERED"}},
	{name: "unbalanced entry appended", commit: func(c *crime) {
		c.append(func(b *book) {
			b.append(chain.Entry{Kind: chain.Transfer, Postings: []chain.Posting{b.post("cash", chain.Debit, 100, 0), b.post("customers:1", chain.Credit, 99, 0)}}, words{})
		})
	}, want: "UNBALANCED_ENTRY@300", status: tampered},
	{name: "wrong resulting balance", commit: func(c *crime) {
		c.append(func(b *book) {
			b.accounts["customers:1"].posted, _ = b.accounts["customers:1"].posted.Sub(*units(7))
			b.transfer("cash", "customers:1", 1)
		})
	}, want: "BALANCE_CHAIN_BREAK@300", status: tampered},
	{name: "account_seq skipped", commit: func(c *crime) {
		c.append(func(b *book) { b.accounts["customers:1"].seq++; b.transfer("cash", "customers:1", 1) })
	}, want: "ACCOUNT_SEQ_GAP@300", status: tampered},

	{name: "limit changed", commit: func(c *crime) { c.do("update book.account_versions set min_balance = -6 where seq = 5") }, want: "ACCOUNT_STATE_MISMATCH@5", status: tampered},
	{name: "status changed", commit: func(c *crime) { c.do("update book.account_versions set closed = true where seq = 5") }, want: "ACCOUNT_STATE_MISMATCH@5", status: tampered},
	{name: "type changed", commit: func(c *crime) { c.do("update book.accounts set type = 'equity' where account_id = '$cash'") }, want: "ACCOUNT_STATE_MISMATCH@1", status: tampered},
	{name: "posting deleted", commit: func(c *crime) { c.do("delete from book.postings where seq = 120 and ordinal = 1") }, want: "POSTING_COUNT_MISMATCH@120", status: tampered},
	{name: "description edited", commit: func(c *crime) { c.do("update ops.payloads set description = 'for Eve' where seq = 8") }, want: "COMMITMENT_MISMATCH@8", status: tampered},
	{name: "metadata edited", commit: func(c *crime) { c.do("update ops.payloads set metadata = '{}' where seq = 8") }, want: "COMMITMENT_MISMATCH@8", status: tampered},
	{name: "description deleted", commit: func(c *crime) { c.do("update ops.payloads set description = null where seq = 8") }, want: "PAYLOAD_MISSING@8", status: tampered},
	{name: "description erased on record", commit: func(c *crime) {
		c.append(func(b *book) {
			b.append(chain.Entry{Kind: chain.Erasure, RefSeq: new(int64(8)), Details: facts("basis", "gdpr_17")}, words{})
		})
		c.do("delete from ops.payloads where seq = 8", "delete from ops.metadata_terms where seq = 8")
	}, want: "PAYLOAD_ERASED@8", status: reconcile.Verified},
	{name: "search column changed", commit: func(c *crime) { c.do("update book.postings set back_valued = true where seq = 120 and ordinal = 0") }, want: "PROJECTION_MISMATCH@120", status: tampered},
	{name: "search term changed", commit: func(c *crime) { c.do("delete from ops.metadata_terms where seq = 8") }, want: "PROJECTION_MISMATCH@8", status: tampered},
	{name: "node of the tree changed", commit: func(c *crime) { mustExec(c.t, c.conn, "update book.tiles set hash = $1", make([]byte, 32)) }, want: "TILE_MISMATCH@255", status: tampered},
	{name: "node of no tree", commit: func(c *crime) {
		mustExec(c.t, c.conn, "insert into book.tiles values ($1, 7, 9223372036854775807, $2)", c.b.ledger, make([]byte, 32))
	}, want: "TILE_MISMATCH", status: tampered},
	{name: "node of the tree deleted", commit: func(c *crime) { c.do("delete from book.tiles") }, want: "TILE_MISMATCH@255", status: tampered},

	{name: "text of a checkpoint edited", commit: func(c *crime) {
		c.do(`update book.checkpoints set note = replace(note, E'\n256\n', E'\n255\n') where size = 256`)
	}, want: "CHECKPOINT_BAD_SIGNATURE@255", status: tampered},
	{name: "text of a checkpoint removed", commit: func(c *crime) { c.do("update book.checkpoints set note = '' where size = 256") }, want: "CHECKPOINT_BAD_SIGNATURE@255", status: tampered},
	{name: "root of a checkpoint edited", commit: func(c *crime) {
		mustExec(c.t, c.conn, "update book.checkpoints set root = $1 where size = 256", make([]byte, 32))
	},
		want: "PROJECTION_MISMATCH@255", status: tampered},
	{name: "signed by an unknown key", commit: func(c *crime) {
		mustExec(c.t, c.conn, "update book.checkpoints set note = $1 where size = 256", string(c.b.sign(c.t, signingKey(c.t, "mallory"), 256)))
	}, want: "CHECKPOINT_UNKNOWN_KEY@255", status: tampered},
	{name: "signed before its key was named, by the first key", commit: func(c *crime) {
		root := c.b.rootAt(6)
		mustExec(c.t, c.conn, "insert into book.checkpoints values ($1, 6, $2, $3, now())", c.b.ledger, root[:], string(c.b.sign(c.t, c.key, 6)))
	}, status: reconcile.Verified},
	{name: "signed before its key was named, by another", commit: func(c *crime) {
		second := signingKey(c.t, "second")
		c.append(func(b *book) { b.changeKey(c.t, chain.KeyAdd, second) })
		mustExec(c.t, c.conn, "update book.checkpoints set note = $1 where size = 256", string(c.b.sign(c.t, second, 256)))
	}, want: "CHECKPOINT_UNKNOWN_KEY@255", status: tampered},
	{name: "origin of a checkpoint changed", commit: func(c *crime) {
		c.do("update book.checkpoints set note = replace(note, 'tallystick.test/', 'elsewhere.test/') where size = 256")
	},
		want: "ORIGIN_MISMATCH@255", status: tampered},
	{name: "checkpoint deleted that is shown", commit: func(c *crime) { c.do("delete from book.checkpoints where size = 298") }, want: "PROJECTION_MISMATCH@297", status: tampered},
	{name: "an older checkpoint shown", commit: func(c *crime) { c.b.show(c.t, c.conn, c.b.sign(c.t, c.key, 256), 256) }, want: "PROJECTION_MISMATCH@297", status: tampered},
	{name: "no checkpoint shown", commit: func(c *crime) { c.do("delete from ops.heads") }, want: "PROJECTION_MISMATCH@297", status: tampered},
	{name: "every checkpoint deleted, under a policy for another origin", commit: func(c *crime) {
		c.opts.Policy = policyOf(c.t, "log %s\nquorum none\n", verifierKey(c.t, c.key, "elsewhere.test/x"))
		c.do("delete from book.checkpoints", "delete from book.tiles", "delete from ops.heads")
	}, status: reconcile.Incomplete},
	{name: "every checkpoint deleted, and a fresh one asked for", commit: func(c *crime) {
		c.opts.Fresh = time.Minute
		c.do("delete from book.checkpoints", "delete from book.tiles", "delete from ops.heads")
	}, status: reconcile.Incomplete},
	{name: "a key of the policy missing", commit: func(c *crime) {
		c.opts.Policy = policyOf(c.t, "log %s\nquorum none\n", verifierKey(c.t, signingKey(c.t, "other"), c.b.terms.Origin))
	}, want: "CHECKPOINT_UNKNOWN_KEY@99", status: tampered},
	{name: "no quorum", commit: func(c *crime) { c.witness(0, "w1", 298) }, want: "WITNESS_QUORUM_NOT_MET@297", status: tampered},
	{name: "a quorum that is too old", commit: func(c *crime) {
		c.witness(2, "", 298)
		c.opts.Fresh = time.Hour
	}, want: "WITNESS_QUORUM_NOT_MET@297", status: tampered, also: []string{"CHECKPOINT_STALE@297"}},
	{name: "a quorum", commit: func(c *crime) { c.witness(2, "", 298) }, status: reconcile.Verified},
	{name: "cosignature of another root", commit: func(c *crime) { c.witness(1, "w1", 280) }, want: "COSIGNATURE_INVALID@297", status: tampered},
	{name: "an empty baseline", commit: func(c *crime) { c.opts.Since = document("empty.cp", c.b.sign(c.t, c.key, 0)) }, want: "REJECT_EMPTY_BASELINE@0", status: tampered},

	{name: "segment of another ledger", commit: func(c *crime) {
		other := newBook("other")
		other.open("cash", chain.Asset, nil)
		other.open("customers:1", chain.Liability, nil)
		for other.next < 304 {
			other.transfer("cash", "customers:1", 1)
		}
		other.write(c.t, c.conn)
		for _, t := range []string{"book.entries", "book.postings", "ops.payloads"} {
			mustExec(c.t, c.conn, "update "+t+" set ledger_id = $1 where ledger_id = $2 and seq >= 300", c.b.ledger, other.ledger)
		}
	}, want: "LEDGER_ID_MISMATCH@300", status: tampered},
	{name: "reversal of what was reversed", commit: func(c *crime) {
		c.do("drop index book.i12_entries_reversed")
		c.append(func(b *book) { b.reverse(c.held); b.reverse(c.held) })
	}, want: "REVERSAL_INVALID@301", status: tampered},
	{name: "capture beyond its hold", commit: func(c *crime) {
		c.append(func(b *book) {
			hold := b.hold("customers:1", "cash", 10, 0)
			b.settle(chain.Capture, hold, b.move("customers:1", "cash", 11, -10))
		})
	}, want: "HOLD_INVALID@301", status: tampered},

	{name: "entries behind a view", commit: func(c *crime) {
		c.do("alter table book.entries rename to hidden", "create view book.entries as select * from book.hidden where seq < 290",
			"grant select on book.entries to tallystick_auditor")
	}, want: "ROWS_FILTERED", status: tampered, also: []string{"SCHEMA_TAMPERED", "TAIL_TRUNCATED@290"}},
	{name: "entries behind a policy", commit: func(c *crime) {
		c.do("alter table book.entries enable row level security", "create policy hide on book.entries for select using (seq < 290)")
	}, want: "ROWS_FILTERED", status: tampered, postgres: true},
	{name: "a rule on entries", commit: func(c *crime) { c.do("create rule quiet as on delete to book.entries do instead nothing") }, want: "ROWS_FILTERED", status: tampered, postgres: true},
	// It would hide an entry if the reader did not name the engine's operators.
	{name: "operators of the owner's", commit: func(c *crime) {
		c.do("create schema owners", "grant usage on schema owners to public",
			"create function owners.less(int8, int8) returns bool language sql immutable as 'select $1 operator(pg_catalog.<) $2 and $1 operator(pg_catalog.<>) 298'",
			"create operator owners.< (leftarg = int8, rightarg = int8, function = owners.less)")
		mustExec(c.t, c.conn, `alter database "`+c.conn.Config().Database+`" set search_path = owners, pg_catalog, public`)
	}, status: reconcile.Verified, postgres: true},
	{name: "a trigger on postings", commit: func(c *crime) {
		c.do("create function book.bend() returns trigger language plpgsql as 'begin return new; end'",
			"create trigger bend before insert on book.postings for each row execute function book.bend()")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a table that inherits", commit: func(c *crime) { c.do("create table book.more () inherits (book.postings)") }, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a constraint dropped", commit: func(c *crime) { c.do("alter table book.postings drop constraint i1_postings_amount_positive") }, want: "SCHEMA_TAMPERED", status: tampered},
	{name: "a constraint that demands nothing", commit: func(c *crime) {
		c.do("alter table book.postings drop constraint i1_postings_amount_positive", "alter table book.postings add constraint i1_postings_amount_positive check (true)")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a unique index of other columns", commit: func(c *crime) {
		c.do("drop index book.i12_entries_settled", "create unique index i12_entries_settled on book.entries (ledger_id, seq)")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a key of other columns", commit: func(c *crime) {
		c.do("alter table book.entries drop constraint i8_entries_request", "alter table book.entries add constraint i8_entries_request unique (ledger_id, request_id, seq)")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a unique index dropped", commit: func(c *crime) { c.do("drop index book.i12_entries_settled") }, want: "SCHEMA_TAMPERED", status: tampered},
	{name: "a column added", commit: func(c *crime) { c.do("alter table book.entries add column note text") }, want: "SCHEMA_TAMPERED", status: tampered},
	{name: "a column that compares in another way", commit: func(c *crime) { c.do(inAnyCase("postings", "currency")...) },
		want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a table gone", commit: func(c *crime) { c.do("alter table book.details rename to kept") }, want: "SCHEMA_TAMPERED", status: tampered},
	{name: "a type that only has the right name", commit: func(c *crime) {
		c.do("create schema evil", `create collation evil.anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
			"create domain evil.text as pg_catalog.text collate evil.anycase", "alter table book.postings alter column currency type evil.text")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "an operator that fits better than the engine's", commit: func(c *crime) {
		c.do("create schema evil", "grant usage on schema evil to public",
			"create function evil.zero(a numeric, b int4) returns bool language sql immutable as $$ select pg_catalog.numeric_eq(a, 777) or pg_catalog.numeric_eq(a, b::numeric) $$",
			"create operator pg_catalog.= (leftarg = numeric, rightarg = int4, function = evil.zero)")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "an index that is not in force", commit: func(c *crime) {
		c.do("update pg_index set indisvalid = false, indisready = false where indexrelid = 'book.i8_entries_request'::regclass")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a key that keeps nothing unique", commit: func(c *crime) {
		c.do("update pg_index set indisunique = false where indexrelid = 'book.i10_accounts_code'::regclass")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a foreign key that deletes", commit: func(c *crime) {
		c.do("create table public.p (id uuid primary key)", "insert into public.p select request_id from book.entries",
			"alter table book.entries add foreign key (request_id) references public.p on delete cascade")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a table without a log", commit: func(c *crime) { c.do("alter table book.details set unlogged") }, want: "CONTROL_WEAKENED", status: reconcile.Verified, postgres: true},
	{name: "a posting on an account under another ledger", commit: func(c *crime) {
		c.do(`insert into book.postings select '018f0000-0000-7000-8000-0000000000ff', seq, ordinal, account_id, 'credit', currency, scale, 1000000, 0, effective_date, back_valued, account_seq + 1, posted - 1000000, 0, 0, false
			from book.postings where account_id = '$c1' order by account_seq desc limit 1`)
	}, want: "LEDGER_ID_MISMATCH", status: tampered},
	{name: "attributes of an account under another ledger", commit: func(c *crime) {
		c.do(`insert into book.account_versions select account_id, 60, '018f0000-0000-7000-8000-0000000000ff', -999999, null, 'none', false, '{}' from book.accounts where account_id = '$c1'`)
	}, want: "LEDGER_ID_MISMATCH", status: tampered},
	{name: "a closed account opened again", commit: func(c *crime) {
		c.append(func(b *book) {
			b.change("customers:3", func(a *chain.Account) { a.Closed = true })
			b.change("customers:3", func(a *chain.Account) { a.Closed = false })
		})
	}, want: "ACCOUNT_STATE_MISMATCH@301", status: tampered},
	{name: "the kind of the first entry", commit: func(c *crime) { c.do("update book.entries set kind = 'zz' where seq = 0") }, want: "ENTRY_HASH_MISMATCH@0", status: tampered},
	{name: "the kind of an entry about an account", commit: func(c *crime) { c.do("update book.entries set kind = 'zz' where seq = 2") }, want: "ENTRY_HASH_MISMATCH@2", status: tampered},
	{name: "two accounts of one code", commit: func(c *crime) {
		c.do("alter table book.accounts drop constraint i10_accounts_code", "update book.accounts set code = 'cash' where account_id = '$c1'")
	}, want: "ACCOUNT_STATE_MISMATCH@1", also: []string{"ACCOUNT_STATE_MISMATCH@2", "SCHEMA_TAMPERED"}, status: tampered},
	{name: "the origin edited, and a pin of the ledger kept", commit: func(c *crime) {
		c.do("update book.ledgers set origin = 'evil/' || ledger_id::text")
		c.opts.Since = document("pin.cp", c.b.sign(c.t, c.key, sealedSizes[0]))
	}, want: "ENTRY_HASH_MISMATCH@0", also: []string{"ORIGIN_MISMATCH@0"}, status: tampered},
	{name: "a view that answers as if the engine were going away", commit: func(c *crime) {
		c.do("alter table book.entries rename to kept",
			"create function book.away() returns bool language plpgsql as $$ begin raise exception 'away' using errcode = '57P01'; end $$",
			"create view book.entries as select * from book.kept where book.away()", "grant select on book.entries to tallystick_auditor")
	}, want: "ROWS_FILTERED", also: []string{"SCHEMA_TAMPERED"}, status: tampered, postgres: true},
	{name: "what is shown cannot be read", commit: func(c *crime) { c.do("revoke select on ops.heads from tallystick_auditor") }, status: reconcile.Incomplete},
	{name: "what nights stored may be changed", commit: func(c *crime) { c.do("grant update, delete on ops.run_outputs, ops.snapshots to tallystick_app") }, want: "CONTROL_WEAKENED", status: reconcile.Verified},
	{name: "runs replaced by a view", commit: func(c *crime) {
		c.do("alter table ops.runs rename to kept", "create view ops.runs as select * from ops.kept", "grant select on ops.runs to tallystick_auditor")
	}, want: "ROWS_FILTERED", also: []string{"SCHEMA_TAMPERED"}, status: tampered},
	{name: "a schema given away", commit: func(c *crime) { c.do("alter schema book owner to tallystick_app") }, want: "CONTROL_WEAKENED", status: reconcile.Verified, postgres: true},
	{name: "a function that lends rights", commit: func(c *crime) {
		c.do("create function public.lent() returns void language sql security definer as 'delete from book.details'")
	}, want: "CONTROL_WEAKENED", status: reconcile.Verified, postgres: true},
	{name: "grants widened", commit: func(c *crime) { c.do("grant update, delete on book.entries to tallystick_app") }, want: "CONTROL_WEAKENED", status: reconcile.Verified},
	{name: "grants to everybody", commit: func(c *crime) { c.do("grant insert on book.postings to public") }, want: "CONTROL_WEAKENED", status: reconcile.Verified},
	{name: "one column granted", commit: func(c *crime) { c.do("grant update (amount) on book.postings to tallystick_app") }, want: "CONTROL_WEAKENED", status: reconcile.Verified, postgres: true},
	{name: "a schema opened", commit: func(c *crime) { c.do("grant create on schema book to tallystick_app") }, want: "CONTROL_WEAKENED", status: reconcile.Verified, postgres: true},
	{name: "owner changed", commit: func(c *crime) { c.do("alter table book.postings owner to current_user") }, want: "CONTROL_WEAKENED", status: reconcile.Verified},

	// Every row is there, and one is not in the index that readers would take for whole.
	{name: "an index that lies", commit: func(c *crime) {
		c.do("create function book.p(int8) returns bool language sql immutable as 'select $1 <> 290'",
			"create index entries_by_seq on book.entries (ledger_id, seq) where book.p(seq)",
			"create or replace function book.p(int8) returns bool language sql immutable as 'select true'")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "an index over fewer rows", commit: func(c *crime) {
		c.do("drop index book.entries_rules", "create index entries_rules on book.entries (ledger_id, seq) where kind in ('period_closed', 'period_reopened')")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "an index of somebody's", commit: func(c *crime) { c.do("create index mine on book.entries (recorded_at)") }, want: "CONTROL_WEAKENED", status: reconcile.Verified, postgres: true},
	{name: "an index gone", commit: func(c *crime) { c.do("drop index book.postings_amount") }, want: "CONTROL_WEAKENED", status: reconcile.Verified, postgres: true},
	{name: "a constraint of somebody's", commit: func(c *crime) { c.do("alter table ops.runs add constraint mine check (phase <> 'x')") }, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a column with values of its own", commit: func(c *crime) {
		c.do("alter table book.details alter column ordinal add generated by default as identity")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "conditions that are not looked at", commit: func(c *crime) {
		c.do("update pg_class set relchecks = 0 where oid = 'book.postings'::regclass")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a key that waits", commit: func(c *crime) {
		c.do("update pg_index set indimmediate = false where indexrelid = 'book.i8_entries_request'::regclass")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "amounts sent by somebody's function", commit: func(c *crime) {
		c.do("create function public.lie(numeric) returns bytea language sql immutable as 'select numeric_send($1)'",
			"update pg_type set typsend = 'public.lie(numeric)'::regprocedure where oid = 'numeric'::regtype")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a function of the engine's that is not", commit: func(c *crime) {
		c.do("create function pg_catalog.length(jsonb) returns int4 language sql immutable as 'select 32'")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a function of the engine's replaced", commit: func(c *crime) {
		c.do("alter function pg_catalog.pg_get_constraintdef(oid) rename to kept",
			"create function pg_catalog.pg_get_constraintdef(oid) returns text language sql stable as 'select pg_catalog.kept($1)'")
	}, want: "SCHEMA_TAMPERED", status: tampered, postgres: true},
	{name: "a function of whoever hosts the engine", commit: func(c *crime) {
		c.do("create function pg_catalog.hosted_version() returns text language sql immutable as $$ select '1'::text $$")
	}, status: reconcile.Verified, postgres: true},
	{name: "a view beside the tables", commit: func(c *crime) { c.do("create view ops.report as select * from book.postings") }, want: "CONTROL_WEAKENED", status: reconcile.Verified},
	{name: "a view that lends rights", commit: func(c *crime) {
		c.do("create schema elsewhere", "create view elsewhere.report as select * from book.postings", "grant update on elsewhere.report to tallystick_app")
	}, want: "CONTROL_WEAKENED", status: reconcile.Verified, postgres: true},
	{name: "a trigger where nothing is verified", commit: func(c *crime) {
		c.do("create function public.quiet() returns trigger language plpgsql as 'begin return null; end'",
			"create trigger quiet before insert on ops.findings for each row execute function public.quiet()")
	}, want: "CONTROL_WEAKENED", status: reconcile.Verified, postgres: true},
	{name: "keys to everybody", commit: func(c *crime) { c.do("grant select, update on ops.api_keys to public") }, want: "CONTROL_WEAKENED", status: reconcile.Verified},

	{name: "an entry booked on a later day", commit: func(c *crime) {
		c.append(func(b *book) {
			b.append(chain.Entry{Kind: chain.Transfer, BookingDate: chain.DateOf(b.now) + 1, Postings: b.move("cash", "customers:1", 5, 0)}, words{})
			b.transfer("cash", "customers:1", 5) // of the day before, which it must not go back to
		})
	}, want: "BOOKING_DATE_MISMATCH@300", also: []string{"TIME_REGRESSION@301"}, status: tampered},
	{name: "an entry booked on an earlier day", commit: func(c *crime) {
		c.append(func(b *book) {
			b.now = b.now.Add(48 * time.Hour)
			b.append(chain.Entry{Kind: chain.Transfer, BookingDate: chain.DateOf(b.now) - 1, Postings: b.move("cash", "customers:1", 5, 0)}, words{})
		})
	}, want: "BOOKING_DATE_MISMATCH@300", status: tampered},
	{name: "a whole ledger deleted", commit: func(c *crime) {
		c.vanish()
		c.do("delete from book.checkpoints", "delete from book.tiles", "delete from ops.heads")
	}, want: "LEDGER_MISSING@0", status: tampered},
	{name: "a whole ledger deleted but for its checkpoints", commit: func(c *crime) { c.vanish(); c.do("delete from book.super_log") }, want: "LEDGER_MISSING@0", status: tampered},
	{name: "a row of the super-log that is not its leaf", commit: func(c *crime) {
		c.opts.SuperLog = true
		c.logged()
	}, want: "SUPER_LOG_MISMATCH", status: tampered}, // and more: superlog_test.go
	{name: "a part that cannot be read", commit: func(c *crime) { c.do("revoke select on book.details from tallystick_auditor") }, status: reconcile.Incomplete},
	{name: "checkpoints that cannot be read", commit: func(c *crime) { c.do("revoke select on book.checkpoints from tallystick_auditor") }, status: reconcile.Incomplete},
	{name: "entries that cannot be read", commit: func(c *crime) { c.do("revoke select on book.entries from tallystick_auditor") }, status: reconcile.Incomplete},
}

// logged has the super-log name a checkpoint of the ledger, in a row with another leaf.
func (c *crime) logged() {
	root := c.b.rootAt(298)
	mustExec(c.t, c.conn, "insert into book.super_log values (0, $1, $2, 298, $3, now(), $3)", c.b.ledger, c.b.terms.Origin, root[:])
}

// vanish deletes the ledger, of which the super-log has a checkpoint.
func (c *crime) vanish() {
	c.logged()
	c.truncate(0)
	c.do("delete from book.accounts", "delete from book.ledgers")
}

// witness has two witnesses cosign, of which the policy wants two: the first n
// the checkpoint that is shown, and another one, if named, that of another size.
func (c *crime) witness(n int, pasted string, size int64) {
	signed := c.b.sign(c.t, c.key, 298)
	text := fmt.Sprintf("log %s\n", verifierKey(c.t, c.key, c.b.terms.Origin))
	for i, name := range []string{"w1", "w2"} {
		w := witnessKey(c.t, name)
		text += fmt.Sprintf("witness %s %s\n", name, w.VerifierKey())
		if i >= len([]string{"w1", "w2"})-n {
			signed = c.b.cosign(c.t, signed, w, 298, shownAt)
		} else if name == pasted && size != 298 {
			signed = c.b.cosign(c.t, signed, w, size, shownAt)
		}
	}
	c.opts.Policy = policyOf(c.t, "%sgroup both all w1 w2\nquorum both\n", text)
	c.b.show(c.t, c.conn, signed, 298)
}

// rehash returns an honest entry with a change.
func rehash(c *crime, seq int64, change func(*chain.Entry)) chain.Entry {
	e := c.b.made[seq-8] // kept from entry 8 on
	if e.Seq != seq {
		c.t.Fatalf("entry %d is not entry %d", e.Seq, seq)
	}
	change(&e)
	return e
}

func hashOf(e chain.Entry) []byte {
	h := e.Hash()
	return h[:]
}

// TestTheAttackTable is every row of the attack table that can be done to a
// database: the finding is there with its first bad seq, and nothing that says
// less stands before it at that seq.
func TestTheAttackTable(t *testing.T) {
	t.Parallel()
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				c := &crime{t: t, conn: connect(t, url), key: signingKey(t, "signer")}
				if row.postgres && c.conn.PgConn().ParameterStatus("crdb_version") != "" {
					t.Skip("this engine has no such thing")
				}
				c.b, c.held = sealedBook(t, c.key, 1)
				c.b.write(t, c.conn)
				c.b.seal(t, c.conn, c.key, sealedSizes...)
				row.commit(c)
				report := verifyWith(t, url, c.b.ledger, c.opts)
				if report.Status != row.status {
					t.Errorf("status %s, want %s: %v %v", report.Status, row.status, codes(report.Findings), report.NotChecked)
				}
				got := codes(report.Findings)
				if row.want == "" {
					if len(got) > 0 {
						t.Errorf("found %v, want nothing", got)
					}
					return
				}
				firstOfItsCode(t, got, row.want)
				for _, want := range row.also {
					if !slices.Contains(got, want) {
						t.Errorf("found %v, want also %s", got, want)
					}
				}
			})
		})
	}
}

// firstOfItsCode looks for a finding that is the first of its code, and the
// first at its seq.
func firstOfItsCode(t *testing.T, got []string, want string) {
	t.Helper()
	code, seq, located := strings.Cut(want, "@")
	first := slices.IndexFunc(got, func(s string) bool { return s == code || strings.HasPrefix(s, code+"@") })
	if first < 0 || got[first] != want {
		t.Errorf("found %v, want %s to be the first of its code", got, want)
		return
	}
	at := slices.IndexFunc(got, func(s string) bool {
		return located && strings.HasSuffix(s, "@"+seq) || !located && !strings.Contains(s, "@")
	})
	if at != first {
		t.Errorf("found %v: %s stands before %s", got, got[at], want)
	}
}
