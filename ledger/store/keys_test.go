package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"tallystick/ledger/store"
)

func TestKeysAreFoundByTheirHash(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		hash := [32]byte{1}
		if _, err := d.db.KeyByHash(t.Context(), hash); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an unknown key: %v, want ErrNotFound", err)
		}
		first := must(d.db.EnsureKey(t.Context(), hash, "till", store.ScopePost))
		if first.Scopes != store.ScopePost {
			t.Errorf("the key has %s", first.Scopes)
		}
		again := must(d.db.EnsureKey(t.Context(), hash, "admin", store.ScopeAdmin))
		if again != first || must(d.db.KeyByHash(t.Context(), hash)) != first {
			t.Errorf("one key has become %v and %v", first, again)
		}
	})
}

func TestHigherScopesHoldTheLowerOnes(t *testing.T) {
	t.Parallel()
	all := []store.Scopes{store.ScopeRead, store.ScopePost, store.ScopeApprove, store.ScopeAdmin}
	for i, has := range all {
		for j, needs := range all {
			if has.Has(needs) != (j <= i) {
				t.Errorf("a key with %s may do what needs %s: %v", has, needs, has.Has(needs))
			}
		}
		if got, err := store.ParseScope(has.String()); err != nil || got != has {
			t.Errorf("%s is read as %s, %v", has, got, err)
		}
	}
	if none := store.Scopes(0); none.Has(store.ScopeRead) || none.String() != "none" || len(none.Words()) != 0 {
		t.Errorf("no scope at all may read, or is %q", none)
	}
	if both := store.ScopeRead | store.ScopeApprove; both.String() != "read approve" {
		t.Errorf("two scopes are %q", both)
	}
	for _, word := range []string{"", "Read", "none", "read post", "write"} {
		if _, err := store.ParseScope(word); err == nil {
			t.Errorf("%q is a scope", word)
		}
	}
}

// pick chooses the key of this name.
func pick(name string) func([]store.APIKey) (store.APIKey, error) {
	return func(keys []store.APIKey) (store.APIKey, error) {
		for _, k := range keys {
			if k.Name == name {
				return k, nil
			}
		}
		return store.APIKey{}, errNoKey
	}
}

var errNoKey = errors.New("no such key")

func TestARevokedKeyIsOver(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		till, admin := [32]byte{1}, [32]byte{2}
		made := must(d.db.CreateKey(ctx, till, "till", store.ScopePost|store.ScopeRead))
		must(d.db.CreateKey(ctx, admin, "boss", store.ScopeAdmin))
		if _, err := d.db.CreateKey(ctx, [32]byte{3}, "till", store.ScopeRead); !errors.Is(err, store.ErrKeyName) {
			t.Errorf("a second key of the name: %v", err)
		}
		if found := must(d.db.KeyByHash(ctx, till)); found != made {
			t.Errorf("the key is %v, made as %v", found, made)
		}
		if _, err := d.db.RevokeKey(ctx, pick("nobody")); !errors.Is(err, errNoKey) {
			t.Errorf("revoking no key: %v", err)
		}
		ended := must(d.db.RevokeKey(ctx, pick("till")))
		if ended.ID != made.ID || ended.RevokedAt == nil {
			t.Errorf("revoked is %v", ended)
		}
		if _, err := d.db.KeyByHash(ctx, till); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the revoked key: %v", err)
		}
		if _, err := d.db.EnsureKey(ctx, till, "till", store.ScopePost); !errors.Is(err, store.ErrKeyRevoked) {
			t.Errorf("the revoked key comes back: %v", err)
		}
		if _, err := d.db.RevokeKey(ctx, pick("till")); !errors.Is(err, errNoKey) {
			t.Errorf("revoking it again: %v", err)
		}
		must(d.db.CreateKey(ctx, [32]byte{3}, "till", store.ScopeRead))
		keys := must(d.db.Keys(ctx))
		if len(keys) != 3 || keys[0].Name != "till" || keys[0].RevokedAt == nil || keys[0].Scopes.String() != "read post" ||
			keys[1].Name != "boss" || keys[1].RevokedAt != nil || keys[1].CreatedAt.IsZero() || keys[2].RevokedAt != nil {
			t.Errorf("keys %+v", keys)
		}
	})
}

func TestTheLastAdminKeyStays(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		must(d.db.CreateKey(ctx, [32]byte{1}, "till", store.ScopeApprove))
		must(d.db.CreateKey(ctx, [32]byte{2}, "one", store.ScopeAdmin))
		if _, err := d.db.RevokeKey(ctx, pick("one")); !errors.Is(err, store.ErrLastAdmin) {
			t.Errorf("the only admin key: %v", err)
		}
		must(d.db.CreateKey(ctx, [32]byte{3}, "two", store.ScopeAdmin))
		// Both at once: one goes, whichever.
		var wait sync.WaitGroup
		var gone, kept atomic.Int64
		for _, name := range []string{"one", "two"} {
			wait.Go(func() {
				switch _, err := d.db.RevokeKey(ctx, pick(name)); {
				case err == nil:
					gone.Add(1)
				case errors.Is(err, store.ErrLastAdmin):
					kept.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if gone.Load() != 1 || kept.Load() != 1 {
			t.Errorf("of two admin keys %d were revoked and %d kept", gone.Load(), kept.Load())
		}
	})
}

func TestAScopeOfALaterVersionGrantsNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		must(d.db.CreateKey(ctx, [32]byte{1}, "till", store.ScopeRead))
		d.owner(`update ops.api_keys set scopes = 'read superuser'`)
		if p := must(d.db.KeyByHash(ctx, [32]byte{1})); p.Scopes != store.ScopeRead {
			t.Errorf("the key has %s", p.Scopes)
		}
	})
}
