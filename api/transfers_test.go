package api

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger"
)

func TestATransferIsPostedAndReadBack(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		const id = "0191d7ae-6c3f-7cc1-9a2b-3f1d0e8b9a10"
		const body = `{"id":"` + id + `","description":"Rent “May”","reference":"inv-1","metadata":{"b":1.10,"a":[true,null]},
			"effective_date":"2026-02-28","not_after":"2999-12-31T23:59:59.5+01:00","postings":[
			{"account":"cash","direction":"debit","amount":"12.3","currency":"EUR"},
			{"account":"customers:1","direction":"credit","amount":"10"},
			{"account":"customers:2","direction":"credit","amount":"2.30"}]}`
		a := b.post("/v1/ledgers/main/transfers", body).is(201, "")
		a.want("id", id, "kind", "transfer", "status", "posted", "seq", "6", "description", "Rent “May”", "reference", "inv-1",
			"effective_date", "2026-02-28", "metadata.b", "1.10", "metadata.a.0", "true",
			"postings.0.account", "cash", "postings.0.direction", "debit", "postings.0.amount", "12.30", "postings.0.currency", "EUR",
			"postings.0.account_seq", "1", "postings.0.balance", "12.30", "postings.0.available", "",
			"postings.1.account", "customers:1", "postings.1.balance", "10.00", "postings.1.available", "10.00",
			"postings.2.amount", "2.30", "postings.2.available", "2.30")
		if got := a.header.Get("Location"); got != "/v1/ledgers/main/transfers/"+id {
			t.Errorf("Location is %q", got)
		}
		if got := a.header.Get("Idempotent-Replayed"); got != "" {
			t.Errorf("Idempotent-Replayed is %q on a first answer", got)
		}
		b.get(a.header.Get("Location")).is(200, "").want("id", id, "status", "posted", "entries.0.seq", "6", "entries.0.kind", "transfer")
		if again := b.get("/v1/ledgers/main/entries/6").is(200, ""); string(again.body) != string(a.body) {
			t.Errorf("the entry reads\n%s\nand was answered as\n%s", again.body, a.body)
		}
		if !strings.Contains(string(a.body), `"metadata":{"a":[true,null],"b":1.10}`) {
			t.Errorf("metadata is not canonical, or a number changed: %s", a.body)
		}
		b.get("/v1/ledgers/main").want("size", "7", "head", a.text("hash"))
	})
}

func TestTheShortFormIsTheLongOne(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		key := headers{keyHeader: {"short"}}
		first := b.do("POST", "/v1/ledgers/main/transfers", `{"debit":"cash","credit":"customers:1","amount":"12.30"}`, key).is(201, "")
		long := `{"postings":[{"account":"cash","direction":"debit","amount":"12.3"},{"account":"customers:1","direction":"credit","amount":"12.3"}]}`
		again := b.do("POST", "/v1/ledgers/main/transfers", long, key).is(201, "")
		if again.header.Get("Idempotent-Replayed") != "true" || string(first.body) != string(again.body) {
			t.Errorf("the long form of the same transfer was answered\n%s\nafter\n%s", again.body, first.body)
		}
	})
}

func TestAReplayGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	const id, other = "0191D7AE-6C3F-7CC1-9A2B-3F1D0E8B9A10", "0191d7ae-6c3f-7cc1-9a2b-3f1d0e8b9a11"
	derived := func(b *bank, key string) string {
		info, err := b.db.Ledger(b.t.Context(), "main")
		if err != nil {
			b.t.Fatal(err)
		}
		return ledger.DeriveRequestID(info.ID, ledger.OperationTransfer, key).String()
	}
	const plain = `{"debit":"cash","credit":"customers:1","amount":"1","metadata":{"x":1}}`
	withKey := func(id string) string { return `{"id":"` + id + `",` + plain[1:] }
	tests := []struct {
		name          string
		first, second func(b *bank) (body string, with headers)
	}{
		{"the same id",
			func(*bank) (string, headers) { return withKey(id), nil },
			func(*bank) (string, headers) { return withKey(strings.ToLower(id)), nil }},
		{"the same key",
			func(*bank) (string, headers) { return plain, headers{keyHeader: {`a"b\c,d`}} },
			func(*bank) (string, headers) { return plain, headers{keyHeader: {`a"b\c,d`}} }},
		{"id and the id as key",
			func(*bank) (string, headers) { return withKey(other), nil },
			func(*bank) (string, headers) { return withKey(other), headers{keyHeader: {strings.ToUpper(other)}} }},
		{"a key, then the id it derives to",
			func(*bank) (string, headers) { return plain, headers{keyHeader: {"k-1"}} },
			func(b *bank) (string, headers) { return withKey(derived(b, "k-1")), nil }},
		{"a key, then both",
			func(*bank) (string, headers) { return plain, headers{keyHeader: {"k-2"}} },
			func(b *bank) (string, headers) { return withKey(derived(b, "k-2")), headers{keyHeader: {"k-2"}} }},
		{"the longest key",
			func(*bank) (string, headers) { return plain, headers{keyHeader: {strings.Repeat("~", 255)}} },
			func(*bank) (string, headers) { return plain, headers{keyHeader: {strings.Repeat("~", 255)}} }},
		{"other white space and order",
			func(*bank) (string, headers) { return plain, headers{keyHeader: {"k-3"}} },
			func(*bank) (string, headers) {
				return "\n{ \"metadata\": {\"\\u0078\" : 1}, \"amount\":\"1.00\", \"credit\":\"customers:1\",\n\t\"debit\":\"cash\" }\n", headers{keyHeader: {"k-3"}}
			}},
	}
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		for _, c := range tests {
			body, with := c.first(b)
			first := b.do("POST", "/v1/ledgers/main/transfers", body, with).is(201, "")
			size := b.size()
			body, with = c.second(b)
			second := b.do("POST", "/v1/ledgers/main/transfers", body, with).is(201, "")
			if string(first.body) != string(second.body) {
				t.Errorf("%s: answered\n%s\nafter\n%s", c.name, second.body, first.body)
			}
			if first.header.Get("Idempotent-Replayed") != "" || second.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s: Idempotent-Replayed is %q, then %q", c.name, first.header.Get("Idempotent-Replayed"), second.header.Get("Idempotent-Replayed"))
			}
			if first.header.Get("Location") != second.header.Get("Location") {
				t.Errorf("%s: Location is %q, then %q", c.name, first.header.Get("Location"), second.header.Get("Location"))
			}
			if after := b.size(); after != size {
				t.Errorf("%s: the replay made the ledger grow from %s to %s", c.name, size, after)
			}
		}
	})
}

func TestAKeyStandsForOneBody(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		key := headers{keyHeader: {"one"}}
		const path = "/v1/ledgers/main/transfers"
		b.do("POST", path, `{"debit":"cash","credit":"customers:1","amount":"1","reference":"r"}`, key).is(201, "")
		before := b.size()
		for _, other := range []string{
			`{"debit":"cash","credit":"customers:1","amount":"2","reference":"r"}`,
			`{"debit":"cash","credit":"customers:2","amount":"1","reference":"r"}`,
			`{"debit":"customers:1","credit":"cash","amount":"1","reference":"r"}`,
			`{"debit":"cash","credit":"customers:1","amount":"1"}`,
			`{"debit":"cash","credit":"customers:1","amount":"1","reference":"R"}`,
			`{"debit":"cash","credit":"customers:1","amount":"1","reference":"r","currency":"EUR"}`,
			`{"debit":"cash","credit":"customers:1","amount":"1","reference":"r","metadata":{}}`,
			`{"debit":"cash","credit":"nobody","amount":"1","reference":"r"}`,
			`{"debit":"cash","credit":"cash","amount":"1","reference":"r"}`,
		} {
			b.do("POST", path, other, key).is(409, ledger.CodeIdempotencyConflict)
		}
		if after := b.size(); after != before {
			t.Errorf("conflicts made the ledger grow from %s to %s", before, after)
		}
	})
}

func TestARefusalDoesNotUseUpItsKey(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		key := headers{keyHeader: {"later"}}
		const body = `{"debit":"customers:1","credit":"cash","amount":"5"}`
		b.do("POST", "/v1/ledgers/main/transfers", body, key).is(422, ledger.CodeLimitExceeded).want("available", "0.00")
		b.pay("cash", "customers:1", "5").is(201, "")
		b.do("POST", "/v1/ledgers/main/transfers", body, key).is(201, "").want("postings.0.balance", "0.00")
	})
}

// TestOneKeyAtOnceIsOneEntry sends one request many times at once.
func TestOneKeyAtOnceIsOneEntry(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		before := mustAtoi(t, b.size())
		const many = 100
		key := headers{keyHeader: {uuid.NewString()}}
		answers := make([]*answer, many)
		var wait sync.WaitGroup
		for i := range many {
			wait.Go(func() {
				answers[i] = b.do("POST", "/v1/ledgers/main/transfers", `{"debit":"cash","credit":"customers:1","amount":"1"}`, key)
			})
		}
		wait.Wait()
		originals := 0
		for _, a := range answers {
			a.is(201, "")
			if string(a.body) != string(answers[0].body) {
				t.Errorf("answered\n%s\nand\n%s", a.body, answers[0].body)
			}
			if a.header.Get("Idempotent-Replayed") == "" {
				originals++
			}
		}
		if originals != 1 {
			t.Errorf("%d answers are not replays, want 1", originals)
		}
		if after := mustAtoi(t, b.size()); after != before+1 {
			t.Errorf("the ledger grew from %d to %d entries", before, after)
		}
		b.get("/v1/ledgers/main/accounts/cash").want("balance", "1.00", "account_seq", "1")
	})
}

// TestManyAtOnceLoseNothing posts from many clients over shared accounts.
func TestManyAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		const clients, each = 16, 25
		var wait sync.WaitGroup
		for range clients {
			wait.Go(func() {
				for range each {
					b.pay("cash", "customers:1", "0.01").is(201, "")
				}
			})
		}
		wait.Wait()
		b.get("/v1/ledgers/main/accounts/customers:1").want("balance", "4.00", "account_seq", fmt.Sprint(clients*each))
	})
}

func TestTwoLedgersDoNotShareKeysOrAccounts(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.post("/v1/ledgers", `{"name":"other","base_currency":"EUR"}`).is(201, "")
		key := headers{keyHeader: {"shared"}}
		const body = `{"debit":"cash","credit":"customers:1","amount":"1"}`
		first := b.do("POST", "/v1/ledgers/main/transfers", body, key).is(201, "")
		b.do("POST", "/v1/ledgers/other/transfers", body, key).is(422, ledger.CodeUnknownAccount)
		b.get("/v1/ledgers/other/transfers/"+first.text("id")).is(404, ledger.CodeTransferNotFound)
		b.get("/v1/ledgers/other").want("size", "1")
	})
}

func TestLegsOfOneAccountAreOnePosting(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		a := b.transfer(legs("cash debit 1.50", "customers:1 credit 4", "cash debit 2.50")).is(201, "")
		if n := a.length("postings"); n != 2 {
			t.Errorf("the entry has %d postings, want 2: %s", n, a.body)
		}
		a.want("postings.0.amount", "4.00", "postings.0.account_seq", "1")
	})
}

func TestATransferOf500Postings(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		accounts := repeated(499, `{"code":"m:%d","type":"liability","currency":"EUR"}`)
		b.post("/v1/ledgers/main/accounts/batch", `{"accounts":[`+accounts+`]}`).is(200, "")
		body := `{"postings":[{"account":"cash","direction":"debit","amount":"4.99"},` + repeated(499, `{"account":"m:%d","direction":"credit","amount":"0.01"}`) + `]}`
		a := b.transfer(body).is(201, "")
		if n := a.length("postings"); n != 500 {
			t.Errorf("the entry has %d postings", n)
		}
		b.get("/v1/ledgers/main/accounts/m:498").want("balance", "0.01")
	})
}

// TestAnAccountOpenedIsNoTransfer: the ids of all kinds share one space.
func TestAnAccountOpenedIsNoTransfer(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		id := b.get("/v1/ledgers/main/entries/1").want("kind", "account_opened").text("id")
		b.get("/v1/ledgers/main/transfers/"+id).is(404, ledger.CodeTransferNotFound)
		b.do("POST", "/v1/ledgers/main/transfers", `{"id":"`+id+`","debit":"cash","credit":"customers:1","amount":"1"}`, nil).
			is(409, ledger.CodeIdempotencyConflict)
	})
}
