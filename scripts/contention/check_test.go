package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/api/client"
)

// bookOf serves the hot account's postings and reads them as the program does.
func bookOf(t *testing.T, postings []client.AccountPosting) (*history, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"data": postings, "next": nil})
	}))
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "k")
	if err != nil {
		t.Fatal(err)
	}
	return readHistory(t.Context(), c)
}

func id(n byte) uuid.UUID { return uuid.UUID{15: n} }

// honest is a history in which the account got 5.00, paid 3.00 and got 1.00.
func honest() []client.AccountPosting {
	return []client.AccountPosting{
		{Seq: 12, TransferID: id(3).String(), Direction: "credit", Amount: "1.00", AccountSeq: 3, Balance: "3.00"},
		{Seq: 10, TransferID: id(2).String(), Direction: "debit", Amount: "3.00", AccountSeq: 2, Balance: "2.00"},
		{Seq: 4, TransferID: id(1).String(), Direction: "credit", Amount: "5.00", AccountSeq: 1, Balance: "5.00"},
	}
}

func TestAHistoryThatIsNoChainIsABrokenPromise(t *testing.T) {
	t.Parallel()
	if _, err := bookOf(t, honest()); err != nil {
		t.Fatalf("an honest history: %v", err)
	}
	for name, spoil := range map[string]func(p []client.AccountPosting){
		"a gap":            func(p []client.AccountPosting) { p[0].AccountSeq = 4 },
		"a wrong balance":  func(p []client.AccountPosting) { p[0].Balance = "3.01" },
		"a transfer twice": func(p []client.AccountPosting) { p[0].TransferID = p[1].TransferID },
		"a seq twice":      func(p []client.AccountPosting) { p[0].Seq = p[1].Seq },
		"seq in disorder":  func(p []client.AccountPosting) { p[0].Seq = 7 },
		"balance below 0":  func(p []client.AccountPosting) { p[1].Amount, p[1].Balance, p[0].Balance = "6.00", "-1.00", "0.00" },
		"not in cents":     func(p []client.AccountPosting) { p[0].Amount = "1" },
		"no id":            func(p []client.AccountPosting) { p[0].TransferID = "" },
	} {
		p := honest()
		spoil(p)
		if _, err := bookOf(t, p); err == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func TestAnswersThatTheBookContradictsAreBrokenPromises(t *testing.T) {
	t.Parallel()
	h, err := bookOf(t, honest())
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(n byte, cents, seq, available int64) lane {
		return lane{refusals: []refusal{{move: move{id: id(n), cents: cents}, seq: seq, available: available, complete: true}}}
	}
	acknowledge := func(n byte, seq int64) lane {
		return lane{acks: []acknowledgement{{move{id: id(n)}, seq}}}
	}
	for name, c := range map[string]struct {
		lane lane
		ok   bool
	}{
		"acknowledged and there":          {acknowledge(2, 10), true},
		"acknowledged, at another seq":    {acknowledge(2, 11), false},
		"acknowledged, not there":         {acknowledge(9, 10), false},
		"refused for the balance then":    {refuse(9, -201, 11, 200), true},
		"refused before the first":        {refuse(9, -1, 3, 0), true},
		"refused for a balance long gone": {refuse(9, -201, 12, 200), false},
		"refused though it was enough":    {refuse(9, -200, 11, 200), false},
		"refused, and stored":             {refuse(2, -900, 11, 200), false},
		"refused without saying why":      {lane{refusals: []refusal{{move: move{id: id(9), cents: -900}}}}, false},
	} {
		if err := h.checkLane(&c.lane); (err == nil) != c.ok || err != nil && !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALaneKeepsWhatBecameOfEachMove(t *testing.T) {
	t.Parallel()
	ids, err := client.NewIDs(7)
	if err != nil {
		t.Fatal(err)
	}
	l := lane{ids: ids}
	judge := func(status int, body string) {
		l.next(nil)
		l.current.cents = -5
		l.judge(client.Answer{Status: status, Body: []byte(body)})
	}
	judge(201, `{"id":"x","postings":[{"account_seq":7}],"seq":41}`)
	judge(422, `{"code":"limit_exceeded","available":"0.04","evaluated_at_seq":40}`)
	judge(503, `{"code":"overloaded"}`)
	judge(500, `{"code":"internal_error"}`)
	judge(422, `{"code":"account_frozen"}`)
	judge(201, `{"id":"x"}`)
	l.next(nil) // never answered
	l.setAside()
	if len(l.acks) != 1 || l.acks[0].seq != 41 {
		t.Errorf("acknowledged: %+v", l.acks)
	}
	if len(l.refusals) != 1 || !l.refusals[0].complete || l.refusals[0].available != 4 || l.refusals[0].seq != 40 {
		t.Errorf("refused: %+v", l.refusals)
	}
	if len(l.open) != 2 || len(l.strange) != 3 {
		t.Errorf("%d open, %d strange: %v", len(l.open), len(l.strange), l.strange)
	}
}

func TestARefusedCreditIsStrange(t *testing.T) {
	t.Parallel()
	l := lane{current: move{cents: 5}, pending: true}
	l.judge(client.Answer{Status: 422, Body: []byte(`{"code":"limit_exceeded","available":"0.00","evaluated_at_seq":1}`)})
	if len(l.strange) != 1 || len(l.refusals) != 0 {
		t.Errorf("%+v", l)
	}
}

func TestMovesAreTransfersBetweenHotAndAnother(t *testing.T) {
	t.Parallel()
	for m, want := range map[move]string{
		{id: id(1), other: 7, cents: 105}: `{"id":"00000000-0000-0000-0000-000000000001","debit":"spread:7","credit":"hot","amount":"1.05"}`,
		{id: id(1), other: 7, cents: -99}: `{"id":"00000000-0000-0000-0000-000000000001","debit":"hot","credit":"spread:7","amount":"0.99"}`,
	} {
		if got := string(m.body(nil)); got != want {
			t.Errorf("%+v is %s, want %s", m, got, want)
		}
	}
}

func TestCentsAreReadExactly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0.00": 0, "12.34": 1234, "-0.05": -5, "-12.00": -1200} {
		if got, err := parseCents(text); err != nil || got != want {
			t.Errorf("%q reads as %d, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "1", "1.0", "1.000", ".05", "x.05", "1.x5"} {
		if got, err := parseCents(bad); err == nil {
			t.Errorf("%q reads as %d", bad, got)
		}
	}
}

func TestAStopThatOutlastsTheRunIsRefused(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), options{Disturb: "stop", Duration: 60, Stopped: 45}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "beyond its end") {
		t.Errorf("run = %v", err)
	}
}
