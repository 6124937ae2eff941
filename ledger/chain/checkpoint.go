package chain

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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

// Text returns the three lines that are signed.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// ParseCheckpoint reads what Text returned, and nothing else: a size has one
// spelling, and there are no extension lines. The error is ErrCheckpoint.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] == "" {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint of %d lines: %w", len(lines)-1, ErrCheckpoint)
	}
	c := Checkpoint{Origin: lines[0]}
	var err error
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 {
		return Checkpoint{}, fmt.Errorf("reading the size %q: %w", lines[1], ErrCheckpoint)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(c.Root) {
		return Checkpoint{}, fmt.Errorf("reading the root %q: %w", lines[2], ErrCheckpoint)
	}
	c.Root = Hash(root)
	if c.Text() != text {
		return Checkpoint{}, fmt.Errorf("reading %q: %w", text, ErrCheckpoint)
	}
	return c, nil
}

// SigningKey is an Ed25519 key that signs checkpoints. Under each origin it is
// another key of C2SP signed-note: the name of a key is the origin that it
// signs for, and part of its id.
type SigningKey struct{ private ed25519.PrivateKey }

// NewSigningKey returns the key with a seed of ed25519.SeedSize random bytes.
func NewSigningKey(seed []byte) (SigningKey, error) {
	if len(seed) != ed25519.SeedSize {
		return SigningKey{}, fmt.Errorf("making a signing key: the seed has %d bytes, not %d", len(seed), ed25519.SeedSize)
	}
	return SigningKey{ed25519.NewKeyFromSeed(seed)}, nil
}

const algorithmEd25519 = 1 // of C2SP signed-note

// VerifierKey returns the key as clients are given it for an origin,
// <origin>+<id>+<base64>.
func (k SigningKey) VerifierKey(origin string) (string, error) {
	public := k.private.Public().(ed25519.PublicKey)
	key, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return "", fmt.Errorf("naming a key after the origin %q: %w", origin, err)
	}
	return key, nil
}

// Sign returns the checkpoint as a signed note, under the key that the
// checkpoint's origin names.
func (k SigningKey) Sign(c Checkpoint) ([]byte, error) {
	signer, err := k.signer(c.Origin)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, signer)
	if err != nil {
		return nil, fmt.Errorf("signing the checkpoint of %s at size %d: %w", c.Origin, c.Size, err)
	}
	return signed, nil
}

// SignText returns text as a signed note, under the key that origin names. The
// text must be none that could be taken for a checkpoint: its second line is no
// number.
func (k SigningKey) SignText(origin, text string) ([]byte, error) {
	if _, err := ParseCheckpoint(text); err == nil {
		return nil, fmt.Errorf("signing a text for %s that reads as a checkpoint: %w", origin, ErrCheckpoint)
	}
	signer, err := k.signer(origin)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a text for %s: %w", origin, err)
	}
	return signed, nil
}

func (k SigningKey) signer(origin string) (note.Signer, error) {
	verifier, err := k.VerifierKey(origin)
	if err != nil {
		return nil, err
	}
	id := strings.TrimPrefix(verifier, origin+"+")
	id, _, _ = strings.Cut(id, "+")
	secret := base64.StdEncoding.EncodeToString(append([]byte{algorithmEd25519}, k.private.Seed()...))
	signer, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + id + "+" + secret)
	if err != nil {
		return nil, fmt.Errorf("making a signer for %s: %w", origin, err)
	}
	return signer, nil
}

// VerifierKey is the public key of a signer, or of a witness.
type VerifierKey struct {
	text     string
	verifier note.Verifier
	witness  bool
}

// ParseLogKey reads the verifier key of a signer.
func ParseLogKey(text string) (VerifierKey, error) {
	v, err := note.NewVerifier(text)
	if err != nil {
		return VerifierKey{}, fmt.Errorf("reading the verifier key %q: %w", text, err)
	}
	return VerifierKey{text, v, false}, nil
}

// ParseWitnessKey reads the verifier key of a witness, whose cosignatures carry
// the time at which they were made (https://c2sp.org/tlog-cosignature).
func ParseWitnessKey(text string) (VerifierKey, error) {
	v, err := cosignature.NewVerifierForCosignatureV1(text)
	if err != nil {
		return VerifierKey{}, fmt.Errorf("reading the witness key %q: %w", text, err)
	}
	return VerifierKey{text, v, true}, nil
}

// String returns the text of the key.
func (k VerifierKey) String() string { return k.text }

// Name returns the name of the key: of a signer's, the origin it signs for.
func (k VerifierKey) Name() string { return k.verifier.Name() }

// ID returns <name>+<8 hexadecimal digits>, as key_changed entries have it.
func (k VerifierKey) ID() string { return keyID(k.verifier.Name(), k.verifier.KeyHash()) }

// Verifier returns the key as golang.org/x/mod/sumdb/note uses it.
func (k VerifierKey) Verifier() note.Verifier { return k.verifier }

func keyID(name string, hash uint32) string { return fmt.Sprintf("%s+%08x", name, hash) }

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
	text, _, ok := strings.Cut(string(signed), "\n\n")
	if !ok {
		return s, fmt.Errorf("reading a checkpoint without signatures: %w", ErrCheckpoint)
	}
	var err error
	if s.Checkpoint, err = ParseCheckpoint(text + "\n"); err != nil {
		return s, err
	}
	verifiers := make([]note.Verifier, len(keys))
	for i, k := range keys {
		verifiers[i] = k.verifier
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
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
		i := slices.IndexFunc(keys, func(k VerifierKey) bool {
			return k.verifier.Name() == sig.Name && k.verifier.KeyHash() == sig.Hash
		})
		verified := Signature{Key: keys[i]}
		if keys[i].witness {
			if verified.Time, err = cosignature.CoSigV1Timestamp(sig); err != nil {
				return s, fmt.Errorf("reading when %s cosigned: %w", keys[i].ID(), err)
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

// AddSignatures returns the signed checkpoint with the signature lines of other
// notes over the same text behind its own, each once. It does not verify them.
func AddSignatures(signed []byte, lines ...string) ([]byte, error) {
	text, _, ok := strings.Cut(string(signed), "\n\n")
	if !ok {
		return nil, fmt.Errorf("adding to a checkpoint without signatures: %w", ErrCheckpoint)
	}
	all := strings.TrimPrefix(string(signed), text+"\n\n")
	for _, line := range lines {
		if !validSignatureLine(line) {
			return nil, fmt.Errorf("adding the signature line %q: %w", line, ErrCheckpoint)
		}
		if !strings.Contains("\n"+all, "\n"+line+"\n") {
			all += line + "\n"
		}
	}
	if strings.Count(all, "\n") > MaxSignatures {
		return nil, fmt.Errorf("adding signatures beyond %d: %w", MaxSignatures, ErrCheckpoint)
	}
	return []byte(text + "\n\n" + all), nil
}

// validSignatureLine reports whether line is "— <name> <base64>", without its end.
func validSignatureLine(line string) bool {
	name, signature, ok := strings.Cut(strings.TrimPrefix(line, "— "), " ")
	raw, err := base64.StdEncoding.DecodeString(signature)
	return ok && strings.HasPrefix(line, "— ") && name != "" && err == nil && len(raw) > binary.Size(uint32(0)) && !strings.Contains(line, "\n")
}
