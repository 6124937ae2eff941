package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// hold sets amount aside from customers:1 for cash and returns its id.
func (b *bank) hold(amount, more string) string {
	b.t.Helper()
	return b.transfer(fmt.Sprintf(`{"debit":"customers:1","credit":"cash","amount":%q,"hold":true%s}`, amount, more)).is(201, "").text("id")
}

func TestAHoldIsSetAsideAndCaptured(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.pay("cash", "customers:1", "100").is(201, "")
		a := b.transfer(`{"debit":"customers:1","credit":"cash","amount":"60","hold":true,"expires_at":"2999-01-01T00:00:00.5Z","rate":"1:1","related_to":"0191D7AE-6C3F-7CC1-9A2B-3F1D0E8B9A10"}`).is(201, "")
		a.want("kind", "hold", "status", "held", "expires_at", "2999-01-01T00:00:00.500000Z", "related_to", "0191d7ae-6c3f-7cc1-9a2b-3f1d0e8b9a10",
			"details.0.name", "rate", "details.0.value", "1:1",
			"postings.0.amount", "0.00", "postings.0.pending_change", "60.00", "postings.0.balance", "100.00", "postings.0.available", "40.00")
		b.get("/v1/ledgers/main/accounts/customers:1").want("balance", "100.00", "held", "60.00", "available", "40.00")
		id := a.text("id")
		b.get(a.header.Get("Location")).is(200, "").want("status", "held", "entries.0.kind", "hold")
		if n := b.get("/v1/ledgers/main/transfers/" + id).length("entries"); n != 1 {
			t.Errorf("an open hold has %d entries", n)
		}
		captured := b.act(id+"/capture", `{"amount":"45.50","reference":"shipment 1","rate":"EUR/EUR 1"}`).is(201, "")
		captured.want("kind", "capture", "status", "captured", "ref_seq", a.text("seq"), "reference", "shipment 1", "details.0.value", "EUR/EUR 1",
			"postings.0.amount", "45.50", "postings.0.pending_change", "-60.00", "postings.0.balance", "54.50", "postings.0.available", "54.50")
		b.get("/v1/ledgers/main/transfers/"+id).want("id", id, "status", "captured", "entries.1.kind", "capture", "entries.1.seq", captured.text("seq"))
		b.get(captured.header.Get("Location")).is(200, "").want("id", captured.text("id"), "status", "captured", "entries.0.kind", "capture")
	})
}

func TestTheWholeHoldIsCapturedWithoutABody(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.pay("cash", "customers:1", "10").is(201, "")
		for _, body := range []string{"", "{}", `{"postings":[{"account":"cash","direction":"credit","amount":"1"},{"account":"customers:1","direction":"debit","amount":"1.00","currency":"EUR"}]}`, `{"amount":"1"}`} {
			id := b.hold("1", "")
			b.act(id+"/capture", body).is(201, "").want("postings.0.amount", "1.00", "postings.1.amount", "1.00")
			b.act(id+"/reverse", "").is(201, "").want("kind", "reversal", "postings.0.direction", "credit")
			b.get("/v1/ledgers/main/transfers/"+id).want("status", "reversed", "entries.0.kind", "hold", "entries.1.kind", "capture", "entries.2.kind", "reversal")
		}
		b.get("/v1/ledgers/main/accounts/customers:1").want("balance", "10.00", "held", "0.00")
	})
}

func TestAHoldIsReleased(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.pay("cash", "customers:1", "10").is(201, "")
		id := b.hold("10", "")
		b.patch("/v1/ledgers/main/accounts/customers:1", `{"frozen":"all"}`).is(200, "")
		released := b.act(id+"/release", `{"description":"Order cancelled","metadata":{"order":7}}`).is(201, "")
		released.want("kind", "release", "status", "released", "description", "Order cancelled", "metadata.order", "7",
			"postings.0.amount", "0.00", "postings.0.pending_change", "-10.00", "postings.0.available", "10.00")
		b.get("/v1/ledgers/main/transfers/"+id).want("status", "released", "entries.1.kind", "release")
		b.get("/v1/ledgers/main/transfers/"+released.text("id")).want("status", "released", "entries.0.kind", "release")
	})
}

// TestActionsAreIdempotent: whatever acts on a transfer is carried out once per
// key, and its key stands for it alone.
func TestActionsAreIdempotent(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		paid := b.pay("cash", "customers:1", "100").is(201, "").text("id")
		captured, released := b.hold("5", ""), b.hold("6", "")
		for _, c := range []struct{ path, body, same, other string }{
			{captured + "/capture", `{"amount":"4.0"}`, `{"amount":"4.00"}`, `{"amount":"3"}`},
			{released + "/release", ``, `{}`, `{"description":"x"}`},
			{paid + "/reverse", `{"reference":"r"}`, `{"reference":"r"}`, `{"reference":"s"}`},
		} {
			if strings.HasSuffix(c.path, "reverse") {
				b.patch("/v1/ledgers/main/accounts/customers:1", `{"min_balance":null}`).is(200, "")
			}
			path, with := "/v1/ledgers/main/transfers/"+c.path, headers{keyHeader: {"once"}}
			first := b.do("POST", path, c.body, with).is(201, "")
			size := b.size()
			again := b.do("POST", path, c.same, with).is(201, "")
			if string(first.body) != string(again.body) || again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s: answered\n%s\nafter\n%s", c.path, again.body, first.body)
			}
			b.do("POST", path, c.other, with).is(409, ledger.CodeIdempotencyConflict)
			b.do("POST", path+"?dry_run=true", c.same, with).is(201, "").want("seq", first.text("seq"))
			if after := b.size(); after != size {
				t.Errorf("%s: the ledger grew from %s to %s", c.path, size, after)
			}
		}
		// The id of the body and the key as header mean the same, as for transfers.
		id, hold := uuid.NewString(), b.hold("1", "")
		b.do("POST", "/v1/ledgers/main/transfers/"+hold+"/release", `{"id":"`+id+`"}`, nil).is(201, "").want("id", id)
		b.do("POST", "/v1/ledgers/main/transfers/"+hold+"/release", "", headers{keyHeader: {id}}).is(201, "").want("id", id)
	})
}

func TestActionsThatAreRefused(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, b *bank, c *clock) {
		b.openAccounts()
		paid := b.pay("cash", "customers:1", "100").is(201, "").text("id")
		open, captured, released := b.hold("5", ""), b.hold("5", ""), b.hold("5", "")
		expired := b.hold("5", `,"expires_at":"`+c.read().Add(time.Second).Format(time.RFC3339Nano)+`"`)
		capture := b.act(captured+"/capture", "").is(201, "").text("id")
		b.act(released+"/release", "").is(201, "")
		many := b.transfer(`{"hold":true,"postings":[{"account":"customers:1","direction":"debit","amount":"3"},{"account":"customers:2","direction":"credit","amount":"1"},
			{"account":"cash","direction":"credit","amount":"2"}]}`).is(201, "").text("id")
		reversed := b.pay("cash", "customers:1", "1").is(201, "").text("id")
		reversal := b.act(reversed+"/reverse", "").is(201, "").text("id")
		frozen := b.pay("yen", "yen:out", "5").is(201, "").text("id")
		b.patch("/v1/ledgers/main/accounts/yen", `{"frozen":"credits"}`).is(200, "")
		opened := b.get("/v1/ledgers/main/entries/1").text("id")
		c.pass(time.Second)
		at := func(id, what string) string { return "/transfers/" + id + "/" + what }
		refuse(t, b, []bad{
			{name: "capture over the hold", path: at(open, "capture"), body: `{"amount":"5.01"}`, status: 422, code: ledger.CodeCaptureExceedsHold, want: []string{"account", "customers:1"}},
			{name: "capture of nothing", path: at(open, "capture"), body: `{"amount":"0"}`, status: 422, code: ledger.CodeAmountNotPositive},
			{name: "capture of less than a cent", path: at(open, "capture"), body: `{"amount":"0.001"}`, status: 422, code: ledger.CodeAmountPrecision},
			{name: "capture twice", path: at(captured, "capture"), body: `{"amount":"1"}`, status: 422, code: ledger.CodeHoldCaptured},
			{name: "capture after release", path: at(released, "capture"), status: 422, code: ledger.CodeHoldReleased},
			{name: "capture after expiry", path: at(expired, "capture"), status: 422, code: ledger.CodeHoldExpired},
			{name: "capture of a transfer", path: at(paid, "capture"), status: 422, code: ledger.CodeNotAHold},
			{name: "capture of a capture", path: at(capture, "capture"), status: 422, code: ledger.CodeNotAHold},
			{name: "capture of nothing known", path: at(uuid.NewString(), "capture"), status: 404, code: ledger.CodeTransferNotFound},
			{name: "capture of no id", path: at("17", "capture"), status: 404, code: ledger.CodeTransferNotFound},
			{name: "one amount of many", path: at(many, "capture"), body: `{"amount":"1"}`, status: 422, code: ledger.CodeCaptureMismatch},
			{name: "a leg of another account", path: at(many, "capture"), body: legs("customers:1 debit 1", "yen credit 1"), status: 422, code: ledger.CodeCaptureMismatch, want: []string{"account", "yen", "posting", "1"}},
			{name: "a leg of the other side", path: at(many, "capture"), body: legs("customers:1 credit 1", "cash credit 1"), status: 422, code: ledger.CodeCaptureMismatch},
			{name: "a leg twice", path: at(many, "capture"), body: legs("cash credit 1", "cash credit 1"), status: 422, code: ledger.CodeCaptureMismatch},
			{name: "legs that do not balance", path: at(many, "capture"), body: legs("customers:1 debit 2", "cash credit 1"), status: 422, code: ledger.CodeUnbalanced},
			{name: "release twice", path: at(released, "release"), status: 422, code: ledger.CodeHoldReleased},
			{name: "release after capture", path: at(captured, "release"), status: 422, code: ledger.CodeHoldCaptured},
			{name: "release of a transfer", path: at(paid, "release"), status: 422, code: ledger.CodeNotAHold},
			{name: "reversal of a hold", path: at(open, "reverse"), status: 422, code: ledger.CodeNotReversible},
			{name: "reversal of a released hold", path: at(released, "reverse"), status: 422, code: ledger.CodeNotReversible},
			{name: "reversal of a reversal", path: at(reversal, "reverse"), status: 422, code: ledger.CodeNotReversible},
			{name: "reversal of an opening", path: at(opened, "reverse"), status: 422, code: ledger.CodeNotReversible},
			{name: "reversal twice", path: at(reversed, "reverse"), status: 422, code: ledger.CodeAlreadyReversed},
			{name: "reversal into a frozen account", path: at(frozen, "reverse"), status: 422, code: ledger.CodeAccountFrozen, want: []string{"account", "yen"}},
			{name: "reversal below a limit", path: at(paid, "reverse"), status: 422, code: ledger.CodeLimitExceeded, want: []string{"account", "customers:1", "available", "82.00"}},
			{name: "expiry that has passed", body: `{"debit":"cash","credit":"customers:1","amount":"1","hold":true,"expires_at":"2020-01-01T00:00:00Z"}`, status: 422, code: ledger.CodeExpiryPassed},
			{name: "hold over the balance", body: `{"debit":"customers:1","credit":"cash","amount":"500","hold":true}`, status: 422, code: ledger.CodeLimitExceeded},
			{name: "closing with a hold", method: "PATCH", path: "/accounts/customers:2", body: `{"closed":true}`, status: 422, code: ledger.CodeAccountNotEmpty},
			{name: "too late", path: at(open, "release"), body: `{"not_after":"2020-01-01T00:00:00Z"}`, status: 422, code: ledger.CodeTooLate},
		})
		for _, what := range []string{"capture", "release", "reverse"} {
			refuse(t, b, []bad{
				{name: "no key", path: at(open, what), with: headers{}, status: 400, code: codeKeyMissing},
				{name: "key and another id", path: at(open, what), body: `{"id":"` + uuid.NewString() + `"}`, status: 400, code: codeKeyMismatch},
				{name: "unknown field", path: at(open, what), body: `{"reason":"x"}`, status: 400, code: codeUnknownField, want: []string{"field", "/reason"}},
				{name: "wrong type", path: at(open, what), body: `{"description":7}`, status: 400, code: codeWrongType, want: []string{"field", "/description"}},
				{name: "null", path: at(open, what), body: `{"metadata":null}`, status: 400, code: codeWrongType},
				{name: "array", path: at(open, what), body: `[]`, status: 400, code: codeWrongType},
				{name: "no object", path: at(open, what), body: `null`, status: 400, code: codeWrongType},
				{name: "trailing JSON", path: at(open, what), body: `{}{}`, status: 400, code: codeTrailingJSON},
				{name: "white space only", path: at(open, what), body: "  ", status: 400, code: codeMalformedJSON},
				{name: "id in words", path: at(open, what), body: `{"id":"x"}`, status: 400, code: codeIDInvalid},
				{name: "unknown parameter", path: at(open, what) + "?force=true", status: 400, code: codeUnknownParameter},
				{name: "unknown ledger", path: "/v1/ledgers/nowhere/transfers/" + open + "/" + what, status: 404, code: codeLedgerNotFound},
				{name: "form", path: at(open, what), body: `{}`, with: headers{"Content-Type": {"text/plain"}, keyHeader: {"x"}}, status: 415, code: codeMediaType},
			})
		}
		refuse(t, b, []bad{
			{name: "amount as a number", path: at(open, "capture"), body: `{"amount":5}`, status: 400, code: codeAmountNotString},
			{name: "amount and postings", path: at(open, "capture"), body: `{"amount":"5","postings":[{"account":"cash","direction":"credit","amount":"5"}]}`, status: 400, code: codeConflictingForm},
			{name: "no posting", path: at(open, "capture"), body: `{"postings":[]}`, status: 400, code: codeValueInvalid, want: []string{"field", "/postings"}},
			{name: "posting without amount", path: at(open, "capture"), body: `{"postings":[{"account":"cash","direction":"credit"}]}`, status: 400, code: codeMissingField, want: []string{"field", "/postings/0/amount"}},
			{name: "amount of a release", path: at(open, "release"), body: `{"amount":"5"}`, status: 400, code: codeUnknownField},
			{name: "method", method: "GET", path: at(open, "capture"), status: 405, code: codeMethodNotAllowed},
		})
	})
}

func TestAHoldExpires(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, b *bank, c *clock) {
		b.openAccounts()
		b.pay("cash", "customers:1", "10").is(201, "")
		// The API tells the time by the wall: this hold lapses at once there, and the
		// ledger learns of it when its clock moves.
		soon := time.Now().Add(time.Second)
		id := b.hold("10", `,"expires_at":"`+soon.Format(time.RFC3339Nano)+`"`)
		b.get("/v1/ledgers/main/transfers/"+id).want("status", "held")
		deadline := time.Now().Add(10 * time.Second)
		for b.get("/v1/ledgers/main/transfers/"+id).text("status") != "expired" {
			if time.Now().After(deadline) {
				t.Fatal("the hold does not expire")
			}
		}
		c.pass(time.Minute)
		hold, err := uuid.Parse(id)
		if err != nil {
			t.Fatal(err)
		}
		release := &ledger.ReleaseHold{Hold: ledger.RequestID{UUID: hold}, OnExpiry: true}
		release.ID = ledger.ExpiryRequestID(b.id("main"), release.Hold)
		if o, err := b.poster.Submit(t.Context(), b.id("main"), release); err != nil || o.Refusal != nil {
			t.Fatalf("releasing: %+v, %v", o.Refusal, err)
		}
		b.get("/v1/ledgers/main/transfers/"+id).want("status", "expired", "entries.1.kind", "release")
		b.get("/v1/ledgers/main/accounts/customers:1").want("held", "0.00", "available", "10.00")
		b.act(id+"/capture", "").is(422, ledger.CodeHoldExpired)
		b.act(id+"/release", "").is(422, ledger.CodeHoldExpired)
	})
}

func TestStatusOfATransfer(t *testing.T) {
	t.Parallel()
	now := time.UnixMicro(1_000_000)
	entry := func(kind chain.Kind, actor uuid.UUID, expires int64) *ledger.Entry {
		record := chain.Entry{Kind: kind, Actor: actor}
		if expires > 0 {
			record.ExpiresAt = &expires
		}
		e := ledger.Restore(record, chain.Hash{}, ledger.Text{}, nil)
		return &e
	}
	client := uuid.New()
	for _, c := range []struct {
		want   string
		target ledger.Target
	}{
		{"posted", ledger.Target{Entry: entry(chain.Transfer, client, 0)}},
		{"reversed", ledger.Target{Entry: entry(chain.Transfer, client, 0), Reversed: entry(chain.Reversal, client, 0)}},
		{"posted", ledger.Target{Entry: entry(chain.Reversal, client, 0)}},
		{"held", ledger.Target{Entry: entry(chain.Hold, client, 0)}},
		{"held", ledger.Target{Entry: entry(chain.Hold, client, 1_000_001)}},
		{"expired", ledger.Target{Entry: entry(chain.Hold, client, 1_000_000)}},
		{"captured", ledger.Target{Entry: entry(chain.Hold, client, 1), Settled: entry(chain.Capture, client, 0)}},
		{"released", ledger.Target{Entry: entry(chain.Hold, client, 1), Settled: entry(chain.Release, client, 0)}},
		{"expired", ledger.Target{Entry: entry(chain.Hold, client, 1), Settled: entry(chain.Release, uuid.Nil, 0)}},
		{"reversed", ledger.Target{Entry: entry(chain.Hold, client, 1), Settled: entry(chain.Capture, client, 0), Reversed: entry(chain.Reversal, client, 0)}},
	} {
		if got := transferStatus(&c.target, now); got != c.want {
			t.Errorf("%+v is %s, want %s", c.target, got, c.want)
		}
	}
}
