package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"tallystick/api/client"
)

// storedAs returns the entry that an attempt becomes.
func storedAs(a *attempt) client.Entry {
	return client.Entry{
		ID: a.id, Kind: "transfer", Seq: a.seq, Hash: a.hash,
		Postings: []client.EntryPosting{
			{Account: a.debit, Direction: "debit", Amount: a.amount},
			{Account: a.credit, Direction: "credit", Amount: a.amount},
		},
	}
}

func TestEveryDifferenceBetweenAnswersAndBookIsABrokenPromise(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(a *attempt, e *client.Entry, stored map[string]client.Entry){
		"lost":                 func(a *attempt, _ *client.Entry, stored map[string]client.Entry) { delete(stored, a.id) },
		"at another seq":       func(_ *attempt, e *client.Entry, _ map[string]client.Entry) { e.Seq++ },
		"with another hash":    func(_ *attempt, e *client.Entry, _ map[string]client.Entry) { e.Hash = "other" },
		"with another amount":  func(_ *attempt, e *client.Entry, _ map[string]client.Entry) { e.Postings[0].Amount = "1.00" },
		"in another account":   func(_ *attempt, e *client.Entry, _ map[string]client.Entry) { e.Postings[1].Account = "x" },
		"with one side twice":  func(_ *attempt, e *client.Entry, _ map[string]client.Entry) { e.Postings[1] = e.Postings[0] },
		"refused, yet there":   func(a *attempt, _ *client.Entry, _ map[string]client.Entry) { a.answer = refused },
		"stored though unsent": func(_ *attempt, _ *client.Entry, stored map[string]client.Entry) { stored["x"] = client.Entry{ID: "x"} },
	} {
		a := &attempt{id: "a", debit: "d", credit: "c", amount: "5.07", answer: acked, seq: 9, hash: "h"}
		gone := &attempt{id: "b", answer: refused}
		stored := map[string]client.Entry{"a": storedAs(a)}
		if err := compare([]*attempt{a, gone}, stored); err != nil {
			t.Fatalf("an honest book: %v", err)
		}
		e := stored["a"]
		stored["a"] = client.Entry{}
		spoil(a, &e, stored)
		if _, there := stored["a"]; there {
			stored["a"] = e
		}
		if err := compare([]*attempt{a, gone}, stored); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAttemptThatWasNeverSettledIsNotOverlooked(t *testing.T) {
	t.Parallel()
	a := &attempt{id: "a", debit: "d", credit: "c", amount: "5.07"}
	if err := compare([]*attempt{a}, map[string]client.Entry{"a": storedAs(a)}); err == nil {
		t.Error("an open attempt passed")
	}
}

func TestTheJournalIsReadWhileItGrows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.file.Close()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	step := func(text string, acks, open int) {
		t.Helper()
		fmt.Fprint(f, text)
		if err := j.read(); err != nil || j.acks != acks || j.open != open {
			t.Fatalf("after %q: %d acknowledged, %d open, %v", text, j.acks, j.open, err)
		}
	}
	step("try a d c 1.00\ntry b d c 2.00\ntry", 0, 2)
	step(" c d c 3.00\nack a 7", 0, 3)
	step(" ff\nno b 422 limit_exceeded\n", 1, 1)
	step("open c posting: broken pipe\n", 1, 0)
	step("try e d c 4.00\nbad e 500 internal_error x\n", 1, 0)
	want := []attempt{
		{"a", "d", "c", "1.00", acked, 7, "ff"}, {"b", "d", "c", "2.00", refused, 0, ""},
		{"c", "d", "c", "3.00", unanswered, 0, ""}, {"e", "d", "c", "4.00", unanswered, 0, ""},
	}
	for i, a := range j.order {
		if *a != want[i] {
			t.Errorf("attempt %d is %+v, want %+v", i, *a, want[i])
		}
	}
	if j.bad != "e 500 internal_error x" {
		t.Errorf("bad line %q", j.bad)
	}
}

func TestAJournalThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"try a d c", "ack a 1 ff", "nonsense x y", "x", ""} {
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := openJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.read(); err == nil {
			t.Errorf("%q was read", line)
		}
		j.file.Close()
	}
}

func TestARetriedBodyIsTheSame(t *testing.T) {
	t.Parallel()
	ids, err := client.NewIDs(7)
	if err != nil {
		t.Fatal(err)
	}
	a := newAttempt(ids)
	j := &journal{attempts: map[string]*attempt{}}
	if err := j.take([]string{"try", a.id, a.debit, a.credit, a.amount}); err != nil {
		t.Fatal(err)
	}
	if first, again := string(a.body(nil)), string(j.order[0].body(nil)); first != again {
		t.Errorf("%s became %s", first, again)
	}
}
