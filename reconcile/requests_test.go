package reconcile_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"tallystick/ledger/chain"
)

// key puts a change of a key on record; "public_key" and "key_id" of the pairs
// take the place of those of the key that is made of name.
func (b *book) key(action, name string, more ...string) chain.Entry {
	public := publicKey(name, b.terms.Origin)
	pairs := []string{"action", action, "role", "signer"}
	if !slices.Contains(more, "key_id") {
		more = append(more, "key_id", public.ID())
	}
	if action == "add" && !slices.Contains(more, "public_key") {
		more = append(more, "public_key", public.String())
	}
	return b.append(chain.Entry{Kind: chain.KeyChanged, Details: facts(append(pairs, more...)...)}, words{})
}

func publicKey(name, origin string) chain.VerifierKey {
	seed := sha256.Sum256([]byte(name))
	key, err := chain.NewSigningKey(seed[:])
	if err != nil {
		panic(err)
	}
	text, err := key.VerifierKey(origin)
	if err != nil {
		panic(err)
	}
	public, err := chain.ParseLogKey(text)
	if err != nil {
		panic(err)
	}
	return public
}

func (b *book) apiKey(action, id, scopes string) {
	pairs := []string{"action", action, "role", "api", "key_id", id}
	if scopes != "" {
		pairs = append(pairs, "scopes", scopes)
	}
	b.append(chain.Entry{Kind: chain.KeyChanged, Details: facts(pairs...)}, words{})
}

// erase puts an erasure on record and, if done, deletes the text.
func (b *book) erase(seq int64, done bool) {
	b.append(chain.Entry{Kind: chain.Erasure, RefSeq: &seq, Details: facts("basis", "gdpr_17")}, words{})
	if done {
		b.rows.payloads = slices.DeleteFunc(b.rows.payloads, func(row []any) bool { return row[1] == seq })
	}
}

func (b *book) told() chain.Entry {
	return b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 1, 0)}, words{description: "for Ada"})
}

// balances returns the details of a commitment to the present balances, without
// the accounts that are left out.
func (b *book) balances(leftOut ...string) []chain.Detail {
	var all []*account
	for code, a := range b.accounts {
		if !slices.Contains(leftOut, code) {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(x, y *account) int { return bytes.Compare(x.AccountID[:], y.AccountID[:]) })
	tree := chain.NewBalanceTree(b.ledger, b.next)
	for _, a := range all {
		err := tree.Append(&chain.BalanceLeaf{LedgerID: b.ledger, Size: b.next, AccountID: a.AccountID, Currency: a.Currency, Scale: a.Scale,
			AccountSeq: a.seq, Posted: a.posted, PendingDebit: a.debits, PendingCredit: a.credits})
		if err != nil {
			panic(err)
		}
	}
	details, err := tree.Details()
	if err != nil {
		panic(err)
	}
	return details
}

// commit binds balances; the pairs take the place of what they are.
func (b *book) commit(details []chain.Detail, otherwise ...string) chain.Entry {
	for i := 0; i < len(otherwise); i += 2 {
		for j := range details {
			if details[j].Name == otherwise[i] {
				details[j].Value = otherwise[i+1]
			}
		}
	}
	return b.append(chain.Entry{Kind: chain.BalanceCommitment, Details: details}, words{})
}

// misstatements break what holds for keys, erasures and balance commitments; see
// misuses.
var misstatements = []forgery{
	{"keys in good order", func(b *book) {
		b.key("add", "old")                                    // 7
		b.key("add", "new", "overlap_until", "2026-04-30")     // 8
		b.key("retire", "old")                                 // 9
		b.key("add", "old")                                    // 10
		b.key("revoke", "old")                                 // 11
		b.apiKey("add", stableID("api").String(), "post,read") // 12
		b.apiKey("retire", stableID("api").String(), "")       // 13
	}, []string{}},
	{"keys that end without beginning, or twice", func(b *book) {
		b.key("retire", "never")   // 7
		b.key("revoke", "neither") // 8
		b.key("add", "key")        // 9
		b.key("add", "key")        // 10
		b.key("retire", "key")     // 11
		b.key("retire", "key")     // 12
		b.key("revoke", "key")     // 13
		b.key("add", "key")        // 14: revoked
		b.key("retire", "key")     // 15: still
	}, []string{"KEY_INVALID@7", "KEY_INVALID@8", "KEY_INVALID@10", "KEY_INVALID@12", "KEY_INVALID@14", "KEY_INVALID@15"}},
	{"keys that are not what they say", func(b *book) {
		b.key("add", "a", "public_key", "nonsense")                              // 7
		b.key("add", "b", "public_key", publicKey("c", b.terms.Origin).String()) // 8
		foreign := publicKey("d", "other.test/1")
		b.key("add", "d", "public_key", foreign.String(), "key_id", foreign.ID())                                                 // 9
		b.key("replace", "e")                                                                                                     // 10
		b.append(chain.Entry{Kind: chain.KeyChanged, Details: facts("action", "add", "role", "witness", "key_id", "x")}, words{}) // 11
		b.apiKey("add", "me", "read")                                                                                             // 12
		b.apiKey("add", stableID("api").String(), "")                                                                             // 13
	}, []string{"KEY_INVALID@7", "KEY_INVALID@8", "KEY_INVALID@9", "KEY_INVALID@10", "KEY_INVALID@11", "KEY_INVALID@12", "KEY_INVALID@13"}},

	{"a text that is still there", func(b *book) {
		e := b.told() // 7
		b.erase(e.Seq, false)
		e = b.told() // 9
		b.erase(e.Seq, true)
	}, []string{"PAYLOAD_NOT_ERASED@7", "PAYLOAD_ERASED@9"}},
	{"erasures of nothing, and twice", func(b *book) {
		b.erase(6, true)     // 7: a transfer without text
		e := b.told()        // 8
		b.erase(e.Seq, true) // 9
		b.erase(e.Seq, true) // 10
	}, []string{"ERASURE_INVALID@7", "PAYLOAD_ERASED@8", "ERASURE_INVALID@10"}},

	{"balances as they are, at many sizes", func(b *book) {
		for i := range 5 {
			b.commit(b.balances())
			b.transfer("cash", "customers:1", 5)
			b.hold("cash", "customers:2", int64(i)+1, 0)
		}
		b.open("late", chain.Asset, nil)
		b.commit(b.balances())
	}, []string{}},
	{"balances of an earlier size", func(b *book) {
		details := b.balances()
		b.transfer("cash", "customers:1", 5)
		b.transfer("customers:1", "cash", 7)
		b.commit(details) // 9
	}, []string{}},
	{"a wrong root", func(b *book) {
		b.commit(b.balances(), "root", chain.EmptyRoot.String()) // 7
	}, []string{"BALANCE_COMMITMENT_MISMATCH@7"}},
	{"wrong totals", func(b *book) {
		b.commit(b.balances(), "posted.EUR", "0.01")  // 7
		b.commit(b.balances(), "pending.EUR", "0.01") // 8
	}, []string{"BALANCE_COMMITMENT_MISMATCH@7", "BALANCE_COMMITMENT_MISMATCH@8"}},
	{"a currency too many", func(b *book) {
		details := append(b.balances(), chain.Detail{Name: "pending.XAU", Value: "0"}, chain.Detail{Name: "posted.XAU", Value: "0"})
		chain.SortDetails(details)
		b.commit(details) // 7
	}, []string{"BALANCE_COMMITMENT_MISMATCH@7", "BALANCE_COMMITMENT_MISMATCH@7"}},
	{"an account left out", func(b *book) {
		b.commit(b.balances("customers:3")) // 7: its root and its number of accounts
	}, []string{"BALANCE_COMMITMENT_MISMATCH@7", "BALANCE_COMMITMENT_MISMATCH@7"}},
	{"a size that was not reached", func(b *book) {
		b.commit(b.balances(), "size", fmt.Sprint(b.next+1)) // 7
		b.commit(b.balances(), "size", "0")                  // 8
	}, []string{"BALANCE_COMMITMENT_MISMATCH@7", "BALANCE_COMMITMENT_MISMATCH@8"}},
	{"the balances of another size", func(b *book) {
		details := b.balances()
		b.transfer("cash", "customers:1", 5)          // 7
		b.commit(details, "size", fmt.Sprint(b.next)) // 8: root and total
	}, []string{"BALANCE_COMMITMENT_MISMATCH@8", "BALANCE_COMMITMENT_MISMATCH@8"}},
}

func TestKeysErasuresAndCommitmentsAreHeldAgainstTheRules(t *testing.T) {
	t.Parallel()
	allFound(t, misstatements)
}
