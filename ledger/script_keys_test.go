package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// key reads a change of a key. The key itself is made of its name.
func (n *notation) key() ledger.Request {
	r := &ledger.ChangeKey{Action: n.next(), Role: n.next()}
	name, origin := n.next(), n.terms.Origin
	if n.take("of") {
		origin = n.next()
	}
	switch public := n.publicKey(name, origin); {
	case r.Role == chain.RoleAPI:
		r.Key = n.id(name).String()
	case r.Action == chain.KeyAdd:
		r.Key, r.PublicKey = public.ID(), public.String()
	default:
		r.Key = public.ID()
	}
	for len(n.words) > 0 && n.words[0] != "as" {
		switch word := n.next(); word {
		case "id":
			r.Key = n.unquoted()
		case "public":
			r.PublicKey = n.unquoted()
		case "scopes":
			r.Scopes = strings.ReplaceAll(n.next(), "+", ",")
		case "overlap":
			day := n.date(n.next())
			r.OverlapUntil = &day
		default:
			n.fatal("a key has no %q", word)
		}
	}
	r.Common = n.named()
	return r
}

// commitment reads one that binds nothing in particular.
func (n *notation) commitment() ledger.Request {
	size := int64(n.number(n.next()))
	r := &ledger.CommitBalances{Asked: &size, Size: size}
	if n.take("unread") {
		r.Common = n.named()
		return r
	}
	if n.take("currencies") {
		for i := range n.number(n.next()) {
			r.Details = append(r.Details, chain.Detail{Name: fmt.Sprintf("pending.C%d", i), Value: "0"}, chain.Detail{Name: fmt.Sprintf("posted.C%d", i), Value: "0"})
		}
	}
	r.Details = append(r.Details, chain.Detail{Name: "accounts", Value: "0"}, chain.Detail{Name: "root", Value: chain.EmptyRoot.String()},
		chain.Detail{Name: "size", Value: fmt.Sprint(size)})
	chain.SortDetails(r.Details)
	r.Common = n.named()
	return r
}

func (n *notation) publicKey(name, origin string) chain.VerifierKey {
	n.t.Helper()
	seed := sha256.Sum256([]byte(name))
	key, err := chain.NewSigningKey(seed[:])
	if err != nil {
		n.fatal("making the key %s: %v", name, err)
	}
	text, err := key.VerifierKey(origin)
	if err != nil {
		n.fatal("naming the key %s: %v", name, err)
	}
	public, err := chain.ParseLogKey(text)
	if err != nil {
		n.fatal("reading the key %s: %v", name, err)
	}
	return public
}
