package main

import (
	"strings"
	"testing"
)

// What cannot be parsed is said in two lines, the second of which names the help.
func TestAWrongCommandLineIsSaidInTwoLines(t *testing.T) {
	for _, c := range []struct {
		args, want, hint string
	}{
		{"", "expected one of", "tallystick --help"},
		{"nonsense", "unexpected argument nonsense", "tallystick --help"},
		{"--nonsense", "unknown flag --nonsense", "tallystick --help"},
		{"keys", "expected one of", "tallystick keys --help"},
		{"keys signer", "expected one of", "tallystick keys signer --help"},
		{"verify nosuch.zip", "nosuch.zip: no such file", "tallystick verify --help"},
		{"verify --since nosuch.cp", "--since: stat", "tallystick verify --help"},
		{"verify --policy nosuch", "--policy: stat", "tallystick verify --help"},
		{"verify --nonsense", "unknown flag --nonsense", "tallystick verify --help"},
		{"verify --level high", "--level: expected", "tallystick verify --help"},
		{"verify --all --ledger main", "--ledger and --all can't be used together", "tallystick verify --help"},
		{"verify --compare a.cp", "it takes two files", "tallystick verify --help"},
		{"prove statement customers:1", "missing flags", "tallystick prove statement --help"},
		{"prove check", `expected "<file>"`, "tallystick prove check --help"},
		{"report make trial-balance --nonsense", "unknown flag --nonsense", "tallystick report make --help"},
	} {
		code, out, errors := command(t, strings.Fields(c.args)...)
		lines := strings.Split(strings.TrimSuffix(errors, "\n"), "\n")
		if code != exitUsage || out != "" || len(lines) != 2 || !strings.HasPrefix(lines[0], "tallystick: ") || !strings.Contains(lines[0], c.want) || lines[1] != "hint: "+c.hint {
			t.Errorf("tallystick %s: exit code %d, %s%s\nwant %q and the hint %s", c.args, code, out, errors, c.want, c.hint)
		}
	}
}
