package ledger

import (
	"maps"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// ChangeKey asks to put on record that a key begins or ends to be valid: one
// that signs the ledger's checkpoints, or an API key that posts to it. What is
// so already makes no entry. A key that was retired may be added again, one that
// was revoked never.
type ChangeKey struct {
	Common
	standalone
	Action string // chain.KeyAdd, chain.KeyRetire or chain.KeyRevoke
	Role   string // chain.RoleSigner or chain.RoleAPI
	// Key is the id: of a signer as chain.VerifierKey.ID has it, of an API key its
	// UUID.
	Key string
	// PublicKey is the verifier key of a signer that is added. Its name is the
	// ledger's origin.
	PublicKey string
	// Scopes are those of an API key that is added, joined by ',' in ascending
	// order.
	Scopes string
	// OverlapUntil, of a key that is added, is the last day on which the one that
	// it replaces is still valid; nil where none is replaced.
	OverlapUntil *chain.Date
}

// MaxKeyText is the longest id, public key or list of scopes, in bytes.
const MaxKeyText = 512

func (*ChangeKey) operation() string                  { return OperationChangeKey }
func (*ChangeKey) accountCodes(dst []string) []string { return dst }
func (r *ChangeKey) weight() int                      { return perPosting + len(r.Key) + len(r.PublicKey) + len(r.Scopes) }
func (r *ChangeKey) fingerprintTo(b []byte) []byte {
	for _, s := range []string{r.Action, r.Role, r.Key, r.PublicKey, r.Scopes} {
		b = appendText(b, s)
	}
	return appendValueDate(b, ValueDate{EffectiveDate: r.OverlapUntil})
}

// keyName tells keys apart: an id is one within its role.
type keyName struct{ role, id string }

// keyState is what entries have said of a key.
type keyState struct {
	last              string // action
	publicKey, scopes string // as it was added last
}

// apply puts a change of a key on record, if it is one.
func (r *ChangeKey) apply(o *overlay) (*draft, *Refusal) {
	if refused := r.wellFormed(o); refused != nil {
		return nil, refused
	}
	k, known := o.rules.keys[keyName{r.Role, r.Key}]
	if r.Action == chain.KeyAdd {
		switch {
		case known && k.last == chain.KeyRevoke:
			return nil, refusal(CodeKeyRevoked, "the key %s was revoked and is never valid again; add another one", r.Key)
		case known && k.last == chain.KeyAdd && (k.publicKey != r.PublicKey || k.scopes != r.Scopes):
			return nil, refusal(CodeKeyExists, "the key %s is on record with another public key or other scopes; retire it first", r.Key)
		case known && k.last == chain.KeyAdd:
			return nil, nil
		}
		return r.draft(o), nil
	}
	switch {
	case !known:
		return nil, refusal(CodeKeyUnknown, "this ledger has no key %s of role %s on record", r.Key, r.Role)
	case k.last == r.Action:
		return nil, nil
	case k.last == chain.KeyRevoke:
		return nil, refusal(CodeKeyRevoked, "the key %s was revoked, which says more than that it is not used any more", r.Key)
	}
	return r.draft(o), nil
}

// wellFormed checks what can be said of the request without looking at other
// entries.
func (r *ChangeKey) wellFormed(o *overlay) *Refusal {
	added := r.Action == chain.KeyAdd
	switch {
	case r.Action != chain.KeyAdd && r.Action != chain.KeyRetire && r.Action != chain.KeyRevoke:
		return refusal(CodeKeyMalformed, "an action is %s, %s or %s", chain.KeyAdd, chain.KeyRetire, chain.KeyRevoke)
	case len(r.Key) > MaxKeyText || len(r.PublicKey) > MaxKeyText || len(r.Scopes) > MaxKeyText:
		return refusal(CodeKeyMalformed, "an id, a public key and scopes have at most %d bytes each", MaxKeyText)
	case !added && (r.PublicKey != "" || r.Scopes != "" || r.OverlapUntil != nil):
		return refusal(CodeKeyMalformed, "a public key, scopes and an overlap belong to a key that is added")
	case r.OverlapUntil != nil && *r.OverlapUntil < o.bookingDate:
		return refusal(CodeKeyMalformed, "the overlap ended on %s, and the ledger books on %s", *r.OverlapUntil, o.bookingDate)
	case r.Role == chain.RoleSigner:
		return r.signerWellFormed(o, added)
	case r.Role == chain.RoleAPI:
		return r.apiWellFormed(added)
	}
	return refusal(CodeKeyMalformed, "a role is %s or %s", chain.RoleSigner, chain.RoleAPI)
}

// signerWellFormed checks the key of a signer: its name is the origin that it
// signs for, so that it can sign for no other ledger.
func (r *ChangeKey) signerWellFormed(o *overlay, added bool) *Refusal {
	origin := o.book.terms.Origin
	switch {
	case r.Scopes != "":
		return refusal(CodeKeyMalformed, "only API keys have scopes")
	case !added && !strings.HasPrefix(r.Key, origin+"+"):
		return refusal(CodeKeyOrigin, "the key %s does not sign for this ledger, whose origin is %s", r.Key, origin)
	case !added:
		return nil
	}
	key, err := chain.ParseLogKey(r.PublicKey)
	switch {
	case err != nil:
		return refusal(CodeKeyMalformed, "the public key of a signer is a C2SP verifier key, %s+<8 hexadecimal digits>+<base64>", origin)
	case key.Name() != origin:
		return refusal(CodeKeyOrigin, "the public key signs for %s, and the origin of this ledger is %s", key.Name(), origin)
	case key.ID() != r.Key:
		return refusal(CodeKeyMalformed, "the id of the public key is %s", key.ID())
	}
	return nil
}

func (r *ChangeKey) apiWellFormed(added bool) *Refusal {
	id, err := uuid.Parse(r.Key)
	switch {
	case err != nil || id.String() != r.Key || id == uuid.Nil:
		return refusal(CodeKeyMalformed, "the id of an API key is its UUID, in small letters")
	case r.PublicKey != "":
		return refusal(CodeKeyMalformed, "only signers have a public key")
	case added && !ascendingWords(r.Scopes):
		return refusal(CodeKeyMalformed, "scopes are words of a to z joined by ',' in ascending order, such as post,read")
	}
	return nil
}

// ascendingWords reports whether s is words of a to z, each after the one before.
func ascendingWords(s string) bool {
	before := ""
	for word := range strings.SplitSeq(s, ",") {
		if word <= before || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") != "" {
			return false
		}
		before = word
	}
	return true
}

func (r *ChangeKey) draft(o *overlay) *draft {
	details := []chain.Detail{
		{Name: "action", Value: r.Action},
		{Name: "key_id", Value: r.Key},
	}
	if r.OverlapUntil != nil {
		details = append(details, chain.Detail{Name: "overlap_until", Value: r.OverlapUntil.String()})
	}
	if r.PublicKey != "" {
		details = append(details, chain.Detail{Name: "public_key", Value: r.PublicKey})
	}
	details = append(details, chain.Detail{Name: "role", Value: r.Role})
	if r.Scopes != "" {
		details = append(details, chain.Detail{Name: "scopes", Value: r.Scopes})
	}
	return &draft{kind: chain.KeyChanged, effective: o.bookingDate, details: details}
}

// afterKeyChange returns the keys after a key_changed entry.
func (r *ruleset) afterKeyChange(e *chain.Entry) map[keyName]keyState {
	next := maps.Clone(r.keys)
	if next == nil {
		next = make(map[keyName]keyState)
	}
	role, _ := e.Detail("role")
	id, _ := e.Detail("key_id")
	name := keyName{role, id}
	k := next[name]
	k.last, _ = e.Detail("action")
	if k.last == chain.KeyAdd {
		k.publicKey, _ = e.Detail("public_key")
		k.scopes, _ = e.Detail("scopes")
	}
	next[name] = k
	return next
}
