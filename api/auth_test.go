package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/store"
)

// vault is a database of keys that counts how often it is asked.
type vault struct {
	mu    sync.Mutex
	keys  map[[sha256.Size]byte]store.Principal
	err   error
	asked atomic.Int64
	busy  chan struct{} // when set, lookups wait for it
	peak  atomic.Int64
	now   atomic.Int64
}

func (v *vault) lookup(_ context.Context, hash [sha256.Size]byte) (store.Principal, error) {
	v.asked.Add(1)
	if n := v.now.Add(1); n > v.peak.Load() {
		v.peak.Store(n)
	}
	defer v.now.Add(-1)
	if v.busy != nil {
		<-v.busy
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil {
		return store.Principal{}, v.err
	}
	if id, ok := v.keys[hash]; ok {
		return id, nil
	}
	return store.Principal{}, fmt.Errorf("looking for an API key: %w", store.ErrNotFound)
}

func (v *vault) set(key string, known bool, err error) store.Principal {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
	hash := sha256.Sum256([]byte(key))
	if !known {
		delete(v.keys, hash)
		return store.Principal{}
	}
	id, _ := ledger.NewKeyID()
	v.keys[hash] = store.Principal{ID: id, Scopes: scopePost}
	return v.keys[hash]
}

func newVault() (*vault, *keyring) {
	v := &vault{keys: map[[sha256.Size]byte]store.Principal{}}
	return v, newKeyring(v.lookup)
}

func authorization(values ...string) http.Header { return http.Header{"Authorization": values} }

// pass lets time pass inside a synctest bubble, where nobody waits for it.
func pass(d time.Duration) { <-time.After(d) }

func TestKeysAreAskedForOnceInAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, k := newVault()
		id := v.set("good", true, nil)
		ctx := t.Context()
		for range 5 {
			if got, err := k.principal(ctx, authorization("Bearer good"), scopeRead); err != nil || got != id {
				t.Fatalf("a good key: %v, %v", got, err)
			}
			if _, err := k.principal(ctx, authorization("bearer bad"), scopeRead); err == nil {
				t.Fatal("a bad key was accepted")
			}
		}
		if n := v.asked.Load(); n != 2 {
			t.Errorf("the database was asked %d times, want once for each key", n)
		}
		pass(unknownKeyFresh)
		v.set("bad", true, nil) // it becomes a good one
		if _, err := k.principal(ctx, authorization("Bearer bad"), scopeRead); err != nil {
			t.Errorf("a new key is still refused: %v", err)
		}
		v.set("good", false, nil)
		pass(keyFresh)
		if _, err := k.principal(ctx, authorization("Bearer good"), scopeRead); err == nil {
			t.Error("a withdrawn key works after keyFresh")
		}
	})
}

func TestAKnownKeyOutlivesAShortOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, k := newVault()
		id := v.set("good", true, nil)
		ctx := t.Context()
		if _, err := k.principal(ctx, authorization("Bearer good"), scopeRead); err != nil {
			t.Fatal(err)
		}
		away := errors.New("away")
		v.set("other", true, away)
		pass(keyStale - time.Millisecond)
		if got, err := k.principal(ctx, authorization("Bearer good"), scopeRead); err != nil || got != id {
			t.Errorf("during an outage: %v, %v", got, err)
		}
		pass(time.Millisecond)
		if _, err := k.principal(ctx, authorization("Bearer good"), scopeRead); !errors.Is(err, away) {
			t.Errorf("after keyStale: %v", err)
		}
	})
}

func TestGuessingKeysIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, k := newVault()
		v.busy = make(chan struct{})
		var wait sync.WaitGroup
		for i := range 100 {
			wait.Go(func() {
				if _, err := k.principal(t.Context(), authorization(fmt.Sprintf("Bearer guess-%d", i)), scopeRead); err == nil {
					t.Error("a guess was accepted")
				}
			})
		}
		synctest.Wait()
		if n := v.now.Load(); n != maxKeyLookups {
			t.Errorf("%d lookups at once, want %d", n, maxKeyLookups)
		}
		impatient, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := k.principal(impatient, authorization("Bearer one-more"), scopeRead); !errors.Is(err, context.Canceled) {
			t.Errorf("a request that ended while waiting: %v", err)
		}
		close(v.busy)
		wait.Wait()
		if v.peak.Load() > maxKeyLookups {
			t.Errorf("%d lookups at once", v.peak.Load())
		}
		for i := range maxUnknownKeys + 10 {
			_, _ = k.principal(t.Context(), authorization(fmt.Sprintf("Bearer more-%d", i)), scopeRead)
		}
		if n := len(k.unknown); n > maxUnknownKeys {
			t.Errorf("%d unknown keys are remembered, the bound is %d", n, maxUnknownKeys)
		}
	})
}

// TestOneRequestConfirmsAKey: the others do not wait for it.
func TestOneRequestConfirmsAKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, k := newVault()
		v.set("good", true, nil)
		if _, err := k.principal(t.Context(), authorization("Bearer good"), scopeRead); err != nil {
			t.Fatal(err)
		}
		pass(keyFresh)
		v.busy = make(chan struct{})
		var answered atomic.Int64
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				if _, err := k.principal(t.Context(), authorization("Bearer good"), scopeRead); err != nil {
					t.Error(err)
				}
				answered.Add(1)
			})
		}
		synctest.Wait()
		if n := answered.Load(); n != 49 {
			t.Errorf("%d of 50 were answered while one confirms", n)
		}
		close(v.busy)
		wait.Wait()
		if n := v.asked.Load(); n != 2 {
			t.Errorf("the database was asked %d times, want 2", n)
		}
	})
}

// TestEveryRouteAsksForItsScope sends every route keys of every scope: who has
// less is refused, and told what is missing.
func TestEveryRouteAsksForItsScope(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		scopes := []store.Scopes{scopeRead, scopePost, scopeApprove, scopeAdmin}
		for _, has := range scopes {
			if _, err := b.db.CreateKey(t.Context(), sha256.Sum256([]byte("key-"+has.String())), has.String(), has); err != nil {
				t.Fatal(err)
			}
		}
		params := strings.NewReplacer("{ledger}", "main", "{account}", "cash", "{id}", uuid.NewString(), "{seq}", "0")
		refused := 0
		for _, r := range routes {
			for _, has := range scopes {
				a := b.do(r.method, params.Replace(r.path), "", headers{"Authorization": {"Bearer key-" + has.String()}})
				if want := !has.Has(r.needs); (a.status == http.StatusForbidden) != want {
					t.Errorf("%s %s with scope %s: %d %s", r.method, r.path, has, a.status, a.body)
				}
				if a.status == http.StatusForbidden {
					refused++
					a.is(http.StatusForbidden, codeForbidden).want("field", "Authorization")
					if detail := a.text("detail"); !strings.Contains(detail, "the scope "+r.needs.String()+";") || !strings.HasSuffix(detail, " "+has.String()) {
						t.Errorf("%s %s with scope %s: %s", r.method, r.path, has, detail)
					}
				}
			}
		}
		if refused == 0 {
			t.Error("nothing was refused")
		}
	})
}

// TestAKeyWithoutAnyScopeMayNothing: such a one can only be of a later version.
func TestAKeyWithoutAnyScopeMayNothing(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		if _, err := b.db.CreateKey(t.Context(), sha256.Sum256([]byte("bare")), "bare", 0); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/v1/ledgers", "/v1/nothing", "/metrics"} {
			b.do("GET", path, "", headers{"Authorization": {"Bearer bare"}}).is(http.StatusForbidden, codeForbidden)
		}
		b.do("GET", "/healthz", "", headers{"Authorization": {"Bearer bare"}}).is(http.StatusOK, "")
	})
}

// TestAKnownKeyCostsNoMemory: every request passes here.
func TestAKnownKeyCostsNoMemory(t *testing.T) {
	v, k := newVault()
	v.set("good", true, nil)
	h, ctx := authorization("Bearer good"), t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := k.principal(ctx, h, scopePost); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for each request", n)
	}
}
