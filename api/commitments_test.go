package api

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
)

const commitmentsPath = ledgerPath + "/balance-commitments"

func TestABalanceIsProvenByACommitment(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.pay("cash", "customers:1", "10.00").is(201, "")
		b.transfer(`{"debit":"customers:1","credit":"cash","amount":"4.00","hold":true}`).is(201, "")
		size := b.size()
		made := b.post(commitmentsPath, `{}`).is(201, "").want("size", size, "accounts", "5", "totals.0.currency", "EUR", "totals.0.posted", "10.00",
			"totals.0.pending", "4.00", "totals.1.currency", "JPY", "totals.1.posted", "0")
		b.get(made.header.Get("Location")).want("kind", "balance_commitment", "seq", made.text("seq"))

		// Afterwards the accounts move on, far enough that their postings are searched.
		var many []string
		for range 100 {
			many = append(many, `{"debit":"cash","credit":"customers:1","amount":"1.00"}`)
		}
		b.do("POST", batchPath, batchOf(many...), headers{keyHeader: {"many"}}).is(200, "")
		b.post(ledgerPath+"/accounts", `{"code":"late","type":"asset","currency":"EUR"}`).is(201, "")
		again := b.post(commitmentsPath, `{"size":`+size+`}`).is(201, "").want("root", made.text("root"), "size", size, "accounts", "5")
		newest := b.do("POST", commitmentsPath, "", headers{keyHeader: {"c"}, "Content-Type": nil}).is(201, "").want("accounts", "6", "totals.0.posted", "110.00")
		b.do("POST", commitmentsPath, "", headers{keyHeader: {"c"}, "Content-Type": nil}).is(200, "").want("seq", newest.text("seq"))

		list := b.get(commitmentsPath+"?limit=2").is(200, "").want("data.0.seq", newest.text("seq"), "data.1.seq", again.text("seq"))
		b.get(commitmentsPath+"?limit=2&cursor="+list.text("next")).want("data.0.seq", made.text("seq"), "next", "")

		b.get(ledgerPath+"/accounts/cash/balance-proof").is(200, "").want("posted", "110.00", "commitment_seq", newest.text("seq"), "account_seq", "102")
		proof := b.get(ledgerPath+"/accounts/cash/balance-proof?commitment="+made.text("seq")).is(200, "").
			want("posted", "10.00", "pending_credit", "4.00", "size", size, "root", made.text("root"), "account_seq", "2", "accounts", "5")
		b.get(ledgerPath+"/accounts/late/balance-proof?commitment="+made.text("seq")).is(404, codeNoCommitment)
		b.get(ledgerPath+"/accounts/late/balance-proof").is(200, "").want("posted", "0.00", "account_seq", "0")
		verifyProof(t, proof)
	})
}

// verifyProof does what whoever is given the proof does.
func verifyProof(t *testing.T, proof *answer) {
	t.Helper()
	bytes, err := base64.StdEncoding.DecodeString(proof.text("leaf"))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := chain.DecodeBalanceLeaf(bytes)
	if err != nil || leaf.Posted.Format(leaf.Scale) != proof.text("posted") || leaf.AccountID.String() != proof.text("account_id") {
		t.Fatalf("the leaf is %+v, %v", leaf, err)
	}
	var path []chain.Hash
	for i := range proof.length("path") {
		h, ok := chain.ParseHash(proof.text("path", i))
		if !ok {
			t.Fatalf("the path has %q", proof.text("path", i))
		}
		path = append(path, h)
	}
	root, _ := chain.ParseHash(proof.text("root"))
	index, accounts := int64(mustAtoi(t, proof.text("index"))), int64(mustAtoi(t, proof.text("accounts")))
	if err := chain.VerifyInclusion(index, accounts, leaf.Hash(), path, root); err != nil {
		t.Error(err)
	}
	leaf.AccountSeq++
	if err := chain.VerifyInclusion(index, accounts, leaf.Hash(), path, root); err == nil {
		t.Error("another leaf is proven as well")
	}
}

// growing is a poster of a ledger that grows while balances are read.
type growing struct{ Poster }

func (g growing) Submit(ctx context.Context, id ledger.LedgerID, r ledger.Request) (ledger.Outcome, error) {
	if _, ok := r.(*ledger.CommitBalances); ok {
		point := &ledger.DefineCurrency{Code: "P" + strings.ToUpper(uuid.NewString()[:8]), Name: "Point"}
		point.ID = ledger.RequestID{UUID: uuid.New()}
		if o, err := g.Poster.Submit(ctx, id, point); err != nil || o.Entry == nil {
			return o, errors.Join(err, errors.New("the ledger does not grow"))
		}
	}
	return g.Poster.Submit(ctx, id, r)
}

func TestASizeThatIsReachedTooLateIsNotCommittedTo(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBank(t, url, func(p Poster) Poster { return growing{p} }).openAccounts()
		next := fmt.Sprintf(`{"size":%d}`, mustAtoi(t, b.size())+1)
		with := headers{keyHeader: {"nightly"}}
		b.do("POST", commitmentsPath, next, with).is(422, ledger.CodeSizeNotReached)
		b.get(commitmentsPath).is(200, "").want("next", "")
		b.do("POST", commitmentsPath, next, with).is(201, "").want("accounts", "5")
		b.get(ledgerPath+"/accounts/cash/balance-proof").is(200, "").want("account_seq", "0")
		b.audit(t, url)
	})
}

// Each balance may be as large as 128 bits have it, and two of them are more than a
// total of a commitment can say.
func TestBalancesTooLargeTogetherAreNotCommittedTo(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		for _, code := range []string{"a", "b", "c", "d"} {
			b.post("/v1/ledgers/main/accounts", fmt.Sprintf(`{"code":%q,"type":"asset","currency":"EUR"}`, code)).is(201, "")
		}
		const most = "1701411834604692317316873037158841057.27"
		b.pay("a", "b", most).is(201, "")
		b.post(commitmentsPath, `{}`).is(201, "").want("totals.0.posted", most)
		b.pay("c", "d", most).is(201, "")
		b.post(commitmentsPath, `{}`).is(422, ledger.CodeAmountRange)
	})
}

func TestBalanceTreesAreAddedUpInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &handlers{trees: semaphore.NewWeighted(MaxBalanceTrees)}
		ask := func(ctx context.Context) error { // there is no database: it is not asked
			_, err := h.balanceTree(ctx, ledger.LedgerID{}, 1, nil)
			return err
		}
		if !h.trees.TryAcquire(MaxBalanceTrees) {
			t.Fatal("there is no turn to take")
		}
		began := time.Now()
		err := ask(t.Context())
		if p := problemOf(fmt.Errorf("proving: %w", err)); p.code != codeOverloaded || retryAfter[p.code] == "" || time.Since(began) != TreePatience {
			t.Errorf("without a turn for %s: %v", time.Since(began), err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ask(gone); err == nil {
			t.Error("the tree of a client that is gone is added up")
		}
		h.trees.Release(MaxBalanceTrees)
		if !h.trees.TryAcquire(MaxBalanceTrees) {
			t.Error("who has not had a turn keeps one")
		}
	})
}

func TestCommitmentsThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		size := mustAtoi(t, b.size())
		commit := func(name, body string, status int, code ledger.Code, want ...string) bad {
			return bad{name: name, path: "/balance-commitments", body: body, status: status, code: code, want: want}
		}
		refuse(t, b, []bad{
			commit("beyond the ledger", fmt.Sprintf(`{"size":%d}`, size+1), 422, ledger.CodeSizeNotReached),
			commit("at size 0", `{"size":0}`, 400, codeValueInvalid, "field", "/size"),
			commit("at a negative size", `{"size":-1}`, 400, codeValueInvalid),
			commit("at half a size", `{"size":1.5}`, 400, codeValueInvalid),
			commit("at an endless size", `{"size":`+strings.Repeat("9", 30)+`}`, 400, codeValueInvalid),
			commit("at a size in a string", `{"size":"3"}`, 400, codeWrongType, "field", "/size"),
			commit("unknown field", `{"root":"00"}`, 400, codeUnknownField),
			commit("a list", `[]`, 400, codeWrongType),
			{name: "without the scope", path: "/balance-commitments", body: `{}`, with: b.keyWith(scopePost), status: 403, code: codeForbidden},
			{name: "a dry run", path: "/balance-commitments?dry_run=true", body: `{}`, status: 400, code: codeUnknownParameter},
			{name: "bad key", path: "/balance-commitments", body: `{}`, with: headers{keyHeader: {""}}, status: 400, code: codeKeyInvalid},
			{name: "unknown parameter", method: "GET", path: "/balance-commitments?size=3", status: 400, code: codeUnknownParameter},
			{name: "no commitment yet", method: "GET", path: "/accounts/cash/balance-proof", status: 404, code: codeNoCommitment},
			{name: "no commitment there", method: "GET", path: "/accounts/cash/balance-proof?commitment=3", status: 404, code: codeNoCommitment},
			{name: "not a seq", method: "GET", path: "/accounts/cash/balance-proof?commitment=x", status: 400, code: codeInvalidParameter},
			{name: "no such account", method: "GET", path: "/accounts/nobody/balance-proof", status: 404, code: codeAccountNotFound},
			{name: "unknown parameter of a proof", method: "GET", path: "/accounts/cash/balance-proof?size=3", status: 400, code: codeUnknownParameter},
		})
	})
}
