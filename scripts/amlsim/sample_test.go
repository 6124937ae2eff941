package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/api/client"
	"tallystick/scripts/samples"
)

// writeSample writes a sample of three accounts into a folder.
func writeSample(t *testing.T, nodes, transactions string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"nodes.csv":        "nodeid,isFraud,init_balance,fraudStep\n" + nodes,
		"transactions.csv": "sourceNodeId,targetNodeId,value,time\n" + transactions,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const threeNodes = "0,0,10.50,-1\n1,0,0.10,-1\n2,1,7,3\n"

// sampleBalances are the closing balances of s by account code.
func sampleBalances(s *sample) map[string]decimal.Decimal {
	balances := map[string]decimal.Decimal{equityAccount: s.total.Neg()}
	for node, b := range s.closing {
		balances[customer(node)] = b
	}
	return balances
}

func TestClosingBalancesFollowFromTheRows(t *testing.T) {
	t.Parallel()
	s, err := readSample(writeSample(t, threeNodes, "0,1,10.6,1\n1,2,0.3,1\n2,2,5,2\n"))
	if err != nil {
		t.Fatal(err)
	}
	for node, want := range []string{"-0.1", "10.4", "7.3"} {
		if got := s.closing[node].String(); got != want {
			t.Errorf("node %d closes with %s, want %s", node, got, want)
		}
	}
	if s.total.String() != "17.6" || s.toSelf != 1 || len(s.transfers) != 3 {
		t.Errorf("total %s, %d to themselves of %d", s.total, s.toSelf, len(s.transfers))
	}
}

func TestThePublishedFactsFollowFromTheSample(t *testing.T) {
	t.Parallel()
	s, err := readSample(samples.Path(t, "amlsim"))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.opening) != published.accounts || len(s.transfers) != published.transfers || s.toSelf != 15 {
		t.Errorf("%d accounts, %d transfers, %d to themselves", len(s.opening), len(s.transfers), s.toSelf)
	}
	for _, err := range comparePublished(s, sampleBalances(s)) {
		t.Error(err)
	}
}

func TestADifferenceToThePublishedFactsIsFound(t *testing.T) {
	t.Parallel()
	s, err := readSample(samples.Path(t, "amlsim"))
	if err != nil {
		t.Fatal(err)
	}
	balances := sampleBalances(s)
	balances[customer(100)] = balances[customer(100)].Add(decimal.New(1, -2))
	if wrong := errors.Join(comparePublished(s, balances)...); wrong == nil ||
		!strings.Contains(wrong.Error(), "node 100 is 437.69, published 437.68") {
		t.Errorf("found %v", wrong)
	}
}

func TestRowsThatMakeNoSenseAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ nodes, transactions, want string }{
		{"0,0,x,-1\n", "", "nodes.csv line 2"},
		{"1,0,1,-1\n", "", "nodes.csv line 2"},
		{threeNodes, "0,1,1,1\n0,3,1,1\n", "transactions.csv line 3"},
		{threeNodes, "0,1\n", "transactions.csv line 2"},
		{threeNodes, "0,-1,1,1\n", "transactions.csv line 2"},
	} {
		if _, err := readSample(writeSample(t, c.nodes, c.transactions)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %q: %v", c.nodes, c.transactions, err)
		}
	}
	if _, err := readSample(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestOutcomesOtherThanTheFilesAskForAreFound(t *testing.T) {
	t.Parallel()
	s := &sample{opening: make([]decimal.Decimal, 3), transfers: make([]transfer, 10), toSelf: 1}
	report := outcome{Accepted: 7, Replayed: 5, Refused: 1, Opened: 2, There: 2}
	before, after := client.Ledger{Size: 5, Head: "a"}, client.Ledger{Size: 14, Head: "b"}
	if err := checkOutcome(s, report, standing{Ledger: before}, standing{Ledger: after}); err != nil {
		t.Errorf("right outcome: %v", err)
	}
	for name, spoil := range map[string]func(r *outcome, after *client.Ledger){
		"one lost":             func(r *outcome, _ *client.Ledger) { r.Replayed-- },
		"one refused too many": func(r *outcome, _ *client.Ledger) { r.Refused++ },
		"an account absent":    func(r *outcome, _ *client.Ledger) { r.There-- },
		"an entry too many":    func(_ *outcome, after *client.Ledger) { after.Size++ },
		"a head that moves": func(r *outcome, after *client.Ledger) {
			*r, after.Size = outcome{Replayed: 12, Refused: 1, There: 4}, 5
		},
	} {
		r, a := report, after
		spoil(&r, &a)
		if err := checkOutcome(s, r, standing{Ledger: before}, standing{Ledger: a}); !errors.Is(err, errDiffers) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
