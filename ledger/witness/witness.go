package witness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"tallystick/ledger/chain"
)

const (
	// MaxLogs is the most logs that one witness knows.
	MaxLogs = chain.MaxLogs
	// MaxClockStep is how far signature times are held when the clock goes back.
	// A clock that goes back further was wrong before.
	MaxClockStep = 5 * time.Minute
	// maxHead bounds a head on disk: a checkpoint and one signature more.
	maxHead = chain.MaxCheckpoint + 1<<10
)

// The reasons for which a witness does not cosign, beside ErrMalformed.
var (
	// ErrUnknownOrigin: it does not witness a log of that origin.
	ErrUnknownOrigin = errors.New("this witness does not know the log")
	// ErrUntrusted: no signature is by a key that it trusts for the origin, or
	// one that claims to be does not verify.
	ErrUntrusted = errors.New("not signed by a key that this witness trusts for the log")
	// ErrSize: the old size is not that of the newest checkpoint it cosigned; the
	// error is a *SizeError.
	ErrSize = errors.New("the old size is not that of the newest cosigned checkpoint")
	// ErrFork: it has cosigned another root of the same size. The log has signed
	// two histories, and both notes are kept.
	ErrFork = errors.New("another root of the same size was cosigned")
	// ErrUnproven: the proof does not show that the tree grew out of the one that
	// was cosigned.
	ErrUnproven = errors.New("the consistency proof does not verify")
	// ErrStopped: a write did not come to a certain end, so the witness does not
	// know what it would find at its next start.
	ErrStopped = errors.New("the witness has stopped cosigning this log until it is started again")
)

// SizeError says which size the witness has.
type SizeError struct {
	Have int64 // 0: it has cosigned nothing of this origin
	Old  int64 // what the request said
}

// Error says both sizes.
func (e *SizeError) Error() string {
	return fmt.Sprintf("the old size is %d, and the newest cosigned checkpoint has %d", e.Old, e.Have)
}

// Is makes it ErrSize.
func (e *SizeError) Is(target error) bool { return target == ErrSize }

// Config says what a witness is made of.
type Config struct {
	KeyFile   string              // secret key; made at the first start
	Name      string              // of a new key; empty when there is one, or it must be the same
	Folder    string              // what it has cosigned; made at the first start
	UnusedKey bool                // begin with an empty folder although the key file is there
	Logs      []chain.VerifierKey // trusted, each for the origin it is named after; at most MaxLogs
	Now       func() time.Time    // clock of the cosignatures; time.Now unless given
	Saw       func(Event)         // hears of every answer; may be nil, must not block
}

// Event is an answer to somebody who wanted a cosignature.
type Event struct {
	Origin string // as claimed; empty when the request could not be read
	Size   int64
	Err    error // nil: cosigned
	Took   time.Duration
}

// Witness cosigns the checkpoints of logs, each only if it extends the one
// before. Its methods may be called at once from anywhere.
type Witness struct {
	key    chain.CosigningKey
	public chain.VerifierKey
	fresh  bool
	dir    *folder
	logs   map[string]*log // by origin; never changes
	now    func() time.Time
	saw    func(Event)
	slots  chan struct{}
	counts counts
}

// log is a log that is witnessed. Its lock is held from the first look at the
// head to the moment at which the next one is on disk.
type log struct {
	origin string
	hash   string // OriginHash
	keys   []chain.VerifierKey

	mu      sync.Mutex
	head    head
	stopped error
}

// head is the newest checkpoint that was cosigned, the empty tree at first.
type head struct {
	chain.Checkpoint
	note []byte // with the log's signatures and ours; nil: nothing was cosigned yet
	line string // our signature
	at   time.Time
	fork bool // two checkpoints that prove a fork are kept
}

// Open starts a witness: it locks the folder, reads or makes the key, and reads
// the heads of all logs. One that is damaged, or lost, is an error: the witness
// does not start. Close ends it.
func Open(c Config) (*Witness, error) {
	if len(c.Logs) > MaxLogs {
		return nil, fmt.Errorf("starting a witness of %d logs: at most %d", len(c.Logs), MaxLogs)
	}
	dir, err := openFolder(c.Folder)
	if err != nil {
		return nil, err
	}
	w, err := open(c, dir)
	if err != nil {
		dir.close()
		return nil, err
	}
	return w, nil
}

func open(c Config, dir *folder) (*Witness, error) {
	w := &Witness{dir: dir, logs: make(map[string]*log), now: c.Now, saw: c.Saw, slots: make(chan struct{}, MaxAtOnce)}
	if w.now == nil {
		w.now = time.Now
	}
	if w.saw == nil {
		w.saw = func(Event) {}
	}
	var err error
	if w.key, w.fresh, err = dir.openKey(c.KeyFile, c.Name, c.UnusedKey); err != nil {
		return nil, err
	}
	if w.public, err = chain.ParseWitnessKey(w.key.VerifierKey()); err != nil {
		return nil, err
	}
	for _, key := range c.Logs {
		if len(key.Name()) > chain.MaxOrigin {
			return nil, fmt.Errorf("trusting the key %s: its origin has more than %d bytes", key.ID(), chain.MaxOrigin)
		}
		l := w.logs[key.Name()]
		if l == nil {
			l = &log{origin: key.Name(), hash: OriginHash(key.Name())}
			w.logs[l.origin] = l
		}
		l.keys = append(l.keys, key)
	}
	for _, l := range w.logs {
		if err := w.load(l); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Close waits for what is being cosigned, and gives the folder up. Nothing is
// cosigned afterwards.
func (w *Witness) Close() {
	for _, l := range w.logs {
		l.mu.Lock()
		l.stopped = fmt.Errorf("closing the witness: %w", ErrStopped)
		l.mu.Unlock()
	}
	w.dir.close()
}

// VerifierKey returns the public key of the witness.
func (w *Witness) VerifierKey() chain.VerifierKey { return w.public }

// Fresh reports whether the key was made just now.
func (w *Witness) Fresh() bool { return w.fresh }

// Origins returns the origins that the witness knows, sorted.
func (w *Witness) Origins() []string {
	var all []string
	for origin := range w.logs {
		all = append(all, origin)
	}
	slices.Sort(all)
	return all
}

// load reads what was cosigned of a log. A head without a line in the index is
// one whose cosignature never left; it counts all the same.
func (w *Witness) load(l *log) error {
	l.head = head{Checkpoint: chain.Checkpoint{Origin: l.origin, Root: chain.EmptyRoot}}
	path := w.dir.file(l.hash + headSuffix)
	content, err := readBounded(path, maxHead)
	switch {
	case errors.Is(err, fs.ErrNotExist) && w.dir.known(l.origin):
		return fmt.Errorf("reading the head of %s: it was cosigned, and %s is gone: %w%s", l.origin, path, ErrState, retire)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, errLong):
		return fmt.Errorf("reading the head of %s: %w: %w%s", l.origin, err, ErrState, retire)
	case err != nil:
		return fmt.Errorf("reading the head of %s: %w", l.origin, err)
	}
	signed, err := chain.OpenCheckpoint(content, w.public)
	if err == nil && (signed.Origin != l.origin || len(signed.Signatures) != 1) {
		err = fmt.Errorf("it is of %s", signed.Origin)
	}
	if err != nil {
		return fmt.Errorf("reading the head of %s in %s: %w: %w%s", l.origin, path, err, ErrState, retire)
	}
	l.head.Checkpoint, l.head.note, l.head.at = signed.Checkpoint, content, signed.Signatures[0].Time
	_, lines := signatureLines(content)
	l.head.line = lines[slices.IndexFunc(lines, func(line string) bool { return lineBy(line, w.public) })]
	_, err = os.Stat(w.dir.file(l.hash + refusedSuffix))
	l.head.fork = err == nil
	return w.dir.add(l.origin)
}

// Add cosigns the checkpoint of the request and returns the signature line,
// without its end. Otherwise the error is one of the reasons above, or what
// went wrong on disk.
//
// The order of the checks is that of https://c2sp.org/tlog-witness@v1.0.0.
func (w *Witness) Add(r Request) (line string, err error) {
	claimed, err := chain.OpenCheckpoint(r.Checkpoint)
	if !errors.Is(err, chain.ErrUnknownKey) {
		return "", fmt.Errorf("%w: %w", err, ErrMalformed)
	}
	l := w.logs[claimed.Origin]
	if l == nil {
		return "", fmt.Errorf("looking for %q: %w", claimed.Origin, ErrUnknownOrigin)
	}
	signed, err := chain.OpenCheckpoint(r.Checkpoint, l.keys...)
	switch {
	case errors.Is(err, chain.ErrUnknownKey), errors.Is(err, chain.ErrSignature):
		return "", fmt.Errorf("%w: %w", err, ErrUntrusted)
	case err != nil:
		return "", fmt.Errorf("%w: %w", err, ErrMalformed)
	case r.OldSize > signed.Size:
		return "", fmt.Errorf("offering size %d of %s as an extension of size %d: %w", signed.Size, signed.Origin, r.OldSize, ErrMalformed)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped != nil {
		return "", fmt.Errorf("cosigning %s: %w", l.origin, l.stopped)
	}
	if err := l.extends(&signed, r); err != nil {
		if errors.Is(err, ErrFork) && !l.head.fork {
			err = errors.Join(err, w.keepFork(l, r.Checkpoint))
		}
		return "", err
	}
	w.dir.reached("verified")
	return w.cosign(l, &signed)
}

// extends returns nil when the checkpoint is the head, or a proven extension of
// it.
func (l *log) extends(signed *chain.SignedCheckpoint, r Request) error {
	have := l.head
	switch {
	case r.OldSize != have.Size:
		return &SizeError{Have: have.Size, Old: r.OldSize}
	case signed.Size == have.Size && signed.Root != have.Root:
		return fmt.Errorf("cosigning %s at size %d with root %s: the cosigned one is %s: %w", l.origin, signed.Size, signed.Root, have.Root, ErrFork)
	case have.Size == 0 || signed.Size == have.Size:
		if len(r.Proof) != 0 {
			return fmt.Errorf("cosigning %s at size %d after %d: there is nothing to prove, and %d hashes do: %w", l.origin, signed.Size, have.Size, len(r.Proof), ErrUnproven)
		}
		return nil
	}
	if err := chain.VerifyConsistency(have.Size, signed.Size, have.Root, signed.Root, r.Proof); err != nil {
		return fmt.Errorf("cosigning %s at size %d after %d: %w: %w", l.origin, signed.Size, have.Size, err, ErrUnproven)
	}
	return nil
}

// cosign makes the checkpoint the head, and returns our signature once that is
// on disk. Signature times do not go back with a clock that is set, within
// MaxClockStep; the same head again within a second gets the same signature.
func (w *Witness) cosign(l *log, signed *chain.SignedCheckpoint) (string, error) {
	at := w.now().Truncate(time.Second)
	if at.Before(l.head.at) && l.head.at.Sub(at) <= MaxClockStep {
		at = l.head.at
	}
	if l.head.note != nil && l.head.Size == signed.Size && l.head.at.Equal(at) {
		return l.head.line, nil
	}
	line, err := w.key.Cosign(signed.Checkpoint, at)
	if err != nil {
		return "", err
	}
	note := signed.Text() + "\n"
	_, lines := signatureLines(signed.Note)
	for _, s := range signed.Signatures {
		note += lines[slices.IndexFunc(lines, func(line string) bool { return lineBy(line, s.Key) })] + "\n"
	}
	note += line + "\n"
	err = w.dir.replace(l.hash+headSuffix, []byte(note))
	if err == nil {
		err = w.dir.add(l.origin)
	}
	if err != nil {
		// A head that may be on disk is not the head in memory: cosigning on from
		// here would be from one that the next start may not know.
		if errors.Is(err, errUncertain) {
			l.stopped = fmt.Errorf("%w: %w", err, ErrStopped)
		}
		return "", fmt.Errorf("keeping the head of %s at size %d: %w", l.origin, signed.Size, err)
	}
	l.head = head{Checkpoint: signed.Checkpoint, note: []byte(note), line: line, at: at, fork: l.head.fork}
	w.dir.reached("kept")
	return line, nil
}

// keepFork keeps the first two checkpoints that show that the log has signed
// two histories: the head, which will move on, and the one that was refused.
func (w *Witness) keepFork(l *log, refused []byte) error {
	err := w.dir.replace(l.hash+cosignedSuffix, l.head.note)
	if err == nil {
		err = w.dir.replace(l.hash+refusedSuffix, refused)
	}
	if err != nil {
		return fmt.Errorf("keeping the proof of a fork of %s: %w", l.origin, err)
	}
	l.head.fork = true
	return nil
}

// Head is what a witness knows of a log.
type Head struct {
	Origin  string
	Size    int64
	Root    chain.Hash
	Note    []byte    // as it was cosigned; nil: nothing was
	At      time.Time // of the cosignature
	Fork    bool      // the log has signed two histories
	Stopped error     // why nothing is cosigned any more
}

// Heads returns what the witness knows of its logs, in the order of origins.
func (w *Witness) Heads() []Head {
	var all []Head
	for _, origin := range w.Origins() {
		all = append(all, w.logs[origin].seen())
	}
	return all
}

func (l *log) seen() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Head{l.origin, l.head.Size, l.head.Root, l.head.note, l.head.at, l.head.fork, l.stopped}
}
