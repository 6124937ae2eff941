package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/schollz/progressbar/v3"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
	"tallystick/ledger/signer"
	"tallystick/ledger/store"
	"tallystick/scripts"
)

const (
	// bundlePage is how many entries are read from the database at once.
	bundlePage = 4000
	// bundleBuffer is how much of a bundle is written at once.
	bundleBuffer = 1 << 20
)

// bundleCreateCommand writes an evidence bundle: tallystick bundle create.
type bundleCreateCommand struct {
	Database `embed:""`
	Ledger   string   `default:"main" placeholder:"NAME" help:"Name or UUID of the ledger; main by default."`
	Out      string   `required:"" type:"path" placeholder:"FILE.zip" help:"Where to write the bundle. A file that is there already is left alone."`
	Size     int64    `placeholder:"N" help:"The ledger as of the first checkpoint that covers N entries; by default, as of the newest."`
	Since    []string `type:"existingfile" placeholder:"FILE.cp" help:"An earlier signed checkpoint to put in, with the proof that nothing before it was changed. Repeat for several."`
	Policy   string   `type:"existingfile" placeholder:"FILE" help:"A C2SP tlog-policy to put in: signers and witnesses."`
	Texts    bool     `default:"true" negatable:"" help:"Put in descriptions, references and metadata, with what proves them."`
	Key      string   `type:"existingfile" placeholder:"FILE" help:"Signing key to sign the manifest with, too."`
}

// Run writes the bundle and says what is in it.
func (c *bundleCreateCommand) Run(ctx context.Context) error {
	return c.run(ctx, os.Stdout, os.Stderr)
}

func (c *bundleCreateCommand) run(ctx context.Context, stdout io.Writer, stderr *os.File) error {
	if _, err := os.Lstat(c.Out); err == nil {
		return fmt.Errorf("creating %s: it is there already\nhint: name another file, or remove it first", c.Out)
	}
	if c.Size < 0 {
		return fmt.Errorf("reading --size %d: it is a number of entries", c.Size)
	}
	db, disconnect, err := c.ConnectForOnePass(ctx, store.RoleAuditor, 1)
	if err != nil {
		return err
	}
	defer disconnect()
	info, err := namedLedger(ctx, db, c.Ledger)
	if err != nil {
		return err
	}
	making := &bundleMaking{command: c, db: db, info: info, stderr: stderr}
	contents, err := making.contents(ctx)
	if err != nil {
		return fmt.Errorf("making a bundle of ledger %s: %w", c.Ledger, err)
	}
	w, err := making.write(ctx, contents)
	if err != nil {
		return fmt.Errorf("making a bundle of ledger %s: %w", c.Ledger, err)
	}
	return making.describe(stdout, w)
}

// bundleMaking is one bundle under way.
type bundleMaking struct {
	command *bundleCreateCommand
	db      *store.DB
	info    store.LedgerInfo
	stderr  *os.File
}

// contents gathers what a bundle holds beside the entries.
func (m *bundleMaking) contents(ctx context.Context) (bundle.Contents, error) {
	c := bundle.Contents{
		Ledger: m.info.ID.UUID, Origin: m.info.Terms.Origin, Texts: m.command.Texts,
		From:  "tallystick " + version + ", " + m.db.EngineName(),
		Files: map[string][]byte{bundle.FormatPath: chain.Format, bundle.VerifierPath: scripts.VerifyBundle},
	}
	schema, err := m.db.Schema(ctx)
	if err != nil {
		return c, err
	}
	c.Files[bundle.SchemaPath] = []byte(schema)
	if m.command.Policy != "" {
		if c.Policy, err = readBounded(m.command.Policy, chain.MaxPolicy); err != nil {
			return c, err
		}
		policy, err := chain.ParsePolicy(c.Policy)
		if err != nil {
			return c, fmt.Errorf("reading %s: %w", m.command.Policy, err)
		}
		c.Keys = policy.LogKeys(c.Origin)
	}
	if m.command.Key != "" {
		if err := m.signWith(&c); err != nil {
			return c, err
		}
	}
	return c, m.checkpoints(ctx, &c)
}

// signWith has the manifest signed with the key in the file.
func (m *bundleMaking) signWith(c *bundle.Contents) error {
	key, err := signer.ReadKey(m.command.Key)
	if err != nil {
		return err
	}
	public, err := key.VerifierKey(c.Origin)
	if err != nil {
		return err
	}
	verifier, err := chain.ParseLogKey(public)
	if err != nil {
		return err
	}
	c.Keys = append(c.Keys, verifier)
	c.Sign = func(text string) ([]byte, error) { return key.SignText(c.Origin, text) }
	return nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("reading %s: more than %d bytes", path, limit)
	}
	return b, err
}

// checkpoints chooses the checkpoint of the bundle, takes in earlier ones, and
// proves that each extends the one before.
func (m *bundleMaking) checkpoints(ctx context.Context, c *bundle.Contents) error {
	newest, size, err := m.newest(ctx)
	if err != nil {
		return err
	}
	notes := map[int64]chain.SignedCheckpoint{size: newest}
	for _, path := range m.command.Since {
		pin, err := readCheckpoint(path)
		if err != nil {
			return err
		}
		switch other, twice := notes[pin.Size]; {
		case pin.Origin != c.Origin:
			return fmt.Errorf("taking %s: it is of %s, and the ledger of %s", path, pin.Origin, c.Origin)
		case pin.Size > size || pin.Size < 1:
			return fmt.Errorf("taking %s: its size is %d, and that of the bundle %d", path, pin.Size, size)
		case twice && pin.Checkpoint != other.Checkpoint:
			return fmt.Errorf("taking %s: at size %d it has the root %s, and the ledger's own checkpoint %s: that is a fork\nhint: keep both, and run tallystick verify --compare", path, pin.Size, pin.Root, other.Root)
		case !twice:
			notes[pin.Size] = pin
		}
	}
	c.Proofs = make(map[int64][]chain.Hash)
	read := m.db.Nodes(ctx, c.Ledger)
	var before *chain.SignedCheckpoint
	for _, at := range slices.Sorted(maps.Keys(notes)) {
		next := notes[at]
		c.Checkpoints = append(c.Checkpoints, next.Note)
		if before != nil {
			proof, err := chain.ProveConsistency(before.Size, at, read)
			if err == nil {
				err = chain.VerifyConsistency(before.Size, at, before.Root, next.Root, proof)
			}
			if err != nil {
				return fmt.Errorf("proving that size %d extends size %d: %w\nhint: tallystick verify says what was changed", at, before.Size, err)
			}
			c.Proofs[before.Size] = proof
		}
		before = &next
	}
	return nil
}

// newest returns the checkpoint that the bundle is about.
func (m *bundleMaking) newest(ctx context.Context) (chain.SignedCheckpoint, int64, error) {
	var stored store.StoredCheckpoint
	var err error
	if m.command.Size > 0 {
		stored, err = m.db.FirstCheckpoint(ctx, m.info.ID.UUID, m.command.Size)
	} else {
		stored, err = m.db.LastCheckpoint(ctx, m.info.ID.UUID)
	}
	if errors.Is(err, store.ErrNotFound) {
		return chain.SignedCheckpoint{}, 0, fmt.Errorf("looking for a signed checkpoint of %d entries or more: there is none\nhint: tallystick serve and tallystick signer sign them; a smaller --size may have one", max(m.command.Size, 1))
	}
	if err != nil {
		return chain.SignedCheckpoint{}, 0, err
	}
	note := stored.Note
	shown, err := m.db.ShownCheckpoint(ctx, m.info.ID.UUID)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return chain.SignedCheckpoint{}, 0, err
	case shown.Size == stored.Size:
		note = shown.Note // it has the cosignatures
	}
	signed, err := parseSigned(note)
	if err != nil || signed.Size != stored.Size {
		return signed, 0, fmt.Errorf("reading the checkpoint of size %d: it says %d: %w", stored.Size, signed.Size, errors.Join(err, bundle.ErrSource))
	}
	return signed, stored.Size, nil
}

// readCheckpoint reads a file with a signed checkpoint, without verifying it.
func readCheckpoint(path string) (chain.SignedCheckpoint, error) {
	note, err := readBounded(path, chain.MaxCheckpoint)
	if err != nil {
		return chain.SignedCheckpoint{}, err
	}
	signed, err := parseSigned(note)
	if err != nil {
		return signed, fmt.Errorf("reading %s: %w", path, err)
	}
	return signed, nil
}

// parseSigned reads what a checkpoint says; who signed it is for the verifier.
func parseSigned(note []byte) (chain.SignedCheckpoint, error) {
	signed, err := chain.OpenCheckpoint(note)
	if errors.Is(err, chain.ErrUnknownKey) {
		err = nil
	}
	return signed, err
}

// write writes the file under a temporary name beside it, so that what stands
// under its name is whole.
func (m *bundleMaking) write(ctx context.Context, c bundle.Contents) (*bundle.Writer, error) {
	dir := filepath.Dir(m.command.Out)
	file, err := os.CreateTemp(dir, ".bundle-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name()) // gone by then when all went well
	defer file.Close()
	var spool *os.File
	if c.Texts {
		if spool, err = os.CreateTemp(dir, ".texts-*"); err != nil {
			return nil, err
		}
		defer os.Remove(spool.Name())
		defer spool.Close()
	}
	out := bufio.NewWriterSize(file, bundleBuffer)
	w, err := bundle.NewWriter(out, spool, c)
	if err != nil {
		return nil, err
	}
	if err := m.entries(ctx, w); err != nil {
		return nil, err
	}
	err = w.Close()
	if errors.Is(err, bundle.ErrSource) {
		return nil, fmt.Errorf("%w\nhint: the ledger is not what was signed; tallystick verify says what was changed", err)
	}
	if err := errors.Join(err, out.Flush(), file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return nil, err
	}
	return w, os.Rename(file.Name(), m.command.Out)
}

// entries puts the entries in, with a progress bar if somebody is watching.
func (m *bundleMaking) entries(ctx context.Context, w *bundle.Writer) error {
	step := func(int) {}
	if isTerminal(m.stderr) {
		bar := progressbar.NewOptions64(w.Size(), progressbar.OptionSetWriter(m.stderr), progressbar.OptionThrottle(progressEvery),
			progressbar.OptionSetDescription("bundling"), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("entries"), progressbar.OptionClearOnFinish())
		step = func(n int) { _ = bar.Add(n) }
		defer func() { _ = bar.Finish() }()
	}
	var canonical []byte
	for next := int64(0); next < w.Size(); {
		page, err := m.db.Evidence(ctx, m.info.ID, next-1, int(min(bundlePage, w.Size()-next)))
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return fmt.Errorf("reading entry %d: it is not there\nhint: tallystick verify says what was changed", next)
		}
		for i := range page {
			e := page[i].Record()
			if e.Seq != next {
				return fmt.Errorf("reading entry %d: entry %d stands in its place\nhint: tallystick verify says what was changed", next, e.Seq)
			}
			canonical = e.AppendCanonical(canonical[:0])
			text := page[i].Text()
			if err := w.Add(canonical, bundleText(&e, &text)); err != nil {
				return err
			}
			next++
		}
		step(len(page))
	}
	return nil
}

// bundleText returns the texts that an entry commits to and that are there.
func bundleText(e *chain.Entry, t *ledger.Text) *bundle.Text {
	if e.Description == nil && e.Reference == nil && e.Metadata == nil || len(t.Salt) != chain.SaltSize {
		return nil
	}
	return &bundle.Text{Salt: t.Salt, Description: t.Description, Reference: t.Reference, Metadata: t.Metadata}
}

// describe says what was written.
func (m *bundleMaking) describe(w io.Writer, b *bundle.Writer) error {
	info, err := os.Stat(m.command.Out)
	if err != nil {
		return err
	}
	texts := "with texts: keep it as you keep the ledger itself"
	if !m.command.Texts {
		texts = "without texts"
	}
	fmt.Fprintf(w, "%s holds ledger %s at size %d, %d bytes, %s\n", m.command.Out, m.info.Terms.Name, b.Size(), info.Size(), texts)
	if len(b.Keys()) == 0 {
		fmt.Fprintf(w, "it brings no key: the auditor needs the signer's verifier key\n")
	}
	_, err = fmt.Fprintf(w, "check it with tallystick verify %[1]s, or unzip verify_bundle.py and run python3 verify_bundle.py %[1]s\n", filepath.Base(m.command.Out))
	return err
}
