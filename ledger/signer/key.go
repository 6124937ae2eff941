package signer

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tallystick/ledger/chain"
)

// keyName is the name in the key file. A key signs under the origin of each
// ledger, so that the name of the file's says nothing.
const keyName = "tallystick"

// ErrKey: the key file holds no signing key.
var ErrKey = errors.New("not a signing key")

// The form of a key file, as golang.org/x/mod/sumdb/note has it:
// PRIVATE+KEY+<name>+<id>+<base64 of the algorithm and the seed>.
const (
	keyPrefix        = "PRIVATE+KEY+"
	algorithmEd25519 = 1
	maxKeyFile       = 1 << 10
)

// identity names a key, whatever it signs.
func identity(key chain.SigningKey) (string, error) { return key.VerifierKey(keyName) }

// ReadKey reads a key file, which nobody else may be able to read.
func ReadKey(path string) (chain.SigningKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return chain.SigningKey{}, fmt.Errorf("reading the signing key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return chain.SigningKey{}, fmt.Errorf("reading the signing key %s: others may read it (mode %04o)\nhint: chmod 600 %s, and make a new key if somebody did", path, info.Mode().Perm(), path)
	}
	if info.Size() > maxKeyFile {
		return chain.SigningKey{}, fmt.Errorf("reading %s: %d bytes: %w", path, info.Size(), ErrKey)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return chain.SigningKey{}, fmt.Errorf("reading the signing key: %w", err)
	}
	key, err := parseKey(string(text))
	if err != nil {
		return key, fmt.Errorf("reading %s: %w", path, err)
	}
	return key, nil
}

func parseKey(text string) (chain.SigningKey, error) {
	text = strings.TrimSuffix(text, "\n")
	fields := strings.SplitN(strings.TrimPrefix(text, keyPrefix), "+", 3)
	if !strings.HasPrefix(text, keyPrefix) || len(fields) != 3 {
		return chain.SigningKey{}, fmt.Errorf("want %s<name>+<id>+<key>: %w", keyPrefix, ErrKey)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(fields[2])
	if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != algorithmEd25519 {
		return chain.SigningKey{}, fmt.Errorf("it is not of Ed25519: %w", ErrKey)
	}
	key, err := chain.NewSigningKey(raw[1:])
	if err != nil {
		return key, err
	}
	public, err := key.VerifierKey(fields[0])
	if err != nil {
		return key, fmt.Errorf("%w: %w", err, ErrKey)
	}
	if !strings.HasPrefix(public, fields[0]+"+"+fields[1]+"+") {
		return key, fmt.Errorf("its id is not that of its key: %w", ErrKey)
	}
	return key, nil
}

// makeKey makes a key and keeps it in a new file.
func makeKey(path string) (chain.SigningKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return chain.SigningKey{}, fmt.Errorf("making a signing key: %w", err)
	}
	key, err := chain.NewSigningKey(seed)
	if err != nil {
		return key, err
	}
	public, err := identity(key)
	if err != nil {
		return key, err
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(public, keyName+"+"), "+")
	secret := base64.StdEncoding.EncodeToString(append([]byte{algorithmEd25519}, seed...))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return key, fmt.Errorf("making the folder of the signing key: %w", err)
	}
	return key, replaceFile(path, []byte(keyPrefix+keyName+"+"+id+"+"+secret+"\n"))
}
