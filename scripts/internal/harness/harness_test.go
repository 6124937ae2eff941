package harness_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tallystick/scripts/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.RunTests(context.Background(), m)) }

// newRig returns a rig that is closed at the end of the test.
func newRig(t *testing.T) *harness.Rig {
	t.Helper()
	rig, err := harness.NewRig(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(rig.Dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder %s stays: %v", rig.Dir, err)
		}
	})
	return rig
}

func serve(t *testing.T, rig *harness.Rig, name string) *harness.Server {
	t.Helper()
	s, err := rig.Serve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// alive reports whether a process runs. One that has ended and that nobody
// waited for does not: its state is Z.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

func TestBenchMeasuresARealServerUntilItIsStopped(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	server := serve(t, rig, "server")
	checkBench(t, rig, server)
	for range 2 { // the second time it has ended already
		if err := server.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	}
	if err := server.AwaitReady(t.Context(), time.Hour); !errors.Is(err, harness.ErrExited) {
		t.Errorf("awaiting a server that has ended: %v", err)
	}
}

func checkBench(t *testing.T, rig *harness.Rig, server *harness.Server) {
	t.Helper()
	out, code, err := rig.Run(t.Context(), "bench", "--json", "--url", server.Client.URL(), "--connections", "4",
		"--duration", "300ms", "--warm-up", "100ms", "--accounts", "50", "--hot", "0.5")
	if err != nil || code != 0 {
		t.Fatalf("bench: exit code %d, %v\n%s", code, err, out)
	}
	var report struct {
		TransfersPerSecond int64 `json:"transfers_per_second"`
		Rejected, Errors   int64
		GrewBy             int64  `json:"grew_by"`
		Acknowledged       int64  `json:"acknowledged_in_all"`
		Fsync              string `json:"fsync"`
		SynchronousCommit  string `json:"synchronous_commit"`
		FullPageWrites     string `json:"full_page_writes"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatal(err)
	}
	if report.TransfersPerSecond <= 0 || report.Rejected != 0 || report.Errors != 0 || report.GrewBy < report.Acknowledged || report.GrewBy > report.Acknowledged+1 {
		t.Errorf("bench reports %s", out)
	}
	if pid, err := rig.EnginePID(); err == nil && alive(pid) && report.SynchronousCommit != "" &&
		(report.Fsync != "on" || report.SynchronousCommit != "on" || report.FullPageWrites != "on") {
		t.Errorf("the engine's settings are %s", out)
	}
	l, err := server.Client.Ledger(t.Context(), "bench")
	if least := report.Acknowledged + 1 + 51; err != nil || l.Size < least || l.Size > least+1 {
		t.Errorf("the ledger has %d entries, want one for itself, 51 for its accounts, %d, and perhaps one for the signing key: %v", l.Size, report.Acknowledged, err)
	}
}

func TestTheEngineOutlivesAKilledServerAndIsStartedAgainByTheOther(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	first, second := serve(t, rig, "first"), serve(t, rig, "second")
	before, err := rig.EnginePID()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Kill(); err != nil || !first.Exited() {
		t.Fatalf("killing: exited %t, %v", first.Exited(), err)
	}
	if err := second.AwaitReady(t.Context(), harness.ReadyBound); err != nil {
		t.Error(err)
	}
	if after, err := rig.EnginePID(); err != nil || after != before || !alive(after) {
		t.Errorf("engine %d became %d, %v", before, after, err)
	}
	if killed, err := rig.KillEngine(true); err != nil || killed != before {
		t.Fatalf("killed engine %d in place of %d, %v", killed, before, err)
	}
	if err := rig.AwaitOtherEngine(t.Context(), before, harness.ReadyBound); err != nil {
		t.Fatal(err)
	}
	if err := second.AwaitReady(t.Context(), harness.ReadyBound); err != nil {
		t.Error(err)
	}
	if _, err := second.Client.Ledger(t.Context(), "main"); err != nil {
		t.Error(err)
	}
}

func TestClosingARigEndsTheEngineOfAKilledServer(t *testing.T) {
	t.Parallel()
	rig, err := harness.NewRig(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	server, err := rig.Serve(t.Context(), "server")
	if err != nil {
		t.Fatal(errors.Join(err, rig.Close(t.Context())))
	}
	pid, err := rig.EnginePID()
	if err == nil {
		err = server.Kill()
	}
	if err != nil || !alive(pid) {
		t.Errorf("the engine %d should outlive its server: %v", pid, err)
	}
	if err := rig.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if alive(pid) {
		t.Errorf("the engine %d still runs", pid)
	}
}

func TestABinaryThatIsNoneIsNamed(t *testing.T) {
	t.Parallel()
	rig, err := harness.NewRig(t.Context(), "/nonexistent/tallystick", false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = rig.Serve(t.Context(), "server")
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Serve = %v", err)
	}
	if err := rig.Close(t.Context()); err != nil {
		t.Error(fmt.Errorf("closing: %w", err))
	}
}
