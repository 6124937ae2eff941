package ledger

import "tallystick/ledger/chain"

// AdoptPolicy asks to put on record which policy file binds reports and figures
// from a day on. The file itself stands elsewhere; its digest does here.
type AdoptPolicy struct {
	Common
	standalone
	Name          string // which of the policies, such as risk; at most MaxPolicyName bytes
	Digest        chain.Hash
	EffectiveFrom chain.Date // first booking date it applies to
	Version       *string    // what the file calls itself, 1 to MaxPolicyVersion bytes
}

// Bounds of a policy.
const (
	MaxPolicyName    = 64
	MaxPolicyVersion = 255
)

func (*AdoptPolicy) operation() string                  { return OperationAdoptPolicy }
func (*AdoptPolicy) accountCodes(dst []string) []string { return dst }
func (r *AdoptPolicy) weight() int                      { return perPosting + len(r.Name) + MaxPolicyVersion }
func (r *AdoptPolicy) fingerprintTo(b []byte) []byte {
	b = append(appendText(b, r.Name), r.Digest[:]...)
	return appendOptional(appendText(b, r.EffectiveFrom.String()), r.Version)
}

// apply adopts a policy for days whose figures may still change.
func (r *AdoptPolicy) apply(o *overlay) (*draft, *Refusal) {
	switch {
	case !chain.ValidWord(r.Name) || len(r.Name) > MaxPolicyName:
		return nil, refusal(CodePolicyInvalid, "the name of a policy is a word of a to z, 0 to 9 and _, of at most %d bytes", MaxPolicyName)
	case r.Version != nil && (*r.Version == "" || len(*r.Version) > MaxPolicyVersion):
		return nil, refusal(CodePolicyInvalid, "the version of a policy has 1 to %d bytes", MaxPolicyVersion)
	case o.rules.closed(r.EffectiveFrom):
		newest, _ := o.rules.newest()
		return nil, refusal(CodePolicyInvalid, "the books are closed up to %s, and the figures of a closed period stay as they are; adopt the policy from a later day on", newest.end)
	}
	details := []chain.Detail{
		{Name: "effective_from", Value: r.EffectiveFrom.String()},
		{Name: "name", Value: r.Name},
		{Name: "policy_sha256", Value: r.Digest.String()},
	}
	if r.Version != nil {
		details = append(details, chain.Detail{Name: "version", Value: *r.Version})
	}
	return &draft{kind: chain.PolicyAdopted, effective: o.bookingDate, details: details}, nil
}

// samePolicy compares what the entry binds.
func (r *AdoptPolicy) samePolicy(e *Entry) bool {
	return e.record.Kind == chain.PolicyAdopted && hasDetail(e, "name", r.Name) && hasDetail(e, "policy_sha256", r.Digest.String()) &&
		hasDetail(e, "effective_from", r.EffectiveFrom.String())
}
