package chain

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	tlogproof "github.com/transparency-dev/formats/proof"
)

// MaxReceipt is the most bytes of a receipt.
const MaxReceipt = MaxCheckpoint + 2*MaxCanonical

// ErrReceipt: the bytes are no receipt.
var ErrReceipt = errors.New("not a receipt")

// Receipt proves that an entry stands in a ledger, to everyone who knows the
// signer's key, with no server and no database. Its form is C2SP tlog-proof
// (https://c2sp.org/tlog-proof, files named .tlog-proof); the extra data are
// the canonical bytes of the entry (FORMAT.md), so that it speaks for itself.
type Receipt struct {
	Canonical  []byte // the entry; Decode reads it
	Index      int64  // its seq
	Proof      []Hash // the audit path from the entry to the root
	Checkpoint []byte // signed
}

// Marshal returns the receipt as a .tlog-proof file.
func (r *Receipt) Marshal() []byte {
	p := tlogproof.TLogProof{Index: uint64(r.Index), Checkpoint: r.Checkpoint, ExtraData: r.Canonical}
	for _, h := range r.Proof {
		p.Hashes = append(p.Hashes, h)
	}
	return p.Marshal()
}

// ParseReceipt reads what Marshal returned. It verifies nothing.
func ParseReceipt(data []byte) (*Receipt, error) {
	if len(data) > MaxReceipt {
		return nil, fmt.Errorf("reading a receipt of %d bytes, more than %d: %w", len(data), MaxReceipt, ErrReceipt)
	}
	var p tlogproof.TLogProof
	if err := p.Unmarshal(data); err != nil {
		return nil, fmt.Errorf("reading a receipt: %w: %w", ErrReceipt, err)
	}
	if p.Index > math.MaxInt64 || len(p.Hashes) > bits.Len64(math.MaxInt64) {
		return nil, fmt.Errorf("reading a receipt with index %d and %d hashes: %w", p.Index, len(p.Hashes), ErrReceipt)
	}
	r := &Receipt{Canonical: p.ExtraData, Index: int64(p.Index), Checkpoint: p.Checkpoint}
	for _, h := range p.Hashes {
		r.Proof = append(r.Proof, h)
	}
	if string(r.Marshal()) != string(data) {
		return nil, fmt.Errorf("reading a receipt that is not in the one form there is: %w", ErrReceipt)
	}
	return r, nil
}

// Verify returns the entry and the checkpoint that the receipt proves it to be
// under. keys are those of the signer and of the witnesses that are known; that
// one of the signer has signed is verified, the quorum of witnesses is up to the
// caller. The errors are those of Decode, OpenCheckpoint and VerifyInclusion.
func (r *Receipt) Verify(keys ...VerifierKey) (*Entry, SignedCheckpoint, error) {
	entry, err := Decode(r.Canonical)
	if err != nil {
		return nil, SignedCheckpoint{}, fmt.Errorf("reading the entry of a receipt: %w", err)
	}
	signed, err := OpenCheckpoint(r.Checkpoint, keys...)
	if err != nil {
		return &entry, signed, err
	}
	if !signed.SignedByLog() {
		return &entry, signed, fmt.Errorf("reading the checkpoint of %s at size %d: no signature of its signer: %w", signed.Origin, signed.Size, ErrUnknownKey)
	}
	if entry.Seq != r.Index {
		return &entry, signed, fmt.Errorf("entry %d at leaf %d: %w", entry.Seq, r.Index, ErrProof)
	}
	return &entry, signed, VerifyInclusion(r.Index, signed.Size, HashCanonical(r.Canonical), r.Proof, signed.Root)
}

// SignedByLog reports whether a key that is no witness's and is named after the
// origin has signed.
func (s *SignedCheckpoint) SignedByLog() bool {
	for _, x := range s.Signatures {
		if !x.Key.witness && x.Key.Name() == s.Origin {
			return true
		}
	}
	return false
}
