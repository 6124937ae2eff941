package witness

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tallystick/ledger/chain"
)

const origin = "ledger.example/1"

// history is the leaves that a log claims to have.
type history []chain.Hash

// grow returns the history with n leaves more, which depend on what.
func (h history) grow(n int, what string) history {
	longer := slices.Clone(h)
	for range n {
		longer = append(longer, sha256.Sum256([]byte(fmt.Sprint(what, len(longer)))))
	}
	return longer
}

func (h history) nodes(level int, first, count int64) ([]chain.Hash, error) {
	width := int64(1) << (8 * level)
	hashes := make([]chain.Hash, count)
	for i := range count {
		n := first + i
		if (n+1)*width > int64(len(h)) {
			return nil, chain.ErrNodes
		}
		hashes[i] = chain.RootOf(h[n*width : (n+1)*width])
	}
	if level == 0 {
		copy(hashes, h[first:first+count])
	}
	return hashes, nil
}

// prove is the Prove of the tree of all leaves.
func (h history) prove(from int64) ([]chain.Hash, error) {
	return chain.ProveConsistency(from, int64(len(h)), h.nodes)
}

func (h history) checkpoint() chain.Checkpoint {
	return chain.Checkpoint{Origin: origin, Size: int64(len(h)), Root: chain.RootOf(h)}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// seeded returns 32 bytes that depend on what.
func seeded(what string) []byte {
	sum := sha256.Sum256([]byte(what))
	return sum[:]
}

var logKey = must(chain.NewSigningKey(seeded("log")))

func logVerifier() chain.VerifierKey {
	return must(chain.ParseLogKey(must(logKey.VerifierKey(origin))))
}

// sign returns the checkpoint of all leaves, signed by the log.
func (h history) sign() []byte { return must(logKey.Sign(h.checkpoint())) }

// from returns the request with the proof from size old.
func (h history) from(old int64) Request {
	r := Request{OldSize: old, Checkpoint: h.sign()}
	if 0 < old && old < int64(len(h)) {
		r.Proof = must(h.prove(old))
	}
	return r
}

// clock is a clock that stands until it is set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Second)} }

// config returns a witness of the log in a folder.
func config(folder string) Config {
	return Config{
		KeyFile: filepath.Join(folder, "witness.key"), Name: "witness.example/1", Folder: folder,
		Logs: []chain.VerifierKey{logVerifier()},
	}
}

func start(t *testing.T, c Config) *Witness {
	t.Helper()
	w, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// answered is an answer as plain text.
type answered struct {
	status int
	media  string
	body   string
}

func post(t *testing.T, url string, body []byte) answered {
	t.Helper()
	response, err := http.Post(url+addPath, "text/plain", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return answered{response.StatusCode, response.Header.Get("Content-Type"), text.String()}
}

// cosigned opens a signed checkpoint with the lines of an answer.
func cosigned(t *testing.T, signed []byte, lines string, key chain.VerifierKey) chain.SignedCheckpoint {
	t.Helper()
	both, err := chain.AddSignatures(signed, strings.Split(strings.TrimSuffix(lines, "\n"), "\n")...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := chain.OpenCheckpoint(both, logVerifier(), key)
	if err != nil {
		t.Fatal(err)
	}
	if !s.SignedBy(key) || !s.SignedByLog() {
		t.Fatalf("not signed by both:\n%s", both)
	}
	return s
}
