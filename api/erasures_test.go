package api

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/store/storetest"
)

// sendTransfer posts a transfer that has an id of its own.
func (b *bank) sendTransfer(body string) *answer {
	b.t.Helper()
	return b.do("POST", ledgerPath+"/transfers", body, headers{})
}

const ledgerPath = "/v1/ledgers/main"

func TestTheTextOfAnEntryIsErased(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		const body = `{"id":"01890a5d-ac96-774b-bcce-b302099a8057","debit":"cash","credit":"customers:1","amount":"5.00","description":"for Ada Lovelace","reference":"INV-7","metadata":{"who":"ada"}}`
		paid := b.sendTransfer(body).is(201, "")
		seq, size := paid.text("seq"), b.size()
		path := ledgerPath + "/entries/" + seq + "/erase"
		b.post(path+"?dry_run=true", `{"basis":"gdpr_17"}`).is(200, "").want("kind", "erasure", "dry_run", "true", "ref_seq", seq)
		if b.size() != size {
			t.Fatalf("a dry run made the ledger grow to %s", b.size())
		}
		erased := b.post(path, `{"basis":"gdpr_17","case":"DPO 7"}`).is(201, "").want("seq", seq, "erased_at_seq", size, "basis", "gdpr_17", "case", "DPO 7")
		b.get(erased.header.Get("Location")).want("kind", "erasure", "ref_seq", seq, "details.0.name", "basis")
		for _, again := range []string{path, path + "?dry_run=true"} {
			b.post(again, `{"basis":"retention"}`).is(200, "").want("erased_at_seq", size, "basis", "gdpr_17")
		}

		b.get(ledgerPath+"/entries/"+seq).is(200, "").want("erased", "true", "description", "", "reference", "", "metadata", "", "hash", paid.text("hash"))
		b.get(ledgerPath+"/transfers?account=cash").is(200, "").want("data.0.erased", "true", "data.0.description", "")
		for _, query := range []string{"reference=INV-7", "metadata_key=who&metadata_value=ada&from_seq=0"} {
			if n := b.get(ledgerPath+"/transfers?"+query).is(200, "").length("data"); n != 0 {
				t.Errorf("%d transfers are found by %s, which was erased", n, query)
			}
		}
		b.get(ledgerPath+"/transfers/"+paid.text("id")).is(200, "").want("status", "posted")
		b.get(ledgerPath+"/accounts/cash/statement").is(200, "").want("lines.0.seq", seq, "lines.0.erased", "true", "lines.0.description", "", "lines.0.amount", "5.00")
		if again := b.sendTransfer(body).is(201, ""); again.header.Get("Idempotent-Replayed") != "true" || again.text("seq") != seq {
			t.Errorf("the same transfer again is answered %s", again.body)
		}
		b.sendTransfer(`{"id":"01890a5d-ac96-774b-bcce-b302099a8057","debit":"cash","credit":"customers:1","amount":"6.00"}`).is(409, ledger.CodeIdempotencyConflict)
		b.act("01890a5d-ac96-774b-bcce-b302099a8057/reverse", `{}`).is(201, "")
	})
}

func TestAnErasureThatFailsHalfWayIsFinished(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		seq := b.transfer(`{"debit":"cash","credit":"customers:1","amount":"5.00","description":"for Ada"}`).is(201, "").text("seq")
		path := ledgerPath + "/entries/" + seq + "/erase"
		b.eraserBroken.Store(true)
		with := headers{keyHeader: {"erase"}}
		b.do("POST", path, `{"basis":"gdpr_17"}`, with).is(503, codeErasureUnfinished)
		b.get(ledgerPath+"/entries/"+seq).want("erased", "", "description", "for Ada")
		b.eraserBroken.Store(false)
		if a := b.do("POST", path, `{"basis":"gdpr_17"}`, with).is(200, ""); a.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("the same request again is no replay: %v", a.header)
		}
		b.get(ledgerPath+"/entries/"+seq).want("erased", "true", "description", "")
	})
}

// What acts on a transfer names it in the path. When the texts of the action are
// gone, an id that comes again must still be for the same transfer.
func TestAnErasedActionAnswersForNoOtherTransfer(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.pay("cash", "customers:1", "100").is(201, "")
		transfer := func() string { return b.pay("cash", "customers:1", "1").is(201, "").text("id") }
		captured := func() string {
			id := b.hold("5", "")
			b.act(id+"/capture", "").is(201, "")
			return id
		}
		for _, of := range []struct {
			action, body string
			target       func() string
		}{
			{"/release", `{"description":"for Ada"}`, func() string { return b.hold("5", "") }},
			{"/capture", `{"description":"for Ada"}`, func() string { return b.hold("5", "") }},
			{"/reverse", `{"description":"for Ada"}`, transfer},
			{"/reverse", `{"reference":"of a hold"}`, captured},
		} {
			one, other := of.target(), of.target()
			with := headers{keyHeader: {uuid.NewString()}}
			act := func(id string) *answer {
				return b.do("POST", ledgerPath+"/transfers/"+id+of.action, of.body, with)
			}
			done := act(one).is(201, "")
			act(other).is(409, ledger.CodeIdempotencyConflict)
			b.post(ledgerPath+"/entries/"+done.text("seq")+"/erase", `{"basis":"gdpr_17"}`).is(201, "")
			before := b.get(ledgerPath + "/transfers/" + other).text("status")
			act(other).is(409, ledger.CodeIdempotencyConflict)
			act(uuid.NewString()).is(409, ledger.CodeIdempotencyConflict)
			b.do("POST", ledgerPath+"/transfers/"+other+of.action+"?dry_run=true", of.body, with).is(409, ledger.CodeIdempotencyConflict)
			b.get(ledgerPath+"/transfers/"+other).want("status", before)
			act(one).is(201, "").want("seq", done.text("seq"), "erased", "true")
			b.do("POST", ledgerPath+"/transfers/"+one+of.action+"?dry_run=true", of.body, with).is(201, "").want("seq", done.text("seq"))
		}
	})
}

// A name that stands in an entry which was tampered with is not erased there, but
// everywhere else it is.
func TestADamagedEntryKeepsNoOtherNameFromBeingErased(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBank(t, url, nil)
		b.post(ledgerPath+"/accounts", `{"code":"ada","type":"liability","currency":"EUR","name":"Ada Lovelace"}`).is(201, "")
		b.patch(ledgerPath+"/accounts/ada", `{"min_balance":"0"}`).is(200, "").want("name", "Ada Lovelace")
		b.patch(ledgerPath+"/accounts/ada", `{"max_balance":"9"}`).is(200, "").want("name", "Ada Lovelace")
		b.sql("update book.account_versions set min_balance = 7 where seq = 2")
		for range 2 { // and again
			b.post(ledgerPath+"/accounts/ada/erase", `{"basis":"gdpr_17"}`).is(503, ledger.CodeTransferDamaged)
			for _, seq := range []string{"1", "3"} {
				b.get(ledgerPath+"/entries/"+seq).is(200, "").want("erased", "true", "description", "")
			}
		}
	})
}

func TestTheNameOfAnAccountIsErased(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		const open = `{"code":"ada","type":"liability","currency":"EUR","name":"Ada Lovelace"}`
		b.post(ledgerPath+"/accounts", open).is(201, "")
		b.patch(ledgerPath+"/accounts/ada", `{"min_balance":"0"}`).is(200, "").want("name", "Ada Lovelace")
		b.post(ledgerPath+"/accounts", `{"code":"nameless","type":"asset","currency":"EUR"}`).is(201, "")
		path := ledgerPath + "/accounts/ada/erase"
		b.post(path, `{"basis":"gdpr_17"}`).is(200, "").want("account", "ada", "seqs.0", "1", "seqs.1", "2")
		size := b.size()
		b.post(path, `{"basis":"gdpr_17"}`).is(200, "").want("seqs.1", "2")
		b.get(ledgerPath+"/accounts/ada").is(200, "").want("name", "", "min_balance", "0.00")
		b.get(ledgerPath+"/entries/1").want("erased", "true", "description", "")
		b.post(ledgerPath+"/accounts", open).is(200, "").want("name", "")
		if b.size() != size {
			t.Errorf("the ledger grew from %s to %s", size, b.size())
		}
		b.patch(ledgerPath+"/accounts/ada", `{"max_balance":"10"}`).is(200, "").want("name", "")
		b.patch(ledgerPath+"/accounts/ada", `{"name":"A. L."}`).is(200, "").want("name", "A. L.")
		conn, err := pgx.Connect(t.Context(), b.database)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		var left int
		if err := conn.QueryRow(t.Context(), `select count(*) from ops.payloads where description like '%Lovelace%'`).Scan(&left); err != nil || left != 0 {
			t.Errorf("the name is still stored %d times, %v", left, err)
		}
	})
}

func TestErasuresThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		bare := b.pay("cash", "customers:1", "10.00").is(201, "").text("seq")
		const why = `{"basis":"gdpr_17"}`
		erase := func(name, path, body string, status int, code ledger.Code, want ...string) bad {
			return bad{name: name, path: path + "/erase", body: body, status: status, code: code, want: want}
		}
		refuse(t, b, []bad{
			erase("no text", "/entries/"+bare, why, 422, ledger.CodeNothingToErase),
			erase("no name", "/accounts/cash", why, 422, ledger.CodeNothingToErase),
			erase("the first entry", "/entries/0", why, 422, ledger.CodeNothingToErase),
			erase("no such entry", "/entries/999", why, 404, ledger.CodeEntryNotFound),
			erase("no number", "/entries/-1", why, 404, ledger.CodeEntryNotFound),
			erase("no such account", "/accounts/nobody", why, 404, codeAccountNotFound),
			erase("no basis", "/entries/"+bare, `{}`, 400, codeMissingField, "field", "/basis"),
			erase("a basis of two words", "/entries/"+bare, `{"basis":"GDPR 17"}`, 400, codeValueInvalid, "field", "/basis"),
			erase("an empty basis", "/entries/"+bare, `{"basis":""}`, 400, codeValueInvalid),
			erase("an empty case", "/entries/"+bare, `{"basis":"x","case":""}`, 400, codeTextInvalid, "field", "/case"),
			erase("a long case", "/entries/"+bare, fmt.Sprintf(`{"basis":"x","case":"%0256d"}`, 0), 400, codeTextTooLong),
			erase("unknown field", "/entries/"+bare, `{"basis":"x","reason":"x"}`, 400, codeUnknownField),
			erase("no basis for a name", "/accounts/cash", `{}`, 400, codeMissingField),
			{name: "without the scope", path: "/entries/" + bare + "/erase", body: why, with: b.keyWith(scopeApprove), status: 403, code: codeForbidden},
			{name: "a name without the scope", path: "/accounts/cash/erase", body: why, with: b.keyWith(scopeApprove), status: 403, code: codeForbidden},
			{name: "unknown parameter", path: "/entries/" + bare + "/erase?force=true", body: why, status: 400, code: codeUnknownParameter},
			{name: "a dry run for a name", path: "/accounts/cash/erase?dry_run=true", body: why, status: 400, code: codeUnknownParameter},
			{name: "bad key", path: "/entries/" + bare + "/erase", body: why, with: headers{keyHeader: {"a b"}}, status: 400, code: codeKeyInvalid},
		})
	})
}
