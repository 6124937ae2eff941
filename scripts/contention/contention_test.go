package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"tallystick/scripts/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.RunTests(context.Background(), m)) }

// TestTwoProcessesShareALedgerWithoutAWrongAnswer runs the program for seconds
// in place of a minute, and leaves its figures to the machine's mood.
func TestTwoProcessesShareALedgerWithoutAWrongAnswer(t *testing.T) {
	t.Parallel()
	for _, disturb := range []string{"none", "kill", "stop"} {
		t.Run(disturb, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := run(t.Context(), options{
				Disturb: disturb, Duration: 6 * time.Second, Baseline: time.Second, WarmUp: 500 * time.Millisecond,
				Stopped: 3 * time.Second, Connections: 8, Untimed: true,
			}, &out)
			if err != nil || !strings.Contains(out.String(), "verified") {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}
