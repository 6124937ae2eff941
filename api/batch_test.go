package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger"
)

const batchPath = "/v1/ledgers/main/transfers/batch"

// item is one transfer of a batch in the short form.
func item(debit, credit, amount, more string) string {
	return fmt.Sprintf(`{"debit":%q,"credit":%q,"amount":%q%s}`, debit, credit, amount, more)
}

func batchOf(items ...string) string { return `{"transfers":[` + strings.Join(items, ",") + `]}` }
func together(items ...string) string {
	return `{"atomic":true,"transfers":[` + strings.Join(items, ",") + `]}`
}

func TestEveryTransferOfABatchHasItsResult(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		id := uuid.NewString()
		with := headers{keyHeader: {"batch-1"}}
		body := batchOf(
			item("cash", "customers:1", "10", `,"id":"`+id+`","reference":"a"`),
			item("customers:1", "cash", "10.01", ""),
			item("customers:1", "cash", "4", `,"hold":true`),
			item("customers:1", "cash", "7.01", ""),
			item("cash", "customers:1", "1.001", ""),
			item("cash", "customers:1", "1", `,"metadata":{"z":1,"a":2}`),
		)
		a := b.do("POST", batchPath, body, with).is(200, "")
		a.want("results.0.status", "201", "results.0.entry.id", id, "results.0.entry.reference", "a", "results.0.entry.postings.1.balance", "10.00", "results.0.replayed", "",
			"results.1.status", "422", "results.1.problem.code", "limit_exceeded", "results.1.problem.available", "10.00", "results.1.problem.status", "422",
			"results.2.status", "201", "results.2.entry.kind", "hold",
			"results.3.status", "422", "results.3.problem.code", "limit_exceeded", "results.3.problem.available", "6.00",
			"results.4.status", "422", "results.4.problem.code", "amount_precision",
			"results.5.status", "201", "results.5.entry.postings.1.available", "7.00", "results.5.entry.metadata.a", "2")
		if n := a.length("results"); n != 6 {
			t.Errorf("%d results for 6 transfers", n)
		}
		size := b.size()
		again := b.do("POST", batchPath, body, with).is(200, "")
		for _, i := range []int{0, 2, 5} {
			again.want(fmt.Sprintf("results.%d.status", i), "201", fmt.Sprintf("results.%d.replayed", i), "true",
				fmt.Sprintf("results.%d.entry.hash", i), a.text("results", i, "entry", "hash"))
		}
		again.want("results.1.status", "422", "results.4.status", "422")
		if after := b.size(); after != size {
			t.Errorf("sending the batch again made the ledger grow from %s to %s", size, after)
		}
		// What an item has derived from key and place is its own.
		b.do("POST", batchPath, batchOf(item("cash", "customers:1", "9", "")), headers{keyHeader: {"batch-2"}}).want("results.0.status", "201")
		b.do("POST", batchPath, batchOf(item("cash", "customers:1", "8", "")), headers{keyHeader: {"batch-2"}}).
			want("results.0.status", "409", "results.0.problem.code", "idempotency_conflict")
	})
}

// TestAWrongValueSpoilsItsOwnTransfer: what can be told of one item, is.
func TestAWrongValueSpoilsItsOwnTransfer(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		spoiled := []struct {
			item, field string
			code        ledger.Code
		}{
			{item("cash", "customers:1", "1e3", ""), "/amount", codeAmountInvalid},
			{`{"debit":"cash","credit":"customers:1","amount":1}`, "/amount", codeAmountNotString},
			{item("Cash", "customers:1", "1", ""), "/debit", codeAccountCode},
			{item("cash", "customers:1", "1", `,"currency":"eur"`), "/currency", codeCurrencyInvalid},
			{item("cash", "customers:1", "1", `,"id":"x"`), "/id", codeIDInvalid},
			{item("cash", "customers:1", "1", `,"effective_date":"2026-02-30"`), "/effective_date", codeDateInvalid},
			{item("cash", "customers:1", "1", `,"not_after":"now"`), "/not_after", codeTimeInvalid},
			{item("cash", "customers:1", "1", `,"description":"a\nb"`), "/description", codeTextInvalid},
			{item("cash", "customers:1", "1", `,"reference":"`+strings.Repeat("x", 256)+`"`), "/reference", codeTextTooLong},
			{item("cash", "customers:1", "1", `,"metadata":{"a":"\u0007"}`), "/metadata", codeTextInvalid},
			{item("cash", "customers:1", "1", `,"expires_at":"2999-01-01T00:00:00Z"`), "/expires_at", codeConflictingForm},
			{item("cash", "customers:1", "1", `,"postings":[]`), "/postings", codeConflictingForm},
			{`{}`, "/postings", codeMissingField},
			{`{"debit":"cash","amount":"1"}`, "/credit", codeMissingField},
			{`{"postings":[{"account":"cash","direction":"debit"},{"account":"x"}]}`, "/postings/0/amount", codeMissingField},
			{`{"postings":[{"account":"cash","direction":"sideways","amount":"1"}]}`, "/postings/0/direction", codeValueInvalid},
		}
		var items []string
		for i, s := range spoiled {
			items = append(items, s.item, item("cash", "customers:1", fmt.Sprintf("0.%02d", i+1), ""))
		}
		a := b.do("POST", batchPath, batchOf(items...), headers{keyHeader: {"k"}}).is(200, "")
		for i, s := range spoiled {
			at := fmt.Sprintf("results.%d.", 2*i)
			a.want(at+"status", "400", at+"problem.code", string(s.code), at+"problem.field", fmt.Sprintf("/transfers/%d%s", 2*i, s.field))
			after := fmt.Sprintf("results.%d.", 2*i+1)
			a.want(after+"status", "201", after+"entry.postings.0.amount", fmt.Sprintf("0.%02d", i+1))
		}
		for i, s := range spoiled {
			size := b.size()
			a := b.do("POST", batchPath, together(item("cash", "customers:1", "1", ""), s.item), headers{keyHeader: {uuid.NewString()}}).is(400, s.code)
			a.want("index", "1", "field", "/transfers/1"+s.field)
			if after := b.size(); after != size {
				t.Errorf("atomic batch %d was refused and made the ledger grow from %s to %s", i, size, after)
			}
		}
	})
}

func TestAnItemWithoutIDAndKeyIsRefusedAlone(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		own := item("cash", "customers:1", "1", `,"id":"`+uuid.NewString()+`"`)
		b.post(batchPath, batchOf(item("cash", "customers:1", "1", ""), own)).is(200, "").
			want("results.0.status", "400", "results.0.problem.code", "idempotency_key_missing", "results.0.problem.field", "/transfers/0/id", "results.1.status", "201")
		b.post(batchPath, batchOf(item("cash", "customers:1", "1", ""))).is(200, "").want("results.0.status", "400")
		size := b.size()
		b.post(batchPath, together(own, item("cash", "customers:1", "1", ""))).is(400, codeKeyMissing).want("index", "1")
		if after := b.size(); after != size {
			t.Errorf("the ledger grew from %s to %s", size, after)
		}
	})
}

func TestAnAtomicBatchIsAllOrNone(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		path, with := batchPath, headers{keyHeader: {"atomic"}}
		good := together(item("cash", "customers:1", "10", ""), item("customers:1", "customers:2", "10", ""), item("customers:2", "cash", "4", `,"hold":true`))
		first := b.do("POST", path, good, with).is(200, "")
		first.want("results.0.status", "201", "results.1.entry.postings.0.balance", "0.00", "results.2.entry.kind", "hold", "results.0.replayed", "")
		size := b.size()
		again := b.do("POST", path, good, with).is(200, "")
		for i := range 3 {
			at := fmt.Sprintf("results.%d.", i)
			again.want(at+"status", "201", at+"replayed", "true", at+"entry.hash", first.text("results", i, "entry", "hash"))
		}
		id := first.text("results", 0, "entry", "id")
		b.do("POST", path, together(item("cash", "customers:1", "1", ""), item("cash", "customers:1", "10", `,"id":"`+id+`"`)), headers{keyHeader: {"other"}}).
			is(422, ledger.CodeBatchPartlyPosted)
		b.do("POST", path, together(item("cash", "customers:1", "1", ""), item("cash", "customers:1", "11", `,"id":"`+id+`"`)), headers{keyHeader: {"other"}}).
			is(409, ledger.CodeIdempotencyConflict).want("index", "1")
		b.do("POST", path, together(item("cash", "customers:1", "1", ""), item("customers:1", "cash", "1.01", ""), item("cash", "nobody", "1", "")), headers{keyHeader: {"bad"}}).
			is(422, ledger.CodeLimitExceeded).want("index", "1", "available", "1.00", "account", "customers:1", "posting", "0")
		if after := b.size(); after != size {
			t.Errorf("refused and replayed batches made the ledger grow from %s to %s", size, after)
		}
		b.get("/v1/ledgers/main/accounts/customers:1").want("balance", "0.00", "account_seq", "2")
		// The refusal used nothing up.
		b.do("POST", path, together(item("cash", "customers:1", "1", "")), headers{keyHeader: {"bad"}}).is(200, "").want("results.0.status", "201")
	})
}

func TestABatchOfThousand(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		for i, body := range []string{
			batchOf(repeated(1000, `{"debit":"cash","credit":"customers:1","amount":"0.01","reference":"r%d"}`)),
			together(repeated(1000, `{"debit":"cash","credit":"customers:1","amount":"0.01","reference":"r%d"}`)),
		} {
			a := b.do("POST", batchPath, body, headers{keyHeader: {fmt.Sprint(i)}}).is(200, "")
			if n := a.length("results"); n != 1000 {
				t.Fatalf("%d results for 1000 transfers", n)
			}
			for i := range 1000 {
				a.want(fmt.Sprintf("results.%d.entry.reference", i), fmt.Sprintf("r%d", i))
			}
		}
		b.get("/v1/ledgers/main/accounts/customers:1").want("balance", "20.00")
	})
}

func TestBatchesThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		one := item("cash", "customers:1", "1", "")
		heavy := repeated(100, `{"debit":"cash","credit":"customers:1","amount":"0.01","metadata":{"a":"`+strings.Repeat("x", 8000)+`"},"reference":"%d"}`)
		batch := func(name, body string, status int, code ledger.Code, want ...string) bad {
			return bad{name: name, path: "/transfers/batch", body: body, status: status, code: code, want: want}
		}
		refuse(t, b, []bad{
			batch("1,001 items", batchOf(repeated(1001, `{"debit":"cash","credit":"customers:1","amount":"0.01","reference":"r%d"}`)), 400, codeItemCount, "field", "/transfers"),
			batch("1,001 items, atomic", together(repeated(1001, `{"debit":"cash","credit":"customers:1","amount":"0.01","reference":"r%d"}`)), 400, codeItemCount),
			batch("no item", `{"transfers":[]}`, 400, codeItemCount),
			batch("no list", `{"atomic":true}`, 400, codeMissingField, "field", "/transfers"),
			batch("a list as such", `[`+one+`]`, 400, codeWrongType),
			batch("an object for the list", `{"transfers":`+one+`}`, 400, codeWrongType, "field", "/transfers"),
			batch("null item", `{"transfers":[`+one+`,null]}`, 400, codeWrongType, "field", "/transfers/1"),
			batch("wrong type in an item", batchOf(one, `{"debit":7}`), 400, codeWrongType, "field", "/transfers/1/debit"),
			batch("unknown field of an item", batchOf(one, item("cash", "customers:1", "1", `,"note":"x"`)), 400, codeUnknownField, "field", "/transfers/1/note"),
			batch("unknown field after a wrong value", batchOf(item("cash", "customers:1", "x", `,"note":"x"`)), 400, codeUnknownField),
			batch("duplicate field of an item", batchOf(item("cash", "customers:1", "1", `,"amount":"2"`)), 400, codeDuplicateField),
			batch("atomic in words", `{"atomic":"yes","transfers":[`+one+`]}`, 400, codeWrongType, "field", "/atomic"),
			batch("unknown field", `{"mode":"atomic","transfers":[`+one+`]}`, 400, codeUnknownField, "field", "/mode"),
			batch("list twice", `{"transfers":[`+one+`],"transfers":[]}`, 400, codeDuplicateField),
			batch("cut off", `{"transfers":[`+one, 400, codeMalformedJSON),
			batch("trailing JSON", batchOf(one)+`[]`, 400, codeTrailingJSON),
			batch("empty body", ``, 415, codeMediaType),
			batch("body over 1 MiB", batchOf(one+strings.Repeat(" ", MaxBody)), 413, codeBodyTooLarge),
			batch("atomic beyond one commit", together(heavy), 413, ledger.CodeBatchTooHeavy),
			{name: "bad key", path: "/transfers/batch", body: batchOf(one), with: headers{keyHeader: {"a b"}}, status: 400, code: codeKeyInvalid},
			{name: "unknown parameter", path: "/transfers/batch?atomic=true", body: batchOf(one), status: 400, code: codeUnknownParameter},
			{name: "unknown ledger", path: "/v1/ledgers/nowhere/transfers/batch", body: batchOf(one), status: 404, code: codeLedgerNotFound},
			{name: "a prior period where none is closed", path: "/transfers/batch", body: together(one, item("cash", "customers:1", "1", `,"effective_date":"2020-01-01","prior_period":true`)),
				status: 422, code: ledger.CodePriorPeriodUnneeded, want: []string{"index", "1"}},
		})
	})
}

func TestDryRuns(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		hold := b.transfer(item("cash", "customers:1", "5", `,"hold":true`)).is(201, "").text("id")
		paid := b.pay("cash", "customers:1", "7").is(201, "").text("id")
		size := b.size()
		head := fmt.Sprint(mustAtoi(t, size) - 1)
		with := headers{keyHeader: {"dry"}}
		body := item("cash", "customers:1", "3", `,"reference":"r"`)
		const path = "/v1/ledgers/main/transfers"
		b.do("POST", path+"?dry_run=true", body, with).is(200, "").
			want("dry_run", "true", "evaluated_at_seq", head, "kind", "transfer", "reference", "r", "seq", "", "hash", "", "postings.1.balance", "10.00")
		b.do("POST", path+"?dry_run=true", item("customers:1", "cash", "7.01", ""), with).is(422, ledger.CodeLimitExceeded).want("evaluated_at_seq", head)
		b.do("POST", path+"/"+hold+"/capture?dry_run=true", `{"amount":"2"}`, with).is(200, "").want("kind", "capture", "postings.0.amount", "2.00", "postings.0.pending_change", "-5.00")
		b.do("POST", path+"/"+hold+"/release?dry_run=true", "", with).is(200, "").want("kind", "release")
		b.do("POST", path+"/"+paid+"/reverse?dry_run=true", "", with).is(200, "").want("kind", "reversal", "postings.0.direction", "credit")
		b.do("POST", path+"/"+hold+"/reverse?dry_run=true", "", with).is(422, ledger.CodeNotReversible)
		a := b.do("POST", batchPath+"?dry_run=true", batchOf(body, item("customers:1", "cash", "10", ""), item("customers:1", "cash", "0.01", ""), item("x", "y", "z", "")), with).is(200, "")
		a.want("dry_run", "true", "evaluated_at_seq", head, "results.0.status", "200", "results.0.entry.postings.1.balance", "10.00", "results.1.status", "200",
			"results.1.entry.postings.0.balance", "0.00", "results.2.status", "422", "results.3.status", "400")
		a = b.do("POST", batchPath+"?dry_run=true", together(body, item("customers:1", "cash", "10", "")), with).is(200, "")
		a.want("dry_run", "true", "evaluated_at_seq", head, "results.1.status", "200", "results.1.entry.postings.0.balance", "0.00")
		b.do("POST", batchPath+"?dry_run=true", together(body, item("customers:1", "cash", "10.01", "")), with).is(422, ledger.CodeLimitExceeded).want("index", "1")
		twice := item("cash", "customers:1", "1", `,"id":"01890a5d-ac96-774b-bcce-00000000d217"`)
		for _, transfers := range []string{batchOf(twice, twice), together(twice, twice)} {
			b.do("POST", batchPath+"?dry_run=true", transfers, with).is(200, "").
				want("results.0.status", "200", "results.1.status", "200", "results.1.replayed", "", "results.1.entry.hash", "")
		}
		if after := b.size(); after != size {
			t.Fatalf("dry runs made the ledger grow from %s to %s", size, after)
		}
		// Nothing was used up, and what has happened is answered as it happened.
		posted := b.do("POST", path+"?dry_run=false", body, with).is(201, "")
		replayed := b.do("POST", path+"?dry_run=true", body, with).is(201, "")
		if string(posted.body) != string(replayed.body) || replayed.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("the dry run of a transfer that was posted was answered\n%s\nafter\n%s", replayed.body, posted.body)
		}
		b.do("POST", batchPath, together(body), with).is(200, "")
		b.do("POST", batchPath+"?dry_run=true", together(body), with).is(200, "").want("evaluated_at_seq", "", "dry_run", "true", "results.0.status", "201", "results.0.replayed", "true")
	})
}
