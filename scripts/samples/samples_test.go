package samples_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"tallystick/scripts/samples"
)

func TestSampleIsFoundInTheNamedFolder(t *testing.T) {
	folder := t.TempDir()
	want := filepath.Join(folder, "statements", "a.txt")
	if err := os.MkdirAll(filepath.Dir(want), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(want, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(samples.FolderVariable, folder)
	if got := samples.Path(t, "statements/a.txt"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSampleIsFoundBesideTheProject(t *testing.T) {
	t.Setenv(samples.FolderVariable, "")
	top := t.TempDir()
	inside := filepath.Join(top, "project", "reconcile", "bankfile")
	for _, dir := range []string{inside, filepath.Join(top, "shared", "samples", "amlsim")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(top, "project", "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(inside)
	if _, err := samples.Find("amlsim"); err != nil {
		t.Error(err)
	}
	if _, err := samples.Find("absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want it not to exist", err)
	}
}

func TestVectorsAreFoundInTheNamedFolder(t *testing.T) {
	folder := t.TempDir()
	want := filepath.Join(folder, "rfc6962")
	if err := os.Mkdir(want, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv(samples.VectorsVariable, folder)
	if got := samples.Vectors(t, "rfc6962"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// outcome stands in for a test and records how it ended.
type outcome struct {
	testing.TB
	ended string
}

func (o *outcome) Helper()               {}
func (o *outcome) Fatalf(string, ...any) { o.ended = "failed" }
func (o *outcome) Skipf(string, ...any)  { o.ended = "skipped" }

func TestAbsentSampleSkipsUnlessRequired(t *testing.T) {
	t.Setenv(samples.FolderVariable, t.TempDir())
	t.Setenv(samples.VectorsVariable, t.TempDir())
	for required, want := range map[string]string{"": "skipped", "0": "skipped", "1": "failed"} {
		t.Setenv(samples.RequireVariable, required)
		o := &outcome{TB: t}
		samples.Path(o, "absent")
		if o.ended != want {
			t.Errorf("%s=%q: the test is %q, want %q", samples.RequireVariable, required, o.ended, want)
		}
		o = &outcome{TB: t}
		samples.Vectors(o, "absent")
		if o.ended != want {
			t.Errorf("%s=%q: the test of vectors is %q, want %q", samples.RequireVariable, required, o.ended, want)
		}
	}
}
