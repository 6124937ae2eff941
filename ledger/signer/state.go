package signer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// What can be wrong with the files of a signer.
var (
	// ErrState: the state file is damaged. What was signed is not known, and must
	// not be guessed.
	ErrState = errors.New("the signer's state is damaged")
	// ErrStateLost: there is a key and no state. The key may have signed.
	ErrStateLost = errors.New("the signer's state is gone")
	// ErrInUse: another process signs with this state.
	ErrInUse = errors.New("another process uses the signer's state")
)

// HintLost says what to do about ErrState and ErrStateLost.
const HintLost = "bring the state file back from where it was kept, or have an auditor's checkpoint of each ledger vouch for it: " +
	"tallystick signer --pin FILE.cp. Never begin anew: whoever changed the database may have removed the state, too"

// stateVersion is that of the layout of the state file.
const stateVersion = 1

// State is what a signer knows of what it signed, kept outside the database.
type State struct {
	Version int `json:"version"`
	// Holder names this state among those of other replicas, see Lease.
	Holder  uuid.UUID               `json:"holder"`
	Ledgers map[uuid.UUID]*Position `json:"ledgers"`
	// SuperLog is nil before its first leaf. After a loss that was declared it is that
	// of the successor, see Succeed.
	SuperLog *Position `json:"super_log,omitempty"`
	// Sum is SHA-256 of the file with an empty sum, in hexadecimal digits.
	Sum string `json:"sha256"`
}

// Position is how far a log was checked. Every note that ever left the signer under
// its origin is of a prefix of it.
type Position struct {
	Origin   string     `json:"origin"`
	Size     int64      `json:"size"`
	Root     hexHash    `json:"root"`
	Frontier []hexHash  `json:"frontier"`
	Head     hexHash    `json:"head"` // the leaf at Size − 1
	Recorded int64      `json:"recorded_at,omitempty"`
	Booked   chain.Date `json:"booking_date,omitempty"` // days since 1970-01-01
	// Note is the signed checkpoint of that size and root.
	Note string `json:"note,omitempty"`
	// Announced is the verifier key that the ledger's chain was told.
	Announced string `json:"announced,omitempty"`
	// SuperSize is the size of the ledger's newest leaf in the super-log, and
	// SuperAt when it was appended, in microseconds.
	SuperSize int64 `json:"super_size,omitempty"`
	SuperAt   int64 `json:"super_at,omitempty"`
	// Succeeds is the loss that a super-log goes on from, nil for a first one.
	Succeeds *Lost `json:"succeeds,omitempty"`
	// Begun are the origins of the super-logs before it whose leaves this key vouched
	// for: each name is that of one tree.
	Begun []string `json:"begun,omitempty"`
}

// Lost is the newest checkpoint that was signed of a super-log that has lost leaves,
// and when that was declared, in microseconds.
type Lost struct {
	Origin string  `json:"origin"`
	Size   int64   `json:"size"`
	Root   hexHash `json:"root"`
	At     int64   `json:"at"`
}

// hexHash is a hash that is written as hexadecimal digits.
type hexHash chain.Hash

// MarshalText writes 64 digits.
func (h hexHash) MarshalText() ([]byte, error) { return []byte(chain.Hash(h).String()), nil }

// UnmarshalText reads them.
func (h *hexHash) UnmarshalText(text []byte) error {
	parsed, ok := chain.ParseHash(string(text))
	if !ok {
		return fmt.Errorf("reading the hash %q: not 64 hexadecimal digits", text)
	}
	*h = hexHash(parsed)
	return nil
}

// newState is the state of a key that has signed nothing.
func newState() (State, error) {
	holder, err := uuid.NewRandom()
	if err != nil {
		return State{}, fmt.Errorf("naming a signer: %w", err)
	}
	return State{Version: stateVersion, Holder: holder, Ledgers: make(map[uuid.UUID]*Position)}, nil
}

// clone returns a copy that shares nothing that changes.
func (p *Position) clone() *Position {
	c := *p
	return &c // Frontier is replaced, never written to
}

// tree returns the tree of the position, whose root must be the one noted.
func (p *Position) tree() (chain.Frontier, error) {
	nodes := make([]chain.Hash, len(p.Frontier))
	for i := range nodes {
		nodes[i] = chain.Hash(p.Frontier[i])
	}
	f, err := chain.NewFrontier(p.Size, nodes)
	if err != nil {
		return f, err
	}
	if root := f.Root(); root != chain.Hash(p.Root) {
		return f, fmt.Errorf("restoring the tree of %s at size %d: its root is %s, not %s", p.Origin, p.Size, root, chain.Hash(p.Root))
	}
	return f, nil
}

// setTree notes a tree.
func (p *Position) setTree(f *chain.Frontier) {
	p.Size, p.Root = f.Size(), hexHash(f.Root())
	nodes := f.Nodes()
	p.Frontier = make([]hexHash, len(nodes))
	for i := range nodes {
		p.Frontier[i] = hexHash(nodes[i])
	}
}

// encode returns the file, sum included.
func (s State) encode() ([]byte, error) {
	s.Sum = ""
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("writing the signer's state: %w", err)
	}
	sum := sha256.Sum256(plain)
	s.Sum = hex.EncodeToString(sum[:])
	whole, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("writing the signer's state: %w", err)
	}
	return append(whole, '\n'), nil
}

// decodeState reads what encode wrote, to the byte. The error is ErrState.
func decodeState(text []byte) (State, error) {
	var s State
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	if s.Version != stateVersion {
		return State{}, fmt.Errorf("%w: it has version %d, and this program knows %d", ErrState, s.Version, stateVersion)
	}
	again, err := s.encode()
	if err != nil || !bytes.Equal(again, text) {
		return State{}, fmt.Errorf("%w: its checksum does not fit", ErrState)
	}
	if s.Ledgers == nil {
		s.Ledgers = make(map[uuid.UUID]*Position)
	}
	for id, p := range s.Ledgers {
		if p == nil {
			return State{}, fmt.Errorf("%w: ledger %s has no position", ErrState, id)
		}
		if _, err := p.tree(); err != nil {
			return State{}, fmt.Errorf("%w: %w", ErrState, err)
		}
	}
	if s.SuperLog != nil {
		if _, err := s.SuperLog.tree(); err != nil {
			return State{}, fmt.Errorf("%w: %w", ErrState, err)
		}
	}
	return s, nil
}

// ReadState reads a state file, also while a signer uses it. The error is ErrState, or
// that of the file.
func ReadState(path string) (State, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return State{}, fmt.Errorf("reading the signer's state: %w", err)
	}
	s, err := decodeState(text)
	if err != nil {
		return State{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return s, nil
}

// Files are the state and the key of a signer, locked for this process.
type Files struct {
	statePath string
	lock      *os.File
}

// OpenFiles locks the state file, which need not exist, until Close. The error
// is ErrInUse while another process has it.
func OpenFiles(statePath string) (*Files, error) {
	if err := os.MkdirAll(filepath.Dir(statePath), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the signer's state: %w", err)
	}
	lock, err := os.OpenFile(statePath+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the signer's state: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking %s: %w", statePath, ErrInUse)
		}
		return nil, fmt.Errorf("locking %s: %w", statePath, err)
	}
	return &Files{statePath: statePath, lock: lock}, nil
}

// Close gives the lock back.
func (f *Files) Close() error { return f.lock.Close() }

// Open returns the key and the state. When there is neither, both are made:
// first an empty state and then the key, so that a key without a state has lost
// it (ErrStateLost). With pinned, a state that is gone is begun anew: what may be
// signed is then vouched for by pins.
func (f *Files) Open(keyPath string, pinned bool) (chain.SigningKey, State, error) {
	key, err := ReadKey(keyPath)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return key, State{}, err
	}
	text, err := os.ReadFile(f.statePath)
	switch {
	case err == nil:
		state, err := decodeState(text)
		if err != nil {
			return key, state, fmt.Errorf("reading %s: %w\nhint: %s", f.statePath, err, HintLost)
		}
		if fresh {
			key, err = makeKey(keyPath)
		}
		return key, state, err
	case !errors.Is(err, fs.ErrNotExist):
		return key, State{}, fmt.Errorf("reading the signer's state: %w", err)
	case !fresh && !pinned:
		return key, State{}, fmt.Errorf("reading %s: %w\nhint: %s", f.statePath, ErrStateLost, HintLost)
	}
	state, err := newState()
	if err == nil {
		err = f.Save(state)
	}
	if err == nil && fresh {
		key, err = makeKey(keyPath)
	}
	return key, state, err
}

// Save puts a state in place of the one before, whole or not at all, and returns
// when it is on disk.
func (f *Files) Save(s State) error {
	text, err := s.encode()
	if err != nil {
		return err
	}
	return replaceFile(f.statePath, text)
}

// replaceFile writes a file that only its owner can read, and syncs it and its
// folder. The temporary file has one name: a crash leaves no litter behind.
func replaceFile(path string, content []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
