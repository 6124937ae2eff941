package scripts

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestTheSessionOfTheReadmeHoldsAsPrinted(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("sh", "session.sh").CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "session: the story holds\n") {
		t.Errorf("session.sh: %v\n%s", err, out)
	}
}

func TestTheReadmeShowsTheSessionWordForWord(t *testing.T) {
	t.Parallel()
	story, err := exec.Command("sh", "session.sh", "--print").Output()
	if err != nil || len(story) == 0 {
		t.Fatalf("session.sh --print: %v", err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), string(story)) {
		t.Error("README.md does not contain what `sh scripts/session.sh --print` prints")
	}
}
