package chain

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// typeEd25519 is the type of a signer's key in C2SP signed-note. Those of a
// witness, which sign the time too, are 4 (Ed25519) and 6 (ML-DSA-44).
const typeEd25519 = 1

// ErrKey: the text is no verifier key, or not one of the wanted kind.
var ErrKey = errors.New("not a verifier key")

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

// VerifierKey returns the key as clients are given it for an origin,
// <origin>+<id>+<base64>. An origin with a space or a plus names no key (ErrKey).
func (k SigningKey) VerifierKey(origin string) (string, error) {
	key, err := k.LogKey(origin)
	if err != nil {
		return "", err
	}
	return key.String(), nil
}

// LogKey is VerifierKey, ready to verify with.
func (k SigningKey) LogKey(origin string) (VerifierKey, error) {
	public := k.private.Public().(ed25519.PublicKey)
	text, err := note.NewEd25519VerifierKey(origin, public)
	var key VerifierKey
	if err == nil {
		key, err = ParseLogKey(text)
	}
	if err != nil {
		return VerifierKey{}, fmt.Errorf("naming a key after the origin %q: %w", origin, err)
	}
	return key, nil
}

// Sign returns the checkpoint as a signed note, under the key that the
// checkpoint's origin names. It signs nothing that ParseCheckpoint refuses.
func (k SigningKey) Sign(c Checkpoint) ([]byte, error) {
	if _, err := ParseCheckpoint(c.Text()); err != nil {
		return nil, fmt.Errorf("signing a checkpoint: %w", err)
	}
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

// SignText returns text as a signed note, under the key that origin names. A
// text that could be taken for a checkpoint is refused (ErrCheckpoint).
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
	secret := base64.StdEncoding.EncodeToString(append([]byte{typeEd25519}, k.private.Seed()...))
	signer, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + id + "+" + secret)
	if err != nil {
		return nil, fmt.Errorf("making a signer for %s: %w", origin, err)
	}
	return signer, nil
}

// VerifierKey is the public key of a signer, or of a witness.
type VerifierKey struct {
	text     string
	public   string // the bytes of the key, without type and name
	verifier note.Verifier
	witness  bool
}

// ParseLogKey reads the verifier key of a signer. A key has one spelling; the
// error is ErrKey.
func ParseLogKey(text string) (VerifierKey, error) {
	algorithm, public, err := splitKey(text)
	if err != nil {
		return VerifierKey{}, err
	}
	if algorithm != typeEd25519 {
		return VerifierKey{}, fmt.Errorf("reading the verifier key %q of a signer: its type is %d, not %d: %w", text, algorithm, typeEd25519, ErrKey)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return VerifierKey{}, fmt.Errorf("reading the verifier key %q: %w: %w", text, ErrKey, err)
	}
	return VerifierKey{text, public, v, false}, nil
}

// For returns the key under which the same signer signs for another origin, such as
// that of the super-log. The error is ErrKey: k is a witness's, or an origin with a
// space or a plus names no key.
func (k VerifierKey) For(origin string) (VerifierKey, error) {
	if k.witness {
		return VerifierKey{}, fmt.Errorf("naming the key %s after the origin %q: it is a witness's: %w", k.ID(), origin, ErrKey)
	}
	text, err := note.NewEd25519VerifierKey(origin, ed25519.PublicKey(k.public))
	if err != nil {
		return VerifierKey{}, fmt.Errorf("naming the key %s after the origin %q: %w: %w", k.ID(), origin, ErrKey, err)
	}
	return ParseLogKey(text)
}

// ParseWitnessKey reads the verifier key of a witness, whose cosignatures carry
// the time at which they were made (https://c2sp.org/tlog-cosignature). A key
// has one spelling; the error is ErrKey.
func ParseWitnessKey(text string) (VerifierKey, error) {
	algorithm, public, err := splitKey(text)
	if err != nil {
		return VerifierKey{}, err
	}
	if algorithm == typeEd25519 {
		hint := ""
		if other, err := cosignature.VKeyToCosignatureV1(text); err == nil {
			hint = "\nhint: the same key as a witness's is " + other
		}
		return VerifierKey{}, fmt.Errorf("reading the verifier key %q of a witness: it is of the type of a log's: %w%s", text, ErrKey, hint)
	}
	v, err := cosignature.NewVerifierForCosignatureV1(text)
	if err != nil {
		return VerifierKey{}, fmt.Errorf("reading the witness key %q: %w: %w", text, ErrKey, err)
	}
	if !strings.HasPrefix(text, keyID(v.Name(), v.KeyHash())+"+") {
		return VerifierKey{}, fmt.Errorf("reading the witness key %q: its id is %s: %w", text, keyID(v.Name(), v.KeyHash()), ErrKey)
	}
	return VerifierKey{text, public, v, true}, nil
}

// splitKey returns type and bytes of the key in <name>+<8 digits>+<base64>. The
// parsers behind it also take other spellings of digits and base64, which would
// let one key pass for two.
func splitKey(text string) (algorithm byte, public string, err error) {
	_, rest, _ := strings.Cut(text, "+")
	id, encoded, _ := strings.Cut(rest, "+")
	hash, err := hex.DecodeString(id)
	raw, err2 := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || err2 != nil || len(hash) != 4 || hex.EncodeToString(hash) != id || len(raw) < 2 || strings.ContainsAny(encoded, "\r\n") {
		return 0, "", fmt.Errorf("reading the verifier key %q, which is no <name>+<8 digits>+<base64>: %w", text, ErrKey)
	}
	if (raw[0] == typeEd25519 || raw[0] == typeCosignature) && len(raw) == 1+ed25519.PublicKeySize && !canonicalPoint(raw[1:]) {
		return 0, "", fmt.Errorf("reading the verifier key %q, whose bytes are no point as RFC 8032 writes it: %w", text, ErrKey)
	}
	return raw[0], string(raw[1:]), nil
}

// canonicalPoint reports whether the bytes are not another spelling of a point of
// Ed25519, which RFC 8032, section 5.1.3, does not decode and crypto/ed25519 does:
// y is below p = 2^255 − 19, and where x is 0, at y = 1 and y = −1, it has no sign.
func canonicalPoint(b []byte) bool {
	sign, top := b[31]&0x80 != 0, b[31]&0x7f
	middle := b[1:31]
	switch {
	case top == 0x7f && allAre(middle, 0xff):
		return b[0] < 0xec || b[0] == 0xec && !sign
	case top == 0 && allAre(middle, 0):
		return b[0] != 1 || !sign
	}
	return true
}

func allAre(b []byte, v byte) bool {
	return !slices.ContainsFunc(b, func(x byte) bool { return x != v })
}

// String returns the text of the key.
func (k VerifierKey) String() string { return k.text }

// Name returns the name of the key: of a signer's, the origin it signs for.
func (k VerifierKey) Name() string { return k.verifier.Name() }

// ID returns <name>+<8 hexadecimal digits>, as key_changed entries have it.
func (k VerifierKey) ID() string { return keyID(k.verifier.Name(), k.verifier.KeyHash()) }

// Ed25519 reports whether the key is of a type that FORMAT.md has, of a signer or
// of a witness. Witnesses may have others.
func (k VerifierKey) Ed25519() bool { return len(k.public) == ed25519.PublicKeySize }

// SamePublic reports whether both are the same key, whatever their names are.
func (k VerifierKey) SamePublic(other VerifierKey) bool { return k.public == other.public }

// Verifier returns the key as golang.org/x/mod/sumdb/note uses it.
func (k VerifierKey) Verifier() note.Verifier { return k.verifier }

func keyID(name string, hash uint32) string { return fmt.Sprintf("%s+%08x", name, hash) }

// keyRing finds one of some keys by name and id.
type keyRing map[string]VerifierKey

// newKeyRing returns the ring of keys; one that stands twice counts once. An id
// is short, so two keys of a name can be made to share one: such a list is
// refused (ErrKey), since a signature would not say whose it is.
func newKeyRing(keys []VerifierKey) (keyRing, error) {
	ring := make(keyRing, len(keys))
	for _, k := range keys {
		if other, ok := ring[k.ID()]; ok && other.text != k.text {
			return nil, fmt.Errorf("two keys have the id %s: %w", k.ID(), ErrKey)
		}
		ring[k.ID()] = k
	}
	return ring, nil
}

// Verifier is what note.Open asks for.
func (r keyRing) Verifier(name string, hash uint32) (note.Verifier, error) {
	k, ok := r[keyID(name, hash)]
	if !ok {
		return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
	}
	return k.verifier, nil
}
