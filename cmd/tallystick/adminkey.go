package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tallystick/ledger"
	"tallystick/ledger/store"
)

const (
	// adminKeyVariable holds the admin key instead of a file.
	adminKeyVariable = "TALLYSTICK_ADMIN_KEY"
	// adminKeyFile is its file in the data folder.
	adminKeyFile = "admin.key"
	// minKeyLength and maxKeyLength bound a key that is given, in bytes.
	minKeyLength = 32
	maxKeyLength = 255
)

// adminKey is the first key, which may do everything.
type adminKey struct {
	id    ledger.KeyID
	text  string
	file  string // where it is kept; empty when it came from the environment
	fresh bool   // generated just now
}

// loadAdminKey takes the key from TALLYSTICK_ADMIN_KEY, or from the data
// folder, or makes one there, and makes sure that the database knows it.
func loadAdminKey(ctx context.Context, db *store.DB, dataDir string) (adminKey, error) {
	var key adminKey
	if text, ok := os.LookupEnv(adminKeyVariable); ok {
		key.text = text
	} else if err := key.fromFile(filepath.Join(dataDir, adminKeyFile)); err != nil {
		return key, err
	}
	if err := checkKey(key.text); err != nil {
		return key, err
	}
	p, err := db.EnsureKey(ctx, sha256.Sum256([]byte(key.text)), "admin", store.ScopeAdmin)
	switch {
	case errors.Is(err, store.ErrKeyRevoked):
		return key, fmt.Errorf("%w\nhint: %s", err, key.another())
	case err != nil:
		return key, err
	case !p.Scopes.Has(store.ScopeAdmin):
		return key, fmt.Errorf("taking the admin key: it is known with the scopes %s, without admin\nhint: %s", p.Scopes, key.another())
	}
	key.id = p.ID
	return key, nil
}

// another says how to come by another admin key.
func (k *adminKey) another() string {
	if k.file == "" {
		return "put another key into " + adminKeyVariable
	}
	return "delete " + k.file + ", and a new key is made at the next start"
}

func (k *adminKey) fromFile(path string) error {
	k.file, k.fresh = path, false
	content, err := os.ReadFile(path)
	if err == nil {
		k.text = strings.TrimSpace(string(content))
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the admin key: %w", err)
	}
	if k.text, err = makeKey(); err != nil {
		return err
	}
	k.fresh = true
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the folder of the admin key: %w", err)
	}
	err = writeNew(path, k.text+"\n")
	if errors.Is(err, fs.ErrExist) {
		return k.fromFile(path) // another server was first
	}
	return err
}

// writeNew writes a file that only its owner can read, whole or not at all. It
// fails when another process has made one meanwhile.
func writeNew(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("keeping the admin key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keeping the admin key: %w", err)
	}
	if err := os.Link(f.Name(), path); err != nil {
		return fmt.Errorf("keeping the admin key: %w", err)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("keeping the admin key: %w", err)
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// checkKey refuses keys that are easily guessed or that no header can carry.
func checkKey(key string) error {
	if len(key) < minKeyLength || len(key) > maxKeyLength {
		return fmt.Errorf("checking the admin key: it has %d bytes and needs %d to %d\nhint: openssl rand -base64 32", len(key), minKeyLength, maxKeyLength)
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return errors.New("checking the admin key: it may hold visible ASCII characters only")
		}
	}
	return nil
}
