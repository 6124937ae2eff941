package reconcile_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
	"tallystick/reconcile/policy"
)

// nightPolicy names the accounts of bankBook that play a part.
const nightPolicy = `
schema: tallystick/policy/1
name: test
version: "1"
effective_from: 2026-01-01
accounts:
  control:
    - {account: "control:customers", sum: "customers:**"}
  suspense:
    - {match: "suspense:**", max_age: 2}
  clearing:
    - {match: "clearing:**", max_age: 1}
`

// bankBook is a small bank, whose every night is quiet: customers mirrored on a
// control account, suspense and clearing that were emptied, a hold that stays and
// one that was given back in time, a reversal, a closed month, a frozen account.
func bankBook(tb testing.TB, name string, key chain.SigningKey) *book {
	b := newBook(name) // 0
	b.keeps = true
	b.changeKey(tb, "add", key)                                                                // 1
	b.open("cash", chain.Asset, nil)                                                           // 2
	b.open("capital", chain.Equity, nil)                                                       // 3
	b.open("customers:1", chain.Liability, func(a *chain.Account) { a.MinBalance = units(0) }) // 4
	b.open("customers:2", chain.Liability, nil)                                                // 5
	b.open("memo", chain.Asset, nil)                                                           // 6
	b.open("control:customers", chain.Liability, nil)                                          // 7
	b.open("suspense:in", chain.Liability, nil)                                                // 8
	b.open("clearing:cards", chain.Asset, nil)                                                 // 9
	deposit := func(customer string, cents int64) chain.Entry {
		return b.append(chain.Entry{Kind: chain.Transfer, Postings: append(b.move("cash", customer, cents, 0), b.move("memo", "control:customers", cents, 0)...)}, words{})
	}
	b.transfer("cash", "capital", 100_000)       // 10
	deposit("customers:1", 5000)                 // 11
	deposit("customers:2", 7000)                 // 12
	b.transfer("cash", "suspense:in", 1500)      // 13
	b.transfer("suspense:in", "capital", 1500)   // 14
	b.transfer("clearing:cards", "cash", 900)    // 15
	b.transfer("capital", "clearing:cards", 900) // 16
	b.now = b.now.AddDate(0, 0, 7)
	b.hold("cash", "capital", 250, 0) // 17: stays open, and never expires
	expiring := b.hold("cash", "capital", 300, 30*time.Second)
	b.now = b.now.Add(time.Minute)
	b.byItself = true
	b.release(expiring)                          // 19
	wrong := b.transfer("cash", "capital", 4200) // 20
	b.reverse(wrong)                             // 21
	b.transfer("cash", "capital", 777)           // 22
	b.append(chain.Entry{Kind: chain.Transfer, EffectiveDate: chain.DateOf(b.now) - 1, Postings: b.move("cash", "capital", 777, 0)},
		words{"for Ada", "R-1", `{"a":1}`, [][]byte{term("a", "1")}}) // 23: the same, but for its value date
	b.close(chain.DateOf(b.now) - 20)                                                 // 24
	b.change("customers:2", func(a *chain.Account) { a.Frozen = chain.FrozenDebits }) // 25
	b.commit(b.balances())                                                            // 26
	deposit("customers:1", 100)                                                       // 27
	return b
}

// nextDay goes on with the book after what others have appended to it.
func (b *book) nextDay(tb testing.TB, conn *pgx.Conn) {
	tb.Helper()
	var hash []byte
	var last int64
	var recorded time.Time
	err := conn.QueryRow(tb.Context(), "select seq, entry_hash, recorded_at from book.entries where ledger_id = $1 order by seq desc limit 1", b.ledger).Scan(&last, &hash, &recorded)
	if err != nil {
		tb.Fatal(err)
	}
	b.next, b.head, b.now = last+1, chain.Hash(hash), recorded.UTC().Truncate(24*time.Hour).Add(58*time.Hour)
	b.leaves = append(b.leaves, b.head)
}

// mutation is what somebody with the rights of the owner does to an honest ledger.
type mutation struct {
	name string
	// edit changes rows. Unless bare, all hashes are then made to fit, and what was
	// signed is removed.
	edit func(m *mutated)
	bare bool
	// after the night before: the ledger has had a run, and has gone on.
	after bool
	// loose: constraints are dropped that an owner would have to drop.
	loose bool
	want  []string
}

// mutated is the scene of one.
type mutated struct {
	*crime
	policy *policy.Policy
	before reconcile.NightResult // of the night before
}

// sql runs statements about this ledger: $L is its id, {code} that of an account.
func (m *mutated) sql(statements ...string) {
	m.t.Helper()
	pairs := []string{"$L", m.b.ledger.String()}
	for code, a := range m.b.accounts {
		pairs = append(pairs, "{"+code+"}", "'"+a.AccountID.String()+"'")
	}
	for _, s := range statements {
		mustExec(m.t, m.conn, strings.NewReplacer(pairs...).Replace(s))
	}
}

// amend changes the amounts of some postings of an entry, and all balances that
// follow from them.
func (m *mutated) amend(seq, cents int64, ordinals ...int) {
	m.t.Helper()
	for _, o := range ordinals {
		m.sql(fmt.Sprintf(`update book.postings p set posted = p.posted + case o.direction when 'debit' then 1 else -1 end * %d / 100.0
			from book.postings o where o.ledger_id = '$L' and o.seq = %d and o.ordinal = %d and p.account_id = o.account_id and p.account_seq >= o.account_seq`, cents, seq, o),
			fmt.Sprintf("update book.postings set amount = amount + %d / 100.0 where ledger_id = '$L' and seq = %d and ordinal = %d", cents, seq, o))
	}
}

// rehash makes all hashes fit, and removes what was signed.
func (m *mutated) rehash(db *store.DB) {
	m.t.Helper()
	err := reconcile.Rehash(m.t.Context(), db, m.b.ledger, func(seq int64, prev, hash chain.Hash) error {
		_, err := m.conn.Exec(m.t.Context(), "update book.entries set prev_hash = $3, entry_hash = $4 where ledger_id = $1 and seq = $2", m.b.ledger, seq, prev[:], hash[:])
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.sql("delete from book.checkpoints where ledger_id = '$L'", "delete from book.tiles where ledger_id = '$L'", "delete from ops.heads where ledger_id = '$L'")
}

// output replaces what a run has put out, with a digest that fits.
func (m *mutated) output(kind, name string, change func([]byte) []byte) {
	m.t.Helper()
	old, err := reconcile.ReadOutput(m.t.Context(), auditor(m.t, m.conn.Config().ConnString(), 1), m.before.Run.ID, kind, name)
	if err != nil {
		m.t.Fatal(err)
	}
	plain := change(old)
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	_, _ = z.Write(plain)
	_ = z.Close()
	sum := sha256.Sum256(plain)
	mustExec(m.t, m.conn, "update ops.run_outputs set sha256 = $4, size = $5, body = $6 where run_id = $1 and kind = $2 and name = $3",
		m.before.Run.ID, kind, name, sum[:], len(plain), body.Bytes())
}

// mutations has each check of the night, and what is found when it is what gives
// the edit away.
var mutations = []mutation{
	{name: "nothing", edit: func(*mutated) {}, want: []string{}},
	{name: "nothing since the night before", after: true, edit: func(*mutated) {}, want: []string{}},

	// Chain and checkpoints.
	{name: "I4, entries vanish", bare: true, edit: func(m *mutated) {
		m.sql("delete from book.entries where ledger_id = '$L' and seq = 22", "delete from ops.payloads where ledger_id = '$L' and seq = 22")
	}, want: []string{"ORPHAN_ROW@22", "SEQ_GAP@22"}},
	{name: "I5, time goes back", edit: func(m *mutated) {
		m.sql("update book.entries set recorded_at = recorded_at - interval '1 minute' where ledger_id = '$L' and seq = 22")
	}, want: []string{"TIME_REGRESSION@22"}},
	{name: "I6, an entry is not what was sealed", bare: true, edit: func(m *mutated) {
		m.sql("update book.entries set actor = request_id where ledger_id = '$L' and seq = 22")
	}, want: []string{"ENTRY_HASH_MISMATCH@22"}},
	{name: "I7, a checkpoint is of other entries", edit: func(m *mutated) {
		m.sql("update book.entries set actor = request_id where ledger_id = '$L' and seq = 22",
			"create table kept_checkpoints as select * from book.checkpoints where ledger_id = '$L'", "create table kept_heads as select * from ops.heads where ledger_id = '$L'")
		m.rehash(auditor(m.t, m.conn.Config().ConnString(), 1))
		m.sql("insert into book.checkpoints select * from kept_checkpoints", "insert into ops.heads select * from kept_heads")
	}, bare: true, want: []string{"CHECKPOINT_ROOT_MISMATCH@24"}},
	{name: "I7, the signer knows another history", edit: func(m *mutated) {
		m.opts.SignerState = m.state(m.b, 28)
		m.sql("update book.entries set actor = request_id where ledger_id = '$L' and seq = 22")
	}, want: []string{"LOG_ROLLBACK@27"}},

	// Every entry balances, currencies add up to zero, accounts are chains.
	{name: "I1, an entry does not balance", edit: func(m *mutated) {
		m.amend(22, 5, 0)
		m.sql("update book.postings set repeats = false where ledger_id = '$L' and seq = 22 and ordinal = 1")
	}, want: []string{"UNBALANCED_ENTRY@22", "BALANCE_COMMITMENT_MISMATCH@26", "CURRENCY_NOT_ZERO", "REPORT_UNBALANCED"}},
	{name: "I2, a currency does not add up", edit: func(m *mutated) {
		m.sql("delete from book.postings where ledger_id = '$L' and seq = 27 and ordinal = 1", "update book.entries set posting_count = 3 where ledger_id = '$L' and seq = 27",
			"update book.postings set ordinal = ordinal - 1 where ledger_id = '$L' and seq = 27 and ordinal > 1")
	}, want: []string{"CONTROL_MISMATCH", "CURRENCY_NOT_ZERO", "UNBALANCED_ENTRY@27", "REPORT_UNBALANCED"}},
	{name: "I9, a balance does not follow", edit: func(m *mutated) {
		m.sql("update book.postings set posted = posted + 1 where ledger_id = '$L' and seq = 14")
	}, want: []string{"BALANCE_CHAIN_BREAK@14", "BALANCE_CHAIN_BREAK@16", "BALANCE_COMMITMENT_MISMATCH@26", "CURRENCY_NOT_ZERO", "SUSPENSE_AGED@14", "REPORT_UNBALANCED"}},
	{name: "I3, a limit", edit: func(m *mutated) {
		m.sql("update book.account_versions set max_balance = 40 where ledger_id = '$L' and seq = 4")
	}, want: []string{"LIMIT_EXCEEDED@11", "LIMIT_EXCEEDED@27"}},
	{name: "I12, what undoes another", edit: func(m *mutated) { m.amend(21, 5, 0, 1) },
		want: []string{"REVERSAL_INVALID@21", "BALANCE_COMMITMENT_MISMATCH@26"}},
	{name: "I12, what settles a hold", edit: func(m *mutated) {
		m.sql("update book.entries set expires_at = recorded_at + interval '1 hour' where ledger_id = '$L' and seq = 18")
	}, want: []string{"HOLD_INVALID@19"}},

	// Keys, duplicates.
	{name: "I8, one request twice", loose: true, edit: func(m *mutated) {
		m.sql("update book.entries set request_id = (select request_id from book.entries where ledger_id = '$L' and seq = 20) where ledger_id = '$L' and seq = 22")
	}, want: []string{"DUPLICATE_TRANSFER@22", "SCHEMA_TAMPERED"}},
	{name: "I8, one body under two requests", edit: func(m *mutated) {
		m.sql("update book.entries set effective_date = booking_date where ledger_id = '$L' and seq = 23",
			"update book.postings p set effective_date = e.booking_date, back_valued = false from book.entries e where p.ledger_id = '$L' and p.seq = 23 and e.ledger_id = '$L' and e.seq = 23")
	}, want: []string{"SUSPECTED_DUPLICATE@23"}},

	// Closed accounts and periods.
	{name: "I10, a closed account", edit: func(m *mutated) {
		m.sql("update book.account_versions set closed = true where ledger_id = '$L' and seq = 5")
	}, want: []string{"ACCOUNT_CLOSED_POSTING@12", "ACCOUNT_STATE_MISMATCH@25"}}, // its next version is of an open account
	{name: "I10, a frozen account", edit: func(m *mutated) {
		m.sql("update book.account_versions set frozen = 'credits' where ledger_id = '$L' and seq = 5")
	}, want: []string{"ACCOUNT_FROZEN_POSTING@12"}},
	{name: "I10, a closed period", edit: func(m *mutated) {
		m.sql("update book.entries set effective_date = booking_date - 25 where ledger_id = '$L' and seq = 27",
			"update book.postings set effective_date = effective_date - 25, back_valued = true where ledger_id = '$L' and seq = 27")
	}, want: []string{"PERIOD_CLOSED_POSTING@27"}},

	// Projections.
	{name: "I11, a column that is derived", edit: func(m *mutated) {
		m.sql("update book.postings set back_valued = false where ledger_id = '$L' and seq = 23 and ordinal = 0")
	}, want: []string{"PROJECTION_MISMATCH@23"}},
	{name: "I11, the terms of a search", edit: func(m *mutated) { m.sql("delete from ops.metadata_terms where ledger_id = '$L' and seq = 23") },
		want: []string{"PROJECTION_MISMATCH@23"}},
	{name: "I11, a text", edit: func(m *mutated) {
		m.sql("update ops.payloads set description = 'for Eve' where ledger_id = '$L' and seq = 23")
	}, want: []string{"COMMITMENT_MISMATCH@23"}},
	{name: "I11, a balance commitment", edit: func(m *mutated) {
		m.sql("update book.details set value = '1.00' where ledger_id = '$L' and seq = 26 and name = 'posted.EUR'")
	}, want: []string{"BALANCE_COMMITMENT_MISMATCH@26"}},
	{name: "I11, a snapshot of balances", after: true, edit: (*mutated).editSnapshot, want: []string{"PROJECTION_MISMATCH@27", "REPORT_UNBALANCED"}},
	{name: "I11, what the night before put out", after: true, edit: func(m *mutated) {
		m.output(reconcile.StateOutput, "closing", func(old []byte) []byte {
			var c reconcile.Closing
			if err := json.Unmarshal(old, &c); err != nil {
				m.t.Fatal(err)
			}
			c.SHA256 = strings.Repeat("0", 64)
			edited, _ := json.Marshal(c)
			return edited
		})
	}, want: []string{"ROLL_FORWARD_MISMATCH@27", "RUN_NOT_REPRODUCED@28"}},

	// By the policy.
	{name: "a control account", edit: func(m *mutated) {
		m.amend(27, 5, 2, 3)
		m.sql("update book.postings set repeats = false where ledger_id = '$L' and seq = 27 and ordinal = 2")
	}, want: []string{"CONTROL_MISMATCH"}},
	{name: "a suspense account", edit: func(m *mutated) { m.amend(14, -5, 0, 1) },
		want: []string{"BALANCE_COMMITMENT_MISMATCH@26", "SUSPENSE_AGED@13"}},
	{name: "a clearing account", edit: func(m *mutated) { m.amend(16, -5, 0, 1) },
		want: []string{"BALANCE_COMMITMENT_MISMATCH@26", "CLEARING_AGED@15"}},
	{name: "a hold that has expired", edit: func(m *mutated) {
		m.sql("update book.entries set expires_at = recorded_at + interval '10 minutes' where ledger_id = '$L' and seq = 17")
	}, want: []string{"HOLD_EXPIRED_OPEN@17"}},

	// From one night to the next.
	{name: "roll-forward", after: true, edit: func(m *mutated) { m.amend(27, 5, 0, 1, 2, 3) },
		want: []string{"ROLL_FORWARD_MISMATCH@27", "PROJECTION_MISMATCH@27", "RUN_INVALID@28"}},
	{name: "an entry for a day that was reported", after: true, edit: func(m *mutated) {
		m.sql(fmt.Sprintf("update book.entries set effective_date = '%s' where ledger_id = '$L' and seq = 29", m.before.Run.AsOf),
			fmt.Sprintf("update book.postings set effective_date = '%s', back_valued = true where ledger_id = '$L' and seq = 29", m.before.Run.AsOf))
	}, want: []string{"LATE_ENTRIES@29"}},
}

// editSnapshot changes a balance in the snapshot of the night before, with a
// digest that fits.
func (m *mutated) editSnapshot() {
	m.t.Helper()
	m.storeSnapshot(func(all []reconcile.Balance) []reconcile.Balance {
		at := slices.IndexFunc(all, func(a reconcile.Balance) bool { return a.Code == "customers:1" })
		all[at].Posted = *units(-999_999)
		return all
	})
}

// storeSnapshot puts other balances in the snapshot of the night before.
func (m *mutated) storeSnapshot(edit func([]reconcile.Balance) []reconcile.Balance) {
	m.t.Helper()
	db := auditor(m.t, m.conn.Config().ConnString(), 1)
	from, err := db.Snapshot(m.t.Context(), m.b.ledger)
	if err != nil {
		m.t.Fatal(err)
	}
	all, err := reconcile.BalancesAt(m.t.Context(), from, m.before.Run.Size)
	if err != nil {
		m.t.Fatal(err)
	}
	parts, err := reconcile.SnapshotOf(edit(all), 8192)
	if err != nil {
		m.t.Fatal(err)
	}
	tag, err := m.conn.Exec(m.t.Context(), "update ops.snapshots set accounts = $4, sha256 = $2, body = $3 where ledger_id = $1", m.b.ledger, parts[0].SHA256[:], parts[0].Body, parts[0].Accounts)
	if err != nil || tag.RowsAffected() != 1 {
		m.t.Fatalf("editing the snapshot: %v, %v", tag, err)
	}
}

// Each check of the night gives an edit away that no hash does: the ledger is
// edited by the owner of the database, hashed again to the tail, and what was
// signed is removed. What is found is all that is found.
func TestEachCheckOfTheNightGivesItsMutationAway(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		first, second := nightDeps(t, url), nightDeps(t, url)
		second.Now = func() time.Time { return time.Now().AddDate(0, 0, 10) }
		second.Keeper.Sign = func(context.Context, reconcile.RunEntry) (int64, error) { return 0, nil } // of a ledger that no server would write to
		signer := signingKey(t, "signer")
		rules, err := policy.Decode([]byte(nightPolicy))
		if err != nil {
			t.Fatal(err)
		}
		bySchema := func(a, b mutation) int { return compareBools(a.loose, b.loose) }
		slices.SortStableFunc(mutations, bySchema)
		for i, c := range mutations {
			if c.loose && (i == 0 || !mutations[i-1].loose) {
				dropUnique(t, conn, "entries", "i8_entries_request")
			}
			m := &mutated{crime: &crime{t: t, conn: conn, key: signer, b: bankBook(t, c.name, signer)}, policy: rules}
			m.b.write(t, conn)
			m.b.seal(t, conn, signer, 10, 20, 25)
			if c.after {
				m.before = runNight(t, first, m.b, reconcile.NightOptions{Policy: rules})
				if m.before.Run.EntrySeq == nil || *m.before.Run.EntrySeq != 28 || m.before.Run.Critical+m.before.Run.Warnings != 0 {
					t.Fatalf("%s: the night before: %+v, %v", c.name, m.before.Run, nightCodes(m.before))
				}
				m.b.nextDay(t, conn)
				m.b.transfer("cash", "capital", 31) // 29
				m.b.write(t, conn)
			}
			c.edit(m)
			if !c.bare {
				m.rehash(second.DB)
			}
			result := runNight(t, second, m.b, reconcile.NightOptions{Policy: rules, SignerState: m.opts.SignerState})
			want := slices.Compact(slices.Sorted(slices.Values(c.want)))
			if got := nightCodes(result); !slices.Equal(got, want) {
				t.Errorf("%s: found %v, want %v\n%+v", c.name, got, want, result.Phases)
			}
		}
	})
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// nightCodes is the set of what a run found but those, and but those of the risk phase:
// what is near its limit changes with what is edited.
func nightCodes(r reconcile.NightResult) []string {
	list := []string{}
	for _, p := range r.Phases {
		if p.Phase == "risk" {
			continue
		}
		list = append(list, codes(p.Findings)...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}
