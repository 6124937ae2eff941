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

// This is the program with a few kills in place of a hundred.
func TestAKilledSignerNeverSignsTwoHistories(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := run(t.Context(), options{Kills: 5, Connections: 8, Window: time.Second}, &out)
	if err != nil || !strings.Contains(out.String(), "the signer refuses\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
