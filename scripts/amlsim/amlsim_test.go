package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"tallystick/api/client"
	"tallystick/scripts/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.RunTests(context.Background(), m)) }

// madeUp writes a small sample with a few transfers from an account to itself.
func madeUp(t *testing.T, accounts, transfers int) string {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var nodes, rows strings.Builder
	for node := range accounts {
		fmt.Fprintf(&nodes, "%d,0,%d.%02d,-1\n", node, random.IntN(500), 1+random.IntN(99))
	}
	for range transfers {
		fmt.Fprintf(&rows, "%d,%d,%d.%d,1\n", random.IntN(accounts), random.IntN(accounts), random.IntN(300), 1+random.IntN(9))
	}
	return writeSample(t, nodes.String(), rows.String())
}

func TestASecondRunChangesNothingAndAForeignTransferIsFound(t *testing.T) {
	t.Parallel()
	rig, err := harness.NewRig(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	server, err := rig.Serve(t.Context(), "server")
	if err != nil {
		t.Fatal(err)
	}
	o := options{URL: server.Client.URL(), Ledger: "aml", Data: madeUp(t, 600, 2000), Connections: 16}
	var sizes []int64
	for range 2 {
		if err := run(t.Context(), o, rig.Key); err != nil {
			t.Fatal(err)
		}
		l, err := server.Client.Ledger(t.Context(), "aml")
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, l.Size)
	}
	if sizes[0] != sizes[1] || sizes[0] < 2500 {
		t.Errorf("sizes %v after the two runs", sizes)
	}
	if _, err := rig.MustVerify(t.Context(), "aml"); err != nil {
		t.Error(err)
	}
	_, err = server.Client.Post(t.Context(), "aml", client.Transfer{
		ID: "01890a5d-ac96-774b-bcce-b302099a8057",
		Postings: []client.Leg{
			{Account: customer(1), Direction: "debit", Amount: "0.01"},
			{Account: customer(2), Direction: "credit", Amount: "0.01"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), o, rig.Key); !errors.Is(err, errDiffers) || !strings.Contains(err.Error(), "customers:1 is") {
		t.Errorf("with a foreign transfer: %v", err)
	}
}
