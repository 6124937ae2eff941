package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// SignerKeys says which keys the chains of ledgers name as those that sign them, for
// a signer: a checkpoint by another key would be one that no verification trusts,
// for good. It is for several goroutines at once, but for one ledger.
type SignerKeys struct {
	db *store.DB

	mu sync.Mutex
	of map[uuid.UUID]*namedKeys
}

// namedKeys are the keys that the first entries of a ledger name.
type namedKeys struct {
	ring keyring
	size int64
}

// NewSignerKeys makes one that has read nothing yet.
func NewSignerKeys(db *store.DB) *SignerKeys {
	return &SignerKeys{db: db, of: make(map[uuid.UUID]*namedKeys)}
}

// Missing says why the chain of a ledger does not name a key as one that signs a
// checkpoint of that size; "" when it does, or names none at all: then the key may be
// put on record later, or be one that auditors have from elsewhere.
func (k *SignerKeys) Missing(ctx context.Context, id uuid.UUID, key chain.VerifierKey, size int64) (why string, err error) {
	k.mu.Lock()
	n := k.of[id]
	k.mu.Unlock()
	if n == nil || n.size > size {
		n = &namedKeys{ring: keyring{origin: key.Name()}}
	}
	v := newVerification(Options{Level: LevelHead}, &standard, time.Time{})
	v.snapshot, v.evidence.keys = k.db.Unpinned(id), n.ring
	v.snapshot.Size = size
	if err := v.readKeysAfter(ctx, n.size-1); err != nil {
		return "", err
	}
	n = &namedKeys{v.evidence.keys, size}
	k.mu.Lock()
	k.of[id] = n
	k.mu.Unlock()
	if len(n.ring.signers) == 0 || slices.ContainsFunc(n.ring.at(size), func(s chain.VerifierKey) bool { return s.String() == key.String() }) {
		return "", nil
	}
	return n.ring.advice(id, key, size), nil
}

// advice says why a key is not one that counts, and what to do.
func (k *keyring) advice(id uuid.UUID, key chain.VerifierKey, size int64) string {
	for i := len(k.signers) - 1; i >= 0; i-- {
		switch s := &k.signers[i]; {
		case s.key.String() != key.String() || s.ended == "":
		case s.revoked:
			return "its key was " + s.ended + ", for good: this signer needs another key"
		default:
			return "its key was " + s.ended + ": leave it to the signer that has the new one, or, if that was a mistake, put the key on record again"
		}
	}
	return fmt.Sprintf("its chain names %s, and not this key: put it on record with tallystick keys signer add --ledger %s '%s'", k.known(size), id, key)
}
