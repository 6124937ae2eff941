package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"tallystick/scripts/internal/harness"
)

// TestMain is the client process when a run starts this binary as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "client" {
		os.Exit(execute(context.Background(), os.Args[1:]))
	}
	os.Exit(harness.RunTests(context.Background(), m))
}

// crashTwice is the program with two rounds in place of twenty.
func crashTwice(t *testing.T, victim string) {
	t.Helper()
	var out strings.Builder
	err := run(t.Context(), options{Victim: victim, Rounds: 2, Connections: 32, MinAcks: 200}, &out)
	if err != nil || !strings.Contains(out.String(), "verify: verified") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestNothingAcknowledgedIsLostOrDoubledWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	crashTwice(t, "server")
}

func TestNothingAcknowledgedIsLostOrDoubledWhenTheEngineIsKilled(t *testing.T) {
	t.Parallel()
	crashTwice(t, "engine")
}
