package api

import (
	"encoding/hex"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// adoptPolicy answers POST /v1/ledgers/{ledger}/policies: it puts on record which policy file binds the figures of days to
// come. The file itself stands elsewhere.
func (h *handlers) adoptPolicy(x *exchange) error {
	var adoption *ledger.AdoptPolicy
	err := h.asked(x, ledger.OperationAdoptPolicy, x.body, func(r *reader) *ledger.Common {
		adoption = decodeAdoption(r)
		return &adoption.Common
	})
	if err != nil {
		return err
	}
	return h.move(x, adoption, adoption.ID, manner{})
}

// decodeAdoption reads which policy, and from when.
func decodeAdoption(r *reader) *ledger.AdoptPolicy {
	a := &ledger.AdoptPolicy{}
	digest, dated := "", false
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "name":
			a.Name = r.text(1, ledger.MaxPolicyName)
		case "version":
			a.Version = r.optionalText(ledger.MaxPolicyVersion)
		case "effective_from":
			a.EffectiveFrom, dated = r.day(), true
		case "policy_sha256":
			digest = r.text(1, hex.EncodedLen(len(chain.Hash{})))
			raw, err := hex.DecodeString(digest)
			if err != nil || len(raw) != len(a.Digest) {
				r.fail(codeValueInvalid, "policy_sha256 is the SHA-256 of the file in 64 hexadecimal digits")
				break
			}
			a.Digest = chain.Hash(raw)
		default:
			r.unknown()
		}
	}
	switch {
	case a.Name == "":
		r.missing("name")
	case !dated:
		r.missing("effective_from")
	case digest == "":
		r.missing("policy_sha256")
	}
	return a
}
