package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// keyring is whose signatures count on the checkpoints of a ledger.
type keyring struct {
	origin    string // empty when the ledger's terms are gone
	byPolicy  bool   // an auditor's policy names the keys; otherwise the chain does
	unknown   bool   // whose signatures count could not be read
	signers   []signerKey
	witnesses []chain.VerifierKey
}

// signerKey is a key, and the checkpoints that it may sign: those that cover
// the entry that adds it, and none that covers the one that ends it. The first key of
// a ledger may have signed before it was put on record: nobody else did.
type signerKey struct {
	key         chain.VerifierKey
	added       keyEntry // that put it on record; none where a policy names it
	from, until int64    // from < size ≤ until
	ended       string   // how it ended, if it did
	revoked     bool
}

// keyEntry is an entry that changes a key.
type keyEntry struct {
	seq      int64
	recorded time.Time
}

// at returns the keys that may sign a checkpoint of that size.
func (k *keyring) at(size int64) []chain.VerifierKey {
	var keys []chain.VerifierKey
	for i := range k.signers {
		if s := &k.signers[i]; s.from < size && size <= s.until {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// known says whose signatures were looked for on a checkpoint of that size.
func (k *keyring) known(size int64) string {
	var list []string
	for i := range k.signers {
		s := &k.signers[i]
		switch {
		case s.from < size && size <= s.until:
			list = append(list, s.key.ID())
		case s.ended != "" && size > s.until:
			list = append(list, "not any more "+s.key.ID()+", "+s.ended)
		default:
			list = append(list, fmt.Sprintf("not yet %s, added at entry %d", s.key.ID(), s.from))
		}
	}
	switch {
	case len(list) > 0:
		return strings.Join(list, "; ")
	case k.byPolicy:
		return "the policy names no key for " + k.origin
	}
	return "the chain names no key"
}

// Index: entries_keys, if there is one; without it, the entries are read once.
const keyEntriesSQL = `
select seq, format, recorded_at
from book.entries
where ledger_id = $1::uuid and kind = 'key_changed' and seq > $2::int8 and seq < $3::int8
order by seq
limit $4::int8`

// Index: the primary key.
const keyDetailsSQL = `
select seq, name, value
from book.details
where ledger_id = $1::uuid and seq = any($2::int8[])
order by seq, ordinal`

// maxSigners is how many signing keys a ledger may have had.
const maxSigners = 10_000

var errTooManySigners = errors.New("too many signing keys to hold")

// readKeys makes the keyring: from the policy, or else from what the chain
// itself says.
func (v *verification) readKeys(ctx context.Context, policy *chain.Policy) error {
	k := &v.evidence.keys
	if v.terms != nil {
		k.origin = v.terms.Origin
	}
	if policy != nil {
		k.byPolicy = true
		for _, key := range policy.LogKeys(k.origin) {
			k.signers = append(k.signers, signerKey{key: key, from: -1, until: math.MaxInt64})
		}
		for _, w := range policy.Witnesses {
			k.witnesses = append(k.witnesses, w.Key)
		}
		return nil
	}
	return v.readKeysAfter(ctx, -1)
}

// readKeysAfter adds the keys that entries after one name.
func (v *verification) readKeysAfter(ctx context.Context, after int64) error {
	for {
		var changes []keyEntry
		args := []any{v.snapshot.LedgerID, after, v.snapshot.Size, int64(v.bounds.page)}
		err := v.snapshot.Scan(ctx, keyEntriesSQL, args, func(r *store.Row) error {
			if after = r.Int64(0); r.Int64(1) == formatVersion {
				changes = append(changes, keyEntry{after, time.UnixMicro(r.Micros(2)).UTC()})
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading which keys sign: %w", err)
		}
		if len(changes) == 0 {
			return nil
		}
		if err := v.readKeyDetails(ctx, changes); err != nil {
			return fmt.Errorf("reading which keys sign: %w", err)
		}
	}
}

// readKeyDetails applies the entries, which are sorted.
func (v *verification) readKeyDetails(ctx context.Context, changes []keyEntry) error {
	seqs := make([]int64, len(changes))
	for i := range changes {
		seqs[i] = changes[i].seq
	}
	details := make(map[string]string)
	at := -1
	apply := func() error {
		if at < 0 {
			return nil
		}
		err := v.evidence.keys.change(changes[at], details)
		clear(details)
		return err
	}
	err := v.snapshot.Scan(ctx, keyDetailsSQL, []any{v.snapshot.LedgerID, seqs}, func(r *store.Row) error {
		if seq := r.Int64(0); at < 0 || seq != changes[at].seq {
			if err := apply(); err != nil {
				return err
			}
			at, _ = slices.BinarySearch(seqs, seq)
		}
		if len(details) < chain.MaxDetails {
			details[string(r.Text(1))] = string(r.Text(2))
		}
		return nil
	})
	return cmp.Or(err, apply())
}

// change applies one key_changed entry. One that makes no sense changes
// nothing: no key is trusted because of it.
func (k *keyring) change(e keyEntry, details map[string]string) error {
	if details["role"] != chain.RoleSigner {
		return nil
	}
	switch action := details["action"]; action {
	case chain.KeyAdd:
		key, err := chain.ParseLogKey(details["public_key"])
		if err != nil || key.Name() != k.origin || key.ID() != details["key_id"] {
			return nil
		}
		if slices.ContainsFunc(k.signers, func(s signerKey) bool { return s.revoked && s.key.ID() == key.ID() }) {
			return nil // for good
		}
		if len(k.signers) == maxSigners {
			return errTooManySigners
		}
		from := e.seq
		if len(k.signers) == 0 {
			from = -1
		}
		k.signers = append(k.signers, signerKey{key: key, added: e, from: from, until: math.MaxInt64})
	case chain.KeyRetire, chain.KeyRevoke:
		i := slices.IndexFunc(k.signers, func(s signerKey) bool { return s.key.ID() == details["key_id"] && s.ended == "" })
		if i >= 0 {
			k.signers[i].until, k.signers[i].ended, k.signers[i].revoked = e.seq, fmt.Sprintf("%sd at entry %d", action, e.seq), action == chain.KeyRevoke
		}
	}
	return nil
}

// open reads a checkpoint as somebody published it, and says what is wrong with
// it: findings at the last entry that it covers. A checkpoint with findings is
// evidence of nothing but that.
func (k *keyring) open(signed []byte, size int64) (chain.SignedCheckpoint, []finding) {
	f := finding{seq: lastOf(size)}
	if k.origin == "" || k.unknown {
		s, err := chain.OpenCheckpoint(signed)
		if errors.Is(err, chain.ErrCheckpoint) {
			return s, []finding{f.as(CheckpointBadSignature, err.Error(), "")}
		}
		return s, nil // whose signature to look for is unknown, and said elsewhere
	}
	signers := k.at(size)
	s, err := chain.OpenCheckpoint(signed, append(slices.Clone(signers), k.witnesses...)...)
	var found []finding
	if errors.Is(err, chain.ErrSignature) && len(k.witnesses) > 0 {
		var good []chain.VerifierKey
		for _, w := range k.witnesses {
			if _, err := chain.OpenCheckpoint(signed, w); errors.Is(err, chain.ErrSignature) {
				found = append(found, f.as(CosignatureInvalid, "a cosignature in the name of "+w.ID(), ""))
			} else {
				good = append(good, w)
			}
		}
		s, err = chain.OpenCheckpoint(signed, append(slices.Clone(signers), good...)...)
	}
	switch {
	case errors.Is(err, chain.ErrCheckpoint):
		found = append(found, f.as(CheckpointBadSignature, err.Error(), ""))
	case s.Origin != k.origin:
		found = append(found, f.as(OriginMismatch, s.Origin, k.origin))
	case errors.Is(err, chain.ErrSignature):
		found = append(found, f.as(CheckpointBadSignature, err.Error(), ""))
	case err == nil && !s.SignedByLog(), errors.Is(err, chain.ErrUnknownKey):
		found = append(found, f.as(CheckpointUnknownKey, strings.Join(s.Unknown, ", "), k.known(size)))
	case err != nil:
		found = append(found, f.as(CheckpointBadSignature, err.Error(), ""))
	}
	return s, found
}

// as returns f with a code and what is wrong.
func (f finding) as(code, stored, recomputed string) finding {
	f.code, f.stored, f.recomputed = code, stored, recomputed
	return f
}

// lastOf returns the last entry that a checkpoint of that size covers.
func lastOf(size int64) int64 { return max(size-1, 0) }
