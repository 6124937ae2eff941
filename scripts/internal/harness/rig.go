package harness

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tallystick/ledger/store/engine"
)

// Rig is a place to run servers in: a temporary folder with a data folder, a
// binary and an admin key that all of its servers share.
type Rig struct {
	Binary  string // path of tallystick
	Dir     string // temporary; logs of the servers, and the data folder
	DataDir string
	Key     string // admin key, a bearer token
	// ServeArgs are given to every server that is started, beside its address and
	// folder.
	ServeArgs []string
	servers   []*Server
	keep      bool
}

// closeTimeout bounds the end of an engine that was left behind.
const closeTimeout = 2 * time.Minute

// NewRig prepares a folder and, unless binary names one, builds tallystick
// into it. With keep the folder stays after Close, for a look at what happened.
func NewRig(ctx context.Context, binary string, keep bool) (*Rig, error) {
	dir, err := os.MkdirTemp("", "tallystick-rig-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary folder: %w", err)
	}
	rig := &Rig{Binary: binary, Dir: dir, DataDir: filepath.Join(dir, "data"), Key: rand.Text() + rand.Text(), keep: keep}
	if binary == "" {
		if rig.Binary, err = build(ctx, dir); err != nil {
			return nil, errors.Join(err, rig.Close(ctx))
		}
	}
	return rig, nil
}

// prebuilt is the binary that RunTests has built.
var prebuilt string

func build(ctx context.Context, dir string) (binary string, err error) {
	if prebuilt != "" {
		return prebuilt, nil
	}
	binary = filepath.Join(dir, "tallystick")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "tallystick/cmd/tallystick").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building tallystick: %w\n%s", err, out)
	}
	return binary, nil
}

// RunTests is for a package's TestMain: it builds tallystick once for all rigs
// of its tests, runs them and returns the exit code.
func RunTests(ctx context.Context, m interface{ Run() int }) int {
	dir, err := os.MkdirTemp("", "tallystick-rig-")
	if err == nil {
		defer os.RemoveAll(dir)
		prebuilt, err = build(ctx, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
		return 1
	}
	return m.Run()
}

// Close ends the servers that still run, the engine when a killed server left
// it behind, and removes the folder. It works after ctx has ended, too.
func (r *Rig) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	var failed []error
	orphan := false
	for _, s := range r.servers {
		failed = append(failed, s.Stop())
		orphan = orphan || s.failed != nil
	}
	if orphan {
		// The last user of an engine stops it: become that user.
		e, err := engine.Start(ctx, engine.Options{DataDir: r.DataDir})
		if err == nil {
			err = e.Stop(ctx)
		}
		failed = append(failed, err)
	}
	if !r.keep {
		failed = append(failed, os.RemoveAll(r.Dir))
	}
	return errors.Join(failed...)
}

// Verdict is what verify says. ExitCode is 0 when everything holds.
type Verdict struct {
	ExitCode int               `json:"-"`
	Status   string            `json:"status"`
	Size     int64             `json:"size"`
	Head     string            `json:"head"`
	Checked  int64             `json:"entries_checked"`
	Findings []json.RawMessage `json:"findings"`
}

// runTimeout bounds one command, such as a verification.
const runTimeout = 10 * time.Minute

// Verify runs `tallystick verify --json` for one ledger. A verdict of tampered
// or incomplete is no error.
func (r *Rig) Verify(ctx context.Context, ledger string) (Verdict, error) {
	var v Verdict
	out, code, err := r.Run(ctx, "verify", "--json", "--ledger", ledger, "--data-dir", r.DataDir)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(out, &v); err != nil {
		return v, fmt.Errorf("reading what verify printed, exit code %d: %w\n%s", code, err, out)
	}
	v.ExitCode = code
	return v, nil
}

// Run runs a command of tallystick to its end and returns what it printed on
// stdout, or on stderr when that was nothing and it failed, and its exit code.
// The key stands in its environment.
func (r *Rig) Run(ctx context.Context, args ...string) (stdout []byte, code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.Binary, args...)
	cmd.Env = append(r.environment(), "TALLYSTICK_API_KEY="+r.Key)
	stdout, err = cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		if len(stdout) == 0 {
			stdout = exit.Stderr // why there is nothing
		}
		return stdout, exit.ExitCode(), nil
	}
	if err != nil {
		err = fmt.Errorf("running tallystick %s: %w", args[0], err)
	}
	return stdout, 0, err
}

// ErrNotVerified says that verify found something, or could not check it all.
var ErrNotVerified = errors.New("not verified")

// MustVerify returns ErrNotVerified unless the ledger is verified with exit
// code 0.
func (r *Rig) MustVerify(ctx context.Context, ledger string) (Verdict, error) {
	v, err := r.Verify(ctx, ledger)
	if err == nil && (v.ExitCode != 0 || v.Status != "verified") {
		err = fmt.Errorf("%w: ledger %s is %s, exit code %d: %s", ErrNotVerified, ledger, v.Status, v.ExitCode, v.Findings)
	}
	return v, err
}

// environment is that of a tallystick process: ours without any setting that
// could lead it to another database or key.
func (r *Rig) environment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "COCKROACH_BINARY", "TALLYSTICK_ENGINE"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, "TALLYSTICK_ADMIN_KEY="+r.Key)
}
