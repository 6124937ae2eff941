package reconcile_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// attack changes a sample ledger behind the application's back, with the rights
// of the owner of the database.
type attack struct {
	name string
	// sql runs in order; $L, $cash and so on become literals.
	sql []string
	// want is the complete list of findings, in order.
	want []string
	// status other than Tampered.
	status reconcile.Status
	// postgres: CockroachDB does not let even the owner do it.
	postgres bool
}

// dropChecks stands for dropping every CHECK of a table of the book.
func dropChecks(table string) string { return checksOf + table }

const checksOf = "drop the checks of "

// inAnyCase has a text column compare without regard to capitals.
func inAnyCase(table, column string) []string {
	return []string{"create collation public.any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
		"alter table book." + table + " alter column " + column + " type text collate public.any_case"}
}

// withoutSeqs lets rows of a table stand nowhere.
func withoutSeqs(table, key string) []string {
	return []string{"alter table book." + table + " drop constraint " + key, "alter table book." + table + " alter column seq drop not null"}
}

var attacks = []attack{
	{"an amount", []string{"update book.postings set amount = 12.35 where seq = 8 and ordinal = 0"},
		[]string{"ENTRY_HASH_MISMATCH@8", "UNBALANCED_ENTRY@8", "BALANCE_CHAIN_BREAK@8"}, "", false},
	{"both amounts", []string{"update book.postings set amount = 12.35 where seq = 8"},
		[]string{"ENTRY_HASH_MISMATCH@8", "BALANCE_CHAIN_BREAK@8", "BALANCE_CHAIN_BREAK@8"}, "", false},
	{"an account", []string{"update book.postings set account_id = '$fxeur', account_seq = 7 where seq = 19 and ordinal = 0"},
		[]string{"ENTRY_HASH_MISMATCH@19", "ACCOUNT_SEQ_GAP@19", "CURRENCY_NOT_ZERO"}, "", false},
	{"a currency", []string{"update book.postings set currency = 'USD' where seq = 19 and ordinal = 1"},
		[]string{"ENTRY_HASH_MISMATCH@19", "UNBALANCED_ENTRY@19", "UNBALANCED_ENTRY@19", "CURRENCY_MISMATCH@19", "CURRENCY_NOT_ZERO", "CURRENCY_NOT_ZERO"}, "", false},
	{"a scale", []string{dropChecks("postings"), "update book.postings set scale = 3 where seq = 8 and ordinal = 0"},
		[]string{"ENTRY_HASH_MISMATCH@8", "UNBALANCED_ENTRY@8", "UNBALANCED_ENTRY@8", "BALANCE_CHAIN_BREAK@8", "CURRENCY_MISMATCH@8", "BALANCE_CHAIN_BREAK@10"}, "", false},
	{"a value date of a posting", []string{"update book.postings set effective_date = '2026-01-01' where seq = 8 and ordinal = 0"},
		[]string{"ENTRY_HASH_MISMATCH@8", "PROJECTION_MISMATCH@8"}, "", false},
	{"a value date of an entry", []string{"update book.entries set effective_date = '2026-01-01' where seq = 8"}, []string{"ENTRY_HASH_MISMATCH@8"}, "", false},
	{"a direction", []string{"update book.postings set direction = 'credit' where seq = 19 and ordinal = 0"},
		[]string{"ENTRY_HASH_MISMATCH@19", "UNBALANCED_ENTRY@19", "BALANCE_CHAIN_BREAK@19"}, "", false},
	{"a direction that equals another", append(inAnyCase("postings", "direction"), "update book.postings set direction = 'DEBIT' where seq = 8 and ordinal = 0"),
		[]string{"ENTRY_HASH_MISMATCH@8"}, "", true},
	{"a kind that equals another", append(inAnyCase("entries", "kind"), "update book.entries set kind = 'TransFER' where seq = 8"),
		[]string{"ENTRY_HASH_MISMATCH@8"}, "", true},
	{"a currency that equals another", append(inAnyCase("postings", "currency"), "update book.postings set currency = 'eur' where seq = 19 and ordinal = 1"),
		[]string{"ENTRY_HASH_MISMATCH@19", "UNBALANCED_ENTRY@19", "UNBALANCED_ENTRY@19", "ENTRY_MALFORMED@19", "CURRENCY_MISMATCH@19", "CURRENCY_NOT_ZERO", "CURRENCY_NOT_ZERO"}, "", true},
	{"an entry without a seq", append(withoutSeqs("entries", "i5_entries_seq"), "insert into book.entries select ledger_id, null, format, kind, '018f0000-0000-7000-8000-000000000001', "+
		"prev_hash, entry_hash, recorded_at, booking_date, effective_date, actor, prior_period, ref_seq, related_to, expires_at, posting_count from book.entries where seq = 8"),
		[]string{"ORPHAN_ROW"}, "", true},
	{"a posting without a seq", append(withoutSeqs("postings", "i4_postings"), "update book.postings set seq = null where seq = 19 and ordinal = 1"),
		[]string{"POSTING_COUNT_MISMATCH@19", "ENTRY_HASH_MISMATCH@19", "UNBALANCED_ENTRY@19", "ENTRY_MALFORMED@19", "ORPHAN_ROW", "CURRENCY_NOT_ZERO"}, "", true},
	{"an actor", []string{"update book.entries set actor = request_id where seq = 17"}, []string{"ENTRY_HASH_MISMATCH@17"}, "", false},
	{"a request id", []string{"update book.entries set request_id = actor where seq = 17"}, []string{"ENTRY_HASH_MISMATCH@17"}, "", false},
	{"a kind", []string{"update book.entries set kind = 'reversal', ref_seq = 3 where seq = 17"}, []string{"ENTRY_HASH_MISMATCH@17", "REVERSAL_INVALID@17"}, "", false},
	{"a detail", []string{"update book.details set value = 'EUR/USD 1.084' where seq = 9"}, []string{"ENTRY_HASH_MISMATCH@9"}, "", false},
	{"a detail removed", []string{"delete from book.details where seq = 18 and name = 'name'"}, []string{"ENTRY_HASH_MISMATCH@18"}, "", false},
	{"a term of the ledger", []string{"update book.ledgers set value_days_back = 1"}, []string{"ENTRY_HASH_MISMATCH@0", "VALUE_DATE_OUT_OF_BOUNDS@9"}, "", false},
	{"the stored hash alone", []string{"update book.entries set entry_hash = prev_hash where seq = 8"}, []string{"ENTRY_HASH_MISMATCH@8"}, "", false},
	{"the newest stored hash", []string{"update book.entries set entry_hash = prev_hash where seq = 19"}, []string{"ENTRY_HASH_MISMATCH@19"}, "", false},
	{"the previous hash", []string{"update book.entries set prev_hash = entry_hash where seq = 8"}, []string{"ENTRY_HASH_MISMATCH@8", "CHAIN_BREAK@8"}, "", false},
	{"the previous hash of the first entry", []string{"update book.entries set prev_hash = entry_hash where seq = 0"},
		[]string{"ENTRY_HASH_MISMATCH@0", "CHAIN_BREAK@0", "ENTRY_MALFORMED@0"}, "", false},

	{"NaN", []string{dropChecks("postings"), "update book.postings set amount = 'NaN' where seq = 8 and ordinal = 0"},
		[]string{"ENTRY_HASH_MISMATCH@8"}, "", false},
	{"more decimals than the scale", []string{dropChecks("postings"), "update book.postings set posted = 1.001 where seq = 8 and ordinal = 0"}, []string{"ENTRY_HASH_MISMATCH@8"}, "", false},
	{"an infinite time", []string{"update book.entries set recorded_at = 'infinity' where seq = 8"}, []string{"ENTRY_HASH_MISMATCH@8"}, "", false},
	{"a negative amount", []string{dropChecks("postings"), "update book.postings set amount = -amount where seq = 17"},
		[]string{"ENTRY_HASH_MISMATCH@17", "ENTRY_MALFORMED@17", "ENTRY_MALFORMED@17", "ENTRY_MALFORMED@17", "BALANCE_CHAIN_BREAK@17", "BALANCE_CHAIN_BREAK@17"}, "", false},
	{"a short hash", []string{dropChecks("entries"), `update book.entries set entry_hash = '\x00' where seq = 8`}, []string{"ENTRY_HASH_MISMATCH@8", "CHAIN_BREAK@9"}, "", false},
	{"a null", []string{"alter table book.entries alter column actor drop not null", "update book.entries set actor = null where seq = 8"}, []string{"ENTRY_HASH_MISMATCH@8"}, "", false},

	{"a middle entry deleted", []string{"delete from book.entries where seq = 14", "delete from book.postings where seq = 14", "delete from ops.payloads where seq = 14"},
		[]string{"SEQ_GAP@14", "REVERSAL_INVALID@15", "ACCOUNT_SEQ_GAP@15", "ACCOUNT_SEQ_GAP@15"}, "", false},
	{"a middle entry deleted, its postings left", []string{"delete from book.entries where seq = 14"},
		[]string{"SEQ_GAP@14", "ORPHAN_ROW@14", "ORPHAN_ROW@14", "REVERSAL_INVALID@15"}, "", false},
	{"several entries deleted", []string{"delete from book.entries where seq in (10, 11, 14)"},
		[]string{"SEQ_GAP@10", "ORPHAN_ROW@10", "ORPHAN_ROW@10", "ORPHAN_ROW@11", "ORPHAN_ROW@11", "SEQ_GAP@14", "ORPHAN_ROW@14", "ORPHAN_ROW@14", "REVERSAL_INVALID@15"}, "", false},
	{"an entry deleted and the rest renumbered", []string{
		"delete from ops.payloads where seq = 18", "delete from book.details where seq = 18", "delete from book.entries where seq = 18",
		"update book.entries set seq = 18 where seq = 19", "update book.postings set seq = 18 where seq = 19", "update ops.payloads set seq = 18 where seq = 19"},
		[]string{"ENTRY_HASH_MISMATCH@18", "CHAIN_BREAK@18"}, "", false},
	{"the first entry deleted", []string{"delete from book.entries where seq = 0", "delete from ops.payloads where seq = 0"}, []string{"SEQ_GAP@0"}, "", false},
	{"the tail deleted, its other rows left", []string{"delete from book.entries where seq >= 18"},
		[]string{"ORPHAN_ROW@18", "ORPHAN_ROW@18", "ORPHAN_ROW@19"}, "", false},
	{"an entry before the first", []string{dropChecks("entries"),
		"insert into book.entries select ledger_id, -4, format, kind, actor, prev_hash, entry_hash, recorded_at, booking_date, effective_date, actor, prior_period, null, null, null, 0, null, null, null from book.entries where seq = 18"},
		[]string{"SEQ_GAP@-4", "ENTRY_HASH_MISMATCH@-4", "ENTRY_MALFORMED@-4", "TIME_REGRESSION@0"}, "", false},
	{"an entry far beyond the others", []string{
		"insert into book.entries select ledger_id, 4611686018427387904, format, kind, actor, prev_hash, entry_hash, recorded_at, booking_date, effective_date, actor, prior_period, null, null, null, 0, null, null, null from book.entries where seq = 18"},
		[]string{"SEQ_GAP@20", "ENTRY_HASH_MISMATCH@4611686018427387904", "TIME_REGRESSION@4611686018427387904", "ENTRY_MALFORMED@4611686018427387904"}, "", false},
	{"an entry as far beyond the others as can be", []string{
		"insert into book.entries select ledger_id, 9223372036854775807, format, kind, actor, prev_hash, entry_hash, recorded_at, booking_date, effective_date, actor, prior_period, null, null, null, 0, null, null, null from book.entries where seq = 18"},
		[]string{"SEQ_GAP@20", "ORPHAN_ROW"}, "", false},
	{"an entry a little nearer", []string{
		"insert into book.entries select ledger_id, 9223372036854775804, format, kind, actor, prev_hash, entry_hash, recorded_at, booking_date, effective_date, actor, prior_period, null, null, null, 0, null, null, null from book.entries where seq = 18"},
		[]string{"SEQ_GAP@20", "ENTRY_HASH_MISMATCH@9223372036854775804", "TIME_REGRESSION@9223372036854775804", "ENTRY_MALFORMED@9223372036854775804"}, "", false},
	{"the same seq twice", []string{"alter table book.entries drop constraint i5_entries_seq", "alter table book.entries drop constraint i8_entries_request", "insert into book.entries select * from book.entries where seq = 18"},
		[]string{"SEQ_GAP@18", "ENTRY_HASH_MISMATCH@18", "DUPLICATE_TRANSFER@18", "ENTRY_MALFORMED@18"}, "", true},

	{"a posting deleted", []string{"delete from book.postings where seq = 19 and ordinal = 1"},
		[]string{"POSTING_COUNT_MISMATCH@19", "ENTRY_HASH_MISMATCH@19", "UNBALANCED_ENTRY@19", "ENTRY_MALFORMED@19", "CURRENCY_NOT_ZERO"}, "", false},
	{"a posting added", []string{"insert into book.postings select ledger_id, seq, 2, '$fxeur', direction, currency, scale, amount, pending_change, effective_date, back_valued, 2, posted, pending_debit, pending_credit from book.postings where seq = 19 and ordinal = 0"},
		[]string{"POSTING_COUNT_MISMATCH@19", "ENTRY_HASH_MISMATCH@19", "UNBALANCED_ENTRY@19", "BALANCE_CHAIN_BREAK@19", "CURRENCY_NOT_ZERO"}, "", false},
	{"postings misnumbered", []string{"update book.postings set ordinal = 5 where seq = 19 and ordinal = 1"}, []string{"POSTING_COUNT_MISMATCH@19"}, "", false},
	{"postings moved to a missing entry", []string{"update book.postings set seq = 500 where seq = 19"},
		[]string{"POSTING_COUNT_MISMATCH@19", "ENTRY_HASH_MISMATCH@19", "ENTRY_MALFORMED@19", "ORPHAN_ROW@500"}, "", false},
	{"a text without an entry", []string{"update ops.payloads set seq = 21 where seq = 19"}, []string{"ORPHAN_ROW@21"}, "", false},
	{"details where there are none", []string{"insert into book.details select ledger_id, 17, 0, name, value from book.details where seq = 9"},
		[]string{"ENTRY_HASH_MISMATCH@17"}, "", false},

	{"a description", []string{"update ops.payloads set description = 'gift' where seq = 8"}, []string{"COMMITMENT_MISMATCH@8"}, "", false},
	{"a reference", []string{"update ops.payloads set reference = 'INV-2' where seq = 8"}, []string{"COMMITMENT_MISMATCH@8"}, "", false},
	{"metadata", []string{"update ops.payloads set metadata = '{}' where seq = 8"}, []string{"COMMITMENT_MISMATCH@8"}, "", false},
	{"a salt", []string{`update ops.payloads set salt = '\x00' where seq = 9`}, []string{"COMMITMENT_MISMATCH@9"}, "", false},
	{"a text where there was none", []string{"update ops.payloads set description = 'gift' where seq = 17"}, []string{"COMMITMENT_MISMATCH@17"}, "", false},
	{"a text removed", []string{"update ops.payloads set description = null where seq = 8"}, []string{"PAYLOAD_MISSING@8"}, "", false},
	{"a payload deleted", []string{"delete from ops.payloads where seq = 8"}, []string{"PAYLOAD_MISSING@8", "PAYLOAD_MISSING@8", "PAYLOAD_MISSING@8"}, "", false},
	{"a payload of an entry without texts deleted", []string{"delete from ops.payloads where seq = 7"}, []string{}, reconcile.Verified, false},

	{"a minimum balance", []string{"update book.account_versions set min_balance = -100 where seq = 2"}, []string{"ACCOUNT_STATE_MISMATCH@2", "ENTRY_HASH_MISMATCH@2"}, "", false},
	{"a minimum that was not kept", []string{"update book.account_versions set min_balance = 485 where seq = 2"},
		[]string{"ACCOUNT_STATE_MISMATCH@2", "ENTRY_HASH_MISMATCH@2", "LIMIT_EXCEEDED@10", "LIMIT_EXCEEDED@14", "LIMIT_EXCEEDED@17"}, "", false},
	{"a maximum that was not kept", []string{"update book.account_versions set max_balance = 15 where seq = 3"},
		[]string{"ACCOUNT_STATE_MISMATCH@3", "ENTRY_HASH_MISMATCH@3", "LIMIT_EXCEEDED@10", "LIMIT_EXCEEDED@14"}, "", false},
	{"a limit with too many decimals", []string{"update book.account_versions set min_balance = 0.001 where seq = 2"}, []string{"ENTRY_HASH_MISMATCH@2"}, "", false},
	{"a freeze", []string{"update book.account_versions set frozen = 'credits' where seq = 16"},
		[]string{"ACCOUNT_STATE_MISMATCH@16", "ENTRY_HASH_MISMATCH@16", "ACCOUNT_FROZEN_POSTING@17"}, "", false},
	{"a closing", []string{"update book.account_versions set closed = true where seq = 16"},
		[]string{"ACCOUNT_STATE_MISMATCH@16", "ENTRY_HASH_MISMATCH@16", "ACCOUNT_CLOSED_POSTING@17"}, "", false},
	{"tags", []string{`update book.account_versions set tags = '{"branch":"8","desk":"2"}' where seq = 1`}, []string{"ACCOUNT_STATE_MISMATCH@1", "ENTRY_HASH_MISMATCH@1"}, "", false},
	{"tags that are none", []string{`update book.account_versions set tags = '[1]' where seq = 1`}, []string{"ENTRY_HASH_MISMATCH@1"}, "", false},
	{"the type of an account", []string{"update book.accounts set type = 'asset' where account_id = '$fxusd'"},
		[]string{}, reconcile.Verified, false}, // it is one
	{"the type of another account", []string{"update book.accounts set type = 'equity' where account_id = '$fxusd'"},
		[]string{"ACCOUNT_STATE_MISMATCH@5", "ENTRY_HASH_MISMATCH@5"}, "", false},
	{"the type of an account that was changed", []string{"update book.accounts set type = 'equity' where account_id = '$customers2'"},
		[]string{"ACCOUNT_STATE_MISMATCH@3", "ENTRY_HASH_MISMATCH@3", "ACCOUNT_STATE_MISMATCH@16", "ENTRY_HASH_MISMATCH@16"}, "", false},
	{"the code of an account", []string{"update book.accounts set code = 'mine' where account_id = '$usd'"}, []string{"ACCOUNT_STATE_MISMATCH@6", "ENTRY_HASH_MISMATCH@6"}, "", false},
	{"the currency of an account", []string{"update book.accounts set currency = 'EUR' where account_id = '$usd'"},
		[]string{"ACCOUNT_STATE_MISMATCH@6", "ENTRY_HASH_MISMATCH@6", "CURRENCY_MISMATCH@9"}, "", false},
	{"the opening of an account", []string{"update book.accounts set opened_seq = 4 where account_id = '$usd'"},
		[]string{"ACCOUNT_STATE_MISMATCH@4", "ACCOUNT_STATE_MISMATCH@6"}, "", false},
	{"an account deleted", []string{"delete from book.accounts where account_id = '$usd'"},
		[]string{"ACCOUNT_STATE_MISMATCH@6", "ACCOUNT_STATE_MISMATCH@6", "ENTRY_HASH_MISMATCH@6", "ENTRY_MALFORMED@6", "ACCOUNT_MISSING@9", "CURRENCY_NOT_ZERO"}, "", false},
	{"an account without an entry", []string{"insert into book.accounts values ('$other', '$L', 'ghost', 'asset', 'EUR', 2, 3)"}, []string{"ACCOUNT_STATE_MISMATCH@3"}, "", false},
	{"an account opened in the future", []string{"insert into book.accounts values ('$other', '$L', 'ghost', 'asset', 'EUR', 2, 3000)"}, []string{"ACCOUNT_STATE_MISMATCH@3000"}, "", false},
	{"attributes without an entry", []string{"insert into book.account_versions values ('$usd', 900, '$L', null, null, 'none', false, '{}')"}, []string{"ORPHAN_ROW@900"}, "", false},
	{"attributes under another entry", []string{"insert into book.account_versions values ('$usd', 17, '$L', null, null, 'none', false, '{}')"}, []string{"ACCOUNT_STATE_MISMATCH@17"}, "", false},
	{"attributes deleted", []string{"delete from book.account_versions where seq = 16"},
		[]string{"ACCOUNT_STATE_MISMATCH@16", "ENTRY_HASH_MISMATCH@16", "ENTRY_MALFORMED@16"}, "", false},
	{"the opening attributes deleted", []string{"delete from book.account_versions where seq = 6"},
		[]string{"ACCOUNT_STATE_MISMATCH@6", "ACCOUNT_STATE_MISMATCH@6", "ENTRY_HASH_MISMATCH@6", "ENTRY_MALFORMED@6", "ACCOUNT_MISSING@9"}, "", false},

	{"a derived column", []string{"update book.postings set back_valued = false where seq = 9 and ordinal = 2"}, []string{"PROJECTION_MISMATCH@9"}, "", false},
	{"a column that searches use", []string{"update book.postings set repeats = not repeats where seq = 9 and ordinal in (0, 1)"},
		[]string{"PROJECTION_MISMATCH@9", "PROJECTION_MISMATCH@9"}, "", false},
	{"a search term removed", []string{"delete from ops.metadata_terms where seq = 8"}, []string{"PROJECTION_MISMATCH@8"}, "", false},
	{"a search term replaced", []string{`update ops.metadata_terms set term = '\x00112233445566778899aabbccddeeff' where seq = 8`}, []string{"PROJECTION_MISMATCH@8"}, "", false},
	{"a search term too many", []string{`insert into ops.metadata_terms values ('$L', 8, '\x00112233445566778899aabbccddeeff')`}, []string{"PROJECTION_MISMATCH@8"}, "", false},
	{"a search term where there is no metadata", []string{`insert into ops.metadata_terms values ('$L', 17, '\x00112233445566778899aabbccddeeff')`}, []string{"PROJECTION_MISMATCH@17"}, "", false},
	{"a search term of another length", []string{"alter table ops.metadata_terms drop constraint i11_metadata_terms_length", `update ops.metadata_terms set term = '\x00' where seq = 8`},
		[]string{"PROJECTION_MISMATCH@8"}, "", false},
	{"search terms that belong to no entry", []string{`insert into ops.metadata_terms values ('$L', 21, '\x00112233445566778899aabbccddeeff'), ('$L', -3, '\x00112233445566778899aabbccddeeff')`},
		[]string{"ORPHAN_ROW@-3", "ORPHAN_ROW@21"}, "", false},
	{"search terms of an entry that is gone", []string{"delete from book.entries where seq = 8", "delete from book.postings where seq = 8", "delete from ops.payloads where seq = 8"},
		[]string{"SEQ_GAP@8", "ORPHAN_ROW@8", "ACCOUNT_SEQ_GAP@10", "ACCOUNT_SEQ_GAP@10"}, "", false},
	{"search terms that cannot be read", []string{"revoke select on ops.metadata_terms from tallystick_auditor"}, []string{}, reconcile.Incomplete, false},
	{"everything but the terms deleted", []string{
		"delete from book.entries", "delete from book.postings", "delete from book.details", "delete from book.accounts", "delete from book.account_versions", "delete from ops.payloads", "delete from ops.metadata_terms"},
		[]string{"LEDGER_MISSING@0"}, "", false},
	{"the terms deleted", []string{"delete from book.ledgers"}, []string{"LEDGER_MISSING@0", "ENTRY_HASH_MISMATCH@0", "ENTRY_MALFORMED@0"}, "", false},

	{"an unknown kind", []string{"update book.entries set kind = 'magic', actor = request_id where seq = 17"}, []string{}, reconcile.Incomplete, false},
	{"an unknown format", []string{"update book.entries set format = 9, actor = request_id where seq = 17"}, []string{}, reconcile.Incomplete, false},
	{"a kind edited to an unknown one", []string{"update book.entries set kind = 'magic' where seq = 17"}, []string{"ENTRY_HASH_MISMATCH@17"}, "", false},
	{"a format edited to an unknown one", []string{"update book.entries set format = 9 where seq = 17"}, []string{"ENTRY_HASH_MISMATCH@17"}, "", false},
	{"a table that cannot be read", []string{"revoke select on book.details from tallystick_auditor"}, []string{}, reconcile.Incomplete, false},
	{"texts that cannot be read", []string{"revoke select on ops.payloads from tallystick_auditor"}, []string{}, reconcile.Incomplete, false},
}

// literals fills in what the statements of an attack name.
func literals(b *book) *strings.Replacer {
	return strings.NewReplacer("$L", b.ledger.String(), "$fxeur", b.accounts["fx:eur"].AccountID.String(),
		"$fxusd", b.accounts["fx:usd"].AccountID.String(), "$usd", b.accounts["usd"].AccountID.String(),
		"$customers2", b.accounts["customers:2"].AccountID.String(), "$other", uuid.Max.String())
}

func TestEveryAttackIsFound(t *testing.T) {
	t.Parallel()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				b := sample()
				conn := connect(t, url)
				if a.postgres && conn.PgConn().ParameterStatus("crdb_version") != "" {
					t.Skip("CockroachDB does not let even the owner do it")
				}
				b.write(t, conn)
				for _, sql := range a.sql {
					if table, checks := strings.CutPrefix(sql, checksOf); checks {
						loosen(t, conn, table)
						continue
					}
					mustExec(t, conn, literals(b).Replace(sql))
				}
				report := verify(t, url, b.ledger)
				sameNarrowly(t, url, b.ledger, &report)
				if want := cmp.Or(a.status, reconcile.Tampered); want != reconcile.Incomplete {
					sameFollowed(t, url, b.ledger, &report)
				}
				if got := codes(report.Findings); !slices.Equal(got, a.want) {
					t.Errorf("found %v, want %v\n%s", got, a.want, details(report.Findings))
				}
				want := a.status
				if want == "" {
					want = reconcile.Tampered
				}
				if report.Status != want {
					t.Errorf("status %s, want %s: %v", report.Status, want, report.NotChecked)
				}
			})
		})
	}
}

// details writes out findings.
func details(findings []chain.Finding) string {
	out, err := json.MarshalIndent(findings, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(out)
}
