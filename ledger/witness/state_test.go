package witness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tallystick/ledger/chain"
)

// grown returns the folder of a witness that has cosigned size 5.
func grown(t *testing.T) (Config, history) {
	t.Helper()
	c := config(t.TempDir())
	w := start(t, c)
	h := history{}.grow(5, "a")
	if _, err := w.Add(h.from(0)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return c, h
}

func TestHeadsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	c, h := grown(t)
	c.Name = "" // it has one
	w := start(t, c)
	if w.Fresh() {
		t.Error("it made a second key")
	}
	if _, err := w.Add(history{}.grow(5, "b").from(0)); !errors.Is(err, ErrSize) {
		t.Errorf("another history from the start: %v", err)
	}
	if _, err := w.Add(h.grow(3, "a").from(5)); err != nil {
		t.Error(err)
	}
}

// A witness that does not know what it has cosigned does not start, and never
// begins anew by itself.
func TestLostOrDamagedStateIsRefused(t *testing.T) {
	t.Parallel()
	headFile := OriginHash(origin) + headSuffix
	edit := func(name string, change func([]byte) []byte) func(*testing.T, Config) {
		return func(t *testing.T, c Config) {
			path := filepath.Join(c.Folder, name)
			if err := os.WriteFile(path, change(must(os.ReadFile(path))), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				t.Fatalf("%q does not contain %q", b, old)
			}
			return bytes.ReplaceAll(b, []byte(old), []byte(new))
		}
	}
	remove := func(name string) func(*testing.T, Config) {
		return func(t *testing.T, c Config) {
			if err := os.Remove(filepath.Join(c.Folder, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	empty := func([]byte) []byte { return nil }
	for _, c := range []struct {
		name   string
		damage func(*testing.T, Config)
		says   string
	}{
		{"the head is gone", remove(headFile), "is gone"},
		{"the head is empty", edit(headFile, empty), "reading the head of " + origin},
		{"the head is cut off", edit(headFile, func(b []byte) []byte { return b[:len(b)/2] }), "reading the head of " + origin},
		{"the size of the head is another", edit(headFile, replace("\n5\n", "\n4\n")), "does not verify"},
		{"the head has lost our signature", edit(headFile, func(b []byte) []byte { return b[:bytes.LastIndex(b, []byte("— "))] }), "not signed by a known key"},
		{"the head is too long", edit(headFile, func(b []byte) []byte { return bytes.Repeat(b, maxHead) }), "more than"},
		{"the index is gone", remove(indexFile), "--unused-key"},
		{"the index is empty", edit(indexFile, empty), "it is damaged"},
		{"the index is cut off", edit(indexFile, replace("end\n", "")), "it is damaged"},
		{"the index has a strange line", edit(indexFile, replace("origin ", "orign ")), "damaged"},
		{"the index is another witness's", edit(indexFile, replace("key witness", "key other")), "belong together"},
		{"the key is gone", remove("witness.key"), "put the key file back"},
		{"the key is damaged", edit("witness.key", replace("PRIVATE", "PRIVAT")), "PRIVATE+KEY+"},
		{"all but the key is gone", func(t *testing.T, c Config) {
			remove(headFile)(t, c)
			remove(indexFile)(t, c)
		}, "its state is lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config, h := grown(t)
			c.damage(t, config)
			w, err := Open(config)
			if err == nil {
				_, err := w.Add(h.from(5))
				w.Close()
				t.Fatalf("it starts, and size 5 again gets %v", err)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %q, not %q", err, c.says)
			}
			if errors.Is(err, ErrState) && !strings.Contains(err.Error(), "hint: ") {
				t.Errorf("it does not say what to do: %v", err)
			}
		})
	}
}

// A head of another log in the place of the right one is no head.
func TestHeadsAreNotMixedUp(t *testing.T) {
	t.Parallel()
	c, _ := grown(t)
	other := must(chain.ParseLogKey(must(logKey.VerifierKey("ledger.example/2"))))
	c.Logs = append(c.Logs, other)
	from := filepath.Join(c.Folder, OriginHash(origin)+headSuffix)
	to := filepath.Join(c.Folder, OriginHash(other.Name())+headSuffix)
	if err := os.WriteFile(to, must(os.ReadFile(from)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c); !errors.Is(err, ErrState) {
		t.Errorf("it starts: %v", err)
	}
}

func TestOneFolderOneWitness(t *testing.T) {
	t.Parallel()
	c := config(t.TempDir())
	w := start(t, c)
	if _, err := Open(c); !errors.Is(err, ErrLocked) {
		t.Errorf("a second witness: %v", err)
	}
	w.Close()
	start(t, c)
}

func TestAClosedWitnessCosignsNothing(t *testing.T) {
	t.Parallel()
	c := config(t.TempDir())
	w := start(t, c)
	w.Close()
	if _, err := w.Add(history{}.grow(1, "a").from(0)); !errors.Is(err, ErrStopped) {
		t.Errorf("it cosigned: %v", err)
	}
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	c := config(folder)
	c.Name = ""
	if _, err := Open(c); !errors.Is(err, chain.ErrWitnessKey) || !strings.Contains(err.Error(), "--name") {
		t.Errorf("without a name: %v", err)
	}
	c.Name = "witness.example/1"
	w := start(t, c)
	if !w.Fresh() || w.VerifierKey().Name() != c.Name {
		t.Errorf("fresh %t, called %s", w.Fresh(), w.VerifierKey().Name())
	}
	for _, name := range []string{"witness.key", indexFile, lockFile} {
		if info := must(os.Stat(filepath.Join(folder, name))); info.Mode() != 0o600 {
			t.Errorf("%s has the mode %s", name, info.Mode())
		}
	}
	w.Close()
	c.Name = "other.example/1"
	if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "it is called witness.example/1") {
		t.Errorf("under another name: %v", err)
	}
}

// A key that was made elsewhere begins with an empty folder when its owner says
// that it was never used, once.
func TestUnusedKey(t *testing.T) {
	t.Parallel()
	c := config(t.TempDir())
	c.KeyFile = filepath.Join(t.TempDir(), "key")
	key := must(chain.NewCosigningKey(c.Name, seeded("elsewhere")))
	if err := os.WriteFile(c.KeyFile, []byte(key.Secret()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c); !errors.Is(err, ErrState) {
		t.Errorf("unasked: %v", err)
	}
	c.UnusedKey = true
	w := start(t, c)
	h := history{}.grow(5, "a")
	must(w.Add(h.from(0)))
	w.Close()
	w = start(t, c) // --unused-key is still there; it does not make the witness forget
	if got := w.Heads()[0].Size; got != 5 {
		t.Errorf("it has size %d", got)
	}
}

// A log that is no longer witnessed keeps its head, for the day it is again.
func TestLogsComeAndGo(t *testing.T) {
	t.Parallel()
	c, h := grown(t)
	all := c.Logs
	c.Logs = nil
	w := start(t, c)
	if _, err := w.Add(h.from(5)); !errors.Is(err, ErrUnknownOrigin) {
		t.Errorf("a log it does not know: %v", err)
	}
	w.Close()
	c.Logs = all
	w = start(t, c)
	if _, err := w.Add(history{}.grow(5, "b").from(0)); !errors.Is(err, ErrSize) {
		t.Errorf("back again, and from the start: %v", err)
	}
}

// A write that may have happened ends the cosigning of a log; one that did not
// happen changes nothing.
func TestWritesThatFail(t *testing.T) {
	t.Parallel()
	c := config(t.TempDir())
	w := start(t, c)
	five := history{}.grow(5, "a")
	must(w.Add(five.from(0)))
	name := filepath.Join(c.Folder, OriginHash(origin)+headSuffix)

	// A folder stands where the new file would be written.
	beside := name + newSuffix
	if err := os.Mkdir(beside, 0o700); err != nil {
		t.Fatal(err)
	}
	nine := five.grow(4, "a")
	if _, err := w.Add(nine.from(5)); err == nil || errors.Is(err, ErrStopped) {
		t.Errorf("nothing could be written: %v", err)
	}
	if err := os.Remove(beside); err != nil {
		t.Fatal(err)
	}
	must(w.Add(nine.from(5)))

	// A folder stands where the file would be renamed to.
	if err := errors.Join(os.Remove(name), os.MkdirAll(filepath.Join(name, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	ten := nine.grow(1, "a")
	if _, err := w.Add(ten.from(9)); err == nil {
		t.Error("it could not be renamed, and was cosigned")
	}
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add(ten.from(9)); !errors.Is(err, ErrStopped) {
		t.Errorf("what is on disk is not known: %v", err)
	}
	url := serve(t, w.Handler())
	if got := post(t, url, ten.from(9).Marshal()); got.status != 503 || strings.Contains(got.body, c.Folder) {
		t.Errorf("it answers %+v", got)
	}
	if status, body := fetch(t, url+"/healthz"); status != 503 || strings.Contains(body, c.Folder) {
		t.Errorf("healthz: %d %q", status, body)
	}
	if _, page := fetch(t, url); !strings.Contains(page, "STOPPED") {
		t.Errorf("the page does not say it:\n%s", page)
	}
}

// Extensions of the same head that exclude each other are offered at the same
// moment, again and again: of each round only one is cosigned.
func TestOfExtensionsAtTheSameMomentOneIsCosigned(t *testing.T) {
	t.Parallel()
	w := start(t, config(t.TempDir()))
	base := history{}.grow(1, "base")
	must(w.Add(base.from(0)))
	const rounds, askers = 80, 8
	for round := range rounds {
		var requests [askers]Request
		var histories [askers]history
		for i := range askers {
			histories[i] = base.grow(1+i%3, fmt.Sprint(round, i))
			requests[i] = histories[i].from(int64(len(base)))
		}
		var errs [askers]error
		var ready, asking sync.WaitGroup
		ready.Add(askers)
		for i := range askers {
			asking.Go(func() {
				ready.Done()
				ready.Wait()
				_, errs[i] = w.Add(requests[i])
			})
		}
		asking.Wait()
		won := 0
		for i, err := range errs {
			switch {
			case err == nil:
				base = histories[i]
				won++
			case !errors.Is(err, ErrSize):
				t.Errorf("round %d: %v", round, err)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d extensions of one head were cosigned", round, won)
		}
	}
}

// Two histories are offered by many at once, at all sizes: only one is ever
// cosigned.
func TestOfConflictingHistoriesOneIsCosigned(t *testing.T) {
	t.Parallel()
	w := start(t, config(t.TempDir()))
	url := serve(t, w.Handler())
	const sizes, askers = 12, 8
	var mu sync.Mutex
	collected := map[string]chain.Checkpoint{}
	var asking sync.WaitGroup
	for i := range askers {
		what := []string{"a", "b"}[i%2]
		asking.Go(func() {
			old := int64(0)
			for size := 1; size <= sizes; {
				h := history{}.grow(size, what)
				if old > int64(size) {
					size++
					continue
				}
				r := h.from(old)
				got := post(t, url, r.Marshal())
				switch {
				case got.status == 200:
					s := cosigned(t, r.Checkpoint, got.body, w.VerifierKey())
					mu.Lock()
					collected[s.Text()] = s.Checkpoint
					mu.Unlock()
					old = s.Size
					size++
				case got.media == sizeType:
					old = must(parseSize(strings.TrimSuffix(got.body, "\n")))
				default:
					size++ // our history has lost
				}
			}
		})
	}
	asking.Wait()
	if len(collected) == 0 {
		t.Fatal("nothing was cosigned")
	}
	consistent(t, collected, history{}.grow(sizes, "a"), history{}.grow(sizes, "b"))
}

// consistent fails the test unless all checkpoints are of one of the histories.
func consistent(t *testing.T, collected map[string]chain.Checkpoint, histories ...history) {
	t.Helper()
	for _, h := range histories {
		all := true
		for _, c := range collected {
			all = all && c.Size <= int64(len(h)) && c.Root == chain.RootOf(h[:min(c.Size, int64(len(h)))])
		}
		if all {
			return
		}
	}
	t.Errorf("the %d cosigned checkpoints are of no one history: %v", len(collected), collected)
}
