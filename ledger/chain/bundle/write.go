package bundle

import (
	"archive/zip"
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// Contents is what a bundle holds beside the entries.
type Contents struct {
	Ledger uuid.UUID
	Origin string
	// Checkpoints are signed notes; the largest is of the size of the bundle.
	// Those of one size are to be one note with all signatures.
	Checkpoints [][]byte
	// Proofs holds, for each checkpoint but the largest, the proof that the next
	// larger one extends it, by its size.
	Proofs map[int64][]chain.Hash
	Keys   []chain.VerifierKey // of the signers, beside those that key_changed entries name
	Policy []byte              // nil: none
	Texts  bool                // whether texts are taken
	From   string              // what made the bundle, in words
	Files  map[string][]byte   // further files by name, such as FormatPath
	// Sign, unless nil, makes a signed note of the manifest's text.
	Sign func(text string) ([]byte, error)
}

// ErrSource: what was to be put into a bundle is not what was signed.
var ErrSource = errors.New("not what was signed")

// Writer writes a bundle as a stream: it holds the state of each account, and
// nothing else that grows with the ledger. The same contents give the same bytes.
type Writer struct {
	zip      *zip.Writer
	contents Contents
	manifest Manifest
	signed   chain.Checkpoint // the largest
	spool    io.ReadWriteSeeker
	texts    *bufio.Writer // into spool

	tree     chain.Frontier
	member   chain.Frontier // of the member that is written
	out      *counter       // nil between members
	accounts *accounts
	broken   findings // of accounts: a bundle may hold a damaged ledger
	record   record
	leaf     []byte
	head     chain.Hash
	keys     []chain.VerifierKey
}

// NewWriter begins a bundle in out. Texts are kept in spool, an empty temporary
// file, until the entries are written; it may be nil when there are none.
func NewWriter(out io.Writer, spool io.ReadWriteSeeker, c Contents) (*Writer, error) {
	w := &Writer{zip: zip.NewWriter(out), contents: c, spool: spool, accounts: newAccounts(true, MaxAccounts)}
	if c.Texts {
		w.texts = bufio.NewWriterSize(spool, textBuffer)
	}
	for _, k := range c.Keys {
		w.addKey(k)
	}
	for _, signed := range c.Checkpoints {
		if err := chain.CheckNote(signed); err != nil {
			return nil, err
		}
		x, err := chain.OpenCheckpoint(signed)
		if err != nil && !errors.Is(err, chain.ErrUnknownKey) {
			return nil, err
		}
		if x.Origin != c.Origin {
			return nil, fmt.Errorf("taking a checkpoint of %s into a bundle of %s: %w", x.Origin, c.Origin, ErrSource)
		}
		if x.Size > w.signed.Size {
			w.signed = x.Checkpoint
		}
	}
	if w.signed.Size == 0 {
		return nil, fmt.Errorf("beginning a bundle without a checkpoint: %w", ErrSource)
	}
	w.manifest = Manifest{Ledger: c.Ledger, Origin: c.Origin, Size: w.signed.Size, Root: w.signed.Root, Texts: c.Texts, From: c.From}
	return w, nil
}

// Size returns how many entries the bundle takes.
func (w *Writer) Size() int64 { return w.manifest.Size }

// Add takes the next entry, and its texts: nil when it has none, or they were
// erased.
func (w *Writer) Add(canonical []byte, text *Text) error {
	seq := w.tree.Size()
	if seq == w.manifest.Size {
		return fmt.Errorf("adding an entry beyond the size of %d of the bundle", seq)
	}
	if w.out == nil {
		if err := w.create(entriesPath(int(seq / EntriesPerMember))); err != nil {
			return err
		}
		w.member = chain.Frontier{}
	}
	if err := w.writeLeaf(canonical); err != nil {
		return fmt.Errorf("writing entry %d: %w", seq, err)
	}
	w.head = chain.HashCanonical(canonical)
	w.tree.Append(w.head)
	w.member.Append(w.head)
	w.follow(canonical, seq)
	if w.member.Size() == EntriesPerMember || w.tree.Size() == w.manifest.Size {
		w.close(Member{Tree: true, Count: w.member.Size(), Digest: w.member.Root()})
	}
	if text == nil || w.texts == nil {
		return nil
	}
	if len(text.Salt) != chain.SaltSize {
		return fmt.Errorf("adding the texts of entry %d: a salt of %d bytes, not %d", seq, len(text.Salt), chain.SaltSize)
	}
	if _, err := w.texts.Write(appendText(w.leaf[:0], seq, text)); err != nil {
		return fmt.Errorf("keeping the texts of entry %d: %w", seq, err)
	}
	return nil
}

func (w *Writer) writeLeaf(leaf []byte) error {
	var err error
	if w.leaf, err = chain.AppendBundleEntry(w.leaf[:0], leaf); err != nil {
		return err
	}
	_, err = w.out.Write(w.leaf)
	return err
}

// follow notes what the entry does to its accounts. What is wrong with it is for
// the verifier to say.
func (w *Writer) follow(canonical []byte, seq int64) {
	r := &w.record
	if !r.whole(r.read(canonical)) {
		return
	}
	for i := range r.postings {
		w.accounts.post(&r.postings[i], seq, &uuid.Nil, &w.broken)
	}
	if len(r.postings) > 0 {
		return
	}
	switch r.kind {
	case chain.AccountOpened:
		w.accounts.open(&r.entry, &w.broken)
	case chain.KeyChanged:
		role, _ := r.entry.Detail("role")
		public, _ := r.entry.Detail("public_key")
		if k, err := chain.ParseLogKey(public); role == chain.RoleSigner && err == nil && k.Name() == w.contents.Origin {
			w.addKey(k)
		}
	case chain.BalanceCommitment:
		text, _ := r.entry.Detail("size")
		if size, err := strconv.ParseInt(text, 10, 64); err == nil && size <= seq {
			w.manifest.Commitment = &Commitment{Seq: seq, Size: size}
		}
	}
}

// addKey takes a key into the bundle, once.
func (w *Writer) addKey(k chain.VerifierKey) {
	if len(w.keys) < MaxKeys && !slices.ContainsFunc(w.keys, func(x chain.VerifierKey) bool { return x.ID() == k.ID() }) {
		w.keys = append(w.keys, k)
	}
}

// Keys returns the keys that the bundle brings so far.
func (w *Writer) Keys() []chain.VerifierKey { return slices.Clone(w.keys) }

// Close writes everything but the entries, and the manifest at the end. It
// fails with ErrSource when the entries are not those that the newest checkpoint
// was signed for.
func (w *Writer) Close() error {
	if w.tree.Size() != w.manifest.Size {
		return fmt.Errorf("closing a bundle of %d entries after %d: %w", w.manifest.Size, w.tree.Size(), ErrSource)
	}
	if root := w.tree.Root(); root != w.signed.Root {
		return fmt.Errorf("closing a bundle whose entries have the root %s, and the checkpoint %s: %w", root, w.signed.Root, ErrSource)
	}
	w.manifest.Head = w.head
	if err := w.writeTexts(); err != nil {
		return err
	}
	if err := w.writeBalances(); err != nil {
		return err
	}
	if err := w.writeSeals(); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(w.contents.Files)) {
		if err := w.file(path, w.contents.Files[path]); err != nil {
			return err
		}
	}
	return w.writeManifest()
}

func (w *Writer) writeManifest() error {
	slices.SortFunc(w.manifest.Members, func(a, b Member) int { return strings.Compare(a.Path, b.Path) })
	text := w.manifest.Text()
	if _, err := ParseManifest(text); err != nil {
		return fmt.Errorf("checking the manifest: %w", err)
	}
	signed := []byte(text)
	if w.contents.Sign != nil {
		var err error
		if signed, err = w.contents.Sign(text); err != nil {
			return fmt.Errorf("signing the manifest: %w", err)
		}
	}
	if err := w.create(manifestPath); err != nil {
		return err
	}
	if _, err := w.out.Write(signed); err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	if err := w.zip.Close(); err != nil {
		return fmt.Errorf("closing the bundle: %w", err)
	}
	return nil
}

// writeTexts moves the texts from the spool into members beside the entries'.
func (w *Writer) writeTexts() error {
	if w.texts == nil {
		return nil
	}
	if err := w.texts.Flush(); err != nil {
		return fmt.Errorf("keeping texts: %w", err)
	}
	if _, err := w.spool.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading texts again: %w", err)
	}
	r := bufio.NewReaderSize(w.spool, textBuffer)
	for at := int64(-1); ; {
		seq, text, err := readText(r)
		if w.out != nil && (err == io.EOF || seq/EntriesPerMember != at) {
			w.close(Member{})
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading texts again: %w", err)
		}
		if w.out == nil {
			at = seq / EntriesPerMember
			if err := w.create(textsPath(int(at))); err != nil {
				return err
			}
		}
		if _, err := w.out.Write(appendText(w.leaf[:0], seq, &text)); err != nil {
			return fmt.Errorf("writing the texts of entry %d: %w", seq, err)
		}
	}
}

func (w *Writer) writeBalances() error {
	if err := w.create(balancesPath); err != nil {
		return err
	}
	var tree chain.Frontier
	var state []byte
	for _, i := range sorted(w.accounts.list) {
		state = w.accounts.list[i].appendState(state[:0], w.manifest.Ledger, w.manifest.Size)
		tree.Append(chain.HashCanonical(state))
		if err := w.writeLeaf(state); err != nil {
			return fmt.Errorf("writing balances: %w", err)
		}
	}
	w.close(Member{Tree: true, Count: tree.Size(), Digest: tree.Root()})
	return nil
}

// writeSeals writes checkpoints, the proofs between them, keys and policy.
func (w *Writer) writeSeals() error {
	notes := make(map[int64][]byte)
	for _, signed := range w.contents.Checkpoints {
		c, _ := chain.OpenCheckpoint(signed) // NewWriter has looked at it
		if _, twice := notes[c.Size]; twice {
			return fmt.Errorf("taking a second checkpoint of size %d into a bundle: %w", c.Size, ErrSource)
		}
		notes[c.Size] = signed
	}
	sizes := slices.Sorted(maps.Keys(notes))
	for i, size := range sizes {
		if err := w.file(checkpointPath(size), notes[size]); err != nil {
			return err
		}
		if proof, ok := w.contents.Proofs[size]; ok && i+1 < len(sizes) {
			if err := w.file(proofPath(size, sizes[i+1]), []byte(proofText(proof))); err != nil {
				return err
			}
		}
	}
	var keys strings.Builder
	for _, k := range w.keys {
		keys.WriteString(k.String() + "\n")
	}
	if keys.Len() > 0 {
		if err := w.file(keysPath, []byte(keys.String())); err != nil {
			return err
		}
	}
	if w.contents.Policy != nil {
		return w.file(policyPath, w.contents.Policy)
	}
	return nil
}

// file writes a whole member.
func (w *Writer) file(path string, b []byte) error {
	if err := w.create(path); err != nil {
		return err
	}
	if _, err := w.out.Write(b); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	w.close(Member{})
	return nil
}

// counter counts and hashes what is written into a member.
type counter struct {
	path  string
	w     io.Writer
	bytes int64
	sum   hash.Hash // nil where the digest is that of a tree
}

// Write writes, counts and hashes.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.bytes += int64(n)
	if c.sum != nil {
		c.sum.Write(b[:n])
	}
	return n, err
}

// create begins a member: stored, and without a time.
func (w *Writer) create(path string) error {
	if !validPath(path) {
		return fmt.Errorf("naming a file of the bundle %.128q: want segments of letters, digits, '.', '_' and '-' joined by '/'", path)
	}
	out, err := w.zip.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Store})
	if err != nil {
		return fmt.Errorf("beginning %s: %w", path, err)
	}
	w.out = &counter{path: path, w: out}
	if !strings.HasPrefix(path, entriesDir) && path != balancesPath {
		w.out.sum = sha256.New()
	}
	return nil
}

// close ends a member and lists it. m says what is known of a tree.
func (w *Writer) close(m Member) {
	m.Path, m.Bytes = w.out.path, w.out.bytes
	if w.out.sum != nil {
		m.Digest = chain.Hash(w.out.sum.Sum(nil))
	}
	w.manifest.Members = append(w.manifest.Members, m)
	w.out = nil
}
