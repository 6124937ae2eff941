package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tallystick/ledger/store"
)

// What a route asks of the key; each scope holds those before it.
const (
	anyone       = store.Scopes(0) // no key at all
	scopeRead    = store.ScopeRead
	scopePost    = store.ScopePost    // moves money, opens accounts
	scopeApprove = store.ScopeApprove // closes periods, posts into closed ones, changes accounts, commits to balances
	scopeAdmin   = store.ScopeAdmin   // opens ledgers, changes signing keys, erases text
)

// Bounds of the cache of API keys. A key that is withdrawn in the database
// works for at most keyFresh more, or keyStale while the database is away.
const (
	keyFresh        = 5 * time.Second
	keyStale        = 30 * time.Second
	unknownKeyFresh = time.Second
	maxKnownKeys    = 10_000
	maxUnknownKeys  = 10_000
	// maxKeyLookups bounds the lookups of unknown keys that run at once, so that
	// guessing costs the database little.
	maxKeyLookups = 4
	// maxKeyBytes is the longest key that is looked at.
	maxKeyBytes = 256
)

// keyring knows API keys by the SHA-256 of their text. Only hashes are ever
// compared, and they are found by map lookup: how long that takes says nothing
// about the key.
type keyring struct {
	lookup  func(context.Context, [sha256.Size]byte) (store.Principal, error)
	slots   chan struct{}
	mu      sync.RWMutex
	known   map[[sha256.Size]byte]*knownKey
	unknown map[[sha256.Size]byte]time.Time // until when
}

// knownKey is a key that the database confirmed at some time.
type knownKey struct {
	principal  store.Principal
	confirmed  time.Time
	refreshing atomic.Bool
}

func newKeyring(lookup func(context.Context, [sha256.Size]byte) (store.Principal, error)) *keyring {
	return &keyring{
		lookup:  lookup,
		slots:   make(chan struct{}, maxKeyLookups),
		known:   make(map[[sha256.Size]byte]*knownKey),
		unknown: make(map[[sha256.Size]byte]time.Time),
	}
}

// principal returns whose key the request carries, when it may do what needs
// that scope.
func (k *keyring) principal(ctx context.Context, h http.Header, needs store.Scopes) (store.Principal, error) {
	token, ok := bearer(h)
	if !ok {
		return store.Principal{}, fieldProblem(codeUnauthenticated, "Authorization", "send the header Authorization: Bearer with an API key")
	}
	p, err := k.find(ctx, sha256.Sum256([]byte(token)))
	if errors.Is(err, store.ErrNotFound) {
		return store.Principal{}, fieldProblem(codeUnauthenticated, "Authorization", "this API key is not known")
	}
	if err == nil && !p.Scopes.Has(needs) {
		return store.Principal{}, fieldProblem(codeForbidden, "Authorization",
			"this needs an API key with the scope %s; this key has %s", needs, p.Scopes)
	}
	return p, err
}

// bearer returns the key of an Authorization header that stands once.
func bearer(h http.Header) (string, bool) {
	values := h["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "bearer") || token == "" || len(token) > maxKeyBytes {
		return "", false
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return "", false
		}
	}
	return token, true
}

// find returns the key of a hash, or store.ErrNotFound. A key confirmed a while
// ago is confirmed again by one request while the others go on with it.
func (k *keyring) find(ctx context.Context, hash [sha256.Size]byte) (store.Principal, error) {
	now := time.Now()
	k.mu.RLock()
	key, until := k.known[hash], k.unknown[hash]
	k.mu.RUnlock()
	switch {
	case key != nil && now.Sub(key.confirmed) < keyFresh:
		return key.principal, nil
	case key != nil && now.Sub(key.confirmed) < keyStale:
		return k.refresh(ctx, hash, key)
	case key == nil && now.Before(until):
		return store.Principal{}, store.ErrNotFound
	}
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return store.Principal{}, ctx.Err()
	}
	return k.ask(ctx, hash)
}

// refresh confirms a key again, unless another request is about it. As long as
// the database does not answer, the key is good until it is stale.
func (k *keyring) refresh(ctx context.Context, hash [sha256.Size]byte, key *knownKey) (store.Principal, error) {
	if !key.refreshing.CompareAndSwap(false, true) {
		return key.principal, nil
	}
	defer key.refreshing.Store(false)
	p, err := k.ask(ctx, hash)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return key.principal, nil
	}
	return p, err
}

// ask looks in the database and keeps what it says.
func (k *keyring) ask(ctx context.Context, hash [sha256.Size]byte) (store.Principal, error) {
	p, err := k.lookup(ctx, hash)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err == nil:
		if len(k.known) >= maxKnownKeys {
			clear(k.known)
		}
		k.known[hash] = &knownKey{principal: p, confirmed: time.Now()}
	case errors.Is(err, store.ErrNotFound):
		delete(k.known, hash)
		if len(k.unknown) >= maxUnknownKeys {
			clear(k.unknown)
		}
		k.unknown[hash] = time.Now().Add(unknownKeyFresh)
	}
	return p, err
}
