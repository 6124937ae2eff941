package main

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// signerKey returns the public key that is made of a name, for an origin.
func signerKey(t *testing.T, name, origin string) chain.VerifierKey {
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

func TestSigningKeysAreAddedListedRetiredAndRevoked(t *testing.T) {
	b := servePeriods(t, store.ScopeAdmin)
	info, err := b.db.Ledger(t.Context(), "book")
	if err != nil {
		t.Fatal(err)
	}
	old, next := signerKey(t, "old", info.Terms.Origin), signerKey(t, "next", info.Terms.Origin)
	run := func(args ...string) string {
		t.Helper()
		code, out, told := command(t, append([]string{"keys", "signer"}, args...)...)
		if code != exitFine {
			t.Fatalf("%q: exit code %d, %s%s", args, code, out, told)
		}
		return out
	}
	if out := run("add", "--ledger", "book", old.String()); !strings.Contains(out, old.ID()+" of ledger book is valid\n  since      entry ") {
		t.Errorf("adding: %s", out)
	}
	run("add", "--ledger", "book", next.String(), "--overlap-until", "2999-12-31", "--description", "Rotation")
	if out := run("retire", "--ledger", "book", old.ID()); !strings.Contains(out, "is retired") {
		t.Errorf("retiring: %s", out)
	}
	var k struct {
		Status       string `json:"status"`
		RevokedAtSeq int64  `json:"revoked_at_seq"`
	}
	if err := json.Unmarshal([]byte(run("revoke", "--ledger", "book", next.ID(), "--json")), &k); err != nil || k.Status != "revoked" || k.RevokedAtSeq == 0 {
		t.Errorf("revoking: %+v, %v", k, err)
	}
	out := run("list", "--ledger", "book")
	if lines := strings.Split(out, "\n"); len(lines) != 4 || !strings.HasPrefix(lines[1], old.ID()+"  retired") ||
		!strings.HasPrefix(lines[2], next.ID()+"  revoked") || !strings.HasSuffix(lines[2], "2999-12-31") {
		t.Errorf("the list is\n%s", out)
	}
	var list struct{ Keys []struct{ Status string } }
	if err := json.Unmarshal([]byte(run("list", "--ledger", "book", "--json")), &list); err != nil || len(list.Keys) != 2 || list.Keys[0].Status != "retired" {
		t.Errorf("the list as JSON: %+v, %v", list, err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no key":         {[]string{"add", "--ledger", "book", "nonsense"}, "hint: tallystick signer"},
		"no date":        {[]string{"add", "--ledger", "book", old.String(), "--overlap-until", "soon"}, "reading --overlap-until"},
		"another ledger": {[]string{"add", "--ledger", "book", signerKey(t, "old", "other.test/1").String()}, "key_origin_mismatch"},
		"revoked":        {[]string{"add", "--ledger", "book", next.String()}, "key_revoked"},
		"unknown":        {[]string{"retire", "--ledger", "book", signerKey(t, "third", info.Terms.Origin).ID()}, "key_unknown"},
		"no such ledger": {[]string{"list", "--ledger", "none"}, "ledger_not_found"},
	} {
		code, out, told := command(t, append([]string{"keys", "signer"}, c.args...)...)
		if code != exitUsage || out != "" || !strings.Contains(told, c.want) {
			t.Errorf("%s: exit code %d, %s%s", name, code, out, told)
		}
	}
}
