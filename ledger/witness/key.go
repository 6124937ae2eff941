package witness

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tallystick/ledger/chain"
)

// maxKeyFile is the most bytes of a key file.
const maxKeyFile = 4 << 10

// ReadKey reads the key file of a witness: one line, as
// chain.CosigningKey.Secret returns it.
func ReadKey(path string) (chain.CosigningKey, error) {
	content, err := readBounded(path, maxKeyFile)
	if err != nil {
		return chain.CosigningKey{}, fmt.Errorf("reading the key of the witness: %w", err)
	}
	key, err := chain.ParseCosigningKey(strings.TrimSuffix(string(content), "\n"))
	if err != nil {
		return key, fmt.Errorf("reading %s: %w", path, err)
	}
	return key, nil
}

// openKey reads the key, or makes one at the first start, and makes sure that
// key and folder belong together. The index names the key before the key file
// is there, so a first start that was interrupted begins again, and a key file
// whose folder has no index is one whose folder was lost.
func (f *folder) openKey(path, name string, unused bool) (key chain.CosigningKey, fresh bool, err error) {
	key, err = ReadKey(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(f.origins) == 0:
		key, err = f.makeKey(path, name)
		return key, err == nil, err
	case errors.Is(err, fs.ErrNotExist):
		return key, false, fmt.Errorf("looking for the key %s, with which %d logs were cosigned in %s: %w\nhint: put the key file back, or%s", path, len(f.origins), f.path, err, strings.TrimPrefix(retire, "\nhint:"))
	case err != nil:
		return key, false, err
	case name != "" && name != key.Name():
		return key, false, fmt.Errorf("taking the key %s: it is called %s, not %s; a name is part of the key\nhint: leave --name out, or name another --key file and --state folder", path, key.Name(), name)
	case f.key == "" && unused:
		return key, false, f.begin(key.VerifierKey())
	case f.key == "":
		return key, false, fmt.Errorf("taking the key %s: the folder %s has never seen it: if it was used, its state is lost: %w%s\nhint: if it has never cosigned anything, say so with --unused-key", path, f.path, ErrState, retire)
	case f.key != key.VerifierKey():
		return key, false, fmt.Errorf("taking the key %s: the folder %s is that of the witness %s\nhint: name the --key file and the --state folder that belong together", path, f.path, f.key)
	}
	return key, false, nil
}

func (f *folder) makeKey(path, name string) (chain.CosigningKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return chain.CosigningKey{}, fmt.Errorf("making the key of the witness: %w", err)
	}
	key, err := chain.NewCosigningKey(name, seed)
	if err != nil {
		return key, fmt.Errorf("%w\nhint: name the witness with --name, for example witness.example.com/1", err)
	}
	if err := f.begin(key.VerifierKey()); err != nil {
		return key, err
	}
	f.reached("begun")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return key, fmt.Errorf("making the folder of the key: %w", err)
	}
	if err := writeOnce(path, key.Secret()+"\n"); err != nil {
		return key, fmt.Errorf("keeping the key of the witness: %w", err)
	}
	return key, nil
}

// writeOnce writes a file that was not there, whole or not at all.
func writeOnce(path, content string) error {
	beside := path + newSuffix
	defer os.Remove(beside)
	if err := writeSynced(beside, []byte(content)); err != nil {
		return err
	}
	if err := os.Link(beside, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}
