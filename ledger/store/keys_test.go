package store_test

import (
	"errors"
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
