package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program puts an executable of a few lines of shell into a folder.
func program(t *testing.T, dir, name, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// shell runs one of our scripts with the given environment alone, and folder before the usual PATH.
func shell(t *testing.T, folder string, env []string, script string, args ...string) (output string, err error) {
	t.Helper()
	cmd := exec.Command("sh", append([]string{script}, args...)...)
	cmd.Env = append([]string{"PATH=" + folder + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + folder}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestScriptsAreSyntacticallyRight(t *testing.T) {
	t.Parallel()
	all, err := filepath.Glob("*.sh")
	if err != nil || len(all) < 4 {
		t.Fatalf("found %v, %v", all, err)
	}
	for _, script := range append(all, "../.ci/run") {
		interpreter := "sh"
		if script == "../.ci/run" {
			interpreter = "bash"
		}
		if out, err := exec.Command(interpreter, "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

// A fake go that says how it was called: the toolchain is fetched unless somebody said otherwise.
func TestToolchainIsFetchedUnlessTheUserChose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, goenv string
		env         []string
		want        string
	}{
		{"a distribution that forbids it", "", nil, "toolchain=auto"},
		{"a choice in the environment", "", []string{"GOTOOLCHAIN=local"}, "toolchain=local"},
		{"a choice by go env -w", "GOTOOLCHAIN=go1.26.1\n", nil, "toolchain="},
		{"another choice by go env -w", "GOPROXY=off\n", nil, "toolchain=auto"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "goenv"), []byte(c.goenv), 0o600); err != nil {
				t.Fatal(err)
			}
			program(t, dir, "go", `case "$*" in
"env GOENV") echo '`+dir+`/goenv' ;;
"env GOFLAGS") echo -tags=mine ;;
*) echo "toolchain=$GOTOOLCHAIN"; echo "flags=$GOFLAGS"; echo "args=$*" ;;
esac`)
			out, err := shell(t, dir, c.env, "go.sh", "build", "./x y")
			if err != nil {
				t.Fatal(err, out)
			}
			want := c.want + "\nflags=-tags=mine -buildvcs=false\nargs=build ./x y\n"
			if out != want {
				t.Errorf("got:\n%s\nwant:\n%s", out, want)
			}
		})
	}
}

// With everything there, setting up needs neither root nor the network.
func TestNothingMissingInstallsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, forbidden := range []string{"apt-get", "apt-cache", "sudo"} {
		program(t, dir, forbidden, "echo called: $0; exit 1")
	}
	program(t, dir, "cockroach", "exit 1") // found, not run
	for _, tool := range []string{"curl", "jq", "hledger", "xmllint"} {
		program(t, dir, tool, "exit 1")
	}
	for _, env := range [][]string{
		{"SSL_CERT_FILE=/x"},
		{"SSL_CERT_FILE=/x", "COCKROACH_BINARY=" + dir + "/cockroach"},
		{"SSL_CERT_FILE=/x", "TALLYSTICK_DATABASE_URL=postgres://elsewhere/db", "TALLYSTICK_ENGINE=postgres"},
	} {
		if out, err := shell(t, dir, env, "install.sh", "engine", "curl", "jq", "hledger", "xmllint"); err != nil || out != "" {
			t.Errorf("with %v: %v, %s", env, err, out)
		}
	}
}

// A missing compiler is installed through sudo by a user and directly by root, and nothing else is.
func TestMissingCompilerIsInstalled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program(t, dir, "apt-get", `echo "apt-get $*" >>`+dir+`/calls`)
	program(t, dir, "sudo", `echo sudo >>`+dir+`/calls; exec "$@"`)
	out, err := shell(t, dir, []string{"SSL_CERT_FILE=/x", "CC=no-such-compiler"}, "install.sh", "compiler")
	if err != nil || !strings.Contains(out, "installing: gcc libc6-dev") {
		t.Fatalf("%v: %s", err, out)
	}
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	want := "apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends gcc libc6-dev\n"
	if os.Geteuid() != 0 {
		want = "sudo\n" + want
	}
	if string(calls) != want {
		t.Errorf("got:\n%s\nwant:\n%s", calls, want)
	}
}

func TestUnknownNeedIsRefused(t *testing.T) {
	t.Parallel()
	out, err := shell(t, t.TempDir(), nil, "install.sh", "oracle")
	if err == nil || !strings.Contains(out, "unknown: oracle") {
		t.Errorf("%v: %s", err, out)
	}
}

// The default target names every other one.
func TestHelpListsEveryTarget(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("make", "-s", "-C", "..").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(string(text)) {
		target, isPhony := strings.CutPrefix(strings.TrimSpace(line), ".PHONY: ")
		if isPhony && !strings.Contains(string(out), "make "+target+" ") {
			t.Errorf("make does not list %s:\n%s", target, out)
		}
	}
}
