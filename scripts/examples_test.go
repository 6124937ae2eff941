package scripts

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tallystick/scripts/internal/harness"
)

// exampleMark stands before a block of the README that is pasted after the
// session's first paragraph.
const exampleMark = "<!-- example -->\n```sh\n"

// answers are what the examples of the README get: of an entry its kind, of a
// refusal its code, of a list how many it has, of a command its first words.
var answers = [][]string{
	{
		"shop", "3 results", "transfer",
		"hold", "limit_exceeded",
		"capture", "hold_captured",
		"reversal, not stored", "reversal", "reversed",
	},
	{"3 results", "transfer", "2 listed", "6 listed"},
	{
		"the books of ledger shop would be closed up to", "the books of ledger shop are closed up to",
		"period_closed", "transfer",
		"the period of ledger shop to", "1 listed",
	},
	{"transfer", "proved: entry", `{"seq":`, "transfer", "proved up to posting", "proved: account"},
	{"8 listed", "trial-balance"},
}

func TestTheExamplesOfTheReadmeWorkWhenPasted(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rig, err := harness.NewRig(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rig.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	server, err := rig.Serve(t.Context(), "examples")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rig.DataDir, "admin.key"), []byte(rig.Key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(rig.Dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(rig.Binary, filepath.Join(rig.Dir, "bin", "tallystick")); err != nil {
		t.Fatal(err)
	}
	for i, told := range paste(t, rig, server.Client.URL(), string(readme)) {
		var got []string
		for line := range strings.Lines(told) {
			if short := shorten(strings.TrimSpace(line)); short != "" {
				got = append(got, short)
			}
		}
		if i >= len(answers) || !matches(got, answers[i]) {
			t.Errorf("example %d is answered with\n%s", i+1, told)
		}
	}
}

// paste runs the first paragraph of the session and then every example, all in
// one shell, and returns what each of them printed.
func paste(t *testing.T, rig *harness.Rig, url, readme string) []string {
	t.Helper()
	_, session, ok := strings.Cut(readme, "<!-- session: sh scripts/session.sh --print -->\n```sh\n")
	first, _, _ := strings.Cut(session, "\n\n")
	parts := strings.Split(readme, exampleMark)
	if !ok || len(parts) != len(answers)+1 {
		t.Fatalf("the README has %d examples, %d are known here", len(parts)-1, len(answers))
	}
	const between = "-- next --"
	script := "set -eu\n" + first + "\n"
	for _, part := range parts[1:] {
		block, _, closed := strings.Cut(part, "```\n")
		if !closed {
			t.Fatal("an example has no end")
		}
		script += block + "echo " + between + "\n"
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(script, "http://127.0.0.1:8080", url))
	cmd.Dir = rig.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + rig.Dir, "TALLYSTICK_URL=" + url}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pasting the examples: %v\n%s", err, out)
	}
	return strings.Split(strings.TrimSuffix(string(out), between+"\n"), between+"\n")
}

// matches reports whether each of got begins with what is wanted in its place.
func matches(got, want []string) bool {
	for i := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], want[i]) {
			return false
		}
	}
	return len(got) == len(want)
}

// shorten says in a word what the line of an answer is; what is indented belongs
// to the line before.
func shorten(line string) string {
	var a struct {
		Kind, Code, Name, Status any
		Results, Data            []json.RawMessage
		DryRun                   bool `json:"dry_run"`
	}
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		if strings.HasPrefix(line, "the ") || strings.HasPrefix(line, "proved: ") || strings.HasPrefix(line, "proved up to ") {
			return line
		}
		return ""
	}
	switch {
	case a.Kind != nil && a.DryRun:
		return a.Kind.(string) + ", not stored"
	case a.Kind != nil:
		return a.Kind.(string)
	case a.Code != nil:
		return a.Code.(string)
	case a.Name != nil:
		return a.Name.(string)
	case a.Results != nil:
		return strconv.Itoa(len(a.Results)) + " results"
	case a.Data != nil:
		return strconv.Itoa(len(a.Data)) + " listed"
	case a.Status != nil:
		return a.Status.(string)
	}
	return line
}
