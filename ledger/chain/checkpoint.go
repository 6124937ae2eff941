package chain

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Bounds of a checkpoint.
const (
	// MaxCheckpoint is the most bytes of a signed checkpoint.
	MaxCheckpoint = 64 << 10
	// MaxSignatures is the most signatures on one, as C2SP signed-note has it.
	MaxSignatures = 100
)

// What can be wrong with a signed checkpoint.
var (
	// ErrCheckpoint: the text is no checkpoint of C2SP tlog-checkpoint without
	// extension lines, or the note around it is malformed.
	ErrCheckpoint = errors.New("not a checkpoint")
	// ErrNote: the bytes are no signed note in its one form, see CheckNote.
	ErrNote = errors.New("not a signed note")
	// ErrUnknownKey: no signature is by a key that was asked for (finding
	// CHECKPOINT_UNKNOWN_KEY).
	ErrUnknownKey = errors.New("not signed by a known key")
	// ErrSignature: a signature claims to be by a known key and does not verify
	// (finding CHECKPOINT_BAD_SIGNATURE, or COSIGNATURE_INVALID of a witness).
	ErrSignature = errors.New("a signature does not verify")
)

// Checkpoint states that the ledger with an origin has Size entries, whose
// hashes are the leaves of the Merkle tree with that root. Its form is C2SP
// tlog-checkpoint (https://c2sp.org/tlog-checkpoint).
type Checkpoint struct {
	Origin string
	Size   int64
	Root   Hash
}

// Text returns the three lines that are signed, without looking at them.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// ParseCheckpoint reads what Text returned, and nothing else: a size has one
// spelling and is at most MaxTreeSize, an origin is text of 1 to MaxOrigin bytes,
// and there are no extension lines. The error is ErrCheckpoint.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint of %d lines, not 3: %w", strings.Count(text, "\n"), ErrCheckpoint)
	}
	c := Checkpoint{Origin: lines[0]}
	if !validText(c.Origin, 1, MaxOrigin) {
		return Checkpoint{}, fmt.Errorf("reading the origin %q: %w", c.Origin, ErrCheckpoint)
	}
	var err error
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || !validSize(c.Size) {
		return Checkpoint{}, fmt.Errorf("reading the size %q: %w", lines[1], ErrCheckpoint)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(c.Root) {
		return Checkpoint{}, fmt.Errorf("reading the root %q: %w", lines[2], ErrCheckpoint)
	}
	c.Root = Hash(root)
	if c.Size == 0 && c.Root != EmptyRoot {
		return Checkpoint{}, fmt.Errorf("reading the root %q of an empty tree: %w", lines[2], ErrCheckpoint)
	}
	if c.Text() != text {
		return Checkpoint{}, fmt.Errorf("reading %q: %w", text, ErrCheckpoint)
	}
	return c, nil
}

// Signature is one on a checkpoint that verified.
type Signature struct {
	Key  VerifierKey
	Time time.Time // when a witness cosigned, to the second; zero for a signer's
}

// SignedCheckpoint is a checkpoint and what is known of who signed it.
type SignedCheckpoint struct {
	Checkpoint
	Note       []byte      // as it was read
	Signatures []Signature // those that verified, by keys that were asked for
	Unknown    []string    // ids of the keys of all other signatures
}

// SignedBy reports whether the checkpoint has a valid signature by the key.
func (s *SignedCheckpoint) SignedBy(key VerifierKey) bool {
	return slices.ContainsFunc(s.Signatures, func(x Signature) bool { return x.Key.text == key.text })
}

// OpenCheckpoint reads a signed checkpoint and verifies the signatures by keys;
// others are ignored and listed. Whether those that verified are enough is up
// to the caller; without any the error is ErrUnknownKey. One that claims to be
// by one of keys and does not verify spoils the whole (ErrSignature), as C2SP
// signed-note has it. What is no checkpoint at all is ErrCheckpoint.
//
// The checkpoint is returned with ErrUnknownKey and ErrSignature too, as what
// it claims to be.
func OpenCheckpoint(signed []byte, keys ...VerifierKey) (SignedCheckpoint, error) {
	s := SignedCheckpoint{Note: slices.Clone(signed)}
	if len(signed) > MaxCheckpoint {
		return s, fmt.Errorf("reading a checkpoint of %d bytes, more than %d: %w", len(signed), MaxCheckpoint, ErrCheckpoint)
	}
	text, _, err := splitNote(signed)
	if err != nil {
		return s, err
	}
	if s.Checkpoint, err = ParseCheckpoint(text); err != nil {
		return s, err
	}
	ring, err := newKeyRing(keys)
	if err != nil {
		return s, fmt.Errorf("reading the checkpoint of %s at size %d: %w", s.Origin, s.Size, err)
	}
	n, err := note.Open(signed, ring)
	var unverified *note.UnverifiedNoteError
	var bad *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		s.Unknown = keyIDs(unverified.Note.UnverifiedSigs)
		return s, fmt.Errorf("reading the checkpoint of %s at size %d, signed by %s: %w", s.Origin, s.Size, strings.Join(s.Unknown, ", "), ErrUnknownKey)
	case errors.As(err, &bad):
		return s, fmt.Errorf("reading the checkpoint of %s at size %d, signature of %s: %w", s.Origin, s.Size, keyID(bad.Name, bad.Hash), ErrSignature)
	case err != nil:
		return s, fmt.Errorf("reading the checkpoint of %s at size %d: %w: %w", s.Origin, s.Size, ErrCheckpoint, err)
	}
	s.Unknown = keyIDs(n.UnverifiedSigs)
	for _, sig := range n.Sigs {
		verified := Signature{Key: ring[keyID(sig.Name, sig.Hash)]}
		if verified.Key.witness {
			if verified.Time, err = cosignature.CoSigV1Timestamp(sig); err != nil {
				return s, fmt.Errorf("reading when %s cosigned: %w", verified.Key.ID(), err)
			}
		}
		s.Signatures = append(s.Signatures, verified)
	}
	return s, nil
}

func keyIDs(signatures []note.Signature) []string {
	var ids []string
	for _, s := range signatures {
		ids = append(ids, keyID(s.Name, s.Hash))
	}
	return ids
}

// splitNote returns the text of a signed note and the lines of its signatures:
// as C2SP signed-note has it, what stands before and behind the last empty line.
func splitNote(signed []byte) (text, signatures string, err error) {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	if i < 0 || !bytes.HasSuffix(signed, []byte("\n")) || i+2 == len(signed) {
		return "", "", fmt.Errorf("reading a checkpoint without signatures: %w", ErrCheckpoint)
	}
	return string(signed[:i+1]), string(signed[i+2:]), nil
}

// CheckNote reports whether signed is a note in its one form: a text, an empty
// line, and 1 to MaxSignatures lines as a signer writes them, no two of them by a
// key of one name and id. Evidence takes no other; OpenCheckpoint, as C2SP
// signed-note has it, passes over a second line by a key, and reads base64 with
// loose bits. The text is not looked at, nor whether a signature verifies. The
// error is ErrNote.
func CheckNote(signed []byte) error {
	_, signatures, err := splitNote(signed)
	if err != nil {
		return fmt.Errorf("reading a note without signatures: %w", ErrNote)
	}
	lines := strings.Split(strings.TrimSuffix(signatures, "\n"), "\n")
	if len(lines) > MaxSignatures {
		return fmt.Errorf("reading a note with more than %d signatures: %w", MaxSignatures, ErrNote)
	}
	met := make(map[string]bool, len(lines))
	for _, line := range lines {
		name, id, ok := signatureKey(line)
		if !ok {
			return fmt.Errorf("reading the signature line %.100q: %w", line, ErrNote)
		}
		if met[keyID(name, id)] {
			return fmt.Errorf("reading a second signature by the key %.100q: %w", keyID(name, id), ErrNote)
		}
		met[keyID(name, id)] = true
	}
	return nil
}

// AddSignatures returns the signed checkpoint with other signature lines behind
// its own. A line by a witness that has one already takes its place, as the
// newer one; the signer's own line stays. It verifies none of them: whoever adds
// a line has verified it. The error is ErrCheckpoint.
func AddSignatures(signed []byte, lines ...string) ([]byte, error) {
	text, signatures, err := splitNote(signed)
	if err != nil {
		return nil, err
	}
	origin, _, _ := strings.Cut(text, "\n")
	all := strings.Split(strings.TrimSuffix(signatures, "\n"), "\n")
	for _, line := range lines {
		name, id, ok := signatureKey(line)
		if !ok {
			return nil, fmt.Errorf("adding the signature line %q: %w", line, ErrCheckpoint)
		}
		same := slices.IndexFunc(all, func(other string) bool {
			otherName, otherID, ok := signatureKey(other)
			return ok && otherName == name && otherID == id
		})
		switch {
		case same < 0:
			all = append(all, line)
		case name != origin:
			all[same] = line
		}
	}
	if len(all) > MaxSignatures {
		return nil, fmt.Errorf("adding signatures beyond %d: %w", MaxSignatures, ErrCheckpoint)
	}
	return []byte(text + "\n" + strings.Join(all, "\n") + "\n"), nil
}

// signatureKey returns the key that a signature line claims to be by; ok is
// false when line is not "— <name> <base64>", without its end.
func signatureKey(line string) (name string, id uint32, ok bool) {
	rest, dash := strings.CutPrefix(line, "— ")
	name, encoded, _ := strings.Cut(rest, " ")
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !dash || err != nil || len(raw) <= keyIDSize || !validText(line, 1, MaxCheckpoint) || !validKeyName(name) {
		return "", 0, false
	}
	return name, binary.BigEndian.Uint32(raw), true
}

const keyIDSize = 4 // bytes before each signature

// validKeyName reports whether a key can have the name, by C2SP signed-note.
func validKeyName(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsSpace) && !strings.Contains(name, "+")
}
