package api

import (
	"strings"
	"testing"

	"tallystick/ledger"
)

func TestAPolicyIsAdoptedByAnEntry(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		const path = "/v1/ledgers/main/policies"
		digest := strings.Repeat("ab", 32)
		body := `{"name":"risk","version":"7","effective_from":"2030-01-01","policy_sha256":"` + digest + `"}`
		b.post(path, body).is(201, "").want("kind", "policy_adopted", "details.0.name", "effective_from", "details.0.value", "2030-01-01", "details.2.value", digest)
		for what, c := range map[string]struct {
			body string
			code ledger.Code
		}{
			"short digest": {strings.Replace(body, digest, digest[2:], 1), codeValueInvalid},
			"no digest":    {`{"name":"risk","effective_from":"2030-01-01"}`, codeMissingField},
			"no date":      {`{"name":"risk","policy_sha256":"` + digest + `"}`, codeMissingField},
			"unknown key":  {strings.Replace(body, "version", "versoin", 1), codeUnknownField},
		} {
			t.Log(what)
			b.post(path, c.body).is(400, c.code)
		}
		b.post(path, strings.Replace(body, `"risk"`, `"Risk 1"`, 1)).is(422, ledger.CodePolicyInvalid)
		b.post("/v1/ledgers/nowhere/policies", body).is(404, codeLedgerNotFound)
	})
}
