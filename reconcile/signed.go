package reconcile

import (
	"strings"
	"time"

	"tallystick/ledger/chain"
)

// Signed is what a report says to programs about who vouches for the ledger from
// outside. Scope says the same to people.
type Signed struct {
	// Checkpoint is the largest whose signature and root hold; null when there is none.
	Checkpoint *SignedCheckpoint `json:"checkpoint"`
	// KeysTrusted says what names the keys that signed it, TrustPolicy or TrustChain;
	// null without a checkpoint.
	KeysTrusted *string `json:"keys_trusted"`
	// Pin is null when no checkpoint was pinned.
	Pin *SignedPin `json:"pin"`
	// SuperLog is null when it was not read: below LevelSchema, or for another ledger
	// of the same database.
	SuperLog *SuperLog `json:"super_log"`
	// Succeeds is the loss that the ledger's first entry declares, null when none;
	// SucceededBy are ledgers that declare one of this ledger.
	Succeeds    *Succession   `json:"succeeds"`
	SucceededBy []SucceededBy `json:"succeeded_by"`
}

// Words of KeysTrusted.
const (
	TrustPolicy = "policy" // that of the auditor
	TrustChain  = "chain"  // of the ledger itself
)

// SignedCheckpoint is a Signing. Its times, but for those of witnesses, are what the
// database says, under no signature.
type SignedCheckpoint struct {
	Origin   string    `json:"origin"`
	Size     int64     `json:"size"`
	Root     string    `json:"root"`
	SignedAt time.Time `json:"signed_at"`
	// ShownAt is when it was shown last, and SignerApart whether by a process of its
	// own; both are null where another checkpoint is shown, or none.
	ShownAt     *time.Time    `json:"shown_at"`
	SignerApart *bool         `json:"signer_apart"`
	Keys        []string      `json:"keys"` // ids of the signer's keys under it
	Witnesses   []Cosignature `json:"witnesses"`
}

// Cosignature is that of a witness.
type Cosignature struct {
	Name       string    `json:"name"`
	CosignedAt time.Time `json:"cosigned_at"`
}

// SignedPin is a Pin.
type SignedPin struct {
	Size  int64  `json:"size"`
	Root  string `json:"root"`
	Holds bool   `json:"holds"`
}

// signed returns for programs what s says to people.
func (s *Scope) signed() Signed {
	all := Signed{SuperLog: s.SuperLog, Succeeds: s.Succeeds, SucceededBy: append([]SucceededBy{}, s.SucceededBy...)}
	if p := s.Pin; p != nil {
		all.Pin = &SignedPin{p.Size, p.Root.String(), p.Holds}
	}
	g := s.Signing
	if g == nil {
		return all
	}
	trust := TrustChain
	if g.ByPolicy {
		trust = TrustPolicy
	}
	all.KeysTrusted = &trust
	all.Checkpoint = &SignedCheckpoint{Origin: g.Origin, Size: g.Size, Root: g.Root.String(), SignedAt: g.SignedAt.UTC(), Keys: g.Keys, Witnesses: g.Witnesses}
	if g.Shown {
		shown := g.ShownAt.UTC()
		all.Checkpoint.ShownAt, all.Checkpoint.SignerApart = &shown, &g.Apart
	}
	return all
}

// cosignatures are those under a checkpoint.
func cosignatures(s *chain.SignedCheckpoint) []Cosignature {
	all := []Cosignature{}
	for _, x := range s.Signatures {
		if !x.Time.IsZero() {
			all = append(all, Cosignature{x.Key.Name(), x.Time.UTC()})
		}
	}
	return all
}

// listWitnesses names the witnesses that cosigned, and when.
func listWitnesses(all []Cosignature) string {
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = c.Name + " at " + c.CosignedAt.Format(time.RFC3339)
	}
	return strings.Join(texts, ", ")
}
