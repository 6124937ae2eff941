package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger"
)

// bad is one request that must be refused without a trace.
type bad struct {
	name   string
	method string // POST when empty
	path   string // below /v1/ledgers/main, or from / on; /transfers when empty
	body   string
	with   headers
	status int
	code   ledger.Code
	want   []string // pairs of path and text in the problem
}

// refuse sends every request and requires its refusal. An id or key is added
// to transfers that have none.
func refuse(t *testing.T, b *bank, table []bad) {
	before := b.size()
	for _, c := range table {
		method, path := c.method, c.path
		if method == "" {
			method = "POST"
		}
		if path == "" {
			path = "/transfers"
		}
		if !strings.HasPrefix(path, "/v1") && !strings.HasPrefix(path, "/metrics") && !strings.HasPrefix(path, "/nowhere") {
			path = "/v1/ledgers/main" + path
		}
		with := c.with
		if with == nil && method == "POST" {
			with = headers{keyHeader: {uuid.NewString()}}
		}
		a := b.do(method, path, c.body, with)
		if a.status != c.status || a.text("code") != string(c.code) {
			t.Errorf("%s: answered %d %s, want %d %s", c.name, a.status, a.body, c.status, c.code)
			continue
		}
		a.want(c.want...)
	}
	if after := b.size(); after != before {
		t.Errorf("the ledger had %s entries and has %s: something was stored", before, after)
	}
}

// legs returns the body of a transfer with these postings, each
// "account side amount".
func legs(postings ...string) string {
	var list []string
	for _, p := range postings {
		f := strings.Fields(p)
		list = append(list, fmt.Sprintf(`{"account":%q,"direction":%q,"amount":%q}`, f[0], f[1], f[2]))
	}
	return `{"postings":[` + strings.Join(list, ",") + `]}`
}

func repeated(n int, format string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(parts, ",")
}

func TestTransfersThatTheBookRefuses(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.pay("cash", "customers:1", "10.00").is(201, "")
		b.patch("/v1/ledgers/main/accounts/yen", `{"frozen":"debits"}`).is(200, "")
		b.post("/v1/ledgers/main/accounts", `{"code":"old","type":"asset","currency":"EUR"}`).is(201, "")
		b.patch("/v1/ledgers/main/accounts/old", `{"closed":true}`).is(200, "")
		head := fmt.Sprint(mustAtoi(t, b.size()) - 1)
		const short = `{"debit":"cash","credit":"customers:1","amount":%q}`
		refuse(t, b, []bad{
			{name: "more decimals than the currency has", body: fmt.Sprintf(short, "1.001"), status: 422, code: ledger.CodeAmountPrecision,
				want: []string{"posting", "0", "account", "cash", "evaluated_at_seq", head}},
			{name: "a decimal of a currency without", body: `{"debit":"yen","credit":"yen:out","amount":"1.5"}`, status: 422, code: ledger.CodeAmountPrecision},
			{name: "zero amount", body: fmt.Sprintf(short, "0.00"), status: 422, code: ledger.CodeAmountNotPositive, want: []string{"posting", "0"}},
			{name: "negative amount", body: fmt.Sprintf(short, "-1"), status: 422, code: ledger.CodeAmountNotPositive},
			{name: "amount over 128 bits", body: fmt.Sprintf(short, strings.Repeat("9", 39)), status: 422, code: ledger.CodeAmountRange},
			{name: "unbalanced", body: legs("cash debit 1.00", "customers:1 credit 1.01"), status: 422, code: ledger.CodeUnbalanced},
			{name: "balanced over two currencies only", body: legs("cash debit 1", "yen:out credit 1"), status: 422, code: ledger.CodeUnbalanced},
			{name: "no posting", body: `{"postings":[]}`, status: 422, code: ledger.CodePostingCount},
			{name: "one posting", body: legs("cash debit 1"), status: 422, code: ledger.CodePostingCount},
			{name: "501 postings", body: `{"postings":[` + repeated(501, `{"account":"a%d","direction":"debit","amount":"1"}`) + `]}`,
				status: 422, code: ledger.CodePostingCount},
			{name: "debited and credited", body: legs("cash debit 1", "cash credit 1"), status: 422, code: ledger.CodeAccountTwice, want: []string{"account", "cash", "posting", "1"}},
			{name: "debited and credited among others", body: legs("cash debit 1", "customers:1 credit 1", "cash credit 1", "customers:1 debit 1"),
				status: 422, code: ledger.CodeAccountTwice},
			{name: "unknown account", body: `{"debit":"cash","credit":"nobody","amount":"1"}`, status: 422, code: ledger.CodeUnknownAccount,
				want: []string{"account", "nobody", "posting", "1"}},
			{name: "unknown asserted currency", body: `{"debit":"cash","credit":"customers:1","amount":"1","currency":"XXQ"}`, status: 422, code: ledger.CodeUnknownCurrency},
			{name: "asserted currency differs", body: `{"debit":"cash","credit":"customers:1","amount":"1","currency":"USD"}`, status: 422, code: ledger.CodeCurrencyMismatch},
			{name: "asserted currency differs in one posting", status: 422, code: ledger.CodeCurrencyMismatch, want: []string{"posting", "1", "account", "customers:1"},
				body: `{"postings":[{"account":"cash","direction":"debit","amount":"1","currency":"EUR"},{"account":"customers:1","direction":"credit","amount":"1","currency":"JPY"}]}`},
			{name: "lower limit", body: `{"debit":"customers:1","credit":"cash","amount":"10.01"}`, status: 422, code: ledger.CodeLimitExceeded,
				want: []string{"available", "10.00", "currency", "EUR", "account", "customers:1", "evaluated_at_seq", head}},
			{name: "upper limit", body: `{"debit":"cash","credit":"customers:2","amount":"100.01"}`, status: 422, code: ledger.CodeLimitExceeded,
				want: []string{"available", "", "account", "customers:2"}},
			{name: "frozen", body: `{"debit":"yen","credit":"yen:out","amount":"1"}`, status: 422, code: ledger.CodeAccountFrozen, want: []string{"account", "yen"}},
			{name: "closed", body: `{"debit":"old","credit":"customers:1","amount":"1"}`, status: 422, code: ledger.CodeAccountClosed, want: []string{"account", "old"}},
			{name: "value date too far back", body: `{"debit":"cash","credit":"customers:1","amount":"1","effective_date":"1970-01-01"}`, status: 422, code: ledger.CodeDateOutOfBounds},
			{name: "value date too far ahead", body: `{"debit":"cash","credit":"customers:1","amount":"1","effective_date":"9999-12-31"}`, status: 422, code: ledger.CodeDateOutOfBounds},
			{name: "not_after has passed", body: `{"debit":"cash","credit":"customers:1","amount":"1","not_after":"2001-01-01T00:00:00Z"}`, status: 422, code: ledger.CodeTooLate},
			{name: "unknown ledger", path: "/v1/ledgers/nowhere/transfers", body: fmt.Sprintf(short, "1"), status: 404, code: codeLedgerNotFound},
			{name: "unknown ledger by id", path: "/v1/ledgers/01890a5d-ac96-774b-bcce-b302099a8057/transfers", body: fmt.Sprintf(short, "1"), status: 404, code: codeLedgerNotFound},
			{name: "a ledger of NUL", path: "/v1/ledgers/%00/transfers", body: fmt.Sprintf(short, "1"), status: 404, code: codeLedgerNotFound},
			{name: "a ledger of broken UTF-8", path: "/v1/ledgers/%ff%fe/transfers", body: fmt.Sprintf(short, "1"), status: 404, code: codeLedgerNotFound},
		})
	})
}

func TestTransfersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		const head = `{"debit":"cash","credit":"customers:1","amount":"1"`
		many := repeated(51, `"k%d":0`)
		deep := strings.Repeat(`{"a":`, 8) + `1` + strings.Repeat(`}`, 8)
		refuse(t, b, []bad{
			{name: "JSON number as amount", body: `{"debit":"cash","credit":"customers:1","amount":12.34}`, status: 400, code: codeAmountNotString, want: []string{"field", "/amount"}},
			{name: "JSON number as amount of a posting", body: `{"postings":[{"account":"cash","direction":"debit","amount":12}]}`, status: 400, code: codeAmountNotString,
				want: []string{"field", "/postings/0/amount"}},
			{name: "exponent", body: `{"debit":"cash","credit":"customers:1","amount":"1e3"}`, status: 400, code: codeAmountInvalid},
			{name: "plus sign", body: `{"debit":"cash","credit":"customers:1","amount":"+1"}`, status: 400, code: codeAmountInvalid},
			{name: "comma", body: `{"debit":"cash","credit":"customers:1","amount":"1,50"}`, status: 400, code: codeAmountInvalid},
			{name: "empty amount", body: `{"debit":"cash","credit":"customers:1","amount":""}`, status: 400, code: codeAmountInvalid},
			{name: "endless amount", body: `{"debit":"cash","credit":"customers:1","amount":"` + strings.Repeat("9", 5000) + `"}`, status: 400, code: codeAmountInvalid},
			{name: "null amount", body: `{"debit":"cash","credit":"customers:1","amount":null}`, status: 400, code: codeWrongType, want: []string{"field", "/amount"}},
			{name: "date malformed", body: head + `,"effective_date":"2026-1-31"}`, status: 400, code: codeDateInvalid, want: []string{"field", "/effective_date"}},
			{name: "no such day", body: head + `,"effective_date":"2026-02-30"}`, status: 400, code: codeDateInvalid},
			{name: "year 0", body: head + `,"effective_date":"0000-01-01"}`, status: 400, code: codeDateInvalid},
			{name: "date with time", body: head + `,"effective_date":"2026-01-31T00:00:00Z"}`, status: 400, code: codeDateInvalid},
			{name: "not_after without zone", body: head + `,"not_after":"2026-01-31T00:00:00"}`, status: 400, code: codeTimeInvalid},
			{name: "not_after with a comma", body: head + `,"not_after":"2026-01-31T00:00:00,5Z"}`, status: 400, code: codeTimeInvalid},
			{name: "unknown field", body: head + `,"held":true}`, status: 400, code: codeUnknownField, want: []string{"field", "/held"}},
			{name: "field in other case", body: head + `,"Description":"x"}`, status: 400, code: codeUnknownField},
			{name: "unknown field of a posting", body: `{"postings":[{"account":"cash","direction":"debit","amount":"1","note":"x"}]}`, status: 400, code: codeUnknownField,
				want: []string{"field", "/postings/0/note"}},
			{name: "trailing JSON", body: head + `}{}`, status: 400, code: codeTrailingJSON},
			{name: "trailing garbage", body: head + `} x`, status: 400, code: codeTrailingJSON},
			{name: "duplicate field", body: head + `,"amount":"2"}`, status: 400, code: codeDuplicateField, want: []string{"field", "/amount"}},
			{name: "duplicate field by escape", body: head + `,"\u0061mount":"2"}`, status: 400, code: codeDuplicateField},
			{name: "duplicate field in metadata", body: head + `,"metadata":{"a":{"b":1,"b":2}}}`, status: 400, code: codeDuplicateField},
			{name: "empty body with a type", body: ` `, status: 400, code: codeMalformedJSON},
			{name: "no JSON", body: `debit=cash`, status: 400, code: codeMalformedJSON},
			{name: "cut off", body: head, status: 400, code: codeMalformedJSON},
			{name: "not an object", body: `[1]`, status: 400, code: codeWrongType},
			{name: "null", body: `null`, status: 400, code: codeWrongType},
			{name: "comment", body: head + `} // x`, status: 400, code: codeTrailingJSON},
			{name: "body over 1 MiB", body: head + `,"description":"` + strings.Repeat("x", MaxBody) + `"}`, status: 413, code: codeBodyTooLarge},
			{name: "metadata over its bound", body: head + `,"metadata":{"a":"` + strings.Repeat("x", ledger.MaxMetadata) + `"}}`, status: 400, code: codeMetadataTooBig,
				want: []string{"field", "/metadata"}},
			{name: "metadata of 51 members", body: head + `,"metadata":{` + many + `}}`, status: 400, code: codeMetadataInvalid},
			{name: "metadata of 9 levels", body: head + `,"metadata":{"a":` + deep + `}}`, status: 400, code: codeMetadataInvalid},
			{name: "metadata no object", body: head + `,"metadata":[1]}`, status: 400, code: codeWrongType},
			{name: "control character in metadata", body: head + `,"metadata":{"a":["x\ty"]}}`, status: 400, code: codeTextInvalid},
			{name: "NUL in a name in metadata", body: head + `,"metadata":{"a\u0000":1}}`, status: 400, code: codeTextInvalid},
			{name: "control character", body: head + `,"description":"a\nb"}`, status: 400, code: codeTextInvalid, want: []string{"field", "/description"}},
			{name: "raw control character", body: head + ",\"description\":\"a\x01b\"}", status: 400, code: codeMalformedJSON},
			{name: "DEL", body: head + ",\"description\":\"a\x7fb\"}", status: 400, code: codeTextInvalid},
			{name: "C1 control character", body: head + `,"reference":"a\u0085b"}`, status: 400, code: codeTextInvalid},
			{name: "NUL", body: head + `,"reference":"a\u0000b"}`, status: 400, code: codeTextInvalid},
			{name: "invalid UTF-8", body: head + ",\"description\":\"\xff\"}", status: 400, code: codeMalformedJSON},
			{name: "overlong UTF-8", body: head + ",\"description\":\"\xc0\xaf\"}", status: 400, code: codeMalformedJSON},
			{name: "surrogate in UTF-8", body: head + ",\"description\":\"\xed\xa0\x80\"}", status: 400, code: codeMalformedJSON},
			{name: "lone surrogate", body: head + `,"description":"\ud800"}`, status: 400, code: codeMalformedJSON},
			{name: "surrogates in the wrong order", body: head + `,"description":"\udc00\ud800"}`, status: 400, code: codeMalformedJSON},
			{name: "lone surrogate in metadata", body: head + `,"metadata":{"a":"\udfff"}}`, status: 400, code: codeMalformedJSON},
			{name: "empty description", body: head + `,"description":""}`, status: 400, code: codeTextInvalid},
			{name: "long description", body: head + `,"description":"` + strings.Repeat("ü", ledger.MaxDescription/2) + `x"}`, status: 400, code: codeTextTooLong},
			{name: "long reference", body: head + `,"reference":"` + strings.Repeat("x", ledger.MaxReference+1) + `"}`, status: 400, code: codeTextTooLong},
			{name: "null description", body: head + `,"description":null}`, status: 400, code: codeWrongType},
			{name: "number as description", body: head + `,"description":1}`, status: 400, code: codeWrongType},
			{name: "object as description", body: head + `,"description":{"a":1}}`, status: 400, code: codeWrongType},
			{name: "account code in capitals", body: `{"debit":"Cash","credit":"customers:1","amount":"1"}`, status: 400, code: codeAccountCode, want: []string{"field", "/debit"}},
			{name: "account code with an empty segment", body: `{"debit":"cash","credit":"customers::1","amount":"1"}`, status: 400, code: codeAccountCode},
			{name: "account code of 129 bytes", body: `{"debit":"cash","credit":"` + strings.Repeat("a", 129) + `","amount":"1"}`, status: 400, code: codeAccountCode},
			{name: "currency in small letters", body: head + `,"currency":"eur"}`, status: 400, code: codeCurrencyInvalid},
			{name: "long currency", body: head + `,"currency":"ABCDEFGHIJKLMNOPQ"}`, status: 400, code: codeCurrencyInvalid},
			{name: "both forms", body: head + `,"postings":[]}`, status: 400, code: codeConflictingForm},
			{name: "neither form", body: `{"description":"x"}`, status: 400, code: codeMissingField, want: []string{"field", "/postings"}},
			{name: "short form without credit", body: `{"debit":"cash","amount":"1"}`, status: 400, code: codeMissingField, want: []string{"field", "/credit"}},
			{name: "short form without debit", body: `{"credit":"cash","amount":"1"}`, status: 400, code: codeMissingField, want: []string{"field", "/debit"}},
			{name: "short form without amount", body: `{"debit":"cash","credit":"customers:1"}`, status: 400, code: codeMissingField, want: []string{"field", "/amount"}},
			{name: "posting without direction", body: `{"postings":[{"account":"cash","amount":"1"}]}`, status: 400, code: codeMissingField, want: []string{"field", "/postings/0/direction"}},
			{name: "posting without account", body: `{"postings":[{"direction":"debit","amount":"1"}]}`, status: 400, code: codeMissingField},
			{name: "posting without amount", body: `{"postings":[{"account":"cash","direction":"debit"}]}`, status: 400, code: codeMissingField},
			{name: "unknown direction", body: legs("cash Debit 1"), status: 400, code: codeValueInvalid},
			{name: "posting no object", body: `{"postings":["cash"]}`, status: 400, code: codeWrongType, want: []string{"field", "/postings/0"}},
			{name: "postings no array", body: `{"postings":{}}`, status: 400, code: codeWrongType},
			{name: "id no UUID", body: head + `,"id":"17"}`, status: 400, code: codeIDInvalid, want: []string{"field", "/id"}},
			{name: "id in braces", body: head + `,"id":"{01890a5d-ac96-774b-bcce-b302099a8057}"}`, status: 400, code: codeIDInvalid},
			{name: "id without hyphens", body: head + `,"id":"01890a5dac96774bbcceb302099a8057"}`, status: 400, code: codeIDInvalid},
			{name: "id of zeros", body: head + `,"id":"00000000-0000-0000-0000-000000000000"}`, status: 400, code: codeIDInvalid},
			{name: "parameter of another route", path: "/transfers?limit=1", body: head + `}`, status: 400, code: codeUnknownParameter, want: []string{"field", "limit"}},
			{name: "dry_run neither true nor false", path: "/transfers?dry_run=1", body: head + `}`, status: 400, code: codeInvalidParameter, want: []string{"field", "dry_run"}},
			{name: "dry_run twice", path: "/transfers?dry_run=true&dry_run=true", body: head + `}`, status: 400, code: codeRepeatedParameter},
			{name: "hold in words", body: head + `,"hold":"yes"}`, status: 400, code: codeWrongType, want: []string{"field", "/hold"}},
			{name: "expiry of no hold", body: head + `,"expires_at":"2999-01-01T00:00:00Z"}`, status: 400, code: codeConflictingForm, want: []string{"field", "/expires_at"}},
			{name: "expiry without zone", body: head + `,"hold":true,"expires_at":"2999-01-01T00:00:00"}`, status: 400, code: codeTimeInvalid},
			{name: "prior_period null", body: head + `,"prior_period":null}`, status: 400, code: codeWrongType},
			{name: "related_to no id", body: head + `,"related_to":"inv-1"}`, status: 400, code: codeIDInvalid, want: []string{"field", "/related_to"}},
			{name: "rate as a number", body: head + `,"rate":1.08}`, status: 400, code: codeWrongType},
			{name: "empty rate", body: head + `,"rate":""}`, status: 400, code: codeTextInvalid},
			{name: "long rate", body: head + `,"rate":"` + strings.Repeat("1", ledger.MaxRate+1) + `"}`, status: 400, code: codeTextTooLong},
		})
	})
}

func TestKeysAndHeadersThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		const body = `{"debit":"cash","credit":"customers:1","amount":"1"}`
		const withID = `{"id":"01890a5d-ac96-774b-bcce-b302099a8057","debit":"cash","credit":"customers:1","amount":"1"}`
		key := headers{keyHeader: {"k"}}
		with := func(more headers) headers {
			for name, values := range key {
				if _, ok := more[name]; !ok {
					more[name] = values
				}
			}
			return more
		}
		refuse(t, b, []bad{
			{name: "no key", body: body, with: headers{}, status: 400, code: codeKeyMissing},
			{name: "empty key", body: body, with: headers{keyHeader: {""}}, status: 400, code: codeKeyInvalid, want: []string{"field", keyHeader}},
			{name: "key of spaces", body: body, with: headers{keyHeader: {"  "}}, status: 400, code: codeKeyInvalid},
			{name: "key of 256 bytes", body: body, with: headers{keyHeader: {strings.Repeat("k", 256)}}, status: 400, code: codeKeyInvalid},
			{name: "key with a space", body: body, with: headers{keyHeader: {"a b"}}, status: 400, code: codeKeyInvalid},
			{name: "key with a tab", body: body, with: headers{keyHeader: {"a\tb"}}, status: 400, code: codeKeyInvalid},
			{name: "key outside ASCII", body: body, with: headers{keyHeader: {"schlüssel"}}, status: 400, code: codeKeyInvalid},
			{name: "key with DEL's neighbour 0x80", body: body, with: headers{keyHeader: {"a\x80"}}, status: 400, code: codeKeyInvalid},
			{name: "two keys", body: body, with: headers{keyHeader: {"a", "a"}}, status: 400, code: codeKeyInvalid},
			{name: "empty key beside an id", body: withID, with: headers{keyHeader: {""}}, status: 400, code: codeKeyInvalid},
			{name: "id and header that disagree", body: withID, with: key, status: 400, code: codeKeyMismatch},
			{name: "another id in the header", body: withID, with: headers{keyHeader: {"01890a5d-ac96-774b-bcce-b302099a8058"}}, status: 400, code: codeKeyMismatch},
			{name: "no content type", body: body, with: with(headers{"Content-Type": nil}), status: 415, code: codeMediaType},
			{name: "form", body: body, with: with(headers{"Content-Type": {"application/x-www-form-urlencoded"}}), status: 415, code: codeMediaType},
			{name: "text", body: body, with: with(headers{"Content-Type": {"text/json"}}), status: 415, code: codeMediaType},
			{name: "Latin 1", body: body, with: with(headers{"Content-Type": {"application/json; charset=iso-8859-1"}}), status: 415, code: codeMediaType},
			{name: "broken type", body: body, with: with(headers{"Content-Type": {"application/json; charset"}}), status: 415, code: codeMediaType},
			{name: "compressed", body: body, with: with(headers{"Content-Encoding": {"gzip"}}), status: 415, code: codeMediaType},
			{name: "no bearer key", body: body, with: with(headers{"Authorization": nil}), status: 401, code: codeUnauthenticated},
			{name: "wrong bearer key", body: body, with: with(headers{"Authorization": {"Bearer nonsense"}}), status: 401, code: codeUnauthenticated},
			{name: "the key with a byte more", body: body, with: with(headers{"Authorization": {"Bearer " + testKey + "x"}}), status: 401, code: codeUnauthenticated},
			{name: "basic authorization", body: body, with: with(headers{"Authorization": {"Basic " + testKey}}), status: 401, code: codeUnauthenticated},
			{name: "empty bearer", body: body, with: with(headers{"Authorization": {"Bearer "}}), status: 401, code: codeUnauthenticated},
			{name: "two authorizations", body: body, with: with(headers{"Authorization": {"Bearer " + testKey, "Bearer " + testKey}}), status: 401, code: codeUnauthenticated},
			{name: "key in the query", path: "/transfers?access_token=" + testKey, body: body, with: with(headers{"Authorization": nil}), status: 401, code: codeUnauthenticated},
			{name: "metrics without a key", method: "GET", path: "/metrics", with: headers{"Authorization": nil}, status: 401, code: codeUnauthenticated},
			{name: "engine without a key", method: "GET", path: "/v1/engine", with: headers{"Authorization": nil}, status: 401, code: codeUnauthenticated},
			{name: "unknown route without a key", method: "GET", path: "/v1/secrets", with: headers{"Authorization": nil}, status: 401, code: codeUnauthenticated},
			{name: "wrong method without a key", method: "DELETE", path: "", with: headers{"Authorization": nil}, status: 401, code: codeUnauthenticated},
			{name: "unknown route", method: "GET", path: "/v1/secrets", status: 404, code: codeRouteNotFound},
			{name: "unknown route outside", method: "GET", path: "/nowhere", with: headers{"Authorization": nil}, status: 404, code: codeRouteNotFound},
			{name: "trailing slash", method: "GET", path: "/transfers/", status: 404, code: codeRouteNotFound},
			{name: "wrong method", method: "DELETE", path: "/transfers", status: 405, code: codeMethodNotAllowed},
			{name: "wrong method on an entry", method: "PUT", path: "/entries/0", body: "{}", status: 405, code: codeMethodNotAllowed},
		})
		if allow := b.do("DELETE", "/v1/ledgers/main/transfers", "", nil).header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "POST") {
			t.Errorf("Allow is %q, want GET and POST in it", allow)
		}
		if challenge := b.do("GET", "/v1/engine", "", headers{"Authorization": nil}).header.Get("WWW-Authenticate"); challenge != `Bearer realm="tallystick"` {
			t.Errorf("WWW-Authenticate is %q", challenge)
		}
	})
}

func TestAccountsThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.pay("cash", "customers:1", "5").is(201, "")
		const rest = `"type":"asset","currency":"EUR"`
		one := func(members string) string { return `{"code":"new",` + rest + `,` + members + `}` }
		refuse(t, b, []bad{
			{name: "unknown currency", path: "/accounts", body: `{"code":"new","type":"asset","currency":"XXQ"}`, status: 422, code: ledger.CodeUnknownCurrency},
			{name: "gold has no minor unit", path: "/accounts", body: `{"code":"new","type":"asset","currency":"XAU"}`, status: 422, code: ledger.CodeUnknownCurrency},
			{name: "other attributes", path: "/accounts", body: `{"code":"cash","type":"liability","currency":"EUR"}`, status: 409, code: ledger.CodeAccountExists, want: []string{"account", "cash"}},
			{name: "reserved code", path: "/accounts", body: `{"code":"_fees",` + rest + `}`, status: 400, code: codeAccountReserved, want: []string{"field", "/code"}},
			{name: "code with no place in a path", path: "/accounts", body: `{"code":"..",` + rest + `}`, status: 400, code: codeAccountReserved, want: []string{"field", "/code"}},
			{name: "malformed code", path: "/accounts", body: `{"code":"new account",` + rest + `}`, status: 400, code: codeAccountCode},
			{name: "colon at the end", path: "/accounts", body: `{"code":"new:",` + rest + `}`, status: 400, code: codeAccountCode},
			{name: "unknown type", path: "/accounts", body: `{"code":"new","type":"income","currency":"EUR"}`, status: 400, code: codeValueInvalid},
			{name: "no code", path: "/accounts", body: `{` + rest + `}`, status: 400, code: codeMissingField, want: []string{"field", "/code"}},
			{name: "no type", path: "/accounts", body: `{"code":"new","currency":"EUR"}`, status: 400, code: codeMissingField},
			{name: "no currency", path: "/accounts", body: `{"code":"new","type":"asset"}`, status: 400, code: codeMissingField},
			{name: "unknown frozen", path: "/accounts", body: one(`"frozen":"yes"`), status: 400, code: codeValueInvalid},
			{name: "number as limit", path: "/accounts", body: one(`"min_balance":0`), status: 400, code: codeAmountNotString},
			{name: "limit with more decimals", path: "/accounts", body: one(`"min_balance":"0.001"`), status: 422, code: ledger.CodeAmountPrecision},
			{name: "limits crossed", path: "/accounts", body: one(`"min_balance":"2","max_balance":"1"`), status: 422, code: ledger.CodeLimitsCrossed},
			{name: "tag no string", path: "/accounts", body: one(`"tags":{"a":1}`), status: 400, code: codeWrongType, want: []string{"field", "/tags/a"}},
			{name: "tag twice", path: "/accounts", body: one(`"tags":{"a":"1","a":"2"}`), status: 400, code: codeDuplicateField},
			{name: "tag without a key", path: "/accounts", body: one(`"tags":{"":"1"}`), status: 400, code: codeTagsInvalid},
			{name: "33 tags", path: "/accounts", body: one(`"tags":{` + repeated(33, `"k%d":"v"`) + `}`), status: 400, code: codeTagsInvalid},
			{name: "long tag", path: "/accounts", body: one(`"tags":{"a":"` + strings.Repeat("x", ledger.MaxTagValue+1) + `"}`), status: 400, code: codeTextTooLong},
			{name: "NUL in a tag", path: "/accounts", body: one(`"tags":{"a":"\u0000"}`), status: 400, code: codeTextInvalid},
			{name: "NUL in the name", path: "/accounts", body: one(`"name":"\u0000"`), status: 400, code: codeTextInvalid},
			{name: "balance", path: "/accounts", body: one(`"balance":"1"`), status: 400, code: codeUnknownField},
			{name: "bad key", path: "/accounts", body: `{"code":"new",` + rest + `}`, with: headers{keyHeader: {"a b"}}, status: 400, code: codeKeyInvalid},
			{name: "batch of none", path: "/accounts/batch", body: `{"accounts":[]}`, status: 400, code: codeItemCount},
			{name: "batch without accounts", path: "/accounts/batch", body: `{}`, status: 400, code: codeMissingField},
			{name: "batch of 1001", path: "/accounts/batch", body: `{"accounts":[` + repeated(1001, `{"code":"new:%d",`+rest+`}`) + `]}`, status: 400, code: codeItemCount},
			{name: "batch with one bad account", path: "/accounts/batch", body: `{"accounts":[{"code":"new",` + rest + `},{"code":"NEW",` + rest + `}]}`, status: 400, code: codeAccountCode,
				want: []string{"field", "/accounts/1/code"}},
			{name: "change of nothing there", method: "PATCH", path: "/accounts/nobody", body: `{"frozen":"all"}`, status: 404, code: codeAccountNotFound},
			{name: "change of a malformed code", method: "PATCH", path: "/accounts/No%20Body", body: `{"frozen":"all"}`, status: 404, code: codeAccountNotFound},
			{name: "change of the type", method: "PATCH", path: "/accounts/cash", body: `{"type":"equity"}`, status: 400, code: codeUnknownField},
			{name: "opening again", method: "PATCH", path: "/accounts/cash", body: `{"closed":false}`, status: 400, code: codeValueInvalid},
			{name: "closing with a word", method: "PATCH", path: "/accounts/cash", body: `{"closed":"yes"}`, status: 400, code: codeWrongType},
			{name: "closing with a balance", method: "PATCH", path: "/accounts/cash", body: `{"closed":true}`, status: 422, code: ledger.CodeAccountNotEmpty, want: []string{"account", "cash"}},
			{name: "limits would cross", method: "PATCH", path: "/accounts/customers:2", body: `{"min_balance":"200"}`, status: 422, code: ledger.CodeLimitsCrossed},
			{name: "bad key of a change", method: "PATCH", path: "/accounts/cash", body: `{"frozen":"all"}`, with: headers{keyHeader: {""}}, status: 400, code: codeKeyInvalid},
		})
	})
}

func TestLedgersThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		refuse(t, b, []bad{
			{name: "other terms", path: "/v1/ledgers", body: `{"name":"main","base_currency":"USD"}`, status: 409, code: ledger.CodeLedgerExists},
			{name: "unknown currency", path: "/v1/ledgers", body: `{"name":"b","base_currency":"XXQ"}`, status: 422, code: ledger.CodeUnknownCurrency},
			{name: "malformed currency", path: "/v1/ledgers", body: `{"name":"b","base_currency":"eur"}`, status: 400, code: codeCurrencyInvalid},
			{name: "unknown time zone", path: "/v1/ledgers", body: `{"name":"b","base_currency":"EUR","time_zone":"Mars/Olympus"}`, status: 422, code: ledger.CodeTimeZone},
			{name: "time zone as a path", path: "/v1/ledgers", body: `{"name":"b","base_currency":"EUR","time_zone":"../../etc/passwd"}`, status: 422, code: ledger.CodeTimeZone},
			{name: "malformed name", path: "/v1/ledgers", body: `{"name":"B b","base_currency":"EUR"}`, status: 422, code: ledger.CodeLedgerName},
			{name: "name like an id", path: "/v1/ledgers", body: `{"name":"a1890a5d-ac96-774b-bcce-b302099a8057","base_currency":"EUR"}`, status: 422, code: ledger.CodeLedgerName},
			{name: "no name", path: "/v1/ledgers", body: `{"base_currency":"EUR"}`, status: 400, code: codeMissingField},
			{name: "no currency", path: "/v1/ledgers", body: `{"name":"b"}`, status: 400, code: codeMissingField},
			{name: "cutoff no time", path: "/v1/ledgers", body: `{"name":"b","base_currency":"EUR","day_cutoff":"24:00"}`, status: 422, code: ledger.CodeDayCutoff},
			{name: "cutoff of one digit", path: "/v1/ledgers", body: `{"name":"b","base_currency":"EUR","day_cutoff":"9:00"}`, status: 422, code: ledger.CodeDayCutoff},
			{name: "negative days", path: "/v1/ledgers", body: `{"name":"b","base_currency":"EUR","value_days_back":-1}`, status: 422, code: ledger.CodeValueDays},
			{name: "endless days", path: "/v1/ledgers", body: `{"name":"b","base_currency":"EUR","value_days_ahead":99999999999999999999}`, status: 422, code: ledger.CodeValueDays},
			{name: "half a day", path: "/v1/ledgers", body: `{"name":"b","base_currency":"EUR","value_days_ahead":1.5}`, status: 422, code: ledger.CodeValueDays},
			{name: "days as text", path: "/v1/ledgers", body: `{"name":"b","base_currency":"EUR","value_days_ahead":"1"}`, status: 400, code: codeWrongType},
			{name: "unknown field", path: "/v1/ledgers", body: `{"name":"b","base_currency":"EUR","origin":"x"}`, status: 400, code: codeUnknownField},
			{name: "nothing there", method: "GET", path: "/v1/ledgers/other", status: 404, code: codeLedgerNotFound},
		})
		if a := b.get("/v1/ledgers"); a.length("data") != 1 {
			t.Errorf("a refused ledger was opened: %s", a.body)
		}
	})
}

func TestQueriesThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		for range 3 {
			b.pay("cash", "customers:1", "1").is(201, "")
		}
		cursor := b.get("/v1/ledgers/main/transfers?limit=1").is(200, "").text("next")
		get := func(name, path string, status int, code ledger.Code, want ...string) bad {
			return bad{name: name, method: "GET", path: path, status: status, code: code, want: want}
		}
		refuse(t, b, []bad{
			get("limit 0", "/transfers?limit=0", 400, codeLimitInvalid, "field", "limit"),
			get("limit 1001", "/transfers?limit=1001", 400, codeLimitInvalid),
			get("limit of words", "/entries?limit=ten", 400, codeLimitInvalid),
			get("limit with a sign", "/entries?limit=%2B1", 400, codeLimitInvalid),
			get("empty limit", "/accounts?limit=", 400, codeLimitInvalid),
			get("unknown parameter", "/transfers?state=posted", 400, codeUnknownParameter, "field", "state"),
			get("unknown parameter of a single thing", "/accounts/cash?verbose=1", 400, codeUnknownParameter),
			get("parameter twice", "/transfers?limit=1&limit=1", 400, codeRepeatedParameter, "field", "limit"),
			get("broken encoding", "/transfers?limit=%zz", 400, codeInvalidParameter),
			get("semicolons", "/transfers?limit=1;cursor=x", 400, codeInvalidParameter),
			get("NUL in the reference", "/transfers?reference=%00", 400, codeTextInvalid),
			get("broken UTF-8 in the reference", "/transfers?reference=%ff", 400, codeTextInvalid),
			get("empty reference", "/transfers?reference=", 400, codeInvalidParameter),
			get("long reference", "/transfers?reference="+strings.Repeat("x", 256), 400, codeTextTooLong),
			get("malformed account", "/transfers?account=Cash", 400, codeAccountCode),
			get("malformed prefix", "/accounts?prefix=customers:", 400, codeAccountCode),
			get("malformed date", "/transfers?from=yesterday", 400, codeDateInvalid),
			get("malformed seq", "/entries?from=-1", 400, codeInvalidParameter),
			get("endless seq", "/entries?from=99999999999999999999", 400, codeInvalidParameter),
			get("cursor of words", "/transfers?cursor=next", 400, codeCursorInvalid, "field", "cursor"),
			get("empty cursor", "/transfers?cursor=", 400, codeCursorInvalid),
			get("cursor of another list", "/entries?cursor="+cursor, 400, codeCursorInvalid),
			get("cursor with another filter", "/transfers?account=cash&cursor="+cursor, 400, codeCursorInvalid),
			get("cursor cut off", "/transfers?cursor="+cursor[:len(cursor)-2], 400, codeCursorInvalid),
			get("cursor with more", "/transfers?cursor="+cursor+"AA", 400, codeCursorInvalid),
			get("cursor in another alphabet", "/transfers?cursor="+strings.Repeat("%2F", len(cursor)), 400, codeCursorInvalid),
			get("endless cursor", "/transfers?cursor="+strings.Repeat("A", 5000), 400, codeCursorInvalid),
			get("at and seq", "/accounts/cash/balance?at=2026-01-01T00:00:00Z&seq=1", 400, codeInvalidParameter),
			get("malformed at", "/accounts/cash/balance?at=2026-01-01", 400, codeTimeInvalid),
			get("a plus that became a space", "/accounts/cash/balance?at=2026-01-01T00:00:00+01:00", 400, codeTimeInvalid),
			get("a seq that is not there yet", "/accounts/cash/balance?seq=1000000", 422, codeSeqNotReached),
			get("a time before the account", "/accounts/cash/balance?at=1999-01-01T00:00:00Z", 404, codeAccountNotFound),
			get("a seq before the account", "/accounts/customers:2/balance?seq=0", 404, codeAccountNotFound),
			get("seq and effective", "/accounts/cash/balance?effective=2026-01-01&seq=1", 400, codeInvalidParameter, "field", "effective"),
			get("malformed effective", "/accounts/cash/balance?effective=2026-1-1", 400, codeDateInvalid, "field", "effective"),
			get("unknown account by value date", "/accounts/nobody/balance?effective=2026-01-01", 404, codeAccountNotFound),
			get("empty related_to", "/transfers?related_to=", 400, codeIDInvalid, "field", "related_to"),
			get("related_to no id", "/transfers?related_to=17", 400, codeIDInvalid),
			get("malformed amount", "/transfers?min_amount=1e3", 400, codeAmountInvalid, "field", "min_amount"),
			get("negative amount", "/transfers?max_amount=-1", 400, codeAmountInvalid, "field", "max_amount"),
			get("empty amount", "/transfers?max_amount=", 400, codeAmountInvalid),
			get("amounts crossed", "/transfers?min_amount=2&max_amount=1.99", 400, codeInvalidParameter, "field", "min_amount"),
			get("malformed currency", "/transfers?currency=eur", 400, codeCurrencyInvalid, "field", "currency"),
			get("dates crossed", "/transfers?from=2026-02-01&to=2026-01-31", 400, codeInvalidParameter, "field", "from"),
			get("seqs crossed", "/transfers?from_seq=8&to_seq=7", 400, codeInvalidParameter, "field", "from_seq"),
			get("malformed from_seq", "/transfers?from_seq=first", 400, codeInvalidParameter, "field", "from_seq"),
			get("metadata key alone", "/transfers?metadata_key=a", 400, codeInvalidParameter, "field", "metadata_key"),
			get("metadata value alone", "/transfers?metadata_value=a", 400, codeInvalidParameter),
			get("empty metadata key", "/transfers?metadata_key=&metadata_value=a", 400, codeInvalidParameter, "field", "metadata_key"),
			get("control character in metadata", "/transfers?metadata_key=a&metadata_value=%0a", 400, codeTextInvalid, "field", "metadata_value"),
			get("cursor with another amount", "/transfers?min_amount=1&cursor="+cursor, 400, codeCursorInvalid),
			get("statement from the end", "/accounts/cash/statement?from=2026-02-01&to=2026-01-31", 400, codeInvalidParameter, "field", "from"),
			get("statement of no day", "/accounts/cash/statement?from=2026-02-30", 400, codeDateInvalid, "field", "from"),
			get("statement with more", "/accounts/cash/statement?depth=2", 400, codeUnknownParameter, "field", "depth"),
			get("statement in no format", "/accounts/cash/statement?format=doc", 400, codeInvalidParameter, "field", "format"),
			get("statement with another cursor", "/accounts/cash/statement?cursor="+cursor, 400, codeCursorInvalid),
			get("statement with limit 0", "/accounts/cash/statement?limit=0", 400, codeLimitInvalid),
			get("statement of nobody", "/accounts/nobody/statement", 404, codeAccountNotFound),
			get("statement of no code", "/accounts/No%20Body/statement", 404, codeAccountNotFound),
			get("depth 0", "/balances?depth=0", 400, codeInvalidParameter, "field", "depth"),
			get("depth in words", "/balances?depth=all", 400, codeInvalidParameter),
			get("endless depth", "/balances?depth=65", 400, codeInvalidParameter),
			get("malformed prefix of balances", "/balances?prefix=customers:", 400, codeAccountCode, "field", "prefix"),
			get("at and effective", "/balances?at=2026-01-01T00:00:00Z&effective=2026-01-01", 400, codeInvalidParameter, "field", "effective"),
			get("balances at a seq to come", "/balances?seq=1000000", 422, codeSeqNotReached, "field", "seq"),
			get("balances before the ledger", "/balances?at=1999-01-01T00:00:00Z", 422, codeSeqNotReached, "field", "at"),
			get("balances with another cursor", "/balances?cursor="+cursor, 400, codeCursorInvalid),
			get("balances with more", "/balances?currency=EUR", 400, codeUnknownParameter),
			get("balances of no ledger", "/v1/ledgers/nowhere/balances", 404, codeLedgerNotFound),
			get("unknown account", "/accounts/nobody", 404, codeAccountNotFound),
			get("unknown account's balance", "/accounts/nobody/balance", 404, codeAccountNotFound),
			get("unknown account's postings", "/accounts/nobody/postings", 404, codeAccountNotFound),
			get("an account of NUL", "/accounts/%00", 404, codeAccountNotFound),
			get("unknown entry", "/entries/1000000", 404, ledger.CodeEntryNotFound),
			get("malformed entry", "/entries/first", 404, ledger.CodeEntryNotFound),
			get("entry with zeros in front", "/entries/00", 404, ledger.CodeEntryNotFound),
			get("unknown transfer", "/transfers/01890a5d-ac96-774b-bcce-b302099a8057", 404, ledger.CodeTransferNotFound),
			get("malformed transfer", "/transfers/17", 404, ledger.CodeTransferNotFound),
		})
	})
}
