package api

import (
	"strings"
	"testing"

	"tallystick/ledger"
)

func TestACurrencyIsDefinedOnce(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		const path = "/v1/ledgers/main/currencies"
		b.post("/v1/ledgers/main/accounts", `{"code":"miles","type":"asset","currency":"MILES"}`).is(422, ledger.CodeUnknownCurrency)
		a := b.post(path, `{"code":"MILES","name":"Frequent flyer miles","scale":3}`).is(201, "").
			want("code", "MILES", "name", "Frequent flyer miles", "scale", "3", "defined_at_seq", "1")
		for _, body := range []string{`{"code":"MILES","name":"Frequent flyer miles","scale":3}`, `{"scale":3,"code":"MILES","name":"By another name"}`} {
			if again := b.post(path, body).is(200, ""); string(again.body) != string(a.body) {
				t.Errorf("defining it again is answered\n%s\nafter\n%s", again.body, a.body)
			}
		}
		with := headers{keyHeader: {"k"}}
		b.do("POST", path, `{"code":"W","name":"Wei","scale":18}`, with).is(201, "").want("scale", "18")
		if again := b.do("POST", path, `{"code":"W","name":"Wei","scale":18}`, with).is(200, ""); again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("the same key again is no replay: %v", again.header)
		}
		b.do("POST", path, `{"code":"W","name":"Gwei","scale":9}`, with).is(409, ledger.CodeIdempotencyConflict)
		b.get(path).is(200, "").want("data.0.code", "MILES", "data.1.code", "W", "next", "")
		next := b.get(path+"?limit=1").want("data.0.code", "MILES").text("next")
		b.get(path+"?limit=1&cursor="+next).want("data.0.code", "W", "next", "")

		b.post("/v1/ledgers/main/accounts", `{"code":"miles","type":"asset","currency":"MILES","max_balance":"100.125"}`).is(201, "").want("max_balance", "100.125")
		b.post("/v1/ledgers/main/accounts", `{"code":"miles:out","type":"liability","currency":"MILES"}`).is(201, "")
		b.patch("/v1/ledgers/main/accounts/miles", `{"min_balance":"0.001"}`).is(200, "").want("min_balance", "0.001", "balance", "0.000")
		b.patch("/v1/ledgers/main/accounts/miles", `{"min_balance":"0.0001"}`).is(422, ledger.CodeAmountPrecision)
		b.transfer(`{"debit":"miles","credit":"miles:out","amount":"1.5","currency":"MILES"}`).is(201, "").want("postings.0.amount", "1.500", "postings.0.currency", "MILES")
		b.transfer(`{"debit":"miles","credit":"miles:out","amount":"1.5005"}`).is(422, ledger.CodeAmountPrecision)
	})
}

func TestCurrenciesThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.post("/v1/ledgers/main/currencies", `{"code":"MILES","name":"Miles","scale":0}`).is(201, "")
		define := func(name, body string, status int, code ledger.Code, want ...string) bad {
			return bad{name: name, path: "/currencies", body: body, status: status, code: code, want: want, with: headers{}}
		}
		refuse(t, b, []bad{
			define("of ISO 4217", `{"code":"USD","name":"Dollar","scale":2}`, 422, ledger.CodeCurrencyReserved),
			define("another scale", `{"code":"MILES","name":"Miles","scale":2}`, 409, ledger.CodeCurrencyExists),
			define("small letters", `{"code":"miles","name":"Miles","scale":2}`, 400, codeCurrencyInvalid, "field", "/code"),
			define("long code", `{"code":"`+strings.Repeat("A", 17)+`","name":"Miles","scale":2}`, 400, codeCurrencyInvalid),
			define("no code", `{"name":"Miles","scale":2}`, 400, codeMissingField, "field", "/code"),
			define("no name", `{"code":"X1","scale":2}`, 400, codeMissingField, "field", "/name"),
			define("empty name", `{"code":"X1","name":"","scale":2}`, 400, codeTextInvalid, "field", "/name"),
			define("long name", `{"code":"X1","name":"`+strings.Repeat("x", ledger.MaxCurrencyName+1)+`","scale":2}`, 400, codeTextTooLong),
			define("control character", `{"code":"X1","name":"a\tb","scale":2}`, 400, codeTextInvalid),
			define("no scale", `{"code":"X1","name":"X"}`, 400, codeMissingField, "field", "/scale"),
			define("scale 19", `{"code":"X1","name":"X","scale":19}`, 400, codeValueInvalid, "field", "/scale"),
			define("negative scale", `{"code":"X1","name":"X","scale":-1}`, 400, codeValueInvalid),
			define("half a scale", `{"code":"X1","name":"X","scale":1.5}`, 400, codeValueInvalid),
			define("endless scale", `{"code":"X1","name":"X","scale":99999999999999999999}`, 400, codeValueInvalid),
			define("scale as text", `{"code":"X1","name":"X","scale":"2"}`, 400, codeWrongType, "field", "/scale"),
			define("null scale", `{"code":"X1","name":"X","scale":null}`, 400, codeWrongType),
			define("unknown field", `{"code":"X1","name":"X","scale":2,"symbol":"x"}`, 400, codeUnknownField, "field", "/symbol"),
			define("a list", `[]`, 400, codeWrongType),
			{name: "bad key", path: "/currencies", body: `{"code":"X1","name":"X","scale":2}`, with: headers{keyHeader: {"a", "b"}}, status: 400, code: codeKeyInvalid},
			{name: "without the scope", path: "/currencies", body: `{"code":"X1","name":"X","scale":2}`, with: b.keyWith(scopeRead), status: 403, code: codeForbidden},
			{name: "a dry run", path: "/currencies?dry_run=true", body: `{"code":"X1","name":"X","scale":2}`, status: 400, code: codeUnknownParameter},
			{name: "unknown parameter", method: "GET", path: "/currencies?iso=true", status: 400, code: codeUnknownParameter},
			{name: "limit 0", method: "GET", path: "/currencies?limit=0", status: 400, code: codeLimitInvalid},
			{name: "unknown ledger", method: "GET", path: "/v1/ledgers/nowhere/currencies", status: 404, code: codeLedgerNotFound},
		})
	})
}
