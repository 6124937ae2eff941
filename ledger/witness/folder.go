package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"tallystick/ledger/chain"
)

// Files of the folder of a witness.
const (
	indexFile  = "witness" // whose folder it is, and of which origins there is a head
	lockFile   = "lock"    // held while a witness runs
	headSuffix = ".cp"     // the newest cosigned checkpoint of an origin
	newSuffix  = ".new"    // what is being written

	// Two checkpoints of one size with two roots, both signed by the log.
	cosignedSuffix = ".fork.cosigned.cp"
	refusedSuffix  = ".fork.refused.cp"
)

// maxIndex is the most bytes of the index: MaxLogs lines of the longest origin.
const maxIndex = MaxLogs*(chain.MaxOrigin+16) + 1<<12

var (
	// ErrLocked: another witness runs on the folder.
	ErrLocked = errors.New("another witness runs on this folder")
	// ErrState: the folder, or what it holds of an origin, is lost or damaged.
	ErrState = errors.New("the witness does not know any more what it has cosigned")

	// errLong: a file has more bytes than one of its kind.
	errLong = errors.New("it is longer than such a file can be")
	// errUncertain: a file was renamed, and whether that lasts is not known.
	errUncertain = errors.New("whether it is on disk is not known")
)

// retire is what can be done about lost state. A witness that began anew under
// the same key could cosign a second history beside the first.
const retire = "\nhint: retire this witness: give the next one a new --key file and a new --state folder, and its verifier key to everybody who names this one in a policy"

// folder is where a witness keeps what it has cosigned. Every file is replaced
// whole: written beside the old one, flushed, renamed, and the folder flushed.
type folder struct {
	path string
	lock *os.File

	mu      sync.Mutex // guards the index
	key     string     // verifier key of the witness; empty before the first start is over
	origins []string   // those with a head, in the order of their first

	// reached is told of each step that a crash may come after.
	reached func(step string)
}

// openFolder makes the folder unless it is there, locks it and reads the index.
func openFolder(path string) (*folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the witness: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the witness: %w", err)
	}
	f := &folder{path: path, lock: lock, reached: func(string) {}}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking %s: %w", path, ErrLocked)
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	if err := f.readIndex(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// close gives the lock up, which the kernel does too when the process ends.
// Closing the file is not enough: a program that this process is just starting
// has the file, too, until it runs.
func (f *folder) close() {
	_ = syscall.Flock(int(f.lock.Fd()), syscall.LOCK_UN)
	_ = f.lock.Close()
}

func (f *folder) file(name string) string { return filepath.Join(f.path, name) }

// indexHead is the first line of the index, indexEnd its last: one that was cut
// off would have forgotten origins.
const (
	indexHead = "tallystick witness 1"
	indexEnd  = "end"
)

func (f *folder) readIndex() error {
	content, err := readBounded(f.file(indexFile), maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, errLong) {
		return fmt.Errorf("reading the index of the witness: %w: %w%s", err, ErrState, retire)
	}
	if err != nil {
		return fmt.Errorf("reading the index of the witness: %w", err)
	}
	lines := strings.Split(string(content), "\n")
	if n := len(lines); n < 4 || lines[0] != indexHead || lines[n-2] != indexEnd || lines[n-1] != "" {
		return fmt.Errorf("reading %s: it is damaged: %w%s", f.file(indexFile), ErrState, retire)
	}
	var ok bool
	if f.key, ok = strings.CutPrefix(lines[1], "key "); !ok || f.key == "" {
		return fmt.Errorf("reading %s: its key is damaged: %w%s", f.file(indexFile), ErrState, retire)
	}
	for _, line := range lines[2 : len(lines)-2] {
		origin, ok := strings.CutPrefix(line, "origin ")
		if !ok || origin == "" || slices.Contains(f.origins, origin) {
			return fmt.Errorf("reading %s: the line %q is damaged: %w%s", f.file(indexFile), line, ErrState, retire)
		}
		f.origins = append(f.origins, origin)
	}
	return nil
}

func (f *folder) writeIndex(key string, origins []string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nkey %s\n", indexHead, key)
	for _, origin := range origins {
		fmt.Fprintf(&b, "origin %s\n", origin)
	}
	b.WriteString(indexEnd + "\n")
	if err := f.replace(indexFile, b.Bytes()); err != nil {
		return err
	}
	f.key, f.origins = key, origins
	return nil
}

// begin says whose folder it is.
func (f *folder) begin(key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writeIndex(key, f.origins)
}

// known reports whether the index has the origin.
func (f *folder) known(origin string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.origins, origin)
}

// add puts an origin that has a head into the index.
func (f *folder) add(origin string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.origins, origin) {
		return nil
	}
	if len(f.origins) == MaxLogs {
		return fmt.Errorf("keeping the origin %s: there are %d already, the most a witness keeps", origin, MaxLogs)
	}
	return f.writeIndex(f.key, append(slices.Clone(f.origins), origin))
}

// OriginHash returns the lower-case hexadecimal SHA-256 of an origin, under
// which its newest cosigned checkpoint is served and kept.
func OriginHash(origin string) string {
	h := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(h[:])
}

// replace writes a file of the folder, whole or not at all. After errUncertain
// the old content may be there, or the new one.
func (f *folder) replace(name string, content []byte) error {
	beside := f.file(name + newSuffix)
	if err := writeSynced(beside, content); err != nil {
		return fmt.Errorf("writing %s: %w", beside, err)
	}
	f.reached("written " + name)
	if err := os.Rename(beside, f.file(name)); err != nil {
		return fmt.Errorf("replacing %s: %w: %w", f.file(name), err, errUncertain)
	}
	f.reached("renamed " + name)
	if err := syncFolder(f.path); err != nil {
		return fmt.Errorf("replacing %s: %w: %w", f.file(name), err, errUncertain)
	}
	f.reached("flushed " + name)
	return nil
}

// writeSynced writes a file that only its owner can read, and flushes it.
func writeSynced(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Sync(), file.Close())
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readBounded reads a file of at most so many bytes.
func readBounded(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("reading %s of %d bytes, more than %d: %w", path, info.Size(), most, errLong)
	}
	return os.ReadFile(path)
}
