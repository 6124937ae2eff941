package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tallystick/ledger"
)

const day = 24 * time.Hour

// on returns the date some days after the clock's.
func (c *clock) on(days int) string {
	return c.read().UTC().AddDate(0, 0, days).Format(time.DateOnly)
}

func TestAPeriodIsClosedAndReopened(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, b *bank, c *clock) {
		b.openAccounts()
		for _, a := range []string{
			`{"code":"fees","type":"revenue","currency":"EUR"}`, `{"code":"rent","type":"expense","currency":"EUR"}`,
			`{"code":"retained","type":"equity","currency":"EUR"}`, `{"code":"retained:jpy","type":"equity","currency":"JPY"}`,
		} {
			b.post("/v1/ledgers/main/accounts", a).is(201, "")
		}
		first := c.on(0)
		b.pay("cash", "fees", "10").is(201, "")
		b.pay("rent", "cash", "4").is(201, "")
		c.pass(2 * day)
		second := c.on(-1)
		const periods = "/v1/ledgers/main/periods"
		size := b.size()
		dry := b.post(periods+"/close?dry_run=true", `{"period_end":"`+first+`","retain":["retained","retained:jpy"]}`).is(200, "")
		dry.want("kind", "period_closed", "dry_run", "true")
		if after := b.size(); after != size {
			t.Fatalf("a dry run made the ledger grow from %s to %s", size, after)
		}
		a := b.post(periods+"/close", `{"period_end":"`+first+`","retain":["retained","retained:jpy"],"description":"Year 1"}`).is(201, "")
		a.want("kind", "period_closed", "description", "Year 1")
		b.get(a.header.Get("Location")).is(200, "").want("hash", a.text("hash"))
		seq := mustAtoi(t, a.text("seq"))
		b.get("/v1/ledgers/main/accounts/retained").want("balance", "6.00")
		b.get("/v1/ledgers/main/accounts/fees").want("balance", "0.00")
		b.get(fmt.Sprintf("/v1/ledgers/main/entries/%d", seq-1)).want("kind", "transfer", "effective_date", first, "booking_date", c.on(0))
		b.get(periods).is(200, "").want("data.0.period_end", first, "data.0.closed_at_seq", fmt.Sprint(seq), "data.0.closing_seq", fmt.Sprint(seq-1),
			"data.0.through_seq", fmt.Sprint(seq-1), "data.0.retain_accounts.EUR", "retained", "data.0.reopened_at_seq", "", "next", "")

		prior := `{"debit":"rent","credit":"cash","amount":"1","effective_date":"` + first + `"`
		b.transfer(prior+`}`).is(422, ledger.CodePeriodClosed)
		b.transfer(prior+`,"prior_period":true}`).is(201, "").want("prior_period", "true", "effective_date", first)
		b.do("POST", "/v1/ledgers/main/transfers", prior+`,"prior_period":true}`, b.keyWith(scopePost)).is(403, ledger.CodeApprovalRequired)
		b.do("POST", batchPath, together(prior+`,"prior_period":true}`), b.keyWith(scopePost)).is(403, ledger.CodeApprovalRequired).want("index", "0")
		b.do("POST", batchPath, batchOf(prior+`,"prior_period":true}`), b.keyWith(scopePost)).is(200, "").want("results.0.status", "403")
		b.do("POST", batchPath, batchOf(prior+`,"prior_period":true}`), b.keyWith(scopeApprove)).is(200, "").want("results.0.status", "201")
		b.transfer(`{"debit":"rent","credit":"cash","amount":"1","prior_period":true}`).is(422, ledger.CodePriorPeriodUnneeded)
		hold := b.transfer(`{"debit":"rent","credit":"cash","amount":"1","hold":true}`).is(201, "").text("id")
		b.act(hold+"/capture", `{"effective_date":"`+first+`"}`).is(422, ledger.CodePeriodClosed)
		b.do("POST", "/v1/ledgers/main/transfers/"+hold+"/capture", `{"effective_date":"`+first+`","prior_period":true}`, b.keyWith(scopePost)).is(403, ledger.CodeApprovalRequired)
		b.act(hold+"/capture", `{"effective_date":"`+first+`","prior_period":true}`).is(201, "").want("prior_period", "true")

		b.post(periods+"/close", `{"period_end":"`+second+`"}`).is(201, "")
		b.post(periods+"/reopen", `{"period_end":"`+first+`","reason":"wrong one"}`).is(422, ledger.CodePeriodNotClosed)
		reopened := b.post(periods+"/reopen", `{"period_end":"`+second+`","reason":"The rent was booked twice"}`).is(201, "")
		reopened.want("kind", "period_reopened", "description", "The rent was booked twice")
		b.get(periods+"?limit=1").want("data.0.period_end", first)
		page := b.get(periods + "?limit=1&cursor=" + b.get(periods+"?limit=1").text("next"))
		page.want("data.0.period_end", second, "data.0.reopened_at_seq", reopened.text("seq"), "next", "")
		b.transfer(`{"debit":"rent","credit":"cash","amount":"1","effective_date":"`+second+`"}`).is(201, "")
	})
}

func TestClosingIsIdempotentByItsKeyOnly(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, b *bank, c *clock) {
		c.pass(day)
		with := headers{keyHeader: {"close-1"}}
		const path = "/v1/ledgers/main/periods/close"
		body := `{"period_end":"` + c.on(-1) + `"}`
		first := b.do("POST", path, body, with).is(201, "")
		again := b.do("POST", path, body, with).is(201, "")
		if again.header.Get("Idempotent-Replayed") != "true" || string(first.body) != string(again.body) {
			t.Errorf("answered\n%s\nafter\n%s", again.body, first.body)
		}
		b.do("POST", path, `{"period_end":"2001-01-01"}`, with).is(409, ledger.CodeIdempotencyConflict)
		b.post(path, body).is(422, ledger.CodePeriodAlreadyClosed)
		const reopen = "/v1/ledgers/main/periods/reopen"
		body = strings.TrimSuffix(body, "}") + `,"reason":"x"}`
		b.do("POST", reopen, body, headers{keyHeader: {"reopen-1"}}).is(201, "")
		b.do("POST", reopen, body, headers{keyHeader: {"reopen-1"}}).is(201, "")
		b.post(reopen, body).is(422, ledger.CodePeriodNotClosed)
	})
}

func TestPeriodsThatAreRefused(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, b *bank, c *clock) {
		b.openAccounts()
		b.post("/v1/ledgers/main/accounts", `{"code":"fees","type":"revenue","currency":"EUR"}`).is(201, "")
		b.post("/v1/ledgers/main/accounts", `{"code":"e1","type":"equity","currency":"EUR"}`).is(201, "")
		b.post("/v1/ledgers/main/accounts", `{"code":"e2","type":"equity","currency":"EUR"}`).is(201, "")
		b.post("/v1/ledgers/main/accounts", `{"code":"e3","type":"equity","currency":"JPY"}`).is(201, "")
		b.pay("cash", "fees", "1").is(201, "")
		c.pass(2 * day)
		b.post("/v1/ledgers/main/periods/close", `{"period_end":"2001-01-31"}`).is(201, "")
		yesterday := `"period_end":"` + c.on(-1) + `"`
		closing := func(name, body string, status int, code ledger.Code, want ...string) bad {
			return bad{name: name, path: "/periods/close", body: body, status: status, code: code, want: want}
		}
		refuse(t, b, []bad{
			closing("today", `{"period_end":"`+c.on(0)+`"}`, 422, ledger.CodePeriodNotOver),
			closing("tomorrow", `{"period_end":"`+c.on(1)+`"}`, 422, ledger.CodePeriodNotOver),
			closing("again", `{"period_end":"2001-01-31"}`, 422, ledger.CodePeriodAlreadyClosed),
			closing("before the last", `{"period_end":"2000-12-31"}`, 422, ledger.CodePeriodAlreadyClosed),
			closing("no account for the result", `{`+yesterday+`,"retain":["e3"]}`, 422, ledger.CodeRetainAccountNeeded),
			closing("an asset for the result", `{`+yesterday+`,"retain":["cash"]}`, 422, ledger.CodeRetainAccountInvalid, "account", "cash"),
			closing("two accounts for one currency", `{`+yesterday+`,"retain":["e1","e2"]}`, 422, ledger.CodeRetainAccountInvalid, "account", "e2"),
			closing("unknown account", `{`+yesterday+`,"retain":["nobody"]}`, 422, ledger.CodeUnknownAccount, "account", "nobody"),
			closing("eleven accounts", `{`+yesterday+`,"retain":[`+repeated(11, `"e%d"`)+`]}`, 400, codeItemCount),
			closing("malformed account", `{`+yesterday+`,"retain":["E"]}`, 400, codeAccountCode, "field", "/retain/0"),
			closing("one account outside a list", `{`+yesterday+`,"retain":"e1"}`, 400, codeWrongType, "field", "/retain"),
			closing("no date", `{}`, 400, codeMissingField, "field", "/period_end"),
			closing("no such day", `{"period_end":"2001-02-30"}`, 400, codeDateInvalid, "field", "/period_end"),
			closing("date as a number", `{"period_end":20010131}`, 400, codeWrongType),
			closing("unknown field", `{`+yesterday+`,"reason":"x"}`, 400, codeUnknownField, "field", "/reason"),
			closing("empty description", `{`+yesterday+`,"description":""}`, 400, codeTextInvalid),
			closing("no body", ``, 415, codeMediaType),
			{name: "without the scope", path: "/periods/close", body: `{` + yesterday + `}`, with: b.keyWith(scopePost), status: 403, code: codeForbidden},
			{name: "unknown parameter", path: "/periods/close?force=true", body: `{` + yesterday + `}`, status: 400, code: codeUnknownParameter},
			{name: "bad key", path: "/periods/close", body: `{` + yesterday + `}`, with: headers{keyHeader: {""}}, status: 400, code: codeKeyInvalid},
			{name: "reopening what is open", path: "/periods/reopen", body: `{` + yesterday + `,"reason":"x"}`, status: 422, code: ledger.CodePeriodNotClosed},
			{name: "reopening without reason", path: "/periods/reopen", body: `{"period_end":"2001-01-31"}`, status: 400, code: codeMissingField, want: []string{"field", "/reason"}},
			{name: "reopening without date", path: "/periods/reopen", body: `{"reason":"x"}`, status: 400, code: codeMissingField, want: []string{"field", "/period_end"}},
			{name: "reopening with more", path: "/periods/reopen", body: `{"period_end":"2001-01-31","reason":"x","retain":[]}`, status: 400, code: codeUnknownField},
			{name: "a dry run of a reopening", path: "/periods/reopen?dry_run=true", body: `{"period_end":"2001-01-31","reason":"x"}`, status: 400, code: codeUnknownParameter},
			{name: "reopening without the scope", path: "/periods/reopen", body: `{"period_end":"2001-01-31","reason":"x"}`, with: b.keyWith(scopePost), status: 403, code: codeForbidden},
			{name: "unknown parameter of the list", method: "GET", path: "/periods?from=2001-01-01", status: 400, code: codeUnknownParameter},
			{name: "cursor of another list", method: "GET", path: "/periods?cursor=" + b.get("/v1/ledgers/main/accounts?limit=1").text("next"), status: 400, code: codeCursorInvalid},
			{name: "periods of no ledger", method: "GET", path: "/v1/ledgers/nowhere/periods", status: 404, code: codeLedgerNotFound},
		})
	})
}
