package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/signer"
	"tallystick/ledger/witness"
)

func TestWhatWitnessesAnswerIsSaidOnce(t *testing.T) {
	t.Parallel()
	var said []string
	say := func(kind string) func(string, ...any) {
		return func(format string, args ...any) { said = append(said, kind+fmt.Sprintf(format, args...)) }
	}
	news := newWitnessNews(say("log: "), say("alarm: "))
	hear := func(name, origin string, err error) {
		news.hear([]witness.Outcome{{Name: name, Origin: origin, Err: err}})
	}
	down := errors.New("nobody there")
	for range 3 {
		hear("w", "a", down)
		hear("w", "b", down)
		hear("w", "b", witness.ErrAtWork)
		hear("v", "a", witness.ErrAhead)
		hear("v", "b", witness.ErrRefused)
	}
	hear("w", "a", nil)
	hear("w", "b", nil)
	hear("v", "a", nil)
	want := []string{"alarm: witness w does not cosign: nobody there", "alarm: a: witness v does not cosign: the witness has cosigned a larger tree",
		"alarm: b: witness v does not cosign: the witness refuses", "log: witness w cosigns a again", "log: witness v cosigns a again"}
	if !slices.Equal(said, want) {
		t.Errorf("said:\n%s\nwant:\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
}

// A signer whose witness refuses says so, and why.
func TestASignerSaysThatAWitnessRefuses(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "that would be a fork", http.StatusUnprocessableEntity)
	}))
	defer server.Close()
	cosigner, err := chain.NewCosigningKey("w.example", bytes.Repeat([]byte{3}, 32))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := chain.ParsePolicy([]byte("witness w " + cosigner.VerifierKey() + " " + server.URL + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	var alarms []string
	o := openedSigner{signer.Config{Policy: policy, Logf: t.Logf, Alarmf: func(format string, args ...any) { alarms = append(alarms, fmt.Sprintf(format, args...)) }}}
	circle, err := o.askWitnesses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key, err := chain.NewSigningKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	note, err := key.Sign(chain.Checkpoint{Origin: "bank.example/1", Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	for asked.Load() == 0 || len(alarms) == 0 { // quorum none: an answer may be heard the next time only
		if _, err := o.Cosign(t.Context(), "bank.example/1", note, nil); err != nil {
			t.Fatal(err)
		}
	}
	circle.Close()
	if len(alarms) != 1 || !strings.Contains(alarms[0], "that would be a fork") || !strings.Contains(alarms[0], "bank.example/1") {
		t.Errorf("alarms: %q", alarms)
	}
}
