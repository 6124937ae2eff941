package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/signer"
	"tallystick/ledger/store"
	"tallystick/ledger/witness"
	"tallystick/reconcile"
)

const (
	// signerConnections bounds the connections of a signer: it must not take
	// from those that post.
	signerConnections = 4
	// signerFolder is where the files of a signer are, below the data folder.
	signerFolder = "signer"
	// findingSource names the signer in stored findings.
	findingSource = "signer"
)

// keyAndState are the flags that say where a signer's key and state are.
type keyAndState struct {
	Key   string `env:"TALLYSTICK_SIGNER_KEY" type:"path" placeholder:"FILE" help:"Signing key, made at the first start; signer/signer.key in the data folder by default."`
	State string `env:"TALLYSTICK_SIGNER_STATE" type:"path" placeholder:"FILE" help:"What was signed, kept outside the database; signer/state.json in the data folder by default."`
}

// signerFiles are the flags that say where key, state and policy are.
type signerFiles struct {
	keyAndState `embed:""`
	Policy      string `env:"TALLYSTICK_SIGNER_POLICY" type:"path" placeholder:"FILE" help:"Policy (C2SP tlog-policy) with the witnesses to ask; nothing is published without its quorum."`
}

// within fills in the defaults.
func (f keyAndState) within(dataDir string) keyAndState {
	if f.Key == "" {
		f.Key = filepath.Join(dataDir, signerFolder, "signer.key")
	}
	if f.State == "" {
		f.State = filepath.Join(dataDir, signerFolder, "state.json")
	}
	return f
}

func (f signerFiles) within(dataDir string) signerFiles {
	f.keyAndState = f.keyAndState.within(dataDir)
	return f
}

// signerCommand signs checkpoints in a process of its own.
type signerCommand struct {
	Database    `embed:""`
	signerFiles `embed:""`
	Host        string   `env:"TALLYSTICK_HOST" placeholder:"NAME" help:"Host name in the origin of the super-log; this machine's by default."`
	Pin         []string `type:"existingfile" placeholder:"FILE.cp" help:"Signed checkpoint that you vouch for, of a ledger whose state is gone. Its entries are all checked again. May be repeated."`
	Ended       []string `env:"TALLYSTICK_SIGNER_ENDED" placeholder:"ORIGIN" help:"Ledger that has lost entries and has a successor: it is refused no longer, and never signed. May be repeated."`
	Once        bool     `help:"Look at every ledger once and exit: 0 when all is signed, 1 when something was refused, 2 when not everything could be checked or published."`
	GoOn        bool     `name:"keep-going" help:"Go on with the other ledgers when one is refused, rather than exit with 1."`
	PrintKey    string   `placeholder:"ORIGIN" help:"Print the verifier key for the ledger with that origin, and exit."`
	LogLevel    string   `env:"TALLYSTICK_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"Least level logged: ${enum}."`
}

// Run signs until ctx ends. It exits with 1 when it refuses to sign.
func (c *signerCommand) Run(ctx context.Context) error {
	setUpLog(c.LogLevel)
	c.signerFiles = c.signerFiles.within(c.DataDir)
	if c.PrintKey != "" {
		return c.printKey()
	}
	files, opened, err := c.open(len(c.Pin) > 0)
	if err != nil {
		return refusal(err)
	}
	defer files.Close()
	if opened.Pins, err = readPins(c.Pin, opened.Key); err != nil {
		return err
	}
	opened.Host, opened.Ended = originHost(c.Host), c.Ended
	db, disconnect, err := c.Connect(ctx, store.RoleSigner, signerConnections)
	if err != nil {
		return err
	}
	defer disconnect()
	opened.Database = signerDatabase(db, store.SignedApart)
	circle, err := opened.askWitnesses(ctx)
	if err != nil {
		return err
	}
	defer circle.Close()
	s, err := signer.New(opened.Config)
	if err != nil {
		return err
	}
	if !c.Once {
		return refusal(s.Run(ctx, c.GoOn))
	}
	return c.once(ctx, s)
}

// printKey prints a verifier key, also while a signer runs. Without a key it
// makes one, and a state.
func (c *signerCommand) printKey() error {
	key, err := signer.ReadKey(c.Key)
	if errors.Is(err, fs.ErrNotExist) {
		var files *signer.Files
		var opened *openedSigner
		if files, opened, err = c.open(false); err == nil {
			key, err = opened.Key, files.Close()
		}
	}
	if err != nil {
		return refusal(err)
	}
	text, err := key.VerifierKey(c.PrintKey)
	if err == nil {
		_, err = fmt.Fprintln(os.Stdout, text)
	}
	return err
}

// refusal turns the errors that are a refusal into exit code 1.
func refusal(err error) error {
	if errors.Is(err, signer.ErrRefused) || errors.Is(err, signer.ErrState) || errors.Is(err, signer.ErrStateLost) {
		fmt.Fprintln(os.Stderr, "tallystick:", err)
		return exitError{exitTampered}
	}
	return err
}

// once does rounds until there is nothing left to do at once.
func (c *signerCommand) once(ctx context.Context, s *signer.Signer) error {
	for {
		r, err := s.Round(ctx)
		switch {
		case err != nil:
			return err
		case r.Backlog && r.Failed == 0:
			continue
		case r.Refused > 0:
			return exitError{exitTampered}
		case r.Standby:
			return errors.New("signing once: another replica signs with this key\nhint: stop it, or wait until its lease ends")
		case r.Unchecked > 0 || r.Failed > 0 || r.Waiting > 0:
			return exitError{exitIncomplete}
		}
		return nil
	}
}

// openedSigner is a signer's configuration, as far as its files go.
type openedSigner struct{ signer.Config }

// open locks and reads the files, and makes those that have yet to be made.
func (f signerFiles) open(pinned bool) (*signer.Files, *openedSigner, error) {
	var o openedSigner
	if f.Policy != "" {
		var err error
		if o.Policy, err = readPolicy(f.Policy); err != nil {
			return nil, nil, err
		}
	}
	files, err := signer.OpenFiles(f.State)
	if err != nil {
		return nil, nil, err
	}
	if o.Key, o.State, err = files.Open(f.Key, pinned); err != nil {
		return nil, nil, errors.Join(err, files.Close())
	}
	o.Save = files.Save
	o.Logf = func(format string, args ...any) { slog.Info("signer: " + fmt.Sprintf(format, args...)) }
	o.Alarmf = func(format string, args ...any) { slog.Error("signer: " + fmt.Sprintf(format, args...)) }
	return files, &o, nil
}

// askWitnesses has the witnesses of the policy asked.
func (o *openedSigner) askWitnesses(ctx context.Context) (*witness.Circle, error) {
	policy := o.Policy
	if policy == nil {
		policy = &chain.Policy{}
	}
	circle, err := witness.NewCircle(ctx, policy, witness.Options{})
	if err != nil {
		return nil, err
	}
	if len(policy.Witnesses) > 0 {
		news := newWitnessNews(o.Logf, o.Alarmf)
		o.Cosign = func(ctx context.Context, origin string, signed []byte, prove func(int64) ([]chain.Hash, error)) ([]byte, error) {
			cosigned, err := circle.Gather(ctx, signed, prove)
			news.hear(circle.OutcomesOf(origin))
			return cosigned, err
		}
	}
	return circle, nil
}

// readPins reads checkpoints that the operator vouches for. They must be signed
// by the key that goes on.
func readPins(paths []string, key chain.SigningKey) ([]chain.Checkpoint, error) {
	var pins []chain.Checkpoint
	for _, path := range paths {
		note, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading --pin: %w", err)
		}
		claimed, _ := chain.OpenCheckpoint(note) // without keys: for the origin
		verifier, err := key.LogKey(claimed.Origin)
		if err != nil {
			return nil, fmt.Errorf("reading --pin %s: %w", path, err)
		}
		pin, err := chain.OpenCheckpoint(note, verifier)
		if err != nil {
			return nil, fmt.Errorf("reading --pin %s: %w\nhint: it must be signed by the key in the key file", path, err)
		}
		pins = append(pins, pin.Checkpoint)
	}
	return pins, nil
}

// signerDatabase is what a signer does to the database.
func signerDatabase(db *store.DB, place store.SignerPlace) signer.Database {
	follower := reconcile.NewFollower(db)
	return signer.Database{
		Missing: reconcile.NewSignerKeys(db).Missing,
		Ledgers: func(ctx context.Context) (heads []signer.Head, err error) {
			err = db.LedgerHeads(ctx, func(page []store.LedgerHead) error {
				for _, h := range page {
					heads = append(heads, signer.Head{ID: h.ID, Origin: h.Origin, Size: h.Size, Hash: h.Head})
				}
				return nil
			})
			return heads, err
		},
		Follow: func(ctx context.Context, id uuid.UUID, from signer.Point, most int64) (signer.Step, error) {
			s, err := follower.Follow(ctx, id, reconcile.Point(from), most)
			return signer.Step{Hashes: s.Hashes, Next: signer.Point(s.Next), Size: s.Size, Findings: s.Findings, Unchecked: s.Unchecked}, err
		},
		Checkpoints: func(ctx context.Context, id uuid.UUID, beyond, most int64) ([]signer.Checkpoint, error) {
			stored, err := db.CheckpointsAfter(ctx, id, beyond, most)
			all := make([]signer.Checkpoint, len(stored))
			for i, c := range stored {
				all[i] = signer.Checkpoint{Size: c.Size, Root: c.Root, Note: c.Note, At: c.SignedAt}
			}
			return all, err
		},
		Largest: func(ctx context.Context, id uuid.UUID) (int64, error) {
			c, err := db.LastCheckpoint(ctx, id)
			if errors.Is(err, store.ErrNotFound) {
				return 0, nil
			}
			return c.Size, err
		},
		Nodes: db.Nodes,
		Publish: func(ctx context.Context, id uuid.UUID, nodes []chain.Node, c signer.Checkpoint) error {
			stored := make([]store.TreeNode, len(nodes))
			for i, n := range nodes {
				stored[i] = store.TreeNode(n)
			}
			return db.PublishCheckpoint(ctx, id, stored, store.StoredCheckpoint{Size: c.Size, Root: c.Root, Note: c.Note, SignedAt: c.At}, place)
		},
		Show: func(ctx context.Context, id uuid.UUID, c signer.Checkpoint) error {
			return db.ShowCheckpoint(ctx, id, store.ShownCheckpoint{Size: c.Size, Note: c.Note, PublishedAt: c.At, Signer: place})
		},
		SuperRows: func(ctx context.Context, from, most int64) ([]signer.SuperRow, error) {
			stored, err := db.SuperLeaves(ctx, from, most)
			rows := make([]signer.SuperRow, len(stored))
			for i, l := range stored {
				rows[i] = signer.SuperRow{Position: l.Position, Leaf: l.SuperLeaf, Stored: l.Stored}
			}
			return rows, err
		},
		AppendSuper: db.AppendSuperLeaves,
		Hold: func(ctx context.Context, key string, holder uuid.UUID, lease time.Duration) (bool, error) {
			return db.HoldSigningKey(ctx, key, holder, lease)
		},
		Report: func(ctx context.Context, id uuid.UUID, f chain.Finding) error {
			return db.Report(ctx, ledger.LedgerID{UUID: id}, findingSource, f)
		},
		Finding: reconcile.NewFinding,
	}
}
