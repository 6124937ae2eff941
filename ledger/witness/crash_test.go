package witness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tallystick/ledger/chain"
)

// A process of the test binary with these variables is a witness, which kills
// itself at the given arrival at the given step, counted from a POST to armPath
// on.
const (
	childFolder  = "TALLYSTICK_TEST_WITNESS"
	childStep    = "TALLYSTICK_TEST_WITNESS_STEP"
	childArrival = "TALLYSTICK_TEST_WITNESS_ARRIVAL"

	armPath = "/arm"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(childFolder); folder != "" {
		if err := beChild(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func beChild(folder string) error {
	w, err := Open(config(folder))
	if err != nil {
		return err
	}
	arrival, _ := strconv.Atoi(os.Getenv(childArrival))
	armed := false
	var mu sync.Mutex
	w.dir.reached = func(step string) {
		mu.Lock()
		defer mu.Unlock()
		kind, _, _ := strings.Cut(step, " ")
		if !armed || kind != os.Getenv(childStep) {
			return
		}
		if arrival--; arrival == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	mux := http.NewServeMux()
	mux.Handle("/", w.Handler())
	mux.HandleFunc("POST "+armPath, func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		armed = true
	})
	return http.Serve(listener, mux)
}

// child is a witness in a process of its own.
type child struct {
	cmd    *exec.Cmd
	url    string
	stderr bytes.Buffer
}

func startChild(t *testing.T, folder, step string, arrival int) *child {
	t.Helper()
	c := &child{cmd: exec.CommandContext(t.Context(), os.Args[0])}
	c.cmd.Env = append(os.Environ(), childFolder+"="+folder, childStep+"="+step, childArrival+"="+strconv.Itoa(arrival))
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = c.cmd.Wait()
		t.Fatalf("the witness does not start: %v\n%s", err, &c.stderr)
	}
	c.url = strings.TrimSpace(line)
	return c
}

// kill ends the process as kill -9 does, and waits for that.
func (c *child) kill(t *testing.T) {
	t.Helper()
	_ = c.cmd.Process.Kill()
	c.ended(t)
}

func (c *child) ended(t *testing.T) {
	t.Helper()
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the witness ended with %v, not by SIGKILL\n%s", err, &c.stderr)
	}
}

// attack is a log that offers two histories to a witness which is killed all
// the time, and everything that the witness has cosigned of them.
type attack struct {
	folder string
	key    chain.VerifierKey
	base   history    // what the witness has for sure
	forks  [2]history // both extend it

	mu        sync.Mutex
	collected map[string]chain.Checkpoint
}

// collect takes a cosigned note.
func (a *attack) collect(t *testing.T, note []byte) {
	s, err := chain.OpenCheckpoint(note, logVerifier(), a.key)
	if err != nil || !s.SignedBy(a.key) {
		t.Errorf("a note that is not cosigned: %v\n%s", err, note)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.collected[s.Text()] = s.Checkpoint
}

// offer asks for one cosignature. It returns the size that the witness has, or
// the offered one; 0, false when there was no answer.
func (a *attack) offer(t *testing.T, url string, h history, old int64) (have int64, answered bool) {
	r := Request{OldSize: old, Checkpoint: h.sign()}
	if 0 < old && old < int64(len(h)) {
		r.Proof = must(h.prove(old))
	}
	client := must(NewClient("w", url, a.key, nil))
	lines, err := client.Add(t.Context(), r.Checkpoint, old, r.Proof)
	var size *SizeError
	switch {
	case err == nil:
		a.collect(t, must(chain.AddSignatures(r.Checkpoint, lines...)))
		return int64(len(h)), true
	case errors.As(err, &size):
		return size.Have, true
	case errors.Is(err, ErrRefused):
		return old, true
	}
	return 0, false
}

// press offers a history, leaf by leaf, from whatever size the witness says it
// has, until there is no answer. Behind its last leaf it offers that again.
func (a *attack) press(t *testing.T, url string, h history) {
	old, size := int64(len(a.base)), int64(len(a.base))
	for range 100_000 {
		size = min(max(size+1, old), int64(len(h)))
		have, answered := a.offer(t, url, h[:size], old)
		if !answered {
			return
		}
		old = have
	}
	t.Error("the witness was not killed")
}

// settlingOffers bounds how often a witness that runs undisturbed is asked.
const settlingOffers = 5

// settle finds out, as any log can, which history the witness is on.
func (a *attack) settle(t *testing.T, url string) {
	const beyond = 1 << 40 // a size that it cannot have
	probe := must(logKey.Sign(chain.Checkpoint{Origin: origin, Size: beyond, Root: chain.Hash{1}}))
	_, err := must(NewClient("w", url, a.key, nil)).Add(t.Context(), probe, beyond, nil)
	var size *SizeError
	if !errors.As(err, &size) {
		t.Fatalf("the witness does not say which size it has: %v", err)
	}
	have := size.Have
	for _, h := range a.forks {
		if have > int64(len(h)) {
			t.Fatalf("the witness has size %d, and was offered %d at most", have, len(h))
		}
		if have == 0 {
			return
		}
		answered := false
		for n := 0; n < settlingOffers && !answered; n++ { // one may be lost with a connection to the witness before
			_, answered = a.offer(t, url, h[:have], have)
		}
		if !answered {
			t.Fatalf("the witness does not answer %d offers", settlingOffers)
		}
		if _, on := a.collected[h[:have].checkpoint().Text()]; on {
			a.base = h[:have]
			return
		}
	}
	t.Fatalf("the witness has a history of size %d that was never offered", have)
}

// A witness is killed at every step between verifying and answering, and at
// random moments, while a log offers it two histories at once. All it ever
// cosigned, received or found on its disk, is of one history.
func TestKilledWitnessNeverCosignsTwoHistories(t *testing.T) {
	t.Parallel()
	const kills = 36
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	folder := t.TempDir()
	w := start(t, config(folder))
	a := &attack{folder: folder, key: w.VerifierKey(), collected: map[string]chain.Checkpoint{}}
	w.Close()
	steps := []string{"verified", "written", "renamed", "flushed", "kept", "at random"}
	for round := range kills {
		step := steps[round%len(steps)]
		c := startChild(t, folder, step, 1+random.IntN(5))
		a.settle(t, c.url)
		for i, what := range []string{"a", "b"} {
			a.forks[i] = a.base.grow(20, fmt.Sprint(what, round))
		}
		if response, err := http.Post(c.url+armPath, "", nil); err != nil {
			t.Fatal(err)
		} else {
			_ = response.Body.Close()
		}
		var pressing sync.WaitGroup
		for _, h := range a.forks {
			pressing.Go(func() { a.press(t, c.url, h) })
		}
		if step == "at random" {
			after := time.NewTimer(time.Duration(random.IntN(20_000)) * time.Microsecond)
			<-after.C
			c.kill(t)
		} else {
			c.ended(t)
		}
		pressing.Wait()
		if note, err := os.ReadFile(filepath.Join(folder, OriginHash(origin)+headSuffix)); err == nil {
			a.collect(t, note)
		}
	}
	c := startChild(t, folder, "", 0)
	a.settle(t, c.url)
	c.kill(t)
	if len(a.collected) < kills/3 {
		t.Errorf("only %d checkpoints were cosigned: nothing is shown", len(a.collected))
	}
	t.Logf("%d kills, %d checkpoints cosigned, up to size %d", kills, len(a.collected), len(a.base))
	consistent(t, a.collected, a.base)
}

// A first start that is interrupted between naming the key and keeping it
// begins again.
func TestFirstStartInterrupted(t *testing.T) {
	t.Parallel()
	c := config(t.TempDir())
	f, err := openFolder(c.Folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.begin("a key that was never kept"); err != nil {
		t.Fatal(err)
	}
	f.close()
	if w := start(t, c); !w.Fresh() {
		t.Error("it has a key")
	}
}
