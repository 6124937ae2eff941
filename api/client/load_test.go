package client_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"tallystick/api/client"
)

func TestConnReadsStatusReplayRetryAfterAndBody(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer the-key" || r.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Idempotent-Replayed", "true")
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "%s %s %s", r.URL.Path, r.Header.Get("Idempotency-Key"), body)
	})
	conn := c.Conn(time.Minute)
	defer conn.Close()
	for _, want := range []string{"k1", "k2"} {
		a, err := conn.Post(t.Context(), "/v1/x", want, []byte("{}"))
		if err != nil || a.Status != 201 || !a.Replayed || a.RetryAfter != 2*time.Second || string(a.Body) != "/v1/x "+want+" {}" {
			t.Errorf("Post = %+v %q, %v", a, a.Body, err)
		}
	}
}

func TestConnReadsAPathWithItsQuery(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %q", r.Method, r.URL, r.Header.Get("Authorization"), body)
	})
	conn := c.Conn(time.Minute)
	defer conn.Close()
	for _, path := range []string{"/v1/x?a=1&b=%20", "/v1/y"} { // the second begins where the first ended
		a, err := conn.Get(t.Context(), path)
		if err != nil || a.Status != 200 || string(a.Body) != "GET "+path+` Bearer the-key ""` {
			t.Errorf("Get = %+v %q, %v", a, a.Body, err)
		}
	}
}

func TestConnStaysOpenAndIsDialledAgainAfterAnError(t *testing.T) {
	t.Parallel()
	var opened, requests atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 3 {
			panic(http.ErrAbortHandler) // the connection breaks without an answer
		}
		w.WriteHeader(http.StatusCreated)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "k")
	if err != nil {
		t.Fatal(err)
	}
	conn := c.Conn(time.Minute)
	defer conn.Close()
	var failed []int
	for i := range 5 {
		if _, err := conn.Post(t.Context(), "/", "", nil); err != nil {
			failed = append(failed, i)
		}
	}
	if !slices.Equal(failed, []int{2}) || opened.Load() != 2 {
		t.Errorf("requests %v failed over %d connections, want the third alone and 2", failed, opened.Load())
	}
}

func TestARequestWithoutAnAnswerEndsAtItsTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	conn := c.Conn(20 * time.Millisecond)
	defer conn.Close()
	if _, err := conn.Post(t.Context(), "/", "", nil); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("Post = %v", err)
	}
}

// answerInTurn answers with the given statuses, one after the other and then
// again; 0 breaks the connection and 200 stands for a replayed 201.
func answerInTurn(served []atomic.Int64, statuses ...int) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		i := int(n.Add(1)-1) % len(statuses)
		served[i].Add(1)
		switch statuses[i] {
		case 0:
			panic(http.ErrAbortHandler)
		case http.StatusOK:
			w.Header().Set("Idempotent-Replayed", "true")
			w.WriteHeader(http.StatusCreated)
		default:
			w.WriteHeader(statuses[i])
		}
	}
}

func TestALoadCountsEveryRequestByHowItEnded(t *testing.T) {
	t.Parallel()
	served := make([]atomic.Int64, 6)
	c := serve(t, answerInTurn(served, 201, 201, 200, 422, 500, 0))
	load := client.Load{
		Client: c, Path: "/", Connections: 3, Duration: 700 * time.Millisecond, Timeout: time.Minute,
		Request: func(_ int, body []byte) []byte { return append(body, "{}"...) },
		Judge:   func(_ int, a client.Answer) client.Tally { return client.JudgeStatus(a.Status, a.Replayed) },
	}
	m, err := load.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := client.Tally{
		Acknowledged: served[0].Load() + served[1].Load(),
		Replayed:     served[2].Load(),
		Rejected:     served[3].Load(),
		Errors:       served[4].Load() + served[5].Load(),
	}
	if m.All != want || want.Errors < 2 {
		t.Errorf("tally %+v, served %+v", m.All, want)
	}
	if m.Statuses[201] != want.Acknowledged+want.Replayed || m.Statuses[422] != want.Rejected || m.Statuses[500] != served[4].Load() {
		t.Errorf("statuses %v, served %+v", m.Statuses, want)
	}
	if m.Failure == nil || m.Latencies.Count() == 0 || m.Latencies.Max() == 0 {
		t.Errorf("failure %v, %d latencies", m.Failure, m.Latencies.Count())
	}
	var inTimeline int64
	for _, n := range m.Timeline {
		inTimeline += n
	}
	if inTimeline > want.Acknowledged || inTimeline < m.Tally.Acknowledged {
		t.Errorf("%d in the timeline, %d acknowledged in all, %d measured", inTimeline, want.Acknowledged, m.Tally.Acknowledged)
	}
}

func TestTheWarmUpIsLeftOutOfWhatIsMeasured(t *testing.T) {
	t.Parallel()
	var first atomic.Bool
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		// One answer at once, in the warm-up, and then refusals.
		if first.CompareAndSwap(false, true) {
			w.WriteHeader(http.StatusCreated)
			return
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
	})
	load := client.Load{
		Client: c, Path: "/", Connections: 1, WarmUp: 100 * time.Millisecond, Duration: 50 * time.Millisecond, Timeout: time.Minute,
		Request: func(_ int, body []byte) []byte { return body },
		Judge:   func(_ int, a client.Answer) client.Tally { return client.JudgeStatus(a.Status, a.Replayed) },
	}
	m, err := load.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m.All.Acknowledged != 1 || m.Tally.Acknowledged != 0 || m.Tally.Rejected == 0 || m.Tally.Rejected >= m.All.Rejected {
		t.Errorf("measured %+v of %+v", m.Tally, m.All)
	}
	if m.Window != load.Duration {
		t.Errorf("window %s", m.Window)
	}
}

func TestALoadWithoutConnectionsOrTimeIsRefused(t *testing.T) {
	t.Parallel()
	for _, l := range []client.Load{
		{Connections: 0, Duration: time.Second, Timeout: time.Second},
		{Connections: 1, Duration: 0, Timeout: time.Second},
		{Connections: 1, Duration: time.Second},
	} {
		if _, err := l.Run(t.Context()); err == nil {
			t.Errorf("%+v ran", l)
		}
	}
}

func TestTheLongestGapIsFoundBetweenTwoMoments(t *testing.T) {
	t.Parallel()
	m := client.Measured{Timeline: []int64{0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0}}
	step := client.TimelineStep
	for _, c := range []struct{ from, to, want time.Duration }{
		{0, 11, 4}, {3, 7, 2}, {0, 4, 3}, {7, 9, 2}, {0, 1000, 4}, {3, 4, 0},
	} {
		if got := m.LongestGap(c.from*step, c.to*step); got != c.want*step {
			t.Errorf("from %d to %d: %s, want %s", c.from, c.to, got, c.want*step)
		}
	}
}

func TestPerSecondDividesByTheWindow(t *testing.T) {
	t.Parallel()
	m := client.Measured{Tally: client.Tally{Acknowledged: 300}, Window: 2 * time.Second}
	if m.PerSecond() != 150 {
		t.Errorf("PerSecond = %d", m.PerSecond())
	}
	if (&client.Measured{}).PerSecond() != 0 {
		t.Error("an empty window has a rate")
	}
}

func TestPercentilesAreAtMostOnePercentAboveTheTrueOnes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		durations := rapid.SliceOfN(rapid.Int64Range(0, int64(200*time.Second)), 1, 300).Draw(t, "durations")
		cut := rapid.IntRange(0, len(durations)).Draw(t, "cut")
		var l, other client.Latencies
		for i, d := range durations {
			if i < cut {
				l.Add(time.Duration(d))
			} else {
				other.Add(time.Duration(d))
			}
		}
		l.Merge(&other)
		slices.Sort(durations)
		for _, p := range []int{1, 50, 95, 99, 100} {
			exact := durations[(len(durations)*p+99)/100-1]
			got := int64(l.Percentile(p))
			if got < exact || got > exact+exact/100 {
				t.Fatalf("p%d of %v: %d, want %d", p, durations, got, exact)
			}
		}
		if int64(l.Max()) != durations[len(durations)-1] || l.Count() != int64(len(durations)) {
			t.Fatalf("max %d of %v", l.Max(), durations)
		}
	})
}

func TestDurationsBeyondTheHistogramAreNotLost(t *testing.T) {
	t.Parallel()
	var l client.Latencies
	if l.Percentile(99) != 0 {
		t.Error("nothing recorded has a percentile")
	}
	l.Add(-time.Second)
	l.Add(24 * time.Hour)
	if l.Count() != 2 || l.Max() != 24*time.Hour || l.Percentile(50) != 0 || l.Percentile(100) < 200*time.Second {
		t.Errorf("count %d, max %s, p50 %s, p100 %s", l.Count(), l.Max(), l.Percentile(50), l.Percentile(100))
	}
}

func TestMillisHasThreeDecimals(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0.000", 1500 * time.Nanosecond: "0.001", 4137 * time.Microsecond: "4.137", 12 * time.Second: "12000.000",
	} {
		if got := client.Millis(d).String(); got != want {
			t.Errorf("%s prints %s, want %s", d, got, want)
		}
	}
}

func TestIDsAreDistinctUUIDsOfTheirVersion(t *testing.T) {
	t.Parallel()
	for _, version := range []int{4, 7} {
		ids, err := client.NewIDs(version)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[uuid.UUID]bool{}
		for range 5000 {
			id, err := uuid.ParseBytes(ids.Append(nil))
			if err != nil || int(id.Version()) != version || id.Variant() != uuid.RFC4122 {
				t.Fatalf("version %d made %s, %v", version, id, err)
			}
			seen[id] = true
		}
		if len(seen) != 5000 {
			t.Errorf("version %d repeats itself: %d of 5000", version, len(seen))
		}
	}
	if _, err := client.NewIDs(1); err == nil {
		t.Error("version 1 was accepted")
	}
}

func TestVersion7IDsBeginWithTheTime(t *testing.T) {
	t.Parallel()
	ids, err := client.NewIDs(7)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Truncate(time.Millisecond)
	id := ids.Next()
	sec, nsec := id.Time().UnixTime()
	if at := time.Unix(sec, nsec); at.Before(before.Add(-time.Millisecond)) || at.After(time.Now()) {
		t.Errorf("%s says %s, made at %s", id, at, before)
	}
}
