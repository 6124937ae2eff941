package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallystick/api/client"
	"tallystick/scripts/internal/harness"
	"tallystick/scripts/internal/hledger"
	"tallystick/scripts/samples"
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

// serve starts a server of its own.
func serve(t *testing.T) (*harness.Rig, *harness.Server) {
	t.Helper()
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
	return rig, server
}

func TestASecondRunChangesNothingAndAForeignTransferIsFound(t *testing.T) {
	t.Parallel()
	rig, server := serve(t)
	o := options{URL: server.Client.URL(), Ledger: "aml", Data: madeUp(t, 600, 2000), Binary: rig.Binary}
	var sizes []int64
	for range 2 {
		if err := run(t.Context(), o, rig.Key); err != nil {
			t.Fatal(err)
		}
		l, err := standingOf(t.Context(), server.Client, "aml")
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, l.Size-l.keys)
	}
	if sizes[0] != sizes[1] || sizes[0] < 3000 {
		t.Errorf("sizes %v after the two runs", sizes)
	}
	if _, err := rig.MustVerify(t.Context(), "aml"); err != nil {
		t.Error(err)
	}
	_, err := server.Client.Post(t.Context(), "aml", client.Transfer{
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

func TestTheSamplePostedOneRequestEach(t *testing.T) {
	t.Parallel()
	dir, transfers := sampleFolder(t)
	rig, server := serve(t)
	o := options{URL: server.Client.URL(), Ledger: "single", Data: dir, Single: true, Connections: 64}
	for range 2 {
		if err := run(t.Context(), o, rig.Key); err != nil {
			t.Fatal(err)
		}
	}
	l, err := standingOf(t.Context(), server.Client, "single")
	if err != nil {
		t.Fatal(err)
	}
	if refused := l.keys + int64(published.accounts+2+(published.accounts+fundingLegs-1)/fundingLegs+transfers) - l.Size; refused < 0 || refused > 15 {
		t.Errorf("%d entries: %d of %d transfers were refused", l.Size, refused, transfers)
	}
	if _, err := rig.MustVerify(t.Context(), "single"); err != nil {
		t.Error(err)
	}
}

// shortSample is how many transfers of the sample the tests post unless AMLSIM
// is whole; see make amlsim.
const shortSample = 25_000

// sampleFolder returns the sample, or a folder with its beginning, and how many
// transfers it has.
func sampleFolder(t *testing.T) (dir string, transfers int) {
	t.Helper()
	dir = samples.Path(t, "amlsim")
	if os.Getenv("AMLSIM") == "whole" {
		return dir, published.transfers
	}
	short := t.TempDir()
	for _, name := range []string{"nodes.csv", "transactions.csv"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(text), "\n")
		if name == "transactions.csv" {
			lines = lines[:1+shortSample]
		}
		if err := os.WriteFile(filepath.Join(short, name), []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return short, shortSample
}

// digest is the hash of all balances.
func digest(t *testing.T, c *client.Client, ledger string) string {
	t.Helper()
	sum := sha256.New()
	err := c.Accounts(t.Context(), ledger, func(a client.Account) error {
		_, err := fmt.Fprintln(sum, a.Code, a.Currency, a.Balance, a.AccountSeq)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// killHalfway imports until the ledger has a number of entries, and then ends
// the import with SIGKILL.
func killHalfway(t *testing.T, o options, c *client.Client, key string, size int64) {
	t.Helper()
	cmd, err := o.command(t.Context(), key, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	for {
		select {
		case err := <-ended:
			t.Fatalf("the import ended before it was killed: %v\n%s", err, stderr.String())
		case <-ticks.C:
		}
		if l, err := c.Ledger(t.Context(), o.Ledger); err == nil && l.Size >= size {
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	t.Logf("killed at %d entries", settled(t, c, o.Ledger))
}

// settled waits until the server is done with what a killed client had asked for, and
// returns how many entries there are. Nothing says when that is: the server answers
// whoever asked, and the wait is longer than any batch takes.
func settled(t *testing.T, c *client.Client, ledger string) int64 {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for size, since := int64(-1), time.Now(); ; <-tick.C {
		l, err := c.Ledger(t.Context(), ledger)
		switch {
		case err != nil:
			t.Fatal(err)
		case l.Size != size:
			size, since = l.Size, time.Now()
		case time.Since(since) > 3*time.Second:
			return size
		}
	}
}

func TestTheSampleImportedInOneGoOrKilledHalfwayIsTheSameLedger(t *testing.T) {
	t.Parallel()
	dir, transfers := sampleFolder(t)
	rig, server := serve(t)
	o := options{URL: server.Client.URL(), Ledger: "whole", Data: dir, Binary: rig.Binary}
	if err := run(t.Context(), o, rig.Key); err != nil {
		t.Fatal(err)
	}
	want, err := standingOf(t.Context(), server.Client, "whole")
	if err != nil {
		t.Fatal(err)
	}
	balances := digest(t, server.Client, "whole")
	o.Ledger = "killed"
	accounts := int64(published.accounts)
	for _, at := range []int64{accounts, 2*accounts + int64(transfers)/2} { // among the accounts, among the transfers
		killHalfway(t, o, server.Client, rig.Key, at)
	}
	for _, why := range []string{"run again", "run once more when complete"} {
		if err := run(t.Context(), o, rig.Key); err != nil {
			t.Fatalf("%s: %v", why, err)
		}
		got, err := standingOf(t.Context(), server.Client, "killed")
		if err != nil {
			t.Fatal(err)
		}
		if got.Size-got.keys != want.Size-want.keys || digest(t, server.Client, "killed") != balances {
			t.Errorf("%s: %d entries, want %d, or other balances", why, got.Size-got.keys, want.Size-want.keys)
		}
	}
	for _, ledger := range []string{"whole", "killed"} {
		if _, err := rig.MustVerify(t.Context(), ledger); err != nil {
			t.Error(err)
		}
	}
	hledgerAgrees(t, rig, server, "killed")
}

// hledgerAgrees lets hledger add up a ledger.
func hledgerAgrees(t *testing.T, rig *harness.Rig, server *harness.Server, ledger string) {
	t.Helper()
	hledger.Require(t)
	journal := filepath.Join(t.TempDir(), "export.journal")
	out, code, err := rig.Run(t.Context(), "export", "--url", server.Client.URL(), "--ledger", ledger, "--format", "hledger", "--output", journal)
	if err != nil || code != 0 {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	accounts, err := hledger.Compare(t.Context(), server.Client, ledger, journal)
	if err != nil || accounts != published.accounts+1 {
		t.Errorf("%d accounts: %v", accounts, err)
	}
	// Everything was booked today, or yesterday if midnight was on the way.
	today := time.Now().UTC()
	compared, err := hledger.CompareReports(t.Context(), journal, today.AddDate(0, 0, -1).Format(time.DateOnly), today.AddDate(0, 0, 1).Format(time.DateOnly), rig.Report(ledger))
	if err != nil || compared < published.accounts {
		t.Errorf("%d amounts of reports compared: %v", compared, err)
	}
}
