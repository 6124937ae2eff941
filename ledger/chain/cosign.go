package chain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// typeCosignature is the type of Ed25519 keys of witnesses (C2SP
// tlog-cosignature).
const typeCosignature = 4

// ErrWitnessKey: the text is no secret key of a witness.
var ErrWitnessKey = errors.New("not the secret key of a witness")

// CosigningKey is the secret key of a witness. It signs that a checkpoint, at
// some time, was the newest consistent one that the witness had seen of its
// origin (https://c2sp.org/tlog-cosignature).
type CosigningKey struct {
	name    string
	private ed25519.PrivateKey
}

// NewCosigningKey returns the key with a name, by custom a URL without its
// scheme, and a seed of ed25519.SeedSize random bytes.
func NewCosigningKey(name string, seed []byte) (CosigningKey, error) {
	if !validText(name, 1, MaxOrigin) || !validKeyName(name) {
		return CosigningKey{}, fmt.Errorf("naming a witness %q: a name is at most %d bytes, without spaces and '+': %w", name, MaxOrigin, ErrWitnessKey)
	}
	if len(seed) != ed25519.SeedSize {
		return CosigningKey{}, fmt.Errorf("making the key of witness %s: the seed has %d bytes, not %d: %w", name, len(seed), ed25519.SeedSize, ErrWitnessKey)
	}
	return CosigningKey{name, ed25519.NewKeyFromSeed(seed)}, nil
}

// ParseCosigningKey reads what Secret returned. Its error shows nothing of the
// text.
func ParseCosigningKey(text string) (CosigningKey, error) {
	fields := strings.SplitN(text, "+", 5)
	if len(fields) != 5 || fields[0] != "PRIVATE" || fields[1] != "KEY" {
		return CosigningKey{}, fmt.Errorf("reading the key of a witness: it is PRIVATE+KEY+<name>+<id>+<base64>: %w", ErrWitnessKey)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(fields[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != typeCosignature {
		return CosigningKey{}, fmt.Errorf("reading the key of witness %s: its last part is the byte 4 and a seed of %d bytes in base64: %w", fields[2], ed25519.SeedSize, ErrWitnessKey)
	}
	key, err := NewCosigningKey(fields[2], raw[1:])
	if err != nil {
		return CosigningKey{}, err
	}
	if id := key.id(); fields[3] != id {
		return CosigningKey{}, fmt.Errorf("reading the key of witness %s: it has the id %s, and says %s: %w", fields[2], id, fields[3], ErrWitnessKey)
	}
	if key.Secret() != text {
		return CosigningKey{}, fmt.Errorf("reading the key of witness %s: there is more than one line: %w", fields[2], ErrWitnessKey)
	}
	return key, nil
}

// Secret returns the key as it is kept, PRIVATE+KEY+<name>+<id>+<base64>.
func (k CosigningKey) Secret() string {
	return "PRIVATE+KEY+" + k.name + "+" + k.id() + "+" + base64.StdEncoding.EncodeToString(append([]byte{typeCosignature}, k.private.Seed()...))
}

// Name returns the name of the witness.
func (k CosigningKey) Name() string { return k.name }

// public returns the key as verifier keys and key ids contain it.
func (k CosigningKey) public() []byte {
	return append([]byte{typeCosignature}, k.private.Public().(ed25519.PublicKey)...)
}

func (k CosigningKey) hash() []byte {
	h := sha256.Sum256(append([]byte(k.name+"\n"), k.public()...))
	return h[:4]
}

func (k CosigningKey) id() string { return fmt.Sprintf("%x", k.hash()) }

// VerifierKey returns the key as it is given to logs and auditors,
// <name>+<id>+<base64>.
func (k CosigningKey) VerifierKey() string {
	return k.name + "+" + k.id() + "+" + base64.StdEncoding.EncodeToString(k.public())
}

// Cosign returns the signature line over the checkpoint, without its end. The
// time counts to the second.
func (k CosigningKey) Cosign(c Checkpoint, at time.Time) (string, error) {
	seconds := at.Unix()
	if seconds < 0 {
		return "", fmt.Errorf("cosigning %s at size %d: the clock says %s", c.Origin, c.Size, at)
	}
	signature := binary.BigEndian.AppendUint64(k.hash(), uint64(seconds))
	message := "cosignature/v1\ntime " + strconv.FormatInt(seconds, 10) + "\n" + c.Text()
	signature = append(signature, ed25519.Sign(k.private, []byte(message))...)
	return "— " + k.name + " " + base64.StdEncoding.EncodeToString(signature), nil
}
