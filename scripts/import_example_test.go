package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tallystick/scripts/internal/harness"
	"tallystick/scripts/internal/hledger"
)

// importMark stands before the README's example of import and export.
const importMark = "<!-- import -->\n```sh\n"

func TestTheReadmesImportWorksWhenPasted(t *testing.T) {
	t.Parallel()
	hledger.Require(t)
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), importMark)
	example, _, ended := strings.Cut(rest, "```\n")
	if !found || !ended {
		t.Fatal("the README has no example of import")
	}
	rig, err := harness.NewRig(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	server, err := rig.Serve(t.Context(), "import")
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
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", example)
	cmd.Dir = rig.Dir
	cmd.Env = append(os.Environ(), "TALLYSTICK_URL="+server.Client.URL(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"clients.csv     2 rows, 0 skipped: 1 transfers accepted, 0 in the ledger already, 0 rows refused",
		"payments.jsonl  4 rows, 0 skipped: 3 transfers accepted, 0 in the ledger already, 1 rows refused",
		`"date":"16.10.2026","line":3,"code":"limit_exceeded","detail":"`,
		"payments.jsonl  4 rows, 0 skipped: 0 transfers accepted, 3 in the ledger already, 1 rows refused",
		"    -1174.50 EUR  clients:a1\n",
		"     1234.50 EUR  equity:opening\n",
	} {
		if !strings.Contains(strings.ReplaceAll(string(out), rig.Dir+"/", ""), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if name, err := server.Client.Account(t.Context(), "imported", "clients:a2"); err != nil || name.Balance != "60.00" {
		t.Errorf("%+v, %v", name, err)
	}
}
