package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module makes a module whose tests end in every way a test can end.
func module(t *testing.T, source string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":    "module tried\n\ngo 1.26.0\n",
		"a_test.go": "package tried\n\nimport \"testing\"\nimport \"strings\"\n\nvar _ = strings.Repeat\n\n" + source,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

func runTests(t *testing.T, source string, args ...string) (code int, output string) {
	t.Helper()
	module(t, source)
	var stdout, stderr bytes.Buffer
	code = run(append(args, "./..."), &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

func expect(t *testing.T, output string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(output, want) {
			t.Errorf("no %q in:\n%s", want, output)
		}
	}
}

func TestPassingTestsAreOneLineAndSkipsAreListed(t *testing.T) {
	code, out := runTests(t, `
func TestGood(t *testing.T) { t.Log("chatter") }
func TestLater(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Log("chatter"); t.Skip("no sample data here") }) }
func TestLong(t *testing.T) { t.Skip(strings.Repeat("x", 500)) }
func TestSilent(t *testing.T) { t.SkipNow() }
`)
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	expect(t, out, "ok  \ttried\t", "tried TestLater/sub: a_test.go:10: no sample data here\n", "tried TestSilent: no reason given\n", "xxx…\n", "2 passed, 0 failed, 3 skipped\n")
	if strings.Contains(out, "chatter") {
		t.Errorf("a passing test's log is printed:\n%s", out)
	}
}

func TestFailureIsPrintedInFull(t *testing.T) {
	code, out := runTests(t, `
func TestBad(t *testing.T) { t.Error("the sum is wrong") }
func TestGood(t *testing.T) {}
`)
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	expect(t, out, "--- FAIL: TestBad", "a_test.go:9: the sum is wrong", "FAIL\ttried", "1 passed, 1 failed, 0 skipped")
}

func TestCrashNamesTheUnfinishedTest(t *testing.T) {
	code, out := runTests(t, `
func TestCrash(t *testing.T) { t.Log("before"); go func() { panic("boom") }(); select {} }
`)
	if code == 0 {
		t.Error("exit code 0")
	}
	expect(t, out, "TestCrash", "boom", "FAIL\ttried")
}

func TestTimeoutFails(t *testing.T) {
	code, out := runTests(t, `
func TestHang(t *testing.T) { <-make(chan int) }
`, "-timeout=1s")
	if code == 0 {
		t.Error("exit code 0")
	}
	expect(t, out, "test timed out after 1s", "TestHang")
}

func TestBuildErrorFails(t *testing.T) {
	code, out := runTests(t, `
func TestTypo(t *testing.T) { t.Eror("x") }
`)
	if code == 0 {
		t.Error("exit code 0")
	}
	expect(t, out, "t.Eror undefined", "[build failed]", "0 passed, 1 failed, 0 skipped")
}
