// Package samples finds the real-world sample data that tests and scripts read: the folder shared/samples
// beside the project's own folder, or the one that TALLYSTICK_SAMPLES names; and the test vectors that
// others have published: shared/vectors, or TALLYSTICK_VECTORS. They are not part of the repository, so a
// test that needs them is skipped where they are absent, and says so; with REQUIRE_SAMPLES=1, which a
// machine that has the data sets, it fails instead.
package samples

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Environment variables.
const (
	// FolderVariable names another folder of samples.
	FolderVariable = "TALLYSTICK_SAMPLES"
	// VectorsVariable names another folder of test vectors.
	VectorsVariable = "TALLYSTICK_VECTORS"
	// RequireVariable makes absent samples or vectors a failure when it is 1.
	RequireVariable = "REQUIRE_SAMPLES"
)

// Find returns the path of a sample, such as "amlsim" or "statements/mt940.txt". The error says where it was
// looked for; it is an fs.ErrNotExist if the sample is absent.
func Find(name string) (string, error) { return find("samples", FolderVariable, name) }

func find(kind, variable, name string) (string, error) {
	folder := os.Getenv(variable)
	if folder == "" {
		root, err := projectRoot()
		if err != nil {
			return "", err
		}
		folder = filepath.Join(root, "..", "shared", kind)
	}
	path := filepath.Join(folder, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("finding %s in the %s: %w\nhint: %s names another folder of them", name, kind, err, variable)
	}
	return path, nil
}

// Path returns the path of a sample; without it, the test is skipped, or fails if samples are required.
func Path(tb testing.TB, name string) string {
	tb.Helper()
	return require(tb, "samples", FolderVariable, name)
}

// Vectors returns the path of published test vectors, such as "rfc6962", in the way of Path.
func Vectors(tb testing.TB, name string) string {
	tb.Helper()
	return require(tb, "vectors", VectorsVariable, name)
}

func require(tb testing.TB, kind, variable, name string) string {
	tb.Helper()
	path, err := find(kind, variable, name)
	switch {
	case err == nil:
		return path
	case os.Getenv(RequireVariable) == "1":
		tb.Fatalf("%s=1: %v", RequireVariable, err)
	default:
		tb.Skipf("no %s in the %s (%s=1 makes this a failure)", name, kind, RequireVariable)
	}
	return ""
}

// projectRoot is the nearest folder above the working folder that holds go.mod.
func projectRoot() (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the project: %w", err)
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding the project: no go.mod above %s: %w", here, fs.ErrNotExist)
		}
	}
}
