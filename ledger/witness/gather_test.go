package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tallystick/ledger/chain"
)

// patient waits as long as a noisy machine needs; nothing is measured.
const patient = 30 * time.Second

// party is a witness with its URL.
type party struct {
	*Witness
	url string
}

func newParty(t *testing.T, name string) party {
	t.Helper()
	c := config(t.TempDir())
	c.Name = "witness.example/" + name
	w := start(t, c)
	return party{w, serve(t, w.Handler())}
}

// policyOf returns a policy of witnesses named w0, w1, … with these keys and URLs.
func policyOf(t *testing.T, quorum int, parties ...party) *chain.Policy {
	t.Helper()
	text := "log " + logVerifier().String() + "\n"
	var names []string
	for i, p := range parties {
		names = append(names, fmt.Sprint("w", i))
		text += fmt.Sprintln("witness", names[i], p.VerifierKey(), p.url)
	}
	if quorum == 0 {
		text += "quorum none\n"
	} else {
		text += fmt.Sprintln("group all-of-them", quorum, strings.Join(names, " ")) + "quorum all-of-them\n"
	}
	policy, err := chain.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func circle(t *testing.T, policy *chain.Policy, o Options) *Circle {
	t.Helper()
	c, err := NewCircle(t.Context(), policy, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// gathered opens what Gather returned and says by how many witnesses it is.
func gathered(t *testing.T, c *Circle, h history) (chain.SignedCheckpoint, int) {
	t.Helper()
	note, err := c.Gather(t.Context(), h.sign(), h.prove)
	if err != nil {
		t.Fatal(err)
	}
	s, err := chain.OpenCheckpoint(note, c.policy.Keys()...)
	if err != nil {
		t.Fatalf("%v\n%s", err, note)
	}
	if s.Checkpoint != h.checkpoint() || !s.SignedByLog() || len(s.Unknown) > 0 {
		t.Fatalf("another note than the one that was offered:\n%s", note)
	}
	return s, len(s.Signatures) - 1
}

func TestTwoWitnessesCosign(t *testing.T) {
	t.Parallel()
	one, two := newParty(t, "1"), newParty(t, "2")
	c := circle(t, policyOf(t, 2, one, two), Options{Patience: patient})
	for _, size := range []int{3, 5, 5, 300} {
		h := history{}.grow(size, "a")
		s, n := gathered(t, c, h)
		if n != 2 || !c.policy.Quorum(&s, time.Now().Add(-time.Hour)) {
			t.Errorf("size %d is cosigned by %d", size, n)
		}
	}
	for _, p := range []party{one, two} {
		if got := p.counts.byStatus; got[200] != 4 || len(got) != 1 {
			t.Errorf("it took more than one request a checkpoint: %v", got)
		}
	}

	// A signer that was started anew finds out, with one request more.
	c = circle(t, policyOf(t, 2, one, two), Options{Patience: patient})
	if _, n := gathered(t, c, history{}.grow(301, "a")); n != 2 {
		t.Errorf("cosigned by %d", n)
	}
	if got := one.counts.byStatus; got[200] != 5 || got[409] != 1 {
		t.Errorf("it took %v", got)
	}
	for i, o := range c.Outcomes() {
		if o.Name != fmt.Sprint("w", i) || o.Origin != origin || o.Size != 301 || o.Err != nil || o.At.IsZero() {
			t.Errorf("outcome %d: %+v", i, o)
		}
	}
}

// An older cosignature gives way to the new one; of a witness that is away the
// older one stays.
func TestNewCosignaturesReplaceOld(t *testing.T) {
	t.Parallel()
	now := newClock()
	now.step(-time.Hour)
	conf := config(t.TempDir())
	conf.Now = now.read
	w := start(t, conf)
	up := party{w, serve(t, w.Handler())}
	away := newParty(t, "away")
	c := circle(t, policyOf(t, 2, up, away), Options{Patience: patient})
	h := history{}.grow(5, "a")
	first := must(c.Gather(t.Context(), h.sign(), h.prove))
	now.step(time.Minute)
	away.Close()
	second, err := c.Gather(t.Context(), first, h.prove)
	if err != nil {
		t.Fatal(err)
	}
	s := must(chain.OpenCheckpoint(second, c.policy.Keys()...))
	if len(s.Signatures) != 3 || len(s.Unknown) != 0 || strings.Count(string(second), "— ") != 3 {
		t.Fatalf("the note has other signatures:\n%s", second)
	}
	for _, x := range s.Signatures {
		if x.Key.String() == up.VerifierKey().String() && !x.Time.Equal(now.read()) {
			t.Errorf("cosigned at %s, not at %s", x.Time, now.read())
		}
	}
}

// lying answers every request with what say makes of it.
func lying(t *testing.T, say func(out http.ResponseWriter, in *http.Request, r Request)) string {
	t.Helper()
	return serve(t, http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		r, err2 := ParseRequest(body)
		if err := errors.Join(err, err2); err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		say(out, in, r)
	}))
}

// A witness that is down, refuses or lies costs its own cosignature and
// nothing else, and the reason is told.
func TestWitnessesThatDoNotCosign(t *testing.T) {
	t.Parallel()
	key := must(chain.NewCosigningKey("witness.example/bad", seeded("bad")))
	other := must(chain.NewCosigningKey("witness.example/other", seeded("other")))
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	sign := func(k chain.CosigningKey, c chain.Checkpoint, at time.Time) string {
		return must(k.Cosign(c, at)) + "\n"
	}
	says := func(text func(r Request) string) func(*testing.T) string {
		return func(t *testing.T) string {
			return lying(t, func(out http.ResponseWriter, _ *http.Request, r Request) { fmt.Fprint(out, text(r)) })
		}
	}
	status := func(code int, media, text string) func(*testing.T) string {
		return func(t *testing.T) string {
			return lying(t, func(out http.ResponseWriter, _ *http.Request, _ Request) {
				out.Header().Set("Content-Type", media)
				out.WriteHeader(code)
				fmt.Fprint(out, text)
			})
		}
	}
	h := history{}.grow(5, "a")
	for _, c := range []struct {
		name string
		url  func(*testing.T) string
		want error // nil: any
		says string
	}{
		{"down", func(*testing.T) string { return down.URL }, nil, "refused"},
		{"a cosignature of another root", says(func(Request) string { return sign(key, history{}.grow(5, "b").checkpoint(), time.Now()) }), ErrAnswer, "does not verify"},
		{"a cosignature from the future", says(func(Request) string { return sign(key, h.checkpoint(), time.Now().Add(2*MaxAhead)) }), ErrAnswer, "ahead of this clock"},
		{"a cosignature by another key", says(func(Request) string { return sign(other, h.checkpoint(), time.Now()) }), ErrAnswer, "no signature by its key"},
		{"the log's own signature", says(func(r Request) string { _, l := signatureLines(r.Checkpoint); return l[0] + "\n" }), ErrAnswer, "no signature by its key"},
		{"garbage", says(func(Request) string { return "\x00\xff<html>\n" }), ErrAnswer, "no signature by its key"},
		{"nothing", says(func(Request) string { return "" }), ErrAnswer, "does not end"},
		{"a line that does not end", says(func(Request) string { return strings.TrimSuffix(sign(key, h.checkpoint(), time.Now()), "\n") }), ErrAnswer, "does not end"},
		{"a body without end", says(func(Request) string { return strings.Repeat("x", 4*MaxAnswer) }), ErrAnswer, "more than"},
		{"not trusted", status(403, "text/plain", "go away\nsecond line"), ErrRefused, `403 Forbidden: "go away"`},
		{"a fork", status(409, "text/plain", "fork"), ErrRefused, "409"},
		{"a redirect", status(307, "text/plain", ""), ErrRefused, "307"},
		{"the size that was asked from", status(409, sizeType, "0\n"), ErrAnswer, "size"},
		{"a size that is none", status(409, sizeType, "05\n"), ErrAnswer, "size"},
		{"a size without end", status(409, sizeType, "3"), ErrAnswer, "size"},
		{"a size beyond ours", status(409, sizeType, "6\n"), ErrAhead, "which has 6"},
		{"never the size it said", func(t *testing.T) string {
			var n atomic.Int64
			return lying(t, func(out http.ResponseWriter, _ *http.Request, _ Request) {
				out.Header().Set("Content-Type", sizeType)
				out.WriteHeader(409)
				fmt.Fprintln(out, 1+n.Add(1)%4)
			})
		}, ErrSize, "3 times"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			good := newParty(t, "good")
			bad := party{&Witness{public: must(chain.ParseWitnessKey(key.VerifierKey()))}, c.url(t)}
			circle := circle(t, policyOf(t, 2, bad, good), Options{})
			s, n := gathered(t, circle, h)
			if n != 1 || !s.SignedBy(good.VerifierKey()) {
				t.Errorf("cosigned by %d", n)
			}
			if circle.policy.Quorum(&s, time.Time{}) {
				t.Error("one of two is a quorum of two")
			}
			o := circle.Outcomes()
			if o[1].Err != nil || o[0].Err == nil || c.want != nil && !errors.Is(o[0].Err, c.want) || !strings.Contains(o[0].Err.Error(), c.says) {
				t.Errorf("outcomes %v (want %q) and %v", o[0].Err, c.says, o[1].Err)
			}
			if one := policyOf(t, 1, bad, good); !one.Quorum(reopened(t, s, one), time.Time{}) {
				t.Error("one of two is no quorum of one")
			}
		})
	}
}

// reopened opens a checkpoint with the keys of another policy.
func reopened(t *testing.T, s chain.SignedCheckpoint, p *chain.Policy) *chain.SignedCheckpoint {
	t.Helper()
	again, err := chain.OpenCheckpoint(s.Note, p.Keys()...)
	if err != nil {
		t.Fatal(err)
	}
	return &again
}

// A witness that does not answer holds nothing up once there is a quorum. It is
// left out while it works, and keeps what it cosigned late.
func TestSlowWitnesses(t *testing.T) {
	t.Parallel()
	good, slow := newParty(t, "good"), newParty(t, "slow")
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	slow.url = serve(t, http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		arrived <- struct{}{}
		<-release
		slow.Handler().ServeHTTP(out, in)
	}))
	c := circle(t, policyOf(t, 1, slow, good), Options{Timeout: 2 * patient, Patience: time.Millisecond})
	h := history{}.grow(5, "a")
	if _, n := gathered(t, c, h); n != 1 {
		t.Errorf("cosigned by %d", n)
	}
	<-arrived
	next := h.grow(3, "a")
	if _, n := gathered(t, c, next); n != 1 {
		t.Errorf("the next one is cosigned by %d", n)
	}
	if o := c.Outcomes()[0]; !errors.Is(o.Err, ErrAtWork) || o.Size != 8 {
		t.Errorf("the slow one: %+v", o)
	}
	close(release)
	c.atWork.Wait()
	if o := c.Outcomes()[0]; o.Err != nil || o.Size != 5 {
		t.Errorf("the slow one in the end: %+v", o)
	}
	c.options.Patience = patient
	c.policy = policyOf(t, 2, slow, good)
	if _, n := gathered(t, c, next); n != 2 {
		t.Errorf("when it is quick again: cosigned by %d", n)
	}
}

// Without a quorum all are waited for, and no longer than the time there is.
func TestGatheringEnds(t *testing.T) {
	t.Parallel()
	for _, ends := range []string{"timeout", "cancelled", "closed"} {
		t.Run(ends, func(t *testing.T) {
			t.Parallel()
			arrived, release := make(chan struct{}, 1), make(chan struct{})
			mute := newParty(t, "mute")
			mute.url = serve(t, http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
				_, _ = io.Copy(io.Discard, in.Body)
				arrived <- struct{}{}
				select {
				case <-release:
				case <-in.Context().Done():
				}
			}))
			t.Cleanup(func() { close(release) })
			o := Options{Timeout: 2 * patient}
			if ends == "timeout" {
				o.Timeout = 10 * time.Millisecond
			}
			c := circle(t, policyOf(t, 1, mute), o)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			h := history{}.grow(5, "a")
			done := make(chan error, 1)
			go func() {
				note, err := c.Gather(ctx, h.sign(), h.prove)
				if string(note) != string(h.sign()) {
					err = fmt.Errorf("another note: %s", note)
				}
				done <- err
			}()
			switch ends {
			case "cancelled":
				<-arrived
				cancel()
			case "closed":
				<-arrived
				c.Close()
			}
			err := <-done
			if ends == "cancelled" && !errors.Is(err, context.Canceled) || ends != "cancelled" && err != nil {
				t.Errorf("it ends with %v", err)
			}
		})
	}
}

func TestProofsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	w := newParty(t, "1")
	five := history{}.grow(5, "a")
	must(w.Add(five.from(0)))
	c := circle(t, policyOf(t, 1, w), Options{})
	nine := five.grow(4, "a")
	gone := errors.New("the tiles are gone")
	if _, err := c.Gather(t.Context(), nine.sign(), func(int64) ([]chain.Hash, error) { return nil, gone }); err != nil {
		t.Fatal(err)
	}
	if o := c.Outcomes()[0]; !errors.Is(o.Err, gone) {
		t.Errorf("outcome %v", o.Err)
	}
	if _, err := c.Gather(t.Context(), []byte("no note"), nine.prove); !errors.Is(err, chain.ErrCheckpoint) {
		t.Errorf("no checkpoint: %v", err)
	}
}

func TestWitnessURLs(t *testing.T) {
	t.Parallel()
	key := must(chain.ParseWitnessKey(must(chain.NewCosigningKey("w", seeded("w"))).VerifierKey()))
	for url, want := range map[string]string{
		"http://w.example":         "http://w.example/add-checkpoint",
		"http://w.example/":        "http://w.example/add-checkpoint",
		"https://w.example:8/a/b/": "https://w.example:8/a/b/add-checkpoint",
		"w.example":                "",
		"ftp://w.example":          "",
		"http://":                  "",
		"http://w.example/?x=y":    "",
		"http://w.example/#x":      "",
		"http://w example/":        "",
	} {
		c, err := NewClient("w", url, key, nil)
		if want == "" && err == nil || want != "" && (err != nil || c.url != want) {
			t.Errorf("%s: %v, %v", url, c, err)
		}
	}
	// Those without a URL are for offline verification, and not asked.
	policy, err := chain.ParsePolicy([]byte("witness w " + key.String() + "\nquorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := circle(t, policy, Options{})
	h := history{}.grow(1, "a")
	if note, err := c.Gather(t.Context(), h.sign(), h.prove); err != nil || string(note) != string(h.sign()) || len(c.Outcomes()) != 0 {
		t.Errorf("%v: %s", err, note)
	}
}
