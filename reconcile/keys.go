package reconcile

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// keyStanding is what entries have said of a key.
type keyStanding struct {
	seq              int64 // of the last of them
	action           string
	publicKey, scope string
}

// changeKey holds a change of a key against those before it, and against what a
// key of its role is (I7).
func (b *ruleReader) changeKey(e *ruleEntry) {
	action, role, id := e.detail("action"), e.detail("role"), e.detail("key_id")
	if action == "" || role == "" || id == "" {
		return // malformed
	}
	name := role + " " + id
	before, known := b.keys[name]
	switch {
	case action != chain.KeyAdd && action != chain.KeyRetire && action != chain.KeyRevoke:
		b.reportKey(e, "action "+action, "add, retire or revoke")
		return
	case action != chain.KeyAdd && !known:
		b.reportKey(e, action+" "+id, "no such key was added")
	case known && before.action == action:
		b.reportKey(e, action+" "+id, fmt.Sprintf("entry %d says so already", before.seq))
	case known && before.action == chain.KeyRevoke:
		b.reportKey(e, action+" "+id, fmt.Sprintf("revoked by entry %d", before.seq))
	}
	b.checkKey(e, action, role, id)
	next := keyStanding{seq: e.seq, action: action, publicKey: e.detail("public_key"), scope: e.detail("scopes")}
	if known && before.action == chain.KeyRevoke {
		next.action = chain.KeyRevoke // for good
	}
	b.keys[name] = next
}

// checkKey holds a key against what its role asks for.
func (b *ruleReader) checkKey(e *ruleEntry, action, role, id string) {
	public := e.detail("public_key")
	switch role {
	case chain.RoleSigner:
		if origin := b.origin(); origin != "" && !strings.HasPrefix(id, origin+"+") {
			b.reportKey(e, "key_id "+id, "a key that signs for "+origin)
		}
		if action != chain.KeyAdd {
			return
		}
		if key, err := chain.ParseLogKey(public); err != nil {
			b.reportKey(e, "public_key "+public, "a verifier key")
		} else if key.ID() != id {
			b.reportKey(e, "key_id "+id, key.ID())
		}
	case chain.RoleAPI:
		if u, err := uuid.Parse(id); err != nil || u.String() != id {
			b.reportKey(e, "key_id "+id, "a UUID")
		}
		if action == chain.KeyAdd && e.detail("scopes") == "" {
			b.reportKey(e, "no scopes", "the scopes of the key")
		}
	default:
		b.reportKey(e, "role "+role, "signer or api")
	}
}

// origin returns what the keys of this ledger sign for; "" when that is not known.
func (b *ruleReader) origin() string {
	if b.v.terms == nil || b.v.termsDoubtful {
		return ""
	}
	return b.v.terms.Origin
}

func (b *ruleReader) reportKey(e *ruleEntry, stored, recomputed string) {
	b.v.findings.add(finding{code: KeyInvalid, seq: e.seq, stored: stored, recomputed: recomputed})
}
