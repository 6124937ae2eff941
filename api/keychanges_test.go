package api

import (
	"crypto/sha256"
	"strings"
	"testing"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// verifierKey returns the public key that is made of a name, for an origin.
func verifierKey(t testing.TB, name, origin string) chain.VerifierKey {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	key, err := chain.NewSigningKey(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.VerifierKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	public, err := chain.ParseLogKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func TestASigningKeyIsAddedReplacedAndRetired(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		const path = "/v1/ledgers/main/keys"
		origin := b.get("/v1/ledgers/main").text("origin")
		first, second := verifierKey(t, "first", origin), verifierKey(t, "second", origin)
		add := `{"action":"add","role":"signer","public_key":"` + first.String() + `"}`
		a := b.post(path, add).is(201, "").want("key_id", first.ID(), "role", "signer", "status", "valid", "public_key", first.String(), "added_at_seq", "1")
		b.get(a.header.Get("Location")).is(200, "").want("kind", "key_changed", "details.0.name", "action", "details.0.value", "add", "seq", "1")
		size := b.size()
		if again := b.post(path, add).is(200, ""); string(again.body) != string(a.body) || b.size() != size {
			t.Errorf("adding it again is answered\n%s\nafter\n%s, at size %s", again.body, a.body, b.size())
		}
		with := headers{keyHeader: {"rotate"}}
		rotate := `{"action":"add","role":"signer","key_id":"` + second.ID() + `","public_key":"` + second.String() + `","overlap_until":"2999-12-31","description":"Yearly rotation"}`
		b.do("POST", path, rotate, with).is(201, "").want("key_id", second.ID(), "overlap_until", "2999-12-31", "added_at_seq", "2")
		if again := b.do("POST", path, rotate, with).is(200, ""); again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("the same key again is no replay: %v", again.header)
		}
		b.do("POST", path, add, with).is(409, ledger.CodeIdempotencyConflict)
		b.post(path, `{"action":"retire","role":"signer","key_id":"`+first.ID()+`"}`).is(201, "").want("status", "retired", "retired_at_seq", "3", "added_at_seq", "1")
		b.post(path, `{"action":"revoke","role":"signer","key_id":"`+first.ID()+`"}`).is(201, "").want("status", "revoked", "retired_at_seq", "3", "revoked_at_seq", "4")
		const id = "01890a5d-ac96-774b-bcce-b302099a8057"
		b.post(path, `{"action":"add","role":"api","key_id":"`+id+`","scopes":["post","read"]}`).is(201, "").want("scopes.0", "post", "scopes.1", "read")
		b.get(path).is(200, "").want("data.0.key_id", first.ID(), "data.0.status", "revoked", "data.1.key_id", second.ID(), "data.2.key_id", id, "next", "")
		b.get(path+"?role=api").want("data.0.key_id", id, "next", "")
		next := b.get(path+"?role=signer&limit=1").want("data.0.key_id", first.ID()).text("next")
		b.get(path+"?role=signer&limit=1&cursor="+next).want("data.0.key_id", second.ID(), "next", "")
		b.get(path+"?limit=1&cursor="+next).is(400, codeCursorInvalid)
	})
}

func TestKeyChangesThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		origin := b.get("/v1/ledgers/main").text("origin")
		gone, there, foreign := verifierKey(t, "gone", origin), verifierKey(t, "there", origin), verifierKey(t, "there", "other.test/ledger")
		for _, body := range []string{
			`{"action":"add","role":"signer","public_key":"` + gone.String() + `"}`, `{"action":"revoke","role":"signer","key_id":"` + gone.ID() + `"}`,
			`{"action":"add","role":"api","key_id":"01890a5d-ac96-774b-bcce-b302099a8057","scopes":["read"]}`,
		} {
			b.post("/v1/ledgers/main/keys", body).is(201, "")
		}
		change := func(name, body string, status int, code ledger.Code, want ...string) bad {
			return bad{name: name, path: "/keys", body: body, status: status, code: code, want: want}
		}
		signer := func(rest string) string { return `{"action":"add","role":"signer"` + rest + `}` }
		refuse(t, b, []bad{
			change("no action", `{"role":"signer","public_key":"`+there.String()+`"}`, 400, codeMissingField, "field", "/action"),
			change("no role", `{"action":"add","public_key":"`+there.String()+`"}`, 400, codeMissingField, "field", "/role"),
			change("no public key", signer(`,"key_id":"`+there.ID()+`"`), 400, codeMissingField, "field", "/public_key"),
			change("no key", `{"action":"retire","role":"signer"}`, 400, codeMissingField, "field", "/key_id"),
			change("no scopes", `{"action":"add","role":"api","key_id":"01890a5d-ac96-774b-bcce-b302099a8058"}`, 400, codeMissingField, "field", "/scopes"),
			change("another action", `{"action":"replace","role":"signer","key_id":"`+there.ID()+`"}`, 400, codeValueInvalid, "field", "/action"),
			change("another role", `{"action":"add","role":"witness","key_id":"`+there.ID()+`"}`, 400, codeValueInvalid, "field", "/role"),
			change("another scope", `{"action":"add","role":"api","key_id":"`+there.ID()+`","scopes":["write"]}`, 400, codeValueInvalid, "field", "/scopes/0"),
			change("nine scopes", `{"action":"add","role":"api","scopes":[`+strings.Repeat(`"read",`, 8)+`"read"]}`, 400, codeItemCount),
			change("an action that is a number", `{"action":1,"role":"signer"}`, 400, codeWrongType, "field", "/action"),
			change("no such day", signer(`,"public_key":"`+there.String()+`","overlap_until":"2026-02-30"`), 400, codeDateInvalid),
			change("a long key", signer(`,"public_key":"`+strings.Repeat("x", ledger.MaxKeyText+1)+`"`), 400, codeTextTooLong, "field", "/public_key"),
			change("unknown field", signer(`,"public_key":"`+there.String()+`","valid_from":"2026-01-01"`), 400, codeUnknownField),
			change("a list", `[]`, 400, codeWrongType),

			change("no key at all", signer(`,"public_key":"x"`), 422, ledger.CodeKeyMalformed),
			change("a broken key", signer(`,"key_id":"`+there.ID()+`","public_key":"`+there.String()+`A"`), 422, ledger.CodeKeyMalformed),
			change("another id", signer(`,"key_id":"`+gone.ID()+`","public_key":"`+there.String()+`"`), 422, ledger.CodeKeyMalformed),
			change("of another ledger", signer(`,"public_key":"`+foreign.String()+`"`), 422, ledger.CodeKeyOrigin),
			change("an overlap that is over", signer(`,"public_key":"`+there.String()+`","overlap_until":"2001-01-01"`), 422, ledger.CodeKeyMalformed),
			change("revoked before", signer(`,"public_key":"`+gone.String()+`"`), 422, ledger.CodeKeyRevoked),
			change("unknown", `{"action":"retire","role":"signer","key_id":"`+there.ID()+`"}`, 422, ledger.CodeKeyUnknown),
			change("other scopes", `{"action":"add","role":"api","key_id":"01890a5d-ac96-774b-bcce-b302099a8057","scopes":["post","read"]}`, 409, ledger.CodeKeyExists),
			change("scopes out of order", `{"action":"add","role":"api","key_id":"01890a5d-ac96-774b-bcce-b302099a8058","scopes":["read","post"]}`, 422, ledger.CodeKeyMalformed),
			{name: "without the scope", path: "/keys", body: signer(`,"public_key":"` + there.String() + `"`), with: b.keyWith(scopeApprove), status: 403, code: codeForbidden},
			{name: "a dry run", path: "/keys?dry_run=true", body: signer(`,"public_key":"` + there.String() + `"`), status: 400, code: codeUnknownParameter},
			{name: "another role of the list", method: "GET", path: "/keys?role=witness", status: 400, code: codeInvalidParameter},
			{name: "unknown parameter", method: "GET", path: "/keys?status=valid", status: 400, code: codeUnknownParameter},
			{name: "unknown ledger", method: "GET", path: "/v1/ledgers/nowhere/keys", status: 404, code: codeLedgerNotFound},
		})
	})
}
