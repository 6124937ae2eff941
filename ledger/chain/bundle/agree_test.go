package bundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

// verdict is what a verifier says of a file: its exit code, and the codes of
// what is critical, in ascending order.
type verdict struct {
	exit  int
	codes string
}

// trial is a file that both verifiers are to judge, and what they must say: an
// exit code, and a code among the findings unless code is empty.
type trial struct {
	name   string
	file   []byte
	signer *book // whose key the auditor has; nil: the bundle's own keys count
	exit   int
	code   string
}

// agree runs both verifiers over all files and holds them against each other.
func agree(t *testing.T, trials []trial) {
	t.Helper()
	theirs := pythonAll(t, trials)
	for i, c := range trials {
		ours := inGo(t, c.file, c.signer)
		if ours.exit != c.exit || theirs[i].exit != c.exit {
			t.Errorf("%s: %d (%s), python %d (%s), want %d %s", c.name, ours.exit, ours.codes, theirs[i].exit, theirs[i].codes, c.exit, c.code)
		}
		if !strings.Contains(ours.codes, c.code) || !strings.Contains(theirs[i].codes, c.code) {
			t.Errorf("%s: %s, python %s, want %s", c.name, ours.codes, theirs[i].codes, c.code)
		}
	}
}

// inGo returns the verdict of this package.
func inGo(tb testing.TB, file []byte, signer *book) verdict {
	tb.Helper()
	var o bundle.Options
	if signer != nil {
		o = trusting(tb, signer)
	}
	r, err := bundle.Verify(tb.Context(), bytes.NewReader(file), int64(len(file)), o)
	if err != nil {
		if !errors.Is(err, bundle.ErrNotBundle) {
			tb.Fatal(err)
		}
		return verdict{exit: 3}
	}
	var found []string
	for _, f := range r.Findings {
		if f.Severity == chain.Critical {
			found = append(found, f.Code)
		}
	}
	v := verdict{exit: 2, codes: sortedSet(found)}
	switch r.Status {
	case bundle.Verified:
		v.exit = 0
	case bundle.Tampered:
		v.exit = 1
	}
	return v
}

func sortedSet(list []string) string {
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " ")
}

// judges runs verify_bundle.py over many files in one process. A line of its
// input is a path, and a key if there is one; a line of its output the exit code.
const judges = `
import contextlib, io, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import verify_bundle
for line in sys.stdin:
    path, _, key = line.rstrip("\n").partition("\t")
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = verify_bundle.main([path] + (["--key", key] if key else []))
        except Exception as e:
            code = 99
            out.write("%s: %s" % (type(e).__name__, e))
    print("%d %r" % (code, out.getvalue()))
`

var pythonCode = regexp.MustCompile(`  ([A-Z]+_[A-Z_]+): `)

// pythonAll returns what verify_bundle.py says of each file.
func pythonAll(t *testing.T, trials []trial) []verdict {
	t.Helper()
	interpreter, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	dir := t.TempDir()
	var input strings.Builder
	for i, c := range trials {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		input.WriteString(path)
		if c.signer != nil {
			input.WriteString("\t" + c.signer.verifierKey(t).String())
		}
		input.WriteByte('\n')
	}
	if _, err := os.ReadFile("../../../scripts/verify_bundle.py"); err != nil { // a cached result is about this text
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), interpreter, "-c", judges, "../../../scripts")
	cmd.Stdin = strings.NewReader(input.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []verdict
	for line := range strings.Lines(string(out)) {
		var v verdict
		if _, err := fmt.Sscanf(line, "%d", &v.exit); err != nil {
			t.Fatalf("python says %q", line)
		}
		if v.exit == 99 {
			t.Errorf("python, on %s: %s", trials[len(all)].name, line)
		}
		var found []string
		for _, m := range pythonCode.FindAllStringSubmatch(line, -1) {
			found = append(found, m[1])
		}
		v.codes = sortedSet(found)
		all = append(all, v)
	}
	if len(all) != len(trials) {
		t.Fatalf("python judged %d of %d files", len(all), len(trials))
	}
	return all
}
