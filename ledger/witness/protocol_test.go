package witness

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"tallystick/ledger/chain"
)

// Every case of https://c2sp.org/tlog-witness@v1.0.0 against a witness that has
// cosigned size 5.
func TestProtocol(t *testing.T) {
	t.Parallel()
	five := history{}.grow(5, "a")
	nine, other := five.grow(4, "a"), history{}.grow(5, "b")
	stranger := must(chain.NewSigningKey(seeded("stranger")))
	strange := must(stranger.Sign(nine.checkpoint()))
	elsewhere := must(logKey.Sign(chain.Checkpoint{Origin: "ledger.example/2", Size: 9, Root: chain.RootOf(nine)}))
	forged := bytes.Replace(nine.sign(), []byte("\n9\n"), []byte("\n8\n"), 1)
	text, ours := signatureLines(nine.sign())
	_, theirs := signatureLines(strange)
	wrongProof := nine.from(5)
	wrongProof.Proof[0][0] ^= 1
	longProof := nine.from(5)
	longProof.Proof = append(longProof.Proof, chain.Hash{})
	idle := five.from(5)
	idle.Proof = []chain.Hash{{}}

	body := func(r Request) string { return string(r.Marshal()) }
	good := body(nine.from(5))
	proof := strings.Split(good, "\n")[1]
	const plain = "text/plain; charset=utf-8"
	for _, c := range []struct {
		name   string
		body   string
		status int
		media  string
		says   string // part of the body; empty: a cosignature
	}{
		{"an extension", good, 200, plain, ""},
		{"the same size again", body(five.from(5)), 200, plain, ""},
		{"one signature known, one not", body(Request{5, nine.from(5).Proof, []byte(text + theirs[0] + "\n" + ours[0] + "\n")}), 200, plain, ""},

		{"nothing", "", 400, plain, "empty line"},
		{"no old size", strings.Replace(good, "old 5\n", "", 1), 400, plain, "old <size>"},
		{"old size with a zero in front", strings.Replace(good, "old 5", "old 05", 1), 400, plain, "old <size>"},
		{"old size with a sign", strings.Replace(good, "old 5", "old +5", 1), 400, plain, "old <size>"},
		{"negative old size", strings.Replace(good, "old 5", "old -1", 1), 400, plain, "old <size>"},
		{"old size of 65 bits", strings.Replace(good, "old 5", "old 36893488147419103232", 1), 400, plain, "old <size>"},
		{"lines with carriage returns", strings.ReplaceAll(good, "\n", "\r\n"), 400, plain, "empty line"},
		{"a hash with a space", strings.Replace(good, proof, proof+" ", 1), 400, plain, "hash 1"},
		{"a hash of 31 bytes", strings.Replace(good, proof, proof[:40]+"AA==", 1), 400, plain, "hash 1"},
		{"64 hashes", strings.Replace(good, proof, strings.Repeat(proof+"\n", 63)+proof, 1), 400, plain, "more than 63"},
		{"no checkpoint", strings.SplitAfter(good, "\n\n")[0], 400, plain, "not a checkpoint"},
		{"a checkpoint without signature", "old 0\n\n" + nine.checkpoint().Text() + "\n", 400, plain, "not a checkpoint"},
		{"a checkpoint with an extension line", strings.Replace(good, "\n\n— ", "\nmore\n\n— ", 1), 400, plain, "not a checkpoint"},
		{"a checkpoint before other text", strings.Replace(good, "\n\n— ", "\n\nmore\n\n— ", 1), 400, plain, "not a checkpoint"},
		{"an old size beyond the checkpoint", body(Request{10, nil, nine.sign()}), 400, plain, "extension of size 10"},

		{"a key that is not trusted", body(Request{5, nine.from(5).Proof, strange}), 403, plain, "not signed by a key"},
		{"a signature over another text", body(Request{5, nil, forged}), 403, plain, "does not verify"},
		{"another log, signed by the same key", body(Request{5, nine.from(5).Proof, elsewhere}), 404, plain, "does not know the log"},

		{"from nothing", body(nine.from(0)), 409, sizeType, "5\n"},
		{"from a smaller size", body(nine.from(4)), 409, sizeType, "5\n"},
		{"from a larger size", body(nine.from(7)), 409, sizeType, "5\n"},
		{"a smaller size", body(five[:3].from(3)), 409, sizeType, "5\n"},
		{"another root of the same size", body(other.from(5)), 409, plain, "another root of the same size"},

		{"a hash of the proof changed", body(wrongProof), 422, plain, "does not verify"},
		{"a proof too long", body(longProof), 422, plain, "does not verify"},
		{"no proof", body(Request{5, nil, nine.sign()}), 422, plain, "does not verify"},
		{"a proof of another history", body(other.grow(4, "b").from(5)), 422, plain, "does not verify"},
		{"a proof where there is nothing to prove", body(idle), 422, plain, "does not verify"},

		{"a body as long as allowed", strings.Repeat("x", MaxRequest), 400, plain, "empty line"},
		{"a body longer than that", strings.Repeat("x", MaxRequest+1), 413, plain, "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, config(t.TempDir()))
			url := serve(t, w.Handler())
			if got := post(t, url, five.from(0).Marshal()); got.status != 200 {
				t.Fatalf("size 5: %+v", got)
			}
			got := post(t, url, []byte(c.body))
			if got.status != c.status || got.media != c.media {
				t.Fatalf("got %d %s %q, want %d %s", got.status, got.media, got.body, c.status, c.media)
			}
			if c.says == "" {
				r := must(ParseRequest([]byte(c.body)))
				cosigned(t, r.Checkpoint, got.body, w.VerifierKey())
			} else if !strings.Contains(got.body, c.says) || !strings.HasSuffix(got.body, "\n") || strings.Count(got.body, "\n") != 1 {
				t.Errorf("it says %q, not %q", got.body, c.says)
			}
			if c.status != 200 && w.Heads()[0].Size != 5 {
				t.Errorf("a refusal made %+v the head", w.Heads()[0])
			}
		})
	}
}

func TestEmptyTree(t *testing.T) {
	t.Parallel()
	w := start(t, config(t.TempDir()))
	url := serve(t, w.Handler())
	none := history{}.from(0)
	empty := chain.EmptyRoot
	none.Checkpoint = bytes.Replace(none.Checkpoint, []byte(base64.StdEncoding.EncodeToString(empty[:])), []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 1)
	if got := post(t, url, none.Marshal()); got.status != 400 {
		t.Errorf("size 0 with a root: %+v", got)
	}
	early := history{}.grow(3, "a").from(0)
	early.Proof = []chain.Hash{{}}
	if got := post(t, url, early.Marshal()); got.status != 422 {
		t.Errorf("a proof from size 0: %+v", got)
	}
	for _, h := range []history{{}, history{}.grow(3, "a")} {
		got := post(t, url, h.from(0).Marshal())
		if got.status != 200 {
			t.Fatalf("size %d: %+v", len(h), got)
		}
		cosigned(t, h.sign(), got.body, w.VerifierKey())
	}
}

// A log that has nothing new shows that it lives: the same head is cosigned
// again, with the time of that moment.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	folder, now := t.TempDir(), newClock()
	c := config(folder)
	c.Now = now.read
	w := start(t, c)
	h := history{}.grow(5, "a")
	at := func(old int64) time.Time {
		t.Helper()
		line, err := w.Add(h.from(old))
		if err != nil {
			t.Fatal(err)
		}
		return cosigned(t, h.sign(), line, w.VerifierKey()).Signatures[1].Time
	}
	first := at(0)
	if !first.Equal(now.read()) {
		t.Errorf("cosigned at %s, and the clock says %s", first, now.read())
	}
	if again := at(5); !again.Equal(first) {
		t.Errorf("within the same second: %s and %s", first, again)
	}
	now.step(time.Minute)
	second := at(5)
	if second.Sub(first) != time.Minute {
		t.Errorf("a minute later: %s after %s", second, first)
	}
	now.step(-30 * time.Second)
	if back := at(5); !back.Equal(second) {
		t.Errorf("the clock went back: %s after %s", back, second)
	}
	w.Close()
	w = start(t, c)
	if back := at(5); !back.Equal(second) {
		t.Errorf("and after a restart: %s after %s", back, second)
	}
	now.step(-MaxClockStep)
	if back := at(5); !back.Equal(now.read()) {
		t.Errorf("the clock was wrong: %s, and it says %s now", back, now.read())
	}
}

// Either key counts while a log changes its key.
func TestTwoKeysOfALog(t *testing.T) {
	t.Parallel()
	next := must(chain.NewSigningKey(seeded("next")))
	c := config(t.TempDir())
	c.Logs = append(c.Logs, must(chain.ParseLogKey(must(next.VerifierKey(origin)))))
	w := start(t, c)
	five := history{}.grow(5, "a")
	nine := five.grow(4, "a")
	if _, err := w.Add(five.from(0)); err != nil {
		t.Fatal(err)
	}
	r := nine.from(5)
	r.Checkpoint = must(next.Sign(nine.checkpoint()))
	if _, err := w.Add(r); err != nil {
		t.Fatal(err)
	}
	if got := w.Origins(); len(got) != 1 || w.Heads()[0].Size != 9 {
		t.Errorf("it knows %v at %d", got, w.Heads()[0].Size)
	}
}

// The two notes that prove a fork are kept, whatever comes after.
func TestForksAreKept(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	w := start(t, config(folder))
	url := serve(t, w.Handler())
	a, b, c := history{}.grow(5, "a"), history{}.grow(5, "b"), history{}.grow(5, "c")
	for i, h := range []history{a, b, c} {
		if got := post(t, url, h.from(min(int64(i)*5, 5)).Marshal()); (got.status == 200) != (i == 0) {
			t.Fatalf("history %d: %+v", i, got)
		}
	}
	if got := post(t, url, a.grow(4, "a").from(5).Marshal()); got.status != 200 {
		t.Fatalf("the history that was cosigned, continued: %+v", got)
	}
	name := filepath.Join(folder, OriginHash(origin))
	head, fork := must(os.ReadFile(name+cosignedSuffix)), must(os.ReadFile(name+refusedSuffix))
	one, two := must(chain.OpenCheckpoint(head, logVerifier())), must(chain.OpenCheckpoint(fork, logVerifier()))
	if one.Size != two.Size || one.Root != chain.RootOf(a) || two.Root != chain.RootOf(b) {
		t.Errorf("kept are %+v and %+v", one.Checkpoint, two.Checkpoint)
	}
	w.Close()
	w = start(t, config(folder))
	if !w.Heads()[0].Fork {
		t.Error("the fork is forgotten after a restart")
	}
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, string(must(io.ReadAll(response.Body)))
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := start(t, config(t.TempDir()))
	url := serve(t, w.Handler())
	head := url + "/" + OriginHash(origin) + "/checkpoint"
	if status, _ := fetch(t, head); status != 404 {
		t.Errorf("a head before there is one: %d", status)
	}
	if _, page := fetch(t, url); !strings.Contains(page, "nothing yet") {
		t.Errorf("the page before there is a head:\n%s", page)
	}
	five := history{}.grow(5, "a")
	for _, r := range []Request{five.from(0), history{}.grow(5, "b").from(5)} {
		post(t, url, r.Marshal())
	}
	_, note := fetch(t, head)
	if s, err := chain.OpenCheckpoint([]byte(note), logVerifier(), w.VerifierKey()); err != nil || len(s.Signatures) != 2 || s.Checkpoint != five.checkpoint() {
		t.Errorf("the head: %v\n%s", err, note)
	}
	_, page := fetch(t, url)
	for _, want := range []string{w.VerifierKey().String(), origin, chain.RootOf(five).String(), "FORK"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
	if status, body := fetch(t, url+"/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %q", status, body)
	}
	if status, _ := fetch(t, url+addPath); status != 405 {
		t.Errorf("GET %s: %d", addPath, status)
	}

	_, metrics := fetch(t, url+"/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(metrics))
	if err != nil {
		t.Fatal(err)
	}
	if got := families["tallystick_witness_size"].Metric[0].GetGauge().GetValue(); got != 5 {
		t.Errorf("the size is counted as %v", got)
	}
	if got := families["tallystick_witness_fork"].Metric[0].GetGauge().GetValue(); got != 1 {
		t.Errorf("forks: %v", got)
	}
	for _, m := range families["tallystick_witness_requests_total"].Metric {
		want := map[string]float64{"200": 1, "409": 1}[m.Label[0].GetValue()]
		if m.GetCounter().GetValue() != want {
			t.Errorf("status %s was counted %v times, not %v", m.Label[0].GetValue(), m.GetCounter().GetValue(), want)
		}
	}
}

func TestTooManyAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t, config(t.TempDir()))
	url := serve(t, w.Handler())
	for range MaxAtOnce {
		w.slots <- struct{}{}
	}
	if got := post(t, url, history{}.grow(5, "a").from(0).Marshal()); got.status != 503 {
		t.Errorf("with all places taken: %+v", got)
	}
	for range MaxAtOnce {
		<-w.slots
	}
	if got := post(t, url, history{}.grow(5, "a").from(0).Marshal()); got.status != 200 {
		t.Errorf("with all places free: %+v", got)
	}
}

func TestEventsSayWhatWasAnswered(t *testing.T) {
	t.Parallel()
	events := make(chan Event, 10)
	c := config(t.TempDir())
	c.Saw = func(e Event) { events <- e }
	url := serve(t, start(t, c).Handler())
	post(t, url, history{}.grow(5, "a").from(0).Marshal())
	post(t, url, []byte("old"))
	if e := <-events; e.Origin != origin || e.Size != 5 || e.Err != nil {
		t.Errorf("cosigned: %+v", e)
	}
	if e := <-events; e.Origin != "" || e.Err == nil {
		t.Errorf("unreadable: %+v", e)
	}
}
