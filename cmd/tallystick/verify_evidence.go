package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/signer"
	"tallystick/ledger/store"
	"tallystick/reconcile"
)

// maxEvidenceFile is the most bytes of a file that is held against a ledger.
const maxEvidenceFile = 64 << 20

// verifyEvidence is how far verify goes, and what it holds against the ledger.
type verifyEvidence struct {
	Level       *int          `placeholder:"N" help:"How far to go, each level including those before. 0: newest checkpoint, signatures, age. 1: it extends --since. 2: chain and tree of the entries since then. 3: everything re-derived from columns. 4 (default): tables and rights. 5: evidence from outside, below."`
	Since       string        `placeholder:"FILE" type:"existingfile" help:"Checkpoint that you kept: the ledger must extend it."`
	Policy      string        `placeholder:"FILE" type:"existingfile" help:"Whose signatures count, and which witnesses (C2SP tlog-policy)."`
	Fresh       time.Duration `placeholder:"DURATION" help:"How old the newest checkpoint and its cosignatures may be, such as 10m."`
	Receipt     []string      `placeholder:"FILE" type:"existingfile" help:"Receipt of a client (.tlog-proof) whose entry must stand here; may be repeated."`
	Checkpoint  []string      `placeholder:"FILE" type:"existingfile" help:"Signed checkpoint from an archive or a witness that the ledger must extend; may be repeated."`
	SignerState string        `placeholder:"FILE" type:"existingfile" help:"State file of the signer."`
	Compare     twoFiles      `placeholder:"A.cp B.cp" help:"Hold two signed checkpoints against each other, with no database; with --policy or --key."`
	Key         []string      `placeholder:"KEY" help:"Verifier key of a signer that you trust, for --compare or a bundle; may be repeated."`
	HTML        string        `name:"html" placeholder:"FILE" help:"Write the report as a page to print, too."`
}

// twoFiles is a flag that takes two files.
type twoFiles struct{ a, b string }

func (f *twoFiles) given() bool { return f.a != "" }

// Decode reads the two files of the flag.
func (f *twoFiles) Decode(ctx *kong.DecodeContext) error {
	for _, into := range []*string{&f.a, &f.b} {
		token := ctx.Scan.Pop()
		text, ok := token.Value.(string)
		if token.IsEOL() || !ok || strings.HasPrefix(text, "--") || text == "" {
			return errors.New("it takes two files, A.cp B.cp")
		}
		*into = text
	}
	return nil
}

// about reports whether a flag is given that only a ledger in a database is held
// against.
func (c *verifyEvidence) about() bool {
	return c.Since != "" || c.Level != nil || c.Fresh != 0 || len(c.Receipt)+len(c.Checkpoint) > 0 || c.SignerState != "" || c.HTML != ""
}

// options reads the files that are held against the ledger.
func (c *verifyEvidence) options(all bool) (reconcile.Options, error) {
	options := reconcile.Options{Fresh: c.Fresh, Others: !all, SuperLog: true, Stored: true}
	outside := len(c.Receipt)+len(c.Checkpoint) > 0 || c.SignerState != ""
	switch {
	case len(c.Key) > 0:
		return options, errors.New("reading --key: it is for --compare and for bundles; a ledger is held against --policy")
	case c.Fresh < 0:
		return options, fmt.Errorf("reading --fresh %s: it is a time to look back", c.Fresh)
	case all && (c.Since != "" || len(c.Receipt)+len(c.Checkpoint) > 0):
		return options, errors.New("reading --since, --receipt or --checkpoint: they are about one ledger; name it with --ledger instead of --all")
	case c.Level != nil:
		level, err := reconcile.LevelNumbered(*c.Level)
		if err != nil {
			return options, err
		}
		if outside && level < reconcile.LevelEvidence {
			return options, fmt.Errorf("reading --level %d: --receipt, --checkpoint and --signer-state are of level %d", *c.Level, reconcile.LevelEvidence.Number())
		}
		options.Level = level
	case outside:
		options.Level = reconcile.LevelEvidence
	}
	var err error
	if c.Policy != "" {
		if options.Policy, err = readPolicy(c.Policy); err != nil {
			return options, err
		}
	}
	for _, one := range []struct {
		path string
		into **reconcile.Document
	}{{c.Since, &options.Since}, {c.SignerState, &options.SignerState}} {
		if one.path == "" {
			continue
		}
		doc, err := readDocument(one.path)
		if err != nil {
			return options, err
		}
		*one.into = &doc
	}
	if options.Receipts, err = readDocuments(c.Receipt); err != nil {
		return options, err
	}
	options.Archived, err = readDocuments(c.Checkpoint)
	return options, err
}

func readDocuments(paths []string) ([]reconcile.Document, error) {
	if len(paths) > reconcile.MaxDocuments {
		return nil, fmt.Errorf("reading %d files: at most %d are held against a ledger at once", len(paths), reconcile.MaxDocuments)
	}
	var all []reconcile.Document
	for _, path := range paths {
		doc, err := readDocument(path)
		if err != nil {
			return nil, err
		}
		all = append(all, doc)
	}
	return all, nil
}

func readDocument(path string) (reconcile.Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return reconcile.Document{}, fmt.Errorf("reading evidence: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxEvidenceFile+1))
	switch {
	case err != nil:
		return reconcile.Document{}, fmt.Errorf("reading evidence: %w", err)
	case len(data) > maxEvidenceFile:
		return reconcile.Document{}, fmt.Errorf("reading %s: more than %d bytes", path, maxEvidenceFile)
	}
	return reconcile.Document{Name: filepath.Base(path), Data: data}, nil
}

// compare holds two checkpoints against each other, with no database.
func (c *verifyCommand) compare(stdout io.Writer) error {
	if c.All || c.Ledger != "" || c.about() {
		return errors.New("reading --compare: it takes two files, --policy, --key and --json, and nothing else")
	}
	var keys []chain.VerifierKey
	if c.Policy != "" {
		policy, err := readPolicy(c.Policy)
		if err != nil {
			return err
		}
		keys = policy.Keys()
	}
	for _, text := range c.Key {
		key, err := chain.ParseLogKey(text)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	docs, err := readDocuments([]string{c.Compare.a, c.Compare.b})
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		keys = c.localKey(docs)
	}
	report, err := reconcile.Compare(docs[0], docs[1], keys)
	if err != nil {
		return err
	}
	if err := c.print(stdout, &report); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if code := exitCodeOf(report.Status); code != exitFine {
		return exitError{code}
	}
	return nil
}

// localKey returns the key of the signer whose data folder this is, if it has signed
// all of the checkpoints.
func (c *verifyCommand) localKey(checkpoints []reconcile.Document) []chain.VerifierKey {
	key, err := signer.ReadKey(signerFiles{}.within(c.DataDir).Key)
	if err != nil {
		return nil
	}
	var keys []chain.VerifierKey
	for _, doc := range checkpoints {
		s, _ := chain.OpenCheckpoint(doc.Data) // what is no checkpoint has no origin
		verifier, err := key.LogKey(s.Origin)
		if err != nil {
			return nil
		}
		if _, err := chain.OpenCheckpoint(doc.Data, verifier); err != nil {
			return nil
		}
		keys = []chain.VerifierKey{verifier}
	}
	return keys
}

// writeHTML writes reports as one page, in place of the file or not at all.
func writeHTML(path string, reports []reconcile.Report) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	defer os.Remove(file.Name())
	err = errors.Join(reconcile.WriteHTML(file, reports), file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// findLedger returns the id of a ledger by its name or UUID.
func findLedger(ctx context.Context, db *store.DB, name string) (uuid.UUID, error) {
	id, err := reconcile.FindLedger(ctx, db, name)
	if errors.Is(err, reconcile.ErrUnknownLedger) {
		err = hintMissing(ctx, db, err)
	}
	return id, err
}

// hintMissing adds to an unknown name which ledgers vanished whole: their names
// vanished with them.
func hintMissing(ctx context.Context, db *store.DB, unknown error) error {
	missing, err := reconcile.Missing(ctx, db, nil)
	if err != nil || len(missing) == 0 {
		return unknown
	}
	ids := make([]string, len(missing))
	for i := range missing {
		ids[i] = missing[i].String()
	}
	return fmt.Errorf("%w\nhint: the super-log names ledgers of which nothing is left; verify them by id: %s", unknown, strings.Join(ids, ", "))
}
