package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tallystick/api/client"
	"tallystick/scripts/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.RunTests(context.Background(), m)) }

// writeSample writes a sample of 120 accounts, which are all funded, and as many
// transfers.
func writeSample(t *testing.T) string {
	t.Helper()
	nodes, transfers := "nodeid,isFraud,init_balance,fraudStep\n", "sourceNodeId,targetNodeId,value,time\n"
	for i := range 120 {
		nodes += fmt.Sprintf("%d,0,%d.50,-1\n", i, 100+i)
		transfers += fmt.Sprintf("%d,%d,%d.25,%d\n", i, (i+7)%120, 1+i%3, i)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"nodes.csv": nodes, "transactions.csv": transfers} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// line returns what was printed of one kind of read.
func line(printed, name string) []string {
	for text := range strings.Lines(printed) {
		if rest, ok := strings.CutPrefix(text, name+"  "); ok {
			return strings.Fields(rest)
		}
	}
	return nil
}

func TestEveryKindOfReadIsMeasuredAndTooSlowIsAnError(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	o := options{Ledger: "aml", Data: writeSample(t), Requests: 5, Bound: time.Minute}
	if err := run(t.Context(), o, "", &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	elements := map[string]string{ // of an answer, where it is the same for all
		"statement, busiest account": "100", "search: related_to": "1", "search: common metadata": "100", "search: reference": "1",
		"search: dates": "100", "entry": "0" /* 100 and 20 in turn */, "statement, busiest, on": "68", "search: busiest account": "100",
	}
	for _, r := range append((&drawn{}).reads(), read{name: "statement, busiest, on"}) {
		fields := line(out.String(), r.name)
		if len(fields) != 6 || fields[0] != "5" {
			t.Errorf("%s: %v", r.name, fields)
			continue
		}
		if want, ok := elements[r.name]; ok && fields[1] != want {
			t.Errorf("%s lists %s elements, want %s", r.name, fields[1], want)
		}
	}
	out.Reset()
	o.Only, o.P99 = "^balance$", time.Nanosecond
	if err := run(t.Context(), o, "", &out); !errors.Is(err, errSlow) || strings.Contains(out.String(), "statement") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestALedgerIsReadAsItIsAndWhatItHasNotIsAbsent(t *testing.T) {
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
	accounts := []client.NewAccount{{Code: "a", Type: "asset", Currency: "EUR"}, {Code: "b", Type: "liability", Currency: "EUR"}}
	if err := server.Client.OpenAccounts(t.Context(), "main", accounts); err != nil {
		t.Fatal(err)
	}
	o := options{URL: server.Client.URL(), Ledger: "main", Requests: 3, Bound: time.Minute}
	var out strings.Builder
	if err := run(t.Context(), o, rig.Key, &out); err == nil || !strings.Contains(err.Error(), "no transfers were found") {
		t.Errorf("without transfers: %v", err)
	}
	_, err = server.Client.Post(t.Context(), "main", client.Transfer{ID: "01890a5d-ac96-774b-bcce-b302099a8057", Postings: []client.Leg{
		{Account: "a", Direction: "debit", Amount: "1.00"}, {Account: "b", Direction: "credit", Amount: "1.00"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), o, rig.Key, &out); err != nil {
		t.Fatal(err)
	}
	absent := regexp.MustCompile(`(?m)^(.*?) +absent:`).FindAllStringSubmatch(out.String(), -1)
	if len(absent) != 5 { // references, relations, both kinds of metadata, and a second page
		t.Errorf("absent: %q\n%s", absent, out.String())
	}
	keys, err := server.Client.Keys(t.Context(), "main", "signer")
	if err != nil {
		t.Fatal(err)
	}
	if l, err := server.Client.Ledger(t.Context(), "main"); err != nil || l.Size != 4+int64(len(keys)) {
		t.Errorf("reading left %d entries, want 4 and those of %d keys: %v", l.Size, len(keys), err)
	}
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []options{{Bound: time.Second}, {Requests: 1}, {Requests: 1, Bound: time.Second, Only: "("}} {
		if err := run(t.Context(), o, "", &strings.Builder{}); err == nil || !strings.HasPrefix(err.Error(), "checking") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
