package chain

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
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
	b := append([]byte(receiptHeader), receiptExtra...)
	b = append(base64.StdEncoding.AppendEncode(b, r.Canonical), receiptIndex...)
	b = strconv.AppendInt(b, r.Index, 10)
	for _, h := range r.Proof {
		b = base64.StdEncoding.AppendEncode(append(b, '\n'), h[:])
	}
	return append(append(b, "\n\n"...), r.Checkpoint...)
}

// What stands before each part of a receipt.
const (
	receiptHeader = "c2sp.org/tlog-proof@v1"
	receiptExtra  = "\nextra "
	receiptIndex  = "\nindex "
)

// ParseReceipt reads what Marshal returned, and nothing else: the bytes of a
// receipt have one form. It verifies nothing. The error is ErrReceipt.
func ParseReceipt(data []byte) (*Receipt, error) {
	if len(data) > MaxReceipt {
		return nil, fmt.Errorf("reading a receipt of %d bytes, more than %d: %w", len(data), MaxReceipt, ErrReceipt)
	}
	proof, checkpoint, ok := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(proof), "\n")
	if !ok || lines[0] != receiptHeader {
		return nil, fmt.Errorf("reading a receipt, which begins with %q and has an empty line before its checkpoint: %w", receiptHeader, ErrReceipt)
	}
	if len(lines) < 3 {
		return nil, fmt.Errorf("reading a receipt of %d lines before its checkpoint: %w", len(lines), ErrReceipt)
	}
	r := &Receipt{Checkpoint: bytes.Clone(checkpoint)}
	if err := r.parseEntry(lines[1], lines[2]); err != nil {
		return nil, err
	}
	var err error
	if r.Proof, err = parseReceiptHashes(lines[3:]); err != nil {
		return nil, err
	}
	if !bytes.Equal(r.Marshal(), data) {
		return nil, fmt.Errorf("reading a receipt that is not in the one form there is: %w", ErrReceipt)
	}
	return r, nil
}

// maxProof is the most hashes of an audit path.
const maxProof = 60 // log2 of MaxTreeSize

func (r *Receipt) parseEntry(extra, index string) error {
	encoded, ok := strings.CutPrefix("\n"+extra, receiptExtra)
	var err error
	if r.Canonical, err = base64.StdEncoding.DecodeString(encoded); !ok || err != nil || len(r.Canonical) > MaxCanonical {
		return fmt.Errorf("reading the extra data of a receipt, which are the entry: %w", ErrReceipt)
	}
	r.Index, err = parseReceiptNumber(index, receiptIndex)
	return err
}

// parseReceiptNumber reads a line that says what after its newline, and a number.
func parseReceiptNumber(line, what string) (int64, error) {
	number, ok := strings.CutPrefix("\n"+line, what)
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || n < 0 {
		return 0, fmt.Errorf("reading the line %q of a receipt, which is %q and a number: %w", line, what[1:], ErrReceipt)
	}
	return n, nil
}

func parseReceiptHashes(lines []string) ([]Hash, error) {
	if len(lines) > maxProof {
		return nil, fmt.Errorf("reading a receipt with %d hashes, more than %d: %w", len(lines), maxProof, ErrReceipt)
	}
	var hashes []Hash
	for i, line := range lines {
		h, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(h) != len(Hash{}) {
			return nil, fmt.Errorf("reading hash %d of a receipt, %q: %w", i, line, ErrReceipt)
		}
		hashes = append(hashes, Hash(h))
	}
	return hashes, nil
}

// Verify returns the entry and the checkpoint that the receipt proves it to be
// under. keys are those of the signer and of the witnesses that are known; that
// one of the signer has signed is verified, and that the checkpoint is of the
// entry's ledger; the quorum of witnesses is up to the caller. The errors are those of Decode, OpenCheckpoint and VerifyInclusion.
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
	if !strings.HasSuffix(signed.Origin, "/"+entry.LedgerID.String()) {
		return &entry, signed, fmt.Errorf("an entry of ledger %s under a checkpoint of %s: %w", entry.LedgerID, signed.Origin, ErrProof)
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
