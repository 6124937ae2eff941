package api

import (
	"strings"
	"testing"
)

func TestAnAccountIsOpenedChangedAndClosed(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		const path = "/v1/ledgers/main/accounts"
		const body = `{"code":"customers:42:wallet","type":"liability","currency":"EUR","name":"Ada","min_balance":"-5.5","max_balance":null,
			"frozen":"credits","tags":{"segment":"retail","client":"42","":""}}`
		b.post(path, body).is(400, codeTagsInvalid)
		opened := b.post(path, strings.Replace(body, `,"":""`, "", 1)).is(201, "")
		opened.want("code", "customers:42:wallet", "type", "liability", "currency", "EUR", "name", "Ada", "min_balance", "-5.50", "max_balance", "",
			"frozen", "credits", "closed", "false", "tags.client", "42", "opened_at_seq", "1", "balance", "0.00", "held", "0.00",
			"available", "5.50", "account_seq", "0")
		at := opened.header.Get("Location")
		if at != path+"/customers:42:wallet" {
			t.Errorf("Location is %q", at)
		}
		if read := b.get(at).is(200, ""); string(read.body) != string(opened.body) {
			t.Errorf("the account reads\n%s\nand was answered as\n%s", read.body, opened.body)
		}
		b.get(path+"/customers%3A42%3Awallet").is(200, "").want("code", "customers:42:wallet")
		b.patch(at, `{"min_balance":null,"max_balance":"10","frozen":"none","tags":{},"name":"Ada L."}`).is(200, "").
			want("min_balance", "", "max_balance", "10.00", "available", "", "frozen", "none", "name", "Ada L.", "tags.client", "")
		b.get("/v1/ledgers/main").want("size", "3")
		b.get("/v1/ledgers/main/entries/2").want("kind", "account_changed", "description", "Ada L.", "account.max_balance", "10.00", "account.code", "customers:42:wallet")
		b.get("/v1/ledgers/main/entries/1").want("kind", "account_opened", "account.min_balance", "-5.50", "account.frozen", "credits")
		b.patch(at, `{"closed":true}`).is(200, "").want("closed", "true", "max_balance", "10.00", "name", "Ada L.")
	})
}

func TestAChangeOfNothingMakesNoEntry(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		before := b.size()
		for _, body := range []string{`{}`, `{"frozen":"none"}`, `{"max_balance":"100"}`, `{"min_balance":"0.00","tags":{}}`} {
			b.patch("/v1/ledgers/main/accounts/customers:2", body).is(200, "").want("max_balance", "100.00")
		}
		if after := b.size(); after != before {
			t.Errorf("the ledger grew from %s to %s entries", before, after)
		}
	})
}

func TestOpeningAnAccountAgain(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		const path = "/v1/ledgers/main/accounts"
		const body = `{"code":"a","type":"asset","currency":"EUR","name":"A"}`
		b.post(path, body).is(201, "")
		before := b.size()
		b.post(path, body).is(200, "").want("code", "a")
		b.do("POST", path, body, headers{keyHeader: {"k"}}).is(200, "")
		for _, other := range []string{
			`{"code":"a","type":"asset","currency":"EUR"}`,
			`{"code":"a","type":"asset","currency":"USD","name":"A"}`,
			`{"code":"a","type":"asset","currency":"EUR","name":"A","min_balance":"0"}`,
			`{"code":"a","type":"asset","currency":"EUR","name":"A","tags":{"x":"y"}}`,
		} {
			b.post(path, other).is(409, "account_exists").want("account", "a")
		}
		if after := b.size(); after != before {
			t.Errorf("the ledger grew from %s to %s entries", before, after)
		}
		// A key that opened one account does not open another.
		b.do("POST", path, `{"code":"b","type":"asset","currency":"EUR"}`, headers{keyHeader: {"k2"}}).is(201, "")
		b.do("POST", path, `{"code":"c","type":"asset","currency":"EUR"}`, headers{keyHeader: {"k2"}}).is(409, "idempotency_conflict")
		// Codes are no keys: opening under the key "c" leaves the code c free.
		b.do("POST", path, `{"code":"d","type":"asset","currency":"EUR"}`, headers{keyHeader: {"c"}}).is(201, "")
		b.post(path, `{"code":"c","type":"asset","currency":"EUR"}`).is(201, "")
	})
}

func TestOpeningAnAccountAgainAfterAChange(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		const path = "/v1/ledgers/main/accounts"
		const first = `{"code":"a","type":"asset","currency":"EUR"}`
		b.post(path, first).is(201, "")
		b.patch(path+"/a", `{"frozen":"all"}`).is(200, "")
		// The very request that opened it is a replay, and shows what is now.
		b.post(path, first).is(200, "").want("frozen", "all")
		if got := b.post(path, first).header.Get("Idempotent-Replayed"); got != "true" {
			t.Errorf("Idempotent-Replayed is %q", got)
		}
		// One that asks for what is now asks for nothing.
		b.post(path, `{"code":"a","type":"asset","currency":"EUR","frozen":"all"}`).is(200, "").want("frozen", "all")
		b.post(path, `{"code":"a","type":"asset","currency":"EUR","frozen":"debits"}`).is(409, "account_exists")
	})
}

func TestAChangeUnderAKeyHappensOnce(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		const at = "/v1/ledgers/main/accounts/cash"
		key := headers{keyHeader: {"freeze"}}
		b.do("PATCH", at, `{"frozen":"all"}`, key).is(200, "")
		b.patch(at, `{"frozen":"none"}`).is(200, "")
		a := b.do("PATCH", at, `{"frozen":"all"}`, key).is(200, "").want("frozen", "none")
		if a.header.Get("Idempotent-Replayed") != "true" {
			t.Error("a change repeated under its key is no replay")
		}
		b.do("PATCH", at, `{"frozen":"debits"}`, key).is(409, "idempotency_conflict")
		b.do("PATCH", "/v1/ledgers/main/accounts/yen", `{"frozen":"all"}`, key).is(409, "idempotency_conflict")
	})
}

func TestABatchAnswersForEachAccount(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		a := b.post("/v1/ledgers/main/accounts/batch", `{"accounts":[
			{"code":"n:1","type":"asset","currency":"EUR","name":"One"},
			{"code":"cash","type":"asset","currency":"EUR"},
			{"code":"cash","type":"equity","currency":"EUR"},
			{"code":"n:2","type":"asset","currency":"XXQ"},
			{"code":"n:1","type":"asset","currency":"EUR","name":"One"},
			{"code":"n:3","type":"asset","currency":"EUR","min_balance":"2","max_balance":"1"}]}`).is(200, "")
		a.want("results.0.status", "201", "results.0.account.code", "n:1", "results.0.account.name", "One",
			"results.1.status", "200", "results.1.account.code", "cash",
			"results.2.status", "409", "results.2.problem.code", "account_exists", "results.2.problem.account", "cash",
			"results.3.status", "422", "results.3.problem.code", "unknown_currency",
			"results.4.status", "200", "results.4.account.code", "n:1",
			"results.5.status", "422", "results.5.problem.code", "limits_crossed")
		if n := a.length("results"); n != 6 {
			t.Errorf("%d results", n)
		}
	})
}

func TestABatchOf1000AccountsTwice(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		body := `{"accounts":[` + repeated(1000, `{"code":"c:%d","type":"liability","currency":"EUR"}`) + `]}`
		for _, want := range []string{"201", "200"} {
			a := b.post("/v1/ledgers/main/accounts/batch", body).is(200, "")
			for i := range a.length("results") {
				if got := a.text("results", i, "status"); got != want {
					t.Fatalf("account %d: status %s, want %s", i, got, want)
				}
			}
		}
		b.get("/v1/ledgers/main").want("size", "1001")
	})
}

// TestAnAccountMayBeCalledBatch: a code that is also a segment of a route.
func TestAnAccountMayBeCalledBatch(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.post("/v1/ledgers/main/accounts", `{"code":"batch","type":"asset","currency":"EUR"}`).is(201, "")
		b.get("/v1/ledgers/main/accounts/batch").is(200, "").want("code", "batch")
		b.patch("/v1/ledgers/main/accounts/batch", `{"frozen":"all"}`).is(200, "").want("frozen", "all")
		b.get("/v1/ledgers/main/accounts/batch/balance").is(200, "").want("balance", "0.00")
	})
}

func TestBalancesNowAtATimeAndAtASeq(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		const at = "/v1/ledgers/main/accounts/customers:1/balance"
		b.get(at).want("balance", "0.00", "seq", "5", "account_seq", "0", "available", "0.00", "held", "0.00")
		var times, seqs []string
		for range 4 {
			a := b.pay("cash", "customers:1", "1.25").is(201, "")
			times, seqs = append(times, a.text("recorded_at")), append(seqs, a.text("seq"))
			b.pay("yen", "yen:out", "1").is(201, "") // another account's entry between
		}
		b.get(at).want("account", "customers:1", "currency", "EUR", "balance", "5.00", "account_seq", "4", "seq", "13")
		for i, want := range []string{"1.25", "2.50", "3.75", "5.00"} {
			b.get(at+"?seq="+seqs[i]).is(200, "").want("balance", want, "seq", seqs[i])
			a := b.get(at+"?at="+times[i]).is(200, "")
			if got := a.text("seq"); mustAtoi(t, got) < mustAtoi(t, seqs[i]) {
				t.Errorf("at %s is seq %s, the entry recorded then has %s", times[i], got, seqs[i])
			}
			b.get(at+"?seq="+a.text("seq")).want("balance", a.text("balance"))
		}
		b.get(at+"?seq=5").want("balance", "0.00", "account_seq", "0")
		b.get(at+"?at=2999-01-01T00:00:00%2B01:00").want("balance", "5.00", "seq", "13")
		// Limits are those in force then.
		b.patch("/v1/ledgers/main/accounts/customers:1", `{"min_balance":"-1"}`).is(200, "")
		b.get(at).want("available", "6.00", "seq", "14")
		b.get(at+"?seq=13").want("available", "5.00")
	})
}
